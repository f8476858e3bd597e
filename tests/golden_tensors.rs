//! Images to tensors to scores, held to `golden/logits.json`: tensors by Pillow and numpy, scores
//! by ONNX Runtime in Python.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "the goldens are f32, JSON knows f64 alone")]

#[macro_use]
mod told;

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use half::f16;
use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    device::Device,
    engine::{Engine, OrtEngine},
    model::{Model, ModelFile},
    preprocess::{Plan, Preprocessor, Sample, Scratch},
    recipe::{Element, InputSpec, Recipe, RecipeSpec},
    runtime::{self, Runtime, RuntimeRequest},
};
use ort::value::PrimitiveTensorElementType;
use serde_json::Value;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(tests().join("golden/logits.json")).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}`"))
}

/// Numbers; `null` stands for what is not finite.
fn numbers(record: &Value) -> Vec<f32> {
    let number = |value: &Value| value.as_f64().map_or(f32::NAN, |value| value as f32);
    list(record, "values").iter().map(number).collect()
}

/// The job text of a preprocessing and a geometry of the golden file.
fn job_text(golden: &Value, preprocessing: &str, geometry: &str) -> String {
    let resize = match geometry {
        "squash" => "squash".to_owned(),
        "cover" => "cover".to_owned(),
        "shorter" => format!("shorter-side {}", golden["shorter_side"]),
        other => panic!("geometry `{other}`"),
    };
    let said = &golden["preprocessings"][preprocessing];
    let size = format!("{}x{}", golden["target"]["height"], golden["target"]["width"]);
    let filter = text(golden, "filter");
    let layout = text(said, "layout");
    let numbers = if text(said, "dtype") == "u8" {
        String::new()
    } else {
        let scale = text(said, "scale");
        format!("scale = '{scale}'\nmean = {}\nstd = {}\n", said["mean"], said["std"])
    };
    format!(
        "size = '{size}'\nresize = '{resize}'\ninterpolation = '{filter}'\n\
         layout = '{layout}'\n{numbers}"
    )
}

fn recipe(golden: &Value, record: &Value, input: &InputSpec) -> Recipe {
    let job = job_text(golden, text(record, "preprocessing"), text(record, "geometry"));
    let spec: RecipeSpec = toml::from_str(&job).unwrap_or_else(|error| panic!("{job}: {error}"));
    Recipe::resolve(&spec, input).unwrap_or_else(|error| panic!("{job}: {error}"))
}

fn pixels(name: &str, recipe: &Recipe) -> Pixels {
    let decoder = Decoder {
        limits: Limits { max_pixels: 1 << 20, max_bytes: 1 << 24 },
        policy: Policy { exif: recipe.exif, alpha: recipe.alpha, deep: recipe.deep },
        budget: Budget::new(1 << 24),
    };
    let path = tests().join("images/formula").join(name);
    let mut pixels = Pixels::default();
    decoder.decode(&fs::read(&path).unwrap(), &path, &mut pixels).unwrap();
    pixels
}

/// One image of the tensor, prepared by the library.
fn tensor<T: Sample>(name: &str, recipe: &Recipe) -> Vec<T> {
    let preprocessor = Preprocessor::<T>::new(recipe.clone());
    let mut tensor = vec![T::default(); preprocessor.image_len()];
    preprocessor.write(&pixels(name, recipe), &mut Scratch::default(), &mut tensor).unwrap();
    tensor
}

fn tensor_as_f32(name: &str, recipe: &Recipe) -> Vec<f32> {
    match recipe.element {
        Element::U8 => tensor::<u8>(name, recipe).into_iter().map(f32::from).collect(),
        Element::F16 => tensor::<f16>(name, recipe).into_iter().map(f16::to_f32).collect(),
        Element::F32 => tensor::<f32>(name, recipe),
    }
}

/// What a model of this preprocessing and with this shape would say of its input.
fn input_of(golden: &Value, record: &Value) -> InputSpec {
    let element = match text(&golden["preprocessings"][text(record, "preprocessing")], "dtype") {
        "u8" => Element::U8,
        "f16" => Element::F16,
        "f32" => Element::F32,
        other => panic!("element type `{other}`"),
    };
    let dim = |value: &Value| usize::try_from(value.as_u64().unwrap()).ok();
    let dims: Vec<_> = list(record, "shape").iter().map(dim).collect();
    InputSpec {
        name: "x".into(),
        element,
        batch: None,
        dims: dims.try_into().unwrap(),
        planar: false,
    }
}

/// The runtime of this process: it loads once, and every test may ask for it.
fn load(name: &str) -> Model {
    let request = RuntimeRequest { explicit: None, gpu_wanted: false };
    let runtime: Runtime = runtime::locate(&request).unwrap().load().unwrap();
    let file = ModelFile::open(&tests().join("models").join(name)).unwrap();
    Model::load(file, &runtime, Device::Cpu, 1).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Scores of `images`, in calls of at most `batch` images. A model of fixed batch size gets a
/// tensor of that many, as the pipeline's.
fn scores<T>(engine: &mut OrtEngine, images: &[Vec<T>], batch: usize, slots: usize) -> Vec<Vec<f32>>
where
    T: Sample + PrimitiveTensorElementType + Debug,
{
    let mut all = Vec::new();
    for group in images.chunks(batch) {
        let mut tensor = group.concat();
        tensor.resize(slots.max(group.len()) * group[0].len(), T::default());
        // Old scores must not show through.
        let mut scores = vec![7.0; 3];
        engine.score(&tensor, group.len(), &mut scores).unwrap();
        assert_eq!(scores.len() % group.len(), 0);
        all.extend(scores.chunks_exact(scores.len() / group.len()).map(<[f32]>::to_vec));
    }
    all
}

/// The largest difference between two rows, both of which may say that a score is not finite.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pair = |(found, expected): (&f32, &f32)| match (found.is_finite(), expected.is_finite()) {
        (true, true) => (found - expected).abs(),
        (false, false) => 0.0,
        _ => f32::INFINITY,
    };
    found.iter().zip(expected).map(pair).fold(0.0, f32::max)
}

#[test]
fn a_missing_or_wrong_score_is_a_difference() {
    assert_eq!(difference(&[1.0, f32::NAN], &[1.5, f32::INFINITY]), 0.5);
    assert_eq!(difference(&[f32::NAN], &[1.0]), f32::INFINITY);
    assert_eq!(difference(&[1.0], &[f32::NAN]), f32::INFINITY);
}

#[test]
fn tensors_are_those_of_pillow_and_numpy() {
    let golden = golden();
    let records = list(&golden, "tensors");
    assert_eq!(records.len(), 68, "images × preprocessings × geometries");
    let mut worst = 0.0_f32;
    for record in records {
        let what = format!(
            "{} {} {}",
            text(record, "image"),
            text(record, "preprocessing"),
            text(record, "geometry")
        );
        let recipe = recipe(&golden, record, &input_of(&golden, record));
        let found = tensor_as_f32(text(record, "image"), &recipe);
        // The golden has the shortest digits that give back the same value in its own precision.
        let expected: Vec<f32> = match recipe.element {
            Element::F16 => {
                numbers(record).iter().map(|&value| f16::from_f32(value).to_f32()).collect()
            }
            _ => numbers(record),
        };
        let differs = difference(&found, &expected);
        // The same steps in the same precision: not even the last bit may differ.
        assert!(differs == 0.0, "{what}: {differs}");
        worst = worst.max(differs);
    }
    told!("worst difference of a tensor element: {worst:e}");
}

#[test]
fn plans_are_those_of_the_reference() {
    let golden = golden();
    for record in list(&golden, "tensors") {
        let recipe = recipe(&golden, record, &input_of(&golden, record));
        let size = pixels(text(record, "image"), &recipe).size;
        let plan = Plan::new(&recipe, size).unwrap();
        let resized = [plan.resized.height, plan.resized.width];
        let crop = [plan.crop.top, plan.crop.left];
        let pair = |key: &str, names: [&str; 2]| {
            names.map(|name| usize::try_from(record[key][name].as_u64().unwrap()).unwrap())
        };
        assert_eq!(resized, pair("resized", ["height", "width"]), "{record:.80}");
        assert_eq!(crop, pair("crop", ["top", "left"]), "{record:.80}");
        assert_eq!(plan.offset, (0, 0));
    }
}

/// Names of the models with scores, in the order of the golden file.
fn models(golden: &Value) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for record in list(golden, "scores") {
        if names.last().is_none_or(|last| last != text(record, "model")) {
            names.push(text(record, "model").to_owned());
        }
    }
    names
}

/// The largest differences of one model: to the golden scores, and of batches to single images.
struct Worst {
    golden: f32,
    batch: f32,
    rows: usize,
}

fn check_model<T>(golden: &Value, name: &str) -> Worst
where
    T: Sample + PrimitiveTensorElementType + Debug,
{
    let records: Vec<_> =
        list(golden, "scores").iter().filter(|record| record["model"] == name).collect();
    let model = load(name);
    let wanted = text(records[0], "output");
    let output = model.choose_output(Some(wanted), None).unwrap().clone();
    let input = model.input.clone();
    let first = recipe(golden, records[0], &input);
    let session = model.into_sessions().session().unwrap();
    let mut engine = OrtEngine::new(session, &first, &input, &output.name);

    let images: Vec<Vec<T>> = records
        .iter()
        .map(|record| tensor::<T>(text(record, "image"), &recipe(golden, record, &input)))
        .collect();
    let slots = input.batch.unwrap_or(1);
    let singles = scores(&mut engine, &images, 1, slots);
    let mut worst = Worst { golden: 0.0, batch: 0.0, rows: singles.len() };
    for (found, record) in singles.iter().zip(&records) {
        let differs = difference(found, &numbers(record));
        let tolerance = record["tolerance"].as_f64().unwrap() as f32;
        let image = format!("{} {}", text(record, "image"), text(record, "geometry"));
        assert!(differs <= tolerance, "{name} {image}: {differs} over {tolerance}");
        worst.golden = worst.golden.max(differs);
    }
    for batch in [2, 3, 4, 7, 17] {
        let batch = batch.min(input.batch.unwrap_or(batch));
        let together = scores(&mut engine, &images, batch, slots);
        for (row, (together, single)) in together.iter().zip(&singles).enumerate() {
            let differs = difference(together, single);
            assert!(differs <= 1e-6, "{name}: row {row} in a batch of {batch}: {differs}");
            worst.batch = worst.batch.max(differs);
        }
    }
    worst
}

#[test]
fn scores_are_those_of_onnx_runtime_in_python_alone_and_in_batches() {
    let golden = golden();
    let names = models(&golden);
    assert_eq!(names.len(), 13, "{names:?}");
    let mut rows = 0;
    for name in &names {
        let element = load(name).input.element;
        let worst = match element {
            Element::U8 => check_model::<u8>(&golden, name),
            Element::F16 => check_model::<f16>(&golden, name),
            Element::F32 => check_model::<f32>(&golden, name),
        };
        println!("{name}: {:e} to the golden, {:e} in batches", worst.golden, worst.batch);
        rows += worst.rows;
    }
    assert_eq!(rows, list(&golden, "scores").len(), "every record was compared");
}
