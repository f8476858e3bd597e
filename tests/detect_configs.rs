//! What detection makes of the configs from which the packages made the tensors of
//! `golden/recipes`: it has to be the recipe to which `recipes.rs` holds those tensors.

#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod told;

use std::{collections::BTreeMap, fs, path::Path};

use linnaeus::{
    detect::{self, Facts, folder::Folder},
    geometry::Size,
    recipe::{
        Crop, CropRounding, Element, InputSpec, Kernel, Layout, Recipe, RecipeSpec, Resize, Scale,
    },
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Golden {
    versions: BTreeMap<String, String>,
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    name: String,
    recipe: String,
    dims: [usize; 3],
    /// None where no recipe is the same.
    bound: Option<f32>,
    config: Option<Value>,
}

fn golden(ecosystem: &str) -> Golden {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recipes");
    let text = fs::read_to_string(folder.join(format!("{ecosystem}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The recipe that is decided for a folder with these files and a model of these dimensions.
fn detected(files: &[(&str, &Value)], dims: [usize; 3]) -> Result<Recipe, String> {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("model.onnx"), "").unwrap();
    for (name, content) in files {
        fs::write(root.path().join(name), content.to_string()).unwrap();
    }
    let folder = Folder::beside(&root.path().join("model.onnx")).unwrap();
    decided(&folder, dims.map(Some))
}

fn decided(folder: &Folder, dims: [Option<usize>; 3]) -> Result<Recipe, String> {
    let input =
        InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false };
    let size = dims[1].zip(dims[2]).map(|(height, width)| Size { height, width });
    let facts = Facts { input: &input, size, layout: Some(Layout::Nchw), classes: None };
    let statements = detect::statements(folder, &BTreeMap::new(), &facts);
    let decision = detect::decide(&RecipeSpec::default(), &statements, size)?;
    match &decision.problems[..] {
        [] => Recipe::resolve(&decision.recipe, &input),
        problems => Err(problems.join("; ")),
    }
}

impl Record {
    fn expected(&self) -> Recipe {
        let spec: RecipeSpec = toml::from_str(&self.recipe).unwrap();
        let dims = self.dims.map(Some);
        let input =
            InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false };
        Recipe::resolve(&spec, &input).unwrap()
    }
}

/// The same recipe by what it does: to a byte of each channel, and to the image. A centred crop of
/// an image that has the model's size already does nothing.
fn same(found: &Recipe, expected: &Recipe) -> bool {
    let fed = |recipe: &Recipe, byte: f32| -> Vec<f32> {
        let numbers = recipe.mean.iter().zip(&recipe.std);
        numbers.map(|(mean, std)| (recipe.scale.apply(byte) - mean) / std).collect()
    };
    let numbers = [0.0, 100.0, 255.0].iter().all(|&byte| {
        let pairs = fed(found, byte).into_iter().zip(fed(expected, byte));
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= 2e-6 * b.abs().max(1.0))
    });
    let plain = |recipe: &Recipe| {
        let whole =
            matches!(recipe.resize, Resize::Squash(to) if to.is_none_or(|to| to == recipe.size));
        Recipe {
            scale: Scale::RAW,
            mean: Vec::new(),
            std: Vec::new(),
            activation: None,
            resize: if whole { Resize::Squash(None) } else { recipe.resize },
            crop: if whole { Crop::None } else { recipe.crop },
            ..recipe.clone()
        }
    };
    numbers && plain(found) == plain(expected)
}

fn check(ecosystem: &str, file: &str) {
    let golden = golden(ecosystem);
    let version = golden.versions.get("transformers").cloned().unwrap_or_default();
    let config = serde_json::json!({"transformers_version": version});
    let (mut compared, mut wrong) = (0, Vec::new());
    for record in &golden.records {
        let Some(own) = &record.config else { continue };
        let mut files = vec![(file, own)];
        if file != "config.json" {
            files.push(("config.json", &config));
        }
        let mut expected = record.expected();
        // Detection takes the Pillow class for torchvision's, and says so; they crop otherwise too.
        if expected.kernel == Kernel::Torch {
            expected.kernel = Kernel::Pillow13;
            if let Crop::Center(rounding) = &mut expected.crop {
                *rounding = CropRounding::Floor;
            }
        }
        compared += 1;
        match detected(&files, record.dims) {
            Ok(found) if same(&found, &expected) => {}
            Err(_) if record.bound.is_none() => {}
            found => wrong.push(format!("{}: {found:?}\nexpected {expected:?}", record.name)),
        }
    }
    told!("{ecosystem}: {compared} configs detected");
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 20, "only {compared} records have a config");
}

#[test]
fn transformers_5_is_detected() {
    check("transformers-5", "preprocessor_config.json");
}

#[test]
fn transformers_4_is_detected() {
    check("transformers-4", "preprocessor_config.json");
}

#[test]
fn timm_is_detected() {
    check("timm", "config.json");
}

#[test]
fn published_configs_are_detected() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/models/hf-configs");
    if !configs.is_dir() {
        told!("skipped: ../shared/data absent");
        return;
    }
    let vit = Folder::beside(&configs.join("y2-Whyto")).unwrap();
    let recipe = decided(&vit, [Some(3), None, None]).unwrap();
    assert_eq!((recipe.size, recipe.mean), (Size::square(224), vec![0.485, 0.456, 0.406]));
    // Its file leaves out the crop, which its class then makes to 224: larger than the model.
    let small = Folder::beside(&configs.join("mertincesu")).unwrap();
    let problem = decided(&small, [Some(3), Some(160), Some(160)]).unwrap_err();
    assert!(problem.contains("224x224") && problem.contains("160x160"), "{problem}");
}
