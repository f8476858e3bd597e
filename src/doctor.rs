//! Which recipe a model was trained with, found out by trying.
//!
//! With labelled images the recipes are ranked by accuracy, and told apart by `McNemar`'s test on
//! the same images. Without, by the mutual information of images and answers, which is high when
//! answers are sure and differ from image to image: a hint, not a proof.

use std::path::{Path, PathBuf};

use half::f16;

use crate::{
    classifier::{self, Loaded},
    config::ModelConfig,
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    detect::Examined,
    engine::{Engine as _, Feed, OrtEngine},
    error::{ItemError, RunError},
    geometry::Size,
    labels::Labels,
    model::{ModelFile, OutputSpec},
    preprocess::{Preprocessor, Scratch},
    rank,
    recipe::{Activation, Element, InputSpec, Recipe},
    source,
    walk::{Globs, Met, Walk, WalkOptions},
};

mod candidates;
mod judge;
mod report;
mod truth;

use candidates::{Candidate, Known};
use judge::Tried;
pub use report::{Ranked, Report};
use truth::Labelled;
pub use truth::Truth;

/// Images that are tried when nobody says how many.
pub const USUAL_IMAGES: usize = 200;

/// Bytes of probabilities that are kept: images × classes × candidates, each four.
const AFFORDABLE: usize = 1 << 30;

/// Candidates of a model of any size, at most; others have about thirty.
const CANDIDATES: usize = 128;

/// Classes of a model that does not say how many it has.
const MOST_CLASSES: usize = 1 << 15;

/// Fewer images than this rank nothing.
const FEWEST_IMAGES: usize = 16;

/// What an examination looks at.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folders and files with images; may be empty when `truth` names them.
    pub images: Vec<PathBuf>,
    /// What they show.
    pub truth: Truth,
    /// Most images that are tried; at least 16, and fewer where their answers would not fit memory.
    pub most: usize,
    /// What is refused.
    pub limits: Limits,
    /// Bytes of one image file.
    pub max_file_bytes: u64,
}

/// Tries the plausible recipes of a model, and ranks them.
///
/// # Errors
///
/// `Model`, `Runtime` when the model cannot be used at all; `Input`, `Usage` when the images or
/// their truth cannot be.
pub fn examine(config: &ModelConfig, options: &Options) -> Result<Report, RunError> {
    let own = Labels::said(config)?;
    let mut file = ModelFile::of(config)?;
    let examined = {
        let onnx = file.admit()?;
        Examined::new(&file, &onnx)?
    };
    let decision = examined.decide(&config.recipe).map_err(RunError::Usage)?;
    let labels = examined.labels(config, own, &decision).map_err(RunError::Model)?;
    let loaded = classifier::load(&ModelConfig { sessions: Some(1), ..config.clone() }, file)?;
    let count = labels.as_ref().map(|(labels, _)| labels.count());
    let output =
        loaded.model.choose_output(examined.output(config.output.as_deref()), count)?.clone();
    let report = Report::new(&loaded, &output, &decision, (labels.as_ref(), &examined));
    let classes = output.classes().flatten().unwrap_or(MOST_CLASSES);
    let images = gather(options, AFFORDABLE / (4 * classes.max(1) * CANDIDATES))?;
    if images.is_empty() {
        return Ok(report);
    }
    check_count(images.len(), &[])?;
    let input = loaded.model.input.clone();
    let known = Known { spec: &decision.recipe, input: &input };
    let first = known.numbers();
    let Some(start) = first.first() else {
        return Err(RunError::Model(format!(
            "no usual recipe fits the model {}\nhint: say what is known of it, such as `size` or \
             `layout`",
            config.path.display()
        )));
    };
    let most = config.batch_size.unwrap_or(TOGETHER).min(TOGETHER);
    let mut bench = Bench::new(loaded, &output, options, (images, &start.recipe, most))?;
    let mut tried = bench.try_all(first);
    check_count(bench.images.len(), &bench.failed)?;
    check_possible(&tried)?;
    let readings =
        truth::readings(&bench.images, labels.as_ref().map(|(labels, _)| labels), bench.classes);
    let reading = judge::best_reading(&tried, &bench.images, &readings);
    let best = judge::chosen(&tried, &bench.images, reading.as_ref());
    let more: Vec<Candidate> = known
        .geometries(&tried[best].candidate)
        .into_iter()
        .filter(|candidate| tried.iter().all(|known| known.candidate.recipe != candidate.recipe))
        .collect();
    tried.extend(bench.try_all(more));
    Ok(report.with_ranking(&bench, &tried, reading.as_ref()))
}

