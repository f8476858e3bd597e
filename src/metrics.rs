//! What predictions are worth, from their best classes and the truth. Pure.
//!
//! A row holds the best `k` classes of a model, with six decimals. What needs only those is exact;
//! what needs all classes is exact for complete rows, and otherwise what it is called here: a bound,
//! or an estimate.
//!
//! In the formulas n are the images, t the right class of an image and c the predicted one; sₖ images show
//! class k, pₖ are said to, hₖ are both; p(k) is what a row gives class k.
//!
//! | figure | formula | source |
//! |---|---|---|
//! | top-k accuracy | images whose t is among the k most probable classes, / n | – |
//! | interval of a share h/n | (h/n + z²/2n ± z √(h/n (1−h/n)/n + z²/4n²)) / (1 + z²/n) | Wilson 1927 |
//! | precision, recall, F1 | hₖ/pₖ, hₖ/sₖ, 2hₖ/(sₖ + pₖ); 0 for 0/0 | van Rijsbergen, *Information Retrieval*, 1979 |
//! | interval of F1 | 2J/(1+J) of Wilson's interval of J = hₖ/(sₖ + pₖ − hₖ) | the same, as F1 only grows with J |
//! | macro, weighted | Σ fₖ / classes that are shown or predicted; Σ sₖ fₖ / n | scikit-learn |
//! | balanced accuracy | Σ hₖ/sₖ / classes that are shown | Brodersen et al., *The balanced accuracy and its posterior distribution*, 2010 |
//! | MCC | (n Σhₖ − Σ sₖpₖ) / √((n² − Σpₖ²)(n² − Σsₖ²)) | Gorodkin 2004 |
//! | kappa | (n Σhₖ − Σ sₖpₖ) / (n² − Σ sₖpₖ) | Cohen 1960 |
//! | log loss | −Σ ln p(t) / n | Good 1952 |
//! | Brier score | Σ Σₖ (p(k) − [k = t])² / n | Brier 1950 |
//! | ECE, MCE | Σ_b n_b/n · \|right_b/n_b − mean p(c)_b\| and the largest, 15 equal bins (low, high] | Naeini et al. 2015, Guo et al. 2017 |
//! | temperature | the T of the least −Σ ln q(t), q(k) = p(k)^(1/T) / Σⱼ p(j)^(1/T) | Guo et al. 2017 |
//! | risk–coverage | at threshold τ: kept/n, and right/kept, of images with p(c) ≥ τ | El-Yaniv and Wiener 2010 |
//! | area under it | Σᵢ (share of wrong ones among images at least as sure as i) / n | Geifman and El-Yaniv 2017 |
//! | average precision | Σᵢ (Rᵢ − Rᵢ₋₁) Pᵢ over the thresholds | scikit-learn; Salton and McGill 1983 |
//! | likely label errors | the most probable k with p(k) ≥ mean of p(k) over images labelled k, where k ≠ t and p(k) > p(t) | Northcutt, Jiang and Chuang 2021 |
//! | slices | Fisher's exact test of a slice and the others, adjusted | Fisher 1922, Holm 1979 |
//!
//! Those of a comparison are in [`crate::statistics`].

use crate::predictions::Score;

mod calibration;
mod confusion;
mod coverage;
mod label_errors;
mod loss;
mod precision_recall;
mod slices;
mod temperature;

pub use calibration::{Bin, Calibration};
pub use confusion::{Averages, ClassFigures, Confusion};
pub use coverage::{Coverage, Point};
pub use label_errors::{Suspect, suspects};
pub use loss::{Loss, Losses};
pub use precision_recall::{Curve, curves};
pub use slices::{Slice, slices};
pub use temperature::{Temperature, fit};

/// The largest probability that is written as `0.000000`; it stands for such a one.
pub const FLOOR: f64 = 5e-7;

/// By how much sums of probabilities exceed 1 in half-precision models.
const SUM_TOLERANCE: f64 = 5e-3;

/// One image with a prediction and a truth.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The right classes, one or more.
    pub answers: &'a [u32],
    /// The best classes, one or more, the most probable first.
    pub top: &'a [Score],
}

impl Item<'_> {
    /// The class that the model says.
    #[must_use]
    pub fn predicted(&self) -> u32 {
        self.top[0].class
    }

    /// How probable the model thinks that is.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.top[0].probability
    }

    /// Whether that is right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.is_right_within(1)
    }

    /// Whether one of the best `k` classes is right.
    #[must_use]
    pub fn is_right_within(&self, k: usize) -> bool {
        self.top.iter().take(k).any(|score| self.answers.contains(&score.class))
    }

    /// The class that it counts as: of several right ones the predicted, otherwise the first.
    #[must_use]
    pub fn truth(&self) -> u32 {
        let predicted = self.predicted();
        if self.answers.contains(&predicted) { predicted } else { self.answers[0] }
    }

    /// The probability of a class, if it is among the best.
    #[must_use]
    pub fn probability(&self, class: u32) -> Option<f64> {
        self.top.iter().find(|score| score.class == class).map(|score| score.probability)
    }

    /// What the best classes leave to all others together.
    fn rest(&self) -> f64 {
        (1.0 - self.top.iter().map(|score| score.probability).sum::<f64>()).max(0.0)
    }
}

/// Whether the probabilities of each row may be those of classes that exclude each other: they add up
/// to 1 at most. A multi-label model's do not.
#[must_use]
pub fn are_exclusive(items: &[Item<'_>]) -> bool {
    let sum = |item: &Item<'_>| item.top.iter().map(|score| score.probability).sum::<f64>();
    items.iter().all(|item| sum(item) <= 1.0 + SUM_TOLERANCE)
}

/// Images of `items` that are right within the best `k` classes.
#[must_use]
pub fn hits(items: &[Item<'_>], k: usize) -> u64 {
    items.iter().filter(|item| item.is_right_within(k)).count() as u64
}

/// Whether every row holds all of `classes`.
#[must_use]
pub fn is_complete(items: &[Item<'_>], classes: Option<u32>) -> bool {
    let complete = |count: u32| items.iter().all(|item| item.top.len() == count as usize);
    classes.is_some_and(complete)
}
