//! One number that makes confidences honest.

use serde::Serialize;

use super::{Calibration, FLOOR, Item, are_exclusive, is_complete};
use crate::predictions::Score;

/// The least that a probability which is written as 0 is taken for.
const LEAST: f64 = 1e-9;

/// A fitted temperature, and what it changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Temperature {
    /// Logits are divided by it; above 1 makes answers less sure.
    pub value: f64,
    /// Whether every row has all classes. Otherwise what the best leave is taken as spread evenly
    /// over the others, which is an estimate.
    pub exact: bool,
    /// Mean −ln p(truth) before and after.
    pub log_loss: [f64; 2],
    /// Expected calibration error before and after.
    pub ece: [f64; 2],
}

/// Logarithms of one row's probabilities: logits up to a constant, which softmax does not see.
struct Logs {
    listed: Vec<f64>,
    /// Each of the classes that are not listed, and how many.
    unlisted: (f64, f64),
    truth: f64,
}

impl Logs {
    fn new(item: &Item<'_>, classes: u32) -> Self {
        let others = f64::from(classes) - item.top.len() as f64;
        // Probabilities that are written as 0 share what the others leave.
        let zeros = item.top.iter().filter(|score| score.probability < FLOOR).count().max(1) as f64;
        let share = if others > 0.0 { FLOOR } else { (item.rest() / zeros).clamp(LEAST, FLOOR) };
        let truth = item.truth();
        let log = |score: &Score| {
            let least = if score.class == truth { FLOOR } else { share };
            if score.probability < FLOOR { least.ln() } else { score.probability.ln() }
        };
        let each = if others > 0.0 { (item.rest().max(FLOOR) / others).ln() } else { 0.0 };
        Self {
            listed: item.top.iter().map(log).collect(),
            unlisted: (each, others),
            truth: item.top.iter().find(|score| score.class == truth).map_or(each, log),
        }
    }

    /// The logarithm of the sum of all pᵝ, and the mean of ln p under the distribution pᵝ.
    fn at(&self, beta: f64) -> (f64, f64) {
        let (each, others) = self.unlisted;
        let largest = beta * self.listed.first().copied().unwrap_or(0.0).max(each);
        let weight = |log: f64| (beta * log - largest).exp();
        let rest = if others > 0.0 { others * weight(each) } else { 0.0 };
        let sum = self.listed.iter().map(|&log| weight(log)).sum::<f64>() + rest;
        let mean = self.listed.iter().map(|&log| log * weight(log)).sum::<f64>() + each * rest;
        (largest + sum.ln(), mean / sum)
    }
}

/// Fits the temperature that gives the least log loss: C. Guo et al., *On calibration of modern neural
/// networks* (2017).
///
/// The loss is convex in β = 1 / T, so the zero of its derivative is found by halving, from T = 20 to
/// 0.05; `None` when the least lies at an end, as it does when all answers are right, when the number of
/// `classes` is unknown, or when they do not exclude each other.
#[must_use]
pub fn fit(items: &[Item<'_>], classes: Option<u32>) -> Option<Temperature> {
    let count = classes.filter(|_| !items.is_empty())?;
    let too_many = items.iter().any(|item| item.top.len() > count as usize);
    if too_many || !are_exclusive(items) {
        return None;
    }
    let logs: Vec<Logs> = items.iter().map(|item| Logs::new(item, count)).collect();
    let slope = |beta: f64| logs.iter().map(|log| log.at(beta).1 - log.truth).sum::<f64>();
    let [mut low, mut high] = [0.05, 20.0];
    if slope(low) >= 0.0 || slope(high) <= 0.0 {
        return None;
    }
    while high - low > 1e-12 * high {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
        if middle == low && middle == high {
            break;
        }
    }
    let beta = f64::midpoint(low, high);
    let loss = |beta: f64| {
        let sum: f64 = logs.iter().map(|log| log.at(beta).0 - beta * log.truth).sum();
        sum / logs.len() as f64
    };
    let ece = |beta: f64| {
        let confidence = |log: &Logs| (beta * log.listed[0] - log.at(beta).0).exp().min(1.0);
        let right = items.iter().map(Item::is_right);
        Calibration::of(logs.iter().map(confidence).zip(right)).ece
    };
    let log_loss = [loss(1.0), loss(beta)];
    let exact = is_complete(items, classes);
    Some(Temperature { value: 1.0 / beta, exact, log_loss, ece: [ece(1.0), ece(beta)] })
}
