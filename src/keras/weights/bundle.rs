//! Weights of `SavedModel` folders: the checkpoint below `variables`, and which of its variables
//! belongs to which layer.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use half::bf16;
use prost::Message;

use super::{Placed, Store, roles::roles};
use crate::keras::{
    Layer, Model,
    config::Kind,
    error::Fault,
    protobuf::{BundleEntry, BundleHeader, Trackable, TrackableGraph},
    section::Section,
    tensor::{Element, Tensor, Values},
};

/// The end of a `LevelDB` table.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// Most bytes of `variables.index`, and of the description of the objects.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// The key under which the description of the objects is stored.
const OBJECTS: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

pub(crate) struct Bundle {
    folder: PathBuf,
    shards: i32,
    entries: BTreeMap<String, BundleEntry>,
}

impl Bundle {
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let folder = folder.join("variables");
        let path = folder.join("variables.index");
        let length = fs::metadata(&path).map_err(Fault::Unreadable)?.len();
        Fault::within("variables.index", length, MAX_INDEX_BYTES)?;
        let bytes = fs::read(path).map_err(Fault::Unreadable)?;
        let pairs = table(&bytes).ok_or_else(|| Fault::damaged("variables.index"))?;
        let damaged = |error| Fault::container("variables.index")(error);
        let mut shards = 1;
        let mut entries = BTreeMap::new();
        for (key, value) in pairs {
            if key.is_empty() {
                let header = BundleHeader::decode(&*value).map_err(damaged)?;
                if header.endianness != 0 {
                    return Err(Fault::Unsupported {
                        what: "its variables are big-endian".to_owned(),
                        hint: "save the model on a usual machine".to_owned(),
                    });
                }
                shards = header.shards;
                continue;
            }
            let key = String::from_utf8(key).map_err(Fault::container("variables.index"))?;
            entries.insert(key, BundleEntry::decode(&*value).map_err(damaged)?);
        }
        Ok(Self { folder, shards, entries })
    }

    /// Finds the variables of every layer by walking the objects that Keras saved.
    pub(in crate::keras) fn place(&self, model: &Model) -> Result<Vec<Placed>, Fault> {
        let stored = self.bytes(self.entry(OBJECTS)?, MAX_INDEX_BYTES)?;
        // A text: its length as a varint, four bytes of checksum, then itself.
        let mut at = 0;
        varint(&stored, &mut at);
        let text = stored.get(at + 4..).ok_or_else(|| Fault::damaged(OBJECTS))?;
        let graph = TrackableGraph::decode(text).map_err(Fault::container(OBJECTS))?;
        let mut placed = Vec::new();
        Objects { nodes: &graph.nodes }.model(0, &[], model, &mut placed)?;
        Ok(placed)
    }

    fn entry(&self, key: &str) -> Result<&BundleEntry, Fault> {
        self.entries.get(key).ok_or_else(|| Fault::Damaged(format!("it has no variable {key}")))
    }

    fn bytes(&self, entry: &BundleEntry, limit: u64) -> Result<Vec<u8>, Fault> {
        let outside = || Fault::damaged("a variable lies outside its file");
        let offset = u64::try_from(entry.offset).map_err(|_| outside())?;
        let size = u64::try_from(entry.size).map_err(|_| outside())?;
        let size = Fault::within("variable", size, limit)?;
        let name = format!("variables.data-{:05}-of-{:05}", entry.shard, self.shards);
        let file = File::open(self.folder.join(name)).map_err(Fault::Unreadable)?;
        let section = Section::whole(file).map_err(Fault::Unreadable)?;
        section.read(offset, usize::try_from(size).map_err(|_| outside())?).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                outside()
            } else {
                Fault::Unreadable(error)
            }
        })
    }
}

impl Store for Bundle {
    fn outline(&self, place: &str) -> Result<(Vec<usize>, Element), Fault> {
        let entry = self.entry(place)?;
        let dims = entry.shape.iter().flat_map(|shape| &shape.dims);
        let shape: Result<Vec<usize>, _> = dims.map(|dim| usize::try_from(dim.size)).collect();
        let shape = shape.map_err(|_| Fault::Damaged(format!("the shape of {place}")))?;
        // Numbers of TensorFlow's `DataType`.
        let element = match entry.dtype {
            1 => Element::F32,
            2 => Element::F64,
            3 => Element::I32,
            9 => Element::I64,
            14 => Element::Bf16,
            19 => Element::F16,
            other => {
                return Err(Fault::Unsupported {
                    what: format!("its variable {place} has TensorFlow's type {other}"),
                    hint: "save the model again with float32 weights".to_owned(),
                });
            }
        };
        Ok((shape, element))
    }

    fn read(&self, place: &str) -> Result<Tensor, Fault> {
        let (shape, element) = self.outline(place)?;
        let bytes = self.bytes(self.entry(place)?, 2 << 30)?;
        let values = little_endian(&bytes, element);
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if count != Some(values.len()) {
            return Err(Fault::Damaged(format!("{place} has other values than its shape says")));
        }
        Ok(Tensor { shape, values })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "weights are used as f32")]
fn little_endian(bytes: &[u8], element: Element) -> Values {
    fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
    }
    match element {
        Element::F16 => Values::F16(each(bytes, half::f16::from_le_bytes)),
        Element::Bf16 => Values::F32(each(bytes, |two| bf16::from_le_bytes(two).to_f32())),
        Element::F64 => Values::F32(each(bytes, |eight| f64::from_le_bytes(eight) as f32)),
        Element::I32 => Values::I64(each(bytes, |four| i32::from_le_bytes(four).into())),
        Element::I64 => Values::I64(each(bytes, i64::from_le_bytes)),
        _ => Values::F32(each(bytes, f32::from_le_bytes)),
    }
}

