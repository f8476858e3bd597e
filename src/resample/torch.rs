//! Resizes 8-bit images as torch 2.15's `interpolate(antialias=True)` on the CPU: on bytes bit for
//! bit; on floats too where torch uses AVX-512, but for `Lanczos`, which is within 2e-4 of 255.
//! For floats of a target one pixel wide torch repeats rows, which is not followed.
//!
//! On bytes torch takes Pillow's windows and passes, but weights of 16 bits: so the Pillow kernels
//! do this work here.

mod float;

use super::part::{Line, Part};
use super::{Filter, Image, Request, Resampler, Weights, nearest};

/// An antialiasing interpolation of torch; they widen with the scale when they shrink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TorchFilter {
    /// `nearest-exact`: the sample under the centre of the output sample.
    NearestExact,
    /// Triangle of radius 1.
    Bilinear,
    /// Keys' cubic with a = −0.5, radius 2.
    Bicubic,
    /// Sinc under a sinc window, radius 3.
    Lanczos,
}

/// Resizes images one after the other; keeps its buffers.
#[derive(Default, Debug)]
pub struct Torch {
    bytes: Resampler,
    positions: Vec<usize>,
    float: float::Float,
    picked: Vec<u8>,
    values: Vec<f32>,
}

impl Torch {
    /// Writes a part of the resized source to `out`, H×W×C samples: what torch makes of a uint8
    /// tensor, as torchvision's transforms v2 do.
    ///
    /// # Panics
    /// If `out` has not the length of the part.
    pub fn resize(&mut self, source: &Image<'_>, filter: TorchFilter, part: &Part, out: &mut [u8]) {
        part.assert_length(source, out.len());
        let filter = match filter {
            TorchFilter::NearestExact => return self.nearest(source, part, out),
            TorchFilter::Bilinear => Filter::Bilinear,
            TorchFilter::Bicubic => Filter::Bicubic,
            TorchFilter::Lanczos => Filter::Lanczos,
        };
        let request = Request::new(filter, part.target).with_crop(part.crop);
        self.bytes.resize(source, &request.with_weights(Weights::Torch), out);
    }

    /// Writes a part of the resized source to `out`, H×W×C samples: what torch makes of a float
    /// tensor that holds the bytes' values. `Bicubic` and `Lanczos` overshoot the range of bytes.
    ///
    /// # Panics
    /// If `out` has not the length of the part.
    pub fn resize_to_floats(
        &mut self,
        source: &Image<'_>,
        filter: TorchFilter,
        part: &Part,
        out: &mut [f32],
    ) {
        part.assert_length(source, out.len());
        if filter != TorchFilter::NearestExact {
            let lines = [&part.across(source), &part.down(source)];
            return self.float.resize(source, filter, lines, out);
        }
        let mut picked = std::mem::take(&mut self.picked);
        picked.resize(out.len(), 0);
        self.nearest(source, part, &mut picked);
        for (sample, &byte) in out.iter_mut().zip(&picked) {
            *sample = f32::from(byte);
        }
        self.picked = picked;
    }

    /// Writes a part of the resized source to `out`, H×W×C samples: the floats of
    /// [`Torch::resize_to_floats`] clipped and rounded half to even, as torchvision's transforms
    /// v1 do with uint8 tensors.
    ///
    /// # Panics
    /// If `out` has not the length of the part.
    pub fn resize_rounded(
        &mut self,
        source: &Image<'_>,
        filter: TorchFilter,
        part: &Part,
        out: &mut [u8],
    ) {
        let mut values = std::mem::take(&mut self.values);
        values.resize(out.len(), 0.0);
        self.resize_to_floats(source, filter, part, &mut values);
        for (sample, value) in out.iter_mut().zip(&values) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the cast clips, as is wanted"
            )]
            let rounded = value.round_ties_even() as u8;
            *sample = rounded;
        }
        self.values = values;
    }

    fn nearest(&mut self, source: &Image<'_>, part: &Part, out: &mut [u8]) {
        self.positions.clear();
        self.positions.extend(nearest_positions(&part.across(source)));
        nearest::copy(source, nearest_positions(&part.down(source)), &self.positions, out);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and torch's definition goes through f32"
)]
fn nearest_positions(line: &Line) -> impl Iterator<Item = usize> {
    let scale = f64::from(line.input as f32 / line.output as f32);
    let last = line.input - 1;
    line.wanted.clone().map(move |index| (((index as f64 + 0.5) * scale) as f32 as usize).min(last))
}
