//! Sources to scored batches, in the order of the sources. The only starter of the threads that
//! do the work, and the only maker of the channels between them.
//!
//! ```text
//! feeder ──(rayon pool: read, decode, preprocess)──▶ ready ──▶ engines ──▶ one promise a batch
//!    └───────────────── tickets, in order ───────────────────────────────▶ the calling thread
//! ```
//!
//! A batch is made of consecutive entries, so what is in it never depends on timing. The feeder
//! queues a ticket for each batch it starts; the calling thread redeems tickets in order. As many
//! batches exist as the free list was given: that bounds memory, and holds the feeder back.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use rayon::{ThreadPool, prelude::*};

use crate::{
    engine::Engine,
    error::{ItemError, RunError},
    interrupt::Stop,
    isolate::{Child, Launch},
    journal::InFlight,
    list::Entry,
    prepare::{Buffers, Preparer},
    preprocess::Sample,
    source::Source,
    timing::{Stage, Timing},
};

/// Entries of a batch for each image in it: rows that are kept need no tensor, and a batch of
/// nothing else must end, too.
const ENTRIES_PER_IMAGE: usize = 64;

/// Consecutive entries on their way: their tensor, and then their scores.
#[derive(Debug)]
pub struct Batch<T> {
    /// Number of the first entry.
    first: u64,
    items: Vec<(Source, Fate)>,
    /// `batch_size` images; after preparation the good ones stand at the front, in order.
    tensor: Vec<T>,
    /// Images to prepare, and after preparation the good ones of them.
    images: usize,
    scores: Vec<f32>,
}

/// What is to become of an entry, or became of it.
#[derive(Debug)]
enum Fate {
    Image { suspect: bool },
    Failed(ItemError),
    Kept(u64),
}

/// What came of an entry.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// One score for each class.
    Scores(&'a [f32]),
    /// Why there are none.
    Failed(&'a ItemError),
    /// This row of the last complete run stands.
    Kept(u64),
}

impl<T: Sample> Batch<T> {
    fn new(elements: usize) -> Self {
        let tensor = vec![T::default(); elements];
        Self { first: 0, items: Vec::new(), tensor, images: 0, scores: Vec::new() }
    }

    fn clear(&mut self) {
        self.items.clear();
        self.scores.clear();
        self.images = 0;
    }

    fn push(&mut self, entry: Entry) {
        let (source, fate) = match entry {
            Entry::Candidate(source) => (source, Fate::Image { suspect: false }),
            Entry::Suspect(source) => (source, Fate::Image { suspect: true }),
            Entry::Failed(source, error) => (source, Fate::Failed(error)),
            Entry::Kept(source, row) => (source, Fate::Kept(row)),
        };
        self.images += usize::from(matches!(fate, Fate::Image { .. }));
        self.items.push((source, fate));
    }

    fn is_full(&self, batch_size: usize) -> bool {
        self.images == batch_size || self.items.len() == batch_size * ENTRIES_PER_IMAGE
    }
}

impl<T> Batch<T> {
    /// Every source in order, with what came of it.
    ///
    /// # Panics
    ///
    /// Panics when the scores are not one row for each good image, which the engine checks.
    pub fn rows(&self) -> impl Iterator<Item = (&Source, Outcome<'_>)> {
        let classes = self.scores.len().checked_div(self.images).unwrap_or(0);
        let mut scores = self.scores.chunks_exact(classes.max(1));
        self.items.iter().map(move |(source, fate)| {
            let outcome = match fate {
                Fate::Image { .. } => {
                    Outcome::Scores(scores.next().expect("a row for each good image"))
                }
                Fate::Failed(error) => Outcome::Failed(error),
                Fate::Kept(row) => Outcome::Kept(*row),
            };
            (source, outcome)
        })
    }

    /// The scores of all good images, row-major.
    #[must_use]
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }
}

/// What the stages need to know.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline<'a, T> {
    /// Threads that read, decode and preprocess.
    pub pool: &'a ThreadPool,
    /// How images are prepared.
    pub preparer: Preparer<'a, T>,
    /// How child processes are started that prepare images with the same settings.
    pub launch: Option<&'a Arc<Launch>>,
    /// Whether they prepare all of them, and not only those of which the program may have died.
    pub isolate: bool,
    /// Images per batch.
    pub batch_size: usize,
    /// Batches that exist at once, each with a tensor of its own.
    pub batches_in_flight: usize,
    /// Number of the first entry.
    pub first: u64,
    /// Where it is written down what is being read, for the case that the program dies.
    pub in_flight: Option<&'a InFlight>,
    /// Looked at by the feeder alone; the other stages drain what it began.
    pub stop: &'a Stop,
    /// Where costs are booked.
    pub timing: &'a Timing,
}

