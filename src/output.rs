//! Rows to a file that appears whole or not at all, as CSV or JSON lines.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    config::Target,
    digest::{self, Hashing},
    error::{ItemError, RunError},
    job::Format,
    labels::Labels,
    rank::Ranked,
};

mod previous;
mod row;
mod whole;

pub use previous::Previous;
pub(crate) use row::{begins_formula, guarded_path, write_cells};
pub use row::{decode_name, encode_name};
pub(crate) use whole::sync_folder;
pub use whole::{PARTIAL, beside, check_place, copy_atomically, write_atomically, write_with};

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

/// How far an output is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Data rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

impl Mark {
    /// Whether the whole file at `path` is exactly what was marked.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn is_of(&self, path: &Path) -> io::Result<bool> {
        let file = File::open(path)?;
        if file.metadata()?.len() != self.bytes {
            return Ok(false);
        }
        Ok(digest::of(file)?.1 == self.sha256)
    }
}

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A device or pipe: there is nothing to rename.
    Direct(PathBuf),
    /// A regular file.
    File(FilePlace),
}

/// A regular file that appears whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// The file itself, links resolved.
    pub target: PathBuf,
    /// As the user wrote it.
    pub named: PathBuf,
}

impl Destination {
    /// Looks at what is there. A file's folder is made when it is missing.
    ///
    /// # Errors
    ///
    /// `Output` for a folder, or when the folder cannot be made.
    pub fn of(target: &Target) -> Result<Self, RunError> {
        let Target::File(path) = target else { return Ok(Self::Stdout) };
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| RunError::Output { path, source }
        };
        // A link to the real place stays a link: the file behind it is what is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        if let Ok(metadata) = fs::metadata(&target) {
            if metadata.is_dir() {
                let source = io::Error::from(io::ErrorKind::IsADirectory);
                return Err(RunError::Output { path: target, source });
            }
            if !metadata.is_file() {
                return Ok(Self::Direct(target));
            }
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        Ok(Self::File(FilePlace { target, named: path.clone() }))
    }
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
    /// A regular file, which is not `published` yet.
    File {
        file: BufWriter<File>,
        place: FilePlace,
        published: bool,
    },
    /// A device or pipe.
    Direct {
        file: BufWriter<File>,
        path: PathBuf,
    },
    Stdout(BufWriter<io::Stdout>),
}

impl Output {
    /// Opens the output and writes the header.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be opened or written.
    pub fn create(destination: &Destination, table: Table) -> Result<Self, RunError> {
        let open = |options: &mut OpenOptions, path: &Path| {
            let opened = options.write(true).open(path);
            opened
                .map(BufWriter::new)
                .map_err(|source| RunError::Output { path: path.to_owned(), source })
        };
        let mut new = OpenOptions::new();
        let sink = match destination {
            Destination::Stdout => Sink::Stdout(BufWriter::new(io::stdout())),
            Destination::Direct(path) => {
                Sink::Direct { file: open(&mut new, path)?, path: path.clone() }
            }
            Destination::File(place) => {
                let partial = beside(&place.target, PARTIAL);
                let file = open(new.create(true).truncate(true), &partial)?;
                Sink::File { file, place: place.clone(), published: false }
            }
        };
        let mut output = Self::on(sink, table);
        row::write_header(&output.table, &mut output.row);
        output.write_encoded()?;
        Ok(output)
    }

    /// Opens the output that an earlier run left, cut back to `mark`. When that run had published
    /// it already, it is as good as written. What is there and does not fit is the inner error, as
    /// a reason.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be opened or read.
    pub fn resume(
        place: &FilePlace,
        table: Table,
        mark: &Mark,
    ) -> Result<Result<Self, String>, RunError> {
        let partial = beside(&place.target, PARTIAL);
        let opened = OpenOptions::new().read(true).write(true).open(&partial);
        let (path, file, published) = match opened {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && mark.is_of(&place.target).unwrap_or(false) =>
            {
                (place.target.clone(), OpenOptions::new().read(true).open(&place.target), true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("it is gone".to_owned()));
            }
            other => (partial, other, false),
        };
        let failed = |source| RunError::Output { path: path.clone(), source };
        let mut file = file.map_err(failed)?;
        let sink = |file| Sink::File { file, place: place.clone(), published };
        let mut hash = Hashing::new(io::sink());
        io::copy(&mut Read::by_ref(&mut file).take(mark.bytes), &mut hash).map_err(failed)?;
        if hash.so_far() != (mark.bytes, mark.sha256.clone()) {
            return Ok(Err("its beginning is not what was written to it".to_owned()));
        }
        if !published {
            file.set_len(mark.bytes).and_then(|()| file.sync_all()).map_err(failed)?;
            file.seek(SeekFrom::Start(mark.bytes)).map_err(failed)?;
        }
        let rows = mark.rows;
        Ok(Ok(Self { hash, rows, ..Self::on(sink(BufWriter::new(file)), table) }))
    }

    fn on(sink: Sink, table: Table) -> Self {
        Self { table, sink, row: Vec::new(), hash: Hashing::new(io::sink()), rows: 0 }
    }

