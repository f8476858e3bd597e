//! The words of a recipe. Each has one spelling, the same in flags, job files and manifests.

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

    /// The same for a value that is always there.
    pub(crate) mod required {
        use super::{Cow, Deserialize, Deserializer, Display, Error, FromStr, Serializer};

        pub(crate) fn serialize<T: Display, S: Serializer>(
            value: &T,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_str(value)
        }

        pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
        where
            T: FromStr<Err = String>,
            D: Deserializer<'de>,
        {
            Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }

        impl std::str::FromStr for $name {
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

pub(crate) use words;

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
        /// The mean over the area that becomes a pixel; of OpenCV and TensorFlow only.
        Area = "area",
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
        /// TensorFlow's half-pixel `image.resize` without antialiasing, in f32 and not rounded.
        TensorFlow = "tensorflow",
        /// TensorFlow 1's `resize_bilinear`: not antialiased, and not centred on half pixels.
        TensorFlow1 = "tensorflow-1",
        /// torch's antialiased `resize` of bytes on processors: torchvision's transforms v2, and
        /// Hugging Face's fast processors.
        Torch = "torch",
        /// torch's antialiased `resize` of f32, not rounded.
        TorchFloat = "torch-float",
        /// The same, rounded to bytes: torchvision's transforms v1 on tensors.
        TorchFloatRounded = "torch-float-rounded",
    }
}

impl Kernel {
    /// The filters that there are of this kernel.
    #[must_use]
    pub fn filters(self) -> &'static [Interpolation] {
        use Interpolation::{Area, Bicubic, Bilinear, Box, Hamming, Lanczos, Nearest};
        match self {
            Self::Pillow12 | Self::Pillow12_2 | Self::Pillow13 => {
                &[Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos]
            }
            Self::OpenCv | Self::TensorFlow => &[Nearest, Bilinear, Bicubic, Area],
            Self::TensorFlow1 => &[Bilinear],
            Self::Torch | Self::TorchFloat | Self::TorchFloatRounded => {
                &[Nearest, Bilinear, Bicubic, Lanczos]
            }
        }
    }

    /// Whether it is one of Pillow's.
    #[must_use]
    pub fn is_pillow(self) -> bool {
        matches!(self, Self::Pillow12 | Self::Pillow12_2 | Self::Pillow13)
    }

    /// Whether its results lie between bytes.
    #[must_use]
    pub fn is_fractional(self) -> bool {
        matches!(self, Self::TensorFlow | Self::TensorFlow1 | Self::TorchFloat)
    }

    /// Checks that the kernel is there with this filter.
    ///
    /// # Errors
    ///
    /// A message that names both, and the kernel's filters, when it is not.
    pub fn supports(self, interpolation: Interpolation) -> Result<(), String> {
        if self.filters().contains(&interpolation) {
            return Ok(());
        }
        let filters: Vec<_> = self.filters().iter().map(ToString::to_string).collect();
        Err(format!(
            "`kernel = \"{self}\"` has no `interpolation = \"{interpolation}\"`; it has: {}",
            filters.join(", ")
        ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back_as_itself() {
        for text in Kernel::WORDS {
            assert_eq!(text.parse::<Kernel>().unwrap().to_string(), *text);
        }
        for text in Interpolation::WORDS {
            assert_eq!(text.parse::<Interpolation>().unwrap().to_string(), *text);
        }
    }

    #[test]
    fn an_unknown_word_names_the_key_and_the_known_ones() {
        let message = "bilinaer".parse::<Interpolation>().unwrap_err();
        assert!(message.contains("interpolation") && message.contains("bilinear"), "{message}");
    }

    #[test]
    fn a_filter_that_a_kernel_has_not_is_refused_with_those_it_has() {
        let message = Kernel::Pillow13.supports(Interpolation::Area).unwrap_err();
        assert!(message.contains("area") && message.contains("lanczos"), "{message}");
        assert!(Kernel::OpenCv.supports(Interpolation::Area).is_ok());
        assert!(Kernel::TensorFlow1.supports(Interpolation::Bicubic).is_err());
    }
}
