//! Numbers with a shape, and moving their axes.

use crate::keras::{Tensor, Values};

/// Most numbers that are made up here, such as the ones of a scale that a layer leaves out.
pub(super) const MAX_MADE: usize = 1 << 22;

/// Numbers in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// The sides; empty for a single number.
    pub(super) shape: Vec<usize>,
    /// As many as the product of the sides.
    pub(super) values: Vec<f32>,
}

impl Array {
    pub(super) fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), values: vec![value] }
    }

    pub(super) fn vector(values: Vec<f32>) -> Self {
        Self { shape: vec![values.len()], values }
    }

    /// A vector of `length` times the same.
    ///
    /// # Errors
    ///
    /// When that is longer than any layer has.
    pub(super) fn repeated(value: f32, length: usize) -> Result<Self, String> {
        if length > MAX_MADE {
            return Err(format!("it has {length} channels, more than {MAX_MADE}"));
        }
        Ok(Self::vector(vec![value; length]))
    }

    pub(super) fn of(tensor: Tensor) -> Self {
        let values = match tensor.values {
            Values::F32(values) => values,
            other => Tensor { shape: Vec::new(), values: other }.to_f32(),
        };
        Self { shape: tensor.shape, values }
    }

    /// The same numbers with other sides.
    pub(super) fn reshaped(self, shape: Vec<usize>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), self.values.len(), "the same numbers");
        Self { shape, values: self.values }
    }

    /// Its axes in another order: axis `i` of the result is axis `order[i]` of this.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        debug_assert_eq!(order.len(), self.shape.len(), "every axis once");
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let mut values = Vec::with_capacity(self.values.len());
        if !self.values.is_empty() {
            gather(&self.values, &shape, &steps, 0, &mut values);
        }
        Self { shape, values }
    }

    /// Every number by `change`.
    pub(super) fn map(mut self, change: impl Fn(f32) -> f32) -> Self {
        self.values.iter_mut().for_each(|value| *value = change(*value));
        self
    }
}

/// Appends the part of `from` that begins at `at`, axis by axis.
fn gather(from: &[f32], shape: &[usize], steps: &[usize], at: usize, to: &mut Vec<f32>) {
    match (shape, steps) {
        ([side], [step]) => to.extend((0..*side).map(|index| from[at + index * step])),
        ([side, shape @ ..], [step, steps @ ..]) => {
            for index in 0..*side {
                gather(from, shape, steps, at + index * step, to);
            }
        }
        _ => to.push(from[at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_move_as_numpy_moves_them() {
        // numpy.arange(12).reshape(2, 3, 2).transpose(2, 0, 1).ravel()
        let array = Array { shape: vec![2, 3, 2], values: (0u8..12).map(f32::from).collect() };
        let moved = array.transposed(&[2, 0, 1]);
        assert_eq!(moved.shape, [2, 2, 3]);
        assert_eq!(moved.values, [0., 2., 4., 6., 8., 10., 1., 3., 5., 7., 9., 11.]);
        assert_eq!(Array::scalar(3.0).transposed(&[]), Array::scalar(3.0));
    }
}
