//! A model's file and what lies around it, read and put into statements.

use std::collections::BTreeMap;

use super::{
    Decision, Facts, PACKAGE, Statement, Tier, decide, folder::Folder, identity, label_files,
    statements,
};
use crate::{
    config::ModelConfig,
    error::RunError,
    keras::KerasFile,
    labels::Labels,
    model::{self, ModelFile},
    onnx::{NormaliserKind, OnnxFile, ScoreKind, Value},
    package::Package,
    recipe::{Activation, Element, InputSpec, RecipeSpec, Scale, preset},
};

/// The place of what the layers of a Keras model say.
const KERAS: &str = "the Keras model";

/// The place of what the graph shows.
const GRAPH: &str = "the graph";

/// A model's file and folder, read and not yet weighed.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What each place says.
    pub statements: Vec<Statement>,
    /// The image input, as the file declares it; or why it has none.
    pub input: Result<InputSpec, String>,
    /// What the model carries with it, when linnaeus packed it.
    pub package: Option<Package>,
    /// The label file beside the model, with its name; or why it cannot be used.
    pub label_file: Result<Option<(Labels, String)>, String>,
    /// Presets that the model's name and make point at, each with the reason. They are told, and
    /// never used.
    pub candidates: Vec<(String, String)>,
}

impl Examined {
    /// Reads everything in and around a model's file that says how images are prepared.
    ///
    /// # Errors
    ///
    /// `Model` when its package is damaged or newer than this program.
    pub fn new(file: &ModelFile, onnx: &OnnxFile) -> Result<Self, RunError> {
        let fail = |reason: String| {
            RunError::Model(format!("cannot use the model {}: {reason}", file.path.display()))
        };
        let metadata = onnx.metadata().entries;
        let package = Package::read(&metadata).map_err(fail)?;
        let folder = Folder::beside(&file.path)?;
        let input = model::declared_input(onnx);
        let mut found: Vec<Statement> = package.iter().map(of_package).collect();
        let image = onnx.inputs().into_iter().next();
        if let (Ok(input), Some(value)) = (&input, &image) {
            let facts = facts(onnx, input, value);
            found.extend(statements(&folder, &metadata, &facts));
            let graph = of_graph(onnx, input, value);
            if file.frozen.is_some() {
                found.extend(of_keras(file, graph, input));
            } else {
                found.push(graph);
            }
        }
        // Presets have numbers that a model of bytes does not take, and that may contradict what
        // another place says of them.
        let told = found.iter().any(|statement| statement.recipe.scale.is_some());
        let floats = input.as_ref().ok().filter(|input| input.element != Element::U8 && !told);
        Ok(Self {
            candidates: identity::candidates(onnx, &folder, floats),
            statements: found,
            input,
            package,
            label_file: label_files(&folder),
        })
    }

    /// Weighs it against what a person `said`.
    ///
    /// # Errors
    ///
    /// As for [`decide`].
    pub fn decide(&self, said: &RecipeSpec) -> Result<Decision, String> {
        let fixed = self.input.as_ref().ok().and_then(|input| input.fixed_size(None));
        let mut decision = decide(said, &self.statements, fixed)?;
        // A label file beside them has the least weight, and is told where it names others.
        if let (Some(_), Ok(Some((labels, place)))) = (&decision.labels, &self.label_file) {
            decision.weigh_labels(labels, place);
        }
        Ok(decision)
    }

    /// The labels that the job names, which are its `own`, else those that the model or a file
    /// beside it does; and the place that they are from.
    ///
    /// # Errors
    ///
    /// A message when the files beside the model cannot be used.
    pub fn labels(
        &self,
        config: &ModelConfig,
        own: Option<Labels>,
        decision: &Decision,
    ) -> Result<Option<(Labels, String)>, String> {
        match (own, &config.labels, &decision.labels) {
            (Some(labels), Some(path), _) => Ok(Some((labels, path.display().to_string()))),
            (None, Some(_), _) => Ok(None),
            (_, None, Some(labels)) => Ok(Some(labels.clone())),
            _ => self.label_file.clone().map_err(|reason| {
                format!(
                    "the labels beside the model {} cannot be used: {reason}\nhint: say which file \
                     it is with `labels`, or `labels = \"none\"`",
                    config.path.display()
                )
            }),
        }
    }

    /// The output to read: the one that a person `said`, else the package's.
    #[must_use]
    pub fn output<'a>(&'a self, said: Option<&'a str>) -> Option<&'a str> {
        said.or_else(|| self.package.as_ref()?.output.as_deref())
    }

    /// The lines that point at candidates, for a message about missing keys; empty when there are
    /// none.
    #[must_use]
    pub fn candidates_text(&self) -> String {
        let line = |(name, why): &(String, String)| {
            format!("\nhint: {why}, so it may be `preset = \"{name}\"`")
        };
        self.candidates.iter().map(line).collect()
    }
}

