//! Sources to scored batches, in the order of the sources. The only starter of the threads that
//! do the work, and the only maker of the channels between them.
//!
//! ```text
//! feeder ──(rayon pool: read, decode, preprocess)──▶ ready ──▶ engines ──▶ one promise a batch
//!    └───────────────── tickets, in order ───────────────────────────────▶ the calling thread
//! ```
//!
//! A batch is made of consecutive sources, so what is in it never depends on timing. The feeder
//! queues a ticket for each batch it starts; the calling thread redeems tickets in order. As many
//! batches exist as the free list was given: that bounds memory, and holds the feeder back.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use rayon::{ThreadPool, iter::IndexedParallelIterator as _, prelude::*};

use crate::{
    decode::{Decoder, Pixels},
    engine::Engine,
    error::{ItemError, RunError},
    interrupt::Stop,
    preprocess::{Preprocessor, Sample, Scratch},
    source::{self, Source},
    timing::{Stage, Timing},
    walk::{Met, Skip},
};

/// Consecutive sources on their way: their tensor, and then their scores.
#[derive(Debug)]
pub struct Batch<T> {
    items: Vec<(Source, Result<(), ItemError>)>,
    /// `batch_size` images; after preparation the good ones stand at the front, in order.
    tensor: Vec<T>,
    /// Good images.
    images: usize,
    scores: Vec<f32>,
    /// What the walk passed over before and between these sources, per [`Skip`].
    skipped: [u64; Skip::ALL.len()],
}

impl<T: Sample> Batch<T> {
    fn new(elements: usize) -> Self {
        let tensor = vec![T::default(); elements];
        Self {
            items: Vec::new(),
            tensor,
            images: 0,
            scores: Vec::new(),
            skipped: [0; Skip::ALL.len()],
        }
    }

    fn clear(&mut self) {
        self.items.clear();
        self.scores.clear();
        self.images = 0;
        self.skipped = [0; Skip::ALL.len()];
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.skipped == [0; Skip::ALL.len()]
    }
}

impl<T> Batch<T> {
    /// Every source in order, with its scores or the reason why there are none.
    ///
    /// # Panics
    ///
    /// Panics when the scores are not one row for each good image, which the engine checks.
    pub fn rows(&self) -> impl Iterator<Item = (&Source, Result<&[f32], &ItemError>)> {
        let classes = self.scores.len().checked_div(self.images).unwrap_or(0);
        let mut scores = self.scores.chunks_exact(classes.max(1));
        self.items.iter().map(move |(source, outcome)| {
            let row = outcome.as_ref().map(|()| scores.next().expect("a row for each good image"));
            (source, row)
        })
    }

    /// The scores of all good images, row-major.
    #[must_use]
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// How much the walk passed over, per [`Skip`], in the order of [`Skip::ALL`].
    #[must_use]
    pub fn skipped(&self) -> [u64; Skip::ALL.len()] {
        self.skipped
    }
}

/// What the stages need to know.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline<'a, T> {
    /// Threads that read, decode and preprocess.
    pub pool: &'a ThreadPool,
    /// Settings of decoding.
    pub decoder: &'a Decoder,
    /// Settings of preprocessing.
    pub preprocessor: &'a Preprocessor<T>,
    /// Whether files may be reached through symbolic links.
    pub follow_symlinks: bool,
    /// Bytes of one image file.
    pub max_file_bytes: u64,
    /// Images per batch.
    pub batch_size: usize,
    /// Batches that exist at once, each with a tensor of its own.
    pub batches_in_flight: usize,
    /// Looked at by the feeder alone; the other stages drain what it began.
    pub stop: &'a Stop,
    /// Where costs are booked.
    pub timing: &'a Timing,
}

/// What one worker thread reuses from image to image.
#[derive(Default)]
struct Worker {
    bytes: Vec<u8>,
    pixels: Pixels,
    scratch: Scratch,
}

/// Bytes of a buffer that a worker keeps for the next image: a 12-megapixel photo in colour fits.
const KEPT_BYTES: usize = 40 << 20;

impl Worker {
    /// Gives back buffers over `kept` bytes, which an unusually large image took.
    fn trim(&mut self, kept: usize) {
        let Self { bytes, pixels, scratch } = self;
        for buffer in [bytes, &mut pixels.data] {
            if buffer.capacity() > kept {
                *buffer = Vec::new();
            }
        }
        scratch.trim(kept);
    }
}

type Promise<T> = SyncSender<Result<Batch<T>, RunError>>;
type Ticket<T> = Receiver<Result<Batch<T>, RunError>>;

