//! The models of `keras.applications`, and how each of them is fed.

use crate::{
    keras::{Layer, Model},
    recipe::preset::keras::Mode,
};

/// One family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// As people call it.
    pub(super) title: &'static str,
    /// Beginnings of the models' names.
    names: &'static [&'static str],
    /// Layers that its members have. Lists of alternatives: different Keras named them differently.
    layers: &'static [&'static [&'static str]],
    pub(super) mode: Mode,
    /// The side of its images, where all members share one.
    pub(super) side: Option<usize>,
}

/// Names and modes of `keras/src/applications/*.py` (Keras 3.15) and `tf_keras`; those of layers
/// from Keras 2.2 on. A longer name stands before its beginning.
const FAMILIES: &[Family] = &[
    family("VGG", &["vgg16", "vgg19"], &[&["block1_conv1", "block5_conv3"]], Mode::Caffe, 224),
    family(
        "ResNetV2",
        &["resnet50v2", "resnet101v2", "resnet152v2"],
        &[&["conv1_conv", "post_bn"]],
        Mode::Tf,
        224,
    ),
    family(
        "ResNet",
        &["resnet50", "resnet101", "resnet152"],
        &[&["conv1_conv", "conv5_block3_out"], &["bn_conv1", "res5c_branch2c"]],
        Mode::Caffe,
        224,
    ),
    family(
        "InceptionResNetV2",
        &["inception_resnet_v2"],
        &[&["conv_7b", "block8_10_conv"]],
        Mode::Tf,
        299,
    ),
    family("InceptionV3", &["inception_v3"], &[&["mixed0", "mixed10"]], Mode::Tf, 299),
    family("Xception", &["xception"], &[&["block1_conv1", "block14_sepconv2"]], Mode::Tf, 299),
    family(
        "MobileNetV3",
        &["MobileNetV3Small", "MobileNetV3Large", "MobilenetV3small", "MobilenetV3large"],
        &[&["expanded_conv/depthwise"], &["expanded_conv_depthwise", "expanded_conv_project"]],
        Mode::InGraph,
        224,
    ),
    sizeless("MobileNetV2", &["mobilenetv2_"], &[&["Conv1", "Conv_1"]], Mode::Tf),
    sizeless("MobileNet", &["mobilenet_"], &[&["conv_dw_1", "conv_pw_13"]], Mode::Tf),
    sizeless("NASNet", &["nasnet_mobile", "nasnet_large", "NASNet"], &[&["stem_conv1"]], Mode::Tf),
    family(
        "DenseNet",
        &["densenet121", "densenet169", "densenet201"],
        &[&["conv1/conv", "pool4_conv"], &["conv1_conv", "pool4_conv"]],
        Mode::Torch,
        224,
    ),
    sizeless("EfficientNetV2", &["efficientnetv2-"], &[&["stem_conv", "top_conv"]], Mode::InGraph),
    sizeless("EfficientNet", &["efficientnetb"], &[&["stem_conv", "top_conv"]], Mode::InGraph),
    sizeless("ConvNeXt", &["convnext_"], &[&[]], Mode::InGraph),
    sizeless("RegNet", &["regnetx", "regnety"], &[&[]], Mode::InGraph),
    sizeless("ResNetRS", &["resnet-rs-"], &[&[]], Mode::InGraph),
];

const fn family(
    title: &'static str,
    names: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
    mode: Mode,
    side: usize,
) -> Family {
    Family { title, names, layers, mode, side: Some(side) }
}

const fn sizeless(
    title: &'static str,
    names: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
    mode: Mode,
) -> Family {
    Family { title, names, layers, mode, side: None }
}

impl Family {
    /// Whether the model has the layers that make a member; a name alone proves nothing.
    fn fits(&self, model: &Model) -> bool {
        let has = |name: &&str| model.layer(name).is_some();
        self.layers.iter().any(|layers| layers.iter().all(has))
    }
}

/// The family that a model is a member of, by its name and its layers.
pub(super) fn named(model: &Model) -> Option<&'static Family> {
    let begins = |family: &&Family| family.names.iter().any(|name| model.name.starts_with(name));
    FAMILIES.iter().find(begins).filter(|family| family.fits(model))
}

/// The family whose layers a model has, under whatever name: a base with a new end.
pub(super) fn resembled(model: &Model) -> Option<&'static Family> {
    let told = |family: &&Family| family.layers.iter().all(|layers| !layers.is_empty());
    FAMILIES.iter().filter(told).find(|family| family.fits(model))
}

/// A model nested in this one that is of a family, with its layer.
pub(super) fn nested(model: &Model) -> Option<(&Layer, &'static Family)> {
    model.walk().into_iter().find_map(|(_, layer)| Some((layer, named(layer.model.as_ref()?)?)))
}
