//! The two passes with AVX2, and the way to those with SSE2; sample for sample equal to the
//! portable ones.
//!
//! A coefficient is split in two i16 parts, so that `pmaddwd` multiplies and adds two taps at
//! once. Both part sums and their combination are taken modulo 2^32; the true total fits an i32,
//! so it comes out exact.

#![expect(unsafe_code, reason = "vector loads, stores and calls behind a runtime check")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_cvtepu8_epi16, _mm256_extract_epi32, _mm256_hadd_epi32, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute2x128_si256,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi8,
    _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32,
    _mm256_srai_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use super::axis::{Axis, PRECISION_BITS, SPLIT_BITS, Window};
use super::plane::{Plane, PlaneMut};
use super::sse2;

/// Rows that share one reading of the coefficients.
const ROWS: usize = 4;

/// Bytes of a row that the vertical pass sums at once.
const BLOCK: usize = 32;

/// Samples that one load of the horizontal passes covers.
const LOAD: usize = 16;

const SHIFT: i32 = SPLIT_BITS.cast_signed();
const PRECISION: i32 = PRECISION_BITS.cast_signed();

/// Which vector instructions are used.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Level {
    Sse2,
    Avx2,
}

/// The vector kernels; that a value exists is the proof that the processor has its instructions.
#[derive(Debug)]
pub(super) struct Vectors {
    level: Level,
    /// Copies of the rows that end too close to the end of a plane for whole vectors.
    tail: Vec<u8>,
}

impl Vectors {
    pub(super) fn avx2() -> Option<Self> {
        let found = std::arch::is_x86_feature_detected!("avx2");
        found.then(|| Self { level: Level::Avx2, tail: Vec::new() })
    }

    pub(super) fn sse2() -> Option<Self> {
        let found = std::arch::is_x86_feature_detected!("sse2");
        found.then(|| Self { level: Level::Sse2, tail: Vec::new() })
    }

    /// See [`super::portable::horizontal`].
    pub(super) fn horizontal<const C: usize>(
        &mut self,
        axis: &Axis,
        source: Plane<'_>,
        target: &mut PlaneMut<'_>,
    ) {
        const { assert!(C == 1 || C == 3 || C == 4) };
        // The last load of a row of three channels starts at a multiple of 12, not of 16.
        let reach = axis.reach * C + if C == 3 { 4 } else { 0 };
        let rows = target.rows();
        let direct = source.rows_with(reach).min(rows);
        let row_bytes = axis.span.len() * C;
        self.tail.clear();
        for row in direct..rows {
            let start = self.tail.len();
            self.tail.extend_from_slice(&source.row(row)[..row_bytes]);
            self.tail.resize(start + reach, 0);
        }
        let (mut upper, mut lower) = target.split_at(direct);
        let tail = Plane::new(&self.tail, reach);
        for (source, target) in [(source, &mut upper), (tail, &mut lower)] {
            // SAFETY: a value of this type exists only where its level was detected.
            unsafe {
                match self.level {
                    Level::Sse2 => sse2::horizontal::<C>(axis, source, target),
                    Level::Avx2 => horizontal::<C>(axis, source, target),
                }
            }
        }
    }

