//! JPEG files to pixels, with the values and the verdicts of Pillow.
//!
//! The pixels come from `libjpeg-turbo-rs`, a Rust port of the library inside Pillow, with the same
//! settings: accurate integer IDCT, triangle chroma upsampling, inter-block smoothing of unfinished
//! progressive files. They are byte-identical to Pillow 13 (`tests/jpeg.rs`). The verdict is ours:
//! `structure` refuses what Pillow refuses, above all a file that stops before its end marker, and
//! the strict decoder refuses damage over which libjpeg prints a warning and paints grey.

use libjpeg_turbo_rs::{ColorSpace, DecodeLimits, Decoder, JpegError as CodecError, PixelFormat};

mod cmyk;
mod structure;

use structure::Structure;

/// Most scans a file may hold. Progressive encoders write 3 to 20; each scan costs a pass over all
/// blocks, however few bytes it has.
pub const MAX_SCANS: u32 = 100;

/// Most scans × pixels a progressive file may hold, which bounds the decode to some seconds: 10
/// scans of a 400-megapixel image.
pub const MAX_SCAN_PIXELS: u64 = 4_000_000_000;

/// What the markers before the first scan say about the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Height in pixels, 1 to 65 500.
    pub height: u32,
    /// Width in pixels, 1 to 65 500.
    pub width: u32,
    /// Colour components in the file: 1 (gray), 3 (`YCbCr` or RGB) or 4 (CMYK or YCCK).
    pub components: u8,
    /// Several passes over the image; decoding holds all its coefficients in memory.
    pub progressive: bool,
    /// Horizontal and vertical sampling factors of each component, 1 to 4.
    pub(crate) sampling: Vec<[u8; 2]>,
}

impl Header {
    /// Channels of the decoded pixels: 1 for gray, else 3 (RGB).
    #[must_use]
    pub fn channels(&self) -> usize {
        if self.components == 1 { 1 } else { 3 }
    }

    /// Upper estimate of the bytes that [`decode`] allocates for pixels, its output included: the
    /// component planes, their coefficients in a progressive file, and full-size planes where the
    /// codec does not upsample row by row. Peaks measured at 20 megapixels were at most 1 % (some
    /// 1 MB) above it.
    #[must_use]
    pub fn decode_bytes(&self) -> u64 {
        let most = |axis: usize| {
            self.sampling.iter().map(|factors| u64::from(factors[axis])).max().unwrap_or(1)
        };
        let (most_h, most_v) = (most(0), most(1));
        // Planes hold whole units of most_v × most_h blocks.
        let blocks = u64::from(self.height).div_ceil(8 * most_v)
            * u64::from(self.width).div_ceil(8 * most_h);
        let samples: u64 =
            self.sampling.iter().map(|&[h, v]| 64 * blocks * u64::from(h) * u64::from(v)).sum();
        let pixels = u64::from(self.height) * u64::from(self.width);
        let row_by_row = |&[h, v]: &[u8; 2]| {
            matches!((most_h / u64::from(h), most_v / u64::from(v)), (1 | 2, 1) | (2, 2))
        };
        let whole =
            if self.sampling.iter().all(row_by_row) { 0 } else { u64::from(self.components) };
        let coefficients = if self.progressive { 2 * samples + samples / 64 } else { 0 };
        pixels * (self.channels() as u64 + whole) + samples + coefficients
    }
}

/// Shape of the pixels that [`decode`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Height in pixels.
    pub height: u32,
    /// Width in pixels.
    pub width: u32,
    /// Interleaved channels: 1 (gray) or 3 (RGB).
    pub channels: usize,
}

/// Why a JPEG gave no pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegError {
    /// The bytes stop before the end-of-image marker.
    #[error("jpeg file is truncated: {0}; copy or download it again")]
    Truncated(String),
    /// The bytes break the rules of the format, or image data is missing in the middle.
    #[error("jpeg file is corrupt: {0}")]
    Corrupt(String),
    /// A legal file of a kind that is not decoded (12-bit, lossless, two components ...).
    #[error("unsupported jpeg: {0}; convert it to an 8-bit baseline or progressive jpeg")]
    Unsupported(String),
    /// Decoding would take more time or memory than an image of this size deserves.
    #[error("jpeg file is too complex: {0}")]
    TooComplex(String),
}

