//! Protobuf on the level of bytes: fields one after another, and a look over a whole file that
//! bounds what reading it would take, before anything is allocated.

use std::mem::size_of;

use super::{
    OnnxError,
    proto::{
        AttributeProto, Dimension, ElementTypeProto, FunctionProto, GraphProto, MapType,
        ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto, StringStringEntryProto,
        TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
    },
};

/// Messages inside each other. Prost stops at 100; `onnx`'s own checker and C++ parsers too.
const DEEPEST: usize = 90;

/// Memory that a file of any size may ask for: a graph of some hundred thousand nodes.
const FREE_BYTES: u64 = 256 << 20;

/// Memory per byte of the file beyond that. Real graphs take up to about 10 bytes for each byte of
/// their nodes, and hardly any for weights.
const BYTES_PER_BYTE: u64 = 12;

/// What a field holds, as written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Payload<'a> {
    /// A whole number.
    Varint,
    /// 4 or 8 bytes.
    Fixed,
    /// Text, bytes, a message, or numbers one after another.
    Bytes(&'a [u8]),
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// Where its tag begins in the message.
    pub start: usize,
    /// Where its payload ends in the message.
    pub end: usize,
    /// What it holds.
    pub payload: Payload<'a>,
}

/// The fields of one message, in their order. After an error it ends.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or("it ends inside a number")?;
            self.at += 1;
            // The tenth byte holds only the topmost bit.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is longer than 64 bits")
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], &'static str> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or("it ends before something that it announces does")?;
        self.at += taken.len();
        Ok(taken)
    }

    fn field(&mut self) -> Result<Field<'a>, &'static str> {
        let start = self.at;
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => self.varint().map(|_| Payload::Varint)?,
            1 => self.take(8).map(|_| Payload::Fixed)?,
            2 => {
                let length = self.varint()?;
                Payload::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Payload::Fixed)?,
            _ => return Err("there is a kind of field that ONNX does not have"),
        };
        match tag >> 3 {
            0 => Err("there is a field 0, which protobuf does not have"),
            number if number > u64::from(u32::MAX >> 3) => Err("a field's number is too large"),
            number => Ok(Field { number, start, end: self.at, payload }),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, OnnxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        let field = self.field().map_err(|reason| OnnxError::Damaged { at: start, reason });
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

/// The messages that are read, to know which fields are messages again.
#[derive(Debug, Clone, Copy)]
enum Message {
    Model,
    OperatorSet,
    Entry,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Element,
    Map,
    Shape,
    Dimension,
    Function,
    Sparse,
}

/// What a field that is read becomes in memory.
enum Becomes {
    Message(Message),
    Text,
    /// Numbers of 4 or 8 bytes each.
    Floats,
    /// Whole numbers of one to ten bytes, each of which takes this many in memory.
    Varints(usize),
}

impl Message {
    /// `None` for fields that are skipped, and for single numbers, which take no room of their own.
    fn field(self, number: u64) -> Option<Becomes> {
        use Becomes::{Floats, Text, Varints};
        let becomes = match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Becomes::Message(Self::Graph),
            (Self::Model, 8) | (Self::Function, 9) => Becomes::Message(Self::OperatorSet),
            (Self::Model, 14) | (Self::Tensor, 13) => Becomes::Message(Self::Entry),
            (Self::Model, 25) => Becomes::Message(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Becomes::Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => {
                Becomes::Message(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Becomes::Message(Self::Sparse),
            (Self::Graph, 11..=13) => Becomes::Message(Self::Value),
            (Self::Node, 5) | (Self::Function, 11) => Becomes::Message(Self::Attribute),
            (Self::Value | Self::Map, 2) | (Self::Element, 1) => Becomes::Message(Self::Type),
            (Self::Type, 1 | 8) => Becomes::Message(Self::TensorType),
            (Self::Type, 4 | 9) => Becomes::Message(Self::Element),
            (Self::Type, 5) => Becomes::Message(Self::Map),
            (Self::TensorType, 2) => Becomes::Message(Self::Shape),
            (Self::Shape, 1) => Becomes::Message(Self::Dimension),
            (Self::Attribute, 7) | (Self::Tensor, 4 | 10) => Floats,
            (Self::Tensor, 5) => Varints(4),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 7 | 11) | (Self::Sparse, 3) => Varints(8),
            (Self::Node, 1..=4 | 7)
            | (Self::Function, 1 | 4..=6 | 10)
            | (Self::Attribute, 1 | 4 | 9 | 21)
            | (Self::Tensor, 6 | 8)
            | (Self::Model, 2..=4)
            | (Self::OperatorSet | Self::Value, 1)
            | (Self::Entry, 1 | 2)
            | (Self::Graph, 2)
            | (Self::Type, 6)
            | (Self::Dimension, 2 | 3) => Text,
            _ => return None,
        };
        Some(becomes)
    }

    /// Bytes of its value in memory, without what it points to.
    fn size(self) -> usize {
        match self {
            Self::Model => size_of::<ModelProto>(),
            Self::OperatorSet => size_of::<OperatorSetIdProto>(),
            Self::Entry => size_of::<StringStringEntryProto>(),
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::Value => size_of::<ValueInfoProto>(),
            Self::Type => size_of::<TypeProto>(),
            Self::TensorType => size_of::<TensorType>(),
            Self::Element => size_of::<ElementTypeProto>(),
            Self::Map => size_of::<MapType>(),
            Self::Shape => size_of::<TensorShapeProto>(),
            Self::Dimension => size_of::<Dimension>(),
            Self::Function => size_of::<FunctionProto>(),
            Self::Sparse => size_of::<SparseTensorProto>(),
        }
    }
}

/// Walks over a whole file without allocating.
///
/// # Errors
///
/// It is cut or no protobuf; messages are nested too deeply; or reading it would take far more
/// memory than the file's own size.
pub(super) fn look_over(bytes: &[u8]) -> Result<(), OnnxError> {
    let limit = FREE_BYTES + BYTES_PER_BYTE * bytes.len() as u64;
    Look { limit, taken: 0 }.message(bytes, Message::Model, 0, 0)
}

struct Look {
    limit: u64,
    taken: u64,
}

impl Look {
    fn message(
        &mut self,
        bytes: &[u8],
        message: Message,
        offset: usize,
        depth: usize,
    ) -> Result<(), OnnxError> {
        if depth > DEEPEST {
            return Err(OnnxError::TooDeep { limit: DEEPEST });
        }
        for field in Fields::of(bytes) {
            let field = field.map_err(|error| error.further(offset))?;
            match (message.field(field.number), field.payload) {
                (Some(Becomes::Message(inner)), Payload::Bytes(payload)) => {
                    // Growing vectors hold up to twice what is in them.
                    self.take(2 * inner.size())?;
                    let start = offset + field.end - payload.len();
                    self.message(payload, inner, start, depth + 1)?;
                }
                (Some(Becomes::Text), Payload::Bytes(text)) => self.take(64 + text.len())?,
                (Some(Becomes::Floats), Payload::Bytes(numbers)) => self.take(2 * numbers.len())?,
                (Some(Becomes::Varints(size)), Payload::Bytes(numbers)) => {
                    let count = numbers.iter().filter(|&&byte| byte < 0x80).count();
                    self.take(2 * size * count)?;
                }
                (Some(Becomes::Floats | Becomes::Varints(_)), _) => self.take(16)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), OnnxError> {
        self.taken += bytes as u64;
        let limit = self.limit;
        if self.taken > limit { Err(OnnxError::TooMuch { limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_encoding_guide_has_them() {
        // Field 1 = 150, field 2 = "testing": the examples of protobuf's encoding guide.
        let bytes = b"\x08\x96\x01\x12\x07testing";
        let fields: Vec<_> = Fields::of(bytes).map(Result::unwrap).collect();
        assert_eq!(fields[0], Field { number: 1, start: 0, end: 3, payload: Payload::Varint });
        let text = Payload::Bytes(b"testing");
        assert_eq!(fields[1], Field { number: 2, start: 3, end: 12, payload: text });
    }

    #[test]
    fn damage_is_named_with_its_place() {
        for (bytes, at, word) in [
            (&b"\x08\x01\x12\x07test"[..], 2, "announces"),
            (b"\x08", 0, "inside a number"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 0, "64 bits"),
            (b"\x0b", 0, "kind of field"),
            (b"\x00\x01", 0, "field 0"),
            // A graph (field 7) whose second node is cut.
            (b"\x08\x01\x3a\x05\x0a\x00\x0a\x09\x00", 6, "announces"),
        ] {
            let message = look_over(bytes).unwrap_err().to_string();
            assert!(message.contains(word), "{bytes:?}: {message}");
            assert!(message.contains(&format!("byte {at}")), "{bytes:?}: {message}");
        }
    }

    #[test]
    fn many_small_messages_are_refused_before_they_take_memory() {
        // 4 million nodes of two bytes each would take 1.7 GB.
        let nodes = b"\x0a\x00".repeat(4 << 20);
        let mut bytes = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
        bytes.extend(nodes);
        assert!(matches!(look_over(&bytes), Err(OnnxError::TooMuch { .. })));
    }

    #[test]
    fn deep_nesting_is_refused() {
        // A graph, whose node has an attribute with a graph, and so on.
        let mut bytes = Vec::new();
        for level in 0..400 {
            let tag = [0x32, 0x2a, 0x0a][level % 3];
            let mut outer = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.extend(bytes);
            bytes = outer;
        }
        // 400 levels end with an attribute's graph: the model's own graph has another number.
        bytes[0] = 0x3a;
        assert!(matches!(look_over(&bytes), Err(OnnxError::TooDeep { .. })));
    }
}
