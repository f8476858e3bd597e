//! A whole run: opens everything, says what it would do, and does it.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Instant, SystemTime},
};

use half::f16;
use ort::value::PrimitiveTensorElementType;

use crate::{
    config::{self, Config, Target},
    decode::{Budget, Decoder, Policy},
    device::Device,
    engine::{Engine, OrtEngine},
    error::{RunError, with_causes},
    interrupt::Stop,
    labels::Labels,
    manifest::LabelsRecord,
    model::{self, Model, ModelFile, OutputSpec, Provider, Sessions},
    output::{Output, Table},
    pipeline::Pipeline,
    preprocess::{Preprocessor, Sample},
    progress::{Progress, Show},
    recipe::{Element, InputSpec, Recipe},
    runtime::{self, Runtime, RuntimeRequest},
    timing::{self, Stage, Timing},
    walk::{Met, Walk, WalkOptions},
};

mod describe;
mod recorder;
mod summary;

use recorder::Recorder;
use summary::Spent;
pub use summary::Summary;

/// Bytes of model that all sessions together may take before there are fewer of them.
const SESSION_BYTES: u64 = 1 << 30;

/// A run with everything opened and checked, and no image read yet.
pub struct Run {
    config: Config,
    file: ModelFile,
    input: InputSpec,
    output: OutputSpec,
    classes: usize,
    recipe: Recipe,
    labels: Option<(Labels, LabelsRecord)>,
    runtime: Runtime,
    provider: Provider,
    /// Why that provider, when `auto` decided it.
    because: Option<String>,
    sessions: Sessions,
    topology: Topology,
}

/// How the processor is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Topology {
    /// Copies of the model, each used by one thread.
    sessions: usize,
    /// Threads that each copy may use.
    intra_threads: usize,
    /// Images per model call.
    batch_size: usize,
}

impl Topology {
    /// One batch in each session, and enough being prepared that every thread has two images.
    fn batches_in_flight(self, threads: usize) -> usize {
        self.sessions + 2 + (2 * threads).div_ceil(self.batch_size)
    }
}

impl Run {
    /// Opens and checks everything that a run needs, so that what is wrong shows before the first
    /// image.
    ///
    /// # Errors
    ///
    /// `Input` for a root that is not there; `Model` for a model, label file or recipe that cannot
    /// be used; `Runtime` for ONNX Runtime or a device.
    pub fn prepare(config: Config) -> Result<Self, RunError> {
        Walk::new(&config.inputs, config.walk.clone())?;
        let labels = config.labels.as_deref().map(Labels::load).transpose()?;
        let file = ModelFile::open(&config.model)?;
        let runtime = load_runtime(&config)?;

        let sessions = config.sessions.unwrap_or_else(|| usual_sessions(&config, file.bytes));
        let intra_threads = (config.threads / sessions).max(1);
        let model = Model::load(file, &runtime, config.device, intra_threads)?;
        let count = labels.as_ref().map(Labels::count);
        let output = model.choose_output(config.model_output.as_deref(), count)?.clone();
        let recipe = Recipe::resolve(&config.recipe, &model.input).map_err(|reason| {
            let (path, input) = (model.file.path.display(), model::input_text(&model.input));
            RunError::Model(format!("the model {path} takes {input}: {reason}"))
        })?;

        let gpu = model.provider.is_gpu();
        let batch_size = model.input.batch.unwrap_or_else(|| config.batch_size_on(gpu));
        // One session keeps a GPU busy; more would only take its memory.
        let sessions = if gpu && config.sessions.is_none() { 1 } else { sessions };
        let topology = Topology { sessions, intra_threads, batch_size };
        check_memory(&recipe, topology.batches_in_flight(config.threads), batch_size)?;

        let Model { file, input, provider, because, .. } = &model;
        let (file, input) = (file.clone(), input.clone());
        let (provider, because) = (provider.clone(), because.clone());
        let mut sessions = model.into_sessions();
        let mut engine = OrtEngine::new(sessions.session()?, &recipe, &input, &output.name);
        let classes = probe(&mut engine, recipe.element, batch_size)?;
        sessions.give_back(engine.into_session());
        let labels = match (labels, &config.labels) {
            (Some(labels), Some(path)) => {
                let labels = labels.fit(classes, path)?;
                let sha256 = labels.sha256().to_owned();
                let record = LabelsRecord { path: path.clone(), sha256, count: labels.count() };
                Some((labels, record))
            }
            _ => None,
        };
        Ok(Self {
            config,
            file,
            input,
            output,
            classes,
            recipe,
            labels,
            runtime,
            provider,
            because,
            sessions,
            topology,
        })
    }

    /// Classifies everything. The first request on `stop` lets what is in flight finish.
    ///
    /// # Errors
    ///
    /// `Output` when rows cannot be written, `Locked` when another run writes them, `Inference`
    /// when the model fails; the output is not published then.
    pub fn execute(self, stop: &Stop) -> Result<Summary, RunError> {
        match self.recipe.element {
            Element::U8 => self.execute_as::<u8>(stop),
            Element::F16 => self.execute_as::<f16>(stop),
            Element::F32 => self.execute_as::<f32>(stop),
        }
    }

