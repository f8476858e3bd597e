//! keras.applications: what `preprocess_input` of each family does, at its default size.

use super::{CAFFE_BGR, IMAGENET, Preset, per_channel};
use crate::{
    geometry::Size,
    recipe::{Channels, Interpolation, RecipeSpec, Resize, Scale},
};

/// A mode of `keras.applications.imagenet_utils.preprocess_input`, or `None` of it: families whose
/// graph scales for itself take bytes as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Blue, green, red less the mean of ImageNet; 0 to 255.
    Caffe,
    /// −1 to 1.
    Tf,
    /// ImageNet's mean and std over 0 to 1.
    Torch,
    /// 0 to 255 as they are: the graph scales them.
    InGraph,
}

/// Families by the name of their graph, with mode and default size (height and width).
#[rustfmt::skip]
const FAMILIES: &[(&str, Mode, usize)] = &[
    ("vgg16", Mode::Caffe, 224), ("vgg19", Mode::Caffe, 224),
    ("resnet50", Mode::Caffe, 224), ("resnet101", Mode::Caffe, 224), ("resnet152", Mode::Caffe, 224),
    ("resnet50v2", Mode::Tf, 224), ("resnet101v2", Mode::Tf, 224), ("resnet152v2", Mode::Tf, 224),
    ("inception_v3", Mode::Tf, 299), ("inception_resnet_v2", Mode::Tf, 299), ("xception", Mode::Tf, 299),
    ("mobilenet", Mode::Tf, 224), ("mobilenetv2", Mode::Tf, 224),
    ("nasnet_mobile", Mode::Tf, 224), ("nasnet_large", Mode::Tf, 331),
    ("densenet121", Mode::Torch, 224), ("densenet169", Mode::Torch, 224), ("densenet201", Mode::Torch, 224),
    ("efficientnetb0", Mode::InGraph, 224), ("efficientnetb1", Mode::InGraph, 240),
    ("efficientnetb2", Mode::InGraph, 260), ("efficientnetb3", Mode::InGraph, 300),
    ("efficientnetb4", Mode::InGraph, 380), ("efficientnetb5", Mode::InGraph, 456),
    ("efficientnetb6", Mode::InGraph, 528), ("efficientnetb7", Mode::InGraph, 600),
    ("efficientnetv2-b0", Mode::InGraph, 224), ("efficientnetv2-b1", Mode::InGraph, 240),
    ("efficientnetv2-b2", Mode::InGraph, 260), ("efficientnetv2-b3", Mode::InGraph, 300),
    ("efficientnetv2-s", Mode::InGraph, 384), ("efficientnetv2-m", Mode::InGraph, 480),
    ("efficientnetv2-l", Mode::InGraph, 480),
    ("MobileNetV3Small", Mode::InGraph, 224), ("MobileNetV3Large", Mode::InGraph, 224),
    ("convnext_tiny", Mode::InGraph, 224), ("convnext_small", Mode::InGraph, 224),
    ("convnext_base", Mode::InGraph, 224), ("convnext_large", Mode::InGraph, 224),
    ("convnext_xlarge", Mode::InGraph, 224),
    ("regnetx002", Mode::InGraph, 224), ("regnetx004", Mode::InGraph, 224),
    ("regnetx006", Mode::InGraph, 224), ("regnetx008", Mode::InGraph, 224),
    ("regnetx016", Mode::InGraph, 224), ("regnetx032", Mode::InGraph, 224),
    ("regnetx040", Mode::InGraph, 224), ("regnetx064", Mode::InGraph, 224),
    ("regnetx080", Mode::InGraph, 224), ("regnetx120", Mode::InGraph, 224),
    ("regnetx160", Mode::InGraph, 224), ("regnetx320", Mode::InGraph, 224),
    ("regnety002", Mode::InGraph, 224), ("regnety004", Mode::InGraph, 224),
    ("regnety006", Mode::InGraph, 224), ("regnety008", Mode::InGraph, 224),
    ("regnety016", Mode::InGraph, 224), ("regnety032", Mode::InGraph, 224),
    ("regnety040", Mode::InGraph, 224), ("regnety064", Mode::InGraph, 224),
    ("regnety080", Mode::InGraph, 224), ("regnety120", Mode::InGraph, 224),
    ("regnety160", Mode::InGraph, 224), ("regnety320", Mode::InGraph, 224),
    ("resnet-rs-50", Mode::InGraph, 224), ("resnet-rs-101", Mode::InGraph, 224),
    ("resnet-rs-152", Mode::InGraph, 224), ("resnet-rs-200", Mode::InGraph, 224),
    ("resnet-rs-270", Mode::InGraph, 224), ("resnet-rs-350", Mode::InGraph, 224),
    ("resnet-rs-420", Mode::InGraph, 224),
];

impl Mode {
    /// The keys that it decides.
    pub(crate) fn numbers(self) -> RecipeSpec {
        let scale = |text: &str| Some(text.parse::<Scale>().expect("a scale"));
        let none = RecipeSpec::default();
        match self {
            Self::Caffe => RecipeSpec {
                scale: Some(Scale::RAW),
                channels: Some(Channels::Bgr),
                mean: Some(per_channel(CAFFE_BGR)),
                ..none
            },
            Self::Tf => RecipeSpec { scale: scale("1/127.5-1"), ..none },
            Self::Torch => RecipeSpec {
                scale: scale("1/255"),
                mean: Some(per_channel(IMAGENET[0])),
                std: Some(per_channel(IMAGENET[1])),
                ..none
            },
            Self::InGraph => RecipeSpec { scale: Some(Scale::RAW), ..none },
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Caffe => "load_img (nearest), mode caffe: BGR less the mean, 0 to 255",
            Self::Tf => "load_img (nearest), mode tf: -1 to 1",
            Self::Torch => "load_img (nearest), mode torch: ImageNet's mean and std",
            Self::InGraph => "load_img (nearest), bytes as they are: the graph scales them",
        }
    }
}

pub(super) fn presets() -> Vec<Preset> {
    let preset = |&(family, mode, size): &(&str, Mode, usize)| Preset {
        name: format!("keras/{family}"),
        about: mode.about(),
        recipe: RecipeSpec {
            size: Some(Size::square(size)),
            resize: Some(Resize::Squash(None)),
            // `load_img`'s default, which the documentation's examples use.
            interpolation: Some(Interpolation::Nearest),
            ..mode.numbers()
        },
    };
    FAMILIES.iter().map(preset).collect()
}
