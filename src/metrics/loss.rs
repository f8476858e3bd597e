//! Log loss and Brier score.

use serde::Serialize;

use super::{FLOOR, Item, is_complete};

/// A loss that needs the probabilities of all classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Loss {
    /// Every row has all classes.
    Exact {
        /// The mean over the images.
        value: f64,
    },
    /// Rows have only the best classes; it is this at least.
    AtLeast {
        /// The mean of the least that each image can have.
        value: f64,
        /// Images whose right class is not among the best.
        unlisted: u64,
    },
}

/// Losses of probabilities; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Losses {
    /// Mean of −ln p(truth), p being `FLOOR` at least (I. J. Good, *Rational decisions*, 1952). A right
    /// class that is not listed has at most the last listed probability, and the rest.
    pub log_loss: Loss,
    /// Mean of Σ over classes of (p − truth)², from 0 to 2 (G. W. Brier, *Verification of forecasts
    /// expressed in terms of probability*, 1950). What is not listed adds 0 at least.
    pub brier: Loss,
    /// Mean of (p(prediction) − whether it is right)², from 0 to 1: always exact.
    pub confidence_brier: f64,
}

impl Losses {
    /// Losses of `items`, of a model of so many `classes`.
    #[must_use]
    pub fn of(items: &[Item<'_>], classes: Option<u32>) -> Self {
        let complete = is_complete(items, classes);
        let listed = |item: &&Item<'_>| item.probability(item.truth()).is_some();
        let unlisted = items.len() as u64 - items.iter().filter(listed).count() as u64;
        let loss = |value: f64| {
            if complete { Loss::Exact { value } } else { Loss::AtLeast { value, unlisted } }
        };
        let mean = |value: &dyn Fn(&Item<'_>) -> f64| {
            items.iter().map(value).sum::<f64>() / items.len().max(1) as f64
        };
        let log = mean(&|item| -truth_at_most(item).max(FLOOR).ln());
        let unit = |item: &Item<'_>| f64::from(u8::from(item.is_right()));
        Self {
            log_loss: if !complete && unlisted == 0 {
                Loss::Exact { value: log }
            } else {
                loss(log)
            },
            brier: loss(mean(&brier)),
            confidence_brier: mean(&|item| (item.confidence() - unit(item)).powi(2)),
        }
    }
}

/// The probability of the right class, or the most that it can be.
fn truth_at_most(item: &Item<'_>) -> f64 {
    let last = item.top.last().map_or(0.0, |score| score.probability);
    item.probability(item.truth()).unwrap_or_else(|| last.min(item.rest()))
}

fn brier(item: &Item<'_>) -> f64 {
    let truth = item.truth();
    let squares = item
        .top
        .iter()
        .map(|score| (score.probability - f64::from(u8::from(score.class == truth))).powi(2));
    let unlisted = match item.probability(truth) {
        Some(_) => 0.0,
        None => (1.0 - truth_at_most(item)).powi(2),
    };
    squares.sum::<f64>() + unlisted
}
