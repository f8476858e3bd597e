//! EXIF orientation: finding it in a JPEG, and turning pixels upright.

use image::metadata::Orientation;

use super::Pixels;
use crate::geometry::Size;

/// The orientation in a JPEG's EXIF segment; none when there is no such segment.
pub(super) fn of_jpeg(bytes: &[u8]) -> Orientation {
    exif_segment(bytes).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// The TIFF structure inside the first APP1 segment that begins with `Exif\0\0`
/// (CIPA DC-008, 4.7.2), looked for in the segments before the image data.
fn exif_segment(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(2..)?;
    loop {
        let [0xFF, marker, high, low, ..] = *rest else { return None };
        if !(0xC0..=0xFE).contains(&marker) || marker == 0xDA {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest.get(4..2 + length)?;
        if marker == 0xE1
            && let Some(tiff) = segment.strip_prefix(b"Exif\0\0")
        {
            return Some(tiff);
        }
        rest = &rest[2 + length..];
    }
}

/// Turns `pixels` upright.
pub(super) fn apply(orientation: Orientation, pixels: &mut Pixels) {
    let Size { height, width } = pixels.size;
    let (turned, from): (Size, Box<dyn Fn(usize, usize) -> usize>) = match orientation {
        Orientation::NoTransforms => return,
        Orientation::FlipHorizontal => {
            (pixels.size, Box::new(move |y, x| y * width + width - 1 - x))
        }
        Orientation::Rotate180 => {
            (pixels.size, Box::new(move |y, x| (height - 1 - y) * width + width - 1 - x))
        }
        Orientation::FlipVertical => {
            (pixels.size, Box::new(move |y, x| (height - 1 - y) * width + x))
        }
        Orientation::Rotate90FlipH => {
            (Size { height: width, width: height }, Box::new(move |y, x| x * width + y))
        }
        Orientation::Rotate90 => (
            Size { height: width, width: height },
            Box::new(move |y, x| (height - 1 - x) * width + y),
        ),
        Orientation::Rotate270FlipH => (
            Size { height: width, width: height },
            Box::new(move |y, x| (height - 1 - x) * width + width - 1 - y),
        ),
        Orientation::Rotate270 => {
            (Size { height: width, width: height }, Box::new(move |y, x| x * width + width - 1 - y))
        }
    };
    let channels = pixels.channels;
    let mut data = Vec::with_capacity(pixels.data.len());
    for y in 0..turned.height {
        for x in 0..turned.width {
            let at = from(y, x) * channels;
            data.extend_from_slice(&pixels.data[at..at + channels]);
        }
    }
    pixels.size = turned;
    pixels.data = data;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_orientations_of_a_2x3_image() {
        // Vector D5 of the project's preprocessing research, made with Pillow's exif_transpose.
        let cases: [(u8, usize, &[u8]); 8] = [
            (1, 2, &[1, 2, 3, 4, 5, 6]),
            (2, 2, &[3, 2, 1, 6, 5, 4]),
            (3, 2, &[6, 5, 4, 3, 2, 1]),
            (4, 2, &[4, 5, 6, 1, 2, 3]),
            (5, 3, &[1, 4, 2, 5, 3, 6]),
            (6, 3, &[4, 1, 5, 2, 6, 3]),
            (7, 3, &[6, 3, 5, 2, 4, 1]),
            (8, 3, &[3, 6, 2, 5, 1, 4]),
        ];
        for (number, height, expected) in cases {
            let size = Size { height: 2, width: 3 };
            let mut pixels = Pixels { size, channels: 1, data: vec![1, 2, 3, 4, 5, 6] };
            apply(Orientation::from_exif(number).unwrap(), &mut pixels);
            assert_eq!((pixels.size.height, &pixels.data[..]), (height, expected), "{number}");
        }
    }

    #[test]
    fn a_cut_or_odd_segment_list_has_no_orientation() {
        for bytes in
            [&b""[..], b"\xFF\xD8", b"\xFF\xD8\xFF\xE1\x00", b"\xFF\xD8\xFF\xE1\x00\x00\x00"]
        {
            assert_eq!(of_jpeg(bytes), Orientation::NoTransforms, "{bytes:?}");
        }
    }
}
