//! Files that end before their image does, where the decoder behind would not notice.

/// Whether a WebP file is shorter than its RIFF header says (RFC 9649, 2.4).
pub(super) fn webp_is_cut(bytes: &[u8]) -> bool {
    let Some(size) = bytes.get(4..8).and_then(|size| size.try_into().ok()) else { return true };
    (bytes.len() as u64) < 8 + u64::from(u32::from_le_bytes(size))
}

/// Whether a GIF file ends before the last sub-block of its first image (GIF89a, sections 17 to
/// 22). What comes after that is not looked at: only the first frame is decoded.
pub(super) fn gif_is_cut(bytes: &[u8]) -> bool {
    first_image_end(bytes).is_none_or(|end| end > bytes.len())
}

fn first_image_end(bytes: &[u8]) -> Option<usize> {
    let color_table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + color_table(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            // An extension: its label, then sub-blocks.
            0x21 => at = sub_blocks_end(bytes, at + 2)?,
            // An image: descriptor, colour table, code size, then sub-blocks.
            0x2C => {
                let data = at + 10 + color_table(*bytes.get(at + 9)?) + 1;
                return sub_blocks_end(bytes, data);
            }
            // The decoder says what is wrong with anything else.
            _ => return Some(at),
        }
    }
}

fn sub_blocks_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(*length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xFF\xFF\xFF\0\0\0\
        \x21\xF9\x04\0\0\0\0\0\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3B";

    #[test]
    fn a_gif_is_whole_once_its_first_image_is() {
        let whole = GIF.len() - 1;
        for length in 0..GIF.len() {
            assert_eq!(gif_is_cut(&GIF[..length]), length < whole, "{length} bytes");
        }
    }

    #[test]
    fn a_webp_is_as_long_as_it_says() {
        let webp = b"RIFF\x04\0\0\0WEBP";
        assert!(!webp_is_cut(webp));
        assert!((0..webp.len()).all(|length| webp_is_cut(&webp[..length])));
    }
}
