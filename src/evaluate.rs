//! What saved predictions are worth, as figures and as images to look at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::RunError,
    gate::{Gate, Measure, Measures, Outcome},
    job::EvaluateSpec,
    metrics::{
        self, Averages, Calibration, ClassFigures, Confusion, Coverage, Curve, Item, Losses, Point,
        Slice, Temperature,
    },
    saved_run::{About, Given, SavedRun},
    statistics::wilson,
    truth::{Classes, Columns, Correction, Joined, Source, Table, Unknown},
};

pub mod album;
mod known;

use album::{Album, Galleries};

/// Version of the report's form; keys are only added within one.
pub const SCHEMA: u32 = 1;

/// What is said of rows that add up to more than 1.
const MULTI_LABEL: &str = "the probabilities of a row add up to more than 1, as a multi-label model's do: \
                           log loss and Brier score say little here, and no temperature was fitted";

/// Entries of a list in the report; its count is of all.
const MOST_LISTED: usize = 100;
/// Confused pairs that are named.
const MOST_PAIRS: usize = 200;
/// Thresholds that are listed whatever they give.
const THRESHOLDS: [f64; 8] = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
/// Classes that count as found by the second accuracy, when rows have so many.
const SECOND_K: usize = 5;

/// What a person wants evaluated.
#[derive(Debug, Clone)]
pub struct Options {
    /// Labels, place of the images, class map.
    pub given: Given,
    /// Where the truth is.
    pub truth: Source,
    /// Its columns.
    pub columns: Columns,
    /// A table that wins over the truth.
    pub corrections: Option<PathBuf>,
    /// Conditions.
    pub gate: Option<Gate>,
    /// Most images that are looked at for odd ones and duplicates.
    pub look: usize,
    /// Most thumbnails.
    pub thumbnails: usize,
}

/// Most images that are looked at when nobody says how many.
const LOOK: usize = 2000;
/// Most thumbnails when nobody says how many.
const THUMBNAILS: usize = 160;

impl Options {
    /// Decides what the keys under `[evaluate]`, or the flags, leave open.
    ///
    /// # Errors
    ///
    /// `Usage` when there is no `truth`, or it or the gate is none.
    pub fn resolve(spec: EvaluateSpec, given: Given) -> Result<Self, RunError> {
        let Some(truth) = spec.truth else {
            return Err(RunError::Usage(
                "nothing says what the images show\nhint: say `truth`: `folders`, `parents`, \
                 `pattern:{class}_*.jpg`, or a file"
                    .to_owned(),
            ));
        };
        let gate = spec.gate.map(|gate| gate.parse()).transpose().map_err(RunError::Usage)?;
        Ok(Self {
            given: Given { class_map: spec.class_map.or(given.class_map), ..given },
            truth: Source::said(&truth).map_err(RunError::Usage)?,
            columns: Columns { path: spec.truth_path, class: spec.truth_class },
            corrections: spec.corrections,
            gate,
            look: spec.look.map_or(LOOK, usize::from),
            thumbnails: spec.thumbnails.unwrap_or(THUMBNAILS),
        })
    }

    /// Finds out before hours of classifying what would be wrong with the truth or the gate.
    ///
    /// # Errors
    ///
    /// `Usage` when a table cannot be read, or the gate asks for something unknown.
    pub fn check(&self) -> Result<(), RunError> {
        if let Some(gate) = &self.gate {
            gate.check(&MEASURES).map_err(RunError::Usage)?;
        }
        if let Source::File(path) = &self.truth {
            Table::load(path, &self.columns)?;
        }
        if let Some(path) = &self.corrections {
            Table::load(path, &Columns::default())?;
        }
        Ok(())
    }
}

/// The figures of `evaluate` that a gate may ask for.
pub const MEASURES: [&str; 14] = [
    "top1",
    "top5",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_f1",
    "mcc",
    "kappa",
    "ece",
    "mce",
    "images",
    "failed",
    "without_truth",
];

/// The report, as JSON of [`SCHEMA`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `evaluation`.
    pub kind: &'static str,
    /// The version of linnaeus.
    pub linnaeus: &'static str,
    /// The predictions, and the run that made them.
    pub predictions: About,
    /// The truth, and what of it fits.
    pub truth: TruthPart,
    /// Images with a prediction and a truth; all figures are of these.
    pub images: u64,
    /// Accuracies among the best 1 and more classes.
    pub top: Vec<TopK>,
    /// Figures over all classes.
    pub averages: Averages,
    /// Losses of the probabilities.
    pub losses: Losses,
    /// Calibration of the confidence.
    pub calibration: Calibration,
    /// The fitted temperature, where it can be fitted.
    pub temperature: Option<Temperature>,
    /// What is gained by leaving the least sure to a person.
    pub coverage: CoveragePart,
    /// Every class that is shown or predicted.
    pub classes: Vec<ClassPart>,
    /// What is taken for what, the most frequent first.
    pub confused: Vec<Pair>,
    /// Accuracy by what else is known.
    pub slices: Vec<Slice>,
    /// Images to look at.
    pub galleries: Galleries,
    /// The conditions, judged.
    pub gate: Vec<Outcome>,
}

