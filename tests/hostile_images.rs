//! Files that go wrong, held to what Pillow 13 makes of them (`golden/hostile.json`), every cut of
//! the sound ones, and a cause for each error code of an image.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[macro_use]
mod told;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::channel,
    },
    thread,
    time::{Duration, SystemTime},
};

use linnaeus::{
    decode::{Budget, Decoder, Limits, Pixels, Policy, contained, silence_contained_panics},
    device::Device,
    engine::{Engine, OrtEngine},
    error::ItemError,
    geometry::Size,
    model::{Model, ModelFile},
    preprocess::{Preprocessor, Scratch},
    rank,
    recipe::{Activation, Alpha, Deep, Element, InputSpec, Orientation, Recipe, RecipeSpec},
    runtime::{self, RuntimeRequest},
    source::{open_regular, read_whole},
    walk::{Globs, Met, Walk, WalkOptions},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn hostile(name: &str) -> PathBuf {
    tests().join("images/hostile").join(name)
}

fn verdicts() -> Vec<Value> {
    let text = fs::read_to_string(tests().join("golden/hostile.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    golden["files"].as_array().unwrap().clone()
}

/// A decoder with the usual limits that treats what RGB bytes cannot hold as Pillow does.
fn decoder(exif: Orientation) -> Decoder {
    Decoder {
        limits: Limits { max_pixels: 178_956_970, max_bytes: 2 << 30 },
        policy: Policy { exif, alpha: Alpha::Drop, deep: Deep::Clip },
        budget: Budget::new(2 << 30),
    }
}

/// A file as the pipeline takes it: read as a whole, then decoded.
fn decode(path: &Path, exif: Orientation) -> Result<Pixels, ItemError> {
    let (mut bytes, mut pixels) = (Vec::new(), Pixels::default());
    read_whole(path, false, 1 << 28, &mut bytes)?;
    decoder(exif).decode(&bytes, path, &mut pixels)?;
    assert_eq!(pixels.data.len(), pixels.size.area() * pixels.channels, "{}", path.display());
    Ok(pixels)
}

/// The bytes as RGB; gray is repeated.
fn rgb(pixels: &Pixels) -> Vec<u8> {
    match pixels.channels {
        1 => pixels.data.iter().flat_map(|&gray| [gray; 3]).collect(),
        3 => pixels.data.clone(),
        other => panic!("{other} channels"),
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn mean(rgb: &[u8], channel: usize) -> f64 {
    let values = rgb.iter().skip(channel).step_by(3).map(|&byte| f64::from(byte));
    values.sum::<f64>() / (rgb.len() / 3) as f64
}

/// Files that Pillow reads and that are refused here, and why that is right.
const STRICTER: [(&str, &str, &str); 1] =
    [("bad_crc_idat.png", "corrupt", "Pillow does not check the sums of chunks that hold pixels")];

/// Files that Pillow refuses, with our code. It and ours agree that there is no picture.
const REFUSED: [(&str, &str); 37] = [
    ("bad_crc_ihdr.png", "corrupt"),
    ("corrupt_header.jpg", "corrupt"),
    ("corrupt_middle.png", "corrupt"),
    ("corrupt_middle_progressive.jpg", "truncated"),
    ("empty.jpg", "empty"),
    ("fake.avif", "unsupported_format"),
    ("fake.heic", "unsupported_format"),
    ("fake.ico", "unsupported_format"),
    ("fake.pdf", "not_an_image"),
    ("fake.psd", "unsupported_format"),
    ("fake.svg", "unsupported_format"),
    ("huge_header.bmp", "too_large"),
    ("huge_header.gif", "too_large"),
    ("huge_header.jpg", "too_large"),
    ("huge_header.png", "too_large"),
    // The decoder sees first that the strips are too few for such a height.
    ("huge_header.tif", "corrupt"),
    // The decoder reads a side of 16,384 pixels, the most that there can be, as 0.
    ("huge_header.webp", "corrupt"),
    ("real_bomb.png", "too_large"),
    ("signature_only.jpg", "truncated"),
    ("signature_only.png", "truncated"),
    ("text.jpg", "not_an_image"),
    ("truncated.bmp", "truncated"),
    ("truncated.gif", "truncated"),
    ("truncated.jpg", "truncated"),
    ("truncated.png", "truncated"),
    ("truncated.tif", "truncated"),
    ("truncated_late.bmp", "truncated"),
    ("truncated_late.gif", "truncated"),
    ("truncated_late.jpg", "truncated"),
    ("truncated_late.png", "truncated"),
    ("truncated_late.tif", "truncated"),
    ("truncated_late_lossless.webp", "truncated"),
    ("truncated_late_lossy.webp", "truncated"),
    ("truncated_late_progressive.jpg", "truncated"),
    ("truncated_lossless.webp", "truncated"),
    ("truncated_lossy.webp", "truncated"),
    ("truncated_progressive.jpg", "truncated"),
];

/// Checks one picture against the golden's size and hash. Even lossy WebP is the same to the bit.
fn assert_same(name: &str, pixels: &Pixels, expected: &Value) {
    let size = |key: &str| usize::try_from(expected[key].as_u64().unwrap()).unwrap();
    let expected_size = Size { height: size("height"), width: size("width") };
    assert_eq!(pixels.size, expected_size, "{name}");
    let rgb = rgb(pixels);
    if sha256(&rgb) != expected["rgb_sha256"].as_str().unwrap() {
        let means = [0, 1, 2].map(|channel| mean(&rgb, channel));
        panic!("{name} has other pixels; its means are {means:?}, and {}", expected["rgb_mean"]);
    }
}

#[test]
fn what_pillow_reads_has_its_pixels() {
    let mut same = 0;
    for expected in verdicts().iter().filter(|verdict| verdict["ok"] == true) {
        let name = expected["file"].as_str().unwrap();
        let found = decode(&hostile(name), Orientation::Ignore);
        if let Some((_, code, reason)) = STRICTER.iter().find(|(known, ..)| *known == name) {
            let error = found.expect_err(name);
            assert_eq!(error.code(), *code, "{name}: {error}");
            println!("{name} is refused, and Pillow reads it: {reason}");
            continue;
        }
        assert_same(name, &found.unwrap_or_else(|error| panic!("{name}: {error}")), expected);
        same += 1;
    }
    assert_eq!(same, 37);
}

#[test]
fn what_pillow_refuses_is_refused_with_a_stable_code() {
    let mut refused = Vec::new();
    for expected in verdicts().iter().filter(|verdict| verdict["ok"] == false) {
        let name = expected["file"].as_str().unwrap();
        let error = decode(&hostile(name), Orientation::Ignore).expect_err(name);
        println!("{name}: {}: {error}", error.code());
        refused.push((name.to_owned(), error.code()));
        assert!(!error.to_string().contains('\n'), "{name}: {error}");
    }
    let expected = REFUSED.map(|(name, code)| (name.to_owned(), code));
    assert_eq!(refused, expected);
}

#[test]
fn every_file_has_a_verdict() {
    let names: BTreeSet<_> =
        verdicts().iter().map(|v| v["file"].as_str().unwrap().to_owned()).collect();
    let folder = fs::read_dir(tests().join("images/hostile")).unwrap();
    let files: BTreeSet<_> =
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, names);
}

#[test]
fn orientation_is_applied_when_asked() {
    let mut turned = 0;
    for expected in verdicts().iter().filter(|verdict| verdict["upright"].is_object()) {
        let name = expected["file"].as_str().unwrap();
        let stored = decode(&hostile(name), Orientation::Ignore).unwrap();
        let upright = decode(&hostile(name), Orientation::Apply).unwrap();
        assert_same(name, &upright, &expected["upright"]);
        assert_eq!(stored.size.height, upright.size.width, "{name}");
        turned += 1;
    }
    assert_eq!(turned, 2);
    let plain = |exif| decode(&hostile("upright.jpg"), exif).unwrap();
    assert_eq!(plain(Orientation::Apply), plain(Orientation::Ignore));
}

#[test]
fn content_decides_and_not_the_name() {
    let pixels = |name: &str| decode(&hostile(name), Orientation::Ignore).unwrap();
    assert_eq!(pixels("really_png.jpg"), pixels("good.png"));
    assert_eq!(pixels("really_jpeg.png"), pixels("good.jpg"));
    assert_eq!(pixels("photo.txt"), pixels("good.jpg"));
}

#[test]
fn a_format_that_is_not_decoded_is_known_by_content_or_by_name() {
    for (name, by_content, by_name) in [
        ("fake.avif", "unsupported_format", "unsupported_format"),
        ("fake.heic", "unsupported_format", "unsupported_format"),
        ("fake.psd", "unsupported_format", "unsupported_format"),
        ("fake.ico", "not_an_image", "unsupported_format"),
        ("fake.svg", "not_an_image", "unsupported_format"),
        ("fake.pdf", "not_an_image", "not_an_image"),
    ] {
        let bytes = fs::read(hostile(name)).unwrap();
        let code = |path: &str, bytes: &[u8]| {
            let decoder = decoder(Orientation::Ignore);
            decoder.decode(bytes, Path::new(path), &mut Pixels::default()).unwrap_err().code()
        };
        assert_eq!(code("photo.jpg", &bytes), by_content, "{name} as photo.jpg");
        assert_eq!(code(name, b"something else"), by_name, "something else as {name}");
    }
}

/// Sound files, and how many bytes at the end hold no picture: without them the file is whole.
const SOUND: [(&str, usize); 8] = [
    ("good.jpg", 0),
    ("good_progressive.jpg", 0),
    // The chunk that says that there are no more chunks.
    ("good.png", 12),
    // The trailer byte.
    ("good.gif", 1),
    ("good_lossy.webp", 0),
    ("good_lossless.webp", 0),
    ("good.bmp", 0),
    ("good.tif", 0),
];

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    silence_contained_panics();
    let decoder = decoder(Orientation::Ignore);
    let mut pixels = Pixels::default();
    for (name, spare) in SOUND {
        let path = hostile(name);
        let bytes = fs::read(&path).unwrap();
        let (mut cuts, mut codes) = (0, BTreeSet::new());
        for length in 0..bytes.len() - spare {
            match decoder.decode(&bytes[..length], &path, &mut pixels) {
                Ok(_) => panic!("{name} cut to {length} of {} bytes is read", bytes.len()),
                Err(error) => {
                    assert_ne!(error.code(), "decoder_panic", "{name} cut to {length}: {error}");
                    codes.insert(error.code());
                }
            }
            cuts += 1;
        }
        println!("{name}: {cuts} cuts, {codes:?}");
        // Before the signature is whole, it is no image yet.
        let allowed = BTreeSet::from(["not_an_image", "truncated"]);
        assert!(codes.is_subset(&allowed), "{name}: {codes:?}");
        decoder.decode(&bytes, &path, &mut pixels).unwrap();
    }
}

#[test]
fn a_buffer_used_before_shows_nothing_of_it() {
    let decoder = decoder(Orientation::Ignore);
    let mut reused = Pixels::default();
    for verdict in verdicts() {
        let path = hostile(verdict["file"].as_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        let mut fresh = Pixels::default();
        let outcome = decoder.decode(&bytes, &path, &mut fresh);
        let again = decoder.decode(&bytes, &path, &mut reused);
        assert_eq!(outcome.is_ok(), again.is_ok(), "{}", path.display());
        if outcome.is_ok() {
            assert_eq!(fresh, reused, "{}", path.display());
        }
    }
}

#[test]
fn every_picture_reaches_a_tensor_or_has_bad_geometry() {
    let dims = [3, 6, 8].map(Some);
    let input =
        InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false };
    let mut pictures: Vec<Pixels> = verdicts()
        .iter()
        .filter(|verdict| verdict["ok"] == true)
        .filter_map(|v| decode(&hostile(v["file"].as_str().unwrap()), Orientation::Apply).ok())
        .collect();
    // As narrow as an image can be.
    for (height, width) in [(1, 65_500), (65_500, 1), (2, 65_500)] {
        let data = vec![9; height * width];
        pictures.push(Pixels { size: Size { height, width }, channels: 1, data });
    }
    for resize in
        ["none", "squash", "shorter-side 10", "shorter-side 256 nearest", "cover", "center-square"]
    {
        for filter in ["nearest", "bilinear", "lanczos"] {
            let toml = format!("resize = '{resize}'\ninterpolation = '{filter}'\nscale = 1");
            let preprocessor = Preprocessor::<f32>::new(recipe(&toml, &input));
            let mut scratch = Scratch::default();
            let mut prepared = 0;
            for picture in &pictures {
                let mut tensor = vec![f32::NAN; preprocessor.image_len()];
                match preprocessor.write(picture, &mut scratch, &mut tensor) {
                    Ok(()) => {
                        let bytes = |x: &f32| (0.0..=255.0).contains(x);
                        assert!(tensor.iter().all(bytes), "{resize} {filter} {}", picture.size);
                        prepared += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.code(), "bad_geometry", "{resize} {}", picture.size);
                    }
                }
            }
            let all = pictures.len();
            assert_eq!(prepared, if resize == "none" { 0 } else { all }, "{resize} {filter}");
        }
    }
}

fn walk_options() -> WalkOptions {
    let none = || Globs::compile("include", &[]).unwrap();
    WalkOptions {
        include: none(),
        exclude: none(),
        hidden: false,
        follow_symlinks: true,
        every_file: false,
        min_age: None,
    }
}

fn refused(name: &str) -> ItemError {
    decode(&hostile(name), Orientation::Ignore).expect_err(name)
}

fn unreadable() -> ItemError {
    // A file where a folder should be. Permissions would not stop the administrator.
    open_regular(&hostile("good.jpg").join("a.jpg"), false).unwrap_err()
}

fn vanished() -> ItemError {
    open_regular(&hostile("gone.jpg"), false).unwrap_err()
}

/// What is said of a file while `write` goes on writing it on another thread, with a number that
/// grows.
fn changed(write: impl Fn(&fs::File, u32) + Sync) -> ItemError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, vec![1; 1 << 22]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            let mut number = 0;
            while !done.load(Relaxed) {
                number += 1;
                write(&file, number);
            }
        });
        let mut bytes = Vec::new();
        // Each reading has a good chance to see it; a thousand times none is no chance.
        let mut readings = (0..1000).map(|_| read_whole(&path, false, 1 << 40, &mut bytes));
        let error = readings.find_map(Result::err);
        done.store(true, Relaxed);
        error.expect("a file that changes all the time is read as if it did not")
    })
}

