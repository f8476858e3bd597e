//! The finished graph as ONNX messages.

use std::collections::HashSet;

use super::{
    graph::{Attribute, Constant, Node},
    network::Network,
    value::{Order, Value},
};
use crate::onnx::{
    ElementType,
    proto::{
        AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto,
        OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
        ValueInfoProto, attribute_kind,
    },
};

/// The operator set: the first with `LayerNormalization`, so that ONNX Runtime from 1.12 on loads
/// it.
const OPSET: i64 = 17;

/// The file format that goes with it.
const IR_VERSION: i64 = 8;

/// Makes the messages. Constants that no node uses are left out.
pub(super) fn model(network: Network, name: &str) -> ModelProto {
    let Network { mut graph, inputs, outputs, .. } = network;
    let mut nodes = live(std::mem::take(&mut graph.nodes), &outputs);
    keep_zeros(&mut nodes);
    let mut initializer = Vec::new();
    for name in nodes.iter().flat_map(|node| &node.inputs) {
        let Some(constant) = graph.constants.remove(name) else { continue };
        initializer.push(tensor(name, constant));
    }
    let graph = GraphProto {
        node: nodes.into_iter().map(node).collect(),
        name: if name.is_empty() { "model" } else { name }.to_owned(),
        initializer,
        input: inputs.iter().map(value_info).collect(),
        output: outputs.iter().map(value_info).collect(),
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "linnaeus".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        ..ModelProto::default()
    }
}

/// The nodes that the outputs need, in their order.
fn live(nodes: Vec<Node>, outputs: &[Value]) -> Vec<Node> {
    let mut needed: HashSet<String> = outputs.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::new();
    for node in nodes.into_iter().rev() {
        if needed.contains(&node.output) {
            needed.extend(node.inputs.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    kept
}

/// Keeps what is padded with zeros apart from the pooling behind it.
///
/// ONNX Runtime 1.31 makes one operator of both, whose padding is smaller than every number: wrong
/// where all numbers of a window are negative. It leaves pooling alone that names a rule for its
/// padding instead of numbers.
fn keep_zeros(nodes: &mut [Node]) {
    let padded: HashSet<String> = (nodes.iter())
        .filter(|node| node.operator == "Pad")
        .map(|node| node.output.clone())
        .collect();
    let behind = |node: &&mut Node| node.operator == "MaxPool" && padded.contains(&node.inputs[0]);
    for pool in nodes.iter_mut().filter(behind) {
        for (name, value) in &mut pool.attributes {
            let Attribute::Ints(pads) = value else { continue };
            if *name == "pads" {
                // Other padding than none is TensorFlow's, which is this rule.
                let none = pads.iter().all(|&pad| pad == 0);
                *value = Attribute::Text(if none { "VALID" } else { "SAME_UPPER" });
                *name = "auto_pad";
            }
        }
    }
}

fn node(node: Node) -> NodeProto {
    NodeProto {
        input: node.inputs,
        name: node.output.clone(),
        output: vec![node.output],
        op_type: node.operator.to_owned(),
        attribute: node.attributes.into_iter().map(attribute).collect(),
        domain: String::new(),
    }
}

fn attribute((name, value): (&'static str, Attribute)) -> AttributeProto {
    let empty = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match value {
        Attribute::Int(i) => AttributeProto { i, kind: attribute_kind::INT, ..empty },
        Attribute::Ints(ints) => AttributeProto { ints, kind: attribute_kind::INTS, ..empty },
        Attribute::Float(f) => AttributeProto { f, kind: attribute_kind::FLOAT, ..empty },
        Attribute::Text(text) => {
            AttributeProto { s: text.as_bytes().into(), kind: attribute_kind::STRING, ..empty }
        }
    }
}

fn tensor(name: &str, constant: Constant) -> TensorProto {
    let (dims, data_type, raw): (Vec<i64>, ElementType, Vec<u8>) = match constant {
        Constant::Floats(array) => {
            let raw = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (array.shape.iter().map(|&side| side as i64).collect(), ElementType::F32, raw)
        }
        Constant::Whole(values) => {
            let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (vec![values.len() as i64], ElementType::I64, raw)
        }
    };
    TensorProto {
        dims,
        data_type: data_type.0,
        name: name.to_owned(),
        raw_data: raw.into(),
        ..TensorProto::default()
    }
}

/// Name, type and sides. Sides that are open have the same name wherever they are equal.
fn value_info(value: &Value) -> ValueInfoProto {
    let mut sides: Vec<(String, Option<usize>)> = match value.rank() {
        4 => ["height", "width", "channels"].map(str::to_owned).to_vec(),
        rank => (1..rank.max(1)).map(|axis| format!("side_{axis}")).collect(),
    }
    .into_iter()
    .zip(value.shape.iter().skip(1).copied())
    .collect();
    if value.order == Order::ChannelsFirst {
        sides.rotate_right(1);
    }
    let dimension = |(name, side): (String, Option<usize>)| Dimension {
        value: Some(match side {
            Some(side) => DimensionValue::Fixed(side as i64),
            None => DimensionValue::Named(name),
        }),
        denotation: String::new(),
    };
    let batch = ("batch".to_owned(), None);
    let dim = std::iter::once(batch).chain(sides).map(dimension).collect();
    let tensor =
        TensorType { elem_type: ElementType::F32.0, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: value.name.clone(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(tensor)),
            denotation: String::new(),
        }),
    }
}
