//! ONNX's image metadata, which Windows ML defined, and Azure Custom Vision's, which adds to it.
//! Custom Vision writes the same keys into `metadata_properties.json`.

use std::collections::BTreeMap;

use super::{
    Statement, Tier,
    saying::{CENTER_FLOOR, Numbers, shorter_side},
};
use crate::{
    labels::literal,
    recipe::{Channels, Crop, Interpolation, Kernel, Resize},
};

/// What such keys say; `None` when there are none of them.
pub(super) fn of_metadata(
    place: &str,
    tier: Tier,
    metadata: &BTreeMap<String, String>,
) -> Option<Statement> {
    let own = |key: &str| key.starts_with("image.") || key.starts_with("customvision.");
    let lower = metadata.iter().map(|(key, value)| (key.to_lowercase(), value.trim().to_owned()));
    let keys: BTreeMap<_, _> = lower.filter(|(key, _)| own(key)).collect();
    let custom_vision = keys.keys().any(|key| key.starts_with("customvision."));
    let known = custom_vision
        || keys.contains_key("image.bitmappixelformat")
        || keys.contains_key("image.nominalpixelrange");
    let read = |statement: &mut Statement| Keys { keys: &keys, custom_vision }.say(statement);
    known.then(|| Statement::made(place, tier, read))
}

struct Keys<'a> {
    keys: &'a BTreeMap<String, String>,
    custom_vision: bool,
}

