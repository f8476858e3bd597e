//! What a run tells, to whom: nothing when it is to be quiet and all is well, JSON that a program
//! can read whatever the names of the files are, a log file that never hurts the run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::ffi::OsStrExt as _,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

mod program;

use program::{
    BINARY, Done, Program, TestDir, digits, digits_model, listing, repository, rows, test_model,
};

const ESCAPE: char = '\u{1b}';

fn formula() -> std::path::PathBuf {
    repository("tests/images/formula")
}

/// The objects of a JSON log, each with the fields that every one has.
fn objects(log: &str) -> Vec<Value> {
    let run = |object: &Value| object["run"].as_str().map(str::to_owned);
    let objects: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for object in &objects {
        for field in ["ts", "level", "event", "run", "message"] {
            assert!(object[field].is_string(), "no `{field}` in {object}");
        }
        assert_eq!(run(object), run(&objects[0]));
        humantime::parse_rfc3339(object["ts"].as_str().unwrap()).unwrap();
        assert!(["info", "warn", "error"].contains(&object["level"].as_str().unwrap()));
    }
    objects
}

fn of_event<'a>(objects: &'a [Value], event: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["event"] == event).collect()
}

/// Expects that the last line, and only that, tells the exit status `code`.
fn assert_exit_is_last(log: &str, code: i32) -> Vec<Value> {
    let objects = objects(log);
    assert_eq!(of_event(&objects, "exit").len(), 1, "{log}");
    let last = objects.last().unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"exit".into(), &code.into()), "{log}");
    assert!(!last["meaning"].as_str().unwrap().is_empty());
    objects
}

#[test]
fn cron_gets_no_mail_of_a_night_without_news() {
    let folder = TestDir::new();
    let out = folder.path("out.csv").into_os_string().into_string().unwrap();
    let job = repository("jobs/digits.toml").into_os_string();
    // What cron gives a job, and less: another folder, hardly an environment, no input.
    let start = format!(
        "cd / && exec env -i PATH=/usr/bin:/bin HOME=/ LANG=C LINNAEUS_CACHE_DIR={} \"$0\" \"$@\"",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/cache")
    );
    let run = |more: &[&str]| {
        let args = ["run".into(), job.clone(), "-o".into(), out.clone().into()];
        let args = args.into_iter().chain(more.iter().map(Into::into));
        Program::new(BINARY.as_ref(), args).through(["sh", "-c", &start]).exits(0)
    };
    let quiet = run(&["--quiet"]);
    assert_eq!((quiet.text(), &*quiet.stderr), ("", ""));
    assert_eq!(rows(&folder.read("out.csv")).len(), 360);
    let quiet = run(&["--quiet", "--log-format", "json"]);
    assert_eq!((quiet.text(), &*quiet.stderr), ("", ""));
    let plain = run(&[]);
    assert!(plain.stderr.lines().count() >= 2, "{plain}");
    assert!(!plain.stderr.contains([ESCAPE, '\r']), "{plain}");
}

#[test]
fn quiet_tells_what_is_wrong_and_only_that() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let flags = ["-q", "-o", "out.csv"];
    let done = folder.classify(&hostile, test_model("dynamic.onnx"), &flags).exits(3);
    let done = done.says(&["rows in out.csv", "truncated"]);
    // The summary has examples; the failed images are not told one by one as well.
    assert!(done.stderr.lines().count() < 12, "{done}");
    let done = folder.classify("gone", test_model("dynamic.onnx"), &["-q"]).exits(13);
    assert!(done.stderr.starts_with("error: "), "{done}");
}

#[test]
fn json_tells_a_run_from_start_to_exit() {
    let folder = TestDir::new();
    folder.crowd("in", 3_000);
    folder.write("in/broken.png", "no image");
    let flags =
        ["--log-format", "json", "--progress-interval", "1", "-o", "out.csv", "--threads", "1"];
    let done = folder.classify("in", digits_model(), &flags).exits(3);
    let objects = assert_exit_is_last(&done.stderr, 3);
    let start = &objects[0];
    assert_eq!((&start["event"], &start["level"]), (&"start".into(), &"info".into()));
    assert_eq!(start["inputs"], serde_json::json!(["in"]));
    assert!(start["pid"].is_u64() && start["version"].is_string() && start["host"].is_string());
    let errors = of_event(&objects, "image_error");
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (&errors[0]["path"], &errors[0]["status"]),
        (&"broken.png".into(), &"not_an_image".into())
    );
    let finish = of_event(&objects, "finish")[0];
    assert_eq!(finish["counts"]["ok"], 3_000);
    assert_eq!(finish["counts"]["not_an_image"], 1);
    assert_eq!(finish["output"]["rows"], 3_001);
    assert_eq!(finish["manifest"], "out.run.json");
    let safe = of_event(&objects, "checkpoint");
    assert_eq!(safe.last().unwrap()["rows"], 3_001);
    for progress in of_event(&objects, "progress") {
        assert!(progress["ok"].as_u64().unwrap() <= 3_000, "{progress}");
    }
    let manifest = folder.json("out.run.json");
    for field in ["run", "host", "pid", "command"] {
        assert!(!manifest[field].is_null(), "no `{field}` in the manifest");
    }
    assert_eq!(manifest["run"], start["run"]);
    assert_eq!(manifest["command"].as_array().unwrap().last().unwrap(), "1");
}

