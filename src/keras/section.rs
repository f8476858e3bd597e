//! A run of bytes that is read piece by piece: a file, a part of one, or memory.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Mutex, PoisonError},
};

pub(super) enum Section {
    File { file: Mutex<File>, start: u64, length: u64 },
    Memory(Vec<u8>),
}

impl Section {
    /// All of `file`.
    pub(super) fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::part(file, 0, length))
    }

    pub(super) fn part(file: File, start: u64, length: u64) -> Self {
        Self::File { file: Mutex::new(file), start, length }
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// `length` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when they are not all inside, before anything is allocated.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length as u64).filter(|&end| end <= self.length());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        match self {
            Self::Memory(bytes) => {
                let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
                let (from, to) = range.ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(bytes[from..to].to_vec())
            }
            Self::File { file, start, .. } => {
                let mut bytes = vec![0; length];
                // The position is set by every read, so a panic elsewhere cannot leave it wrong.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start + offset))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}
