//! Precision and recall of a class at every threshold.

use std::collections::BTreeMap;

use super::Item;

/// One class against all others.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Threshold, precision, recall; recall grows.
    pub points: Vec<[f64; 3]>,
    /// Σ (Rₙ − Rₙ₋₁) Pₙ, scikit-learn's `average_precision_score`. Where rows have only the best
    /// classes, images that do not list the class come last together, as with a score of 0.
    pub average_precision: f64,
}

/// The curve of each class that some image shows.
#[must_use]
pub fn curves(items: &[Item<'_>]) -> BTreeMap<u32, Curve> {
    let mut scores: BTreeMap<u32, Vec<(f64, bool)>> = BTreeMap::new();
    let mut supports: BTreeMap<u32, u64> = BTreeMap::new();
    for item in items {
        let truth = item.truth();
        *supports.entry(truth).or_default() += 1;
        for score in item.top {
            let pair = (score.probability, score.class == truth);
            scores.entry(score.class).or_default().push(pair);
        }
    }
    let curve = |(class, support): (u32, u64)| {
        let pairs = scores.remove(&class).unwrap_or_default();
        (class, curve(pairs, support, items.len() as u64))
    };
    supports.into_iter().map(curve).collect()
}

fn curve(mut pairs: Vec<(f64, bool)>, support: u64, images: u64) -> Curve {
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut points, mut taken, mut hits, mut area) = (Vec::new(), 0u64, 0u64, 0.0);
    let mut take = |threshold: f64, count: u64, right: u64| {
        taken += count;
        hits += right;
        let [precision, recall] = [hits as f64 / taken.max(1) as f64, hits as f64 / support as f64];
        area += right as f64 / support as f64 * precision;
        points.push([threshold, precision, recall]);
        (taken, hits)
    };
    let mut last = (0, 0);
    for equal in pairs.chunk_by(|a, b| a.0 == b.0).filter(|equal| equal[0].0 > 0.0) {
        let right = equal.iter().filter(|pair| pair.1).count() as u64;
        last = take(equal[0].0, equal.len() as u64, right);
    }
    if last.0 < images {
        take(0.0, images - last.0, support - last.1);
    }
    Curve { points, average_precision: area }
}
