//! Convolutions: kernels of Keras are height×width×in×out, those of ONNX out×in×height×width.

use super::{activation, window::Window};
use crate::freeze::{
    array::Array,
    call::LayerCall,
    graph::Attribute,
    value::{Planes, Value},
};

/// `Conv2D`, with groups.
pub(super) fn convolution(call: &mut LayerCall) -> Result<Value, String> {
    let kernel = kernel(call, "kernel")?.transposed(&[3, 2, 0, 1]);
    let planes = call.planes()?;
    let groups = call.settings.whole("groups")?.unwrap_or(1).max(1);
    check_inputs(&planes, kernel.shape[1].checked_mul(groups))?;
    if !kernel.shape[0].is_multiple_of(groups) {
        return Err(format!("its {} filters are not {groups} equal groups", kernel.shape[0]));
    }
    let window = Window::new(call.settings, [kernel.shape[2], kernel.shape[3]], [1, 1])?;
    let bias = bias(call, kernel.shape[0])?;
    let planes = convolved(call, &planes, &window, (kernel, bias, groups))?;
    activation::own(call, planes.into_value())
}

/// `Conv1D`, as a convolution over an image of one row.
pub(super) fn convolution_1d(call: &mut LayerCall) -> Result<Value, String> {
    let kernel = call.weight("kernel")?;
    let [length, inputs, outputs] = kernel.shape[..] else {
        return Err(format!("its kernel has {} axes, not 3", kernel.shape.len()));
    };
    let input = call.input()?;
    let input = call.graph.as_keras(&input);
    let [_, steps, channels] = input.shape[..] else {
        return Err(format!("it gets {} axes, not 3", input.rank()));
    };
    if call.settings.channels_first()? {
        return Err("its `data_format` is \"channels_first\"".to_owned());
    }
    let single = |key: &str| -> Result<usize, String> { Ok(call.settings.steps(key, [1, 1])?[0]) };
    let (stride, dilation) = (single("strides")?, single("dilation_rate")?);
    let window = Window {
        strides: [1, stride],
        dilations: [1, dilation],
        ..Window::new(call.settings, [1, length], [1, 1])?
    };
    let kernel = kernel.reshaped(vec![1, length, inputs, outputs]).transposed(&[3, 2, 0, 1]);
    let groups = call.settings.whole("groups")?.unwrap_or(1).max(1);
    let axes = call.graph.whole("row", vec![1]);
    let row = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
    let row = Value::new(row, vec![None, Some(1), steps, channels]);
    let planes = call.graph.planes(&row, false)?;
    check_inputs(&planes, inputs.checked_mul(groups))?;
    let bias = bias(call, outputs)?;
    let planes = convolved(call, &planes, &window, (kernel, bias, groups))?;
    let (steps, channels) = (planes.sides[1], planes.channels);
    let row = call.graph.as_keras(&planes.into_value());
    let axes = call.graph.whole("row", vec![1]);
    let name = call.graph.node("Squeeze", &[&row.name, &axes], Vec::new());
    activation::own(call, Value::new(name, vec![None, steps, channels]))
}

/// `DepthwiseConv2D`. Its `groups`, which some versions wrote, says nothing.
pub(super) fn depthwise(call: &mut LayerCall) -> Result<Value, String> {
    let kernel = by_channel(kernel(call, "kernel")?);
    let planes = call.planes()?;
    let outputs = kernel.shape[0];
    let inputs = inputs_of(&planes, outputs)?;
    let window = Window::new(call.settings, [kernel.shape[2], kernel.shape[3]], [1, 1])?;
    let bias = bias(call, outputs)?;
    let planes = convolved(call, &planes, &window, (kernel, bias, inputs))?;
    activation::own(call, planes.into_value())
}

