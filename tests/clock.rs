//! The wall clock jumps while a night runs and between nights: rows, budgets and exit codes are as
//! with one that goes right.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

#[macro_use]
mod told;

mod program;

use program::{Program, TestDir, digits_model, repository};

/// Ten years in seconds.
const DECADE: i64 = 315_360_000;

/// The library that makes the clock of a program jump; `None` without a C compiler.
fn jumping(folder: &TestDir) -> Option<PathBuf> {
    let library = folder.path("jumping.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    match compile.arg(repository("tests/clock/jumping.c")).status() {
        Ok(status) => {
            assert!(status.success(), "cc: {status}");
            Some(library)
        }
        Err(error) => {
            told!("skipped: no C compiler: cc: {error}");
            None
        }
    }
}

/// A run whose clock is off by `shift` seconds: always, or at every other look at it.
fn shifted(program: Program, library: &std::path::Path, shift: i64, steady: bool) -> Program {
    let program = program.env("LD_PRELOAD", library.to_str().unwrap());
    let program = program.env("CLOCK_SHIFT", &shift.to_string());
    if steady { program.env("CLOCK_STEADY", "1") } else { program }
}

#[test]
fn a_clock_that_jumps_changes_no_row_and_ends_no_run() {
    let folder = TestDir::new();
    let Some(library) = jumping(&folder) else { return };
    folder.crowd("in", 300);
    folder.classify("in", digits_model(), &["-o", "whole.csv"]).exits(0);
    let whole = folder.read("whole.csv");

    let deadlines = ["--stop-after", "30m", "--image-timeout", "10m", "--batch-size", "4"];
    let night = |more: &[&str]| {
        folder.classify("in", digits_model(), &[&["-o", "out.csv"], &deadlines[..], more].concat())
    };
    // Each night is at another time, the last one before the first, and in each the clock jumps.
    let nights =
        [(DECADE, true), (-DECADE, false), (DECADE, false), (-3_600, false), (-2 * DECADE, true)];
    for (index, (shift, steady)) in nights.into_iter().enumerate() {
        let last = index + 1 == nights.len();
        let more: &[&str] = if last { &[] } else { &["--limit", "60"] };
        let done = shifted(night(more), &library, shift, steady).exits(if last { 0 } else { 7 });
        if !last {
            done.says(&["`limit`"]);
        }
    }
    assert!(folder.read("out.csv") == whole, "other bytes than with a clock that goes right");
    let record = folder.json("out.run.json");
    assert_eq!(record["counts"]["ok"], 300);
    let attempts = record["attempts"].as_array().unwrap();
    let started: Vec<_> = attempts.iter().map(|one| one["started"].as_str().unwrap()).collect();
    assert_eq!(started.len(), nights.len());
    assert!(started.last() < started.first(), "the clock was not shifted: {started:?}");
    let seconds = record["seconds"].as_f64().unwrap();
    assert!((0.0..1_800.0).contains(&seconds), "{seconds}");
}

#[test]
fn stamps_from_the_future_are_not_relied_on() {
    let folder = TestDir::new();
    let Some(library) = jumping(&folder) else { return };
    let names = folder.crowd("in", 40);
    let old = SystemTime::now() - Duration::from_hours(1);
    for name in &names {
        let path = folder.path(format!("in/{name}"));
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    }
    let night = |shift: i64, kept: u64| {
        let program = folder.classify("in", digits_model(), &["-o", "out.csv", "--incremental"]);
        shifted(program, &library, shift, true).exits(0);
        let record = folder.json("out.run.json");
        assert_eq!([record["listed"].as_u64(), record["kept"].as_u64()], [Some(40), Some(kept)]);
        folder.read("out.csv")
    };
    let first = night(0, 0);
    assert!(night(DECADE, 40) == first, "rows of the last night stand");
    // In this night all files are of the future: they are classified again, and known no more.
    assert!(night(-DECADE, 0) == first);
    assert!(night(0, 0) == first);
    assert!(night(0, 40) == first);
}
