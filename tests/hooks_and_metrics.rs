//! Who hears of a run when it is over: Prometheus, and programs of the user's.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use linnaeus::error::ItemError;
use rustix::process::Signal;

mod program;

use program::{Program, Running, TestDir, digits_model, listing, repository, rows, test_model};

const NAME: &str = "linnaeus_";

fn formula() -> PathBuf {
    repository("tests/images/formula")
}

/// The samples of a text in Prometheus' exposition format, by metric and labels, checked as the
/// collector does: a HELP and a TYPE before the samples of each metric, and no sample twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "{text}");
    let (mut samples, mut known) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (kind, rest) = rest.split_once(' ').unwrap();
            let (metric, words) = rest.split_once(' ').unwrap();
            assert!(metric.starts_with(NAME), "{line}");
            assert!(kind == "HELP" || kind == "TYPE" && words == "gauge", "{line}");
            known.push((kind.to_owned(), metric.to_owned()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (metric, labels) = series.split_once('{').unwrap();
        for kind in ["HELP", "TYPE"] {
            let said = known.iter().filter(|k| **k == (kind.to_owned(), metric.to_owned())).count();
            assert_eq!(said, 1, "{line}");
        }
        assert!(labels.ends_with('}'), "{line}");
        assert_eq!(samples.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
    }
    samples
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn prometheus_learns_when_it_last_went_well() {
    let folder = TestDir::new();
    let metrics = || samples(&String::from_utf8(folder.read("node/photos.prom")).unwrap());
    let series = |name: &str| format!("linnaeus_{name}{{name=\"photos\"}}");
    let run = |input: &str, more: &[&str], code| {
        let flags = [&["-q", "-o", "out.csv", "--metrics-file", "node/photos.prom"], more].concat();
        folder.classify(input, test_model("dynamic.onnx"), &flags).exits(code);
        metrics()
    };
    let before = now();
    let never = run("gone", &[], 13);
    assert_eq!(never[&series("last_exit_code")], 13.0);
    assert_eq!(never[&series("last_success_timestamp_seconds")], 0.0);
    let formula = formula().into_os_string().into_string().unwrap();
    let first = run(&formula, &[], 0);
    let success = first[&series("last_success_timestamp_seconds")];
    assert!((before..now()).contains(&success), "{success}");
    assert_eq!(first[&series("last_run_timestamp_seconds")], success);
    assert_eq!(first["linnaeus_images{name=\"photos\",status=\"ok\"}"], 7.0);
    for code in ItemError::CODES {
        assert_eq!(first[&format!("linnaeus_images{{name=\"photos\",status=\"{code}\"}}")], 0.0);
    }
    assert!(first[&series("run_duration_seconds")] > 0.0);
    assert!(first[&series("images_per_second")] > 0.0);
    let sha256 = folder.json("out.run.json")["model"]["sha256"].as_str().unwrap().to_owned();
    assert!(first.keys().any(|series| series.contains(&sha256) && series.contains("model_info")));
    // Failures before, at and after the start keep the time; images that failed are a success.
    for (input, more, code) in [
        ("gone", &[][..], 13),
        (&formula, &["--top-k", "1", "--include", "["], 2),
        (&formula, &["--max-pixels", "30", "--max-errors", "0"], 5),
    ] {
        let failed = run(input, more, code);
        assert_eq!(failed[&series("last_exit_code")], f64::from(code));
        assert_eq!(failed[&series("last_success_timestamp_seconds")], success);
        assert!(failed[&series("last_run_timestamp_seconds")] > success);
    }
    let partly = run(&formula, &["--max-pixels", "30"], 3);
    assert!(partly[&series("last_success_timestamp_seconds")] > success);
    assert_eq!(partly["linnaeus_images{name=\"photos\",status=\"too_large\"}"], 6.0);
    assert_eq!(listing(&folder.path("node")), ["photos.prom"]);
    // The collector is another user.
    let mode = fs::metadata(folder.path("node/photos.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o444, 0o444, "{mode:o}");
}

#[test]
fn a_night_without_a_new_image_has_no_speed_and_a_locked_out_run_no_figures() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    let flags = ["-q", "-o", "out.csv", "--metrics-file", "a.prom", "--threads", "1"];
    let run = |more: &[&str]| {
        folder.classify(
            "in",
            digits_model(),
            &[&flags[..], &["--incremental=content"], more].concat(),
        )
    };
    let metrics = || samples(&String::from_utf8(folder.read("a.prom")).unwrap());
    let mut first = run(&[]).start();
    first.until("it writes rows", || {
        fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > 1_000)
    });
    run(&[]).exits(11);
    assert!(!folder.path("a.prom").exists(), "of a run that wrote nothing");
    first.finish().expect(0);
    let speed = "linnaeus_images_per_second{name=\"a\"}";
    assert!(metrics()[speed] > 0.0);
    run(&[]).exits(0);
    assert!(!metrics().contains_key(speed), "{:?}", metrics());
}

#[test]
fn the_figures_are_never_half_there() {
    let folder = TestDir::new();
    let flags = ["-q", "-o", "out.csv", "--metrics-file", "node/a.prom"];
    for _ in 0..5 {
        let mut running = folder.classify(formula(), test_model("dynamic.onnx"), &flags).start();
        while running.child.try_wait().unwrap().is_none() {
            let Ok(entries) = fs::read_dir(folder.path("node")) else { continue };
            for entry in entries {
                // Gone meanwhile, when it was the file on its way to the name.
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "prom") {
                    samples(&fs::read_to_string(path).unwrap());
                }
            }
        }
        running.finish().expect(0);
    }
}

#[test]
fn figures_that_cannot_be_written_are_a_warning() {
    let folder = TestDir::new();
    folder.write("file", "");
    for path in ["file/below.prom", "."] {
        let flags = ["-q", "-o", "out.csv", "--metrics-file", path];
        let done = folder.classify(formula(), test_model("dynamic.onnx"), &flags).exits(0);
        done.says(&["warning: no figures for Prometheus"]);
        assert_eq!(rows(&folder.read("out.csv")).len(), 7);
    }
    #[cfg(target_os = "linux")]
    {
        let flags = ["-q", "-o", "out.csv", "--metrics-file", "/dev/full"];
        let done = folder.classify(formula(), test_model("dynamic.onnx"), &flags).exits(0);
        done.says(&["warning: no figures for Prometheus"]);
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    }
}

/// A program that writes its arguments and what linnaeus told it to `heard`.
const HEAR: &str = "#!/bin/sh\n\
    { printf '%s\\n' \"$#\" \"$@\"; env | grep ^LINNAEUS_ | sort; } > heard\n\
    echo told; exit \"${EXPECTED:-0}\"\n";

fn with_hook(folder: &TestDir, name: &str, script: &str) {
    let path = folder.write(name, script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the hook heard, by name; the arguments are `0`, `1`, ….
fn heard(folder: &TestDir) -> BTreeMap<String, String> {
    let text = String::from_utf8(folder.read("heard")).unwrap();
    fs::remove_file(folder.path("heard")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let count: usize = lines[0].parse().unwrap();
    let args =
        lines[1..=count].iter().enumerate().map(|(at, arg)| (at.to_string(), (*arg).to_owned()));
    let told = lines[1 + count..].iter().map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        (name.trim_start_matches("LINNAEUS_").to_owned(), value.to_owned())
    });
    args.chain(told).collect()
}

fn hooked(folder: &TestDir, input: &str, more: &[&str]) -> Program {
    let hook = "--on-failure=./hear.sh";
    let flags =
        [&["-q", "-o", "o $(x);.csv", "--on-success=./hear.sh", "--on-success=a b;c", hook], more];
    folder.classify(input, test_model("dynamic.onnx"), &flags.concat())
}

#[test]
fn a_hook_hears_how_it_went() {
    let folder = TestDir::new();
    with_hook(&folder, "hear.sh", HEAR);
    let formula = formula().into_os_string().into_string().unwrap();
    let done = hooked(&folder, &formula, &[]).exits(0);
    assert_eq!((done.text(), &*done.stderr), ("", ""));
    let told = heard(&folder);
    // No shell has read any of it.
    // Whole paths: whoever reads them may be in another folder.
    let whole = |name: &str| folder.path(name).into_os_string().into_string().unwrap();
    let (output, record) = (whole("o $(x);.csv"), whole("o $(x);.run.json"));
    assert_eq!((&told["0"], &told["1"]), (&"a b;c".to_owned(), &record));
    let expected = [
        ("EXIT", "0"),
        ("STATUS", "complete"),
        ("OUTPUT", &output),
        ("MANIFEST", &record),
        ("IMAGES", "7"),
        ("FAILED", "0"),
        ("ERROR", ""),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told["RUN"], folder.json("o $(x);.run.json")["run"].as_str().unwrap());

    hooked(&folder, &formula, &["--max-pixels", "30"]).exits(3);
    let told = heard(&folder);
    assert_eq!((&*told["0"], &*told["EXIT"], &*told["FAILED"]), ("a b;c", "3", "6"));

    // Before there is a record, the argument is empty: last night's is not this run's.
    hooked(&folder, "gone", &[]).exits(13);
    let told = heard(&folder);
    assert_eq!((&*told["0"], &*told["EXIT"], &*told["MANIFEST"]), ("", "13", ""));
    assert!(told["ERROR"].contains("gone"), "{told:?}");
    hooked(&folder, &formula, &["--include", "["]).exits(2);
    assert_eq!(heard(&folder)["STATUS"], "usage");
    hooked(&folder, &formula, &["--max-pixels", "30", "--max-errors", "0"]).exits(5);
    let told = heard(&folder);
    assert_eq!(told["0"], whole("o $(x);.run.partial.json"));
    assert!(told["ERROR"].contains("more than `max-errors` allows"), "{told:?}");
    fs::create_dir(folder.path("empty")).unwrap();
    hooked(&folder, "empty", &["--restart"]).exits(4).says(&["exit status 4"]);
    assert!(heard(&folder)["ERROR"].contains("no image was found under empty"));
}

#[test]
fn a_hook_that_fails_is_a_warning_and_no_more() {
    let folder = TestDir::new();
    with_hook(&folder, "hear.sh", HEAR);
    let formula = formula().into_os_string().into_string().unwrap();
    let done = hooked(&folder, &formula, &["--log-file", "run.log"]).env("EXPECTED", "9").exits(0);
    done.says(&["warning: `on-success`, ./hear.sh: it ended with", "9", "on-success: told"]);
    let log = String::from_utf8(folder.read("run.log")).unwrap();
    assert!(log.contains("on-success: told") && log.contains("exit status 0"), "{log}");
    fs::remove_file(folder.path("hear.sh")).unwrap();
    let done = hooked(&folder, &formula, &[]).exits(0);
    // At the start, of both: on the night on which they are needed it would be too late.
    assert_eq!(done.stderr.matches("it is not there").count(), 2, "{done}");
    done.says(&["cannot be started"]);
    folder.write("hear.sh", HEAR);
    hooked(&folder, &formula, &[]).exits(0).says(&["not executable (`chmod +x`)"]);
}

#[test]
fn a_job_file_has_its_hooks_beside_it() {
    let folder = TestDir::new();
    with_hook(&folder, "jobs/bin/hear.sh", HEAR);
    let model = repository("tests/models/dynamic.onnx");
    let text = format!(
        "inputs = [{:?}]\nmodel = {model:?}\noutput = '../out.csv'\nquiet = true\n\
         on-success = ['bin/hear.sh']\nmetrics-file = 'm.prom'\nlog-file = 'run.log'\n\
         [recipe]\nresize = 'squash'\ninterpolation = 'bilinear'\nscale = '1/255'\n",
        formula()
    );
    folder.write("jobs/night.toml", text);
    let done = folder.program(["run", "jobs/night.toml"]).exits(0);
    assert_eq!(done.stderr, "");
    assert_eq!(heard(&folder)["0"], folder.path("out.run.json").to_str().unwrap());
    assert_eq!(listing(&folder.path("jobs")), ["bin/hear.sh", "m.prom", "night.toml", "run.log"]);
}

#[test]
fn after_a_signal_a_hook_has_what_is_left_of_grace() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    with_hook(&folder, "slow.sh", "#!/bin/sh\necho \"$LINNAEUS_EXIT\" > heard\nexec sleep 600\n");
    let flags = ["-o", "out.csv", "--grace", "1s", "--on-failure", "./slow.sh", "--threads", "1"];
    let mut running: Running = folder.classify("in", digits_model(), &flags).start();
    running.until("it writes rows", || {
        fs::metadata(folder.path("out.csv.partial")).is_ok_and(|partial| partial.len() > 1_000)
    });
    running.signal(Signal::TERM);
    let done = running.finish().expect(143);
    done.says(&["`on-failure`, ./slow.sh: it was killed after", "NOT COMPLETE"]);
    assert_eq!(folder.read("heard"), b"143\n");
}

#[test]
fn who_hears_of_a_run_also_hears_of_one_that_hangs() {
    let folder = TestDir::new();
    folder.crowd("in", 20_000);
    with_hook(&folder, "hear.sh", HEAR);
    // There is no room for a row and nobody makes any: what is in flight cannot be finished.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b' '; 1 << 16]).unwrap();
    let flags = ["--grace", "1s", "--on-failure", "./hear.sh", "--metrics-file", "m.prom"];
    let flags = [&flags[..], &["--log-file", "run.log"]].concat();
    let mut running = folder.classify("in", digits_model(), &flags).stdout(writer).start();
    running.until("it has begun", || {
        fs::read_to_string(folder.path("run.log")).unwrap_or_default().contains("the processor")
    });
    running.signal(Signal::TERM);
    running.finish().expect(143).says(&["within `grace`"]);
    let told = heard(&folder);
    assert_eq!((&*told["EXIT"], &*told["0"]), ("143", ""));
    let metrics = samples(&String::from_utf8(folder.read("m.prom")).unwrap());
    assert_eq!(metrics["linnaeus_last_exit_code{name=\"m\"}"], 143.0);
    drop(reader);
}
