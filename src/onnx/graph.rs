//! A graph with its values looked up by name.

use std::collections::HashMap;

use super::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto};

/// A graph, and who writes and reads each of its values.
pub(super) struct Graph<'a> {
    pub(super) proto: &'a GraphProto,
    /// Version of ONNX's own operator set.
    pub(super) opset: i64,
    initialisers: HashMap<&'a str, &'a TensorProto>,
    producers: HashMap<&'a str, &'a NodeProto>,
    consumers: HashMap<&'a str, Vec<&'a NodeProto>>,
}

impl<'a> Graph<'a> {
    pub(super) fn of(proto: &'a GraphProto, opset: i64) -> Self {
        let mut producers = HashMap::new();
        let mut consumers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
        for node in &proto.node {
            producers.extend(present(&node.output).map(|name| (name, node)));
            for name in present(&node.input) {
                let readers = consumers.entry(name).or_default();
                // `x * x` reads a value twice and is one reader.
                if readers.last().is_none_or(|&last| !std::ptr::eq(last, node)) {
                    readers.push(node);
                }
            }
        }
        Self {
            proto,
            opset,
            initialisers: proto.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            producers,
            consumers,
        }
    }

    pub(super) fn is_initialiser(&self, name: &str) -> bool {
        self.initialisers.contains_key(name)
    }

    pub(super) fn initialiser(&self, name: &str) -> Option<&'a TensorProto> {
        self.initialisers.get(name).copied()
    }

    /// The node that writes a value.
    pub(super) fn producer(&self, name: &str) -> Option<&'a NodeProto> {
        self.producers.get(name).copied()
    }

    /// The nodes that read a value, without those that only ask for its shape.
    pub(super) fn consumers(&self, name: &str) -> Vec<&'a NodeProto> {
        let all = self.consumers.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter().copied().filter(|node| !matches!(operator(node), "Shape" | "Size")).collect()
    }
}

/// The names that are not left out.
fn present(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// A domain's name in words: ONNX's own has an empty one.
pub(super) fn domain_name(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

/// The operator of a node of ONNX itself; empty for another domain's.
pub(super) fn operator(node: &NodeProto) -> &str {
    if domain_name(&node.domain) == "ai.onnx" { &node.op_type } else { "" }
}

/// The first output of a node.
pub(super) fn first_output(node: &NodeProto) -> Option<&str> {
    present(&node.output).next()
}

/// An input of a node; `None` when it is left out.
pub(super) fn input(node: &NodeProto, index: usize) -> Option<&str> {
    node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
}

/// An attribute of a node.
pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// A whole-number attribute, or its default.
pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.i)
}

/// A node in words, such as `` Conv `features.0` ``.
pub(super) fn node_text(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { first_output(node).unwrap_or("") } else { &node.name };
    let op = super::shown(&node.op_type);
    if name.is_empty() { op } else { format!("{op} `{}`", super::shown(name)) }
}

/// Every node of a graph, of the graphs inside its nodes, and of the functions of its file.
pub(super) fn all_nodes<'a>(
    graph: &'a GraphProto,
    functions: &'a [FunctionProto],
) -> Vec<&'a NodeProto> {
    let mut waiting: Vec<&NodeProto> = graph.node.iter().collect();
    waiting.extend(functions.iter().flat_map(|function| &function.node));
    let mut all = Vec::new();
    while let Some(node) = waiting.pop() {
        all.push(node);
        waiting.extend(inner_graphs(node).flat_map(|graph| &graph.node));
    }
    all
}

/// The graphs inside a node: bodies of branches and loops.
pub(super) fn inner_graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .flat_map(|attribute| attribute.g.as_deref().into_iter().chain(&attribute.graphs))
}