/// What the truth says, and what it does not.
#[derive(Debug, Clone, Serialize)]
pub struct TruthPart {
    /// Where it is, in words.
    pub source: String,
    /// Images with several right answers.
    pub several: u64,
    /// Images whose truth was corrected.
    pub corrected: u64,
    /// All corrections; `--corrections` reads them out of this report.
    pub corrections: Vec<Correction>,
    /// Rows of which no truth is told.
    pub without_truth: Listed,
    /// Images in the truth that have no row.
    pub without_row: Listed,
    /// Rows with a truth and without a prediction.
    pub without_prediction: Listed,
    /// Names in the truth that are no class of the model.
    pub unknown: BTreeMap<String, UnknownPart>,
    /// Classes of the model that no image of the truth shows.
    pub missing_classes: Listed,
    /// How it was joined, where that is worth a look.
    pub notes: Vec<String>,
}

/// A name that is no class.
#[derive(Debug, Clone, Serialize)]
pub struct UnknownPart {
    /// Images that it was said of; they are not scored for it.
    pub images: u64,
    /// Why.
    pub reason: String,
}

/// A list of which only the beginning is shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listed {
    /// All of them.
    pub count: u64,
    /// The first 100.
    pub first: Vec<String>,
}

impl Listed {
    /// The beginning of `all`.
    pub fn of(all: impl IntoIterator<Item = String>) -> Self {
        let mut listed = Self::default();
        for one in all {
            listed.count += 1;
            if listed.first.len() < MOST_LISTED {
                listed.first.push(one);
            }
        }
        listed
    }
}

/// Accuracy among the best `k`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TopK {
    /// Classes that count.
    pub k: usize,
    /// Images that are right.
    pub hits: u64,
    /// Share of them.
    pub value: f64,
    /// Wilson's 95 % interval.
    pub interval: [f64; 2],
}

/// Thresholds.
#[derive(Debug, Clone, Serialize)]
pub struct CoveragePart {
    /// Area under the risk–coverage curve.
    pub area: f64,
    /// For a wanted accuracy, the threshold that keeps the most.
    pub wanted: Vec<Wanted>,
    /// What usual thresholds keep.
    pub thresholds: Vec<Wanted>,
}

/// A wanted accuracy or threshold, and what it gives.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Wanted {
    /// The accuracy or threshold.
    pub wanted: f64,
    /// `None` when nothing gives it.
    pub point: Option<Point>,
}

/// One class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassPart {
    /// Its name, or its index.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: ClassFigures,
    /// Area under its precision–recall curve; `None` without images.
    pub average_precision: Option<f64>,
}

/// Two classes that are confused.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// Index of what it is.
    pub truth: u32,
    /// Index of what it is taken for.
    pub predicted: u32,
    /// Name of what it is.
    pub truth_name: String,
    /// Name of what it is taken for.
    pub predicted_name: String,
    /// Images.
    pub images: u64,
}

/// The report, and what only its pictures and tables need.
pub struct Evaluation {
    /// The figures.
    pub report: Report,
    /// Counts by truth and prediction.
    pub confusion: Confusion,
    /// Precision and recall by class.
    pub curves: BTreeMap<u32, Curve>,
    /// Accuracy of the surest.
    pub coverage: Coverage,
    /// Confidence and whether it is right, of every image.
    pub confidences: Vec<(f64, bool)>,
    /// Short names of the classes that occur.
    pub names: BTreeMap<u32, String>,
    /// Every wrong image: path, truth, prediction, confidence; the surest first.
    pub wrong: Vec<(String, u32, u32, f64)>,
    /// Everything without a counterpart: the key under `truth` that counts it, and the path or name.
    pub unmatched: Vec<(&'static str, String)>,
}

impl Evaluation {
    /// Evaluates the predictions in `file`.
    ///
    /// # Errors
    ///
    /// `Usage` when the predictions, the truth or the gate cannot be used, or no image has both a
    /// prediction and a truth; `Model` when a label file cannot be read.
    pub fn new(file: &Path, options: &Options) -> Result<Self, RunError> {
        options.check()?;
        let run = SavedRun::open(file, &options.given)?;
        let joined = join(&run, options)?;
        let scored = Scored::new(&run, &joined);
        if scored.items.is_empty() {
            return Err(RunError::Usage(
                "no image has both a prediction and a truth\nhint: did all images of this run fail? \
                 its summary says why"
                    .to_owned(),
            ));
        }
        let mut evaluation = scored.evaluate(&run, (&joined, options));
        if let Some(gate) = &options.gate {
            let judged = gate.judge(&evaluation.measures()).map_err(RunError::Usage)?;
            evaluation.report.gate = judged;
        }
        Ok(evaluation)
    }

