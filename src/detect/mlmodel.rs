//! `MLflow`'s `MLmodel`: the input's shape in its signature, and where its transformers flavour
//! keeps an image processor.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_side},
    folder::{Folder, Found},
    hugging_face,
};
use crate::{geometry::Size, recipe::Layout};

const MLMODEL: &str = "MLmodel";
/// Where the transformers flavour saves an image processor.
const PROCESSOR: &str = "components/image_processor/preprocessor_config.json";

/// What `MLmodel` beside a model, and the image processor that it brings, say.
pub(super) fn statements(folder: &Folder) -> Vec<Statement> {
    let found = match folder.yaml(MLMODEL) {
        None => return Vec::new(),
        Some(Err(problem)) => return vec![Statement::unreadable(problem, Tier::Config)],
        Some(Ok(found)) => found,
    };
    let mut statements = Vec::new();
    if found.content["flavors"]["transformers"].is_object() {
        match folder.json(PROCESSOR) {
            Some(Ok(found)) => statements.extend(hugging_face::of_processor(&found, None)),
            Some(Err(problem)) => statements.push(Statement::unreadable(problem, Tier::Sidecar)),
            None => {}
        }
    }
    statements.extend(of_signature(&found));
    statements
}

/// The shape of the only input; layout and size when it shows them.
fn of_signature(found: &Found<Value>) -> Option<Statement> {
    let text = found.content["signature"]["inputs"].as_str()?;
    let inputs: Value = serde_json::from_str(text).ok()?;
    let [input] = &inputs.as_array()?[..] else { return None };
    let shape = Fields::of(input)?.object("tensor-spec")?.list("shape")?;
    let [_, a, b, c] = shape else { return None };
    let is_channels = |dim: &Value| matches!(dim.as_i64(), Some(1 | 3));
    let layout = match (is_channels(a), is_channels(c)) {
        (true, false) => Layout::Nchw,
        (false, true) => Layout::Nhwc,
        _ => return None,
    };
    let mut statement = Statement::new(&found.name, Tier::Config);
    statement.layout("signature.inputs", layout);
    let [_, height, width] = layout.channels_first([a, b, c]).map(as_side);
    if let Some((height, width)) = height.zip(width) {
        statement.size("signature.inputs", Size { height, width });
    }
    Some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    #[test]
    fn the_signature_shows_layout_and_size() {
        for (shape, text) in [
            ("[-1, 3, 160, 224]", "size = \"160x224\"\nlayout = \"nchw\"\n"),
            ("[-1, -1, -1, 3]", "layout = \"nhwc\"\n"),
        ] {
            let yaml = format!(
                "flavors:\n  onnx:\n    data: model.onnx\nsignature:\n  inputs: '[{{\"type\": \
                 \"tensor\", \"tensor-spec\": {{\"dtype\": \"float32\", \"shape\": {shape}}}}}]'\n"
            );
            let (_root, here) = folder(&[(MLMODEL, yaml.as_str())]);
            assert_eq!(said(&statements(&here)[0]), text);
        }
        let (_root, here) = folder(&[(MLMODEL, "signature:\n  inputs: '[{}]'\n")]);
        assert!(statements(&here).is_empty());
    }

    #[test]
    fn the_transformers_flavour_brings_its_processor() {
        let processor = r#"{"image_processor_type": "ViTImageProcessor"}"#;
        let (_root, here) = folder(&[
            (MLMODEL, "flavors:\n  transformers:\n    task: image-classification\n"),
            (PROCESSOR, processor),
        ]);
        let statements = statements(&here);
        assert_eq!(statements[0].place, PROCESSOR);
        assert_eq!(statements[0].recipe.size, Some(Size::square(224)));
    }
}
