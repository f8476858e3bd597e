//! One run at a time: a lock that the kernel gives back, however its holder ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{error::RunError, invocation::Invocation};

/// Longest text about a holder that is shown.
const SHOWN: u64 = 300;

/// The right to write one output, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    real: bool,
    /// Held open for the lock on it.
    _file: File,
}

impl Lock {
    /// Takes the lock at `path` for writing the output that the user `named`.
    pub(super) fn take(path: &Path, named: &Path) -> Result<Self, RunError> {
        let failed = |source| RunError::Output { path: path.to_owned(), source };
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(path).map_err(failed)?;
            let real = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // Who it is only helps; a holder that has not written it yet is one all the same.
                    let _ = file.take(SHOWN).read_to_string(&mut holder);
                    let holder = holder.trim();
                    let holder =
                        if holder.is_empty() { String::new() } else { format!(" ({holder})") };
                    return Err(RunError::Locked { path: named.to_owned(), holder });
                }
                // Some network file systems have no locks; a single run there is as safe as before.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    false
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            };
            // Between opening and locking, its last holder may have removed this very file.
            if !is_still_at(&file, path).map_err(failed)? {
                continue;
            }
            file.set_len(0).and_then(|()| file.write_all(holder().as_bytes())).map_err(failed)?;
            return Ok(Self { path: path.to_owned(), real, _file: file });
        }
    }

    pub(super) fn is_real(&self) -> bool {
        self.real
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked, so that nobody who waits for it finds another file here. One
        // that stays behind is no obstacle.
        let _ = fs::remove_file(&self.path);
    }
}

fn holder() -> String {
    let Invocation { host, pid, .. } = Invocation::this();
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    format!("process {pid} on {host}, since {now}\n")
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

/// A file that is open cannot be removed on other systems.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Unix")]
fn is_still_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_is_there_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv.lock");
        let first = Lock::take(&path, Path::new("out.csv")).unwrap();
        let message = Lock::take(&path, Path::new("out.csv")).unwrap_err().to_string();
        assert!(message.contains(&format!("(process {} on ", std::process::id())), "{message}");
        drop(first);
        assert!(!path.exists());
        Lock::take(&path, Path::new("out.csv")).unwrap();
    }

    #[test]
    fn what_a_dead_holder_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv.lock");
        fs::write(&path, "process 1 on a host that is gone, since ever and ever and ever and ever")
            .unwrap();
        let lock = Lock::take(&path, Path::new("out.csv")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), holder());
        drop(lock);
    }
}
