//! Commands and flags: types and help texts, no defaults, no logic.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{
    Parser, Subcommand, ValueHint,
    builder::styling::{AnsiColor, Styles},
};
use clap_complete::Shell;

mod options;
mod reports;

pub(crate) use options::{Options, Using};
pub(crate) use reports::{Compare, Evaluate};

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
        /// The JSON of `evaluate`'s report on this model, whose fitted temperature the package gets
        #[arg(long, value_name = "REPORT.json", value_hint = ValueHint::FilePath, conflicts_with = "temperature")]
        temperature_from: Option<PathBuf>,
        #[command(flatten)]
        using: Box<Using>,
    },
    /// Make an ONNX model of a Keras model or TensorFlow graph: .keras, .h5, .pb, `SavedModel`
    #[command(after_help = FREEZE_EXAMPLES)]
    Freeze {
        /// The Keras model or TensorFlow graph
        #[arg(value_hint = ValueHint::AnyPath)]
        model: PathBuf,
        /// The file to write
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// An image and the label or index of its class; checked now, and before every run
        #[arg(long, value_name = "IMAGE=LABEL")]
        golden: Vec<String>,
        /// A tensor as Keras was fed and what Keras answered, as numpy.save writes them
        #[arg(long, value_name = "X.npy=Y.npy")]
        verify: Vec<String>,
        /// The network alone, without recipe and labels
        #[arg(long, conflicts_with = "golden")]
        bare: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
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
    /// Say what saved predictions are worth: a page with figures and images, and tables
    #[command(after_help = reports::EVALUATE_EXAMPLES)]
    Evaluate(Box<Evaluate>),
    /// Say whether a second run is better than a first on the same images
    #[command(after_help = reports::COMPARE_EXAMPLES)]
    Compare(Box<Compare>),
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
    /// Prepare images for the process that started this one; what `--isolate` runs
    #[command(hide = true)]
    PrepareImages,
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
      --preset torchvision/resnet50-imagenet1k_v2 --golden elephant.jpg='African elephant'
  linnaeus pack model.onnx -o calibrated.onnx --temperature-from report.json";

const FREEZE_EXAMPLES: &str = "\
Examples:
  linnaeus freeze inception_v3.h5 -o inception_v3.onnx --labels imagenet_classes.txt
  linnaeus freeze digits.keras -o digits.onnx --scale 1/255 --golden seven.png=7
  linnaeus freeze mine.keras -o mine.onnx --verify images.npy=scores.npy";

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
