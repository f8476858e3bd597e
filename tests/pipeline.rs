//! The pipeline with engines made for the test: order, bounds, failures and stops.
//!
//! Every image says its own number in its pixels, and the engines answer with it, so that a row can
//! be held to its source. Sources of runs that have to end early never end by themselves.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use image::{ImageFormat, RgbImage};
use linnaeus::{
    decode::{Budget, Decoder, Limits, Policy},
    engine::Engine,
    error::{Exit, ItemError, RunError},
    interrupt::Stop,
    list::Entry,
    pipeline::{Batch, Outcome, Pipeline},
    prepare::Preparer,
    preprocess::Preprocessor,
    recipe::{Alpha, Deep, Element, InputSpec, Orientation, Recipe, RecipeSpec},
    source::{Reader, Source},
    timing::Timing,
};

const HEIGHT: usize = 2;
const WIDTH: usize = 3;
const IMAGE_LEN: usize = 3 * HEIGHT * WIDTH;

/// Fails the test when `body` does not end: a hang must not hang the test run.
#[expect(clippy::disallowed_methods, reason = "a thread that hangs cannot be waited for")]
fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = channel();
    let thread = thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(body));
        let _ = done.send(());
        outcome
    });
    match wait.recv_timeout(Duration::from_mins(1)) {
        Err(RecvTimeoutError::Timeout) => panic!("the pipeline hangs"),
        _ => thread.join().unwrap().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}

/// Image files numbered from 0, of which some are damaged.
struct Folder {
    _files: tempfile::TempDir,
    sources: Vec<Source>,
}

impl Folder {
    fn new(count: usize, damaged: impl Fn(usize) -> bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut sources = Vec::new();
        for number in 0..count {
            let path = files.path().join(format!("{number:05}.png"));
            let bytes = if damaged(number) { b"no image".to_vec() } else { png(number) };
            fs::write(&path, bytes).unwrap();
            sources.push(Source { path, name: number.to_string().into_bytes() });
        }
        Self { _files: files, sources }
    }

    fn sound(count: usize) -> Self {
        Self::new(count, |_| false)
    }

    fn walk(&self) -> impl Iterator<Item = Result<Entry, RunError>> + Send + use<> {
        self.sources.clone().into_iter().map(|source| Ok(Entry::Candidate(source)))
    }

    /// The folder over and over again.
    fn endless(&self) -> impl Iterator<Item = Result<Entry, RunError>> + Send + use<> {
        self.sources.clone().into_iter().cycle().map(|source| Ok(Entry::Candidate(source)))
    }
}

