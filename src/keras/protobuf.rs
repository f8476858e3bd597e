//! The few fields of TensorFlow's messages that are read. Unknown fields are skipped, so graphs cost
//! no memory. Numbers are those of `saved_model.proto`, `meta_graph.proto`, `graph.proto`,
//! `saved_object_graph.proto`, `saved_metadata.proto`, `tensor_bundle.proto` and
//! `trackable_object_graph.proto`.

use std::collections::BTreeMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SavedModel {
    #[prost(int64, tag = "1")]
    pub(super) schema_version: i64,
    #[prost(message, repeated, tag = "2")]
    pub(super) meta_graphs: Vec<MetaGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<MetaInfo>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(super) signatures: BTreeMap<String, SignatureDef>,
    #[prost(message, optional, tag = "7")]
    pub(super) objects: Option<ObjectGraph>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub(super) tags: Vec<String>,
    #[prost(string, tag = "5")]
    pub(super) tensorflow_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(super) outputs: BTreeMap<String, TensorInfo>,
    #[prost(string, tag = "3")]
    pub(super) method: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Shape {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dims: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dim {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ObjectGraph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<SavedObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SavedObject {
    #[prost(message, optional, tag = "4")]
    pub(super) user: Option<UserObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct UserObject {
    #[prost(string, tag = "1")]
    pub(super) identifier: String,
    #[prost(string, tag = "3")]
    pub(super) metadata: String,
}

/// `keras_metadata.pb`, of TensorFlow 2.5 to 2.15.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KerasMetadata {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<KerasObject>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KerasObject {
    #[prost(string, tag = "3")]
    pub(super) path: String,
    #[prost(string, tag = "4")]
    pub(super) identifier: String,
    #[prost(string, tag = "5")]
    pub(super) metadata: String,
}

/// A frozen graph.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<NodeDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) inputs: Vec<String>,
}

/// One entry of `variables.index`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BundleEntry {
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
    #[prost(int32, tag = "3")]
    pub(super) shard: i32,
    #[prost(int64, tag = "4")]
    pub(super) offset: i64,
    #[prost(int64, tag = "5")]
    pub(super) size: i64,
}

/// The entry `""` of `variables.index`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BundleHeader {
    #[prost(int32, tag = "1")]
    pub(super) shards: i32,
    #[prost(int32, tag = "2")]
    pub(super) endianness: i32,
}

/// Which variable belongs to which layer of a checkpoint.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TrackableGraph {
    #[prost(message, repeated, tag = "1")]
    pub(super) nodes: Vec<Trackable>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Trackable {
    #[prost(message, repeated, tag = "1")]
    pub(super) children: Vec<Child>,
    #[prost(message, repeated, tag = "2")]
    pub(super) attributes: Vec<Saved>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Child {
    #[prost(int32, tag = "1")]
    pub(super) node: i32,
    #[prost(string, tag = "2")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Saved {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) key: String,
}
