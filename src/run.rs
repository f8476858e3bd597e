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

use crate::{
    classifier::Classifier,
    config::{Config, Target},
    decode::{Budget, Decoder, Policy},
    engine::Feed,
    error::RunError,
    interrupt::Stop,
    isolate::{Launch, Settings},
    output::{Output, Table},
    pipeline::Pipeline,
    prepare::Preparer,
    preprocess::Preprocessor,
    progress::{Progress, Show},
    recipe::{Element, Recipe},
    source::Reader,
    timing::{self, Stage, Timing},
    walk::{Met, Walk, WalkOptions},
};

mod describe;
mod recorder;
mod summary;

use recorder::Recorder;
use summary::Spent;
pub use summary::Summary;

/// A run with everything opened and checked, and no image read yet.
pub struct Run {
    config: Config,
    classifier: Classifier,
}

impl Run {
    /// Opens and checks everything that a run needs, so that what is wrong shows before the first
    /// image.
    ///
    /// # Errors
    ///
    /// `Input` for a root that is not there; and as for [`Classifier::open`].
    pub fn prepare(config: Config) -> Result<Self, RunError> {
        Walk::new(&config.inputs, config.walk.clone())?;
        let classifier = Classifier::open(&config.model)?;
        Ok(Self { config, classifier })
    }

    /// Classifies everything. The first request on `stop` lets what is in flight finish.
    ///
    /// # Errors
    ///
    /// `Output` when rows cannot be written, `Locked` when another run writes them, `Inference`
    /// when the model fails; the output is not published then.
    pub fn execute(self, stop: &Stop) -> Result<Summary, RunError> {
        match self.classifier.recipe.element {
            Element::U8 => self.execute_as::<u8>(stop),
            Element::F16 => self.execute_as::<f16>(stop),
            Element::F32 => self.execute_as::<f32>(stop),
        }
    }

    fn execute_as<T: Feed>(mut self, stop: &Stop) -> Result<Summary, RunError> {
        let engines = self.classifier.engines::<T>()?;
        let table = self.table();
        let output = Output::create(&self.config.target, table.clone())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.config.model.threads)
            .thread_name(|index| format!("decode-{index}"))
            .build()
            .map_err(|error| RunError::Internal(error.to_string()))?;
        let decoder = self.decoder();
        let preprocessor = Preprocessor::<T>::new(self.classifier.recipe.clone());
        let timing = Timing::default();
        let isolate =
            self.config.patience.isolate.then(|| self.launch().map(Arc::new)).transpose()?;
        let pipeline = Pipeline {
            pool: &pool,
            preparer: Preparer {
                reader: self.reader(),
                decoder: &decoder,
                preprocessor: &preprocessor,
                image_timeout: self.config.patience.image_timeout,
            },
            isolate: isolate.as_ref(),
            batch_size: self.classifier.topology.batch_size,
            batches_in_flight: self
                .classifier
                .topology
                .batches_in_flight(self.config.model.threads),
            stop,
            timing: &timing,
        };
        let walk = self.walk()?;
        let total = Arc::new(AtomicU64::new(0));
        let progress = Progress::start(self.show(), Arc::clone(&total));
        progress.note(&self.headline());
        for line in self.found() {
            progress.note(&line);
        }
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
        let process_cpu = timing::process_cpu().saturating_sub(cpu) + timing.elsewhere();
        if self.classifier.topology.intra_threads > 1 && !self.classifier.provider.is_gpu() {
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

    /// What was found out rather than said, and what a person should know about it.
    fn found(&self) -> Vec<String> {
        let mut lines = self.classifier.notes.clone();
        let evidence = self.evidence_text();
        if !evidence.is_empty() {
            lines.push(format!("recipe: {evidence}"));
        }
        if let (Some((_, place)), None) = (&self.classifier.labels, &self.config.model.labels) {
            lines.push(format!("labels: {place}"));
        }
        lines
    }

    fn walk(&self) -> Result<Walk, RunError> {
        Walk::new(&self.config.inputs, self.config.walk.clone())
    }

    fn reader(&self) -> Reader {
        Reader {
            follow: self.config.walk.follow_symlinks,
            max_bytes: self.config.max_file_bytes,
            retries: self.config.patience.retries,
        }
    }

    /// How child processes are started that prepare images as this run does.
    ///
    /// # Errors
    ///
    /// `Usage` when nobody said which program they are.
    fn launch(&self) -> Result<Launch, RunError> {
        let patience = &self.config.patience;
        let program = patience.program.clone().ok_or_else(|| {
            RunError::Usage("`isolate` needs the program that decodes: set `program`".to_owned())
        })?;
        let settings = Settings {
            recipe: self.classifier.recipe.clone(),
            limits: self.config.limits,
            reader: self.reader(),
            image_timeout: patience.image_timeout,
            threads: self.config.model.threads,
            memory: Settings::memory_for(self.config.limits, self.reader()),
        };
        Launch::new(program, &settings)
    }

    fn decoder(&self) -> Decoder {
        let Recipe { exif, alpha, deep, .. } = self.classifier.recipe;
        Decoder {
            limits: self.config.limits,
            policy: Policy { exif, alpha, deep },
            budget: Budget::new(self.config.decode_memory),
        }
    }

    fn table(&self) -> Table {
        Table {
            format: self.config.format,
            top_k: self.config.top_k.min(self.classifier.classes),
            labels: self.classifier.labels.as_ref().map(|(labels, _)| labels.clone()),
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
