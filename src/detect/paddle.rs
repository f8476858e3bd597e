//! `PaddleClas`' `inference.yml` and `inference_cls.yaml`: `PreProcess.transform_ops`.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_number, as_side, odd},
    folder::{Folder, Found},
    label_files,
    saying::{CENTER_FLOOR, Numbers},
    ultralytics,
};
use crate::{
    geometry::Size,
    labels::{self, Labels},
    recipe::{
        Channels, Crop, Interpolation, Kernel, Layout, Resize, ResizeRounding, preset::IMAGENET,
    },
};

const FILES: [&str; 4] =
    ["inference.yml", "inference.yaml", "inference_cls.yaml", "inference_cls.yml"];

/// The operations in the order in which they have to stand.
const ORDER: [&str; 6] =
    ["DecodeImage", "ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage", "KeepKeys"];

/// What Paddle's file beside a model says.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    let found = FILES.iter().find_map(|name| folder.yaml(name))?;
    match found {
        Ok(found) => of_file(folder, &found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    }
}

fn of_file(folder: &Folder, found: &Found<Value>) -> Option<Statement> {
    let root = Fields::of(&found.content)?;
    let ops = root.object("PreProcess")?.list("transform_ops")?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        name_classes(statement, folder, root);
        let mut last = 0;
        let mut resized = None;
        for op in ops {
            let (name, fields) = named(op)?;
            let at = ORDER.iter().position(|known| *known == name);
            let at = at.ok_or_else(|| format!("linnaeus does not know its operation {name}"))?;
            if at < last {
                return Err(format!("its operation {name} stands too late"));
            }
            last = at;
            match name {
                "DecodeImage" => decode(statement, fields)?,
                "ResizeImage" => resized = Some(resize(statement, fields)?),
                "CropImage" => crop(statement, fields)?,
                "NormalizeImage" => normalize(statement, fields)?,
                "ToCHWImage" => statement.layout("ToCHWImage", Layout::Nchw),
                _ => {}
            }
        }
        match (resized, statement.recipe.crop) {
            (Some(Resize::Squash(_)) | None, _) | (_, Some(Crop::Center(_))) => Ok(()),
            _ => Err("its images keep their shapes: CropImage is missing".to_owned()),
        }
    }))
}

/// The operation's name and its fields; it may have none.
fn named(op: &Value) -> Result<(&str, Option<Fields<'_>>), String> {
    let only = op.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    let (name, fields) = only.ok_or("an operation has no name")?;
    Ok((name, Fields::of(fields)))
}

fn decode(statement: &mut Statement, fields: Option<Fields<'_>>) -> Result<(), String> {
    let flag = |key, default| {
        Ok::<_, String>(fields.map(|fields| fields.flag(key)).transpose()?.flatten().unwrap_or(default))
    };
    if flag("channel_first", false)? {
        return Err("DecodeImage.channel_first puts channels before images are resized".to_owned());
    }
    let channels = if flag("to_rgb", true)? { Channels::Rgb } else { Channels::Bgr };
    statement.channels("DecodeImage.to_rgb", channels);
    ultralytics::read_by_opencv(statement, "Paddle");
    Ok(())
}

fn resize(statement: &mut Statement, fields: Option<Fields<'_>>) -> Result<Resize, String> {
    let fields = fields.ok_or("ResizeImage has no size")?;
    let (because, to) = match (fields.side("resize_short")?, fields.value("size")) {
        (Some(side), None) => (
            "ResizeImage.resize_short",
            Resize::ShorterSide { side, rounding: ResizeRounding::Nearest },
        ),
        (None, Some(size)) => {
            let size = wide_size("ResizeImage.size", size)?;
            statement.size("ResizeImage.size", size);
            ("ResizeImage.size", Resize::Squash(Some(size)))
        }
        _ => return Err("ResizeImage has not one of resize_short and size".to_owned()),
    };
    let shape = if let Resize::Squash(_) = to { Resize::Squash(None) } else { to };
    statement.geometry(because, shape, Crop::None);
    let name = fields.text("interpolation");
    let (kernel, default) = match fields.text("backend").unwrap_or("cv2") {
        "cv2" => (Kernel::OpenCv, "bilinear"),
        "pil" => (Kernel::Pillow13, ""),
        other => return Err(format!("linnaeus does not know `backend` {other}")),
    };
    let interpolation: Interpolation = name.unwrap_or(default).parse()?;
    let because = if name.is_some() { "ResizeImage.interpolation" } else { "OpenCV's default" };
    statement.filter(because, interpolation, kernel);
    Ok(to)
}

fn crop(statement: &mut Statement, fields: Option<Fields<'_>>) -> Result<(), String> {
    let size = fields.and_then(|fields| fields.value("size")).ok_or("CropImage has no size")?;
    let size = wide_size("CropImage.size", size)?;
    // A squash to the size of the model has become one to another size now.
    if let (Some(Resize::Squash(None)), Some(to)) = (statement.recipe.resize, statement.recipe.size)
    {
        statement.recipe.resize = Some(Resize::Squash(Some(to)));
    }
    if statement.recipe.resize.is_none() {
        statement.say("resize", "no ResizeImage", |recipe| recipe.resize = Some(Resize::None));
    }
    statement.say("crop", "CropImage", |recipe| recipe.crop = Some(CENTER_FLOOR));
    statement.size("CropImage.size", size);
    Ok(())
}

