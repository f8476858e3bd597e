//! `INTER_LINEAR`, and `INTER_AREA` where an axis grows: two taps on each axis.

use super::{Image, Line, Rows, fixed_point, scale};

/// Where the two taps of an output sample are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Centers {
    /// Around the centre of the output sample.
    HalfPixel,
    /// The second tap only where the output sample reaches into it.
    Area,
}

/// Two neighbouring input positions and their weights.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taps {
    positions: [usize; 2],
    weights: [i32; 2],
}

impl Taps {
    /// The taps of output position `index`; `pinned` is OpenCV's treatment of columns.
    fn new(index: usize, line: &Line, centers: Centers, pinned: bool) -> Self {
        let last = line.input.cast_signed() - 1;
        let (first, mut fraction) = match centers {
            Centers::HalfPixel => {
                let center = ((index as f64 + 0.5) * scale(line) - 0.5) as f32;
                (center.floor() as isize, center - center.floor())
            }
            Centers::Area => {
                let first = (index as f64 * scale(line)).floor();
                let shrink = line.output as f64 / line.input as f64;
                let reach = ((index + 1) as f64 - (first + 1.0) * shrink) as f32;
                (first as isize, if reach <= 0.0 { 0.0 } else { reach - reach.floor() })
            }
        };
        if pinned && (first < 0 || first >= last) {
            fraction = 0.0;
        }
        let positions = [first, first + 1].map(|position| line.clamp(position));
        Self { positions, weights: [1.0 - fraction, fraction].map(fixed_point) }
    }
}

#[derive(Default, Debug)]
pub(super) struct Linear {
    columns: Vec<Taps>,
    rows: Rows<i32, 2>,
}

impl Linear {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        centers: Centers,
        out: &mut [u8],
    ) {
        let Self { columns, rows } = self;
        columns.clear();
        let wanted = across.wanted.clone();
        columns.extend(wanted.map(|column| Taps::new(column, across, centers, true)));
        rows.clear();
        let length = across.wanted.len() * source.channels;
        for (row, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
            let taps = Taps::new(row, down, centers, false);
            let [upper, lower] = rows
                .get(taps.positions, |position, sums| horizontal(source, position, columns, sums));
            for ((sample, &upper), &lower) in output.iter_mut().zip(upper).zip(lower) {
                *sample = blend([upper, lower], taps.weights);
            }
        }
    }
}

fn horizontal(source: &Image<'_>, position: usize, columns: &[Taps], sums: &mut Vec<i32>) {
    let channels = source.channels;
    let row = source.plane().row(position);
    for taps in columns {
        let [left, right] = taps.positions.map(|at| &row[at * channels..][..channels]);
        sums.extend(left.iter().zip(right).map(|(&left, &right)| {
            i32::from(left) * taps.weights[0] + i32::from(right) * taps.weights[1]
        }));
    }
}

/// The vertical step; the truncating shifts are OpenCV's, and show in the result.
fn blend(sums: [i32; 2], weights: [i32; 2]) -> u8 {
    let part = |index: usize| (weights[index] * (sums[index] >> 4)) >> 16;
    ((part(0) + part(1) + 2) >> 2).clamp(0, 255) as u8
}
