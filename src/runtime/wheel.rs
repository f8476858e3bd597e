//! Finds the files inside a Python wheel, which is a plain ZIP archive.
//!
//! Shared with `build.rs`, hence the standard library only. The layout is that of PKWARE's
//! APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end).

use std::io::{self, Read, Seek, SeekFrom};

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const DEFLATED: u16 = 8;

/// One file of a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Path inside the wheel, with `/` between its parts.
    pub name: String,
    /// Length in bytes once inflated.
    pub size: u64,
    /// Length in bytes of its raw deflate stream.
    pub compressed: u64,
    header: u64,
}

/// Lists the deflated files of a wheel in the order of its central directory.
///
/// # Errors
/// Reading fails, or the file is not a ZIP archive below 4 GiB (`InvalidData`).
pub(crate) fn members(wheel: &mut (impl Read + Seek)) -> io::Result<Vec<Member>> {
    let length = wheel.seek(SeekFrom::End(0))?;
    // A comment of up to 65,535 bytes may follow the end record.
    let tail_start = length.saturating_sub(END_BYTES as u64 + 0xffff);
    wheel.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    wheel.read_to_end(&mut tail)?;
    let end = tail
        .windows(END_BYTES)
        .rposition(|window| window.starts_with(END_SIGNATURE))
        .ok_or_else(|| damaged("it has no end record"))?;
    let end = &tail[end..];
    let mut directory = vec![0; number(end, 12, 4)?];
    wheel.seek(SeekFrom::Start(number(end, 16, 4)? as u64))?;
    wheel.read_exact(&mut directory)?;
    let count = number(end, 10, 2)?;

    let mut rest = directory.as_slice();
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        if !rest.starts_with(ENTRY_SIGNATURE) {
            return Err(damaged("its directory is cut short"));
        }
        let name_bytes = number(rest, 28, 2)?;
        let skipped = number(rest, 30, 2)? + number(rest, 32, 2)?;
        let name = rest.get(ENTRY_BYTES..ENTRY_BYTES + name_bytes);
        let name = name.ok_or_else(|| damaged("its directory is cut short"))?;
        if number(rest, 10, 2)? == usize::from(DEFLATED) {
            found.push(Member {
                name: String::from_utf8_lossy(name).into_owned(),
                compressed: number(rest, 20, 4)? as u64,
                size: number(rest, 24, 4)? as u64,
                header: number(rest, 42, 4)? as u64,
            });
        }
        rest = rest.get(ENTRY_BYTES + name_bytes + skipped..).unwrap_or_default();
    }
    Ok(found)
}

/// Returns a reader of exactly the member's raw deflate stream.
///
/// # Errors
/// Reading fails, or no file begins where the directory says (`InvalidData`).
pub(crate) fn open<'wheel, R: Read + Seek>(
    wheel: &'wheel mut R,
    member: &Member,
) -> io::Result<io::Take<&'wheel mut R>> {
    wheel.seek(SeekFrom::Start(member.header))?;
    let mut local = [0; LOCAL_BYTES];
    wheel.read_exact(&mut local)?;
    if !local.starts_with(LOCAL_SIGNATURE) {
        return Err(damaged("a file does not begin where the directory says"));
    }
    // The local copies of name and extra field may differ in length from the directory's.
    let skipped = number(&local, 26, 2)? + number(&local, 28, 2)?;
    wheel.seek(SeekFrom::Start(member.header + (LOCAL_BYTES + skipped) as u64))?;
    Ok(wheel.take(member.compressed))
}

fn number(record: &[u8], at: usize, bytes: usize) -> io::Result<usize> {
    let field = record.get(at..at + bytes).ok_or_else(|| damaged("a record is cut short"))?;
    Ok(field.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a usable wheel: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Written by Python's `zipfile`: `a/first.txt` ("hello hello hello") and `b.so` ("abc" twenty
    /// times) deflated, `stored.txt` stored, and the archive comment "note".
    const WHEEL: &str = "\
        504b03041400000008000000215c8088f9e50a000000110000000b000000612f66697273742e747874cb\
        48cdc9c957c8409000504b03041400000000000000215c8316dc8c01000000010000000a00000073746f\
        7265642e74787478504b03041400000008000000215c2dfa91e1080000003c00000004000000622e736f\
        4b4c4a4e24170100504b010214031400000008000000215c8088f9e50a000000110000000b0000000000\
        000000000000800100000000612f66697273742e747874504b010214031400000000000000215c8316dc\
        8c01000000010000000a000000000000000000000080013300000073746f7265642e747874504b010214\
        031400000008000000215c2dfa91e1080000003c00000004000000000000000000000080015c00000062\
        2e736f504b05060000000003000300a30000008600000004006e6f7465";

    fn wheel() -> Vec<u8> {
        let digits = WHEEL.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_deflated_files_are_listed_and_opened() {
        let mut wheel = Cursor::new(wheel());
        let found = members(&mut wheel).unwrap();
        let named: Vec<_> = found.iter().map(|member| (&*member.name, member.size)).collect();
        assert_eq!(named, [("a/first.txt", 17), ("b.so", 60)]);
        let mut stream = Vec::new();
        open(&mut wheel, &found[0]).unwrap().read_to_end(&mut stream).unwrap();
        // The raw deflate stream that Python's `zlib` makes of the same text.
        assert_eq!(stream, b"\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00");
    }

    #[test]
    fn no_beginning_of_a_wheel_is_taken_for_a_wheel() {
        let wheel = wheel();
        // The last four bytes are the comment.
        for length in 0..wheel.len() - 4 {
            assert!(members(&mut Cursor::new(&wheel[..length])).is_err(), "{length}");
        }
    }

    #[test]
    fn a_damaged_directory_is_an_error() {
        let mut wheel = wheel();
        let end = wheel.len() - 4 - END_BYTES;
        wheel[end + 16] ^= 1;
        let error = members(&mut Cursor::new(wheel)).unwrap_err();
        assert!(error.to_string().contains("cut short"), "{error}");
    }
}
