//! What a model's last layers say: how many classes, and what their scores are.

use serde_json::Value;

use crate::keras::{Layer, Model};

/// How a model ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// The activation of the last layer, `linear` when it has none; `None` when it is not known.
    pub(super) activation: Option<String>,
    /// The layer that applies it.
    pub(super) layer: String,
    pub(super) classes: Option<usize>,
}

/// Follows the first output backwards to the layer that makes the scores.
pub(super) fn ending(model: &Model) -> Ending {
    let mut ending = Ending::default();
    follow(model, &mut ending);
    ending
}

fn follow(model: &Model, ending: &mut Ending) {
    let Some(output) = model.outputs.first() else { return };
    let mut name = output.layer.as_str();
    for _ in 0..model.layers.len() {
        let Some(layer) = model.layer(name) else { return };
        if let Some(inner) = &layer.model {
            return follow(inner, ending);
        }
        if ending.activation.is_none() {
            ending.layer.clone_from(&layer.name);
            ending.activation = activation(layer).filter(|found| found != "linear");
        }
        if let Some(classes) = scores(layer) {
            ending.classes = Some(classes);
            if ending.activation.is_none() {
                ending.layer.clone_from(&layer.name);
                ending.activation = Some("linear".to_owned());
            }
            return;
        }
        let passes =
            ["Activation", "Softmax", "Flatten", "Reshape", "Dropout", "Identity", "Sigmoid"];
        let passes = passes.contains(&layer.class.as_str())
            || layer.class.starts_with("Global")
            || layer.class == "BatchNormalization"
            || ending.activation.is_some();
        let before = layer.calls.first().and_then(|call| call.tensors().first().copied());
        match before {
            Some(before) if passes => name = &before.layer,
            _ => return,
        }
    }
}

/// How many scores a layer makes, when it is one that does.
fn scores(layer: &Layer) -> Option<usize> {
    let key = match layer.class.as_str() {
        "Dense" => "units",
        "Conv2D" | "SeparableConv2D" | "Conv1D" => "filters",
        _ => return None,
    };
    layer.config.get(key)?.as_u64().and_then(|count| usize::try_from(count).ok())
}

/// The activation that a layer applies, as one lower-case word.
fn activation(layer: &Layer) -> Option<String> {
    let class = layer.class.as_str();
    let function = layer.config.get("function").and_then(Value::as_str);
    match (class, function) {
        ("Softmax", _) | (_, Some("nn.softmax")) => Some("softmax".to_owned()),
        ("Sigmoid", _) | (_, Some("math.sigmoid" | "nn.sigmoid")) => Some("sigmoid".to_owned()),
        _ => word(layer.config.get("activation")?),
    }
}

/// `"softmax"`, `{"class_name": "Softmax", …}` or `{"class_name": "function", "config": "softmax"}`.
fn word(value: &Value) -> Option<String> {
    let named = match value {
        Value::String(name) => name,
        other => match other.get("class_name")?.as_str()? {
            "function" => other.get("config")?.as_str()?,
            class => class,
        },
    };
    Some(named.to_lowercase())
}