/// `SeparableConv2D`: each channel alone, then all channels of each pixel.
pub(super) fn separable(call: &mut LayerCall) -> Result<Value, String> {
    let depthwise = by_channel(kernel(call, "depthwise")?);
    let pointwise = kernel(call, "pointwise")?.transposed(&[3, 2, 0, 1]);
    let planes = call.planes()?;
    let inputs = inputs_of(&planes, depthwise.shape[0])?;
    let window = Window::new(call.settings, [depthwise.shape[2], depthwise.shape[3]], [1, 1])?;
    let middle = convolved(call, &planes, &window, (depthwise, None, inputs))?;
    check_inputs(&middle, Some(pointwise.shape[1]))?;
    let outputs = pointwise.shape[0];
    let bias = bias(call, outputs)?;
    let weights = call.graph.floats("pointwise", pointwise);
    let names: Vec<&str> =
        [middle.name.as_str(), &weights].into_iter().chain(bias.as_deref()).collect();
    let name = call.graph.node("Conv", &names, vec![("kernel_shape", Attribute::Ints(vec![1, 1]))]);
    let planes = Planes { name, channels: Some(outputs), ..middle };
    activation::own(call, planes.into_value())
}

/// `Conv2DTranspose`.
pub(super) fn transposed(call: &mut LayerCall) -> Result<Value, String> {
    let mut kernel = kernel(call, "kernel")?;
    if call.writer.version == 1 {
        kernel = kernel.transposed(&[0, 1, 3, 2]);
    }
    let kernel = kernel.transposed(&[3, 2, 0, 1]);
    let planes = call.planes()?;
    check_inputs(&planes, Some(kernel.shape[0]))?;
    let window = Window::new(call.settings, [kernel.shape[2], kernel.shape[3]], [1, 1])?;
    let wanted = call.settings.pair("output_padding")?;
    let (mut sides, mut pads, mut extra) = ([None; 2], [0; 4], [0; 2]);
    for axis in 0..2 {
        let wanted = wanted.map(|pair| pair[axis]);
        let (before, after, added) = transposed_padding(&window, axis, wanted)?;
        (pads[axis], pads[axis + 2], extra[axis]) = (before, after, added);
        sides[axis] = match planes.sides[axis] {
            Some(side) => Some(grown(side, &window, axis, (before + after, added))?),
            None => None,
        };
    }
    let list = |values: &[i64]| Attribute::Ints(values.to_vec());
    let pair = |pair: [usize; 2]| Attribute::Ints(pair.map(|side| side as i64).to_vec());
    let attributes = vec![
        ("kernel_shape", pair(window.kernel)),
        ("strides", pair(window.strides)),
        ("dilations", pair(window.dilations)),
        ("pads", list(&pads)),
        ("output_padding", list(&extra)),
    ];
    let outputs = kernel.shape[1];
    let bias = bias(call, outputs)?;
    let weights = call.graph.floats("kernel", kernel);
    let names: Vec<&str> =
        [planes.name.as_str(), &weights].into_iter().chain(bias.as_deref()).collect();
    let name = call.graph.node("ConvTranspose", &names, attributes);
    let planes = Planes { channels: Some(outputs), ..planes.with(name, sides) };
    activation::own(call, planes.into_value())
}

/// Padding before and after, and what is added behind, along one axis: Keras's
/// `conv_transpose` arithmetic, in which the side itself falls out.
fn transposed_padding(
    window: &Window,
    axis: usize,
    wanted: Option<usize>,
) -> Result<(i64, i64, i64), String> {
    let (reach, stride) = (window.reach(axis) as i64, window.strides[axis] as i64);
    // What the plain operator makes of one step more than it has: full − stride·in.
    let full = reach - stride;
    let out = match wanted {
        None if window.is_same() => 0,
        None => (reach - stride).max(0),
        Some(wanted) => {
            let cut = if window.is_same() { 2 * (reach / 2) } else { 0 };
            full + wanted as i64 - cut
        }
    };
    let (missing, added) = ((full - out).max(0), (out - full).max(0));
    if missing > 0 && !window.is_same() {
        return Err("its output is cut, although its `padding` is \"valid\"".to_owned());
    }
    Ok((missing / 2, missing - missing / 2, added))
}

