//! Products and sums with numbers of their own behind a linear operator become part of it:
//! TensorFlow writes a bias as an operation, and batch normalisation as several.

use std::collections::HashMap;

use super::{
    array::Array,
    fold::{scaled, set, single, uses},
    graph::{Constant, Graph, Node},
    value::Value,
};

/// Folds what stands directly behind a convolution or dense layer; returns how many.
pub(super) fn fold(graph: &mut Graph, outputs: &[Value]) -> usize {
    let mut uses = uses(graph, outputs);
    let mut made: HashMap<String, usize> =
        graph.nodes.iter().enumerate().map(|(at, node)| (node.output.clone(), at)).collect();
    let mut gone = vec![false; graph.nodes.len()];
    for (at, gone) in gone.iter_mut().enumerate() {
        let Some(change) = Change::of(graph, &graph.nodes[at]) else { continue };
        let Some(before) = single(&graph.nodes[at].inputs[change.place], &uses, &made) else {
            continue;
        };
        if into(graph, before, &change, &mut uses) {
            *gone = true;
            let output = graph.nodes[at].output.clone();
            graph.nodes[before].output.clone_from(&output);
            made.insert(output, before);
        }
    }
    let count = gone.iter().filter(|&&gone| gone).count();
    let mut gone = gone.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
    count
}

/// `x·scale + shift`.
struct Change {
    /// Which input is `x`.
    place: usize,
    /// Sides of the numbers.
    shape: Vec<usize>,
    scale: Option<Vec<f64>>,
    shift: Option<Vec<f64>>,
}

impl Change {
    fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let [first, second] = &node.inputs[..] else { return None };
        let numbers = |name: &String| match graph.constants.get(name) {
            Some(Constant::Floats(array)) => Some(array),
            _ => None,
        };
        let (place, numbers) = match (numbers(first), numbers(second)) {
            (None, Some(numbers)) => (0, numbers),
            (Some(numbers), None) => (1, numbers),
            _ => return None,
        };
        let each = |change: fn(f64) -> f64| -> Option<Vec<f64>> {
            Some(numbers.values.iter().map(|&value| change(f64::from(value))).collect())
        };
        let (scale, shift) = match (node.operator, place) {
            ("Mul", _) => (each(|value| value), None),
            ("Div", 0) => (each(|value| 1.0 / value), None),
            ("Add", _) => (None, each(|value| value)),
            ("Sub", 0) => (None, each(|value| -value)),
            ("Sub", 1) => (each(|_| -1.0), each(|value| value)),
            _ => return None,
        };
        Some(Self { place, shape: numbers.shape.clone(), scale, shift })
    }

    /// The numbers for `count` channels along axis `axis` of `rank`; `None` when they are for
    /// something else.
    fn spread(&self, count: usize, axis: usize, rank: usize) -> Option<[Vec<f64>; 2]> {
        let rest = rank.checked_sub(self.shape.len())?;
        let fits = self
            .shape
            .iter()
            .enumerate()
            .all(|(place, &side)| side == 1 || (place + rest == axis && side == count));
        let filled = |values: &Option<Vec<f64>>, usual: f64| match values.as_deref() {
            None => vec![usual; count],
            Some([one]) => vec![*one; count],
            Some(values) => values.to_vec(),
        };
        let spread = [filled(&self.scale, 1.0), filled(&self.shift, 0.0)];
        (fits && spread.iter().all(|values| values.len() == count)).then_some(spread)
    }
}

/// Folds a change into the node at `before`, if that is linear.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn into(
    graph: &mut Graph,
    before: usize,
    change: &Change,
    uses: &mut HashMap<String, usize>,
) -> bool {
    let node = &graph.nodes[before];
    // The axis of the outputs in the weights, and in the result with its number of axes.
    let (channels, axis, rank) = match node.operator {
        "Conv" => (0, 1, 4),
        "ConvTranspose" => (1, 1, 4),
        "Gemm" => (1, 1, 2),
        _ => return false,
    };
    let floats = |place: usize| match node.inputs.get(place).map(|name| graph.constants.get(name)) {
        Some(Some(Constant::Floats(array))) => Some(array),
        _ => None,
    };
    let Some(weights) = floats(1) else { return false };
    if node.inputs.len() > 2 && floats(2).is_none() {
        return false;
    }
    let Some(&count) = weights.shape.get(channels) else { return false };
    let Some([scale, shift]) = change.spread(count, axis, rank) else { return false };
    if node.operator == "ConvTranspose" && node.int("group").unwrap_or(1) != 1 {
        return false;
    }
    let bias = floats(2).map_or_else(|| vec![0.0; count], |bias| bias.values.clone());
    if bias.len() != count || scale.iter().chain(&shift).any(|value| !value.is_finite()) {
        return false;
    }
    let bias: Vec<f32> = (bias.iter().zip(&scale).zip(&shift))
        .map(|((&bias, scale), shift)| (f64::from(bias) * scale + shift) as f32)
        .collect();
    let bias = Array::vector(bias);
    let bias_name = node.inputs.get(2).cloned().unwrap_or(format!("{}/bias", node.output));
    if change.scale.is_none() {
        // The weights stay as they are, and whatever else uses them.
        let name = graph.unique(&bias_name);
        graph.constants.insert(name.clone(), Constant::Floats(bias));
        let inputs = &mut graph.nodes[before].inputs;
        inputs.truncate(2);
        inputs.push(name);
        return true;
    }
    let name = node.inputs[1].clone();
    let shared = uses.get(&name).is_some_and(|&uses| uses > 1);
    let weights = if shared {
        weights.clone()
    } else {
        match graph.constants.remove(&name) {
            Some(Constant::Floats(weights)) => weights,
            _ => return false,
        }
    };
    let weights = scaled(weights, channels, &scale);
    let name = if shared {
        uses.entry(name.clone()).and_modify(|uses| *uses -= 1);
        graph.unique(&name)
    } else {
        name
    };
    let bias_name = graph.unique(&bias_name);
    set(graph, before, [name, bias_name], [weights, bias]);
    true
}
