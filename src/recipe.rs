//! What happens to an image between its file and the model, as one value.
//!
//! `RecipeSpec` is what a job file or a flag says, key by key; `Recipe` is what was decided, with
//! nothing left open. Nothing here touches an image.

use serde::{Deserialize, Serialize};

use crate::geometry::Size;

mod decide;
mod fitting;
mod numeric;
pub mod preset;
mod words;

pub use fitting::{Crop, CropRounding, Resize, ResizeRounding};
pub use numeric::{PerChannel, Scale, Temperature};
pub use words::{Activation, Alpha, Channels, Deep, Interpolation, Kernel, Layout, Orientation};
pub(crate) use words::{as_text, words};

/// The `[recipe]` table of a job file: every key as written, nothing defaulted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecipeSpec {
    /// A recipe by name, whose keys count where nothing else is said; see [`preset`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preset: Option<String>,
    /// Height and width of the model's input, when the model leaves them open.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub size: Option<Size>,
    /// How the image gets near the model's size.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub resize: Option<Resize>,
    /// The resampling filter.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub interpolation: Option<Interpolation>,
    /// Whose arithmetic the resampling follows.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub kernel: Option<Kernel>,
    /// What is cut out after resizing.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub crop: Option<Crop>,
    /// Bytes of the padding, in the order in which the channels are fed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fill: Option<PerChannel>,
    /// How a byte becomes a number, before mean and std.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scale: Option<Scale>,
    /// Subtracted after scaling, in the order in which the channels are fed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mean: Option<PerChannel>,
    /// Divided by after the mean, in the order in which the channels are fed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub std: Option<PerChannel>,
    /// Colour channels and their order.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub channels: Option<Channels>,
    /// Channels first or last, when the model's shape leaves it open.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub layout: Option<Layout>,
    /// What is done about the EXIF orientation.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub exif: Option<Orientation>,
    /// What is done about transparency.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub alpha: Option<Alpha>,
    /// How 16-bit samples become bytes.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub deep: Option<Deep>,
    /// What turns the model's scores into probabilities; detected on the first batch when absent.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub activation: Option<Activation>,
    /// What logits are divided by before the softmax; probabilities as if that had been done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub temperature: Option<Temperature>,
}

impl RecipeSpec {
    /// The keys of the `[recipe]` table; the flags have the same names.
    pub const KEYS: [&str; 17] = [
        "preset",
        "size",
        "resize",
        "interpolation",
        "kernel",
        "crop",
        "fill",
        "scale",
        "mean",
        "std",
        "channels",
        "layout",
        "exif",
        "alpha",
        "deep",
        "activation",
        "temperature",
    ];

    /// Takes every key that `flags` sets, and keeps the others.
    #[must_use]
    pub fn overridden_by(self, flags: Self) -> Self {
        Self {
            preset: flags.preset.or(self.preset),
            size: flags.size.or(self.size),
            resize: flags.resize.or(self.resize),
            interpolation: flags.interpolation.or(self.interpolation),
            kernel: flags.kernel.or(self.kernel),
            crop: flags.crop.or(self.crop),
            fill: flags.fill.or(self.fill),
            scale: flags.scale.or(self.scale),
            mean: flags.mean.or(self.mean),
            std: flags.std.or(self.std),
            channels: flags.channels.or(self.channels),
            layout: flags.layout.or(self.layout),
            exif: flags.exif.or(self.exif),
            alpha: flags.alpha.or(self.alpha),
            deep: flags.deep.or(self.deep),
            activation: flags.activation.or(self.activation),
            temperature: flags.temperature.or(self.temperature),
        }
    }
}

/// Keys of a recipe that have a meaning only together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// `size`.
    Size,
    /// `resize`, `crop`, `fill`.
    Geometry,
    /// `interpolation`, `kernel`.
    Filter,
    /// `scale`, `mean`, `std`.
    Numbers,
    /// `channels`.
    Channels,
    /// `layout`.
    Layout,
    /// `exif`.
    Exif,
    /// `alpha`.
    Alpha,
    /// `deep`.
    Deep,
    /// `activation`.
    Activation,
    /// `temperature`.
    Temperature,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Size,
        Self::Geometry,
        Self::Filter,
        Self::Numbers,
        Self::Channels,
        Self::Layout,
        Self::Exif,
        Self::Alpha,
        Self::Deep,
        Self::Activation,
        Self::Temperature,
    ];
}

impl RecipeSpec {
    /// This group's keys alone.
    #[must_use]
    pub fn part(&self, group: Group) -> Self {
        let none = Self::default();
        match group {
            Group::Size => Self { size: self.size, ..none },
            Group::Geometry => {
                Self { resize: self.resize, crop: self.crop, fill: self.fill.clone(), ..none }
            }
            Group::Filter => {
                Self { interpolation: self.interpolation, kernel: self.kernel, ..none }
            }
            Group::Numbers => {
                Self { scale: self.scale, mean: self.mean.clone(), std: self.std.clone(), ..none }
            }
            Group::Channels => Self { channels: self.channels, ..none },
            Group::Layout => Self { layout: self.layout, ..none },
            Group::Exif => Self { exif: self.exif, ..none },
            Group::Alpha => Self { alpha: self.alpha, ..none },
            Group::Deep => Self { deep: self.deep, ..none },
            Group::Activation => Self { activation: self.activation, ..none },
            Group::Temperature => Self { temperature: self.temperature, ..none },
        }
    }

