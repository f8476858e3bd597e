//! Activations, as layers and as settings of other layers.

use serde_json::Value as Json;

use crate::{
    freeze::{
        array::Array,
        call::{LayerCall, float},
        graph::Attribute,
        settings::Settings,
        value::{Order, Value},
    },
    keras,
};

/// The scale and slope of SELU, from "Self-Normalizing Neural Networks" (Klambauer et al., 2017).
const SELU: [f64; 2] = [1.673_263_242_354_377_2, 1.050_700_987_355_480_5];

/// `Activation`.
pub(super) fn activation_layer(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    own(call, input)
}

/// The activation that a layer's own settings name, applied to `value`.
pub(super) fn own(call: &mut LayerCall, value: Value) -> Result<Value, String> {
    match call.settings.get("activation") {
        Some(said) => named(call, value, said),
        None => Ok(value),
    }
}

/// An activation as a setting: its name, or a layer in JSON.
fn named(call: &mut LayerCall, value: Value, said: &Json) -> Result<Value, String> {
    if let Json::String(name) = said {
        return by_name(call, &value, name);
    }
    let unknown = || format!("its `activation` is {said}");
    let class = said.get("class_name").and_then(Json::as_str).ok_or_else(unknown)?;
    let config = said.get("config").unwrap_or(&Json::Null);
    let package = said.get("module").and_then(Json::as_str).unwrap_or("keras");
    let registered = said.get("registered_name").and_then(Json::as_str).unwrap_or_default();
    if registered.contains('>') || class.contains('>') || !keras::is_own_package(package) {
        return Err(format!("its activation is {class} of {package}, which is Python code"));
    }
    match (class, config) {
        ("function", Json::String(name)) => by_name(call, &value, name),
        ("Activation", Json::Object(fields)) => match fields.get("activation") {
            Some(inner) => named(call, value, inner),
            None => Err(unknown()),
        },
        ("ReLU", Json::Object(fields)) => relu_of(call, &value, Settings(fields)),
        ("LeakyReLU", Json::Object(fields)) => leaky_relu_of(call, &value, Settings(fields)),
        ("ELU", Json::Object(fields)) => elu_of(call, &value, Settings(fields)),
        ("Softmax", Json::Object(fields)) => {
            let axis = Settings(fields).axis("axis", -1)?;
            softmax(call, "Softmax", &value, axis)
        }
        _ => Err(unknown()),
    }
}

/// An activation by the name of its function.
pub(super) fn by_name(call: &mut LayerCall, value: &Value, name: &str) -> Result<Value, String> {
    let simple = match name {
        "linear" => return Ok(value.clone()),
        "relu" => "Relu",
        "sigmoid" => "Sigmoid",
        "tanh" => "Tanh",
        "softplus" => "Softplus",
        "softsign" => "Softsign",
        "exponential" => "Exp",
        "hard_silu" | "hard_swish" => "HardSwish",
        "softmax" => return softmax(call, "Softmax", value, -1),
        "log_softmax" => return softmax(call, "LogSoftmax", value, -1),
        "elu" => return Ok(call.with_alpha("Elu", value, 1.0)),
        "leaky_relu" => return Ok(call.with_alpha("LeakyRelu", value, 0.2)),
        "relu6" => return Ok(clipped(call, value, Some(0.0), Some(6.0))),
        "hard_tanh" => return Ok(clipped(call, value, Some(-1.0), Some(1.0))),
        "selu" => {
            let attributes = vec![("alpha", float(SELU[0])), ("gamma", float(SELU[1]))];
            return Ok(call.graph.elementwise("Selu", value, attributes));
        }
        "celu" => return Ok(call.with_alpha("Celu", value, 1.0)),
        "hard_sigmoid" => return Ok(hard_sigmoid(call, value)),
        _ => return composed(call, value, name),
    };
    Ok(call.simple(simple, value))
}

