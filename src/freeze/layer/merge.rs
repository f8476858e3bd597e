//! Layers that make one tensor of several.

use super::normalize::{self, LEAST_SQUARE};
use crate::freeze::{
    call::LayerCall,
    graph::Attribute,
    value::{Order, Value, broadcast},
};

/// `Add`, `Subtract`, `Multiply`, `Average`, `Maximum`, `Minimum`, and Keras 1's `Merge`.
pub(super) fn merge(call: &mut LayerCall) -> Result<Value, String> {
    let class = match (call.layer.class.as_str(), call.settings.text("mode")?) {
        ("Merge", Some("concat")) => return concatenate(call),
        ("Merge", Some("sum")) => "Add",
        ("Merge", Some("mul")) => "Multiply",
        ("Merge", Some("ave")) => "Average",
        ("Merge", Some("max")) => "Maximum",
        ("Merge", mode) => return Err(format!("its `mode` is {mode:?}")),
        (class, _) => class,
    };
    let operator = match class {
        "Add" | "Average" => "Add",
        "Subtract" => "Sub",
        "Multiply" => "Mul",
        "Maximum" => "Max",
        _ => "Min",
    };
    let inputs = call.inputs.clone();
    let value = combine(call, operator, &inputs)?;
    if class == "Average" {
        return Ok(call.with_number("Mul", &value, ("share", 1.0 / inputs.len() as f32)));
    }
    Ok(value)
}

/// Several tensors one after the other; fewer axes are filled up behind the batch, as Keras does.
pub(super) fn combine(
    call: &mut LayerCall,
    operator: &'static str,
    inputs: &[Value],
) -> Result<Value, String> {
    let rank = inputs.iter().map(Value::rank).max().ok_or("it gets nothing")?;
    let mut inputs = inputs.to_vec();
    for input in &mut inputs {
        let missing = rank - input.rank();
        if missing > 0 {
            let value = call.graph.as_keras(input);
            let axes = call.graph.whole("axes", (1..=missing as i64).collect());
            let name = call.graph.node("Unsqueeze", &[&value.name, &axes], Vec::new());
            let mut shape = value.shape;
            shape.splice(1..1, std::iter::repeat_n(Some(1), missing));
            *input = Value::new(name, shape);
        }
    }
    let inputs = aligned(call, &inputs)?;
    let (first, others) = inputs.split_first().ok_or("it gets nothing")?;
    let mut value = first.clone();
    for other in others {
        let shape = broadcast(&value.shape, &other.shape)?;
        let name = call.graph.node(operator, &[&value.name, &other.name], Vec::new());
        value = Value { name, shape, order: value.order };
    }
    Ok(value)
}

/// The same tensors, all in one order: with the channels first where one has them so.
pub(super) fn aligned(call: &mut LayerCall, inputs: &[Value]) -> Result<Vec<Value>, String> {
    let first = inputs.first().ok_or("it gets nothing")?;
    if inputs.iter().all(|input| input.order == first.order) {
        return Ok(inputs.to_vec());
    }
    if inputs.iter().any(|input| input.order == Order::ChannelsFirst) {
        return inputs.iter().map(|input| call.graph.channels_first(input)).collect();
    }
    Ok(inputs.iter().map(|input| call.graph.as_keras(input)).collect())
}

/// `Concatenate`.
pub(super) fn concatenate(call: &mut LayerCall) -> Result<Value, String> {
    let key = if call.settings.get("concat_axis").is_some() { "concat_axis" } else { "axis" };
    let axis = call.settings.axis(key, -1)?;
    let inputs = call.inputs.clone();
    joined(call, &inputs, axis)
}

/// Tensors behind each other along one of Keras's axes.
pub(super) fn joined(call: &mut LayerCall, inputs: &[Value], axis: i64) -> Result<Value, String> {
    let inputs: Vec<Value> = inputs
        .iter()
        .map(|input| match input.order {
            Order::Flattened(_) => call.graph.as_keras(input),
            _ => input.clone(),
        })
        .collect();
    let inputs = aligned(call, &inputs)?;
    let [first, ..] = &inputs[..] else { return Err("it gets nothing".to_owned()) };
    let along = first.keras_axis(axis)?;
    if inputs.iter().any(|input| input.rank() != first.rank()) || along == 0 {
        return Err("it joins tensors of different numbers of axes, or images".to_owned());
    }
    let mut shape = first.shape.clone();
    shape[along] =
        inputs.iter().try_fold(0usize, |sum, input| sum.checked_add(input.shape[along]?));
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let attributes = vec![("axis", Attribute::Int(first.axis(axis)? as i64))];
    let name = call.graph.node("Concat", &names, attributes);
    Ok(Value { name, shape, order: first.order })
}

/// `Dot` of two rows.
pub(super) fn dot(call: &mut LayerCall) -> Result<Value, String> {
    let [a, b] = &call.inputs[..] else {
        return Err(format!("it gets {} tensors, not 2", call.inputs.len()));
    };
    let (mut a, mut b) = (a.clone(), b.clone());
    if a.rank() != 2 || b.rank() != 2 {
        return Err(format!("it multiplies {} and {} axes", a.rank(), b.rank()));
    }
    if call.settings.flag("normalize", false)? {
        a = normalize::to_unit(call, &a, &[-1], LEAST_SQUARE)?;
        b = normalize::to_unit(call, &b, &[-1], LEAST_SQUARE)?;
    }
    let product = combine(call, "Mul", &[a, b])?;
    let axes = call.graph.whole("axes", vec![1]);
    let name = call.graph.node("ReduceSum", &[&product.name, &axes], Vec::new());
    Ok(Value::new(name, vec![None, Some(1)]))
}
