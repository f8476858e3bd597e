//! What the two processes say to each other: a kind, a length in four bytes, and that many bytes.

use std::io::{self, Read, Write};

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// To the child, once: the settings, JSON.
    Settings = b's',
    /// From it, once: the version of the program that it is.
    Ready = b'r',
    /// To it: the path of an image.
    Image = b'i',
    /// From it: how many bytes the file takes, eight bytes.
    NeedFile = b'N',
    /// From it: how many bytes decoding takes, eight bytes.
    Need = b'n',
    /// To it: they are there.
    Take = b't',
    /// From it: times, then the elements.
    Tensor = b'T',
    /// From it: times, the code of the error, a line end, the message.
    Failed = b'f',
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Settings,
        Self::Ready,
        Self::Image,
        Self::NeedFile,
        Self::Need,
        Self::Take,
        Self::Tensor,
        Self::Failed,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// Writes one frame, in one piece where the pipe takes it.
pub(super) fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(5 + payload.len());
    frame.push(kind as u8);
    frame.extend(length.to_le_bytes());
    frame.extend(payload);
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one frame of at most `most` bytes into `payload`; nothing when the other side has ended.
pub(super) fn read(
    from: &mut impl Read,
    most: usize,
    payload: &mut Vec<u8>,
) -> io::Result<Option<Kind>> {
    let mut head = [0; 5];
    match from.read(&mut head[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut head[1..])?,
    }
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "no frame");
    let kind = Kind::of(head[0]).ok_or_else(nonsense)?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length > most {
        return Err(nonsense());
    }
    payload.resize(length, 0);
    from.read_exact(payload)?;
    Ok(Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_nonsense_does_not() {
        let mut pipe = Vec::new();
        write(&mut pipe, Kind::Image, b"a/\xFF.jpg").unwrap();
        write(&mut pipe, Kind::Take, b"").unwrap();
        let (mut from, mut payload) = (&pipe[..], Vec::new());
        assert_eq!(read(&mut from, 99, &mut payload).unwrap(), Some(Kind::Image));
        assert_eq!(payload, b"a/\xFF.jpg");
        assert_eq!(read(&mut from, 99, &mut payload).unwrap(), Some(Kind::Take));
        assert!(payload.is_empty());
        assert_eq!(read(&mut from, 99, &mut payload).unwrap(), None);
        for bad in [&pipe[..1], &pipe[..9], b"x\0\0\0\0", b"i\xFF\xFF\xFF\xFF"] {
            read(&mut { bad }, 99, &mut payload).unwrap_err();
        }
        assert!(Kind::ALL.map(|kind| Kind::of(kind as u8)).iter().all(Option::is_some));
    }
}
