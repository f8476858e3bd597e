//! The words of a recipe that move pixels: resize and crop.

use std::{fmt, str::FromStr};

use crate::geometry::Size;

/// Rounding of the longer side when an image keeps its aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeRounding {
    /// `int(long · side / short)`: torchvision, timm, Hugging Face.
    Truncate,
    /// Nearest, ties to even, of `long · (side / short)`: `MXNet`, `PaddleClas`.
    Nearest,
}

/// How an image gets near the model's size.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Resize {
    /// Not at all.
    None,
    /// To exactly this size (the model's when absent), without keeping the aspect ratio.
    Squash(Option<Size>),
    /// The shorter side becomes `side`, the longer one follows.
    ShorterSide {
        /// Pixels.
        side: usize,
        /// Rounding of the longer side.
        rounding: ResizeRounding,
    },
    /// As [`Resize::ShorterSide`], but smaller where the longer side would exceed `longest`:
    /// Hugging Face's `shortest_edge` with `longest_edge`.
    ShorterSideAtMost {
        /// Pixels of the shorter side.
        side: usize,
        /// Most pixels of the longer side.
        longest: usize,
    },
    /// To the smallest size of the same aspect ratio that covers this one. Without a size the
    /// model's is covered, as Lobe's `resize_uniform_to_fill` computes it; with one, as timm's
    /// `ResizeKeepRatio(longest=0)`.
    Cover(Option<Size>),
    /// To the largest size of the same aspect ratio that fits into this one (the model's when
    /// absent): timm's `ResizeKeepRatio(longest=1)`, letterboxes.
    Fit(Option<Size>),
    /// The largest centred square is cut out first, and then squashed to the model's size.
    CenterSquare,
    /// The largest centred part with the model's aspect ratio is cut out first, and then resized:
    /// Keras' `smart_resize` and `crop_to_aspect_ratio`.
    AspectCrop,
    /// As [`Resize::AspectCrop`] through Pillow's `box`, whose filter sees the pixels around it.
    AspectBox {
        /// Edges between pixels, as Pillow's `ImageOps.fit`; else whole ones, as Keras' `load_img`
        /// with `keep_aspect_ratio`.
        exact: bool,
    },
    /// This share of both sides is cut out of the middle first, and then squashed to the model's
    /// size: TF-slim's `central_crop`.
    CenterFraction(f64),
}

