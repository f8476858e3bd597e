//! What came of a run: for the manifest, and for a person.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Run, recorder::Recorded};
use crate::{
    classifier::Topology,
    error::{Exit, RunError},
    invocation::Invocation,
    job::Incremental,
    manifest::{
        ExitRecord, LabelsRecord, Manifest, ModelRecord, OutputRecord, RuntimeRecord, SCHEMA,
        StageRecord,
    },
    output,
    progress::Counts,
    timing::{self, Books, Stage, Timing},
    walk::Skip,
};

/// Seconds below which starting and ending outweigh the work.
const SHORT: f64 = 0.5;

/// What a run cost.
pub(super) struct Spent {
    pub(super) started: SystemTime,
    pub(super) elapsed: Duration,
    pub(super) process_cpu: Duration,
    pub(super) timing: Timing,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The exit status to end with.
    pub exit: Exit,
    /// Images by status, and what was skipped.
    pub counts: Counts,
    /// The record of the run.
    pub manifest: Manifest,
    /// The first failed images, as `path: message`.
    pub examples: Vec<String>,
    /// Where the record of this very run was written.
    pub recorded: Option<PathBuf>,
}

impl Summary {
    pub(super) fn new(run: &Run, recorded: Recorded, spent: &Spent) -> Self {
        let Recorded {
            written, counts, read, totals, activation, examples, attempts, exit, ..
        } = recorded;
        let stage = |stage: Stage| StageRecord {
            cpu_seconds: seconds(spent.timing.cpu(stage)),
            wall_seconds: seconds(spent.timing.wall(stage)),
        };
        let failed = counts.failed.iter().map(|(&code, &count)| (code, count));
        let time = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        let elapsed = spent.elapsed.as_secs_f64();
        let books = books(run, read, spent);
        let manifest = Manifest {
            schema: SCHEMA,
            linnaeus: env!("CARGO_PKG_VERSION"),
            invocation: Invocation::this().clone(),
            complete: exit.published(),
            exit: ExitRecord { code: exit.code(), meaning: exit.meaning() },
            started: time(spent.started),
            ended: time(SystemTime::now()),
            seconds: seconds(spent.elapsed),
            inputs: run.config.inputs.iter().map(|path| path.display().to_string()).collect(),
            output: OutputRecord {
                path: written.path.map_or("-".to_owned(), |path| path.display().to_string()),
                rows: written.rows,
                bytes: written.bytes,
                sha256: written.sha256,
            },
            model: ModelRecord {
                file: run.classifier.file.clone(),
                input: run.classifier.input.clone(),
                output: run.classifier.output.name.clone(),
                classes: run.classifier.classes,
            },
            recipe: run.classifier.recipe.clone(),
            evidence: run.classifier.evidence.clone(),
            activation,
            labels: run.classifier.labels.as_ref().map(|(labels, place)| LabelsRecord {
                place: place.clone(),
                sha256: labels.sha256().to_owned(),
                count: labels.count(),
                classes: labels.to_json(),
            }),
            runtime: runtime_record(run),
            counts: std::iter::once(("ok", counts.ok)).chain(failed).collect(),
            listed: totals.rows,
            kept: totals.kept,
            read,
            attempts,
            skipped: skipped(&counts),
            images_per_second: round(read as f64 / elapsed.max(1e-9)),
            stages: Stage::ALL.map(|s| (s.word(), stage(s))).into_iter().collect(),
            process_cpu_seconds: seconds(spent.process_cpu),
            bottleneck: bottleneck(run, spent, &books),
            books: rounded(books),
        };
        Self { exit, counts, manifest, examples, recorded: None }
    }