    /// See [`super::portable::vertical`].
    pub(super) fn vertical(&self, axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
        let row_bytes = target.row_bytes();
        // SAFETY: a value of this type exists only where its level was detected.
        unsafe {
            match self.level {
                Level::Avx2 if row_bytes >= BLOCK => vertical(axis, source, target),
                // Every processor with AVX2 has SSE2.
                _ if row_bytes >= sse2::BLOCK => sse2::vertical(axis, source, target),
                _ => super::portable::vertical(axis, source, target),
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn horizontal<const C: usize>(axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
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
                target.row(row)[index * C..][..C].copy_from_slice(&pixel.to_le_bytes()[..C]);
            }
        }
    }
}

/// One output pixel of each row, of three or four channels.
#[inline]
#[target_feature(enable = "avx2")]
fn color<const C: usize>(
    rows: [&[u8]; ROWS],
    window: Window,
    (high, low): (&[i32], &[i32]),
) -> [i32; ROWS] {
    let interleave = interleave::<C>();
    // Both taps of a pair go to the four channels of a half: the first pair below, then above.
    let spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for quad in 0..window.taps.div_ceil(4) {
        let high = _mm256_permutevar8x32_epi32(two_pairs(high, quad * 2), spread);
        let low = _mm256_permutevar8x32_epi32(two_pairs(low, quad * 2), spread);
        let at = (window.start + quad * 4) * C;
        for (row, sums) in rows.into_iter().zip(&mut sums) {
            let taps = _mm256_broadcastsi128_si256(load_16(row, at));
            let taps = _mm256_shuffle_epi8(taps, interleave);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(taps, high));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(taps, low));
        }
    }
    let [a, b, c, d] = combine(sums);
    let (upper, lower) = (round(fold(a, b)), round(fold(c, d)));
    let words = _mm256_packs_epi32(upper, lower);
    let pixels = _mm256_packus_epi16(words, words);
    // The folds left rows 0 and 2 below, rows 1 and 3 above.
    [
        _mm256_extract_epi32::<0>(pixels),
        _mm256_extract_epi32::<4>(pixels),
        _mm256_extract_epi32::<1>(pixels),
        _mm256_extract_epi32::<5>(pixels),
    ]
}

/// Spreads four pixels to i16 pairs of the same channel: pixels 0 and 1 below, 2 and 3 above.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave<const C: usize>() -> __m256i {
    if C == 3 {
        _mm256_setr_epi8(
            0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7, -1, 10, -1,
            8, -1, 11, -1, -1, -1, -1, -1,
        )
    } else {
        _mm256_setr_epi8(
            0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1, 8, -1, 12, -1, 9, -1, 13, -1,
            10, -1, 14, -1, 11, -1, 15, -1,
        )
    }
}

/// Adds the halves of each: those of `a` end below, those of `b` above.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x31>(a, b),
    )
}

/// One output sample of each row, of one channel.
#[inline]
#[target_feature(enable = "avx2")]
fn gray(rows: [&[u8]; ROWS], window: Window, (high, low): (&[i32], &[i32])) -> [i32; ROWS] {
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for group in 0..window.taps.div_ceil(LOAD) {
        let (high, low) = (load_pairs(high, group * 8), load_pairs(low, group * 8));
        for (row, sums) in rows.into_iter().zip(&mut sums) {
            let taps = _mm256_cvtepu8_epi16(load_16(row, window.start + group * LOAD));
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(taps, high));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(taps, low));
        }
    }
    let [a, b, c, d] = combine(sums);
    let quarters = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let words = round(fold(quarters, quarters));
    let words = _mm256_packs_epi32(words, words);
    let samples = _mm256_extract_epi32::<0>(_mm256_packus_epi16(words, words));
    [samples, samples >> 8, samples >> 16, samples >> 24]
}

#[target_feature(enable = "avx2")]
fn vertical(axis: &Axis, source: Plane<'_>, target: &mut PlaneMut<'_>) {
    let row_bytes = target.row_bytes();
    for (index, &window) in axis.windows.iter().enumerate() {
        let pairs = axis.split_pairs(index);
        let output = target.row(index);
        let blocks = (0..row_bytes - BLOCK).step_by(BLOCK);
        // The last block overlaps the one before it where the row is no multiple of a block.
        for at in blocks.chain([row_bytes - BLOCK]) {
            let block = column_block(source, at, window, pairs);
            output[at..][..BLOCK].copy_from_slice(&to_bytes(block));
        }
    }
}

