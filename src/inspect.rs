//! What a model file says about itself, without running it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{
    config::ModelConfig,
    detect::{Examined, evidence_lines},
    error::RunError,
    labels::Labels,
    memory,
    model::ModelFile,
    onnx::{
        Classifier, ExternalProblem, LayoutHint, Normaliser, OnnxFile, Operator, Parameters,
        Quantisation, Scores, Sign, Value, Verdict,
    },
    recipe::{Recipe, RecipeSpec},
};

mod keras;

pub use keras::KerasReport;

/// Version of the JSON's form; keys are only added within one.
const SCHEMA: u32 = 1;

/// What a model file says about itself.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of the form of the JSON.
    pub schema: u32,
    /// The file, its size and hash.
    #[serde(flatten)]
    pub file: ModelFile,
    /// The program that wrote it, and its version.
    pub producer: String,
    /// The graph's name.
    pub graph: String,
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets: domain and version.
    pub opsets: BTreeMap<String, i64>,
    /// What is fed.
    pub inputs: Vec<Value>,
    /// What is answered.
    pub outputs: Vec<Value>,
    /// Numbers that were learned.
    pub parameters: Parameters,
    /// How they are stored, when not as floats.
    pub quantisation: Quantisation,
    /// Nodes of the graph by operator, the most frequent first.
    pub operators: Vec<Operator>,
    /// Whether it is an image classifier, and why.
    pub classifier: Classifier,
    /// Images per call when the graph fixes it.
    pub batch: Option<usize>,
    /// Where the channels are.
    pub layout: Option<LayoutHint>,
    /// What the graph does to its image first.
    pub normaliser: Option<Normaliser>,
    /// What the numbers of each possible output are.
    pub scores: BTreeMap<String, Scores>,
    /// What the file says beside its graph; long values are cut in the text, not here.
    pub metadata: BTreeMap<String, String>,
    /// The keys of the recipe that somebody says.
    pub recipe: RecipeSpec,
    /// Who says each of them.
    pub evidence: BTreeMap<&'static str, String>,
    /// Whether images can be prepared with what is said.
    pub complete: bool,
    /// Names of the classes: how many, and where they are from.
    pub labels: Option<LabelsFound>,
    /// Golden images that are checked before every run.
    pub goldens: usize,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What has to be settled before images can be prepared.
    pub problems: Vec<String>,
    /// What makes it slow.
    pub slow: Vec<Sign>,
    /// What asks for caution.
    pub caution: Vec<Sign>,
    /// Weights in other files that are missing, cut or outside the folder.
    pub external: Vec<ExternalProblem>,
}

/// Names of the classes.
#[derive(Debug, Clone, Serialize)]
pub struct LabelsFound {
    /// How many.
    pub count: usize,
    /// The first three.
    pub first: Vec<String>,
    /// Where they are from.
    pub place: String,
}

impl LabelsFound {
    fn new(labels: &Labels, place: &str) -> Self {
        let first = labels.names().iter().take(3).cloned().collect();
        Self { count: labels.count(), first, place: place.to_owned() }
    }
}

