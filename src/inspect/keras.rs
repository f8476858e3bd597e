//! What a Keras model or a TensorFlow `SavedModel` says about itself.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Serialize;

use super::{LabelsFound, line, lines};
use crate::{
    detect::{self, Statement, evidence_lines, folder::Folder},
    error::{RunError, with_causes},
    freeze::{self, Frozen, Refused},
    graphdef::GraphFile,
    keras::{Fault, KerasError, KerasFile, Signature, SignatureTensor, signatures},
    onnx::OnnxFile,
    recipe::RecipeSpec,
};

/// What a Keras model or a `SavedModel` folder says about itself.
#[derive(Debug, Clone, Serialize)]
pub struct KerasReport {
    /// Version of the form of the JSON.
    pub schema: u32,
    /// The file or folder.
    pub path: String,
    /// What it is: an archive, an HDF5 file, a folder.
    pub container: Option<&'static str>,
    /// The version of Keras that wrote it.
    pub keras: Option<String>,
    /// The model's name and its number of layers.
    pub model: Option<String>,
    /// Numbers in its weights.
    pub parameters: Option<u64>,
    /// Signatures of a `SavedModel`, one line each, as `saved_model_cli show --all` has them.
    pub signatures: Vec<String>,
    /// The keys of the recipe that somebody says.
    pub recipe: RecipeSpec,
    /// Who says each of them.
    pub evidence: BTreeMap<&'static str, String>,
    /// Names of the classes.
    pub labels: Option<LabelsFound>,
    /// Whether there is a conversion for each of its layers.
    pub freezes: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What has to be settled.
    pub problems: Vec<String>,
}

impl KerasReport {
    /// Reads the model at `path`; `None` when it is of another kind.
    ///
    /// # Errors
    ///
    /// `Usage` for an unknown preset in what a person `said`, `Model` when there is no such path.
    pub fn new(path: &Path, said: &RecipeSpec) -> Result<Option<Self>, RunError> {
        let opened = KerasFile::open(path);
        let saved_model = path.join("saved_model.pb").is_file();
        if let (Err(error), false) = (&opened, saved_model)
            && matches!(error.fault(), Fault::Foreign { .. } | Fault::Unreadable(_))
        {
            return Ok(None);
        }
        let mut report = Self::empty(path);
        if saved_model {
            match signatures(path) {
                Ok(found) => report.signatures = found.iter().map(signature_text).collect(),
                Err(error) => report.problems.push(fault_text(&error)),
            }
        }
        let statements = match &opened {
            Ok(file) => {
                report.describe(file);
                detect::keras::statements(file, "the Keras model")
            }
            Err(error) => match report.describe_graph(path, error) {
                Ok(statements) => statements,
                Err(problem) => {
                    report.problems.push(problem);
                    Vec::new()
                }
            },
        };
        report.weigh(path, said, &statements)?;
        Ok(Some(report))
    }

