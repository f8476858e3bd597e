//! Files that appear whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{self, Path, PathBuf},
};

use crate::error::RunError;

/// What a file's name ends in until it is complete.
pub const PARTIAL: &str = ".partial";

/// `path` with `suffix` after its whole name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
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
    write().map_err(|source| {
        // On a full disk it would take up what the next attempt needs.
        let _ = fs::remove_file(&partial);
        RunError::Output { path: path.to_owned(), source }
    })
}

/// Whether a file at `path` could be written, as far as that can be known without writing it.
///
/// # Errors
///
/// What the system would say of the file, or of the folder in which it or its own folder would be
/// made.
pub fn check_place(path: &Path) -> io::Result<()> {
    let whole = path::absolute(path)?;
    let nearest = whole.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    match (nearest == whole, nearest.is_dir()) {
        (true, true) => Err(io::ErrorKind::IsADirectory.into()),
        (false, false) => Err(io::ErrorKind::NotADirectory.into()),
        _ => may_write(nearest),
    }
}

#[cfg(unix)]
fn may_write(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.permissions().readonly() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Writes a small file to `path` and moves `other`, which it needs and which lies in the same folder,
/// to `beside`. The file is never there with another one than it was written for: an old one at
/// `path` goes first, and the new one comes last.
///
/// # Errors
///
/// `Output` when one cannot be written or renamed.
pub fn write_with(
    (path, bytes): (&Path, &[u8]),
    (other, beside_it): (&Path, &Path),
) -> Result<(), RunError> {
    let partial = beside(path, PARTIAL);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(other)?.sync_all()?;
        if beside_it.exists() && path.exists() {
            fs::remove_file(path)?;
            sync_folder(path)?;
        }
        fs::rename(other, beside_it)?;
        sync_folder(path)?;
        fs::rename(&partial, path)?;
        sync_folder(path)
    };
    write().map_err(|source| RunError::Output { path: path.to_owned(), source })
}

/// Copies a file so that it appears whole or not at all.
///
/// # Errors
///
/// `Output` when it cannot be read, written or renamed.
pub fn copy_atomically(from: &Path, to: &Path) -> Result<(), RunError> {
    let partial = beside(to, PARTIAL);
    let copy = || {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        io::copy(&mut File::open(from)?, &mut File::create(&partial)?)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, to)?;
        sync_folder(to)
    };
    copy().map_err(|source| RunError::Output { path: to.to_owned(), source })
}

/// Makes a rename in the folder of `path` survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
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
