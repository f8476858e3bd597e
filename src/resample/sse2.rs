//! The two passes with SSE2, which every x86-64 processor has, sample for sample equal to the
//! portable ones; see [`super::simd`] for the arithmetic. No unsafe code is needed here.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_madd_epi16, _mm_packs_epi32,
    _mm_packus_epi16, _mm_set_epi32, _mm_set_epi64x, _mm_set1_epi32, _mm_setzero_si128,
    _mm_slli_epi32, _mm_srai_epi32, _mm_srli_epi64, _mm_unpackhi_epi8, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

use super::axis::{Axis, PRECISION_BITS, SPLIT_BITS, Window};
use super::plane::{Plane, PlaneMut};

/// Rows that share one reading of the coefficients.
const ROWS: usize = 4;

/// Bytes of a row that the vertical pass sums at once.
pub(super) const BLOCK: usize = 16;

/// Samples that one load of the horizontal pass over gray images covers.
const LOAD: usize = 16;

const SHIFT: i32 = SPLIT_BITS.cast_signed();
const PRECISION: i32 = PRECISION_BITS.cast_signed();

/// Every row of `source` has the reach of the axis, and four bytes more for three channels.
#[target_feature(enable = "sse2")]
pub(super) fn horizontal<const C: usize>(
    axis: &Axis,
    source: Plane<'_>,
    target: &mut PlaneMut<'_>,
) {
    let rows = target.rows();
    for first in (0..rows).step_by(ROWS) {
        // A last group that is not full computes its last row more than once.
        let group: [usize; ROWS] = std::array::from_fn(|row| (first + row).min(rows - 1));
        let inputs = group.map(|row| source.row(row));
        for (index, &window) in axis.windows.iter().enumerate() {
            let pairs = axis.split_pairs(index);
            let pixels = if C == 1 {
                gray(inputs, window, pairs)
            } else {
                color::<C>(inputs, window, pairs)
            };
            for (row, pixel) in group.into_iter().zip(pixels) {
                target.row(row)[index * C..][..C].copy_from_slice(&pixel[..C]);
            }
        }
    }
}

/// One output pixel of each row, of three or four channels.
#[inline]
#[target_feature(enable = "sse2")]
fn color<const C: usize>(
    rows: [&[u8]; ROWS],
    window: Window,
    (high, low): (&[i32], &[i32]),
) -> [[u8; 4]; ROWS] {
    let zero = _mm_setzero_si128();
    let mut sums = [[zero; 2]; ROWS];
    let pairs = window.taps.div_ceil(2);
    for (pair, (&high, &low)) in high.iter().zip(low).take(pairs).enumerate() {
        let (high, low) = (_mm_set1_epi32(high), _mm_set1_epi32(low));
        let at = (window.start + pair * 2) * C;
        for (row, sums) in rows.into_iter().zip(&mut sums) {
            let first = _mm_cvtsi64_si128(i64::from_le_bytes(*chunk(row, at)));
            let second =
                if C == 3 { _mm_srli_epi64::<24>(first) } else { _mm_srli_epi64::<32>(first) };
            let taps = _mm_unpacklo_epi8(_mm_unpacklo_epi8(first, second), zero);
            sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(taps, high));
            sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(taps, low));
        }
    }
    let [a, b, c, d] = combine(sums);
    let [upper, lower] = to_halves(to_bytes([a, b, c, d]));
    let pixel = |half: [u8; 8], at: usize| *chunk::<4, _>(&half, at);
    [pixel(upper, 0), pixel(upper, 4), pixel(lower, 0), pixel(lower, 4)]
}

/// One output sample of each row, of one channel.
#[inline]
#[target_feature(enable = "sse2")]
fn gray(rows: [&[u8]; ROWS], window: Window, (high, low): (&[i32], &[i32])) -> [[u8; 4]; ROWS] {
    let zero = _mm_setzero_si128();
    let mut sums = [[zero; 2]; ROWS];
    for group in 0..window.taps.div_ceil(LOAD) {
        for half in 0..2 {
            let (high, low) =
                (load_pairs(high, group * 8 + half * 4), load_pairs(low, group * 8 + half * 4));
            let at = window.start + group * LOAD + half * 8;
            for (row, sums) in rows.into_iter().zip(&mut sums) {
                let taps = _mm_cvtsi64_si128(i64::from_le_bytes(*chunk(row, at)));
                let taps = _mm_unpacklo_epi8(taps, zero);
                sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(taps, high));
                sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(taps, low));
            }
        }
    }
    let [a, b, c, d] = combine(sums);
    // Adding the four lanes of each is adding the rows of the transposed matrix.
    let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
    let (ab_above, cd_above) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
    let (ab, cd) = (_mm_add_epi32(ab, ab_above), _mm_add_epi32(cd, cd_above));
    let sums = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
    let [half, _] = to_halves(to_bytes([sums; 4]));
    std::array::from_fn(|row| [half[row], 0, 0, 0])
}

