//! What changed, measured by the truth.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Pair;
use crate::{
    gate::{Measure, Measures},
    metrics::{Calibration, Confusion, Item},
    statistics::{
        Draws, holm, mcnemar_exact_p, mcnemar_mid_p, paired_difference, two_sided, wilson,
    },
};

/// Samples of the bootstrap, and the most draws of an image in all of them.
const SAMPLES: usize = 10_000;
const MOST_DRAWS: usize = 100_000_000;
const FEWEST_SAMPLES: usize = 1000;
/// Its seed: the same files give the same report.
const SEED: u64 = 0x5eed;
/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// Classes among which the right one counts for the second accuracy.
const SECOND_K: usize = 5;
/// What is called significant.
const ALPHA: f64 = 0.05;

/// Images by who is right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Both.
    pub both: u64,
    /// The first only.
    pub only_a: u64,
    /// The second only.
    pub only_b: u64,
    /// None.
    pub neither: u64,
}

/// A comparison by the truth.
#[derive(Debug, Clone, Serialize)]
pub struct Truthful {
    /// Images with a truth.
    pub images: u64,
    /// Top-1.
    pub top1: Accuracies,
    /// Top-5, or what the rows have.
    pub top5: Option<Accuracies>,
    /// Macro F1 of both.
    pub macro_f1: [f64; 2],
    /// Expected calibration error of both.
    pub ece: [f64; 2],
    /// Each class that some image shows.
    pub classes: Vec<ClassChange>,
    /// Classes that changed by more than chance: worse, better.
    pub changed_classes: [u64; 2],
}

/// An accuracy of both runs on the same images.
#[derive(Debug, Clone, Serialize)]
pub struct Accuracies {
    /// Who is right where.
    pub table: Table,
    /// Both accuracies.
    pub value: [f64; 2],
    /// Wilson's 95 % intervals of them.
    pub interval: [[f64; 2]; 2],
    /// Second less first.
    pub difference: f64,
    /// Its 95 % interval by the paired bootstrap of the images (percentiles).
    pub bootstrap: [f64; 2],
    /// Its 95 % interval by formula: D. G. Bonett and R. M. Price, *Adjusted Wald confidence interval for
    /// a difference of binomial proportions based on paired data* (2012).
    pub adjusted_wald: [f64; 2],
    /// `McNemar`'s mid-p value that the difference is none.
    pub mid_p: f64,
    /// The exact one.
    pub exact_p: f64,
    /// Differences of the bootstrap samples, sorted.
    #[serde(skip)]
    samples: Vec<f64>,
}

/// One class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassChange {
    /// Its index in the first run.
    pub class: u32,
    /// Its name.
    pub name: String,
    /// Images that show it.
    pub images: u64,
    /// Of which the first is right.
    pub a: u64,
    /// Of which the second is right.
    pub b: u64,
    /// `McNemar`'s mid-p value, adjusted for all classes (Holm).
    pub p_value: f64,
}

