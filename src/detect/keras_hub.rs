//! `KerasHub`'s presets: `image_converter.json`, or the converter in `preprocessor.json`.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_size},
    folder::{Folder, Found},
    saying::Numbers,
};
use crate::{
    geometry::Size,
    recipe::{Channels, Crop, Interpolation, Kernel, Layout, Resize},
};

/// What `KerasHub`'s files beside a model say.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    ["image_converter.json", "preprocessor.json"].iter().find_map(|name| match folder.json(name)? {
        Ok(found) => of_file(&found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    })
}

fn of_file(found: &Found<Value>) -> Option<Statement> {
    let root = Fields::of(&found.content)?;
    let nested = root.object("config").and_then(|config| config.object("image_converter"));
    let is_converter = |fields: &Fields<'_>| {
        fields.text("class_name").is_some_and(|name| name.ends_with("ImageConverter"))
    };
    let converter = Some(root).filter(is_converter).or(nested.filter(is_converter))?;
    let name = converter.text("class_name").unwrap_or_default();
    let config = converter.object("config")?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        say_geometry(statement, config, name)?;
        say_numbers(statement, config)?;
        statement.channels("KerasHub feeds RGB", Channels::Rgb);
        let first = config.text("data_format") == Some("channels_first");
        let layout = if first { Layout::Nchw } else { Layout::Nhwc };
        statement.layout(if first { "data_format" } else { "Keras' default" }, layout);
        Ok(())
    }))
}

fn say_geometry(
    statement: &mut Statement,
    config: Fields<'_>,
    name: &str,
) -> Result<(), String> {
    for key in ["pad_to_aspect_ratio", "antialias"] {
        if config.flag(key)? == Some(true) {
            return Err(format!("`{key}` has no word in a recipe"));
        }
    }
    let sides = config.side("height")?.zip(config.side("width")?);
    let legacy = sides.map(|(height, width)| Size { height, width });
    let size = config.value("image_size").map_or(legacy, as_size);
    let (resize, because) = match (size, config.flag("crop_to_aspect_ratio")?) {
        (None, _) => (Resize::None, format!("{name} without image_size")),
        (Some(_), Some(false)) => (Resize::Squash(None), "crop_to_aspect_ratio".to_owned()),
        (Some(_), Some(true)) => (Resize::AspectCrop, "crop_to_aspect_ratio".to_owned()),
        (Some(_), None) => (Resize::AspectCrop, format!("{name}'s default")),
    };
    statement.geometry(&because, resize, Crop::None);
    if let Some(size) = size {
        statement.size("image_size", size);
        let interpolation: Interpolation =
            config.text("interpolation").unwrap_or("bilinear").parse()?;
        statement.filter("interpolation, by Keras' Resizing", interpolation, Kernel::TensorFlow);
    }
    Ok(())
}

/// `x · scale + offset` for each channel, or the older mean and variance of 0 to 1.
fn say_numbers(statement: &mut Statement, config: Fields<'_>) -> Result<(), String> {
    let listed = |key| config.value(key).is_some_and(Value::is_array);
    if config.has("mean") || config.has("variance") {
        let variance = config.numbers("variance")?.unwrap_or_else(|| vec![1.0]);
        let numbers = Numbers {
            mean: config.numbers("mean")?.unwrap_or_default(),
            std: variance.iter().map(|variance| variance.sqrt()).collect(),
            ..Numbers::scaled(config.number("scale")?.unwrap_or(1.0), 0.0)
        };
        return statement.numbers(["scale", "mean", "variance"], &numbers);
    }
    if !listed("scale") && !listed("offset") {
        let factor = config.number("scale")?.unwrap_or(1.0);
        let numbers = Numbers::scaled(factor, config.number("offset")?.unwrap_or(0.0));
        return statement.numbers(["scale and offset", "", ""], &numbers);
    }
    let [scale, offset] = [config.numbers("scale")?, config.numbers("offset")?];
    let scale = scale.unwrap_or_else(|| vec![1.0]);
    let offset = offset.unwrap_or_else(|| vec![0.0]);
    let at = |values: &[f64], channel: usize| *values.get(channel).unwrap_or(&values[0]);
    let channels = scale.len().max(offset.len());
    let numbers = Numbers {
        mean: (0..channels).map(|c| -at(&offset, c) / at(&scale, c)).collect(),
        std: (0..channels).map(|c| 1.0 / at(&scale, c)).collect(),
        ..Numbers::scaled(1.0, 0.0)
    };
    let because = "scale and offset of each channel";
    statement.numbers([because; 3], &numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    fn read(config: &str) -> Statement {
        let converter = format!("{{\"class_name\": \"ResNetImageConverter\", \"config\": {config}}}");
        let (_root, here) = folder(&[("image_converter.json", converter.as_str())]);
        let direct = statement(&here).unwrap();
        let nested = format!(
            "{{\"class_name\": \"P\", \"config\": {{\"image_converter\": {converter}}}}}"
        );
        let (_root, here) = folder(&[("preprocessor.json", nested.as_str())]);
        assert_eq!(statement(&here).unwrap().recipe, direct.recipe);
        direct
    }

    #[test]
    fn scale_and_offset_become_mean_and_std() {
        let one = read(r#"{"image_size": [224, 224], "scale": 0.00392156862745098, "offset": -0.5,
                           "crop_to_aspect_ratio": false}"#);
        assert_eq!(
            said(&one),
            "size = \"224x224\"\nresize = \"squash\"\ninterpolation = \"bilinear\"\n\
             kernel = \"tensorflow\"\ncrop = \"none\"\nscale = \"1/255-0.5\"\nchannels = \"rgb\"\n\
             layout = \"nhwc\"\n"
        );
        let each = read(r#"{"image_size": 96, "scale": [0.5, 0.25, 1.0], "offset": [-1.0, -1.0, 0.0]}"#);
        assert_eq!(each.recipe.std.unwrap().0, [2.0, 4.0, 1.0]);
        assert_eq!(each.recipe.mean.unwrap().0, [2.0, 4.0, 0.0]);
        assert_eq!(each.recipe.resize, Some(Resize::AspectCrop));
        let old = read(r#"{"height": 8, "width": 9, "scale": 1, "mean": [0.5, 0.5, 0.5],
                           "variance": [0.25, 0.25, 0.25]}"#);
        assert_eq!(old.recipe.std.unwrap().0, [0.5; 3]);
    }

    #[test]
    fn what_has_no_word_is_refused() {
        for config in [
            r#"{"image_size": [8, 8], "antialias": true}"#,
            r#"{"image_size": [8, 8], "pad_to_aspect_ratio": true}"#,
            r#"{"image_size": [8, 8], "scale": [0.0, 1.0, 1.0]}"#,
            r#"{"image_size": [8, 8], "scale": -1}"#,
            r#"{"image_size": [8, 8], "mean": 0, "variance": -1}"#,
        ] {
            assert!(read(config).refusal.is_some(), "{config}");
        }
    }
}
