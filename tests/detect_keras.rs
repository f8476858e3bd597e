//! What Keras models say of their images, held to `golden/keras.json`: numbers that Keras computes.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "the goldens are f32, JSON knows f64 alone")]

#[macro_use]
mod told;

use std::{fs, io::Write as _, path::Path};

use linnaeus::{
    detect::{Statement, Tier, decide, keras::statements},
    geometry::Size,
    keras::KerasFile,
    recipe::{Activation, Channels, Interpolation, Kernel, Layout, RecipeSpec, Resize, Scale},
};
use serde_json::Value;
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

mod keras_models;

use keras_models::{golden, models};

/// An archive of an architecture without weights.
fn archive_of(folder: &TempDir, config: &[u8]) -> KerasFile {
    let path = folder.path().join("architecture.keras");
    let mut archive = ZipWriter::new(fs::File::create(&path).unwrap());
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("config.json", stored).unwrap();
    archive.write_all(config).unwrap();
    archive.finish().unwrap();
    KerasFile::open(&path).unwrap()
}

fn said(folder: &TempDir, name: &str) -> Vec<Statement> {
    let file = KerasFile::open(&folder.path().join(name));
    statements(&file.unwrap_or_else(|error| panic!("{error}")), name)
}

fn side(value: &Value) -> Option<usize> {
    value.as_u64().map(|side| usize::try_from(side).unwrap())
}

/// What the recipe makes of one pixel, in the order in which it is fed.
fn prepared(recipe: &RecipeSpec, rgb: [f32; 3]) -> Vec<f32> {
    let [r, g, b] = rgb;
    let fed = if recipe.channels == Some(Channels::Bgr) { [b, g, r] } else { rgb };
    let number = |list: &Option<linnaeus::recipe::PerChannel>, at: usize, other: f32| {
        list.as_ref().map_or(other, |list| list.0[at])
    };
    let scale = recipe.scale.expect("a scale is said");
    let one = |(at, x): (usize, f32)| {
        (scale.apply(x) - number(&recipe.mean, at, 0.0)) / number(&recipe.std, at, 1.0)
    };
    fed.into_iter().enumerate().map(one).collect()
}

#[test]
fn models_of_keras_applications_are_fed_as_their_preprocess_input_does() {
    let (folder, golden) = (models(), golden());
    let applications = golden["applications"].as_object().unwrap();
    assert!(applications.len() > 15);
    for (name, golden) in applications {
        let file = archive_of(&folder, &fs::read(folder.path().join(name)).unwrap());
        let said = statements(&file, name);
        let decision = decide(&RecipeSpec::default(), &said, None).unwrap();
        assert!(decision.problems.is_empty(), "{name}: {:?}", decision.problems);
        let recipe = decision.recipe;
        let found = prepared(&recipe, [0.0, 128.0, 255.0]);
        let expected: Vec<f32> = golden["pixel"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap() as f32)
            .collect();
        let close =
            found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5 * b.abs().max(1.0));
        assert!(close, "{name}: {found:?}, not {expected:?}: {said:#?}");
        // MobileNetV3 leaves its size open; its default is 224.
        let [height, width] = [1, 2].map(|at| side(&golden["input_shape"][at]).unwrap_or(224));
        let open = name.contains("RegNet") && recipe.size.is_none();
        assert!(open || recipe.size == Some(Size { height, width }), "{name}: {:?}", recipe.size);
        assert_eq!(recipe.layout, Some(Layout::Nhwc), "{name}");
        assert_eq!(recipe.resize, Some(Resize::Squash(None)), "{name}");
        assert_eq!(recipe.interpolation, None, "{name}");
        assert_eq!(said[0].classes, Some(1000), "{name}");
        // RegNet has no activation, whatever its maker is told.
        let activation =
            if name.contains("RegNet") { Activation::Softmax } else { Activation::None };
        assert_eq!(recipe.activation, Some(activation), "{name}");
    }
}

#[test]
fn preprocessing_in_the_model_is_followed_to_the_numbers_that_keras_computes() {
    let (folder, golden) = (models(), golden());
    let mut checked = 0;
    for (name, model) in golden["models"].as_object().unwrap() {
        let Some(fed) = model["fed"].as_array() else { continue };
        let said = said(&folder, name);
        let graph = &said[0];
        assert_eq!(graph.tier, Tier::Graph);
        assert_eq!(graph.refusal, None, "{name}");
        if name == "resizing.keras" {
            assert_eq!(graph.recipe.scale, None, "{name}");
            continue;
        }
        let because = graph.because.get("scale").unwrap_or_else(|| panic!("{name}: {graph:?}"));
        let [low, high] = [0, 1].map(|at| fed[at].as_f64().unwrap());
        let range = format!("the model itself makes {low:.3}");
        let close = because.starts_with(&range) && because.contains(&format!("to {high:.3}"));
        assert!(close, "{name}: {because}, not {low} to {high}");
        assert!(graph.recipe.scale.unwrap().is_raw(), "{name}");
        assert_eq!((graph.recipe.mean.clone(), graph.recipe.std.clone()), (None, None));
        assert_eq!(graph.recipe.channels, Some(Channels::Rgb), "{name}");
        assert_eq!(because.contains("channels reversed"), name.contains("caffe"), "{name}");
        checked += 1;
    }
    assert!(checked >= 10, "only {checked}");
}

