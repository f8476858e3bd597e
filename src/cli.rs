//! Commands and flags: types and help texts, no defaults, no logic.

use std::{num::NonZeroU64, num::NonZeroUsize, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueHint,
    builder::styling::{AnsiColor, Styles},
};
use clap_complete::Shell;
use linnaeus::{
    device::Device,
    geometry::Size,
    job::{Format, Job},
    recipe::{
        Activation, Alpha, Channels, Crop, Deep, Interpolation, Kernel, Layout, Orientation,
        PerChannel, RecipeSpec, Resize, Scale,
    },
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Names and sorts a folder of images with an ONNX model.
#[derive(Debug, Parser)]
#[command(version, styles = STYLES, max_term_width = 100, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 every image has a prediction · 3 some images failed, the output says which · 4 no
image found · 2 usage · 10 model, recipe or runtime · 74 output · 130 Ctrl-C.
`linnaeus exit-codes` lists them all.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a job file; flags win over its keys
    #[command(after_help = RUN_EXAMPLES)]
    Run {
        /// The job file, TOML
        #[arg(value_hint = ValueHint::FilePath)]
        job: PathBuf,
        /// Folders and files, instead of the job's
        #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        inputs: Vec<PathBuf>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Classify folders and files, without a job file
    #[command(after_help = CLASSIFY_EXAMPLES)]
    Classify {
        /// Folders and files
        #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        inputs: Vec<PathBuf>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Show what a model file says: input, output, recipe and the evidence for it, labels
    #[command(after_help = "Example: linnaeus inspect model.onnx --json")]
    Inspect {
        /// The model file, or the folder that it comes in
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        using: Box<Using>,
    },
    /// Find out which recipe a model was trained with, by trying the usual ones
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// The model file, or the folder that it comes in
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// Folders and files with images, 16 or more
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        images: Vec<PathBuf>,
        /// A folder with a folder of images for each class
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, conflicts_with_all = ["truth", "images"])]
        labelled: Option<PathBuf>,
        /// A CSV with a column `path` and a column `label` or `index`
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "images")]
        truth: Option<PathBuf>,
        /// Images that are tried, spread over all that there are [default: 200]
        #[arg(long, value_name = "N")]
        most: Option<NonZeroUsize>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        using: Box<Using>,
    },
    /// Write a model that carries its recipe, labels and proofs with it
    #[command(after_help = PACK_EXAMPLES)]
    Pack {
        /// The model file, or the folder that it comes in
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// The file to write
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// An image and the label or index of its class; checked now, and before every run
        #[arg(long, value_name = "IMAGE=LABEL")]
        golden: Vec<String>,
        #[command(flatten)]
        using: Box<Using>,
    },
    /// Write the exact tensor that a model gets for an image, as a .npy file
    #[command(after_help = TENSOR_EXAMPLES)]
    Tensor {
        /// The image
        #[arg(value_hint = ValueHint::FilePath)]
        image: PathBuf,
        /// The model file, or the folder that it comes in
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// The file to write
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        #[command(flatten)]
        using: Box<Using>,
    },
    /// Compare two tensors in .npy files; exit status 3 when they differ
    TensorDiff {
        /// One tensor
        #[arg(value_hint = ValueHint::FilePath)]
        a: PathBuf,
        /// The other
        #[arg(value_hint = ValueHint::FilePath)]
        b: PathBuf,
        /// Largest difference that counts as none
        #[arg(long, value_name = "X", default_value_t = 0.0)]
        tolerance: f32,
    },
    /// List the recipes that have names, or show one
    Presets {
        /// One of them, to be shown as lines of a job file
        name: Option<String>,
    },
    /// Show the ONNX Runtime that would be loaded, or install one for GPUs
    Runtime {
        #[command(subcommand)]
        action: Option<RuntimeAction>,
        /// The library to look at, instead of the one that would be chosen
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        onnxruntime: Option<PathBuf>,
    },
    /// Print the licences of what is inside this program
    Licenses,
    /// List the exit statuses
    ExitCodes,
    /// Print completions for a shell
    #[command(
        after_help = "Example: linnaeus completions bash > ~/.local/share/bash-completion/completions/linnaeus"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  linnaeus run jobs/digits.toml
  linnaeus run jobs/nightly.toml --quiet
  linnaeus run jobs/nightly.toml --dry-run          what would be done
  linnaeus run jobs/nightly.toml --top-k 5 -o -     rows to the terminal";

const CLASSIFY_EXAMPLES: &str = "\
Examples:
  linnaeus classify photos --model mobilenet.onnx --labels synset.txt -o out.csv \\
      --resize 'shorter-side 256' --interpolation bilinear --scale 1/255 \\
      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  linnaeus classify photos --model quantised.onnx --resize squash --interpolation bilinear
  linnaeus classify photos --model m.onnx … --print-job > jobs/photos.toml";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  linnaeus doctor model.onnx photos                         advisory, without labels
  linnaeus doctor model.onnx --labelled validation --labels labels.txt
  linnaeus doctor model.onnx --truth truth.csv --most 500";

const PACK_EXAMPLES: &str = "\
Example:
  linnaeus pack model.onnx -o packed.onnx --labels synset.txt \\
      --preset torchvision/resnet50-imagenet1k_v2 --golden elephant.jpg='African elephant'";

const TENSOR_EXAMPLES: &str = "\
Example: what linnaeus feeds, beside what your Python feeds
  linnaeus tensor cat.jpg --model model.onnx -o ours.npy
  python -c 'import numpy; numpy.save(\"theirs.npy\", my_preprocessing(\"cat.jpg\"))'
  linnaeus tensor-diff ours.npy theirs.npy";

#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeAction {
    /// Fetch a runtime into your data folder
    Install {
        #[command(subcommand)]
        what: Installable,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Installable {
    /// ONNX Runtime for NVIDIA GPUs with the CUDA and cuDNN libraries it needs (some GB, through pip)
    Cuda {
        /// The folder, instead of the usual one; give it to runs with `--onnxruntime`
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
        /// Only list what would be fetched
        #[arg(long)]
        dry_run: bool,
    },
}

/// What `run` and `classify` share: every key of a job file, and two ways not to run it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Check everything and say what would be done, without reading an image
    #[arg(long)]
    pub(crate) dry_run: bool,
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
    /// Stop when more images than this have failed; 0 stops at the first [default: never]
    #[arg(long, value_name = "N")]
    max_errors: Option<u64>,
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

impl Options {
    /// The flags as a job in which only what was typed is set.
    pub(crate) fn into_job(self, inputs: Vec<PathBuf>) -> Job {
        // Destructured so that a new flag cannot be forgotten here.
        let Self { files, model, using, recipe, output, limits, dry_run: _, print_job: _ } = self;
        let Files { include, exclude, hidden, follow_symlinks, every_file } = files;
        let OutputFlags { output, format, top_k, manifest, quiet, progress_interval } = output;
        let LimitFlags { max_errors, max_file_bytes, max_pixels, decode_memory } = limits;
        Job {
            inputs: (!inputs.is_empty()).then_some(inputs),
            include,
            exclude,
            hidden,
            follow_symlinks,
            every_file,
            model,
            top_k,
            output,
            format,
            manifest,
            max_errors,
            max_file_bytes,
            max_pixels,
            decode_memory,
            quiet,
            progress_interval,
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
        }
    }
}
