//! How far a run came.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::{
    error::{ItemError, RunError},
    manifest::{ActivationRecord, Attempt},
    output::{self, Mark},
};

/// Version of the form; another one is refused.
const SCHEMA: u32 = 1;

/// The state from which a run is gone on with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    schema: u32,
    /// What decides the rows.
    pub fingerprint: Fingerprint,
    /// SHA-256 of the list.
    pub list: String,
    /// Entries of the list.
    pub total: u64,
    /// Rows that are safe.
    pub rows: u64,
    /// Length of the output with them.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub sha256: String,
    /// Images by status.
    pub counts: BTreeMap<String, u64>,
    /// The first failed images, as `path: message`.
    pub examples: Vec<String>,
    /// The output whose rows are used again.
    pub base: Option<Mark>,
    /// What is applied to the scores, once it is known.
    pub activation: Option<ActivationRecord>,
    /// The runs that worked on this output; the last one is at it, or died.
    pub attempts: Vec<Attempt>,
}

impl Checkpoint {
    /// The state before the first row.
    #[must_use]
    pub fn new(fingerprint: Fingerprint, list: &str, total: u64) -> Self {
        Self {
            schema: SCHEMA,
            fingerprint,
            list: list.to_owned(),
            total,
            rows: 0,
            bytes: 0,
            sha256: String::new(),
            counts: BTreeMap::new(),
            examples: Vec::new(),
            base: None,
            activation: None,
            attempts: Vec::new(),
        }
    }

    /// The output as far as it is safe.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { rows: self.rows, bytes: self.bytes, sha256: self.sha256.clone() }
    }

    /// Takes over how far the output is.
    pub fn set_mark(&mut self, mark: Mark) {
        Mark { rows: self.rows, bytes: self.bytes, sha256: self.sha256 } = mark;
    }

    /// Failed images, by status.
    #[must_use]
    pub fn failed(&self) -> BTreeMap<&'static str, u64> {
        let code = |code| Some((code, *self.counts.get(code)?));
        ItemError::CODES.into_iter().filter_map(code).collect()
    }

    /// Whether the last run on it did not end by itself.
    #[must_use]
    pub fn died(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.ended.is_none())
    }

    /// Reads a checkpoint; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, RunError> {
        let bad = |reason: &str| {
            RunError::Mismatch(format!(
                "cannot read {}, which an earlier run left: {reason}\nhint: `--restart` throws it \
                 away and starts over",
                path.display()
            ))
        };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| bad(&error.to_string()))?,
        };
        let checkpoint: Self =
            serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))?;
        if checkpoint.schema != SCHEMA {
            return Err(bad("it is of another version of linnaeus"));
        }
        Ok(Some(checkpoint))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), RunError> {
        let json = serde_json::to_vec_pretty(self);
        let json = json.map_err(|error| RunError::Internal(error.to_string()))?;
        output::write_atomically(path, &json)
    }
}
