//! `TensorFlowOpLayer` of TensorFlow 2.0 to 2.3: a graph node in JSON, its constants beside it.

use serde_json::{Value as Json, json};

use super::object;
use crate::freeze::call::{Given, LayerCall};

/// Brings the node's operands into the form of the other operations, and returns its name.
pub(super) fn spread(call: &mut LayerCall) -> Result<String, String> {
    let node = call.settings.get("node_def").ok_or("its `node_def` is missing")?;
    let parsed;
    let node = match node {
        Json::String(text) => {
            parsed = serde_json::from_str::<Json>(text).ok();
            parsed.as_ref().ok_or("its `node_def` is no JSON")?
        }
        other => other,
    };
    let name = node.get("op").and_then(Json::as_str).ok_or("its `node_def` has no operation")?;
    let operands = operands(call, node)?;
    let attribute = |key: &str| node.get("attr").and_then(|attributes| attributes.get(key));
    let keep = attribute("keep_dims").and_then(|keep| keep.get("b")).is_some_and(|b| b == true);
    call.named.insert("keepdims".to_owned(), Given::Constant(keep.into()));
    if let Some(to) = attribute("DstT").and_then(|to| to.get("type")) {
        call.named.insert("dtype".to_owned(), Given::Constant(to.clone()));
    }
    if let Some(alpha) = attribute("alpha").and_then(|alpha| alpha.get("f")) {
        call.named.insert("alpha".to_owned(), Given::Constant(alpha.clone()));
    }
    call.arguments = operands;
    match name {
        "StridedSlice" => strided(call, node),
        "ConcatV2" => {
            let axis = call.arguments.pop();
            let items = std::mem::take(&mut call.arguments);
            call.arguments = [Some(Given::List(items)), axis].into_iter().flatten().collect();
            Ok("concat".to_owned())
        }
        "Pack" => {
            let axis = attribute("axis").and_then(|axis| axis.get("i")).and_then(number);
            let items = std::mem::take(&mut call.arguments);
            call.arguments = vec![Given::List(items), Given::Constant(axis.unwrap_or(0).into())];
            Ok("stack".to_owned())
        }
        "Squeeze" => {
            let axes = attribute("squeeze_dims").and_then(|dims| dims.get("list")?.get("i"));
            let axes = axes.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            let axes: Vec<i64> = axes.iter().filter_map(number).collect();
            if !axes.is_empty() {
                call.arguments.push(Given::Constant(axes.into()));
            }
            Ok("squeeze".to_owned())
        }
        other => Ok(other.to_owned()),
    }
}

/// Operands by their places: constants where `constants` has them, else tensors in their order.
fn operands(call: &LayerCall, node: &Json) -> Result<Vec<Given>, String> {
    let constants = call.settings.get("constants").and_then(object);
    let listed = node.get("input").and_then(Json::as_array).map_or(0, Vec::len);
    let constant = |place: usize| constants?.get(&place.to_string());
    let mut tensors = call.inputs.iter();
    let mut operands = Vec::new();
    let most = call.inputs.len() + constants.map_or(0, serde_json::Map::len);
    for place in 0..listed.min(most) {
        operands.push(match constant(place) {
            Some(value) => Given::Constant(value.clone()),
            None => Given::Tensor(tensors.next().ok_or("it gets too few tensors")?.clone()),
        });
    }
    Ok(operands)
}

/// Numbers of protobuf's JSON may be texts.
fn number(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Begin, end and strides with their masks, as a list of slices.
fn strided(call: &mut LayerCall, node: &Json) -> Result<String, String> {
    let list = |place: usize| match call.arguments.get(place) {
        Some(Given::Constant(Json::Array(items))) => Some(items.clone()),
        _ => None,
    };
    let (begin, end, strides) = (list(1), list(2), list(3));
    let (Some(begin), Some(end), Some(strides)) = (begin, end, strides) else {
        return Err("it takes a part that is no constant".to_owned());
    };
    let mask = |key: &str| {
        let value = node.get("attr").and_then(|attributes| attributes.get(key)?.get("i"));
        value.and_then(number).unwrap_or(0)
    };
    let masks =
        ["begin_mask", "end_mask", "ellipsis_mask", "shrink_axis_mask", "new_axis_mask"].map(mask);
    let has = |mask: i64, place: usize| place < 63 && mask >> place & 1 == 1;
    let mut parts = Vec::new();
    for (place, ((begin, end), step)) in begin.iter().zip(&end).zip(&strides).enumerate() {
        let open =
            |mask: i64, value: &Json| if has(mask, place) { Json::Null } else { value.clone() };
        parts.push(if has(masks[2], place) {
            json!({"class_name": "__ellipsis__"})
        } else if has(masks[4], place) {
            Json::Null
        } else if has(masks[3], place) {
            begin.clone()
        } else {
            json!({"start": open(masks[0], begin), "stop": open(masks[1], end), "step": step})
        });
    }
    call.arguments.truncate(1);
    call.arguments.push(Given::Constant(parts.into()));
    Ok("getitem".to_owned())
}
