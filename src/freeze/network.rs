//! The way through a model: its layers in the order in which they are used.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Options,
    array::Array,
    call::{Asked, Given, LayerCall, Writer},
    graph::Graph,
    layer,
    refusal::FreezeError,
    settings::Settings,
    value::{Order, Shape, Value},
};
use crate::{
    geometry::Size,
    keras::{self, Argument, Call, Container, KerasFile, Layer, Model, TensorRef, Weight},
};

/// Most uses of layers: a nested model that is used twice in each of thirty others is used 2³⁰ times.
const MAX_CALLS: usize = 100_000;

/// Longest side of an input.
const MAX_SIDE: usize = 1 << 24;

/// Most outputs.
const MAX_OUTPUTS: usize = 256;

/// A model as a graph.
pub(super) struct Network {
    pub(super) graph: Graph,
    pub(super) inputs: Vec<Value>,
    pub(super) outputs: Vec<Value>,
    /// Uses of layers that do nothing when a model is used.
    pub(super) silent: usize,
    pub(super) notes: Vec<String>,
}

/// Follows a model from its inputs to its outputs.
pub(super) fn convert(file: &KerasFile, options: Options) -> Result<Network, FreezeError> {
    let mut weights: HashMap<Vec<String>, Vec<Weight>> = HashMap::new();
    for weight in file.weight_index()? {
        weights.entry(weight.layer.clone()).or_default().push(weight);
    }
    let writer = writer(file);
    let mut walk = Walk {
        file,
        weights,
        writer,
        undecided: writer.version == 1 && file.model().data_format() == Some("channels_first"),
        calls: 0,
        silent: 0,
        notes: Vec::new(),
        graph: Graph::default(),
    };
    if file.model().outputs.len() > MAX_OUTPUTS {
        return Err(walk.damaged(&[], "it has more outputs than any that is known"));
    }
    let inputs = walk.inputs(options)?;
    let results = walk.model(file.model(), &[], inputs.clone())?;
    let mut outputs = Vec::new();
    walk.graph.enter("output");
    for (result, at) in results.iter().zip(&file.model().outputs) {
        let mut value = walk.graph.as_keras(result);
        let taken = |name: &str| {
            inputs.iter().any(|input: &Value| input.name == name)
                || outputs.iter().any(|output: &Value| output.name == name)
        };
        if taken(&value.name) {
            value = walk.graph.elementwise("Identity", &value, Vec::new());
        }
        if value.name != at.layer && !taken(&at.layer) {
            walk.graph.rename(&value.name, &at.layer);
            value.name.clone_from(&at.layer);
        }
        outputs.push(value);
    }
    Ok(Network { graph: walk.graph, inputs, outputs, silent: walk.silent, notes: walk.notes })
}

/// The Keras that wrote the file. Files without a version are of Keras 1, or archives without
/// metadata, which Keras 3 wrote.
fn writer(file: &KerasFile) -> Writer {
    let archive = matches!(file.container(), Container::Archive | Container::Folder);
    let version = match (file.keras_version().and_then(|version| version.chars().next()), archive) {
        (Some('1'), _) | (None, false) => 1,
        (Some('3'), _) | (None, true) => 3,
        _ => 2,
    };
    // SavedModels of TensorFlow 2.0 to 2.4 say no version; only Keras 2 wrote them.
    let saved_model = file.container() == Container::SavedModel;
    let version = if saved_model { 2 } else { version };
    Writer { version, turned: version == 2 && file.backend() == Some("theano") }
}

struct Walk<'a> {
    file: &'a KerasFile,
    weights: HashMap<Vec<String>, Vec<Weight>>,
    writer: Writer,
    /// Whether Keras 1 wrote it with its channels first: for Theano or TensorFlow, and only Theano
    /// turns kernels around.
    undecided: bool,
    calls: usize,
    silent: usize,
    notes: Vec<String>,
    graph: Graph,
}

/// One use of one layer of a model, by their places.
type Use = (usize, usize);

