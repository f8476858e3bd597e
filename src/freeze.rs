//! A Keras model or TensorFlow graph as an ONNX model.
//!
//! Images lie in the network as N×channels×height×width, whatever Keras calls its axes; batch
//! normalisation is part of the convolution before it; what only training needs is gone. Nothing of
//! the file is executed, and what is not known is refused by its name.

use serde::Serialize;

use network::Network;

use crate::{
    geometry::Size,
    graphdef::GraphFile,
    keras::{KerasError, KerasFile},
    onnx::proto::ModelProto,
};

mod affine;
mod array;
mod call;
mod emit;
mod fold;
mod graph;
mod layer;
mod network;
mod refusal;
mod settings;
mod source;
mod stored;
mod tensorflow;
mod value;

pub use fold::Folded;
pub use refusal::{FreezeError, Refused};
pub use source::{Source, Words};
pub use stored::{content, stored};

/// Bytes of weights that an ONNX file holds: protobuf ends at 2 GiB, and labels and golden images go
/// into it, too.
const MOST_BYTES: u64 = (1 << 31) - (128 << 20);

/// How a model is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The sides of the images, where the model leaves them open.
    pub size: Option<Size>,
    /// Whether images are fed as N×channels×height×width, although Keras has the channels last.
    pub channels_first: bool,
    /// Whether layers are folded into each other. Without it every layer is there by itself, for
    /// comparison.
    pub fold: bool,
    /// Most bytes of weights that the ONNX file itself holds; more go to a file beside it.
    pub most_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: None, channels_first: false, fold: true, most_bytes: MOST_BYTES }
    }
}

/// A frozen model.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The ONNX model.
    pub model: ModelProto,
    /// Whether its weights go to a file beside it.
    pub beside: bool,
    /// What was done.
    pub summary: Summary,
}

/// What was done to freeze a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Layers of the Keras model, those of nested models included; operations of a graph.
    pub layers: usize,
    /// Numbers in its weights, as Keras's `count_params` counts them.
    pub parameters: u64,
    /// Nodes of the ONNX graph.
    pub nodes: usize,
    /// Nodes among them that only move axes.
    pub transposes: usize,
    /// Layers and nodes that became part of others, or were left out.
    pub folded: Folded,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Freezes a model.
///
/// # Errors
///
/// [`FreezeError::Refused`], with the layers, when some cannot be converted; that of reading the
/// weights; and [`FreezeError::Unusable`].
pub fn freeze(file: &KerasFile, options: Options) -> Result<Frozen, FreezeError> {
    refusal::look_over(file)?;
    let network = network::convert(file, options)?;
    let parameters = parameters(file)?;
    let layers = file.model().walk().iter().filter(|(_, layer)| !layer.is_input()).count();
    Ok(finished(network, &file.model().name, (layers, parameters), options))
}

/// Freezes a TensorFlow graph.
///
/// # Errors
///
/// [`FreezeError::Operations`], with the operations, when some cannot be converted; that of reading
/// the weights; and [`FreezeError::Unusable`].
pub fn freeze_graph(file: &GraphFile, options: Options) -> Result<Frozen, FreezeError> {
    let tensorflow::Converted { mut network, operations, parameters } =
        tensorflow::convert(file, options)?;
    if options.fold {
        affine::fold(&mut network.graph, &network.outputs);
    }
    Ok(finished(network, "graph", (operations, parameters), options))
}

fn finished(
    mut network: Network,
    name: &str,
    (layers, parameters): (usize, u64),
    options: Options,
) -> Frozen {
    let folded = Folded {
        silent_layers: network.silent,
        ..if options.fold {
            fold::fold(&mut network.graph, &network.outputs)
        } else {
            Folded::default()
        }
    };
    let notes = std::mem::take(&mut network.notes);
    let model = emit::model(network, name);
    let nodes = model.graph.as_ref().map_or(&[][..], |graph| &graph.node);
    let summary = Summary {
        layers,
        parameters,
        nodes: nodes.len(),
        transposes: nodes.iter().filter(|node| node.op_type == "Transpose").count(),
        folded,
        notes,
    };
    let beside = model.weight_bytes() > options.most_bytes;
    Frozen { model, beside, summary }
}

/// The layers that stand against freezing a model, by their classes. Their settings may still.
#[must_use]
pub fn refused_layers(file: &KerasFile) -> Vec<Refused> {
    refusal::refused_layers(file)
}

fn parameters(file: &KerasFile) -> Result<u64, KerasError> {
    let count = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
    Ok(file.weight_index()?.iter().map(|weight| count(&weight.shape)).sum())
}
