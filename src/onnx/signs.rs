//! What in a file makes it slow, or asks for caution.

use serde::Serialize;

use super::{
    ElementType, OnnxFile, Value,
    graph::{Graph, all_nodes, attribute, first_output, input, int, operator},
    proto::NodeProto,
    shown,
};

/// The oldest operator set that ONNX Runtime promises to run.
const OLDEST_OPSET: i64 = 7;

/// From this version on an initialiser need not be an input.
const FREE_INITIALISERS_IR: i64 = 4;

/// A fixed batch from which on padding the last one costs.
const LARGE_BATCH: u64 = 64;

/// What a sign is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignKind {
    /// It costs time.
    Slow,
    /// It may do something else than classify.
    Unsafe,
}

/// Something worth knowing about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sign {
    /// What it is about.
    pub kind: SignKind,
    /// A stable word for it.
    pub word: &'static str,
    /// One sentence.
    pub text: String,
}

impl OnnxFile {
    /// What makes the model slower than it could be.
    #[must_use]
    pub fn slow_signs(&self) -> Vec<Sign> {
        let graph = self.index();
        let inputs = self.inputs();
        let mut signs = Vec::new();
        let mut slow = |word, text: Option<String>| {
            signs.extend(text.map(|text| Sign { kind: SignKind::Slow, word, text }));
        };
        slow("initialiser-inputs", self.initialiser_inputs_text());
        slow("transposes", transposes(&graph));
        slow("batch-normalisations", batch_normalisations(&graph));
        slow("fixed-batch", inputs.first().and_then(fixed_batch));
        slow("f64", self.f64_text(&inputs));
        slow(
            "old-opset",
            (self.opset() < OLDEST_OPSET).then(|| {
                format!(
                    "it uses operator set {}, and ONNX Runtime promises to run those from \
                 {OLDEST_OPSET} on",
                    self.opset()
                )
            }),
        );
        slow(
            "old-ir",
            (self.ir_version() < FREE_INITIALISERS_IR).then(|| {
                format!("its file format, IR version {}, is from before 2019", self.ir_version())
            }),
        );
        slow("training-mode", training_mode(&graph));
        signs
    }

    /// What asks for caution before the model is loaded. Files beside it are checked by
    /// [`OnnxFile::external_problems`], which knows where the model is.
    #[must_use]
    pub fn unsafe_signs(&self) -> Vec<Sign> {
        let sign = |word, text| Sign { kind: SignKind::Unsafe, word, text };
        let mut signs = Vec::new();
        let external = self.external_data();
        let bad: Vec<_> =
            external.iter().filter(|data| data.problem_in_itself().is_some()).collect();
        if let Some(first) = bad.first() {
            signs.push(sign(
                "external-path",
                format!(
                    "{} of its weights are said to be in files outside its folder, such as `{}`",
                    bad.len(),
                    shown(&first.location)
                ),
            ));
        }
        let foreign = self.foreign_operators();
        if !foreign.is_empty() {
            let name = |operator: &super::Operator| {
                format!("{}:{}", shown(&operator.domain), shown(&operator.name))
            };
            let names: Vec<_> = foreign.iter().take(8).map(name).collect();
            signs.push(sign(
                "custom-operators",
                format!(
                    "it uses operators that ONNX Runtime does not have itself: {}",
                    names.join(", ")
                ),
            ));
        }
        let nodes = all_nodes(&self.graph, &self.model.functions);
        if nodes.iter().any(|node| node.op_type == "DecodeImage") {
            signs.push(sign(
                "decodes-images",
                "it decodes image files itself: it wants the bytes of a file and no pixels"
                    .to_owned(),
            ));
        }
        signs
    }

    fn initialiser_inputs_text(&self) -> Option<String> {
        let count = self.initialiser_inputs().len();
        let all = self.graph.initializer.len();
        // In files from before they count as constants.
        let matters = count > 0 && self.ir_version() >= FREE_INITIALISERS_IR;
        matters.then(|| {
            format!(
                "{count} of its {all} initialisers are inputs too, so that ONNX Runtime cannot \
                 compute with them beforehand"
            )
        })
    }

