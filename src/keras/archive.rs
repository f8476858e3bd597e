//! The `.keras` archive: a zip of `config.json`, `metadata.json` and `model.weights.h5`. Nothing is
//! unpacked to disk, and names inside it are compared and never used as paths.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{error::Fault, section::Section};

/// Most entries of an archive; Keras writes three, and one more for each asset.
const MAX_ENTRIES: u64 = 4096;

pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<File>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(Fault::Unreadable)?;
        let zip = ZipArchive::new(file).map_err(Fault::container("zip directory"))?;
        Fault::within("number of zip entries", zip.len() as u64, MAX_ENTRIES)?;
        Ok(Self { path: path.to_owned(), zip })
    }

    /// The first names of entries that are readable.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.zip.file_names().filter_map(Result::ok);
        names.take(3).map(Cow::into_owned).collect()
    }

    /// The text of an entry of at most `limit` bytes; `None` when there is no such entry.
    pub(super) fn text(&mut self, name: &str, limit: u64) -> Result<Option<String>, Fault> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(Fault::container(name)(error)),
        };
        let text = String::from_utf8(inflated(entry, name, limit)?);
        text.map(Some).map_err(Fault::container(name))
    }

    /// An entry as bytes to read piece by piece: in place when it is stored, else inflated.
    pub(super) fn section(&mut self, name: &str, limit: u64) -> Result<Option<Section>, Fault> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(Fault::container(name)(error)),
        };
        if entry.compression() != CompressionMethod::Stored {
            return Ok(Some(Section::Memory(inflated(entry, name, limit)?)));
        }
        let (start, length) = (entry.data_start(), entry.size());
        let start = start.ok_or_else(|| Fault::damaged(format!("{name} has no place in it")))?;
        let mut file = File::open(&self.path).map_err(Fault::Unreadable)?;
        let end = file.seek(io::SeekFrom::End(0)).map_err(Fault::Unreadable)?;
        if start.checked_add(length).is_none_or(|stop| stop > end) {
            return Err(Fault::damaged(format!("{name} ends behind the end of the file")));
        }
        Ok(Some(Section::part(file, start, length)))
    }
}

/// All of an entry. Its stated size is not believed: reading stops behind `limit` bytes.
fn inflated(entry: impl Read, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(Fault::container(name))?;
    Fault::within(name, bytes.len() as u64, limit)?;
    Ok(bytes)
}
