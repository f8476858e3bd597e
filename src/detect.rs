//! How a model's images are prepared, found out from what its file and folder say.
//!
//! Every place makes a `Statement`; `decide` weighs them. Keys that have a meaning only
//! together come from one place, every key keeps its evidence, and places that contradict each
//! other are a problem for a person to settle: nothing is guessed.

use std::collections::BTreeMap;

use crate::{
    geometry::Size,
    labels::Labels,
    recipe::{Group, InputSpec, Layout, RecipeSpec, Resize, preset},
};

mod custom_vision;
mod examine;
mod fields;
pub mod folder;
mod hugging_face;
mod identity;
mod image_metadata;
pub mod keras;
mod keras_hub;
mod label_files;
mod lobe;
mod metadata;
mod mlmodel;
mod mmdeploy;
mod model_api;
mod open_clip;
mod openvino;
mod paddle;
mod places;
mod roboflow;
#[cfg(test)]
mod sample;
mod saying;
mod teachable_machine;
mod timm;
mod triton;
mod ultralytics;
mod yaml;

pub use examine::{Examined, evidence_lines, graph_statements};
pub use label_files::label_files;
pub use places::statements;

/// How much weight a place has; earlier ones win, group of keys by group of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// linnaeus's own package, written by `pack`.
    Package,
    /// Metadata inside the model's file.
    Metadata,
    /// A file beside the model that exists to describe preprocessing.
    Sidecar,
    /// A file beside the model that tells some of it by the way.
    Config,
    /// The model's graph itself.
    Graph,
}

/// What one place says about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The place as shown: `preprocessor_config.json`, `metadata_props`.
    pub place: String,
    /// Its weight.
    pub tier: Tier,
    /// Only the keys that the place decides.
    pub recipe: RecipeSpec,
    /// For every key set in `recipe`, the field that says so, as a sentence's end.
    pub because: BTreeMap<&'static str, String>,
    /// Names of the classes.
    pub labels: Option<Labels>,
    /// Classes it counts, when it says so without naming them.
    pub classes: Option<usize>,
    /// What a person should know about it.
    pub notes: Vec<String>,
    /// Why no recipe can be made from it.
    pub refusal: Option<String>,
    /// Whether its geometry is only what loaders do by default, which nobody contradicts by saying
    /// otherwise.
    pub usual: bool,
}

impl Statement {
    /// A statement that says nothing yet.
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
            usual: false,
        }
    }

    /// Sets `key` through `set` and records why.
    pub fn say(
        &mut self,
        key: &'static str,
        because: impl Into<String>,
        set: impl FnOnce(&mut RecipeSpec),
    ) {
        set(&mut self.recipe);
        self.because.insert(key, because.into());
    }

    fn evidence(&self, key: &str) -> String {
        self.because
            .get(key)
            .map_or_else(|| self.place.clone(), |because| format!("{}: {because}", self.place))
    }
}

/// What the graph says, for rules that depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The image input.
    pub input: &'a InputSpec,
    /// Height and width, when the graph fixes both.
    pub size: Option<Size>,
    /// Where the channels are, when the graph shows it.
    pub layout: Option<Layout>,
    /// Classes, when the graph fixes them.
    pub classes: Option<usize>,
}

/// What was decided about a model's images, and what stands against it.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// The keys that somebody said.
    pub recipe: RecipeSpec,
    /// Who said each of them, and where.
    pub evidence: BTreeMap<&'static str, String>,
    /// Names of the classes, and where they are from.
    pub labels: Option<(Labels, String)>,
    /// What a person should know, in sentences.
    pub notes: Vec<String>,
    /// What a person has to settle before images can be prepared.
    pub problems: Vec<String>,
}

/// Who says a key when a person does.
pub const PERSON: &str = "the job";

/// The place of what `pack` wrote, which a person decided then.
pub(crate) const PACKAGE: &str = "the package";

/// Whether this evidence is a person's word, of now or when the model was packed.
#[must_use]
pub fn is_persons(evidence: &str) -> bool {
    let packed = evidence.strip_prefix(PACKAGE).is_some_and(|rest| rest.starts_with(':'));
    evidence == PERSON || evidence.starts_with("preset ") || packed
}

/// Weighs what a person `said` against what the places say of a model whose input has the `fixed`
/// size.
///
/// # Errors
///
/// A message when `said` names an unknown preset.
pub fn decide(
    said: &RecipeSpec,
    statements: &[Statement],
    fixed: Option<Size>,
) -> Result<Decision, String> {
    let expanded = preset::expanded(said)?;
    let mut ordered: Vec<&Statement> = statements.iter().collect();
    ordered.sort_by_key(|statement| statement.tier);
    let mut decision = Decision::default();
    for group in Group::ALL {
        let part = expanded.part(group);
        let sayers: Vec<_> = ordered
            .iter()
            .copied()
            .filter(|s| s.recipe.part(group) != RecipeSpec::default())
            .collect();
        if part == RecipeSpec::default() {
            decision.weigh(group, &sayers, fixed);
        } else {
            decision.take_said(group, said, &part);
            decision.note_contradictions(group, &part, &sayers);
        }
    }
    decision.check_bytes(&ordered);
    for statement in &ordered {
        let notes = statement.notes.iter().map(|note| format!("{}: {note}", statement.place));
        if !(statement.usual && decision.is_settled()) {
            decision.notes.extend(notes);
        }
        if let Some(refusal) = &statement.refusal {
            decision.refuse(statement, format!("{}: {refusal}", statement.place));
        }
        if let Some(labels) = &statement.labels {
            decision.weigh_labels(labels, &statement.place);
        }
    }
    Ok(decision)
}

