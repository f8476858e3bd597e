//! The flags that commands share, and the jobs that they make.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use clap::{Args, ValueHint};
use linnaeus::{
    device::Device,
    geometry::Size,
    job::{Deleted, Format, Incremental, Job, LogFormat, MaxErrors, Span},
    recipe::{
        Activation, Alpha, Channels, Crop, Deep, Interpolation, Kernel, Layout, Orientation,
        PerChannel, RecipeSpec, Resize, Scale, Temperature,
    },
};

/// What `run` and `classify` share: every key of a job file, and two ways not to run it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Check everything and say what would be done, without reading an image
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Throw away what an earlier run that did not end left, instead of going on with it
    #[arg(long)]
    pub(crate) restart: bool,
    /// Print the job that these flags make, as a job file
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) print_job: bool,
    #[command(flatten)]
    files: Files,
    /// The ONNX model, or the folder that it comes in
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = "Model and device")]
    model: Option<PathBuf>,
    #[command(flatten)]
    using: ModelFlags,
    #[command(flatten)]
    recipe: RecipeFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    failures: FailureFlags,
    #[command(flatten)]
    nights: NightFlags,
    #[command(flatten)]
    telling: TellingFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which files")]
struct Files {
    /// Only files matching this pattern; a pattern without `/` matches names in any folder
    #[arg(long, value_name = "GLOB")]
    include: Option<Vec<String>>,
    /// Leave out files and folders matching this pattern
    #[arg(long, value_name = "GLOB")]
    exclude: Option<Vec<String>>,
    /// Also names that begin with a dot
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    hidden: Option<bool>,
    /// Also what symbolic links lead to
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    follow_symlinks: Option<bool>,
    /// A row for every file, also for those that are no images
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    every_file: Option<bool>,
    /// Leave files out that changed less than this ago, such as 2m [default: none]
    #[arg(long, value_name = "TIME")]
    min_age: Option<Span>,
}