impl<T: Sample> Pipeline<'_, T> {
    /// Runs everything that `walk` meets through the stages, and calls `sink` with each batch, in
    /// order, on the calling thread. `sink` breaks to end the run early.
    ///
    /// # Errors
    ///
    /// The first error of the walk, an engine or `sink`; every stage ends then.
    pub fn run<W, S>(
        &self,
        walk: W,
        engines: Vec<Box<dyn Engine<T> + '_>>,
        sink: S,
    ) -> Result<(), RunError>
    where
        W: Iterator<Item = Result<Met, RunError>> + Send,
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
            let elements = self.batch_size * self.preprocessor.image_len();
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
                self.feed(walk, workers, &lines);
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
        mut walk: impl Iterator<Item = Result<Met, RunError>> + Send,
        workers: &[Mutex<Worker>],
        lines: &Lines<'_, T>,
    ) {
        self.pool.in_place_scope(|scope| {
            // Both ends closing means that the calling thread has ended the run.
            let Ok(mut batch) = lines.free.recv() else { return };
            while self.stop.requested().is_none() {
                match self.timing.measure(Stage::Walk, || walk.next()) {
                    None => break,
                    Some(Err(error)) => {
                        self.start(scope, workers, lines, batch);
                        let (promise, ticket) = sync_channel(1);
                        // An unwanted error is one that came after a worse one.
                        let _ = promise.send(Err(error));
                        let _ = lines.tickets.send(ticket);
                        return;
                    }
                    Some(Ok(Met::Candidate(source))) => batch.items.push((source, Ok(()))),
                    Some(Ok(Met::Failed(source, error))) => batch.items.push((source, Err(error))),
                    Some(Ok(Met::Skipped(reason))) => batch.skipped[reason as usize] += 1,
                }
                if batch.items.len() == self.batch_size {
                    if !self.start(scope, workers, lines, batch) {
                        return;
                    }
                    let Ok(next) = lines.free.recv() else { return };
                    batch = next;
                }
            }
            if !batch.is_empty() {
                self.start(scope, workers, lines, batch);
            }
        });
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
            self.prepare(&mut batch, workers);
            // A receiver that is gone no longer wants the batch.
            let _ = if batch.images == 0 {
                promise.send(Ok(batch)).map_err(drop)
            } else {
                ready.send((batch, promise)).map_err(drop)
            };
        });
        true
    }

    fn prepare(&self, batch: &mut Batch<T>, workers: &[Mutex<Worker>]) {
        let length = self.preprocessor.image_len();
        let Batch { items, tensor, .. } = batch;
        let slots = tensor.par_chunks_exact_mut(length).zip(items.par_iter_mut());
        slots.with_max_len(1).for_each(|(slot, (source, outcome))| {
            if outcome.is_ok() {
                let index = rayon::current_thread_index().expect("a thread of the pool");
                // What a panic left in a worker's buffers, the next image overwrites.
                let mut worker = workers[index].lock().unwrap_or_else(PoisonError::into_inner);
                *outcome = self.prepare_image(source, &mut worker, slot);
                worker.trim(self.kept_bytes());
            }
        });
        let mut images = 0;
        for (at, (_, outcome)) in items.iter().enumerate() {
            if outcome.is_ok() {
                if at > images {
                    tensor.copy_within(at * length..(at + 1) * length, images * length);
                }
                images += 1;
            }
        }
        // A model of fixed batch size computes these too; blanks make that repeatable.
        tensor[images * length..].fill(T::default());
        batch.images = images;
    }

    /// What each of a worker's four buffers may keep. The decode budget counts images being worked
    /// on; this holds what idle workers keep below it, too.
    fn kept_bytes(&self) -> usize {
        let share = self.decoder.budget.total() / (4 * self.pool.current_num_threads() as u64);
        usize::try_from(share).unwrap_or(usize::MAX).min(KEPT_BYTES)
    }

    fn prepare_image(
        &self,
        source: &Source,
        worker: &mut Worker,
        slot: &mut [T],
    ) -> Result<(), ItemError> {
        let Worker { bytes, pixels, scratch } = worker;
        let timing = self.timing;
        timing.measure(Stage::Read, || {
            source::read_whole(&source.path, self.follow_symlinks, self.max_file_bytes, bytes)
        })?;
        let decoded =
            timing.measure(Stage::Decode, || self.decoder.decode(bytes, &source.path, pixels));
        decoded.and_then(|_permit| {
            timing.measure(Stage::Preprocess, || self.preprocessor.write(pixels, scratch, slot))
        })
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
