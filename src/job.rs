//! What a run shall do: the job file and the flags, key by key as written. The only reader of
//! TOML.

use std::{
    env, fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{self, Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::{
    device::Device,
    error::RunError,
    recipe::{RecipeSpec, as_text},
};

/// A job: every key of a job file. The flags of `classify` and `run` have the same names.
///
/// `None` is "not said". Defaults are decided in [`crate::config`] alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    /// Folders and files to classify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<PathBuf>>,
    /// Patterns of which a file must match one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// Patterns of files and folders to leave out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// Also names that begin with a dot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Also what symbolic links lead to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_symlinks: Option<bool>,
    /// Rows for files that are no images, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_file: Option<bool>,
    /// The ONNX model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The model's output to read, when it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_output: Option<String>,
    /// Names of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Classes before the first label, such as 1 for a background class that the labels leave out;
    /// below zero, labels before the first class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_offset: Option<i64>,
    /// Where the model runs.
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none", default)]
    pub device: Option<Device>,
    /// The ONNX Runtime library to load instead of the bundled one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onnxruntime: Option<PathBuf>,
    /// Images per model call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<NonZeroUsize>,
    /// Processor threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroUsize>,
    /// Copies of the model that run side by side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<NonZeroUsize>,
    /// Classes per image in the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<NonZeroUsize>,
    /// The output file; `-` is standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The output's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The run manifest, when it is not to be beside the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// Stop when more images than this have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u64>,
    /// Bytes of one image file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_bytes: Option<NonZeroU64>,
    /// Pixels of one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<NonZeroU64>,
    /// Bytes that all images being decoded may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_memory: Option<NonZeroU64>,
    /// Nothing on stderr but errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<bool>,
    /// Seconds between progress lines when stderr is no terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_interval: Option<NonZeroU64>,
    /// How images are prepared.
    #[serde(skip_serializing_if = "is_unsaid", default)]
    pub recipe: RecipeSpec,
}

fn is_unsaid(recipe: &RecipeSpec) -> bool {
    *recipe == RecipeSpec::default()
}

/// The output's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object per line.
    Jsonl,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err(format!("`format = \"{text}\"` is not known; write csv or jsonl")),
        }
    }
}

impl Job {
    /// The keys of a job file.
    pub const KEYS: [&str; 26] = [
        "inputs",
        "include",
        "exclude",
        "hidden",
        "follow-symlinks",
        "every-file",
        "model",
        "model-output",
        "labels",
        "label-offset",
        "device",
        "onnxruntime",
        "batch-size",
        "threads",
        "sessions",
        "top-k",
        "output",
        "format",
        "manifest",
        "max-errors",
        "max-file-bytes",
        "max-pixels",
        "decode-memory",
        "quiet",
        "progress-interval",
        "recipe",
    ];

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
        check_keys(table.get_ref(), &Self::KEYS, "", &place)?;
        if let Some(recipe) = table.get_ref().get("recipe").and_then(|r| r.get_ref().as_table()) {
            check_keys(recipe, &RecipeSpec::KEYS, " under `[recipe]`", &place)?;
        }
        toml::from_str(text).map_err(|error| bad_toml(&error, &place))
    }

    /// Makes every path in the job absolute, or relative to the current folder when it lies below
    /// that, given that they were relative to `base`, a canonical path.
    #[must_use]
    pub fn relative_to(mut self, base: &Path) -> Self {
        self.paths_mut().for_each(|path| *path = joined(base, path));
        self
    }

    /// Makes every path absolute, so that the job means the same wherever its file is put.
    #[must_use]
    pub fn with_absolute_paths(mut self) -> Self {
        for path in self.paths_mut() {
            // Only an empty path, or a current folder that is gone, has no absolute form.
            *path = path::absolute(&*path).unwrap_or_else(|_| path.clone());
        }
        self
    }

    /// Every path in the job but `-`, which stands for standard output.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let single = [
            &mut self.model,
            &mut self.labels,
            &mut self.onnxruntime,
            &mut self.output,
            &mut self.manifest,
        ];
        let all = single.into_iter().flatten().chain(self.inputs.iter_mut().flatten());
        all.filter(|path| path.as_os_str() != "-")
    }

    /// Takes every key that `flags` sets, and keeps the others.
    #[must_use]
    pub fn overridden_by(self, flags: Self) -> Self {
        Self {
            inputs: flags.inputs.or(self.inputs),
            include: flags.include.or(self.include),
            exclude: flags.exclude.or(self.exclude),
            hidden: flags.hidden.or(self.hidden),
            follow_symlinks: flags.follow_symlinks.or(self.follow_symlinks),
            every_file: flags.every_file.or(self.every_file),
            model: flags.model.or(self.model),
            model_output: flags.model_output.or(self.model_output),
            labels: flags.labels.or(self.labels),
            label_offset: flags.label_offset.or(self.label_offset),
            device: flags.device.or(self.device),
            onnxruntime: flags.onnxruntime.or(self.onnxruntime),
            batch_size: flags.batch_size.or(self.batch_size),
            threads: flags.threads.or(self.threads),
            sessions: flags.sessions.or(self.sessions),
            top_k: flags.top_k.or(self.top_k),
            output: flags.output.or(self.output),
            format: flags.format.or(self.format),
            manifest: flags.manifest.or(self.manifest),
            max_errors: flags.max_errors.or(self.max_errors),
            max_file_bytes: flags.max_file_bytes.or(self.max_file_bytes),
            max_pixels: flags.max_pixels.or(self.max_pixels),
            decode_memory: flags.decode_memory.or(self.decode_memory),
            quiet: flags.quiet.or(self.quiet),
            progress_interval: flags.progress_interval.or(self.progress_interval),
            recipe: self.recipe.overridden_by(flags.recipe),
        }
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
    let Some(unknown) = table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) else {
        return Ok(());
    };
    let name = unknown.get_ref();
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
        let flags = Job { top_k: NonZeroUsize::new(5), ..Job::default() };
        let both = job.overridden_by(flags);
        assert_eq!(both.top_k.unwrap().get(), 5);
        assert_eq!(both.recipe.scale.unwrap().to_string(), "1");
    }

    #[test]
    fn a_job_reads_back_what_it_prints_and_every_key_is_listed() {
        let text = "inputs = ['a']\ninclude = ['*.jpg']\nexclude = ['t']\nhidden = true\n\
                    follow-symlinks = true\nevery-file = true\nmodel = 'm'\nmodel-output = 'o'\n\
                    labels = 'l'\nlabel-offset = 1\ndevice = 'cuda:1'\nonnxruntime = 'r'\nbatch-size = 4\n\
                    threads = 2\nsessions = 1\ntop-k = 5\noutput = 'o.csv'\nformat = 'csv'\n\
                    manifest = 'r.json'\nmax-errors = 0\nmax-file-bytes = 1\nmax-pixels = 2\n\
                    decode-memory = 3\nquiet = true\nprogress-interval = 9\n[recipe]\n\
                    mean = [0.485, 0.456, 0.406]\nscale = '1/255'\n";
        let job = parse(text).unwrap();
        let printed = job.to_toml().unwrap();
        assert_eq!(parse(&printed).unwrap(), job, "{printed}");
        let table: toml::Table = printed.parse().unwrap();
        let keys: Vec<_> = table.keys().map(String::as_str).collect();
        let mut listed = Job::KEYS;
        listed.sort_unstable();
        let mut sorted = keys;
        sorted.sort_unstable();
        assert_eq!(sorted, listed);
    }
}
