//! Writes a model that carries its recipe, labels and golden images with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    classifier::Classifier,
    config::{self, ModelConfig},
    digest,
    error::RunError,
    model::ModelFile,
    onnx, output,
    package::{Golden, MAX_GOLDEN_BYTES, MAX_GOLDENS, Origin, Package},
    recipe::{Activation, Recipe, RecipeSpec},
    source,
};

use temperature::Fitted;

pub mod keras;
mod temperature;

/// An image that proves a package, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The image.
    pub image: std::path::PathBuf,
    /// The label or the index of its class.
    pub class: String,
}

impl std::str::FromStr for Expected {
    type Err = String;

    /// Reads `IMAGE=LABEL`; the last `=` divides them.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('=') {
            Some((image, class)) if !image.is_empty() && !class.is_empty() => {
                Ok(Self { image: image.into(), class: class.to_owned() })
            }
            _ => Err(format!("`{text}` is not IMAGE=LABEL, such as elephant.jpg=386")),
        }
    }
}

/// What a package is to carry beside the recipe and the labels.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Images with the classes that they have to get.
    pub golden: Vec<Expected>,
    /// The `report.json` of an evaluation of this model, whose temperature the recipe gets.
    pub temperature_from: Option<PathBuf>,
}

/// A package that was written, and what a person should know of it.
#[derive(Debug, Clone)]
pub struct Packed {
    /// What the model carries.
    pub package: Package,
    /// As sentences.
    pub notes: Vec<String>,
}

/// Packs a model, and returns what it carries.
///
/// # Errors
///
/// Those of [`Classifier::open`]; `Model` when a golden image gets another class than expected, or
/// a file of weights would replace another; `Usage` when a temperature cannot be taken; `Output` when
/// the package cannot be written.
pub fn pack(config: &ModelConfig, wishes: &Wishes, target: &Path) -> Result<Packed, RunError> {
    let Wishes { golden, temperature_from } = wishes;
    let fitted = temperature_from.as_deref().map(Fitted::load).transpose()?;
    let mut config = config.clone();
    if let Some(fitted) = &fitted {
        config.recipe.temperature = Some(fitted.temperature);
    }
    let mut classifier = Classifier::open(&config)?;
    let mut notes = Vec::new();
    if let Some(fitted) = &fitted {
        fitted.fits(&classifier)?;
        let exact =
            if fitted.exact { "" } else { ", an estimate: its rows hold only the best classes" };
        notes.push(format!("temperature {}{exact}", fitted.temperature));
    }
    let package = package(&mut classifier, golden)?;
    write(&classifier.file, &package, target)?;
    Ok(Packed { package, notes })
}

/// What a model is to carry, with its golden images confirmed.
fn package(classifier: &mut Classifier, expected: &[Expected]) -> Result<Package, RunError> {
    let file = classifier.file.read()?;
    let fail = |reason: String| {
        RunError::Model(format!("cannot pack {}: {reason}", classifier.file.path.display()))
    };
    if expected.len() > MAX_GOLDENS {
        return Err(fail(format!(
            "{} golden images are too many; {MAX_GOLDENS} may be",
            expected.len()
        )));
    }
    let (activation, goldens) = proved(classifier, expected)?;
    Ok(Package {
        recipe: spec(&classifier.recipe, activation),
        labels: classifier.labels.as_ref().map(|(labels, _)| labels.clone()),
        output: (file.outputs().len() > 1).then(|| classifier.output.name.clone()),
        goldens,
        source: Origin {
            file: file_name(&classifier.file.path),
            sha256: classifier.file.sha256.clone(),
            linnaeus: env!("CARGO_PKG_VERSION").to_owned(),
        },
    })
}

/// The golden images with the model's answers, which are as expected, and the activation that they
/// were got with.
fn proved(
    classifier: &mut Classifier,
    expected: &[Expected],
) -> Result<(Option<Activation>, Vec<Golden>), RunError> {
    let images = expected.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let borrowed: Vec<_> = images.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let (activation, answers) = if images.is_empty() {
        (None, Vec::new())
    } else {
        let (activation, answers) = classifier.answers(&borrowed, 1, config::usual_limits().0)?;
        (Some(activation), answers.into_iter().flatten().collect())
    };
    let goldens = images.into_iter().zip(expected).zip(answers).map(|((image, expected), best)| {
        confirm(classifier, expected, best.class, best.probability)?;
        let (name, image) = image;
        Ok(Golden { name, class: best.class, probability: best.probability, image })
    });
    Ok((activation, goldens.collect::<Result<_, RunError>>()?))
}

