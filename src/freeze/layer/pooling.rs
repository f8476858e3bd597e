//! Pooling, padding and cropping.

use super::window::Window;
use crate::freeze::{
    call::LayerCall,
    graph::Attribute,
    value::{Planes, Value},
};

/// `MaxPooling2D` and `AveragePooling2D`; padding counts neither for the largest nor for the mean.
pub(super) fn pooling(call: &mut LayerCall) -> Result<Value, String> {
    let planes = call.planes()?;
    let kernel = call.settings.steps("pool_size", [2, 2])?;
    let window = Window::new(call.settings, kernel, kernel)?;
    let max = call.layer.class.starts_with("Max");
    Ok(pooled(call, &planes, &window, max)?.into_value())
}

fn pooled(
    call: &mut LayerCall,
    planes: &Planes,
    window: &Window,
    max: bool,
) -> Result<Planes, String> {
    let (mut attributes, sides) = window.over(planes)?;
    let operator = if max { "MaxPool" } else { "AveragePool" };
    if !max {
        attributes.push(("count_include_pad", Attribute::Int(0)));
    }
    let name = call.graph.node(operator, &[&planes.name], attributes);
    Ok(planes.with(name, sides))
}

/// `MaxPooling1D` and `AveragePooling1D`, as pooling of an image of one row.
pub(super) fn pooling_1d(call: &mut LayerCall) -> Result<Value, String> {
    if call.settings.channels_first()? {
        return Err("its `data_format` is \"channels_first\"".to_owned());
    }
    let input = call.input()?;
    let input = call.graph.as_keras(&input);
    let [_, steps, channels] = input.shape[..] else {
        return Err(format!("it gets {} axes, not 3", input.rank()));
    };
    let [length, _] = call.settings.steps("pool_size", [2, 2])?;
    let [stride, _] = call.settings.steps("strides", [length, length])?;
    let window =
        Window { strides: [1, stride], ..Window::new(call.settings, [1, length], [1, 1])? };
    let axes = call.graph.whole("row", vec![1]);
    let row = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
    let row = Value::new(row, vec![None, Some(1), steps, channels]);
    let planes = call.graph.planes(&row, false)?;
    let max = call.layer.class.starts_with("Max");
    let planes = pooled(call, &planes, &window, max)?;
    let steps = planes.sides[1];
    let row = call.graph.as_keras(&planes.into_value());
    let axes = call.graph.whole("row", vec![1]);
    let name = call.graph.node("Squeeze", &[&row.name, &axes], Vec::new());
    Ok(Value::new(name, vec![None, steps, channels]))
}

/// `GlobalAveragePooling2D` and `GlobalMaxPooling2D`.
pub(super) fn global(call: &mut LayerCall) -> Result<Value, String> {
    let planes = call.planes()?;
    let max = call.layer.class.contains("Max");
    let operator = if max { "GlobalMaxPool" } else { "GlobalAveragePool" };
    let name = call.graph.node(operator, &[&planes.name], Vec::new());
    if call.settings.flag("keepdims", false)? {
        return Ok(planes.with(name, [Some(1), Some(1)]).into_value());
    }
    let name = call.graph.node("Flatten", &[&name], vec![("axis", Attribute::Int(1))]);
    Ok(Value::new(name, vec![None, planes.channels]))
}

/// `GlobalAveragePooling1D` and `GlobalMaxPooling1D`.
pub(super) fn global_1d(call: &mut LayerCall) -> Result<Value, String> {
    if call.inputs.len() > 1 {
        return Err("it gets a mask".to_owned());
    }
    let input = call.input()?;
    let input = call.graph.as_keras(&input);
    let [_, first, second] = input.shape[..] else {
        return Err(format!("it gets {} axes, not 3", input.rank()));
    };
    let channels_first = call.settings.channels_first()?;
    let keep = call.settings.flag("keepdims", false)?;
    let (axis, channels) = if channels_first { (2, first) } else { (1, second) };
    let operator = if call.layer.class.contains("Max") { "ReduceMax" } else { "ReduceMean" };
    let attributes =
        vec![("axes", Attribute::Ints(vec![axis])), ("keepdims", Attribute::Int(i64::from(keep)))];
    let name = call.graph.node(operator, &[&input.name], attributes);
    let shape = match (keep, channels_first) {
        (false, _) => vec![None, channels],
        (true, false) => vec![None, Some(1), channels],
        (true, true) => vec![None, channels, Some(1)],
    };
    Ok(Value::new(name, shape))
}

/// `ZeroPadding2D`.
pub(super) fn padding(call: &mut LayerCall) -> Result<Value, String> {
    let planes = call.planes()?;
    let [[top, bottom], [left, right]] = call.settings.sides("padding")?;
    let pads = [0, 0, top, left, 0, 0, bottom, right].map(|side| side as i64);
    let pads = call.graph.whole("pads", pads.to_vec());
    let name = call.graph.node("Pad", &[&planes.name, &pads], Vec::new());
    let [height, width] = planes.sides;
    let sides = [
        height.map(|side| side.saturating_add(top + bottom)),
        width.map(|side| side.saturating_add(left + right)),
    ];
    Ok(planes.with(name, sides).into_value())
}

/// `Cropping2D`.
pub(super) fn cropping(call: &mut LayerCall) -> Result<Value, String> {
    let planes = call.planes()?;
    let cuts = call.settings.sides("cropping")?;
    let mut sides = [None; 2];
    for (axis, [before, after]) in cuts.into_iter().enumerate() {
        sides[axis] = match planes.sides[axis] {
            Some(side) if side <= before + after => {
                return Err(format!("it crops {} of a side of {side}", before + after));
            }
            Some(side) => Some(side - before - after),
            None => None,
        };
    }
    let starts = cuts.map(|[before, _]| before as i64);
    let ends = cuts.map(|[_, after]| if after == 0 { i64::MAX } else { -(after as i64) });
    Ok(cut(call, &planes, (starts, ends), sides).into_value())
}

/// The part of planes between `starts` and `ends`, which leaves `sides`.
pub(super) fn cut(
    call: &mut LayerCall,
    planes: &Planes,
    (starts, ends): ([i64; 2], [i64; 2]),
    sides: [Option<usize>; 2],
) -> Planes {
    let starts = call.graph.whole("starts", starts.to_vec());
    let ends = call.graph.whole("ends", ends.to_vec());
    let axes = call.graph.whole("axes", vec![2, 3]);
    let name = call.graph.node("Slice", &[&planes.name, &starts, &ends, &axes], Vec::new());
    planes.with(name, sides)
}
