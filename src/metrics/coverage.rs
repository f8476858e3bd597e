//! What is gained when the least sure answers are left to a person.

use serde::Serialize;

use super::Item;
use crate::statistics::wilson;

/// Accuracies that a person may want.
const WANTED: [f64; 5] = [0.8, 0.9, 0.95, 0.98, 0.99];

/// What a threshold keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Least confidence that is kept.
    pub threshold: f64,
    /// Images that are kept.
    pub kept: u64,
    /// Share of all images that is kept.
    pub coverage: f64,
    /// Share of the kept that is right.
    pub accuracy: f64,
    /// Wilson's 95 % interval of it; a threshold that was chosen by these images promises less.
    pub interval: [f64; 2],
}

/// Accuracy of the answers that are at least so sure, for every threshold.
///
/// R. El-Yaniv and Y. Wiener, *On the foundations of noise-free selective classification* (2010).
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// For each confidence that occurs, from the surest on.
    pub points: Vec<Point>,
    /// Mean over the images of the error rate among those at least as sure as it: the area under the
    /// risk–coverage curve (Y. Geifman and R. El-Yaniv, *Selective classification for deep neural
    /// networks*, 2017). Lower is better.
    pub area: f64,
}

impl Coverage {
    /// The curve of `items`.
    #[must_use]
    pub fn of(items: &[Item<'_>]) -> Self {
        let mut pairs: Vec<_> = items.iter().map(|i| (i.confidence(), i.is_right())).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let total = pairs.len().max(1) as f64;
        let (mut points, mut kept, mut right, mut area) = (Vec::new(), 0u64, 0u64, 0.0);
        for equal in pairs.chunk_by(|a, b| a.0 == b.0) {
            kept += equal.len() as u64;
            right += equal.iter().filter(|pair| pair.1).count() as u64;
            let accuracy = right as f64 / kept as f64;
            area += equal.len() as f64 * (1.0 - accuracy) / total;
            let (threshold, coverage) = (equal[0].0, kept as f64 / total);
            let interval = wilson(right, kept);
            points.push(Point { threshold, kept, coverage, accuracy, interval });
        }
        Self { points, area }
    }

    /// For each usual accuracy, the threshold that keeps the most images at it; `None` when none
    /// does.
    #[must_use]
    pub fn wanted(&self) -> Vec<(f64, Option<Point>)> {
        let best =
            |wanted: f64| self.points.iter().rev().find(|point| point.accuracy >= wanted).copied();
        WANTED.map(|wanted| (wanted, best(wanted))).to_vec()
    }

    /// What a threshold keeps; `None` when it keeps nothing.
    #[must_use]
    pub fn at(&self, threshold: f64) -> Option<Point> {
        self.points.iter().rev().find(|point| point.threshold >= threshold).copied()
    }
}