    fn execute_as<T>(mut self, stop: &Stop) -> Result<Summary, RunError>
    where
        T: Sample + PrimitiveTensorElementType + std::fmt::Debug,
    {
        let engines = self.engines::<T>()?;
        let table = self.table();
        let output = Output::create(&self.config.target, table.clone())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.config.threads)
            .thread_name(|index| format!("decode-{index}"))
            .build()
            .map_err(|error| RunError::Internal(error.to_string()))?;
        let decoder = self.decoder();
        let preprocessor = Preprocessor::<T>::new(self.recipe.clone());
        let timing = Timing::default();
        let pipeline = Pipeline {
            pool: &pool,
            decoder: &decoder,
            preprocessor: &preprocessor,
            follow_symlinks: self.config.walk.follow_symlinks,
            max_file_bytes: self.config.max_file_bytes,
            batch_size: self.topology.batch_size,
            batches_in_flight: self.topology.batches_in_flight(self.config.threads),
            stop,
            timing: &timing,
        };
        let walk = self.walk()?;
        let total = Arc::new(AtomicU64::new(0));
        let progress = Progress::start(self.show(), Arc::clone(&total));
        progress.note(&self.headline());
        let counted = progress.wants_total().then_some(&*total);
        let mut recorder = Recorder::new(output, table.top_k, &self, progress);

        let (started, clock, cpu) = (SystemTime::now(), Instant::now(), timing::process_cpu());
        let outcome = self.while_counting(counted, || {
            pipeline
                .run(walk, engines, |batch| timing.measure(Stage::Write, || recorder.record(batch)))
        });
        recorder.finish_progress();
        outcome?;
        let elapsed = clock.elapsed();
        let process_cpu = timing::process_cpu().saturating_sub(cpu);
        if self.topology.intra_threads > 1 && !self.provider.is_gpu() {
            timing.book_runtime_threads(process_cpu);
        }
        let recorded = recorder.close(stop)?;
        let spent = Spent { started, elapsed, process_cpu, timing };
        let summary = Summary::new(&self, recorded, &spent);
        summary.write_manifest(self.config.manifest.as_deref())?;
        Ok(summary)
    }

    /// Runs `work` while another thread counts the files into `total`. It opens none of them, and
    /// listing folders twice costs little: the second time they come from the system's cache.
    fn while_counting<R>(&self, total: Option<&AtomicU64>, work: impl FnOnce() -> R) -> R {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            if let Some(total) = total {
                let done = &done;
                scope.spawn(move || {
                    // With a row for every file there is no need to look into any.
                    let options = WalkOptions { every_file: true, ..self.config.walk.clone() };
                    let Ok(walk) = Walk::new(&self.config.inputs, options) else { return };
                    let running = |_: &Result<Met, RunError>| !done.load(Ordering::Relaxed);
                    let files = walk.take_while(running).count() as u64;
                    if !done.load(Ordering::Relaxed) {
                        total.store(files, Ordering::Relaxed);
                    }
                });
            }
            let outcome = work();
            done.store(true, Ordering::Relaxed);
            outcome
        })
    }

    fn walk(&self) -> Result<Walk, RunError> {
        Walk::new(&self.config.inputs, self.config.walk.clone())
    }

    fn engines<T>(&mut self) -> Result<Vec<Box<dyn Engine<T>>>, RunError>
    where
        T: Sample + PrimitiveTensorElementType + std::fmt::Debug,
    {
        let mut engines: Vec<Box<dyn Engine<T>>> = Vec::new();
        for _ in 0..self.topology.sessions {
            let session = self.sessions.session()?;
            let Self { recipe, input, output, .. } = &*self;
            engines.push(Box::new(OrtEngine::new(session, recipe, input, &output.name)));
        }
        Ok(engines)
    }

    fn decoder(&self) -> Decoder {
        let Recipe { exif, alpha, deep, .. } = self.recipe;
        Decoder {
            limits: self.config.limits,
            policy: Policy { exif, alpha, deep },
            budget: Budget::new(self.config.decode_memory),
        }
    }

    fn table(&self) -> Table {
        Table {
            format: self.config.format,
            top_k: self.config.top_k.min(self.classes),
            labels: self.labels.as_ref().map(|(labels, _)| labels.clone()),
        }
    }

    fn show(&self) -> Show {
        let interval = self.config.progress_interval;
        match self.config.target {
            _ if self.config.quiet => Show::Nothing,
            Target::Stdout if io::stdout().is_terminal() => Show::Lines(interval),
            _ => Show::Auto(interval),
        }
    }
}

/// One session per thread as long as their weights stay below [`SESSION_BYTES`]: sessions do not
/// wait for each other, as the threads within one do.
fn usual_sessions(config: &Config, model_bytes: u64) -> usize {
    let affordable = (SESSION_BYTES / model_bytes.max(1)).max(1);
    config.threads.min(usize::try_from(affordable).unwrap_or(usize::MAX))
}

/// Refuses batches whose tensors would take more than half of the memory that there is.
fn check_memory(recipe: &Recipe, batches: usize, batch_size: usize) -> Result<(), RunError> {
    let element = match recipe.element {
        Element::U8 => 1,
        Element::F16 => 2,
        Element::F32 => 4,
    };
    let image = (recipe.size.area() * recipe.channels.count() * element) as u64;
    let needed = image.checked_mul(batch_size as u64).and_then(|b| b.checked_mul(batches as u64));
    let limit = config::memory_limit().map_or(u64::MAX >> 1, |bytes| bytes / 2);
    match needed {
        Some(needed) if needed <= limit => Ok(()),
        _ => Err(RunError::Usage(format!(
            "{batches} batches of {batch_size} images, {image} bytes each, are more than half of \
             the memory\nhint: give a smaller `batch-size`"
        ))),
    }
}

fn load_runtime(config: &Config) -> Result<Runtime, RunError> {
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
