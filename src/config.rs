//! A job, decided: every default is here, every contradiction among keys is found here.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    decode::Limits,
    device::Device,
    error::RunError,
    job::{Deleted, Format, Incremental, Job, LogFormat, MaxErrors},
    memory,
    recipe::RecipeSpec,
    walk::{Globs, WalkOptions},
};

/// Pillow's hard limit, 2 · 89,478,485: with three bytes each, half a GiB.
const MAX_PIXELS: u64 = 178_956_970;
/// Encoded size of one image.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Memory for images being decoded, on a machine that has much more.
const DECODE_MEMORY: u64 = 2 << 30;
/// Images per model call on a processor, where more gains nothing, and on a GPU, where it does.
const BATCH_SIZE: (usize, usize) = (8, 64);
/// More threads than any machine has cores, and few enough that starting them succeeds.
const MAX_THREADS: usize = 1024;
/// Seconds between progress lines when stderr is no terminal.
const PROGRESS_INTERVAL: u64 = 30;
/// Tries after the first: with [`crate::source`]'s pauses they bridge some seconds.
const RETRIES: u32 = 3;
/// For one image: the slowest of Pillow's own test files takes under a second.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for what is in flight: Slurm and Kubernetes kill 30 s after they asked.
pub const GRACE: Duration = Duration::from_secs(20);

/// What the manifest's name ends in, when it is beside the output.
const RECORD: &str = "run.json";

/// What is refused of an image when nobody says otherwise: the limits, and bytes of its file.
#[must_use]
pub fn usual_limits() -> (Limits, u64) {
    let limits = Limits { max_pixels: MAX_PIXELS, max_bytes: default_decode_memory() };
    (limits, MAX_FILE_BYTES)
}

/// Between progress lines.
#[must_use]
pub fn progress_interval(job: &Job) -> Duration {
    Duration::from_secs(job.progress_interval.map_or(PROGRESS_INTERVAL, u64::from))
}

/// Where the rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, written beside itself and renamed when complete.
    File(PathBuf),
    /// Standard output, as rows come.
    Stdout,
}

/// As the label file: no labels, also when some lie beside the model.
pub const NO_LABELS: &str = "none";

/// Which model, what was said about using it, and what it may use.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The model file, or the folder that it comes in.
    pub path: PathBuf,
    /// The tensor of a TensorFlow graph that images are fed to, when the graph reads files.
    pub input: Option<String>,
    /// The output to read, when the model has several.
    pub output: Option<String>,
    /// The label file; [`NO_LABELS`] for none at all.
    pub labels: Option<PathBuf>,
    /// Classes before the first label; below zero, labels before the first class.
    pub label_offset: i64,
    /// What was said about preparing images.
    pub recipe: RecipeSpec,
    /// Where the model runs.
    pub device: Device,
    /// The ONNX Runtime library that was asked for.
    pub onnxruntime: Option<PathBuf>,
    /// Images per model call, unless the model fixes it; `None` leaves it to the device.
    pub batch_size: Option<usize>,
    /// Processor threads that decode and prepare, and that the model may use.
    pub threads: usize,
    /// Copies of the model; `None` leaves it to threads and model size.
    pub sessions: Option<usize>,
}

impl ModelConfig {
    /// Decides what concerns the model.
    ///
    /// # Errors
    ///
    /// `Usage` for a missing `model`, or absurdly many threads.
    pub fn resolve(job: &Job) -> Result<Self, RunError> {
        let path = job
            .model
            .clone()
            .ok_or_else(|| missing("model", "`model = \"model.onnx\"`, or `--model model.onnx`"))?;
        let config = Self {
            path,
            input: job.model_input.clone(),
            output: job.model_output.clone(),
            labels: job.labels.clone(),
            label_offset: job.label_offset.unwrap_or(0),
            recipe: job.recipe.clone(),
            device: job.device.unwrap_or_default(),
            onnxruntime: job.onnxruntime.clone(),
            batch_size: job.batch_size.map(usize::from),
            threads: job.threads.map_or_else(available_threads, usize::from),
            sessions: job.sessions.map(usize::from),
        };
        config.check_threads().map(|()| config)
    }

    /// Images per model call when the model takes any number.
    #[must_use]
    pub fn batch_size_on(&self, gpu: bool) -> usize {
        self.batch_size.unwrap_or(if gpu { BATCH_SIZE.1 } else { BATCH_SIZE.0 })
    }

