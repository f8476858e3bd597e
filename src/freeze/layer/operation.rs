//! Single operations between layers: classes of Keras 3, functions of TensorFlow, and the graph
//! nodes that TensorFlow 2.0 to 2.3 wrote.

use serde_json::{Map, Value as Json};

use super::{activation, index, merge, normalize, reshape, resize};
use crate::freeze::{
    array::Array,
    call::{Given, LayerCall},
    graph::Attribute,
    settings::{array, integers},
    value::{Order, Value, broadcast},
};

mod leftover;
mod node;

/// Most parts that a tensor is split into.
const MAX_PARTS: usize = 1 << 16;

/// Functions of TensorFlow that are others than those whose last name they have.
const NAMESAKES: &[&str] = &["linalg.normalize", "compat.v1.image.resize", "strings.split"];

/// An operand.
#[derive(Debug, Clone)]
enum Operand {
    Tensor(Value),
    Numbers(Array),
}

/// An operation with one result.
pub(super) fn operation(call: &mut LayerCall) -> Result<Value, String> {
    operations(call)?.into_iter().next().ok_or_else(|| "it answers nothing".to_owned())
}

/// An operation and all its results.
pub(super) fn operations(call: &mut LayerCall) -> Result<Vec<Value>, String> {
    let name = match call.layer.class.as_str() {
        "TensorFlowOpLayer" => node::spread(call)?,
        "TFOpLambda" | "SlicingOpLambda" => {
            let function = call.settings.text("function")?.ok_or("its `function` is missing")?;
            if NAMESAKES.contains(&function) {
                return Err(format!("linnaeus has no conversion for the operation `{function}`"));
            }
            function.rsplit('.').next().unwrap_or(function).to_owned()
        }
        class => class.to_owned(),
    };
    let name = name.to_lowercase().replace('_', "");
    spread_list(call, &name);
    let results =
        if name == "split" { split(call)? } else { one(call, &name).map(|value| vec![value])? };
    leftover::refuse_leftover(call)?;
    Ok(results)
}

/// Several tensors are one list in Keras 2; operations of two operands take them apart.
fn spread_list(call: &mut LayerCall, name: &str) {
    let takes_list = ["stack", "pack", "concat", "concatenate", "concatv2", "addn"].contains(&name);
    if let ([Given::List(items)], false) = (&call.arguments[..], takes_list) {
        call.arguments = items.clone();
    }
}

fn one(call: &mut LayerCall, name: &str) -> Result<Value, String> {
    let binary = match name {
        "add" | "addv2" | "biasadd" | "radd" => Some("Add"),
        "subtract" | "sub" | "rsub" => Some("Sub"),
        "multiply" | "mul" | "rmul" => Some("Mul"),
        "truedivide" | "divide" | "truediv" | "div" | "realdiv" | "rtruediv" => Some("Div"),
        "power" | "pow" => Some("Pow"),
        "maximum" => Some("Max"),
        "minimum" => Some("Min"),
        _ => None,
    };
    if let Some(operator) = binary {
        let swapped = name.starts_with("rs") || name.starts_with("rt");
        return combined(call, operator, swapped);
    }
    let list = |call: &LayerCall| -> Result<Vec<Value>, String> {
        call.ask(0, &["values"]);
        let given = call.arguments.first().or_else(|| call.named.get("values"));
        let Some(Given::List(items)) = given else { return Err("it gets no list".to_owned()) };
        let tensor = |item: &Given| match item {
            Given::Tensor(value) => Ok(value.clone()),
            _ => Err("it joins constants".to_owned()),
        };
        items.iter().map(tensor).collect()
    };
    match name {
        "concat" | "concatenate" | "concatv2" => {
            let axis = axis(call, 1)?.unwrap_or(-1);
            let inputs = list(call)?;
            merge::joined(call, &inputs, axis)
        }
        "stack" | "pack" => {
            let axis = axis(call, 1)?.unwrap_or(0);
            let inputs = list(call)?;
            stacked(call, &inputs, axis)
        }
        _ => of_tensor(call, name),
    }
}

