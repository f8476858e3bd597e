//! File bytes to pixels: H×W×3 or H×W×1 bytes, with every limit checked before the allocation it
//! should prevent. The only user of image decoders.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    deadline::Deadline,
    error::ItemError,
    format::{self, ImageFormat, SNIFF_BYTES},
    geometry::Size,
    recipe::{Alpha, Deep, Orientation},
};

mod contain;
mod ending;
mod gif;
pub mod jpeg;
mod orient;
mod raster;
mod watched;

pub use crate::budget::{Budget, Permit};
pub use contain::{contained, is_contained, silence_contained_panics};
use jpeg::JpegError;

/// Largest height or width; JPEG itself ends at 65,535.
const MAX_SIDE: u32 = 65_500;

/// What is refused before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels of one image.
    pub max_pixels: u64,
    /// Bytes that decoding one image may take, as far as its header tells.
    pub max_bytes: u64,
}

/// What becomes of features that a model's H×W×3 bytes cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// EXIF orientation.
    pub exif: Orientation,
    /// Transparency.
    pub alpha: Alpha,
    /// 16-bit samples.
    pub deep: Deep,
}

/// An image in memory: `size.height`×`size.width`×`channels` bytes, row-major; 3 channels are
/// red, green, blue, 1 is gray. Its memory is reused from image to image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Height and width.
    pub size: Size,
    /// 1 or 3.
    pub channels: usize,
    /// `size.area() * channels` bytes.
    pub data: Vec<u8>,
}

impl Default for Pixels {
    fn default() -> Self {
        Self { size: Size { height: 0, width: 0 }, channels: 3, data: Vec::new() }
    }
}

/// A decoder's settings, and the memory that all workers share.
#[derive(Debug)]
pub struct Decoder {
    /// What is refused.
    pub limits: Limits,
    /// What becomes of orientation, transparency and depth.
    pub policy: Policy,
    /// Bytes that all images being decoded may take together.
    pub budget: Budget,
}

impl Decoder {
    /// Decodes `bytes` into `pixels`. Content decides the format; `path` is looked at only to say
    /// more about a file that is no image by its content.
    ///
    /// The permit stands for the memory: hold it as long as `pixels` is needed, so that images on
    /// other threads wait where there is no room for them.
    ///
    /// # Errors
    ///
    /// `not_an_image`, `unsupported_format`, `too_large` (before the allocation), `truncated`,
    /// `corrupt`, and `decoder_panic`.
    pub fn decode(
        &self,
        bytes: &[u8],
        path: &Path,
        pixels: &mut Pixels,
    ) -> Result<Permit<'_>, ItemError> {
        self.decode_by(bytes, path, pixels, &mut Deadline::never())
    }

    /// As [`Decoder::decode`], and gives up soon after `deadline`, to which waiting for memory is
    /// not counted. Decoders of PNG, GIF, BMP and TIFF are stopped at their next piece of input; one
    /// of JPEG or WebP only before and after it runs, within limits of its work of their own
    /// ([`jpeg::MAX_SCAN_PIXELS`]; WebP's sides end at 16,383).
    ///
    /// # Errors
    ///
    /// Those of [`Decoder::decode`], and `timeout`.
    pub fn decode_by(
        &self,
        bytes: &[u8],
        path: &Path,
        pixels: &mut Pixels,
        deadline: &mut Deadline,
    ) -> Result<Permit<'_>, ItemError> {
        let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
        match format::sniff(head) {
            Some(ImageFormat::Other(name)) => {
                Err(ItemError::UnsupportedFormat { what: name.to_owned() })
            }
            Some(format) => {
                let decoded = contained(|| self.decode_known(format, bytes, pixels, deadline));
                // Pixels that come too late, and the errors of a decoder that was stopped.
                deadline.check().and(decoded)
            }
            None => Err(match format::undecoded_by_extension(path) {
                Some(name) => ItemError::UnsupportedFormat { what: name.to_owned() },
                None => ItemError::NotAnImage { found: printable(head) },
            }),
        }
    }

    fn decode_known(
        &self,
        format: ImageFormat,
        bytes: &[u8],
        pixels: &mut Pixels,
        deadline: &mut Deadline,
    ) -> Result<Permit<'_>, ItemError> {
        let (orientation, permit) = if format == ImageFormat::Jpeg {
            let header = jpeg::read_header(bytes)?;
            let needed = header.decode_bytes();
            self.admit(header.height, header.width, needed)?;
            let permit = deadline.not_counting(|| self.budget.acquire(needed));
            let decoded = jpeg::decode(bytes, &mut pixels.data)?;
            let [height, width] = [decoded.height, decoded.width].map(|side| side as usize);
            pixels.size = Size { height, width };
            pixels.channels = decoded.channels;
            (orient::of_jpeg(bytes), permit)
        } else {
            raster::decode(self, format, bytes, (pixels, deadline))?
        };
        if self.policy.exif == Orientation::Apply {
            orient::apply(orientation, pixels);
        }
        Ok(permit)
    }

    /// Checks an image's dimensions, and the bytes that decoding `needed`, against the limits.
    fn admit(&self, height: u32, width: u32, needed: u64) -> Result<(), ItemError> {
        let area = u64::from(height) * u64::from(width);
        let Limits { max_pixels, max_bytes } = self.limits;
        let checks = [
            ("its longer side in pixels", u64::from(height.max(width)), u64::from(MAX_SIDE), None),
            ("its area in pixels", area, max_pixels, Some("max-pixels")),
            ("the memory for decoding it, in bytes,", needed, max_bytes, Some("decode-memory")),
        ];
        let over = checks.into_iter().find(|(_, found, limit, _)| found > limit);
        if let Some((what, found, limit, key)) = over {
            return Err(ItemError::TooLarge { what, found, limit, key });
        }
        if area == 0 {
            return Err(ItemError::Corrupt { reason: "it has no pixels".to_owned() });
        }
        Ok(())
    }
}

impl From<JpegError> for ItemError {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::Truncated(reason) => Self::Truncated { reason },
            JpegError::Corrupt(reason) | JpegError::TooComplex(reason) => Self::Corrupt { reason },
            JpegError::Unsupported(what) => {
                Self::UnsupportedFormat { what: format!("a rare kind of JPEG ({what})") }
            }
        }
    }
}

/// The first bytes for a message: text as text, the rest as hexadecimal.
fn printable(head: &[u8]) -> String {
    let head = &head[..head.len().min(12)];
    if head.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return format!("`{}`", String::from_utf8_lossy(head));
    }
    let hex: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("the bytes {}", hex.join(" "))
}