/// Activations that take several operators.
fn composed(call: &mut LayerCall, value: &Value, name: &str) -> Result<Value, String> {
    let gate = match name {
        "swish" | "silu" => call.simple("Sigmoid", value),
        "gelu" => return Ok(gelu(call, value, false)),
        "mish" => {
            let softplus = call.simple("Softplus", value);
            call.simple("Tanh", &softplus)
        }
        "tanh_shrink" => {
            let tanh = call.simple("Tanh", value);
            return Ok(call.both("Sub", value, &tanh));
        }
        "log_sigmoid" => {
            let negative = call.simple("Neg", value);
            let softplus = call.simple("Softplus", &negative);
            return Ok(call.simple("Neg", &softplus));
        }
        "soft_shrink" => return Ok(shrunk(call, value, 0.5, true)),
        "hard_shrink" => return Ok(shrunk(call, value, 0.5, false)),
        "squareplus" => return Ok(square_plus(call, value, 4.0)),
        other => return Err(format!("its activation is {other:?}")),
    };
    Ok(call.both("Mul", value, &gate))
}

/// 0 up to a distance from 0, and beyond it the value, or what is left of it.
pub(super) fn shrunk(call: &mut LayerCall, value: &Value, distance: f64, rest: bool) -> Value {
    let bias = if rest { distance } else { 0.0 };
    let attributes = vec![("lambd", float(distance)), ("bias", float(bias))];
    call.graph.elementwise("Shrink", value, attributes)
}

/// `(x + √(x² + b)) / 2`.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
pub(super) fn square_plus(call: &mut LayerCall, value: &Value, b: f64) -> Value {
    let square = call.both("Mul", value, value);
    let plus = call.with_number("Add", &square, ("b", b as f32));
    let root = call.simple("Sqrt", &plus);
    let sum = call.both("Add", value, &root);
    call.with_number("Mul", &sum, ("half", 0.5))
}

/// Keras 3 changed the slope from 1/5 to 1/6.
fn hard_sigmoid(call: &mut LayerCall, value: &Value) -> Value {
    let alpha = if call.writer.version == 3 { 1.0 / 6.0 } else { 0.2 };
    let attributes = vec![("alpha", float(alpha)), ("beta", float(0.5))];
    call.graph.elementwise("HardSigmoid", value, attributes)
}

/// GELU, exact or with tanh; the order of the exact one's operators is that which ONNX Runtime
/// makes one operator of.
pub(super) fn gelu(call: &mut LayerCall, value: &Value, approximate: bool) -> Value {
    if approximate {
        let square = call.both("Mul", value, value);
        let cube = call.both("Mul", &square, value);
        let small = call.with_number("Mul", &cube, ("cubic", 0.044_715));
        let sum = call.both("Add", value, &small);
        let root = (2.0 / std::f32::consts::PI).sqrt();
        let inner = call.with_number("Mul", &sum, ("root", root));
        let tanh = call.simple("Tanh", &inner);
        let gate = call.with_number("Add", &tanh, ("one", 1.0));
        let gated = call.both("Mul", value, &gate);
        return call.with_number("Mul", &gated, ("half", 0.5));
    }
    let scaled = call.with_number("Div", value, ("root", std::f32::consts::SQRT_2));
    let erf = call.simple("Erf", &scaled);
    let gate = call.with_number("Add", &erf, ("one", 1.0));
    let gated = call.both("Mul", value, &gate);
    call.with_number("Mul", &gated, ("half", 0.5))
}

/// A softmax over one of Keras's axes.
pub(super) fn softmax(
    call: &mut LayerCall,
    operator: &'static str,
    value: &Value,
    axis: i64,
) -> Result<Value, String> {
    // Over the whole of a flattened tensor its order says nothing.
    let axis = match value.order {
        Order::Flattened(_) if value.keras_axis(axis)? == 1 => 1,
        _ => value.axis(axis)?,
    };
    let attributes = vec![("axis", Attribute::Int(axis as i64))];
    Ok(call.graph.elementwise(operator, value, attributes))
}

/// `Softmax`.
pub(super) fn softmax_layer(call: &mut LayerCall) -> Result<Value, String> {
    if call.inputs.len() > 1 {
        return Err("it gets a mask".to_owned());
    }
    let axis = call.settings.axis("axis", -1)?;
    let input = call.input()?;
    softmax(call, "Softmax", &input, axis)
}

