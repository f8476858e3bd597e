//! The element types that a tensor can have.

use half::f16;

/// One element of a model's input.
pub trait Sample: Copy + Default + Send + Sync + 'static {
    /// The element for a normalised value: bytes as they are, half precision rounded to nearest
    /// even.
    fn from_f32(value: f32) -> Self;
}

impl Sample for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Sample for f16 {
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Sample for u8 {
    /// The recipe of a byte model has no scale, so `value` is a whole number from 0 to 255.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 255")]
    fn from_f32(value: f32) -> Self {
        value as Self
    }
}
