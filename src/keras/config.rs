//! A model's layers, from the JSON of any Keras from 1 to 3.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    call::{Call, TensorRef, calls, references},
    dialect,
    error::Fault,
    json,
};

/// Most layers of a model, those of nested ones included; `keras.applications` stays below 1500.
const MAX_LAYERS: usize = 20_000;

/// The two kinds of models that are lists of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A chain.
    Sequential,
    /// A graph.
    Functional,
}

/// A model, or one nested in another.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Chain or graph.
    pub kind: Kind,
    /// Its name; empty where Keras 1 and 2.0 wrote none.
    pub name: String,
    /// Its layers in the order of the file. A chain that has no input layer gets one.
    pub layers: Vec<Layer>,
    /// What goes in.
    pub inputs: Vec<TensorRef>,
    /// What comes out.
    pub outputs: Vec<TensorRef>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Class without its package, in today's name: `Convolution2D` of Keras 1 is `Conv2D`.
    pub class: String,
    /// What stands before the class: the package of a custom layer, or a Python module.
    pub package: Option<String>,
    /// Its name, unique in its model.
    pub name: String,
    /// Its settings, with the keys of Keras 2 and 3.
    pub config: Map<String, Value>,
    /// Its uses, in order; none for an input.
    pub calls: Vec<Call>,
    /// The model that it is, when it is one.
    pub model: Option<Box<Model>>,
}

/// What the model gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name of the input layer.
    pub name: String,
    /// Shape with the batch; `None` is open. Empty when the file does not say.
    pub shape: Vec<Option<usize>>,
    /// Element type, such as `float32`.
    pub dtype: Option<String>,
}

impl Model {
    /// Reads `{"class_name", "config"}`.
    pub(super) fn parse(value: &Value) -> Result<Self, Fault> {
        let mut budget = MAX_LAYERS;
        parse_model(value, &mut budget)
    }

    /// The layer of that name.
    #[must_use]
    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// The inputs, in order.
    #[must_use]
    pub fn input_layers(&self) -> Vec<Input> {
        let layers = self.inputs.iter().filter_map(|input| self.layer(&input.layer));
        layers.map(Layer::as_input).collect()
    }

    /// Every layer with the names of the models around it and its own; models before their layers.
    #[must_use]
    pub fn walk(&self) -> Vec<(Vec<&str>, &Layer)> {
        let mut found = Vec::new();
        self.collect(&[], &mut found);
        found
    }

    fn collect<'a>(&'a self, above: &[&'a str], found: &mut Vec<(Vec<&'a str>, &'a Layer)>) {
        for layer in &self.layers {
            let mut path = above.to_vec();
            path.push(&layer.name);
            found.push((path.clone(), layer));
            if let Some(model) = &layer.model {
                model.collect(&path, found);
            }
        }
    }

    /// What the first layer says that has a `data_format`: `channels_last` or `channels_first`.
    #[must_use]
    pub fn data_format(&self) -> Option<&str> {
        let formats = self.walk();
        formats.iter().find_map(|(_, layer)| json::text(&layer.config, "data_format"))
    }
}

impl Layer {
    /// Whether it does nothing but name an input.
    #[must_use]
    pub fn is_input(&self) -> bool {
        self.class == "InputLayer"
    }

    /// Whether the layer may learn; a nested model's own setting.
    #[must_use]
    pub fn trainable(&self) -> bool {
        self.config.get("trainable").is_none_or(|value| value != &Value::Bool(false))
    }

    /// The layer that this one wraps, as `TimeDistributed` does; `None` when there is none that can
    /// be read.
    #[must_use]
    pub fn wrapped(&self) -> Option<Self> {
        let inner = self.config.get("layer").filter(|inner| inner.is_object())?;
        parse_layer(inner, &BTreeSet::new(), &mut MAX_LAYERS.clone()).ok()
    }

    fn as_input(&self) -> Input {
        let dtype = self.config.get("dtype").or_else(|| self.config.get("input_dtype"));
        // A policy instead of a type: {"class_name": "DTypePolicy", "config": {"name": …}}.
        let named = |value: &Value| match value {
            Value::String(name) => Some(name.clone()),
            other => Some(other.get("config")?.get("name")?.as_str()?.to_owned()),
        };
        Input {
            name: self.name.clone(),
            shape: input_shape(&self.config).unwrap_or_default(),
            dtype: dtype.and_then(named),
        }
    }
}

fn input_shape(config: &Map<String, Value>) -> Option<Vec<Option<usize>>> {
    ["batch_shape", "batch_input_shape"].iter().find_map(|key| json::shape(config.get(*key)?))
}

