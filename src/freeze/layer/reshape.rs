//! Layers that keep all numbers and change the axes.

use crate::freeze::{
    call::LayerCall,
    graph::Attribute,
    settings::integers,
    value::{Order, Value},
};

/// `Flatten`. Planes are flattened as they lie, and the dense layer behind them is reordered.
pub(super) fn flatten(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    if input.rank() < 2 {
        let axes = call.graph.whole("axes", vec![1]);
        let name = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
        return Ok(Value::new(name, vec![None, Some(1)]));
    }
    if input.rank() == 2 {
        return Ok(input);
    }
    let length = input
        .elements()
        .ok_or("it gets a size that the model leaves open; say it with `--size HEIGHTxWIDTH`")?;
    // Keras moves the channels behind before it flattens, from version 2 on.
    let moves = call.settings.channels_first()? && call.writer.version > 1;
    let first = moves && input.rank() == 4;
    let sides = match (input.order, &input.shape[1..]) {
        (Order::ChannelsFirst, [height, width, channels]) => Some([*height, *width, *channels]),
        (Order::Keras, [channels, height, width]) if first => Some([*height, *width, *channels]),
        _ => None,
    };
    let name = call.graph.node("Flatten", &[&input.name], vec![("axis", Attribute::Int(1))]);
    let order = match sides {
        Some([Some(height), Some(width), Some(channels)])
            if channels > 1 && (height, width) != (1, 1) =>
        {
            Order::Flattened([height, width, channels])
        }
        _ if moves && input.rank() != 4 => {
            return Err(format!("it moves the channels of {} axes", input.rank()));
        }
        _ => Order::Keras,
    };
    Ok(Value { name, shape: vec![None, Some(length)], order })
}

/// `Reshape`.
pub(super) fn reshape(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let target = call.settings.get("target_shape").or_else(|| call.settings.get("dims"));
    let target = target.and_then(integers).ok_or("its `target_shape` is no list of numbers")?;
    to_shape(call, &input, &target)
}

/// The value with other sides behind the batch; −1 is what remains.
pub(super) fn to_shape(
    call: &mut LayerCall,
    input: &Value,
    target: &[i64],
) -> Result<Value, String> {
    let rest = remaining(input, target)?;
    let side = |&side: &i64| usize::try_from(side).ok().or(rest);
    let sides: Vec<Option<usize>> = target.iter().map(side).collect();
    let shape = [&[None], &sides[..]].concat();
    // A row of channels as one pixel: squeeze and excitation.
    if let (2, [Some(1), Some(1), Some(channels)], Order::Keras) =
        (input.rank(), &sides[..], input.order)
    {
        let to = call.graph.whole("shape", vec![-1, *channels as i64, 1, 1]);
        let name = call.graph.node("Reshape", &[&input.name, &to], Vec::new());
        return Ok(Value { name, shape, order: Order::ChannelsFirst });
    }
    let one_pixel = input.order == Order::ChannelsFirst && input.shape[1..3] == [Some(1), Some(1)];
    let input = if one_pixel { input.clone() } else { call.graph.as_keras(input) };
    let numbers = |side: &Option<usize>| side.map_or(-1, |side| side as i64);
    let sides: Vec<i64> = sides.iter().map(numbers).collect();
    let batch = if sides.contains(&-1) { 0 } else { -1 };
    let to = call.graph.whole("shape", [&[batch], &sides[..]].concat());
    let name = call.graph.node("Reshape", &[&input.name, &to], Vec::new());
    Ok(Value::new(name, shape))
}

/// The side that −1 stands for; `None` when there is no −1, or a side of the input is open.
fn remaining(input: &Value, target: &[i64]) -> Result<Option<usize>, String> {
    let open = target.iter().filter(|&&side| side == -1).count();
    if open > 1 || target.iter().any(|&side| side < -1 || side == 0) {
        return Err(format!("its target shape is {target:?}"));
    }
    let known = target
        .iter()
        .filter(|&&side| side > 0)
        .try_fold(1usize, |product, &side| product.checked_mul(usize::try_from(side).ok()?));
    let known = known.ok_or("its target shape is too large")?;
    let length = input.elements();
    match length {
        Some(length) if open == 1 && length.is_multiple_of(known) => Ok(Some(length / known)),
        Some(length) if open == 0 && length == known => Ok(None),
        Some(length) => Err(format!("it brings {length} numbers to {target:?}")),
        None => Ok(None),
    }
}

/// `Permute`, which counts axes from 1.
pub(super) fn permute(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let axes = call.settings.get("dims").and_then(integers).ok_or("its `dims` are missing")?;
    to_axes(call, &input, &[&[0], &axes[..]].concat())
}

/// The value with its axes in another order.
pub(super) fn to_axes(call: &mut LayerCall, input: &Value, axes: &[i64]) -> Result<Value, String> {
    let input = call.graph.as_keras(input);
    let found = axes.iter().map(|&axis| input.keras_axis(axis)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = found.clone();
    sorted.sort_unstable();
    if sorted != (0..input.rank()).collect::<Vec<_>>() || found.first() != Some(&0) {
        return Err(format!("it brings the axes into the order {axes:?}"));
    }
    let shape = found.iter().map(|&axis| input.shape[axis]).collect();
    let order = Attribute::Ints(found.iter().map(|&axis| axis as i64).collect());
    let name = call.graph.node("Transpose", &[&input.name], vec![("perm", order)]);
    Ok(Value::new(name, shape))
}

/// `RepeatVector`.
pub(super) fn repeat_vector(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let input = call.graph.as_keras(&input);
    let [batch, length] = input.shape[..] else {
        return Err(format!("it gets {} axes, not 2", input.rank()));
    };
    let count = call.settings.whole("n")?.filter(|&count| count > 0).unwrap_or(1);
    let axes = call.graph.whole("axes", vec![1]);
    let row = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
    let times = call.graph.whole("times", vec![1, count as i64, 1]);
    let name = call.graph.node("Tile", &[&row, &times], Vec::new());
    Ok(Value::new(name, vec![batch, Some(count), length]))
}