    fn f64_text(&self, inputs: &[Value]) -> Option<String> {
        let weights = self.parameters().by_type.get(ElementType::F64.name()).copied().unwrap_or(0);
        let input = inputs.iter().any(|input| input.element == Some(ElementType::F64));
        // A few are thresholds and scales.
        (weights > 1024 || input).then(|| {
            format!(
                "it computes in 64-bit floats ({weights} weights), twice the work of 32-bit ones"
            )
        })
    }
}

fn is_convolution(node: &NodeProto) -> bool {
    matches!(operator(node), "Conv" | "QLinearConv" | "ConvInteger")
}

/// Transpositions right before or behind convolutions, as in graphs whose layout was changed
/// operator by operator.
fn transposes(graph: &Graph<'_>) -> Option<String> {
    let is_transpose = |node: &NodeProto| operator(node) == "Transpose";
    let nodes = &graph.proto.node;
    let all = nodes.iter().filter(|node| is_transpose(node)).count();
    let convolutions: Vec<_> = nodes.iter().filter(|node| is_convolution(node)).collect();
    let wrapped = |node: &&&NodeProto| {
        let before = input(node, 0).and_then(|name| graph.producer(name)).is_some_and(is_transpose);
        let behind = first_output(node)
            .is_some_and(|name| graph.consumers(name).iter().any(|node| is_transpose(node)));
        before || behind
    };
    let wrapped = convolutions.iter().filter(wrapped).count();
    (wrapped > 2 && wrapped * 4 > convolutions.len()).then(|| {
        format!(
            "{wrapped} of its {} convolutions stand beside a Transpose ({all} in all): its layout \
             was changed operator by operator",
            convolutions.len()
        )
    })
}

fn batch_normalisations(graph: &Graph<'_>) -> Option<String> {
    let behind = |node: &&NodeProto| {
        let before = input(node, 0).and_then(|name| graph.producer(name));
        operator(node) == "BatchNormalization" && before.is_some_and(is_convolution)
    };
    let count = graph.proto.node.iter().filter(behind).count();
    (count > 0).then(|| {
        format!(
            "{count} BatchNormalization behind a convolution are not folded into it; ONNX Runtime \
             does that at each load, and only when their weights are no inputs"
        )
    })
}

fn fixed_batch(input: &Value) -> Option<String> {
    let batch = input.dims.as_ref().filter(|dims| dims.len() > 1)?.first()?.fixed()?;
    let name = shown(&input.name);
    match batch {
        1 => Some(format!("`{name}` takes one image at a time")),
        LARGE_BATCH.. => Some(format!(
            "`{name}` takes {batch} images at a time, no fewer: the last ones of a run are filled up"
        )),
        _ => None,
    }
}

/// Nodes that still behave as in training, where results are random or depend on the batch.
fn training_mode(graph: &Graph<'_>) -> Option<String> {
    let trains = |node: &&NodeProto| match operator(node) {
        "Dropout" if graph.opset >= 12 => {
            let mode = input(node, 2).and_then(|name| graph.constant(name));
            mode.and_then(|mode| mode.scalar()).is_some_and(|mode| mode != 0.0)
        }
        // Before operator set 7 both had a switch that was off, and training is what off means.
        "Dropout" | "BatchNormalization" if graph.opset < 7 => {
            attribute(node, "is_test").is_none_or(|is_test| is_test.i == 0)
        }
        "BatchNormalization" if graph.opset >= 14 => int(node, "training_mode", 0) != 0,
        _ => false,
    };
    let count = graph.proto.node.iter().filter(trains).count();
    (count > 0).then(|| {
        format!(
            "{count} of its nodes are in training mode: answers change from run to run or with the \
             batch"
        )
    })
}
