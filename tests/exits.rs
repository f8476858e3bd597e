//! How a run ends: every exit status has a case that causes it, and whatever the end, the old
//! output is as it was or replaced by a complete one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
};

use linnaeus::error::Exit;
use rustix::process::Signal;

mod program;

use program::{
    Program, Running, TestDir, digits, digits_model, listing, paths, repository, rows, test_model,
};

/// Enough images that no test machine is done with them before a signal reaches the program.
const CROWD: usize = 20_000;

/// One thread and small batches, so that a signal finds most of the work undone.
const SLOWLY: [&str; 4] = ["--threads", "1", "--batch-size", "1"];

fn formula() -> std::path::PathBuf {
    repository("tests/images/formula")
}

/// The listing of a folder and the content of its `out.csv`, to be the same afterwards.
fn with_old_output(folder: &TestDir) {
    folder.write("out.csv", "the old rows");
    folder.write("out.run.json", "the old record");
}

fn assert_old_output(folder: &TestDir) {
    assert_eq!(folder.read("out.csv"), b"the old rows");
    assert_eq!(folder.read("out.run.json"), b"the old record");
}

#[test]
fn every_status_is_listed_with_its_meaning() {
    let done = TestDir::new().program(["exit-codes"]).exits(0);
    let listed: Vec<_> = done.text().lines().map(str::trim_start).collect();
    let expected = Exit::ALL.map(|exit| format!("{}  {}", exit.code(), exit.meaning()));
    assert_eq!(listed, expected);
}

#[test]
fn the_readme_lists_every_status() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let section = readme.split("## Exit status").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut listed: Vec<u8> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|cell| cell.split(", ").filter_map(|code| code.parse().ok()).collect::<Vec<_>>())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, Exit::ALL.map(Exit::code));
}

#[test]
fn all_images_classified_is_0() {
    let folder = TestDir::new();
    let done = folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "out.csv"]).exits(0);
    assert_eq!(done.text(), "");
    assert_eq!(rows(&folder.read("out.csv")).len(), 7);
}

#[test]
fn wrong_flags_and_jobs_are_2() {
    let folder = TestDir::new();
    folder.write("unknown.toml", "modle = 'm'");
    folder.write("broken.toml", "model = ");
    folder.write("bare.toml", "inputs = ['.']");
    folder.write("model.onnx", "a model");
    for (line, word) in [
        ("--nope", "--nope"),
        ("classify", "PATH"),
        ("classify . --top-k 0 --model m", "--top-k"),
        ("classify . --model m --resize big", "--resize"),
        ("classify . --model m --device gpu", "--device"),
        ("classify .", "`model`"),
        ("classify . --model m --include [", "`include`"),
        ("classify . --model m --dry-run --print-job", "--print-job"),
        ("classify . --model model.onnx -o model.onnx", "overwritten"),
        ("run gone.toml", "gone.toml"),
        ("run unknown.toml", "`model`"),
        ("run broken.toml", "broken.toml:1"),
        ("run bare.toml", "`model`"),
    ] {
        folder.program(line.split(' ')).exits(2).says(&[word]);
    }
    assert_eq!(folder.read("model.onnx"), b"a model");
}

#[test]
fn some_failed_is_3_and_the_output_is_complete() {
    let folder = TestDir::new();
    with_old_output(&folder);
    let hostile = repository("tests/images/hostile");
    folder.classify(hostile, test_model("dynamic.onnx"), &["-o", "out.csv"]).exits(3);
    let rows = rows(&folder.read("out.csv"));
    let failed = rows.iter().filter(|row| row["status"] != *"ok");
    assert!(failed.clone().count() > 20 && rows.len() > 60);
    for row in failed {
        assert!(!row["message"].is_empty() && row["label"].is_empty(), "{row:?}");
    }
    assert_eq!(folder.json("out.run.json")["exit"]["code"], 3);
}

#[test]
fn no_image_is_4_and_the_old_output_stays() {
    let folder = TestDir::new();
    with_old_output(&folder);
    folder.write("notes/readme.txt", "no image");
    folder.classify("notes", digits_model(), &["-o", "out.csv"]).exits(4);
    assert_old_output(&folder);
    assert_eq!(listing(&folder.path("")), ["notes/readme.txt", "out.csv", "out.run.json"]);
}