/// A model's labels, device and recipe, for the commands that take the model itself by its place.
#[derive(Debug, Args)]
pub(crate) struct Using {
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    recipe: RecipeFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model and device")]
struct ModelFlags {
    /// The tensor of a TensorFlow graph that images are fed to, when the graph reads files itself
    #[arg(long, value_name = "NAME")]
    model_input: Option<String>,
    /// The model's output to read, when it has several
    #[arg(long, value_name = "NAME")]
    model_output: Option<String>,
    /// Names of the classes: one per line, synset.txt, or JSON; `none` for none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    labels: Option<PathBuf>,
    /// Classes before the first label, such as 1 for a background class [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    label_offset: Option<i64>,
    /// cpu, cuda, cuda:N or auto [default: cpu]
    #[arg(long)]
    device: Option<Device>,
    /// The ONNX Runtime library to load, instead of the one in this program
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    onnxruntime: Option<PathBuf>,
    /// Images per model call [default: 8, on a GPU 64; the model may fix it]
    #[arg(long, value_name = "N")]
    batch_size: Option<NonZeroUsize>,
    /// Processor threads [default: all]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Copies of the model side by side [default: one per thread while memory allows]
    #[arg(long, value_name = "N")]
    sessions: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe: how images are prepared, as the model was trained")]
struct RecipeFlags {
    /// A recipe by name; `linnaeus presets` lists them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Height and width of the model's input, when it leaves them open: 224 or 240x320
    #[arg(long)]
    size: Option<Size>,
    /// none, squash [SIZE], 'shorter-side N', cover, fit, center-square, aspect-crop, aspect-box…
    #[arg(long)]
    resize: Option<Resize>,
    /// nearest, box, bilinear, hamming, bicubic, lanczos or area
    #[arg(long, value_name = "FILTER")]
    interpolation: Option<Interpolation>,
    /// Whose resampling, bit for bit [default: pillow-13]
    #[arg(long)]
    kernel: Option<Kernel>,
    /// none, center, 'center floor', 'center halves' or top-left [default: as the resize needs]
    #[arg(long)]
    crop: Option<Crop>,
    /// Bytes of the padding around small images: one number, or one per channel [default: 0]
    #[arg(long)]
    fill: Option<PerChannel>,
    /// What a byte becomes: 1/255, 1/127.5-1, 1, or another factor
    #[arg(long)]
    scale: Option<Scale>,
    /// Subtracted after scaling: one number, or one per channel with commas [default: 0]
    #[arg(long, allow_hyphen_values = true)]
    mean: Option<PerChannel>,
    /// Divided by after that [default: 1]
    #[arg(long)]
    std: Option<PerChannel>,
    /// rgb, bgr or gray [default: rgb, or gray for a model with one channel]
    #[arg(long)]
    channels: Option<Channels>,
    /// nchw or nhwc, when the model's shape leaves it open
    #[arg(long)]
    layout: Option<Layout>,
    /// ignore or apply the EXIF orientation [default: ignore, as most training pipelines]
    #[arg(long)]
    exif: Option<Orientation>,
    /// drop transparency, or put it on white or black [default: drop]
    #[arg(long)]
    alpha: Option<Alpha>,
    /// 16-bit samples: high-byte, or clip as Pillow does for gray [default: high-byte]
    #[arg(long)]
    deep: Option<Deep>,
    /// softmax, sigmoid or none [default: detected on the first batch, and said]
    #[arg(long)]
    activation: Option<Activation>,
    /// Divide logits by this before the softmax, as `evaluate` fits it [default: the model's, or 1]
    #[arg(long, value_name = "T")]
    temperature: Option<Temperature>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputFlags {
    /// The output file; `-` is standard output [default: -]
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// csv or jsonl [default: by the output's extension]
    #[arg(long)]
    format: Option<Format>,
    /// Classes per image [default: 1]
    #[arg(long, short = 'k', value_name = "K")]
    top_k: Option<NonZeroUsize>,
    /// The run manifest [default: NAME.run.json beside the output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    manifest: Option<PathBuf>,
    /// Nothing on stderr but errors
    #[arg(long, short, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    quiet: Option<bool>,
    /// Seconds between progress lines when stderr is no terminal [default: 30]
    #[arg(long, value_name = "SECONDS")]
    progress_interval: Option<NonZeroU64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Bytes of one image file [default: 256 MiB]
    #[arg(long, value_name = "BYTES")]
    max_file_bytes: Option<NonZeroU64>,
    /// Pixels of one image [default: 178956970]
    #[arg(long, value_name = "PIXELS")]
    max_pixels: Option<NonZeroU64>,
    /// Bytes for all images being decoded [default: 2 GiB, at most a quarter of the memory]
    #[arg(long, value_name = "BYTES")]
    decode_memory: Option<NonZeroU64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When images fail")]
struct FailureFlags {
    /// Stop when more images than this have failed: a number, or a share such as 2% [default: never]
    #[arg(long, value_name = "N|P%")]
    max_errors: Option<MaxErrors>,
    /// Stop at the first image that fails
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    fail_fast: Option<bool>,
    /// Tries after a first one that failed for a reason that may pass [default: 3]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// For reading, decoding and preparing one image [default: 30s]
    #[arg(long, value_name = "TIME")]
    image_timeout: Option<Span>,
    /// Decode in child processes, so that a crash costs one row
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    isolate: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Every night")]
struct NightFlags {
    /// Classify only what is new or changed since the last complete run, by time stamp and size;
    /// `content` compares the bytes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL|content")]
    incremental: Option<Incremental>,
    /// Rows of files that are gone: drop or keep [default: drop]
    #[arg(long)]
    deleted: Option<Deleted>,
    /// Stop after this time; the same command goes on
    #[arg(long, value_name = "TIME")]
    stop_after: Option<Span>,
    /// Stop after this many images; the same command goes on
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// For what is in flight when the run is to stop [default: 20s]
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// A folder without an image is a complete run
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    allow_empty: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Who hears of it")]
struct TellingFlags {
    /// text, or json for one object per line [default: text]
    #[arg(long)]
    log_format: Option<LogFormat>,
    /// Messages go here too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    log_file: Option<PathBuf>,
    /// Figures for Prometheus' textfile collector
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    metrics_file: Option<PathBuf>,
    /// A program to run after a complete run, and with further flags its arguments; the path of the
    /// run manifest is added
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true)]
    on_success: Option<Vec<String>>,
    /// The same after any other run
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true)]
    on_failure: Option<Vec<String>>,
}

impl Options {
    /// The flags as a job in which only what was typed is set.
    pub(crate) fn into_job(self, inputs: Vec<PathBuf>) -> Job {
        // Destructured so that a new flag cannot be forgotten here.
        let Self { files, model, using, recipe, output, limits, failures, nights, telling, .. } =
            self;
        let Files { include, exclude, hidden, follow_symlinks, every_file, min_age } = files;
        let OutputFlags { output, format, top_k, manifest, quiet, progress_interval } = output;
        let LimitFlags { max_file_bytes, max_pixels, decode_memory } = limits;
        let FailureFlags { max_errors, fail_fast, retries, image_timeout, isolate } = failures;
        let NightFlags { incremental, deleted, stop_after, limit, grace, allow_empty } = nights;
        let TellingFlags { log_format, log_file, metrics_file, on_success, on_failure } = telling;
        Job {
            inputs: (!inputs.is_empty()).then_some(inputs),
            include,
            exclude,
            hidden,
            follow_symlinks,
            every_file,
            min_age,
            model,
            top_k,
            output,
            format,
            manifest,
            max_file_bytes,
            max_pixels,
            decode_memory,
            quiet,
            progress_interval,
            max_errors,
            fail_fast,
            retries,
            image_timeout,
            isolate,
            incremental,
            deleted,
            stop_after,
            limit,
            grace,
            allow_empty,
            log_format,
            log_file,
            metrics_file,
            on_success,
            on_failure,
            recipe: recipe.into_spec(),
            ..using.into_job()
        }
    }
}

impl Using {
    /// The flags as a job for `model`.
    pub(crate) fn into_job(self, model: PathBuf) -> Job {
        let Self { model: using, recipe } = self;
        Job { model: Some(model), recipe: recipe.into_spec(), ..using.into_job() }
    }
}

impl ModelFlags {
    fn into_job(self) -> Job {
        let Self {
            model_input,
            model_output,
            labels,
            label_offset,
            device,
            onnxruntime,
            batch_size,
            threads,
            sessions,
        } = self;
        Job {
            model_input,
            model_output,
            labels,
            label_offset,
            device,
            onnxruntime,
            batch_size,
            threads,
            sessions,
            ..Job::default()
        }
    }
}

impl RecipeFlags {
    fn into_spec(self) -> RecipeSpec {
        let Self {
            preset,
            size,
            resize,
            interpolation,
            kernel,
            crop,
            fill,
            scale,
            mean,
            std,
            channels,
            layout,
            exif,
            alpha,
            deep,
            activation,
            temperature,
        } = self;
        RecipeSpec {
            preset,
            size,
            resize,
            interpolation,
            kernel,
            crop,
            fill,
            scale,
            mean,
            std,
            channels,
            layout,
            exif,
            alpha,
            deep,
            activation,
            temperature,
        }
    }
}
