//! Small files that become large, and the ceiling on memory that a run names itself: it holds for a
//! folder of them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::trivially_copy_pass_by_ref,
    reason = "small numbers and names"
)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{collections::BTreeMap, fs, io::Cursor, io::Write as _, time::Duration};

use flate2::{Compression, write::ZlibEncoder};
use image::{
    ColorType, ExtendedColorType, GrayImage, ImageEncoder as _, ImageFormat, Luma,
    codecs::gif::GifEncoder,
};
use libjpeg_turbo_rs::{PixelFormat, Subsampling};

mod program;
mod samples;

use program::{Done, TestDir, test_model};

/// Pixels of a side; 9 bytes for each of them are what decoding a gray PNG of RGB takes at most.
const SIDE: u32 = 2_000;

fn encoded(format: ImageFormat, side: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::from_pixel(side, side, Luma([77])).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A GIF of one pixel on a large screen.
fn gif(side: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    GifEncoder::new(&mut bytes).encode(&[1, 2, 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    bytes[6..8].copy_from_slice(&side.to_le_bytes());
    bytes[8..10].copy_from_slice(&side.to_le_bytes());
    bytes
}

fn jpeg(side: usize, progressive: bool) -> Vec<u8> {
    let pixels = vec![77; side * side];
    let compress = if progressive {
        libjpeg_turbo_rs::compress_progressive
    } else {
        libjpeg_turbo_rs::compress
    };
    compress(&pixels, side, side, PixelFormat::Grayscale, 75, Subsampling::S444).unwrap()
}

fn zlib(length: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// A small PNG with one more chunk before its pixels.
fn png_with(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let png = encoded(ImageFormat::Png, 8);
    let body = [&name[..], payload].concat();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let sum = samples::crc32(&body).to_be_bytes();
    [&png[..33], &length, &body, &sum, &png[33..]].concat()
}

/// A TIFF of one row whose directory says what `entries` say: tag, type, count, value.
fn tiff(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes.extend([7; 64]);
    bytes
}

/// Files that a careless viewer would open with half a gigabyte and more, and the statuses that they may have here.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    const HALF_A_GIBIBYTE: usize = 1 << 29;
    let text = [b"k\0\0".to_vec(), zlib(HALF_A_GIBIBYTE)].concat();
    let segments = [b"\xFF\xFE\0\x03c".repeat(200_000)].concat();
    let small = jpeg(8, false);
    let ordinary = [
        (256, 3, 1, 8),
        (257, 3, 1, 1),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 100),
        (278, 3, 1, 1),
        (279, 4, 1, 8),
    ];
    let with = |entry: (u16, u16, u32, u32)| {
        let mut entries = ordinary.to_vec();
        entries.retain(|known| known.0 != entry.0);
        entries.push(entry);
        entries.sort_unstable();
        entries
    };
    let mut many_blocks = gif(8);
    let comments = b"\x21\xFE\x01c\0".repeat(200_000);
    let table = if many_blocks[10] & 0x80 == 0 { 0 } else { 3 << ((many_blocks[10] & 7) + 1) };
    many_blocks.splice(13 + table..13 + table, comments);
    vec![
        ("whole.png", encoded(ImageFormat::Png, SIDE), &["ok"]),
        ("whole.bmp", encoded(ImageFormat::Bmp, SIDE), &["ok"]),
        ("whole.tif", encoded(ImageFormat::Tiff, SIDE), &["ok"]),
        ("whole.webp", webp(SIDE), &["ok"]),
        ("whole.jpg", jpeg(SIDE as usize, false), &["ok"]),
        ("progressive.jpg", jpeg(SIDE as usize, true), &["ok"]),
        ("screen.gif", gif(SIDE as u16), &["ok", "too_large"]),
        ("large.gif", gif(65_535), &["too_large"]),
        ("large.png", encoded(ImageFormat::Png, 14_000), &["too_large"]),
        ("text.png", png_with(b"zTXt", &text), &["ok", "corrupt"]),
        (
            "international.png",
            png_with(b"iTXt", &[b"k\0\x01\0\0\0", &text[3..]].concat()),
            &["ok", "corrupt"],
        ),
        ("profile.png", png_with(b"iCCP", &text), &["ok", "corrupt"]),
        ("comments.jpg", [&small[..2], &segments, &small[2..]].concat(), &["ok", "corrupt"]),
        ("comments.gif", many_blocks, &["ok", "corrupt", "truncated"]),
        ("sound.tif", tiff(&ordinary, 0), &["ok"]),
        ("ring.tif", tiff(&ordinary, 8), &["ok", "corrupt"]),
        ("strips.tif", tiff(&with((273, 4, u32::MAX, 100)), 0), &["corrupt", "truncated"]),
        ("sums.tif", tiff(&with((279, 4, 1, u32::MAX)), 0), &["corrupt", "truncated"]),
        ("bits.tif", tiff(&with((258, 3, 0x4000_0000, 100)), 0), &["corrupt", "truncated"]),
        ("wide.tif", tiff(&with((256, 4, 1, u32::MAX)), 0), &["corrupt", "too_large"]),
        ("tall.tif", tiff(&with((257, 4, 1, 60_000)), 0), &["corrupt", "too_large"]),
    ]
}

fn webp(side: u32) -> Vec<u8> {
    let pixels = vec![77; (side * side) as usize];
    let mut bytes = Vec::new();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
    encoder.write_image(&pixels, side, side, ColorType::L8.into()).unwrap();
    bytes
}

/// The most bytes that a process had resident so far, and with them those of its children now.
fn resident(id: u32) -> u64 {
    let of = |id: u32, what: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(what));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0)
            << 10
    };
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
    });
    of(id, "VmHWM:") + children.map(|id| of(id, "VmRSS:")).sum::<u64>()
}

