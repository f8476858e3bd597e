//! The bytes of a file as a decoder reads them, with a look at the clock: the one way to stop a
//! decoder that has no other.

use std::{
    cell::Cell,
    io::{self, BufRead, Cursor, Read, Seek, SeekFrom},
};

use crate::deadline::Deadline;

/// Most bytes that are handed out at once, so that a decoder comes back for more.
const PIECE: usize = 64 << 10;
/// Reads between two looks at the clock: some decoders read byte by byte.
const READS: u32 = 64;

/// A cursor over a file's bytes that fails once the deadline has passed.
pub(super) struct Watched<'a> {
    bytes: Cursor<&'a [u8]>,
    deadline: &'a Cell<Deadline>,
    reads: u32,
}

impl<'a> Watched<'a> {
    pub(super) fn new(bytes: &'a [u8], deadline: &'a Cell<Deadline>) -> Self {
        Self { bytes: Cursor::new(bytes), deadline, reads: 0 }
    }

    fn look(&mut self) -> io::Result<()> {
        self.reads += 1;
        if self.reads >= READS {
            self.reads = 0;
            if self.deadline.get().has_passed() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        self.bytes.read(out)
    }

    // A decoder that wants all at once gets it without a copy in pieces.
    fn read_exact(&mut self, out: &mut [u8]) -> io::Result<()> {
        self.look()?;
        self.bytes.read_exact(out)
    }

    fn read_to_end(&mut self, out: &mut Vec<u8>) -> io::Result<usize> {
        self.look()?;
        self.bytes.read_to_end(out)
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.look()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reader_that_goes_on_after_the_deadline_is_stopped() {
        let deadline = Cell::new(Deadline::never());
        let bytes = vec![7_u8; 3 * PIECE + 1];
        let mut all: Vec<u8> = Vec::new();
        let mut input = Watched::new(&bytes, &deadline);
        while !input.fill_buf().unwrap().is_empty() {
            let piece = input.fill_buf().unwrap().to_vec();
            all.extend(&piece);
            input.consume(piece.len());
        }
        assert!(all == bytes);
        deadline.set(Deadline::after(Duration::ZERO));
        input.seek(SeekFrom::Start(0)).unwrap();
        let stopped = (0..=READS).find_map(|_| input.read(&mut [0]).err());
        assert_eq!(stopped.unwrap().kind(), io::ErrorKind::TimedOut);
    }
}