impl Decision {
    fn take(&mut self, part: &RecipeSpec) {
        self.recipe = std::mem::take(&mut self.recipe).overridden_by(part.clone());
    }

    fn take_said(&mut self, group: Group, said: &RecipeSpec, part: &RecipeSpec) {
        self.take(part);
        let own = said.part(group).keys();
        let preset = said.preset.as_deref().unwrap_or_default();
        for key in part.keys() {
            let evidence =
                if own.contains(&key) { PERSON.to_owned() } else { format!("preset {preset}") };
            self.evidence.insert(key, evidence);
        }
    }

    fn note_contradictions(&mut self, group: Group, part: &RecipeSpec, sayers: &[&Statement]) {
        let numbers = part.scale.is_some() || part.mean.is_some() || part.std.is_some();
        let contradicted = sayers.iter().filter(|other| !same(group, part, &other.recipe));
        for other in contradicted.filter(|other| numbers || !other.usual) {
            self.notes.push(format!(
                "the job says {}; {} says {}",
                part.part_text(group),
                other.place,
                other.recipe.part_text(group)
            ));
        }
    }

    /// Whether neither a filter nor the numbers are open, which notes on a loader's defaults are about.
    fn is_settled(&self) -> bool {
        let recipe = &self.recipe;
        let filtered = recipe.interpolation.is_some() || recipe.resize == Some(Resize::None);
        filtered && recipe.scale.is_some()
    }

    /// A file that cannot be followed stops nothing when a person says all that it could have said.
    /// What the model's own metadata refuses, such as being a classifier, nobody can say away.
    fn refuse(&mut self, statement: &Statement, refusal: String) {
        let settled = ["resize", "scale"]
            .iter()
            .all(|key| self.evidence.get(key).is_some_and(|evidence| is_persons(evidence)));
        if settled && statement.tier != Tier::Metadata {
            self.notes.push(format!("{refusal}\nnot needed: the recipe is said"));
        } else {
            self.problems.push(refusal);
        }
    }

    /// Takes a group from the place with the most weight.
    fn weigh(&mut self, group: Group, sayers: &[&Statement], fixed: Option<Size>) {
        let Some(first) = sayers.first() else { return };
        // What the graph computes is what happens, whatever a file beside it says.
        let graph = sayers.iter().find(|s| s.tier == Tier::Graph && group == Group::Activation);
        let first = graph.filter(|_| first.tier != Tier::Package).unwrap_or(first);
        for other in sayers.iter().filter(|other| !same(group, &first.recipe, &other.recipe)) {
            let both = format!(
                "{} says {}, and {} says {}",
                first.place,
                first.recipe.part_text(group),
                other.place,
                other.recipe.part_text(group)
            );
            if first.tier == other.tier {
                self.problems.push(format!(
                    "{both}\nhint: say which is right: {}, or {}",
                    first.recipe.part_text(group),
                    other.recipe.part_text(group)
                ));
            } else if !(group == Group::Numbers && other.tier == Tier::Graph) {
                self.notes.push(format!("{both}; the first has more weight"));
            }
        }
        if let (Group::Size, Some(said), Some(fixed)) = (group, first.recipe.size, fixed)
            && said != fixed
        {
            self.problems.push(format!(
                "{} says that images are {said}, and the model's input is {fixed}\nhint: it may \
                 belong to another model; say `size = \"{fixed}\"`, and check the other keys",
                first.evidence("size")
            ));
            return;
        }
        let part = first.recipe.part(group);
        for key in part.keys() {
            self.evidence.insert(key, first.evidence(key));
        }
        self.take(&part);
    }

    /// Takes the first names of the classes, and tells where a later place has others.
    fn weigh_labels(&mut self, labels: &Labels, place: &str) {
        let Some((taken, taken_place)) = &self.labels else {
            self.labels = Some((labels.clone(), place.to_owned()));
            return;
        };
        if let Some(class) = taken.first_difference(labels) {
            let name = |labels: &Labels| labels.name(class).unwrap_or("nothing").to_owned();
            self.notes.push(format!(
                "class {class} is {} in {taken_place}, and {} in {place}; the first has more weight",
                name(taken),
                name(labels)
            ));
        }
    }

