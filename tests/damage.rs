//! Some thousand damaged images, each held to what Pillow 13 makes of it (`golden/damage.txt`).
//!
//! What Pillow refuses is refused. What it reads is read with the same pixels, or refused: to guess
//! less than Pillow does is the intention. Cuts at every byte are in `hostile_images.rs`, and random
//! damage without end in `fuzz.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[macro_use]
mod told;
mod program;
mod samples;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use linnaeus::{
    deadline::Deadline,
    decode::{Budget, Decoder, Limits, Pixels, Policy, silence_contained_panics},
    error::ItemError,
    recipe::{Alpha, Deep, Orientation},
};
use program::{TestDir, test_model};
use samples::crc32;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn decoder() -> Decoder {
    Decoder {
        limits: Limits { max_pixels: 178_956_970, max_bytes: 2 << 30 },
        policy: Policy { exif: Orientation::Ignore, alpha: Alpha::Drop, deep: Deep::Clip },
        budget: Budget::new(2 << 30),
    }
}

/// A PNG whose chunks have right sums again, as far as chunks can be told apart.
fn fixed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while at + 12 <= bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let end = at + 8 + length;
        if end + 4 > bytes.len() {
            break;
        }
        let sum = crc32(&bytes[at + 4..end]).to_be_bytes();
        bytes[end..end + 4].copy_from_slice(&sum);
        at = end + 4;
    }
    bytes
}

fn damaged(bytes: &[u8], kind: &str, at: usize, much: usize) -> Vec<u8> {
    let behind = (at + much).min(bytes.len());
    let byte = u8::try_from(much).unwrap();
    let mut changed = bytes.to_vec();
    match kind {
        "cut" => return bytes[..at].to_vec(),
        "flip" | "fixed" => changed[at] ^= byte,
        "set" => changed[at] = byte,
        "drop" => return [&bytes[..at], &bytes[behind..]].concat(),
        "twice" => return [&bytes[..behind], &bytes[at..]].concat(),
        "zero" => changed[at..behind].fill(0),
        other => panic!("{other}"),
    }
    if kind == "fixed" { fixed(changed) } else { changed }
}

/// The size and the sum of the pixels as RGB, as the golden has them.
fn seen(pixels: &Pixels) -> String {
    let rgb: Vec<u8> = match pixels.channels {
        1 => pixels.data.iter().flat_map(|&gray| [gray; 3]).collect(),
        _ => pixels.data.clone(),
    };
    format!("{}x{}:{:08x}", pixels.size.height, pixels.size.width, crc32(&rgb))
}

/// Decodes within a time that none of these should need, and never with a panic.
fn decode(
    decoder: &Decoder,
    bytes: &[u8],
    name: &str,
    pixels: &mut Pixels,
) -> Result<(), ItemError> {
    let mut deadline = Deadline::after(Duration::from_secs(20));
    let outcome = decoder.decode_by(bytes, Path::new(name), pixels, &mut deadline).map(drop);
    if let Err(error) = &outcome {
        assert!(!matches!(error.code(), "decoder_panic" | "timeout"), "{name}: {error}");
    }
    outcome
}

/// What Pillow refuses and is read here, and what is read with other pixels: where, and why that is
/// no harm.
const EXCEPTIONS: [(&str, &str); 7] = [
    // Changed behind a right sum of its chunk: the sum that zlib adds is not looked at again.
    (".png fixed ", "ACCEPTED HERE"),
    // The sum of a chunk that only says what is transparent, which is dropped.
    ("palette_transparent.png set 102 127", "ACCEPTED HERE"),
    ("palette_transparent.png set 103 254", "ACCEPTED HERE"),
    ("palette_transparent.png set 104 254", "ACCEPTED HERE"),
    ("palette_transparent.png set 106 0", "ACCEPTED HERE"),
    // A frame that is marked as not to be shown.
    ("good_lossy.webp set 20 0", "ACCEPTED HERE"),
    // Pixels that begin with the file's own header.
    ("good.bmp set 10 0", "OTHER PIXELS"),
];

/// One damaged image.
struct Damage {
    /// From which file, and how.
    way: String,
    bytes: Vec<u8>,
    /// What Pillow makes of it.
    verdict: String,
}

fn damages() -> Vec<Damage> {
    let golden = fs::read_to_string(tests().join("golden/damage.txt")).unwrap();
    let mut files = BTreeMap::new();
    let damage = |line: &str| {
        let [name, kind, at, much, verdict] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let path = tests().join("images/hostile").join(name);
        let sound = files.entry(name.to_owned()).or_insert_with(|| fs::read(path).unwrap());
        let bytes = damaged(sound, kind, at.parse().unwrap(), much.parse().unwrap());
        Damage { way: format!("{name} {kind} {at} {much}"), bytes, verdict: verdict.to_owned() }
    };
    golden.lines().map(damage).collect()
}

#[test]
fn what_pillow_refuses_is_refused_and_what_it_reads_has_its_pixels() {
    silence_contained_panics();
    let (decoder, mut pixels) = (decoder(), Pixels::default());
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut unexpected = Vec::new();
    let damages = damages();
    assert!(damages.len() > 3_000, "{} damaged images", damages.len());
    for Damage { way, bytes, verdict } in &damages {
        let outcome = decode(&decoder, bytes, way.split(' ').next().unwrap(), &mut pixels);
        let result = match (verdict.as_str(), &outcome) {
            ("-", Err(_)) => "both refuse",
            ("-", Ok(())) => "ACCEPTED HERE",
            (_, Err(_)) => "refused here alone",
            // So large that Pillow's pixels are not in the golden.
            ("x", Ok(())) => "large",
            _ if seen(&pixels) == *verdict => "same pixels",
            _ => "OTHER PIXELS",
        };
        *counts.entry(result).or_default() += 1;
        let known = |(place, what): &(&str, &str)| way.contains(place) && result == *what;
        let differs = result.contains("ACC") || result.contains("OTHER");
        if differs && !EXCEPTIONS.iter().any(known) {
            unexpected.push(format!("{way}: {result} {outcome:?}"));
        }
    }
    told!("{} damaged images: {counts:?}", damages.len());
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    let stricter = counts["refused here alone"];
    assert!(stricter * 8 < counts["same pixels"], "{stricter} are refused that Pillow reads");
}

#[test]
fn a_folder_of_them_is_a_folder_of_rows_with_and_without_isolation() {
    let folder = TestDir::new();
    let damages = damages();
    for (at, Damage { way, bytes, .. }) in damages.iter().enumerate() {
        let extension = way.split(' ').next().unwrap().rsplit_once('.').unwrap().1;
        folder.write(format!("in/{at:05}.{extension}"), bytes);
    }
    let run = |flags: &[&str]| {
        let done = folder.classify("in", test_model("dynamic.onnx"), flags).exits(3);
        assert!(!done.stderr.contains("panicked"), "{done}");
        done
    };
    let within = run(&[]);
    let rows = within.rows();
    assert_eq!(rows.len(), damages.len());
    for (row, Damage { way, verdict, .. }) in rows.iter().zip(&damages) {
        assert_ne!(&row["status"], "decoder_panic", "{way}: {row:?}");
        let excused = EXCEPTIONS.iter().any(|(place, _)| way.contains(place));
        assert!(excused || verdict != "-" || row["status"] != *"ok", "{way}: {row:?}");
    }
    if cfg!(unix) {
        assert!(within.stdout == run(&["--isolate"]).stdout);
    }
}
