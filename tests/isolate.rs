//! Images prepared in child processes: the same rows as without, and a crash or a hang is a row.
//!
//! Crashes are made from outside, so that the program has no way to ask for one: strace sends a
//! signal at the moment when a file is read.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use linnaeus::{
    decode::{Budget, Limits},
    error::ItemError,
    isolate::{Child, Launch, Settings},
    recipe::{Element, InputSpec, Recipe, RecipeSpec},
    source::Reader,
    timing::Timing,
};
use rustix::process::{Pid, Signal, kill_process};

mod program;

use program::{
    BINARY, Program, TestDir, digits, digits_model, listing, repository, rows, test_model,
};

const SIDE: usize = 8;

fn settings() -> Settings {
    let spec: RecipeSpec = toml::from_str(
        "resize = 'squash'\ninterpolation = 'bilinear'\nscale = '1/255'\nmean = [0.1, 0.3, 0.7]",
    )
    .unwrap();
    let dims = [3, SIDE, SIDE].map(Some);
    let input =
        InputSpec { name: "x".into(), element: Element::F32, batch: None, dims, planar: false };
    let limits = Limits { max_pixels: 1 << 28, max_bytes: 2 << 30 };
    let reader = Reader { follow: false, max_bytes: 1 << 28, retries: 0 };
    Settings {
        recipe: Recipe::resolve(&spec, &input).unwrap(),
        limits,
        reader,
        image_timeout: Duration::from_mins(1),
        threads: 2,
        memory: Settings::memory_for(limits, reader),
    }
}

fn launch(settings: &Settings) -> Arc<Launch> {
    Arc::new(Launch::new(BINARY.into(), settings).unwrap())
}

fn prepare(child: &mut Child, path: &Path) -> Result<Vec<f32>, ItemError> {
    let mut slot = vec![0.0; 3 * SIDE * SIDE];
    let budget = Budget::new(2 << 30);
    let outcome = child.prepare(path, &mut slot, (&budget, &budget), &Timing::default()).unwrap();
    outcome.map(|()| slot)
}

fn hostile() -> PathBuf {
    repository("tests/images/hostile")
}

