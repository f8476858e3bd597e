//! A run that is over: its predictions, its record, its classes and where its images are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    digest, error::RunError, labels::Labels, output, predictions::Predictions, truth::Classes,
};

/// Folders above the predictions in which the input is looked for.
const FOLDERS_ABOVE: usize = 4;

/// What a person may say about a saved run.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The label file, when the predictions and their record do not tell all names.
    pub labels: Option<PathBuf>,
    /// The folder that the paths are relative to.
    pub images: Option<PathBuf>,
    /// The run's record, when it is not beside the predictions.
    pub manifest: Option<PathBuf>,
    /// A CSV of other names and the names or indices of the classes that they mean.
    pub class_map: Option<PathBuf>,
}

/// A predictions file and what lies beside it.
pub struct SavedRun {
    /// The rows.
    pub predictions: Predictions,
    /// The model's classes as far as they are known.
    pub classes: Classes,
    /// The folder that the paths are relative to.
    pub root: Option<PathBuf>,
    /// For a report.
    pub about: About,
}

/// Where predictions come from.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    /// The file.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Images with a prediction.
    pub ok: u64,
    /// The others by status.
    pub failed: BTreeMap<String, u64>,
    /// Most classes of a row.
    pub top_k: usize,
    /// Classes of the model, if that is known.
    pub classes: Option<u32>,
    /// What the record beside it says, in the words of the record; `None` when there is none.
    pub record: Option<Record>,
    /// What is worth a look.
    pub notes: Vec<String>,
}

/// The parts of a run's record that a reader of a report needs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// The model file.
    pub model: String,
    /// SHA-256 of it.
    pub model_sha256: String,
    /// The execution provider.
    pub provider: String,
    /// When it ended.
    pub ended: String,
    /// Images per second.
    pub images_per_second: f64,
    /// The whole recipe.
    pub recipe: Value,
    /// Softmax or another.
    pub activation: String,
    /// The version of linnaeus.
    pub linnaeus: String,
}

impl SavedRun {
    /// Opens a predictions file, and the record beside it when there is one.
    ///
    /// # Errors
    ///
    /// `Usage` when the predictions cannot be read, `Model` when a label file cannot.
    pub fn open(file: &Path, given: &Given) -> Result<Self, RunError> {
        let predictions = Predictions::load(file)?;
        let unreadable =
            |error| RunError::Usage(format!("cannot read {}: {error}", file.display()));
        let (_, sha256) = fs::File::open(file).and_then(digest::of).map_err(unreadable)?;
        let mut about = About {
            file: file.display().to_string(),
            sha256,
            top_k: predictions.top_k(),
            ..About::default()
        };
        for row in predictions.rows() {
            match &row.failure {
                None => about.ok += 1,
                Some(failure) => *about.failed.entry(failure.0.clone()).or_default() += 1,
            }
        }
        let beside = file.with_extension("run.json");
        let manifest = read_manifest(given.manifest.as_deref().unwrap_or(&beside), &mut about);
        let count = manifest.as_ref().and_then(|m| m["model"]["classes"].as_u64());
        about.classes = count.and_then(|count| u32::try_from(count).ok());
        let classes = classes(&predictions, given, manifest.as_ref(), &mut about)?;
        about.classes = classes.count();
        let root = given.images.clone().or_else(|| root_of(manifest.as_ref()?, file));
        Ok(Self { predictions, classes, root, about })
    }

    /// The `path` cells of all rows.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        self.predictions.rows().iter().map(|row| row.path.as_str()).collect()
    }

    /// Where the image of a row should be.
    #[must_use]
    pub fn image(&self, row: usize) -> PathBuf {
        let path = output::name_path(&self.predictions.rows()[row].path);
        self.root.as_ref().map_or_else(|| path.clone(), |root| root.join(&path))
    }

    /// The class that a row says, `None` when it failed.
    #[must_use]
    pub fn predicted(&self, row: usize) -> Option<u32> {
        self.predictions.top(row).first().map(|score| score.class)
    }
}