fn facts<'a>(onnx: &OnnxFile, input: &'a InputSpec, value: &Value) -> Facts<'a> {
    let layout = onnx.layout(value).layout;
    let outputs = onnx.classifier().outputs;
    let classes = onnx.outputs().into_iter().find(|output| outputs.contains(&output.name));
    let classes = classes.and_then(|output| output.classes());
    Facts { input, size: input.fixed_size(layout), layout, classes }
}

/// What the layers of a Keras model say, and what its graph says beyond that.
fn of_keras(file: &ModelFile, graph: Statement, input: &InputSpec) -> Vec<Statement> {
    // A graph of TensorFlow has no layers.
    let Ok(opened) = KerasFile::open(&file.path) else { return vec![graph] };
    let mut statements = super::keras::statements(&opened, KERAS);
    let Some(layers) = statements.first_mut() else { return vec![graph] };
    if layers.recipe.activation.is_none() && graph.recipe.activation.is_some() {
        let because = graph.because.get("activation").cloned().unwrap_or_default();
        let activation = graph.recipe.activation;
        layers.say("activation", because, |recipe| recipe.activation = activation);
    }
    // It was frozen for images as they are fed.
    if let Some(layout) = input.shown_layout() {
        layers.recipe.layout = layers.recipe.layout.map(|_| layout);
    }
    statements
}

fn of_package(package: &Package) -> Statement {
    let mut statement = Statement::new(PACKAGE, Tier::Package);
    for key in package.recipe.keys() {
        statement.because.insert(key, "linnaeus.recipe".to_owned());
    }
    statement.recipe = package.recipe.clone();
    statement.labels.clone_from(&package.labels);
    statement
}

/// What an ONNX graph by itself shows of its images.
#[must_use]
pub fn graph_statements(onnx: &OnnxFile) -> Vec<Statement> {
    let image = onnx.inputs().into_iter().next();
    let (Ok(input), Some(value)) = (model::declared_input(onnx), image) else { return Vec::new() };
    vec![of_graph(onnx, &input, &value)]
}

/// What the graph itself shows: numbers that it computes, where channels are, what scores are.
fn of_graph(onnx: &OnnxFile, input: &InputSpec, value: &Value) -> Statement {
    let mut graph = Statement::new(GRAPH, Tier::Graph);
    say_numbers(&mut graph, onnx, input, value);
    let hint = onnx.layout(value);
    let open = input.shown_layout().is_none() && !input.planar;
    if let Some(layout) = hint.layout.filter(|_| open) {
        graph.say("layout", hint.evidence, |recipe| recipe.layout = Some(layout));
    }
    if let Some(hint) = onnx.size_hint(value).filter(|_| input.fixed_size(None).is_none()) {
        graph.notes.push(hint.evidence);
    }
    let [output] = &onnx.classifier().outputs[..] else { return graph };
    let element = onnx.outputs().into_iter().find(|o| o.name == *output).and_then(|o| o.element);
    // Bytes may be probabilities times 255: the first batch shows it.
    if !element.is_some_and(crate::onnx::ElementType::is_float) {
        return graph;
    }
    let scores = onnx.scores(output);
    let activation = match scores.kind {
        ScoreKind::Softmax | ScoreKind::Sigmoid => Activation::None,
        // The softmax of logarithms of probabilities is the probabilities.
        ScoreKind::LogSoftmax => Activation::Softmax,
        _ => return graph,
    };
    graph.say("activation", scores.evidence, |recipe| recipe.activation = Some(activation));
    graph
}

fn say_numbers(graph: &mut Statement, onnx: &OnnxFile, input: &InputSpec, value: &Value) {
    if input.element == Element::U8 {
        return;
    }
    let normaliser = onnx.normaliser(value);
    let evidence = normaliser.evidence;
    match normaliser.kind {
        NormaliserKind::Bytes => {
            graph.say("scale", evidence, |recipe| recipe.scale = Some(Scale::RAW));
        }
        NormaliserKind::Unit => {
            let scale = "1/255".parse().expect("a scale");
            graph.say("scale", evidence, |recipe| recipe.scale = Some(scale));
        }
        NormaliserKind::TransformInput => {
            let [mean, std] =
                preset::IMAGENET.map(|values| crate::recipe::PerChannel(values.to_vec()));
            let scale = "1/255".parse().expect("a scale");
            graph.say("scale", evidence.clone(), |recipe| recipe.scale = Some(scale));
            graph.say("mean", evidence.clone(), |recipe| recipe.mean = Some(mean));
            graph.say("std", evidence, |recipe| recipe.std = Some(std));
        }
        NormaliserKind::None => {}
        _ => graph.notes.push(evidence),
    }
}

/// The keys and evidence of a decision, as lines of a job file with comments.
#[must_use]
pub fn evidence_lines(
    recipe: &RecipeSpec,
    evidence: &BTreeMap<&'static str, String>,
) -> Vec<String> {
    let line = |(key, value): (&str, String)| {
        let who = evidence.get(key).map_or("", String::as_str);
        format!("{key} = {value}   # {who}")
    };
    recipe.said().into_iter().map(line).collect()
}
