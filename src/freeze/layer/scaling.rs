//! Products and sums with numbers of the layer's own.

use serde_json::Value as Json;

use super::merge;
use crate::freeze::{array::Array, call::LayerCall, settings::array, value::Value};

/// Keras's `epsilon()`, below which a deviation is not divided by.
const LEAST_DEVIATION: f32 = 1e-7;

/// `Rescaling`: `x·scale + offset`.
pub(super) fn rescaling(call: &mut LayerCall) -> Result<Value, String> {
    let number = |key: &str, usual: f32| match call.settings.get(key) {
        Some(said) => array(said).ok_or_else(|| format!("its `{key}` is {said}")),
        None => Ok(Array::scalar(usual)),
    };
    let (scale, offset) = (number("scale", 1.0)?, number("offset", 0.0)?);
    let mut value = call.input()?;
    if scale.values.iter().any(|&scale| scale != 1.0) {
        value = call.combined("Mul", &value, ("scale", scale), false)?;
    }
    if offset.values.iter().any(|&offset| offset != 0.0) {
        value = call.combined("Add", &value, ("offset", offset), false)?;
    }
    Ok(value)
}

/// `Normalization`: `(x − mean) / max(√variance, ε)`, or back again.
pub(super) fn normalization(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let (mean, variance) = match (call.settings.get("mean"), call.settings.get("variance")) {
        (Some(mean), Some(variance)) => {
            let read = |key: &str, said: &Json| {
                array(said).ok_or_else(|| format!("its `{key}` is no list"))
            };
            (read("mean", mean)?, read("variance", variance)?)
        }
        _ => (call.weight("mean")?, call.weight("variance")?),
    };
    let axes = match call.settings.0.get("axis") {
        Some(Json::Null) => Vec::new(),
        _ => call.settings.axes("axis", -1)?,
    };
    let last = input.rank() as i64 - 1;
    if !(axes.is_empty() || axes == [-1] || axes == [last]) {
        let channels_first = axes == [1] && input.rank() == 4;
        if !channels_first {
            return Err(format!("it normalises the axes {axes:?}"));
        }
    }
    let along = |array: Array| {
        let length = array.values.len();
        match axes[..] {
            [1] if input.rank() == 4 => array.reshaped(vec![length, 1, 1]),
            _ if length == 1 => array.reshaped(Vec::new()),
            _ => array.reshaped(vec![length]),
        }
    };
    let mean = along(mean);
    let deviation = along(variance).map(|variance| variance.sqrt().max(LEAST_DEVIATION));
    if call.settings.flag("invert", false)? {
        let scaled = call.combined("Mul", &input, ("deviation", deviation), false)?;
        return call.combined("Add", &scaled, ("mean", mean), false);
    }
    let centred = call.combined("Sub", &input, ("mean", mean), false)?;
    call.combined("Div", &centred, ("deviation", deviation), false)
}

/// `LayerScale` of `ConvNeXt`.
pub(super) fn layer_scale(call: &mut LayerCall) -> Result<Value, String> {
    let gamma = call.weight("gamma")?;
    let input = call.input()?;
    call.combined("Mul", &input, ("gamma", gamma), false)
}

/// `CustomScaleLayer` of `InceptionResNetV2`: the first input plus a share of the second.
pub(super) fn scaled_sum(call: &mut LayerCall) -> Result<Value, String> {
    let scale = call.settings.number("scale")?.ok_or("its `scale` is missing")?;
    sum_with_share(call, scale)
}

/// The same layer as Keras up to 2.11 wrote it: a `Lambda` of two inputs whose only argument is
/// `scale`, in a block of `InceptionResNetV2`. Its code is not looked at.
pub(super) fn scaled_sum_of_lambda(call: &mut LayerCall) -> Result<Value, String> {
    let scale = scale_of_lambda(call.layer).ok_or("it is Python code, which is never executed")?;
    sum_with_share(call, scale)
}

/// The scale of such a layer; `None` for every other `Lambda`.
pub(in crate::freeze) fn scale_of_lambda(layer: &crate::keras::Layer) -> Option<f64> {
    let arguments = layer.config.get("arguments")?.as_object()?;
    let blocks = ["block35_", "block17_", "block8_"];
    let named = blocks.iter().any(|block| layer.name.starts_with(block));
    let two = layer.calls.iter().all(|call| call.tensors().len() == 2);
    if named && two && arguments.len() == 1 { arguments.get("scale")?.as_f64() } else { None }
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn sum_with_share(call: &mut LayerCall, scale: f64) -> Result<Value, String> {
    let [first, second] = &call.inputs[..] else {
        return Err(format!("it gets {} tensors, not 2", call.inputs.len()));
    };
    let (first, second) = (first.clone(), second.clone());
    let share = call.with_number("Mul", &second, ("scale", scale as f32));
    merge::combine(call, "Add", &[first, share])
}
