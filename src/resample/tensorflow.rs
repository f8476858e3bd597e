//! Resizes 8-bit images to f32 bit for bit as `tf.image.resize` of TensorFlow 2 with its defaults:
//! bilinear, half-pixel centres, two taps on each axis at any scale.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and TensorFlow's definition is in f32"
)]

use super::Image;
use crate::geometry::{Rect, Size};

/// Two neighbouring input positions and the share of the second.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 2],
    share: f32,
}

impl Taps {
    fn new(index: usize, (input, output): (usize, usize)) -> Self {
        let scale = input as f32 / output as f32;
        let center = (index as f32 + 0.5) * scale - 0.5;
        let first = center.floor().max(0.0) as usize;
        let second = (center.ceil() as usize).min(input - 1);
        Self { positions: [first, second], share: center - center.floor() }
    }
}

/// Writes the part `crop` of the source at size `target` to `out`, H×W×C samples of the crop in
/// the range 0 to 255.
///
/// # Panics
/// If the crop is not inside the target, or if `out` has not its length.
pub fn resize_tensorflow(source: &Image<'_>, target: Size, crop: Rect, out: &mut [f32]) {
    assert!(crop.fits(target), "{crop:?} is no part of {target:?}");
    let channels = source.channels;
    assert_eq!(out.len(), crop.size().area() * channels, "samples of {crop:?}");
    for (index, pixel) in out.chunks_exact_mut(channels).enumerate() {
        let (row, column) = (crop.top + index / crop.width, crop.left + index % crop.width);
        let down = Taps::new(row, (source.size.height, target.height));
        let across = Taps::new(column, (source.size.width, target.width));
        let rows = down.positions.map(|position| source.plane().row(position));
        for (channel, sample) in pixel.iter_mut().enumerate() {
            let [upper, lower] = rows.map(|row| {
                let [left, right] =
                    across.positions.map(|at| f32::from(row[at * channels + channel]));
                left + (right - left) * across.share
            });
            *sample = upper + (lower - upper) * down.share;
        }
    }
}
