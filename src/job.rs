//! What a run shall do: the job file and the flags, key by key as written. The only reader of
//! TOML.

use std::{
    env, fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{self, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::{device::Device, error::RunError, recipe::RecipeSpec};

mod evaluate;
mod values;

pub use evaluate::EvaluateSpec;
pub use values::{Deleted, Format, Incremental, LogFormat, MaxErrors, Span};

/// Defines [`Job`], its list of keys and its merging from one list, so that a key is said once.
macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $field:ident = $key:literal: $type:ty,)+) => {
        /// A job: every key of a job file. The flags of `classify` and `run` have the same names.
        ///
        /// `None` is "not said". Defaults are decided in [`crate::config`] alone.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Job {
            $(
                $(#[doc = $doc])+
                #[serde(rename = $key, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
            /// How images are prepared.
            #[serde(skip_serializing_if = "is_unsaid")]
            pub recipe: RecipeSpec,
            /// What shall be evaluated after the run.
            #[serde(skip_serializing_if = "EvaluateSpec::is_unsaid")]
            pub evaluate: EvaluateSpec,
        }

        impl Job {
            /// The keys of a job file.
            pub const KEYS: &[&str] = &[$($key,)+ "recipe", "evaluate"];

            /// Takes every key that `flags` sets, and keeps the others.
            #[must_use]
            pub fn overridden_by(self, flags: Self) -> Self {
                Self {
                    $($field: flags.$field.or(self.$field),)+
                    recipe: self.recipe.overridden_by(flags.recipe),
                    evaluate: if flags.evaluate.is_unsaid() { self.evaluate } else { flags.evaluate },
                }
            }
        }
    };
}

keys! {
    /// Folders and files to classify.
    inputs = "inputs": Vec<PathBuf>,
    /// Patterns of which a file must match one.
    include = "include": Vec<String>,
    /// Patterns of files and folders to leave out.
    exclude = "exclude": Vec<String>,
    /// Also names that begin with a dot.
    hidden = "hidden": bool,
    /// Also what symbolic links lead to.
    follow_symlinks = "follow-symlinks": bool,
    /// Rows for files that are no images, too.
    every_file = "every-file": bool,
    /// The ONNX model.
    model = "model": PathBuf,
    /// The tensor of a TensorFlow graph that images are fed to, when the graph reads files.
    model_input = "model-input": String,
    /// The model's output to read, when it has several.
    model_output = "model-output": String,
    /// Names of the classes.
    labels = "labels": PathBuf,
    /// Classes before the first label, such as 1 for a background class that the labels leave out;
    /// below zero, labels before the first class.
    label_offset = "label-offset": i64,
    /// Where the model runs.
    device = "device": Device,
    /// The ONNX Runtime library to load instead of the bundled one.
    onnxruntime = "onnxruntime": PathBuf,
    /// Images per model call.
    batch_size = "batch-size": NonZeroUsize,
    /// Processor threads.
    threads = "threads": NonZeroUsize,
    /// Copies of the model that run side by side.
    sessions = "sessions": NonZeroUsize,
    /// Classes per image in the output.
    top_k = "top-k": NonZeroUsize,
    /// The output file; `-` is standard output.
    output = "output": PathBuf,
    /// The output's format.
    format = "format": Format,
    /// The run manifest, when it is not to be beside the output.
    manifest = "manifest": PathBuf,
    /// Stop when more images than this have failed.
    max_errors = "max-errors": MaxErrors,
    /// Bytes of one image file.
    max_file_bytes = "max-file-bytes": NonZeroU64,
    /// Pixels of one image.
    max_pixels = "max-pixels": NonZeroU64,
    /// Bytes that all images being decoded may take together.
    decode_memory = "decode-memory": NonZeroU64,
    /// Nothing on stderr but errors.
    quiet = "quiet": bool,
    /// Seconds between progress lines when stderr is no terminal.
    progress_interval = "progress-interval": NonZeroU64,
    /// Stop at the first image that fails.
    fail_fast = "fail-fast": bool,
    /// Tries after a first one that failed for a reason that may pass, such as a network folder's.
    retries = "retries": u32,
    /// For reading, decoding and preparing one image.
    image_timeout = "image-timeout": Span,
    /// Decode in child processes, so that a crash costs one row.
    isolate = "isolate": bool,
    /// Leave files out that changed less than this ago.
    min_age = "min-age": Span,
    /// Classify only what is new or changed since the last complete run.
    incremental = "incremental": Incremental,
    /// What becomes of the rows of files that are gone, on an incremental run.
    deleted = "deleted": Deleted,
    /// Stop after this time, to be gone on with.
    stop_after = "stop-after": Span,
    /// Stop after this many images, to be gone on with.
    limit = "limit": NonZeroU64,
    /// For what is in flight when a signal or `stop-after` ends the run.
    grace = "grace": Span,
    /// An empty folder is a complete run.
    allow_empty = "allow-empty": bool,
    /// How messages look.
    log_format = "log-format": LogFormat,
    /// Where messages go besides stderr.
    log_file = "log-file": PathBuf,
    /// Where figures for Prometheus go.
    metrics_file = "metrics-file": PathBuf,
    /// Program and arguments to run after a complete run; the manifest's path is added.
    on_success = "on-success": Vec<String>,
    /// Program and arguments to run after any other; the manifest's path is added.
    on_failure = "on-failure": Vec<String>,
}

