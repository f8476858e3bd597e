//! One file to classify, and how it is opened and read: never anything but a regular file, never
//! more bytes than the limit, never half of a file that is being written.

use std::{
    cell::RefCell,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    budget::{Budget, Permit},
    deadline::Deadline,
    error::ItemError,
};

/// Before a second try. Each further pause is [`BACKOFF`] times as long as the one before, up to
/// [`LONGEST_PAUSE`]: three tries more bridge 4.2 s, in which a network folder comes back that
/// failed over.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const BACKOFF: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_millis(3200);
/// Before a file that changed is read once more: an upload's last piece takes less.
const CHANGED_PAUSE: Duration = Duration::from_millis(500);
/// Bytes between two looks at the deadline.
const CHUNK: u64 = 8 << 20;

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

/// How image files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Whether symbolic links are followed.
    pub follow: bool,
    /// Most bytes of a file.
    pub max_bytes: u64,
    /// Tries after a first one that failed for a reason that may pass.
    pub retries: u32,
}

impl Reader {
    /// As [`read_whole`], with memory from `budget`: hold the permit as long as `bytes` is needed.
    ///
    /// Errors that may pass, as those of a network folder, are tried again after pauses of 0.2 s,
    /// 0.8 s and then 3.2 s each, as long as the deadline allows; a file that changed is tried once
    /// more. Waiting for memory does not count.
    ///
    /// # Errors
    ///
    /// Those of [`read_whole`], and `timeout`. An `unreadable` tells the number of tries.
    pub fn read<'budget>(
        &self,
        path: &Path,
        deadline: &mut Deadline,
        bytes: &mut Vec<u8>,
        budget: &'budget Budget,
    ) -> Result<Permit<'budget>, ItemError> {
        let deadline = RefCell::new(deadline);
        let left = || deadline.borrow().left();
        let attempt = || {
            let mut deadline = deadline.borrow_mut();
            let (file, found) = open_within(path, self.follow, self.max_bytes)?;
            let permit = deadline.not_counting(|| budget.acquire(found.len()));
            read_rest(file, &found, &deadline, bytes).map(|()| permit)
        };
        try_again(self.retries, left, thread::sleep, attempt)
    }
}

/// Calls `attempt` until it succeeds, or fails for good, or has failed `retries` times more, or the
/// time that is `left` would pass in the next pause. A stop does not end it: the file would get a row that
/// blames it, and its next row would be that of the next night.
fn try_again<T>(
    retries: u32,
    left: impl Fn() -> Duration,
    mut pause: impl FnMut(Duration),
    mut attempt: impl FnMut() -> Result<T, ItemError>,
) -> Result<T, ItemError> {
    let (mut tries, mut changed, mut next) = (1, false, FIRST_PAUSE);
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let wait = match &error {
            ItemError::Unreadable(cause) if may_pass(cause) && tries <= retries => {
                let wait = next;
                next = (next * BACKOFF).min(LONGEST_PAUSE);
                wait
            }
            ItemError::Changed if !changed && retries > 0 => {
                changed = true;
                CHANGED_PAUSE
            }
            _ => return Err(after(tries, error)),
        };
        if wait >= left() {
            return Err(after(tries, error));
        }
        pause(wait);
        tries += 1;
    }
}

/// The error with the number of tries that it took.
fn after(tries: u32, error: ItemError) -> ItemError {
    match error {
        ItemError::Unreadable(cause) if tries > 1 => {
            let told = format!("{cause}; so said {tries} tries");
            ItemError::Unreadable(io::Error::new(cause.kind(), told))
        }
        other => other,
    }
}

/// Whether an error is one of a busy machine, a network or a disk, which may be gone in a moment.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    // Errors for which the standard library has no kind: of the disk, and of too many open files.
    #[cfg(unix)]
    if let Some(code) = error.raw_os_error() {
        use rustix::io::Errno;
        if [Errno::IO, Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&code) {
            return true;
        }
    }
    matches!(
        error.kind(),
        Kind::Interrupted
            | Kind::WouldBlock
            | Kind::TimedOut
            | Kind::ResourceBusy
            | Kind::StaleNetworkFileHandle
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::NotConnected
            | Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
    )
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
    let (file, found) = open_within(path, follow, max_bytes)?;
    read_rest(file, &found, &Deadline::never(), bytes)
}

/// Opens a file of at most `max_bytes`.
fn open_within(path: &Path, follow: bool, max_bytes: u64) -> Result<(File, Metadata), ItemError> {
    let (file, found) = open_regular(path, follow)?;
    if found.len() > max_bytes {
        return Err(ItemError::TooLarge {
            what: "its size in bytes",
            found: found.len(),
            limit: max_bytes,
            key: Some("max-file-bytes"),
        });
    }
    Ok((file, found))
}