/// The rows of `target` have at least [`BLOCK`] bytes.
#[target_feature(enable = "sse2")]
pub(super) fn vertical(axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
    let row_bytes = target.row_bytes();
    for (index, &window) in axis.windows.iter().enumerate() {
        let pairs = axis.split_pairs(index);
        let output = target.row(index);
        let blocks = (0..row_bytes - BLOCK).step_by(BLOCK);
        // The last block overlaps the one before it where the row is no multiple of a block.
        for at in blocks.chain([row_bytes - BLOCK]) {
            let [upper, lower] = to_halves(column_block(source, at, window, pairs));
            output[at..][..8].copy_from_slice(&upper);
            output[at + 8..][..8].copy_from_slice(&lower);
        }
    }
}

/// One output row over the columns `at..at + BLOCK`.
#[inline]
#[target_feature(enable = "sse2")]
fn column_block(
    source: Plane<'_>,
    at: usize,
    window: Window,
    (high, low): (&[i32], &[i32]),
) -> __m128i {
    let zero = _mm_setzero_si128();
    let mut sums = [[zero; 2]; 4];
    let pairs = window.taps.div_ceil(2);
    for (pair, (&high, &low)) in high.iter().zip(low).take(pairs).enumerate() {
        let tap = pair * 2;
        let (high, low) = (_mm_set1_epi32(high), _mm_set1_epi32(low));
        let first = load(source.row(window.start + tap), at);
        // The coefficient of a missing second tap is zero, so any row will do.
        let second = load(source.row(window.start + (tap + 1).min(window.taps - 1)), at);
        let below = _mm_unpacklo_epi8(first, second);
        let above = _mm_unpackhi_epi8(first, second);
        let taps = [
            _mm_unpacklo_epi8(below, zero),
            _mm_unpackhi_epi8(below, zero),
            _mm_unpacklo_epi8(above, zero),
            _mm_unpackhi_epi8(above, zero),
        ];
        for (taps, sums) in taps.into_iter().zip(&mut sums) {
            sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(taps, high));
            sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(taps, low));
        }
    }
    to_bytes(combine(sums))
}

/// Joins the sums of the upper and lower coefficient parts.
#[inline]
#[target_feature(enable = "sse2")]
fn combine(sums: [[__m128i; 2]; 4]) -> [__m128i; 4] {
    let mut totals = [_mm_setzero_si128(); 4];
    // Not `map`: its closure would not be inlined, for want of the target feature.
    for (total, [high, low]) in totals.iter_mut().zip(sums) {
        *total = _mm_add_epi32(_mm_slli_epi32::<SHIFT>(high), low);
    }
    totals
}

/// Rounds sums of products to samples; clipping is left to the saturating packs.
#[inline]
#[target_feature(enable = "sse2")]
fn to_bytes(sums: [__m128i; 4]) -> __m128i {
    let half = _mm_set1_epi32(1 << (PRECISION - 1));
    let mut rounded = [half; 4];
    for (rounded, sum) in rounded.iter_mut().zip(sums) {
        *rounded = _mm_srai_epi32::<PRECISION>(_mm_add_epi32(sum, half));
    }
    let [a, b, c, d] = rounded;
    _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d))
}

#[inline]
#[target_feature(enable = "sse2")]
fn to_halves(vector: __m128i) -> [[u8; 8]; 2] {
    let upper = _mm_cvtsi128_si64(vector);
    let lower = _mm_cvtsi128_si64(_mm_unpackhi_epi64(vector, vector));
    [upper.to_le_bytes(), lower.to_le_bytes()]
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(bytes: &[u8], at: usize) -> __m128i {
    let [upper, lower] = chunk::<16, _>(bytes, at).as_chunks::<8>().0 else {
        unreachable!("16 bytes")
    };
    _mm_set_epi64x(i64::from_le_bytes(*lower), i64::from_le_bytes(*upper))
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_pairs(pairs: &[i32], at: usize) -> __m128i {
    let &[a, b, c, d] = chunk(pairs, at);
    _mm_set_epi32(d, c, b, a)
}

#[inline]
fn chunk<const N: usize, T>(values: &[T], at: usize) -> &[T; N] {
    values[at..at + N].as_array().expect("the slice has the length of the array")
}
