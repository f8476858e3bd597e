//! Every place that may say something about a model, in the order of their weight.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Facts, Statement, Tier, custom_vision,
    folder::{Folder, Found},
    hugging_face, keras_hub, lobe, metadata, mlmodel, mmdeploy, open_clip, openvino, paddle,
    roboflow, teachable_machine, timm, triton, ultralytics,
};

/// Files that are unmistakable, to be pointed at where they lie too far away to be read.
const FAR: [&str; 7] = [
    "preprocessor_config.json",
    "processor_config.json",
    "open_clip_config.json",
    "signature.json",
    "cvexport.manifest",
    "metadata.yaml",
    "inference.yml",
];

/// What a model's `metadata` and the files beside it say about its images and classes; earlier ones
/// have more weight. A file that cannot be read, or says what no recipe can, is a refusal.
#[must_use]
pub fn statements(
    folder: &Folder,
    metadata: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Vec<Statement> {
    let mut statements = metadata::statements(metadata, facts);
    match of_stem(folder, facts) {
        Some(statement) => statements.push(statement),
        None => statements.extend(beside(folder, facts)),
    }
    let told = |s: &Statement| s.refusal.is_some() || s.recipe.resize.is_some();
    if !statements.iter().any(told) {
        statements.extend(folder.far(&FAR).into_iter().map(|place| {
            let mut statement = Statement::new(place, Tier::Sidecar);
            statement.note("it lies too far from the model to be read; copy it beside the model");
            statement
        }));
    }
    statements
}

/// What the folder says of any model in it.
fn beside(folder: &Folder, facts: &Facts<'_>) -> Vec<Statement> {
    let mut statements = hugging_face::statements(folder, facts);
    let rest = [
        timm::statement(folder, facts),
        open_clip::statement(folder),
        keras_hub::statement(folder),
        lobe::statement(folder),
    ];
    statements.extend(rest.into_iter().flatten());
    statements.extend(custom_vision::statements(folder));
    let rest = [
        mmdeploy::statement(folder),
        paddle::statement(folder),
        roboflow::statement(folder),
        openvino::statement(folder, facts),
        ultralytics::of_folder(folder),
        teachable_machine::statement(folder),
    ];
    statements.extend(rest.into_iter().flatten());
    statements.extend(mlmodel::statements(folder));
    statements.extend(triton::statement(folder));
    statements
}

/// What `MODEL.json` says, which belongs to this model alone. It may be of any kind that is known
/// by its content.
fn of_stem(folder: &Folder, facts: &Facts<'_>) -> Option<Statement> {
    // Those names belong to the files themselves, whatever the model is called.
    let reserved = ["", "config", "preprocessor_config", "processor_config", "signature"];
    if reserved.contains(&folder.stem()) {
        return None;
    }
    let found: Found<Value> = folder.json(&format!("{}.json", folder.stem()))?.ok()?;
    if hugging_face::is_processor(&found.content) {
        return hugging_face::of_processor(&found, None);
    }
    timm::of_config(&found, facts)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        detect::sample::{facts, folder, input},
        geometry::Size,
        labels::Labels,
    };

    /// Every file that is read beside `model.onnx`.
    const READ: [&str; 19] = [
        "config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "open_clip_config.json",
        "image_converter.json",
        "preprocessor.json",
        "signature.json",
        "cvexport.manifest",
        "metadata_properties.json",
        "pipeline.json",
        "deploy.json",
        "inference.yml",
        "environment.json",
        "model.xml",
        "model.json",
        "metadata.yaml",
        "metadata.json",
        "MLmodel",
        "config.pbtxt",
    ];
    const VIT: &str = r#"{"image_processor_type": "ViTImageProcessor"}"#;
    const TIMM: &str = r#"{"architecture": "x", "pretrained_cfg": {"input_size": [3, 96, 96]}}"#;

    fn places(files: &[(&str, &str)]) -> Vec<String> {
        let (_root, here) = folder(files);
        let input = input(None);
        let found = statements(&here, &BTreeMap::new(), &facts(&input, None));
        found.into_iter().map(|statement| statement.place).collect()
    }

    #[test]
    fn the_file_named_after_the_model_counts_alone() {
        let both = [("model.json", TIMM), ("preprocessor_config.json", VIT)];
        assert_eq!(places(&both), ["model.json"]);
        let topology = [("model.json", r#"{"layers": []}"#), ("preprocessor_config.json", VIT)];
        assert_eq!(places(&topology), ["preprocessor_config.json"]);
    }

    #[test]
    fn hugging_face_comes_before_timm_and_an_empty_folder_says_nothing() {
        let both = [("config.json", TIMM), ("preprocessor_config.json", VIT)];
        assert_eq!(places(&both), ["preprocessor_config.json", "config.json"]);
        assert!(places(&[("notes.txt", "x"), ("config.json", "{\"a\": 1}")]).is_empty());
        assert!(places(&[("config.json", "[1]"), ("metadata.json", "0")]).is_empty());
    }

    #[test]
    fn a_far_file_is_only_pointed_at() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/model.onnx"), "").unwrap();
        fs::write(root.path().join("preprocessor_config.json"), VIT).unwrap();
        let here = Folder::beside(&root.path().join("a/b/model.onnx")).unwrap();
        let input = input(None);
        let found = statements(&here, &BTreeMap::new(), &facts(&input, None));
        assert_eq!(found[0].place, "../../preprocessor_config.json");
        assert!(found[0].because.is_empty() && found[0].notes[0].contains("too far"));
    }

    #[test]
    fn no_file_however_broken_ends_in_more_than_a_refusal() {
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        let maps = "{\"a\":".repeat(50_000);
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "1e999",
            "NaN",
            "\"",
            "{\"size\": -1}",
            "\0",
            "<a",
            "- - -",
            "&a [*a]",
            "\u{FEFF}{}",
            deep.as_str(),
            maps.as_str(),
        ] {
            let files: Vec<_> = READ.iter().map(|name| (*name, text)).collect();
            let (_root, here) = folder(&files);
            let input = input(Some(Size::square(8)));
            for statement in statements(&here, &BTreeMap::new(), &facts(&input, Some(3))) {
                assert!(statement.because.is_empty(), "{}: {text:.20}", statement.place);
            }
        }
        assert!(Labels::parse(&deep).is_err());
    }
}