/// Refuses what ranks nothing; `failed` are the images that could not be read.
fn check_count(images: usize, failed: &[String]) -> Result<(), RunError> {
    if images >= FEWEST_IMAGES {
        return Ok(());
    }
    let unread = failed.first().map_or(String::new(), |first| {
        format!("; {} more could not be read, such as {first}", failed.len())
    });
    Err(RunError::Usage(format!(
        "{images} images are too few to tell recipes apart{unread}\nhint: give {FEWEST_IMAGES} or \
         more, better 64, of many kinds"
    )))
}

/// Refuses a model that runs under no candidate.
fn check_possible(tried: &[Tried]) -> Result<(), RunError> {
    let reasons: Option<Vec<_>> = tried.iter().map(|tried| tried.impossible.as_ref()).collect();
    match reasons.as_deref() {
        Some([first, ..]) => Err(RunError::Model(format!(
            "the model runs under none of {} recipes: {first}\nhint: it may have been exported for \
             another batch size or image size; try `--batch-size 1`, or say its `size`",
            tried.len()
        ))),
        _ => Ok(()),
    }
}

/// The images to try, evenly spread over all that there are.
fn gather(options: &Options, affordable: usize) -> Result<Vec<Labelled>, RunError> {
    let all = match &options.truth {
        Truth::File(path) => truth::read_file(path)?,
        Truth::Folders(root) => in_folders(root)?,
        Truth::Unknown => walk(&options.images)?
            .into_iter()
            .map(|(path, _)| Labelled { path, truth: None })
            .collect(),
    };
    let most = options.most.min(affordable).max(FEWEST_IMAGES);
    if all.len() <= most {
        return Ok(all);
    }
    let count = all.len();
    Ok((0..most).map(|at| all[at * count / most].clone()).collect())
}

fn in_folders(root: &Path) -> Result<Vec<Labelled>, RunError> {
    let labelled = |(path, name): (PathBuf, Vec<u8>)| {
        let name = String::from_utf8_lossy(&name).into_owned();
        let (class, _) = name.split_once('/')?;
        Some(Labelled { path, truth: Some(class.to_owned()) })
    };
    let images: Vec<_> = walk(&[root.to_owned()])?.into_iter().filter_map(labelled).collect();
    if images.is_empty() {
        return Err(RunError::Usage(format!(
            "{} has no folders with images\nhint: each class is a folder of its own",
            root.display()
        )));
    }
    Ok(images)
}

fn walk(roots: &[PathBuf]) -> Result<Vec<(PathBuf, Vec<u8>)>, RunError> {
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let globs = || Globs::compile("include", &[]).map_err(RunError::Internal);
    let options = WalkOptions {
        include: globs()?,
        exclude: globs()?,
        hidden: false,
        follow_symlinks: false,
        every_file: false,
        min_age: None,
    };
    let mut found = Vec::new();
    for met in Walk::new(roots, options)? {
        if let Met::Candidate(source) = met? {
            found.push((source.path, source.name));
        }
    }
    Ok(found)
}

/// Everything that candidates are tried with.
struct Bench<'a> {
    engine: OrtEngine,
    input: InputSpec,
    batch: usize,
    classes: usize,
    options: &'a Options,
    images: Vec<Labelled>,
    /// Images that could not be read, and why.
    failed: Vec<String>,
    /// Whether every image was read once.
    settled: bool,
}

/// Images in memory at once.
const TOGETHER: usize = 8;

impl<'a> Bench<'a> {
    fn new(
        loaded: Loaded,
        output: &OutputSpec,
        options: &'a Options,
        (images, recipe, most): (Vec<Labelled>, &Recipe, usize),
    ) -> Result<Self, RunError> {
        let input = loaded.model.input.clone();
        let batch = input.batch.unwrap_or(most);
        classifier::check_memory(recipe, &input, 1, batch)?;
        let session = loaded.model.into_sessions().session()?;
        let engine = OrtEngine::new(session, recipe, &input, &output.name);
        let classes = output.classes().flatten().unwrap_or(0);
        Ok(Self {
            engine,
            input,
            batch,
            classes,
            options,
            images,
            failed: Vec::new(),
            settled: false,
        })
    }

