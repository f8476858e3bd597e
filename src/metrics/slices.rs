//! Accuracy by what else is known of an image.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::statistics::{Fisher, holm, wilson};

/// Most values of something that images are told apart by.
const MOST_VALUES: usize = 60;

/// Images of which one thing is the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// What is the same, such as `folder`.
    pub by: String,
    /// Its value.
    pub value: String,
    /// Images.
    pub images: u64,
    /// Those that are right.
    pub right: u64,
    /// Share of them.
    pub accuracy: f64,
    /// Wilson's 95 % interval of it.
    pub interval: [f64; 2],
    /// Fisher's exact test against all other images, adjusted for all slices (Holm).
    pub p_value: f64,
}

/// Slices of what is known of each image: a name, and for each image whether it is right and the value,
/// `None` where it has none. What has only one value, or too many, is left out. The p values hold for
/// all together.
#[must_use]
pub fn slices(known: &[(String, Vec<Option<String>>)], right: &[bool]) -> Vec<Slice> {
    let all = right.len();
    let all_right = right.iter().filter(|right| **right).count();
    let fisher = Fisher::up_to(all);
    let mut found = Vec::new();
    for (by, values) in known {
        let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for (value, right) in values.iter().zip(right) {
            if let Some(value) = value {
                let count = counts.entry(value).or_default();
                count[0] += usize::from(*right);
                count[1] += 1;
            }
        }
        if counts.len() < 2 || counts.len() > MOST_VALUES {
            continue;
        }
        found.extend(counts.into_iter().map(|(value, [hits, count])| Slice {
            by: by.clone(),
            value: value.to_owned(),
            images: count as u64,
            right: hits as u64,
            accuracy: hits as f64 / count as f64,
            interval: wilson(hits as u64, count as u64),
            p_value: fisher.p_value([hits, count], [all_right - hits, all - count]),
        }));
    }
    let adjusted = holm(&found.iter().map(|slice| slice.p_value).collect::<Vec<_>>());
    for (slice, adjusted) in found.iter_mut().zip(adjusted) {
        slice.p_value = adjusted;
    }
    found
}
