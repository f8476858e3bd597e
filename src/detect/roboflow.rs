//! Roboflow's `environment.json`: classes, EXIF orientation and resizing. How bytes are scaled
//! depends on the kind of model, which it does not tell.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_side},
    folder::{Folder, Found},
    saying::CENTER,
};
use crate::{
    geometry::Size,
    labels::{self, Labels},
    recipe::{Crop, Orientation, PerChannel, Resize},
};

const ENVIRONMENT: &str = "environment.json";
/// Steps that change images in ways that no recipe can say.
const UNKNOWN: [&str; 3] = ["static-crop", "grayscale", "contrast"];

/// What `environment.json` beside a model says, when it is Roboflow's.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    match folder.json(ENVIRONMENT)? {
        Ok(found) => of_environment(&found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    }
}

fn of_environment(found: &Found<Value>) -> Option<Statement> {
    let root = Fields::of(&found.content)?;
    let text = root.value("PREPROCESSING")?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        if let Some(names) = root.value("CLASS_LIST").or(root.value("CLASS_MAP")) {
            statement.name_classes(labels::from_json(names).map(Labels::of_unwritten));
        }
        let parsed = text.as_str().map(serde_json::from_str::<Value>);
        let steps = match parsed {
            Some(Ok(steps)) => steps,
            Some(Err(error)) => return Err(format!("bad JSON in PREPROCESSING: {error}")),
            None => text.clone(),
        };
        let steps = Fields::of(&steps).ok_or("PREPROCESSING is no object")?;
        let enabled = |name: &str| {
            let step = steps.object(name)?;
            (step.value("enabled") != Some(&Value::Bool(false))).then_some(step)
        };
        if let Some(name) = UNKNOWN.iter().find(|name| enabled(name).is_some()) {
            return Err(format!("PREPROCESSING.{name} does to images what no recipe can say"));
        }
        let turned = enabled("auto-orient").is_some();
        let exif = if turned { Orientation::Apply } else { Orientation::Ignore };
        statement.say("exif", "PREPROCESSING.auto-orient", |recipe| recipe.exif = Some(exif));
        if let Some(step) = enabled("resize") {
            resize(statement, step)?;
        }
        statement.note("it does not tell how bytes become numbers, nor the filter that resizes");
        Ok(())
    }))
}

fn resize(statement: &mut Statement, step: Fields<'_>) -> Result<(), String> {
    let format = step.text("format").unwrap_or("Stretch to");
    let because = format!("PREPROCESSING.resize: {format}");
    let fill = match format {
        "Stretch to" => None,
        "Fit (black edges) in" => Some(0.0),
        "Fit (white edges) in" => Some(255.0),
        "Fit (grey edges) in" => Some(114.0),
        _ => return Err(format!("linnaeus does not know `resize` {format}")),
    };
    match fill {
        None => statement.geometry(&because, Resize::Squash(None), Crop::None),
        Some(byte) => {
            statement.geometry(&because, Resize::Fit(None), CENTER);
            let fill = Some(PerChannel(vec![byte]));
            statement.say("fill", &because, |recipe| recipe.fill = fill);
        }
    }
    let sides = step.value("height").and_then(as_side).zip(step.value("width").and_then(as_side));
    if let Some((height, width)) = sides {
        statement.size("PREPROCESSING.resize", Size { height, width });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    fn read(steps: &str) -> Statement {
        let steps = Value::String(steps.to_owned());
        let text = format!("{{\"CLASS_LIST\": [\"cat\", \"dog\"], \"PREPROCESSING\": {steps}}}");
        let (_root, here) = folder(&[(ENVIRONMENT, text.as_str())]);
        statement(&here).unwrap()
    }

    #[test]
    fn orientation_and_resizing_are_read() {
        let statement = read(
            r#"{"auto-orient": {"enabled": true}, "contrast": {"enabled": false},
                "resize": {"enabled": true, "width": 320, "height": 240, "format": "Stretch to"}}"#,
        );
        let text = "size = \"240x320\"\nresize = \"squash\"\ncrop = \"none\"\nexif = \"apply\"\n";
        assert_eq!(said(&statement), text);
        assert_eq!(statement.labels.unwrap().count(), 2);
        let fit = read(r#"{"resize": {"format": "Fit (white edges) in"}}"#);
        assert_eq!(fit.recipe.fill, Some(PerChannel(vec![255.0])));
        assert_eq!(fit.recipe.exif, Some(Orientation::Ignore));
    }

    #[test]
    fn steps_without_a_word_are_refused() {
        for steps in
            [r#"{"grayscale": {}}"#, r#"{"resize": {"format": "Fill"}}"#, "[]", "{", "\"x\""]
        {
            assert!(read(steps).refusal.is_some(), "{steps}");
        }
    }
}
