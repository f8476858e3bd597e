//! Inputs and outputs: element type, dimensions, and what the file says that they mean.

use std::fmt;

use serde::{Serialize, Serializer};

use super::proto::{Dimension, DimensionValue, TensorType, TypeProto, TypeValue, ValueInfoProto};

/// An element type, by its number in ONNX's `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementType(pub i32);

/// Name and bits of each element type, in the order of their numbers.
const ELEMENT_TYPES: [(&str, u64); 29] = [
    ("undefined", 0),
    ("f32", 32),
    ("u8", 8),
    ("i8", 8),
    ("u16", 16),
    ("i16", 16),
    ("i32", 32),
    ("i64", 64),
    ("string", 0),
    ("bool", 8),
    ("f16", 16),
    ("f64", 64),
    ("u32", 32),
    ("u64", 64),
    ("complex64", 64),
    ("complex128", 128),
    ("bf16", 16),
    ("f8e4m3fn", 8),
    ("f8e4m3fnuz", 8),
    ("f8e5m2", 8),
    ("f8e5m2fnuz", 8),
    ("u4", 4),
    ("i4", 4),
    ("f4e2m1", 4),
    ("f8e8m0", 8),
    ("u2", 2),
    ("i2", 2),
    ("f6e2m3", 6),
    ("f6e3m2", 6),
];

impl ElementType {
    /// 32-bit floats.
    pub const F32: Self = Self(1);
    /// Bytes.
    pub const U8: Self = Self(2);
    /// 64-bit whole numbers.
    pub const I64: Self = Self(7);
    /// Text.
    pub const STRING: Self = Self(8);
    /// Half precision.
    pub const F16: Self = Self(10);
    /// 64-bit floats.
    pub const F64: Self = Self(11);
    /// The upper half of 32-bit floats.
    pub const BF16: Self = Self(16);

    fn entry(self) -> Option<&'static (&'static str, u64)> {
        usize::try_from(self.0).ok().and_then(|number| ELEMENT_TYPES.get(number))
    }

    /// Its name, such as `f32`; `unknown` for numbers that are newer than this program.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("unknown", |(name, _)| name)
    }

    /// Bits of an element; `None` for text and unknown types.
    #[must_use]
    pub fn bits(self) -> Option<u64> {
        self.entry().map(|(_, bits)| *bits).filter(|&bits| bits > 0)
    }

    /// Whether its elements are numbers with a fraction.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64 | Self::BF16)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for ElementType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Dim {
    /// A number, at least 0.
    Fixed(u64),
    /// Open, with a name.
    Named(String),
    /// Open. Serialised as `null`.
    Open,
}

impl Dim {
    fn of(dimension: &Dimension) -> Self {
        match &dimension.value {
            Some(DimensionValue::Fixed(size)) => {
                u64::try_from(*size).map_or(Self::Open, Self::Fixed)
            }
            Some(DimensionValue::Named(name)) if !name.is_empty() => Self::Named(name.clone()),
            _ => Self::Open,
        }
    }

    /// The number, when it is fixed and not 0: some exporters write 0 for an open dimension.
    #[must_use]
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(size) => Some(*size).filter(|&size| size > 0),
            Self::Named(_) | Self::Open => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Named(name) => f.write_str(&super::shown(name)),
            Self::Open => f.write_str("?"),
        }
    }
}

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    /// The graph's name for it.
    pub name: String,
    /// Element type; `None` for a list, a map or another value that is no tensor.
    pub element: Option<ElementType>,
    /// Dimensions; `None` when even their number is open, or the value is no tensor.
    pub dims: Option<Vec<Dim>>,
    /// What the file says that the value is, such as `IMAGE`; mostly empty.
    pub denotation: String,
    /// What the file says that each dimension is, such as `DATA_CHANNEL`; mostly empty texts.
    pub dim_denotations: Vec<String>,
    /// The type in words, such as `f32 [N, 3, 224, 224]` or `sequence of maps`.
    pub r#type: String,
}

impl Value {
    /// Classes, when these are scores of a fixed number of them: the long one of the dimensions
    /// after the batch.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        let long = self.dims.iter().flatten().skip(1).filter_map(Dim::fixed).find(|&dim| dim != 1);
        long.and_then(|classes| usize::try_from(classes).ok())
    }

    pub(super) fn of(info: &ValueInfoProto) -> Self {
        let tensor = tensor_of(info.r#type.as_ref());
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let dims = shape.map(|shape| shape.dim.iter().map(Dim::of).collect::<Vec<_>>());
        let denoted = shape.map(|shape| shape.dim.iter().map(|dim| dim.denotation.clone()));
        Self {
            name: info.name.clone(),
            element: tensor.map(|tensor| ElementType(tensor.elem_type)),
            r#type: type_text(info.r#type.as_ref(), dims.as_deref()),
            dims,
            denotation: info.r#type.as_ref().map(|t| t.denotation.clone()).unwrap_or_default(),
            dim_denotations: denoted.map(Iterator::collect).unwrap_or_default(),
        }
    }

    /// The dimensions in brackets, such as `[N, 1000]`; empty when they are not known.
    #[must_use]
    pub fn shape_text(&self) -> String {
        self.dims.as_deref().map(shape_text).unwrap_or_default()
    }
}

fn shape_text(dims: &[Dim]) -> String {
    let dims: Vec<_> = dims.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn tensor_of(r#type: Option<&TypeProto>) -> Option<&TensorType> {
    match r#type?.value.as_ref()? {
        TypeValue::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

fn type_text(r#type: Option<&TypeProto>, dims: Option<&[Dim]>) -> String {
    match r#type.and_then(|r#type| r#type.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => {
            let shape = dims
                .map_or(" of unknown shape".to_owned(), |dims| format!(" {}", shape_text(dims)));
            format!("{}{shape}", ElementType(tensor.elem_type))
        }
        Some(TypeValue::Sequence(inner)) => match element_of(inner.elem_type.as_deref()) {
            Some(TypeValue::Map(_)) => "sequence of maps".to_owned(),
            _ => "sequence".to_owned(),
        },
        Some(TypeValue::Map(_)) => "map".to_owned(),
        Some(TypeValue::Sparse(_)) => "sparse tensor".to_owned(),
        Some(TypeValue::Optional(_)) => "optional value".to_owned(),
        None => "of unknown type".to_owned(),
    }
}

fn element_of(r#type: Option<&TypeProto>) -> Option<&TypeValue> {
    r#type?.value.as_ref()
}