#[test]
fn names_of_files_break_no_line() {
    let folder = TestDir::new();
    let mut names: Vec<Vec<u8>> = [
        "a\nb.png",
        "a\rb.png",
        "\u{1b}]0;x\u{7}.png",
        "\"quoted\\.png",
        "\u{9b}2J.png",
        "{\"event\":\"exit\"}.png",
        "\u{2028}.png",
        "a\tb.png",
        "=1+1.png",
        "\u{7f}.png",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"\xfe\xff.png".to_vec());
    names.push([&[b'n'; 251][..], b".png"].concat());
    for name in &names {
        let path = [b"in/", &name[..]].concat();
        folder.write(OsStr::from_bytes(&path), "no image");
    }
    let flags = ["-o", "out.csv", "--log-format", "json", "--log-file", "run.log"];
    let done = folder.classify("in", test_model("dynamic.onnx"), &flags).exits(3);
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    let rows = rows(&folder.read("out.csv"));
    for text in [&done.stderr, &log] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        let objects = assert_exit_is_last(text, 3);
        let told: Vec<_> =
            of_event(&objects, "image_error").iter().map(|o| o["path"].as_str().unwrap()).collect();
        assert_eq!(told.len(), names.len());
        assert!(told.iter().all(|name| {
            rows.iter().any(|row| &row["path"] == *name || row["path"].ends_with(name))
        }));
    }
    let done = folder
        .classify("in", test_model("dynamic.onnx"), &["-o", "out.csv", "--log-file", "text.log"])
        .exits(3);
    let log = String::from_utf8(folder.read("text.log")).unwrap();
    for text in [&done.stderr, &log] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    for line in log.lines() {
        humantime::parse_rfc3339(line.split(' ').next().unwrap()).unwrap();
    }
}

#[test]
fn the_last_line_tells_the_status_of_every_failure() {
    let folder = TestDir::new();
    folder.write("empty/notes.txt", "");
    folder.write("broken.toml", "inputs = [");
    folder.write("garbage.onnx", "garbage");
    let json = ["--log-format", "json"];
    let usual = |more: &[&str]| {
        folder.classify(formula(), test_model("dynamic.onnx"), &[&json, more].concat())
    };
    let program = |args: &[&str]| folder.program([args, &json].concat());
    for (code, program) in [
        (2, program(&["classify", "x", "--nope"])),
        (2, program(&["run"])),
        (2, program(&["classify", "x", "--top-k", "0"])),
        (2, program(&["classify", "x"])),
        (2, program(&["run", "broken.toml"])),
        (2, program(&["run", "gone.toml"])),
        (2, usual(&["--include", "["])),
        (2, usual(&["--log-file", "x", "--metrics-file", "x"])),
        (3, usual(&["--max-pixels", "30"])),
        (4, folder.classify("empty", test_model("dynamic.onnx"), &json)),
        (5, usual(&["--max-pixels", "30", "--max-errors", "0"])),
        (10, program(&["classify", "empty", "--model", "garbage.onnx"])),
        (13, folder.classify("gone", test_model("dynamic.onnx"), &json)),
        (74, usual(&["-o", "/dev/full"])),
        (
            13,
            folder.classify(
                "gone",
                test_model("dynamic.onnx"),
                &[&json[..], &["--dry-run"]].concat(),
            ),
        ),
    ] {
        let done = program.exits(code);
        let objects = assert_exit_is_last(&done.stderr, code);
        let told = of_event(&objects, "error");
        assert!(!told.is_empty() || [3, 4, 5].contains(&code), "{done}");
        assert!(told.iter().all(|error| error["code"] == code && error["level"] == "error"));
    }
    // A reader of the rows that left is an end like any other, here.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let done = usual(&["--quiet"]).stdout(writer).exits(74);
    assert_exit_is_last(&done.stderr, 74);
    // And so is help: it is no failure.
    folder.program(["classify", "--help", "--log-format", "json"]).exits(0);
    assert!(!folder.path("x").exists());
}

