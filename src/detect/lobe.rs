//! Lobe's `signature.json`.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_side},
    folder::{Folder, Found},
    saying::{CENTER_FLOOR, Numbers},
};
use crate::{
    geometry::Size,
    labels::{self, Labels},
    recipe::{Activation, Channels, Interpolation, Kernel, Layout, Orientation, Resize},
};

const SIGNATURE: &str = "signature.json";

/// What `signature.json` beside a model says, when it is Lobe's.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    match folder.json(SIGNATURE)? {
        Ok(found) => of_signature(&found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    }
}

fn of_signature(found: &Found<Value>) -> Option<Statement> {
    let fields = Fields::of(&found.content)?;
    let names = fields.object("classes")?.value("Label")?;
    let image = fields.object("inputs")?.object("Image")?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        statement.name_classes(labels::from_json(names).map(Labels::of_unwritten));
        if let Some([_, height, width, _]) = image.list("shape")
            && let Some((height, width)) = as_side(height).zip(as_side(width))
        {
            statement.size("inputs.Image.shape", Size { height, width });
        }
        let because = "Lobe's image loader";
        statement.geometry(because, Resize::Cover(None), CENTER_FLOOR);
        statement.filter(because, Interpolation::Bicubic, Kernel::Pillow13);
        statement.numbers([because; 3], &Numbers::scaled(1.0 / 255.0, 0.0))?;
        statement.channels(because, Channels::Rgb);
        statement.layout("Lobe's models are TensorFlow's", Layout::Nhwc);
        statement.say("exif", because, |recipe| recipe.exif = Some(Orientation::Apply));
        statement.activation("Lobe's models end in softmax", Activation::None);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    #[test]
    fn a_signature_gives_all_of_it() {
        let text = r#"{"format": "onnx", "classes": {"Label": ["cat", "dog"]},
            "inputs": {"Image": {"dtype": "float32", "shape": [null, 224, 192, 3]}}}"#;
        let (_root, here) = folder(&[(SIGNATURE, text)]);
        let statement = statement(&here).unwrap();
        assert_eq!(
            said(&statement),
            "size = \"224x192\"\nresize = \"cover\"\ninterpolation = \"bicubic\"\n\
             kernel = \"pillow-13\"\ncrop = \"center floor\"\nscale = \"1/255\"\n\
             channels = \"rgb\"\nlayout = \"nhwc\"\nexif = \"apply\"\nactivation = \"none\"\n"
        );
        assert_eq!(statement.labels.unwrap().count(), 2);
    }

    #[test]
    fn another_signature_says_nothing() {
        for text in ["{}", "[]", r#"{"classes": [], "inputs": 1}"#] {
            let (_root, here) = folder(&[(SIGNATURE, text)]);
            assert_eq!(statement(&here), None, "{text}");
        }
    }
}