#[test]
fn too_many_errors_is_5_and_the_old_output_stays() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    with_old_output(&folder);
    let model = || test_model("dynamic.onnx");
    let flags = ["-o", "out.csv", "--max-errors", "2"];
    folder.classify(&hostile, model(), &flags).exits(5).says(&["NOT COMPLETE"]);
    assert_old_output(&folder);
    let partial = rows(&folder.read("out.csv.partial"));
    assert_eq!(partial.iter().filter(|row| row["status"] != *"ok").count(), 3);
    let all = paths(&partial).len();
    let complete = folder.classify(&hostile, model(), &["--max-errors", "1000"]).exits(3);
    assert_eq!(partial, complete.rows()[..all]);
}

#[test]
fn what_is_no_classifier_is_10_before_anything_is_written() {
    let folder = TestDir::new();
    with_old_output(&folder);
    let output = ["-o", "out.csv"];
    for name in [
        "detector",
        "external",
        "int64_in",
        "lfs_pointer",
        "not_a_model",
        "two_inputs",
        "wrong_rank",
        "gone",
    ] {
        let file = format!("{name}.onnx");
        folder.classify(formula(), test_model(&file), &output).exits(10).says(&[&file, "error: "]);
    }
    assert_old_output(&folder);
    assert_eq!(listing(&folder.path("")), ["out.csv", "out.run.json"]);
}

#[test]
fn labels_recipe_device_and_runtime_that_do_not_fit_are_10() {
    let folder = TestDir::new();
    folder.write("two.txt", "cat\ndog\n");
    folder.write("library.so", "no library");
    let model = repository("tests/models/dynamic.onnx").into_os_string();
    let said = |flags: &[&str]| folder.classify(formula(), test_model("dynamic.onnx"), flags);
    said(&["--labels", "two.txt"]).exits(10).says(&["two.txt", "2", "5"]);
    said(&["--labels", "gone.txt"]).exits(10).says(&["gone.txt"]);
    said(&["--channels", "gray"]).exits(10).says(&["dynamic.onnx"]);
    said(&["--model-output", "nope"]).exits(10).says(&["nope", "logits"]);
    said(&["--onnxruntime", "library.so"]).exits(10).says(&["library.so"]);
    said(&["--device", "cuda"]).exits(10).says(&["linnaeus runtime install cuda"]);
    let unsaid = folder.classify(formula(), vec!["--model".into(), model], &[]);
    unsaid.exits(10).says(&["`resize`"]);
}

#[test]
fn an_output_that_another_run_writes_is_11() {
    let folder = TestDir::new();
    with_old_output(&folder);
    let names = folder.crowd("in", CROWD);
    let slowly = [&SLOWLY[..], &["-o", "out.csv"]].concat();
    let mut first = folder.classify("in", digits_model(), &slowly).start();
    first.until("it writes rows", || has_rows(&folder));
    first.signal(Signal::STOP);
    let second = folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "out.csv"]);
    second.exits(11).says(&["out.csv", "another run"]);
    assert_old_output(&folder);
    first.signal(Signal::CONT);
    first.finish().expect(0);
    assert_eq!(paths(&rows(&folder.read("out.csv"))), names);
}

#[test]
fn what_a_killed_run_left_locks_nothing_out() {
    let folder = TestDir::new();
    folder.write("out.csv.partial", "path,status\nhalf a r");
    folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "out.csv"]).exits(0);
    assert_eq!(rows(&folder.read("out.csv")).len(), 7);
    assert_eq!(listing(&folder.path("")), ["out.csv", "out.run.json"]);
}

#[test]
fn an_input_that_is_not_there_is_13() {
    let folder = TestDir::new();
    with_old_output(&folder);
    let done = folder.classify("gone", digits_model(), &["-o", "out.csv"]).exits(13);
    done.says(&["gone", "hint: "]);
    assert_old_output(&folder);
}

