//! The two passes in portable Rust; the definition the vector kernels are tested against.

use super::axis::{Axis, PRECISION_BITS};
use super::plane::{Plane, PlaneMut};

const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Rounds a sum of products back to a sample.
fn sample(sum: i32) -> u8 {
    u8::try_from((sum >> PRECISION_BITS).clamp(0, 255)).expect("clamped to the range of u8")
}

/// Resamples along rows: every row of `source` to one of `target`; `source` begins at the span.
pub(super) fn horizontal<const C: usize>(
    axis: &Axis,
    source: Plane<'_>,
    target: &mut PlaneMut<'_>,
) {
    for row in 0..target.rows() {
        let input = source.row(row);
        let output = target.row(row).chunks_exact_mut(C);
        for (index, (window, pixel)) in axis.windows.iter().zip(output).enumerate() {
            let mut sums = [HALF; C];
            let taps = input[window.start * C..].chunks_exact(C);
            for (coefficient, tap) in axis.coefficients(index).iter().zip(taps) {
                for (sum, &value) in sums.iter_mut().zip(tap) {
                    *sum = sum.wrapping_add(coefficient.wrapping_mul(i32::from(value)));
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = sample(sum);
            }
        }
    }
}

/// Resamples along columns; row 0 of `source` is the first of the span.
pub(super) fn vertical(axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
    /// Samples of a row that are summed at once; small enough for registers.
    const BLOCK: usize = 32;
    for (index, window) in axis.windows.iter().enumerate() {
        for (block, output) in target.row(index).chunks_mut(BLOCK).enumerate() {
            let mut sums = [HALF; BLOCK];
            for (tap, coefficient) in axis.coefficients(index).iter().enumerate() {
                let input = &source.row(window.start + tap)[block * BLOCK..][..output.len()];
                for (sum, &value) in sums.iter_mut().zip(input) {
                    *sum = sum.wrapping_add(coefficient.wrapping_mul(i32::from(value)));
                }
            }
            for (value, sum) in output.iter_mut().zip(sums) {
                *value = sample(sum);
            }
        }
    }
}
