//! What an examination found, for a person and as JSON.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    Bench, candidates,
    judge::{self, Tried},
    truth::{Labelled, Reading},
};
use crate::{
    classifier::Loaded,
    detect::{Decision, Examined},
    error::RunError,
    job::Job,
    labels::Labels,
    model::{self, OutputSpec},
    recipe::{Recipe, RecipeSpec},
    statistics,
};

/// Version of the JSON's form; keys are only added within one.
const SCHEMA: u32 = 1;

/// Rows that are shown of the ranking.
const SHOWN: usize = 12;

/// A ranking is worth nothing when the best candidate knows fewer classes than this share of the
/// images: answers collapse under a wrong scale.
const FEW_CLASSES: f64 = 0.25;

/// What was found out about a model.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of the form of the JSON.
    pub schema: u32,
    /// The model file.
    pub model: String,
    /// Its input.
    pub takes: String,
    /// The output that is read.
    pub answers: String,
    /// ONNX Runtime, and where it ran.
    pub runtime: String,
    /// Names of the classes, and where they are from.
    pub labels: String,
    /// Keys of the recipe that somebody says, with who does.
    pub evidence: BTreeMap<&'static str, String>,
    /// What was said or found and a person should know.
    pub notes: Vec<String>,
    /// What contradicts itself.
    pub problems: Vec<String>,
    /// The keys that somebody says.
    pub said: RecipeSpec,
    /// What the model lacks before it can be run; none when its recipe is decided.
    pub missing: Option<String>,
    /// Images that were tried.
    pub images: usize,
    /// Images that could not be read.
    pub unreadable: Vec<String>,
    /// How the truth was read, when there was one.
    pub truth: Option<String>,
    /// Recipes, best first.
    pub ranking: Vec<Ranked>,
    /// The place in the ranking of the recipe to go on with: the best, or without a truth the most
    /// usual of those that cannot be told from it.
    pub chosen: usize,
    /// Things that look wrong.
    pub signs: Vec<String>,
}

/// One recipe in the ranking.
#[derive(Debug, Clone, Serialize)]
pub struct Ranked {
    /// Its keys.
    pub recipe: RecipeSpec,
    /// In words: geometry, filter, numbers, channels.
    pub words: String,
    /// Whether it is what the job and the model's own files say.
    pub said: bool,
    /// Share of images whose best class is right, and Wilson's 95 % interval.
    pub accuracy: Option<[f64; 3]>,
    /// Mutual information of images and answers, in nats.
    pub information: f64,
    /// Mean probability of the best class.
    pub confidence: f64,
    /// Different best classes.
    pub distinct: usize,
    /// Mid-p of `McNemar`'s test against the best recipe, adjusted by Holm for all of them; where
    /// the truth is known.
    pub p: Option<f64>,
    /// Whether it cannot be told from the best with these images.
    pub same_as_best: bool,
}

impl Report {
    pub(super) fn new(
        loaded: &Loaded,
        output: &OutputSpec,
        decision: &Decision,
        (labels, examined): (Option<&(Labels, String)>, &Examined),
    ) -> Self {
        let Loaded { runtime, model, .. } = loaded;
        let missing = Recipe::resolve(&decision.recipe, &model.input)
            .err()
            .map(|reason| reason + &examined.candidates_text());
        Self {
            schema: SCHEMA,
            model: format!("{} (SHA-256 {})", model.file.path.display(), model.file.sha256),
            takes: model::input_text(&model.input),
            answers: model::output_text(output),
            runtime: format!(
                "ONNX Runtime {}, {}, {}",
                runtime.version(),
                runtime.origin(),
                model.provider.name()
            ),
            labels: labels.map_or("none".to_owned(), |(labels, place)| {
                format!("{} from {place}", labels.count())
            }),
            evidence: decision.evidence.clone(),
            notes: decision.notes.clone(),
            problems: decision.problems.clone(),
            said: decision.recipe.clone(),
            missing,
            images: 0,
            unreadable: Vec::new(),
            truth: None,
            ranking: Vec::new(),
            chosen: 0,
            signs: Vec::new(),
        }
    }

