//! Recipes, and images prepared by them.

use linnaeus::{
    decode::Pixels,
    geometry::Size,
    preprocess::{Plan, Preprocessor, Sample, Scratch},
    recipe::{Element, InputSpec, Recipe, RecipeSpec},
};

/// Pixels of the largest model input that is filled here; all are planned.
const MAX_AREA: usize = 1 << 13;

/// Heights and widths of the images that every recipe gets.
const SIZES: [(usize, usize); 5] = [(5, 7), (1, 1), (1, 9), (60, 1), (1, 200)];

/// The table `[recipe]` of a job file.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(spec) = toml::from_str::<RecipeSpec>(text) {
        _ = spec.said();
        prepare_with(&spec);
    }
}

/// Prepares small images with all inputs that a recipe may belong to.
pub(super) fn prepare_with(spec: &RecipeSpec) {
    let [one, three] = [Some(1), Some(3)];
    let fixed = [Some(6), Some(8)];
    for (dims, element) in [
        ([three, None, None], Element::F32),
        ([three, fixed[0], fixed[1]], Element::F32),
        ([fixed[0], fixed[1], three], Element::F16),
        ([None, None, one], Element::U8),
        ([None; 3], Element::F32),
    ] {
        let input = InputSpec { name: "x".into(), element, batch: None, dims, planar: false };
        prepare(spec, &input);
    }
}

/// Prepares small images, if the recipe can be decided for this input.
pub(super) fn prepare(spec: &RecipeSpec, input: &InputSpec) {
    let Ok(recipe) = Recipe::resolve(spec, input) else { return };
    match recipe.element {
        Element::F32 => write::<f32>(recipe),
        Element::F16 => write::<half::f16>(recipe),
        Element::U8 => write::<u8>(recipe),
    }
}

fn write<T: Sample>(recipe: Recipe) {
    let preprocessor = Preprocessor::<T>::new(recipe);
    let mut scratch = Scratch::default();
    for (height, width) in SIZES {
        for channels in [1, 3] {
            let size = Size { height, width };
            let data = (0u8..=255).cycle().take(size.area() * channels).collect();
            fill(&preprocessor, &Pixels { size, channels, data }, &mut scratch);
        }
    }
}

/// One image through a recipe, which has room for it or says why not.
pub(super) fn fill<T: Sample>(
    preprocessor: &Preprocessor<T>,
    pixels: &Pixels,
    scratch: &mut Scratch,
) {
    let elements = preprocessor.image_len();
    let plan = Plan::new(preprocessor.recipe(), pixels.size);
    if elements > 3 * MAX_AREA || plan.is_err() {
        return;
    }
    let mut tensor = vec![T::default(); elements];
    preprocessor.write(pixels, scratch, &mut tensor).unwrap();
}
