//! A recipe, decided: from what was said and what the graph says.

use super::{
    Activation, Channels, Crop, Element, InputSpec, Interpolation, Layout, PerChannel, Recipe,
    RecipeSpec, Resize, Scale, preset, shape_text,
};
use crate::geometry::Size;

/// Longest side that a recipe may name, and most pixels of a model's input: far beyond every image
/// classifier.
const MAX_SIDE: usize = 1 << 14;
const MAX_AREA: usize = 1 << 26;

impl Recipe {
    /// Decides every key from what the user said and what the graph says.
    ///
    /// # Errors
    ///
    /// A message that names the key, for: a key that must be said and is not (`resize`, `scale`,
    /// and `interpolation` where something is resized), a contradiction between the graph and a
    /// key, an unknown preset, an ambiguous layout, and a combination that has no meaning.
    pub fn resolve(spec: &RecipeSpec, input: &InputSpec) -> Result<Self, String> {
        let spec = &preset::expanded(spec)?;
        let layout = decide_layout(spec.layout, input)?;
        let [channel_dim, height, width] = layout.channels_first(input.dims);
        let open_size = spec.size.is_none() && (height.is_none() || width.is_none());
        let channels = decide_channels(spec.channels, channel_dim)?;

        let needs_filter = spec.resize != Some(Resize::None);
        let needs_scale = input.element != Element::U8;
        let missing = [
            (open_size, "size", "224"),
            (spec.resize.is_none(), "resize", "shorter-side 256"),
            (spec.interpolation.is_none() && needs_filter, "interpolation", "bilinear"),
            (spec.scale.is_none() && needs_scale, "scale", "1/255"),
        ];
        let Some(resize) = spec.resize.filter(|_| missing.iter().all(|(is, ..)| !is)) else {
            return Err(missing_keys(&missing));
        };
        let size = decide_size(spec.size, height, width)?;
        let interpolation = spec.interpolation.unwrap_or(Interpolation::Nearest);
        let scale = spec.scale.unwrap_or(Scale::RAW);
        if input.element == Element::U8 && !scale.is_raw() {
            return Err(format!(
                "`scale = {scale:?}` and a model whose input is bytes contradict each other\n\
                 hint: drop the `scale` key; the model gets the bytes as they are"
            ));
        }
        let recipe = Self {
            size,
            resize,
            interpolation,
            kernel: spec.kernel.unwrap_or_default(),
            crop: spec.crop.unwrap_or(resize.usual_crop()),
            fill: decide_fill(spec.fill.as_ref(), channels)?,
            scale,
            mean: per_channel("mean", spec.mean.as_ref(), 0.0, channels)?,
            std: per_channel("std", spec.std.as_ref(), 1.0, channels)?,
            channels,
            layout,
            element: input.element,
            exif: spec.exif.unwrap_or_default(),
            alpha: spec.alpha.unwrap_or_default(),
            deep: spec.deep.unwrap_or_default(),
            activation: spec.activation,
            temperature: spec.temperature,
        };
        recipe.check().map(|()| recipe)
    }

    /// Checks sizes before anything is computed or allocated from them.
    fn check_sizes(&self) -> Result<(), String> {
        let Size { height, width } = self.size;
        let area = height.checked_mul(width).filter(|&area| (1..=MAX_AREA).contains(&area));
        if height.max(width) > MAX_SIDE || area.is_none() {
            return Err(format!(
                "the model's input would be {height}x{width} pixels (height x width), and none has \
                 a side over {MAX_SIDE} or more than {MAX_AREA} pixels\n\
                 hint: say the size that it was trained with as `size`"
            ));
        }
        let longest = match self.resize {
            Resize::Squash(Some(size)) | Resize::Cover(Some(size)) | Resize::Fit(Some(size)) => {
                size.height.max(size.width)
            }
            Resize::ShorterSide { side, .. } => side,
            Resize::ShorterSideAtMost { side, longest } => side.max(longest),
            _ => 0,
        };
        if longest <= MAX_SIDE {
            return Ok(());
        }
        Err(format!(
            "`resize = \"{}\"` names a side of more than {MAX_SIDE} pixels\n\
             hint: say the size that images were resized to in training",
            self.resize
        ))
    }

