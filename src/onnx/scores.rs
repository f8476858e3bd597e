//! What the numbers of an output are: scores, or already probabilities.

use serde::Serialize;

use super::{
    OnnxFile,
    graph::{Graph, attribute, domain_name, input, node_text},
    proto::NodeProto,
    shown,
};

/// Nodes between the last layer and the output; exporters write up to about ten.
const MOST_NODES: usize = 64;

/// What the numbers of an output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScoreKind {
    /// The last layer's numbers as they are.
    Logits,
    /// Probabilities of classes that exclude each other.
    Softmax,
    /// Logarithms of such probabilities.
    LogSoftmax,
    /// A probability for each class on its own.
    Sigmoid,
    /// No scores: the classes that the graph has chosen.
    Chosen,
}

/// What the numbers of an output are, and how that shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// What they are.
    pub kind: ScoreKind,
    /// What was seen, in one sentence.
    pub evidence: String,
}

/// One node, seen from the output.
enum Seen {
    Kind(ScoreKind),
    /// Only moves or rounds the numbers of its first input.
    Moves,
    /// Takes the logarithm of its first input.
    Logarithm,
}

impl OnnxFile {
    /// Follows the output named `output` back to the last node that computes something.
    #[must_use]
    pub fn scores(&self, output: &str) -> Scores {
        let graph = self.index();
        let (mut value, mut between, mut logarithm) = (output, Vec::new(), false);
        for _ in 0..MOST_NODES {
            let Some(node) = graph.producer(value) else { break };
            match look_at(&graph, node) {
                Some(Seen::Kind(kind)) => {
                    let kind = match (kind, logarithm) {
                        (ScoreKind::Softmax, true) => ScoreKind::LogSoftmax,
                        (_, true) => ScoreKind::Logits,
                        (kind, false) => kind,
                    };
                    return Scores { kind, evidence: evidence(output, node, &between) };
                }
                Some(seen) => {
                    logarithm |= matches!(seen, Seen::Logarithm);
                    between.push(node);
                }
                None => {
                    let evidence = evidence(output, node, &between);
                    return Scores { kind: ScoreKind::Logits, evidence };
                }
            }
            let Some(before) = input(node, 0) else { break };
            value = before;
        }
        let evidence = format!("`{}` comes from no node that computes", shown(output));
        Scores { kind: ScoreKind::Logits, evidence }
    }
}

fn look_at(graph: &Graph<'_>, node: &NodeProto) -> Option<Seen> {
    Some(match (domain_name(&node.domain), node.op_type.as_str()) {
        ("ai.onnx", "Softmax") | ("com.microsoft", "QLinearSoftmax") => {
            Seen::Kind(ScoreKind::Softmax)
        }
        ("ai.onnx", "LogSoftmax") => Seen::Kind(ScoreKind::LogSoftmax),
        ("ai.onnx", "Sigmoid") | ("com.microsoft", "QLinearSigmoid") => {
            Seen::Kind(ScoreKind::Sigmoid)
        }
        ("ai.onnx", "ArgMax" | "TopK" | "Hardmax") => Seen::Kind(ScoreKind::Chosen),
        ("ai.onnx", "Div") if is_softmax_in_parts(graph, node) => Seen::Kind(ScoreKind::Softmax),
        ("ai.onnx", "Log") => Seen::Logarithm,
        (
            "ai.onnx",
            "Identity" | "Cast" | "CastLike" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze"
            | "QuantizeLinear" | "DequantizeLinear" | "Clip" | "Transpose" | "Dropout",
        )
        | ("com.microsoft", "QuantizeLinear" | "DequantizeLinear")
        | ("ai.onnx.ml", "ZipMap") => Seen::Moves,
        _ => return None,
    })
}

/// Whether `node` divides exponentials by their sum, as exporters without a Softmax write it.
fn is_softmax_in_parts(graph: &Graph<'_>, node: &NodeProto) -> bool {
    let produced = |index| {
        let value = input(node, index)?;
        graph.producer(value).map(|producer| (value, producer))
    };
    match (produced(0), produced(1)) {
        (Some((exponentials, exp)), Some((_, sum))) => {
            exp.op_type == "Exp"
                && sum.op_type == "ReduceSum"
                && input(sum, 0) == Some(exponentials)
        }
        _ => false,
    }
}

fn evidence(output: &str, node: &NodeProto, between: &[&NodeProto]) -> String {
    let axis = attribute(node, "axis").map(|axis| format!(" over axis {}", axis.i));
    let ops: Vec<_> = between.iter().rev().take(8).map(|node| shown(&node.op_type)).collect();
    let through =
        if ops.is_empty() { String::new() } else { format!(" through {}", ops.join(", ")) };
    let axis = axis.unwrap_or_default();
    format!("`{}` comes from {}{axis}{through}", shown(output), node_text(node))
}
