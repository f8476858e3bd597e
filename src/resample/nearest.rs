//! Resizing without a filter: every output sample is one input sample.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sides are below 2^24, and Pillow's definition truncates"
)]

use std::ops::Range;

use super::{Image, Job};

/// Writes the crop to `out`; `columns` is scratch.
pub(super) fn resize(job: &Job<'_>, columns: &mut Vec<usize>, out: &mut [u8]) {
    let (source, target, crop) = (job.source, job.request.target, job.request.crop);
    let wanted = crop.left..crop.left + crop.width;
    columns.clear();
    columns.extend(positions(source.size.width, job.row_edges(), target.width, wanted));
    let wanted = crop.top..crop.top + crop.height;
    let rows = positions(source.size.height, job.column_edges(), target.height, wanted);
    copy(source, rows, columns, out);
}

/// Writes the pixels at these input rows and columns to `out`.
pub(super) fn copy(
    source: &Image<'_>,
    rows: impl Iterator<Item = usize>,
    columns: &[usize],
    out: &mut [u8],
) {
    let plane = source.plane();
    for (row, output) in rows.zip(out.chunks_exact_mut(columns.len() * source.channels)) {
        match source.channels {
            1 => pick::<1>(plane.row(row), columns, output),
            3 => pick::<3>(plane.row(row), columns, output),
            _ => pick::<4>(plane.row(row), columns, output),
        }
    }
}

fn pick<const C: usize>(input: &[u8], columns: &[usize], output: &mut [u8]) {
    for (&column, pixel) in columns.iter().zip(output.chunks_exact_mut(C)) {
        pixel.copy_from_slice(&input[column * C..][..C]);
    }
}

/// The input position of each wanted output position.
fn positions(
    input: usize,
    [begin, end]: [f32; 2],
    output: usize,
    wanted: Range<usize>,
) -> impl Iterator<Item = usize> {
    let scale = f64::from(end - begin) / output as f64;
    // Pillow adds up the steps; multiplying instead can round to another sample.
    let mut center = f64::from(begin) + scale * 0.5;
    let all = std::iter::repeat_with(move || {
        let position = (center as usize).min(input - 1);
        center += scale;
        position
    });
    all.skip(wanted.start).take(wanted.len())
}
