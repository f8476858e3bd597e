//! A whole run: opens everything, says what it would do, and does it.

use std::{
    io,
    sync::Arc,
    time::{Instant, SystemTime},
};

use half::f16;

use crate::{
    classifier::Classifier,
    config::Config,
    decode::{Budget, Decoder, Policy},
    engine::Feed,
    error::RunError,
    interrupt::Stop,
    isolate::{Launch, Settings},
    job::Incremental,
    list::Entry,
    model::ModelFile,
    output::Table,
    pipeline::Pipeline,
    prepare::Preparer,
    preprocess::Preprocessor,
    recipe::{Element, Recipe},
    source::Reader,
    telling::Log,
    timing::{self, Stage, Timing},
    walk::Walk,
};

mod begin;
mod describe;
mod recorder;
mod summary;

use begin::Begun;
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

    /// The model file.
    #[must_use]
    pub fn model(&self) -> &ModelFile {
        &self.classifier.file
    }

    /// Classifies everything, and tells `log` how it goes. The first request on `stop` lets what is
    /// in flight finish.
    ///
    /// # Errors
    ///
    /// `Output` when rows cannot be written, `Locked` when another run writes them, `Inference`
    /// when the model fails; the output is not published then.
    pub fn execute(self, stop: &Stop, log: &Log) -> Result<Summary, RunError> {
        match self.classifier.recipe.element {
            Element::U8 => self.execute_as::<u8>(stop, log),
            Element::F16 => self.execute_as::<f16>(stop, log),
            Element::F32 => self.execute_as::<f32>(stop, log),
        }
    }

    fn execute_as<T: Feed>(mut self, stop: &Stop, log: &Log) -> Result<Summary, RunError> {
        let stop_after = self.config.spending.stop_after;
        if let Some(deadline) = stop_after.and_then(|after| Instant::now().checked_add(after)) {
            stop.request_at(deadline);
        }
        let engines = self.classifier.engines::<T>()?;
        let table = self.table();
        let (top_k, timing) = (table.top_k, Timing::default());
        let (started, clock, cpu) = (SystemTime::now(), Instant::now(), timing::process_cpu());
        let begun = self.begin(table, stop, &timing)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.config.model.threads)
            .thread_name(|index| format!("decode-{index}"))
            .build()
            .map_err(|error| RunError::Internal(error.to_string()))?;
        let (files, decoder) = (Budget::new(self.config.max_file_bytes), self.decoder());
        let preprocessor = Preprocessor::<T>::new(self.classifier.recipe.clone());
        let launch = self.launch()?.map(Arc::new);
        let first = begun.output.rows();
        let journal = begun.records.as_ref().map(|(journal, _)| journal);
        let in_flight = journal.and_then(|journal| journal.in_flight(self.config.model.threads));
        let pipeline = Pipeline {
            pool: &pool,
            preparer: self.preparer(&files, &decoder, &preprocessor),
            launch: launch.as_ref(),
            isolate: self.config.patience.isolate,
            batch_size: self.classifier.topology.batch_size,
            batches_in_flight: self
                .classifier
                .topology
                .batches_in_flight(self.config.model.threads),
            first,
            in_flight: in_flight.as_ref(),
            stop,
            timing: &timing,
        };
        let entries = self.entries(&begun, first)?;
        log.note(&self.headline());
        self.found().iter().chain(&begun.notes).for_each(|line| log.note(line));
        if begun.list.totals.hidden > 0 {
            log.warning(&format!(
                "{} images of the last run are below folders that cannot be read now: their rows \
                 are kept as they were",
                begun.list.totals.hidden
            ));
        }
        log.begin(begun.list.totals.rows, first);
        let mut recorder = Recorder::new(begun, top_k, &self, log.clone());

        let outcome = pipeline
            .run(entries, engines, |batch| timing.measure(Stage::Write, || recorder.record(batch)));
        log.end_progress();
        if let Some(in_flight) = &in_flight {
            in_flight.end(self.config.model.threads);
        }
        if let Err(error) = outcome {
            recorder.abandon(&error);
            return Err(error);
        }
        let elapsed = clock.elapsed();
        let process_cpu = timing::process_cpu().saturating_sub(cpu) + timing.elsewhere();
        if self.classifier.topology.intra_threads > 1 && !self.classifier.provider.is_gpu() {
            timing.book_runtime_threads(process_cpu);
        }
        let mut recorded = recorder.close(stop)?;
        // Not before: also the last rows may be written to somebody who does not read.
        stop.set_drained();
        let journal = recorded.journal.take();
        let spent = Spent { started, elapsed, process_cpu, timing };
        let mut summary = Summary::new(&self, recorded, &spent);
        summary.write_manifest(self.config.manifest.as_deref())?;
        if let Some(journal) = journal {
            journal.complete(self.config.incremental != Incremental::No)?;
        }
        Ok(summary)
    }

    /// The entries from the one at `first`, as far as the number of images may go.
    fn entries(
        &self,
        begun: &Begun,
        first: u64,
    ) -> Result<impl Iterator<Item = Result<Entry, RunError>> + Send + use<>, RunError> {
        let unreadable = |error: io::Error| {
            RunError::Mismatch(format!(
                "cannot read the list of what is to be classified: {error}\nhint: `--restart` makes \
                 a new one"
            ))
        };
        let entries = begun.list.entries(first).map_err(unreadable)?;
        let suspects = begun.suspects.clone();
        let limit = self.config.spending.limit;
        let mut images = 0;
        let entries = (first..).zip(entries).map(move |(number, entry)| match entry {
            Ok(Entry::Candidate(source)) if suspects.contains(&number) => {
                Ok(Entry::Suspect(source))
            }
            other => other.map_err(unreadable),
        });
        Ok(entries.map_while(move |entry| {
            if limit.is_some_and(|limit| images == limit) {
                return None;
            }
            images += u64::from(matches!(entry, Ok(Entry::Candidate(_) | Entry::Suspect(_))));
            Some(entry)
        }))
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

    fn preparer<'a, T>(
        &self,
        files: &'a Budget,
        decoder: &'a Decoder,
        preprocessor: &'a Preprocessor<T>,
    ) -> Preparer<'a, T> {
        let image_timeout = self.config.patience.image_timeout;
        Preparer { reader: self.reader(), files, decoder, preprocessor, image_timeout }
    }

    fn reader(&self) -> Reader {
        Reader {
            follow: self.config.walk.follow_symlinks,
            max_bytes: self.config.max_file_bytes,
            retries: self.config.patience.retries,
        }
    }

    /// How child processes are started that prepare images as this run does; not at all when nobody
    /// said which program they are.
    ///
    /// # Errors
    ///
    /// `Usage` when `isolate` needs them.
    fn launch(&self) -> Result<Option<Launch>, RunError> {
        let patience = &self.config.patience;
        let Some(program) = patience.program.clone() else {
            return if patience.isolate {
                let reason = "`isolate` needs the program that decodes: set `program`";
                Err(RunError::Usage(reason.to_owned()))
            } else {
                Ok(None)
            };
        };
        let settings = Settings {
            recipe: self.classifier.recipe.clone(),
            limits: self.config.limits,
            reader: self.reader(),
            image_timeout: patience.image_timeout,
            threads: self.config.model.threads,
            memory: Settings::memory_for(self.config.limits, self.reader()),
        };
        Launch::new(program, &settings).map(Some)
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
}
