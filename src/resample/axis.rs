//! Filter windows of one axis as 22-bit fixed-point coefficients, and a small cache of them.
//!
//! The arithmetic follows Pillow's 8-bit resize: windows and weights in f64, coefficients
//! rounded half away from zero and not renormalised.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "axis lengths are below 2^31, and Pillow's definition truncates"
)]

use std::ops::Range;

use super::filter::Filter;

/// Fraction bits of a coefficient: 32 less 8 for the sample and 2 for overshoot, as in Pillow.
pub(super) const PRECISION_BITS: u32 = 22;

/// A coefficient is `high * 2^SPLIT_BITS + low`, and both parts fit an i16.
pub(super) const SPLIT_BITS: u32 = 15;

/// How weights become integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weights {
    /// In units of 2^-22.
    Pillow,
    /// As an i16 with as many fraction bits as the greatest weight of the whole axis allows.
    Torch,
}

/// Everything the coefficients of one axis depend on.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct AxisKey {
    pub(super) filter: Filter,
    /// Input samples.
    pub(super) input: usize,
    /// Edges of the source region on this axis.
    pub(super) region: [f32; 2],
    /// Output samples of the full result.
    pub(super) output: usize,
    /// The output samples that are wanted.
    pub(super) wanted: Range<usize>,
    pub(super) weights: Weights,
    /// The number of taps is rounded up to a multiple of this with zero coefficients.
    pub(super) tap_multiple: usize,
}

/// The input samples that one output sample is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// First input sample, counted from the start of [`Axis::span`].
    pub(super) start: usize,
    /// Number of input samples.
    pub(super) taps: usize,
}

/// Windows and coefficients of the wanted output samples.
#[derive(Default, Debug)]
pub(super) struct Axis {
    /// All input samples that any window uses.
    pub(super) span: Range<usize>,
    /// One window per wanted output sample; starts never decrease.
    pub(super) windows: Vec<Window>,
    /// Greatest end of a window after rounding its taps up, from the start of the span.
    pub(super) reach: usize,
    stride: usize,
    coefficients: Vec<i32>,
    high: Vec<i32>,
    low: Vec<i32>,
    weights: Vec<f64>,
}

impl Axis {
    /// The coefficients of one window, one for each tap.
    pub(super) fn coefficients(&self, index: usize) -> &[i32] {
        &self.coefficients[index * self.stride..][..self.windows[index].taps]
    }

    /// The upper and lower coefficient parts of one window, two taps (i16, the earlier one in the
    /// low half) to an i32, filled up with zeros to the tap multiple.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn split_pairs(&self, index: usize) -> (&[i32], &[i32]) {
        let pairs = self.stride / 2;
        (&self.high[index * pairs..][..pairs], &self.low[index * pairs..][..pairs])
    }

    fn rebuild(&mut self, key: &AxisKey) {
        let grid = Grid::new(key);
        let most_taps = (grid.support.ceil() as usize * 2 + 1).min(key.input);
        self.stride = most_taps.next_multiple_of(key.tap_multiple);
        self.windows.clear();
        self.coefficients.clear();
        self.coefficients.resize(key.wanted.len() * self.stride, 0);
        let bits = match key.weights {
            Weights::Pillow => PRECISION_BITS,
            Weights::Torch => self.torch_bits(key, &grid),
        };
        for (row, index) in key.wanted.clone().enumerate() {
            let window = grid.window(index);
            self.windows.push(Window { start: window.start, taps: window.len() });
            self.weigh(key.filter, window, &grid, index);
            let coefficients = &mut self.coefficients[row * self.stride..];
            for (coefficient, &weight) in coefficients.iter_mut().zip(&self.weights) {
                // A sum shifted by fewer bits is the same as this one shifted by all.
                *coefficient = fixed_point(weight, bits) << (PRECISION_BITS - bits);
            }
        }
        self.measure(key.tap_multiple);
        self.split();
    }

    /// Fraction bits with which all weights of the axis fit an i16, as torch finds them.
    fn torch_bits(&mut self, key: &AxisKey, grid: &Grid) -> u32 {
        let mut greatest = 0.0_f64;
        for index in 0..key.output {
            self.weigh(key.filter, grid.window(index), grid, index);
            greatest = self.weights.iter().fold(greatest, |most, &weight| most.max(weight));
        }
        let fits = |bits: &u32| fixed_point(greatest, bits + 1) < 1 << 15;
        (0..PRECISION_BITS).take_while(fits).count() as u32
    }

    /// Leaves the normalised weights of the input samples `window` in `self.weights`.
    fn weigh(&mut self, filter: Filter, window: Range<usize>, grid: &Grid, index: usize) {
        let center = grid.center(index);
        self.weights.clear();
        let distances = window.map(|sample| (sample as f64 - center + 0.5) * grid.step);
        self.weights.extend(distances.map(|distance| filter.weight(distance)));
        // Not `sum()`: the order of additions is part of the definition, and it starts at +0.
        let total = self.weights.iter().fold(0.0, |total, weight| total + weight);
        if total != 0.0 {
            self.weights.iter_mut().for_each(|weight| *weight /= total);
        }
    }

    /// Sets the span and the reach, and makes the window starts relative to the span.
    fn measure(&mut self, tap_multiple: usize) {
        let first = self.windows.first().map_or(0, |window| window.start);
        self.span = first..first;
        self.reach = 0;
        for window in &mut self.windows {
            window.start -= first;
            self.span.end = self.span.end.max(first + window.start + window.taps);
            self.reach = self.reach.max(window.start + window.taps.next_multiple_of(tap_multiple));
        }
    }

    fn split(&mut self) {
        let mask = (1 << SPLIT_BITS) - 1;
        self.high.clear();
        self.low.clear();
        for pair in self.coefficients.chunks_exact(2) {
            self.high.push(pack(pair[0] >> SPLIT_BITS, pair[1] >> SPLIT_BITS));
            self.low.push(pack(pair[0] & mask, pair[1] & mask));
        }
    }
}