#[test]
fn a_rehearsal_finds_what_would_keep_the_night_from_its_work() {
    let folder = TestDir::new();
    folder.write("file", "");
    fs::create_dir(folder.path("empty")).unwrap();
    let dry = |input: &str, more: &[&str]| {
        folder.classify(input, digits_model(), &[&["--dry-run"], more].concat())
    };
    let images = digits().into_os_string().into_string().unwrap();
    let night = ["--log-file=file/run.log", "--metrics-file=.", "--on-failure=./no-such"];
    let done =
        dry(&images, &[&night[..], &["-o", "a/out.csv", "--max-errors=5%"]].concat()).exits(0);
    assert!(done.text().contains("max-errors 5%, log-file file/run.log"), "{done}");
    done.says(&["`log-file`, file/run.log, cannot", "`metrics-file`, ., cannot", "./no-such"]);
    dry(&images, &["-o", "file/out.csv"]).exits(74).says(&["file/out.csv"]);
    dry("empty", &["-o", "out.csv"]).exits(4).says(&["no image"]);
    dry("empty", &["-o", "out.csv", "--allow-empty"]).exits(0);
    assert_eq!(listing(&folder.path("")), ["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_74_and_stays_a_device() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = TestDir::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let classify = |flags: &[&str]| folder.classify(digits(), digits_model(), flags);
    classify(&["-o", "/dev/full"]).exits(74).says(&["/dev/full", "free some space"]);
    classify(&["-o", "-"]).stdout(full()).exits(74).says(&["standard output"]);
    classify(&["--dry-run"]).stdout(full()).exits(74);
    folder.program(["exit-codes"]).stdout(full()).exits(74);
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    assert!(listing(&folder.path("")).is_empty());
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_74_and_the_old_output_stays() {
    let folder = TestDir::new();
    with_old_output(&folder);
    let inner = folder.classify(digits(), digits_model(), &["-o", "out.csv"]);
    // The nearest to a full disk that needs no privilege: files end at 4 blocks of at most 1 KiB.
    limited("trap '' XFSZ; ulimit -f 4", inner).exits(74).says(&["out.csv"]);
    assert_old_output(&folder);
}

#[test]
fn an_output_below_a_file_or_over_a_folder_is_74() {
    let folder = TestDir::new();
    folder.write("file", "text");
    folder.write("folder/kept", "text");
    for output in ["file/out.csv", "folder"] {
        folder.classify(formula(), test_model("dynamic.onnx"), &["-o", output]).exits(74);
    }
    assert_eq!(listing(&folder.path("")), ["file", "folder/kept"]);
}

#[test]
fn a_reader_that_left_is_74_without_a_word() {
    let folder = TestDir::new();
    let classify = || folder.classify(digits(), digits_model(), &["--quiet"]);
    let programs = [classify(), folder.program(["licenses"]), folder.program(["exit-codes"])];
    for program in programs {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let done = program.stdout(writer).exits(74);
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn head_ends_a_run_without_a_panic() {
    let folder = TestDir::new();
    folder.crowd("in", 5_000);
    let mut running = folder.classify("in", digits_model(), &[]).start();
    let mut line = String::new();
    BufReader::new(running.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "path,status,index,label,probability,message\n");
    let done = running.finish().expect(74);
    assert!(!done.stderr.contains("panicked"), "{done}");
}

#[test]
fn a_stderr_that_is_gone_ends_nothing() {
    let folder = TestDir::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let done = folder.classify(formula(), test_model("dynamic.onnx"), &[]).stderr(writer).exits(0);
    assert_eq!(done.rows().len(), 7);
}

/// Runs `inner` in a shell after `setting`.
fn limited(setting: &str, inner: Program) -> Program {
    inner.through(["sh", "-c", &format!("{setting}; exec \"$0\" \"$@\"")])
}

fn has_rows(folder: &TestDir) -> bool {
    fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > 1_000)
}

/// A run in its midst, whose output is `out.csv`.
fn halfway(folder: &TestDir) -> (Running, Vec<String>) {
    with_old_output(folder);
    let names = folder.crowd("in", CROWD);
    let flags = [&SLOWLY[..], &["-o", "out.csv"]].concat();
    let mut running = folder.classify("in", digits_model(), &flags).start();
    running.until("it writes rows", || has_rows(folder));
    (running, names)
}

fn assert_valid_beginning(folder: &TestDir, names: &[String], code: i32) {
    assert_old_output(folder);
    let partial = folder.read("out.csv.partial");
    let rows = rows(&partial);
    assert!(!rows.is_empty() && rows.len() < names.len(), "{} rows", rows.len());
    assert_eq!(paths(&rows), names[..rows.len()]);
    let record = folder.json("out.run.partial.json");
    assert_eq!(record["complete"], false);
    assert_eq!(record["exit"]["code"], code);
    assert_eq!(record["output"]["rows"], rows.len());
    assert_eq!(record["output"]["bytes"], partial.len());
    assert_eq!(record["output"]["path"], "out.csv.partial");
}

#[test]
fn a_signal_leaves_a_valid_beginning_and_the_old_output() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = TestDir::new();
        let (running, names) = halfway(&folder);
        running.signal(signal);
        let done = running.finish().expect(code);
        assert_valid_beginning(&folder, &names, code);
        done.says(&["stopping", "NOT COMPLETE", "out.csv.partial"]);
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = TestDir::new();
    folder.crowd("in", CROWD);
    // There is no room for a row and nobody makes any, so the first signal alone could never end this.
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b' '; 1 << 16]).unwrap();
    let mut running = folder.classify("in", digits_model(), &[]).stdout(writer).start();
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    stderr.read_line(&mut first).unwrap();
    running.signal(Signal::TERM);
    // What the model says of its recipe may come between.
    let mut announced = String::new();
    while !announced.contains("stopping:") {
        assert_ne!(stderr.read_line(&mut announced).unwrap(), 0, "{first}{announced}");
    }
    running.signal(Signal::INT);
    running.finish().expect(130);
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    drop(reader);
}

#[test]
fn what_was_in_flight_is_written_after_a_signal() {
    let folder = TestDir::new();
    let names = folder.crowd("in", CROWD);
    let mut running = folder.classify("in", digits_model(), &["--quiet"]).start();
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let mut csv = Vec::new();
    stdout.read_until(b'\n', &mut csv).unwrap();
    running.signal(Signal::INT);
    stdout.read_to_end(&mut csv).unwrap();
    running.finish().expect(130);
    let rows = rows(&csv);
    assert!(rows.len() < names.len());
    assert_eq!(paths(&rows), names[..rows.len()]);
}

#[cfg(target_os = "linux")]
#[test]
fn nohup_is_heeded() {
    let folder = TestDir::new();
    folder.crowd("in", 5_000);
    let mut running = limited("trap '' HUP", folder.classify("in", digits_model(), &[])).start();
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let mut csv = Vec::new();
    stdout.read_until(b'\n', &mut csv).unwrap();
    running.signal(Signal::HUP);
    stdout.read_to_end(&mut csv).unwrap();
    running.finish().expect(0);
    assert_eq!(rows(&csv).len(), 5_000);
}

#[test]
fn output_to_a_device_leaves_nothing_beside_it() {
    let folder = TestDir::new();
    // A link, so that a record beside the device would be in this folder.
    std::os::unix::fs::symlink("/dev/null", folder.path("sink.csv")).unwrap();
    let done = folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "sink.csv"]).exits(0);
    assert_eq!(listing(&folder.path("")), ["sink.csv"], "{done}");
    assert!(fs::symlink_metadata(folder.path("sink.csv")).unwrap().is_symlink());
}

