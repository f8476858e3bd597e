//! `MMDeploy`'s `pipeline.json` and `deploy.json`, which `--dump-info` writes beside a model.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_side, as_size, odd},
    folder::{Folder, Found},
    saying::{CENTER_FLOOR, Numbers, shorter_side},
    ultralytics,
};
use crate::{
    geometry::Size,
    recipe::{Channels, Crop, Interpolation, Kernel, Layout, Resize},
};

/// Transforms that only load or pack an image.
const PACKING: [&str; 6] = [
    "LoadImageFromFile",
    "ImageToTensor",
    "Collect",
    "PackClsInputs",
    "PackInputs",
    "DefaultFormatBundle",
];

/// What `MMDeploy`'s files beside a model say.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    let found = match folder.json("pipeline.json")? {
        Ok(found) => found,
        Err(problem) => return Some(Statement::unreadable(problem, Tier::Sidecar)),
    };
    let transforms = transforms(&found)?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        if let Some(Ok(deploy)) = folder.json("deploy.json") {
            let task = deploy.content["task"].as_str().unwrap_or("Classifier");
            if task != "Classifier" {
                return Err(format!("the model is no classifier (deploy.json: task {task})"));
            }
        }
        for transform in transforms {
            let fields = Fields::of(transform).ok_or("a transform is no object")?;
            apply(statement, fields)?;
        }
        let shapeless = statement.recipe.resize.is_some_and(|resize| resize != Resize::Squash(None));
        if shapeless && statement.recipe.crop == Some(Crop::None) {
            return Err("its images keep their shapes: CenterCrop is missing".to_owned());
        }
        statement.layout("MMDeploy's models are PyTorch's", Layout::Nchw);
        Ok(())
    }))
}

/// The transforms of the only task that has some.
fn transforms(found: &Found<Value>) -> Option<&[Value]> {
    let tasks = Fields::of(&found.content)?.object("pipeline")?.list("tasks")?;
    tasks.iter().find_map(|task| Fields::of(task)?.list("transforms"))
}

fn apply(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    let name = fields.text("type").unwrap_or("without a type");
    if let (true, Some(_)) = (name != "Normalize", &statement.recipe.scale)
        && !PACKING.contains(&name)
    {
        return Err(format!("its transform {name} comes after Normalize"));
    }
    match name {
        "Resize" | "ResizeEdge" => resize(statement, fields),
        "CenterCrop" => crop(statement, fields),
        "Normalize" => normalize(statement, fields),
        "LoadImageFromFile" => {
            ultralytics::read_by_opencv(statement, "mmcv");
            Ok(())
        }
        _ if PACKING.contains(&name) => Ok(()),
        _ => Err(format!("linnaeus does not know its transform {name}")),
    }
}

/// `Resize` to a square or to a shorter side, which it writes as `[side, -1]`; `ResizeEdge`.
fn resize(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    if statement.recipe.crop.is_some() {
        return Err("it resizes or crops more than once".to_owned());
    }
    if fields.flag("keep_ratio")? == Some(true) {
        return Err("Resize.keep_ratio is not known".to_owned());
    }
    if fields.text("edge").is_some_and(|edge| edge != "short") {
        return Err("ResizeEdge.edge is not short".to_owned());
    }
    let edge = fields.text("type") == Some("ResizeEdge");
    let value = fields.value("size").or(fields.value("scale")).ok_or("Resize has no size")?;
    let sides = value.as_array().map(Vec::as_slice);
    let resize = match (sides, as_size(value)) {
        (Some([side, open]), _) if open.as_i64() == Some(-1) => as_side(side).map(shorter_side),
        (None, Some(size)) if edge => Some(shorter_side(size.height)),
        (_, Some(size)) if size.height == size.width && !edge => {
            statement.size("Resize.size", size);
            Some(Resize::Squash(None))
        }
        _ => None,
    };
    let resize = resize.ok_or_else(|| odd("size", value, "a square, or a side and -1"))?;
    statement.geometry("Resize", resize, Crop::None);
    let kernel = match fields.text("backend").unwrap_or("cv2") {
        "cv2" => Kernel::OpenCv,
        "pillow" => Kernel::Pillow13,
        other => return Err(format!("linnaeus does not know `backend` {other}")),
    };
    let interpolation: Interpolation =
        fields.text("interpolation").unwrap_or("bilinear").parse()?;
    statement.filter("Resize.interpolation and backend", interpolation, kernel);
    Ok(())
}