#[test]
fn a_signal_is_told_and_then_the_end() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    let flags = ["-o", "out.csv", "--log-format", "json", "--threads", "1", "--batch-size", "1"];
    let mut running = folder.classify("in", digits_model(), &flags).start();
    running.until("it writes rows", || {
        fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > 1_000)
    });
    running.signal(Signal::TERM);
    let done = running.finish().expect(143);
    let objects = assert_exit_is_last(&done.stderr, 143);
    let events: Vec<_> = objects.iter().map(|o| o["event"].as_str().unwrap()).collect();
    let at = |event| events.iter().position(|e| *e == event).unwrap();
    assert!(at("signal") < at("finish") && at("finish") < at("exit"), "{events:?}");
    assert_eq!(of_event(&objects, "signal").len(), 1);
}

#[test]
fn a_run_that_is_locked_out_says_by_whom_and_ends_with_its_status() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    let flags = ["-q", "-o", "out.csv", "--log-format", "json", "--log-file", "run.log"];
    let run = || folder.classify("in", digits_model(), &flags);
    let mut first = run().start();
    first.until("it writes rows", || {
        fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > 1_000)
    });
    first.signal(Signal::STOP);
    let second = run().exits(11);
    let objects = assert_exit_is_last(&second.stderr, 11);
    let error = of_event(&objects, "error")[0]["message"].as_str().unwrap();
    assert!(error.contains(&first.child.id().to_string()), "{error}");
    first.signal(Signal::CONT);
    first.signal(Signal::TERM);
    first.finish().expect(143);
    // Two runs, one log: each line is whole, and says whose it is.
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    let runs: std::collections::BTreeSet<_> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["run"].to_string())
        .collect();
    assert_eq!(runs.len(), 2);
}

#[test]
fn a_second_signal_is_told_as_the_end() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    // There is no room for a row and nobody makes any, so the first signal alone could never end this.
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b' '; 1 << 16]).unwrap();
    let flags = ["--log-format", "json", "--log-file", "run.log"];
    let mut running = folder.classify("in", digits_model(), &flags).stdout(writer).start();
    let log = || fs::read_to_string(folder.path("run.log")).unwrap_or_default();
    running.until("it has begun", || log().contains("\"note\""));
    running.signal(Signal::TERM);
    running.until("it has heard", || log().contains("\"signal\""));
    running.signal(Signal::INT);
    running.finish().expect(130);
    assert_exit_is_last(&log(), 130);
    drop(reader);
}

#[test]
fn text_lists_fifty_failed_images_and_counts_the_others() {
    let folder = TestDir::new();
    for index in 0..57 {
        folder.write(format!("in/{index:02}.png"), "no image");
    }
    let flags = ["-o", "out.csv", "--log-file", "run.log"];
    let done = folder.classify("in", test_model("dynamic.onnx"), &flags).exits(3);
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    for text in [&done.stderr, &log] {
        assert_eq!(text.matches(".png: not_an_image").count(), 50, "{done}");
        assert!(text.contains("7 more failed images"), "{done}");
    }
    assert_eq!(rows(&folder.read("out.csv")).len(), 57);
}

