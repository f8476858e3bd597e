//! A hundred thousand files in bounded memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{fs, io::Read as _};

mod program;

use program::{TestDir, digits, digits_model, listing};

const FILES: usize = 100_000;
/// As many of them in one flat folder, whose names a sorted walk has to hold.
const FLAT: usize = 50_000;
const PER_FOLDER: usize = 500;

/// Bytes that a run may take, whatever it runs on.
const CEILING: u64 = 400 << 20;
/// Bytes that one more file may cost; its name in the listing of a flat folder is most of it.
const PER_FILE: u64 = 150;

fn name(index: usize) -> String {
    match index.checked_sub(FLAT) {
        None => format!("in/flat/{index:06}.png"),
        Some(rest) => format!("in/deep/{:03}/{index:06}.png", rest / PER_FOLDER),
    }
}

/// The most memory that a run over `input` had resident, and its rows.
fn peak(folder: &TestDir, input: &str) -> (u64, usize) {
    let flags = ["--threads", "2", "--sessions", "2", "-o", "out.csv"];
    let mut running = folder.classify(input, digits_model(), &flags).start();
    let status = format!("/proc/{}/status", running.child.id());
    let mut peak = 0;
    // Once the process has ended its memory is gone and the line with it.
    while running.child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    running.finish().expect(0);
    let mut csv = String::new();
    fs::File::open(folder.path("out.csv")).unwrap().read_to_string(&mut csv).unwrap();
    (peak, csv.lines().count() - 1)
}

#[test]
fn a_hundred_thousand_files_take_little_more_memory_than_a_thousand() {
    let folder = TestDir::new();
    let images: Vec<_> = listing(&digits()).into_iter().map(|name| digits().join(name)).collect();
    for index in 0..FILES {
        folder.link(&images[index % images.len()], name(index));
    }
    for image in images.iter().cycle().take(1_000).enumerate() {
        folder.link(image.1, format!("few/{:06}.png", image.0));
    }

    let (few, rows) = peak(&folder, "few");
    assert_eq!(rows, 1_000);
    let (many, rows) = peak(&folder, "in");
    assert_eq!(rows, FILES);
    told!(
        "peak memory: {} KiB for 1,000 files, {} KiB for {FILES}, of them {FLAT} in one folder",
        few >> 10,
        many >> 10
    );
    assert!(many < CEILING, "{many} bytes");
    let allowed = few + few / 10 + PER_FILE * (FILES as u64);
    assert!(many < allowed, "{many} bytes are more than {allowed}");
}
