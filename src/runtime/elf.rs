//! Notices a library that was cut short, before the loader maps it.
//!
//! glibc maps what the file header announces without looking at the file's length; touching the
//! missing part ends the process with SIGBUS, which no error handling sees. Layout: the System V
//! ABI, "ELF-64 Object File Format", tables of the file header and the program header.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
/// The magic number, 64 bits, little-endian.
const KIND: &[u8] = b"\x7fELF\x02\x01";
/// `PT_LOAD`, a segment that is mapped.
const MAPPED: u64 = 1;

/// Returns the least length in bytes the file must have to be mapped; 0 if it is no 64-bit
/// little-endian ELF file, which the loader tells by itself.
///
/// # Errors
/// The file cannot be read, or ends inside its headers (`UnexpectedEof`).
pub(super) fn mapped_bytes(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut header = Vec::new();
    file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    if header.len() < HEADER_BYTES || !header.starts_with(KIND) {
        return Ok(0);
    }
    file.seek(SeekFrom::Start(number(&header, 32, 8)))?;
    let mut end = 0;
    for _ in 0..number(&header, 56, 2) {
        let mut segment = [0; SEGMENT_BYTES];
        file.read_exact(&mut segment)?;
        if number(&segment, 0, 4) == MAPPED {
            end = end.max(number(&segment, 8, 8).saturating_add(number(&segment, 32, 8)));
        }
    }
    Ok(end)
}

fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    record[at..at + bytes].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn this_program_is_as_long_as_its_headers_say_and_a_piece_of_it_is_not() {
        let program = std::env::current_exe().unwrap();
        let length = fs::metadata(&program).unwrap().len();
        let needed = mapped_bytes(&program).unwrap();
        assert!(needed > length / 10 && needed <= length, "{needed} of {length}");

        let piece = tempfile::NamedTempFile::new().unwrap();
        let bytes = fs::read(&program).unwrap();
        fs::write(piece.path(), &bytes[..bytes.len() / 20]).unwrap();
        assert_eq!(mapped_bytes(piece.path()).unwrap(), needed);
        fs::write(piece.path(), &bytes[..100]).unwrap();
        assert_eq!(mapped_bytes(piece.path()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_elf_file_is_left_to_the_loader() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for bytes in [&b""[..], b"\x7fELF", &[0; 200]] {
            fs::write(file.path(), bytes).unwrap();
            assert_eq!(mapped_bytes(file.path()).unwrap(), 0);
        }
    }
}
