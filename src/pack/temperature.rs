//! The temperature that an evaluation fitted, for the package of the model that was evaluated.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{classifier::Classifier, error::RunError, evaluate, recipe::Temperature};

/// Keys of a recipe that change no tensor: with others, the model would have answered other classes.
const AFTER_THE_MODEL: [&str; 2] = ["activation", "temperature"];

/// A temperature that was fitted to a run's predictions.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    /// What the logits of the model are to be divided by.
    pub(super) temperature: Temperature,
    /// Whether the rows had all classes.
    pub(super) exact: bool,
    file: String,
    model_sha256: String,
    recipe: Value,
}

impl Fitted {
    /// Reads the `report.json` of `linnaeus evaluate`.
    ///
    /// # Errors
    ///
    /// `Usage` when it cannot be read, is no such report, or no temperature was fitted in it, or it does
    /// not know what run it is of.
    pub(super) fn load(path: &Path) -> Result<Self, RunError> {
        let file = path.display().to_string();
        let fail = |reason: &str, hint: &str| {
            RunError::Usage(format!(
                "cannot take a temperature from {file}: {reason}\nhint: {hint}"
            ))
        };
        let report = "give the `NAME.json` that `linnaeus evaluate -o NAME.html` wrote";
        let text = fs::read(path).map_err(|error| fail(&error.to_string(), report))?;
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| fail(&error.to_string(), report))?;
        if value["kind"] != "evaluation" || value["schema"] != evaluate::SCHEMA {
            return Err(fail("it is no report of an evaluation that this linnaeus knows", report));
        }
        let fitted = &value["temperature"];
        let Some(by) = fitted["value"].as_f64() else {
            let hint = "its page says why; evaluate more images, or with `top-k` as many as there are \
                        classes";
            return Err(fail("none was fitted", hint));
        };
        let record = &value["predictions"]["record"];
        let Some(model_sha256) = record["model_sha256"].as_str() else {
            let hint = "evaluate with the run's record beside the predictions, or say `--temperature` \
                        yourself";
            return Err(fail("it does not say which model made the predictions", hint));
        };
        // What was divided before is divided once more.
        let before = record["recipe"]["temperature"].as_f64().unwrap_or(1.0);
        Ok(Self {
            temperature: Temperature::new(before * by).map_err(RunError::Usage)?,
            exact: fitted["exact"] == true,
            model_sha256: model_sha256.to_owned(),
            recipe: record["recipe"].clone(),
            file,
        })
    }

    /// Whether it was fitted to what this model answers with this recipe.
    ///
    /// # Errors
    ///
    /// `Usage` when it is another model, or images were prepared in another way.
    pub(super) fn fits(&self, classifier: &Classifier) -> Result<(), RunError> {
        let fail = |reason: String, hint: &str| {
            let file = &self.file;
            Err(RunError::Usage(format!("the temperature in {file} {reason}\nhint: {hint}")))
        };
        let model = &classifier.file;
        if model.sha256 != self.model_sha256 {
            return fail(
                format!(
                    "was fitted to a model with SHA-256 {}, and {} has {}",
                    self.model_sha256,
                    model.path.display(),
                    model.sha256
                ),
                "pack the model that was evaluated, or evaluate this one",
            );
        }
        // By way of text, in which f32 have the same digits as in the report.
        let now = serde_json::to_string(&classifier.recipe);
        let now = now.and_then(|text| serde_json::from_str::<Value>(&text));
        let now = now.map_err(|error| RunError::Internal(error.to_string()))?;
        let keys = now.as_object().into_iter().flat_map(|keys| keys.keys());
        let differs = |key: &&String| {
            !AFTER_THE_MODEL.contains(&key.as_str()) && now[*key] != self.recipe[*key]
        };
        let different: Vec<_> = keys.filter(differs).map(|key| format!("`{key}`")).collect();
        if different.is_empty() {
            return Ok(());
        }
        fail(
            format!(
                "was fitted to images that were prepared in another way: {} differ",
                different.join(", ")
            ),
            "say the recipe of the evaluated run, or evaluate a run with this one",
        )
    }
}