    fn check(&self) -> Result<(), String> {
        self.check_sizes()?;
        if self.temperature.is_some() && self.activation == Some(Activation::Sigmoid) {
            return Err(
                "`temperature` and `activation = \"sigmoid\"` contradict each other: it scales \
                        classes that exclude each other\nhint: drop `temperature`, or say \
                        `activation = \"softmax\"` if that is what the model was trained with"
                    .to_owned(),
            );
        }
        if self.std.iter().any(|&std| std == 0.0 || !std.is_finite()) {
            return Err("`std` has a value that cannot be divided by".to_owned());
        }
        let plain = self.mean.iter().all(|&m| m == 0.0) && self.std.iter().all(|&s| s == 1.0);
        if self.element == Element::U8 && !plain {
            return Err("`mean` or `std` and a model whose input is bytes contradict each other\n\
                        hint: drop both keys; the model gets the bytes as they are"
                .to_owned());
        }
        if self.element == Element::U8 && self.kernel.is_fractional() {
            return Err(format!(
                "`kernel = \"{}\"` makes values between bytes, and the model's input is bytes\n\
                 hint: choose the kernel that the model was trained with",
                self.kernel
            ));
        }
        if matches!(self.resize, Resize::AspectBox { .. }) && !self.kernel.is_pillow() {
            return Err(format!(
                "`resize = \"{}\"` is Pillow's, and `kernel = \"{}\"` has no such thing\n\
                 hint: write `resize = \"aspect-crop\"`, or a Pillow kernel",
                self.resize, self.kernel
            ));
        }
        match (self.resize, self.crop) {
            (
                Resize::ShorterSide { .. }
                | Resize::ShorterSideAtMost { .. }
                | Resize::Cover(_)
                | Resize::Fit(_),
                Crop::None,
            ) => Err(format!(
                "`resize = \"{}\"` leaves images of different shapes\nhint: add `crop = \"center\"`",
                self.resize
            )),
            (Resize::Squash(Some(to)), Crop::None) if to != self.size => Err(format!(
                "`resize = \"squash {to}\"` makes {to} images, and the model wants {}\n\
                 hint: write `resize = \"squash\"`, or add `crop = \"center\"`",
                self.size
            )),
            _ => self.kernel.supports(self.interpolation),
        }
    }
}

fn decide_fill(said: Option<&PerChannel>, channels: Channels) -> Result<Vec<u8>, String> {
    let byte = |value: f32| {
        let whole = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        whole.then_some(value as u8).ok_or_else(|| format!("`fill` has {value}, which is no byte"))
    };
    per_channel("fill", said, 0.0, channels)?.into_iter().map(byte).collect()
}

/// `keys` are whether each is missing, its name, and an example of its value.
fn missing_keys(keys: &[(bool, &str, &str)]) -> String {
    let missing = || keys.iter().filter(|(is_missing, ..)| *is_missing);
    let names: Vec<_> = missing().map(|(_, key, _)| format!("`{key}`")).collect();
    let examples: Vec<_> =
        missing().map(|(_, key, example)| format!("`{key} = \"{example}\"`")).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!(
        "neither the model nor the job says how images are prepared: {} {verb} missing\n\
         hint: say what the model was trained with under `[recipe]`, such as {}, or as flags \
         (`--{}`); linnaeus does not guess, because a wrong guess gives wrong labels without any \
         error",
        names.join(", "),
        examples.join(", "),
        missing().map(|(_, key, _)| *key).next().unwrap_or("resize")
    )
}