/// Reads a model and what lies around it; `config` has what a person says of it.
///
/// # Errors
///
/// `Model` when it or a label file cannot be read, or it is no ONNX model; `Usage` for an unknown
/// preset or a label offset that leaves nothing.
pub fn inspect(config: &ModelConfig) -> Result<Report, RunError> {
    let own = Labels::said(config)?;
    let file = ModelFile::of(config)?;
    let onnx = file.read()?;
    let examined = Examined::new(&file, &onnx)?;
    let decision = examined.decide(&config.recipe).map_err(RunError::Usage)?;
    let judged = onnx.classifier();
    let mut problems = decision.problems.clone();
    let external = onnx.external_problems(file.onnx());
    let memory = memory::limit().unwrap_or(u64::MAX);
    problems.extend(onnx.refusals(file.onnx(), memory));
    let recipe = match &examined.input {
        Ok(input) => Recipe::resolve(&decision.recipe, input)
            .map_err(|reason| reason + &examined.candidates_text()),
        Err(reason) => Err(format!("the model {reason}")),
    };
    if judged.verdict == Verdict::Other {
        // What a detector lacks is not a recipe.
        problems.insert(0, format!("it is no image classifier: {}", judged.reasons.join("; ")));
    } else {
        problems.extend(recipe.err());
    }
    let labels = examined.labels(config, own, &decision);
    let labels = labels.unwrap_or_else(|reason| {
        problems.push(reason);
        None
    });
    let output = examined.output(config.output.as_deref());
    let count = labels.as_ref().map(|(labels, _)| labels.count());
    let classes = classes_of(&onnx, &judged, (output, count)).unwrap_or_else(|reason| {
        // A model whose input is no image needs no second reason.
        problems.extend(examined.input.is_ok().then_some(reason));
        None
    });
    let labels = match labels {
        Some((labels, place)) => {
            let labels = labels.shifted(config.label_offset).map_err(RunError::Usage)?;
            let found = LabelsFound::new(&labels, &place);
            let fitting = classes.map(|classes| labels.fit(classes, &place)).transpose();
            problems.extend(fitting.err().map(|error| error.to_string()));
            Some(found)
        }
        None => None,
    };
    let complete = problems.is_empty();
    let image = onnx.inputs().into_iter().next().filter(|_| examined.input.is_ok());
    let scores = judged.outputs.iter().map(|name| (name.clone(), onnx.scores(name))).collect();
    let (name, version) = onnx.producer();
    Ok(Report {
        schema: SCHEMA,
        producer: format!("{name} {version}").trim().to_owned(),
        graph: onnx.graph_name().to_owned(),
        ir_version: onnx.ir_version(),
        opsets: onnx.opsets().into_iter().map(|(d, v)| (d.to_owned(), v)).collect(),
        inputs: onnx.inputs(),
        outputs: onnx.outputs(),
        parameters: onnx.parameters(),
        quantisation: onnx.quantisation(),
        operators: onnx.operators(),
        batch: examined.input.as_ref().ok().and_then(|input| input.batch),
        layout: image
            .as_ref()
            .filter(|v| v.dims.as_ref().is_some_and(|d| d.len() == 4))
            .map(|v| onnx.layout(v)),
        normaliser: image.as_ref().map(|value| onnx.normaliser(value)),
        classifier: judged,
        scores,
        metadata: without_package(&onnx),
        recipe: decision.recipe,
        evidence: decision.evidence,
        complete,
        labels,
        goldens: examined.package.as_ref().map_or(0, |package| package.goldens.len()),
        notes: decision.notes,
        problems,
        slow: onnx.slow_signs(),
        caution: onnx.unsafe_signs(),
        external,
        file,
    })
}

/// Classes of the output that a run would read, when the file fixes them; `wanted` is the output
/// that somebody names, and the number of labels.
fn classes_of(
    onnx: &OnnxFile,
    judged: &Classifier,
    (wanted, labels): (Option<&str>, Option<usize>),
) -> Result<Option<usize>, String> {
    let outputs = onnx.outputs();
    if let Some(wanted) = wanted {
        let found = outputs.iter().find(|output| output.name == wanted);
        let found = found.ok_or_else(|| format!("the model has no output named `{wanted}`"))?;
        return Ok(found.classes());
    }
    if judged.verdict == Verdict::Other {
        return Err(format!("the model is no image classifier: {}", judged.reasons.join("; ")));
    }
    let candidates: Vec<_> =
        outputs.iter().filter(|output| judged.outputs.contains(&output.name)).collect();
    let fits = |output: &&&Value| labels.is_some() && output.classes() == labels;
    match (&candidates[..], candidates.iter().filter(fits).count()) {
        ([] | [_], _) => Ok(candidates.first().and_then(|output| output.classes())),
        (_, 1) => Ok(labels),
        _ => Err(format!(
            "several outputs could be scores: {}\nhint: say which with `model-output`",
            judged.outputs.join(", ")
        )),
    }
}

