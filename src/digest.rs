//! SHA-256 of files, and of bytes on their way into one.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// Passes bytes on while hashing and counting them.
#[derive(Debug)]
pub struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    /// Returns how many bytes passed, and their SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn finish(self) -> (u64, String) {
        self.so_far()
    }

    /// As [`Hashing::finish`], of what passed until now.
    #[must_use]
    pub fn so_far(&self) -> (u64, String) {
        let sha256 = self.hasher.clone().finalize();
        (self.bytes, sha256.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the length and SHA-256 of everything `reader` gives.
///
/// # Errors
/// Reading fails.
pub fn of(mut reader: impl Read) -> io::Result<(u64, String)> {
    let mut hashing = Hashing::new(io::sink());
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hashing.finish()),
            Ok(read) => hashing.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_abc_is_that_of_fips_180_4() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(&b"abc"[..]).unwrap(), (3, expected.to_owned()));
    }
}