/// The program as strace runs it, with all that comes of it, when strace may trace here.
fn traced(program: Program, file: &Path, inject: &str) -> Option<Program> {
    let works = Command::new("strace").args(["-qq", "-o/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        told!("skipped: no strace that may trace");
        return None;
    }
    let (calls, _) = inject.split_once(':').unwrap();
    let wrapper = ["strace", "-f", "-qqq", "-o/dev/null", "-P"].map(Into::into);
    let rest = [file.as_os_str().to_owned(), "-e".into(), format!("trace={calls}").into()];
    let inject = ["-e".into(), format!("inject={inject}").into()];
    Some(program.through(wrapper.into_iter().chain(rest).chain(inject)))
}

#[test]
fn every_row_is_the_same_with_and_without() {
    let folder = TestDir::new();
    for (at, name) in listing(&hostile()).iter().enumerate() {
        folder.link(&hostile().join(name), format!("in/{at:02} {name}"));
    }
    for name in listing(&digits()).iter().step_by(9) {
        folder.link(&digits().join(name), format!("in/{name}"));
    }
    let run = |flags: &[&str]| {
        let common = ["--max-pixels", "30000000", "--top-k", "2"];
        folder.classify("in", test_model("dynamic.onnx"), &[&common[..], flags].concat()).exits(3)
    };
    let (within, apart) = (run(&[]), run(&["--isolate"]));
    assert!(within.rows().len() > 100, "{within}");
    assert!(within.stdout == apart.stdout, "{within}\n{apart}");
    let statuses: BTreeSet<_> = within.rows().iter().map(|row| row["status"].to_owned()).collect();
    assert!(statuses.len() > 6, "{statuses:?}");
    let one = run(&["--isolate", "--threads", "1", "--batch-size", "3"]);
    assert!(within.stdout == one.stdout, "{one}");
}

#[test]
fn a_crash_and_a_hang_are_rows_and_the_others_are_as_before() {
    let folder = TestDir::new();
    folder.crowd("in", 40);
    let bad = folder.path("in/000017.png");
    // Reached through no other name: strace knows files by their path.
    let bytes = fs::read(&bad).unwrap();
    fs::remove_file(&bad).unwrap();
    fs::write(&bad, bytes).unwrap();
    let plain = folder.classify("in", digits_model(), &[]).exits(0).rows();
    for (inject, status, words) in [
        ("read:signal=SEGV", "decoder_crash", "SIGSEGV"),
        ("read:signal=ABRT", "decoder_crash", "SIGABRT"),
        ("read:signal=KILL", "decoder_crash", "SIGKILL"),
        // Stopped, it would wait for ever.
        ("read:signal=STOP", "timeout", "1s"),
    ] {
        let flags = ["--isolate", "--image-timeout", "1s", "--retries", "0"];
        let program = folder.classify("in", digits_model(), &flags);
        let Some(program) = traced(program, &bad, inject) else { return };
        let found = program.exits(3).rows();
        assert_eq!(found.len(), plain.len(), "{inject}");
        for (found, plain) in found.iter().zip(&plain) {
            if found["path"] == *"000017.png" {
                assert_eq!(&found["status"], status, "{inject}: {found:?}");
                assert!(found["message"].contains(words), "{found:?}");
            } else {
                assert_eq!(found, plain, "{inject}");
            }
        }
    }
}

#[test]
fn a_file_that_the_program_dies_of_is_tried_in_a_child_and_then_set_aside() {
    let folder = TestDir::new();
    folder.crowd("in", 40);
    let bad = folder.path("in/000017.png");
    let run = |inject: &str| {
        let flags = ["-o", "out.csv", "--threads", "1"];
        traced(folder.classify("in", digits_model(), &flags), &bad, inject)
    };
    let Some(first) = run("read:signal=SEGV") else { return };
    let died = first.run();
    assert!(!died.status.success() && !folder.path("out.csv").exists(), "{died}");
    run("read:signal=SEGV").unwrap().exits(3);
    let found = rows(&folder.read("out.csv"));
    assert_eq!(found.len(), 40);
    for row in found {
        let bad = row["path"] == *"000017.png";
        assert_eq!(&row["status"], if bad { "quarantined" } else { "ok" }, "{row:?}");
        assert!(!bad || row["message"].contains("SIGSEGV"), "{row:?}");
    }

    // One that was only in flight when the program was killed is none the worse for it.
    let folder = TestDir::new();
    folder.crowd("in", 40);
    let flags = ["-o", "out.csv", "--threads", "1"];
    let program = || folder.classify("in", digits_model(), &flags);
    let bad = folder.path("in/000017.png");
    assert!(!traced(program(), &bad, "read:signal=KILL").unwrap().run().status.success());
    program().exits(0);
}

#[test]
fn a_child_that_was_ended_between_two_images_is_replaced() {
    let mut child = Child::start(&launch(&settings())).unwrap();
    let path = hostile().join("good.jpg");
    let expected = prepare(&mut child, &path).unwrap();
    for _ in 0..3 {
        let id = child.id().unwrap();
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), Signal::KILL).unwrap();
        // Until it is known to have ended; it is not this process's to wait for.
        while fs::read_to_string(format!("/proc/{id}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            thread::yield_now();
        }
        assert_eq!(prepare(&mut child, &path).unwrap(), expected);
        assert_ne!(child.id(), Some(id));
    }
}

#[test]
fn signals_that_ask_for_an_end_are_for_the_parent() {
    let mut child = Child::start(&launch(&settings())).unwrap();
    let path = hostile().join("good.jpg");
    let expected = prepare(&mut child, &path).unwrap();
    let id = child.id().unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process(Pid::from_raw(id.cast_signed()).unwrap(), signal).unwrap();
        assert_eq!(prepare(&mut child, &path).unwrap(), expected);
    }
    assert_eq!(child.id(), Some(id));
}

