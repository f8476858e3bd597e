//! A model with everything that it takes to use it right: its recipe and the evidence for it, its
//! labels, its sessions. Nothing has to be guessed any more once there is one.

use std::collections::BTreeMap;

use half::f16;

use crate::{
    config::ModelConfig,
    decode::Limits,
    detect::{self, Decision, Examined},
    device::Device,
    engine::{Engine, Feed, OrtEngine},
    error::{RunError, with_causes},
    labels::Labels,
    memory,
    model::{self, Model, ModelFile, OutputSpec, Provider, Sessions},
    rank::Ranked,
    recipe::{Activation, Element, InputSpec, Recipe},
    runtime::{self, Runtime, RuntimeRequest},
};

mod golden;

/// Bytes of model that all sessions together may take before there are fewer of them.
const SESSION_BYTES: u64 = 1 << 30;

/// A model, opened and understood, and no image read yet.
pub struct Classifier {
    /// The file.
    pub file: ModelFile,
    /// The image input.
    pub input: InputSpec,
    /// The output that is read.
    pub output: OutputSpec,
    /// Classes that it answers.
    pub classes: usize,
    /// How images are prepared.
    pub recipe: Recipe,
    /// Who said each key of the recipe; what nobody said has its default.
    pub evidence: BTreeMap<&'static str, String>,
    /// What a person should know about how the recipe was found.
    pub notes: Vec<String>,
    /// Names of the classes, and where they are from.
    pub labels: Option<(Labels, String)>,
    /// ONNX Runtime.
    pub runtime: Runtime,
    /// Where the model runs.
    pub provider: Provider,
    /// Why there, when `auto` decided it.
    pub because: Option<String>,
    /// How the processor is shared out.
    pub topology: Topology,
    sessions: Sessions,
}

/// How the processor is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topology {
    /// Copies of the model, each used by one thread.
    pub sessions: usize,
    /// Threads that each copy may use.
    pub intra_threads: usize,
    /// Images per model call.
    pub batch_size: usize,
}

impl Topology {
    /// One batch in each session, and enough being prepared that every thread has two images.
    #[must_use]
    pub fn batches_in_flight(self, threads: usize) -> usize {
        self.sessions + 2 + (2 * threads).div_ceil(self.batch_size)
    }
}

impl Classifier {
    /// Opens a model and decides how it is used.
    ///
    /// # Errors
    ///
    /// `Model` for a model, label file or recipe that cannot be used, with what is missing or
    /// contradicts itself; `Runtime` for ONNX Runtime or a device; `Usage` when batches would not
    /// fit memory.
    pub fn open(config: &ModelConfig) -> Result<Self, RunError> {
        Self::with(config, ModelFile::of(config)?)
    }

    /// The same, with a model file that was opened before.
    ///
    /// # Errors
    ///
    /// As for [`Classifier::open`].
    pub fn with(config: &ModelConfig, mut file: ModelFile) -> Result<Self, RunError> {
        let own_labels = Labels::said(config)?;
        let examined = {
            let onnx = file.admit()?;
            Examined::new(&file, &onnx)?
        };
        let decision = decide(config, &file, &examined)?;
        let Loaded { runtime, model, sessions, intra_threads } = load(config, file)?;
        let labels = examined.labels(config, own_labels, &decision).map_err(RunError::Model)?;
        let count = labels.as_ref().map(|(labels, _)| labels.count());
        let output = model.choose_output(examined.output(config.output.as_deref()), count)?.clone();
        let recipe = resolve(&model.file, &model.input, &decision, &examined)?;

        let gpu = model.provider.is_gpu();
        let batch_size = model.input.batch.unwrap_or_else(|| config.batch_size_on(gpu));
        let topology = Topology { sessions, intra_threads, batch_size };
        let batches = topology.batches_in_flight(config.threads);
        check_memory(&recipe, &model.input, batches, batch_size)?;

        let Model { file, input, provider, because, .. } = &model;
        let (file, input) = (file.clone(), input.clone());
        let (provider, because) = (provider.clone(), because.clone());
        let mut sessions = model.into_sessions();
        let mut engine = OrtEngine::new(sessions.session()?, &recipe, &input, &output.name);
        let classes = probe(&mut engine, recipe.element, batch_size)?;
        check_activation(&recipe, classes)?;
        let labels = labels.map(|(labels, place)| -> Result<_, RunError> {
            let labels = labels.shifted(config.label_offset).map_err(RunError::Usage)?;
            Ok((labels.fit(classes, &place)?, place))
        });
        let labels = labels.transpose()?;
        let mut notes = decision.notes;
        let own = decision.evidence.values().any(|sayer| sayer == detect::PERSON);
        match examined.package.as_ref().map(|package| &package.goldens[..]) {
            None | Some([]) => {}
            Some(_) if own => notes.push(
                "the golden images are not checked, because the job changes the recipe".to_owned(),
            ),
            Some(goldens) => {
                let names = labels.as_ref().map(|(labels, _)| labels);
                golden::check(&mut engine, &recipe, &input, (goldens, names))?;
            }
        }
        sessions.give_back(engine.into_session());
        Ok(Self {
            file,
            input,
            output,
            classes,
            recipe,
            evidence: decision.evidence,
            notes,
            labels,
            runtime,
            provider,
            because,
            topology,
            sessions,
        })
    }

