//! Which files were being read when the program died. Each thread writes the number of its image
//! into a slot of a file before it begins: the system keeps that even when the process is killed.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Bytes of a slot.
const SLOT: usize = 8;

/// A slot for each thread, of which it holds the entry that is being worked on.
#[derive(Debug)]
pub struct InFlight {
    file: File,
}

impl InFlight {
    pub(super) fn create(path: &Path, threads: usize) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        // Nothing is in flight: no list is as long as this number.
        let this = Self { file };
        for thread in 0..threads {
            this.put(thread, u64::MAX)?;
        }
        Ok(this)
    }

    /// Says that none of `threads` threads works on anything any more.
    pub fn end(&self, threads: usize) {
        for thread in 0..threads {
            let _ = self.put(thread, u64::MAX);
        }
    }

    /// Says that `thread` begins with `entry`. That it ended is not said: the checkpoint tells.
    pub fn begin(&self, thread: usize, entry: u64) {
        // It serves only to find a culprit later: where it cannot be written, none is found.
        let _ = self.put(thread, entry);
    }

    #[cfg(unix)]
    fn put(&self, thread: usize, entry: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        self.file.write_all_at(&entry.to_le_bytes(), (thread * SLOT) as u64)
    }

    #[cfg(windows)]
    fn put(&self, thread: usize, entry: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        self.file.seek_write(&entry.to_le_bytes(), (thread * SLOT) as u64).map(drop)
    }

    /// The entries in the slots of a program that died.
    pub(super) fn read(path: &Path) -> Vec<u64> {
        let bytes = fs::read(path).unwrap_or_default();
        let slots = bytes.as_chunks::<SLOT>().0.iter();
        slots.map(|slot| u64::from_le_bytes(*slot)).filter(|&entry| entry != u64::MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_slot_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in-flight");
        let in_flight = InFlight::create(&path, 3).unwrap();
        assert!(InFlight::read(&path).is_empty());
        in_flight.begin(2, 7);
        in_flight.begin(0, 1 << 40);
        in_flight.begin(2, 9);
        assert_eq!(InFlight::read(&path), [1 << 40, 9]);
        in_flight.end(3);
        assert!(InFlight::read(&path).is_empty());
    }
}