fn decide_layout(said: Option<Layout>, input: &InputSpec) -> Result<Layout, String> {
    match (said, input.shown_layout()) {
        (Some(said), Some(shown)) if said != shown => Err(format!(
            "`layout = \"{said}\"` contradicts the model's input, {}\n\
             hint: drop the `layout` key; the model's shape decides it",
            shape_text(input)
        )),
        (Some(layout), _) | (None, Some(layout)) => Ok(layout),
        (None, None) => Err(format!(
            "the model's input, {}, does not show where its channels are\n\
             hint: add `layout = \"nchw\"` or `layout = \"nhwc\"` under `[recipe]`; a model with \
             other than 1 or 3 channels is not an image classifier that linnaeus can run",
            shape_text(input)
        )),
    }
}

fn decide_size(
    said: Option<Size>,
    height: Option<usize>,
    width: Option<usize>,
) -> Result<Size, String> {
    match (said, height, width) {
        (Some(size), _, _) => {
            let fits = |dim: Option<usize>, side| dim.is_none_or(|dim| dim == side);
            if fits(height, size.height) && fits(width, size.width) {
                return Ok(size);
            }
            let text = |dim: Option<usize>| dim.map_or("any".to_owned(), |dim| dim.to_string());
            Err(format!(
                "`size = {size}` contradicts the model, whose input is {}x{} (height x width)\n\
                 hint: the model decides it; drop the `size` key, or the preset that says it",
                text(height),
                text(width)
            ))
        }
        (None, Some(height), Some(width)) => Ok(Size { height, width }),
        _ => unreachable!("an open size is among the missing keys"),
    }
}

fn decide_channels(said: Option<Channels>, dim: Option<usize>) -> Result<Channels, String> {
    match (said, dim) {
        (Some(channels), Some(dim)) if channels.count() != dim => Err(format!(
            "`channels = \"{channels}\"` are {}, and the model wants {dim}",
            channels.count()
        )),
        (Some(channels), _) => Ok(channels),
        (None, Some(1)) => Ok(Channels::Gray),
        (None, Some(3)) => Ok(Channels::Rgb),
        (None, Some(dim)) => {
            Err(format!("the model wants {dim} channels; linnaeus makes 1 (gray) or 3 (colour)"))
        }
        (None, None) => Err("the model leaves its channels open\n\
                             hint: add `channels = \"rgb\"` (or `\"bgr\"`, `\"gray\"`) under `[recipe]`"
            .to_owned()),
    }
}

