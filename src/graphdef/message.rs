//! The few fields of TensorFlow's messages that graphs are made of. Unknown fields are skipped, and
//! nodes and functions stay bytes until they are needed. Numbers are those of `graph.proto`,
//! `function.proto`, `node_def.proto`, `attr_value.proto`, `tensor.proto`, `meta_graph.proto` and
//! `saver.proto`.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost::Message;

use crate::keras::Shape;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SavedModel {
    #[prost(message, repeated, tag = "2")]
    pub(super) meta_graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<MetaInfo>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) graph: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(super) saver: Option<Saver>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub(super) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Saver {
    #[prost(string, tag = "3")]
    pub(super) restore: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphDef {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) nodes: Vec<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub(super) library: Option<Library>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Library {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) functions: Vec<Bytes>,
}

/// A function, of which only the name is read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionHead {
    #[prost(message, optional, tag = "1")]
    pub(super) signature: Option<NameOnly>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NameOnly {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub(super) signature: Option<OpDef>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(super) nodes: Vec<Bytes>,
    /// Output names, and the tensors of the body that they are.
    #[prost(btree_map = "string, string", tag = "4")]
    pub(super) results: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OpDef {
    #[prost(message, repeated, tag = "2")]
    pub(super) inputs: Vec<NameOnly>,
    #[prost(message, repeated, tag = "3")]
    pub(super) outputs: Vec<NameOnly>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) inputs: Vec<String>,
    #[prost(map = "string, message", tag = "5")]
    pub(super) attributes: HashMap<String, Attribute>,
}

/// A setting of a node. One of the fields is said.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(message, optional, boxed, tag = "1")]
    pub(super) list: Option<Box<List>>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) text: Bytes,
    #[prost(int64, tag = "3")]
    pub(super) whole: i64,
    #[prost(float, optional, tag = "4")]
    pub(super) float: Option<f32>,
    #[prost(bool, tag = "5")]
    pub(super) truth: bool,
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    #[prost(message, optional, boxed, tag = "7")]
    pub(super) shape: Option<Box<Shape>>,
    #[prost(message, optional, boxed, tag = "8")]
    pub(super) tensor: Option<Box<TensorProto>>,
    #[prost(message, optional, boxed, tag = "10")]
    pub(super) function: Option<Box<NameOnly>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(int64, repeated, tag = "3")]
    pub(super) whole: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, boxed, tag = "2")]
    pub(super) shape: Option<Box<Shape>>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) content: Bytes,
    #[prost(float, repeated, tag = "5")]
    pub(super) floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub(super) doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    pub(super) ints: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    pub(super) texts: Vec<Bytes>,
    #[prost(int64, repeated, tag = "10")]
    pub(super) longs: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    pub(super) truths: Vec<bool>,
    #[prost(int32, repeated, tag = "13")]
    pub(super) halves: Vec<i32>,
}

/// Fields of a message, without what is inside them; `None` when they do not end where it does.
///
/// Reading a message takes memory for each field: hostile ones are nothing but fields.
pub(super) fn fields(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let key = prost::encoding::decode_varint(&mut rest).ok()?;
        let length = match key & 7 {
            0 => {
                prost::encoding::decode_varint(&mut rest).ok()?;
                0
            }
            1 => 8,
            2 => prost::encoding::decode_varint(&mut rest).ok()?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(usize::try_from(length).ok()?..)?;
        count += 1;
    }
    Some(count)
}