/// Operations of one tensor.
fn of_tensor(call: &mut LayerCall, name: &str) -> Result<Value, String> {
    let input = tensor(call)?;
    let simple = match name {
        "negative" | "neg" => Some("Neg"),
        "exp" => Some("Exp"),
        "log" => Some("Log"),
        "sqrt" => Some("Sqrt"),
        "abs" | "absolute" => Some("Abs"),
        "erf" => Some("Erf"),
        _ => None,
    };
    if let Some(operator) = simple {
        return Ok(call.simple(operator, &input));
    }
    match name {
        "identity" | "stopgradient" => Ok(input),
        "cast" => cast(call, input),
        "square" => Ok(call.both("Mul", &input, &input)),
        "rsqrt" => {
            let root = call.simple("Sqrt", &input);
            Ok(call.simple("Reciprocal", &root))
        }
        "getitem" => {
            let spec = argument(call, 1, &["slice_spec", "key"]).ok_or("it takes no part")?;
            let parts = index::parts(&spec).ok_or("it takes a part that is no constant")?;
            index::taken(call, &input, &parts)
        }
        "reshape" => {
            let shape = setting(call, 1, &["newshape", "shape"]).as_ref().and_then(integers);
            let shape = shape.ok_or("its shape is no constant")?;
            let rest = shape.get(1..).ok_or("its shape is empty")?;
            reshape::to_shape(call, &input, rest)
        }
        "transpose" => {
            let axes = setting(call, 1, &["perm", "axes"]).as_ref().and_then(integers);
            reshape::to_axes(call, &input, &axes.ok_or("it reverses the axes")?)
        }
        "mean" | "reducemean" => reduced(call, &input, "ReduceMean"),
        "max" | "amax" | "reducemax" => reduced(call, &input, "ReduceMax"),
        "min" | "amin" | "reducemin" => reduced(call, &input, "ReduceMin"),
        "sum" | "reducesum" => reduced(call, &input, "ReduceSum"),
        "expanddims" => expanded(call, &input),
        "squeeze" => squeezed(call, &input),
        "clip" | "clipbyvalue" => clip(call, &input),
        "l2normalize" | "normalize" => unit(call, &input),
        "resize" | "resizev2" => resized(call, &input),
        _ => activated(call, &input, name),
    }
}

fn activated(call: &mut LayerCall, input: &Value, name: &str) -> Result<Value, String> {
    let name = match name {
        "gelu" => {
            // The operation's default differs: the activation named "gelu" is the exact one.
            let usual = call.writer.version == 3;
            let said = setting(call, 1, &["approximate"]).and_then(|said| said.as_bool());
            return Ok(activation::gelu(call, input, said.unwrap_or(usual)));
        }
        "softmax" | "logsoftmax" => {
            let axis = axis(call, 1)?.unwrap_or(-1);
            let operator = if name == "softmax" { "Softmax" } else { "LogSoftmax" };
            return activation::softmax(call, operator, input, axis);
        }
        "relu" => {
            call.ask(0, &["negative_slope", "max_value", "threshold"]);
            return activation::relu_of(call, input, call.settings);
        }
        "leakyrelu" => {
            let slope = number(call, 1, &["negative_slope", "alpha"])?.unwrap_or(0.2);
            return Ok(call.with_alpha("LeakyRelu", input, slope));
        }
        "elu" | "celu" => {
            let alpha = number(call, 1, &["alpha"])?.unwrap_or(1.0);
            let operator = if name == "elu" { "Elu" } else { "Celu" };
            return Ok(call.with_alpha(operator, input, alpha));
        }
        "hardshrink" | "softshrink" => {
            let distance = number(call, 1, &["threshold"])?.unwrap_or(0.5);
            return Ok(activation::shrunk(call, input, distance, name == "softshrink"));
        }
        "squareplus" => {
            let b = number(call, 1, &["b"])?.unwrap_or(4.0);
            return Ok(activation::square_plus(call, input, b));
        }
        "hardsigmoid" => "hard_sigmoid",
        "hardsilu" | "hardswish" => "hard_silu",
        "hardtanh" => "hard_tanh",
        "logsigmoid" => "log_sigmoid",
        "tanhshrink" => "tanh_shrink",
        "relu6" | "sigmoid" | "tanh" | "silu" | "swish" | "softplus" | "softsign" | "selu"
        | "mish" => name,
        other => return Err(format!("linnaeus has no conversion for the operation `{other}`")),
    };
    activation::by_name(call, input, name)
}

