//! Files that cannot be read at once, and images that take too long.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{fs, process::Command, time::Duration};

use linnaeus::{
    deadline::Deadline,
    decode::{Budget, Decoder, Limits, Pixels, Policy},
    recipe::{Alpha, Deep, Orientation},
};

mod program;

use program::{Row, TestDir, digits_model, repository};

/// The rows of a run over ten images while calls on the file of the fourth go wrong as strace is
/// told; nothing where it may not trace.
fn rows_with(inject: &str, flags: &[&str]) -> Option<Vec<Row>> {
    let works = Command::new("strace").args(["-qq", "-o/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        told!("skipped: no strace that may trace");
        return None;
    }
    let folder = TestDir::new();
    folder.crowd("in", 10);
    let bad = folder.path("in/000003.png");
    let (calls, _) = inject.split_once(':').unwrap();
    let trace = format!("trace={calls}");
    let inject = format!("inject={inject}");
    let program = folder.classify("in", digits_model(), flags).through([
        "strace",
        "-f",
        "-qqq",
        "-o/dev/null",
        // Calls on the open file, and calls that name it.
        "-P",
        bad.to_str().unwrap(),
        "-P",
        "in/000003.png",
        "-e",
        &trace,
        "-e",
        &inject,
    ]);
    let done = program.run();
    let rows = done.rows();
    assert_eq!(rows.len(), 10, "{done}");
    for (at, row) in rows.iter().enumerate() {
        assert!(at == 3 || row["status"] == *"ok", "{row:?}");
    }
    Some(rows)
}

#[test]
fn an_error_that_passes_costs_a_pause_and_one_that_stays_costs_the_row() {
    for (inject, retries, status, words) in [
        // The second try opens and reads it.
        ("openat:error=EIO:when=1", "3", "ok", ""),
        ("read:error=ESTALE:when=1", "3", "ok", ""),
        ("read:error=ETIMEDOUT:when=1..2", "3", "ok", ""),
        ("fstat,statx:error=EIO:when=1", "3", "ok", ""),
        // The system call is made again at once, by the standard library.
        ("read:error=EINTR:when=1..20", "0", "ok", ""),
        ("openat:error=EIO", "1", "unreadable", "2 tries"),
        ("read:error=EIO", "1", "unreadable", "2 tries"),
        ("read:error=ESTALE:when=1", "0", "unreadable", "(os error 116)"),
        // These are what they are.
        ("openat:error=EACCES", "3", "unreadable", "(os error 13)"),
        ("openat:error=ENOENT", "3", "vanished", ""),
    ] {
        for isolate in ["--isolate=false", "--isolate"] {
            let flags = ["--retries", retries, isolate];
            let Some(rows) = rows_with(inject, &flags) else { return };
            assert_eq!(&rows[3]["status"], status, "{inject} {isolate}: {:?}", rows[3]);
            assert!(rows[3]["message"].contains(words), "{inject}: {:?}", rows[3]);
        }
    }
}

#[test]
fn a_read_that_takes_too_long_is_a_row() {
    // Each read takes 0.2 s and there are three at least; without isolation the time is looked at
    // between them.
    let flags = ["--image-timeout", "300ms"];
    let Some(rows) = rows_with("read:delay_enter=200000", &flags) else { return };
    assert_eq!(&rows[3]["status"], "timeout", "{:?}", rows[3]);
    assert!(rows[3]["message"].contains("300ms"), "{:?}", rows[3]);
}

fn decoder() -> Decoder {
    Decoder {
        limits: Limits { max_pixels: 1 << 28, max_bytes: 2 << 30 },
        policy: Policy { exif: Orientation::Ignore, alpha: Alpha::Drop, deep: Deep::HighByte },
        budget: Budget::new(2 << 30),
    }
}

#[test]
fn pixels_that_come_too_late_are_a_timeout_in_every_format() {
    let decoder = decoder();
    for name in ["good.jpg", "good.png", "good.gif", "good_lossy.webp", "good.bmp", "good.tif"] {
        let path = repository("tests/images/hostile").join(name);
        let bytes = fs::read(&path).unwrap();
        let mut pixels = Pixels::default();
        let mut by = |mut deadline: Deadline| {
            decoder.decode_by(&bytes, &path, &mut pixels, &mut deadline).map(drop)
        };
        by(Deadline::after(Duration::from_mins(9))).unwrap();
        let late = by(Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(late.code(), "timeout", "{name}: {late}");
    }
}

#[test]
fn waiting_for_memory_is_not_the_images_time() {
    let decoder = Decoder { budget: Budget::new(1000), ..decoder() };
    let path = repository("tests/images/hostile/good.png");
    let bytes = fs::read(&path).unwrap();
    let held = decoder.budget.acquire(1000);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut deadline = Deadline::after(Duration::from_secs(5));
            decoder.decode_by(&bytes, &path, &mut Pixels::default(), &mut deadline).map(drop)
        });
        std::thread::sleep(Duration::from_secs(6));
        drop(held);
        waiting.join().unwrap().unwrap();
    });
}

/// The last scan of a progressive file once more and again, up to `scans`.
fn with_scans(bytes: &[u8], scans: usize) -> Vec<u8> {
    let marker = |pair: &[u8]| pair == [0xFF, 0xDA];
    let there = bytes.windows(2).filter(|pair| marker(pair)).count();
    let last = bytes.windows(2).rposition(marker).unwrap();
    let (body, end) = bytes.split_at(bytes.len() - 2);
    [body, &body[last..].repeat(scans - there), end].concat()
}

#[test]
fn a_jpeg_of_thousands_of_scans_is_a_row_without_being_decoded() {
    let path = repository("tests/images/hostile/good_progressive.jpg");
    let good = fs::read(&path).unwrap();
    let decode = |bytes: &[u8]| decoder().decode(bytes, &path, &mut Pixels::default()).map(drop);
    let most = decode(&with_scans(&good, 100)).err().map(|error| error.to_string());
    assert!(!most.is_some_and(|message| message.contains("scans")));
    for scans in [101, 10_000] {
        let error = decode(&with_scans(&good, scans)).unwrap_err();
        assert!(error.to_string().contains("scans"), "{error}");
    }
}
