//! Hugging Face's transformers: which image processor a folder names, in
//! `preprocessor_config.json` or under `image_processor` in `processor_config.json`, and what
//! `config.json` says of classes and scores.

use serde_json::Value;

use super::{
    Facts, Statement, Tier,
    fields::Fields,
    folder::{Folder, Found, Problem},
};
use crate::{labels, labels::Labels, recipe::Activation};

mod classes;
mod geometry;
mod processor;

use classes::{Class, Version};

/// The file that version 4 writes, and the one that version 5 writes.
const PREPROCESSOR: &str = "preprocessor_config.json";
const PROCESSOR: &str = "processor_config.json";
const CONFIG: &str = "config.json";

/// What the files of transformers beside a model say.
pub(super) fn statements(folder: &Folder, facts: &Facts<'_>) -> Vec<Statement> {
    let config = folder.json(CONFIG);
    let known = config.as_ref().and_then(|found| found.as_ref().ok()).map(|found| &found.content);
    let mut statements = Vec::new();
    match processor_file(folder) {
        Some(Ok(found)) => statements.extend(of_processor(&found, known)),
        Some(Err(problem)) => statements.push(Statement::unreadable(problem, Tier::Sidecar)),
        None => {}
    }
    match config {
        Some(Ok(found)) => statements.extend(of_config(&found, facts)),
        Some(Err(problem)) => statements.push(Statement::unreadable(problem, Tier::Config)),
        None => {}
    }
    statements
}

/// The object that describes the image processor; the nested one of version 5 has more weight.
fn processor_file(folder: &Folder) -> Option<Result<Found<Value>, Problem>> {
    match folder.json(PROCESSOR) {
        Some(Ok(mut found)) if found.content["image_processor"].is_object() => {
            let content = found.content["image_processor"].take();
            return Some(Ok(Found { name: found.name, content }));
        }
        Some(Err(problem)) => return Some(Err(problem)),
        _ => {}
    }
    folder.json(PREPROCESSOR)
}

/// Whether an object is what an image processor is saved as.
pub(super) fn is_processor(value: &Value) -> bool {
    ["image_processor_type", "feature_extractor_type"].iter().any(|key| value[key].is_string())
}

/// What an image processor's object says. timm's wrapper has its numbers in `config.json`.
pub(super) fn of_processor(found: &Found<Value>, config: Option<&Value>) -> Option<Statement> {
    let type_name = type_of(&found.content);
    if type_name.is_some_and(|name| name.starts_with("TimmWrapper")) {
        return None;
    }
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        let fields = Fields::of(&found.content).ok_or("it is no JSON object")?;
        if let Some(code) = remote_code(fields) {
            return Err(format!(
                "its image processor is code of its own (`auto_map`: {code}), which is not run\n\
                 hint: say what it does under `[recipe]`"
            ));
        }
        let (class, named) = class_of(fields, type_name, config)?;
        if let Some(assumed) = &named.assumed {
            statement.note(assumed.clone());
        }
        let version = version_of(config);
        processor::read(statement, fields, class, &named.shown, version)?;
        note_backend(statement, class, type_name, config.is_some_and(is_version_5));
        Ok(())
    }))
}

fn type_of(processor: &Value) -> Option<&str> {
    processor["image_processor_type"].as_str().or(processor["feature_extractor_type"].as_str())
}

/// How a class was found.
struct Named {
    /// The class as evidence shows it.
    shown: String,
    /// What was assumed to find it.
    assumed: Option<String>,
}

fn class_of(
    fields: Fields<'_>,
    type_name: Option<&str>,
    config: Option<&Value>,
) -> Result<(&'static Class, Named), String> {
    if let Some(name) = type_name {
        let class = classes::of_type(name).ok_or_else(|| {
            format!(
                "linnaeus does not know what a {name} does\nhint: say what it does under \
                 `[recipe]`, if the model is a classifier of single images"
            )
        })?;
        return Ok((class, Named { shown: name.to_owned(), assumed: None }));
    }
    if let Some(model_type) = config.and_then(|config| config["model_type"].as_str()) {
        let class = classes::of_model(model_type).ok_or_else(|| {
            format!(
                "it names no image processor, and linnaeus does not know which one models of type \
                 {model_type} have\nhint: say what it does under `[recipe]`"
            )
        })?;
        let shown = format!("{}ImageProcessor, of model_type {model_type}", class.name);
        return Ok((class, Named { shown, assumed: None }));
    }
    let told = ["resample", "image_mean", "image_std"].iter().all(|key| fields.has(key));
    if !told || fields.object("size").is_none() {
        return Err("it names no image processor, and leaves out what its class would say\n\
                    hint: put the model's config.json beside it"
            .to_owned());
    }
    let class = classes::of_model("vit").expect("the table has ViT");
    let assumed = "assumed: it names no image processor; its fields are taken as a plain one's";
    let shown = "an image processor without a name".to_owned();
    Ok((class, Named { shown, assumed: Some(assumed.to_owned()) }))
}