#[test]
fn a_file_that_grows_or_is_written_over_is_not_half_read() {
    let grows = changed(|mut file, _| file.write_all(b"more").unwrap());
    let written_over = changed(|file, number| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(number));
        file.set_modified(time).unwrap();
    });
    assert_eq!([grows.code(), written_over.code()], ["changed"; 2]);
}

fn not_regular() -> ItemError {
    open_regular(&tests(), false).unwrap_err()
}

/// A link to a folder above it, followed.
fn symlink_loop() -> ItemError {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("again");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), link).unwrap();
    #[cfg(windows)]
    std::os::windows::fs::symlink_dir(folder.path(), link).unwrap();
    let met: Vec<_> = Walk::new(&[folder.path().to_owned()], walk_options()).unwrap().collect();
    match <[_; 1]>::try_from(met).unwrap() {
        [Ok(Met::Failed(source, error))] => {
            assert_eq!(source.name, b"again");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn decoder_panic() -> ItemError {
    silence_contained_panics();
    contained::<()>(|| panic!("a decoder's own panic")).unwrap_err()
}

fn recipe(toml: &str, input: &InputSpec) -> Recipe {
    let spec: RecipeSpec = toml::from_str(toml).unwrap();
    Recipe::resolve(&spec, input).unwrap()
}

fn bad_geometry() -> ItemError {
    let dims = [3, 6, 8].map(Some);
    let input =
        InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false };
    let preprocessor = Preprocessor::<f32>::new(recipe("resize = 'none'\nscale = 1", &input));
    let pixels = decode(&hostile("good.png"), Orientation::Ignore).unwrap();
    let mut tensor = vec![0.0; preprocessor.image_len()];
    preprocessor.write(&pixels, &mut Scratch::default(), &mut tensor).unwrap_err()
}

/// A model that answers NaN for bright images.
fn bad_scores() -> ItemError {
    let request = RuntimeRequest { explicit: None, gpu_wanted: false };
    let runtime = runtime::locate(&request).unwrap().load().unwrap();
    let file = ModelFile::open(&tests().join("models/nan.onnx")).unwrap();
    let model = Model::load(file, &runtime, Device::Cpu, 1).unwrap();
    let toml = "resize = 'squash'\ninterpolation = 'bilinear'\nscale = '1/255'";
    let recipe = recipe(toml, &model.input);
    let preprocessor = Preprocessor::<f32>::new(recipe.clone());
    let input = model.input.clone();
    let session = model.into_sessions().session().unwrap();
    let mut engine = OrtEngine::new(session, &recipe, &input, "logits");
    let mut ranked = |name: &str| {
        let pixels =
            decode(&tests().join("images/formula").join(name), Orientation::Ignore).unwrap();
        let mut tensor = vec![0.0; preprocessor.image_len()];
        preprocessor.write(&pixels, &mut Scratch::default(), &mut tensor).unwrap();
        let mut scores = Vec::new();
        engine.score(&tensor, 1, &mut scores).unwrap();
        rank::top_k(&scores, Activation::Softmax, None, 1)
    };
    ranked("dark.png").unwrap();
    ranked("bright.png").unwrap_err()
}

#[test]
fn every_error_code_has_a_cause() {
    let causes = [
        refused("empty.jpg"),
        refused("text.jpg"),
        refused("fake.avif"),
        refused("truncated.jpg"),
        refused("corrupt_middle.png"),
        refused("huge_header.png"),
        unreadable(),
        vanished(),
        changed(|mut file, _| file.write_all(b"more").unwrap()),
        not_regular(),
        symlink_loop(),
        decoder_panic(),
        bad_geometry(),
        bad_scores(),
    ];
    let codes = causes.each_ref().map(ItemError::code);
    let elsewhere = ["decoder_crash", "timeout", "quarantined"];
    let here = ItemError::CODES.into_iter().filter(|code| !elsewhere.contains(code));
    assert!(here.eq(codes), "{codes:?}");
    for error in &causes {
        println!("{}: {error}", error.code());
        let message = error.to_string();
        assert!(message.len() > 10 && !message.contains('\n'), "{message:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.jpg");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        return told!("skipped: no mkfifo");
    }
    let met: Vec<_> = Walk::new(&[folder.path().to_owned()], walk_options()).unwrap().collect();
    let [Ok(Met::Failed(_, error))] = &met[..] else { panic!("{met:?}") };
    assert_eq!(error.code(), "not_regular");
    // It may also become one between listing and reading. Opened the usual way, it would wait for
    // a writer for ever.
    let (tell, told) = channel();
    #[expect(clippy::disallowed_methods, reason = "a thread that hangs cannot be waited for")]
    thread::spawn(move || {
        // Kept as long as the pipe is read.
        let _folder = folder;
        let _ = tell.send(read_whole(&path, false, 99, &mut Vec::new()));
    });
    let read = told.recv_timeout(Duration::from_mins(1)).expect("reading a pipe waits for ever");
    assert_eq!(read.unwrap_err().code(), "not_regular");
}