    /// Each key that is said with its value, as a job file has them.
    #[must_use]
    pub fn said(&self) -> Vec<(&'static str, String)> {
        let Ok(serde_json::Value::Object(table)) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let said = |key: &'static str| table.get(key).map(|value| (key, value.to_string()));
        Self::KEYS.into_iter().filter_map(said).collect()
    }

    /// The keys that are said.
    #[must_use]
    pub fn keys(&self) -> Vec<&'static str> {
        self.said().into_iter().map(|(key, _)| key).collect()
    }

    /// The keys that are said as the lines of a job file, separated by commas.
    #[must_use]
    pub fn lines(&self) -> String {
        let line = |(key, value)| format!("`{key} = {value}`");
        self.said().into_iter().map(line).collect::<Vec<_>>().join(", ")
    }

    /// A group's keys as the lines of a job file, separated by commas.
    #[must_use]
    pub fn part_text(&self, group: Group) -> String {
        self.part(group).lines()
    }
}

/// The element type of the model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Bytes, 0 to 255.
    U8,
    /// IEEE half precision; computed in f32 and rounded to nearest even at the end.
    F16,
    /// IEEE single precision.
    F32,
}

/// What a model's graph says about its image input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputSpec {
    /// The graph's name for it.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Images per call, when the graph fixes it.
    pub batch: Option<usize>,
    /// The three other dimensions as the graph has them; `None` is dynamic.
    pub dims: [Option<usize>; 3],
    /// Whether the graph has no axis of channels, N×H×W; `dims` begins with a 1 for it then.
    pub planar: bool,
}

impl InputSpec {
    /// Where the channels are, when exactly one end of the dimensions can be 1 or 3 of them.
    #[must_use]
    pub fn shown_layout(&self) -> Option<Layout> {
        let channels = |dim: Option<usize>| matches!(dim, Some(1 | 3));
        match (channels(self.dims[0]), channels(self.dims[2])) {
            (true, false) => Some(Layout::Nchw),
            (false, true) => Some(Layout::Nhwc),
            _ => None,
        }
    }

    /// Height and width when the graph fixes both; `layout` is where the channels are, when
    /// something other than the dimensions shows it.
    #[must_use]
    pub fn fixed_size(&self, layout: Option<Layout>) -> Option<Size> {
        let layout = layout.or_else(|| self.shown_layout())?;
        let [_, height, width] = layout.channels_first(self.dims);
        Some(Size { height: height?, width: width? })
    }
}

/// Everything from file bytes to the tensor, and from scores to probabilities; decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Height and width that the model gets.
    #[serde(with = "words::as_text::required")]
    pub size: Size,
    /// How the image gets near that size.
    #[serde(with = "words::as_text::required")]
    pub resize: Resize,
    /// The resampling filter.
    #[serde(with = "words::as_text::required")]
    pub interpolation: Interpolation,
    /// Whose arithmetic the resampling follows.
    #[serde(with = "words::as_text::required")]
    pub kernel: Kernel,
    /// What is cut out after resizing.
    #[serde(with = "words::as_text::required")]
    pub crop: Crop,
    /// Bytes of the padding; one per fed channel.
    pub fill: Vec<u8>,
    /// How a byte becomes a number.
    pub scale: Scale,
    /// Subtracted after scaling; one value per fed channel.
    pub mean: Vec<f32>,
    /// Divided by after the mean; one value per fed channel.
    pub std: Vec<f32>,
    /// Colour channels and their order.
    #[serde(with = "words::as_text::required")]
    pub channels: Channels,
    /// Channels first or last.
    #[serde(with = "words::as_text::required")]
    pub layout: Layout,
    /// Element type of the tensor.
    pub element: Element,
    /// What is done about the EXIF orientation.
    #[serde(with = "words::as_text::required")]
    pub exif: Orientation,
    /// What is done about transparency.
    #[serde(with = "words::as_text::required")]
    pub alpha: Alpha,
    /// How 16-bit samples become bytes.
    #[serde(with = "words::as_text::required")]
    pub deep: Deep,
    /// What turns scores into probabilities; `None` is decided on the first batch, and said.
    #[serde(with = "words::as_text", skip_serializing_if = "Option::is_none", default)]
    pub activation: Option<Activation>,
    /// What logits are divided by before that; `None` is 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub temperature: Option<Temperature>,
}

/// The graph's shape as text, such as `N×3×224×224`.
#[must_use]
pub fn shape_text(input: &InputSpec) -> String {
    let text = |dim: Option<usize>| dim.map_or("?".to_owned(), |dim| dim.to_string());
    let batch = input.batch.map_or("N".to_owned(), |batch| batch.to_string());
    let [a, b, c] = input.dims.map(text);
    if input.planar { format!("{batch}×{b}×{c}") } else { format!("{batch}×{a}×{b}×{c}") }
}
