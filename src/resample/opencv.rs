//! Resizes 8-bit images as `cv2.resize` of OpenCV 4.12 and 5.0: bit for bit, but that `Cubic` may
//! differ by 1. Only `Area` averages when it shrinks; the others read the same few samples at any
//! scale.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and OpenCV's definition goes through f32"
)]

mod area;
mod cubic;
mod linear;

use super::part::{Line, Part};
use super::rows::{Rows, weigh};
use super::{Image, nearest};

/// Fixed-point one of a tap's weight: `INTER_RESIZE_COEF_SCALE` of OpenCV.
const ONE: f32 = 2048.0;

/// An interpolation of `cv2.resize`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OpenCvFilter {
    /// `INTER_NEAREST`: the sample at floor(index × scale).
    Nearest,
    /// `INTER_LINEAR`: two taps on each axis.
    Linear,
    /// `INTER_CUBIC`: four taps on each axis, Keys' cubic with a = −0.75.
    Cubic,
    /// `INTER_AREA`: the average of the covered area; if one axis grows, two taps on each axis.
    Area,
}

/// Resizes images one after the other; keeps its buffers.
#[derive(Default, Debug)]
pub struct OpenCv {
    positions: Vec<usize>,
    linear: linear::Linear,
    cubic: cubic::Cubic,
    area: area::Area,
}

impl OpenCv {
    /// Writes a part of the resized source to `out`, H×W×C samples.
    ///
    /// # Panics
    /// If `out` has not the length of the part.
    pub fn resize(
        &mut self,
        source: &Image<'_>,
        filter: OpenCvFilter,
        part: &Part,
        out: &mut [u8],
    ) {
        part.assert_length(source, out.len());
        let (across, down) = (part.across(source), part.down(source));
        match filter {
            OpenCvFilter::Nearest => {
                self.positions.clear();
                self.positions.extend(nearest_positions(&across));
                nearest::copy(source, nearest_positions(&down), &self.positions, out);
            }
            OpenCvFilter::Linear => {
                self.linear.resize(source, [&across, &down], linear::Centers::HalfPixel, out);
            }
            OpenCvFilter::Cubic => self.cubic.resize(source, [&across, &down], out),
            OpenCvFilter::Area if scale(&across) >= 1.0 && scale(&down) >= 1.0 => {
                self.area.resize(source, [&across, &down], out);
            }
            OpenCvFilter::Area => {
                self.linear.resize(source, [&across, &down], linear::Centers::Area, out);
            }
        }
    }
}

/// Input samples for one output sample, twice inverted as in OpenCV, which differs from
/// `input / output` in the last bit.
fn scale(line: &Line) -> f64 {
    1.0 / (line.output as f64 / line.input as f64)
}

fn nearest_positions(line: &Line) -> impl Iterator<Item = usize> {
    let (scale, last) = (scale(line), line.input - 1);
    line.wanted.clone().map(move |index| ((index as f64 * scale) as usize).min(last))
}

/// A weight as an i16 in units of 1 / [`ONE`].
fn fixed_point(weight: f32) -> i32 {
    (weight * ONE).round_ties_even() as i32
}
