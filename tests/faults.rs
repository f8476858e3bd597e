//! As `SQLite` is tested: the Nth system call fails, for N = 1, 2, 3 …, and whatever comes of it, the next
//! run makes the bytes that an undisturbed one makes.
//!
//! The short form runs with the other tests. The long one prints how much it tried:
//!
//!     LINNAEUS_FAULTS=long cargo test --test faults -- --nocapture --test-threads 1

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

#[macro_use]
mod told;

mod program;

use program::{Done, Program, TestDir, digits_model, rows};

/// Files of the run that system calls may fail on.
const FILES: [&str; 9] = [
    "out.csv",
    "out.csv.partial",
    "out.csv.list",
    "out.csv.list.partial",
    "out.csv.checkpoint",
    "out.csv.checkpoint.partial",
    "out.csv.lock",
    "out.run.json",
    "out.run.json.partial",
];

/// System calls that change files, and what is made of them.
const CALLS: [&str; 8] =
    ["openat", "write", "fsync", "fdatasync", "ftruncate", "/^rename", "/^unlink", "lseek"];

fn is_long() -> bool {
    env::var_os("LINNAEUS_FAULTS").is_some_and(|form| form == "long")
}

/// What was tried in all, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    faults: usize,
    /// Runs that noticed a fault, by exit status.
    failed: usize,
    kills: usize,
    lost: usize,
    doubled: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Compares the output with that of an undisturbed run.
    fn compare(&mut self, folder: &TestDir, whole: &[u8], what: &str) {
        let found = fs::read(folder.path("out.csv")).unwrap_or_default();
        if found == whole {
            return;
        }
        let names = |csv: &[u8]| -> Vec<String> {
            rows(csv).iter().map(|row| row["path"].to_owned()).collect()
        };
        let (found, expected) = (names(&found), names(whole));
        self.lost += expected.iter().filter(|name| !found.contains(name)).count();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        self.doubled += found.len() - sorted.len();
        self.wrong.push(format!("{what}: other bytes"));
    }

    fn report(&self, name: &str) {
        told!(
            "{name}: {} faults, {} of them noticed, {} kills; rows lost {}, doubled {}; wrong: {}",
            self.faults,
            self.failed,
            self.kills,
            self.lost,
            self.doubled,
            self.wrong.len()
        );
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

fn run(folder: &TestDir, more: &[&str]) -> Program {
    let flags = ["--threads", "1", "--sessions", "1", "--batch-size", "8", "-o", "out.csv"];
    folder.classify("in", digits_model(), &[&flags[..], more].concat())
}

/// A folder of images, and what a run over it makes.
fn prepared(images: usize) -> (TestDir, Vec<u8>) {
    let folder = TestDir::new();
    folder.crowd("in", images);
    folder.write("in/000003-bad.png", "no image");
    run(&folder, &[]).exits(3);
    let whole = folder.read("out.csv");
    (folder, whole)
}

/// Removes everything that runs left.
fn clear(folder: &TestDir) {
    for entry in fs::read_dir(folder.path("")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("out.") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn has_strace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|done| done.status.success())
}

/// The program, with `inject` done to system calls on its own files.
fn injected(folder: &TestDir, program: Program, calls: &str, inject: &str) -> Program {
    let root = fs::canonicalize(folder.path("")).unwrap();
    let paths = FILES.map(|file| root.join(file).into_os_string());
    let paths = paths.into_iter().flat_map(|path| ["-P".into(), path]);
    let strace = ["strace", "-f", "-qq", "-o", "trace", "-e"].map(Into::into).into_iter();
    let rest = [format!("trace={calls}"), "-e".into(), format!("inject={calls}:{inject}")];
    program.through(strace.chain(rest.map(Into::into)).chain(paths))
}

fn was_injected(folder: &TestDir) -> bool {
    let trace = fs::read_to_string(folder.path("trace")).unwrap_or_default();
    trace.contains("INJECTED") || trace.contains("+++ killed by")
}

/// Fails the Nth of `calls` for N = 1, 2, 3 … until there is none, `step` apart.
fn sweep(
    tally: &mut Tally,
    (folder, whole): (&TestDir, &[u8]),
    (calls, how): (&str, &str),
    (step, flags): (usize, &[&str]),
) {
    let old = folder.path("old.csv").exists().then(|| folder.read("old.csv"));
    for at in (1..).step_by(step) {
        clear(folder);
        if let Some(old) = &old {
            folder.write("out.csv", old);
        }
        let (how, more) = how.split_once('+').map_or((how, ""), |(how, _)| (how, "+"));
        let what = format!("{calls} {how} at {at}{more}");
        let inject = format!("{how}:when={at}{more}");
        let done = injected(folder, run(folder, flags), calls, &inject).run();
        if !was_injected(folder) {
            assert!(at > 1 || done.status.code() == Some(3), "{what}: {done}");
            return;
        }
        tally.faults += 1;
        check(tally, folder, whole, &what, &done);
        let again = run(folder, flags).run();
        if again.status.code() != Some(3) {
            tally.wrong.push(format!("{what}: then {again}"));
        }
        tally.compare(folder, whole, &what);
    }
}

/// What a run may come to when one of its system calls failed, or it was killed at it.
fn check(tally: &mut Tally, folder: &TestDir, whole: &[u8], what: &str, done: &Done) {
    let killed = what.contains("KILL");
    let output = fs::read(folder.path("out.csv")).ok();
    let old = fs::read(folder.path("old.csv")).ok();
    match done.status.code() {
        None if killed => tally.kills += 1,
        Some(3) => {
            if output.as_deref() != Some(whole) {
                tally.wrong.push(format!("{what}: it says 3, and the output is not complete"));
            }
            return;
        }
        // What an earlier run left could not be read.
        Some(74 | 12) => tally.failed += 1,
        _ => tally.wrong.push(format!("{what}: {done}")),
    }
    // Nothing half-done is ever seen under the output's name.
    if output != old && output.as_deref() != Some(whole) {
        tally.wrong.push(format!("{what}: something else is published"));
    }
    if done.stderr.contains("panicked") {
        tally.wrong.push(format!("{what}: a panic escaped: {done}"));
    }
}

#[test]
fn whatever_call_fails_the_next_run_makes_it_good() {
    if !has_strace() {
        return told!("skipped: no strace to make system calls fail");
    }
    let (folder, whole) = prepared(if is_long() { 200 } else { 40 });
    folder.write("old.csv", "what last night left");
    let mut tally = Tally::default();
    let hows: &[&str] = if is_long() {
        &[
            "error=ENOSPC",
            "error=ENOSPC+",
            "error=EDQUOT",
            "error=EIO",
            "error=EIO+",
            "error=EINTR",
            "signal=KILL",
        ]
    } else {
        &["error=ENOSPC", "signal=KILL"]
    };
    for calls in CALLS {
        for how in hows {
            // An interrupted call is made again where the system may interrupt it, and an error
            // where it may not: what counts is the next run.
            let step = if is_long() { 1 } else { 2 };
            sweep(&mut tally, (&folder, &whole), (calls, how), (step, &[]));
        }
    }
    tally.report("failing calls");
    assert!(tally.faults >= if is_long() { 300 } else { 20 }, "only {} faults", tally.faults);
}

#[test]
fn the_same_on_a_night_that_goes_on() {
    if !has_strace() {
        return told!("skipped: no strace to make system calls fail");
    }
    let (folder, whole) = prepared(40);
    clear(&folder);
    run(&folder, &["--limit", "16"]).exits(7);
    let begun: Vec<(String, Vec<u8>)> = fs::read_dir(folder.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("out."))
        .map(|name| (name.clone(), folder.read(&name)))
        .collect();
    let mut tally = Tally::default();
    let hows: &[&str] =
        if is_long() { &["error=EIO", "error=ENOSPC", "signal=KILL"] } else { &["signal=KILL"] };
    for calls in CALLS.iter().chain(&["read"]) {
        for how in hows {
            for at in (1..).step_by(if is_long() { 1 } else { 3 }) {
                clear(&folder);
                for (name, bytes) in &begun {
                    folder.write(name, bytes);
                }
                let what = format!("going on, {calls} {how} at {at}");
                let inject = format!("{how}:when={at}");
                let done = injected(&folder, run(&folder, &[]), calls, &inject).run();
                if !was_injected(&folder) {
                    break;
                }
                tally.faults += 1;
                check(&mut tally, &folder, &whole, &what, &done);
                let again = run(&folder, &[]).run();
                if again.status.code() != Some(3) {
                    tally.wrong.push(format!("{what}: then {again}"));
                }
                tally.compare(&folder, &whole, &what);
            }
        }
    }
    tally.report("failing calls of a run that goes on");
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_doubled() {
    let (folder, whole) = prepared(if is_long() { 6_000 } else { 3_000 });
    let wanted = if is_long() { 200 } else { 12 };
    let (mut tally, mut random) = (Tally::default(), Random(20_261_124));
    while tally.kills < wanted {
        clear(&folder);
        loop {
            let running = run(&folder, &[]).start();
            thread::sleep(Duration::from_millis(20 + random.below(1_000)));
            running.signal(Signal::KILL);
            let done = running.finish();
            match done.status.code() {
                None => tally.kills += 1,
                Some(3) => break,
                Some(_) => tally.wrong.push(done.to_string()),
            }
            let partial = folder.path("out.csv.partial");
            damage_tail(&partial, &mut random);
            if tally.kills % 20 >= 15 {
                // Also a run that a polite request ends comes to its end.
                let running = run(&folder, &[]).start();
                thread::sleep(Duration::from_millis(300));
                running.signal(Signal::TERM);
                let done = running.finish();
                if !matches!(done.status.code(), Some(143 | 3)) && done.status.code().is_some() {
                    tally.wrong.push(done.to_string());
                }
            }
        }
        tally.compare(&folder, &whole, "kills");
    }
    tally.report("kills");
}

/// What a power cut may leave behind the last checkpoint: too much, too little, or something else.
fn damage_tail(partial: &Path, random: &mut Random) {
    let (Ok(mut bytes), Ok(checkpoint)) =
        (fs::read(partial), fs::read(partial.with_file_name("out.csv.checkpoint")))
    else {
        return;
    };
    let checkpoint: serde_json::Value = serde_json::from_slice(&checkpoint).unwrap();
    let safe = usize::try_from(checkpoint["bytes"].as_u64().unwrap()).unwrap();
    let tail = bytes.len().saturating_sub(safe) as u64;
    let cut = safe + usize::try_from(random.below(tail + 1)).unwrap();
    match random.below(4) {
        0 => bytes.truncate(cut),
        1 => bytes[cut..].fill(0),
        2 => bytes.extend((0..random.below(99)).map(|_| u8::try_from(random.below(256)).unwrap())),
        _ => {}
    }
    fs::write(partial, bytes).unwrap();
}

#[test]
fn a_disk_that_is_too_small_is_told_and_made_good() {
    let (folder, whole) = prepared(if is_long() { 2_000 } else { 300 });
    let disk = folder.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).output();
        mount.is_ok_and(|done| done.status.success())
    };
    let unmount = || Command::new("umount").arg(&disk).output().unwrap();
    let step = if is_long() { 4 } else { 48 };
    let (mut tally, most) = (Tally::default(), if is_long() { 400 } else { 150 });
    for kilobytes in (4..most).step_by(step) {
        if !mount(&format!("size={kilobytes}k")) {
            return told!("skipped: no right to mount a small file system");
        }
        let flags =
            ["--threads", "1", "--sessions", "1", "--batch-size", "8", "-o", "disk/out.csv"];
        let run = || folder.classify("in", digits_model(), &flags);
        let done = run().run();
        tally.faults += 1;
        let published = disk.join("out.csv").exists();
        match done.status.code() {
            Some(74) => tally.failed += 1,
            Some(3) => {}
            _ => tally.wrong.push(format!("{kilobytes} KiB: {done}")),
        }
        if published && fs::read(disk.join("out.csv")).unwrap() != whole {
            tally.wrong.push(format!("{kilobytes} KiB: something else is published"));
        }
        let larger = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).output();
        assert!(larger.unwrap().status.success());
        let again = run().run();
        if again.status.code() != Some(3) {
            tally.wrong.push(format!("{kilobytes} KiB: then {again}"));
        }
        fs::copy(disk.join("out.csv"), folder.path("out.csv")).unwrap();
        tally.compare(&folder, &whole, "a full disk");
        unmount();
    }
    tally.report("disks that were full");
    assert!(tally.failed > 0, "no disk was too small");
}

#[test]
fn of_two_that_start_at_once_one_does_it() {
    let (folder, whole) = prepared(500);
    let mut tally = Tally::default();
    let began = Instant::now();
    for _ in 0..if is_long() { 20 } else { 3 } {
        clear(&folder);
        let pair = [run(&folder, &[]).start(), run(&folder, &[]).start()];
        let codes = pair.map(|running| running.finish().status.code());
        // The second may also come when the first is through; then it does it again.
        if !codes.contains(&Some(3)) || codes.iter().any(|code| !matches!(code, Some(3 | 11))) {
            tally.wrong.push(format!("{codes:?}"));
        }
        tally.faults += 1;
        tally.compare(&folder, &whole, "two at once");
    }
    tally.report(&format!("pairs in {:?}", began.elapsed()));
}
