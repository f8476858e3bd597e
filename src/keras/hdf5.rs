//! HDF5 files as Keras writes them: groups, text attributes, arrays of numbers.

use std::{io, sync::Arc};

use half::{bf16, f16};
use hdf5_reader::{
    Attribute, Datatype, Hdf5File, OpenOptions, Storage, StorageBuffer, error::Error, group::Group,
};

use super::{
    error::Fault,
    section::Section,
    tensor::{Element, Tensor, Values},
};

/// Most bytes of one array; the largest of `keras.applications` has 0.2 GiB.
const MAX_ARRAY_BYTES: usize = 2 << 30;

/// Most parts that one list of names is split into; Keras splits at 64 512 bytes.
const MAX_PARTS: usize = 4096;

impl Storage for Section {
    fn len(&self) -> u64 {
        self.length()
    }

    fn read_range(&self, offset: u64, length: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        match self.read(offset, length) {
            Ok(bytes) => Ok(StorageBuffer::from_vec(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let available = self.length().saturating_sub(offset);
                Err(Error::UnexpectedEof { offset, needed: length as u64, available })
            }
            Err(error) => Err(Error::Io(error)),
        }
    }
}

/// What an array is, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
}

pub(super) struct Hdf5 {
    file: Hdf5File,
}

impl Hdf5 {
    /// Opens a file, at the superblock's places 0, 512, 1024, 2048 and so on. Links to other files
    /// are not followed.
    pub(super) fn open(section: Section) -> Result<Self, Fault> {
        // Compressed arrays may be larger than the file, within reason.
        let by_length = usize::try_from(section.length().saturating_mul(64)).unwrap_or(usize::MAX);
        let most = by_length.clamp(1 << 20, MAX_ARRAY_BYTES);
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_chunk_cache_bytes(0);
        let file = Hdf5File::from_storage_with_options(Arc::new(section), options);
        Ok(Self { file: file.map_err(Fault::container("HDF5 structure"))? })
    }

    /// The text of an attribute; `None` when the group has none of that name.
    pub(super) fn text(&self, group: &str, name: &str) -> Result<Option<String>, Fault> {
        let Some(attribute) = self.attribute(group, name)? else { return Ok(None) };
        let text = attribute.read_string();
        text.map(Some).map_err(Fault::container(format!("attribute `{name}`")))
    }

    /// A list of texts; `None` when there is none. An attribute holds at most 64 512 bytes, so Keras
    /// splits longer lists into `name0`, `name1` and so on.
    pub(super) fn texts(&self, group: &str, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let attributes = self.attributes(group)?;
        if let Some(whole) = attributes.iter().find(|attribute| attribute.name == name) {
            return texts_of(whole).map(Some);
        }
        let mut texts = None;
        for part in 0..MAX_PARTS {
            let name = format!("{name}{part}");
            let Some(found) = attributes.iter().find(|a| a.name == name) else { break };
            texts.get_or_insert_with(Vec::new).extend(texts_of(found)?);
        }
        Ok(texts)
    }

    /// Names of the groups directly below a group, sorted; none when there is no such group.
    pub(super) fn groups(&self, group: &str) -> Result<Vec<String>, Fault> {
        self.members(group).map(|(groups, _)| groups)
    }

    /// Names of the arrays directly below a group, sorted; none when there is no such group.
    pub(super) fn arrays(&self, group: &str) -> Result<Vec<String>, Fault> {
        self.members(group).map(|(_, arrays)| arrays)
    }

