//! Rows to a file that appears whole or not at all, as CSV or JSON lines.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    config::Target,
    digest::Hashing,
    error::{ItemError, RunError},
    job::Format,
    labels::Labels,
    rank::Ranked,
};

mod row;

/// What a file's name ends in until it is complete.
const PARTIAL: &str = ".partial";

pub(crate) use row::{begins_formula, guarded_path, write_cells};
pub use row::{decode_name, encode_name};

/// What is written: format, classes per row, and their names.
#[derive(Debug, Clone)]
pub struct Table {
    /// CSV or JSON lines.
    pub format: Format,
    /// Classes per row.
    pub top_k: usize,
    /// Names of the classes.
    pub labels: Option<Labels>,
}

/// What was written in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where the rows are; `None` is standard output.
    pub path: Option<PathBuf>,
    /// Data rows, without the header.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// The writer of a run's rows.
pub struct Output {
    table: Table,
    sink: Sink,
    /// Rows are encoded here first, so that a row is written whole or not at all.
    row: Vec<u8>,
    /// What was handed to the sink.
    hash: Hashing<io::Sink>,
    rows: u64,
}

enum Sink {
    /// A regular file: `file` is `partial`, and becomes `target`, which the user `named`.
    File {
        file: BufWriter<File>,
        partial: PathBuf,
        target: PathBuf,
        named: PathBuf,
    },
    /// A device or pipe: there is nothing to rename.
    Direct {
        file: BufWriter<File>,
        path: PathBuf,
    },
    Stdout(BufWriter<io::Stdout>),
}

impl Output {
    /// Opens the output and writes the header. The file's folder is made when it is missing.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be opened or written; `Locked` when another run writes it.
    pub fn create(target: &Target, table: Table) -> Result<Self, RunError> {
        let sink = match target {
            Target::Stdout => Sink::Stdout(BufWriter::new(io::stdout())),
            Target::File(path) => open(path)?,
        };
        let (hash, row) = (Hashing::new(io::sink()), Vec::new());
        let mut output = Self { table, sink, row, hash, rows: 0 };
        row::write_header(&output.table, &mut output.row);
        output.write_encoded()?;
        Ok(output)
    }

    /// Writes the row of the image `name`.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be written.
    pub fn write(
        &mut self,
        name: &[u8],
        outcome: Result<&[Ranked], &ItemError>,
    ) -> Result<(), RunError> {
        self.rows += 1;
        row::write(&self.table, name, outcome, &mut self.row);
        self.write_encoded()
    }

    /// Hands what was written to the operating system, for whoever reads along.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be written.
    pub fn flush(&mut self) -> Result<(), RunError> {
        let flushed = self.writer().flush();
        flushed.map_err(|source| self.failed(source))
    }

    /// Publishes the complete file under its name.
    ///
    /// # Errors
    ///
    /// `Output` when flushing, syncing or renaming fails; the rows are in the partial file then.
    pub fn publish(mut self) -> Result<Written, RunError> {
        self.sync()?;
        let path = match &self.sink {
            Sink::File { partial, target, named, .. } => {
                let renamed = fs::rename(partial, target).and_then(|()| sync_folder(target));
                renamed.map_err(|source| RunError::Output { path: target.clone(), source })?;
                Some(named.clone())
            }
            Sink::Direct { path, .. } => Some(path.clone()),
            Sink::Stdout(_) => None,
        };
        Ok(self.written(path))
    }

    /// Leaves what was written, which is valid but not complete, in the partial file.
    ///
    /// # Errors
    ///
    /// `Output` when flushing or syncing fails.
    pub fn leave_partial(mut self) -> Result<Written, RunError> {
        self.sync()?;
        let path = match &self.sink {
            Sink::File { named, .. } => Some(beside(named, PARTIAL)),
            Sink::Direct { path, .. } => Some(path.clone()),
            Sink::Stdout(_) => None,
        };
        Ok(self.written(path))
    }

    /// Removes what was written: there is nothing to publish.
    ///
    /// # Errors
    ///
    /// `Output` when flushing fails.
    pub fn discard(mut self) -> Result<Written, RunError> {
        self.flush()?;
        if let Sink::File { partial, .. } = &self.sink {
            let removed = fs::remove_file(partial);
            removed.map_err(|source| self.failed(source))?;
        }
        Ok(self.written(None))
    }

    fn written(self, path: Option<PathBuf>) -> Written {
        let (bytes, sha256) = self.hash.finish();
        Written { path, rows: self.rows, bytes, sha256 }
    }

