//! What is known of one output of an operation while a graph is being converted.

use std::rc::Rc;

use crate::{
    freeze::{array::Array, value::Value},
    keras::{Tensor, Values},
};

/// Most whole numbers of one constant: shapes and axes are few.
const MAX_WHOLE: usize = 1 << 16;

/// One output.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// Computed by the network.
    Tensor(Value),
    /// Numbers of the constant or variable at this node, not read yet.
    Stored(usize),
    /// Numbers that were computed from constants.
    Numbers(Rc<Array>),
    /// Whole numbers and truth values.
    Whole(Whole),
    /// The variable at this node, not its value.
    Handle(usize),
    /// Images that are spread over the batch, for a convolution with gaps.
    Spread(Spread),
    /// The side of a decision that is not taken.
    Dead,
}

/// A whole number, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Known(i64),
    /// The number of images of a batch.
    Batch,
    Open,
}

/// Whole numbers in row-major order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<Number>,
}

/// What `SpaceToBatchND` makes, and a convolution of it.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    pub(super) value: Value,
    /// Height and width of the blocks.
    pub(super) block: [usize; 2],
    /// `[[top, bottom], [left, right]]`.
    pub(super) padding: [[i64; 2]; 2],
    /// The node of the convolution that comes behind.
    pub(super) convolution: Option<usize>,
}

impl Whole {
    pub(super) fn scalar(number: Number) -> Self {
        Self { shape: Vec::new(), values: vec![number] }
    }

    pub(super) fn vector(values: Vec<Number>) -> Self {
        Self { shape: vec![values.len()], values }
    }

    pub(super) fn of(tensor: Tensor) -> Result<Self, String> {
        let Values::I64(values) = tensor.values else { return Err("it is no whole number".into()) };
        if values.len() > MAX_WHOLE {
            return Err(format!("it has {} whole numbers", values.len()));
        }
        Ok(Self { shape: tensor.shape, values: values.into_iter().map(Number::Known).collect() })
    }

    /// All numbers, when they are known.
    pub(super) fn known(&self) -> Option<Vec<i64>> {
        let known = |number: &Number| match number {
            Number::Known(value) => Some(*value),
            _ => None,
        };
        self.values.iter().map(known).collect()
    }

    /// The same as numbers with fractions.
    pub(super) fn to_array(&self) -> Option<Array> {
        let values = self.known()?.into_iter().map(|value| value as f32).collect();
        Some(Array { shape: self.shape.clone(), values })
    }
}
