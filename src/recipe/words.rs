//! The words of a recipe. Each has one spelling, the same in flags, job files and manifests.

use std::{fmt, str::FromStr};

use crate::geometry::Size;

/// Serialises a value as its `Display` text and reads it with `FromStr`.
pub(crate) mod as_text {
    use std::{borrow::Cow, fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err = String>,
        D: Deserializer<'de>,
    {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Some).map_err(D::Error::custom)
    }

    pub(crate) fn required<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }
}

/// Declares an enum whose variants are single words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident ($key:literal) { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every word, as it is written.
            pub const WORDS: &[&str] = &[$($word),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!(
                        "`{} = \"{other}\"` is not known; write one of: {}",
                        $key,
                        Self::WORDS.join(", ")
                    )),
                }
            }
        }
    };
}

words! {
    /// A resampling filter. Its shape depends on the [`Kernel`]: Pillow's are widened when an
    /// image shrinks (antialiased).
    Interpolation("interpolation") {
        /// The nearest pixel.
        Nearest = "nearest",
        /// The mean over a pixel's box.
        Box = "box",
        /// Triangle.
        Bilinear = "bilinear",
        /// Hamming-windowed sinc of radius 1.
        Hamming = "hamming",
        /// Keys' cubic; a = −0.5 in Pillow.
        Bicubic = "bicubic",
        /// Lanczos-windowed sinc of radius 3.
        Lanczos = "lanczos",
    }
}

words! {
    /// Whose arithmetic the resampling follows, bit for bit.
    #[derive(Default)]
    Kernel("kernel") {
        /// Pillow up to 12.1: the horizontal pass always first.
        Pillow12 = "pillow-12",
        /// Pillow 12.2 and 12.3: vertical first for images over 100 times as high as wide.
        Pillow12_2 = "pillow-12.2",
        /// Pillow 13: vertical first when the height shrinks by over twice as many pixels.
        #[default]
        Pillow13 = "pillow-13",
        /// OpenCV's `resize` on bytes.
        OpenCv = "opencv",
        /// TensorFlow's half-pixel `image.resize` without antialiasing, in f32.
        TensorFlow = "tensorflow",
        /// torchvision's antialiased `resize` on tensors, in f32.
        Torch = "torch",
    }
}

impl Kernel {
    /// Checks that the kernel is there with this filter.
    ///
    /// # Errors
    ///
    /// A message that names both when it is not.
    pub fn supports(self, interpolation: Interpolation) -> Result<(), String> {
        match self {
            Self::Pillow12 | Self::Pillow12_2 | Self::Pillow13 => Ok(()),
            Self::OpenCv | Self::TensorFlow if interpolation == Interpolation::Bilinear => Ok(()),
            Self::OpenCv | Self::TensorFlow | Self::Torch => Err(format!(
                "`kernel = \"{self}\"` with `interpolation = \"{interpolation}\"` is not built yet\n\
                 hint: a Pillow kernel gives nearly the same where images are not shrunk; say it if \
                 the model can bear the difference"
            )),
        }
    }
}

words! {
    /// Colour channels in the order in which the model gets them.
    Channels("channels") {
        /// Red, green, blue.
        Rgb = "rgb",
        /// Blue, green, red (Caffe, OpenCV).
        Bgr = "bgr",
        /// Luma: (19595 R + 38470 G + 7471 B + 2¹⁵) ≫ 16, as Pillow's mode `L`.
        Gray = "gray",
    }
}

impl Channels {
    /// How many there are: 1 or 3.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }
}

words! {
    /// Order of a tensor's axes.
    Layout("layout") {
        /// Channels first: N×C×H×W.
        Nchw = "nchw",
        /// Channels last: N×H×W×C.
        Nhwc = "nhwc",
    }
}

impl Layout {
    /// Reorders the three axes after the batch into channels, height, width.
    #[must_use]
    pub fn channels_first<T: Copy>(self, [a, b, c]: [T; 3]) -> [T; 3] {
        match self {
            Self::Nchw => [a, b, c],
            Self::Nhwc => [c, a, b],
        }
    }

    /// The three axes after the batch, in this layout.
    #[must_use]
    pub fn axes(self, channels: usize, size: Size) -> [usize; 3] {
        match self {
            Self::Nchw => [channels, size.height, size.width],
            Self::Nhwc => [size.height, size.width, channels],
        }
    }
}

words! {
    /// What is done about the EXIF orientation.
    #[derive(Default)]
    Orientation("exif") {
        /// Pixels stay as stored; how most training pipelines read images.
        #[default]
        Ignore = "ignore",
        /// Pixels are turned upright.
        Apply = "apply",
    }
}

