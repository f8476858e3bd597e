//! Counts of what is taken for what, and the figures that come from them alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Item;
use crate::statistics::wilson;

/// How often each class is taken for which, without the zeros.
#[derive(Debug, Clone, Default)]
pub struct Confusion {
    /// Images by truth and prediction.
    pub cells: BTreeMap<(u32, u32), u64>,
    supports: BTreeMap<u32, u64>,
    predicted: BTreeMap<u32, u64>,
    total: u64,
}

/// One class, against all others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its index.
    pub class: u32,
    /// Images that show it.
    pub support: u64,
    /// Images that are said to show it.
    pub predicted: u64,
    /// Those that are both.
    pub hits: u64,
    /// `hits / predicted`, 0 where nothing is predicted.
    pub precision: f64,
    /// Wilson's 95 % interval of it.
    pub precision_interval: [f64; 2],
    /// `hits / support`, 0 without support.
    pub recall: f64,
    /// Wilson's 95 % interval of it.
    pub recall_interval: [f64; 2],
    /// Harmonic mean of precision and recall, 0 where both are.
    pub f1: f64,
    /// An interval of it: F1 = 2J / (1 + J) of J = hits / (support + predicted − hits), whose Wilson
    /// interval is carried over, as F1 only grows with J.
    pub f1_interval: [f64; 2],
}

/// Figures over all classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Averages {
    /// Mean recall of the classes with images (scikit-learn's `balanced_accuracy_score`).
    pub balanced_accuracy: f64,
    /// Mean over all classes that are shown or predicted (`average="macro"`, `zero_division=0`).
    pub macro_precision: f64,
    /// As `macro_precision`.
    pub macro_recall: f64,
    /// As `macro_precision`: the mean of the classes' F1, not the F1 of the means.
    pub macro_f1: f64,
    /// Mean weighted with the classes' support (`average="weighted"`).
    pub weighted_precision: f64,
    /// As `weighted_precision`; equal to the accuracy.
    pub weighted_recall: f64,
    /// As `weighted_precision`.
    pub weighted_f1: f64,
    /// Matthews' correlation for several classes: J. Gorodkin, *Comparing two K-category assignments
    /// by a K-category correlation coefficient* (2004). 0 where truth or prediction is one class.
    pub mcc: f64,
    /// J. Cohen, *A coefficient of agreement for nominal scales* (1960).
    pub kappa: f64,
}

impl Confusion {
    /// Counts `items`, each with one truth; see [`Item::truth`].
    #[must_use]
    pub fn of(items: &[Item<'_>]) -> Self {
        Self::of_pairs(items.iter().map(|item| (item.truth(), item.predicted())))
    }

    /// Counts pairs of two sayings about the same images.
    #[must_use]
    pub fn of_pairs(pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut counts = Self::default();
        for (truth, predicted) in pairs {
            *counts.cells.entry((truth, predicted)).or_default() += 1;
            *counts.supports.entry(truth).or_default() += 1;
            *counts.predicted.entry(predicted).or_default() += 1;
            counts.total += 1;
        }
        counts
    }

    /// Classes that are shown or predicted, in order.
    #[must_use]
    pub fn classes(&self) -> Vec<u32> {
        let classes: BTreeSet<u32> =
            self.supports.keys().chain(self.predicted.keys()).copied().collect();
        classes.into_iter().collect()
    }

    /// Figures of each of [`Confusion::classes`].
    #[must_use]
    pub fn figures(&self) -> Vec<ClassFigures> {
        self.classes().into_iter().map(|class| self.figures_of(class)).collect()
    }

    fn figures_of(&self, class: u32) -> ClassFigures {
        let count = |counts: &BTreeMap<u32, u64>| counts.get(&class).copied().unwrap_or(0);
        let (support, predicted) = (count(&self.supports), count(&self.predicted));
        let hits = self.cells.get(&(class, class)).copied().unwrap_or(0);
        let either = support + predicted - hits;
        ClassFigures {
            class,
            support,
            predicted,
            hits,
            precision: share(hits, predicted),
            precision_interval: wilson(hits, predicted),
            recall: share(hits, support),
            recall_interval: wilson(hits, support),
            f1: share(2 * hits, support + predicted),
            f1_interval: wilson(hits, either).map(|j| 2.0 * j / (1.0 + j)),
        }
    }

    /// Figures over all classes.
    #[must_use]
    pub fn averages(&self) -> Averages {
        let figures = self.figures();
        let mean = |value: fn(&ClassFigures) -> f64| {
            figures.iter().map(value).sum::<f64>() / figures.len().max(1) as f64
        };
        let weighted = |value: fn(&ClassFigures) -> f64| {
            let sum: f64 = figures.iter().map(|class| class.support as f64 * value(class)).sum();
            sum / self.total.max(1) as f64
        };
        let shown = figures.iter().filter(|class| class.support > 0);
        let recalls: f64 = shown.map(|class| class.recall).sum();
        Averages {
            balanced_accuracy: recalls / self.supports.len().max(1) as f64,
            macro_precision: mean(|class| class.precision),
            macro_recall: mean(|class| class.recall),
            macro_f1: mean(|class| class.f1),
            weighted_precision: weighted(|class| class.precision),
            weighted_recall: weighted(|class| class.recall),
            weighted_f1: weighted(|class| class.f1),
            mcc: self.mcc(),
            kappa: self.kappa(),
        }
    }

    /// Hits, and what hits by chance would sum to, times the total; as f64 they stay exact below 2⁵³.
    fn hits_and_chance(&self) -> [f64; 2] {
        let hits: u64 =
            self.cells.iter().filter(|((t, p), _)| t == p).map(|(_, count)| count).sum();
        let both = |(class, support): (&u32, &u64)| {
            *support as f64 * self.predicted.get(class).copied().unwrap_or(0) as f64
        };
        [hits as f64, self.supports.iter().map(both).sum()]
    }

    fn mcc(&self) -> f64 {
        let total = self.total as f64;
        let [hits, chance] = self.hits_and_chance();
        let spread = |counts: &BTreeMap<u32, u64>| {
            total * total - counts.values().map(|&count| (count as f64).powi(2)).sum::<f64>()
        };
        let scale = spread(&self.supports) * spread(&self.predicted);
        if scale > 0.0 { (hits * total - chance) / scale.sqrt() } else { 0.0 }
    }

    /// Agreement beyond chance; 1 when both always say the same one class.
    #[must_use]
    pub fn kappa(&self) -> f64 {
        let total = self.total as f64;
        let [hits, chance] = self.hits_and_chance();
        let possible = total * total - chance;
        if possible > 0.0 { (hits * total - chance) / possible } else { 1.0 }
    }

    /// Confused pairs, the most frequent first: truth, prediction, images.
    #[must_use]
    pub fn worst_pairs(&self, most: usize) -> Vec<(u32, u32, u64)> {
        let wrong = self.cells.iter().filter(|((t, p), _)| t != p);
        let mut pairs: Vec<_> = wrong.map(|(&(t, p), &count)| (t, p, count)).collect();
        pairs.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        pairs.truncate(most);
        pairs
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
