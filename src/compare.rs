//! Whether a second run is better than a first, on the same images.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::RunError,
    evaluate::Listed,
    gate::{Gate, Measure, Measures, Outcome},
    job::EvaluateSpec,
    metrics::{Confusion, Item},
    predictions::Score,
    saved_run::{About, Given, SavedRun},
    statistics::wilson,
    truth::{Answers, Columns, Joined, Source},
};

mod align;
mod change;
mod flips;
mod verdict;

pub use change::{ClassChange, Table, Truthful};
pub use flips::{Flip, Flips, Kind};
pub use verdict::points;

/// Version of the report's form; keys are only added within one.
pub const SCHEMA: u32 = 1;

/// Classes whose number of predictions changed most.
const MOST_MOVED: usize = 30;
/// Most thumbnails when nobody says how many.
const THUMBNAILS: usize = 96;

/// The figures of `compare` that a gate may ask for. Those of the truth are of the second run.
pub const MEASURES: [&str; 12] = [
    "top1",
    "top5",
    "top1_drop",
    "top5_drop",
    "macro_f1",
    "macro_f1_drop",
    "agreement",
    "right_to_wrong",
    "worse_classes",
    "images",
    "missing",
    "failed",
];

/// What a person wants compared.
#[derive(Debug, Clone)]
pub struct Options {
    /// Labels, place of the images, class map.
    pub given: Given,
    /// Where the truth is, if there is one.
    pub truth: Option<Source>,
    /// Its columns.
    pub columns: Columns,
    /// A table that wins over the truth.
    pub corrections: Option<PathBuf>,
    /// Conditions.
    pub gate: Option<Gate>,
    /// Most thumbnails.
    pub thumbnails: usize,
}

impl Options {
    /// Decides what the flags leave open.
    ///
    /// # Errors
    ///
    /// `Usage` when the truth or the gate is none.
    pub fn resolve(spec: EvaluateSpec, given: Given) -> Result<Self, RunError> {
        let truth = spec.truth.as_deref().map(Source::said).transpose();
        let gate: Option<Gate> =
            spec.gate.map(|gate| gate.parse()).transpose().map_err(RunError::Usage)?;
        if let Some(gate) = &gate {
            gate.check(&MEASURES).map_err(RunError::Usage)?;
        }
        Ok(Self {
            given,
            truth: truth.map_err(RunError::Usage)?,
            columns: Columns { path: spec.truth_path, class: spec.truth_class },
            corrections: spec.corrections,
            gate,
            thumbnails: spec.thumbnails.unwrap_or(THUMBNAILS),
        })
    }
}

/// The report, as JSON of [`SCHEMA`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `comparison`.
    pub kind: &'static str,
    /// The version of linnaeus.
    pub linnaeus: &'static str,
    /// The first run.
    pub a: About,
    /// The second run.
    pub b: About,
    /// One sentence that says no more than the figures do.
    pub verdict: String,
    /// Images that both have a prediction of; all figures are of these.
    pub images: u64,
    /// Images that only the first has.
    pub only_a: Listed,
    /// Images that only the second has.
    pub only_b: Listed,
    /// Images of both that failed in one of them, or both.
    pub failed: Listed,
    /// How often both say the same, and by how much they are sure.
    pub agreement: Agreement,
    /// What the truth says, when there is one.
    pub truth: Option<Truthful>,
    /// Images whose answer changed.
    pub flips: Flips,
    /// Classes that are said more or less often, the most changed first.
    pub moved: Vec<Moved>,
    /// The conditions, judged.
    pub gate: Vec<Outcome>,
    /// What is worth a look.
    pub notes: Vec<String>,
}

/// Two runs' answers, without a truth.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Agreement {
    /// Images of which both say the same.
    pub same: u64,
    /// Share of them.
    pub value: f64,
    /// Wilson's 95 % interval.
    pub interval: [f64; 2],
    /// Agreement beyond chance (Cohen).
    pub kappa: f64,
    /// Mean change of the confidence, second less first.
    pub confidence_change: f64,
    /// Mean of its absolute value.
    pub confidence_difference: f64,
    /// Half the sum over classes of the change of the share that is said: total variation distance, from
    /// 0 to 1.
    pub class_drift: f64,
}

/// How often a class is said.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// Its index in the first run.
    pub class: u32,
    /// Its name.
    pub name: String,
    /// Images of the first run.
    pub a: u64,
    /// Images of the second.
    pub b: u64,
}