    /// Whether every condition of the gate holds.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.report.gate.iter().all(|outcome| outcome.holds)
    }

    fn measures(&self) -> Measures {
        let Report { top, averages, calibration, predictions, truth, images, .. } = &self.report;
        let plain = [
            ("balanced_accuracy", averages.balanced_accuracy),
            ("macro_precision", averages.macro_precision),
            ("macro_recall", averages.macro_recall),
            ("macro_f1", averages.macro_f1),
            ("weighted_f1", averages.weighted_f1),
            ("mcc", averages.mcc),
            ("kappa", averages.kappa),
            ("ece", calibration.ece),
            ("mce", calibration.mce),
            ("images", *images as f64),
        ];
        let plain = plain.map(|(name, value)| (name.to_owned(), Measure::Plain(value)));
        let mut measures: Measures = plain.into_iter().collect();
        for TopK { k, hits, .. } in top {
            let share = Measure::Share { hits: *hits, count: *images };
            measures.insert(format!("top{k}"), share);
        }
        let failed: u64 = predictions.failed.values().sum();
        let rows = predictions.ok + failed;
        measures.insert("failed".to_owned(), Measure::Share { hits: failed, count: rows });
        let without = Measure::Share { hits: truth.without_truth.count, count: rows };
        measures.insert("without_truth".to_owned(), without);
        measures
    }
}

/// Joins a run with the truth of the options and their corrections.
///
/// # Errors
///
/// `Usage` when it cannot be read, or fits nothing.
pub fn join(run: &SavedRun, options: &Options) -> Result<Joined, RunError> {
    let paths = run.paths();
    let truth = (&options.truth, &options.columns);
    let mut joined = Joined::new((&paths, run.root.as_deref()), truth, &run.classes)?;
    if let Some(file) = &options.corrections {
        joined.correct(&paths, file, &run.classes)?;
    }
    Ok(joined)
}

/// The rows that have both a prediction and a truth.
struct Scored<'a> {
    rows: Vec<usize>,
    items: Vec<Item<'a>>,
}

impl<'a> Scored<'a> {
    fn new(run: &'a SavedRun, joined: &'a Joined) -> Self {
        let (mut rows, mut items) = (Vec::new(), Vec::new());
        for (row, answers) in joined.answers.iter().enumerate() {
            let top = run.predictions.top(row);
            if let (Some(answers), false) = (answers, top.is_empty()) {
                rows.push(row);
                items.push(Item { answers, top });
            }
        }
        Self { rows, items }
    }

    fn evaluate(&self, run: &SavedRun, (joined, options): (&Joined, &Options)) -> Evaluation {
        let Self { rows, items } = self;
        let classes = &run.classes;
        let confusion = Confusion::of(items);
        let curves = metrics::curves(items);
        let coverage = Coverage::of(items);
        let confidences: Vec<_> = items.iter().map(|i| (i.confidence(), i.is_right())).collect();
        let mut album = Album::new(run, (rows, items), options.thumbnails);
        let galleries = album.galleries(options.look);
        let known = known::of(run, (rows, joined), (&options.truth, &album));
        let right: Vec<bool> = items.iter().map(Item::is_right).collect();
        let mut predictions = run.about.clone();
        if !metrics::are_exclusive(items) {
            predictions.notes.push(MULTI_LABEL.to_owned());
        }
        let report = Report {
            schema: SCHEMA,
            kind: "evaluation",
            linnaeus: env!("CARGO_PKG_VERSION"),
            predictions,
            truth: truth_part(run, joined, options),
            images: items.len() as u64,
            top: self.top(run.predictions.top_k()),
            averages: confusion.averages(),
            losses: Losses::of(items, classes.count()),
            calibration: Calibration::of(confidences.iter().copied()),
            temperature: metrics::fit(items, classes.count()),
            coverage: coverage_part(&coverage),
            classes: class_parts(&confusion, &curves, classes),
            confused: pairs(&confusion, classes),
            slices: metrics::slices(&known, &right),
            galleries,
            gate: Vec::new(),
        };
        let names = classes.short_names(&confusion.classes());
        let (wrong, unmatched) = (self.wrong(run), unmatched(run, joined));
        Evaluation { report, confusion, curves, coverage, confidences, names, wrong, unmatched }
    }