fn normalize(statement: &mut Statement, fields: Option<Fields<'_>>) -> Result<(), String> {
    let fields = fields.ok_or("NormalizeImage has no fields")?;
    let factor = match fields.value("scale") {
        None => 1.0 / 255.0,
        Some(value) => quotient(value).ok_or_else(|| odd("scale", value, "a number"))?,
    };
    let [mean, std] = IMAGENET.map(|values| values.map(f64::from).to_vec());
    let numbers = Numbers {
        mean: fields.numbers("mean")?.unwrap_or(mean),
        std: fields.numbers("std")?.unwrap_or(std),
        ..Numbers::scaled(factor, 0.0)
    };
    let because = ["NormalizeImage.scale", "NormalizeImage.mean", "NormalizeImage.std"];
    statement.numbers(because, &numbers)
}

/// A number, or text such as `1.0/255.0`.
fn quotient(value: &Value) -> Option<f64> {
    let Some((above, below)) = value.as_str().and_then(|text| text.split_once('/')) else {
        return as_number(value);
    };
    let part = |text: &str| text.trim().trim_end_matches('.').parse::<f64>().ok();
    Some(part(above)? / part(below)?).filter(|quotient| quotient.is_finite())
}

/// A side, or a list of width and height: Paddle writes the width first.
fn wide_size(key: &str, value: &Value) -> Result<Size, String> {
    let size = match value.as_array().map(Vec::as_slice) {
        Some([width, height]) => as_side(height).zip(as_side(width)),
        Some(_) => None,
        None => as_side(value).map(|side| (side, side)),
    };
    let (height, width) = size.ok_or_else(|| odd(key, value, "a size"))?;
    Ok(Size { height, width })
}

fn name_classes(statement: &mut Statement, folder: &Folder, root: Fields<'_>) {
    let Some(post) = root.object("PostProcess") else { return };
    let topk = post.object("Topk").unwrap_or(post);
    if let Some(list) = topk.value("label_list") {
        statement.name_classes(labels::from_json(list).map(Labels::of_unwritten));
    } else if let Some(path) = topk.text("class_id_map_file") {
        label_files::name_classes(statement, folder, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    const OPS: &str = "PreProcess:\n  transform_ops:\n  - DecodeImage: {to_rgb: true, channel_first: \
        false}\n  - ResizeImage:\n      resize_short: 256\n  - CropImage: {size: 224}\n  - \
        NormalizeImage:\n      scale: 0.00392157\n      mean: [0.485, 0.456, 0.406]\n      std: \
        [0.229, 0.224, 0.225]\n      order: ''\n  - ToCHWImage:\nPostProcess:\n  Topk:\n    topk: 5\n\
        \x20   class_id_map_file: ../ppcls/utils/names.txt\n";

    fn read(text: &str) -> Statement {
        let (_root, here) = folder(&[(FILES[0], text), ("names.txt", "0 cat\n1 dog\n")]);
        statement(&here).unwrap()
    }

    #[test]
    fn the_usual_operations_are_read() {
        let statement = read(OPS);
        assert_eq!(
            said(&statement),
            "size = \"224x224\"\nresize = \"shorter-side 256 nearest\"\n\
             interpolation = \"bilinear\"\nkernel = \"opencv\"\ncrop = \"center floor\"\n\
             scale = \"0.00392157\"\nmean = [0.485,0.456,0.406]\nstd = [0.229,0.224,0.225]\n\
             channels = \"rgb\"\nlayout = \"nchw\"\nexif = \"apply\"\nalpha = \"drop\"\n\
             deep = \"high-byte\"\n"
        );
        assert_eq!(statement.labels.unwrap().name(1), Some("dog"));
        let squash = read(&OPS.replace("resize_short: 256", "size: [320, 240]\n      backend: pil\n      \
            interpolation: bicubic").replace("  - CropImage: {size: 224}\n", ""));
        assert_eq!(squash.recipe.size, Some(Size { height: 240, width: 320 }));
        assert_eq!(squash.recipe.kernel, Some(Kernel::Pillow13));
        let quoted = read(&OPS.replace("0.00392157", "1.0/255.0"));
        assert_eq!(quoted.recipe.scale.unwrap().to_string(), "1/255");
    }

    #[test]
    fn unknown_and_displaced_operations_are_refused() {
        for (old, new) in [
            ("ToCHWImage", "GrayImage"),
            ("  - CropImage: {size: 224}\n", ""),
            ("CropImage: {size: 224}", "CropImage: {size: 0}"),
            ("DecodeImage: {to_rgb: true, channel_first: false}", "ToCHWImage:"),
            ("scale: 0.00392157", "scale: exit()"),
            ("[0.229, 0.224, 0.225]", "[0.0, 0.2, 0.2]"),
            ("resize_short: 256", "backend: gpu\n      resize_short: 256"),
        ] {
            let statement = read(&OPS.replace(old, new));
            assert!(statement.refusal.is_some() && statement.because.is_empty(), "{new}");
        }
        let (_root, here) = folder(&[(FILES[0], "Global: 1\n")]);
        assert_eq!(statement(&here), None);
    }
}