/// The report, and what only its page needs.
pub struct Comparison {
    /// The figures.
    pub report: Report,
    /// Every image whose answer changed.
    pub changed: Vec<Flip>,
    /// Confidences of both runs.
    pub confidences: Vec<[f64; 2]>,
    /// Short names of the classes that occur.
    pub names: BTreeMap<u32, String>,
}

/// One image of both runs.
struct Pair<'a> {
    /// Its rows in the first and the second.
    rows: [usize; 2],
    top: [&'a [Score]; 2],
    answers: Option<&'a Answers>,
}

impl<'a> Pair<'a> {
    fn item(&self, run: usize) -> Option<Item<'a>> {
        Some(Item { answers: self.answers?, top: self.top[run] })
    }

    fn classes(&self) -> [u32; 2] {
        self.top.map(|top| top[0].class)
    }

    fn is_right(&self, run: usize, k: usize) -> bool {
        let right = |score: &Score| self.answers.is_some_and(|a| a.contains(&score.class));
        self.top[run].iter().take(k).any(right)
    }
}

impl Comparison {
    /// Compares the predictions in two `files`, the older one first.
    ///
    /// # Errors
    ///
    /// `Usage` when a file, the truth or the gate cannot be used, or no image is in both; `Model` when a
    /// label file cannot be read.
    pub fn new(files: [&Path; 2], options: &Options) -> Result<Self, RunError> {
        let mut a = SavedRun::open(files[0], &options.given)?;
        let mut b = SavedRun::open(files[1], &options.given)?;
        let notes = align::align(&mut a, &mut b);
        let joined = join(&a, options)?;
        let matched = Matched::new(&a, &b);
        let answers = |row: usize| joined.as_ref().and_then(|joined| joined.answers[row].as_ref());
        let pair = |&[row_a, row_b]: &[usize; 2]| Pair {
            rows: [row_a, row_b],
            top: [a.predictions.top(row_a), b.predictions.top(row_b)],
            answers: answers(row_a),
        };
        let pairs: Vec<Pair<'_>> = matched.both.iter().map(pair).collect();
        if pairs.is_empty() {
            return Err(RunError::Usage(format!(
                "no image has a prediction in both {} and {}\nhint: the paths are compared as they are \
                 written; were both runs given the same input?",
                files[0].display(),
                files[1].display()
            )));
        }
        let mut comparison = Self::of_pairs([&a, &b], &pairs, options.thumbnails);
        let report = &mut comparison.report;
        report.only_a = matched.only_a;
        report.only_b = matched.only_b;
        report.failed = matched.failed;
        report.notes = notes;
        report.notes.extend(joined.iter().flat_map(|joined| joined.notes.clone()));
        report.verdict = verdict::sentence(report);
        if let Some(gate) = &options.gate {
            let judged = gate.judge(&comparison.measures()).map_err(RunError::Usage)?;
            comparison.report.gate = judged;
        }
        Ok(comparison)
    }

    fn of_pairs(runs: [&SavedRun; 2], pairs: &[Pair<'_>], thumbnails: usize) -> Self {
        let mut occurring: Vec<u32> = pairs.iter().flat_map(Pair::classes).collect();
        occurring.extend(pairs.iter().filter_map(|pair| pair.answers).flatten());
        occurring.sort_unstable();
        occurring.dedup();
        let names = runs[0].classes.short_names(&occurring);
        let changed = flips::all(runs, pairs, &names);
        let report = Report {
            schema: SCHEMA,
            kind: "comparison",
            linnaeus: env!("CARGO_PKG_VERSION"),
            a: runs[0].about.clone(),
            b: runs[1].about.clone(),
            verdict: String::new(),
            images: pairs.len() as u64,
            only_a: Listed::default(),
            only_b: Listed::default(),
            failed: Listed::default(),
            agreement: agreement(pairs),
            truth: Truthful::of(pairs, &names),
            flips: Flips::of(&changed, thumbnails),
            moved: moved(pairs, &names),
            gate: Vec::new(),
            notes: Vec::new(),
        };
        let confidences = pairs.iter().map(|pair| pair.top.map(|top| top[0].probability)).collect();
        Self { report, changed, confidences, names }
    }

    /// Whether every condition of the gate holds.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.report.gate.iter().all(|outcome| outcome.holds)
    }