#[test]
fn a_base_is_followed_into_and_its_name_alone_proves_nothing() {
    let folder = models();
    for name in ["nested.keras", "nested_2.h5", "nested_3.h5", "nested_frozen_2.h5"] {
        // Its base is called `vgg16`, and is none.
        let said = said(&folder, name);
        assert!(said[0].because["scale"].contains("-1.0000 to 1.0000"), "{name}");
        assert!(!format!("{said:?}").contains("keras.applications"), "{name}: {said:?}");
        assert_eq!(said[0].classes, Some(1));
        assert_eq!(said[0].recipe.activation, Some(Activation::None));
    }
    // With the real base, nothing in the graph scales: both ways to train it are shown.
    let config = fs::read(folder.path().join("keras3_VGG16.json")).unwrap();
    let mut model: Value = serde_json::from_slice(&config).unwrap();
    let layers = model["config"]["layers"].as_array_mut().unwrap();
    let last = layers.last_mut().unwrap();
    last["config"]["units"] = 5.into();
    for name in ["vgg16", "functional_3"] {
        model["config"]["name"] = name.into();
        let file = archive_of(&folder, model.to_string().as_bytes());
        let said = statements(&file, "mine.keras");
        assert!(said.iter().all(|said| said.recipe.scale.is_none()), "{said:?}");
        let notes = said[1].notes.join("\n");
        assert!(notes.contains("built as VGG") && notes.contains("mean = [103.939"), "{notes}");
        assert!(notes.contains("scale = \"1/255\""), "{notes}");
    }
}

#[test]
fn inputs_are_read_from_the_shape() {
    let folder = models();
    let graph = |name: &str| said(&folder, name).remove(0);
    for name in ["sequential.keras", "sequential_2.h5", "sequential_3.h5"] {
        let digits = graph(name).recipe;
        assert_eq!(digits.size, Some(Size::square(28)));
        assert_eq!(digits.channels, Some(Channels::Gray));
        assert_eq!(digits.scale, None, "28×28 says nothing of the scale");
        assert_eq!(digits.activation, Some(Activation::Softmax));
    }
    let first = graph("channels_first.keras").recipe;
    assert_eq!(first.layout, Some(Layout::Nchw));
    assert_eq!(first.size, Some(Size { height: 16, width: 12 }));
    assert_eq!(first.scale, Some(Scale::RAW));
    assert_eq!(graph("rescaling.keras").recipe.size, Some(Size { height: 16, width: 12 }));
    let open = graph("resizing.keras").recipe;
    assert_eq!(open.size, Some(Size { height: 16, width: 12 }));
    assert_eq!(open.kernel, Some(Kernel::TensorFlow));
    assert_eq!(open.interpolation, Some(Interpolation::Bilinear));
}

#[test]
fn python_code_in_front_is_not_guessed() {
    let folder = models();
    let said = said(&folder, "lambda.keras");
    let refusal = said[0].refusal.as_ref().unwrap();
    assert!(refusal.contains("`half` (Lambda)") && refusal.contains("say `scale`"), "{refusal}");
    assert_eq!(said[0].recipe.scale, None);
}

#[test]
fn both_ways_to_load_images_are_shown() {
    let folder = models();
    let said = said(&folder, "rescaling.keras");
    let notes = said[1].notes.join("\n");
    assert_eq!(said[1].tier, Tier::Config);
    for line in
        ["interpolation = \"nearest\"", "interpolation = \"bilinear\"", "kernel = \"tensorflow\""]
    {
        assert!(notes.contains(line), "{notes}");
    }
}

/// What is found in the models of others; they are not part of the project.
#[test]
fn models_of_others_say_something_or_are_refused() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !shared.join("keras").is_dir() {
        told!("skipped: ../shared/data absent");
        return;
    }
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let mut paths = [list(&shared.join("keras")), list(&shared.join("tensorflow"))].concat();
    paths.push(shared.join("tensorflow/dotnet-graphdef/model.pb"));
    paths.push(shared.join("tensorflow/ssoniya-graphdef/frozen_graph.pb"));
    for path in paths.iter().filter(|path| path.extension().is_none_or(|end| end != "json")) {
        let name = path.file_name().unwrap().to_string_lossy();
        let file = match KerasFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                assert!(error.fault().hint().is_some(), "{error}");
                told!("{name} | {} | {}", error.fault(), error.fault().hint().unwrap());
                continue;
            }
        };
        let said = statements(&file, &name);
        let decision = decide(&RecipeSpec::default(), &said, None).unwrap();
        assert!(file.weight_index().is_ok(), "{name}");
        told!(
            "{name} | {} {} | {:?} | {} | {}",
            file.container().name(),
            file.keras_version().unwrap_or("?"),
            file.model().input_layers()[0].shape,
            toml_like(&decision.recipe),
            [decision.problems, decision.notes].concat().join(" // ").replace('\n', " ")
        );
    }
}

fn toml_like(recipe: &RecipeSpec) -> String {
    serde_json::to_string(recipe).unwrap()
}
