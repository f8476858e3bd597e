//! The last horizontally resized input rows, so that a row that several outputs use is made once.

use std::array;

/// The sum of four weighed samples, added from the first to the last.
pub(super) fn weigh(values: [f32; 4], weights: [f32; 4]) -> f32 {
    let [a, b, c, d] = array::from_fn(|tap| values[tap] * weights[tap]);
    a + b + c + d
}

/// As many rows as one output row is made of.
#[derive(Debug)]
pub(super) struct Rows<T, const N: usize> {
    kept: [(Option<usize>, Vec<T>); N],
}

impl<T, const N: usize> Default for Rows<T, N> {
    fn default() -> Self {
        Self { kept: array::from_fn(|_| (None, Vec::new())) }
    }
}

impl<T, const N: usize> Rows<T, N> {
    /// Forgets the rows, for the next image.
    pub(super) fn clear(&mut self) {
        self.kept.iter_mut().for_each(|(position, _)| *position = None);
    }

    /// The rows at these input positions, of which all lie within N neighbours; those that are not
    /// kept are made by `fill`, which gets an empty buffer.
    pub(super) fn get(
        &mut self,
        positions: [usize; N],
        fill: impl Fn(usize, &mut Vec<T>),
    ) -> [&[T]; N] {
        for position in positions {
            // N neighbours have N slots, so none is overwritten that is wanted now.
            let (kept, row) = &mut self.kept[position % N];
            if *kept != Some(position) {
                *kept = Some(position);
                row.clear();
                fill(position, row);
            }
        }
        positions.map(|position| self.kept[position % N].1.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_row_is_made_once_while_it_is_used() {
        let made = RefCell::new(Vec::new());
        let mut rows = Rows::<usize, 4>::default();
        for positions in [[0, 0, 0, 1], [0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 5]] {
            let found = rows.get(positions, |position, row| {
                made.borrow_mut().push(position);
                row.push(position * 10);
            });
            assert_eq!(found.map(|row| row[0]), positions.map(|position| position * 10));
        }
        assert_eq!(made.into_inner(), [0, 1, 2, 3, 4, 5]);
    }
}