/// Reads a file that was just opened, as `before` says that it is.
fn read_rest(
    mut file: File,
    before: &Metadata,
    deadline: &Deadline,
    bytes: &mut Vec<u8>,
) -> Result<(), ItemError> {
    bytes.clear();
    let expected = usize::try_from(before.len()).expect("a file below the limit fits in memory");
    bytes.try_reserve(expected).map_err(|error| ItemError::Unreadable(io::Error::other(error)))?;
    // One byte more than there should be, so that a growing file shows.
    let mut wanted = before.len() + 1;
    while wanted > 0 {
        deadline.check()?;
        let mut chunk = file.by_ref().take(wanted.min(CHUNK));
        let read = chunk.read_to_end(bytes).map_err(ItemError::Unreadable)? as u64;
        if read < wanted.min(CHUNK) {
            break;
        }
        wanted -= read;
    }
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

    /// What comes of attempts that end with `errors`, one after another, and then well; and the
    /// pauses between them in milliseconds.
    fn trying(retries: u32, errors: Vec<ItemError>) -> (Result<(), ItemError>, Vec<u128>) {
        let mut pauses = Vec::new();
        let mut errors = errors.into_iter();
        let left = || Duration::from_hours(1);
        let outcome = try_again(
            retries,
            left,
            |pause| pauses.push(pause.as_millis()),
            || errors.next().map_or(Ok(()), Err),
        );
        (outcome, pauses)
    }

    fn times(count: usize, error: impl Fn() -> io::Error) -> Vec<ItemError> {
        (0..count).map(|_| ItemError::Unreadable(error())).collect()
    }

    #[test]
    fn what_may_pass_is_tried_again_after_growing_pauses_and_what_will_not_is_not() {
        let stale = || io::Error::from(io::ErrorKind::StaleNetworkFileHandle);
        let (outcome, pauses) = trying(3, times(3, stale));
        assert!(outcome.is_ok());
        assert_eq!(pauses, [200, 800, 3200]);
        let (outcome, pauses) = trying(5, times(6, stale));
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("6 tries"), "{message}");
        assert_eq!(pauses, [200, 800, 3200, 3200, 3200]);
        let (outcome, pauses) = trying(0, times(1, stale));
        assert!(outcome.unwrap_err().to_string().ends_with(&stale().to_string()));
        assert!(pauses.is_empty());

        let forbidden = || io::Error::from(io::ErrorKind::PermissionDenied);
        for lasting in [times(1, forbidden), vec![ItemError::Vanished], vec![ItemError::Empty]] {
            let (outcome, pauses) = trying(3, lasting);
            assert!(outcome.is_err() && pauses.is_empty(), "{outcome:?}");
        }
    }

    #[test]
    fn a_file_that_changed_is_read_once_more() {
        let (outcome, pauses) = trying(3, vec![ItemError::Changed]);
        assert!(outcome.is_ok());
        assert_eq!(pauses, [500]);
        let (outcome, pauses) = trying(3, vec![ItemError::Changed, ItemError::Changed]);
        assert_eq!((outcome.unwrap_err().code(), pauses.len()), ("changed", 1));
        assert!(trying(0, vec![ItemError::Changed]).0.is_err());
    }

    #[test]
    fn no_pause_goes_beyond_the_deadline() {
        let left = || Duration::from_millis(100);
        let timed_out =
            || -> Result<(), _> { Err(ItemError::Unreadable(io::ErrorKind::TimedOut.into())) };
        let never = |pause| panic!("it pauses for {pause:?}");
        assert_eq!(try_again(3, left, never, timed_out).unwrap_err().code(), "unreadable");
    }

    #[cfg(unix)]
    #[test]
    fn errors_of_networks_and_disks_may_pass() {
        use rustix::io::Errno;
        for errno in [
            Errno::IO,
            Errno::STALE,
            Errno::TIMEDOUT,
            Errno::AGAIN,
            Errno::INTR,
            Errno::NETUNREACH,
            Errno::HOSTUNREACH,
            Errno::MFILE,
        ] {
            assert!(may_pass(&errno.into()), "{errno}");
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::NOENT, Errno::NOTDIR, Errno::LOOP] {
            assert!(!may_pass(&errno.into()), "{errno}");
        }
    }

    #[test]
    fn a_file_of_many_chunks_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let length = usize::try_from(2 * CHUNK).unwrap();
        let mut bytes = Vec::new();
        for length in [length - 1, length, length + 1] {
            let content: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[1]).collect();
            fs::write(&path, &content).unwrap();
            read_whole(&path, false, 1 << 30, &mut bytes).unwrap();
            assert!(bytes == content, "{length}");
        }
        let reader = Reader { follow: false, max_bytes: 1 << 30, retries: 3 };
        let budget = Budget::new(1 << 30);
        let late = reader.read(&path, &mut Deadline::after(Duration::ZERO), &mut bytes, &budget);
        assert_eq!(late.unwrap_err().code(), "timeout");
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
