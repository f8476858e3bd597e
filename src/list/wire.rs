//! The bytes of a list.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{Entry, MAGIC, Stamp, Totals};
use crate::{error::ItemError, source::Source};

/// More than any entry needs: two paths of the longest kind, and a message.
const MAX_RECORD: u32 = 1 << 20;

/// Stands for the end where the length of a record would be.
const END: u32 = u32::MAX;

/// An entry, and what is only needed to recognise it on another night.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entry: Entry,
    /// Which of the inputs it is below.
    pub(super) root: u32,
    pub(super) stamp: Option<Stamp>,
}

impl Record {
    pub(super) fn source(&self) -> &Source {
        match &self.entry {
            Entry::Candidate(source)
            | Entry::Suspect(source)
            | Entry::Failed(source, _)
            | Entry::Kept(source, _) => source,
        }
    }
}

pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let kind = match &record.entry {
        Entry::Candidate(_) | Entry::Suspect(_) => 0,
        Entry::Failed(..) => 1,
        Entry::Kept(..) => 2,
    };
    out.push(kind);
    out.extend(record.root.to_le_bytes());
    let source = record.source();
    text(source.path.as_os_str().as_encoded_bytes(), out);
    text(&source.name, out);
    match &record.stamp {
        None => out.push(0),
        Some(Stamp::Stat { bytes, modified }) => {
            out.push(1);
            out.extend(bytes.to_le_bytes());
            out.extend(modified.to_le_bytes());
        }
        Some(Stamp::Content(sha256)) => {
            out.push(2);
            text(sha256.as_bytes(), out);
        }
    }
    match &record.entry {
        Entry::Candidate(_) | Entry::Suspect(_) => {}
        Entry::Failed(_, error) => {
            text(error.code().as_bytes(), out);
            text(error.to_string().as_bytes(), out);
        }
        Entry::Kept(_, row) => out.extend(row.to_le_bytes()),
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("names and messages are short");
    out.extend(length.to_le_bytes());
    out.extend(bytes);
}

pub(super) fn decode(record: &[u8]) -> io::Result<Record> {
    let mut rest = Rest(record);
    let [kind] = rest.array()?;
    let root = u32::from_le_bytes(rest.array()?);
    let path = path(rest.text()?)?;
    let source = Source { path, name: rest.text()?.to_vec() };
    let stamp = match rest.array()? {
        [0] => None,
        [1] => Some(Stamp::Stat {
            bytes: u64::from_le_bytes(rest.array()?),
            modified: i64::from_le_bytes(rest.array()?),
        }),
        [2] => Some(Stamp::Content(rest.string()?)),
        _ => return Err(damaged()),
    };
    let entry = match kind {
        0 => Entry::Candidate(source),
        1 => {
            let code = rest.string()?;
            let code = ItemError::CODES.into_iter().find(|known| *known == code);
            let code = code.ok_or_else(damaged)?;
            Entry::Failed(source, ItemError::Listed { code, message: rest.string()? })
        }
        2 => Entry::Kept(source, u64::from_le_bytes(rest.array()?)),
        _ => return Err(damaged()),
    };
    if rest.0.is_empty() { Ok(Record { entry, root, stamp }) } else { Err(damaged()) }
}

/// What is left of a record.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = tail;
        Ok(*head)
    }

    fn text(&mut self) -> io::Result<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = tail;
        Ok(head)
    }

    fn string(&mut self) -> io::Result<String> {
        String::from_utf8(self.text()?.to_vec()).map_err(|_| damaged())
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fails elsewhere")]
fn path(bytes: &[u8]) -> io::Result<PathBuf> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    Ok(Path::new(OsStr::from_bytes(bytes)).to_owned())
}

/// Elsewhere names that are no Unicode cannot be made again from their bytes.
#[cfg(not(unix))]
fn path(bytes: &[u8]) -> io::Result<PathBuf> {
    str::from_utf8(bytes).map(|text| Path::new(text).to_owned()).map_err(io::Error::other)
}

pub(super) fn read_record(reader: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_RECORD {
        return Err(damaged());
    }
    buffer.resize(length as usize, 0);
    reader.read_exact(buffer)
}

/// The totals as JSON after [`END`], then the length of that.
pub(super) fn write_end(totals: &Totals, out: &mut impl Write) -> io::Result<()> {
    let json = serde_json::to_vec(totals)?;
    out.write_all(&END.to_le_bytes())?;
    out.write_all(&json)?;
    out.write_all(&u32::try_from(json.len()).map_err(io::Error::other)?.to_le_bytes())
}

/// The totals of a list of `bytes` bytes.
pub(super) fn read_end(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<Totals> {
    let mut magic = [0; MAGIC.len()];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut magic).map_err(|_| damaged())?;
    let mut length = [0; 4];
    file.seek(SeekFrom::End(-4)).map_err(|_| damaged())?;
    file.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    if magic != *MAGIC || length + 8 + MAGIC.len() as u64 > bytes || length > 1 << 16 {
        return Err(damaged());
    }
    file.seek(SeekFrom::Start(bytes - 4 - length))?;
    let mut json = vec![0; usize::try_from(length).expect("checked above")];
    file.read_exact(&mut json)?;
    serde_json::from_slice(&json).map_err(|_| damaged())
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}
