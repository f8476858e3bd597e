//! What one layer or operation does to pixels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pixels::{Arithmetic, Pixels, numbers};
use crate::keras::{Argument, Call, Layer, TensorRef, is_silent};

/// Pixels, changed or not, or something else.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// The same numbers, perhaps in another shape.
    Same,
    /// Other numbers, each computed from one that was fed.
    Changed(Pixels),
    /// Not this file's business: the layer learns, or mixes pixels.
    Other,
}

/// Layers that move pixels and leave their values as they are.
const MOVING: [&str; 4] = ["Cropping2D", "Flatten", "Reshape", "ZeroPadding2D"];

/// What `layer` makes of the pixels among its arguments, all of which are `known`.
pub(super) fn outcome(layer: &Layer, call: &Call, known: &BTreeMap<TensorRef, Pixels>) -> Outcome {
    let class = layer.class.as_str();
    // `RandomCrop` crops and resizes also when the model is used, which leaves values as they are;
    // `RandomGrayscale` grays then, too.
    let random = class.starts_with("Random") && class != "RandomGrayscale";
    if random || is_silent(class) || MOVING.contains(&class) || is_linear(layer) {
        return Outcome::Same;
    }
    let changed = match class {
        "Rescaling" => rescaled(layer, call, known),
        "Stack" | "Concatenate" => joined(layer, call, known),
        "TensorFlowOpLayer" => by_node(layer, call, known),
        _ => {
            let function = layer.config.get("function").and_then(Value::as_str);
            let name = function.unwrap_or(class);
            by_name(name.rsplit('.').next().unwrap_or(name), call, known)
        }
    };
    match changed {
        Some(pixels) if call.tensors().first().and_then(|t| known.get(t)) == Some(&pixels) => {
            Outcome::Same
        }
        Some(pixels) => Outcome::Changed(pixels),
        None => Outcome::Other,
    }
}

fn is_linear(layer: &Layer) -> bool {
    layer.class == "Activation" && layer.config.get("activation").is_some_and(|a| a == "linear")
}

type Known = BTreeMap<TensorRef, Pixels>;

fn first<'a>(call: &Call, known: &'a Known) -> Option<&'a Pixels> {
    known.get(*call.tensors().first()?)
}

fn rescaled(layer: &Layer, call: &Call, known: &Known) -> Option<Pixels> {
    let scale = layer.config.get("scale").and_then(numbers)?;
    let offset = layer.config.get("offset").and_then(numbers).unwrap_or_else(|| vec![0.0]);
    first(call, known)?.scaled(&scale, &offset)
}

/// Operations of Keras 3 by their class, functions of TensorFlow by the last part of their name.
fn by_name(name: &str, call: &Call, known: &Known) -> Option<Pixels> {
    let by = match name {
        "TrueDivide" | "Divide" | "truediv" | "divide" => Arithmetic::Divide,
        "Subtract" | "subtract" => Arithmetic::Subtract,
        "Add" | "add" | "bias_add" => Arithmetic::Add,
        "Multiply" | "multiply" => Arithmetic::Multiply,
        "Cast" | "cast" | "identity" => return first(call, known).cloned(),
        "GetItem" | "getitem" => return taken(call, known),
        "stack" | "concat" => return side_by_side(call, known, axis(call.named.get("axis"))?),
        _ => return None,
    };
    let (constant, left) = operand(call)?;
    first(call, known)?.combined(by, &constant, left)
}

/// The constant of a computation, and whether it stands on the right.
fn operand(call: &Call) -> Option<(Vec<f64>, bool)> {
    let constant = |argument: &Argument| match argument {
        Argument::Constant(value) => numbers(value),
        _ => None,
    };
    match &call.arguments[..] {
        [Argument::Tensor(_), other] => Some((constant(other)?, true)),
        [Argument::Tensor(_)] => {
            let names = ["y", "x2", "bias", "value"];
            let found = names.iter().find_map(|name| call.named.get(*name));
            Some((constant(found?)?, true))
        }
        // In `1 - x` of Keras 2 the tensor is given by its name.
        [other, Argument::Tensor(_)] | [other @ Argument::Constant(_)] => {
            Some((constant(other)?, false))
        }
        _ => None,
    }
}

/// `x[..., 2]` and `x[..., ::-1]`.
fn taken(call: &Call, known: &Known) -> Option<Pixels> {
    let spec = call.named.get("slice_spec").or_else(|| call.arguments.get(1))?;
    let Argument::Constant(Value::Array(parts)) = spec else { return None };
    let [before @ .., last] = &parts[..] else { return None };
    let whole = |part: &Value| {
        let class = part.get("class_name").and_then(Value::as_str);
        class == Some("__ellipsis__") || step(part) == Some(1)
    };
    if !before.iter().all(whole) {
        return None;
    }
    let fed = first(call, known)?;
    match (last.as_u64(), step(last)) {
        (Some(at), _) => fed.single(usize::try_from(at).ok()?),
        (None, Some(-1)) => Some(fed.reversed()),
        (None, Some(1)) => Some(fed.clone()),
        _ => None,
    }
}

/// The step of a slice that leaves nothing out: 1 or −1.
fn step(part: &Value) -> Option<i64> {
    let fields = part.get("config").unwrap_or(part).as_object()?;
    let open = |key: &str| fields.get(key).is_none_or(Value::is_null);
    if !fields.contains_key("step") || !open("start") || !open("stop") {
        return None;
    }
    match fields.get("step")? {
        Value::Null => Some(1),
        step => step.as_i64(),
    }
}

fn joined(layer: &Layer, call: &Call, known: &Known) -> Option<Pixels> {
    side_by_side(call, known, layer.config.get("axis").and_then(Value::as_i64).unwrap_or(-1))
}

fn axis(argument: Option<&Argument>) -> Option<i64> {
    match argument? {
        Argument::Constant(axis) => axis.as_i64(),
        _ => None,
    }
}

/// Channels next to each other, along the last axis.
fn side_by_side(call: &Call, known: &Known, axis: i64) -> Option<Pixels> {
    if axis != -1 && axis != 3 {
        return None;
    }
    let parts: Option<Vec<_>> =
        call.tensors().into_iter().map(|tensor| known.get(tensor)).collect();
    Some(Pixels::joined(parts?.into_iter()))
}

/// An operation of TensorFlow 2.0 to 2.3: `node_def`, as JSON or as a text of it, and `constants`.
fn by_node(layer: &Layer, call: &Call, known: &Known) -> Option<Pixels> {
    let node = layer.config.get("node_def")?;
    let parsed = node.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let op = parsed.as_ref().unwrap_or(node).get("op")?.as_str()?;
    let constants = layer.config.get("constants")?;
    let constant = |at: &str| constants.get(at).and_then(numbers);
    let fed = first(call, known)?;
    let by = match op {
        "RealDiv" => Arithmetic::Divide,
        "Sub" => Arithmetic::Subtract,
        "Add" | "AddV2" | "BiasAdd" => Arithmetic::Add,
        "Mul" => Arithmetic::Multiply,
        "Cast" => return Some(fed.clone()),
        "StridedSlice" => {
            let (last, before) = constant("3")?.split_last().map(|(l, b)| (*l, b.to_vec()))?;
            let reversed = last == -1.0 && before.iter().all(|&step| step == 1.0);
            return reversed.then(|| fed.reversed());
        }
        _ => return None,
    };
    match (constant("0"), constant("1")) {
        (None, Some(right)) => fed.combined(by, &right, true),
        (Some(left), None) => fed.combined(by, &left, false),
        _ => None,
    }
}
