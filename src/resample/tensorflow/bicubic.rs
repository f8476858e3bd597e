//! Bicubic: Keys' cubic with a = −0.5 on four taps of each axis, first along columns.

use std::ops::Range;

use super::{Image, Line, half_pixel, scale, weigh};

/// Steps of the fraction that TensorFlow's table of weights has.
const STEPS: f32 = 1024.0;

/// Four neighbouring input positions and their weights; those outside the input weigh nothing.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 4],
    weights: [f32; 4],
}

impl Taps {
    fn new(index: usize, line: &Line) -> Self {
        let center = half_pixel(index, scale(line));
        let first = center.floor() as isize - 1;
        let step = ((center - center.floor()) * STEPS).round_ties_even();
        let (near, far) = (step / STEPS, (STEPS - step) / STEPS);
        let weights = [outer(near), inner(near), inner(far), outer(far)];
        let mut taps = Self { positions: [0; 4], weights };
        for (tap, weight) in taps.weights.iter_mut().enumerate() {
            let position = first + tap.cast_signed();
            taps.positions[tap] = line.clamp(position);
            if line.clamp(position).cast_signed() != position {
                *weight = 0.0;
            }
        }
        let sum = taps.weights.iter().fold(0.0, |sum, weight| sum + weight);
        taps.weights = taps.weights.map(|weight| weight * (1.0 / sum));
        taps
    }
}

const A: f64 = -0.5;

/// The cubic at a distance of `x` below 1, as the table has it.
fn inner(x: f32) -> f32 {
    let x = f64::from(x);
    (((A + 2.0) * x - (A + 3.0)) * x * x + 1.0) as f32
}

/// The cubic at a distance of 1 + `x`.
fn outer(x: f32) -> f32 {
    let x = f64::from(x) + 1.0;
    (((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A) as f32
}

#[derive(Default, Debug)]
pub(super) struct Bicubic {
    columns: Vec<Taps>,
    row: Vec<f32>,
}

impl Bicubic {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        out: &mut [f32],
    ) {
        let Self { columns, row } = self;
        columns.clear();
        columns.extend(across.wanted.clone().map(|column| Taps::new(column, across)));
        let channels = source.channels;
        let first = columns.first().map_or(0, |taps| taps.positions[0]);
        let end = columns.last().map_or(0, |taps| taps.positions[3] + 1);
        let length = across.wanted.len() * channels;
        for (index, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
            vertical(source, &Taps::new(index, down), first * channels..end * channels, row);
            for (taps, pixel) in columns.iter().zip(output.chunks_exact_mut(channels)) {
                let inputs = taps.positions.map(|at| &row[(at - first) * channels..][..channels]);
                for (channel, sample) in pixel.iter_mut().enumerate() {
                    *sample = weigh(inputs.map(|input| input[channel]), taps.weights);
                }
            }
        }
    }
}

/// One output row over the given samples of the input rows.
fn vertical(source: &Image<'_>, taps: &Taps, span: Range<usize>, row: &mut Vec<f32>) {
    let [a, b, c, d] = taps.positions.map(|at| &source.plane().row(at)[span.clone()]);
    row.clear();
    row.extend(
        a.iter()
            .zip(b)
            .zip(c)
            .zip(d)
            .map(|(((&a, &b), &c), &d)| weigh([a, b, c, d].map(f32::from), taps.weights)),
    );
}
