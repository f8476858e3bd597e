//! What a file holds: operators, weights, and in which numbers it computes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    ElementType, OnnxFile,
    graph::{all_nodes, domain_name},
    proto::NodeProto,
    tensor::{byte_count, element_count},
};

/// Domains whose operators ONNX Runtime has itself.
const KNOWN_DOMAINS: [&str; 6] = [
    "ai.onnx",
    "ai.onnx.ml",
    "com.microsoft",
    "com.microsoft.experimental",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];

/// An operator, and how often a graph uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Its domain; ONNX's own is `ai.onnx`.
    pub domain: String,
    /// Its name.
    pub name: String,
    /// Nodes.
    pub count: usize,
}

/// The weights of a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Numbers in all initialisers, constants of shapes and quantisation included.
    pub count: u64,
    /// Bytes that they take in the file or beside it.
    pub bytes: u64,
    /// Numbers of each element type.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Numbers in `Constant` nodes, where some exporters put the weights. Not part of the others.
    pub in_nodes: u64,
}

/// How a graph computes with small whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantisation {
    /// Not at all.
    None,
    /// Only the weights are stored so.
    Weights,
    /// Pairs of `QuantizeLinear` and `DequantizeLinear` around ordinary operators.
    Qdq,
    /// Operators made for it, such as `QLinearConv`.
    Operators,
    /// The range is found anew for each image.
    Dynamic,
}

impl OnnxFile {
    /// Nodes of the graph, without those inside branches and loops.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.graph.node.len()
    }

    /// The operators of the graph, by domain and name.
    #[must_use]
    pub fn operators(&self) -> Vec<Operator> {
        count(self.graph.node.iter())
    }

    /// Operators that neither ONNX Runtime nor the file itself defines, also of inner graphs.
    #[must_use]
    pub fn foreign_operators(&self) -> Vec<Operator> {
        let functions = &self.model.functions;
        let defined: BTreeSet<_> =
            functions.iter().map(|f| (domain_name(&f.domain), f.name.as_str())).collect();
        let foreign = |node: &&NodeProto| {
            let domain = domain_name(&node.domain);
            !KNOWN_DOMAINS.contains(&domain) && !defined.contains(&(domain, node.op_type.as_str()))
        };
        count(all_nodes(&self.graph, functions).into_iter().filter(foreign))
    }

    /// The weights: the initialisers of the graph.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        let mut all = Parameters::default();
        for tensor in &self.graph.initializer {
            let count = element_count(tensor).unwrap_or(0);
            let of_type = all.by_type.entry(ElementType(tensor.data_type).name()).or_default();
            *of_type = of_type.saturating_add(count);
            all.count = all.count.saturating_add(count);
            all.bytes = all.bytes.saturating_add(byte_count(tensor).unwrap_or(0));
        }
        for node in self.graph.node.iter().filter(|node| node.op_type == "Constant") {
            let tensors = node.attribute.iter().filter_map(|attribute| attribute.t.as_deref());
            let count = tensors.filter_map(element_count).fold(0, u64::saturating_add);
            all.in_nodes = all.in_nodes.saturating_add(count);
        }
        all
    }

    /// Initialisers that are inputs too, as all were before IR version 4.
    #[must_use]
    pub fn initialiser_inputs(&self) -> Vec<&str> {
        let graph = self.index();
        let names = self.graph.input.iter().map(|input| input.name.as_str());
        names.filter(|name| graph.is_initialiser(name)).collect()
    }

    /// How the graph computes with small whole numbers.
    #[must_use]
    pub fn quantisation(&self) -> Quantisation {
        let has = |wanted: &[&str]| {
            self.graph.node.iter().any(|node| wanted.contains(&node.op_type.as_str()))
        };
        if has(&["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"]) {
            Quantisation::Dynamic
        } else if has(&["QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger"]) {
            Quantisation::Operators
        } else if !has(&["DequantizeLinear", "MatMulNBits"]) {
            Quantisation::None
        } else if has(&["QuantizeLinear"]) {
            Quantisation::Qdq
        } else {
            Quantisation::Weights
        }
    }
}

fn count<'a>(nodes: impl Iterator<Item = &'a NodeProto>) -> Vec<Operator> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry((domain_name(&node.domain), &node.op_type)).or_default() += 1;
    }
    let operator = |((domain, name), count): ((&str, &str), usize)| Operator {
        domain: domain.to_owned(),
        name: name.to_owned(),
        count,
    };
    counts.into_iter().map(operator).collect()
}
