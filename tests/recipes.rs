//! Recipes in linnaeus's words, held to tensors that the packages themselves made: Keras,
//! torchvision, timm, Hugging Face's processors, Ultralytics, OpenCV and others.
//!
//! `golden/recipes/<ecosystem>.json` lists the records, which say how near linnaeus must come;
//! `golden/recipes/make_*.py` made them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[macro_use]
mod told;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    preprocess::{Preprocessor, Scratch},
    recipe::{Element, InputSpec, Recipe, RecipeSpec},
};
use serde::Deserialize;

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
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// CRC-32 as in zlib.
fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

impl Record {
    fn resolve(&self) -> Result<Recipe, String> {
        let spec: RecipeSpec = toml::from_str(&self.recipe).map_err(|error| error.to_string())?;
        let dims = self.dims.map(Some);
        let name = "x".to_owned();
        let input = InputSpec { name, element: Element::F32, batch: None, dims, planar: false };
        Recipe::resolve(&spec, &input)
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
        let same = format!("{:08x}", crc32(bytes)) == self.crc;
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

fn check(ecosystem: &str) -> (Golden, Outcome) {
    let folder = tests().join("golden/recipes");
    let text = fs::read_to_string(folder.join(format!("{ecosystem}.json"))).unwrap();
    let data = fs::read(folder.join(format!("{ecosystem}.bin"))).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
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
