//! What decides the rows, so that no run goes on with rows that another would have made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Keys that decide which files have a row, and not what is in it.
const SELECTING: [&str; 8] = [
    "include",
    "exclude",
    "hidden",
    "follow-symlinks",
    "every-file",
    "min-age",
    "incremental",
    "deleted",
];

/// Values by key, as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Adds a value.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// What is another in `now`, as sentences.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<String> {
        self.changes_among(now, |_| true)
    }

    /// What is another in `now` among that which decides what is in a row.
    #[must_use]
    pub fn changes_of_rows(&self, now: &Self) -> Vec<String> {
        self.changes_among(now, |key| !SELECTING.contains(&key))
    }

    fn changes_among(&self, now: &Self, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let keys = self.0.keys().chain(now.0.keys().filter(|key| !self.0.contains_key(*key)));
        let value = |of: &Self, key: &str| of.0.get(key).map_or("not there", |v| v).to_owned();
        keys.filter(|key| counts(key) && self.0.get(*key) != now.0.get(*key))
            .map(|key| format!("`{key}` was {} and is {}", value(self, key), value(now, key)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for (key, value) in pairs {
            fingerprint.add(key, *value);
        }
        fingerprint
    }

    #[test]
    fn a_change_is_told_with_both_values() {
        let before = of(&[("model", "a"), ("top-k", "1"), ("hidden", "false")]);
        let now = of(&[("model", "a"), ("top-k", "5"), ("hidden", "true"), ("labels", "l")]);
        assert_eq!(before.changes(&before), [""; 0]);
        assert_eq!(
            before.changes(&now),
            [
                "`hidden` was false and is true",
                "`top-k` was 1 and is 5",
                "`labels` was not there and is l"
            ]
        );
        assert_eq!(before.changes_of_rows(&now).len(), 2);
    }
}
