//! `INTER_CUBIC`: Keys' cubic with a = −0.75, four taps on each axis.
//!
//! OpenCV's packages for x86-64 leave this to Intel's IPP, which computes in floats and rounds
//! once: the same here but for ties, about one sample in 10 000. OpenCV's own kernel, which it uses
//! elsewhere and for sources with a side below four, has 11-bit weights and differs from it by 1 in
//! some percent of samples.

use super::{Image, Line, Rows, weigh};

/// Four neighbouring input positions and their weights.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 4],
    weights: [f32; 4],
}

impl Taps {
    fn new(index: usize, line: &Line) -> Self {
        let scale = line.input as f64 / line.output as f64;
        let center = (index as f64 + 0.5) * scale - 0.5;
        let first = center.floor() as isize - 1;
        let positions = [0, 1, 2, 3].map(|tap| line.clamp(first + tap));
        Self { positions, weights: weights(center - center.floor()) }
    }
}

/// The cubic at the distances 1 + x, x, 1 − x and 2 − x.
fn weights(x: f64) -> [f32; 4] {
    const A: f64 = -0.75;
    let far = x + 1.0;
    let inner = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let first = ((A * far - 5.0 * A) * far + 8.0 * A) * far - 4.0 * A;
    let (second, third) = (inner(x), inner(1.0 - x));
    [first, second, third, 1.0 - first - second - third].map(|weight| weight as f32)
}

#[derive(Default, Debug)]
pub(super) struct Cubic {
    columns: Vec<Taps>,
    rows: Rows<f32, 4>,
}

impl Cubic {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        out: &mut [u8],
    ) {
        let Self { columns, rows } = self;
        columns.clear();
        columns.extend(across.wanted.clone().map(|column| Taps::new(column, across)));
        rows.clear();
        let length = across.wanted.len() * source.channels;
        for (row, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
            let taps = Taps::new(row, down);
            let [a, b, c, d] = rows.get(taps.positions, |position, values| {
                horizontal(source, position, columns, values);
            });
            let inputs = a.iter().zip(b).zip(c).zip(d);
            for (sample, (((&a, &b), &c), &d)) in output.iter_mut().zip(inputs) {
                *sample = weigh([a, b, c, d], taps.weights).round_ties_even() as u8;
            }
        }
    }
}

fn horizontal(source: &Image<'_>, position: usize, columns: &[Taps], values: &mut Vec<f32>) {
    let channels = source.channels;
    let row = source.plane().row(position);
    for taps in columns {
        let pixels = taps.positions.map(|at| &row[at * channels..][..channels]);
        let value = |channel| weigh(pixels.map(|p| f32::from(p[channel])), taps.weights);
        values.extend((0..channels).map(value));
    }
}