    pub(super) fn with_ranking(
        mut self,
        bench: &Bench<'_>,
        tried: &[Tried],
        reading: Option<&Reading>,
    ) -> Self {
        let images = &bench.images;
        let order = judge::order(tried, images, reading);
        let chosen = judge::chosen(tried, images, reading);
        self.chosen = order.iter().position(|&at| at == chosen).unwrap_or(0);
        let possible = |&&at: &&usize| tried[at].impossible.is_none();
        let standings = judge::standings(tried, order[0], images, reading);
        for at in order.iter().filter(possible) {
            let own = &tried[*at];
            let standing = standings[*at];
            let accuracy = reading.map(|reading| {
                let right = own.right(images, reading);
                let hits = right.iter().filter(|&&right| right).count() as u64;
                let [low, high] = statistics::wilson(hits, right.len() as u64);
                [hits as f64 / right.len().max(1) as f64, low, high]
            });
            self.ranking.push(Ranked {
                recipe: own.candidate.spec.clone(),
                words: words(&own.candidate.recipe),
                said: own.candidate.said,
                accuracy,
                information: own.information(),
                confidence: own.confidence(),
                distinct: own.distinct(),
                p: standing.p,
                same_as_best: standing.same,
            });
        }
        self.images = images.len();
        self.unreadable.clone_from(&bench.failed);
        self.truth = reading.map(|reading| reading.name.clone());
        self.signs = self.signs_of(bench.classes);
        self.signs.extend(reading.and_then(|reading| sign_of_truth(images, reading)));
        self
    }

    fn signs_of(&self, classes: usize) -> Vec<String> {
        let mut signs = Vec::new();
        let expected = (FEW_CLASSES * self.images as f64).min(0.5 * classes as f64);
        let few = |ranked: &Ranked| (ranked.distinct as f64) < expected.max(2.0);
        if let Some(best) = self.ranking.first().filter(|ranked| few(ranked)) {
            signs.push(format!(
                "even under the best recipe {} images get only {} different classes: images of \
                 few kinds, or none of these recipes is right",
                self.images, best.distinct
            ));
        }
        let varied = self.ranking.first().is_some_and(|best| !few(best));
        let said = self.ranking.iter().find(|ranked| ranked.said && few(ranked));
        if let Some(said) = said.filter(|_| varied) {
            signs.push(format!(
                "under the recipe that is said, {} images get only {} different classes: its \
                 numbers are not those that the model was trained with",
                self.images, said.distinct
            ));
        }
        if let Some(said) = self.ranking.iter().find(|ranked| ranked.said && !ranked.same_as_best) {
            let worse = said.p.map_or(String::new(), |p| format!(" ({})", p_text(p)));
            signs.push(format!("the recipe that is said is worse than the best{worse}"));
        }
        signs
    }

    /// Whether what the job and the model's files say is worse than the best recipe that was tried.
    #[must_use]
    pub fn contradicts_what_is_said(&self) -> bool {
        self.ranking.iter().any(|ranked| ranked.said && !ranked.same_as_best)
    }

    /// The lines of a job file for the chosen recipe.
    ///
    /// # Errors
    ///
    /// `Usage` when they cannot be written as TOML.
    pub fn job_lines(&self) -> Result<String, RunError> {
        let recipe =
            self.ranking.get(self.chosen).map(|chosen| chosen.recipe.clone()).unwrap_or_default();
        Job { recipe, ..Job::default() }.to_toml()
    }
}

/// A truth that is no class is left out of the accuracy.
fn sign_of_truth(images: &[Labelled], reading: &Reading) -> Option<String> {
    let known = |image: &&Labelled| {
        image.truth.as_ref().is_some_and(|truth| reading.classes.contains_key(truth))
    };
    let (known, all) = (images.iter().filter(known).count(), images.len());
    (known < all).then(|| {
        format!("only {known} of {all} images have a truth that is a class of the model, and count")
    })
}

fn p_text(p: f64) -> String {
    if p < 0.0001 { "p<0.0001".to_owned() } else { format!("p={p:.3}") }
}