impl Walk<'_> {
    /// The inputs of the outermost model.
    fn inputs(&mut self, options: Options) -> Result<Vec<Value>, FreezeError> {
        let model = self.file.model();
        let mut values = Vec::new();
        for input in model.input_layers() {
            let fail = |reason: &str| {
                let layer = model.layer(&input.name).unwrap_or(&model.layers[0]);
                FreezeError::one(self.file.path(), input.name.clone(), layer, reason.to_owned())
            };
            if input.shape.is_empty() {
                return Err(fail("the file does not say which shape it takes"));
            }
            if input.shape.iter().flatten().any(|&side| side == 0 || side > MAX_SIDE) {
                return Err(fail("it takes no image"));
            }
            let first = model.data_format() == Some("channels_first");
            let mut shape: Shape = input.shape.clone();
            shape[0] = None;
            if let Some(size) = options.size {
                open_sides(&mut shape, first, size);
            }
            let moved = options.channels_first && !first && shape.len() == 4;
            let order = if moved { Order::ChannelsFirst } else { Order::Keras };
            let name = self.graph.unique(&input.name);
            values.push(Value { name, shape, order });
        }
        Ok(values)
    }

    /// A model's outputs for these inputs. `above` are the names of the models around it and its
    /// own.
    fn model(
        &mut self,
        model: &Model,
        above: &[&str],
        inputs: Vec<Value>,
    ) -> Result<Vec<Value>, FreezeError> {
        self.count()?;
        if inputs.len() != model.inputs.len() {
            return Err(self.damaged(above, "it gets another number of inputs than it has"));
        }
        let missing = || self.damaged(above, "a layer is missing");
        let mut tensors = Tensors::new(model);
        for (tensor, value) in model.inputs.iter().zip(inputs) {
            let input = tensors.use_of(tensor).ok_or_else(missing)?;
            tensors.known.insert(input, vec![value]);
        }
        let ends = model.outputs.iter().rev().map(|tensor| tensors.use_of(tensor));
        let mut ends: Vec<Use> = ends.collect::<Option<_>>().ok_or_else(missing)?;
        let mut waiting: HashSet<Use> = HashSet::new();
        while let Some(&(at, number)) = ends.last() {
            if tensors.known.contains_key(&(at, number)) {
                ends.pop();
                continue;
            }
            let layer = &model.layers[at];
            let call = layer.calls.get(number);
            let call = call.ok_or_else(|| self.damaged(above, "a layer is not connected"))?;
            let needed = tensors.needed(call);
            let needed = needed.ok_or_else(|| self.damaged(above, "a layer is missing"))?;
            if needed.is_empty() {
                let results = self.layer((layer, call), above, &tensors)?;
                tensors.known.insert((at, number), results);
            } else if !waiting.insert((at, number)) {
                return Err(self.damaged(above, "its layers go round in a circle"));
            }
            ends.extend(needed.into_iter().rev());
        }
        let outputs: Option<_> = model.outputs.iter().map(|tensor| tensors.find(tensor)).collect();
        outputs.ok_or_else(|| self.damaged(above, "one of its outputs is missing"))
    }

    fn count(&mut self) -> Result<(), FreezeError> {
        self.calls += 1;
        if self.calls <= MAX_CALLS {
            return Ok(());
        }
        let what = format!("its layers are used more than {MAX_CALLS} times");
        Err(FreezeError::Unusable { path: self.file.path().to_owned(), what })
    }

    fn damaged(&self, above: &[&str], what: &str) -> FreezeError {
        let model = above.join("/");
        let place = if model.is_empty() { String::new() } else { format!(" in `{model}`") };
        let what = format!("it is damaged: {what}{place}");
        FreezeError::Unusable { path: self.file.path().to_owned(), what }
    }

    /// The results of one use of a layer, or of a model in its place.
    fn layer(
        &mut self,
        (layer, call): (&Layer, &Call),
        above: &[&str],
        tensors: &Tensors,
    ) -> Result<Vec<Value>, FreezeError> {
        self.count()?;
        let missing = || self.damaged(above, "an output of a layer is missing");
        let inputs = call.tensors().into_iter().map(|tensor| tensors.find(tensor));
        let inputs = inputs.collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        let path = [above, &[&*layer.name]].concat();
        let (arguments, named) = tensors.given(call).ok_or_else(missing)?;
        let name = path.join("/");
        if let Some(inner) = &layer.model {
            let training = layer::is_training(&arguments, &named);
            if training && layer::is_normalised_in_training(layer) {
                let reason = layer::TRAINING.to_owned();
                return Err(FreezeError::one(self.file.path(), name, layer, reason));
            }
            return self.model(inner, &path, inputs);
        }
        let weights = self.read(&path)?;
        let refuse = |reason| FreezeError::one(self.file.path(), name.clone(), layer, reason);
        if self.undecided && !weights.is_empty() {
            return Err(refuse(
                "Keras 1 wrote it for Theano or TensorFlow and does not say for which, and they \
                 turn kernels differently"
                    .to_owned(),
            ));
        }
        self.graph.enter(&name);
        self.silent += usize::from(keras::is_silent(&layer.class));
        let mut call = LayerCall {
            graph: &mut self.graph,
            layer,
            settings: Settings(&layer.config),
            weights,
            inputs,
            arguments,
            named,
            writer: self.writer,
            notes: Vec::new(),
            asked: Asked::default(),
        };
        let mut results = layer::convert(&mut call).map_err(refuse)?;
        let notes = std::mem::take(&mut call.notes);
        self.notes.extend(notes.into_iter().map(|note| format!("layer `{name}`: {note}")));
        if let [result] = &mut results[..] {
            self.graph.leave(result, &name);
        }
        Ok(results)
    }

    /// The arrays of a layer by their roles.
    fn read(&self, path: &[&str]) -> Result<BTreeMap<String, Array>, FreezeError> {
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        let mut arrays = BTreeMap::new();
        for weight in self.weights.get(&path).map_or(&[][..], Vec::as_slice) {
            arrays.insert(weight.role.clone(), Array::of(self.file.read(weight)?));
        }
        Ok(arrays)
    }
}

