//! Everything that reads what strangers wrote gets thousands of damaged and made-up inputs, the same
//! ones every time. `LINNAEUS_FUZZ=100 cargo test --test fuzz` takes a hundred times as many.
//!
//! `tests/fuzz` has the same for libFuzzer.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "a global allocator is, and only it sees every allocation")]

#[macro_use]
mod told;

mod mutation;
mod surfaces;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeMap,
    env, fs,
    io::{Cursor, Read as _, Write as _},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use linnaeus::{
    job::Incremental,
    journal::{Checkpoint, Fingerprint},
};
use mutation::{Random, deep, recipe_text};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that ends frees memory when its counters are gone already.
    _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate, since
// the cells are made at compile time and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment there may be both.
        count(size.cast_signed());
        count(-layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What all cases of one surface came to.
struct Cases {
    surface: &'static str,
    /// Bytes that a case may hold at a time, and those per byte of its input.
    allowed: (usize, usize),
    count: usize,
    most: usize,
    slowest: f64,
    began: Instant,
}

impl Cases {
    fn new(surface: &'static str, allowed: (usize, usize)) -> Self {
        Self { surface, allowed, count: 0, most: 0, slowest: 0.0, began: Instant::now() }
    }

    /// Runs one case; tells its input when it panics or takes too much.
    fn run(&mut self, name: &str, input: &[u8], case: impl FnOnce()) {
        let (before, began) = (HELD.get(), Instant::now());
        MOST.set(before);
        let outcome = panic::catch_unwind(AssertUnwindSafe(case));
        let taken = usize::try_from(MOST.get() - before).unwrap();
        let seconds = began.elapsed().as_secs_f64();
        let shown = || format!("{} {name}: b\"{}\"", self.surface, input.escape_ascii());
        assert!(outcome.is_ok(), "panicked: {}", shown());
        let (free, each) = self.allowed;
        let allowed = free + each * input.len();
        assert!(taken <= allowed, "took {taken} of {allowed} bytes: {}", shown());
        self.count += 1;
        self.most = self.most.max(taken);
        self.slowest = self.slowest.max(seconds);
    }

    fn tell(&self) {
        let Self { surface, count, most, slowest, began, .. } = self;
        let seconds = began.elapsed().as_secs_f64();
        told!("{surface}: {count} cases in {seconds:.1} s, {slowest:.3} s at most, {most} bytes");
    }
}

fn times(count: usize) -> usize {
    count * env::var("LINNAEUS_FUZZ").map_or(1, |text| text.parse::<usize>().unwrap())
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The files of these endings in a folder, in order.
fn seeds(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(tests().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        let ending = path.extension().unwrap_or_default().to_str().unwrap();
        path.is_file() && (endings.is_empty() || endings.contains(&ending))
    });
    paths.sort();
    assert!(!paths.is_empty(), "{folder}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn models() {
    let seeds = seeds("models", &["onnx"]);
    let mut cases = Cases::new("model", (1 << 20, 64));
    let mut random = Random::new(1);
    for number in 0..times(8000) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || surfaces::model(&bytes));
    }
    cases.tell();
}

