//! A run that ended early is gone on with: nothing lost, nothing twice, the same bytes.

#![allow(clippy::unwrap_used, reason = "not shipped")]
#![cfg(unix)]

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use rustix::process::Signal;

#[macro_use]
mod told;

mod program;

use program::{Done, TestDir, digits_model, listing, paths, repository, rows, test_model};

/// Enough images that a run can be met in its midst.
const CROWD: usize = 6_000;

/// Small batches on one thread, for a run that takes a while.
const SLOWLY: [&str; 6] = ["--threads", "1", "--batch-size", "4", "-o", "out.csv"];

fn slowly(folder: &TestDir, more: &[&str]) -> program::Program {
    folder.classify("in", digits_model(), &[&SLOWLY[..], more].concat())
}

/// The output of a run that nothing interrupted.
fn uninterrupted(folder: &TestDir) -> Vec<u8> {
    folder.classify("in", digits_model(), &["-o", "whole.csv"]).exits(0);
    folder.read("whole.csv")
}

fn has_rows(folder: &TestDir, bytes: u64) -> bool {
    fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > bytes)
}

/// Nothing of a journal is left beside a complete output.
fn assert_clean(folder: &TestDir) {
    let mut left = listing(&folder.path(""));
    left.retain(|name| name.starts_with("out."));
    left.retain(|name| !["out.csv", "out.run.json"].contains(&name.as_str()));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_stopped_run_goes_on_and_makes_the_same_bytes() {
    let folder = TestDir::new();
    folder.crowd("in", CROWD);
    let whole = uninterrupted(&folder);
    let mut codes = Vec::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let before = fs::metadata(folder.path("out.csv.partial")).map_or(0, |found| found.len());
        let mut running = slowly(&folder, &[]).start();
        running.until("it writes rows", || has_rows(&folder, before + 1_000));
        running.signal(signal);
        running.finish().expect(code);
        codes.push(code);
        assert!(!folder.path("out.csv").exists() && !folder.path("out.csv.lock").exists());
    }
    let done = slowly(&folder, &[]).exits(0);
    done.says(&["going on with the run that began", "rows of earlier runs"]);
    assert!(folder.read("out.csv") == whole, "other bytes than without interruption");
    let record = folder.json("out.run.json");
    let attempts = record["attempts"].as_array().unwrap();
    let exits: Vec<_> = attempts.iter().map(|attempt| attempt["exit"].as_i64().unwrap()).collect();
    assert_eq!(exits, [143, 130, 129, 0]);
    assert_eq!(record["counts"]["ok"], CROWD);
    assert!(record["read"].as_u64().unwrap() < CROWD as u64, "{record}");
    assert_clean(&folder);
}

#[test]
fn what_a_killed_run_left_is_gone_on_with() {
    let folder = TestDir::new();
    folder.crowd("in", CROWD);
    let whole = uninterrupted(&folder);
    let mut running = slowly(&folder, &[]).start();
    running.until("it writes rows", || has_rows(&folder, 1_000));
    running.signal(Signal::KILL);
    running.finish();
    assert!(folder.path("out.csv.lock").exists(), "a killed process removes nothing");
    // A torn tail, as a power cut may leave it.
    let partial = folder.path("out.csv.partial");
    let mut bytes = fs::read(&partial).unwrap();
    bytes.truncate(bytes.len() - 3);
    bytes.extend([0, 0, 0xC3]);
    fs::write(&partial, bytes).unwrap();
    slowly(&folder, &[]).exits(0);
    assert!(folder.read("out.csv") == whole, "other bytes than without interruption");
    let record = folder.json("out.run.json");
    assert!(record["attempts"][0]["exit"].is_null(), "{record}");
    assert_clean(&folder);
}