    fn try_all(&mut self, candidates: Vec<Candidate>) -> Vec<Tried> {
        let mut tried: Vec<Tried> = candidates.into_iter().map(Tried::new).collect();
        if let Some(first) = tried.first() {
            let recipe = first.candidate.recipe.clone();
            match self.input.element {
                Element::F32 => self.run::<f32>(&recipe, &mut tried),
                Element::F16 => self.run::<f16>(&recipe, &mut tried),
                Element::U8 => self.run::<u8>(&recipe, &mut tried),
            }
            self.settled = true;
        }
        tried
    }

    /// Scores every image under every candidate. Images are decoded once for all of them.
    fn run<T: Feed>(&mut self, decoding: &Recipe, tried: &mut [Tried]) {
        let preprocessors: Vec<_> =
            tried.iter().map(|t| Preprocessor::<T>::new(t.candidate.recipe.clone())).collect();
        let mut scratch = Scratch::default();
        let mut tensor = Vec::new();
        let mut at = 0;
        while at < self.images.len() {
            let pixels = self.decode_from(at, decoding);
            at += pixels.len();
            for (tried, preprocessor) in tried.iter_mut().zip(&preprocessors) {
                tensor.clear();
                tensor.resize(self.batch * preprocessor.image_len(), T::default());
                let slots = tensor.chunks_exact_mut(preprocessor.image_len());
                for (pixels, slot) in pixels.iter().zip(slots) {
                    // An image whose geometry is impossible stays blank, and counts as wrong.
                    let _ = preprocessor.write(pixels, &mut scratch, slot);
                }
                self.score(&tensor, pixels.len(), tried);
            }
        }
    }

    /// Decodes the next few images; what cannot be decoded is left out for good.
    fn decode_from(&mut self, at: usize, recipe: &Recipe) -> Vec<Pixels> {
        let mut decoded = Vec::new();
        while decoded.len() < self.batch.min(TOGETHER) {
            let index = at + decoded.len();
            let Some(image) = self.images.get(index) else { break };
            match self.decode(&image.path, recipe) {
                Ok(pixels) => decoded.push(pixels),
                // One that was readable before keeps its place, so that answers stay in line.
                Err(_) if self.settled => decoded.push(blank()),
                Err(error) => {
                    self.failed.push(format!("{}: {error}", image.path.display()));
                    self.images.remove(index);
                }
            }
        }
        decoded
    }

    fn decode(&self, path: &Path, recipe: &Recipe) -> Result<Pixels, ItemError> {
        let Recipe { exif, alpha, deep, .. } = *recipe;
        let limits = self.options.limits;
        let budget = Budget::new(limits.max_bytes);
        let decoder = Decoder { limits, policy: Policy { exif, alpha, deep }, budget };
        let (mut bytes, mut pixels) = (Vec::new(), Pixels::default());
        source::read_named(path, self.options.max_file_bytes, &mut bytes)?;
        decoder.decode(&bytes, path, &mut pixels)?;
        Ok(pixels)
    }

    fn score<T: Feed>(&mut self, tensor: &[T], images: usize, tried: &mut Tried) {
        let recipe = &tried.candidate.recipe;
        if images == 0 || tried.impossible.is_some() {
            return;
        }
        self.engine.follow(recipe, &self.input);
        let mut scores = Vec::new();
        // A size that the graph cannot take is no candidate; the model itself was loaded.
        if let Err(reason) = self.engine.score(tensor, images, &mut scores) {
            tried.impossible = Some(reason);
            return;
        }
        self.classes = scores.len() / images;
        let found = || rank::detect(&scores, self.classes).map(|found| found.activation);
        let activation = recipe.activation.or_else(|| found().ok()).unwrap_or(Activation::None);
        if self.classes == 1 {
            self.classes = 2;
            return tried.take(&judge::two_classes(&scores, activation), 2, Activation::None);
        }
        tried.take(&scores, self.classes, activation);
    }
}

fn blank() -> Pixels {
    Pixels { size: Size { height: 1, width: 1 }, channels: 1, data: vec![0] }
}
