//! What the files of a model say about the images that it wants. (Stand-in for the lead's file.)

use std::collections::BTreeMap;

use crate::{labels::Labels, recipe::RecipeSpec};

pub mod keras;

/// How much weight a place has; earlier ones win key group by key group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// A package of ours.
    Package,
    /// Metadata in the model file.
    Metadata,
    /// A file beside the model.
    Sidecar,
    /// A general configuration beside the model.
    Config,
    /// The graph.
    Graph,
}

/// What one place says about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The place as shown.
    pub place: String,
    /// Its weight.
    pub tier: Tier,
    /// Only the keys that the place decides.
    pub recipe: RecipeSpec,
    /// For every key set in `recipe`: what says so.
    pub because: BTreeMap<&'static str, String>,
    /// Names of the classes.
    pub labels: Option<Labels>,
    /// Classes it counts, when it says so without naming them.
    pub classes: Option<usize>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Why no recipe can be made from it.
    pub refusal: Option<String>,
}

impl Statement {
    /// One that says nothing yet.
    #[must_use]
    pub fn new(place: impl Into<String>, tier: Tier) -> Self {
        Self {
            place: place.into(),
            tier,
            recipe: RecipeSpec::default(),
            because: BTreeMap::new(),
            labels: None,
            classes: None,
            notes: Vec::new(),
            refusal: None,
        }
    }

    /// Sets keys through `set` and records `because` for `key`.
    pub fn say(
        &mut self,
        key: &'static str,
        because: impl Into<String>,
        set: impl FnOnce(&mut RecipeSpec),
    ) {
        set(&mut self.recipe);
        self.because.insert(key, because.into());
    }
}
