//! The image processor classes of Hugging Face's transformers: what each does beyond its fields,
//! and what it takes for fields that its file leaves out. From transformers 4.57 and 5.23,
//! `models/*/image_processing_*.py` and `models/auto/image_processing_auto.py`.

use crate::recipe::preset::{CLIP, HALF, IMAGENET};

/// What a class does that its fields do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Resize, crop, rescale, normalise.
    Plain,
    /// Resizes further by `crop_pct` and crops, or squashes from 384 on.
    ConvNext,
    /// Resizes to 256/224 of the shorter side.
    Levit,
    /// Resizes further by `crop_pct`.
    PoolFormer,
    /// May subtract 1, and divides by the std twice.
    EfficientNet,
    /// Swaps red and blue, and never normalises.
    MobileVit,
    /// Crops first.
    Perceiver,
    /// Resizes f32 tensors.
    DinoV3,
}

/// A size that a class resizes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    /// Both sides.
    Square(usize),
    /// The shorter side.
    Shortest(usize),
}

/// The major version of transformers whose defaults count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V5,
}

/// An image processor class.
#[derive(Debug)]
pub(super) struct Class {
    /// Its name without `ImageProcessor`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Pillow's number of the filter, in versions 4 and 5.
    resample: [u64; 2],
    /// In versions 4 and 5.
    size: [Default; 2],
    /// Whether one number as the size means a square; else the shorter side.
    pub(super) squares: bool,
    /// Whether it crops by default, in versions 4 and 5, and to which square.
    crops: [bool; 2],
    pub(super) crop: usize,
    pub(super) mean_std: [[f32; 3]; 2],
    /// The `model_type`s of `config.json` that have this class.
    model_types: &'static [&'static str],
}

impl Class {
    pub(super) fn resample(&self, version: Version) -> u64 {
        self.resample[version as usize]
    }

    pub(super) fn size(&self, version: Version) -> Default {
        self.size[version as usize]
    }

    pub(super) fn crops(&self, version: Version) -> bool {
        self.crops[version as usize]
    }

    /// Whether nothing that a file may leave out differs between the versions.
    pub(super) fn is_stable(&self) -> bool {
        let [old, new] = [Version::V4, Version::V5];
        self.resample(old) == self.resample(new)
            && self.size(old) == self.size(new)
            && self.crops(old) == self.crops(new)
    }
}

/// The class of a type such as `ViTImageProcessorFast` or `ViTFeatureExtractor`.
pub(super) fn of_type(name: &str) -> Option<&'static Class> {
    let name = name.strip_suffix("Fast").or(name.strip_suffix("Pil")).unwrap_or(name);
    let stem = name.strip_suffix("ImageProcessor").or(name.strip_suffix("FeatureExtractor"))?;
    CLASSES.iter().find(|class| class.name == stem)
}

/// The class that models of this type have.
pub(super) fn of_model(model_type: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.model_types.contains(&model_type))
}

const NEAREST: u64 = 0;
const BILINEAR: u64 = 2;
const BICUBIC: u64 = 3;

const PLAIN: Class = Class {
    name: "",
    kind: Kind::Plain,
    resample: [BICUBIC; 2],
    size: [Default::Square(224); 2],
    squares: true,
    crops: [false; 2],
    crop: 224,
    mean_std: HALF,
    model_types: &[],
};

/// As CLIP's: the shorter side, then the crop.
const CROPPING: Class = Class {
    size: [Default::Shortest(224); 2],
    squares: false,
    crops: [true; 2],
    mean_std: CLIP,
    ..PLAIN
};

const MOBILE_NET: Class = Class {
    resample: [BILINEAR; 2],
    size: [Default::Shortest(256); 2],
    mean_std: HALF,
    ..CROPPING
};