/// One output row over the columns `at..at + BLOCK`.
#[inline]
#[target_feature(enable = "avx2")]
fn column_block(
    source: Plane<'_>,
    at: usize,
    window: Window,
    (high, low): (&[i32], &[i32]),
) -> __m256i {
    let zero = _mm256_setzero_si256();
    let mut sums = [[zero; 2]; 4];
    let pairs = window.taps.div_ceil(2);
    for (pair, (&high, &low)) in high.iter().zip(low).take(pairs).enumerate() {
        let tap = pair * 2;
        let (high, low) = (_mm256_set1_epi32(high), _mm256_set1_epi32(low));
        let first = load_32(source.row(window.start + tap), at);
        // The coefficient of a missing second tap is zero, so any row will do.
        let second = load_32(source.row(window.start + (tap + 1).min(window.taps - 1)), at);
        let below = _mm256_unpacklo_epi8(first, second);
        let above = _mm256_unpackhi_epi8(first, second);
        let taps = [
            _mm256_unpacklo_epi8(below, zero),
            _mm256_unpackhi_epi8(below, zero),
            _mm256_unpacklo_epi8(above, zero),
            _mm256_unpackhi_epi8(above, zero),
        ];
        for (taps, sums) in taps.into_iter().zip(&mut sums) {
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(taps, high));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(taps, low));
        }
    }
    let [a, b, c, d] = combine(sums);
    _mm256_packus_epi16(
        _mm256_packs_epi32(round(a), round(b)),
        _mm256_packs_epi32(round(c), round(d)),
    )
}

/// Joins the sums of the upper and lower coefficient parts.
#[inline]
#[target_feature(enable = "avx2")]
fn combine(sums: [[__m256i; 2]; 4]) -> [__m256i; 4] {
    let mut totals = [_mm256_setzero_si256(); 4];
    // Not `map`: its closure would not be inlined, for want of the target feature.
    for (total, [high, low]) in totals.iter_mut().zip(sums) {
        *total = _mm256_add_epi32(_mm256_slli_epi32::<SHIFT>(high), low);
    }
    totals
}

/// Rounds sums of products to samples; clipping is left to the saturating packs.
#[inline]
#[target_feature(enable = "avx2")]
fn round(sums: __m256i) -> __m256i {
    let half = _mm256_set1_epi32(1 << (PRECISION - 1));
    _mm256_srai_epi32::<PRECISION>(_mm256_add_epi32(sums, half))
}

