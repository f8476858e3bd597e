//! Arrays of weights.

use half::f16;

/// The type of an array's elements as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// IEEE half precision.
    F16,
    /// The upper half of an [`Element::F32`].
    Bf16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed bytes, of quantised kernels.
    I8,
    /// Signed integers of 4 bytes.
    I32,
    /// Signed integers of 8 bytes.
    I64,
    /// Unsigned integers of so many bytes: states of random generators.
    Unsigned(u8),
}

/// The numbers of an array, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Stored as f32, bfloat16 (exactly) or f64 (rounded).
    F32(Vec<f32>),
    /// Stored as f16.
    F16(Vec<f16>),
    /// Stored as integers: counters, seeds, quantised kernels.
    I64(Vec<i64>),
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One array of weights, in the axis order of Keras.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The sides; empty for a single number.
    pub shape: Vec<usize>,
    /// As many as the product of the sides.
    pub values: Values,
}

impl Tensor {
    /// The values as f32; f16 and small integers exactly.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F32(values) => values.clone(),
            Values::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Values::I64(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }
}
