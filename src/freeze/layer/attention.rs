//! Attention between all places of a sequence.

use crate::freeze::{
    array::Array,
    call::{Given, LayerCall},
    graph::Attribute,
    value::Value,
};

/// `MultiHeadAttention` without masks, over sequences.
pub(super) fn multi_head(call: &mut LayerCall) -> Result<Value, String> {
    refuse_variants(call)?;
    let tensor = |at: usize, name: &str| match call.arguments.get(at) {
        Some(Given::Tensor(value)) => Some(value.clone()),
        // Keras 2 lists the first arguments as one.
        Some(Given::List(items)) if at == 0 => match items.first() {
            Some(Given::Tensor(value)) => Some(value.clone()),
            _ => None,
        },
        _ => call.named_tensor(name),
    };
    let query = tensor(0, "query").ok_or("it gets no query")?;
    let value = tensor(1, "value").ok_or("it gets no value")?;
    let key = tensor(2, "key").unwrap_or_else(|| value.clone());
    if [&query, &value, &key].iter().any(|tensor| tensor.rank() != 3) {
        return Err("it attends to more than one axis".to_owned());
    }
    let size = call.settings.whole("key_dim")?.ok_or("its `key_dim` is missing")?;
    let queries = projected(call, &query, "query")?;
    let keys = projected(call, &key, "key")?;
    let values = projected(call, &value, "value")?;
    let graph = &mut *call.graph;
    let scale = graph.scalar("scale", 1.0 / (size as f32).sqrt());
    let queries = graph.node("Mul", &[&queries, &scale], Vec::new());
    let across = vec![("perm", Attribute::Ints(vec![0, 1, 3, 2]))];
    let keys = graph.node("Transpose", &[&keys], across);
    let scores = graph.node("MatMul", &[&queries, &keys], Vec::new());
    let shares = graph.node("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);
    let mixed = graph.node("MatMul", &[&shares, &values], Vec::new());
    let back = vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
    let mixed = graph.node("Transpose", &[&mixed], back);
    let kernel = call.weight("output/kernel")?;
    let [heads, depth, out] = kernel.shape[..] else {
        return Err(format!("its output kernel is {:?}", kernel.shape));
    };
    let rows = heads.checked_mul(depth).ok_or("its output kernel is too large")?;
    let bias = call.weights.remove("output/bias");
    let graph = &mut *call.graph;
    let shape = graph.whole("rows", vec![0, -1, rows as i64]);
    let mixed = graph.node("Reshape", &[&mixed, &shape], Vec::new());
    let kernel = graph.floats("output/kernel", kernel.reshaped(vec![rows, out]));
    let mut name = graph.node("MatMul", &[&mixed, &kernel], Vec::new());
    if let Some(bias) = of_length(bias, out)? {
        let bias = graph.floats("output/bias", bias.reshaped(vec![out]));
        name = graph.node("Add", &[&name, &bias], Vec::new());
    }
    Ok(Value::new(name, vec![None, query.shape[1], Some(out)]))
}

fn refuse_variants(call: &LayerCall) -> Result<(), String> {
    let axes = call.settings.get("attention_axes").map(ToString::to_string);
    if axes.is_some_and(|axes| axes != "[1]" && axes != "1") {
        return Err("its `attention_axes` are not the usual one".to_owned());
    }
    for name in ["attention_mask", "query_mask", "value_mask", "key_mask"] {
        if call.named_tensor(name).is_some() {
            return Err(format!("it gets `{name}`"));
        }
    }
    for name in ["use_causal_mask", "return_attention_scores"] {
        if matches!(call.named.get(name), Some(Given::Constant(said)) if *said == true) {
            return Err(format!("it is called with `{name}`"));
        }
    }
    if call.settings.flag("use_gate", false)? {
        return Err("it has `use_gate`".to_owned());
    }
    Ok(())
}

/// A bias, if there is one, with as many numbers as it is added to.
fn of_length(bias: Option<Array>, length: usize) -> Result<Option<Array>, String> {
    match bias {
        Some(bias) if bias.values.len() != length => {
            Err(format!("it has a bias of {} for {length} numbers", bias.values.len()))
        }
        other => Ok(other),
    }
}

/// One of the projections, as N×heads×places×size.
fn projected(call: &mut LayerCall, input: &Value, part: &str) -> Result<String, String> {
    let input = call.graph.as_keras(input);
    let kernel = call.weight(&format!("{part}/kernel"))?;
    let [inputs, heads, size] = kernel.shape[..] else {
        return Err(format!("its {part} kernel is {:?}", kernel.shape));
    };
    if input.shape[2].is_some_and(|side| side != inputs) {
        return Err(format!("its {part} kernel takes {inputs} numbers"));
    }
    let columns = heads.checked_mul(size).ok_or("its kernel is too large")?;
    let bias = call.weights.remove(&format!("{part}/bias"));
    let graph = &mut *call.graph;
    let kernel = graph.floats(&format!("{part}/kernel"), kernel.reshaped(vec![inputs, columns]));
    let mut name = graph.node("MatMul", &[&input.name, &kernel], Vec::new());
    if let Some(bias) = of_length(bias, columns)? {
        let bias = graph.floats(&format!("{part}/bias"), bias.reshaped(vec![columns]));
        name = graph.node("Add", &[&name, &bias], Vec::new());
    }
    let shape = graph.whole("heads", vec![0, -1, heads as i64, size as i64]);
    let name = graph.node("Reshape", &[&name, &shape], Vec::new());
    Ok(graph.node("Transpose", &[&name], vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))]))
}
