//! Conditions that a report has to meet, for cron and CI.
//!
//! A gate is a list of conditions with commas between them, all of which have to hold:
//!
//! ```text
//! gate      = condition { "," condition }
//! condition = measure ( ">=" | "<=" | ">" | "<" ) number [ "%" ] [ "@" level "%" ]
//! ```
//!
//! `top1 >= 0.75` looks at the value itself. With `@ 95%` the whole two-sided interval of that level has
//! to lie on the right side, so that too few images do not pass: `top1_drop <= 0.005 @ 95%` holds when
//! the upper end of the interval of the drop is at most half a point. `75%` is 0.75.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;

use crate::statistics::{paired_difference, two_sided, wilson_within};

/// Conditions, all of which have to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate(Vec<Condition>);

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    written: String,
    measure: String,
    comparison: Comparison,
    limit: f64,
    /// From 0 to 1.
    level: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Over,
    Under,
}

/// Comparisons as they are written; longer ones first.
const COMPARISONS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Over),
    ("<", Comparison::Under),
];

/// A figure that a gate may ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// One without an interval.
    Plain(f64),
    /// A share, with Wilson's interval.
    Share {
        /// Of so many.
        hits: u64,
        /// All.
        count: u64,
    },
    /// A difference of two shares of the same images, and of bootstrap samples, sorted. Its interval has
    /// the outer ends of their quantiles' and of [`paired_difference`]'s.
    Paired {
        /// The difference.
        value: f64,
        /// Of the samples.
        samples: Vec<f64>,
        /// Images of which only the first is right, only the second, and all.
        counts: [u64; 3],
    },
    /// A figure and the same of bootstrap samples, sorted: its interval is their quantiles.
    Sampled {
        /// The figure itself.
        value: f64,
        /// Of the samples.
        samples: Vec<f64>,
    },
}

/// Figures by name.
pub type Measures = BTreeMap<String, Measure>;

/// Whether a condition holds, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// As it was written.
    pub condition: String,
    /// Whether it holds.
    pub holds: bool,
    /// The figure.
    pub value: f64,
    /// The interval that had to lie on the right side.
    pub interval: Option<[f64; 2]>,
}

impl Measure {
    fn value(&self) -> f64 {
        match self {
            Self::Plain(value) | Self::Sampled { value, .. } | Self::Paired { value, .. } => *value,
            Self::Share { count: 0, .. } => f64::NAN,
            Self::Share { hits, count } => *hits as f64 / *count as f64,
        }
    }

    /// The two-sided interval of `level`, from 0 to 1.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<[f64; 2]> {
        match self {
            Self::Plain(_) => None,
            Self::Share { hits, count } => Some(wilson_within(*hits, *count, two_sided(level))),
            Self::Sampled { samples, .. } => Some(quantiles(samples, level)),
            Self::Paired { samples, counts, .. } => {
                let sampled = quantiles(samples, level);
                let formula = paired_difference(*counts, two_sided(level));
                Some([sampled[0].min(formula[0]), sampled[1].max(formula[1])])
            }
        }
    }
}