fn crop(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    let size = fields.size("crop_size")?.ok_or("CenterCrop has no crop_size")?;
    if let (Some(Resize::Squash(None)), Some(to)) = (statement.recipe.resize, statement.recipe.size)
    {
        statement.recipe.resize = Some(Resize::Squash(Some::<Size>(to)));
    }
    if statement.recipe.resize.is_none() {
        statement.say("resize", "no Resize", |recipe| recipe.resize = Some(Resize::None));
    }
    statement.say("crop", "CenterCrop", |recipe| recipe.crop = Some(CENTER_FLOOR));
    statement.size("CenterCrop.crop_size", size);
    Ok(())
}

fn normalize(statement: &mut Statement, fields: Fields<'_>) -> Result<(), String> {
    let numbers = Numbers {
        mean: fields.numbers("mean")?.ok_or("Normalize has no mean")?,
        std: fields.numbers("std")?.ok_or("Normalize has no std")?,
        ..Numbers::scaled(1.0, 0.0)
    };
    statement.numbers(["Normalize, of bytes", "Normalize.mean", "Normalize.std"], &numbers)?;
    let channels =
        if fields.flag("to_rgb")?.unwrap_or(true) { Channels::Rgb } else { Channels::Bgr };
    statement.channels("Normalize.to_rgb, of OpenCV's BGR", channels);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    const PIPELINE: &str = r#"{"pipeline": {"tasks": [{"name": "Preprocess", "transforms": [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "size": [256, -1], "backend": "pillow", "interpolation": "bicubic"},
        {"type": "CenterCrop", "crop_size": 224},
        {"type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
         "to_rgb": true},
        {"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect"}]}, {"name": "resnet"}]}}"#;

    fn read(text: &str, deploy: &str) -> Statement {
        let (_root, here) = folder(&[("pipeline.json", text), ("deploy.json", deploy)]);
        statement(&here).unwrap()
    }

    #[test]
    fn the_transforms_are_read_in_their_order() {
        assert_eq!(
            said(&read(PIPELINE, r#"{"task": "Classifier"}"#)),
            "size = \"224x224\"\nresize = \"shorter-side 256\"\ninterpolation = \"bicubic\"\n\
             kernel = \"pillow-13\"\ncrop = \"center floor\"\nscale = \"1\"\n\
             mean = [123.675,116.28,103.53]\nstd = [58.395,57.12,57.375]\nchannels = \"rgb\"\n\
             layout = \"nchw\"\nexif = \"apply\"\nalpha = \"drop\"\ndeep = \"high-byte\"\n"
        );
        let squash = PIPELINE.replace("[256, -1]", "[240, 240]");
        assert_eq!(read(&squash, "{}").recipe.resize.unwrap().to_string(), "squash 240x240");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (old, new) in [
            ("CenterCrop", "RandomCrop"),
            ("[256, -1]", "[240, 320]"),
            ("[256, -1]", "[0, -1]"),
            ("\"bicubic\"", "\"bicubic\", \"keep_ratio\": true"),
            ("\"pillow\"", "\"tensor\""),
            ("ImageToTensor", "Resize"),
        ] {
            assert!(read(&PIPELINE.replace(old, new), "{}").refusal.is_some(), "{new}");
        }
        assert!(read(PIPELINE, r#"{"task": "Detector"}"#).refusal.unwrap().contains("Detector"));
        let (_root, here) = folder(&[("pipeline.json", "{\"pipeline\": []}")]);
        assert_eq!(statement(&here), None);
    }
}