fn read_manifest(path: &Path, about: &mut About) -> Option<Value> {
    let bytes = fs::read(path).ok()?;
    let manifest: Value = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            about.notes.push(format!("the run's record {} is damaged: {error}", path.display()));
            return None;
        }
    };
    let text = |pointer: &str| {
        manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let wrote = text("/output/sha256");
    if wrote != about.sha256 {
        about.notes.push(format!(
            "{} records another content of this file: it was changed after the run, or the record \
             is of another run",
            path.display()
        ));
    }
    if manifest["complete"] == Value::Bool(false) {
        about.notes.push("the run did not finish: some images have no row".to_owned());
    }
    about.record = Some(Record {
        model: text("/model/path"),
        model_sha256: text("/model/sha256"),
        provider: text("/runtime/provider"),
        ended: text("/ended"),
        images_per_second: manifest["images_per_second"].as_f64().unwrap_or_default(),
        recipe: manifest["recipe"].clone(),
        activation: text("/activation/applied"),
        linnaeus: text("/linnaeus"),
    });
    Some(manifest)
}

/// Names of the classes: what the person says, else what the record tells, else what the rows do.
fn classes(
    predictions: &Predictions,
    given: &Given,
    manifest: Option<&Value>,
    about: &mut About,
) -> Result<Classes, RunError> {
    let recorded = || Labels::parse(&manifest?.pointer("/labels/classes")?.to_string()).ok();
    let labels = given.labels.as_deref().map(Labels::load).transpose()?.or_else(recorded);
    let classes = match &labels {
        Some(labels) => {
            let classes = Classes::of_labels(labels, about.classes);
            let told = predictions.names();
            let differs =
                told.iter().find(|(class, name)| classes.names().get(class) != Some(name));
            if let Some((class, name)) = differs {
                let other = classes.name(*class);
                about.notes.push(format!(
                    "the predictions call class {class} {name:?}, and the labels {other:?}"
                ));
            }
            classes
        }
        None => Classes::new(predictions.names().clone(), about.classes),
    };
    match &given.class_map {
        Some(map) => Ok(classes.with_synonyms(read_class_map(map)?)),
        None => Ok(classes),
    }
}

fn read_class_map(map: &Path) -> Result<Vec<(String, String)>, RunError> {
    let fail = |reason: String| {
        RunError::Usage(format!(
            "cannot use the class map {}: {reason}\nhint: it is a CSV with two columns, a name in \
             the truth and the class that it means",
            map.display()
        ))
    };
    let text = fs::read_to_string(map).map_err(|error| fail(error.to_string()))?;
    let rows = output::csv_rows(&text).map_err(&fail)?;
    let pair = |row: &Vec<String>| match &row[..] {
        [from, to] => Ok((from.trim().to_owned(), to.trim().to_owned())),
        _ => Err(fail(format!("{row:?} has not two cells"))),
    };
    rows.iter().map(pair).collect()
}

/// The folder that the paths of a run are relative to: its input, if there was one. With several, the
/// paths begin with the input as it was written.
///
/// The record names it as seen from the folder that the run was in: this one, or one above `file`.
fn root_of(manifest: &Value, file: &Path) -> Option<PathBuf> {
    let inputs = manifest["inputs"].as_array()?;
    let whole = std::path::absolute(file).ok()?;
    let input = inputs.first()?.as_str()?;
    let folders = std::iter::once(Path::new("")).chain(whole.ancestors().skip(1));
    let found = |folder: &Path| folder.join(input).exists().then(|| folder.to_owned());
    let folder = folders.take(1 + FOLDERS_ABOVE).find_map(found)?;
    let root = folder.join(input);
    match inputs.len() {
        1 if root.is_dir() => Some(root),
        1 => root.parent().map(Path::to_owned),
        _ => Some(folder),
    }
}
