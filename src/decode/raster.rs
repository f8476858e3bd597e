//! PNG, GIF, WebP, BMP and TIFF, through the `image` crate.

use std::{cell::Cell, error::Error, io};

use image::{
    ColorType, ImageDecoder, ImageError,
    codecs::{
        bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder,
    },
    metadata::Orientation,
};

use super::{Decoder, Permit, Pixels, Policy, ending, gif, watched::Watched};
use crate::{
    deadline::Deadline,
    error::ItemError,
    format::ImageFormat,
    geometry::Size,
    recipe::{Alpha, Deep},
};

/// What a PNG's chunks before its pixels may take, of which some are packed: a colour profile of
/// 5 MB can become 5 GB. Real profiles take up to 4 MB.
const PNG_HEAD_BYTES: u64 = 16 << 20;

fn limited(bytes: u64) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// Decodes `bytes` of `format` into `pixels` and returns the orientation that the file tells, and
/// the permit for the memory.
pub(super) fn decode<'budget>(
    decoder: &'budget Decoder,
    format: ImageFormat,
    bytes: &[u8],
    (pixels, deadline): (&mut Pixels, &mut Deadline),
) -> Result<(Orientation, Permit<'budget>), ItemError> {
    let cut = match format {
        ImageFormat::WebP => ending::webp_is_cut(bytes),
        ImageFormat::Gif => gif::is_cut(bytes),
        _ => false,
    };
    if cut {
        return Err(ItemError::Truncated { reason: "the rest of its data is missing".to_owned() });
    }
    let watch = Cell::new(*deadline);
    let input = Watched::new(bytes, &watch);
    let opened: Result<Box<dyn ImageDecoder + '_>, ImageError> = match format {
        ImageFormat::Png => {
            PngDecoder::with_limits(input, limited(PNG_HEAD_BYTES)).map(|d| Box::new(d) as _)
        }
        ImageFormat::Gif => GifDecoder::new(input).map(|d| Box::new(d) as _),
        ImageFormat::WebP => WebPDecoder::new(input).map(|d| Box::new(d) as _),
        ImageFormat::Bmp => BmpDecoder::new(input).map(|d| Box::new(d) as _),
        ImageFormat::Tiff => TiffDecoder::new(input).map(|d| Box::new(d) as _),
        ImageFormat::Jpeg | ImageFormat::Other(_) => {
            unreachable!("the caller sends raster formats only")
        }
    };
    let mut opened = opened.map_err(|error| item_error(&error))?;
    let (width, height) = opened.dimensions();
    let color = opened.color_type();
    // The decoder's own buffer, the samples, and the bytes made of them.
    let per_pixel = 2 * u64::from(color.bytes_per_pixel()) + 3;
    let area = u64::from(height) * u64::from(width);
    let needed = area.saturating_mul(per_pixel);
    decoder.admit(height, width, needed)?;
    let permit = deadline.not_counting(|| decoder.budget.acquire(needed));
    watch.set(*deadline);

    opened.set_limits(limited(decoder.limits.max_bytes)).map_err(|error| item_error(&error))?;
    // Metadata that cannot be read says nothing; the pixels decide whether the file is damaged.
    let orientation = opened.orientation().unwrap_or(Orientation::NoTransforms);
    let samples = usize::try_from(opened.total_bytes()).expect("checked against the byte limit");

    pixels.size = Size { height: height as usize, width: width as usize };
    pixels.data.clear();
    if matches!(color, ColorType::L8 | ColorType::Rgb8) {
        pixels.data.resize(samples, 0);
        opened.read_image_boxed(&mut pixels.data).map_err(|error| item_error(&error))?;
        pixels.channels = usize::from(color.channel_count());
        return Ok((orientation, permit));
    }
    let mut raw = vec![0; samples];
    opened.read_image_boxed(&mut raw).map_err(|error| item_error(&error))?;
    if format == ImageFormat::Gif {
        gif::surround(bytes, &mut raw, width as usize);
    }
    flatten(color, &raw, decoder.policy, pixels)?;
    Ok((orientation, permit))
}

