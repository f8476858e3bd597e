//! How layers are connected, in the spellings of Keras 1, 2 and 3.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// One output of one call of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorRef {
    /// The layer's name.
    pub layer: String,
    /// Which of its calls, from 0.
    pub call: usize,
    /// Which of its outputs, from 0.
    pub output: usize,
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// The output of another layer.
    Tensor(TensorRef),
    /// Several, as merging layers take them.
    List(Vec<Argument>),
    /// A value that is written in the model.
    Constant(Value),
}

impl Argument {
    fn visit<'a>(&'a self, found: &mut Vec<&'a TensorRef>) {
        match self {
            Self::Tensor(tensor) => found.push(tensor),
            Self::List(items) => items.iter().for_each(|item| item.visit(found)),
            Self::Constant(_) => {}
        }
    }

    fn visit_mut(&mut self, change: &mut impl FnMut(&mut TensorRef)) {
        match self {
            Self::Tensor(tensor) => change(tensor),
            Self::List(items) => items.iter_mut().for_each(|item| item.visit_mut(change)),
            Self::Constant(_) => {}
        }
    }
}

/// One use of a layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Call {
    /// The arguments by position.
    pub arguments: Vec<Argument>,
    /// The arguments by name.
    pub named: BTreeMap<String, Argument>,
}

impl Call {
    pub(super) fn of(tensor: TensorRef) -> Self {
        Self { arguments: vec![Argument::Tensor(tensor)], named: BTreeMap::new() }
    }

    /// Every tensor that goes in, in order.
    #[must_use]
    pub fn tensors(&self) -> Vec<&TensorRef> {
        let mut found = Vec::new();
        self.arguments.iter().chain(self.named.values()).for_each(|a| a.visit(&mut found));
        found
    }

    pub(super) fn change(&mut self, mut change: impl FnMut(&mut TensorRef)) {
        let arguments = self.arguments.iter_mut().chain(self.named.values_mut());
        arguments.for_each(|argument| argument.visit_mut(&mut change));
    }
}

/// The calls of one layer: `inbound_nodes`.
pub(super) fn calls(value: Option<&Value>, layers: &BTreeSet<String>) -> Vec<Call> {
    let nodes = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    nodes.iter().map(|node| call(node, layers)).collect()
}

fn call(node: &Value, layers: &BTreeSet<String>) -> Call {
    match node {
        Value::Object(fields) => keras_3(fields),
        // `TFOpLambda` has one list less than others.
        Value::Array(items) if items.first().is_some_and(Value::is_string) => {
            keras_2(std::slice::from_ref(node), layers)
        }
        Value::Array(items) => keras_2(items, layers),
        _ => Call::default(),
    }
}

/// `[["name", call, output, {named arguments}], …]`; several tensors are one list argument.
fn keras_2(items: &[Value], layers: &BTreeSet<String>) -> Call {
    let mut call = Call::default();
    let mut tensors: Vec<Argument> = Vec::new();
    for item in items {
        let parts = item.as_array().map_or(&[][..], Vec::as_slice);
        tensors.push(match (parts.first().and_then(Value::as_str), parts) {
            (Some("_CONSTANT_VALUE"), [_, _, value, ..]) => Argument::Constant(value.clone()),
            _ => reference(item).map_or(Argument::Constant(item.clone()), Argument::Tensor),
        });
        if let Some(Value::Object(named)) = parts.get(3) {
            let named = named.iter().map(|(key, value)| (key.clone(), named_2(value, layers)));
            call.named.extend(named);
        }
    }
    call.arguments = match tensors.len() {
        0 | 1 => tensors,
        _ => vec![Argument::List(tensors)],
    };
    call
}