    fn check_threads(&self) -> Result<(), RunError> {
        let counts = [("threads", Some(self.threads)), ("sessions", self.sessions)];
        match counts.into_iter().find(|(_, count)| count.is_some_and(|count| count > MAX_THREADS)) {
            Some((key, _)) => Err(RunError::Usage(format!(
                "`{key}` is over {MAX_THREADS}\nhint: more threads than the machine has cores gain \
                 nothing; leave the key out to use them all"
            ))),
            None => Ok(()),
        }
    }
}

fn missing(key: &str, example: &str) -> RunError {
    RunError::Usage(format!("`{key}` is missing\nhint: add {example}"))
}

/// A decided run: nothing is optional that a default could settle.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folders and files.
    pub inputs: Vec<PathBuf>,
    /// What is looked at below them.
    pub walk: WalkOptions,
    /// The model, and what it may use.
    pub model: ModelConfig,
    /// Classes per image in the output; at most the model's classes are written.
    pub top_k: usize,
    /// Where the rows go.
    pub target: Target,
    /// How they look.
    pub format: Format,
    /// Where the manifest goes; nowhere for standard output, unless it was said.
    pub manifest: Option<PathBuf>,
    /// How many images may fail before the run stops.
    pub max_errors: Option<MaxErrors>,
    /// How a file is read that may be unreadable for a moment, or for ever.
    pub patience: Patience,
    /// Whether rows of the last complete run are used again.
    pub incremental: Incremental,
    /// What becomes of the rows of files that are gone then.
    pub deleted: Deleted,
    /// How much is done before the run stops, to be gone on with.
    pub spending: Spending,
    /// Whether an empty folder is a complete run.
    pub allow_empty: bool,
    /// What an earlier run that did not end left is thrown away.
    pub restart: bool,
    /// Who hears of the run.
    pub telling: Telling,
    /// Bytes of one image file.
    pub max_file_bytes: u64,
    /// What is refused before decoding.
    pub limits: Limits,
    /// Bytes for all images being decoded.
    pub decode_memory: u64,
    /// Nothing on stderr but errors.
    pub quiet: bool,
    /// Between progress lines.
    pub progress_interval: Duration,
}

/// How a file is read that may be unreadable for a moment, or for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Tries after a first one that failed for a reason that may pass.
    pub retries: u32,
    /// For reading, decoding and preparing one image.
    pub image_timeout: Duration,
    /// Decode in child processes.
    pub isolate: bool,
    /// The program that they are, which `isolate` needs; see [`crate::isolate`].
    pub program: Option<PathBuf>,
}

/// How much is done before the run stops, to be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spending {
    /// Time.
    pub stop_after: Option<Duration>,
    /// Images.
    pub limit: Option<u64>,
    /// Time for what is in flight when the run is to stop.
    pub grace: Duration,
}

/// Who hears of the run, besides a person at a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// How messages look.
    pub log_format: LogFormat,
    /// Where messages go besides stderr.
    pub log_file: Option<PathBuf>,
    /// Where figures for Prometheus go.
    pub metrics_file: Option<PathBuf>,
    /// Program and arguments to run after a complete run.
    pub on_success: Vec<String>,
    /// Program and arguments to run after any other.
    pub on_failure: Vec<String>,
}

