//! Area: the average over the covered area, first along rows.

use super::{Image, Line, scale};

/// The input samples that one output sample covers, and how much of the first and the last.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Cover {
    first: usize,
    /// One more than the last; past the input where f32 rounds up.
    end: usize,
    scale: f32,
    begin_edge: f32,
    end_edge: f32,
}

impl Cover {
    fn new(index: usize, line: &Line) -> Self {
        let scale = scale(line);
        let (begin_edge, end_edge) = (index as f32 * scale, (index + 1) as f32 * scale);
        let (first, end) = (begin_edge.floor() as usize, end_edge.ceil() as usize);
        Self { first, end, scale, begin_edge, end_edge }
    }

    /// How much of the input sample at `position` is covered.
    fn share(&self, position: usize) -> f32 {
        let (begin, end) = (position as f32, (position + 1) as f32);
        match (begin < self.begin_edge, end > self.end_edge) {
            (true, true) => self.scale,
            (true, false) => end - self.begin_edge,
            (false, true) => self.end_edge - begin,
            (false, false) => 1.0,
        }
    }
}

#[derive(Default, Debug)]
pub(super) struct Area {
    columns: Vec<Cover>,
}

impl Area {
    pub(super) fn resize(
        &mut self,
        source: &Image<'_>,
        [across, down]: [&Line; 2],
        out: &mut [f32],
    ) {
        self.columns.clear();
        self.columns.extend(across.wanted.clone().map(|column| Cover::new(column, across)));
        let channels = source.channels;
        let share = (1.0 / f64::from(scale(down) * scale(across))) as f32;
        let length = across.wanted.len() * channels;
        for (index, output) in down.wanted.clone().zip(out.chunks_exact_mut(length)) {
            output.fill(0.0);
            let cover = Cover::new(index, down);
            for position in cover.first..cover.end {
                let row = source.plane().row(down.clamp(position.cast_signed()));
                let covers = (&*self.columns, across);
                add_row(&row[..across.input * channels], covers, cover.share(position), output);
            }
            for sample in output {
                *sample *= share;
            }
        }
    }
}

/// Adds the share `share` of an input row's sums to `output`.
fn add_row(row: &[u8], (columns, across): (&[Cover], &Line), share: f32, output: &mut [f32]) {
    let channels = row.len() / across.input;
    for (cover, pixel) in columns.iter().zip(output.chunks_exact_mut(channels)) {
        let mut sums = [0.0; 4];
        for position in cover.first..cover.end {
            let weight = cover.share(position);
            let input = &row[across.clamp(position.cast_signed()) * channels..][..channels];
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += f32::from(value) * weight;
            }
        }
        for (sample, sum) in pixel.iter_mut().zip(sums) {
            *sample += sum * share;
        }
    }
}