    pub(super) fn outline(&self, path: &str) -> Result<Outline, Fault> {
        let dataset = self.file.dataset(path).map_err(Fault::container(format!("array {path}")))?;
        let shape: Option<Vec<usize>> =
            dataset.shape().iter().map(|&side| usize::try_from(side).ok()).collect();
        let marked = || dataset.attribute("dtype").and_then(|mark| mark.read_string());
        let element = match dataset.dtype() {
            Datatype::FloatingPoint { size: 2, .. } => Element::F16,
            Datatype::FloatingPoint { size: 4, .. } => Element::F32,
            Datatype::FloatingPoint { size: 8, .. } => Element::F64,
            Datatype::FixedPoint { size: 1, signed: true, .. } => Element::I8,
            Datatype::FixedPoint { size: 4, signed: true, .. } => Element::I32,
            Datatype::FixedPoint { size: 8, signed: true, .. } => Element::I64,
            Datatype::FixedPoint { size, .. } if *size <= 4 => Element::Unsigned(*size),
            // Opaque pairs of bytes are what h5py makes of numpy's bfloat16.
            Datatype::Opaque { size: 2, .. } if marked().is_ok_and(|mark| mark == "bfloat16") => {
                Element::Bf16
            }
            Datatype::Opaque { size: 2, .. } if marked().is_err() => Element::Bf16,
            other => {
                return Err(Fault::Unsupported {
                    what: format!("its array {path} is of the type {other:?}"),
                    hint: "save the model again with float32 weights".to_owned(),
                });
            }
        };
        let shape = shape.ok_or_else(|| Fault::damaged(format!("the shape of {path}")))?;
        Ok(Outline { shape, element })
    }

    pub(super) fn read(&self, path: &str) -> Result<Tensor, Fault> {
        let Outline { shape, element } = self.outline(path)?;
        let failed = || Fault::container(format!("array {path}"));
        let dataset = self.file.dataset(path).map_err(failed())?;
        let bytes = dataset.read_native_bytes().map_err(failed())?;
        let values = values(&bytes, element);
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if count != Some(values.len()) {
            return Err(Fault::damaged(format!("{path} has other values than its shape says")));
        }
        Ok(Tensor { shape, values })
    }

    fn attribute(&self, group: &str, name: &str) -> Result<Option<Attribute>, Fault> {
        Ok(self.attributes(group)?.into_iter().find(|attribute| attribute.name == name))
    }

    fn attributes(&self, group: &str) -> Result<Vec<Attribute>, Fault> {
        let Some(group) = self.group(group)? else { return Ok(Vec::new()) };
        group.attributes().map_err(Fault::container(format!("attributes of {}", group.name())))
    }

    fn members(&self, group: &str) -> Result<(Vec<String>, Vec<String>), Fault> {
        let Some(group) = self.group(group)? else { return Ok(Default::default()) };
        let names = group.member_names();
        let (mut groups, mut arrays) = names.map_err(Fault::container("groups"))?;
        groups.sort();
        arrays.sort();
        Ok((groups, arrays))
    }

    fn group(&self, path: &str) -> Result<Option<Group>, Fault> {
        match self.file.group(path) {
            Ok(group) => Ok(Some(group)),
            Err(Error::GroupNotFound(_)) => Ok(None),
            Err(error) => Err(Fault::container(format!("group {path}"))(error)),
        }
    }
}

/// The texts of one attribute. An empty list is numpy's default: an array of no doubles.
fn texts_of(attribute: &Attribute) -> Result<Vec<String>, Fault> {
    if attribute.shape == [0] {
        return Ok(Vec::new());
    }
    attribute.read_strings().map_err(Fault::container(format!("attribute `{}`", attribute.name)))
}

fn values(bytes: &[u8], element: Element) -> Values {
    match element {
        Element::F16 => Values::F16(numbers(bytes, f16::from_ne_bytes)),
        Element::F32 => Values::F32(numbers(bytes, f32::from_ne_bytes)),
        Element::Bf16 => Values::F32(numbers(bytes, |two| bf16::from_le_bytes(two).to_f32())),
        #[allow(clippy::cast_possible_truncation, reason = "weights are used as f32")]
        Element::F64 => Values::F32(numbers(bytes, |eight| f64::from_ne_bytes(eight) as f32)),
        Element::I8 => Values::I64(numbers(bytes, |one| i8::from_ne_bytes(one).into())),
        Element::Unsigned(1) => Values::I64(numbers(bytes, |one| u8::from_ne_bytes(one).into())),
        Element::I32 => Values::I64(numbers(bytes, |four| i32::from_ne_bytes(four).into())),
        Element::I64 => Values::I64(numbers(bytes, i64::from_ne_bytes)),
        Element::Unsigned(2) => Values::I64(numbers(bytes, |two| u16::from_ne_bytes(two).into())),
        Element::Unsigned(_) => Values::I64(numbers(bytes, |four| u32::from_ne_bytes(four).into())),
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
}
