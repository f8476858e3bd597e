//! Images whose label is likelier wrong than the model.

use std::collections::BTreeMap;

use super::{FLOOR, Item};

/// An image that looks like another class than it is said to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Its place in the items.
    pub item: usize,
    /// The class that it looks like.
    pub looks_like: u32,
    /// p(label) less the largest other p, from −1: the lower, the likelier it is an error.
    pub margin: f64,
}

/// Likely label errors by confident learning, the likeliest first: C. G. Northcutt, L. Jiang and I. L.
/// Chuang, *Confident learning: estimating uncertainty in dataset labels* (2021).
///
/// The threshold of a class is the mean of its probability over the images that carry its label. An image
/// is a suspect when the most probable class that reaches its own threshold is not its label, and more
/// probable than it, as cleanlab has it. They are ranked by normalised margin. A class that is not among
/// the best counts as improbable, 0. Images with several right answers are left out.
#[must_use]
pub fn suspects(items: &[Item<'_>]) -> Vec<Suspect> {
    let thresholds = thresholds(items);
    let suspect = |(at, item): (usize, &Item<'_>)| {
        let &[label] = item.answers else { return None };
        let reaches = |class: u32, p: f64| {
            thresholds.get(&class).is_some_and(|t| p > FLOOR && p >= *t - 1e-6)
        };
        let confident = item.top.iter().find(|score| reaches(score.class, score.probability))?;
        let own = item.probability(label).unwrap_or(0.0);
        if confident.class == label || own >= confident.probability {
            return None;
        }
        let others = item.top.iter().filter(|score| score.class != label);
        let largest = others.map(|score| score.probability).fold(0.0, f64::max);
        let margin = own - largest;
        Some(Suspect { item: at, looks_like: confident.class, margin })
    };
    let mut found: Vec<_> = items.iter().enumerate().filter_map(suspect).collect();
    found.sort_by(|a, b| a.margin.total_cmp(&b.margin));
    found
}

fn thresholds(items: &[Item<'_>]) -> BTreeMap<u32, f64> {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for item in items {
        if let &[label] = item.answers {
            let (sum, count) = sums.entry(label).or_default();
            *sum += item.probability(label).unwrap_or(0.0);
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(class, (sum, count))| (class, sum / count)).collect()
}
