//! Which variable of a `SavedModel` is stored under which key: the operations that would restore
//! them say it, for every TensorFlow.

use std::collections::HashMap;

use super::{
    flat::{Functions, nodes},
    message::NodeDef,
};
use crate::keras::Fault;

/// Keys of the checkpoint by the names of the variables' nodes. `restore` is the operation that
/// restores a model.
pub(super) fn keys(
    graph: &[NodeDef],
    functions: &Functions,
    restore: &str,
) -> Result<HashMap<String, String>, Fault> {
    // TensorFlow 1 restores in the graph itself, 2 in a function that gets the variables.
    let mut keys = assigned(graph);
    let name = restore.split(':').next().unwrap_or(restore);
    let call = graph.iter().find(|node| node.name == name && !name.is_empty());
    let function = call.and_then(|call| call.attributes.get("f")?.function.as_ref());
    let (Some(call), Some(function)) = (call, function) else { return Ok(keys) };
    let function = functions.get(&function.name)?;
    let inner = assigned(&nodes(&function.nodes)?);
    let signature = function.signature.unwrap_or_default();
    let given = call.inputs.iter().filter(|input| !input.starts_with('^'));
    for (argument, given) in signature.inputs.iter().zip(given) {
        if let Some(key) = inner.get(&argument.name) {
            keys.insert(node_of(given).to_owned(), key.clone());
        }
    }
    Ok(keys)
}

/// What gets a restored value, and the key that it was restored from.
fn assigned(nodes: &[NodeDef]) -> HashMap<String, String> {
    let places: HashMap<&str, &NodeDef> = nodes.iter().map(|node| (&*node.name, node)).collect();
    let mut names: HashMap<&str, Vec<String>> = HashMap::new();
    for node in nodes.iter().filter(|node| node.op == "RestoreV2") {
        let constant = node.inputs.get(1).and_then(|input| places.get(node_of(input)));
        names.insert(&node.name, constant.map(|node| texts(node)).unwrap_or_default());
    }
    let mut keys = HashMap::new();
    for node in nodes.iter().filter(|node| ["Assign", "AssignVariableOp"].contains(&&*node.op)) {
        let [variable, value, ..] = &node.inputs[..] else { continue };
        let mut value = value.as_str();
        // A restored value may go through one that only passes it on.
        for _ in 0..4 {
            let Some(made) = places.get(node_of(value)) else { break };
            if let Some(names) = names.get(&*made.name) {
                let index = value.rsplit(':').next().and_then(|index| index.parse().ok());
                if let Some(key) = names.get(index.unwrap_or(0)) {
                    keys.insert(node_of(variable).to_owned(), key.clone());
                }
                break;
            }
            match made.inputs.first() {
                Some(input) if made.op == "Identity" => value = input,
                _ => break,
            }
        }
    }
    keys
}

fn texts(node: &NodeDef) -> Vec<String> {
    let value = node.attributes.get("value").and_then(|value| value.tensor.as_ref());
    let texts = value.iter().flat_map(|tensor| &tensor.texts);
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn node_of(tensor: &str) -> &str {
    tensor.split(':').next().unwrap_or(tensor)
}
