//! Recipes in linnaeus's words, held to tensors that the packages themselves made: Keras,
//! torchvision, timm, Hugging Face's processors, Ultralytics, OpenCV and others.
//!
//! `golden/recipes/<ecosystem>.json` lists the records, which say how near linnaeus must come;
//! `golden/recipes/make_*.py` made them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[macro_use]
mod told;
mod samples;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    detect::{Facts, decide, folder::Folder, statements},
    geometry::Size,
    preprocess::{Preprocessor, Scratch},
    recipe::{Element, InputSpec, Layout, Recipe, RecipeSpec},
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Golden {
    versions: BTreeMap<String, String>,
    records: Vec<Record>,
}

/// A tensor that a package made of an image of `images`.
#[derive(Debug, Deserialize)]
struct Record {
    name: String,
    image: String,
    /// What linnaeus has to be told for the same tensor.
    recipe: String,
    dims: [usize; 3],
    /// CRC-32 of all elements, f32 in little endian.
    crc: String,
    /// Every so-many-th element is kept.
    stride: usize,
    /// Of the first of them, in bytes of the `.bin`.
    offset: usize,
    /// The largest difference of an element that is right; 0 also wants the CRC to be met. None
    /// where the recipe is only the nearest one.
    bound: Option<f32>,
    /// Why it is.
    note: Option<String>,
    /// The file that the package was given.
    config: Option<Value>,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

impl Record {
    fn spec(&self) -> Result<RecipeSpec, String> {
        toml::from_str(&self.recipe).map_err(|error| error.to_string())
    }

    fn input(&self) -> InputSpec {
        let (name, dims) = ("x".to_owned(), self.dims.map(Some));
        InputSpec { name, element: Element::F32, batch: None, dims, planar: false }
    }

    fn resolve(&self) -> Result<Recipe, String> {
        Recipe::resolve(&self.spec()?, &self.input())
    }

    fn pixels(&self, recipe: &Recipe) -> Pixels {
        let decoder = Decoder {
            limits: Limits { max_pixels: 1 << 20, max_bytes: 1 << 24 },
            policy: Policy { exif: recipe.exif, alpha: recipe.alpha, deep: recipe.deep },
            budget: Budget::new(1 << 24),
        };
        let path = tests().join("images").join(&self.image);
        let mut pixels = Pixels::default();
        decoder.decode(&fs::read(&path).unwrap(), &path, &mut pixels).unwrap();
        pixels
    }