impl Telling {
    /// Decides who hears of a job, which is known also when the rest of it makes no sense.
    ///
    /// # Errors
    ///
    /// `Usage` when a log or the figures would go into a file that the run reads or writes.
    pub fn of(job: &Job) -> Result<Self, RunError> {
        let inputs = job.inputs.iter().flatten().map(|path| ("inputs", path));
        let named = [
            ("model", &job.model),
            ("labels", &job.labels),
            ("onnxruntime", &job.onnxruntime),
            ("output", &job.output),
            ("manifest", &job.manifest),
        ];
        let named = named.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?)));
        let beside = job.output.as_ref().map(|output| output.with_extension(RECORD));
        let taken: Vec<_> =
            inputs.chain(named).chain(beside.iter().map(|path| ("manifest", path))).collect();
        let told = [("log-file", &job.log_file), ("metrics-file", &job.metrics_file)];
        for (at, (key, path)) in told.iter().enumerate() {
            let Some(path) = path else { continue };
            let earlier = told[..at].iter().filter_map(|(key, path)| Some((*key, path.as_ref()?)));
            let mut others = taken.iter().copied().chain(earlier);
            if let Some((other, _)) =
                others.find(|(_, other)| *other == path || same_file(other, path))
            {
                return Err(RunError::Usage(format!(
                    "`{key}` and `{other}` are the same file, {}\nhint: choose another `{key}`",
                    path.display()
                )));
            }
        }
        Ok(Self {
            log_format: job.log_format.unwrap_or(LogFormat::Text),
            log_file: job.log_file.clone(),
            metrics_file: job.metrics_file.clone(),
            on_success: job.on_success.clone().unwrap_or_default(),
            on_failure: job.on_failure.clone().unwrap_or_default(),
        })
    }

    /// Messages of this form on stderr, and nobody else hears of it.
    #[must_use]
    pub fn to_stderr(log_format: LogFormat) -> Self {
        let (log_file, metrics_file) = (None, None);
        let (on_success, on_failure) = (Vec::new(), Vec::new());
        Self { log_format, log_file, metrics_file, on_success, on_failure }
    }
}

impl Config {
    /// Decides everything that can be decided without the model.
    ///
    /// # Errors
    ///
    /// `Usage` for a missing `inputs` or `model`, a bad pattern, absurdly many threads, or an output
    /// that would overwrite what the run reads.
    pub fn resolve(job: Job) -> Result<Self, RunError> {
        let model = ModelConfig::resolve(&job);
        let (telling, progress_interval) = (Telling::of(&job)?, progress_interval(&job));
        let inputs = job.inputs.filter(|inputs| !inputs.is_empty());
        let inputs = inputs.ok_or_else(|| {
            missing("inputs", "`inputs = [\"photos\"]`, or paths after `classify`")
        })?;
        let globs = |key: &str, patterns: Option<Vec<String>>| {
            Globs::compile(key, &patterns.unwrap_or_default()).map_err(RunError::Usage)
        };
        let walk = WalkOptions {
            include: globs("include", job.include)?,
            exclude: globs("exclude", job.exclude)?,
            hidden: job.hidden.unwrap_or(false),
            follow_symlinks: job.follow_symlinks.unwrap_or(false),
            every_file: job.every_file.unwrap_or(false),
            min_age: job.min_age.map(|span| span.0),
        };
        let target = match job.output {
            Some(path) if path.as_os_str() != "-" => Target::File(path),
            _ => Target::Stdout,
        };
        let decode_memory = job.decode_memory.map_or_else(default_decode_memory, u64::from);
        let config = Self {
            walk,
            format: job.format.unwrap_or_else(|| format_of(&target)),
            manifest: job.manifest.or_else(|| manifest_beside(&target)),
            target,
            inputs,
            model: model?,
            top_k: job.top_k.map_or(1, usize::from),
            max_errors: max_errors(job.max_errors, job.fail_fast)?,
            patience: Patience {
                retries: job.retries.unwrap_or(RETRIES),
                image_timeout: job.image_timeout.map_or(IMAGE_TIMEOUT, |span| span.0),
                isolate: job.isolate.unwrap_or(false),
                program: None,
            },
            incremental: job.incremental.unwrap_or(Incremental::No),
            deleted: job.deleted.unwrap_or(Deleted::Drop),
            spending: Spending {
                stop_after: job.stop_after.map(|span| span.0),
                limit: job.limit.map(u64::from),
                grace: job.grace.map_or(GRACE, |span| span.0),
            },
            allow_empty: job.allow_empty.unwrap_or(false),
            restart: false,
            telling,
            max_file_bytes: job.max_file_bytes.map_or(MAX_FILE_BYTES, u64::from),
            limits: Limits {
                max_pixels: job.max_pixels.map_or(MAX_PIXELS, u64::from),
                max_bytes: decode_memory,
            },
            decode_memory,
            quiet: job.quiet.unwrap_or(false),
            progress_interval,
        };
        config.check_patience()?;
        config.check_paths().map(|()| config)
    }

