//! The fields of an image processor, with its class's defaults and peculiarities.

use super::{
    super::{Statement, fields::Fields, saying::Numbers},
    classes::{Class, Kind, Version},
    geometry,
};
use crate::recipe::{Channels, Interpolation, Kernel, Layout};

/// Switches that say nothing about a tensor of one image, or that the code here follows.
const KNOWN_SWITCHES: [&str; 8] = [
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_flip_channel_order",
    "do_reduce_labels",
    "do_convert_annotations",
];

/// A processor's file with its class.
pub(super) struct Processor<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) class: &'static Class,
    pub(super) version: Version,
    /// The class as evidence shows it.
    pub(super) shown: &'a str,
}

impl Processor<'_> {
    /// A switch, or the class's default for it.
    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, String> {
        Ok(self.fields.flag(key)?.unwrap_or(default))
    }

    /// Whether every version crops when the file says so: in version 4 the slow classes that do not
    /// crop by themselves know no `do_center_crop`.
    pub(super) fn crops_for_sure(&self) -> bool {
        let knows = self.class.crops(Version::V4) || self.class.kind == Kind::EfficientNet;
        knows || !self.may_be_slow()
    }

    /// Whether it was written by a fast class of version 4.
    pub(super) fn is_fast_4(&self) -> bool {
        self.version == Version::V4 && self.shown.ends_with("Fast")
    }

    /// Whether it may be a class of version 4 that resizes with Pillow.
    pub(super) fn may_be_slow(&self) -> bool {
        self.version == Version::V4 && !self.is_fast_4()
    }

    /// Where a field or its default is from.
    pub(super) fn evidence(&self, key: &str) -> String {
        if self.fields.has(key) {
            return format!("{key} ({})", self.shown);
        }
        match self.version {
            _ if self.class.is_stable() => format!("the default of {}", self.shown),
            Version::V4 => format!("the default of {} in transformers 4", self.shown),
            Version::V5 => format!("the default of {} in transformers 5", self.shown),
        }
    }
}

/// Says everything that a processor's file decides.
pub(super) fn read(
    statement: &mut Statement,
    fields: Fields<'_>,
    class: &'static Class,
    shown: &str,
    version: Version,
) -> Result<(), String> {
    let processor = Processor { fields, class, version, shown };
    refuse_unknown(fields)?;
    if processor.switch("do_resize", true)? {
        say_filter(statement, &processor)?;
    }
    geometry::say(statement, &processor)?;
    say_numbers(statement, &processor)?;
    let swapped =
        class.kind == Kind::MobileVit && processor.switch("do_flip_channel_order", true)?;
    let channels = if swapped { Channels::Bgr } else { Channels::Rgb };
    let because = if swapped { processor.evidence("do_flip_channel_order") } else { shown.into() };
    statement.channels(&because, channels);
    statement.layout(shown, Layout::Nchw);
    Ok(())
}

/// Refuses what changes images in ways that a recipe has no word for.
fn refuse_unknown(fields: Fields<'_>) -> Result<(), String> {
    let unknown = |key: &&str| {
        let switch = key.starts_with("do_") && !KNOWN_SWITCHES.contains(key);
        switch && fields.flag(key).ok().flatten() != Some(false) && fields.has(key)
    };
    let found = fields.keys().find(unknown);
    let found = found.or_else(|| fields.has("size_divisor").then_some("size_divisor"));
    match found {
        Some(key) => Err(format!("`{key}` does to images what no recipe can say")),
        None => Ok(()),
    }
}

fn say_filter(statement: &mut Statement, processor: &Processor<'_>) -> Result<(), String> {
    let class = processor.class;
    let named = processor.fields.text("resample").map(str::to_lowercase);
    let code = match processor.fields.number("resample") {
        Ok(Some(code)) => code,
        Ok(None) => f64::from(u32::try_from(class.resample(processor.version)).unwrap_or(0)),
        Err(_) if named.is_some() => f64::NAN,
        Err(reason) => return Err(reason),
    };
    let by_code = [
        Interpolation::Nearest,
        Interpolation::Lanczos,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Box,
        Interpolation::Hamming,
    ];
    let numbered = (0u8..).zip(by_code).find(|(number, _)| f64::from(*number) == code);
    let interpolation = match (numbered, named) {
        (Some((_, interpolation)), _) => interpolation,
        (None, Some(name)) => name.parse()?,
        (None, None) => {
            return Err(format!("`resample` is {code}, which is no filter of Pillow's"));
        }
    };
    let kernel = if class.kind == Kind::DinoV3 { Kernel::TorchFloat } else { Kernel::Pillow13 };
    statement.filter(&processor.evidence("resample"), interpolation, kernel);
    let resizer = if class.kind == Kind::DinoV3 { "resizes f32 tensors" } else { "uses Pillow" };
    statement.because.insert("kernel", format!("{} {resizer}", processor.shown));
    Ok(())
}

fn say_numbers(statement: &mut Statement, processor: &Processor<'_>) -> Result<(), String> {
    let (fields, class) = (processor.fields, processor.class);
    let rescales = processor.switch("do_rescale", true)?;
    let factor = fields.number("rescale_factor")?.unwrap_or(1.0 / 255.0);
    let offset = class.kind == Kind::EfficientNet
        && rescales
        && processor.switch("rescale_offset", false)?;
    let mut numbers =
        Numbers::scaled(if rescales { factor } else { 1.0 }, if offset { -1.0 } else { 0.0 });
    let [mean, std] = class.mean_std.map(|values| values.map(f64::from).to_vec());
    let mean = fields.numbers("image_mean")?.unwrap_or(mean);
    let std = fields.numbers("image_std")?.unwrap_or(std);
    let normalizes = class.kind != Kind::MobileVit && processor.switch("do_normalize", true)?;
    let again = class.kind == Kind::EfficientNet && processor.switch("include_top", true)?;
    if normalizes {
        numbers.mean = mean;
    }
    // The second time the mean is 0: ((x − m) / s) / s.
    let times = usize::from(normalizes) + usize::from(again);
    numbers.std = match times {
        0 => Vec::new(),
        1 => std,
        _ => std.iter().map(|std| std * std).collect(),
    };
    let scale = match (rescales, offset) {
        (false, _) => format!("do_rescale is false ({})", processor.shown),
        (true, false) => processor.evidence("rescale_factor"),
        (true, true) => format!("rescale_factor and rescale_offset ({})", processor.shown),
    };
    let std = match times {
        2 => format!("image_std, twice, by include_top ({})", processor.shown),
        _ => processor.evidence("image_std"),
    };
    statement.numbers([&scale, &processor.evidence("image_mean"), &std], &numbers)
}