/// What the known ecosystems write into a model's metadata.
const METADATA: [&str; 5] = [
    "linnaeus.package\t1\nlinnaeus.recipe\t{\"size\": \"8x9\", \"resize\": \"shorter-side 16\", \
     \"interpolation\": \"bicubic\", \"kernel\": \"torch\", \"crop\": \"center\", \"fill\": 9, \
     \"scale\": \"1/255\", \"mean\": [0.5, 0.4, 0.3], \"std\": 0.5, \"channels\": \"bgr\"}\n\
     linnaeus.labels\t[\"cat\", \"dog\"]\nlinnaeus.golden\t[{\"name\": \"a.png\", \"class\": 1, \
     \"probability\": 0.75, \"image\": \"AP8H\"}]\nlinnaeus.source\t{\"file\": \"m.onnx\", \
     \"sha256\": \"00\", \"linnaeus\": \"0\"}\n",
    "task\tclassify\nstride\t1\nnames\t{0: 'tench', 1: \"bird's nest\"}\nversion\t8.4.190\n\
     imgsz\t[24, 32]\nchannels\t3\ndescription\tUltralytics YOLOv8n-cls\nargs\t{'half': False}\n",
    "model_info model_type\tClassification\nmodel_info labels\tcat big_dog\n\
     model_info mean_values\t123.675 116.28 103.53\nmodel_info scale_values\t58.395 57.12 57.375\n\
     model_info reverse_input_channels\tTrue\nmodel_info resize_type\tfit_to_window_letterbox\n\
     model_info pad_value\t114\nmodel_info multilabel\tFalse\nmodel_info orig_width\t32\n\
     model_info orig_height\t24\nmodel_info interpolation_type\tLINEAR\n",
    "CustomVision.Metadata.Version\t1.0\nCustomVision.Preprocess.NormalizeMean\t[0.0, 0.0, 0.0]\n\
     CustomVision.Preprocess.NormalizeStd\t[1.0, 1.0, 1.0]\nImage.BitmapPixelFormat\tBgr8\n\
     Image.NominalPixelRange\tNormalized_0_1\nCustomVision.Preprocess.ResizeMethod\tStretch\n\
     CustomVision.Preprocess.TargetSize\t24x32\n",
    "Image.BitmapPixelFormat\tGray8\nImage.NominalPixelRange\tNominalRange_0_255\n\
     Image.ColorSpaceGamma\tSRGB\nstride\t32\nnames\t['cat', 'dog']\n",
];

#[test]
fn metadata() {
    let seeds = METADATA.map(|text| text.as_bytes().to_vec());
    let mut cases = Cases::new("metadata", (4 << 20, 256));
    let mut random = Random::new(2);
    for number in 0..times(700) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || surfaces::metadata(&bytes));
    }
    cases.tell();
}

const LABELS: [&str; 12] = [
    "cat\ndog\n\n",
    "\u{FEFF}n02123045 cat, tabby\r\nn02084071 dog\r\n",
    "0 cat\n1 3D printer\n",
    "{1: \"dog's\", 0: 'c\\u00e4t, tabby',}",
    "['cat', u'dog', \"\\x41\", None, True, -1.5e3]",
    r#"[{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]"#,
    "item {\n  id: 2\n  name: 'd\\303\\266g'\n}\nitem { id: 1 name: \"cat\" }",
    "id,name\n1,dog\n0,\"ca\"\"t\"\n",
    "class;label_id\ncat;1\ndog;2\n",
    r#"{"1": "dog", "0": "c\u00e4t"}"#,
    r#"{"cat": 0, "dog": 1}"#,
    r#"{"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]}"#,
];

#[test]
fn label_files() {
    let seeds = LABELS.map(|text| text.as_bytes().to_vec());
    // An offset of a background class may be up to 2²⁰.
    let mut cases = Cases::new("labels", (1 << 20, 512));
    let mut random = Random::new(3);
    for number in 0..times(20_000) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || surfaces::labels(&bytes));
    }
    for text in deep() {
        cases.run("deep", text.as_bytes(), || surfaces::labels(text.as_bytes()));
    }
    cases.tell();
}

#[test]
fn sidecars() {
    let mut cases = Cases::new("sidecar", (4 << 20, 512));
    let mut random = Random::new(4);
    let seeds = surfaces::FILES.map(|(_, text, _)| text.as_bytes().to_vec());
    for (at, (name, ..)) in surfaces::FILES.into_iter().enumerate() {
        let damaged: Vec<_> =
            (0..times(60)).map(|_| random.mutation_of(&seeds[at], &seeds)).collect();
        let deep = deep().into_iter().map(String::into_bytes);
        for content in damaged.into_iter().chain(deep).chain([seeds[at].clone()]) {
            let place = [u8::try_from(at).unwrap()];
            let input = [&place[..], &content].concat();
            cases.run(name, &input, || surfaces::sidecars(&input));
        }
    }
    cases.tell();
}

