//! The layers between a model's input and the first that has something to learn.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    operation::{self, Outcome},
    pixels::{Pixels, numbers},
};
use crate::{
    geometry::Size,
    keras::{Call, KerasFile, Layer, Model, TensorRef},
};

/// Passes over the layers; files list them nearly in the order of their use.
const MAX_PASSES: usize = 64;

/// Most models that are followed: two uses of each of thirty nested models would be 2³⁰.
const MAX_MODELS: usize = 1000;

/// A layer that changes the size of images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizing {
    pub(super) layer: String,
    pub(super) class: String,
    pub(super) size: Option<Size>,
    pub(super) interpolation: String,
    /// `crop_to_aspect_ratio` and the like, when set.
    pub(super) aspect: Option<&'static str>,
}

/// What happens to images before anything is learned from them.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Layers that compute with the pixels, as `name (Class)`.
    pub(super) steps: Vec<String>,
    pub(super) sizings: Vec<Sizing>,
    /// The first layers of other kinds, with what they get.
    pub(super) ends: Vec<(String, Pixels)>,
    /// Layers that only their Python code understands, as `name (Class)`.
    pub(super) opaque: Vec<String>,
}

impl Opening {
    /// What the first layers get, when all of them get the same.
    pub(super) fn pixels(&self) -> Option<&Pixels> {
        let (_, first) = self.ends.first()?;
        self.ends.iter().all(|(_, other)| other == first).then_some(first)
    }
}

/// Follows the images into a model of `channels` channels.
pub(super) fn opening(file: &KerasFile, channels: usize) -> Opening {
    let mut walk = Walk { file, models: 0, found: Opening::default() };
    walk.model(file.model(), &[], Pixels::fed(channels));
    walk.found
}

struct Walk<'a> {
    file: &'a KerasFile,
    models: usize,
    found: Opening,
}

/// The tensors of one model that are still pixels.
type Known = BTreeMap<TensorRef, Pixels>;

impl Walk<'_> {
    /// Follows `fed` through a model; what comes out, when that is still pixels.
    fn model(&mut self, model: &Model, above: &[&str], fed: Pixels) -> Option<Pixels> {
        self.models += 1;
        if self.models > MAX_MODELS {
            return None;
        }
        let mut known = Known::new();
        known.insert(model.inputs.first()?.clone(), fed);
        let mut done: BTreeSet<TensorRef> = BTreeSet::new();
        for _ in 0..MAX_PASSES {
            let before = known.len() + done.len();
            for layer in &model.layers {
                for (number, call) in layer.calls.iter().enumerate() {
                    let output = TensorRef { layer: layer.name.clone(), call: number, output: 0 };
                    if known.contains_key(&output) || done.contains(&output) {
                        continue;
                    }
                    let tensors = call.tensors();
                    if tensors.is_empty() || !tensors.iter().all(|t| known.contains_key(t)) {
                        continue;
                    }
                    match self.layer(layer, call, above, &known) {
                        Some(pixels) => _ = known.insert(output, pixels),
                        None => _ = done.insert(output),
                    }
                }
            }
            if known.len() + done.len() == before {
                break;
            }
        }
        self.mixed(model, above, &known);
        known.get(model.outputs.first()?).cloned()
    }

    /// Layers that get pixels together with something else end the opening too.
    fn mixed(&mut self, model: &Model, above: &[&str], known: &Known) {
        for layer in &model.layers {
            for tensors in layer.calls.iter().map(Call::tensors) {
                let pixels = tensors.iter().find_map(|tensor| known.get(tensor));
                let all = tensors.iter().all(|tensor| known.contains_key(tensor));
                if let (Some(pixels), false) = (pixels, all) {
                    self.found.ends.push((named(layer, above), pixels.clone()));
                }
            }
        }
    }

    /// What one layer makes of pixels; `None` when that is no image any more.
    fn layer(
        &mut self,
        layer: &Layer,
        call: &Call,
        above: &[&str],
        known: &Known,
    ) -> Option<Pixels> {
        let first = known.get(*call.tensors().first()?)?.clone();
        let path: Vec<&str> = above.iter().copied().chain([layer.name.as_str()]).collect();
        if let Some(inner) = &layer.model {
            return self.model(inner, &path, first);
        }
        let name = named(layer, above);
        if layer.is_opaque() {
            self.found.opaque.push(name);
            return None;
        }
        let outcome = match layer.class.as_str() {
            "Resizing" | "CenterCrop" | "RandomCrop" => {
                self.found.sizings.push(sizing(layer, name.clone()));
                Outcome::Same
            }
            "Normalization" => match self.normalised(layer, &path, &first) {
                Some(pixels) => Outcome::Changed(pixels),
                None => Outcome::Other,
            },
            _ => operation::outcome(layer, call, known),
        };
        match outcome {
            Outcome::Same => Some(first),
            Outcome::Changed(pixels) => {
                self.found.steps.push(name);
                Some(pixels)
            }
            Outcome::Other => {
                self.found.ends.push((name, first));
                None
            }
        }
    }

    /// `(x − mean) / max(√variance, 1e-7)`, or its inverse, with the numbers of the settings or of
    /// the weights.
    fn normalised(&self, layer: &Layer, path: &[&str], fed: &Pixels) -> Option<Pixels> {
        let said = |key: &str| layer.config.get(key).and_then(numbers);
        let (mean, variance) = if let Some(said) = said("mean").zip(said("variance")) {
            said
        } else {
            let weights = self.file.weights(path).ok()?;
            let list = |at: usize| {
                let values = weights.get(at)?.to_f32();
                Some(values.into_iter().map(f64::from).collect::<Vec<_>>())
            };
            (list(0)?, list(1)?)
        };
        let std: Vec<f64> = variance.iter().map(|x| x.sqrt().max(1e-7)).collect();
        if layer.config.get("invert") == Some(&Value::Bool(true)) {
            return fed.scaled(&std, &mean);
        }
        let factors: Vec<f64> = std.iter().map(|std| 1.0 / std).collect();
        fed.scaled(&[1.0], &mean.iter().map(|mean| -mean).collect::<Vec<_>>())?
            .scaled(&factors, &[0.0])
    }
}

fn named(layer: &Layer, above: &[&str]) -> String {
    let path: Vec<&str> = above.iter().copied().chain([layer.name.as_str()]).collect();
    format!("`{}` ({})", path.join(" › "), layer.class)
}

fn sizing(layer: &Layer, name: String) -> Sizing {
    let side = |key: &str| layer.config.get(key)?.as_u64().and_then(|side| side.try_into().ok());
    let size = side("height").zip(side("width"));
    let aspects = ["crop_to_aspect_ratio", "pad_to_aspect_ratio"];
    Sizing {
        layer: name,
        class: layer.class.clone(),
        size: size.map(|(height, width)| Size { height, width }),
        interpolation: layer
            .config
            .get("interpolation")
            .and_then(Value::as_str)
            .unwrap_or("bilinear")
            .to_owned(),
        aspect: aspects.into_iter().find(|key| layer.config.get(*key) == Some(&Value::Bool(true))),
    }
}
