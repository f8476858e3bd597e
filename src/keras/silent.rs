//! Layers that only do something in training.

/// Classes of layers that pass everything through when a model is used and not trained.
const CLASSES: &[&str] = &[
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "InputLayer",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomHeight",
    "RandomHue",
    "RandomPerspective",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StochasticDepth",
    // Of the package `efficientnet`, in many files of its time.
    "FixedDropout",
];

/// Whether layers of this class pass everything through when a model is used.
#[must_use]
pub fn is_silent(class: &str) -> bool {
    CLASSES.contains(&class)
}