/// The metadata without the package's own, which is shown as what it means.
fn without_package(onnx: &OnnxFile) -> BTreeMap<String, String> {
    let mut metadata = onnx.metadata().entries;
    metadata.retain(|key, _| !key.starts_with("linnaeus."));
    metadata
}

/// Most characters of a metadata value that are shown.
const SHOWN: usize = 100;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Value| format!("`{}` {}", value.name, value.r#type);
        line(f, "model", &self.file.path.display().to_string())?;
        line(f, "", &format!("{} bytes, SHA-256 {}", self.file.bytes, self.file.sha256))?;
        line(f, "made by", if self.producer.is_empty() { "unknown" } else { &self.producer })?;
        let opsets: Vec<_> = self.opsets.iter().map(|(d, v)| format!("{d} {v}")).collect();
        line(f, "format", &format!("IR {}; operators {}", self.ir_version, opsets.join(", ")))?;
        lines(f, "takes", self.inputs.iter().map(value))?;
        let batch = self.batch.map(|batch| format!("always {batch} images per call"));
        lines(f, "", batch.into_iter())?;
        let outputs = self.outputs.iter().map(|output| match self.scores.get(&output.name) {
            Some(scores) => format!("{}; {}", value(output), scores.evidence),
            None => value(output),
        });
        lines(f, "answers", outputs)?;
        lines(f, "", self.classifier.reasons.iter().cloned())?;
        let operators: Vec<_> =
            self.operators.iter().take(8).map(|o| format!("{} {}", o.count, o.name)).collect();
        line(
            f,
            "graph",
            &format!("{} parameters; {}", self.parameters.count, operators.join(", ")),
        )?;
        lines(f, "", self.layout.iter().map(|layout| layout.evidence.clone()))?;
        lines(f, "", self.normaliser.iter().map(|normaliser| normaliser.evidence.clone()))?;
        let metadata = self.metadata.iter().map(|(key, text)| {
            let cut: String = text.chars().take(SHOWN).collect();
            let more = if cut.len() < text.len() { "…" } else { "" };
            format!("{key} = {cut}{more}")
        });
        lines(f, "metadata", metadata)?;
        let mut recipe = evidence_lines(&self.recipe, &self.evidence);
        if recipe.is_empty() {
            recipe.push("nothing says how images are prepared".to_owned());
        }
        lines(f, "recipe", recipe.into_iter())?;
        match &self.labels {
            Some(labels) => line(
                f,
                "labels",
                &format!("{} from {}: {}, …", labels.count, labels.place, labels.first.join(", ")),
            )?,
            None => line(f, "labels", "none")?,
        }
        if self.goldens > 0 {
            line(f, "golden", &format!("{} images, checked before every run", self.goldens))?;
        }
        lines(f, "note", self.notes.iter().cloned())?;
        lines(f, "slow", self.slow.iter().map(|sign| sign.text.clone()))?;
        lines(f, "caution", self.caution.iter().map(|sign| sign.text.clone()))?;
        lines(f, "problem", self.problems.iter().cloned())?;
        let verdict = if self.complete {
            "everything that a run needs is said"
        } else {
            "not ready to run: see the problems; `linnaeus doctor` helps to find the recipe"
        };
        line(f, "verdict", verdict)
    }
}

fn lines(
    f: &mut fmt::Formatter<'_>,
    head: &str,
    texts: impl Iterator<Item = String>,
) -> fmt::Result {
    for (at, text) in texts.enumerate() {
        line(f, if at == 0 { head } else { "" }, &text)?;
    }
    Ok(())
}

fn line(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    writeln!(f, "{head:<9} {}", text.replace('\n', "\n          "))
}
