//! Dense layers.

use super::activation;
use crate::freeze::{
    array::Array,
    call::LayerCall,
    value::{Order, Value},
};

/// `Dense`: over the last axis of Keras.
pub(super) fn dense(call: &mut LayerCall) -> Result<Value, String> {
    let input = call.input()?;
    let kernel = call.weight("kernel")?;
    let [inputs, units] = kernel.shape[..] else {
        return Err(format!("its kernel is {:?}", kernel.shape));
    };
    let last = input.shape.last().copied().flatten();
    if last.is_some_and(|last| last != inputs) || input.rank() < 2 {
        return Err(format!(
            "its kernel takes {inputs} numbers, and it gets {:?}",
            &input.shape[1..]
        ));
    }
    let bias =
        if call.settings.flag("use_bias", true)? { Some(call.weight("bias")?) } else { None };
    if bias.as_ref().is_some_and(|bias| bias.values.len() != units) {
        return Err(format!("it has {units} units and a bias of another length"));
    }
    let value = if input.rank() == 2 {
        let kernel = reordered(kernel, input.order);
        let kernel = call.graph.floats("kernel", kernel);
        let bias = bias.map(|bias| call.graph.floats("bias", bias.reshaped(vec![units])));
        let names: Vec<&str> =
            [input.name.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
        let name = call.graph.node("Gemm", &names, Vec::new());
        Value::new(name, vec![None, Some(units)])
    } else {
        multiplied(call, &input, (kernel, bias))
    };
    activation::own(call, value)
}

/// Over the last of three axes or more.
fn multiplied(
    call: &mut LayerCall,
    input: &Value,
    (kernel, bias): (Array, Option<Array>),
) -> Value {
    let input = call.graph.as_keras(input);
    let units = kernel.shape[1];
    let kernel = call.graph.floats("kernel", kernel);
    let mut name = call.graph.node("MatMul", &[&input.name, &kernel], Vec::new());
    if let Some(bias) = bias {
        let bias = call.graph.floats("bias", bias.reshaped(vec![units]));
        name = call.graph.node("Add", &[&name, &bias], Vec::new());
    }
    let mut shape = input.shape;
    if let Some(last) = shape.last_mut() {
        *last = Some(units);
    }
    Value::new(name, shape)
}

/// The rows of a kernel in the order of a flattened tensor whose channels come first.
fn reordered(kernel: Array, order: Order) -> Array {
    let (Order::Flattened([height, width, channels]), [_, units]) = (order, &kernel.shape[..])
    else {
        return kernel;
    };
    let (units, rows) = (*units, kernel.shape[0]);
    let kernel = kernel.reshaped(vec![height, width, channels, units]);
    kernel.transposed(&[2, 0, 1, 3]).reshaped(vec![rows, units])
}

/// `EinsumDense` where it is a product over the last axis, as in vision transformers.
pub(super) fn einsum(call: &mut LayerCall) -> Result<Value, String> {
    let equation = call.settings.text("equation")?.unwrap_or_default().replace(' ', "");
    let parts = equation.split_once(',').and_then(|(input, rest)| {
        let (kernel, output) = rest.split_once("->")?;
        Some((input.to_owned(), kernel.to_owned(), output.to_owned()))
    });
    let (input, kernel, output) = parts.ok_or_else(|| format!("its `equation` is {equation:?}"))?;
    let simple = |input: &str, output: &str| {
        let (mut kernel, shared) =
            (kernel.chars(), input.len().min(output.len()).saturating_sub(1));
        let pair = (kernel.next(), kernel.next(), kernel.next());
        input[..shared] == output[..shared]
            && input.len() == output.len()
            && pair == (input.chars().last(), output.chars().last(), None)
    };
    if !equation.is_ascii() || input.is_empty() || !simple(&input, &output) {
        return Err(format!("its `equation` is {equation:?}"));
    }
    let value = call.input()?;
    if value.rank() < 3 {
        return Err(format!("it gets {} axes", value.rank()));
    }
    let kernel = call.weight("kernel")?;
    if kernel.shape.len() != 2 || Some(Some(kernel.shape[0])) != value.shape.last().copied() {
        return Err(format!("its kernel is {:?}", kernel.shape));
    }
    let bias = match call.settings.get("bias_axes") {
        Some(_) => Some(call.weight("bias")?),
        None => None,
    };
    if bias.as_ref().is_some_and(|bias| bias.values.len() != kernel.shape[1]) {
        return Err("its bias is for more than the last axis".to_owned());
    }
    let value = multiplied(call, &value, (kernel, bias));
    activation::own(call, value)
}
