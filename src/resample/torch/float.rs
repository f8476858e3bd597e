//! The antialiasing passes in f32: first along rows, then along columns, unrounded in between.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and torch's definition truncates"
)]

use std::{f32::consts::PI, ops::Range};

use super::{Image, Line, TorchFilter};
use crate::resample::axis::Window;

/// Taps that torch's compiler puts in one vector: it multiplies these and adds the products one by
/// one, and fuses multiplication and addition of the taps that are left.
const GROUP: usize = 4;

/// Windows and weights of the wanted output samples of one axis.
#[derive(Default, Debug)]
struct Axis {
    /// All input samples that any window uses; windows start at its start.
    span: Range<usize>,
    windows: Vec<Window>,
    weights: Vec<f32>,
}

impl Axis {
    fn rebuild(&mut self, filter: TorchFilter, line: &Line) {
        let scale = line.input as f32 / line.output as f32;
        let widening = scale.max(1.0);
        let support = radius(filter) * widening;
        let step = 1.0 / widening;
        self.windows.clear();
        self.weights.clear();
        self.span = line.input..0;
        for index in line.wanted.clone() {
            let center = (f64::from(scale) * (index as f64 + 0.5)) as f32;
            let start = (f64::from(center - support) + 0.5).max(0.0) as usize;
            let stop = ((f64::from(center + support) + 0.5) as usize).min(line.input);
            self.windows.push(Window { start, taps: stop - start });
            self.span = self.span.start.min(start)..self.span.end.max(stop);
            self.weigh(filter, start..stop, center, step);
        }
        self.windows.iter_mut().for_each(|window| window.start -= self.span.start);
    }

    /// Adds the normalised weights of one window.
    fn weigh(&mut self, filter: TorchFilter, window: Range<usize>, center: f32, step: f32) {
        let first = self.weights.len();
        for sample in window {
            let distance = f64::from(sample as f32 - center) + 0.5;
            self.weights.push(weight(filter, (distance * f64::from(step)) as f32));
        }
        let weights = &mut self.weights[first..];
        let total = weights.iter().fold(0.0, |total, weight| total + weight);
        if total != 0.0 {
            for weight in weights {
                *weight /= total;
            }
        }
    }

    /// Each window with its weights.
    fn iter(&self) -> impl Iterator<Item = (Window, &[f32])> {
        let mut rest = self.weights.as_slice();
        self.windows.iter().map(move |&window| {
            let (weights, behind) = rest.split_at(window.taps);
            rest = behind;
            (window, weights)
        })
    }
}

/// Radius of the filter at scale 1, in input samples.
fn radius(filter: TorchFilter) -> f32 {
    match filter {
        TorchFilter::NearestExact => 0.5,
        TorchFilter::Bilinear => 1.0,
        TorchFilter::Bicubic => 2.0,
        TorchFilter::Lanczos => 3.0,
    }
}

/// Weight at a signed distance, not normalised.
fn weight(filter: TorchFilter, distance: f32) -> f32 {
    let x = distance.abs();
    match filter {
        TorchFilter::NearestExact => 1.0,
        TorchFilter::Bilinear => (1.0 - x).max(0.0),
        TorchFilter::Bicubic => bicubic(x),
        TorchFilter::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
        TorchFilter::Lanczos => 0.0,
    }
}

fn bicubic(x: f32) -> f32 {
    const A: f32 = -0.5;
    if x < 1.0 {
        fused(fused(A + 2.0, x, -(A + 3.0)) * x, x, 1.0)
    } else if x < 2.0 {
        fused(fused(fused(A, x, -5.0 * A), x, 8.0 * A), x, -4.0 * A)
    } else {
        0.0
    }
}

fn sinc(x: f32) -> f32 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}

/// `a` × `b` + `c`, rounded once (up to rare ties of the f64 sum).
fn fused(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

#[derive(Default, Debug)]
pub(super) struct Float {
    across: Axis,
    down: Axis,
    middle: Vec<f32>,
}

impl Float {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        filter: TorchFilter,
        [across, down]: [&Line; 2],
        out: &mut [f32],
    ) {
        self.across.rebuild(filter, across);
        self.down.rebuild(filter, down);
        let length = across.wanted.len() * source.channels;
        self.middle.resize(self.down.span.len() * length, 0.0);
        match source.channels {
            1 => self.horizontal::<1>(source),
            3 => self.horizontal::<3>(source),
            _ => self.horizontal::<4>(source),
        }
        for ((window, weights), output) in self.down.iter().zip(out.chunks_exact_mut(length)) {
            output.fill(0.0);
            let rows = self.middle[window.start * length..].chunks_exact(length);
            for (tap, (row, &weight)) in rows.zip(weights).enumerate() {
                if tap < grouped(weights.len()) {
                    add(output, row, |sum, value| sum + value * weight);
                } else {
                    add(output, row, |sum, value| fused(value, weight, sum));
                }
            }
        }
    }

    /// Fills `middle` with the rows of the vertical span.
    fn horizontal<const C: usize>(&mut self, source: &Image<'_>) {
        let length = self.across.windows.len() * C;
        let source = source.plane().skip(self.down.span.start, self.across.span.start * C);
        for (row, output) in self.middle.chunks_exact_mut(length).enumerate() {
            let input = source.row(row);
            let pixels = output.as_chunks_mut::<C>().0;
            for ((window, weights), pixel) in self.across.iter().zip(pixels) {
                let taps = input[window.start * C..].as_chunks::<C>().0;
                *pixel = sum(taps, weights);
            }
        }
    }
}

/// Leaves in every sample of `output` what `step` makes of it and the row's sample.
fn add(output: &mut [f32], row: &[f32], step: impl Fn(f32, f32) -> f32) {
    for (sum, &value) in output.iter_mut().zip(row) {
        *sum = step(*sum, value);
    }
}

/// How many of the taps, from the first, torch does not fuse; the first stands before its loop.
fn grouped(taps: usize) -> usize {
    (taps - 1) / GROUP * GROUP + 1
}

/// The weighted sum of as many pixels as there are weights.
fn sum<const C: usize>(taps: &[[u8; C]], weights: &[f32]) -> [f32; C] {
    let grouped = grouped(weights.len());
    let (first, rest) = weights.split_at(grouped);
    let mut sums = [0.0; C];
    for (tap, weight) in taps.iter().zip(first) {
        for (sum, &value) in sums.iter_mut().zip(tap) {
            *sum += f32::from(value) * weight;
        }
    }
    for (tap, weight) in taps[grouped..].iter().zip(rest) {
        for (sum, &value) in sums.iter_mut().zip(tap) {
            *sum = fused(f32::from(value), *weight, *sum);
        }
    }
    sums
}
