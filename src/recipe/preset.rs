//! Recipes by name: what the well-known families of models were trained with.
//!
//! A preset is said by a person, never chosen for one. Its keys count where nothing else is said,
//! so that one key of it can be replaced. Sizes and numbers are those of the libraries' sources
//! (keras.applications, torchvision's weights, timm's and Ultralytics' transforms, the ONNX Model
//! Zoo's scripts), as the tables say.

use super::{
    Channels, Crop, CropRounding, Interpolation, Kernel, PerChannel, RecipeSpec, Resize,
    ResizeRounding,
};
use crate::geometry::Size;

pub(crate) mod keras;
mod torchvision;

/// A named recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Its name, such as `keras/inception_v3`.
    pub name: String,
    /// What it is, as a sentence's end.
    pub about: &'static str,
    /// Its keys.
    pub recipe: RecipeSpec,
}

/// Mean and std of ImageNet's training set, over 0 to 1: torchvision, timm, Keras' mode `torch`.
pub(crate) const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Mean and std that map 0 to 1 onto −1 to 1: timm's Inception constants, many of Hugging Face.
pub(crate) const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];
/// Those of `OpenAI`'s CLIP, in f32.
pub(crate) const CLIP: [[f32; 3]; 2] =
    [[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.2613026, 0.2757771]];
/// Mean of Caffe's ImageNet models in blue, green, red, over 0 to 255.
pub(crate) const CAFFE_BGR: [f32; 3] = [103.939, 116.779, 123.68];

/// All presets, in the order in which they are listed.
#[must_use]
pub fn all() -> Vec<Preset> {
    let mut presets = keras::presets();
    presets.extend(torchvision::presets());
    presets.extend(timm());
    presets.extend(ultralytics());
    presets.extend(zoo());
    presets
}

/// The preset of this name; case does not matter, nor do `-` and `_`.
#[must_use]
pub fn find(name: &str) -> Option<Preset> {
    let folded = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let wanted = folded(name);
    all().into_iter().find(|preset| folded(&preset.name) == wanted)
}

/// `spec` with the keys of its preset where it says nothing itself.
///
/// # Errors
///
/// A message with the nearest names when there is no such preset.
pub fn expanded(spec: &RecipeSpec) -> Result<RecipeSpec, String> {
    let Some(name) = &spec.preset else { return Ok(spec.clone()) };
    Ok(named(name)?.recipe.overridden_by(RecipeSpec { preset: None, ..spec.clone() }))
}

/// The preset of this name, as [`find`].
///
/// # Errors
///
/// A message with the nearest names when there is none.
pub fn named(name: &str) -> Result<Preset, String> {
    find(name).ok_or_else(|| {
        format!(
            "`preset = \"{name}\"` is not known; the nearest are: {}\nhint: `linnaeus presets` \
             lists them all",
            nearest(name).join(", ")
        )
    })
}

/// The three names that are most like `name`: by the network, which may leave out its weights, and
/// then by the family.
fn nearest(name: &str) -> Vec<String> {
    let mut names: Vec<_> = all().into_iter().map(|preset| preset.name).collect();
    let parts = |name: &str| {
        let (family, network) = name.rsplit_once('/').unwrap_or(("", name));
        let network = network.split("-imagenet").next().unwrap_or(network);
        (network.to_ascii_lowercase(), family.to_ascii_lowercase())
    };
    let (network, family) = parts(name);
    names.sort_by_key(|known| {
        let known = parts(known);
        (strsim::damerau_levenshtein(&known.0, &network), known.1 != family)
    });
    names.truncate(3);
    names
}

/// A recipe of torch's world: shorter side, centre crop, channels first, 0 to 1, mean and std.
fn torch(
    size: usize,
    shorter: usize,
    interpolation: Interpolation,
    numbers: [[f32; 3]; 2],
) -> RecipeSpec {
    RecipeSpec {
        size: Some(Size::square(size)),
        resize: Some(Resize::ShorterSide { side: shorter, rounding: ResizeRounding::Truncate }),
        interpolation: Some(interpolation),
        crop: Some(Crop::Center(CropRounding::HalfEven)),
        scale: Some("1/255".parse().expect("a scale")),
        mean: Some(per_channel(numbers[0])),
        std: Some(per_channel(numbers[1])),
        ..RecipeSpec::default()
    }
}

fn per_channel(values: [f32; 3]) -> PerChannel {
    PerChannel(values.to_vec())
}

/// timm's `resolve_data_config` and the configurations that are common among its models.
fn timm() -> Vec<Preset> {
    let bicubic = Interpolation::Bicubic;
    let side = |share: f64| {
        // timm floors the quotient of the size and `crop_pct`.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side")]
        let side = (224.0 / share).floor() as usize;
        side
    };
    [
        ("default", "timm's defaults: 224, crop_pct 0.875, bicubic, ImageNet", 0.875, IMAGENET),
        ("resnet_a1", "resnet*.a1_in1k: 224, crop_pct 0.95, bicubic, ImageNet", 0.95, IMAGENET),
        ("deit_swin", "deit, swin, levit, poolformer: 224, crop_pct 0.9, ImageNet", 0.9, IMAGENET),
        ("vit_augreg", "vit_*_224.augreg*: 224, crop_pct 0.9, 0.5", 0.9, HALF),
        ("vit_clip", "vit_*_clip_224.*_ft_*: 224, crop_pct 0.95, CLIP", 0.95, CLIP),
    ]
    .into_iter()
    .map(|(name, about, share, numbers)| Preset {
        name: format!("timm/{name}"),
        about,
        recipe: torch(224, side(share), bicubic, numbers),
    })
    .collect()
}

