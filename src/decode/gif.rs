//! The first image of a GIF file: whether it is all there, and what is around it on its screen. The
//! decoder behind tells neither.

/// The first image of a file, as its blocks say (GIF89a, sections 17 to 23).
struct First<'a> {
    /// Where its last sub-block ends.
    end: usize,
    /// Left, top, width and height on the screen.
    area: [usize; 4],
    /// Its colours, three bytes each; its own, else the file's.
    colors: &'a [u8],
    /// The colour that lets the screen through.
    transparent: Option<u8>,
}

/// Whether a file ends before the last sub-block of its first image. What comes after that is not
/// looked at: only the first frame is decoded.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    match first(bytes) {
        Ok(first) => first.is_none_or(|first| first.end > bytes.len()),
        // The decoder says what is wrong.
        Err(NotABlock) => false,
    }
}

/// Fills what the first image leaves of a screen of `width` pixels, RGBA, as Pillow does: with the
/// transparent colour, else with the first one.
pub(super) fn surround(bytes: &[u8], screen: &mut [u8], width: usize) {
    let Ok(Some(First { area: [left, top, wide, high], colors, transparent, .. })) = first(bytes)
    else {
        return;
    };
    let index = transparent.unwrap_or(0);
    // Without colours they are grays.
    let color = if colors.is_empty() {
        [index; 3]
    } else {
        let color = colors.as_chunks::<3>().0.get(usize::from(index));
        color.copied().unwrap_or_default()
    };
    let [red, green, blue] = color;
    let pixel = [red, green, blue, if transparent.is_some() { 0 } else { 255 }];
    for (y, row) in screen.as_chunks_mut::<4>().0.chunks_exact_mut(width.max(1)).enumerate() {
        if (top..top + high).contains(&y) {
            let [left, right] = [left, left + wide].map(|edge| edge.min(row.len()));
            row[..left].fill(pixel);
            row[right..].fill(pixel);
        } else {
            row.fill(pixel);
        }
    }
}

/// Something that is no block is in its place.
struct NotABlock;

/// Nothing when the file ends before.
fn first(bytes: &[u8]) -> Result<Option<First<'_>>, NotABlock> {
    walk(bytes).transpose()
}

fn walk(bytes: &[u8]) -> Option<Result<First<'_>, NotABlock>> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let shared = bytes.get(13..at)?;
    let mut transparent = None;
    loop {
        match bytes.get(at)? {
            // An extension: its label, then sub-blocks.
            0x21 => {
                // One for the next image, which has a transparent colour when its lowest bit is set.
                if let [0xF9, 4, flags, _, _, index] = bytes.get(at + 1..at + 7)? {
                    transparent = (flags & 1 == 1).then_some(*index);
                }
                at = sub_blocks_end(bytes, at + 2)?;
            }
            // An image: descriptor, colour table, code size, then sub-blocks.
            0x2C => {
                let number = |from: usize| {
                    Some(usize::from(u16::from_le_bytes(
                        bytes.get(from..from + 2)?.try_into().ok()?,
                    )))
                };
                let area = [number(at + 1)?, number(at + 3)?, number(at + 5)?, number(at + 7)?];
                let data = at + 10 + table(*bytes.get(at + 9)?);
                let own = bytes.get(at + 10..data)?;
                let colors = if own.is_empty() { shared } else { own };
                let end = sub_blocks_end(bytes, data + 1)?;
                return Some(Ok(First { end, area, colors, transparent }));
            }
            _ => return Some(Err(NotABlock)),
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
            assert_eq!(is_cut(&GIF[..length]), length < whole, "{length} bytes");
        }
    }

    #[test]
    fn a_small_image_is_surrounded_by_a_colour_of_the_file() {
        let mut screen = [9; 8];
        surround(GIF, &mut screen, 2);
        assert_eq!(screen, [9, 9, 9, 9, 255, 255, 255, 255]);
        let mut transparent = GIF.to_vec();
        (transparent[22], transparent[25]) = (1, 1);
        surround(&transparent, &mut screen, 2);
        assert_eq!(screen, [9, 9, 9, 9, 0, 0, 0, 0]);
    }
}
