//! What the answers under one recipe are worth beside those under another.

use super::{
    candidates::Candidate,
    truth::{Labelled, Reading},
};
use crate::{
    rank,
    recipe::Activation,
    statistics::{self, Distributions, Draws},
};

/// Bootstrap samples behind an interval of mutual information.
const SAMPLES: usize = 200;

/// Below this an adjusted p value tells two candidates apart.
const SIGNIFICANT: f64 = 0.05;

/// The quantile of bootstrapped gaps that has to be above zero: one-sided 5 % over ten or more
/// candidates that are near the best.
const LOW: f64 = 0.005;

/// A difference of mutual information below this, in nats, is a tie whatever the interval says.
const TIE: f64 = 0.02;

/// Information sees how sharp an image is, not whether its geometry is the right one: of candidates
/// with the same numbers the right one was up to 0.18 nats below the best (`SqueezeNet` 1.0 on 200
/// photos of `ImageNet`).
const GEOMETRY_TIE: f64 = 0.25;

/// A candidate and the model's answers under it, image by image.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) candidate: Candidate,
    /// Best class of each image.
    pub(super) best: Vec<usize>,
    /// Probabilities of each image.
    pub(super) probabilities: Distributions,
    /// Why the model cannot run under it.
    pub(super) impossible: Option<String>,
}

impl Tried {
    pub(super) fn new(candidate: Candidate) -> Self {
        let (best, probabilities) = (Vec::new(), Distributions::default());
        Self { candidate, best, probabilities, impossible: None }
    }

    /// Takes the scores of a batch, images × `classes`.
    pub(super) fn take(&mut self, scores: &[f32], classes: usize, activation: Activation) {
        for row in scores.chunks_exact(classes) {
            let mut probabilities = vec![1.0 / classes as f32; classes];
            // Scores without an order are as good as no answer.
            match rank::top_k(row, activation, None, classes) {
                Ok(ranked) => {
                    let total: f64 = ranked.iter().map(|r| r.probability.max(0.0)).sum();
                    for r in &ranked {
                        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
                        let share = (r.probability.max(0.0) / total.max(f64::MIN_POSITIVE)) as f32;
                        probabilities[r.class] = share;
                    }
                    self.best.push(ranked.first().map_or(usize::MAX, |r| r.class));
                }
                Err(_) => self.best.push(usize::MAX),
            }
            self.probabilities.push(&probabilities);
        }
    }

    /// Mutual information of images and answers, in nats.
    pub(super) fn information(&self) -> f64 {
        let all: Vec<usize> = (0..self.probabilities.count()).collect();
        self.probabilities.mutual_information(&all)
    }

    /// Different best classes.
    pub(super) fn distinct(&self) -> usize {
        let mut classes = self.best.clone();
        classes.sort_unstable();
        classes.dedup();
        classes.len()
    }

    /// Mean probability of the best class.
    pub(super) fn confidence(&self) -> f64 {
        let peak = |row: &[f32]| f64::from(row.iter().copied().fold(0.0, f32::max));
        self.probabilities.rows().map(peak).sum::<f64>() / self.best.len().max(1) as f64
    }

    /// Whether each image with a known truth is right.
    pub(super) fn right(&self, images: &[Labelled], reading: &Reading) -> Vec<bool> {
        let truths = images.iter().zip(&self.best);
        truths
            .filter_map(|(image, &best)| {
                let class = *reading.classes.get(image.truth.as_deref()?)?;
                Some(best == class)
            })
            .collect()
    }
}

/// One score for each image as the probabilities of two classes, of which it is the second's.
pub(super) fn two_classes(scores: &[f32], activation: Activation) -> Vec<f32> {
    let second = |&score: &f32| match activation {
        // Its softmax would be 1 whatever it is.
        Activation::Softmax | Activation::Sigmoid => 1.0 / (1.0 + (-score).exp()),
        Activation::None => score,
    };
    scores.iter().map(second).flat_map(|second| [1.0 - second, second]).collect()
}

/// The reading of the truth under which any candidate is best.
pub(super) fn best_reading(
    tried: &[Tried],
    images: &[Labelled],
    readings: &[Reading],
) -> Option<Reading> {
    let hits = |reading: &Reading| {
        let right = |tried: &Tried| tried.right(images, reading).iter().filter(|&&r| r).count();
        tried.iter().map(right).max().unwrap_or(0)
    };
    // Of equal ones the first, which is the more usual.
    let best = readings.iter().rev().max_by_key(|reading| hits(reading));
    best.cloned()
}