fn per_channel(
    key: &str,
    said: Option<&PerChannel>,
    default: f32,
    channels: Channels,
) -> Result<Vec<f32>, String> {
    let count = channels.count();
    match said.map_or(&[default][..], |values| &values.0) {
        [value] => Ok(vec![*value; count]),
        values if values.len() == count => Ok(values.to_vec()),
        values => Err(format!(
            "`{key}` has {} values for {count} channels (`channels = \"{channels}\"`)",
            values.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Activation, Alpha, Deep, Kernel, Orientation, Temperature};

    fn input(dims: [usize; 3]) -> InputSpec {
        let dims = dims.map(|dim| (dim > 0).then_some(dim));
        InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false }
    }

    fn spec() -> RecipeSpec {
        RecipeSpec {
            resize: Some("shorter-side 256".parse().unwrap()),
            interpolation: Some(Interpolation::Bilinear),
            scale: Some("1/255".parse().unwrap()),
            ..RecipeSpec::default()
        }
    }

    #[test]
    fn layout_size_and_channels_come_from_the_graph() {
        let nchw = Recipe::resolve(&spec(), &input([3, 200, 224])).unwrap();
        assert_eq!((nchw.layout, nchw.size), (Layout::Nchw, Size { height: 200, width: 224 }));
        let nhwc = Recipe::resolve(&spec(), &input([128, 96, 1])).unwrap();
        assert_eq!((nhwc.layout, nhwc.channels), (Layout::Nhwc, Channels::Gray));
        assert_eq!(nhwc.mean, [0.0]);
    }

    #[test]
    fn sizes_beyond_memory_and_arithmetic_are_refused() {
        let open = input([3, 0, 0]);
        for (size, resize) in [
            ("18446744073709551615", "cover"),
            ("16385x1", "cover"),
            ("16384", "cover"),
            ("224", "shorter-side 18446744073709551615"),
            ("224", "shorter-side 16385 nearest"),
            ("224", "shorter-side 2 at-most 18446744073709551615"),
            ("224", "fit 18446744073709551615x1"),
        ] {
            let size = Some(size.parse().unwrap());
            let spec = RecipeSpec { size, resize: Some(resize.parse().unwrap()), ..spec() };
            let message = Recipe::resolve(&spec, &open).unwrap_err();
            assert!(message.contains("pixels"), "{message}");
        }
        let declared = input([3, usize::MAX, usize::MAX]);
        assert!(Recipe::resolve(&spec(), &declared).unwrap_err().contains("pixels"));
        let widest = RecipeSpec { size: Some("4096x16384".parse().unwrap()), ..spec() };
        assert!(Recipe::resolve(&widest, &open).is_ok());
    }

    #[test]
    fn what_nobody_said_is_refused_by_name() {
        for (key, spec) in [
            ("resize", RecipeSpec { resize: None, ..spec() }),
            ("interpolation", RecipeSpec { interpolation: None, ..spec() }),
            ("scale", RecipeSpec { scale: None, ..spec() }),
        ] {
            let message = Recipe::resolve(&spec, &input([3, 224, 224])).unwrap_err();
            assert!(message.contains(&format!("`{key}` is missing")), "{message}");
        }
        for (dims, word) in [([0, 0, 0], "layout"), ([3, 0, 0], "size"), ([3, 224, 3], "layout")] {
            let message = Recipe::resolve(&spec(), &input(dims)).unwrap_err();
            assert!(message.contains(word), "{dims:?}: {message}");
        }
    }

    #[test]
    fn a_size_that_is_not_the_models_is_refused() {
        let spec = RecipeSpec { size: Some(Size::square(224)), ..spec() };
        let message = Recipe::resolve(&spec, &input([299, 299, 3])).unwrap_err();
        assert!(message.contains("224") && message.contains("299x299"), "{message}");
    }

    #[test]
    fn a_byte_model_takes_no_scale() {
        let bytes = InputSpec { element: Element::U8, ..input([3, 224, 224]) };
        assert!(Recipe::resolve(&spec(), &bytes).unwrap_err().contains("scale"));
        let spec = RecipeSpec { scale: None, ..spec() };
        assert_eq!(Recipe::resolve(&spec, &bytes).unwrap().scale, Scale::RAW);
    }

    #[test]
    fn every_key_is_listed() {
        let full = RecipeSpec {
            preset: Some("keras/vgg16".to_owned()),
            fill: Some(PerChannel(vec![0.0])),
            size: Some(Size::square(8)),
            kernel: Some(Kernel::default()),
            crop: Some(Crop::None),
            mean: Some(PerChannel(vec![0.5])),
            std: Some(PerChannel(vec![0.5])),
            channels: Some(Channels::Rgb),
            layout: Some(Layout::Nchw),
            exif: Some(Orientation::default()),
            alpha: Some(Alpha::default()),
            deep: Some(Deep::default()),
            activation: Some(Activation::None),
            temperature: Some(Temperature::new(1.5).unwrap()),
            ..spec()
        };
        let table = toml::Table::try_from(&full).unwrap();
        let mut keys: Vec<_> = table.keys().map(String::as_str).collect();
        let mut listed = RecipeSpec::KEYS;
        keys.sort_unstable();
        listed.sort_unstable();
        assert_eq!(keys, listed);
    }
}