fn is_unsaid(recipe: &RecipeSpec) -> bool {
    *recipe == RecipeSpec::default()
}

impl Job {
    /// Reads a job file. Its relative paths are relative to its own folder.
    ///
    /// # Errors
    ///
    /// `Usage` when the file cannot be read, is no TOML, or has an unknown key or a bad value;
    /// the message names the file, the line and, for a key, the nearest known one.
    pub fn load(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(|error| {
            RunError::Usage(format!(
                "cannot read the job file {}: {error}\nhint: `linnaeus run` takes the path of a \
                 TOML file; see jobs/ for examples",
                path.display()
            ))
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let base = fs::canonicalize(folder.unwrap_or(Path::new(".")));
        let base = base.map_err(|error| {
            RunError::Usage(format!("cannot find the folder of {}: {error}", path.display()))
        })?;
        Self::parse(&text, path).map(|job| job.relative_to(&base))
    }

    /// Reads a job from `text`; `file` is named in messages.
    ///
    /// # Errors
    ///
    /// `Usage`, as for [`Job::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, RunError> {
        let place = |at: usize| format!("{}:{}", file.display(), line_of(text, at));
        let table = DeTable::parse(text).map_err(|error| bad_toml(&error, &place))?;
        check_keys(table.get_ref(), Self::KEYS, "", &place)?;
        if let Some(recipe) = table.get_ref().get("recipe").and_then(|r| r.get_ref().as_table()) {
            check_keys(recipe, &RecipeSpec::KEYS, " under `[recipe]`", &place)?;
        }
        let evaluate = table.get_ref().get("evaluate").and_then(|e| e.get_ref().as_table());
        if let Some(evaluate) = evaluate {
            check_keys(evaluate, &EvaluateSpec::KEYS, " under `[evaluate]`", &place)?;
        }
        toml::from_str(text).map_err(|error| bad_toml(&error, &place))
    }

    /// Makes every path in the job absolute, or relative to the current folder when it lies below
    /// that, given that they were relative to `base`, a canonical path.
    #[must_use]
    pub fn relative_to(mut self, base: &Path) -> Self {
        self.paths_mut().for_each(|path| *path = joined(base, path));
        // Never shortened to a bare name, which would be looked for in `PATH`.
        self.programs_mut(|program| base.join(program));
        self
    }

    /// Makes every path absolute, so that the job means the same wherever its file is put.
    #[must_use]
    pub fn with_absolute_paths(mut self) -> Self {
        for path in self.paths_mut() {
            // Only an empty path, or a current folder that is gone, has no absolute form.
            *path = path::absolute(&*path).unwrap_or_else(|_| path.clone());
        }
        self.programs_mut(|program| path::absolute(program).unwrap_or_else(|_| program.into()));
        self
    }

    /// Changes the programs of hooks that are relative paths; a bare name is looked for in `PATH`.
    fn programs_mut(&mut self, change: impl Fn(&Path) -> PathBuf) {
        let hooks = [&mut self.on_success, &mut self.on_failure].into_iter().flatten();
        for program in hooks.filter_map(|hook| hook.first_mut()) {
            let path = Path::new(&*program);
            if path.is_relative()
                && path.components().count() > 1
                && let Ok(changed) = change(path).into_os_string().into_string()
            {
                *program = changed;
            }
        }
    }

    /// Every path in the job but `-`, which stands for standard output, and `none`, for no labels.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let single = [
            &mut self.model,
            &mut self.labels,
            &mut self.onnxruntime,
            &mut self.output,
            &mut self.manifest,
            &mut self.log_file,
            &mut self.metrics_file,
        ];
        let all = single.into_iter().flatten().chain(self.inputs.iter_mut().flatten());
        let all = all.chain(self.evaluate.paths_mut());
        all.filter(|path| path.as_os_str() != "-" && path.as_os_str() != "none")
    }

    /// The job as a job file.
    ///
    /// # Errors
    ///
    /// `Usage` when a path is not UTF-8, which TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, RunError> {
        toml::to_string(self)
            .map_err(|error| RunError::Usage(format!("the job cannot be written as TOML: {error}")))
    }
}

