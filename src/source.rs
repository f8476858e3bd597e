//! One file to classify, and how it is opened and read: never anything but a regular file, never
//! more bytes than the limit, never half of a file that is being written.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::error::ItemError;

/// One file to classify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// The bytes of its name in the output: relative to its root, `/` between components.
    pub name: Vec<u8>,
}

/// Opens a regular file for reading.
///
/// A pipe or device does not block, and a symbolic link is followed only when `follow` says so.
///
/// # Errors
///
/// `vanished`, `unreadable`, or `not_regular`.
pub fn open_regular(path: &Path, follow: bool) -> Result<(File, Metadata), ItemError> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        // NONBLOCK: opening a pipe without a writer would wait for ever. On a regular file it
        // changes nothing.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ItemError::Vanished,
        _ if is_link(path) && !follow => ItemError::NotRegular { what: "a symbolic link" },
        _ => ItemError::Unreadable(error),
    })?;
    let metadata = file.metadata().map_err(ItemError::Unreadable)?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    let what = if metadata.is_dir() { "a folder" } else { "a pipe, socket or device" };
    Err(ItemError::NotRegular { what })
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Reads the first bytes of a file, as many as there are up to `head`'s length.
///
/// # Errors
///
/// Those of [`open_regular`], and `unreadable`.
pub fn read_head(path: &Path, follow: bool, head: &mut [u8]) -> Result<usize, ItemError> {
    let (mut file, _) = open_regular(path, follow)?;
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ItemError::Unreadable(error)),
        }
    }
    Ok(filled)
}

/// Reads a whole file into `bytes`, whose old content is dropped and whose memory is reused.
///
/// # Errors
///
/// Those of [`open_regular`]; `empty`; `too_large` over `max_bytes`, before anything is read;
/// `changed` when size or time stamp moved meanwhile.
pub fn read_whole(
    path: &Path,
    follow: bool,
    max_bytes: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), ItemError> {
    bytes.clear();
    let (mut file, before) = open_regular(path, follow)?;
    let too_large = |found| ItemError::TooLarge {
        what: "its size in bytes",
        found,
        limit: max_bytes,
        key: Some("max-file-bytes"),
    };
    if before.len() > max_bytes {
        return Err(too_large(before.len()));
    }
    let expected = usize::try_from(before.len()).expect("a file below the limit fits in memory");
    bytes.try_reserve(expected).map_err(|error| ItemError::Unreadable(io::Error::other(error)))?;
    // One byte more than there should be, so that a growing file shows.
    let read = file.by_ref().take(before.len() + 1).read_to_end(bytes);
    read.map_err(ItemError::Unreadable)?;
    let after = file.metadata().map_err(ItemError::Unreadable)?;
    let same_time = before.modified().ok() == after.modified().ok();
    if bytes.len() != expected || after.len() != before.len() || !same_time {
        return Err(ItemError::Changed);
    }
    if bytes.is_empty() { Err(ItemError::Empty) } else { Ok(()) }
}

/// As [`read_whole`], for a file that a person named: it did not vanish, it was never there.
///
/// # Errors
///
/// As for [`read_whole`], but `unreadable` when there is no such file.
pub fn read_named(path: &Path, max_bytes: u64, bytes: &mut Vec<u8>) -> Result<(), ItemError> {
    read_whole(path, true, max_bytes, bytes).map_err(|error| match error {
        ItemError::Vanished => ItemError::Unreadable(io::ErrorKind::NotFound.into()),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_emptiness_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let mut bytes = vec![9; 3];
        fs::write(&path, b"12345").unwrap();
        read_whole(&path, false, 5, &mut bytes).unwrap();
        assert_eq!(bytes, b"12345");
        let code = |result: Result<(), ItemError>| result.unwrap_err().code();
        assert_eq!(code(read_whole(&path, false, 4, &mut bytes)), "too_large");
        fs::write(&path, b"").unwrap();
        assert_eq!(code(read_whole(&path, false, 5, &mut bytes)), "empty");
        fs::remove_file(&path).unwrap();
        assert_eq!(code(read_whole(&path, false, 5, &mut bytes)), "vanished");
        assert_eq!(code(read_whole(folder.path(), false, 5, &mut bytes)), "not_regular");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_read_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, b"x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut bytes = Vec::new();
        let refused = read_whole(&link, false, 9, &mut bytes).unwrap_err();
        assert_eq!(refused.code(), "not_regular");
        read_whole(&link, true, 9, &mut bytes).unwrap();
        assert_eq!(bytes, b"x");
    }
}