    /// Writes a row as it was in an earlier output of the same table.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be written.
    pub fn write_again(&mut self, row: &[u8]) -> Result<(), RunError> {
        self.rows += 1;
        self.row.extend(row);
        self.write_encoded()
    }

    /// Syncs what was written, and says how far it is.
    ///
    /// # Errors
    ///
    /// `Output` when flushing or syncing fails. What is on the disk is unknown then, so the run has
    /// to end.
    pub fn mark(&mut self) -> Result<Mark, RunError> {
        self.sync()?;
        let (bytes, sha256) = self.hash.so_far();
        Ok(Mark { rows: self.rows, bytes, sha256 })
    }

    /// Data rows that were written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
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
            Sink::File { place, published, .. } => {
                if !published {
                    let renamed = fs::rename(beside(&place.target, PARTIAL), &place.target);
                    let renamed = renamed.and_then(|()| sync_folder(&place.target));
                    renamed.map_err(|source| RunError::Output {
                        path: place.target.clone(),
                        source,
                    })?;
                }
                Some(place.named.clone())
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
            Sink::File { place, .. } => Some(beside(&place.named, PARTIAL)),
            Sink::Direct { path, .. } => Some(path.clone()),
            Sink::Stdout(_) => None,
        };
        Ok(self.written(path))
    }

    /// Lets go of what was written: there is nothing to publish, and whoever holds the journal
    /// removes it.
    ///
    /// # Errors
    ///
    /// `Output` when flushing fails.
    pub fn discard(mut self) -> Result<Written, RunError> {
        self.flush()?;
        Ok(self.written(None))
    }

    fn written(self, path: Option<PathBuf>) -> Written {
        let (bytes, sha256) = self.hash.finish();
        Written { path, rows: self.rows, bytes, sha256 }
    }

    fn sync(&mut self) -> Result<(), RunError> {
        self.flush()?;
        let synced = match &self.sink {
            Sink::File { file, published: false, .. } => file.get_ref().sync_data(),
            // What is complete under its name was synced before it got that name.
            Sink::File { .. } | Sink::Direct { .. } | Sink::Stdout(_) => Ok(()),
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
            Sink::File { place, .. } => beside(&place.target, PARTIAL),
            Sink::Direct { path, .. } => path.clone(),
            Sink::Stdout(_) => "standard output".into(),
        };
        RunError::Output { path, source }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { format: Format::Csv, top_k: 1, labels: None }
    }

    fn file(path: PathBuf) -> Destination {
        Destination::of(&Target::File(path)).unwrap()
    }

    const RANKED: [Ranked; 1] = [Ranked { class: 4, probability: 0.5 }];

    #[test]
    fn the_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/out.csv");
        let mut output = Output::create(&file(path.clone()), table()).unwrap();
        output.write(b"a.jpg", Ok(&RANKED)).unwrap();
        output.flush().unwrap();
        assert!(!path.exists());
        let written = output.publish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(written.sha256, crate::digest::of(&bytes[..]).unwrap().1);
        assert_eq!((written.rows, written.bytes), (1, bytes.len() as u64));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_behind_the_mark_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let destination = file(path.clone());
        let Destination::File(place) = &destination else { panic!("{destination:?}") };
        let mut output = Output::create(&destination, table()).unwrap();
        output.write(b"a.jpg", Ok(&RANKED)).unwrap();
        let mark = output.mark().unwrap();
        output.write(b"b.jpg", Ok(&RANKED)).unwrap();
        drop(output);
        let partial = folder.path().join("out.csv.partial");
        let mut damaged = fs::read(&partial).unwrap();
        damaged.extend(b"half a r\xC3");
        fs::write(&partial, &damaged).unwrap();
        let mut output = Output::resume(place, table(), &mark).unwrap().unwrap();
        output.write(b"c.jpg", Ok(&RANKED)).unwrap();
        let written = output.publish().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let names: Vec<_> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(names, ["path", "a.jpg", "c.jpg"]);
        let mark = Mark { rows: 2, bytes: written.bytes, sha256: written.sha256 };
        assert!(mark.is_of(&path).unwrap());
        // Published, and the run died before it could say so.
        let again = Output::resume(place, table(), &mark).unwrap().unwrap().publish().unwrap();
        assert_eq!((again.rows, again.sha256), (2, mark.sha256.clone()));
        fs::write(&path, text.replace("c.jpg", "d.jpg")).unwrap();
        assert_eq!(Output::resume(place, table(), &mark).unwrap().err().unwrap(), "it is gone");
    }

    #[test]
    fn a_beginning_that_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let destination = file(folder.path().join("out.csv"));
        let Destination::File(place) = &destination else { panic!("{destination:?}") };
        let mut output = Output::create(&destination, table()).unwrap();
        let mark = output.mark().unwrap();
        drop(output);
        for other in ["path,status,index,label,probability,messagE\n", "path"] {
            fs::write(folder.path().join("out.csv.partial"), other).unwrap();
            assert!(Output::resume(place, table(), &mark).unwrap().is_err(), "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_output_error_and_stays_a_device() {
        let mut output = Output::create(&file("/dev/full".into()), table()).unwrap();
        let error = output.flush().unwrap_err();
        assert_eq!(error.exit().code(), 74);
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }
}