/// `path` as seen from `base`. A leading `..` goes up from `base`, which has no links to be taken
/// into account; the rest stays as it was written.
fn joined(base: &Path, path: &Path) -> PathBuf {
    let mut base = base.to_owned();
    let mut rest = path;
    while let Ok(below) = rest.strip_prefix("..") {
        base.pop();
        rest = below;
    }
    let whole = base.join(rest);
    if path.is_absolute() {
        return whole;
    }
    // The shorter spelling, which is what a person wrote or would have written.
    let here = env::current_dir().and_then(fs::canonicalize);
    match here.map(|here| whole.strip_prefix(here).map(Path::to_owned)) {
        Ok(Ok(below)) if !below.as_os_str().is_empty() => below,
        _ => whole,
    }
}

fn check_keys(
    table: &DeTable<'_>,
    known: &[&str],
    whereabouts: &str,
    place: &dyn Fn(usize) -> String,
) -> Result<(), RunError> {
    let unknown = table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
    let Some(unknown) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
    let name = unknown.get_ref();
    if !whereabouts.is_empty() && Job::KEYS.contains(&name.as_ref()) {
        return Err(RunError::Usage(format!(
            "{}: unknown key `{name}`{whereabouts}\nhint: it is a key of the job: put it above the \
             first line in brackets",
            place(unknown.span().start)
        )));
    }
    let distance = |key: &&&str| strsim::damerau_levenshtein(key, name);
    let nearest = known.iter().min_by_key(distance).expect("there are known keys");
    Err(RunError::Usage(format!(
        "{}: unknown key `{name}`{whereabouts}\nhint: the nearest key is `{nearest}`; the keys \
         are {}",
        place(unknown.span().start),
        known.join(", ")
    )))
}