    fn sync(&mut self) -> Result<(), RunError> {
        self.flush()?;
        let synced = match &self.sink {
            Sink::File { file, .. } => file.get_ref().sync_all(),
            Sink::Direct { .. } | Sink::Stdout(_) => Ok(()),
        };
        synced.map_err(|source| self.failed(source))
    }

    fn write_encoded(&mut self) -> Result<(), RunError> {
        let row = std::mem::take(&mut self.row);
        let hashed = self.hash.write_all(&row);
        let written = hashed.and_then(|()| self.writer().write_all(&row));
        self.row = row;
        self.row.clear();
        written.map_err(|source| self.failed(source))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::File { file, .. } | Sink::Direct { file, .. } => file,
            Sink::Stdout(stdout) => stdout,
        }
    }

    fn failed(&self, source: io::Error) -> RunError {
        let path = match &self.sink {
            Sink::File { partial, .. } => partial.clone(),
            Sink::Direct { path, .. } => path.clone(),
            Sink::Stdout(_) => "standard output".into(),
        };
        RunError::Output { path, source }
    }
}

fn open(path: &Path) -> Result<Sink, RunError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RunError::Output { path, source }
    };
    // A link to the real place stays a link: the file behind it is what is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(metadata) = fs::metadata(&target) {
        if metadata.is_dir() {
            let source = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(RunError::Output { path: target, source });
        }
        if !metadata.is_file() {
            let opened = OpenOptions::new().write(true).open(&target);
            let file = BufWriter::new(opened.map_err(failed(&target))?);
            return Ok(Sink::Direct { file, path: target });
        }
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let partial = beside(&target, PARTIAL);
    let file = lock(&partial, &target)?;
    file.set_len(0).map_err(failed(&partial))?;
    Ok(Sink::File { file: BufWriter::new(file), partial, target, named: path.to_owned() })
}

/// Opens `partial` and takes the lock on it, which is the kernel's: it goes with the process,
/// however that ends.
fn lock(partial: &Path, target: &Path) -> Result<File, RunError> {
    let failed = |source| RunError::Output { path: partial.to_owned(), source };
    loop {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(partial);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Locked { path: target.to_owned(), holder: String::new() });
            }
            // Some network file systems have no locks; a single run there is as safe as before.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Between opening and locking, another run may have published this very file.
        if is_still_at(&file, partial).map_err(failed)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is open cannot be renamed on other systems.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
fn is_still_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// `path` with `suffix` after its whole name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The path of a file from its `path` cell.
#[must_use]
pub fn name_path(cell: &str) -> PathBuf {
    let name = decode_name(cell);
    #[cfg(unix)]
    let name = <OsString as std::os::unix::ffi::OsStringExt>::from_vec(name);
    #[cfg(not(unix))]
    let name = String::from_utf8_lossy(&name).into_owned();
    name.into()
}

/// The rows of a CSV text, its header first.
///
/// # Errors
///
/// A message that names the line when it is no CSV.
pub fn csv_rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    reader.records().map(|record| record.map(row).map_err(|error| error.to_string())).collect()
}

/// Writes a small file so that it appears whole or not at all.
///
/// # Errors
///
/// `Output` when it cannot be written or renamed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let partial = beside(path, PARTIAL);
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sync_folder(path)
    };
    write().map_err(|source| RunError::Output { path: path.to_owned(), source })
}

/// Makes a rename in the folder of `path` survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
        // Some network file systems cannot sync a folder; the file itself is synced.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { format: Format::Csv, top_k: 1, labels: None }
    }

    #[test]
    fn the_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/out.csv");
        let mut output = Output::create(&Target::File(path.clone()), table()).unwrap();
        let ranked = [Ranked { class: 4, probability: 0.5 }];
        output.write(b"a.jpg", Ok(&ranked)).unwrap();
        output.flush().unwrap();
        assert!(!path.exists());
        let written = output.publish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(written.sha256, crate::digest::of(&bytes[..]).unwrap().1);
        assert_eq!((written.rows, written.bytes), (1, bytes.len() as u64));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_writer_is_locked_out_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("out.csv"));
        let first = Output::create(&target, table()).unwrap();
        let second = Output::create(&target, table());
        assert!(matches!(second, Err(RunError::Locked { .. })));
        drop(first);
        assert!(Output::create(&target, table()).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_output_error_and_stays_a_device() {
        let target = Target::File("/dev/full".into());
        let mut output = Output::create(&target, table()).unwrap();
        let error = output.flush().unwrap_err();
        assert_eq!(error.exit().code(), 74);
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }
}