#[test]
fn a_log_file_gets_everything_also_of_a_quiet_run_and_grows() {
    let folder = TestDir::new();
    let run = |more: &[&str], code| {
        let flags = [&["-q", "-o", "out.csv", "--log-file", "logs/run.log"], more].concat();
        folder.classify(formula(), test_model("dynamic.onnx"), &flags).exits(code)
    };
    let log = || String::from_utf8(folder.read("logs/run.log")).unwrap();
    assert_eq!(run(&[], 0).stderr, "");
    let first = log();
    for word in [" info  linnaeus ", "images in", "exit status 0: "] {
        assert!(first.contains(word), "{first}");
    }
    run(&["--max-pixels", "30"], 3);
    let second = log();
    assert!(second.starts_with(&first) && second.contains("exit status 3: "), "{second}");
    // As logrotate does: the next run opens the name anew.
    fs::rename(folder.path("logs/run.log"), folder.path("logs/run.log.1")).unwrap();
    assert_eq!(run(&["--log-format", "json"], 0).stderr, "");
    assert_exit_is_last(&log(), 0);
    assert_eq!(String::from_utf8(folder.read("logs/run.log.1")).unwrap(), second);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_costs_one_warning() {
    let folder = TestDir::new();
    folder.write("file", "");
    for log in ["/dev/full", ".", "file/below.log"] {
        for format in ["text", "json"] {
            let flags = ["-q", "-o", "out.csv", "--log-file", log, "--log-format", format];
            let done = folder.classify(formula(), test_model("dynamic.onnx"), &flags).exits(0);
            assert_eq!(done.stderr.matches("the log file").count(), 1, "{done}");
            assert_eq!(rows(&folder.read("out.csv")).len(), 7);
        }
    }
    assert_eq!(listing(&folder.path("")), ["file", "out.csv", "out.run.json"]);
}

#[test]
fn nothing_that_is_read_or_written_becomes_a_log() {
    let folder = TestDir::new();
    let model = repository("tests/models/dynamic.onnx");
    fs::copy(&model, folder.path("m.onnx")).unwrap();
    folder.write("in/a.png", "");
    for flag in ["--log-file", "--metrics-file"] {
        for path in ["m.onnx", "./in/../m.onnx", "out.csv", "out.run.json", "in/a.png"] {
            let args = ["classify", "in/a.png", "--model", "m.onnx", "-o", "out.csv", flag, path];
            folder.program(args).exits(2).says(&["the same file"]);
        }
    }
    assert_eq!(folder.read("m.onnx"), fs::read(model).unwrap());
    assert_eq!(listing(&folder.path("")), ["in/a.png", "m.onnx"]);
}

#[test]
fn a_run_says_where_it_is_when_asked() {
    for (format, quiet) in [("text", true), ("text", false), ("json", true)] {
        let folder = TestDir::new();
        folder.crowd("in", 20_000);
        // Nobody reads the rows at first, so the run is still there to be asked.
        let (reader, writer) = io::pipe().unwrap();
        let quiet_flag = if quiet { "--quiet=true" } else { "--quiet=false" };
        let flags = ["--log-format", format, quiet_flag, "--progress-interval", "9999"];
        let mut running = folder.classify("in", digits_model(), &flags).stdout(writer).start();
        let stderr = BufReader::new(running.child.stderr.take().unwrap());
        let mut rows = BufReader::new(reader);
        let mut row = String::new();
        rows.read_line(&mut row).unwrap();
        running.signal(Signal::USR1);
        let told = |line: &String| line.contains("/20000 images") || line.contains("no image read");
        let line = std::thread::scope(|scope| {
            // Without an answer the rows are let go after a while, and stderr ends.
            let (answered, done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let _ = done.recv_timeout(Duration::from_mins(1));
                drop(rows);
            });
            let mut lines = stderr.lines().map(Result::unwrap);
            let line = if quiet { lines.next() } else { lines.find(told) };
            drop(answered);
            line.filter(told).unwrap_or_else(|| panic!("{format}, {quiet}: no answer"))
        });
        if format == "json" {
            let object = objects(&line).remove(0);
            assert_eq!((&object["event"], &object["asked"]), (&"progress".into(), &true.into()));
        }
        running.finish().expect(74);
    }
}

#[test]
fn a_dry_run_and_a_job_that_is_printed_touch_no_log() {
    let folder = TestDir::new();
    for flag in ["--dry-run", "--print-job"] {
        let flags =
            [flag, "--log-file", "run.log", "--metrics-file", "m.prom", "--on-success", "gone"];
        folder.classify(digits(), digits_model(), &flags).exits(0);
    }
    assert!(listing(&folder.path("")).is_empty());
}

#[test]
fn logs_that_nobody_takes_end_nothing() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    for format in ["text", "json"] {
        let run = |stderr: io::PipeWriter| {
            let flags = ["-o", "out.csv", "--log-format", format, "--log-file", "run.log"];
            folder.classify(&hostile, test_model("dynamic.onnx"), &flags).stderr(stderr)
        };
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        run(writer).exits(3);
        if cfg!(target_os = "linux") {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let flags = ["-o", "out.csv", "--log-format", format];
            let done: Done =
                folder.classify(&hostile, test_model("dynamic.onnx"), &flags).stderr(full).exits(3);
            assert_eq!(done.text(), "");
        }
    }
}

#[test]
fn both_an_image_and_the_disk_are_told_and_the_disk_decides() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let done = folder.classify(hostile, test_model("dynamic.onnx"), &["-o", "/dev/full"]);
    let done =
        done.exits(74).says(&["bad_crc_idat.png: corrupt: ", "error: cannot write /dev/full"]);
    assert!(!done.stderr.contains("panicked"), "{done}");
}

#[cfg(target_os = "linux")]
#[test]
fn beside_a_bar_the_summary_has_the_examples() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        return told!("skipped: no `script` to make a terminal with");
    }
    let folder = TestDir::new();
    folder.crowd("in", 20);
    for index in 0..9 {
        folder.write(format!("in/broken{index}.png"), "no image");
    }
    let mut line = format!("'{BINARY}' classify in -o out.csv --log-file run.log");
    for flag in digits_model() {
        line = format!("{line} '{}'", flag.to_str().unwrap());
    }
    let program = Program::new("script".as_ref(), ["-qec", &line, "/dev/null"]);
    let done = program.within(&folder.path("")).env("TERM", "xterm").exits(3);
    assert_eq!(done.text().matches(".png: ").count(), 3, "{done}");
    assert!(done.text().contains("and 6 more"), "{done}");
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    assert!(log.matches(".png: not_an_image").count() == 9, "{log}");
    assert!(!log.contains(ESCAPE), "{log:?}");
}