/// Reads the markers up to the first scan. Allocates a few bytes, whatever the file claims.
///
/// # Errors
/// Returns what [`decode`] would return for the same part of the file.
pub fn read_header(bytes: &[u8]) -> Result<Header, JpegError> {
    structure::first_scan(bytes)
}

/// Decodes to height × width × channels bytes, 0 to 255, rows from the top, channels interleaved.
/// `out` is overwritten and resized; its allocation is reused. No orientation, no colour profile.
///
/// CMYK and YCCK files become RGB as Pillow's `convert("RGB")` makes them.
///
/// The size is not limited here: compare [`read_header`] and [`Header::decode_bytes`] with the
/// limits of the run first. A defect of the codec shows as a panic, so call this under
/// `catch_unwind`; `out` then holds unspecified bytes and may be used again.
///
/// # Errors
/// - [`JpegError::Truncated`]: no end-of-image marker.
/// - [`JpegError::Corrupt`]: markers that break the format, restart markers out of order, invalid
///   Huffman codes, or a scan whose data ends early. Pillow paints over the last three when an end
///   marker follows.
/// - [`JpegError::Unsupported`]: precision other than 8 bit, lossless, hierarchical, 2 components,
///   sampling factors without integer ratio to the first component's, sequential scans of some
///   components, quantization tables that change between scans.
/// - [`JpegError::TooComplex`]: more than [`MAX_SCANS`] or [`MAX_SCAN_PIXELS`]; or the allocator
///   refused.
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<Decoded, JpegError> {
    let Structure { header, scans } = structure::whole_file(bytes)?;
    let pixels = u64::from(header.height) * u64::from(header.width);
    if scans > 1 && u64::from(scans) * pixels > MAX_SCAN_PIXELS {
        let megapixels = pixels / 1_000_000;
        return Err(JpegError::TooComplex(format!("{scans} scans of {megapixels} megapixels")));
    }
    let limits = DecodeLimits {
        max_width: header.width as usize,
        max_height: header.height as usize,
        max_pixels: pixels,
        max_scans: MAX_SCANS as usize,
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(codec_error)?;
    decoder.set_block_smoothing(true);
    if header.components == 4 {
        // Raw planes are not smoothed, so an unfinished progressive CMYK file differs from Pillow's
        // by a few levels.
        let ycck = decoder.jpeg_color_space() == ColorSpace::Ycck;
        let raw = decoder.decode_raw().map_err(codec_error)?;
        cmyk::to_rgb(&raw, &header, ycck, out)?;
    } else {
        let format = if header.components == 1 { PixelFormat::Grayscale } else { PixelFormat::Rgb };
        decoder.set_output_format(format);
        resize(out, decoder.output_buffer_size().map_err(codec_error)?)?;
        decoder.decode_image_into(out).map_err(codec_error)?;
    }
    Ok(Decoded { height: header.height, width: header.width, channels: header.channels() })
}

fn resize(out: &mut Vec<u8>, len: usize) -> Result<(), JpegError> {
    if len > out.len() {
        out.try_reserve_exact(len - out.len())
            .map_err(|_| JpegError::TooComplex(format!("no memory for {len} bytes of pixels")))?;
    }
    out.resize(len, 0);
    Ok(())
}

fn codec_error(error: CodecError) -> JpegError {
    match error {
        CodecError::Unsupported(what) => JpegError::Unsupported(what),
        // The end marker was seen, so the end that the codec met is that of a scan.
        CodecError::UnexpectedEof => {
            JpegError::Corrupt("image data ends before the last block".to_owned())
        }
        CodecError::LimitExceeded { .. } | CodecError::AllocationFailed { .. } => {
            JpegError::TooComplex(error.to_string())
        }
        CodecError::CorruptData(what) => JpegError::Corrupt(what),
        other => JpegError::Corrupt(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_bytes_counts_output_planes_and_coefficients() {
        let header = |components: u8, progressive, sampling: &[[u8; 2]]| Header {
            height: 30,
            width: 20,
            components,
            progressive,
            sampling: sampling.to_vec(),
        };
        assert_eq!(header(1, false, &[[1, 1]]).decode_bytes(), 600 + 32 * 24);
        let chroma = [[2, 2], [1, 1], [1, 1]];
        let samples = 32 * 32 * 3 / 2;
        assert_eq!(header(3, false, &chroma).decode_bytes(), 600 * 3 + samples);
        assert_eq!(header(3, true, &chroma).decode_bytes(), 600 * 3 + 3 * samples + samples / 64);
    }
}