/// The code that `auto_map` names for the image processor.
fn remote_code(fields: Fields<'_>) -> Option<String> {
    let map = fields.object("auto_map")?;
    let keys = ["AutoImageProcessor", "AutoFeatureExtractor", "AutoProcessor"];
    keys.iter().find_map(|key| map.value(key)).map(ToString::to_string)
}

fn version_of(config: Option<&Value>) -> Version {
    if config.is_some_and(is_version_5) { Version::V5 } else { Version::V4 }
}

fn is_version_5(config: &Value) -> bool {
    let version = config["transformers_version"].as_str().unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse().ok()).is_some_and(|n: u32| n >= 5)
}

/// Says that the library may have resized by torchvision and not by Pillow.
fn note_backend(statement: &mut Statement, class: &Class, type_name: Option<&str>, newer: bool) {
    let fast = type_name.is_some_and(|name| name.ends_with("Fast"));
    if class.kind == classes::Kind::DinoV3 || !(fast || newer) {
        return;
    }
    statement.note(
        "its processor may resize with torchvision, which differs from Pillow by 1 or 2 of 255 in \
         some pixels; `kernel = \"torch\"` follows it exactly",
    );
}

/// What `config.json` says of classes and scores.
fn of_config(found: &Found<Value>, facts: &Facts<'_>) -> Option<Statement> {
    let fields = Fields::of(&found.content)?;
    let known = ["id2label", "model_type", "architectures", "transformers_version"];
    // timm's own repositories have a config.json of another kind.
    if !known.iter().any(|key| fields.has(key)) || fields.has("pretrained_cfg") {
        return None;
    }
    let mut statement = Statement::new(&found.name, Tier::Config);
    if let Some(task) = other_task(fields) {
        statement.refuse(format!("the model is no image classifier (architectures: {task})"));
        return Some(statement);
    }
    let id2label = fields.value("id2label").or(fields.value("label2id"));
    if let Some(map) = id2label {
        match labels::from_json(map) {
            Ok(classes) if classes.iter().enumerate().all(is_placeholder) => {
                statement.classes = Some(classes.len());
            }
            Ok(classes) => statement.labels = Labels::of_unwritten(classes),
            Err(reason) => statement.note(format!("its class names are not used: {reason}")),
        }
    }
    statement.classes = statement.classes.or(fields.side("num_labels").ok().flatten());
    let named = statement.labels.as_ref().map(Labels::count);
    let count = named.or(statement.classes).or(facts.classes);
    say_activation(&mut statement, fields.text("problem_type"), count);
    (!statement.is_empty()).then_some(statement)
}

/// As the pipeline `image-classification` decides it.
fn say_activation(statement: &mut Statement, problem: Option<&str>, classes: Option<usize>) {
    match (problem, classes) {
        (Some("multi_label_classification"), _) => {
            statement.activation("problem_type", Activation::Sigmoid);
        }
        (Some("single_label_classification"), Some(2..)) => {
            statement.activation("problem_type", Activation::Softmax);
        }
        (Some("regression"), _) => {
            statement.activation("problem_type", Activation::None);
            statement.note("the model was trained for regression: its scores are no probabilities");
        }
        (_, Some(1)) => statement.activation("one class in id2label", Activation::Sigmoid),
        (_, Some(2..)) => statement.activation("several classes in id2label", Activation::Softmax),
        _ => {}
    }
}

/// `LABEL_0`, `LABEL_1`, … stand where nobody gave names.
fn is_placeholder((index, class): (usize, &labels::Class)) -> bool {
    class.name.strip_prefix("LABEL_").is_some_and(|number| number == index.to_string())
}

/// The task in `architectures`, when it is none of image classification.
fn other_task(fields: Fields<'_>) -> Option<String> {
    let names: Vec<&str> = fields.list("architectures")?.iter().filter_map(Value::as_str).collect();
    let classifies = |name: &&str| name.contains("ImageClassification");
    let elsewhere = |name: &&str| name.contains("For") && !classifies(name);
    (!names.iter().any(classifies) && names.iter().any(elsewhere)).then(|| names.join(", "))
}

#[cfg(test)]
mod tests;