/// Numbers cut off below and above.
pub(super) fn clipped(
    call: &mut LayerCall,
    value: &Value,
    low: Option<f32>,
    high: Option<f32>,
) -> Value {
    let mut bound = |role: &str, bound: Option<f32>| {
        bound.map_or(String::new(), |bound| call.graph.scalar(role, bound))
    };
    let (low, high) = (bound("low", low), bound("high", high));
    let inputs = [value.name.as_str(), &low, &high];
    let inputs = if high.is_empty() { &inputs[..2] } else { &inputs[..] };
    let name = call.graph.node("Clip", inputs, Vec::new());
    value.renamed(name)
}

/// `ReLU`.
pub(super) fn relu(call: &mut LayerCall) -> Result<Value, String> {
    let (input, settings) = (call.input()?, call.settings);
    relu_of(call, &input, settings)
}

/// A rectifier with a slope below `threshold` and a limit above.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
pub(super) fn relu_of(
    call: &mut LayerCall,
    value: &Value,
    settings: Settings,
) -> Result<Value, String> {
    let most = settings.number("max_value")?.map(|most| most as f32);
    let slope = settings.number("negative_slope")?.unwrap_or(0.0);
    let threshold = settings.number("threshold")?.unwrap_or(0.0) as f32;
    Ok(match (slope == 0.0, threshold == 0.0, most) {
        (true, true, None) => call.simple("Relu", value),
        (true, true, Some(most)) => clipped(call, value, Some(0.0), Some(most)),
        (false, true, None) => call.with_alpha("LeakyRelu", value, slope),
        _ => {
            let above = above(call, value, "GreaterOrEqual", threshold);
            let above = match most {
                Some(most) => clipped(call, &above, None, Some(most)),
                None => above,
            };
            if slope == 0.0 {
                return Ok(above);
            }
            let below = call.with_number("Sub", value, ("threshold", threshold));
            let below = clipped(call, &below, None, Some(0.0));
            let below = call.with_number("Mul", &below, ("slope", slope as f32));
            call.both("Add", &above, &below)
        }
    })
}

/// The value where it is above a threshold, and 0 elsewhere.
fn above(call: &mut LayerCall, value: &Value, operator: &'static str, threshold: f32) -> Value {
    let is = call.with_number(operator, value, ("threshold", threshold));
    let is = call.graph.elementwise("Cast", &is, vec![("to", Attribute::Int(1))]);
    call.both("Mul", value, &is)
}

/// `ThresholdedReLU`.
#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
pub(super) fn thresholded_relu(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let theta = call.settings.number("theta")?.unwrap_or(1.0) as f32;
    Ok(above(call, &input, "Greater", theta))
}

/// `LeakyReLU`.
pub(super) fn leaky_relu(call: &mut LayerCall) -> Result<Value, String> {
    let (input, settings) = (call.input()?, call.settings);
    leaky_relu_of(call, &input, settings)
}

fn leaky_relu_of(call: &mut LayerCall, value: &Value, settings: Settings) -> Result<Value, String> {
    let slope = settings.number("negative_slope")?.or(settings.number("alpha")?);
    Ok(call.with_alpha("LeakyRelu", value, slope.unwrap_or(0.3)))
}

/// `ELU`.
pub(super) fn elu(call: &mut LayerCall) -> Result<Value, String> {
    let (input, settings) = (call.input()?, call.settings);
    elu_of(call, &input, settings)
}

fn elu_of(call: &mut LayerCall, value: &Value, settings: Settings) -> Result<Value, String> {
    let alpha = settings.number("alpha")?.unwrap_or(1.0);
    Ok(call.with_alpha("Elu", value, alpha))
}

/// `PReLU`: a slope for each place, or for each channel.
pub(super) fn prelu(call: &mut LayerCall) -> Result<Value, String> {
    let alpha: Array = call.weight("alpha")?;
    let input = call.input()?;
    call.combined("PRelu", &input, ("alpha", alpha), false)
}