/// Sets a height and width that the model leaves open.
pub(super) fn open_sides(shape: &mut [Option<usize>], first: bool, size: Size) {
    if let ([_, _, height, width], true) | ([_, height, width, ..], false) = (shape, first) {
        height.get_or_insert(size.height);
        width.get_or_insert(size.width);
    }
}

/// What is known of the tensors of one model.
struct Tensors<'a> {
    /// The places of the layers, by their names.
    places: HashMap<&'a str, usize>,
    /// The results of the uses that were converted.
    known: HashMap<Use, Vec<Value>>,
}

impl<'a> Tensors<'a> {
    fn new(model: &'a Model) -> Self {
        let layers = model.layers.iter().enumerate();
        let places = layers.map(|(at, layer)| (&*layer.name, at)).collect();
        Self { places, known: HashMap::new() }
    }

    fn use_of(&self, tensor: &TensorRef) -> Option<Use> {
        self.places.get(&*tensor.layer).map(|&at| (at, tensor.call))
    }

    fn find(&self, tensor: &TensorRef) -> Option<Value> {
        self.known.get(&self.use_of(tensor)?)?.get(tensor.output).cloned()
    }

    /// The uses that a call still waits for; `None` when one is of no layer.
    fn needed(&self, call: &Call) -> Option<Vec<Use>> {
        let uses: Option<Vec<Use>> =
            call.tensors().into_iter().map(|tensor| self.use_of(tensor)).collect();
        uses.map(|mut uses| {
            uses.retain(|needs| !self.known.contains_key(needs));
            uses
        })
    }

    /// The arguments of a call, by place and by name.
    fn given(&self, call: &Call) -> Option<(Vec<Given>, BTreeMap<String, Given>)> {
        let arguments = call.arguments.iter().map(|argument| self.argument(argument));
        let named = call.named.iter();
        let named = named.map(|(name, argument)| Some((name.clone(), self.argument(argument)?)));
        Some((arguments.collect::<Option<_>>()?, named.collect::<Option<_>>()?))
    }

    fn argument(&self, argument: &Argument) -> Option<Given> {
        Some(match argument {
            Argument::Tensor(tensor) => Given::Tensor(self.find(tensor)?),
            Argument::List(items) => {
                Given::List(items.iter().map(|item| self.argument(item)).collect::<Option<_>>()?)
            }
            Argument::Constant(value) => Given::Constant(value.clone()),
        })
    }
}
