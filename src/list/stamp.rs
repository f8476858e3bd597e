//! How a file is recognised on another night.

use std::{
    fs::{self, Metadata},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    digest,
    job::Incremental,
    source::{self, Source},
};

/// A time stamp this fresh may stay the same while the file changes: file systems count in steps of
/// up to two seconds (FAT).
const FRESH: Duration = Duration::from_secs(2);

/// What is known of a file; two equal ones stand for the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// Bytes, and nanoseconds since 1970.
    Stat {
        /// Length in bytes.
        bytes: u64,
        /// Time of the last change.
        modified: i64,
    },
    /// SHA-256, in hexadecimal.
    Content(String),
}

impl Stamp {
    /// The stamp of a file; `None` when it cannot be looked at, which is told when it is read, or
    /// is too fresh to be relied on.
    pub(super) fn of(source: &Source, by: Incremental, follow: bool) -> Option<Self> {
        let path = &source.path;
        match by {
            Incremental::No => None,
            Incremental::Stat => {
                let found = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
                Self::of_metadata(&found.ok()?, SystemTime::now())
            }
            Incremental::Content => {
                let (mut file, _) = source::open_regular(path, follow).ok()?;
                digest::of(&mut file).ok().map(|(_, sha256)| Self::Content(sha256))
            }
        }
    }

    fn of_metadata(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let modified = metadata.modified().ok()?;
        if now.duration_since(modified).unwrap_or_default() < FRESH {
            return None;
        }
        let modified = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok()?,
            Err(before) => -i64::try_from(before.duration().as_nanos()).ok()?,
        };
        Some(Self::Stat { bytes: metadata.len(), modified })
    }
}
