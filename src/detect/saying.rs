//! The sentences that the readers of all ecosystems make statements of.

use super::{Statement, Tier, folder::Problem};
use crate::{
    geometry::Size,
    labels::Labels,
    recipe::{
        Activation, Channels, Crop, CropRounding, Interpolation, Kernel, Layout, PerChannel,
        Resize, ResizeRounding, Scale,
    },
};

/// The crop that torchvision, timm and Ultralytics make.
pub(super) const CENTER: Crop = Crop::Center(CropRounding::HalfEven);
/// The crop that Hugging Face, Paddle and mmpretrain make.
pub(super) const CENTER_FLOOR: Crop = Crop::Center(CropRounding::Floor);

/// What happens to a byte: scaled, then mean and std, as they are written.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) factor: f64,
    pub(super) offset: f64,
    pub(super) mean: Vec<f64>,
    pub(super) std: Vec<f64>,
}

impl Numbers {
    /// Scaled alone.
    pub(super) fn scaled(factor: f64, offset: f64) -> Self {
        Self { factor, offset, mean: Vec::new(), std: Vec::new() }
    }
}

impl Statement {
    /// A statement that `fill` makes, or whose refusal is why it could not.
    pub(super) fn made(
        place: &str,
        tier: Tier,
        fill: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Self {
        let mut statement = Self::new(place, tier);
        if let Err(reason) = fill(&mut statement) {
            statement.refuse(reason);
        }
        statement
    }

    /// The refusal of a file that cannot be read.
    pub(super) fn unreadable(problem: Problem, tier: Tier) -> Self {
        let mut statement = Self::new(problem.name, tier);
        statement.refuse(problem.reason);
        statement
    }

    /// Takes back every key: no recipe can be made from this place.
    pub(super) fn refuse(&mut self, reason: impl Into<String>) {
        self.recipe = crate::recipe::RecipeSpec::default();
        self.because.clear();
        self.refusal = Some(reason.into());
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.because.is_empty()
            && self.labels.is_none()
            && self.classes.is_none()
            && self.notes.is_empty()
            && self.refusal.is_none()
    }

    pub(super) fn size(&mut self, because: &str, size: Size) {
        self.say("size", because, |recipe| recipe.size = Some(size));
    }

    pub(super) fn geometry(&mut self, because: &str, resize: Resize, crop: Crop) {
        self.say("resize", because, |recipe| recipe.resize = Some(resize));
        self.say("crop", because, |recipe| recipe.crop = Some(crop));
    }

    pub(super) fn filter(&mut self, because: &str, interpolation: Interpolation, kernel: Kernel) {
        self.say("interpolation", because, |recipe| recipe.interpolation = Some(interpolation));
        self.say("kernel", because, |recipe| recipe.kernel = Some(kernel));
    }

    pub(super) fn layout(&mut self, because: &str, layout: Layout) {
        self.say("layout", because, |recipe| recipe.layout = Some(layout));
    }

    pub(super) fn channels(&mut self, because: &str, channels: Channels) {
        self.say("channels", because, |recipe| recipe.channels = Some(channels));
    }

    pub(super) fn activation(&mut self, because: &str, activation: Activation) {
        self.say("activation", because, |recipe| recipe.activation = Some(activation));
    }

    /// Says scale, mean and std; a mean of 0 and a std of 1 are left out.
    pub(super) fn numbers(&mut self, because: [&str; 3], numbers: &Numbers) -> Result<(), String> {
        let scale = scale(numbers.factor, numbers.offset)?;
        let mean = per_channel("mean", &numbers.mean)?;
        let std = per_channel("std", &numbers.std)?;
        if std.0.iter().any(|&std| std <= 0.0) {
            return Err("its std has a value that cannot be divided by".to_owned());
        }
        self.say("scale", because[0], |recipe| recipe.scale = Some(scale));
        if mean.0.iter().any(|&mean| mean != 0.0) {
            self.say("mean", because[1], |recipe| recipe.mean = Some(mean));
        }
        if std.0.iter().any(|&std| std != 1.0) {
            self.say("std", because[2], |recipe| recipe.std = Some(std));
        }
        Ok(())
    }

    /// Takes class names, unless there are none.
    pub(super) fn name_classes(&mut self, labels: Result<Option<Labels>, String>) {
        match labels {
            Ok(labels) => self.labels = labels,
            Err(reason) => self.note(format!("its class names are not used: {reason}")),
        }
    }
}

/// The resize to a shorter side, the longer one truncated.
pub(super) fn shorter_side(side: usize) -> Resize {
    Resize::ShorterSide { side, rounding: ResizeRounding::Truncate }
}

/// `x · factor + offset`; a factor that is the reciprocal of a plain number divides by it, as its
/// writer meant: the quotient is rounded once, the product with the rounded reciprocal twice.
pub(super) fn scale(factor: f64, offset: f64) -> Result<Scale, String> {
    let divisor = (1e6 / factor).round() / 1e6;
    let exact = divisor == f64::from(as_f32(divisor)) && divisor > 1.0;
    let by = if exact && (divisor * factor - 1.0).abs() <= 4.0 * f64::EPSILON {
        format!("1/{divisor}")
    } else {
        as_f32(factor).to_string()
    };
    let text = if offset == 0.0 { by } else { format!("{by}{:+}", as_f32(offset)) };
    text.parse()
}

/// The numbers of all channels, or the one for all.
fn per_channel(key: &str, numbers: &[f64]) -> Result<PerChannel, String> {
    let values: Vec<f32> = numbers.iter().copied().map(as_f32).collect();
    match values.len() {
        _ if values.iter().any(|value| !value.is_finite()) => {
            Err(format!("its {key} has a value that is no number"))
        }
        0 | 1 | 3 => Ok(PerChannel(values)),
        count => Err(format!("its {key} has {count} values, and images have 1 or 3 channels")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the recipe's numbers are f32")]
fn as_f32(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reciprocal_is_a_division_and_other_factors_stay() {
        for (factor, offset, text) in [
            (1.0 / 255.0, 0.0, "1/255"),
            (0.003_921_568_627_450_98, 0.0, "1/255"),
            (1.0 / 127.5, -1.0, "1/127.5-1"),
            (0.00392157, 0.0, "0.00392157"),
            (0.017, 0.0, "0.017"),
            (1.0, 0.0, "1"),
            (1.0 / 128.0, -0.9921875, "1/128-0.9921875"),
        ] {
            assert_eq!(scale(factor, offset).unwrap().to_string(), text);
        }
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60] {
            assert!(scale(factor, 0.0).is_err(), "{factor}");
        }
    }

    #[test]
    fn numbers_that_cannot_be_used_are_refused() {
        for (mean, std, word) in
            [(vec![0.5, 0.5], vec![], "2 values"), (vec![], vec![0.0], "std"), (vec![1e60], vec![], "mean")]
        {
            let numbers = Numbers { factor: 1.0, offset: 0.0, mean, std };
            let statement =
                Statement::made("x", Tier::Sidecar, |s| s.numbers(["a", "b", "c"], &numbers));
            assert!(statement.refusal.unwrap().contains(word) && statement.because.is_empty());
        }
    }
}