/// Ultralytics' and `YOLOv5`'s classifiers at their usual size.
fn ultralytics() -> Vec<Preset> {
    let plain = [[0.0; 3], [1.0; 3]];
    let opencv = |numbers| RecipeSpec {
        resize: Some(Resize::CenterSquare),
        crop: None,
        kernel: Some(Kernel::OpenCv),
        exif: Some(super::Orientation::Apply),
        ..torch(224, 224, Interpolation::Bilinear, numbers)
    };
    let recent = RecipeSpec {
        exif: Some(super::Orientation::Apply),
        ..torch(224, 224, Interpolation::Bilinear, plain)
    };
    let preset = |name: &str, about, recipe| Preset { name: name.to_owned(), about, recipe };
    vec![
        preset("ultralytics/classify", "Ultralytics 8.1 and later, at 224", recent),
        preset("ultralytics/classify-8.0", "Ultralytics 8.0, at 224", opencv(plain)),
        preset("yolov5/classify", "YOLOv5-cls, at 224; answers logits", opencv(IMAGENET)),
    ]
}

/// The ONNX Model Zoo's lineages.
fn zoo() -> Vec<Preset> {
    let mxnet = RecipeSpec {
        resize: Some(Resize::ShorterSide { side: 256, rounding: ResizeRounding::Nearest }),
        crop: Some(Crop::Center(CropRounding::Halves)),
        ..torch(224, 256, Interpolation::Bilinear, IMAGENET)
    };
    let raw = |size: usize, interpolation| RecipeSpec {
        size: Some(Size::square(size)),
        resize: Some(Resize::Squash(None)),
        interpolation: Some(interpolation),
        scale: Some("1".parse().expect("a scale")),
        ..RecipeSpec::default()
    };
    let caffe = RecipeSpec {
        channels: Some(Channels::Bgr),
        mean: Some(per_channel(CAFFE_BGR)),
        ..raw(224, Interpolation::Bicubic)
    };
    let lite = RecipeSpec {
        resize: Some(Resize::ShorterSide { side: 256, rounding: ResizeRounding::Truncate }),
        crop: Some(Crop::Center(CropRounding::Floor)),
        kernel: Some(Kernel::OpenCv),
        mean: Some(PerChannel(vec![127.0])),
        std: Some(PerChannel(vec![128.0])),
        ..raw(224, Interpolation::Bilinear)
    };
    let gray = |size, interpolation| RecipeSpec {
        channels: Some(Channels::Gray),
        ..raw(size, interpolation)
    };
    let digits = RecipeSpec {
        scale: Some("1/255".parse().expect("a scale")),
        kernel: Some(Kernel::OpenCv),
        ..gray(28, Interpolation::Bilinear)
    };
    let preset = |name: &str, about, recipe| Preset { name: format!("zoo/{name}"), about, recipe };
    vec![
        preset(
            "gluon",
            "MXNet's of the Model Zoo: resnet*-v1/v2, mobilenetv2, vgg, squeezenet1.1",
            mxnet,
        ),
        preset(
            "caffe2",
            "Caffe's of the Model Zoo: squeezenet1.0, alexnet, caffenet, googlenet, inception-v1/v2, zfnet512",
            caffe,
        ),
        preset("efficientnet-lite4", "EfficientNet-Lite4 of the Model Zoo", lite),
        preset(
            "emotion-ferplus",
            "Emotion FERPlus of the Model Zoo, gray 0 to 255",
            gray(64, Interpolation::Lanczos),
        ),
        preset("mnist", "MNIST of the Model Zoo's page, gray 0 to 1", digits),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Element, InputSpec, Layout, Recipe};

    #[test]
    fn every_preset_makes_a_recipe_for_a_model_of_its_size() {
        let presets = all();
        assert!(presets.len() > 150, "{}", presets.len());
        for preset in presets {
            let size = preset.recipe.size.expect("a preset says its size");
            let channels = preset.recipe.channels.map_or(3, Channels::count);
            let axes = preset.recipe.layout.unwrap_or(Layout::Nchw).axes(channels, size).map(Some);
            let input = InputSpec {
                name: "x".into(),
                element: Element::F32,
                batch: None,
                dims: axes,
                planar: false,
            };
            let spec = RecipeSpec { preset: Some(preset.name.clone()), ..RecipeSpec::default() };
            let recipe = Recipe::resolve(&spec, &input);
            assert_eq!(recipe.map(|recipe| recipe.size), Ok(size), "{}", preset.name);
        }
    }

    #[test]
    fn names_are_unique_and_forgiving() {
        let mut names: Vec<_> = all().into_iter().map(|preset| preset.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(find("Keras/Inception-V3"), find("keras/inception_v3"));
        let spec = RecipeSpec { preset: Some("inceptionv3".into()), ..RecipeSpec::default() };
        let message = expanded(&spec).unwrap_err();
        assert!(message.contains("keras/inception_v3"), "{message}");
    }

    #[test]
    fn what_is_said_beside_a_preset_wins() {
        let spec = RecipeSpec {
            preset: Some("keras/inception_v3".into()),
            interpolation: Some(Interpolation::Bilinear),
            ..RecipeSpec::default()
        };
        let spec = expanded(&spec).unwrap();
        assert_eq!(spec.interpolation, Some(Interpolation::Bilinear));
        assert_eq!(spec.size, Some(Size::square(299)));
        assert_eq!(spec.scale.map(|scale| scale.to_string()), Some("1/127.5-1".to_owned()));
    }
}
