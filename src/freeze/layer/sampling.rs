//! Resizing as TensorFlow does it, as a product with a matrix for each axis: for the filters that
//! ONNX has differently or not at all.

use crate::freeze::array::{Array, MAX_MADE};

/// Fractions of a pixel that TensorFlow's bicubic filter knows (`kTableSize`).
const CUBIC_STEPS: f64 = 1024.0;

/// The filter's parameter with half-pixel centres (Keys).
const KEYS: f64 = -0.5;

/// A matrix of out×in that brings `side` pixels to `out` with the filter of that name.
///
/// # Errors
///
/// When there is no such filter, or the matrix would be too large.
pub(super) fn matrix(filter: &str, side: usize, out: usize) -> Result<Array, String> {
    let row = match filter {
        "bicubic" => cubic_row,
        "area" => area_row,
        other => return Err(format!("its `interpolation` is {other:?}")),
    };
    let large = side.checked_mul(out).is_none_or(|numbers| numbers > MAX_MADE);
    if large || side == 0 {
        return Err(format!("it resizes {side} pixels to {out}"));
    }
    let mut values = vec![0.0; side * out];
    let scale = side as f64 / out as f64;
    for (index, values) in values.chunks_exact_mut(side).enumerate() {
        row(index, scale, values);
    }
    Ok(Array { shape: vec![out, side], values })
}

/// `tensorflow/core/kernels/image/resize_bicubic_op.cc`: the place is rounded to 1/1024 of a pixel,
/// and what lies outside the image does not count.
#[expect(clippy::cast_possible_truncation, reason = "places in an image")]
fn cubic_row(index: usize, scale: f64, row: &mut [f32]) {
    let place = (index as f64 + 0.5) * scale - 0.5;
    let whole = place.floor();
    let part = ((place - whole) * CUBIC_STEPS).round_ties_even() / CUBIC_STEPS;
    let near = |x: f64| ((KEYS + 2.0) * x - (KEYS + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((KEYS * x - 5.0 * KEYS) * x + 8.0 * KEYS) * x - 4.0 * KEYS;
    let weights = [far(part + 1.0), near(part), near(1.0 - part), far(2.0 - part)];
    let inside = |tap: usize| {
        let at = whole as i64 - 1 + tap as i64;
        usize::try_from(at).ok().filter(|&at| at < row.len())
    };
    let places: Vec<(usize, f64)> =
        (0..4).filter_map(|tap| Some((inside(tap)?, weights[tap]))).collect();
    let sum: f64 = places.iter().map(|(_, weight)| weight).sum();
    for (at, weight) in places {
        row[at] += (weight / sum) as f32;
    }
}

/// The mean over the pixel's area in the image.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in an image")]
fn area_row(index: usize, scale: f64, row: &mut [f32]) {
    let (from, to) = (index as f64 * scale, (index as f64 + 1.0) * scale);
    let last = row.len() - 1;
    for at in from.floor() as usize..=(to.ceil() as usize).saturating_sub(1) {
        let covered = to.min(at as f64 + 1.0) - from.max(at as f64);
        row[at.min(last)] += (covered.max(0.0) / scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_to_one() {
        for filter in ["bicubic", "area"] {
            for (side, out) in [(11, 20), (11, 7), (1, 3), (5, 5), (13, 17)] {
                let matrix = matrix(filter, side, out).unwrap();
                for row in matrix.values.chunks_exact(side) {
                    let sum: f32 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{filter} {side} {out}: {sum}");
                }
            }
        }
        assert!(matrix("lanczos3", 3, 3).is_err());
    }
}
