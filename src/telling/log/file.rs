//! The log file: what is told goes to its end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A file that is appended to, by this run and by those of other nights. Each record is one write
/// at the file's end, so a log that is cut or renamed meanwhile loses and mixes nothing.
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    /// A line was written in part: the next one begins anew.
    torn: bool,
    /// What is wrong has been told, and is told once.
    told: bool,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> (Self, Option<String>) {
        let opened = append_to(path);
        let mut log = Self { path: path.to_owned(), file: None, torn: false, told: false };
        let problem = match opened {
            Ok(file) => {
                log.file = Some(file);
                None
            }
            Err(error) => Some(log.problem(&error)),
        };
        (log, problem.flatten())
    }

    /// Writes whole lines; returns what is wrong, the first time that something is.
    pub(super) fn write(&mut self, lines: &str) -> Option<String> {
        let file = self.file.as_mut()?;
        let text = if self.torn { format!("\n{lines}") } else { lines.to_owned() };
        match file.write_all(text.as_bytes()) {
            Ok(()) => {
                self.torn = false;
                None
            }
            Err(error) => {
                self.torn = true;
                self.problem(&error)
            }
        }
    }

    fn problem(&mut self, error: &io::Error) -> Option<String> {
        let path = self.path.display();
        let problem = format!(
            "the log file {path} cannot be written ({error}); the run goes on without\nhint: check \
             `log-file` and its disk"
        );
        (!std::mem::replace(&mut self.told, true)).then_some(problem)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_appended_to_and_survives_being_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.log");
        let (mut log, problem) = LogFile::open(&path);
        assert_eq!(problem, None);
        assert_eq!(log.write("one\n"), None);
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(log.write("two\n"), None);
        assert_eq!(LogFile::open(&path).0.write("three\n"), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_volume_is_told_once() {
        let (mut log, problem) = LogFile::open("/dev/full".as_ref());
        assert_eq!(problem, None);
        assert!(log.write("one\n").unwrap().contains("/dev/full"));
        assert_eq!(log.write("two\n"), None);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_told_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, problem) = LogFile::open(folder.path());
        assert!(problem.unwrap().contains("log-file"));
        assert_eq!(log.write("one\n"), None);
    }
}
