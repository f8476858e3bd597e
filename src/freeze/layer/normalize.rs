//! Normalisation by statistics: of training, of an image, of a pixel.

use crate::freeze::{
    array::Array,
    call::{LayerCall, float},
    graph::Attribute,
    value::{Order, Value},
};

/// `BatchNormalization` with the statistics of training.
pub(super) fn batch(call: &mut LayerCall) -> Result<Value, String> {
    let mode = call.settings.number("mode")?.unwrap_or(0.0);
    if mode != 0.0 && mode != 2.0 {
        return Err(format!("its `mode` is {mode}: it normalises each image by itself"));
    }
    let input = call.input()?;
    let axis = input.keras_axis(call.settings.axis("axis", -1)?)?;
    let mean = call.weight("moving_mean")?;
    let variance = call.weight("moving_variance")?;
    let channels = mean.values.len();
    if axis == 0 || input.shape[axis].is_some_and(|side| side != channels) {
        return Err(format!("it has {channels} channels, and its input has others"));
    }
    let gamma = affine(call, "gamma", "scale", 1.0, channels)?;
    let beta = affine(call, "beta", "center", 0.0, channels)?;
    if [&variance, &gamma, &beta].iter().any(|array| array.values.len() != channels) {
        return Err("its arrays have different lengths".to_owned());
    }
    let epsilon = call.settings.number("epsilon")?.unwrap_or(1e-3);
    let input = match (input.rank(), axis) {
        (4, 3) => call.graph.channels_first(&input)?,
        (2, _) => input,
        _ => call.graph.as_keras(&input),
    };
    let channel_axis = if input.order == Order::ChannelsFirst { 1 } else { axis };
    let arrays = [gamma, beta, mean, variance];
    if channel_axis != 1 {
        return by_parts(call, &input, axis, (arrays, epsilon));
    }
    let roles = ["gamma", "beta", "moving_mean", "moving_variance"];
    let mut names = vec![input.name.clone()];
    for (role, array) in roles.into_iter().zip(arrays) {
        let array = reordered(array.reshaped(vec![channels]), input.order);
        names.push(call.graph.floats(role, array));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let name = call.graph.node("BatchNormalization", &names, vec![("epsilon", float(epsilon))]);
    Ok(input.renamed(name))
}

/// Numbers of the channels in the order of a flattened tensor whose channels come first.
fn reordered(array: Array, order: Order) -> Array {
    let Order::Flattened(sides) = order else { return array };
    let length = array.values.len();
    array.reshaped(sides.to_vec()).transposed(&[2, 0, 1]).reshaped(vec![length])
}

/// As a product and a sum, along an axis that the operator does not have; in f64, as it is folded.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn by_parts(
    call: &mut LayerCall,
    input: &Value,
    axis: usize,
    ([gamma, beta, mean, variance], epsilon): ([Array; 4], f64),
) -> Result<Value, String> {
    let scale: Vec<f64> = (gamma.values.iter().zip(&variance.values))
        .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + epsilon).sqrt())
        .collect();
    let shift = (beta.values.iter().zip(&mean.values).zip(&scale))
        .map(|((&beta, &mean), scale)| (f64::from(beta) - f64::from(mean) * scale) as f32);
    let mut shape = vec![1; input.rank() - axis];
    shape[0] = scale.len();
    let shift = Array { shape: shape.clone(), values: shift.collect() };
    let scale = Array { shape, values: scale.iter().map(|&scale| scale as f32).collect() };
    let scaled = call.combined("Mul", input, ("scale", scale), false)?;
    call.combined("Add", &scaled, ("shift", shift), false)
}

/// The learned scale or shift, or what stands for one that a layer leaves out.
fn affine(
    call: &mut LayerCall,
    role: &str,
    setting: &str,
    usual: f32,
    length: usize,
) -> Result<Array, String> {
    if call.settings.flag(setting, true)? {
        call.weight(role)
    } else {
        Array::repeated(usual, length)
    }
}