/// Writes a package, its weights first: the file that leads to them is complete once it is there.
fn write(file: &ModelFile, package: &Package, target: &Path) -> Result<(), RunError> {
    let model = file.onnx();
    let fail =
        |reason: String| RunError::Model(format!("cannot pack {}: {reason}", model.display()));
    let bytes = fs::read(model).map_err(|error| fail(error.to_string()))?;
    let entries = package.entries().map_err(RunError::Internal)?.into_iter().collect();
    let packed = onnx::with_metadata(&bytes, &entries).map_err(|error| fail(error.to_string()))?;
    let folder = target.parent().unwrap_or(Path::new(""));
    let from = model.parent().unwrap_or(Path::new(""));
    let copies: Vec<_> = (file.weights.iter())
        .map(|weights| (from.join(&weights.location), folder.join(&weights.location), weights))
        .filter(|(from, to, _)| !is_same(from, to))
        .collect();
    // What would be replaced may be the weights of another model.
    let other = copies.iter().find(|(_, to, weights)| {
        let found = File::open(to).and_then(digest::of);
        to.exists() && found.map_or(true, |(_, sha256)| sha256 != weights.sha256)
    });
    if let Some((_, to, _)) = other {
        return Err(fail(format!(
            "its weights are in a file of their own, and {} is another one\nhint: pack it into \
             another folder",
            to.display()
        )));
    }
    for (from, to, _) in copies.iter().filter(|(_, to, _)| !to.exists()) {
        output::copy_atomically(from, to)?;
    }
    output::write_atomically(target, &packed)
}

/// Whether both paths lead to one file.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn read(expected: &Expected) -> Result<(String, Vec<u8>), RunError> {
    let path = &expected.image;
    let mut bytes = Vec::new();
    source::read_named(path, MAX_GOLDEN_BYTES, &mut bytes).map_err(|error| {
        RunError::Usage(format!(
            "cannot use the golden image {}: {error}\nhint: the package carries it, so it has to \
             be a file of at most {MAX_GOLDEN_BYTES} bytes",
            path.display()
        ))
    })?;
    Ok((file_name(path), bytes))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

/// Checks that the best class is the expected one, by its name, or by its index where no class has
/// that name.
fn confirm(
    classifier: &Classifier,
    expected: &Expected,
    class: usize,
    probability: f64,
) -> Result<(), RunError> {
    let labels = classifier.labels.as_ref().map(|(labels, _)| labels);
    let name = labels.and_then(|labels| labels.name(class)).unwrap_or_default();
    let wanted = expected.class.trim();
    let classes = labels.map(|labels| labels.classes_named(wanted)).unwrap_or_default();
    match classes[..] {
        // Only what is no name is an index: labels may be numbers themselves.
        [] if wanted.parse() == Ok(class) => return Ok(()),
        [only] if only == class => return Ok(()),
        [first, second, ..] => {
            return Err(RunError::Usage(format!(
                "`--golden {}={wanted}`: several classes are called so, such as {first} and \
                 {second}\nhint: give the index of one of them",
                expected.image.display()
            )));
        }
        _ => {}
    }
    Err(RunError::Model(format!(
        "the golden image {} should be {wanted}, and the model says class {class} ({name}) with \
         {probability:.3}; nothing was written\nhint: the recipe or the labels may be wrong; \
         `linnaeus doctor` ranks the usual recipes",
        expected.image.display()
    )))
}

/// A decided recipe as keys that are all said.
fn spec(recipe: &Recipe, activation: Option<Activation>) -> RecipeSpec {
    let Recipe { size, resize, interpolation, kernel, crop, scale, channels, layout, .. } = *recipe;
    let Recipe { exif, alpha, deep, .. } = *recipe;
    let list = |values: Vec<f32>| Some(crate::recipe::PerChannel(values));
    // What is fed as bytes has no numbers to say.
    let bytes = recipe.element == crate::recipe::Element::U8;
    RecipeSpec {
        preset: None,
        size: Some(size),
        resize: Some(resize),
        interpolation: Some(interpolation),
        kernel: Some(kernel),
        crop: Some(crop),
        fill: list(recipe.fill.iter().copied().map(f32::from).collect()),
        scale: (!bytes).then_some(scale),
        mean: list(recipe.mean.clone()).filter(|_| !bytes),
        std: list(recipe.std.clone()).filter(|_| !bytes),
        channels: Some(channels),
        layout: Some(layout),
        exif: Some(exif),
        alpha: Some(alpha),
        deep: Some(deep),
        activation: recipe.activation.or(activation),
        temperature: recipe.temperature,
    }
}