words! {
    /// What is done about transparency.
    #[derive(Default)]
    Alpha("alpha") {
        /// The colour stored under it is used; what Pillow's `convert("RGB")` does.
        #[default]
        Drop = "drop",
        /// Composited onto white.
        White = "white",
        /// Composited onto black.
        Black = "black",
    }
}

words! {
    /// How 16-bit samples become bytes.
    #[derive(Default)]
    Deep("deep") {
        /// The high byte.
        #[default]
        HighByte = "high-byte",
        /// Gray values over 255 become 255, as Pillow's mode `I;16` does; colour keeps the high byte.
        Clip = "clip",
    }
}

words! {
    /// What turns a model's scores into probabilities.
    Activation("activation") {
        /// exp(x) normalised over the classes.
        Softmax = "softmax",
        /// 1/(1+exp(−x)) per class.
        Sigmoid = "sigmoid",
        /// Nothing: the scores are probabilities already, or are wanted as they are.
        None = "none",
    }
}

/// Rounding of the longer side when an image keeps its aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeRounding {
    /// `int(long · side / short)`: torchvision, timm, Hugging Face.
    Truncate,
    /// Nearest, ties to even, of `long · (side / short)`: `MXNet`, `PaddleClas`.
    Nearest,
}

/// How an image gets near the model's size. See `preprocessing` in the documentation of peers:
/// the names are theirs where they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// To the smallest size of the same aspect ratio that covers the model's, rounded to nearest.
    Cover,
    /// The largest centred square is cut out first, and then squashed to the model's size.
    CenterSquare,
}

impl Resize {
    /// The crop that belongs to it when nothing else is said.
    #[must_use]
    pub fn usual_crop(self) -> Crop {
        match self {
            Self::ShorterSide { .. } | Self::Cover => Crop::Center(CropRounding::HalfEven),
            Self::None | Self::Squash(_) | Self::CenterSquare => Crop::None,
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Squash(None) => f.write_str("squash"),
            Self::Squash(Some(size)) => write!(f, "squash {size}"),
            Self::ShorterSide { side, rounding: ResizeRounding::Truncate } => {
                write!(f, "shorter-side {side}")
            }
            Self::ShorterSide { side, rounding: ResizeRounding::Nearest } => {
                write!(f, "shorter-side {side} nearest")
            }
            Self::Cover => f.write_str("cover"),
            Self::CenterSquare => f.write_str("center-square"),
        }
    }
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let side = |text: &str| text.parse().ok().filter(|&side: &usize| side > 0);
        let shorter = |text, rounding| Some(Self::ShorterSide { side: side(text)?, rounding });
        let found = match words[..] {
            ["none"] => Some(Self::None),
            ["squash"] => Some(Self::Squash(None)),
            ["squash", size] => Some(Self::Squash(Some(size.parse()?))),
            ["shorter-side", side] => shorter(side, ResizeRounding::Truncate),
            ["shorter-side", side, "nearest"] => shorter(side, ResizeRounding::Nearest),
            ["cover"] => Some(Self::Cover),
            ["center-square"] => Some(Self::CenterSquare),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "`resize = \"{text}\"` is not known; write one of: none, squash, squash SIZE, \
                 shorter-side N, shorter-side N nearest, cover, center-square"
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

/// What is cut out after resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Crop {
    /// Nothing: the resized image is the model's input.
    None,
    /// The model's size out of the middle; smaller images are padded with zero bytes first.
    Center(CropRounding),
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Center(CropRounding::HalfEven) => "center",
            Self::Center(CropRounding::Floor) => "center floor",
            Self::Center(CropRounding::Halves) => "center halves",
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
            _ => Err(format!(
                "`crop = \"{text}\"` is not known; write one of: none, center, center floor, \
                 center halves"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_as_itself() {
        for text in ["none", "squash", "squash 240x320", "shorter-side 256", "cover"] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        assert_eq!(
            "shorter-side 256 nearest".parse::<Resize>().unwrap().to_string(),
            "shorter-side 256 nearest"
        );
        for text in ["none", "center", "center floor", "center halves"] {
            assert_eq!(text.parse::<Crop>().unwrap().to_string(), text);
        }
        for text in Kernel::WORDS {
            assert_eq!(text.parse::<Kernel>().unwrap().to_string(), *text);
        }
    }

    #[test]
    fn an_unknown_word_names_the_key_and_the_known_ones() {
        let message = "bilinaer".parse::<Interpolation>().unwrap_err();
        assert!(message.contains("interpolation") && message.contains("bilinear"), "{message}");
        assert!("shorter-side".parse::<Resize>().is_err());
        assert!("shorter-side 0".parse::<Resize>().is_err());
    }
}