#[test]
fn a_budget_ends_a_run_that_the_next_goes_on_with() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 100);
    let whole = uninterrupted(&folder);
    let run = |more: &[&str]| slowly(&folder, more);
    for done in [30, 60, 90] {
        run(&["--limit", "30"]).exits(7).says(&["NOT COMPLETE", &format!("{done} of 100 rows")]);
        assert_eq!(paths(&rows(&folder.read("out.csv.partial"))), names[..done]);
    }
    run(&["--stop-after", "0s"]).exits(7);
    run(&["--limit", "10"]).exits(0);
    assert_eq!(folder.read("out.csv"), whole);
    assert_clean(&folder);
}

#[test]
fn another_run_does_not_go_on_and_says_what_changed() {
    let folder = TestDir::new();
    folder.crowd("in", 100);
    slowly(&folder, &["--limit", "30"]).exits(7);
    let refused = slowly(&folder, &["--top-k", "3"]).exits(12);
    refused.says(&["`top-k` was 1 and is 3", "--restart", "30 rows"]);
    let refused = slowly(&folder, &["--exclude", "000001.png"]).exits(12);
    refused.says(&["`exclude`", "000001.png"]);
    // What changes no row is no obstacle.
    slowly(&folder, &["--threads", "2", "--batch-size", "7", "--limit", "30"]);
    let more = ["--threads", "2", "--batch-size", "7", "--limit", "30", "-o", "out.csv"];
    folder.classify("in", digits_model(), &more).exits(7).says(&["60 of 100"]);
    slowly(&folder, &["--top-k", "3", "--restart"]).exits(0);
    assert_eq!(rows(&folder.read("out.csv")).len(), 100);
    assert_clean(&folder);
}

/// What lies beside the output of a run that did 30 of 100 images.
fn begun() -> TestDir {
    let folder = TestDir::new();
    folder.crowd("in", 100);
    slowly(&folder, &["--limit", "30"]).exits(7);
    folder
}