    fn check_patience(&self) -> Result<(), RunError> {
        if self.patience.image_timeout.is_zero() {
            return Err(RunError::Usage(
                "`image-timeout` is 0, in which no image is read\nhint: leave it out for 30 s, or give a \
                 long one, such as 1h"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), RunError> {
        let Target::File(output) = &self.target else { return Ok(()) };
        let labels = self.model.labels.as_ref().filter(|path| path.as_os_str() != NO_LABELS);
        let protected = [Some(&self.model.path), labels];
        let written = [Some(output), self.manifest.as_ref()];
        for written in written.into_iter().flatten() {
            let clash = protected.into_iter().flatten().chain(&self.inputs);
            if let Some(read) = clash.into_iter().find(|read| same_file(read, written)) {
                return Err(RunError::Usage(format!(
                    "{} would be overwritten, and the run reads it\nhint: choose another `output`",
                    read.display()
                )));
            }
        }
        if self.manifest.as_ref() == Some(output) {
            return Err(RunError::Usage("`output` and `manifest` are the same file".to_owned()));
        }
        Ok(())
    }
}

fn max_errors(
    most: Option<MaxErrors>,
    fail_fast: Option<bool>,
) -> Result<Option<MaxErrors>, RunError> {
    match (most, fail_fast) {
        (Some(most), Some(true)) if most != MaxErrors::Count(0) => Err(RunError::Usage(format!(
            "`fail-fast` stops at the first failed image, and `max-errors = {most}` does not\nhint: \
             leave one of them out"
        ))),
        (_, Some(true)) => Ok(Some(MaxErrors::Count(0))),
        (most, _) => Ok(most),
    }
}

/// Threads that the machine, or the container's quota, gives this process.
fn available_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A quarter of the memory that there is, and no more than [`DECODE_MEMORY`].
fn default_decode_memory() -> u64 {
    memory::limit().map_or(DECODE_MEMORY, |bytes| (bytes / 4).clamp(64 << 20, DECODE_MEMORY))
}

fn format_of(target: &Target) -> Format {
    match target {
        Target::File(path) if path.extension().is_some_and(|e| e == "jsonl" || e == "ndjson") => {
            Format::Jsonl
        }
        _ => Format::Csv,
    }
}

fn manifest_beside(target: &Target) -> Option<PathBuf> {
    match target {
        // Beside a device or pipe there is no place for it.
        Target::File(path) if fs::metadata(path).is_ok_and(|found| !found.is_file()) => None,
        Target::File(path) => Some(path.with_extension(RECORD)),
        Target::Stdout => None,
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let canonical = |path: &Path| -> io::Result<PathBuf> { fs::canonicalize(path) };
    matches!((canonical(a), canonical(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn job() -> Job {
        Job { inputs: Some(vec!["in".into()]), model: Some("m.onnx".into()), ..Job::default() }
    }

    #[test]
    fn the_output_decides_format_and_manifest() {
        let with =
            |output: &str| Config::resolve(Job { output: Some(output.into()), ..job() }).unwrap();
        let csv = with("out/a.csv");
        assert_eq!((csv.format, csv.manifest), (Format::Csv, Some("out/a.run.json".into())));
        assert_eq!(with("a.jsonl").format, Format::Jsonl);
        let stdout = with("-");
        assert_eq!((stdout.target, stdout.manifest), (Target::Stdout, None));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (job, key) in [
            (Job { inputs: None, ..job() }, "`inputs`"),
            (Job { inputs: Some(Vec::new()), ..job() }, "`inputs`"),
            (Job { model: None, ..job() }, "`model`"),
        ] {
            let error = Config::resolve(job).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn a_time_in_which_nothing_can_be_done_is_refused() {
        let job = Job { image_timeout: Some(crate::job::Span(Duration::ZERO)), ..job() };
        assert!(Config::resolve(job).unwrap_err().to_string().contains("image-timeout"));
    }

    #[test]
    fn absurdly_many_threads_are_refused_before_they_are_started() {
        for job in [
            Job { threads: NonZeroUsize::new(50_000), ..job() },
            Job { sessions: NonZeroUsize::new(2_000), ..job() },
        ] {
            assert!(Config::resolve(job).unwrap_err().to_string().contains("over 1024"));
        }
    }

    #[test]
    fn the_model_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m.onnx");
        fs::write(&model, b"x").unwrap();
        let job = Job { model: Some(model.clone()), output: Some(model), ..job() };
        assert!(Config::resolve(job).unwrap_err().to_string().contains("overwritten"));
    }
}
