//! The list of what a run classifies, frozen in a file before the first image is read: a run that
//! is gone on with has the same rows, and nothing grows in memory with their number.
//!
//! A list is a line of magic, its entries in the order of the walk, and a JSON record that closes
//! it. Numbers are little-endian. The journal holds the list's SHA-256.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    digest::{self, Hashing},
    error::{ItemError, RunError},
    source::Source,
    walk::Skip,
};

mod freeze;
mod stamp;
mod wire;

pub use freeze::{Base, Freezing, freeze};
pub use stamp::Stamp;

/// The first bytes, with the version of the form.
const MAGIC: &[u8] = b"linnaeus list 1\n";

/// One row to be.
#[derive(Debug)]
pub enum Entry {
    /// An image to classify.
    Candidate(Source),
    /// One that was being read when the program died: it is tried in a process of its own first.
    Suspect(Source),
    /// Something that cannot be read.
    Failed(Source, ItemError),
    /// One that has this row, counted from 0, in the output of the last complete run.
    Kept(Source, u64),
}

/// What is in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries, each of which becomes a row.
    pub rows: u64,
    /// Of these, rows of the last complete run.
    pub kept: u64,
    /// Of the kept ones, those whose files are gone.
    pub gone: u64,
    /// Rows of the last complete run whose files are below a folder that cannot be listed tonight.
    #[serde(default)]
    pub hidden: u64,
    /// What became no entry, in the order of [`Skip::ALL`].
    pub skipped: [u64; Skip::ALL.len()],
}

/// A list in its file.
#[derive(Debug)]
pub struct List {
    file: File,
    /// What is in it.
    pub totals: Totals,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Length of the file.
    pub bytes: u64,
}

impl List {
    /// Opens a list that [`freeze`] wrote.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no list, or is not whole.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (bytes, sha256) = digest::of(&mut file)?;
        let totals = wire::read_end(&mut file, bytes)?;
        Ok(Self { file, totals, sha256, bytes })
    }

    /// The entries from the one at `first`, counted from 0, with what is known of their files.
    ///
    /// # Errors
    ///
    /// When the list cannot be read, or has fewer entries.
    pub fn entries(&self, first: u64) -> io::Result<Entries> {
        // A clone shares its place in the file with the original; nothing else reads it.
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut entries = Entries {
            reader: BufReader::with_capacity(1 << 16, file),
            left: self.totals.rows,
            buffer: Vec::new(),
        };
        for _ in 0..first {
            entries.advance()?;
        }
        Ok(entries)
    }
}

/// Entries of a list, read as they are needed.
#[derive(Debug)]
pub struct Entries {
    reader: BufReader<File>,
    left: u64,
    /// The current record.
    buffer: Vec<u8>,
}

impl Entries {
    /// Reads the next record into the buffer; `false` when there is none.
    fn advance(&mut self) -> io::Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        wire::read_record(&mut self.reader, &mut self.buffer).map(|()| true)
    }

    /// The next entry, the number of its root, and the stamp of its file.
    ///
    /// # Errors
    ///
    /// When the list cannot be read.
    fn next_record(&mut self) -> io::Result<Option<wire::Record>> {
        if self.advance()? { wire::decode(&self.buffer).map(Some) } else { Ok(None) }
    }
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose().map(|record| record.map(|record| record.entry))
    }
}

/// The writer of a list.
struct Writer<W: Write> {
    out: Hashing<BufWriter<W>>,
    record: Vec<u8>,
    totals: Totals,
}

impl<W: Write> Writer<W> {
    fn new(file: W) -> io::Result<Self> {
        let mut out = Hashing::new(BufWriter::with_capacity(1 << 16, file));
        out.write_all(MAGIC)?;
        Ok(Self { out, record: Vec::new(), totals: Totals::default() })
    }

    fn push(&mut self, record: &wire::Record) -> io::Result<()> {
        self.record.clear();
        wire::encode(record, &mut self.record);
        let length = u32::try_from(self.record.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.record)?;
        self.totals.rows += 1;
        self.totals.kept += u64::from(matches!(record.entry, Entry::Kept(..)));
        Ok(())
    }

    /// Closes the list; returns its totals, SHA-256 and length.
    fn finish(mut self) -> io::Result<(Totals, String, u64)> {
        wire::write_end(&self.totals, &mut self.out)?;
        self.out.flush()?;
        let (bytes, sha256) = self.out.finish();
        Ok((self.totals, sha256, bytes))
    }
}

/// The error of a list at `path` that cannot be written.
fn unwritable(path: &Path) -> impl Fn(io::Error) -> RunError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| RunError::Output { path: path.clone(), source }
}