/// A named argument may be a tensor, which looks like a list that begins with a layer's name.
fn named_2(value: &Value, layers: &BTreeSet<String>) -> Argument {
    match reference(value) {
        Some(tensor) if layers.contains(&tensor.layer) => Argument::Tensor(tensor),
        _ => match value {
            Value::Array(items) if items.iter().any(Value::is_array) => {
                of_items(value, items.iter().map(|item| named_2(item, layers)).collect())
            }
            _ => Argument::Constant(value.clone()),
        },
    }
}

/// `{"args": […], "kwargs": {…}}` with tensors as `__keras_tensor__`.
fn keras_3(fields: &Map<String, Value>) -> Call {
    let arguments = fields.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let named = fields.get("kwargs").and_then(Value::as_object).into_iter().flatten();
    Call {
        arguments: arguments.iter().map(argument_3).collect(),
        named: named.map(|(key, value)| (key.clone(), argument_3(value))).collect(),
    }
}

fn argument_3(value: &Value) -> Argument {
    let is_tensor = value.get("class_name").is_some_and(|class| class == "__keras_tensor__");
    let history = value.get("config").and_then(|config| config.get("keras_history"));
    match (value, history.and_then(reference)) {
        (_, Some(tensor)) if is_tensor => Argument::Tensor(tensor),
        (Value::Array(items), _) => of_items(value, items.iter().map(argument_3).collect()),
        _ => Argument::Constant(value.clone()),
    }
}

/// A list of tensors, or one constant when there is no tensor in it.
fn of_items(value: &Value, items: Vec<Argument>) -> Argument {
    let constant = items.iter().all(|item| matches!(item, Argument::Constant(_)));
    if constant { Argument::Constant(value.clone()) } else { Argument::List(items) }
}

/// `["name", call, output]`, and whatever follows.
pub(super) fn reference(value: &Value) -> Option<TensorRef> {
    let parts = value.as_array()?;
    let index = |at: usize| parts.get(at)?.as_u64().and_then(|index| usize::try_from(index).ok());
    Some(TensorRef {
        layer: parts.first()?.as_str()?.to_owned(),
        call: index(1)?,
        output: index(2)?,
    })
}

/// References in `input_layers` and `output_layers`: `["n",0,0]`, a list of those, or an object.
pub(super) fn references(value: &Value) -> Vec<TensorRef> {
    if let Some(one) = reference(value) {
        return vec![one];
    }
    match value {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Call {
        let layers = ["a", "b"].map(str::to_owned).into();
        let value: Value = serde_json::from_str(text).unwrap();
        let mut calls = calls(Some(&value), &layers);
        assert_eq!(calls.len(), 1, "{text}");
        calls.remove(0)
    }

    fn names(call: &Call) -> Vec<&str> {
        call.tensors().iter().map(|tensor| tensor.layer.as_str()).collect()
    }

    #[test]
    fn the_three_spellings_say_the_same() {
        let tensor = r#"{"class_name":"__keras_tensor__","config":{"keras_history":["a",1,0]}}"#;
        let expected = TensorRef { layer: "a".to_owned(), call: 1, output: 0 };
        for text in [
            r#"[[["a",1,0]]]"#,
            r#"[[["a",1,0,{"training":false}]]]"#,
            &format!(r#"[{{"args":[{tensor}],"kwargs":{{"mask":null}}}}]"#),
        ] {
            assert_eq!(one(text).arguments, [Argument::Tensor(expected.clone())], "{text}");
        }
    }

    #[test]
    fn operations_of_keras_2_keep_their_operands() {
        let call = one(r#"[["a",0,0,{"y":127.5,"x":["b",0,0],"name":["c",0,0]}]]"#);
        assert_eq!(names(&call), ["a", "b"]);
        assert_eq!(call.named["y"], Argument::Constant(127.5.into()));
        let first = one(r#"[["_CONSTANT_VALUE",-1,1,{"y":["a",0,0]}]]"#);
        assert_eq!(first.arguments, [Argument::Constant(1.into())]);
        assert_eq!(names(&first), ["a"]);
    }
}
