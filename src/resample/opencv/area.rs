//! `INTER_AREA` where no axis grows: the average over the covered area.

use super::{Image, Line, scale};

/// A share of an input sample in an output sample.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Share {
    position: usize,
    weight: f32,
}

/// The shares that each wanted output sample is made of.
#[derive(Default, Debug)]
struct Shares {
    shares: Vec<Share>,
    /// End of each output's shares.
    ends: Vec<usize>,
}

impl Shares {
    fn rebuild(&mut self, line: &Line) {
        self.shares.clear();
        self.ends.clear();
        let scale = scale(line);
        for index in line.wanted.clone() {
            self.push(index as f64 * scale, scale, line.input);
            self.ends.push(self.shares.len());
        }
    }

    /// The shares of the input from `begin` to `begin + scale`; slivers below a thousandth are
    /// left out.
    fn push(&mut self, begin: f64, scale: f64, input: usize) {
        const SLIVER: f64 = 1e-3;
        let end = begin + scale;
        let width = scale.min(input as f64 - begin);
        let last = (end.floor() as usize).min(input - 1);
        let first = (begin.ceil() as usize).min(last);
        let before = first as f64 - begin;
        if before > SLIVER {
            self.add(first - 1, before / width);
        }
        for position in first..last {
            self.add(position, 1.0 / width);
        }
        let after = end - last as f64;
        if after > SLIVER {
            self.add(last, after.min(1.0).min(width) / width);
        }
    }

    fn add(&mut self, position: usize, weight: f64) {
        self.shares.push(Share { position, weight: weight as f32 });
    }

    fn iter(&self) -> impl Iterator<Item = &[Share]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.shares[start..end])
    }
}

#[derive(Default, Debug)]
pub(super) struct Area {
    across: Shares,
    down: Shares,
    row: Vec<f32>,
    sums: Vec<f32>,
}

impl Area {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        out: &mut [u8],
    ) {
        let whole = |line: &Line| line.input.is_multiple_of(line.output);
        if whole(across) && whole(down) {
            return average_blocks(source, [across, down], out);
        }
        self.across.rebuild(across);
        self.down.rebuild(down);
        let channels = source.channels;
        let length = across.wanted.len() * channels;
        for (shares, output) in self.down.iter().zip(out.chunks_exact_mut(length)) {
            self.sums.clear();
            self.sums.resize(length, 0.0);
            for share in shares {
                self.row.clear();
                horizontal(source, share.position, &self.across, &mut self.row);
                for (sum, value) in self.sums.iter_mut().zip(&self.row) {
                    *sum += share.weight * value;
                }
            }
            for (sample, sum) in output.iter_mut().zip(&self.sums) {
                *sample = sum.round_ties_even() as u8;
            }
        }
    }
}

fn horizontal(source: &Image<'_>, position: usize, across: &Shares, row: &mut Vec<f32>) {
    let channels = source.channels;
    let input = source.plane().row(position);
    for shares in across.iter() {
        let mut sums = [0.0; 4];
        for share in shares {
            let pixel = &input[share.position * channels..][..channels];
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += f32::from(value) * share.weight;
            }
        }
        row.extend(&sums[..channels]);
    }
}

/// Where whole blocks are averaged, OpenCV sums integers, and rounds those of 2×2 half up.
fn average_blocks(source: &Image<'_>, [across, down]: [&Line; 2], out: &mut [u8]) {
    let channels = source.channels;
    let [width, height] = [across, down].map(|line| line.input / line.output);
    let share = 1.0 / (width * height) as f32;
    let length = across.wanted.len() * channels;
    for (row, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
        for (column, pixel) in across.wanted.clone().zip(output.chunks_exact_mut(channels)) {
            let mut sums = [0_u32; 4];
            for row in row * height..(row + 1) * height {
                let block = &source.plane().row(row)[column * width * channels..];
                for pixel in block[..width * channels].chunks_exact(channels) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(value);
                    }
                }
            }
            for (sample, sum) in pixel.iter_mut().zip(sums) {
                *sample = if (height, width) == (2, 2) {
                    ((sum + 2) >> 2) as u8
                } else {
                    (sum as f32 * share).round_ties_even() as u8
                };
            }
        }
    }
}
