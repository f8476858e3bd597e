//! The record of a run, beside its output: what made the rows, from what, and how it went.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    invocation::Invocation,
    model::ModelFile,
    recipe::{Activation, InputSpec, Recipe, Temperature},
    timing::Books,
};

/// Version of the manifest's form; keys are only added within one.
pub const SCHEMA: u32 = 1;

/// A run manifest, `NAME.run.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of linnaeus.
    pub linnaeus: &'static str,
    /// The run's id, machine, process and command line.
    #[serde(flatten)]
    pub invocation: Invocation,
    /// Whether every image has a row.
    pub complete: bool,
    /// The exit status, by name and number.
    pub exit: ExitRecord,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub ended: String,
    /// Wall time of the run, without loading the model.
    pub seconds: f64,
    /// Folders and files, as given.
    pub inputs: Vec<String>,
    /// The rows.
    pub output: OutputRecord,
    /// The model.
    pub model: ModelRecord,
    /// How images were prepared.
    pub recipe: Recipe,
    /// Who said each key of the recipe; what is not here has its default.
    pub evidence: BTreeMap<&'static str, String>,
    /// What was applied to the model's scores, and why.
    pub activation: Option<ActivationRecord>,
    /// Names of the classes.
    pub labels: Option<LabelsRecord>,
    /// ONNX Runtime, and where it ran.
    pub runtime: RuntimeRecord,
    /// Images by status.
    pub counts: BTreeMap<&'static str, u64>,
    /// Rows that the complete output has.
    pub listed: u64,
    /// Of these, rows taken over from the last complete run.
    pub kept: u64,
    /// Images that this run read.
    pub read: u64,
    /// This run, and those before it that worked on the same output and did not end.
    pub attempts: Vec<Attempt>,
    /// Files that are no candidates, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Images with a row, per second.
    pub images_per_second: f64,
    /// Cost of each stage.
    pub stages: BTreeMap<&'static str, StageRecord>,
    /// CPU time of the whole process during the run, in seconds.
    pub process_cpu_seconds: f64,
    /// What was done of what the processor could do.
    pub books: Books,
    /// What limited the run, as a sentence.
    pub bottleneck: String,
}

/// How the run ended.
#[derive(Debug, Clone, Serialize)]
pub struct ExitRecord {
    /// The number that the shell saw.
    pub code: u8,
    /// What it means.
    pub meaning: &'static str,
}

/// One run on the way to a complete output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; nothing when it died.
    pub ended: Option<String>,
    /// Rows that were there when it began.
    pub from: u64,
    /// Rows that were there when it ended.
    pub to: Option<u64>,
    /// Its exit status.
    pub exit: Option<u8>,
}

/// The output file.
#[derive(Debug, Clone, Serialize)]
pub struct OutputRecord {
    /// Where it is; `-` is standard output.
    pub path: String,
    /// Data rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: String,
}

/// The model file and what it takes and answers.
#[derive(Debug, Clone, Serialize)]
pub struct ModelRecord {
    /// The file.
    #[serde(flatten)]
    pub file: ModelFile,
    /// Its image input.
    pub input: InputSpec,
    /// The output that was read.
    pub output: String,
    /// Classes.
    pub classes: usize,
}

/// What was applied to the scores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActivationRecord {
    /// `softmax`, `sigmoid` or `none`.
    pub applied: String,
    /// `recipe`, or the evidence on which it was detected.
    pub because: String,
    /// The temperature of the recipe, and what was divided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Scaled>,
}

/// A temperature that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaled {
    /// The divisor.
    pub value: Temperature,
    /// What was divided: `logits`, or `logarithms of probabilities`, which is the same for a softmax.
    pub of: String,
}

impl ActivationRecord {
    /// A record of `activation`.
    #[must_use]
    pub fn new(activation: Activation, because: &str) -> Self {
        Self { applied: activation.to_string(), because: because.to_owned(), temperature: None }
    }
}

/// The names of the classes.
#[derive(Debug, Clone, Serialize)]
pub struct LabelsRecord {
    /// The file, or the place in or beside the model, that names them.
    pub place: String,
    /// SHA-256 of the text they were read from.
    pub sha256: String,
    /// How many.
    pub count: usize,
    /// All of them, so that `evaluate` needs no other file: a list, or an object from index to
    /// `[wnid, name]`.
    pub classes: Value,
}

/// ONNX Runtime.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeRecord {
    /// Its version.
    pub version: String,
    /// The library.
    pub library: PathBuf,
    /// SHA-256 of the library.
    pub sha256: String,
    /// Who decided for it.
    pub origin: String,
    /// The device asked for.
    pub device: String,
    /// The execution provider that the sessions were made with.
    pub provider: &'static str,
    /// Why that one, when `auto` decided it.
    pub because: Option<String>,
    /// Sessions side by side.
    pub sessions: usize,
    /// Threads of each session.
    pub threads_per_session: usize,
    /// Threads that decode and prepare.
    pub decode_threads: usize,
    /// Images per model call.
    pub batch_size: usize,
}

/// What a stage cost, summed over threads.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StageRecord {
    /// CPU seconds.
    pub cpu_seconds: f64,
    /// Wall seconds; more than the CPU seconds where threads waited, for the disk or each other.
    pub wall_seconds: f64,
}