/// A file of the journal, and what happens to it.
type Damage = (&'static str, fn(&Path));

#[test]
fn what_does_not_fit_together_is_refused_and_never_guessed() {
    let damages: [Damage; 6] = [
        ("partial", |path| fs::remove_file(path).unwrap()),
        ("partial", |path| fs::write(path, &fs::read(path).unwrap()[..100]).unwrap()),
        ("partial", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[200] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("list", |path| fs::remove_file(path).unwrap()),
        ("list", |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("checkpoint", |path| fs::write(path, "{").unwrap()),
    ];
    for (file, damage) in damages {
        let folder = begun();
        damage(&folder.path(format!("out.csv.{file}")));
        slowly(&folder, &[]).exits(12).says(&[&format!("out.csv.{file}"), "--restart"]);
        assert!(!folder.path("out.csv").exists());
        slowly(&folder, &["--restart"]).exits(0);
        assert_eq!(rows(&folder.read("out.csv")).len(), 100, "{file}");
    }
}

#[test]
fn too_many_errors_start_over_unless_more_are_allowed() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 40);
    for name in names.iter().step_by(4) {
        folder.write(format!("in/bad-{name}"), "no image");
    }
    let run = |more: &[&str]| slowly(&folder, more);
    run(&["--max-errors", "3"]).exits(5);
    run(&["--max-errors", "10%"]).exits(5).says(&["going on"]);
    run(&["--fail-fast"]).exits(5).says(&["starting over"]);
    run(&["--max-errors", "20%"]).exits(3).says(&["going on"]);
    assert_eq!(rows(&folder.read("out.csv")).len(), 50);
    run(&["--max-errors", "1", "--fail-fast"]).exits(2).says(&["fail-fast", "hint"]);
}

#[test]
fn one_run_at_a_time_and_the_other_says_who() {
    let folder = TestDir::new();
    folder.crowd("in", CROWD);
    let mut first = slowly(&folder, &[]).start();
    first.until("it writes rows", || has_rows(&folder, 500));
    let process = format!("process {}", first.child.id());
    slowly(&folder, &[]).exits(11).says(&["another run is writing out.csv", &process]);
    first.signal(Signal::KILL);
    first.finish();
    slowly(&folder, &[]).exits(0);
    assert_eq!(rows(&folder.read("out.csv")).len(), CROWD);
}

#[test]
fn an_empty_folder_is_complete_only_when_it_may_be() {
    let folder = TestDir::new();
    fs::create_dir(folder.path("in")).unwrap();
    slowly(&folder, &[]).exits(4);
    assert_eq!(listing(&folder.path("")), [""; 0]);
    slowly(&folder, &["--allow-empty"]).exits(0);
    let header = "path,status,index,label,probability,message\n";
    assert_eq!(folder.read("out.csv"), header.as_bytes());
    assert_clean(&folder);
}

/// A folder whose files are old enough for their time stamps to be relied on.
fn settled(folder: &TestDir, names: &[String]) {
    let old = std::time::SystemTime::now() - Duration::from_hours(1);
    for name in names {
        let path = folder.path(format!("in/{name}"));
        let bytes = fs::read(&path).unwrap();
        // A file of its own: hard links share their time stamp with the repository.
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    }
}

fn figures(folder: &TestDir) -> [u64; 3] {
    let record = folder.json("out.run.json");
    ["listed", "kept", "read"].map(|key| record[key].as_u64().unwrap())
}

#[test]
fn an_incremental_night_reads_only_what_is_new() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 60);
    settled(&folder, &names);
    folder.write("in/000010-bad.png", "no image");
    let night = |more: &[&str]| slowly(&folder, &[&["--incremental"], more].concat());
    night(&[]).exits(3);
    assert_eq!(figures(&folder), [61, 0, 61]);
    let first = folder.read("out.csv");

    // The failed one is tried again; the others stand.
    night(&[]).exits(3).says(&["60 rows of the last run stand"]);
    assert_eq!(figures(&folder), [61, 60, 1]);
    assert_eq!(folder.read("out.csv"), first);

    // New, changed, gone, and repaired.
    folder.link(&repository("examples/digits/images/7/1056.png"), "in/000000-new.png");
    let other = fs::read(repository("examples/digits/images/0/0160.png")).unwrap();
    folder.write(format!("in/{}", names[5]), &other);
    folder.write("in/000010-bad.png", &other);
    fs::remove_file(folder.path(format!("in/{}", names[30]))).unwrap();
    night(&[]).exits(0).says(&["58 rows of the last run stand", "3 to classify", "1 gone"]);
    assert_eq!(figures(&folder), [61, 58, 3]);
    folder.classify("in", digits_model(), &["-o", "whole.csv"]).exits(0);
    assert_eq!(folder.read("out.csv"), folder.read("whole.csv"));

    // Rows of files that are gone stay when that is asked for, night after night.
    fs::remove_file(folder.path(format!("in/{}", names[31]))).unwrap();
    for _ in 0..2 {
        night(&["--deleted", "keep"]).exits(0);
        let kept = rows(&folder.read("out.csv"));
        assert!(paths(&kept).contains(&names[31].as_str()) && kept.len() == 61, "{kept:?}");
    }

    // Another model, or other columns: everything again, and said.
    night(&["--top-k", "2"]).exits(0).says(&["everything is classified again: `top-k` was 1"]);
    assert_eq!(figures(&folder), [60, 0, 60]);

    // Somebody edited the output.
    let edited = String::from_utf8(folder.read("out.csv")).unwrap().replacen("ok", "OK", 1);
    folder.write("out.csv", edited);
    night(&["--top-k", "2"]).exits(0).says(&["classified again", "changed since"]);
}