static CLASSES: [Class; 21] = [
    Class {
        name: "ViT",
        resample: [BILINEAR; 2],
        model_types: &[
            "vit", "vit_mae", "vit_msn", "swin", "swinv2", "dinat", "nat", "swiftformer", "ijepa",
            "clipseg", "mgp-str", "trocr",
        ],
        ..PLAIN
    },
    Class {
        name: "DeiT",
        size: [Default::Square(256); 2],
        crops: [true; 2],
        model_types: &["deit"],
        ..PLAIN
    },
    Class {
        name: "Beit",
        size: [Default::Square(256), Default::Square(224)],
        crops: [true, false],
        model_types: &["beit", "data2vec-vision"],
        ..PLAIN
    },
    Class {
        name: "ConvNext",
        kind: Kind::ConvNext,
        resample: [BILINEAR, BICUBIC],
        size: [Default::Shortest(384); 2],
        squares: false,
        model_types: &["convnext", "convnextv2", "resnet", "regnet", "cvt", "van"],
        ..PLAIN
    },
    Class { name: "Bit", model_types: &["bit", "dinov2", "focalnet", "hiera", "pixio"], ..CROPPING },
    Class {
        name: "CLIP",
        model_types: &["clip", "aimv2", "aimv2_vision_model", "metaclip_2", "mlcd", "altclip"],
        ..CROPPING
    },
    Class { name: "ChineseCLIP", model_types: &["chinese_clip"], ..CROPPING },
    Class { name: "ViTHybrid", model_types: &["vit_hybrid", "vit-hybrid"], ..CROPPING },
    Class {
        name: "EfficientNet",
        kind: Kind::EfficientNet,
        resample: [NEAREST, BICUBIC],
        size: [Default::Square(346); 2],
        crop: 289,
        model_types: &["efficientnet", "align"],
        ..PLAIN
    },
    Class { name: "MobileNetV1", model_types: &["mobilenet_v1"], ..MOBILE_NET },
    Class { name: "MobileNetV2", model_types: &["mobilenet_v2"], ..MOBILE_NET },
    Class {
        name: "MobileViT",
        kind: Kind::MobileVit,
        resample: [BILINEAR, BICUBIC],
        crop: 256,
        model_types: &["mobilevit", "mobilevitv2"],
        ..CROPPING
    },
    Class {
        name: "Levit",
        kind: Kind::Levit,
        mean_std: IMAGENET,
        model_types: &["levit"],
        ..CROPPING
    },
    Class {
        name: "PoolFormer",
        kind: Kind::PoolFormer,
        mean_std: IMAGENET,
        model_types: &["poolformer"],
        ..CROPPING
    },
    Class { name: "Siglip", model_types: &["siglip"], ..PLAIN },
    Class {
        name: "Pvt",
        resample: [BILINEAR, BICUBIC],
        mean_std: IMAGENET,
        model_types: &["pvt", "pvt_v2"],
        ..PLAIN
    },
    Class {
        name: "EfficientFormer",
        crops: [true; 2],
        mean_std: IMAGENET,
        model_types: &["efficientformer"],
        ..PLAIN
    },
    Class {
        name: "DINOv3ViT",
        kind: Kind::DinoV3,
        resample: [BILINEAR; 2],
        mean_std: IMAGENET,
        model_types: &["dinov3_vit"],
        ..PLAIN
    },
    Class {
        name: "Perceiver",
        kind: Kind::Perceiver,
        crops: [true; 2],
        crop: 256,
        mean_std: IMAGENET,
        model_types: &["perceiver"],
        ..PLAIN
    },
    Class {
        name: "Segformer",
        resample: [BILINEAR; 2],
        size: [Default::Square(512); 2],
        mean_std: IMAGENET,
        model_types: &["segformer"],
        ..PLAIN
    },
    Class {
        name: "Blip",
        size: [Default::Square(384); 2],
        mean_std: CLIP,
        model_types: &["blip", "blip-2"],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_type_finds_its_class() {
        for name in [
            "ViTImageProcessor", "ViTImageProcessorFast", "ViTImageProcessorPil", "ViTFeatureExtractor",
        ] {
            assert_eq!(of_type(name).unwrap().name, "ViT", "{name}");
        }
        for name in ["ViT", "DonutImageProcessor", "Wav2Vec2FeatureExtractor", "", "ImageProcessor"] {
            assert!(of_type(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_model_type_has_one_class() {
        let mut types: Vec<_> = CLASSES.iter().flat_map(|class| class.model_types).collect();
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count);
        assert_eq!(of_model("resnet").unwrap().name, "ConvNext");
        assert!(of_model("bert").is_none());
    }
}