/// The pairs `at` and `at + 1` in the two lowest i32 lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn two_pairs(pairs: &[i32], at: usize) -> __m256i {
    let [first, second] = *chunk::<2, _>(pairs, at);
    let both = i64::from(second) << 32 | i64::from(first.cast_unsigned());
    _mm256_set1_epi64x(both)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_16(bytes: &[u8], at: usize) -> __m128i {
    // SAFETY: an unaligned load of 16 bytes from a borrowed array of 16 bytes.
    unsafe { _mm_loadu_si128(chunk::<16, _>(bytes, at).as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_32(bytes: &[u8], at: usize) -> __m256i {
    // SAFETY: an unaligned load of 32 bytes from a borrowed array of 32 bytes.
    unsafe { _mm256_loadu_si256(chunk::<32, _>(bytes, at).as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_pairs(pairs: &[i32], at: usize) -> __m256i {
    // SAFETY: an unaligned load of 32 bytes from a borrowed array of eight i32.
    unsafe { _mm256_loadu_si256(chunk::<8, _>(pairs, at).as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn to_bytes(vector: __m256i) -> [u8; 32] {
    let mut bytes = [0; 32];
    // SAFETY: an unaligned store of 32 bytes to an array of 32 bytes.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
    bytes
}

#[inline]
fn chunk<const N: usize, T>(values: &[T], at: usize) -> &[T; N] {
    values[at..at + N].as_array().expect("the slice has the length of the array")
}

#[cfg(test)]
mod tests {
    use super::super::axis::{AxisCache, AxisKey, Weights};
    use super::super::{Filter, portable};
    use super::*;

    /// (input, output) lengths: enlarging, shrinking, and windows of 1 to 200 samples.
    const LENGTHS: [(usize, usize); 8] =
        [(1, 3), (2, 1), (7, 5), (16, 33), (33, 16), (61, 7), (100, 99), (200, 1)];
    const FILTERS: [Filter; 3] = [Filter::Box, Filter::Bicubic, Filter::Lanczos];

    fn key(filter: Filter, (input, output): (usize, usize), tap_multiple: usize) -> AxisKey {
        let region = [0.0, f32::from(u16::try_from(input).unwrap())];
        // Leaving out the first sample moves the span off the origin.
        let wanted = usize::from(output > 1)..output;
        let weights = Weights::Pillow;
        AxisKey { filter, input, region, output, wanted, weights, tap_multiple }
    }

    /// Extremes and noise by turns, without slack behind the last sample.
    fn samples(length: usize) -> Vec<u8> {
        let value = |index: usize| match index / 50 % 3 {
            0 => u8::from(index % 3 == 1) * 255,
            _ => ((index * index * 7919) >> 5).to_le_bytes()[0],
        };
        (0..length).map(value).collect()
    }

    fn compare_horizontal<const C: usize>(vectors: &mut Vectors, key: &AxisKey, rows: usize) {
        let mut cache = AxisCache::default();
        let axis = cache.get(key);
        let samples = samples(rows * key.input * C);
        let source = Plane::new(&samples, key.input * C).skip(0, axis.span.start * C);
        let row_bytes = key.wanted.len() * C;
        let mut expected = vec![1; rows * row_bytes];
        portable::horizontal::<C>(axis, source, &mut PlaneMut::new(&mut expected, row_bytes));
        let mut actual = vec![2; rows * row_bytes];
        let mut target = PlaneMut::new(&mut actual, row_bytes);
        vectors.horizontal::<C>(axis, source, &mut target);
        assert_eq!(actual, expected, "{rows} rows of {C} channels, {key:?}");
    }

    fn all() -> Vec<Vectors> {
        let all: Vec<_> = [Vectors::sse2(), Vectors::avx2()].into_iter().flatten().collect();
        if all.len() < 2 {
            eprintln!("skipped: no AVX2 here");
        }
        all
    }

    #[test]
    fn horizontal_pass_equals_the_portable_one() {
        for mut vectors in all() {
            for lengths in
                FILTERS.map(|filter| LENGTHS.map(|lengths| (filter, lengths))).as_flattened()
            {
                let &(filter, lengths) = lengths;
                for rows in [1, 3, 4, 9] {
                    compare_horizontal::<1>(&mut vectors, &key(filter, lengths, 16), rows);
                    compare_horizontal::<3>(&mut vectors, &key(filter, lengths, 4), rows);
                    compare_horizontal::<4>(&mut vectors, &key(filter, lengths, 4), rows);
                }
            }
        }
    }

    #[test]
    fn vertical_pass_equals_the_portable_one() {
        let keys = FILTERS.map(|filter| LENGTHS.map(|lengths| key(filter, lengths, 2)));
        for (key, row_bytes) in keys
            .as_flattened()
            .iter()
            .flat_map(|key| [1, 15, 16, 17, 31, 32, 33, 64, 95].map(|w| (key, w)))
        {
            let mut cache = AxisCache::default();
            let axis = cache.get(key);
            let samples = samples(key.input * row_bytes);
            let source = Plane::new(&samples, row_bytes).skip(axis.span.start, 0);
            let mut expected = vec![1; key.wanted.len() * row_bytes];
            portable::vertical(axis, source, &mut PlaneMut::new(&mut expected, row_bytes));
            for vectors in all() {
                let mut actual = vec![2; expected.len()];
                vectors.vertical(axis, source, &mut PlaneMut::new(&mut actual, row_bytes));
                assert_eq!(actual, expected, "{row_bytes} bytes, {key:?}");
            }
        }
    }
}