    fn empty(path: &Path) -> Self {
        Self {
            schema: super::SCHEMA,
            path: path.display().to_string(),
            container: None,
            keras: None,
            model: None,
            parameters: None,
            signatures: Vec::new(),
            recipe: RecipeSpec::default(),
            evidence: BTreeMap::new(),
            labels: None,
            freezes: false,
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn describe(&mut self, file: &KerasFile) {
        self.container = Some(file.container().name());
        self.keras = file.keras_version().map(str::to_owned);
        let layers = file.model().walk().len();
        self.model = Some(format!("`{}`, {layers} layers", file.model().name));
        match file.weight_index() {
            Ok(index) => {
                let count =
                    |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
                self.parameters = Some(index.iter().map(|weight| count(&weight.shape)).sum());
            }
            Err(error) => {
                self.problems.push(fault_text(&error));
                return;
            }
        }
        let refused = freeze::refused_layers(file);
        self.freezes = refused.is_empty();
        self.problems.extend(refused.into_iter().map(|Refused { layer, class, reason }| {
            format!("layer `{layer}` ({class}) cannot be converted to ONNX: {reason}")
        }));
    }

    /// What a `SavedModel` whose graph is all there is shows, or why it is none. `error` says what it
    /// is not.
    fn describe_graph(
        &mut self,
        path: &Path,
        error: &KerasError,
    ) -> Result<Vec<Statement>, String> {
        if !matches!(error.fault(), Fault::Unsupported { .. } | Fault::Subclassed { .. }) {
            return Err(fault_text(error));
        }
        let file = GraphFile::open(path).map_err(|error| fault_text(&error))?;
        self.container = Some(file.container());
        let frozen = freeze::freeze_graph(&file, freeze::Options::default());
        let Frozen { model, summary, .. } = frozen.map_err(|error| with_causes(&error))?;
        self.model = Some(format!("a graph of {} operations", summary.layers));
        self.parameters = Some(summary.parameters);
        self.notes = summary.notes;
        self.freezes = true;
        // The large weights say nothing of images.
        let bytes = model.detached("weights").to_bytes();
        let onnx = OnnxFile::read(bytes.into()).map_err(|error| with_causes(&error))?;
        Ok(detect::graph_statements(&onnx))
    }

    fn weigh(
        &mut self,
        path: &Path,
        said: &RecipeSpec,
        statements: &[Statement],
    ) -> Result<(), RunError> {
        let folder = Folder::beside(path)?;
        let decision = detect::decide(said, statements, None).map_err(RunError::Usage)?;
        self.labels = match detect::label_files(&folder) {
            Ok(found) => found.map(|(labels, place)| LabelsFound::new(&labels, &place)),
            Err(reason) => {
                self.problems.push(reason);
                None
            }
        };
        self.recipe = decision.recipe;
        self.evidence = decision.evidence;
        self.notes.extend(decision.notes);
        self.problems.extend(decision.problems);
        Ok(())
    }
}

/// What happened and what to do; the second is part of the error's own text.
fn fault_text(error: &KerasError) -> String {
    with_causes(error)
}

/// A signature as one line: tags, key, inputs and outputs.
fn signature_text(signature: &Signature) -> String {
    let tensor = |tensor: &SignatureTensor| {
        let side = |side: &Option<usize>| side.map_or("-1".to_owned(), |side| side.to_string());
        let shape = match &tensor.shape {
            Some(shape) => shape.iter().map(side).collect::<Vec<_>>().join(", "),
            None => "unknown rank".to_owned(),
        };
        format!("{} {} ({shape}) {}", tensor.key, tensor.dtype, tensor.name)
    };
    let list =
        |tensors: &[SignatureTensor]| tensors.iter().map(tensor).collect::<Vec<_>>().join("; ");
    format!(
        "[{}] {}: takes {}; answers {}; method {}",
        signature.tags.join(", "),
        signature.key,
        list(&signature.inputs),
        list(&signature.outputs),
        signature.method
    )
}

impl fmt::Display for KerasReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "model", &self.path)?;
        let version = self.keras.as_ref().map(|version| format!(", Keras {version}"));
        let kind = self.container.map(|kind| format!("{kind}{}", version.unwrap_or_default()));
        lines(f, "kind", kind.into_iter())?;
        let weights = self.parameters.map(|count| format!("{count} numbers in its weights"));
        lines(f, "network", self.model.iter().cloned().chain(weights))?;
        lines(f, "signature", self.signatures.iter().cloned())?;
        lines(f, "recipe", evidence_lines(&self.recipe, &self.evidence).into_iter())?;
        if let Some(labels) = &self.labels {
            line(f, "labels", &format!("{} from {}", labels.count, labels.place))?;
        }
        lines(f, "note", self.notes.iter().cloned())?;
        lines(f, "problem", self.problems.iter().cloned())?;
        let verdict = if self.freezes {
            "linnaeus runs it as it is; `linnaeus freeze` writes it as an ONNX file"
        } else {
            "linnaeus cannot run it as it is; the problems say what to do"
        };
        line(f, "verdict", verdict)
    }
}