/// A number among the settings or arguments.
fn number(call: &LayerCall, place: usize, names: &[&'static str]) -> Result<Option<f64>, String> {
    let Some(said) = setting(call, place, names) else { return Ok(None) };
    said.as_f64().map(Some).ok_or_else(|| format!("its `{}` is {said}", names[0]))
}

/// The argument at a place or of a name, when it is a constant.
fn argument(call: &LayerCall, place: usize, names: &[&'static str]) -> Option<Json> {
    call.ask(place, names);
    let named = || names.iter().find_map(|name| call.named.get(*name));
    match call.arguments.get(place).or_else(named) {
        Some(Given::Constant(value)) => Some(value.clone()),
        _ => None,
    }
}

/// The same, or a setting of the operation itself, where Keras 3 keeps them.
fn setting(call: &LayerCall, place: usize, names: &[&'static str]) -> Option<Json> {
    let own = || names.iter().find_map(|name| call.settings.get(name)).cloned();
    argument(call, place, names).filter(|value| !value.is_null()).or_else(own)
}

/// Why an operation over all axes is refused.
const ALL_AXES: &str = "it treats all axes as one, the batch among them";

/// Whether an operation of Keras 3 has no axis, which there is another thing than the usual one.
fn all_axes(call: &LayerCall) -> bool {
    call.writer.version == 3 && call.settings.0.get("axis").is_some_and(Json::is_null)
}

fn axis(call: &LayerCall, place: usize) -> Result<Option<i64>, String> {
    if all_axes(call) {
        return Err(ALL_AXES.to_owned());
    }
    let Some(said) = setting(call, place, &["axis", "dim"]) else { return Ok(None) };
    match integers(&said).as_deref() {
        Some([axis]) => Ok(Some(*axis)),
        _ => Err(format!("its `axis` is {said}")),
    }
}

/// The first tensor, by its place or by any name.
fn tensor(call: &LayerCall) -> Result<Value, String> {
    match call.arguments.first() {
        Some(Given::Tensor(value)) => Ok(value.clone()),
        None => match &call.inputs[..] {
            [one] => Ok(one.clone()),
            _ => Err("it gets no tensor".to_owned()),
        },
        _ => Err("its first argument is no tensor".to_owned()),
    }
}

fn operand(call: &LayerCall, place: usize, names: &[&'static str]) -> Result<Operand, String> {
    call.ask(place, names);
    let named = || names.iter().find_map(|name| call.named.get(*name));
    match call.arguments.get(place).or_else(named) {
        Some(Given::Tensor(value)) => Ok(Operand::Tensor(value.clone())),
        Some(Given::Constant(value)) => {
            array(value).map(Operand::Numbers).ok_or_else(|| "its operand is no number".to_owned())
        }
        _ => Err("one of its two operands is missing".to_owned()),
    }
}

fn combined(call: &mut LayerCall, operator: &'static str, swapped: bool) -> Result<Value, String> {
    let first = operand(call, 0, &["x", "x1", "value"])?;
    let second = operand(call, 1, &["y", "x2", "bias"])?;
    let (first, second) = if swapped { (second, first) } else { (first, second) };
    match (first, second) {
        (Operand::Tensor(a), Operand::Tensor(b)) if a.rank() == b.rank() => {
            merge::combine(call, operator, &[a, b])
        }
        (Operand::Tensor(a), Operand::Tensor(b)) => unequal(call, operator, &a, &b),
        (Operand::Tensor(value), Operand::Numbers(numbers)) => {
            call.combined(operator, &value, ("operand", numbers), false)
        }
        (Operand::Numbers(numbers), Operand::Tensor(value)) => {
            call.combined(operator, &value, ("operand", numbers), true)
        }
        _ => Err("it gets no tensor".to_owned()),
    }
}

/// Tensors of different numbers of axes, aligned at the last as numpy does.
fn unequal(
    call: &mut LayerCall,
    operator: &'static str,
    a: &Value,
    b: &Value,
) -> Result<Value, String> {
    let (a, b) = (call.graph.as_keras(a), call.graph.as_keras(b));
    let rank = a.rank().max(b.rank());
    let filled =
        |shape: &[Option<usize>]| [vec![Some(1); rank - shape.len()], shape.to_vec()].concat();
    let shorter = if a.rank() < b.rank() { &a } else { &b };
    if shorter.rank() > 0 && shorter.shape[0] != Some(1) {
        return Err("it combines the images of a batch with each other".to_owned());
    }
    let shape = broadcast(&filled(&a.shape), &filled(&b.shape))?;
    let name = call.graph.node(operator, &[&a.name, &b.name], Vec::new());
    Ok(Value::new(name, shape))
}

fn cast(call: &mut LayerCall, input: Value) -> Result<Value, String> {
    let to = setting(call, 1, &["dtype", "DstT"]);
    let name = to.as_ref().and_then(Json::as_str).unwrap_or("float32").to_lowercase();
    let float = ["float", "half", "double", "dt_float", "dt_half", "dt_double"];
    if float.iter().any(|kind| name.contains(kind)) {
        return Ok(input);
    }
    Err(format!("it makes {name} of its input"))
}

fn stacked(call: &mut LayerCall, inputs: &[Value], axis: i64) -> Result<Value, String> {
    let first = inputs.first().ok_or("it gets nothing")?;
    let rank = first.rank() as i64 + 1;
    let axis = if axis < 0 { axis + rank } else { axis };
    let place = usize::try_from(axis).ok().filter(|&axis| (1..=first.rank()).contains(&axis));
    let place = place.ok_or("it stacks images")?;
    let mut widened = Vec::new();
    for input in inputs {
        let input = call.graph.as_keras(input);
        let axes = call.graph.whole("axis", vec![axis]);
        let name = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
        let mut shape = input.shape;
        shape.insert(place.min(shape.len()), Some(1));
        widened.push(Value::new(name, shape));
    }
    merge::joined(call, &widened, axis)
}

fn reduced(call: &mut LayerCall, input: &Value, operator: &'static str) -> Result<Value, String> {
    let axes = setting(call, 1, &["axis", "reduction_indices"]).as_ref().and_then(integers);
    let axes = axes.ok_or("it reduces all axes, the batch among them")?;
    let keep = setting(call, 2, &["keepdims", "keep_dims"]).is_some_and(|keep| keep == true);
    let mut found: Vec<usize> =
        axes.iter().map(|&axis| input.keras_axis(axis)).collect::<Result<_, _>>()?;
    found.sort_unstable();
    let planes = input.order == Order::ChannelsFirst && (keep || found == [1, 2]);
    let input = if planes { input.clone() } else { call.graph.as_keras(input) };
    if found.is_empty() || found[0] == 0 {
        return Err("it reduces the batch".to_owned());
    }
    let along = found.iter().map(|&axis| input.axis(axis as i64).map(|axis| axis as i64));
    let along = along.collect::<Result<Vec<_>, _>>()?;
    let kept = ("keepdims", Attribute::Int(i64::from(keep)));
    let name = if operator == "ReduceSum" {
        let along = call.graph.whole("axes", along);
        call.graph.node(operator, &[&input.name, &along], vec![kept])
    } else {
        call.graph.node(operator, &[&input.name], vec![("axes", Attribute::Ints(along)), kept])
    };
    let sides = input.shape.iter().enumerate();
    if keep {
        let shape = sides.map(|(axis, &side)| if found.contains(&axis) { Some(1) } else { side });
        return Ok(Value { name, shape: shape.collect(), order: input.order });
    }
    let shape = sides.filter(|(axis, _)| !found.contains(axis)).map(|(_, &side)| side);
    Ok(Value::new(name, shape.collect()))
}

fn expanded(call: &mut LayerCall, input: &Value) -> Result<Value, String> {
    let axis = axis(call, 1)?.ok_or("its `axis` is missing")?;
    let input = call.graph.as_keras(input);
    let place = if axis < 0 { axis + input.rank() as i64 + 1 } else { axis };
    let place = usize::try_from(place).ok().filter(|&place| (1..=input.rank()).contains(&place));
    let place = place.ok_or("it adds an axis before the batch")?;
    let axes = call.graph.whole("axis", vec![place as i64]);
    let name = call.graph.node("Unsqueeze", &[&input.name, &axes], Vec::new());
    let mut shape = input.shape;
    shape.insert(place, Some(1));
    Ok(Value::new(name, shape))
}

fn squeezed(call: &mut LayerCall, input: &Value) -> Result<Value, String> {
    let input = call.graph.as_keras(input);
    let said = setting(call, 1, &["axis", "squeeze_dims"]).as_ref().and_then(integers);
    let axes: Vec<usize> = match said {
        Some(axes) => axes.iter().map(|&axis| input.keras_axis(axis)).collect::<Result<_, _>>()?,
        None => (1..input.rank()).filter(|&axis| input.shape[axis] == Some(1)).collect(),
    };
    if axes.contains(&0) {
        return Err("it takes the batch away".to_owned());
    }
    let places = call.graph.whole("axes", axes.iter().map(|&axis| axis as i64).collect());
    let name = call.graph.node("Squeeze", &[&input.name, &places], Vec::new());
    let sides = input.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
    let shape = sides.map(|(_, &side)| side).collect();
    Ok(Value::new(name, shape))
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn clip(call: &mut LayerCall, input: &Value) -> Result<Value, String> {
    let bound = |place: usize, names: &[&'static str]| {
        Ok::<_, String>(number(call, place, names)?.map(|bound| bound as f32))
    };
    let low = bound(1, &["x_min", "clip_value_min", "min"])?;
    let high = bound(2, &["x_max", "clip_value_max", "max"])?;
    if low.is_none() && high.is_none() {
        return Err("its bounds are no numbers".to_owned());
    }
    Ok(activation::clipped(call, input, low, high))
}

/// TensorFlow's `l2_normalize`, which bounds the sum of squares, and Keras 3's `Normalize`, which
/// bounds the length.
fn unit(call: &mut LayerCall, input: &Value) -> Result<Value, String> {
    let bounds_length = call.layer.class == "Normalize";
    let order = if bounds_length { number(call, 2, &["order"])?.unwrap_or(2.0) } else { 2.0 };
    if order != 2.0 {
        return Err(format!("it normalises to an order of {order}"));
    }
    if all_axes(call) {
        return Err(ALL_AXES.to_owned());
    }
    let (place, usual) = if bounds_length { (3, 1e-7) } else { (2, 1e-12) };
    let least = number(call, place, &["epsilon"])?.unwrap_or(usual);
    let least = if bounds_length { least * least } else { least };
    let axes = match setting(call, 1, &["axis", "dim"]) {
        Some(said) => integers(&said).ok_or_else(|| format!("its `axis` is {said}"))?,
        None if bounds_length => vec![-1],
        None => return Err("it normalises a batch as one".to_owned()),
    };
    normalize::to_unit(call, input, &axes, least)
}

fn resized(call: &mut LayerCall, input: &Value) -> Result<Value, String> {
    let size = setting(call, 1, &["size"]).as_ref().and_then(integers);
    let size: Option<Vec<usize>> =
        size.and_then(|size| size.into_iter().map(|side| usize::try_from(side).ok()).collect());
    let Some([height, width]) = size.as_deref() else {
        return Err("its size is no constant".to_owned());
    };
    let filter = setting(call, 2, &["interpolation", "method"]);
    let filter = filter.as_ref().and_then(Json::as_str).unwrap_or("bilinear").to_owned();
    // These say how it pads, which it may only do with `pad_to_aspect_ratio`.
    call.ask(2, &["fill_mode", "fill_value", "data_format"]);
    resize::resized(call, input, [*height, *width], &filter)
}

/// `split` into equal parts.
fn split(call: &mut LayerCall) -> Result<Vec<Value>, String> {
    let input = tensor(call)?;
    let count = setting(call, 1, &["indices_or_sections", "num_or_size_splits"]);
    let count =
        count.and_then(|count| count.as_u64()).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| (1..=MAX_PARTS).contains(count));
    let count = count.ok_or("it splits into unequal parts")?;
    let axis = input.keras_axis(axis(call, 2)?.unwrap_or(0))?;
    let side = input.shape[axis].filter(|side| side.is_multiple_of(count) && axis > 0);
    let width = (side.ok_or("it splits into unequal parts")? / count) as i64;
    let part = |index: usize| {
        let start = index as i64 * width;
        let before = vec![index::Part::Slice(None, None, 1); axis];
        [before, vec![index::Part::Slice(Some(start), Some(start + width), 1)]].concat()
    };
    (0..count).map(|index| index::taken(call, &input, &part(index))).collect()
}

/// The fields of a JSON object.
fn object(value: &Json) -> Option<&Map<String, Json>> {
    value.as_object()
}