/// Where the windows of an axis are.
#[derive(Debug)]
struct Grid {
    begin: f64,
    scale: f64,
    support: f64,
    /// Distance of two input samples in units of the filter.
    step: f64,
    input: usize,
}

impl Grid {
    fn new(key: &AxisKey) -> Self {
        let [begin, end] = key.region;
        // Pillow subtracts the edges as f32 and only then goes on in f64.
        let scale = f64::from(end - begin) / key.output as f64;
        let widening = scale.max(1.0);
        let support = key.filter.support() * widening;
        let begin = f64::from(begin);
        Self { begin, scale, support, step: 1.0 / widening, input: key.input }
    }

    fn center(&self, index: usize) -> f64 {
        self.begin + (index as f64 + 0.5) * self.scale
    }

    /// The input samples of one output sample.
    fn window(&self, index: usize) -> Range<usize> {
        let center = self.center(index);
        let start = (center - self.support + 0.5).max(0.0) as usize;
        let stop = ((center + self.support + 0.5) as usize).min(self.input);
        start..stop.max(start)
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64, bits: u32) -> i32 {
    (weight * f64::from(1 << bits) + 0.5_f64.copysign(weight)) as i32
}

/// Puts two numbers that fit an i16 into one i32, the first in the low half.
fn pack(first: i32, second: i32) -> i32 {
    (second << 16) | (first & 0xffff)
}

/// The most recently used axes; their buffers are reused when they are replaced.
#[derive(Default, Debug)]
pub(super) struct AxisCache {
    /// Least recently used first.
    entries: Vec<(AxisKey, Axis)>,
}

impl AxisCache {
    /// Folders mostly hold a few camera formats, each in both orientations.
    const CAPACITY: usize = 8;

    /// Makes the axes of both keys present, then returns them in the same order.
    pub(super) fn get_pair(&mut self, first: &AxisKey, second: &AxisKey) -> (&Axis, &Axis) {
        self.ensure(first);
        self.ensure(second);
        let find = |wanted: &AxisKey| {
            let entry = self.entries.iter().rev().find(|(key, _)| key == wanted);
            &entry.expect("the last two ensured axes are present").1
        };
        (find(first), find(second))
    }

    /// Makes the axis of one key present, then returns it.
    pub(super) fn get(&mut self, key: &AxisKey) -> &Axis {
        self.ensure(key);
        &self.entries.last().expect("an ensured axis is the last entry").1
    }

    fn ensure(&mut self, wanted: &AxisKey) {
        if let Some(found) = self.entries.iter().position(|(key, _)| key == wanted) {
            self.entries[found..].rotate_left(1);
            return;
        }
        let mut axis = if self.entries.len() < Self::CAPACITY {
            Axis::default()
        } else {
            self.entries.remove(0).1
        };
        axis.rebuild(wanted);
        self.entries.push((wanted.clone(), axis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(output: usize) -> AxisKey {
        AxisKey {
            filter: Filter::Lanczos,
            input: 100,
            region: [0.0, 100.0],
            output,
            wanted: 0..output,
            weights: Weights::Pillow,
            tap_multiple: 4,
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn split_coefficients_add_up_again() {
        let mut cache = AxisCache::default();
        let axis = cache.get(&key(37));
        let mut negative = 0;
        for index in 0..37 {
            let (high, low) = axis.split_pairs(index);
            for (tap, &expected) in axis.coefficients(index).iter().enumerate() {
                let half = |pairs: &[i32]| (pairs[tap / 2] >> (16 * (tap % 2))) as i16;
                let sum = (i32::from(half(high)) << SPLIT_BITS) + i32::from(half(low));
                assert_eq!(sum, expected, "window {index}, tap {tap}");
                negative += usize::from(expected < 0);
            }
        }
        assert!(negative > 0);
    }

    #[test]
    fn a_full_cache_forgets_the_least_recently_used_axis() {
        let mut cache = AxisCache::default();
        for output in 1..=AxisCache::CAPACITY {
            cache.get(&key(output));
        }
        cache.get_pair(&key(1), &key(50));
        let outputs: Vec<_> = cache.entries.iter().map(|(key, _)| key.output).collect();
        assert_eq!(outputs, [3, 4, 5, 6, 7, 8, 1, 50]);
    }

    #[test]
    fn wanted_part_has_the_windows_of_the_whole() {
        let mut cache = AxisCache::default();
        let part = AxisKey { wanted: 10..20, ..key(37) };
        let (whole, part) = cache.get_pair(&key(37), &part);
        for index in 0..10 {
            assert_eq!(part.coefficients(index), whole.coefficients(index + 10));
            let start = part.span.start + part.windows[index].start;
            assert_eq!(start, whole.windows[index + 10].start, "window {index}");
        }
    }
}