impl Keys<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn preprocess(&self, key: &str) -> Option<&str> {
        self.text(&format!("customvision.preprocess.{key}"))
    }

    fn say(&self, statement: &mut Statement) -> Result<(), String> {
        if self.text("image.colorspacegamma").is_some_and(|g| g.eq_ignore_ascii_case("linear")) {
            return Err("it wants linear light (Image.ColorSpaceGamma), not made here".to_owned());
        }
        self.say_channels(statement)?;
        self.say_numbers(statement)?;
        if self.custom_vision {
            self.say_geometry(statement);
        } else {
            statement.note("ONNX's image metadata does not tell how images are resized");
        }
        Ok(())
    }

    fn say_channels(&self, statement: &mut Statement) -> Result<(), String> {
        let because = "Image.BitmapPixelFormat";
        match self.text("image.bitmappixelformat").map(str::to_lowercase).as_deref() {
            Some("gray8") => statement.channels(because, Channels::Gray),
            Some("rgb8") => statement.channels(because, Channels::Rgb),
            Some("bgr8") => statement.channels(because, Channels::Bgr),
            Some(other) => return Err(format!("it wants {other} images, not made here")),
            None if self.custom_vision => {
                statement.channels("Custom Vision's sample code, without it", Channels::Rgb);
            }
            None => {}
        }
        Ok(())
    }

    /// The range, and Custom Vision's mean and std behind it. Its sample code takes 0 to 1 where
    /// nothing is said.
    fn say_numbers(&self, statement: &mut Statement) -> Result<(), String> {
        let range = self.text("image.nominalpixelrange").map(str::to_lowercase);
        let (factor, offset) = match range.as_deref() {
            Some("nominalrange_0_255") => (1.0, 0.0),
            Some("normalized_0_1") => (1.0 / 255.0, 0.0),
            Some("normalized_1_1") => (1.0 / 127.5, -1.0),
            None if self.custom_vision => (1.0 / 255.0, 0.0),
            None => return Ok(()),
            Some(other) => return Err(format!("its Image.NominalPixelRange is {other}")),
        };
        let numbers = Numbers {
            mean: self.list("normalizemean")?,
            std: self.list("normalizestd")?,
            ..Numbers::scaled(factor, offset)
        };
        let scale = match range {
            Some(_) => "Image.NominalPixelRange",
            None => "Custom Vision's sample code, without Image.NominalPixelRange",
        };
        let [mean, std] = ["NormalizeMean", "NormalizeStd"];
        statement.numbers([scale, mean, std], &numbers)
    }

    /// Numbers in brackets, as text.
    fn list(&self, key: &str) -> Result<Vec<f64>, String> {
        let Some(text) = self.preprocess(key) else { return Ok(Vec::new()) };
        let numbers = literal::parse(text).ok().and_then(|value| {
            value.as_array()?.iter().map(serde_json::Value::as_f64).collect::<Option<Vec<_>>>()
        });
        numbers.ok_or_else(|| format!("`{key}` is {text:.60}, which is no list of numbers"))
    }

    fn side(&self, key: &str) -> Option<usize> {
        self.preprocess(key)?.parse().ok().filter(|side| (1..=16384).contains(side))
    }

    /// Its words are not documented; only those that Microsoft's sample code and exports show are
    /// read, and others are told.
    fn say_geometry(&self, statement: &mut Statement) {
        let resize = self.preprocess("resizemethod").unwrap_or("Stretch");
        let crop = self.preprocess("cropmethod").unwrap_or("none");
        let sides = ["targetwidth", "targetheight", "cropwidth", "cropheight"];
        let sides = sides.map(|key| self.side(key));
        let because = format!("ResizeMethod {resize}, CropMethod {crop}");
        match (resize, sides) {
            (method, [Some(width), Some(height), Some(crop_width), Some(crop_height)])
                if method.starts_with("ByShorterSide") && crop.contains("Center") =>
            {
                let to = shorter_side(width.min(height));
                statement.geometry(&because, to, CENTER_FLOOR);
                let size = crate::geometry::Size { height: crop_height, width: crop_width };
                statement.size("CropHeight and CropWidth", size);
            }
            ("Stretch", _) => {
                statement.geometry(&because, Resize::Squash(None), Crop::None);
            }
            _ => {
                statement.geometry("Custom Vision's sample code", Resize::Squash(None), Crop::None);
                statement.note(format!(
                    "{because} are not documented; images are squashed, as in the sample code"
                ));
            }
        }
        let because = "Custom Vision's sample code uses Pillow's default filter";
        statement.filter(because, Interpolation::Bicubic, Kernel::Pillow13);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sample::{metadata, said};

    fn read(pairs: &[(&str, &str)]) -> Option<Statement> {
        of_metadata("metadata_props", Tier::Metadata, &metadata(pairs))
    }

    #[test]
    fn windows_ml_says_channels_and_range_alone() {
        let statement = read(&[
            ("Image.BitmapPixelFormat", "Gray8"),
            ("image.nominalpixelrange", "NominalRange_0_255"),
            ("Image.ColorSpaceGamma", "SRGB"),
        ]);
        assert_eq!(said(&statement.unwrap()), "scale = \"1\"\nchannels = \"gray\"\n");
        assert!(read(&[("author", "x")]).is_none());
    }

    #[test]
    fn custom_vision_is_read_as_its_sample_code_reads_it() {
        let statement = read(&[
            ("CustomVision.Metadata.Version", "1.0"),
            ("CustomVision.Preprocess.NormalizeMean", "[0.0, 0.0, 0.0]"),
            ("CustomVision.Preprocess.NormalizeStd", "[1.0, 1.0, 1.0]"),
            ("Image.BitmapPixelFormat", "Bgr8"),
            ("Image.NominalPixelRange", "Normalized_0_1"),
        ]);
        assert_eq!(
            said(&statement.unwrap()),
            "resize = \"squash\"\ninterpolation = \"bicubic\"\nkernel = \"pillow-13\"\n\
             crop = \"none\"\nscale = \"1/255\"\nchannels = \"bgr\"\n"
        );
        let odd = read(&[("CustomVision.Preprocess.ResizeMethod", "Spiral")]).unwrap();
        assert!(odd.notes[0].contains("Spiral"));
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for pair in [
            ("Image.BitmapPixelFormat", "Rgba8"),
            ("Image.NominalPixelRange", "NominalRange_16_235"),
            ("CustomVision.Preprocess.NormalizeMean", "zero"),
            ("CustomVision.Preprocess.NormalizeStd", "[0.0, 0.0, 0.0]"),
        ] {
            assert!(read(&[pair]).unwrap().refusal.is_some(), "{pair:?}");
        }
    }
}