impl Resize {
    /// The crop that belongs to it when nothing else is said.
    #[must_use]
    pub fn usual_crop(self) -> Crop {
        match self {
            Self::ShorterSide { .. }
            | Self::ShorterSideAtMost { .. }
            | Self::Cover(_)
            | Self::Fit(_) => Crop::Center(CropRounding::HalfEven),
            Self::None
            | Self::Squash(_)
            | Self::CenterSquare
            | Self::AspectCrop
            | Self::AspectBox { .. }
            | Self::CenterFraction(_) => Crop::None,
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sized = |f: &mut fmt::Formatter<'_>, word: &str, size: &Option<Size>| match size {
            Some(size) => write!(f, "{word} {size}"),
            None => f.write_str(word),
        };
        match self {
            Self::None => f.write_str("none"),
            Self::Squash(size) => sized(f, "squash", size),
            Self::ShorterSide { side, rounding: ResizeRounding::Truncate } => {
                write!(f, "shorter-side {side}")
            }
            Self::ShorterSide { side, rounding: ResizeRounding::Nearest } => {
                write!(f, "shorter-side {side} nearest")
            }
            Self::ShorterSideAtMost { side, longest } => {
                write!(f, "shorter-side {side} at-most {longest}")
            }
            Self::Cover(size) => sized(f, "cover", size),
            Self::Fit(size) => sized(f, "fit", size),
            Self::CenterSquare => f.write_str("center-square"),
            Self::AspectCrop => f.write_str("aspect-crop"),
            Self::AspectBox { exact: false } => f.write_str("aspect-box"),
            Self::AspectBox { exact: true } => f.write_str("aspect-box exact"),
            Self::CenterFraction(share) => write!(f, "center-fraction {share}"),
        }
    }
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let side = |text: &str| text.parse().ok().filter(|&side: &usize| side > 0);
        let shorter = |text, rounding| Some(Self::ShorterSide { side: side(text)?, rounding });
        let share = |text: &str| text.parse().ok().filter(|share| (0.01..=1.0).contains(share));
        let at_most = |(shorter, longest)| {
            Some(Self::ShorterSideAtMost { side: side(shorter)?, longest: side(longest)? })
        };
        let found = match words[..] {
            ["none"] => Some(Self::None),
            ["squash"] => Some(Self::Squash(None)),
            ["squash", size] => Some(Self::Squash(Some(size.parse()?))),
            ["shorter-side", side] => shorter(side, ResizeRounding::Truncate),
            ["shorter-side", side, "nearest"] => shorter(side, ResizeRounding::Nearest),
            ["shorter-side", side, "at-most", longest] => at_most((side, longest)),
            ["cover"] => Some(Self::Cover(None)),
            ["cover", size] => Some(Self::Cover(Some(size.parse()?))),
            ["fit"] => Some(Self::Fit(None)),
            ["fit", size] => Some(Self::Fit(Some(size.parse()?))),
            ["center-square"] => Some(Self::CenterSquare),
            ["aspect-crop"] => Some(Self::AspectCrop),
            ["aspect-box"] => Some(Self::AspectBox { exact: false }),
            ["aspect-box", "exact"] => Some(Self::AspectBox { exact: true }),
            ["center-fraction", text] => share(text).map(Self::CenterFraction),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "`resize = \"{text}\"` is not known; write one of: none, squash, squash SIZE, \
                 shorter-side N, shorter-side N nearest, shorter-side N at-most M, cover, \
                 cover SIZE, fit, fit SIZE, center-square, aspect-crop, aspect-box, \
                 aspect-box exact, center-fraction SHARE"
            )
        })
    }
}

/// Where a centred crop starts when the margin is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CropRounding {
    /// Half the margin, ties to even: torchvision, timm, Ultralytics.
    HalfEven,
    /// Half the margin, rounded down: Hugging Face, `PaddleClas`, mmpretrain.
    Floor,
    /// `S//2 − c//2`: the ONNX Model Zoo's `MXNet` script.
    Halves,
}

/// What is cut out after resizing. Where the image is smaller than the model's size, it is padded
/// with the recipe's `fill` instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Crop {
    /// Nothing: the resized image is the model's input.
    None,
    /// The model's size out of the middle.
    Center(CropRounding),
    /// The model's size from the first pixel on.
    TopLeft,
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Center(CropRounding::HalfEven) => "center",
            Self::Center(CropRounding::Floor) => "center floor",
            Self::Center(CropRounding::Halves) => "center halves",
            Self::TopLeft => "top-left",
        })
    }
}

impl FromStr for Crop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "center" => Ok(Self::Center(CropRounding::HalfEven)),
            "center floor" => Ok(Self::Center(CropRounding::Floor)),
            "center halves" => Ok(Self::Center(CropRounding::Halves)),
            "top-left" => Ok(Self::TopLeft),
            _ => Err(format!(
                "`crop = \"{text}\"` is not known; write one of: none, center, center floor, \
                 center halves, top-left"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_as_itself() {
        for text in [
            "none",
            "squash",
            "squash 240x320",
            "shorter-side 256",
            "shorter-side 256 nearest",
            "shorter-side 256 at-most 333",
            "cover",
            "cover 240x320",
            "fit",
            "fit 240x320",
            "center-square",
            "aspect-crop",
            "aspect-box",
            "aspect-box exact",
            "center-fraction 0.875",
        ] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        for text in ["none", "center", "center floor", "center halves", "top-left"] {
            assert_eq!(text.parse::<Crop>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn sides_and_shares_have_to_be_possible() {
        for text in ["shorter-side", "shorter-side 0", "center-fraction 0", "center-fraction 1.5"] {
            assert!(text.parse::<Resize>().is_err(), "{text}");
        }
    }
}