    fn measures(&self) -> Measures {
        let Report { agreement, images, only_a, failed, truth, flips, .. } = &self.report;
        let share = |hits: u64| Measure::Share { hits, count: *images };
        let missing = Measure::Share { hits: only_a.count, count: *images + only_a.count };
        let mut measures: Measures = BTreeMap::from([
            ("agreement".to_owned(), share(agreement.same)),
            ("images".to_owned(), Measure::Plain(*images as f64)),
            ("missing".to_owned(), missing),
            ("failed".to_owned(), Measure::Plain(failed.count as f64)),
        ]);
        if let Some(truth) = truth {
            measures.extend(truth.measures());
            let lost = Measure::Share { hits: flips.right_to_wrong, count: truth.images };
            measures.insert("right_to_wrong".to_owned(), lost);
        }
        measures
    }
}

fn join(a: &SavedRun, options: &Options) -> Result<Option<Joined>, RunError> {
    let Some(truth) = &options.truth else { return Ok(None) };
    let paths = a.paths();
    let source = (truth, &options.columns);
    let mut joined = Joined::new((&paths, a.root.as_deref()), source, &a.classes)?;
    if let Some(file) = &options.corrections {
        joined.correct(&paths, file, &a.classes)?;
    }
    Ok(Some(joined))
}

/// The rows of two runs, paired by path.
struct Matched {
    both: Vec<[usize; 2]>,
    only_a: Listed,
    only_b: Listed,
    failed: Listed,
}

impl Matched {
    fn new(a: &SavedRun, b: &SavedRun) -> Self {
        let [rows_a, rows_b] = [a, b].map(|run| run.predictions.rows());
        let places = |run: &SavedRun| -> HashMap<String, usize> {
            run.paths().into_iter().map(str::to_owned).zip(0..).collect()
        };
        let (in_a, in_b) = (places(a), places(b));
        let (mut both, mut failed) = (Vec::new(), Vec::new());
        for (row, one) in rows_a.iter().enumerate() {
            if let Some(&other) = in_b.get(&one.path) {
                if one.failure.is_none() && rows_b[other].failure.is_none() {
                    both.push([row, other]);
                } else {
                    failed.push(one.path.clone());
                }
            }
        }
        let only = |rows: &[crate::predictions::Row], other: &HashMap<String, usize>| {
            let alone = rows.iter().filter(|row| !other.contains_key(&row.path));
            Listed::of(alone.map(|row| row.path.clone()))
        };
        let (only_a, only_b) = (only(rows_a, &in_b), only(rows_b, &in_a));
        Self { both, only_a, only_b, failed: Listed::of(failed) }
    }
}

fn agreement(pairs: &[Pair<'_>]) -> Agreement {
    let count = pairs.len() as f64;
    let same = pairs.iter().filter(|pair| pair.classes()[0] == pair.classes()[1]).count() as u64;
    let change = |pair: &Pair<'_>| pair.top[1][0].probability - pair.top[0][0].probability;
    let counts = said(pairs);
    let moved: f64 = counts.values().map(|[a, b]| a.abs_diff(*b) as f64).sum();
    let both = pairs.iter().map(|pair| (pair.classes()[0], pair.classes()[1]));
    Agreement {
        same,
        value: same as f64 / count,
        interval: wilson(same, pairs.len() as u64),
        kappa: Confusion::of_pairs(both).kappa(),
        confidence_change: pairs.iter().map(change).sum::<f64>() / count,
        confidence_difference: pairs.iter().map(|pair| change(pair).abs()).sum::<f64>() / count,
        class_drift: moved / (2.0 * count),
    }
}

/// How often each class is said in both runs.
fn said(pairs: &[Pair<'_>]) -> BTreeMap<u32, [u64; 2]> {
    let mut counts: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for pair in pairs {
        for (run, class) in pair.classes().into_iter().enumerate() {
            counts.entry(class).or_default()[run] += 1;
        }
    }
    counts
}

fn moved(pairs: &[Pair<'_>], names: &BTreeMap<u32, String>) -> Vec<Moved> {
    let moved =
        |(class, [a, b]): (u32, [u64; 2])| Moved { class, name: names[&class].clone(), a, b };
    let mut all: Vec<Moved> = said(pairs).into_iter().map(moved).collect();
    all.retain(|moved| moved.a != moved.b);
    all.sort_by_key(|moved| std::cmp::Reverse(moved.a.abs_diff(moved.b)));
    all.truncate(MOST_MOVED);
    all
}
