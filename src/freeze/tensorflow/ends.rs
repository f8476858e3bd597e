//! What of a graph is converted: from which nodes, to which outputs.

use std::collections::HashSet;

use crate::graphdef::{End, Flat, Node, Output};

/// The outputs to convert with their names: those that depend on an input, and of an index of the
/// best class the scores that it was found among.
pub(super) fn chosen(
    (flat, cut): (&Flat, Option<usize>),
    ends: &[End],
) -> (Vec<(String, Output)>, Vec<String>) {
    let mut notes = Vec::new();
    let mut found: Vec<(String, Output, bool)> = Vec::new();
    for (end, &output) in ends.iter().zip(&flat.outputs) {
        let needs = needed((flat, cut), std::iter::once(output.node));
        if !needs.iter().any(|&at| Some(at) == cut || is_input(&flat.nodes[at])) {
            continue;
        }
        let mut place = output;
        while let [input, ..] = flat.nodes[place.node].inputs[..]
            && ["Identity", "Cast"].contains(&&*flat.nodes[place.node].op)
        {
            place = input;
        }
        let node = &flat.nodes[place.node];
        match node.inputs[..] {
            [scores, ..] if node.op == "ArgMax" => found.push((end.name.clone(), scores, true)),
            _ => found.push((end.name.clone(), output, false)),
        }
    }
    let scores = found.iter().any(|(.., index)| !index);
    let kept = found.into_iter().filter(|(.., index)| !(scores && *index));
    let kept = kept
        .map(|(name, output, index)| {
            if index {
                notes.push(format!(
                    "the graph answers with the index of the best class (`{name}`); the scores \
                     before it are taken instead"
                ));
            }
            (name, output)
        })
        .collect();
    (kept, notes)
}

pub(super) fn is_input(node: &Node) -> bool {
    node.op.starts_with("Placeholder") && node.op != "PlaceholderWithDefault"
}

/// The nodes that some nodes need, themselves included; nothing before the one at `cut`.
pub(super) fn needed(
    (flat, cut): (&Flat, Option<usize>),
    ends: impl Iterator<Item = usize>,
) -> HashSet<usize> {
    let mut stack: Vec<usize> = ends.collect();
    let mut found = HashSet::new();
    while let Some(at) = stack.pop() {
        if found.insert(at) && Some(at) != cut {
            stack.extend(flat.nodes[at].inputs.iter().map(|input| input.node));
        }
    }
    found
}