#[test]
fn rows_below_a_folder_that_is_closed_tonight_are_kept() {
    let folder = TestDir::new();
    let image = repository("examples/digits/images/7/1056.png");
    for name in ["1/a.png", "2/a.png", "2/b/c.png", "2-other.png", "20/a.png"] {
        folder.link(&image, format!("in/{name}"));
    }
    let night = || slowly(&folder, &["--incremental=content", "--follow-symlinks"]);
    night().exits(0);
    let first = rows(&folder.read("out.csv"));
    // As after a mount that failed: for root, too, nothing is behind this link.
    fs::rename(folder.path("in/2"), folder.path("away")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path("in/2")).unwrap();
    fs::remove_file(folder.path("in/20/a.png")).unwrap();
    let hidden = "2 images of the last run are below folders that cannot be read";
    for _ in 0..2 {
        night().exits(3).says(&[hidden]);
        let now = rows(&folder.read("out.csv"));
        assert_eq!(paths(&now), ["1/a.png", "2", "2/a.png", "2/b/c.png", "2-other.png"]);
        assert_ne!(&now[1]["status"], "ok");
        assert_eq!(now[2..4], first[1..3]);
    }
    fs::remove_file(folder.path("in/2")).unwrap();
    fs::rename(folder.path("away"), folder.path("in/2")).unwrap();
    night().exits(0);
    assert_eq!(figures(&folder), [4, 4, 0]);
    assert_eq!(rows(&folder.read("out.csv")), first[..4]);
}

#[test]
fn content_stands_whatever_the_time_stamp_says() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 20);
    let night = || slowly(&folder, &["--incremental=content"]);
    night().exits(0);
    let touched = folder.path(format!("in/{}", names[3]));
    fs::File::open(touched).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    night().exits(0);
    assert_eq!(figures(&folder), [20, 20, 0]);
    let fresh = slowly(&folder, &["--incremental"]);
    // Another way to recognise files: what is known of them does not fit.
    fresh.exits(0);
    assert_eq!(figures(&folder), [20, 0, 20]);
}

#[test]
fn an_incremental_night_that_is_stopped_goes_on() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 60);
    settled(&folder, &names);
    let night = |more: &[&str]| slowly(&folder, &[&["--incremental"], more].concat());
    night(&[]).exits(0);
    for name in &names[20..50] {
        fs::remove_file(folder.path(format!("in/{name}"))).unwrap();
        folder.link(&repository("examples/digits/images/7/1056.png"), format!("in/{name}"));
    }
    let old = folder.read("out.csv");
    night(&["--limit", "10"]).exits(7);
    assert_eq!(folder.read("out.csv"), old);
    night(&[]).exits(0);
    folder.classify("in", digits_model(), &["-o", "whole.csv"]).exits(0);
    assert_eq!(folder.read("out.csv"), folder.read("whole.csv"));
    assert_eq!(figures(&folder), [60, 30, 20]);
}

#[test]
fn young_files_wait_for_another_night() {
    let folder = TestDir::new();
    let names = folder.crowd("in", 3);
    settled(&folder, &names[..2]);
    folder
        .write("in/young.png", fs::read(repository("examples/digits/images/7/1056.png")).unwrap());
    settled(&folder, &names[2..]);
    let done = slowly(&folder, &["--min-age", "10m"]).exits(0);
    done.says(&["1 skipped (younger than `min-age`)"]);
    assert_eq!(paths(&rows(&folder.read("out.csv"))), names);
}