    /// What the model answers for a few images, given as the names and bytes of their files: the
    /// activation of its scores, and the `k` best classes of each.
    ///
    /// # Errors
    ///
    /// `Model` when an image cannot be prepared, or the model fails.
    pub fn answers(
        &mut self,
        images: &[(&str, &[u8])],
        k: usize,
        limits: Limits,
    ) -> Result<(Activation, Vec<Vec<Ranked>>), RunError> {
        let session = self.sessions.session()?;
        let mut engine = OrtEngine::new(session, &self.recipe, &self.input, &self.output.name);
        let sayer = self.evidence.get("activation").filter(|sayer| !detect::is_persons(sayer));
        let sayer = sayer.map(String::as_str);
        let answers =
            golden::answers(&mut engine, &self.recipe, &self.input, (images, k), (limits, sayer));
        self.sessions.give_back(engine.into_session());
        answers
    }

    /// One engine for each of the sessions.
    ///
    /// # Errors
    ///
    /// `Model` when ONNX Runtime refuses what it took before, for want of memory for instance.
    pub fn engines<T: Feed>(&mut self) -> Result<Vec<Box<dyn Engine<T>>>, RunError> {
        let engine = |_| -> Result<Box<dyn Engine<T>>, RunError> {
            let session = self.sessions.session()?;
            Ok(Box::new(OrtEngine::new(session, &self.recipe, &self.input, &self.output.name)))
        };
        (0..self.topology.sessions).map(engine).collect()
    }
}

/// A model and ONNX Runtime, with nothing decided yet about images.
pub struct Loaded {
    /// ONNX Runtime.
    pub runtime: Runtime,
    /// The model.
    pub model: Model,
    /// Copies of it that are wanted.
    pub sessions: usize,
    /// Threads of each.
    pub intra_threads: usize,
}

/// Loads a model file on the device that `config` names.
///
/// # Errors
///
/// `Runtime` for ONNX Runtime or the device, `Model` when it refuses the file.
pub fn load(config: &ModelConfig, file: ModelFile) -> Result<Loaded, RunError> {
    let runtime = load_runtime(config)?;
    let sessions = config.sessions.unwrap_or_else(|| usual_sessions(config, file.bytes));
    let intra_threads = (config.threads / sessions).max(1);
    let model = Model::load(file, &runtime, config.device, intra_threads)?;
    // One session keeps a GPU busy; more would only take its memory.
    let one = model.provider.is_gpu() && config.sessions.is_none();
    Ok(Loaded { runtime, model, sessions: if one { 1 } else { sessions }, intra_threads })
}

fn decide(
    config: &ModelConfig,
    file: &ModelFile,
    examined: &Examined,
) -> Result<Decision, RunError> {
    let fail = |reason: String| {
        let path = file.path.display();
        RunError::Model(format!("the model {path}: {reason}"))
    };
    let decision = examined.decide(&config.recipe).map_err(RunError::Usage)?;
    if decision.problems.is_empty() {
        Ok(decision)
    } else {
        Err(fail(decision.problems.join("\n")))
    }
}

