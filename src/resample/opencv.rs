//! Resizes 8-bit images bit for bit as OpenCV's `INTER_LINEAR`: two taps on each axis at any
//! scale, so shrinking does not average.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and OpenCV's definition goes through f32"
)]

use super::Image;
use crate::geometry::{Rect, Size};

/// Fixed-point one of a tap's weight: `INTER_RESIZE_COEF_SCALE` of OpenCV.
const ONE: f32 = 2048.0;

/// Two neighbouring input positions and their weights, of [`ONE`] in sum.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 2],
    weights: [i32; 2],
}

impl Taps {
    /// The taps of output position `index` on an axis; `pinned` is OpenCV's treatment of columns.
    fn new(index: usize, (input, output): (usize, usize), pinned: bool) -> Self {
        // Twice inverted as in OpenCV, which differs from `input / output` in the last bit.
        let scale = 1.0 / (output as f64 / input as f64);
        let center = ((index as f64 + 0.5) * scale - 0.5) as f32;
        let mut fraction = center - center.floor();
        let last = input.cast_signed() - 1;
        let first = center.floor() as isize;
        if pinned && (first < 0 || first >= last) {
            fraction = 0.0;
        }
        let positions = [first, first + 1].map(|position| position.clamp(0, last) as usize);
        let weights =
            [1.0 - fraction, fraction].map(|weight| (weight * ONE).round_ties_even() as i32);
        Self { positions, weights }
    }
}

/// Resizes images one after the other; keeps its buffers.
#[derive(Default, Debug)]
pub struct OpenCvLinear {
    columns: Vec<Taps>,
    /// The last two horizontally resized input rows.
    rows: [HorizontalRow; 2],
}

#[derive(Default, Debug)]
struct HorizontalRow {
    position: Option<usize>,
    sums: Vec<i32>,
}

impl OpenCvLinear {
    /// Writes the part `crop` of the source at size `target` to `out`, H×W×C samples of the crop.
    ///
    /// # Panics
    /// If the crop is not inside the target, or if `out` has not its length.
    pub fn resize(&mut self, source: &Image<'_>, target: Size, crop: Rect, out: &mut [u8]) {
        assert!(crop.fits(target), "{crop:?} is no part of {target:?}");
        assert_eq!(out.len(), crop.size().area() * source.channels, "bytes of {crop:?}");
        let lengths = (source.size.width, target.width);
        self.columns.clear();
        let columns = crop.left..crop.left + crop.width;
        self.columns.extend(columns.map(|column| Taps::new(column, lengths, true)));
        self.rows.iter_mut().for_each(|row| row.position = None);
        for row in 0..crop.height {
            let lengths = (source.size.height, target.height);
            let taps = Taps::new(crop.top + row, lengths, false);
            self.keep(taps.positions);
            for (kept, position) in self.rows.iter_mut().zip(taps.positions) {
                kept.fill(source, position, &self.columns);
            }
            let length = crop.width * source.channels;
            let [upper, lower] = &self.rows;
            let sums = upper.sums.iter().zip(&lower.sums);
            for (sample, (&upper, &lower)) in out[row * length..][..length].iter_mut().zip(sums) {
                *sample = blend([upper, lower], taps.weights);
            }
        }
    }

    /// Moves the lower row up where it is the next upper one.
    fn keep(&mut self, [upper, _]: [usize; 2]) {
        if self.rows[0].position != Some(upper) && self.rows[1].position == Some(upper) {
            self.rows.swap(0, 1);
        }
    }
}

impl HorizontalRow {
    fn fill(&mut self, source: &Image<'_>, position: usize, columns: &[Taps]) {
        if self.position == Some(position) {
            return;
        }
        self.position = Some(position);
        self.sums.clear();
        let channels = source.channels;
        let row = source.plane().row(position);
        for taps in columns {
            let [left, right] = taps.positions.map(|at| &row[at * channels..][..channels]);
            self.sums.extend(left.iter().zip(right).map(|(&left, &right)| {
                i32::from(left) * taps.weights[0] + i32::from(right) * taps.weights[1]
            }));
        }
    }
}

/// The vertical step; the truncating shifts are OpenCV's, and show in the result.
fn blend(sums: [i32; 2], weights: [i32; 2]) -> u8 {
    let part = |index: usize| (weights[index] * (sums[index] >> 4)) >> 16;
    ((part(0) + part(1) + 2) >> 2).clamp(0, 255) as u8
}
