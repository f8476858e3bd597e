//! Flags of the commands that look at saved predictions.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, ValueHint};
use linnaeus::{job::EvaluateSpec, saved_run::Given};

pub(super) const EVALUATE_EXAMPLES: &str = "\
Examples:
  linnaeus evaluate out/digits.csv --truth folders -o out/digits.report.html
  linnaeus evaluate photos.csv --truth truth.csv -o report.html --gate 'top1 >= 0.75 @ 95%'
  linnaeus evaluate val.csv --truth 'pattern:{wnid}_*.JPEG' --labels synset.txt -o val.html";

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  linnaeus compare yesterday.csv tonight.csv -o compare.html
  linnaeus compare old.csv new.csv --truth truth.csv -o compare.html \\
      --gate 'top1_drop <= 0.005 @ 95%'";

/// `linnaeus evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The predictions, as `run` or `classify` wrote them
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) predictions: PathBuf,
    #[command(flatten)]
    pub(crate) about: TruthFlags,
    /// The page to write; its JSON and two tables lie beside it
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// `linnaeus compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The predictions of the first, older run
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) a: PathBuf,
    /// The predictions of the second, newer run
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) about: TruthFlags,
    /// The page to write; its JSON and the table of flips lie beside it
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// What both take.
#[derive(Debug, Args)]
pub(crate) struct TruthFlags {
    /// folders, parents, 'pattern:{class}_*.jpg', 'regex:…', or a file: a CSV, or lines `path index`
    #[arg(long, short, value_name = "TRUTH", value_hint = ValueHint::FilePath)]
    truth: Option<PathBuf>,
    /// The truth file's column of paths [default: path, file, filename, image …]
    #[arg(long, value_name = "COLUMN")]
    truth_path: Option<String>,
    /// The truth file's column of classes [default: index, label, class, name, wnid …]
    #[arg(long, value_name = "COLUMN")]
    truth_class: Option<String>,
    /// A table of paths and classes that wins over the truth, as a report's page makes it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    corrections: Option<PathBuf>,
    /// A CSV of other names, and the class that each means
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    class_map: Option<PathBuf>,
    /// Names of the classes [default: as the run used]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    labels: Option<PathBuf>,
    /// The folder that the paths are relative to [default: the run's input]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    images: Option<PathBuf>,
    /// Conditions with commas between them; exit status 6 when one fails
    #[arg(long, value_name = "GATE")]
    gate: Option<String>,
    /// Most thumbnails in the page [default: 160]
    #[arg(long, value_name = "N")]
    thumbnails: Option<usize>,
    /// Most images that are looked at for odd ones and duplicates [default: 2000]
    #[arg(long, value_name = "N")]
    look: Option<NonZeroUsize>,
}

impl TruthFlags {
    fn into_spec(self, report: Option<PathBuf>) -> (EvaluateSpec, Given) {
        let Self {
            truth,
            truth_path,
            truth_class,
            corrections,
            class_map,
            labels,
            images,
            gate,
            thumbnails,
            look,
        } = self;
        let given = Given { labels, images, class_map: class_map.clone(), manifest: None };
        let spec = EvaluateSpec {
            truth,
            truth_path,
            truth_class,
            corrections,
            class_map,
            report,
            gate,
            thumbnails,
            look,
        };
        (spec, given)
    }
}

impl Evaluate {
    pub(crate) fn into_spec(self) -> (PathBuf, EvaluateSpec, Given) {
        let (spec, given) = self.about.into_spec(self.output);
        (self.predictions, spec, given)
    }
}

impl Compare {
    pub(crate) fn into_spec(self) -> ([PathBuf; 2], EvaluateSpec, Given) {
        let (spec, given) = self.about.into_spec(self.output);
        ([self.a, self.b], spec, given)
    }
}