fn resolve(
    file: &ModelFile,
    input: &InputSpec,
    decision: &Decision,
    examined: &Examined,
) -> Result<Recipe, RunError> {
    Recipe::resolve(&decision.recipe, input).map_err(|reason| {
        let (path, takes) = (file.path.display(), model::input_text(input));
        let candidates = examined.candidates_text();
        // A place may say what is missing, and the job have set it aside.
        let notes: Vec<_> = decision.notes.iter().map(|note| format!("\nnote: {note}")).collect();
        let notes = notes.concat();
        RunError::Model(format!("the model {path} takes {takes}: {reason}{candidates}{notes}"))
    })
}

/// Decides how a model's images are prepared, without ONNX Runtime.
///
/// # Errors
///
/// `Model` when the file is no model with one image input, or nothing says how; `Usage` for an
/// unknown preset.
pub fn recipe(config: &ModelConfig) -> Result<(Recipe, InputSpec), RunError> {
    let file = ModelFile::of(config)?;
    let examined = Examined::new(&file, &file.read()?)?;
    let decision = decide(config, &file, &examined)?;
    let input = examined
        .input
        .clone()
        .map_err(|reason| RunError::Model(format!("the model {} {reason}", file.path.display())))?;
    let recipe = resolve(&file, &input, &decision, &examined)?;
    Ok((recipe, input))
}

/// Refuses a softmax over one class, which makes 1 of every score.
fn check_activation(recipe: &Recipe, classes: usize) -> Result<(), RunError> {
    if classes != 1 || recipe.activation != Some(Activation::Softmax) {
        return Ok(());
    }
    Err(RunError::Model(
        "the model answers one score, and `activation = \"softmax\"` would make 1 of every one\n\
         hint: say `activation = \"sigmoid\"`, or `activation = \"none\"` when it is a probability"
            .to_owned(),
    ))
}

/// One session per thread as long as their weights stay below [`SESSION_BYTES`]: sessions do not
/// wait for each other, as the threads within one do.
fn usual_sessions(config: &ModelConfig, model_bytes: u64) -> usize {
    let affordable = (SESSION_BYTES / model_bytes.max(1)).max(1);
    config.threads.min(usize::try_from(affordable).unwrap_or(usize::MAX))
}

/// Bytes of the tensors of `batches`; `None` when they are no number.
pub(crate) fn batches_bytes(recipe: &Recipe, batches: usize, batch_size: usize) -> Option<u64> {
    let element = match recipe.element {
        Element::U8 => 1,
        Element::F16 => 2,
        Element::F32 => 4,
    };
    let image = (recipe.size.area() * recipe.channels.count() * element) as u64;
    image.checked_mul(batch_size as u64)?.checked_mul(batches as u64)
}

/// Refuses batches whose tensors would take more than half of the memory that there is.
pub(crate) fn check_memory(
    recipe: &Recipe,
    input: &InputSpec,
    batches: usize,
    batch_size: usize,
) -> Result<(), RunError> {
    let limit = memory::limit().map_or(u64::MAX >> 1, |bytes| bytes / 2);
    if batches_bytes(recipe, batches, batch_size).is_some_and(|needed| needed <= limit) {
        return Ok(());
    }
    let much = format!("{batches} batches of {batch_size} images are more than half of the memory");
    Err(match input.batch {
        Some(_) => RunError::Model(format!(
            "the model takes batches of {batch_size} images, and {much}\nhint: export it for \
             batches of any size"
        )),
        None => RunError::Usage(format!("{much}\nhint: give a smaller `batch-size`")),
    })
}

/// ONNX Runtime as `config` asks for it.
///
/// # Errors
///
/// `Runtime` when there is none.
pub fn load_runtime(config: &ModelConfig) -> Result<Runtime, RunError> {
    let request = RuntimeRequest {
        explicit: config.onnxruntime.clone(),
        gpu_wanted: config.device != Device::Cpu,
    };
    runtime::locate(&request)
        .and_then(runtime::Located::load)
        .map_err(|error| RunError::Runtime(with_causes(&error)))
}

/// Tries the model on blank images: two at once when batches are larger than one, because a model
/// exported for single images may fail only then.
fn probe(engine: &mut OrtEngine, element: Element, batch_size: usize) -> Result<usize, RunError> {
    let images = batch_size.min(2);
    match element {
        Element::U8 => engine.probe::<u8>(images),
        Element::F16 => engine.probe::<f16>(images),
        Element::F32 => engine.probe::<f32>(images),
    }
}