fn grown(
    side: usize,
    window: &Window,
    axis: usize,
    (cut, added): (i64, i64),
) -> Result<usize, String> {
    let full = (side as i64 - 1)
        .checked_mul(window.strides[axis] as i64)
        .and_then(|full| full.checked_add(window.reach(axis) as i64 - cut + added));
    let full = full.and_then(|full| usize::try_from(full).ok()).filter(|&full| full < 1 << 32);
    full.ok_or_else(|| format!("it makes no image of a side of {side}"))
}

/// A convolution of `planes` with a kernel of ONNX's order, its bias and its number of groups.
fn convolved(
    call: &mut LayerCall,
    planes: &Planes,
    window: &Window,
    (kernel, bias, groups): (Array, Option<String>, usize),
) -> Result<Planes, String> {
    let (mut attributes, sides) = window.over(planes)?;
    if groups > 1 {
        attributes.push(("group", Attribute::Int(groups as i64)));
    }
    let outputs = kernel.shape[0];
    let role = if bias.is_none() && call.layer.class == "SeparableConv2D" {
        "depthwise"
    } else {
        "kernel"
    };
    let kernel = call.graph.floats(role, kernel);
    let names: Vec<&str> =
        [planes.name.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
    let name = call.graph.node("Conv", &names, attributes);
    Ok(Planes { channels: Some(outputs), ..planes.with(name, sides) })
}

/// A kernel of four axes, none of them empty.
fn kernel(call: &mut LayerCall, role: &str) -> Result<Array, String> {
    let kernel = call.weight(role)?;
    if kernel.shape.len() != 4 || kernel.shape.contains(&0) {
        return Err(format!("its {role} is {:?}", kernel.shape));
    }
    Ok(if call.writer.turned { turned(kernel) } else { kernel })
}

/// Theano convolves where others correlate: its kernels are turned around.
fn turned(mut kernel: Array) -> Array {
    let [height, width, inputs, outputs] = kernel.shape[..] else { return kernel };
    let pixel = inputs * outputs;
    let pixels = height * width;
    let from = kernel.values.clone();
    for (to, pixel) in kernel.values.chunks_exact_mut(pixel).zip((0..pixels).rev()) {
        to.copy_from_slice(&from[pixel * to.len()..][..to.len()]);
    }
    kernel
}

/// height×width×in×multiplier to (in·multiplier)×1×height×width.
fn by_channel(kernel: Array) -> Array {
    let [height, width, inputs, multiplier] = kernel.shape[..] else { return kernel };
    kernel.transposed(&[2, 3, 0, 1]).reshaped(vec![inputs * multiplier, 1, height, width])
}

/// The channels that a depthwise kernel of `outputs` is for.
fn inputs_of(planes: &Planes, outputs: usize) -> Result<usize, String> {
    let inputs = planes.channels.ok_or("it gets an unknown number of channels")?;
    if inputs == 0 || !outputs.is_multiple_of(inputs) {
        return Err(format!("its kernel is not for {inputs} channels"));
    }
    Ok(inputs)
}

fn check_inputs(planes: &Planes, kernel: Option<usize>) -> Result<(), String> {
    match (planes.channels, kernel) {
        (Some(has), Some(takes)) if has != takes => {
            Err(format!("it gets {has} channels, and its kernel takes {takes}"))
        }
        (_, None) => Err("its kernel is too large".to_owned()),
        _ => Ok(()),
    }
}

/// The bias, unless the layer has none.
fn bias(call: &mut LayerCall, outputs: usize) -> Result<Option<String>, String> {
    if !call.settings.flag("use_bias", true)? {
        return Ok(None);
    }
    let bias = call.weight("bias")?;
    if bias.values.len() != outputs {
        return Err(format!("it has {outputs} filters and a bias of {}", bias.values.len()));
    }
    let bias = bias.reshaped(vec![outputs]);
    Ok(Some(call.graph.floats("bias", bias)))
}
