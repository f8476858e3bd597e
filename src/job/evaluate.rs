//! What shall be evaluated: the keys under `[evaluate]`, which are also flags of `evaluate`.

use std::{num::NonZeroUsize, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The keys under `[evaluate]`; `None` is "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EvaluateSpec {
    /// Where the truth is: `folders`, `parents`, `pattern:…`, `regex:…`, or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<PathBuf>,
    /// The column of the paths in a truth file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth_path: Option<String>,
    /// The column of the classes in a truth file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth_class: Option<String>,
    /// A table of paths and classes that wins over the truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrections: Option<PathBuf>,
    /// A table of names in the truth and the classes that they mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_map: Option<PathBuf>,
    /// The page to write; its tables lie beside it. After a run, NAME.report.html beside the output
    /// when nobody says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
    /// Conditions that decide the exit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Most thumbnails in the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<usize>,
    /// Most images that are looked at for odd ones and duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<NonZeroUsize>,
}

impl EvaluateSpec {
    /// The keys.
    pub const KEYS: [&str; 9] = [
        "truth",
        "truth-path",
        "truth-class",
        "corrections",
        "class-map",
        "report",
        "gate",
        "thumbnails",
        "look",
    ];

    pub(super) fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// Every path but a truth that is no file.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let truth = self.truth.iter_mut().filter(|truth| !is_word(truth.to_str().unwrap_or("")));
        let others = [&mut self.corrections, &mut self.class_map, &mut self.report];
        truth.chain(others.into_iter().flatten())
    }
}

/// Whether a truth is told by the images' paths rather than by a file.
fn is_word(truth: &str) -> bool {
    matches!(truth, "folders" | "parents")
        || ["pattern:", "regex:"].iter().any(|start| truth.starts_with(start))
}