/// The candidate to go on with: the best by accuracy where the truth is known. By information, of
/// those that cannot be told from the best, the most usual one.
pub(super) fn chosen(tried: &[Tried], images: &[Labelled], reading: Option<&Reading>) -> usize {
    let best = order(tried, images, reading).first().copied().unwrap_or(0);
    if reading.is_some() {
        return best;
    }
    let standings = standings(tried, best, images, reading);
    let ties = |at: &usize| standings[*at].same && tried[*at].impossible.is_none();
    (0..tried.len()).find(ties).unwrap_or(best)
}

/// All candidates, best first; of equal ones the more usual first.
pub(super) fn order(tried: &[Tried], images: &[Labelled], reading: Option<&Reading>) -> Vec<usize> {
    let worth: Vec<f64> = tried
        .iter()
        .map(|tried| match reading {
            _ if tried.impossible.is_some() => f64::NEG_INFINITY,
            Some(reading) => tried.right(images, reading).iter().filter(|&&r| r).count() as f64,
            None => tried.information(),
        })
        .collect();
    let mut order: Vec<usize> = (0..tried.len()).collect();
    order.sort_by(|&a, &b| worth[b].total_cmp(&worth[a]));
    order
}

/// How a candidate stands beside the best one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    /// Mid-p of `McNemar`'s test, adjusted for all comparisons; where the truth is known.
    pub(super) p: Option<f64>,
    /// Whether it cannot be told from the best.
    pub(super) same: bool,
}

/// Compares every candidate with the `best` one on the same images.
pub(super) fn standings(
    tried: &[Tried],
    best: usize,
    images: &[Labelled],
    reading: Option<&Reading>,
) -> Vec<Standing> {
    // What cannot run is compared with nothing, nor is the best with itself.
    let others: Vec<usize> =
        (0..tried.len()).filter(|&at| at != best && tried[at].impossible.is_none()).collect();
    let p = reading.map(|_| 1.0);
    let mut standings = vec![Standing { p, same: true }; tried.len()];
    let best = &tried[best];
    let Some(reading) = reading else {
        let samples = bootstrapped(best);
        for at in others {
            standings[at].same = ties_in_information((best, &samples), &tried[at]);
        }
        return standings;
    };
    let p_values: Vec<f64> =
        others.iter().map(|&at| difference(best, &tried[at], images, reading)).collect();
    // The best is the best of many, so each comparison alone would say too much.
    for (at, p) in others.into_iter().zip(statistics::holm(&p_values)) {
        standings[at] = Standing { p: Some(p), same: p >= SIGNIFICANT };
    }
    standings
}

/// Mid-p of `McNemar`'s test on the images with a known truth.
fn difference(best: &Tried, other: &Tried, images: &[Labelled], reading: &Reading) -> f64 {
    let pairs = best.right(images, reading).into_iter().zip(other.right(images, reading));
    let (mut only_best, mut only_other) = (0, 0);
    for (best, other) in pairs {
        only_best += u64::from(best && !other);
        only_other += u64::from(other && !best);
    }
    statistics::mcnemar_mid_p(only_best, only_other)
}

/// The information in samples of the images with replacement, the same samples for every candidate.
fn bootstrapped(tried: &Tried) -> Vec<f64> {
    let mut draws = Draws::new(1);
    let count = tried.probabilities.count();
    let sample = |_| tried.probabilities.mutual_information(&draws.resample(count));
    (0..SAMPLES).map(sample).collect()
}

/// Whether a candidate's information cannot be told from the best's, of which `samples` are
/// [`bootstrapped`].
fn ties_in_information((best, samples): (&Tried, &[f64]), other: &Tried) -> bool {
    let gap = best.information() - other.information();
    if gap < TIE || (gap < GEOMETRY_TIE && best.candidate.has_numbers_of(&other.candidate)) {
        return true;
    }
    let others = bootstrapped(other);
    let mut gaps: Vec<f64> = samples.iter().zip(others).map(|(best, other)| best - other).collect();
    statistics::quantile(&mut gaps, LOW) <= 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_score_is_the_second_of_two_classes() {
        assert_eq!(two_classes(&[0.25, 1.0], Activation::None), [0.75, 0.25, 0.0, 1.0]);
        assert_eq!(two_classes(&[0.0], Activation::Sigmoid), [0.5, 0.5]);
        assert_eq!(two_classes(&[0.0], Activation::Softmax), [0.5, 0.5]);
    }
}