impl Table {
    fn of(pairs: &[&Pair<'_>], k: usize) -> Self {
        let mut table = Self::default();
        for pair in pairs {
            match [pair.is_right(0, k), pair.is_right(1, k)] {
                [true, true] => table.both += 1,
                [true, false] => table.only_a += 1,
                [false, true] => table.only_b += 1,
                [false, false] => table.neither += 1,
            }
        }
        table
    }

    fn count(self) -> u64 {
        self.both + self.only_a + self.only_b + self.neither
    }
}

impl Accuracies {
    fn of(pairs: &[&Pair<'_>], k: usize) -> Self {
        let table = Table::of(pairs, k);
        let change =
            |pair: &&Pair<'_>| i32::from(pair.is_right(1, k)) - i32::from(pair.is_right(0, k));
        let samples = bootstrap(&pairs.iter().map(change).collect::<Vec<_>>());
        let count = table.count();
        let hits = [table.both + table.only_a, table.both + table.only_b];
        let value = hits.map(|hits| hits as f64 / count as f64);
        let paired = [table.only_a, table.only_b, count];
        let measure = Measure::Sampled { value: 0.0, samples: samples.clone() };
        Self {
            table,
            value,
            interval: hits.map(|hits| wilson(hits, count)),
            difference: value[1] - value[0],
            bootstrap: measure.interval(LEVEL).unwrap_or_default(),
            adjusted_wald: paired_difference(paired, two_sided(LEVEL)),
            mid_p: mcnemar_mid_p(table.only_a, table.only_b),
            exact_p: mcnemar_exact_p(table.only_a, table.only_b),
            samples,
        }
    }

    /// The interval of the difference that claims less: the outer ends of both. With few changes the
    /// bootstrap's is too narrow, and with none it is a point.
    #[must_use]
    pub fn cautious(&self) -> [f64; 2] {
        let [a, b] = [self.bootstrap, self.adjusted_wald];
        [a[0].min(b[0]), a[1].max(b[1])]
    }

    /// Whether a difference is shown, by the interval and by the test.
    #[must_use]
    pub fn differs(&self) -> bool {
        let [low, high] = self.cautious();
        self.mid_p < ALPHA && (low > 0.0 || high < 0.0)
    }

    fn drop(&self) -> Measure {
        let Table { only_a, only_b, .. } = self.table;
        let samples = self.samples.iter().rev().map(|difference| -difference).collect();
        let counts = [only_b, only_a, self.table.count()];
        Measure::Paired { value: -self.difference, samples, counts }
    }
}

/// The mean change of the images in samples of them, sorted.
fn bootstrap(changes: &[i32]) -> Vec<f64> {
    let count = changes.len();
    let samples = (MOST_DRAWS / count.max(1)).clamp(FEWEST_SAMPLES, SAMPLES);
    let mut draws = Draws::new(SEED);
    let mut mean = |_| {
        let sum: i32 = (0..count).map(|_| changes[draws.below(count)]).sum();
        f64::from(sum) / count as f64
    };
    let mut means: Vec<f64> = (0..samples).map(&mut mean).collect();
    means.sort_by(f64::total_cmp);
    means
}

impl Truthful {
    /// Compares by the truth; `None` when no image has one.
    pub(super) fn of(pairs: &[Pair<'_>], names: &BTreeMap<u32, String>) -> Option<Self> {
        let told: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.answers.is_some()).collect();
        if told.is_empty() {
            return None;
        }
        let least = |pair: &&Pair<'_>| pair.top.map(<[_]>::len).into_iter().min().unwrap_or(1);
        let k = told.iter().map(least).min().unwrap_or(1).min(SECOND_K);
        let items = |run: usize| -> Vec<Item<'_>> {
            told.iter().filter_map(|pair| pair.item(run)).collect()
        };
        let both = [items(0), items(1)];
        let ece = |items: &Vec<Item<'_>>| {
            Calibration::of(items.iter().map(|item| (item.confidence(), item.is_right()))).ece
        };
        let classes = classes(&told, names);
        let changed = |worse: bool| {
            let changed = classes.iter().filter(|c| c.p_value < ALPHA && (c.b < c.a) == worse);
            changed.count() as u64
        };
        Some(Self {
            images: told.len() as u64,
            top1: Accuracies::of(&told, 1),
            top5: (k == SECOND_K).then(|| Accuracies::of(&told, k)),
            macro_f1: both.each_ref().map(|items| Confusion::of(items).averages().macro_f1),
            ece: both.each_ref().map(ece),
            changed_classes: [changed(true), changed(false)],
            classes,
        })
    }

    pub(super) fn measures(&self) -> Measures {
        let plain = [
            ("macro_f1", self.macro_f1[1]),
            ("macro_f1_drop", self.macro_f1[0] - self.macro_f1[1]),
            ("worse_classes", self.changed_classes[0] as f64),
        ];
        let plain = plain.map(|(name, value)| (name.to_owned(), Measure::Plain(value)));
        let mut measures: Measures = plain.into_iter().collect();
        for (name, accuracies) in [("top1", Some(&self.top1)), ("top5", self.top5.as_ref())] {
            if let Some(accuracies) = accuracies {
                let hits = accuracies.table.both + accuracies.table.only_b;
                let share = Measure::Share { hits, count: self.images };
                measures.insert(name.to_owned(), share);
                measures.insert(format!("{name}_drop"), accuracies.drop());
            }
        }
        measures
    }
}

fn classes(told: &[&Pair<'_>], names: &BTreeMap<u32, String>) -> Vec<ClassChange> {
    let mut by_class: BTreeMap<u32, Vec<&Pair<'_>>> = BTreeMap::new();
    for pair in told {
        // Of several right answers the first, so that both runs count in the same class.
        let class = pair.answers.and_then(|answers| answers.first());
        by_class.entry(*class.expect("only those with a truth")).or_default().push(pair);
    }
    let tables: Vec<(u32, Table)> =
        by_class.iter().map(|(class, pairs)| (*class, Table::of(pairs, 1))).collect();
    let p_values: Vec<f64> =
        tables.iter().map(|(_, table)| mcnemar_mid_p(table.only_a, table.only_b)).collect();
    let change = |((class, table), p_value): ((u32, Table), f64)| ClassChange {
        class,
        name: names[&class].clone(),
        images: table.count(),
        a: table.both + table.only_a,
        b: table.both + table.only_b,
        p_value,
    };
    tables.into_iter().zip(holm(&p_values)).map(change).collect()
}