    /// A graph that scales bytes for itself must get bytes.
    fn check_bytes(&mut self, ordered: &[&Statement]) {
        let Some(graph) = ordered.iter().find(|s| s.tier == Tier::Graph) else { return };
        let (wanted, found) = (graph.recipe.part(Group::Numbers), self.recipe.part(Group::Numbers));
        if wanted == RecipeSpec::default() || same(Group::Numbers, &wanted, &found) {
            return;
        }
        let sayer = self.evidence.get("scale").cloned().unwrap_or_default();
        let both = format!(
            "{sayer} says {}, and the graph wants {} ({}): images would be normalised twice",
            found.part_text(Group::Numbers),
            wanted.part_text(Group::Numbers),
            graph.because.get("scale").map_or("", String::as_str)
        );
        if is_persons(&sayer) {
            self.notes.push(both);
        } else {
            self.problems.push(format!(
                "{both}\nhint: say which is right: {}",
                wanted.part_text(Group::Numbers)
            ));
        }
    }
}

/// Whether two places mean the same by a group of keys.
fn same(group: Group, a: &RecipeSpec, b: &RecipeSpec) -> bool {
    if group != Group::Numbers {
        return a.part(group) == b.part(group);
    }
    // Both may list a channel's number once or thrice, and in more or fewer digits.
    let values = |spec: &RecipeSpec| {
        let list = |values: &Option<crate::recipe::PerChannel>, default: f32| match values
            .as_ref()
            .map(|values| &values.0[..])
        {
            None => vec![default; 3],
            Some([one]) => vec![*one; 3],
            Some(more) => more.to_vec(),
        };
        let (scale, mean, std) = (spec.scale, list(&spec.mean, 0.0), list(&spec.std, 1.0));
        let fed = |byte: f32| {
            let scaled = scale.map_or(byte, |scale| scale.apply(byte));
            mean.iter().zip(&std).map(move |(mean, std)| (scaled - mean) / std).collect::<Vec<_>>()
        };
        [fed(0.0), fed(255.0)].concat()
    };
    let (a, b) = (values(a), values(b));
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * a.abs().max(1.0);
    a.len() == b.len() && a.iter().zip(&b).all(close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Activation;

    fn statement(place: &str, tier: Tier, activation: Activation) -> Statement {
        let mut statement = Statement::new(place, tier);
        statement.say("activation", "x", |recipe| recipe.activation = Some(activation));
        statement.say("scale", "x", |recipe| {
            let graph = tier == Tier::Graph;
            recipe.scale = Some(if graph { "1" } else { "1/255" }.parse().unwrap());
        });
        statement.labels = Labels::parse(if tier == Tier::Sidecar { "a\nb" } else { "a\nc" }).ok();
        statement
    }

    #[test]
    fn the_graph_has_more_weight_than_a_file_and_less_than_a_package() {
        let graph = statement("the graph", Tier::Graph, Activation::None);
        let sidecar = statement("x.json", Tier::Sidecar, Activation::Softmax);
        let said = RecipeSpec::default();
        let decision = decide(&said, &[sidecar, graph.clone()], None).unwrap();
        assert_eq!(decision.recipe.activation, Some(Activation::None));
        assert!(decision.problems[0].contains("normalised twice"), "{:?}", decision.problems);
        let package = statement(PACKAGE, Tier::Package, Activation::Softmax);
        let decision = decide(&said, &[package, graph], None).unwrap();
        assert_eq!(decision.recipe.activation, Some(Activation::Softmax));
        assert_eq!(decision.problems, [""; 0]);
        assert!(is_persons(&decision.evidence["activation"]));
    }

    #[test]
    fn a_person_who_says_everything_needs_no_file_that_cannot_be_followed() {
        let refusing = |tier| {
            let mut statement = Statement::new("x.json", tier);
            statement.refusal = Some("remote code".into());
            statement
        };
        let text = "resize = 'squash'\ninterpolation = 'bilinear'\nscale = '1/255'";
        let whole: RecipeSpec = toml::from_str(text).unwrap();
        let part = RecipeSpec { scale: None, ..whole.clone() };
        let problems =
            |said: &RecipeSpec, tier| decide(said, &[refusing(tier)], None).unwrap().problems.len();
        assert_eq!(problems(&whole, Tier::Sidecar), 0);
        assert_eq!(problems(&part, Tier::Sidecar), 1);
        assert_eq!(problems(&whole, Tier::Metadata), 1);
    }

    #[test]
    fn places_that_name_a_class_differently_are_told() {
        let sidecar = statement("x.json", Tier::Sidecar, Activation::None);
        let config = statement("y.json", Tier::Config, Activation::None);
        let decision = decide(&RecipeSpec::default(), &[config, sidecar], None).unwrap();
        assert_eq!(decision.labels.unwrap().1, "x.json");
        let told = |note: &String| note.contains("class 1 is b in x.json, and c in y.json");
        assert!(decision.notes.iter().any(told), "{:?}", decision.notes);
    }
}
