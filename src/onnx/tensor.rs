//! The numbers in a tensor of the file.

use half::{bf16, f16};

use super::{
    ElementType,
    proto::{EXTERNAL, TensorProto},
};

/// Most numbers that are worth reading: constants of preprocessing are one for each channel.
const MOST_NUMBERS: u64 = 1 << 16;

/// Elements of a tensor; `None` when its shape is impossible.
pub(super) fn element_count(tensor: &TensorProto) -> Option<u64> {
    let mut dims = tensor.dims.iter().map(|&dim| u64::try_from(dim).ok());
    dims.try_fold(1u64, |product, dim| product.checked_mul(dim?))
}

/// Bytes that its elements take in `raw_data` or in another file.
pub(super) fn byte_count(tensor: &TensorProto) -> Option<u64> {
    let bits = ElementType(tensor.data_type).bits()?;
    element_count(tensor)?.checked_mul(bits).map(|bits| bits.div_ceil(8))
}

/// Whether its elements are in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == EXTERNAL
}

/// Its elements as numbers, when they are in this file, few, and numbers.
pub(super) fn numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    let count = element_count(tensor).filter(|&count| count <= MOST_NUMBERS)?;
    if is_external(tensor) {
        return None;
    }
    let numbers =
        if tensor.raw_data.is_empty() { typed_numbers(tensor) } else { raw_numbers(tensor) }?;
    (numbers.len() as u64 == count).then_some(numbers)
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "bits, not numbers")]
fn typed_numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    let small = tensor.int32_data.iter().copied();
    Some(match tensor.data_type {
        1 => tensor.float_data.iter().copied().map(f64::from).collect(),
        2..=6 | 9 => small.map(f64::from).collect(),
        7 => tensor.int64_data.iter().map(|&number| number as f64).collect(),
        10 => small.map(|bits| f16::from_bits(bits as u16).to_f64()).collect(),
        11 => tensor.double_data.clone(),
        12 | 13 => tensor.uint64_data.iter().map(|&number| number as f64).collect(),
        16 => small.map(|bits| bf16::from_bits(bits as u16).to_f64()).collect(),
        _ => return None,
    })
}

fn raw_numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    let bytes = &tensor.raw_data[..];
    Some(match tensor.data_type {
        1 => each(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        2 | 9 => each(bytes, |[byte]| f64::from(byte)),
        3 => each(bytes, |bytes| f64::from(i8::from_le_bytes(bytes))),
        4 => each(bytes, |bytes| f64::from(u16::from_le_bytes(bytes))),
        5 => each(bytes, |bytes| f64::from(i16::from_le_bytes(bytes))),
        6 => each(bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
        7 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        10 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f64()),
        11 => each(bytes, f64::from_le_bytes),
        12 => each(bytes, |bytes| f64::from(u32::from_le_bytes(bytes))),
        13 => each(bytes, |bytes| u64::from_le_bytes(bytes) as f64),
        16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        _ => return None,
    })
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|bytes| number(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_from_its_own_field_and_from_raw_bytes() {
        let typed = |data_type, int32_data: &[i32]| TensorProto {
            dims: vec![2],
            data_type,
            int32_data: int32_data.to_vec(),
            ..TensorProto::default()
        };
        let raw = |data_type, raw_data: &'static [u8]| TensorProto {
            dims: vec![2],
            data_type,
            raw_data: raw_data.into(),
            ..TensorProto::default()
        };
        for (tensor, expected) in [
            (typed(2, &[1, 255]), [1.0, 255.0]),
            (typed(3, &[-1, 5]), [-1.0, 5.0]),
            // 1.0 and 0.5 in half precision, and in bf16.
            (typed(10, &[0x3c00, 0x3800]), [1.0, 0.5]),
            (typed(16, &[0x3f80, 0x3f00]), [1.0, 0.5]),
            (raw(1, b"\0\0\x80\x3f\0\0\0\xbf"), [1.0, -0.5]),
            (raw(3, b"\xff\x05"), [-1.0, 5.0]),
            (raw(10, b"\x00\x3c\x00\x38"), [1.0, 0.5]),
            (raw(7, b"\x02\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), [2.0, -1.0]),
        ] {
            assert_eq!(numbers(&tensor), Some(expected.to_vec()), "{tensor:?}");
        }
    }

    #[test]
    fn impossible_and_huge_shapes_give_no_numbers() {
        let tensor = |dims: &[i64]| TensorProto {
            dims: dims.to_vec(),
            data_type: 1,
            raw_data: b"\0\0\x80\x3f"[..].into(),
            ..TensorProto::default()
        };
        assert_eq!(numbers(&tensor(&[])), Some(vec![1.0]));
        for dims in [&[-1][..], &[1 << 40, 1 << 40], &[2], &[1 << 20]] {
            assert_eq!(numbers(&tensor(dims)), None, "{dims:?}");
        }
        assert_eq!(element_count(&tensor(&[1 << 40, 1 << 40])), None);
    }
}