    /// Why the output is not complete, and what to do; nothing when it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let Manifest { inputs, listed, output, .. } = &self.manifest;
        match self.exit {
            Exit::Empty => Some(format!(
                "no image was found under {}\nhint: is the folder mounted, and `include` right? With \
                 `allow-empty` it is a complete run",
                inputs.join(", ")
            )),
            Exit::TooManyErrors => Some(format!(
                "{} of {} images failed, more than `max-errors` allows; each has its reason in {}\n\
                 hint: repair them, or raise `max-errors`",
                self.counts.errors(),
                self.counts.rows(),
                output.path
            )),
            exit if !exit.published() && output.rows < *listed => Some(format!(
                "{} of {listed} rows are done\nhint: the same command goes on",
                output.rows
            )),
            _ => None,
        }
    }

    /// Lets the run end otherwise than its rows say, because of what they are worth; also in the
    /// record, where one was written.
    ///
    /// # Errors
    ///
    /// `Output` when the record cannot be written again.
    pub fn end_with(&mut self, exit: Exit) -> Result<(), RunError> {
        self.exit = exit;
        self.manifest.exit = ExitRecord { code: exit.code(), meaning: exit.meaning() };
        match &self.recorded {
            Some(path) => output::write_atomically(path, &self.record()?),
            None => Ok(()),
        }
    }

    fn record(&self) -> Result<Vec<u8>, RunError> {
        let mut bytes = serde_json::to_vec_pretty(&self.manifest)
            .map_err(|error| RunError::Internal(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Writes the manifest, so that it appears whole or not at all. Of a run that ended early it
    /// is beside the partial output.
    ///
    /// # Errors
    ///
    /// `Output` when it cannot be written.
    pub(super) fn write_manifest(&mut self, path: Option<&Path>) -> Result<(), RunError> {
        let Some(path) = path.filter(|_| self.exit != Exit::Empty) else { return Ok(()) };
        let bytes = self.record()?;
        let unfinished = path.with_extension("partial.json");
        if !self.manifest.complete {
            output::write_atomically(&unfinished, &bytes)?;
            self.recorded = Some(unfinished);
            return Ok(());
        }
        output::write_atomically(path, &bytes)?;
        self.recorded = Some(path.to_owned());
        // The record of an interrupted run before this one tells of nothing any more.
        match fs::remove_file(&unfinished) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RunError::Output { path: unfinished, source })
            }
            _ => Ok(()),
        }
    }
}

fn runtime_record(run: &Run) -> RuntimeRecord {
    RuntimeRecord {
        version: run.classifier.runtime.version().to_owned(),
        library: run.classifier.runtime.path().to_owned(),
        sha256: run.classifier.runtime.sha256().to_owned(),
        origin: run.classifier.runtime.origin().to_string(),
        device: run.config.model.device.to_string(),
        provider: run.classifier.provider.name(),
        because: run.classifier.because.clone(),
        sessions: run.classifier.topology.sessions,
        threads_per_session: run.classifier.topology.intra_threads,
        decode_threads: run.config.model.threads,
        batch_size: run.classifier.topology.batch_size,
    }
}

fn skipped(counts: &Counts) -> BTreeMap<&'static str, u64> {
    Skip::ALL.iter().map(|reason| reason.word()).zip(counts.skipped).collect()
}

/// The threads that work at a time are those that decode, and those of the model's sessions.
fn books(run: &Run, images: u64, spent: &Spent) -> Books {
    let Topology { sessions, intra_threads, .. } = run.classifier.topology;
    let model = if run.classifier.provider.is_gpu() { 0 } else { sessions * intra_threads };
    let cores = timing::processors().min(run.config.model.threads + model);
    spent.timing.close((images, spent.elapsed), (cores, sessions), spent.process_cpu)
}

fn rounded(books: Books) -> Books {
    let Books { cores, cpu_ms_per_image, bound_images_per_second, .. } = books;
    Books {
        cores,
        cpu_ms_per_image: round(cpu_ms_per_image),
        bound_images_per_second: round(bound_images_per_second),
        busy: round(books.busy),
        unbooked: round(books.unbooked),
        starved: round(books.starved),
        held_back: round(books.held_back),
    }
}