#[test]
fn a_complete_run_leaves_nothing_of_an_interrupted_one() {
    let folder = TestDir::new();
    let classify = |more: &[&str]| {
        let flags = [&["-o", "out.csv"], more].concat();
        folder.classify(formula(), test_model("dynamic.onnx"), &flags)
    };
    classify(&["--max-errors", "0", "--max-pixels", "30"]).exits(5);
    classify(&[]).exits(0);
    assert_eq!(listing(&folder.path("")), ["out.csv", "out.run.json"]);
}

#[test]
fn a_batch_beyond_all_memory_is_an_error_and_no_crash() {
    let folder = TestDir::new();
    for size in ["1000000000000", "18446744073709551615"] {
        let done = folder.classify(formula(), test_model("dynamic.onnx"), &["--batch-size", size]);
        let done = done.run();
        assert!(matches!(done.status.code(), Some(2 | 10)), "{done}");
        assert!(!done.stderr.contains("panicked"), "{done}");
    }
}

/// One run is between opening `OUTPUT.lock` and locking it when its holder ends and removes it, and
/// a third one makes and locks another.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_on_a_file_that_is_gone_is_none() {
    let folder = TestDir::new();
    folder.write("out.csv", "the old rows");
    let lock = fs::canonicalize(folder.write("out.csv.lock", "the first run")).unwrap();
    if !std::process::Command::new("strace").arg("true").output().is_ok_and(|d| d.status.success())
    {
        return told!("skipped: no strace to stop a run at one system call");
    }
    let path = lock.to_str().unwrap();
    let strace = ["strace", "-f", "-qq", "-o", "trace", "-P", path, "-e", "trace=openat", "-e"];
    let program = folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "out.csv"]);
    let strace = strace.into_iter().chain(["inject=openat:signal=SIGSTOP:when=1"]);
    let mut running = program.through(strace).start();
    let trace = || fs::read_to_string(folder.path("trace")).unwrap_or_default();
    running.until("it is stopped", || trace().contains("stopped by SIGSTOP"));
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "the third run\n").unwrap();
    let third = File::open(&lock).unwrap();
    third.lock().unwrap();
    let stopped = trace().split(' ').next().unwrap().parse().unwrap();
    let stopped = rustix::process::Pid::from_raw(stopped).unwrap();
    rustix::process::kill_process(stopped, Signal::CONT).unwrap();
    running.finish().expect(11).says(&["(the third run)"]);
    assert_eq!(folder.read("out.csv"), b"the old rows");
}
