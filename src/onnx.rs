//! An ONNX file, read as a file: what it says about itself, and what its graph shows. Nothing is
//! run, and ONNX Runtime is not needed.
//!
//! A file may come from anybody: reading it takes memory in proportion to its size, and no content
//! makes it panic.

use bytes::Bytes;
use prost::Message as _;

pub mod proto;

mod affine;
mod classifier;
mod constant;
mod detached;
mod external;
mod forward;
mod gate;
mod graph;
mod inventory;
mod layout;
mod metadata;
mod normaliser;
mod scores;
mod signs;
mod split;
mod tensor;
mod value;
mod wire;

pub use classifier::{Classifier, Verdict};
pub use external::{ExternalData, ExternalProblem, ExternalProblemKind};
pub use inventory::{Operator, Parameters, Quantisation};
pub use layout::{LayoutHint, SizeHint};
pub use metadata::{Metadata, with_metadata};
pub use normaliser::{Normaliser, NormaliserKind};
pub use scores::{ScoreKind, Scores};
pub use signs::{Sign, SignKind};
pub use value::{Dim, ElementType, Value};

use graph::Graph;
use proto::{GraphProto, ModelProto, NodeProto};

/// Why a file cannot be read as an ONNX model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are no protobuf message.
    #[error("it is damaged or no ONNX model: at byte {at}, {reason}")]
    Damaged {
        /// Where the field begins, counted from the file's start.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A protobuf message, but with other contents than ONNX's.
    #[error("it is damaged or no ONNX model")]
    NotOnnx(#[source] prost::DecodeError),
    /// It holds no graph.
    #[error("it is no ONNX model: {0}")]
    NoGraph(&'static str),
    /// Its messages are nested too deeply.
    #[error("its graphs or types are nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Reading it would take too much memory.
    #[error(
        "reading its graph would take more than {limit} bytes of memory; no image classifier of \
         its size does"
    )]
    TooMuch {
        /// The limit in bytes, for a file of this size.
        limit: u64,
    },
}

impl OnnxError {
    /// The same, in a message that begins at `offset` of the one around it.
    fn further(self, offset: usize) -> Self {
        match self {
            Self::Damaged { at, reason } => Self::Damaged { at: at + offset, reason },
            other => other,
        }
    }
}

/// A model file that was read.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    model: ModelProto,
    graph: GraphProto,
    /// Bytes of the file.
    size: usize,
}

impl OnnxFile {
    /// Reads a file. Weights stay slices of `bytes`.
    ///
    /// # Errors
    ///
    /// It is cut, damaged or no ONNX model; nested more than 90 levels deep; or made so that reading
    /// it would take many times its size.
    pub fn read(bytes: Bytes) -> Result<Self, OnnxError> {
        wire::look_over(&bytes)?;
        let size = bytes.len();
        let mut model = ModelProto::decode(bytes).map_err(OnnxError::NotOnnx)?;
        let graph = model.graph.take().ok_or(OnnxError::NoGraph("it has no graph"))?;
        if graph.node.is_empty() && graph.output.is_empty() {
            return Err(OnnxError::NoGraph("its graph has no node and no output"));
        }
        Ok(Self { model, graph, size })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Version of the file format.
    #[must_use]
    pub fn ir_version(&self) -> i64 {
        self.model.ir_version
    }

    /// Name and version of the program that wrote it; either may be empty.
    #[must_use]
    pub fn producer(&self) -> (&str, &str) {
        (&self.model.producer_name, &self.model.producer_version)
    }

    /// The model's namespace; mostly empty.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.model.domain
    }

    /// Version of the model itself; mostly 0.
    #[must_use]
    pub fn model_version(&self) -> i64 {
        self.model.model_version
    }

    /// The note of its maker on the model; mostly empty.
    #[must_use]
    pub fn doc_string(&self) -> String {
        String::from_utf8_lossy(&self.model.doc_string).into_owned()
    }

    /// The graph's name.
    #[must_use]
    pub fn graph_name(&self) -> &str {
        &self.graph.name
    }

    /// Domain and version of each operator set, ONNX's own as `ai.onnx`, as listed in the file.
    #[must_use]
    pub fn opsets(&self) -> Vec<(&str, i64)> {
        let imports = self.model.opset_import.iter();
        imports.map(|import| (graph::domain_name(&import.domain), import.version)).collect()
    }

    /// Version of ONNX's own operator set; 1 when none is said, as in the first files.
    #[must_use]
    pub fn opset(&self) -> i64 {
        let own = self.opsets().into_iter().filter(|(domain, _)| *domain == "ai.onnx");
        own.map(|(_, version)| version).max().unwrap_or(1)
    }

    /// What the exporter wrote beside the graph.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata::of(&self.model.metadata_props)
    }

    /// Inputs that have to be fed: those that are no initialisers.
    #[must_use]
    pub fn inputs(&self) -> Vec<Value> {
        let graph = self.index();
        let fed = self.graph.input.iter().filter(|input| !graph.is_initialiser(&input.name));
        fed.map(Value::of).collect()
    }

    /// Outputs.
    #[must_use]
    pub fn outputs(&self) -> Vec<Value> {
        self.graph.output.iter().map(Value::of).collect()
    }

    /// The network as protobuf has it.
    #[must_use]
    pub fn proto(&self) -> &GraphProto {
        &self.graph
    }

    /// Whether what a maximum pooling reads was padded by a node of its own.
    ///
    /// ONNX Runtime up to 1.31 makes one pooling of both, whose padding is smaller than every number:
    /// wrong where all numbers of a window are below the padded ones (its optimiser `Pad_Fusion`).
    #[must_use]
    pub fn pads_before_max_pooling(&self) -> bool {
        let index = self.index();
        let padded = |pool: &NodeProto| {
            let mut value = graph::input(pool, 0);
            // As many steps as there are nodes: a file may have a ring of them.
            for _ in &index.proto.node {
                let Some(node) = value.and_then(|name| index.producer(name)) else { break };
                match graph::operator(node) {
                    "Pad" => return true,
                    "Identity" | "Dropout" => value = graph::input(node, 0),
                    _ => break,
                }
            }
            false
        };
        index.proto.node.iter().any(|node| graph::operator(node) == "MaxPool" && padded(node))
    }

    fn index(&self) -> Graph<'_> {
        Graph::of(&self.graph, self.opset())
    }
}

impl ModelProto {
    /// The bytes of its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A name or text of a file as part of a message: control characters escaped, and cut when long.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