/// Samples of any kind to H×W×3 or H×W×1 bytes.
fn flatten(
    color: ColorType,
    raw: &[u8],
    policy: Policy,
    pixels: &mut Pixels,
) -> Result<(), ItemError> {
    let colors = if color.has_color() { 3 } else { 1 };
    pixels.channels = colors;
    let channels = usize::from(color.channel_count());
    let shallow;
    let bytes = match usize::from(color.bytes_per_pixel()) / channels {
        1 => raw,
        2 => {
            let clip = policy.deep == Deep::Clip && !color.has_color();
            shallow = high_bytes(raw, clip);
            &shallow[..]
        }
        _ => return Err(ItemError::UnsupportedFormat { what: "floating-point TIFF".to_owned() }),
    };
    let background = match policy.alpha {
        Alpha::Drop => None,
        Alpha::White => Some(255),
        Alpha::Black => Some(0),
    };
    for pixel in bytes.chunks_exact(channels) {
        match background {
            Some(background) if channels > colors => {
                let alpha = pixel[colors];
                pixels.data.extend(pixel[..colors].iter().map(|&c| over(c, alpha, background)));
            }
            _ => pixels.data.extend_from_slice(&pixel[..colors]),
        }
    }
    Ok(())
}

fn high_bytes(raw: &[u8], clip: bool) -> Vec<u8> {
    let samples = raw.as_chunks::<2>().0.iter().map(|pair| u16::from_ne_bytes(*pair));
    if clip {
        samples.map(|sample| u8::try_from(sample).unwrap_or(u8::MAX)).collect()
    } else {
        samples.map(|sample| sample.to_be_bytes()[0]).collect()
    }
}

/// `color` with `alpha` over an opaque `background`, rounded to nearest.
fn over(color: u8, alpha: u8, background: u8) -> u8 {
    let [color, alpha, background] = [color, alpha, background].map(u32::from);
    let mixed = (color * alpha + background * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).expect("a mean of bytes is a byte")
}

fn item_error(error: &ImageError) -> ItemError {
    let reason = error.to_string();
    match error {
        ImageError::Unsupported(_) => {
            let reason: String = reason.chars().take(160).collect();
            ItemError::UnsupportedFormat { what: format!("a rare kind ({reason})") }
        }
        ImageError::Limits(_) => ItemError::Corrupt { reason },
        _ if ends_early(error) => ItemError::Truncated { reason },
        _ => ItemError::Corrupt { reason },
    }
}

/// Whether any error in the chain says that the input ended; some decoders say so only in words.
fn ends_early(error: &ImageError) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let text = cause.to_string().to_ascii_lowercase();
        let words = ["unexpected end", "unexpected eof", "failed to fill whole buffer"];
        if io == Some(io::ErrorKind::UnexpectedEof) || words.iter().any(|w| text.contains(w)) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Orientation;

    #[test]
    fn alpha_is_dropped_or_composited() {
        // Vector D3 of the project's preprocessing research (Pillow, transformers v5).
        let raw = [10, 20, 30, 0, 200, 100, 50, 128];
        let flat = |alpha| {
            let policy = Policy { exif: Orientation::Ignore, alpha, deep: Deep::HighByte };
            let mut pixels = Pixels::default();
            flatten(ColorType::Rgba8, &raw, policy, &mut pixels).unwrap();
            pixels.data
        };
        assert_eq!(flat(Alpha::Drop), [10, 20, 30, 200, 100, 50]);
        assert_eq!(flat(Alpha::White), [255, 255, 255, 227, 177, 152]);
    }

    #[test]
    fn deep_gray_is_clipped_or_shifted() {
        // Vector D2: Pillow clips, OpenCV and TensorFlow keep the high byte.
        let samples = [0u16, 1, 255, 256, 511, 32768, 65535];
        let raw: Vec<u8> = samples.iter().flat_map(|s| s.to_ne_bytes()).collect();
        assert_eq!(high_bytes(&raw, true), [0, 1, 255, 255, 255, 255, 255]);
        assert_eq!(high_bytes(&raw, false), [0, 0, 0, 1, 1, 128, 255]);
    }
}