fn bad_toml(error: &toml::de::Error, place: &dyn Fn(usize) -> String) -> RunError {
    let at = error.span().map_or(0, |span| span.start);
    RunError::Usage(format!("{}: {}", place(at), error.message()))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Job, RunError> {
        Job::parse(text, Path::new("jobs/a.toml"))
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        for (text, wanted) in [
            ("model = 'm'\nbatchsize = 3\n", ["jobs/a.toml:2", "`batchsize`", "`batch-size`"]),
            ("model = 'm'\n\n[recipe]\nmeen = 1\n", ["jobs/a.toml:4", "`meen`", "`mean`"]),
            ("[evaluate]\ntruht = 'a'\n", ["jobs/a.toml:2", "`truht`", "`truth`"]),
            ("[recipe]\ntop-k = 1\nlabels = 'a'", ["jobs/a.toml:2", "`top-k`", "above"]),
        ] {
            let message = parse(text).unwrap_err().to_string();
            for word in wanted {
                assert!(message.contains(word), "{word} in: {message}");
            }
        }
    }

    #[test]
    fn a_bad_value_names_its_line() {
        for (text, line, word) in [
            ("top-k = 0\n", 1, "nonzero"),
            ("\ndevice = 'gpu'\n", 2, "cuda"),
            ("[recipe]\nresize = 'big'\n", 2, "shorter-side"),
            ("model = \n", 1, ""),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(&format!("a.toml:{line}")), "{message}");
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn flags_win_and_paths_follow_the_job_file() {
        let job =
            parse("inputs = ['../in']\noutput = '-'\ntop-k = 3\n[recipe]\nscale = 1\n").unwrap();
        let job = job.relative_to(Path::new("/a/jobs"));
        assert_eq!(job.inputs, Some(vec!["/a/in".into()]));
        assert_eq!(job.output, Some("-".into()));
        let hooks = parse("on-success = ['bin/a', 'b/c']\non-failure = ['mail', 'b/c']\n").unwrap();
        let hooks = hooks.relative_to(Path::new("/a/jobs"));
        assert_eq!(hooks.on_success.unwrap(), ["/a/jobs/bin/a", "b/c"]);
        assert_eq!(hooks.on_failure.unwrap(), ["mail", "b/c"]);
        let flags = Job { top_k: NonZeroUsize::new(5), ..Job::default() };
        let both = job.overridden_by(flags);
        assert_eq!(both.top_k.unwrap().get(), 5);
        assert_eq!(both.recipe.scale.unwrap().to_string(), "1");
    }

    #[test]
    fn a_job_reads_back_what_it_prints_and_every_key_is_listed() {
        let text = "inputs = ['a']\ninclude = ['*.jpg']\nexclude = ['t']\nhidden = true\n\
                    follow-symlinks = true\nevery-file = true\nmodel = 'm'\nmodel-output = 'o'\nmodel-input = 'n'\n\
                    labels = 'l'\nlabel-offset = 1\ndevice = 'cuda:1'\nonnxruntime = 'r'\nbatch-size = 4\n\
                    threads = 2\nsessions = 1\ntop-k = 5\noutput = 'o.csv'\nformat = 'csv'\n\
                    manifest = 'r.json'\nmax-errors = 0\nmax-file-bytes = 1\nmax-pixels = 2\n\
                    decode-memory = 3\nquiet = true\nprogress-interval = 9\nfail-fast = false\n\
                    retries = 0\nimage-timeout = '30s'\nisolate = true\nmin-age = '2m'\n\
                    incremental = 'content'\ndeleted = 'keep'\nstop-after = '5h 30m'\n\
                    limit = 9\ngrace = '20s'\nallow-empty = true\nlog-format = 'json'\n\
                    log-file = 'l'\nmetrics-file = 'm.prom'\non-success = ['a', '-b']\n\
                    on-failure = ['c']\n[recipe]\n\
                    mean = [0.485, 0.456, 0.406]\nscale = '1/255'\n[evaluate]\n\
                    truth = 't.csv'\nthumbnails = 0\n";
        let job = parse(text).unwrap();
        let printed = job.to_toml().unwrap();
        assert_eq!(parse(&printed).unwrap(), job, "{printed}");
        let table: toml::Table = printed.parse().unwrap();
        let keys: Vec<_> = table.keys().map(String::as_str).collect();
        let mut listed = Job::KEYS.to_vec();
        listed.sort_unstable();
        let mut sorted = keys;
        sorted.sort_unstable();
        assert_eq!(sorted, listed);
    }
}