/// One sentence that says what limited the run, and what would help.
fn bottleneck(run: &Run, spent: &Spent, books: &Books) -> String {
    let Spent { elapsed, timing, .. } = spent;
    let elapsed = elapsed.as_secs_f64();
    if elapsed < SHORT {
        return "The run was too short to tell what limited it.".to_owned();
    }
    if run.classifier.provider.is_gpu() {
        return if books.starved > 0.3 {
            format!(
                "The GPU waited {:.0} % of the time for images: reading and decoding them is the \
                 limit, so more processor cores would help most.",
                100.0 * books.starved
            )
        } else {
            "The GPU was the limit: a smaller model or a larger `batch-size` would help most."
                .to_owned()
        };
    }
    let waited_for_files =
        |stage| timing.wall(stage).saturating_sub(timing.cpu(stage)).as_secs_f64();
    let reading = waited_for_files(Stage::Read) / (elapsed * run.config.model.threads as f64);
    if books.busy < 0.7 && reading > 0.3 {
        return format!(
            "The processor was busy {:.0} % of the time: reading the files was the limit, so \
             faster storage or more `threads` would help most.",
            100.0 * books.busy
        );
    }
    let total: f64 = Stage::ALL.iter().map(|&stage| timing.cpu(stage).as_secs_f64()).sum();
    let by_cost = |a: &Stage, b: &Stage| timing.cpu(*a).cmp(&timing.cpu(*b));
    let top = Stage::ALL.into_iter().max_by(by_cost).expect("there are stages");
    let share = 100.0 * timing.cpu(top).as_secs_f64() / total.max(1e-9);
    let advice = match top {
        Stage::Inference => "a smaller or quantised model, or a GPU, would help most",
        Stage::Decode => "smaller image files, or more processor cores, would help most",
        Stage::Preprocess => "smaller images, or more processor cores, would help most",
        Stage::Read => "faster storage would help most",
        Stage::Walk if run.config.incremental != Incremental::No => {
            "each file was looked up to see whether it had changed"
        }
        Stage::Walk => {
            "fewer files that are no images, or `exclude` for their folders, would help most"
        }
        Stage::Write => "a smaller `top-k` would help most",
    };
    format!("{} took {share:.0} % of the processor's time: {advice}.", capitalised(top.word()))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn seconds(time: Duration) -> f64 {
    round(time.as_secs_f64())
}

/// Three decimals: milliseconds are what these figures are good for.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, manifest, .. } = self;
        writeln!(
            f,
            "{} images in {:.1} s, {:.1} images/s on {}",
            manifest.read, manifest.seconds, manifest.images_per_second, manifest.runtime.provider
        )?;
        if counts.rows() > manifest.read {
            let earlier = counts.rows() - manifest.read;
            writeln!(f, "  with {earlier} rows of earlier runs:")?;
        }
        write!(f, "  ok {}", counts.ok)?;
        for (code, count) in &counts.failed {
            write!(f, ", {code} {count}")?;
        }
        for (reason, count) in Skip::ALL.iter().zip(counts.skipped).filter(|(_, n)| *n > 0) {
            write!(f, "; {count} skipped ({})", reason.word())?;
        }
        writeln!(f)?;
        for example in &self.examples {
            writeln!(f, "  {example}")?;
        }
        if !self.examples.is_empty() && counts.errors() > self.examples.len() as u64 {
            writeln!(
                f,
                "  … and {} more, each with its reason in the rows",
                counts.errors() - self.examples.len() as u64
            )?;
        }
        write!(f, "  CPU seconds:")?;
        for stage in Stage::ALL {
            write!(f, " {} {:.2}", stage.word(), manifest.stages[stage.word()].cpu_seconds)?;
        }
        writeln!(f)?;
        if manifest.read > 0 && manifest.seconds >= SHORT {
            let Books { cores, bound_images_per_second, busy, starved, .. } = manifest.books;
            writeln!(
                f,
                "  {:.0} % of what {} can do, {bound_images_per_second:.1} images/s; the model waited \
                 {:.0} % of the time",
                100.0 * busy,
                if cores == 1 { "1 processor".to_owned() } else { format!("{cores} processors") },
                100.0 * starved
            )?;
        }
        if counts.rows() > 0 {
            writeln!(f, "  {}", manifest.bottleneck)?;
        }
        let output =
            if manifest.output.path == "-" { "standard output" } else { &manifest.output.path };
        if self.exit == Exit::Empty {
            let reason = self.reason().unwrap_or_default().replace('\n', "\n  ");
            writeln!(f, "  nothing was written: {reason}")
        } else if manifest.complete {
            writeln!(f, "  {} rows in {output}", manifest.output.rows)
        } else {
            writeln!(
                f,
                "  NOT COMPLETE: {} of {} rows in {output} ({})",
                manifest.output.rows,
                manifest.listed,
                self.exit.meaning()
            )?;
            match self.reason().filter(|_| self.exit == Exit::TooManyErrors) {
                Some(reason) => writeln!(f, "  {}", reason.replace('\n', "\n  ")),
                None => Ok(()),
            }
        }
    }
}