/// A recipe in a few words.
fn words(recipe: &Recipe) -> String {
    let kernel =
        if recipe.kernel.is_pillow() { String::new() } else { format!(" {}", recipe.kernel) };
    format!(
        "{} {}{kernel}, {}, {}",
        recipe.resize,
        recipe.interpolation,
        candidates::numbers_name(recipe),
        recipe.channels
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in [
            ("model", &self.model),
            ("takes", &self.takes),
            ("answers", &self.answers),
            ("runtime", &self.runtime),
            ("labels", &self.labels),
        ] {
            writeln!(f, "{key:<9} {value}")?;
        }
        for (at, (key, value)) in self.said.said().into_iter().enumerate() {
            let head = if at == 0 { "recipe" } else { "" };
            let who = self.evidence.get(key).map_or("", String::as_str);
            writeln!(f, "{head:<9} {key} = {value} ({who})")?;
        }
        for (head, lines) in [("note", &self.notes), ("problem", &self.problems)] {
            for line in lines {
                writeln!(f, "{head:<9} {}", line.replace('\n', "\n          "))?;
            }
        }
        if let Some(missing) = &self.missing {
            writeln!(f, "missing   {}", missing.replace('\n', "\n          "))?;
        }
        if self.ranking.is_empty() {
            return match (&self.missing, &self.problems[..]) {
                (None, []) => writeln!(f, "\nNothing is missing: the model can be run as it is."),
                _ => writeln!(
                    f,
                    "\nGive images to find out by trying: `linnaeus doctor MODEL PHOTOS`, better \
                     with `--labelled FOLDER` or `--truth FILE`."
                ),
            };
        }
        self.write_ranking(f)
    }
}

impl Report {
    fn write_ranking(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, ranking, unreadable, .. } = self;
        writeln!(f)?;
        match &self.truth {
            Some(truth) => writeln!(f, "{images} labelled images ({truth}); best first:")?,
            None => writeln!(
                f,
                "{images} images without labels, ranked by how sure and different the answers are: \
                 a hint about numbers and channels; geometry needs labels"
            )?,
        }
        writeln!(f, "  {:<15} {:>6} {:>6}  {:<9} recipe", "top-1", "sure", "info", "vs best")?;
        let shown = ranking.iter().enumerate().filter(|(at, ranked)| *at < SHOWN || ranked.said);
        for (at, ranked) in shown {
            let accuracy = ranked.accuracy.map_or("-".to_owned(), |[share, low, high]| {
                format!("{:.1} ({:.0}-{:.0})", 100.0 * share, 100.0 * low, 100.0 * high)
            });
            let versus = match (at, ranked.p) {
                (0, _) => "best".to_owned(),
                (_, Some(p)) => p_text(p),
                (_, None) if ranked.same_as_best => "tie".to_owned(),
                (_, None) => "less".to_owned(),
            };
            let mark = if ranked.same_as_best { '=' } else { ' ' };
            let said = if ranked.said { "  <- what is said" } else { "" };
            writeln!(
                f,
                "{mark} {accuracy:<15} {:>5.0}% {:>6.3}  {versus:<9} {}{said}",
                100.0 * ranked.confidence,
                ranked.information,
                ranked.words
            )?;
        }
        if ranking.len() > SHOWN {
            writeln!(f, "  … {} were tried; `--json` has them all", ranking.len())?;
        }
        let ties = ranking.iter().filter(|ranked| ranked.same_as_best).count() - 1;
        if ties > 0 {
            writeln!(f, "\n{ties} more (=) cannot be told from the best with these images.")?;
        }
        for sign in &self.signs {
            writeln!(f, "sign: {sign}")?;
        }
        if !unreadable.is_empty() {
            writeln!(
                f,
                "{} images could not be read, such as {}",
                unreadable.len(),
                unreadable[0]
            )?;
        }
        let which = if self.chosen == 0 { "The best" } else { "The most usual of these" };
        writeln!(f, "\n{which} as lines of a job file:\n")?;
        write!(f, "{}", self.job_lines().map_err(|_| fmt::Error)?)
    }
}
