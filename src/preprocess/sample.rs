//! The element types that a tensor can have.

use half::f16;

/// One element of a model's input.
pub trait Sample: Copy + Default + Send + Sync + 'static {
    /// The element for a normalised value: bytes as they are, half precision rounded to nearest
    /// even.
    fn from_f32(value: f32) -> Self;

    /// Puts the bytes of `elements` behind those in `bytes`, in this machine's order.
    fn to_bytes(elements: &[Self], bytes: &mut Vec<u8>);

    /// The other way.
    ///
    /// # Panics
    ///
    /// Panics when there are not as many bytes as `elements` take.
    fn from_bytes(bytes: &[u8], elements: &mut [Self]);
}

/// The two of them for a type that knows its bytes.
macro_rules! as_bytes {
    () => {
        fn to_bytes(elements: &[Self], bytes: &mut Vec<u8>) {
            bytes.extend(elements.iter().flat_map(|element| element.to_ne_bytes()));
        }

        fn from_bytes(bytes: &[u8], elements: &mut [Self]) {
            let (chunks, rest) = bytes.as_chunks();
            assert!(chunks.len() == elements.len() && rest.is_empty(), "the bytes of one image");
            elements.iter_mut().zip(chunks).for_each(|(to, from)| *to = Self::from_ne_bytes(*from));
        }
    };
}

impl Sample for f32 {
    as_bytes!();

    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Sample for f16 {
    as_bytes!();

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Sample for u8 {
    as_bytes!();

    /// The recipe of a byte model has no scale, so `value` is a whole number from 0 to 255.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, 0 to 255")]
    fn from_f32(value: f32) -> Self {
        value as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Sample + PartialEq + std::fmt::Debug>(elements: &[T]) {
        let mut bytes = Vec::new();
        T::to_bytes(elements, &mut bytes);
        assert_eq!(bytes.len(), size_of_val(elements));
        let mut back = vec![T::default(); elements.len()];
        T::from_bytes(&bytes, &mut back);
        assert_eq!(back, elements);
    }

    #[test]
    fn elements_come_back_from_their_bytes() {
        there_and_back(&[0.1_f32, -0.0, f32::MIN_POSITIVE, 3e38]);
        there_and_back(&[f16::from_f32(0.1), f16::MAX]);
        there_and_back(&[0_u8, 255, 7]);
    }
}
