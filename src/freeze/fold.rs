//! Nodes that become part of others: batch normalisation of the convolution before it, zero padding
//! of the convolution behind it.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    array::Array,
    graph::{Attribute, Constant, Graph, Node},
    value::Value,
};

/// Layers and nodes that became part of others, or were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// Batch normalisations that became part of a convolution or dense layer.
    pub batch_normalisations: usize,
    /// Batch normalisations that remain, because something stands between.
    pub remaining: usize,
    /// Paddings that became part of a convolution.
    pub paddings: usize,
    /// Layers that only training needs.
    pub silent_layers: usize,
}

/// Folds what can be folded without changing more than the last bits of a result.
pub(super) fn fold(graph: &mut Graph, outputs: &[Value]) -> Folded {
    let mut folded = Folded::default();
    let mut uses = uses(graph, outputs);
    let mut made: HashMap<String, usize> =
        graph.nodes.iter().enumerate().map(|(at, node)| (node.output.clone(), at)).collect();
    let mut gone = vec![false; graph.nodes.len()];
    for at in 0..graph.nodes.len() {
        match graph.nodes[at].operator {
            "BatchNormalization" => {
                let before = single(&graph.nodes[at].inputs[0], &uses, &made);
                if before.is_some_and(|before| into_linear(graph, before, at, &mut uses)) {
                    let before = before.expect("it was found above");
                    folded.batch_normalisations += 1;
                    gone[at] = true;
                    let output = graph.nodes[at].output.clone();
                    graph.nodes[before].output.clone_from(&output);
                    made.insert(output, before);
                } else {
                    folded.remaining += 1;
                }
            }
            "Conv" => {
                let before = single(&graph.nodes[at].inputs[0], &uses, &made);
                if let Some(before) = before.filter(|&before| into_convolution(graph, before, at)) {
                    folded.paddings += 1;
                    gone[before] = true;
                    let input = graph.nodes[before].inputs[0].clone();
                    graph.nodes[at].inputs[0] = input;
                }
            }
            _ => {}
        }
    }
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    folded
}

/// How often each value is used, as an output of the graph too.
pub(super) fn uses(graph: &Graph, outputs: &[Value]) -> HashMap<String, usize> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    let inputs = graph.nodes.iter().flat_map(|node| &node.inputs);
    for name in inputs.chain(outputs.iter().map(|output| &output.name)) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    uses
}

/// The node that makes a value which is used once.
pub(super) fn single(
    name: &str,
    uses: &HashMap<String, usize>,
    made: &HashMap<String, usize>,
) -> Option<usize> {
    made.get(name).copied().filter(|_| uses.get(name) == Some(&1))
}

/// Multiplies a normalisation into the weights before it: with `s = γ/√(σ² + ε)` the weights become
/// `W·s` and the bias `β + (b − μ)·s`, in f64.
fn into_linear(
    graph: &mut Graph,
    before: usize,
    at: usize,
    uses: &mut HashMap<String, usize>,
) -> bool {
    let node = &graph.nodes[before];
    let channels = match (node.operator, node.int("group").unwrap_or(1)) {
        ("Conv", _) => 0,
        ("ConvTranspose" | "Gemm", 1) => 1,
        _ => return false,
    };
    let Some(weights) = floats(graph, node, 1).cloned() else { return false };
    let bias = floats(graph, node, 2).cloned();
    let normal = &graph.nodes[at];
    let arrays = [1, 2, 3, 4].map(|place| floats(graph, normal, place));
    let [Some(gamma), Some(beta), Some(mean), Some(variance)] = arrays else { return false };
    let count = gamma.values.len();
    let fits = weights.shape.get(channels) == Some(&count)
        && bias.as_ref().is_none_or(|bias| bias.values.len() == count);
    if !fits {
        return false;
    }
    let scale = scale(gamma, variance, normal.float("epsilon"));
    let shifted = shifted(bias.as_ref(), beta, mean, &scale);
    let scaled = scaled(weights, channels, &scale);
    let names = [graph.nodes[before].inputs[1].clone(), format!("{}/bias", normal.output)];
    let shared = uses.get_mut(&names[0]).filter(|uses| **uses > 1);
    let names = match shared {
        // The other use keeps the numbers as they are.
        Some(uses) => {
            *uses -= 1;
            names.map(|name| graph.unique(&name))
        }
        None => [names[0].clone(), graph.unique(&names[1])],
    };
    set(graph, before, names, [scaled, shifted]);
    true
}

/// Gives a node other weights and another bias.
pub(super) fn set(graph: &mut Graph, at: usize, names: [String; 2], arrays: [Array; 2]) {
    let node = &mut graph.nodes[at];
    node.inputs.truncate(1);
    node.inputs.extend(names.clone());
    let arrays = arrays.map(Constant::Floats);
    graph.constants.extend(names.into_iter().zip(arrays));
}

/// `γ/√(σ² + ε)` in f64.
fn scale(gamma: &Array, variance: &Array, epsilon: Option<f32>) -> Vec<f64> {
    let epsilon = f64::from(epsilon.unwrap_or(1e-5));
    let pairs = gamma.values.iter().zip(&variance.values);
    pairs.map(|(&gamma, &var)| f64::from(gamma) / (f64::from(var) + epsilon).sqrt()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn shifted(bias: Option<&Array>, beta: &Array, mean: &Array, scale: &[f64]) -> Array {
    let bias = |at: usize| bias.map_or(0.0, |bias| f64::from(bias.values[at]));
    let pairs = beta.values.iter().zip(&mean.values).zip(scale).enumerate();
    Array::vector(
        pairs
            .map(|(at, ((&beta, &mean), scale))| {
                (f64::from(beta) + (bias(at) - f64::from(mean)) * scale) as f32
            })
            .collect(),
    )
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
pub(super) fn scaled(mut weights: Array, axis: usize, scale: &[f64]) -> Array {
    let inner: usize = weights.shape[axis + 1..].iter().product();
    if inner == 0 {
        return weights;
    }
    for (at, run) in weights.values.chunks_exact_mut(inner).enumerate() {
        let scale = scale[at % scale.len()];
        for value in run {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
    weights
}

fn floats<'a>(graph: &'a Graph, node: &Node, place: usize) -> Option<&'a Array> {
    match graph.constants.get(node.inputs.get(place)?) {
        Some(Constant::Floats(array)) => Some(array),
        _ => None,
    }
}

/// Adds a padding with zeros to that of the convolution behind it.
fn into_convolution(graph: &mut Graph, before: usize, at: usize) -> bool {
    let (pad, convolution) = (&graph.nodes[before], &graph.nodes[at]);
    if pad.operator != "Pad" || pad.inputs.len() != 2 {
        return false;
    }
    let Some(Constant::Whole(zeros)) = graph.constants.get(&pad.inputs[1]) else { return false };
    let (&[0, 0, top, left, 0, 0, bottom, right], Some(pads)) =
        (&zeros[..], convolution.ints("pads"))
    else {
        return false;
    };
    let sums: Vec<i64> =
        pads.iter().zip([top, left, bottom, right]).map(|(own, more)| own + more).collect();
    let attributes = &mut graph.nodes[at].attributes;
    for (name, value) in attributes {
        if *name == "pads" {
            *value = Attribute::Ints(sums.clone());
        }
    }
    true
}