    fn top(&self, top_k: usize) -> Vec<TopK> {
        let count = self.items.len() as u64;
        let accuracy = |k: usize| {
            let hits = metrics::hits(&self.items, k);
            TopK { k, hits, value: hits as f64 / count as f64, interval: wilson(hits, count) }
        };
        let mut ks = vec![1, SECOND_K.min(top_k)];
        ks.dedup();
        ks.into_iter().map(accuracy).collect()
    }

    fn wrong(&self, run: &SavedRun) -> Vec<(String, u32, u32, f64)> {
        let wrong = self.rows.iter().zip(&self.items).filter(|(_, item)| !item.is_right());
        let entry = |(row, item): (&usize, &Item<'_>)| {
            let path = run.predictions.rows()[*row].path.clone();
            (path, item.truth(), item.predicted(), item.confidence())
        };
        let mut wrong: Vec<_> = wrong.map(entry).collect();
        wrong.sort_by(|a, b| b.3.total_cmp(&a.3));
        wrong
    }
}

/// Rows with a truth that have no prediction.
fn without_prediction<'a>(
    run: &'a SavedRun,
    joined: &'a Joined,
) -> impl Iterator<Item = String> + 'a {
    let rows = run.predictions.rows().iter().zip(&joined.answers);
    let failed = rows.filter(|(row, answers)| row.failure.is_some() && answers.is_some());
    failed.map(|(row, _)| row.path.clone())
}

fn unmatched(run: &SavedRun, joined: &Joined) -> Vec<(&'static str, String)> {
    let rows = run.predictions.rows();
    let without_truth = joined.without_truth.iter().map(|&row| rows[row].path.clone());
    let all = without_truth.map(|path| ("without_truth", path));
    let all = all.chain(joined.without_row.iter().map(|path| ("without_row", path.clone())));
    let failed = without_prediction(run, joined).map(|path| ("without_prediction", path));
    let unknown = joined.unknown.keys().map(|name| ("unknown", name.clone()));
    all.chain(failed).chain(unknown).collect()
}

fn truth_part(run: &SavedRun, joined: &Joined, options: &Options) -> TruthPart {
    let rows = run.predictions.rows();
    let shown: std::collections::BTreeSet<u32> =
        joined.answers.iter().flatten().flatten().copied().collect();
    let missing = (0..run.classes.count().unwrap_or(0)).filter(|class| !shown.contains(class));
    let several = joined.answers.iter().flatten().filter(|answers| answers.len() > 1);
    let unknown = |(name, unknown): (&String, &Unknown)| {
        let Unknown { images, reason } = unknown.clone();
        (name.clone(), UnknownPart { images, reason })
    };
    TruthPart {
        source: options.truth.describe(),
        several: several.count() as u64,
        corrected: joined.corrections.len() as u64,
        corrections: joined.corrections.clone(),
        without_truth: Listed::of(joined.without_truth.iter().map(|&row| rows[row].path.clone())),
        without_row: Listed::of(joined.without_row.iter().cloned()),
        without_prediction: Listed::of(without_prediction(run, joined)),
        unknown: joined.unknown.iter().map(unknown).collect(),
        missing_classes: Listed::of(missing.map(|class| run.classes.name(class))),
        notes: joined.notes.clone(),
    }
}

fn coverage_part(coverage: &Coverage) -> CoveragePart {
    let wanted = |(wanted, point)| Wanted { wanted, point };
    let at = |threshold: f64| Wanted { wanted: threshold, point: coverage.at(threshold) };
    CoveragePart {
        area: coverage.area,
        wanted: coverage.wanted().into_iter().map(wanted).collect(),
        thresholds: THRESHOLDS.map(at).to_vec(),
    }
}

fn class_parts(
    confusion: &Confusion,
    curves: &BTreeMap<u32, Curve>,
    classes: &Classes,
) -> Vec<ClassPart> {
    let part = |figures: ClassFigures| ClassPart {
        name: classes.name(figures.class),
        average_precision: curves.get(&figures.class).map(|curve| curve.average_precision),
        figures,
    };
    confusion.figures().into_iter().map(part).collect()
}

fn pairs(confusion: &Confusion, classes: &Classes) -> Vec<Pair> {
    let pair = |(truth, predicted, images)| Pair {
        truth,
        predicted,
        truth_name: classes.name(truth),
        predicted_name: classes.name(predicted),
        images,
    };
    confusion.worst_pairs(MOST_PAIRS).into_iter().map(pair).collect()
}