#[test]
fn images() {
    let mut seeds = seeds("images/hostile", &[]);
    // The longer ones take their time, and hold nothing else.
    seeds.retain(|bytes| (40..8000).contains(&bytes.len()));
    let mut cases = Cases::new("image", (32 << 20, 64));
    let mut codes = BTreeMap::<_, usize>::new();
    let mut random = Random::new(5);
    for number in 0..times(6000) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || {
            *codes.entry(surfaces::image(&bytes).unwrap_or("read")).or_default() += 1;
        });
    }
    cases.tell();
    told!("{codes:?}");
    assert!(codes["read"] > 10, "{codes:?}");
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let text = format!("{text:<117}\n");
    bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn tensors() {
    let data: Vec<u8> = (0..96).collect();
    let seeds = [
        npy("<f4", "(1, 3, 2, 4)", &data),
        npy("<f2", "(4, 4, 3)", &data),
        npy("<f8", "(12,)", &data),
        npy("|u1", "(1, 96)", &data),
        npy("<i4", "()", &data[..4]),
        npy(">f4", "(2, 0, 3)", &[]),
    ];
    let mut cases = Cases::new("npy", (1 << 20, 64));
    let mut random = Random::new(6);
    let mut run = |name: &str, bytes: &[u8]| cases.run(name, bytes, || surfaces::npy(bytes));
    for number in 0..times(2000) {
        run(&number.to_string(), &random.mutated(&seeds));
    }
    for depth in [4, 6, 9, 40, 4000] {
        for [open, close] in [["[", "]"], ["(", ",)"], ["{'a': ", "}"], ["[[], ", "]"]] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            run("deep", &npy("<f4", &nested, &data));
            run("deep", &npy(&open.repeat(depth), "(1,)", &data));
        }
    }
    run("long", &[b"\x93NUMPY\x02\x00\xff\xff\xff\xff", &[0; 200][..]].concat());
    cases.tell();
}

#[test]
fn recipes() {
    let mut cases = Cases::new("recipe", (8 << 20, 64));
    let mut random = Random::new(7);
    for number in 0..times(5000) {
        let text = recipe_text(&mut random);
        cases.run(&number.to_string(), text.as_bytes(), || surfaces::recipe(text.as_bytes()));
    }
    cases.tell();
}

/// Lists of every kind of entry: first ones, and one of a night after.
fn lists() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let [images, place] = ["in", "a.list"].map(|name| folder.path().join(name));
    fs::create_dir(&images).unwrap();
    for name in ["a.png", "b.png", "c.png", "d\n.png"] {
        fs::write(images.join(name), name).unwrap();
        let file = fs::File::options().write(true).open(images.join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(400_000)).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", images.join("e.png")).unwrap();
    let mut lists = Vec::new();
    for by in [Incremental::No, Incremental::Stat, Incremental::Content] {
        let first = surfaces::freeze(&images, None, by, Some(&place)).unwrap();
        lists.push(fs::read(&place).unwrap());
        let base = surfaces::base(&first, folder.path());
        surfaces::freeze(&images, base, by, Some(&place)).unwrap();
        lists.push(fs::read(&place).unwrap());
    }
    lists
}

#[test]
fn journals() {
    let seeds = lists();
    let mut cases = Cases::new("list", (2 << 20, 64));
    let mut random = Random::new(9);
    for bytes in &seeds {
        cases.run("whole", bytes, || surfaces::listed(bytes));
    }
    for number in 0..times(600) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || surfaces::listed(&bytes));
    }
    cases.tell();
    let mut fingerprint = Fingerprint::default();
    fingerprint.add("top-k", "1");
    let checkpoint = Checkpoint::new(fingerprint, "00", 7);
    let seeds = [serde_json::to_vec_pretty(&checkpoint).unwrap()];
    let mut cases = Cases::new("checkpoint", (1 << 20, 64));
    for number in 0..times(3000) {
        let bytes = random.mutated(&seeds);
        cases.run(&number.to_string(), &bytes, || surfaces::checkpoint(&bytes));
    }
    cases.tell();
}

