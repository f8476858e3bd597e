//! Files of images.

use std::path::Path;

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy, silence_contained_panics},
    preprocess::{Preprocessor, Scratch},
    recipe::{
        Alpha, Crop, Deep, Element, InputSpec, Interpolation, Kernel, Orientation, Recipe,
        RecipeSpec,
    },
};

use super::{picked, recipe::fill};

/// Every way to resize, some of them far from the image's size.
const RESIZES: [&str; 16] = [
    "none",
    "squash",
    "squash 1x300",
    "shorter-side 1",
    "shorter-side 7 nearest",
    "shorter-side 300",
    "shorter-side 8 at-most 9",
    "cover",
    "cover 9x2",
    "fit",
    "fit 3x50",
    "center-square",
    "aspect-crop",
    "aspect-box",
    "aspect-box exact",
    "center-fraction 0.875",
];

const CROPS: [&str; 5] = ["none", "center", "center floor", "center halves", "top-left"];

const LAYOUTS: [&str; 2] = ["nchw", "nhwc"];

const SIZES: [&str; 6] = ["1x1", "1x9", "9x1", "2x3", "8x6", "33x17"];

/// The bytes of an image file; says the code of the error when it is no picture.
pub fn image(bytes: &[u8]) -> Option<&'static str> {
    silence_contained_panics();
    let mut choice = picked(bytes);
    let mut pick = |count: usize| {
        let at = choice % count;
        choice /= count;
        at
    };
    let decoder = Decoder {
        limits: Limits { max_pixels: 1 << 20, max_bytes: 16 << 20 },
        policy: Policy {
            exif: [Orientation::Ignore, Orientation::Apply][pick(2)],
            alpha: [Alpha::Drop, Alpha::White, Alpha::Black][pick(3)],
            deep: [Deep::HighByte, Deep::Clip][pick(2)],
        },
        budget: Budget::new(16 << 20),
    };
    let mut pixels = Pixels::default();
    if let Err(error) = decoder.decode(bytes, Path::new("a.jpg"), &mut pixels) {
        assert!(!error.to_string().contains('\n'), "{error}");
        return Some(error.code());
    }
    assert_eq!(pixels.data.len(), pixels.size.area() * pixels.channels);
    assert!(pixels.size.area() <= 1 << 20 && [1, 3].contains(&pixels.channels));
    let kernel: Kernel = Kernel::WORDS[pick(Kernel::WORDS.len())].parse().unwrap();
    let filters = kernel.filters();
    let spec = RecipeSpec {
        size: Some(SIZES[pick(SIZES.len())].parse().unwrap()),
        resize: Some(RESIZES[pick(RESIZES.len())].parse().unwrap()),
        crop: Some(CROPS[pick(CROPS.len())].parse::<Crop>().unwrap()),
        kernel: Some(kernel),
        interpolation: Some(filters[pick(filters.len())]),
        layout: Some(LAYOUTS[pick(2)].parse().unwrap()),
        channels: Some(["rgb", "bgr", "gray"][pick(3)].parse().unwrap()),
        scale: Some("1/127.5-1".parse().unwrap()),
        ..RecipeSpec::default()
    };
    prepare(&spec, &pixels);
    None
}

fn prepare(spec: &RecipeSpec, pixels: &Pixels) {
    let input = InputSpec {
        name: "x".into(),
        element: Element::F32,
        batch: None,
        dims: [None; 3],
        planar: false,
    };
    // Some words do not go together; a way to crop, and Pillow, go with all.
    let fallback = RecipeSpec {
        crop: Some("center".parse().unwrap()),
        kernel: Some(Kernel::Pillow13),
        interpolation: Some(Interpolation::Bilinear),
        ..RecipeSpec::default()
    };
    let recipe = Recipe::resolve(spec, &input)
        .or_else(|_| Recipe::resolve(&spec.clone().overridden_by(fallback), &input))
        .unwrap();
    fill(&Preprocessor::<f32>::new(recipe), pixels, &mut Scratch::default());
}