fn parse_model(value: &Value, budget: &mut usize) -> Result<Model, Fault> {
    let class = value.get("class_name").and_then(Value::as_str).unwrap_or_default();
    let class = dialect::without_package(class).1;
    let config = value.get("config").unwrap_or(&Value::Null);
    let listed = match config {
        Value::Array(layers) => Some(layers),
        other => other.get("layers").and_then(Value::as_array),
    };
    let kind = match class {
        "Sequential" => Kind::Sequential,
        "Functional" | "Model" => Kind::Functional,
        _ if listed.is_some() && config.get("output_layers").is_some() => Kind::Functional,
        other => return Err(Fault::Subclassed { class: other.to_owned() }),
    };
    let listed = listed.ok_or_else(|| Fault::Subclassed { class: class.to_owned() })?;
    let names: BTreeSet<String> = listed.iter().filter_map(layer_name).collect();
    let mut layers = Vec::new();
    for layer in listed {
        *budget = budget.checked_sub(1).ok_or_else(|| Fault::Limit {
            what: "number of layers".to_owned(),
            found: MAX_LAYERS as u64 + 1,
            limit: MAX_LAYERS as u64,
        })?;
        layers.push(parse_layer(layer, &names, budget)?);
    }
    let refs = |key: &str| config.get(key).map(references).unwrap_or_default();
    let mut model = Model {
        kind,
        name: config.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        layers,
        inputs: refs("input_layers"),
        outputs: refs("output_layers"),
    };
    match kind {
        Kind::Sequential => chain(&mut model, config),
        Kind::Functional => count_calls_from_zero(&mut model)?,
    }
    Ok(model)
}

fn layer_name(layer: &Value) -> Option<String> {
    let own = layer.get("name").and_then(Value::as_str);
    let name = own.or_else(|| layer.get("config")?.get("name")?.as_str());
    name.map(str::to_owned)
}

fn parse_layer(
    value: &Value,
    names: &BTreeSet<String>,
    budget: &mut usize,
) -> Result<Layer, Fault> {
    let class = value.get("class_name").and_then(Value::as_str);
    let class = class.ok_or_else(|| Fault::damaged("a layer has no class"))?;
    let (package, class) = dialect::without_package(class);
    let registered = value.get("registered_name").and_then(Value::as_str);
    let module = value.get("module").and_then(Value::as_str);
    let package = package.or_else(|| dialect::without_package(registered?).0).or(module);
    let config = value.get("config").unwrap_or(&Value::Null);
    let model = match class {
        "Functional" | "Model" | "Sequential"
            if config.is_array() || config.get("layers").is_some() =>
        {
            Some(Box::new(parse_model(value, budget)?))
        }
        _ => None,
    };
    let mut settings = config.as_object().cloned().unwrap_or_default();
    settings.remove("layers");
    Ok(Layer {
        class: dialect::class(class).to_owned(),
        package: package.map(str::to_owned),
        name: layer_name(value).unwrap_or_default(),
        config: dialect::settings(settings),
        calls: calls(value.get("inbound_nodes"), names),
        model,
    })
}

/// Connects the layers of a chain, and gives it an input layer when it has none.
fn chain(model: &mut Model, config: &Value) {
    if model.layers.first().is_none_or(|first| !first.is_input()) {
        let shape = model.layers.first().and_then(first_shape);
        let shape = shape.or_else(|| json::shape(config.get("build_input_shape")?));
        model.layers.insert(0, implied_input(&model.name, shape));
    }
    let mut previous: Option<TensorRef> = None;
    for layer in &mut model.layers {
        layer.calls = previous.take().map(Call::of).into_iter().collect();
        previous = Some(TensorRef { layer: layer.name.clone(), call: 0, output: 0 });
    }
    model.outputs = previous.into_iter().collect();
    let first = TensorRef { layer: model.layers[0].name.clone(), call: 0, output: 0 };
    model.inputs = vec![first];
}

/// The shape that the first layer of a chain says it gets.
fn first_shape(layer: &Layer) -> Option<Vec<Option<usize>>> {
    let own = input_shape(&layer.config);
    let inner = || layer.model.as_ref()?.input_layers().first().map(|input| input.shape.clone());
    own.or_else(inner).filter(|shape| !shape.is_empty())
}

fn implied_input(model: &str, shape: Option<Vec<Option<usize>>>) -> Layer {
    let mut config = Map::new();
    if let Some(shape) = shape {
        config.insert("batch_shape".to_owned(), shape.into());
    }
    Layer {
        class: "InputLayer".to_owned(),
        package: None,
        name: format!("{model}_input"),
        config,
        calls: Vec::new(),
        model: None,
    }
}

/// Keras 2 counts the calls of a nested model from 1, its own graph being 0; Keras 3 from 0. The
/// highest reference tells: it is that of the last call.
fn count_calls_from_zero(model: &mut Model) -> Result<(), Fault> {
    let mut highest: BTreeMap<String, usize> = BTreeMap::new();
    let calls = model.layers.iter().flat_map(|layer| &layer.calls).flat_map(Call::tensors);
    for tensor in calls.chain(&model.inputs).chain(&model.outputs) {
        let call = highest.entry(tensor.layer.clone()).or_default();
        *call = tensor.call.max(*call);
    }
    let mut offsets: BTreeMap<String, usize> = BTreeMap::new();
    for layer in &model.layers {
        let last = layer.calls.len().saturating_sub(1);
        let offset = highest.remove(&layer.name).unwrap_or_default().saturating_sub(last);
        if offset > 1 {
            let what = format!("layer {} is used by calls that it does not have", layer.name);
            return Err(Fault::Damaged(what));
        }
        offsets.insert(layer.name.clone(), offset);
    }
    if let Some(name) = highest.into_keys().next() {
        return Err(Fault::Damaged(format!("layer {name} is used and does not exist")));
    }
    let shift = |tensor: &mut TensorRef| {
        tensor.call = tensor.call.saturating_sub(offsets[&tensor.layer]);
    };
    model.layers.iter_mut().flat_map(|l| &mut l.calls).for_each(|call| call.change(shift));
    model.inputs.iter_mut().chain(&mut model.outputs).for_each(shift);
    Ok(())
}
