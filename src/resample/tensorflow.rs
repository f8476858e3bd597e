//! Resizes 8-bit images to f32 bit for bit as TensorFlow's image operations: `tf.image.resize` of
//! version 2 without antialiasing, and the bilinear default of version 1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and TensorFlow's definition is in f32"
)]

mod area;
mod bicubic;
mod bilinear;

use super::part::{Line, Part};
use super::rows::{Rows, weigh};
use super::{Image, nearest};

/// A method of `tf.image.resize`, or TensorFlow 1's bilinear one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TensorFlowFilter {
    /// The sample under the centre of the output sample.
    Nearest,
    /// Two taps on each axis around the centre of the output sample.
    Bilinear,
    /// Two taps on each axis around index × scale: `resize_bilinear` of TensorFlow 1 with its
    /// defaults.
    LegacyBilinear,
    /// Four taps on each axis: Keys' cubic with a = −0.5, from a table of 1024 steps.
    Bicubic,
    /// The average of the covered area.
    Area,
}

/// Resizes images one after the other; keeps its buffers.
#[derive(Default, Debug)]
pub struct TensorFlow {
    positions: Vec<usize>,
    picked: Vec<u8>,
    bilinear: bilinear::Bilinear,
    bicubic: bicubic::Bicubic,
    area: area::Area,
}

impl TensorFlow {
    /// Writes a part of the resized source to `out`, H×W×C samples; a byte keeps its value as f32,
    /// and `Bicubic` overshoots the range of bytes.
    ///
    /// # Panics
    /// If `out` has not the length of the part.
    pub fn resize(
        &mut self,
        source: &Image<'_>,
        filter: TensorFlowFilter,
        part: &Part,
        out: &mut [f32],
    ) {
        part.assert_length(source, out.len());
        let (across, down) = (part.across(source), part.down(source));
        match filter {
            TensorFlowFilter::Nearest => self.nearest(source, [&across, &down], out),
            TensorFlowFilter::Bilinear => {
                self.bilinear.resize(source, [&across, &down], half_pixel, out);
            }
            TensorFlowFilter::LegacyBilinear => {
                self.bilinear.resize(source, [&across, &down], legacy, out);
            }
            TensorFlowFilter::Bicubic => self.bicubic.resize(source, [&across, &down], out),
            TensorFlowFilter::Area => self.area.resize(source, [&across, &down], out),
        }
    }

    fn nearest(&mut self, source: &Image<'_>, [across, down]: [&Line; 2], out: &mut [f32]) {
        self.positions.clear();
        self.positions.extend(nearest_positions(across));
        self.picked.resize(out.len(), 0);
        nearest::copy(source, nearest_positions(down), &self.positions, &mut self.picked);
        for (sample, &byte) in out.iter_mut().zip(&self.picked) {
            *sample = f32::from(byte);
        }
    }
}

/// Input samples for one output sample.
fn scale(line: &Line) -> f32 {
    line.input as f32 / line.output as f32
}

/// The input position of the centre of an output sample.
fn half_pixel(index: usize, scale: f32) -> f32 {
    (index as f32 + 0.5) * scale - 0.5
}

/// The input position of an output sample by TensorFlow 1's grid, which holds the upper left
/// corners together.
fn legacy(index: usize, scale: f32) -> f32 {
    index as f32 * scale
}

fn nearest_positions(line: &Line) -> impl Iterator<Item = usize> {
    let (scale, last) = (scale(line), line.input - 1);
    line.wanted.clone().map(move |index| (((index as f32 + 0.5) * scale) as usize).min(last))
}
