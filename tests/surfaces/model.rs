//! ONNX files and their metadata.

use std::{collections::BTreeMap, fs};

use bytes::Bytes;
use linnaeus::{
    config::ModelConfig,
    detect::{decide, folder::Folder, statements},
    geometry::Size,
    inspect::inspect,
    job::Job,
    model::declared_input,
    onnx::{OnnxFile, with_metadata},
    package::Package,
    recipe::RecipeSpec,
};

use super::sidecar::{examine, facts, inputs};

/// A model's file.
pub fn model(bytes: &[u8]) {
    let Ok(onnx) = OnnxFile::read(Bytes::copy_from_slice(bytes)) else { return };
    let entries = BTreeMap::from([("linnaeus.output".to_owned(), "y".to_owned())]);
    if let Ok(written) = with_metadata(bytes, &entries) {
        let again = OnnxFile::read(written.into()).expect("metadata keep a model readable");
        assert_eq!(again.metadata().get("linnaeus.output"), Some("y"));
    }
    let input = declared_input(&onnx);
    for value in onnx.inputs() {
        _ = onnx.normaliser(&value);
        _ = value.shape_text();
    }
    for value in onnx.outputs() {
        _ = onnx.scores(&value.name);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, bytes).unwrap();
    let job = Job { model: Some(path), ..Job::default() };
    if let Ok(report) = inspect(&ModelConfig::resolve(&job).unwrap()) {
        _ = (report.to_string(), serde_json::to_string(&report).unwrap());
        if let Ok(input) = input {
            super::recipe::prepare(&report.recipe, &input);
        }
    }
}

/// A model's metadata: lines of a key, a tabulator and a value, in which `\n` is a line break.
pub fn metadata(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    let metadata: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.replace("\\n", "\n"))).collect();
    if let Ok(Some(package)) = Package::read(&metadata) {
        package.entries().unwrap();
        super::recipe::prepare_with(&package.recipe);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, "").unwrap();
    let folder = Folder::beside(&path).unwrap();
    for input in inputs() {
        let found = statements(&folder, &metadata, &facts(&input, Some(2)));
        examine(&found, &input);
        for fixed in [None, Some(Size::square(8))] {
            _ = decide(&RecipeSpec::default(), &found, fixed);
        }
    }
}
