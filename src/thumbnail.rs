//! Small pictures for reports, made of pixels alone, and what such a look tells of an image.

use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress_optimized};
use rayon::prelude::*;

use crate::{
    config,
    decode::{Budget, Decoder, Pixels, Policy},
    digest,
    error::ItemError,
    geometry::Size,
    recipe::{Alpha, Deep, Orientation},
    resample::{Filter, Image, Request, Resampler},
    source,
};

/// Longer side of a thumbnail, in pixels.
const SIDE: usize = 112;
/// Quality of its JPEG.
const QUALITY: u8 = 72;
/// An image of a shorter side is shown with visible pixels, and is too small for a hash.
const SMALL: usize = 48;
/// Sides of the hash's grid.
const GRID: usize = 16;

/// What one look at an image tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Height and width of the image, turned as its EXIF says.
    pub size: Size,
    /// Mean of the gray values, 0 to 255.
    pub brightness: f64,
    /// Their standard deviation.
    pub contrast: f64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its difference hash, where it is large enough.
    pub hash: Option<Hash>,
    /// The picture as the address of an `img`.
    pub picture: Option<String>,
}

/// Which pixels of a 17×16 picture are darker than their right neighbour: 256 bits.
///
/// N. Krawetz, *Kind of like that* (2013), with more bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash([u64; GRID * GRID / 64]);

impl Hash {
    /// Bits that differ, of 256.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Looks at images, on all processors.
pub struct Viewer {
    decoder: Decoder,
    max_file_bytes: u64,
}

/// What one thread looks with.
#[derive(Default)]
struct Desk {
    resampler: Resampler,
    bytes: Vec<u8>,
    pixels: Pixels,
}

impl Default for Viewer {
    fn default() -> Self {
        let (limits, max_file_bytes) = config::usual_limits();
        let policy = Policy { exif: Orientation::Apply, alpha: Alpha::White, deep: Deep::HighByte };
        let budget = Budget::new(limits.max_bytes);
        let decoder = Decoder { limits, policy, budget };
        Self { decoder, max_file_bytes }
    }
}

impl Viewer {
    /// Looks at the image in a file, and draws its thumbnail when it is `wanted`.
    ///
    /// # Errors
    ///
    /// As reading and decoding it in a run.
    pub fn look(&self, path: &Path, wanted: bool) -> Result<Look, ItemError> {
        self.look_on(&mut Desk::default(), path, wanted)
    }

    /// Looks at many images as [`Viewer::look`]; `None` where that fails.
    #[must_use]
    pub fn look_at(&self, paths: &[PathBuf], wanted: bool) -> Vec<Option<Look>> {
        let look = |desk: &mut Desk, path: &PathBuf| self.look_on(desk, path, wanted).ok();
        paths.par_iter().map_init(Desk::default, look).collect()
    }

    fn look_on(&self, desk: &mut Desk, path: &Path, wanted: bool) -> Result<Look, ItemError> {
        source::read_named(path, self.max_file_bytes, &mut desk.bytes)?;
        let _permit = self.decoder.decode(&desk.bytes, path, &mut desk.pixels)?;
        desk.look(wanted)
    }
}

impl Desk {
    fn look(&mut self, wanted: bool) -> Result<Look, ItemError> {
        let size = self.pixels.size;
        let grid = self.gray(Size { height: GRID, width: GRID + 1 });
        let mean = grid.iter().map(|&v| f64::from(v)).sum::<f64>() / grid.len() as f64;
        let squares: f64 = grid.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        let hash = (size.height.min(size.width) >= SMALL).then(|| hash(&grid));
        let sha256 = digest::of(&self.bytes[..]).map_err(ItemError::Unreadable)?.1;
        Ok(Look {
            size,
            brightness: mean,
            contrast: (squares / grid.len() as f64).sqrt(),
            sha256,
            hash,
            picture: if wanted { self.picture() } else { None },
        })
    }

    fn resized(&mut self, filter: Filter, target: Size) -> Vec<u8> {
        let Pixels { size, channels, data } = &self.pixels;
        let mut out = vec![0; target.area() * channels];
        let image = Image::new(data, *size, *channels);
        self.resampler.resize(&image, &Request::new(filter, target), &mut out);
        out
    }

    /// The image as so many gray values; of colours their mean.
    fn gray(&mut self, target: Size) -> Vec<u8> {
        let samples = self.resized(Filter::Bilinear, target);
        let mean = |pixel: &[u8]| match *pixel {
            [red, green, blue] => {
                let sum = u16::from(red) + u16::from(green) + u16::from(blue);
                u8::try_from(sum / 3).expect("a mean of bytes")
            }
            _ => pixel[0],
        };
        samples.chunks_exact(self.pixels.channels).map(mean).collect()
    }

    fn picture(&mut self) -> Option<String> {
        let Size { height, width } = self.pixels.size;
        let longer = height.max(width);
        let small = longer < SMALL;
        let side = |side: usize| {
            if small { side * (SIDE / longer).max(1) } else { (side * SIDE / longer).max(1) }
        };
        let target = if longer <= SIDE && !small {
            Size { height, width }
        } else {
            Size { height: side(height), width: side(width) }
        };
        let filter = if small { Filter::Nearest } else { Filter::Bicubic };
        let samples = self.resized(filter, target);
        let (format, subsampling) = match self.pixels.channels {
            1 => (PixelFormat::Grayscale, Subsampling::S444),
            _ => (PixelFormat::Rgb, Subsampling::S420),
        };
        let Size { height, width } = target;
        let jpeg =
            compress_optimized(&samples, width, height, format, QUALITY, subsampling).ok()?;
        Some(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)))
    }
}

fn hash(grid: &[u8]) -> Hash {
    let mut bits = [0u64; GRID * GRID / 64];
    for (y, row) in grid.chunks_exact(GRID + 1).enumerate() {
        for (x, pair) in row.windows(2).enumerate() {
            let at = y * GRID + x;
            bits[at / 64] |= u64::from(pair[0] < pair[1]) << (at % 64);
        }
    }
    Hash(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_size_and_brightness_and_draws_a_jpeg() {
        let digit = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/images/0");
        let path = std::fs::read_dir(digit).unwrap().next().unwrap().unwrap().path();
        let look = Viewer::default().look(&path, true).unwrap();
        assert_eq!((look.size, look.hash), (Size { height: 8, width: 8 }, None));
        assert!((20.0..200.0).contains(&look.brightness) && look.contrast > 30.0, "{look:?}");
        let picture = look.picture.unwrap();
        let jpeg = BASE64_STANDARD.decode(picture.split_once(',').unwrap().1).unwrap();
        let mut pixels = Pixels::default();
        let viewer = Viewer::default();
        let _permit = viewer.decoder.decode(&jpeg, &path, &mut pixels).unwrap();
        assert_eq!((pixels.size, pixels.channels), (Size { height: 112, width: 112 }, 1));
        assert!(Viewer::default().look(Path::new("nowhere.png"), false).is_err());
    }

    #[test]
    fn a_hash_sees_a_change_and_not_a_brightness() {
        let ramp = |add: u8| {
            (0..GRID * (GRID + 1))
                .map(|at| u8::try_from(at % 17).unwrap() * 9 + add)
                .collect::<Vec<_>>()
        };
        let (dark, mut bright) = (ramp(0), ramp(40));
        assert_eq!(hash(&dark).distance(&hash(&bright)), 0);
        bright.reverse();
        assert_eq!(hash(&dark).distance(&hash(&bright)), 256);
    }
}
