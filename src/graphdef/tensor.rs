//! Constants of a graph.

use half::{bf16, f16};

use super::message::TensorProto;
use crate::keras::{Fault, Tensor, Values};

/// Numbers of TensorFlow's `DataType`.
pub(crate) mod kind {
    pub(crate) const FLOAT: i32 = 1;
    pub(crate) const DOUBLE: i32 = 2;
    pub(crate) const INT32: i32 = 3;
    pub(crate) const UINT8: i32 = 4;
    pub(crate) const INT64: i32 = 9;
    pub(crate) const BOOL: i32 = 10;
    pub(crate) const BFLOAT16: i32 = 14;
    pub(crate) const HALF: i32 = 19;

    /// Whether it is a number with a fraction.
    pub(crate) fn is_float(kind: i32) -> bool {
        [FLOAT, DOUBLE, BFLOAT16, HALF].contains(&kind)
    }
}

/// Most numbers that a constant repeats a single one into.
const MAX_REPEATED: usize = 1 << 22;

/// A constant's numbers; truth values are 0 and 1.
#[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
pub(super) fn tensor(proto: &TensorProto) -> Result<Tensor, Fault> {
    let dims = proto.shape.iter().flat_map(|shape| &shape.dims);
    let shape: Result<Vec<usize>, _> = dims.map(|dim| usize::try_from(dim.size)).collect();
    let shape = shape.map_err(|_| Fault::damaged("a constant has no shape"))?;
    let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let count = count.ok_or_else(|| Fault::damaged("a constant's shape is too large"))?;
    let values = if proto.content.is_empty() {
        listed(proto, count)?
    } else {
        let bytes = &proto.content[..];
        match proto.dtype {
            kind::FLOAT => Values::F32(each(bytes, f32::from_le_bytes)),
            kind::DOUBLE => Values::F32(each(bytes, |b| f64::from_le_bytes(b) as f32)),
            kind::BFLOAT16 => Values::F32(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
            kind::HALF => Values::F32(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
            kind::INT32 => Values::I64(each(bytes, |b| i32::from_le_bytes(b).into())),
            kind::INT64 => Values::I64(each(bytes, i64::from_le_bytes)),
            kind::BOOL | kind::UINT8 => Values::I64(bytes.iter().map(|&b| b.into()).collect()),
            other => return Err(unknown(other)),
        }
    };
    if values.len() != count {
        return Err(Fault::damaged("a constant has other values than its shape says"));
    }
    Ok(Tensor { shape, values })
}

/// Numbers in the field of their type; of too few the last is repeated.
#[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
#[expect(clippy::cast_sign_loss, reason = "the bits of a half")]
fn listed(proto: &TensorProto, count: usize) -> Result<Values, Fault> {
    fn filled<T: Copy + Default>(values: Vec<T>, count: usize) -> Result<Vec<T>, Fault> {
        if count > values.len().max(MAX_REPEATED) || values.len() > count {
            return Err(Fault::damaged("a constant has other values than its shape says"));
        }
        let last = values.last().copied().unwrap_or_default();
        let mut values = values;
        values.resize(count, last);
        Ok(values)
    }
    let half = |bits: &i32| *bits as u16;
    Ok(match proto.dtype {
        kind::FLOAT => Values::F32(filled(proto.floats.clone(), count)?),
        kind::DOUBLE => {
            let values = proto.doubles.iter().map(|&value| value as f32).collect();
            Values::F32(filled(values, count)?)
        }
        kind::HALF => {
            let values = proto.halves.iter().map(half).map(|b| f16::from_bits(b).to_f32());
            Values::F32(filled(values.collect(), count)?)
        }
        kind::BFLOAT16 => {
            let values = proto.halves.iter().map(half).map(|b| bf16::from_bits(b).to_f32());
            Values::F32(filled(values.collect(), count)?)
        }
        kind::INT32 | kind::UINT8 => {
            let values = proto.ints.iter().map(|&value| i64::from(value)).collect();
            Values::I64(filled(values, count)?)
        }
        kind::INT64 => Values::I64(filled(proto.longs.clone(), count)?),
        kind::BOOL => {
            let values = proto.truths.iter().map(|&truth| i64::from(truth)).collect();
            Values::I64(filled(values, count)?)
        }
        other => return Err(unknown(other)),
    })
}

fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
}

fn unknown(kind: i32) -> Fault {
    Fault::Unsupported {
        what: format!("a constant of its graph has TensorFlow's type {kind}"),
        hint: "convert it where TensorFlow is".to_owned(),
    }
}
