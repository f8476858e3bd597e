//! torchvision's weights: the `transforms()` of each, as `ImageClassification` has them.

use super::{HALF, IMAGENET, Preset, torch};
use crate::recipe::{
    Interpolation::{self, Bicubic, Bilinear},
    Scale,
};

/// Model builders and weights that share a crop, a resize and a filter.
struct Family {
    crop: usize,
    resize: usize,
    filter: Interpolation,
    weights: &'static str,
    builders: &'static str,
}

const fn family(
    (crop, resize, filter): (usize, usize, Interpolation),
    weights: &'static str,
    builders: &'static str,
) -> Family {
    Family { crop, resize, filter, weights, builders }
}

const V1: &str = "imagenet1k_v1";
const V2: &str = "imagenet1k_v2";
const E2E: &str = "imagenet1k_swag_e2e_v1";
const LINEAR: &str = "imagenet1k_swag_linear_v1";

const FBGEMM_V1: &str = "imagenet1k_fbgemm_v1";
const FBGEMM_V2: &str = "imagenet1k_fbgemm_v2";
const QNNPACK: &str = "imagenet1k_qnnpack_v1";

/// From torchvision 0.29's `torchvision/models`; lower case, builders of one row by spaces.
const FAMILIES: &[Family] = &[
    family(
        (224, 256, Bilinear),
        V1,
        "alexnet densenet121 densenet161 densenet169 densenet201 googlenet mnasnet0_5 mnasnet1_0 \
         mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_x_800mf \
         regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf \
         regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf \
         resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d \
         wide_resnet50_2 wide_resnet101_2 shufflenet_v2_x0_5 shufflenet_v2_x1_0 squeezenet1_0 \
         squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 \
         vit_b_32 vit_l_32",
    ),
    family(
        (224, 232, Bilinear),
        V2,
        "mobilenet_v2 mobilenet_v3_large regnet_x_400mf regnet_x_800mf regnet_x_1_6gf \
         regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf regnet_y_400mf regnet_y_800mf \
         regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf resnet50 resnet101 \
         resnet152 resnext50_32x4d resnext101_32x8d wide_resnet50_2 wide_resnet101_2",
    ),
    family(
        (224, 232, Bilinear),
        V1,
        "convnext_base convnext_large mnasnet0_75 mnasnet1_3 resnext101_64x4d shufflenet_v2_x1_5 \
         shufflenet_v2_x2_0",
    ),
    family(
        (224, 256, Bilinear),
        FBGEMM_V1,
        "quantized_googlenet quantized_resnet18 quantized_resnet50 quantized_resnext101_32x8d \
         quantized_shufflenet_v2_x0_5 quantized_shufflenet_v2_x1_0",
    ),
    family(
        (224, 232, Bilinear),
        FBGEMM_V1,
        "quantized_resnext101_64x4d quantized_shufflenet_v2_x1_5 quantized_shufflenet_v2_x2_0",
    ),
    family((224, 232, Bilinear), FBGEMM_V2, "quantized_resnet50 quantized_resnext101_32x8d"),
    family((224, 256, Bilinear), QNNPACK, "quantized_mobilenet_v2 quantized_mobilenet_v3_large"),
    family((299, 342, Bilinear), FBGEMM_V1, "quantized_inception_v3"),
    family((224, 236, Bilinear), V1, "convnext_tiny"),
    family((224, 230, Bilinear), V1, "convnext_small"),
    family((224, 242, Bilinear), V1, "vit_l_16"),
    family((299, 342, Bilinear), V1, "inception_v3"),
    family((224, 256, Bicubic), V1, "efficientnet_b0"),
    family((240, 256, Bicubic), V1, "efficientnet_b1"),
    family((240, 255, Bilinear), V2, "efficientnet_b1"),
    family((288, 288, Bicubic), V1, "efficientnet_b2"),
    family((300, 320, Bicubic), V1, "efficientnet_b3"),
    family((380, 384, Bicubic), V1, "efficientnet_b4"),
    family((456, 456, Bicubic), V1, "efficientnet_b5"),
    family((528, 528, Bicubic), V1, "efficientnet_b6"),
    family((600, 600, Bicubic), V1, "efficientnet_b7"),
    family((384, 384, Bilinear), V1, "efficientnet_v2_s"),
    family((480, 480, Bilinear), V1, "efficientnet_v2_m"),
    family((224, 232, Bicubic), V1, "swin_t"),
    family((224, 246, Bicubic), V1, "swin_s"),
    family((224, 238, Bicubic), V1, "swin_b"),
    family((256, 260, Bicubic), V1, "swin_v2_t swin_v2_s"),
    family((256, 272, Bicubic), V1, "swin_v2_b"),
    family((224, 224, Bicubic), V1, "maxvit_t"),
    family((384, 384, Bicubic), E2E, "regnet_y_16gf regnet_y_32gf regnet_y_128gf vit_b_16"),
    family((512, 512, Bicubic), E2E, "vit_l_16"),
    family((518, 518, Bicubic), E2E, "vit_h_14"),
    family(
        (224, 224, Bicubic),
        LINEAR,
        "regnet_y_16gf regnet_y_32gf regnet_y_128gf vit_b_16 vit_l_16 vit_h_14",
    ),
];

pub(super) fn presets() -> Vec<Preset> {
    let mut presets = Vec::new();
    for Family { crop, resize, filter, weights, builders } in FAMILIES {
        presets.extend(builders.split_whitespace().map(|builder| Preset {
            name: format!("torchvision/{builder}-{weights}"),
            about: "the transforms of torchvision's weights",
            recipe: torch(*crop, *resize, *filter, IMAGENET),
        }));
    }
    // The two with numbers of their own.
    presets.push(Preset {
        name: format!("torchvision/efficientnet_v2_l-{V1}"),
        about: "the transforms of torchvision's weights; mean and std 0.5",
        recipe: torch(480, 480, Bicubic, HALF),
    });
    let mut features = torch(224, 256, Bilinear, [[0.48235, 0.45882, 0.40784], [1.0; 3]]);
    // A std of 1/255 after a division by 255: 0 to 255 less the mean.
    features.std = Some("0.00392156862745098".parse().expect("a number"));
    features.scale = Some("1/255".parse::<Scale>().expect("a scale"));
    presets.push(Preset {
        name: "torchvision/vgg16-imagenet1k_features".to_owned(),
        about: "the transforms of torchvision's weights; 0 to 255 less the mean",
        recipe: features,
    });
    presets
}