/// A small image whose first two channels everywhere are `number`, low byte first.
fn png(number: usize) -> Vec<u8> {
    let [low, high] = u16::try_from(number).unwrap().to_le_bytes();
    let pixel = |x: u32, y: u32| image::Rgb([low, high, u8::try_from(10 * y + x).unwrap()]);
    let image = RgbImage::from_fn(WIDTH as u32, HEIGHT as u32, pixel);
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The numbers of the first `images` images of a batch.
fn numbers(tensor: &[f32], images: usize) -> Vec<usize> {
    let plane = HEIGHT * WIDTH;
    let number = |image: &[f32]| {
        // Every pixel says the same, and the third channel where it is.
        assert!(image[..plane].iter().all(|&low| low == image[0]), "{image:?}");
        assert_eq!(image[2 * plane..], [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        image[0] as usize + 256 * image[plane] as usize
    };
    tensor.chunks_exact(IMAGE_LEN).take(images).map(number).collect()
}

/// Answers two scores an image: its number, and its negative. Before that, `before` sees the
/// numbers of the batch and the tensor.
struct Fake<F>(F);

impl<F> Engine<f32> for Fake<F>
where
    F: FnMut(&[usize], &[f32]) -> Result<(), String> + Send,
{
    fn score(
        &mut self,
        tensor: &[f32],
        images: usize,
        scores: &mut Vec<f32>,
    ) -> Result<(), String> {
        let numbers = numbers(tensor, images);
        assert_eq!(numbers.len(), images, "the tensor holds the images");
        assert!(tensor[images * IMAGE_LEN..].iter().all(|&x| x == 0.0), "the rest is blank");
        (self.0)(&numbers, tensor)?;
        scores.clear();
        scores.extend(numbers.iter().flat_map(|&number| [number as f32, -(number as f32)]));
        Ok(())
    }
}

fn engine<'a, F>(before: F) -> Box<dyn Engine<f32> + 'a>
where
    F: FnMut(&[usize], &[f32]) -> Result<(), String> + Send + 'a,
{
    Box::new(Fake(before))
}

fn plain<'a>() -> Box<dyn Engine<f32> + 'a> {
    engine(|_, _| Ok(()))
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    threads: usize,
    batch_size: usize,
    in_flight: usize,
}

const USUAL: Shape = Shape { threads: 2, batch_size: 3, in_flight: 4 };

/// What reached the sink.
#[derive(Debug, Default)]
struct Seen {
    /// Name, and the number that the engine read, or the error's code.
    rows: Vec<(String, Result<usize, &'static str>)>,
    /// Sources per batch.
    batches: Vec<usize>,
    kept: Vec<u64>,
}

impl Seen {
    fn take(&mut self, batch: &Batch<f32>) {
        let mut entries = 0;
        for (source, outcome) in batch.rows() {
            entries += 1;
            let name = String::from_utf8(source.name.clone()).unwrap();
            let outcome = match outcome {
                Outcome::Scores(scores) => {
                    assert_eq!(scores, [scores[0], -scores[0]]);
                    Ok(scores[0] as usize)
                }
                Outcome::Failed(error) => Err(error.code()),
                Outcome::Kept(row) => {
                    self.kept.push(row);
                    continue;
                }
            };
            self.rows.push((name, outcome));
        }
        self.batches.push(entries);
    }

    /// Checks that the rows are those of the first sources of `folder`, walked over and over, each
    /// with its own number or with `not_an_image` where it is damaged.
    fn assert_prefix(&self, folder: &Folder, damaged: impl Fn(usize) -> bool) {
        for (at, (name, outcome)) in self.rows.iter().enumerate() {
            let number = at % folder.sources.len();
            assert_eq!(*name, number.to_string(), "row {at}");
            let expected = if damaged(number) { Err("not_an_image") } else { Ok(number) };
            assert_eq!(*outcome, expected, "row {at}");
        }
    }
}

/// Bytes that all images being decoded may take.
const BUDGET: u64 = 1 << 20;

fn decoder() -> Decoder {
    Decoder {
        limits: Limits { max_pixels: 1000, max_bytes: BUDGET },
        policy: Policy { exif: Orientation::Ignore, alpha: Alpha::Drop, deep: Deep::HighByte },
        budget: Budget::new(BUDGET),
    }
}

/// Runs a pipeline; `sink` sees the number of the batch, after what it holds was noted.
fn run<W>(
    shape: Shape,
    stop: &Stop,
    walk: W,
    engines: Vec<Box<dyn Engine<f32> + '_>>,
    sink: impl FnMut(usize, &Seen) -> Result<ControlFlow<()>, RunError>,
) -> (Result<(), RunError>, Seen)
where
    W: Iterator<Item = Result<Entry, RunError>> + Send,
{
    run_with(&Settings { decoder: &decoder(), shape, stop }, walk, engines, sink)
}

struct Settings<'a> {
    decoder: &'a Decoder,
    shape: Shape,
    stop: &'a Stop,
}

fn run_with<W>(
    settings: &Settings<'_>,
    walk: W,
    engines: Vec<Box<dyn Engine<f32> + '_>>,
    mut sink: impl FnMut(usize, &Seen) -> Result<ControlFlow<()>, RunError>,
) -> (Result<(), RunError>, Seen)
where
    W: Iterator<Item = Result<Entry, RunError>> + Send,
{
    let Settings { decoder, shape, stop } = *settings;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(shape.threads).build().unwrap();
    let spec: RecipeSpec = toml::from_str("resize = 'none'\nscale = 1\nlayout = 'nchw'").unwrap();
    let input = InputSpec {
        name: "x".into(),
        element: Element::F32,
        batch: None,
        dims: [3, HEIGHT, WIDTH].map(Some),
        planar: false,
    };
    let recipe = Recipe::resolve(&spec, &input).unwrap();
    let pipeline = Pipeline {
        pool: &pool,
        preparer: Preparer {
            reader: Reader { follow: false, max_bytes: 1 << 20, retries: 0 },
            files: &Budget::new(1 << 20),
            decoder,
            preprocessor: &Preprocessor::new(recipe),
            image_timeout: Duration::from_mins(1),
        },
        launch: None,
        isolate: false,
        batch_size: shape.batch_size,
        batches_in_flight: shape.in_flight,
        first: 0,
        in_flight: None,
        stop,
        timing: &Timing::default(),
    };
    let mut seen = Seen::default();
    let outcome = pipeline.run(walk, engines, |batch| {
        seen.take(batch);
        sink(seen.batches.len() - 1, &seen)
    });
    (outcome, seen)
}

#[expect(clippy::unnecessary_wraps, reason = "a sink")]
fn go_on(_: usize, _: &Seen) -> Result<ControlFlow<()>, RunError> {
    Ok(ControlFlow::Continue(()))
}

/// An iterator that counts what was taken from it.
fn counted<I: Iterator>(items: I, taken: &Arc<AtomicUsize>) -> impl Iterator<Item = I::Item> {
    let taken = Arc::clone(taken);
    items.inspect(move |_| {
        taken.fetch_add(1, SeqCst);
    })
}

#[test]
fn rows_keep_the_order_of_the_sources_when_batches_finish_out_of_order() {
    watched(|| {
        let folder = Folder::sound(60);
        let (done, changed) = (Mutex::new(Vec::new()), Condvar::new());
        // Every batch whose number is a multiple of 4 waits until the next one was scored.
        let late = |numbers: &[usize], _: &[f32]| {
            let batch = numbers[0] / USUAL.batch_size;
            let mut done = done.lock().unwrap();
            while batch.is_multiple_of(4) && !done.contains(&(batch + 1)) {
                done = changed.wait(done).unwrap();
            }
            done.push(batch);
            changed.notify_all();
            Ok(())
        };
        let engines = vec![engine(late), engine(late), engine(late)];
        let (outcome, seen) = run(USUAL, &Stop::default(), folder.walk(), engines, go_on);
        outcome.unwrap();
        assert_eq!(seen.rows.len(), 60);
        seen.assert_prefix(&folder, |_| false);
        let done = done.lock().unwrap();
        assert!(!done.is_sorted(), "the engines did not finish out of order: {done:?}");
    });
}

#[test]
fn a_batch_is_made_of_consecutive_sources_whatever_the_threads() {
    watched(|| {
        let damaged = |number: usize| number.is_multiple_of(7) || (20..26).contains(&number);
        let folder = Folder::new(50, damaged);
        for threads in [1, 2, 8] {
            for (batch_size, in_flight, sessions) in [(1, 3, 1), (3, 1, 1), (3, 5, 2), (64, 2, 2)] {
                let shape = Shape { threads, batch_size, in_flight };
                let calls = Mutex::new(Vec::new());
                let note = |numbers: &[usize], _: &[f32]| {
                    calls.lock().unwrap().push(numbers.to_vec());
                    Ok(())
                };
                let engines = (0..sessions).map(|_| engine(note)).collect();
                let (outcome, seen) = run(shape, &Stop::default(), folder.walk(), engines, go_on);
                outcome.unwrap();
                assert_eq!(seen.rows.len(), 50, "{shape:?}");
                seen.assert_prefix(&folder, damaged);
                let all: Vec<usize> = (0..50).collect();
                let sound = |numbers: &[usize]| -> Vec<usize> {
                    numbers.iter().copied().filter(|&number| !damaged(number)).collect()
                };
                let mut expected: Vec<_> = all.chunks(batch_size).map(sound).collect();
                let sizes: Vec<_> = all.chunks(batch_size).map(<[_]>::len).collect();
                expected.retain(|numbers| !numbers.is_empty());
                let mut calls = calls.into_inner().unwrap();
                calls.sort();
                assert_eq!(calls, expected, "{shape:?}");
                assert_eq!(seen.batches, sizes, "{shape:?}");
            }
        }
    });
}

#[test]
fn a_failed_image_costs_its_own_row_only() {
    watched(|| {
        let folder = Folder::new(9, |number| number == 4);
        let found = folder.walk().enumerate().map(|(number, met)| match (number, met.unwrap()) {
            (2, Entry::Candidate(source)) => {
                Ok(Entry::Candidate(Source { path: "/nowhere/a.png".into(), ..source }))
            }
            (6, Entry::Candidate(source)) => Ok(Entry::Failed(source, ItemError::SymlinkLoop)),
            (_, met) => Ok(met),
        });
        let (outcome, seen) = run(USUAL, &Stop::default(), found, vec![plain()], go_on);
        outcome.unwrap();
        let outcomes: Vec<_> = seen.rows.iter().map(|(_, outcome)| *outcome).collect();
        let mut expected: Vec<_> = (0..9).map(Ok).collect();
        expected[2] = Err("vanished");
        expected[4] = Err("not_an_image");
        expected[6] = Err("symlink_loop");
        assert_eq!(outcomes, expected);
    });
}

#[test]
fn a_batch_without_a_sound_image_reaches_no_engine() {
    watched(|| {
        let folder = Folder::new(6, |_| true);
        let never = engine(|_, _| panic!("an engine was called"));
        let (outcome, seen) = run(USUAL, &Stop::default(), folder.walk(), vec![never], go_on);
        outcome.unwrap();
        assert_eq!(seen.rows.len(), 6);
        seen.assert_prefix(&folder, |_| true);
    });
}

#[test]
fn an_engine_that_fails_ends_the_run_with_its_words() {
    watched(|| {
        let folder = Folder::sound(20);
        for bad in [0, 4, 17] {
            let fails =
                engine(
                    move |numbers, _| {
                        if numbers.contains(&bad) { Err("out of luck".to_owned()) } else { Ok(()) }
                    },
                );
            let (outcome, seen) =
                run(USUAL, &Stop::default(), folder.endless(), vec![fails], go_on);
            match outcome {
                Err(RunError::Inference { images: 3, reason }) => assert_eq!(reason, "out of luck"),
                other => panic!("{other:?}"),
            }
            let before = bad / USUAL.batch_size * USUAL.batch_size;
            assert_eq!(seen.rows.len(), before, "what came before is kept");
            seen.assert_prefix(&folder, |_| false);
        }
    });
}

#[test]
fn an_engine_that_panics_ends_the_run() {
    watched(|| {
        let folder = Folder::sound(20);
        for sessions in [1, 3] {
            let calls = Arc::new(AtomicUsize::new(0));
            let shared = || {
                let calls = Arc::clone(&calls);
                engine(move |_, _| {
                    assert!(calls.fetch_add(1, SeqCst) != 4, "the engine's own panic");
                    Ok(())
                })
            };
            let engines = (0..sessions).map(|_| shared()).collect();
            let (outcome, seen) = run(USUAL, &Stop::default(), folder.endless(), engines, go_on);
            let error = outcome.unwrap_err();
            assert!(matches!(error, RunError::Internal(_)), "{error:?}");
            assert_eq!(error.exit(), Exit::Internal);
            seen.assert_prefix(&folder, |_| false);
            assert_eq!(Arc::strong_count(&calls), 1, "every engine is gone");
        }
    });
}

#[test]
fn an_engine_that_panics_on_the_very_last_batch_is_not_success() {
    watched(|| {
        let folder = Folder::sound(6);
        // Two of them, so that one is left for the other batch whichever comes first.
        let panics = |numbers: &[usize], _: &[f32]| {
            assert!(!numbers.contains(&5), "the engine's own panic");
            Ok(())
        };
        let engines = vec![engine(panics), engine(panics)];
        let (outcome, seen) = run(USUAL, &Stop::default(), folder.walk(), engines, go_on);
        assert!(matches!(outcome, Err(RunError::Internal(_))), "{outcome:?}");
        assert_eq!(seen.rows.len(), 3);
    });
}

#[test]
fn a_batch_that_no_engine_is_left_for_ends_the_run() {
    watched(|| {
        let folder = Folder::sound(6);
        // The first batch needs more memory for decoding than the second, and gets it only when
        // the one engine is about to panic on the second: nobody is left to score the first.
        for source in &folder.sources[..3] {
            let mut bytes = Cursor::new(Vec::new());
            let deep = image::ImageBuffer::<image::Rgb<u16>, _>::new(WIDTH as u32, HEIGHT as u32);
            deep.write_to(&mut bytes, ImageFormat::Png).unwrap();
            fs::write(&source.path, bytes.into_inner()).unwrap();
        }
        let decoder = decoder();
        // Of a pixel of 8-bit samples, 9 bytes are asked for, of one of 16 bits 15.
        let shallow = (HEIGHT * WIDTH * 9) as u64;
        let held = Mutex::new(Some(decoder.budget.acquire(BUDGET - shallow)));
        let panics = engine(|numbers, _| {
            drop(held.lock().unwrap().take());
            panic!("the engine's own panic on {numbers:?}");
        });
        // Three threads may wait with the first batch.
        let shape = Shape { threads: 6, ..USUAL };
        let settings = Settings { decoder: &decoder, shape, stop: &Stop::default() };
        let (outcome, seen) = run_with(&settings, folder.walk(), vec![panics], go_on);
        assert!(matches!(outcome, Err(RunError::Internal(_))), "{outcome:?}");
        assert!(seen.rows.is_empty(), "{seen:?}");
    });
}

#[test]
fn a_walk_that_panics_is_not_success() {
    watched(|| {
        let folder = Folder::sound(20);
        let walk = folder.walk().inspect(|met| {
            let Ok(Entry::Candidate(source)) = met else { return };
            assert!(source.name != b"11", "the walk's own panic");
        });
        let (outcome, seen) = run(USUAL, &Stop::default(), walk, vec![plain()], go_on);
        assert!(matches!(outcome, Err(RunError::Internal(_))), "{outcome:?}");
        seen.assert_prefix(&folder, |_| false);
    });
}

#[test]
fn a_sink_that_fails_ends_every_stage() {
    watched(|| {
        let folder = Folder::sound(20);
        for failing in [0, 3] {
            let alive = Arc::new(AtomicUsize::new(0));
            let held = Arc::clone(&alive);
            let engine = engine(move |_, _| {
                held.fetch_add(1, SeqCst);
                Ok(())
            });
            let walk = counted(folder.endless(), &alive);
            let (outcome, seen) = run(USUAL, &Stop::default(), walk, vec![engine], |batch, _| {
                if batch < failing {
                    return Ok(ControlFlow::Continue(()));
                }
                let source = std::io::ErrorKind::StorageFull.into();
                Err(RunError::Output { path: "out.csv".into(), source })
            });
            let error = outcome.unwrap_err();
            assert_eq!(error.exit(), Exit::Output, "{error}");
            assert_eq!(seen.batches.len(), failing + 1, "it is not called again");
            assert_eq!(Arc::strong_count(&alive), 1, "engine and walk are gone");
        }
    });
}

#[test]
fn a_sink_that_breaks_or_panics_ends_every_stage() {
    watched(|| {
        let folder = Folder::sound(20);
        let (outcome, seen) =
            run(USUAL, &Stop::default(), folder.endless(), vec![plain(), plain()], |batch, _| {
                Ok(if batch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
        outcome.unwrap();
        assert_eq!(seen.rows.len(), 3 * USUAL.batch_size);
        seen.assert_prefix(&folder, |_| false);

        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let engine = engine(move |_, _| {
            assert!(Arc::strong_count(&held) > 1);
            Ok(())
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            run(USUAL, &Stop::default(), folder.endless(), vec![engine], |_, _| {
                panic!("the sink's own panic")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(Arc::strong_count(&alive), 1, "the engine is gone");
    });
}

#[test]
fn nothing_is_read_when_a_stop_was_asked_for_before() {
    watched(|| {
        let folder = Folder::sound(20);
        let (stop, taken) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
        assert!(stop.request(Exit::Interrupted));
        let walk = counted(folder.endless(), &taken);
        let (outcome, seen) = run(USUAL, &stop, walk, vec![plain()], go_on);
        outcome.unwrap();
        assert_eq!((seen.rows.len(), taken.load(SeqCst)), (0, 0));
    });
}

#[test]
fn a_stop_lets_what_was_begun_become_rows() {
    watched(|| {
        let folder = Folder::new(20, |number| number == 7);
        for stopping in [0, 1, 6] {
            let (stop, taken) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
            let walk = counted(folder.endless(), &taken);
            let (outcome, seen) = run(USUAL, &stop, walk, vec![plain()], |batch, _| {
                if batch == stopping {
                    assert!(stop.request(Exit::Terminated));
                }
                Ok(ControlFlow::Continue(()))
            });
            outcome.unwrap();
            assert!(seen.batches.len() > stopping);
            assert_eq!(seen.rows.len(), taken.load(SeqCst), "every source taken has a row");
            seen.assert_prefix(&folder, |number| number == 7);
        }
    });
}

#[test]
fn no_more_batches_exist_than_may() {
    watched(|| {
        let folder = Folder::sound(97);
        for in_flight in [1, 2, 5] {
            let shape = Shape { in_flight, ..USUAL };
            let (tensors, taken) = (Mutex::new(BTreeSet::new()), Arc::new(AtomicUsize::new(0)));
            let note = |_: &[usize], tensor: &[f32]| {
                tensors.lock().unwrap().insert(tensor.as_ptr().addr());
                Ok(())
            };
            let walk = counted(folder.walk(), &taken);
            let engines = vec![engine(note), engine(note)];
            let (outcome, seen) = run(shape, &Stop::default(), walk, engines, |batch, _| {
                let most = (batch + in_flight) * shape.batch_size;
                // The feeder goes as far ahead as it may while the first batch is held here.
                while batch == 0 && taken.load(SeqCst) < most {
                    thread::yield_now();
                }
                let ahead = taken.load(SeqCst);
                assert!(ahead <= most, "{ahead} sources taken at batch {batch}, {shape:?}");
                Ok(ControlFlow::Continue(()))
            });
            outcome.unwrap();
            assert_eq!(seen.rows.len(), 97);
            let tensors = tensors.lock().unwrap().len();
            assert!(tensors <= in_flight, "{tensors} tensors for {in_flight} batches");
        }
    });
}

#[test]
fn an_error_of_the_walk_comes_after_the_rows_before_it() {
    watched(|| {
        let folder = Folder::sound(20);
        for before in [0, 6, 7] {
            let gone = || RunError::Input {
                path: "gone".into(),
                source: std::io::ErrorKind::NotFound.into(),
            };
            let taken = Arc::new(AtomicUsize::new(0));
            let walk = folder.walk().take(before).chain([Err(gone())]).chain(folder.endless());
            let walk = counted(walk, &taken);
            let (outcome, seen) = run(USUAL, &Stop::default(), walk, vec![plain()], go_on);
            let error = outcome.unwrap_err();
            assert_eq!(error.exit(), Exit::Input, "{error}");
            assert_eq!(seen.rows.len(), before);
            seen.assert_prefix(&folder, |_| false);
            assert_eq!(taken.load(SeqCst), before + 1, "nothing is taken after the error");
        }
    });
}

#[test]
fn rows_that_are_kept_take_no_place_of_an_image() {
    watched(|| {
        let folder = Folder::sound(8);
        let kept = |row| {
            let source = Source { path: "/nowhere".into(), name: b"kept".to_vec() };
            Ok(Entry::Kept(source, row))
        };
        let entries = folder.walk().flat_map(|entry| [kept(7), entry, kept(9)]);
        let (outcome, seen) = run(USUAL, &Stop::default(), entries, vec![plain()], go_on);
        outcome.unwrap();
        // Three images to a batch, and what is kept between them and before the next.
        assert_eq!(seen.batches, [8, 9, 7]);
        assert_eq!(seen.kept, [7, 9].repeat(8));
        seen.assert_prefix(&folder, |_| false);
        let many = (0..500).map(kept);
        let (outcome, seen) = run(USUAL, &Stop::default(), many, vec![plain()], go_on);
        outcome.unwrap();
        assert_eq!(seen.kept, (0..500).collect::<Vec<_>>());
        assert!(seen.batches.len() > 1, "{:?}", seen.batches);
    });
}

#[test]
fn no_input_is_no_batch() {
    watched(|| {
        let nothing = std::iter::empty();
        let (outcome, seen) = run(USUAL, &Stop::default(), nothing, vec![plain()], go_on);
        outcome.unwrap();
        assert!(seen.batches.is_empty(), "{seen:?}");
    });
}

#[test]
fn the_images_say_their_number() {
    let folder = Folder::sound(301);
    assert_eq!(folder.sources[300].path.file_name(), Some(Path::new("00300.png").as_os_str()));
    let (outcome, seen) = run(USUAL, &Stop::default(), folder.walk(), vec![plain()], go_on);
    outcome.unwrap();
    assert_eq!(seen.rows[300], ("300".to_owned(), Ok(300)));
}
