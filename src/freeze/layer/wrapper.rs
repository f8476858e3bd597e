//! Layers around layers.

use super::convert;
use crate::freeze::{
    call::{Asked, LayerCall},
    settings::Settings,
    value::Value,
};

/// Layers that treat every pixel or place alike, so that one more axis changes nothing.
const PLACEWISE: &[&str] =
    &["Activation", "Dense", "Dropout", "ELU", "LeakyReLU", "ReLU", "Rescaling"];

/// `TimeDistributed`: the layer inside for each step, as if the steps were images.
pub(super) fn time_distributed(call: &mut LayerCall) -> Result<Value, String> {
    let inner = call.layer.wrapped().ok_or("it has no layer inside that can be read")?;
    let input = call.input()?;
    if PLACEWISE.contains(&&*inner.class) && input.rank() > 2 {
        return inside(call, &inner, input);
    }
    let input = call.graph.as_keras(&input);
    let [_, Some(steps), rest @ ..] = &input.shape[..] else {
        return Err("it gets an unknown number of steps".to_owned());
    };
    let (steps, rest) = (*steps, rest.to_vec());
    let single = reshaped(call, &input, &rest, None)?;
    let single = Value::new(single, [&[None], &rest[..]].concat());
    let result = inside(call, &inner, single)?;
    let result = call.graph.as_keras(&result);
    let rest = result.shape[1..].to_vec();
    let name = reshaped(call, &result, &rest, Some(steps))?;
    Ok(Value::new(name, [&[None, Some(steps)], &rest[..]].concat()))
}

fn reshaped(
    call: &mut LayerCall,
    value: &Value,
    rest: &[Option<usize>],
    steps: Option<usize>,
) -> Result<String, String> {
    let sides: Option<Vec<i64>> = rest.iter().map(|side| side.map(|side| side as i64)).collect();
    let sides = sides.ok_or("it gets a size that the model leaves open")?;
    let front: Vec<i64> = std::iter::once(-1).chain(steps.map(|steps| steps as i64)).collect();
    let shape = call.graph.whole("steps", [front, sides].concat());
    Ok(call.graph.node("Reshape", &[&value.name, &shape], Vec::new()))
}

fn inside(
    call: &mut LayerCall,
    layer: &crate::keras::Layer,
    input: Value,
) -> Result<Value, String> {
    if layer.is_opaque() || layer.model.is_some() {
        return Err(format!("the layer inside is {}", layer.class));
    }
    let own = |(role, array)| (str::strip_prefix(role, "layer/").unwrap_or(role).to_owned(), array);
    let weights = std::mem::take(&mut call.weights);
    let mut inner = LayerCall {
        graph: &mut *call.graph,
        layer,
        settings: Settings(&layer.config),
        weights: weights.iter().map(|(role, array)| own((role, array.clone()))).collect(),
        inputs: vec![input],
        arguments: Vec::new(),
        named: std::collections::BTreeMap::new(),
        writer: call.writer,
        notes: Vec::new(),
        asked: Asked::default(),
    };
    let result = convert(&mut inner);
    let notes = inner.notes;
    call.notes.extend(notes);
    result?.pop().ok_or_else(|| "the layer inside answers nothing".to_owned())
}
