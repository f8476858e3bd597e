//! Bilinear: two taps on each axis, first along rows.

use super::{Image, Line, Rows, scale};

/// The input position of an output sample, by its index and the scale.
pub(super) type Grid = fn(usize, f32) -> f32;

/// Two neighbouring input positions and the share of the second.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 2],
    share: f32,
}

impl Taps {
    fn new(index: usize, line: &Line, grid: Grid) -> Self {
        let center = grid(index, scale(line));
        let first = center.floor().max(0.0) as usize;
        let second = (center.ceil() as usize).min(line.input - 1);
        Self { positions: [first, second], share: center - center.floor() }
    }
}

#[derive(Default, Debug)]
pub(super) struct Bilinear {
    columns: Vec<Taps>,
    rows: Rows<f32, 2>,
}

impl Bilinear {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        grid: Grid,
        out: &mut [f32],
    ) {
        let Self { columns, rows } = self;
        columns.clear();
        columns.extend(across.wanted.clone().map(|column| Taps::new(column, across, grid)));
        rows.clear();
        let length = across.wanted.len() * source.channels;
        for (row, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
            let taps = Taps::new(row, down, grid);
            let [upper, lower] = rows.get(taps.positions, |position, values| {
                horizontal(source, position, columns, values);
            });
            for ((sample, &upper), &lower) in output.iter_mut().zip(upper).zip(lower) {
                *sample = upper + (lower - upper) * taps.share;
            }
        }
    }
}

fn horizontal(source: &Image<'_>, position: usize, columns: &[Taps], values: &mut Vec<f32>) {
    let channels = source.channels;
    let row = source.plane().row(position);
    for taps in columns {
        let [left, right] = taps.positions.map(|at| &row[at * channels..][..channels]);
        values.extend(left.iter().zip(right).map(|(&left, &right)| {
            let (left, right) = (f32::from(left), f32::from(right));
            left + (right - left) * taps.share
        }));
    }
}