    /// Of the package, those that are kept.
    fn elements(&self, data: &[u8]) -> Vec<f32> {
        let count = self.dims.iter().product::<usize>().div_ceil(self.stride);
        let bytes = &data[self.offset..self.offset + 4 * count];
        bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    /// Of linnaeus: the largest difference, and whether all elements are the same.
    fn compare(&self, recipe: Recipe, data: &[u8]) -> (f32, bool) {
        let pixels = self.pixels(&recipe);
        let preprocessor = Preprocessor::<f32>::new(recipe);
        let mut tensor = vec![f32::NAN; preprocessor.image_len()];
        preprocessor.write(&pixels, &mut Scratch::default(), &mut tensor).unwrap();
        // The sum turns −0 into 0, as in the script.
        let bytes = tensor.iter().flat_map(|&element| (element + 0.0).to_le_bytes());
        let bytes: Vec<u8> = bytes.collect();
        let same = format!("{:08x}", samples::crc32(&bytes)) == self.crc;
        let expected = self.elements(data);
        let found: Vec<f32> = tensor.into_iter().step_by(self.stride).collect();
        assert_eq!(found.len(), expected.len(), "{}", self.name);
        let difference = |(found, expected): (&f32, &f32)| {
            let difference = (found - expected).abs();
            if difference.is_nan() { f32::INFINITY } else { difference }
        };
        (found.iter().zip(&expected).map(difference).fold(0.0, f32::max), same)
    }
}

/// What one ecosystem came to.
#[derive(Debug, Default)]
struct Outcome {
    compared: usize,
    same: usize,
    /// Of the records that have a recipe of their own, and not only the nearest one.
    worst: f32,
    noted: usize,
    wrong: Vec<String>,
}

fn read(ecosystem: &str) -> (Golden, Vec<u8>) {
    let folder = tests().join("golden/recipes");
    let text = fs::read_to_string(folder.join(format!("{ecosystem}.json"))).unwrap();
    let data = fs::read(folder.join(format!("{ecosystem}.bin"))).unwrap();
    (serde_json::from_str(&text).unwrap(), data)
}

fn check(ecosystem: &str) -> (Golden, Outcome) {
    let (golden, data) = read(ecosystem);
    let mut outcome = Outcome::default();
    for record in &golden.records {
        let recipe = match record.resolve() {
            Ok(recipe) => recipe,
            Err(error) => {
                outcome.wrong.push(format!("{}: {error}", record.name));
                continue;
            }
        };
        let (worst, same) = record.compare(recipe, &data);
        outcome.compared += 1;
        outcome.same += usize::from(same);
        println!("{ecosystem}: {}: {worst:e}{}", record.name, if same { "" } else { " ≠" });
        let Some(bound) = record.bound else {
            let note = record.note.as_ref().expect("a reason for not having words for it");
            outcome.noted += 1;
            if worst < 1e-3 {
                outcome.wrong.push(format!("{}: {worst:e}, in spite of: {note}", record.name));
            }
            continue;
        };
        outcome.worst = outcome.worst.max(worst);
        if worst > bound || (bound == 0.0 && !same) {
            outcome.wrong.push(format!("{}: {worst:e} over {bound:e}", record.name));
        }
    }
    (golden, outcome)
}

fn hold(ecosystem: &str, records: usize) {
    let (golden, outcome) = check(ecosystem);
    let versions: Vec<_> =
        golden.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    told!(
        "{ecosystem}: {} of {} records, {} the same to the last bit, worst difference {:e}, {} only \
         near ({})",
        outcome.compared,
        golden.records.len(),
        outcome.same,
        outcome.worst,
        outcome.noted,
        versions.join(", ")
    );
    assert!(outcome.wrong.is_empty(), "{ecosystem}:\n{}", outcome.wrong.join("\n"));
    assert_eq!(golden.records.len(), records, "{ecosystem}");
    assert_eq!(outcome.compared, records, "{ecosystem}");
}

#[test]
fn keras() {
    hold("keras", 58);
}

#[test]
fn torchvision() {
    hold("torchvision", 35);
}

#[test]
fn timm() {
    hold("timm", 25);
}

#[test]
fn hugging_face_4() {
    hold("transformers-4", 89);
}

#[test]
fn hugging_face_5() {
    hold("transformers-5", 88);
}

#[test]
fn ultralytics() {
    hold("ultralytics", 7);
    hold("ultralytics-8.0", 6);
}

#[test]
fn scripts_of_opencv_pillow_and_tensorflow() {
    hold("scripts", 50);
}

/// What detection makes of the record's configuration beside a model of its shape. The resampler
/// is taken from the record: which backend a processor runs with is not in its file.
fn detected(record: &Record, config: &Value, name: &str, version: &str) -> Result<Recipe, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onnx"), "").unwrap();
    fs::write(folder.path().join(name), config.to_string()).unwrap();
    if name != "config.json" {
        let text = format!("{{\"transformers_version\":\"{version}\"}}");
        fs::write(folder.path().join("config.json"), text).unwrap();
    }
    let folder = Folder::beside(&folder.path().join("model.onnx")).unwrap();
    let [_, height, width] = record.dims;
    let input = record.input();
    let size = Some(Size { height, width });
    let layout = Some(Layout::Nchw);
    let facts = Facts { input: &input, size, layout, classes: None };
    let found = statements(&folder, &BTreeMap::new(), &facts);
    let decision = decide(&RecipeSpec::default(), &found, size)?;
    if !decision.problems.is_empty() {
        return Err(decision.problems.join("; "));
    }
    let said = record.spec()?;
    let kernel = RecipeSpec { kernel: said.kernel, alpha: said.alpha, ..RecipeSpec::default() };
    Recipe::resolve(&decision.recipe.overridden_by(kernel), &input)
}

/// Records whose configuration does not lead to their tensor: where the torchvision backend pads by
/// an odd number, it starts one pixel before the PIL backend, and linnaeus follows the latter.
const UNDETECTED: [&str; 1] = ["CLIP padded torchvision h4w5.png"];

/// `undetected` are the records of `UNDETECTED` that there are.
fn hold_detected(ecosystem: &str, file: &str, version: &str, undetected: usize) {
    let (golden, data) = read(ecosystem);
    let mut wrong = Vec::new();
    let (mut compared, mut known) = (0, 0);
    for record in &golden.records {
        let (Some(config), Some(bound)) = (&record.config, record.bound) else { continue };
        compared += 1;
        let failure = match detected(record, config, file, version) {
            Ok(recipe) => {
                let (worst, _) = record.compare(recipe, &data);
                // What is exact in other words may differ in the last place in these.
                (worst > bound.max(1e-6)).then(|| worst.to_string())
            }
            Err(error) => Some(error),
        };
        match failure {
            Some(_) if UNDETECTED.contains(&record.name.as_str()) => known += 1,
            Some(failure) => wrong.push(format!("{}: {failure}", record.name)),
            None => {}
        }
    }
    told!("{ecosystem}: {compared} configurations lead to their tensors, but for {known}");
    assert!(wrong.is_empty(), "{ecosystem}:\n{}", wrong.join("\n"));
    assert!(compared > 20, "{ecosystem}: {compared}");
    assert_eq!(known, undetected, "{ecosystem}");
}

#[test]
fn configurations_lead_to_the_same_tensors() {
    hold_detected("timm", "config.json", "", 0);
    hold_detected("transformers-4", "preprocessor_config.json", "4.57.6", 1);
    hold_detected("transformers-5", "preprocessor_config.json", "5.23.0", 1);
}