struct Objects<'a> {
    nodes: &'a [Trackable],
}

impl Objects<'_> {
    fn child(&self, node: usize, name: &str) -> Option<usize> {
        let children = &self.nodes.get(node)?.children;
        usize::try_from(children.iter().find(|child| child.name == name)?.node).ok()
    }

    fn model(
        &self,
        node: usize,
        above: &[String],
        model: &Model,
        placed: &mut Vec<Placed>,
    ) -> Result<(), Fault> {
        // A chain counts its layers without the input layer.
        let chain = model.kind == Kind::Sequential;
        let layers = model.layers.iter().filter(|layer| !(chain && layer.is_input()));
        for (number, layer) in layers.enumerate() {
            let path = [above, std::slice::from_ref(&layer.name)].concat();
            let missing = || Fault::Damaged(format!("its variables have no layer {}", layer.name));
            let node = self.child(node, &format!("layer-{number}"));
            if let Some(inner) = &layer.model {
                self.model(node.ok_or_else(missing)?, &path, inner, placed)?;
                continue;
            }
            let roles = roles(layer).unwrap_or_default();
            if !roles.is_empty() {
                let arrays = self.layer(node.ok_or_else(missing)?, layer, roles)?;
                placed.push(Placed { layer: path, arrays });
            }
        }
        Ok(())
    }

    fn layer(
        &self,
        node: usize,
        layer: &Layer,
        roles: Vec<String>,
    ) -> Result<Vec<(String, String)>, Fault> {
        let mut arrays = Vec::new();
        for role in roles {
            match self.variable(node, &role) {
                Some(key) => arrays.push((role, key)),
                None if role == "count" => {}
                None => {
                    let name = &layer.name;
                    return Err(Fault::Damaged(format!("layer {name} has no variable {role}")));
                }
            }
        }
        Ok(arrays)
    }

    /// The checkpoint's key of a layer's variable.
    fn variable(&self, node: usize, role: &str) -> Option<String> {
        let (node, role) = match role.rsplit_once('/') {
            Some(("layer", role)) => (self.child(node, "layer")?, role),
            Some((part, role)) => (self.child(node, &format!("_{part}_dense"))?, role),
            None => (node, role),
        };
        let names: &[&str] = match role {
            "kernel" => &["kernel", "depthwise_kernel"],
            "depthwise" => &["depthwise_kernel"],
            "pointwise" => &["pointwise_kernel"],
            "mean" => &["mean", "adapt_mean"],
            "variance" => &["variance", "adapt_variance"],
            other => &[other],
        };
        let found = names.iter().find_map(|name| self.child(node, name))?;
        let saved = &self.nodes.get(found)?.attributes;
        let value = saved.iter().find(|saved| saved.name == "VARIABLE_VALUE")?;
        Some(value.key.clone())
    }
}

/// A number of `LevelDB` and protobuf: seven bits a byte, the lowest first; 0 behind the end.
fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let Some(&byte) = bytes.get(*at) else { return 0 };
        *at += 1;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Key and value.
type Pair = (Vec<u8>, Vec<u8>);

/// The pairs of a `LevelDB` table without compression; `None` when it is damaged or compressed.
///
/// Its last 48 bytes are the places of two index blocks and a magic number.
fn table(bytes: &[u8]) -> Option<Vec<Pair>> {
    let footer = bytes.len().checked_sub(48)?;
    let magic = u64::from_le_bytes(*bytes.last_chunk::<8>()?);
    if magic != MAGIC {
        return None;
    }
    let mut at = footer;
    let (_, _) = (varint(bytes, &mut at), varint(bytes, &mut at));
    let index = (varint(bytes, &mut at), varint(bytes, &mut at));
    let mut pairs = Vec::new();
    for (_, handle) in block(bytes, index)? {
        let mut at = 0;
        let place = (varint(&handle, &mut at), varint(&handle, &mut at));
        pairs.extend(block(bytes, place)?);
        // Blocks do not overlap, so their pairs are no more than the bytes.
        if pairs.len() > bytes.len() {
            return None;
        }
    }
    Some(pairs)
}

/// The pairs of the block at `(offset, size)`. A key begins with a part of the one before it.
fn block(bytes: &[u8], (offset, size): (u64, u64)) -> Option<Vec<Pair>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    let content = bytes.get(start..end)?;
    let stored_plainly = bytes.get(end) == Some(&0);
    let restarts = u32::from_le_bytes(*content.last_chunk::<4>()?) as usize;
    let end = content.len().checked_sub(restarts.checked_add(1)?.checked_mul(4)?)?;
    if !stored_plainly {
        return None;
    }
    let (mut at, mut key, mut pairs) = (0, Vec::new(), Vec::new());
    while at < end {
        let [shared, own, length] = [(); 3].map(|()| usize::try_from(varint(content, &mut at)));
        let (shared, own, length) = (shared.ok()?, own.ok()?, length.ok()?);
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        let value = at.checked_add(own)?;
        key.extend_from_slice(content.get(at..value)?);
        at = value.checked_add(length)?;
        pairs.push((key.clone(), content.get(value..at)?.to_vec()));
    }
    Some(pairs)
}
