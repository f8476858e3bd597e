//! What a run would do, and does, in words.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use super::Run;
use crate::{
    classifier::{Classifier, Topology, batches_bytes},
    config::Target,
    detect,
    error::RunError,
    job::{Format, Incremental},
    memory::Ceiling,
    model::{self, Provider},
    prepare::threads_bytes,
    progress::Counts,
    recipe::Recipe,
    walk::{Met, Skip},
};

impl Run {
    /// One line: the model and where it runs.
    pub(super) fn headline(&self) -> String {
        let mut text = format!("{} on {}", self.classifier.file.path.display(), self.place());
        if let Some(because) = &self.classifier.because {
            let _ = write!(text, " (`device = \"auto\"`: {because})");
        }
        text
    }

    fn place(&self) -> String {
        match self.classifier.provider {
            Provider::Cpu => "the processor".to_owned(),
            Provider::Cuda(index) => format!("GPU {index} (CUDA)"),
        }
    }

    /// What the run would do, for a person: inputs and their count, model, preparation, labels,
    /// device, output, and what was said about the night. With it, how many images there are.
    ///
    /// # Errors
    ///
    /// `Input` when a root cannot be listed.
    pub fn describe(&self) -> Result<(String, u64), RunError> {
        let Self { config, classifier } = self;
        let Classifier { file, input, output, classes, labels, runtime, topology, .. } = classifier;
        let Topology { sessions, intra_threads, batch_size } = topology;
        let roots: Vec<_> = config.inputs.iter().map(|path| path.display().to_string()).collect();
        let target = match &config.target {
            Target::File(path) => path.display().to_string(),
            Target::Stdout => "standard output".to_owned(),
        };
        let format = match config.format {
            Format::Csv => "CSV",
            Format::Jsonl => "JSON lines",
        };
        let counts = self.count()?;
        let lines = [
            ("inputs", format!("{}: {}", roots.join(", "), count_text(&counts))),
            ("model", file.path.display().to_string()),
            ("", format!("SHA-256 {}", file.sha256)),
            ("takes", model::input_text(input)),
            ("answers", format!("{}, {classes} classes", model::output_text(output))),
            ("recipe", recipe_text(&classifier.recipe)),
            ("", self.evidence_text()),
            (
                "labels",
                labels
                    .as_ref()
                    .map_or("none; the label column stays empty".to_owned(), |(_, place)| {
                        place.clone()
                    }),
            ),
            ("device", format!("{} ({})", self.place(), classifier.provider.name())),
            ("", classifier.because.clone().unwrap_or_default()),
            ("runtime", format!("ONNX Runtime {}, {}", runtime.version(), runtime.origin())),
            (
                "threads",
                format!(
                    "{} to decode; {sessions} x {intra_threads} for the model; batches of {batch_size}",
                    config.model.threads
                ),
            ),
            ("memory", self.ceiling().to_string()),
            ("output", format!("{target} ({format}, top {})", config.top_k.min(*classes))),
            (
                "manifest",
                config
                    .manifest
                    .as_ref()
                    .map_or("none".to_owned(), |path| path.display().to_string()),
            ),
            ("night", self.night_text()),
        ];
        let mut text = String::new();
        for note in &classifier.notes {
            let _ = writeln!(text, "note      {note}");
        }
        for (key, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(text, "{key:<9} {value}");
        }
        Ok((text, counts.rows()))
    }

    /// What was said about when the run stops, what it does again, and who hears of it.
    fn night_text(&self) -> String {
        let config = &self.config;
        let telling = &config.telling;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let program = |command: &[String]| command.first().cloned();
        let span = |span: Option<Duration>| span.map(|s| humantime::format_duration(s).to_string());
        let incremental = (config.incremental != Incremental::No)
            .then(|| format!("{}, `deleted` {}", config.incremental, config.deleted));
        let said = [
            ("incremental", incremental),
            ("min-age", span(config.walk.min_age)),
            ("max-errors", config.max_errors.map(|most| most.to_string())),
            ("stop-after", span(config.spending.stop_after)),
            ("limit", config.spending.limit.map(|limit| limit.to_string())),
            ("log-file", path(&telling.log_file)),
            ("metrics-file", path(&telling.metrics_file)),
            ("on-success", program(&telling.on_success)),
            ("on-failure", program(&telling.on_failure)),
        ];
        let said = said.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", value?)));
        said.collect::<Vec<_>>().join(", ")
    }

    /// The most memory that the run takes beside ONNX Runtime and the model.
    pub(super) fn ceiling(&self) -> Ceiling {
        let Self { config, classifier: Classifier { recipe, topology, .. } } = self;
        let threads = config.model.threads;
        let batches = topology.batches_in_flight(threads);
        Ceiling {
            batches: batches_bytes(recipe, batches, topology.batch_size).unwrap_or(u64::MAX),
            decoding: config.decode_memory,
            files: config.max_file_bytes,
            threads: threads_bytes(config.decode_memory, threads),
        }
    }

    /// Who says what, where it is not the job: `resize, mean, std by preprocessor_config.json`. The
    /// fields are in the manifest.
    pub(super) fn evidence_text(&self) -> String {
        let mut sayers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (key, sayer) in &self.classifier.evidence {
            let sayer = sayer.split_once(": ").map_or(sayer.as_str(), |(place, _)| place);
            match sayers.iter_mut().find(|(known, _)| *known == sayer) {
                Some((_, keys)) => keys.push(key),
                None => sayers.push((sayer, vec![key])),
            }
        }
        let others = sayers.into_iter().filter(|(sayer, _)| *sayer != detect::PERSON);
        let text = others.map(|(sayer, keys)| format!("{} by {sayer}", keys.join(", ")));
        text.collect::<Vec<_>>().join("; ")
    }

    fn count(&self) -> Result<Counts, RunError> {
        let mut counts = Counts::default();
        for met in self.walk()? {
            match met? {
                Met::Candidate(_) => counts.ok += 1,
                Met::Failed(_, error) => *counts.failed.entry(error.code()).or_default() += 1,
                Met::Skipped(reason) => counts.skipped[reason as usize] += 1,
            }
        }
        Ok(counts)
    }
}

fn count_text(counts: &Counts) -> String {
    let mut parts = vec![format!("{} images", counts.ok)];
    parts.extend(counts.failed.iter().map(|(code, count)| format!("{count} {code}")));
    let skipped = Skip::ALL.iter().zip(counts.skipped).filter(|(_, count)| *count > 0);
    parts.extend(skipped.map(|(reason, count)| format!("{count} skipped ({})", reason.word())));
    parts.join(", ")
}

/// A recipe as one line, in the order in which it is applied.
pub(super) fn recipe_text(recipe: &Recipe) -> String {
    let Recipe { size, resize, interpolation, kernel, crop, scale, mean, std, .. } = recipe;
    let activation =
        recipe.activation.map_or("activation detected".to_owned(), |a| format!("activation {a}"));
    let temperature =
        recipe.temperature.map_or(String::new(), |value| format!(", temperature {value}"));
    let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "exif {}, alpha {}, 16-bit {}, resize {resize} ({interpolation}, {kernel}), crop {crop}, \
         size {size}, scale {scale}, mean {}, std {}, {} {}, {activation}{temperature}",
        recipe.exif,
        recipe.alpha,
        recipe.deep,
        list(mean),
        list(std),
        recipe.channels,
        recipe.layout,
    )
}