#[test]
fn a_decoder_that_takes_more_memory_than_it_may_crashes_alone() {
    // What 16,000 × 16,000 pixels take is let in by the limits, and not by the system.
    let settings = Settings { memory: 200 << 20, ..settings() };
    let mut child = Child::start(&launch(&settings)).unwrap();
    let good = hostile().join("good.jpg");
    let expected = prepare(&mut child, &good).unwrap();
    let error = prepare(&mut child, &hostile().join("real_bomb.png")).unwrap_err();
    assert_eq!(error.code(), "decoder_crash", "{error}");
    assert!(error.to_string().contains("more memory than it may have"), "{error}");
    assert_eq!(prepare(&mut child, &good).unwrap(), expected);
}

#[test]
fn children_share_the_memory_of_their_parent() {
    // One byte is there: whatever they ask for, they get it one after another and all come through.
    let (files, decoding) = (Budget::new(1), Budget::new(1));
    let budgets = (&files, &decoding);
    let settings = settings();
    let launch = launch(&settings);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut child = Child::start(&launch).unwrap();
                let mut slot = vec![0.0_f32; 3 * SIDE * SIDE];
                for name in ["good.jpg", "good.png", "good.gif", "good.tif"].repeat(5) {
                    let path = hostile().join(name);
                    let timing = Timing::default();
                    child.prepare(&path, &mut slot, budgets, &timing).unwrap().unwrap();
                    assert!(timing.elsewhere() > Duration::ZERO);
                }
            });
        }
    });
}

#[test]
fn another_program_is_told_at_once() {
    // Whether it is gone before the first word to it or after, it is not what was meant.
    let gone = &["ended at once", "no answer"][..];
    for (program, words) in
        [("/bin/true", gone), ("/bin/echo", gone), ("/nowhere/linnaeus", &["cannot be started"])]
    {
        let launch = Arc::new(Launch::new(program.into(), &settings()).unwrap());
        let error = Child::start(&launch).err().unwrap();
        assert_eq!(error.exit().code(), 10, "{error}");
        let told = words.iter().any(|words| error.to_string().contains(words));
        assert!(told, "{program}: {error}");
    }
}

/// The processes whose parent is `id`.
fn children(id: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |number: &u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split(' ').nth(2));
        parent == Some(&id.to_string())
    };
    // Between fork and exec a child still has everything.
    let is_itself = |number: &u32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        line.windows(14).any(|words| words == b"prepare-images")
    };
    numbers.filter(is_child).filter(is_itself).collect()
}

#[test]
fn no_child_outlives_a_parent_that_was_killed_and_none_has_its_files() {
    let folder = TestDir::new();
    folder.crowd("in", 2_000);
    // The rows are not read, so the run comes to a stop with its children waiting.
    let flags = ["--isolate", "--threads", "2", "--batch-size", "1"];
    let mut running = folder.classify("in", digits_model(), &flags).start();
    let id = running.child.id();
    let mut found = Vec::new();
    running.until("two children", || {
        found = children(id);
        found.len() == 2
    });
    let open = |id: &str| -> Vec<PathBuf> {
        let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten();
        open.map(|fd| fs::read_link(fd.path()).unwrap_or_default()).collect()
    };
    for child in &found {
        // Both ends of the line, each twice, and what it says when it dies; an image,
        // and a pair of sockets for signals; and what whoever runs the tests left open for everybody.
        let mut names = open(&child.to_string());
        names.retain(|name| !open("self").contains(name) && !name.starts_with(folder.path("in")));
        let own = |name: &PathBuf| {
            let name = name.to_string_lossy();
            name.starts_with("pipe:") || name.starts_with("socket:")
        };
        assert!(names.iter().all(own) && names.len() <= 7, "{names:?}");
    }
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    let gone = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"));
        stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
    };
    let mut waited = 0;
    while !found.iter().all(gone) {
        thread::sleep(Duration::from_millis(10));
        waited += 1;
        assert!(waited < 6_000, "{found:?} outlive their parent");
    }
}

#[test]
fn what_the_child_says_is_not_a_command_for_people() {
    let folder = TestDir::new();
    let help = folder.program(["--help"]).exits(0);
    assert!(!help.text().contains("prepare-images"), "{help}");
    // Without a parent it ends at once.
    let alone = folder.program(["prepare-images"]).exits(0);
    assert!(alone.stdout.is_empty() && alone.stderr.is_empty(), "{alone}");
}