/// The nearest-rank quantiles of sorted samples that hold the `level` between them.
fn quantiles(samples: &[f64], level: f64) -> [f64; 2] {
    let tail = (1.0 - level) / 2.0;
    [tail, 1.0 - tail].map(|share| {
        let place = share * samples.len().saturating_sub(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        samples.get(place.round() as usize).copied().unwrap_or(f64::NAN)
    })
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        let conditions: Vec<_> = parts.map(condition).collect::<Result<_, _>>()?;
        if conditions.is_empty() {
            return Err("a gate has no condition; write such as `top1 >= 0.75`".to_owned());
        }
        Ok(Self(conditions))
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    let wrong = |reason: &str| {
        format!("`{text}` is no condition: {reason}; write such as `top1 >= 0.75 @ 95%`")
    };
    let (rest, level) = match text.split_once('@') {
        Some((rest, level)) => (rest, Some(percent(level).ok_or_else(|| wrong("its level"))?)),
        None => (text, None),
    };
    if level.is_some_and(|level| !(0.5..=0.9999).contains(&level)) {
        return Err(wrong("its level is not from 50% to 99.99%"));
    }
    if rest.contains("=>") || rest.contains("=<") || rest.contains("==") {
        return Err(wrong("its comparison is none of `>=`, `<=`, `>`, `<`"));
    }
    let split = COMPARISONS.iter().find_map(|(sign, comparison)| {
        rest.split_once(sign).map(|(measure, limit)| (measure, *comparison, limit))
    });
    let (measure, comparison, limit) = split.ok_or_else(|| wrong("it compares nothing"))?;
    let limit = percent(limit)
        .or_else(|| limit.trim().parse().ok())
        .filter(|limit: &f64| limit.is_finite())
        .ok_or_else(|| wrong("its limit is no number"))?;
    let measure = measure.trim().to_owned();
    Ok(Condition { written: text.to_owned(), measure, comparison, limit, level })
}

fn percent(text: &str) -> Option<f64> {
    Some(text.trim().strip_suffix('%')?.trim_end().parse::<f64>().ok()? / 100.0)
}

impl Gate {
    /// Judges each condition by these `measures`. What has no value, such as a share of nothing, does
    /// not hold.
    ///
    /// # Errors
    ///
    /// A message that names the measures when a condition asks for another, or for an interval where
    /// there is none.
    pub fn judge(&self, measures: &Measures) -> Result<Vec<Outcome>, String> {
        self.0.iter().map(|condition| condition.judge(measures)).collect()
    }

    /// Whether every name is among `known` ones.
    ///
    /// # Errors
    ///
    /// A message that names the measures.
    pub fn check(&self, known: &[&str]) -> Result<(), String> {
        let is_known = |c: &&Condition| {
            // How many classes count depends on what the rows hold.
            let within = c.measure.strip_prefix("top").is_some_and(|k| k.parse::<u32>().is_ok());
            within || known.contains(&c.measure.as_str())
        };
        match self.0.iter().find(|c| !is_known(c)) {
            Some(condition) => Err(condition.unknown(&known.join(", "))),
            None => Ok(()),
        }
    }
}

impl Condition {
    fn unknown(&self, known: &str) -> String {
        format!("the gate `{}` asks for {:?}; there are {known}", self.written, self.measure)
    }

    fn judge(&self, measures: &Measures) -> Result<Outcome, String> {
        let names = || measures.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let measure = measures.get(&self.measure).ok_or_else(|| self.unknown(&names()))?;
        let value = measure.value();
        let interval = match self.level {
            None => None,
            Some(level) => Some(measure.interval(level).ok_or_else(|| {
                format!("the gate `{}`: {} has no interval", self.written, self.measure)
            })?),
        };
        let [low, high] = interval.unwrap_or([value, value]);
        let holds = match self.comparison {
            Comparison::AtLeast => low >= self.limit,
            Comparison::AtMost => high <= self.limit,
            Comparison::Over => low > self.limit,
            Comparison::Under => high < self.limit,
        };
        Ok(Outcome { condition: self.written.clone(), holds, value, interval })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds { "holds" } else { "FAILS" };
        write!(f, "{verdict}: `{}`: it is {:.4}", self.condition, self.value)?;
        match self.interval {
            Some([low, high]) => write!(f, ", from {low:.4} to {high:.4}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures() -> Measures {
        let samples = (0..=100).map(|at| f64::from(at) / 1000.0).collect();
        BTreeMap::from([
            ("top1".to_owned(), Measure::Share { hits: 159, count: 200 }),
            ("ece".to_owned(), Measure::Plain(0.03)),
            ("top1_drop".to_owned(), Measure::Sampled { value: 0.05, samples }),
            ("nothing".to_owned(), Measure::Share { hits: 0, count: 0 }),
        ])
    }

    #[test]
    fn conditions_look_at_the_worse_end_of_an_interval() {
        // Wilson's 95 % interval of 159 of 200 is 0.7337 to 0.8451.
        for (gate, holds) in [
            ("top1 >= 0.795", vec![true]),
            ("top1 > 0.795", vec![false]),
            ("top1>=79%", vec![true]),
            ("top1 >= 0.74 @ 95%", vec![false]),
            ("top1 >= 0.73 @ 95 %, ece < 0.03", vec![true, false]),
            ("top1_drop <= 0.095 @ 90%", vec![true]),
            ("top1_drop <= 0.094 @ 90%", vec![false]),
            ("top1_drop > -0.001 @ 99%", vec![true]),
            ("nothing <= 1", vec![false]),
        ] {
            let outcomes = gate.parse::<Gate>().unwrap().judge(&measures()).unwrap();
            let found: Vec<bool> = outcomes.iter().map(|outcome| outcome.holds).collect();
            assert_eq!(found, holds, "{gate}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for gate in [
            "",
            ",",
            "top1",
            "top1 => 1",
            "top1 >= x",
            "top1 >= 1 @ 95",
            "top1 >= 1 @ 20%",
            "top1 = 1",
        ] {
            assert!(gate.parse::<Gate>().is_err(), "{gate}");
        }
        for (gate, word) in [("top9 > 0", "ece, nothing, top1"), ("ece < 1 @ 95%", "no interval")] {
            let message = gate.parse::<Gate>().unwrap().judge(&measures()).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
