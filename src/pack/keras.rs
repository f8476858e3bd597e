//! A Keras model as an ONNX file that carries its recipe with it, checked against itself and against
//! what Keras answers.

use std::{
    fmt,
    fs::{self, File},
    path::Path,
};

use serde::Serialize;

use super::{Expected, package};
use crate::{
    classifier::Classifier,
    config::ModelConfig,
    digest,
    error::{RunError, with_causes},
    freeze::{self, Frozen, Source, Summary, Words},
    model::{self, ModelFile, WeightsFile},
    onnx::{self, proto::ModelProto},
    output,
};

mod check;

pub use check::Verification;

/// Version of the form of the JSON.
const SCHEMA: u32 = 1;

/// What is asked of a frozen model beside its recipe.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// Images with the classes that they have to get.
    pub golden: Vec<Expected>,
    /// Tensors with what Keras answers for them.
    pub verify: Vec<Verification>,
    /// Whether only the network is wanted, without a recipe.
    pub bare: bool,
}

/// What was made of a Keras model.
#[derive(Debug, Clone, Serialize)]
pub struct FreezeReport {
    /// Version of the form of the JSON.
    pub schema: u32,
    /// The Keras model.
    pub path: String,
    /// What its text calls things.
    #[serde(skip)]
    pub words: Words,
    /// The ONNX file.
    pub output: String,
    /// What the Keras model is: an archive, an HDF5 file, a folder.
    pub container: &'static str,
    /// The version of Keras that wrote it.
    pub keras: Option<String>,
    /// SHA-256 of the Keras model.
    pub sha256: String,
    /// What was done.
    #[serde(flatten)]
    pub summary: Summary,
    /// Bytes of the ONNX file.
    pub bytes: u64,
    /// The file beside it with the weights, when one file would be too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsFile>,
    /// Keys of the recipe that it carries; none when only the network was wanted.
    pub recipe_keys: usize,
    /// Names of classes that it carries.
    pub labels: usize,
    /// Golden images that it carries.
    pub goldens: usize,
    /// What was compared, with the differences.
    pub checks: Vec<String>,
}

/// Freezes a Keras model to `target`.
///
/// # Errors
///
/// `Model` when the model cannot be read or frozen, something stands against its recipe as for
/// [`super::pack`], or a check fails; `Output` when the file cannot be written. Then nothing is.
pub fn freeze_to(
    config: &ModelConfig,
    demands: &Demands,
    target: &Path,
) -> Result<FreezeReport, RunError> {
    freeze_with(config, demands, model::options(config), target)
}

/// The same, with more said about the conversion than a configuration says.
///
/// # Errors
///
/// As for [`freeze_to`].
pub fn freeze_with(
    config: &ModelConfig,
    demands: &Demands,
    options: freeze::Options,
    target: &Path,
) -> Result<FreezeReport, RunError> {
    let file = <dyn Source>::open(&config.path, config.input.as_deref());
    let file = &*file.map_err(|error| RunError::Model(with_causes(&error)))?;
    let frozen = file.freeze(options).map_err(|error| model::refused(&error))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let opened = ModelFile::with_frozen(file, &frozen, folder)?;
    // The checks load the model twice; what was written need not be in memory as well.
    let Frozen { model, summary, .. } = frozen;
    let shape = model.graph.as_ref().and_then(check::input_shape);
    drop(model);
    let checks = check::check(config, (file, &opened, shape), options, &demands.verify)?;
    let mut report = report(file, summary, (&opened, target), checks);
    // The files are gone with their last owner.
    let (kept, weights) = (opened.clone(), opened.frozen_weights().map(Path::to_owned));
    let bytes = fs::read(opened.onnx())
        .map_err(|source| RunError::Output { path: opened.onnx().to_owned(), source })?;
    let bytes =
        if demands.bare { bytes } else { packed(config, demands, opened, &bytes, &mut report)? };
    let Some(weights) = weights else {
        report.bytes = bytes.len() as u64;
        output::write_atomically(target, &bytes)?;
        return Ok(report);
    };
    let place = output::beside(target, ".data");
    let location = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let model = ModelProto::written(&bytes);
    let mut model = model.map_err(|error| RunError::Internal(error.to_string()))?;
    model.relocate(&location);
    let bytes = model.to_bytes();
    let hashed = File::open(&weights).and_then(digest::of);
    let hashed = hashed.map_err(|source| RunError::Output { path: weights.clone(), source })?;
    report.bytes = bytes.len() as u64;
    report.weights = Some(WeightsFile { location, bytes: hashed.0, sha256: hashed.1 });
    output::write_with((target, &bytes), (&weights, &place))?;
    drop(kept);
    Ok(report)
}

/// The model with its recipe, labels and golden images.
fn packed(
    config: &ModelConfig,
    demands: &Demands,
    file: ModelFile,
    bytes: &[u8],
    report: &mut FreezeReport,
) -> Result<Vec<u8>, RunError> {
    let opened = Classifier::with(config, file).map_err(|error| match error {
        RunError::Model(text) => RunError::Model(format!(
            "{text}\nhint: with `--bare` the network is written alone, and each run says its recipe"
        )),
        other => other,
    });
    let mut classifier = opened?;
    let package = package(&mut classifier, &demands.golden)?;
    report.recipe_keys = package.recipe.keys().len();
    report.labels = package.labels.as_ref().map_or(0, crate::labels::Labels::count);
    report.goldens = package.goldens.len();
    report.summary.notes.extend(classifier.notes);
    let entries = package.entries().map_err(RunError::Internal)?.into_iter().collect();
    onnx::with_metadata(bytes, &entries).map_err(|error| RunError::Internal(error.to_string()))
}

fn report(
    file: &dyn Source,
    summary: Summary,
    (opened, target): (&ModelFile, &Path),
    checks: Vec<String>,
) -> FreezeReport {
    FreezeReport {
        schema: SCHEMA,
        path: file.path().display().to_string(),
        words: file.words(),
        output: target.display().to_string(),
        container: file.container(),
        keras: file.keras_version().map(str::to_owned),
        sha256: opened.sha256.clone(),
        summary,
        bytes: 0,
        weights: None,
        recipe_keys: 0,
        labels: 0,
        goldens: 0,
        checks,
    }
}

impl fmt::Display for FreezeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.keras.as_ref().map_or(String::new(), |keras| format!(", Keras {keras}"));
        let Summary { layers, parameters, nodes, transposes, folded, notes } = &self.summary;
        writeln!(f, "model     {} ({}{version})", self.path, self.container)?;
        writeln!(f, "network   {layers} {}, {parameters} parameters", self.words.parts)?;
        writeln!(
            f,
            "graph     {nodes} nodes, {transposes} of them only move axes; folded: {} batch \
             normalisations ({} remain), {} paddings, {} layers of training",
            folded.batch_normalisations, folded.remaining, folded.paddings, folded.silent_layers
        )?;
        for check in &self.checks {
            writeln!(f, "check     {check}")?;
        }
        for note in notes {
            writeln!(f, "note      {}", note.replace('\n', "\n          "))?;
        }
        writeln!(
            f,
            "written   {}: {} bytes, {} keys of the recipe, {} labels, {} golden images",
            self.output, self.bytes, self.recipe_keys, self.labels, self.goldens
        )?;
        let Some(WeightsFile { location, bytes, .. }) = &self.weights else { return Ok(()) };
        writeln!(f, "weights   {location} beside it: {bytes} bytes; keep both together")
    }
}