/// The files of `keras.zip` and `freeze.zip`.
fn keras_files() -> BTreeMap<String, Vec<u8>> {
    let files = |name: &str| entries(&fs::read(tests().join(name)).unwrap());
    let mut all = files("models/freeze.zip");
    all.extend(files("models/keras.zip"));
    all
}

fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.name().unwrap().into_owned(), bytes);
    }
    files
}

/// The archive with one entry changed, so that its sums are right.
fn with_changed_entry(archive: &[u8], random: &mut Random) -> Vec<u8> {
    let mut files = entries(archive);
    let at = random.below(files.len());
    let content = files.values_mut().nth(at).unwrap();
    *content = random.mutation_of(content, &[]);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let methods = [CompressionMethod::Stored, CompressionMethod::Deflated];
    let method = methods[random.below(2)];
    for (name, bytes) in &files {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn keras_models() {
    let files = keras_files();
    let mut cases = Cases::new("keras", (8 << 20, 64));
    let mut random = Random::new(8);
    let ending =
        |name: &str, ending: &str| Path::new(name).extension().is_some_and(|e| e == ending);
    for (name, bytes) in &files {
        for _ in 0..times(16) {
            let changed = if bytes.starts_with(b"PK") && random.below(4) > 0 {
                with_changed_entry(bytes, &mut random)
            } else {
                random.mutation_of(bytes, &[])
            };
            if name.starts_with("saved_model/") || name.starts_with("unzipped/") {
                let (folder, _) = name.split_once('/').unwrap();
                let here = files.iter().filter_map(|(other, bytes)| {
                    let inner = other.strip_prefix(folder)?.strip_prefix('/')?;
                    Some((inner, if other == name { &changed } else { bytes }.as_slice()))
                });
                let here: Vec<_> = here.collect();
                cases.run(name, &changed, || surfaces::keras_folder(&here));
            } else if ending(name, "keras") || ending(name, "h5") {
                cases.run(name, &changed, || surfaces::keras(&changed));
            }
        }
    }
    cases.tell();
}

#[test]
fn graphs() {
    let files = entries(&fs::read(tests().join("models/graphs.zip")).unwrap());
    let mut cases = Cases::new("graph", (8 << 20, 64));
    let mut random = Random::new(9);
    for (name, bytes) in files.iter().filter(|(name, _)| !name.contains("json")) {
        for _ in 0..times(80) {
            let changed = random.mutation_of(bytes, &[]);
            let Some((folder, _)) = name.split_once('/') else {
                cases.run(name, &changed, || surfaces::graph(&changed));
                continue;
            };
            let here = files.iter().filter_map(|(other, bytes)| {
                let inner = other.strip_prefix(folder)?.strip_prefix('/')?;
                Some((inner, if other == name { &changed } else { bytes }.as_slice()))
            });
            let here: Vec<_> = here.collect();
            cases.run(name, &changed, || surfaces::graph_folder(&here));
        }
    }
    cases.tell();
}

#[test]
fn a_case_that_panics_or_takes_too_much_is_told_with_its_input() {
    let outcome = |case: fn()| {
        let mut cases = Cases::new("made up", (1 << 16, 1));
        let failed = panic::catch_unwind(AssertUnwindSafe(|| cases.run("7", b"in\0put", case)));
        failed.err().map(|message| message.downcast_ref::<String>().unwrap().clone())
    };
    assert_eq!(outcome(|| drop(vec![1u8; 60_000])), None);
    for (case, word) in [
        ((|| panic!("on purpose")) as fn(), "panicked"),
        (|| drop(std::hint::black_box(vec![0u8; 1 << 20])), "took 1048576"),
    ] {
        let message = outcome(case).unwrap();
        assert!(message.contains(word) && message.contains("in\\x00put"), "{message}");
    }
}