/// Kills at random moments, and at random damage behind the last checkpoint.
#[test]
fn killed_again_and_again_it_loses_nothing_and_doubles_nothing() {
    let folder = TestDir::new();
    let names = folder.crowd("in", CROWD);
    let whole = uninterrupted(&folder);
    let mut state = 20_261_124_u64;
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut kills = 0;
    let finished: Done = loop {
        let running = slowly(&folder, &[]).start();
        thread::sleep(Duration::from_millis(20 + random(600)));
        running.signal(Signal::KILL);
        let done = running.finish();
        if done.status.code().is_some() || kills == 12 {
            break if done.status.code() == Some(0) { done } else { slowly(&folder, &[]).run() };
        }
        kills += 1;
        if let Ok(mut bytes) = fs::read(folder.path("out.csv.partial")) {
            bytes.extend((0..random(50)).map(|_| u8::try_from(random(256)).unwrap()));
            folder.write("out.csv.partial", bytes);
        }
    };
    assert_eq!(finished.status.code(), Some(0), "{finished}");
    let found = rows(&folder.read("out.csv"));
    assert_eq!(paths(&found).iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(folder.read("out.csv") == whole, "other bytes after {kills} kills");
    assert!(kills > 2, "only {kills} kills");
    assert_clean(&folder);
}

#[test]
fn weights_beside_the_model_are_part_of_it() {
    let folder = TestDir::new();
    folder.crowd("in", 50);
    let model = fs::read(repository("tests/models/external.onnx")).unwrap();
    folder.write("model/external.onnx", model);
    let data = "model/external.onnx.data";
    folder.write(data, vec![0; 357 * 4]);
    let mut flags = test_model("external.onnx");
    flags[1] = "model/external.onnx".into();
    let run =
        |more: &[&str]| folder.classify("in", flags.clone(), &[&["-o", "out.csv"], more].concat());
    run(&["--limit", "10"]).exits(7);
    let mut weights = folder.read(data);
    weights[0] = 1;
    folder.write(data, weights);
    run(&[]).exits(12).says(&["`weights external.onnx.data` was"]);
    run(&["--restart"]).exits(0);
    let recorded = folder.json("out.run.json");
    assert_eq!(recorded["model"]["weights"][0]["location"], "external.onnx.data");
}

/// A read that hangs, as on a network folder whose server is gone.
#[cfg(target_os = "linux")]
#[test]
fn what_hangs_has_its_grace_and_no_more() {
    let traced = std::process::Command::new("strace").arg("true").output();
    if !traced.is_ok_and(|done| done.status.success()) {
        return told!("skipped: no strace to make a read hang");
    }
    for (more, code) in [(&["--stop-after", "2s"][..], 7), (&[], 143)] {
        let folder = TestDir::new();
        let names = folder.crowd("in", 400);
        let whole = uninterrupted(&folder);
        let hanging = fs::canonicalize(folder.path(format!("in/{}", names[60]))).unwrap();
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", hanging.to_str().unwrap()];
        let inject = ["-e", "trace=read", "-e", "inject=read:delay_enter=6000000"];
        let run = slowly(&folder, &[more, &["--grace", "1s"]].concat());
        let mut running = run.through([&strace[..], &inject].concat()).start();
        running.until("it is in its midst", || has_rows(&folder, 1_000));
        if code == 143 {
            // Long enough to come to where it hangs.
            thread::sleep(Duration::from_millis(800));
            // The tracer hears nothing: the signal is for the program, its only child.
            let children = format!("/proc/{0}/task/{0}/children", running.child.id());
            let child = fs::read_to_string(children).unwrap();
            let child = rustix::process::Pid::from_raw(child.trim().parse().unwrap()).unwrap();
            rustix::process::kill_process(child, Signal::TERM).unwrap();
        }
        running.finish().expect(code);
        // It did not wait until the read was over, and so could not say how it ended.
        let checkpoint = folder.json("out.csv.checkpoint");
        assert!(checkpoint["attempts"][0]["ended"].is_null(), "{checkpoint}");
        slowly(&folder, &[]).exits(0);
        assert!(folder.read("out.csv") == whole, "other bytes after a run that hung");
    }
}

#[test]
fn a_model_that_changed_makes_no_rows_of_the_same_run() {
    let folder = TestDir::new();
    folder.crowd("in", 50);
    let run = |model: &str, more: &[&str]| {
        folder.classify("in", test_model(model), &[&["-o", "out.csv"], more].concat())
    };
    run("dynamic.onnx", &["--limit", "10"]).exits(7);
    run("probs.onnx", &[]).exits(12).says(&["`model` was"]);
    run("dynamic.onnx", &[]).exits(0);
}
