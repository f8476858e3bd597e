//! WebP files that end before their image does, which the decoder behind would not notice.

/// Whether a WebP file is shorter than its RIFF header says, or that than its first image (RFC 9649,
/// 2.3 and 2.4).
pub(super) fn webp_is_cut(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let Some(end) = number(4).and_then(|size| size.checked_add(8)) else { return true };
    let mut at = 12;
    while let (Some(name), Some(size)) = (bytes.get(at..at + 4), number(at + 4)) {
        if at.saturating_add(8).saturating_add(size) > end {
            return true;
        }
        if matches!(name, b"VP8 " | b"VP8L" | b"ANMF") {
            break;
        }
        // Chunks are padded to an even length.
        at += 8 + size + size % 2;
    }
    bytes.len() < end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webp_is_as_long_as_it_says() {
        let webp = b"RIFF\x04\0\0\0WEBP";
        assert!(!webp_is_cut(webp));
        assert!((0..webp.len()).all(|length| webp_is_cut(&webp[..length])));
        let chunk =
            |size: u8| [b"RIFF\x0F\0\0\0WEBPVP8 ".to_vec(), vec![size, 0, 0, 0, 1, 2, 3]].concat();
        assert!(!webp_is_cut(&chunk(3)));
        assert!(webp_is_cut(&chunk(4)));
    }
}
