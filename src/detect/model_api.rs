//! `OpenVINO` Model API's `model_info`, which OTX and Geti write: into an ONNX file's metadata with
//! keys such as `model_info labels`, and into an `OpenVINO` model's XML.

use std::collections::BTreeMap;

use super::{
    Facts, Statement, Tier,
    saying::{CENTER, Numbers},
    ultralytics,
};
use crate::{
    labels::{Class, Labels},
    recipe::{Activation, Channels, Crop, Interpolation, Kernel, PerChannel, Resize},
};

/// What `model_info` in an ONNX file's metadata says.
pub(super) fn of_metadata(
    place: &str,
    metadata: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Option<Statement> {
    let own = metadata.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix("model_info ")?;
        Some((key.trim().to_owned(), value.clone()))
    });
    let info: BTreeMap<_, _> = own.collect();
    (!info.is_empty()).then(|| of_info(place, Tier::Metadata, &info, facts))
}

/// What the entries of a `model_info` say.
pub(super) fn of_info(
    place: &str,
    tier: Tier,
    info: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Statement {
    Statement::made(place, tier, |statement| read(statement, &Info { entries: info }, facts))
}

struct Info<'a> {
    entries: &'a BTreeMap<String, String>,
}

impl Info<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn is_set(&self, key: &str) -> bool {
        let value = self.text(key).unwrap_or_default().to_ascii_lowercase();
        ["true", "yes", "1"].contains(&value.as_str())
    }

    /// Numbers separated by spaces or commas, with or without brackets.
    fn numbers(&self, key: &str) -> Result<Vec<f64>, String> {
        let text = self.text(key).unwrap_or_default();
        let parts = text.split(|c: char| c.is_whitespace() || ",[]()".contains(c));
        parts
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok().filter(|number: &f64| number.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("`{key}` is {text:.60}, which are no numbers"))
    }
}

fn read(statement: &mut Statement, info: &Info<'_>, facts: &Facts<'_>) -> Result<(), String> {
    let kind = info.text("model_type").unwrap_or("Classification");
    if !kind.eq_ignore_ascii_case("classification") {
        return Err(format!("the model is no classifier (model_type: {kind})"));
    }
    if info.is_set("hierarchical") {
        return Err("its classes form a hierarchy, whose groups have probabilities of their own"
            .to_owned());
    }
    if let Some(names) = info.text("labels") {
        statement.labels =
            Labels::of_unwritten(names.split_whitespace().map(Class::named).collect());
    }
    let multilabel = info.is_set("multilabel");
    let activation = if multilabel { Activation::Sigmoid } else { Activation::Softmax };
    statement.activation(if multilabel { "multilabel" } else { "model_type" }, activation);
    if info.is_set("embedded_processing") {
        statement.note(
            "embedded_processing: the graph prepares images itself, so that nothing is said here",
        );
        return Ok(());
    }
    ultralytics::read_by_opencv(statement, "Model API");
    let reversed = info.is_set("reverse_input_channels");
    let channels = if reversed { Channels::Rgb } else { Channels::Bgr };
    statement.channels("reverse_input_channels, of OpenCV's BGR", channels);
    let numbers = Numbers {
        mean: info.numbers("mean_values")?,
        std: info.numbers("scale_values")?,
        ..Numbers::scaled(1.0, 0.0)
    };
    statement.numbers(["bytes, less mean_values", "mean_values", "scale_values"], &numbers)?;
    say_geometry(statement, info, facts)
}

fn say_geometry(
    statement: &mut Statement,
    info: &Info<'_>,
    facts: &Facts<'_>,
) -> Result<(), String> {
    let kind = info.text("resize_type").unwrap_or("standard");
    let because = format!("resize_type {kind}");
    let square = facts.size.is_some_and(|size| size.height == size.width);
    let (resize, crop) = match kind {
        "standard" => (Resize::Squash(None), Crop::None),
        "crop" if square => (Resize::CenterSquare, Crop::None),
        "fit_to_window" => (Resize::Fit(None), Crop::TopLeft),
        "fit_to_window_letterbox" => (Resize::Fit(None), CENTER),
        _ => return Err(format!("linnaeus does not know `resize_type` {kind} for this input")),
    };
    statement.geometry(&because, resize, crop);
    if matches!(resize, Resize::Fit(_)) {
        statement.note(format!("{because}: its sizes may be rounded otherwise, by one pixel"));
        let fill = info.numbers("pad_value")?;
        if let ([fill], "fit_to_window_letterbox") = (&fill[..], kind) {
            if !(0.0..=255.0).contains(fill) || fill.fract() != 0.0 {
                return Err(format!("`pad_value` is {fill}, which is no byte"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "a byte")]
            let fill = Some(PerChannel(vec![*fill as f32]));
            statement.say("fill", "pad_value", |recipe| recipe.fill = fill);
        }
    }
    statement.filter("Model API resizes with OpenCV", Interpolation::Bilinear, Kernel::OpenCv);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::sample::{facts, input, metadata, said},
        geometry::Size,
    };

    fn read(pairs: &[(&str, &str)]) -> Statement {
        let input = input(Some(Size::square(224)));
        of_metadata("metadata_props", &metadata(pairs), &facts(&input, None)).unwrap()
    }

    #[test]
    fn numbers_labels_and_resizing_are_read() {
        let statement = read(&[
            ("model_info model_type", "Classification"),
            ("model_info labels", "cat big_dog"),
            ("model_info mean_values", "123.675 116.28 103.53"),
            ("model_info scale_values", "58.395 57.12 57.375"),
            ("model_info reverse_input_channels", "True"),
            ("model_info resize_type", "crop"),
            ("model_info multilabel", "False"),
        ]);
        assert_eq!(
            said(&statement),
            "resize = \"center-square\"\ninterpolation = \"bilinear\"\nkernel = \"opencv\"\n\
             crop = \"none\"\nscale = \"1\"\nmean = [123.675,116.28,103.53]\n\
             std = [58.395,57.12,57.375]\nchannels = \"rgb\"\nexif = \"apply\"\nalpha = \"drop\"\n\
             deep = \"high-byte\"\nactivation = \"softmax\"\n"
        );
        assert_eq!(statement.labels.unwrap().name(1), Some("big_dog"));
        let letterbox = read(&[
            ("model_info resize_type", "fit_to_window_letterbox"),
            ("model_info pad_value", "114"),
        ]);
        assert_eq!(letterbox.recipe.fill, Some(PerChannel(vec![114.0])));
        assert_eq!(letterbox.recipe.channels, Some(Channels::Bgr));
    }

    #[test]
    fn what_is_no_plain_classifier_is_refused() {
        for (key, value) in [
            ("model_type", "ssd"),
            ("hierarchical", "True"),
            ("scale_values", "0 0 0"),
            ("mean_values", "nan"),
            ("resize_type", "spiral"),
        ] {
            let statement = read(&[(&format!("model_info {key}"), value)]);
            assert!(statement.refusal.is_some() && statement.because.is_empty(), "{key}");
        }
    }
}