/// What one worker thread keeps from image to image.
#[derive(Default)]
struct Worker {
    buffers: Buffers,
    /// Started with the first image, and only with `isolate`.
    child: Option<Child>,
}

type Promise<T> = SyncSender<Result<Batch<T>, RunError>>;
type Ticket<T> = Receiver<Result<Batch<T>, RunError>>;

impl<T: Sample> Pipeline<'_, T> {
    /// Runs all `entries` through the stages, and calls `sink` with each batch, in order, on the
    /// calling thread. `sink` breaks to end the run early.
    ///
    /// # Errors
    ///
    /// The first error of the entries, an engine or `sink`; every stage ends then.
    pub fn run<W, S>(
        &self,
        entries: W,
        engines: Vec<Box<dyn Engine<T> + '_>>,
        sink: S,
    ) -> Result<(), RunError>
    where
        W: Iterator<Item = Result<Entry, RunError>> + Send,
        S: FnMut(&Batch<T>) -> Result<ControlFlow<()>, RunError>,
    {
        let workers: Vec<_> =
            (0..self.pool.current_num_threads()).map(|_| Mutex::new(Worker::default())).collect();
        let in_flight = self.batches_in_flight;
        thread::scope(|scope| {
            let (free_tx, free_rx) = sync_channel(in_flight);
            let (ticket_tx, ticket_rx) = sync_channel(in_flight);
            // As long as the free list, so that a pool thread never blocks on it.
            let (ready_tx, ready_rx) = sync_channel(in_flight);
            let elements = self.batch_size * self.preparer.preprocessor.image_len();
            for _ in 0..in_flight {
                free_tx.send(Batch::new(elements)).expect("the receiver is in this scope");
            }
            let ready_rx = Arc::new(Mutex::new(ready_rx));
            let mut threads = Vec::new();
            for engine in engines {
                let ready_rx = Arc::clone(&ready_rx);
                threads.push(scope.spawn(move || self.infer(engine, &ready_rx)));
            }
            // The engines alone hold it now: when they are gone, nobody is sent to.
            drop(ready_rx);
            let workers = &workers;
            threads.push(scope.spawn(move || {
                let lines = Lines { free: &free_rx, tickets: &ticket_tx, ready: &ready_tx };
                self.feed(entries, workers, &lines);
            }));
            let outcome = redeem(&ticket_rx, &free_tx, sink);
            // Dropping the ends that the calling thread holds ends every stage before it.
            drop((ticket_rx, free_tx));
            let panicked = threads.into_iter().filter_map(|thread| thread.join().err()).count();
            match outcome {
                Ok(()) if panicked > 0 => {
                    Err(RunError::Internal(format!("{panicked} threads panicked")))
                }
                other => other,
            }
        })
    }

    fn feed(
        &self,
        mut entries: impl Iterator<Item = Result<Entry, RunError>> + Send,
        workers: &[Mutex<Worker>],
        lines: &Lines<'_, T>,
    ) {
        self.pool.in_place_scope(|scope| {
            let mut first = self.first;
            // Both ends closing means that the calling thread has ended the run.
            while let Ok(mut batch) = self.timing.holding_back(|| lines.free.recv()) {
                batch.first = first;
                let filled = self.fill(&mut batch, &mut entries);
                // A batch that a stop cut short would hold others than without the stop.
                if self.stop.requested().is_some() && !batch.is_full(self.batch_size) {
                    return;
                }
                first += batch.items.len() as u64;
                let full = batch.is_full(self.batch_size);
                if !batch.items.is_empty() && !self.start(scope, workers, lines, batch) {
                    return;
                }
                if let Err(error) = filled {
                    let (promise, ticket) = sync_channel(1);
                    // An unwanted error is one that came after a worse one.
                    let _ = promise.send(Err(error));
                    let _ = lines.tickets.send(ticket);
                    return;
                }
                if !full {
                    return;
                }
            }
        });
    }

    /// Takes entries until the batch is full, there are no more, or the run is to stop.
    fn fill(
        &self,
        batch: &mut Batch<T>,
        entries: &mut impl Iterator<Item = Result<Entry, RunError>>,
    ) -> Result<(), RunError> {
        while !batch.is_full(self.batch_size) && self.stop.requested().is_none() {
            match self.timing.measure(Stage::Walk, || entries.next()) {
                Some(entry) => batch.push(entry?),
                None => break,
            }
        }
        Ok(())
    }

    /// Starts preparing a batch; returns whether anybody still wants it.
    fn start<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        workers: &'scope [Mutex<Worker>],
        lines: &Lines<'_, T>,
        mut batch: Batch<T>,
    ) -> bool {
        let (promise, ticket) = sync_channel(1);
        if lines.tickets.send(ticket).is_err() {
            return false;
        }
        let ready = lines.ready.clone();
        scope.spawn(move |_| {
            // A receiver that is gone no longer wants the batch.
            let _ = match self.prepare(&mut batch, workers) {
                Err(error) => promise.send(Err(error)).map_err(drop),
                Ok(()) if batch.images == 0 => promise.send(Ok(batch)).map_err(drop),
                Ok(()) => ready.send((batch, promise)).map_err(drop),
            };
        });
        true
    }

    fn prepare(&self, batch: &mut Batch<T>, workers: &[Mutex<Worker>]) -> Result<(), RunError> {
        let length = self.preparer.preprocessor.image_len();
        let Batch { first, items, tensor, .. } = batch;
        let images = (*first..).zip(&mut *items).filter_map(|(entry, (source, fate))| match fate {
            Fate::Image { .. } => Some((entry, source, fate)),
            _ => None,
        });
        let images: Vec<_> = images.zip(tensor.chunks_exact_mut(length)).collect();
        let prepared: Vec<bool> = images
            .into_par_iter()
            .with_max_len(1)
            .map(|((entry, source, fate), slot)| {
                let index = rayon::current_thread_index().expect("a thread of the pool");
                if let Some(in_flight) = self.in_flight {
                    in_flight.begin(index, entry);
                }
                // What a panic left in a worker's buffers, the next image overwrites.
                let mut worker = workers[index].lock().unwrap_or_else(PoisonError::into_inner);
                let suspect = matches!(fate, Fate::Image { suspect: true });
                let outcome = self.prepare_image((&source.path, suspect), &mut worker, slot)?;
                Ok(outcome.map_err(|error| *fate = Fate::Failed(error)).is_ok())
            })
            .collect::<Result<_, RunError>>()?;
        let mut images = 0;
        for (at, _) in prepared.iter().enumerate().filter(|(_, prepared)| **prepared) {
            if at > images {
                tensor.copy_within(at * length..(at + 1) * length, images * length);
            }
            images += 1;
        }
        // A model of fixed batch size computes these too; blanks make that repeatable.
        tensor[images * length..].fill(T::default());
        batch.images = images;
        Ok(())
    }

    /// Prepares one image: on this thread; or in a child, where everything is `isolate`d or the
    /// program may have died of this image.
    fn prepare_image(
        &self,
        (path, suspect): (&Path, bool),
        worker: &mut Worker,
        slot: &mut [T],
    ) -> Result<Result<(), ItemError>, RunError> {
        let budget = &self.preparer.decoder.budget;
        let Some(launch) = self.launch.filter(|_| self.isolate || suspect) else {
            let outcome = self.preparer.prepare(path, &mut worker.buffers, slot, self.timing);
            worker.buffers.trim(budget.total(), self.pool.current_num_threads());
            return Ok(outcome);
        };
        let child = match &mut worker.child {
            Some(child) => child,
            none => none.insert(Child::start(launch)?),
        };
        let outcome = child.prepare(path, slot, (self.preparer.files, budget), self.timing)?;
        Ok(outcome.map_err(|error| match error {
            ItemError::DecoderCrash { how } if suspect => ItemError::Quarantined { how },
            other => other,
        }))
    }

    fn infer(
        &self,
        mut engine: Box<dyn Engine<T> + '_>,
        ready: &Mutex<Receiver<(Batch<T>, Promise<T>)>>,
    ) {
        loop {
            let next = self
                .timing
                .starving(|| ready.lock().unwrap_or_else(PoisonError::into_inner).recv());
            // The feeder and all pool threads are done with their ends.
            let Ok((mut batch, promise)) = next else { return };
            let Batch { tensor, images, scores, .. } = &mut batch;
            let images = *images;
            let scored =
                self.timing.measure(Stage::Inference, || engine.score(tensor, images, scores));
            let outcome = match scored {
                Ok(()) => Ok(batch),
                Err(reason) => Err(RunError::Inference { images, reason }),
            };
            // The calling thread has ended the run.
            if promise.send(outcome).is_err() {
                return;
            }
        }
    }
}

/// The feeder's ends of the channels.
struct Lines<'a, T> {
    free: &'a Receiver<Batch<T>>,
    tickets: &'a SyncSender<Ticket<T>>,
    ready: &'a SyncSender<(Batch<T>, Promise<T>)>,
}

fn redeem<T: Sample>(
    tickets: &Receiver<Ticket<T>>,
    free: &SyncSender<Batch<T>>,
    mut sink: impl FnMut(&Batch<T>) -> Result<ControlFlow<()>, RunError>,
) -> Result<(), RunError> {
    for ticket in tickets {
        let lost =
            |_| RunError::Internal("a batch was lost: the thread that had it panicked".into());
        let mut batch = ticket.recv().map_err(lost)??;
        if sink(&batch)?.is_break() {
            return Ok(());
        }
        batch.clear();
        // The feeder has all that it wanted.
        let _ = free.send(batch);
    }
    Ok(())
}