/// The most that a run over `input` had resident, looked at every millisecond.
fn peak(folder: &TestDir, input: &str, flags: &[&str]) -> (u64, Done) {
    let limits = ["--decode-memory", "67108864", "--max-file-bytes", "33554432", "--threads", "4"];
    let flags = [&limits[..], flags].concat();
    let mut running = folder.classify(input, test_model("dynamic.onnx"), &flags).start();
    let mut peak = 0;
    while running.child.try_wait().unwrap().is_none() {
        peak = peak.max(resident(running.child.id()));
        std::thread::sleep(Duration::from_millis(1));
    }
    (peak, running.finish())
}

#[test]
fn a_folder_of_bombs_stays_below_the_ceiling_that_the_run_names() {
    let folder = TestDir::new();
    let bombs = bombs();
    let mut allowed = BTreeMap::new();
    for (name, bytes, statuses) in &bombs {
        // Several of each, so that they meet.
        for number in 0..2 {
            folder.write(format!("in/{number}-{name}"), bytes);
            allowed.insert(format!("{number}-{name}"), *statuses);
        }
    }
    for number in 0..40 {
        folder.write(format!("usual/{number}.png"), encoded(ImageFormat::Png, 64));
    }
    let (_, dry) = peak(&folder, "in", &["--dry-run"]);
    let line =
        dry.expect(0).text().lines().find(|line| line.starts_with("memory")).unwrap().to_owned();
    let ceiling: u64 = line.split(' ').find_map(|word| word.parse().ok()).unwrap();
    let mut first = None;
    for isolate in ["--isolate=false", "--isolate"] {
        let (base, done) = peak(&folder, "usual", &[isolate]);
        done.expect(0);
        let (most, done) = peak(&folder, "in", &[isolate]);
        let done = done.expect(3);
        for row in done.rows() {
            let allowed = allowed[&row["path"]];
            assert!(allowed.contains(&&row["status"]), "{row:?} is none of {allowed:?}");
        }
        told!(
            "{isolate}: {} MiB at most over a folder of bombs, {} over small images; the ceiling is \
             {ceiling} more",
            most >> 20,
            base >> 20
        );
        // What children have is seen by looking at the right moment: no lower bound for them.
        assert!(isolate == "--isolate" || most > base + (10 << 20), "nothing was decoded");
        assert!(most < base + (ceiling << 20), "{most} bytes, and {base} for small images: {line}");
        let rows = first.get_or_insert_with(|| done.stdout.clone());
        assert!(*rows == done.stdout, "other rows with {isolate}");
    }
}
