//! `OpenCLIP`'s `open_clip_config.json`: how the image tower's inputs are prepared.

use serde_json::Value;

use super::{
    Statement, Tier,
    fields::{Fields, as_size},
    folder::{Folder, Found},
    saying::{CENTER, Numbers, shorter_side},
};
use crate::{
    geometry::Size,
    recipe::{Channels, Crop, Interpolation, Kernel, Layout, PerChannel, Resize, preset::CLIP},
};

/// What `open_clip_config.json` beside a model says.
pub(super) fn statement(folder: &Folder) -> Option<Statement> {
    match folder.json("open_clip_config.json")? {
        Ok(found) => of_config(&found),
        Err(problem) => Some(Statement::unreadable(problem, Tier::Sidecar)),
    }
}

fn of_config(found: &Found<Value>) -> Option<Statement> {
    let config = Fields::of(&found.content)?.object("preprocess_cfg")?;
    Some(Statement::made(&found.name, Tier::Sidecar, |statement| {
        statement.note("CLIP compares images with texts; alone its image tower names no classes");
        let size = config.value("size").map_or(Some(Size::square(224)), as_size);
        let size = size.ok_or("`size` is no size")?;
        say_geometry(statement, config, size)?;
        let name = config.text("interpolation").unwrap_or("bicubic");
        let interpolation: Interpolation = name.parse()?;
        statement.filter("interpolation", interpolation, Kernel::Pillow13);
        let [mean, std] = CLIP.map(|values| values.map(f64::from).to_vec());
        let numbers = Numbers {
            mean: config.numbers("mean")?.unwrap_or(mean),
            std: config.numbers("std")?.unwrap_or(std),
            ..Numbers::scaled(1.0 / 255.0, 0.0)
        };
        statement.numbers(["OpenCLIP's ToTensor", "mean", "std"], &numbers)?;
        match config.text("mode") {
            Some("RGB") | None => statement.channels("mode", Channels::Rgb),
            Some(mode) => return Err(format!("its mode is {mode}")),
        }
        statement.layout("OpenCLIP's models are PyTorch's", Layout::Nchw);
        Ok(())
    }))
}

fn say_geometry(
    statement: &mut Statement,
    config: Fields<'_>,
    size: Size,
) -> Result<(), String> {
    let mode = config.text("resize_mode").unwrap_or("shortest");
    let because = format!("size, resize_mode {mode}");
    statement.size("size", size);
    match mode {
        "shortest" if size.height == size.width => {
            statement.geometry(&because, shorter_side(size.height), CENTER);
        }
        "shortest" => statement.geometry(&because, Resize::Cover(Some(size)), CENTER),
        "squash" => statement.geometry(&because, Resize::Squash(None), Crop::None),
        "longest" => {
            statement.geometry(&because, Resize::Fit(Some(size)), CENTER);
            let fill = config.numbers("fill_color")?.unwrap_or_else(|| vec![0.0]);
            if fill.iter().any(|byte| !(0.0..=255.0).contains(byte) || byte.fract() != 0.0) {
                return Err("`fill_color` is no byte".to_owned());
            }
            #[expect(clippy::cast_possible_truncation, reason = "bytes")]
            let fill = Some(PerChannel(fill.iter().map(|byte| *byte as f32).collect()));
            statement.say("fill", "fill_color", |recipe| recipe.fill = fill);
        }
        other => return Err(format!("linnaeus does not know `resize_mode` {other}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{folder, said};

    fn read(config: &str) -> Statement {
        let text = format!("{{\"preprocess_cfg\": {config}}}");
        let (_root, here) = folder(&[("open_clip_config.json", text.as_str())]);
        statement(&here).unwrap()
    }

    #[test]
    fn defaults_are_openais() {
        assert_eq!(
            said(&read("{}")),
            "size = \"224x224\"\nresize = \"shorter-side 224\"\ninterpolation = \"bicubic\"\n\
             kernel = \"pillow-13\"\ncrop = \"center\"\nscale = \"1/255\"\n\
             mean = [0.48145467,0.4578275,0.40821072]\nstd = [0.26862955,0.2613026,0.2757771]\n\
             channels = \"rgb\"\nlayout = \"nchw\"\n"
        );
        let squash = read(r#"{"resize_mode": "squash", "size": [384, 384], "mean": [0.5, 0.5, 0.5]}"#);
        assert_eq!(squash.recipe.resize, Some(Resize::Squash(None)));
        let longest = read(r#"{"resize_mode": "longest", "fill_color": 127}"#);
        assert_eq!(longest.recipe.fill, Some(PerChannel(vec![127.0])));
        assert!(read(r#"{"resize_mode": "tile"}"#).refusal.is_some());
    }
}