/// `LayerNormalization` over the last axes.
pub(super) fn layer(call: &mut LayerCall) -> Result<Value, String> {
    if call.settings.flag("rms_scaling", false)? {
        return Err("it has `rms_scaling`".to_owned());
    }
    let input = call.input()?;
    let input = call.graph.as_keras(&input);
    let axes = call.settings.axes("axis", -1)?;
    let mut axes =
        axes.iter().map(|&axis| input.keras_axis(axis)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    let first = axes.first().copied().unwrap_or(0);
    if first == 0 || axes != (first..input.rank()).collect::<Vec<_>>() {
        return Err(format!("it normalises the axes {axes:?}, which are not the last ones"));
    }
    let sides: Option<Vec<usize>> = input.shape[first..].iter().copied().collect();
    let sides = sides.ok_or("the sides that it normalises are open")?;
    let length = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let length = length.ok_or("it normalises too many numbers")?;
    let gamma = affine(call, "gamma", "scale", 1.0, length)?;
    let beta = affine(call, "beta", "center", 0.0, length)?;
    if gamma.values.len() != length || beta.values.len() != length {
        return Err(format!("it normalises {length} numbers, and its arrays have others"));
    }
    let epsilon = call.settings.number("epsilon")?.unwrap_or(1e-3);
    let gamma = call.graph.floats("gamma", gamma.reshaped(sides.clone()));
    let beta = call.graph.floats("beta", beta.reshaped(sides));
    let attributes = vec![("axis", Attribute::Int(first as i64)), ("epsilon", float(epsilon))];
    let name = call.graph.node("LayerNormalization", &[&input.name, &gamma, &beta], attributes);
    Ok(input.renamed(name))
}

/// `GroupNormalization` of images: as instances of one channel each group, brought back.
pub(super) fn group(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let axis = input.keras_axis(call.settings.axis("axis", -1)?)?;
    if input.rank() != 4 || !(axis == 3 || axis == 1) {
        return Err(format!("it normalises axis {axis} of {}", input.rank()));
    }
    let planes = call.graph.planes(&input, axis == 1)?;
    let channels = planes.channels.ok_or("it gets an unknown number of channels")?;
    let groups = match call.settings.number("groups")? {
        Some(-1.0) => channels,
        _ => call.settings.whole("groups")?.unwrap_or(32),
    };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("its {channels} channels are not {groups} equal groups"));
    }
    let gamma = affine(call, "gamma", "scale", 1.0, channels)?;
    let beta = affine(call, "beta", "center", 0.0, channels)?;
    if gamma.values.len() != channels || beta.values.len() != channels {
        return Err(format!("it has {channels} channels, and its arrays have others"));
    }
    let epsilon = call.settings.number("epsilon")?.unwrap_or(1e-3);
    let graph = &mut *call.graph;
    let before = graph.node("Shape", &[&planes.name], Vec::new());
    let grouped = graph.whole("groups", vec![0, groups as i64, -1]);
    let grouped = graph.node("Reshape", &[&planes.name, &grouped], Vec::new());
    let ones = graph.floats("ones", Array::repeated(1.0, groups)?);
    let zeros = graph.floats("zeros", Array::repeated(0.0, groups)?);
    let attributes = vec![("epsilon", float(epsilon))];
    let normal = graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], attributes);
    let name = graph.node("Reshape", &[&normal, &before], Vec::new());
    let gamma = graph.floats("gamma", gamma.reshaped(vec![channels, 1, 1]));
    let beta = graph.floats("beta", beta.reshaped(vec![channels, 1, 1]));
    let name = graph.node("Mul", &[&name, &gamma], Vec::new());
    let name = graph.node("Add", &[&name, &beta], Vec::new());
    Ok(planes.with(name, planes.sides).into_value())
}

/// `UnitNormalization`: to a length of 1 along the axes.
pub(super) fn unit(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let axes = call.settings.axes("axis", -1)?;
    to_unit(call, &input, &axes, LEAST_SQUARE)
}

/// Below this the sum of squares is not divided by.
pub(super) const LEAST_SQUARE: f64 = 1e-12;

/// `x / √max(Σx², least)`.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
pub(super) fn to_unit(
    call: &mut LayerCall,
    input: &Value,
    axes: &[i64],
    least: f64,
) -> Result<Value, String> {
    let input = match input.order {
        Order::Flattened(_) => call.graph.as_keras(input),
        _ => input.clone(),
    };
    let axes = axes.iter().map(|&axis| input.axis(axis).map(|axis| axis as i64));
    let axes = Attribute::Ints(axes.collect::<Result<Vec<_>, _>>()?);
    let attributes = vec![("axes", axes), ("keepdims", Attribute::Int(1))];
    let sum = call.graph.elementwise("ReduceSumSquare", &input, attributes);
    let least = call.graph.scalar("least", least as f32);
    let sum = call.graph.node("Max", &[&sum.name, &least], Vec::new());
    let root = call.graph.node("Sqrt", &[&sum], Vec::new());
    let name = call.graph.node("Div", &[&input.name, &root], Vec::new());
    Ok(input.renamed(name))
}
