//! Google's Teachable Machine: `metadata.json` of the browser's export, and `labels.txt` beside a
//! Keras or `TFLite` model.

use super::{Statement, Tier, fields::Fields, folder::Folder, saying::Numbers};
use crate::{
    labels::{self, Labels},
    recipe::{Activation, Channels, Crop, Interpolation, Kernel, Layout, Orientation, Resize},
};

const METADATA: &str = "metadata.json";
const LABELS: &str = "labels.txt";
/// What its exports call their models.
const MODELS: [&str; 3] = ["keras_model.h5", "keras_Model.h5", "model_unquant.tflite"];

/// What Teachable Machine's files beside a model say.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    of_metadata(folder).or_else(|| of_labels(folder))
}

fn of_metadata(folder: &Folder) -> Option<Statement> {
    let found = folder.json(METADATA)?.ok()?;
    let fields = Fields::of(&found.content)?;
    let names = fields.value("labels")?;
    if !fields.has("tfjsVersion") || !fields.has("packageName") {
        return None;
    }
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        if fields.flag("grayscale")? == Some(true) {
            return Err("its model takes gray images in a way that is not known".to_owned());
        }
        statement.name_classes(labels::from_json(names).map(Labels::of_unwritten));
        if let Some(size) = fields.size("imageSize")? {
            statement.size("imageSize", size);
        }
        statement.note(
            "Teachable Machine's own web page scales by 1/127; its Keras and TFLite exports by \
             1/127.5, which is taken",
        );
        say(statement)
    }))
}

/// A label file whose lines are all numbered, beside a model of its name.
fn of_labels(folder: &Folder) -> Option<Statement> {
    let model = MODELS.into_iter().find(|name| folder.has(name))?;
    let found = folder.text(LABELS)?.ok()?;
    let numbered = |line: &str| {
        let behind = line.trim_start_matches(|c: char| c.is_ascii_digit());
        behind.len() < line.len() && behind.starts_with(' ')
    };
    if found.content.trim().is_empty() || !found.content.trim_end().lines().all(numbered) {
        return None;
    }
    let place = format!("{} beside {model}", found.name);
    Some(Statement::made(&place, Tier::Sidecar, |statement| {
        statement.name_classes(Labels::parse(&found.content).map(Some));
        say(statement)
    }))
}

/// `ImageOps.fit` with Lanczos, as in the code that its exports come with.
fn say(statement: &mut Statement) -> Result<(), String> {
    let because = "Teachable Machine's sample code for Keras";
    statement.geometry(because, Resize::AspectBox { exact: true }, Crop::None);
    statement.filter(because, Interpolation::Lanczos, Kernel::Pillow13);
    statement.numbers([because; 3], &Numbers::scaled(1.0 / 127.5, -1.0))?;
    statement.channels(because, Channels::Rgb);
    statement.layout("its models are TensorFlow's", Layout::Nhwc);
    statement.say("exif", because, |recipe| recipe.exif = Some(Orientation::Ignore));
    statement.activation("its models end in softmax", Activation::None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    #[test]
    fn both_kinds_of_export_are_known() {
        let recipe = "resize = \"aspect-box exact\"\ninterpolation = \"lanczos\"\n\
                      kernel = \"pillow-13\"\ncrop = \"none\"\nscale = \"1/127.5-1\"\n\
                      channels = \"rgb\"\nlayout = \"nhwc\"\nexif = \"ignore\"\n\
                      activation = \"none\"\n";
        let (_root, here) = folder(&[("keras_model.h5", ""), (LABELS, "0 Cat\n1 Dog\n")]);
        let keras = statement(&here).unwrap();
        assert_eq!((said(&keras), keras.labels.unwrap().name(1)), (recipe.to_owned(), Some("Dog")));
        let text = r#"{"tfjsVersion": "1.7", "packageName": "@teachablemachine/image",
                       "labels": ["Cat", "Dog"], "imageSize": 224}"#;
        let (_root, here) = folder(&[(METADATA, text)]);
        let browser = statement(&here).unwrap();
        assert_eq!(said(&browser), format!("size = \"224x224\"\n{recipe}"));
    }

    #[test]
    fn other_label_files_and_metadata_say_nothing() {
        for files in [
            [("keras_model.h5", ""), (LABELS, "Cat\nDog\n")],
            [("other.h5", ""), (LABELS, "0 Cat\n1 Dog\n")],
            [(METADATA, r#"{"labels": ["a"]}"#), (LABELS, "")],
        ] {
            let (_root, here) = folder(&files);
            assert_eq!(statement(&here), None, "{files:?}");
        }
    }
}
