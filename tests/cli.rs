//! What a person types and sees: help, job files, flags, previews, formats, messages.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "not shipped")]

#[macro_use]
mod told;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Command,
    time::Duration,
};

use linnaeus::{
    job::{EvaluateSpec, Job},
    recipe::RecipeSpec,
};
use sha2::{Digest as _, Sha256};

mod program;

use program::{
    BINARY, Program, TestDir, digits, digits_model, listing, paths, repository, test_model,
};

const ESCAPE: char = '\u{1b}';

fn formula() -> std::path::PathBuf {
    repository("tests/images/formula")
}

/// The long flags that a help text describes.
fn flags(help: &str) -> BTreeSet<String> {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split("--").nth(1))
        .map(|flag| flag.split([' ', '[', '=', ',']).next().unwrap().to_owned())
        .collect()
}

/// The flags that a command must have: the keys of a job file, and what is no key.
fn keys(more: &[&str]) -> BTreeSet<String> {
    let job = Job::KEYS.iter().filter(|key| !["recipe", "evaluate", "inputs"].contains(key));
    let all = job
        .chain(&RecipeSpec::KEYS)
        .chain(&["dry-run", "print-job", "restart", "help"])
        .chain(more);
    all.map(|&key| key.to_owned()).collect()
}

#[test]
fn flags_and_keys_have_the_same_names() {
    let folder = TestDir::new();
    let help = |command: &str| folder.program([command, "--help"]).exits(0);
    assert_eq!(flags(help("classify").text()), keys(&[]));
    assert_eq!(flags(help("run").text()), keys(&["inputs"]));
    // The page is named `output` there, as in every command.
    let of_file = ["labels", "images", "output", "help"];
    let evaluate = EvaluateSpec::KEYS.iter().filter(|key| **key != "report").chain(&of_file);
    let evaluate: BTreeSet<String> = evaluate.map(|&key| key.to_owned()).collect();
    assert_eq!(flags(help("evaluate").text()), evaluate);
    assert_eq!(flags(help("compare").text()), evaluate);
}

#[test]
fn helps_have_examples_and_exit_statuses() {
    let folder = TestDir::new();
    let help = |line: &str| folder.program(line.split(' ')).exits(0).text().to_owned();
    for line in ["run --help", "classify --help", "completions --help", "help run"] {
        assert!(help(line).contains("Example"), "{line}");
    }
    let top = help("--help");
    for word in ["Exit status", "exit-codes", "run", "classify", "runtime", "licenses"] {
        assert!(top.contains(word), "{word}");
    }
    assert!(help("--version").starts_with("linnaeus 0."));
}

#[test]
fn completions_know_the_flags() {
    let folder = TestDir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.program(["completions", shell]).exits(0);
        for word in ["linnaeus", "classify", "follow-symlinks"] {
            assert!(script.text().contains(word), "{shell}: {word}");
        }
    }
    folder.program(["completions", "tcsh"]).exits(2);
}

#[test]
fn licences_of_what_is_inside_are_printed() {
    let done = TestDir::new().program(["licenses"]).exits(0);
    assert!(done.text().contains("MIT License"));
    assert!(cfg!(not(feature = "bundled")) || done.text().contains("Microsoft Corporation"));
}

#[test]
fn what_is_no_terminal_gets_no_escape_codes_and_no_carriage_returns() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    for program in [
        folder.program(["--help"]),
        folder.program(["classify", "--help"]),
        folder.program(["--nope"]),
        folder.classify(&hostile, test_model("dynamic.onnx"), &[]),
        folder.classify(&hostile, test_model("dynamic.onnx"), &["--dry-run"]),
    ] {
        let done = program.run();
        assert!(!done.stderr.is_empty() || !done.stdout.is_empty());
        assert!(!done.text().contains([ESCAPE, '\r']), "{done}");
        assert!(!done.stderr.contains([ESCAPE, '\r']), "{done}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_colours_unless_no_color_says_otherwise() {
    if Command::new("script").arg("--version").output().is_err() {
        return told!("skipped: no `script` to make a terminal with");
    }
    let folder = TestDir::new();
    let help = |variables: &[(&str, &str)]| {
        let line = format!("'{BINARY}' --help");
        let mut program = Program::new("script".as_ref(), ["-qec", &line, "/dev/null"])
            .within(&folder.path(""))
            .env("TERM", "xterm");
        for (name, value) in variables {
            program = program.env(name, value);
        }
        let done = program.exits(0);
        assert!(done.text().contains("Exit status"), "{done}");
        done.text().contains(ESCAPE)
    };
    assert!(help(&[]));
    assert!(!help(&[("NO_COLOR", "1")]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_bar_that_goes_away() {
    if Command::new("script").arg("--version").output().is_err() {
        return told!("skipped: no `script` to make a terminal with");
    }
    let folder = TestDir::new();
    folder.crowd("in", 5_000);
    let mut line = format!("'{BINARY}' classify in -o out.csv");
    for flag in digits_model() {
        line = format!("{line} '{}'", flag.to_str().unwrap());
    }
    let program = Program::new("script".as_ref(), ["-qec", &line, "/dev/null"]);
    let done = program.within(&folder.path("")).env("TERM", "xterm").exits(0);
    let text = done.text();
    assert!(text.contains("images/s · "), "{done}");
    assert!(text.contains("5000 images in "), "{done}");
    let last_clear = text.rfind("\u{1b}[2K").or(text.rfind("\u{1b}[K")).unwrap();
    assert!(last_clear < text.find("5000 images in ").unwrap(), "{done}");
}

#[test]
fn progress_is_plain_lines_with_a_rate() {
    let folder = TestDir::new();
    folder.crowd("in", 5_000);
    let flags = ["--progress-interval", "1"];
    let mut running = folder.classify("in", digits_model(), &flags).start();
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    stdout.read_line(&mut first).unwrap();
    // Nobody reads the rows meanwhile, so the run is still on after the interval.
    std::thread::sleep(Duration::from_millis(1_100));
    stdout.read_to_string(&mut rest).unwrap();
    let done = running.finish().expect(0);
    let line = done.stderr.lines().find(|line| line.contains(" images (")).unwrap_or_else(|| {
        panic!("no line of progress: {done}");
    });
    assert!(line.contains("/5000 images (") && line.contains(" left, "), "{line}");
    assert!(line.ends_with(" images/s") && line.starts_with("20"), "{line}");
    assert!(!done.stderr.contains([ESCAPE, '\r']), "{done}");
}

#[test]
fn quiet_says_nothing_on_success_and_why_on_failure() {
    let folder = TestDir::new();
    let classify = |model, flags: &[&str]| {
        folder.classify(
            formula(),
            test_model(model),
            &[&["--quiet", "-o", "o.csv"], flags].concat(),
        )
    };
    let done = classify("dynamic.onnx", &[]).exits(0);
    assert_eq!((done.text(), &*done.stderr), ("", ""));
    classify("gone.onnx", &[]).exits(10).says(&["gone.onnx"]);
    classify("dynamic.onnx", &["--max-pixels", "30", "--max-errors", "0"])
        .exits(5)
        .says(&["NOT COMPLETE", "too_large"]);
}

#[test]
fn quiet_says_that_some_images_failed() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let flags = ["--quiet", "-o", "o.csv"];
    folder.classify(hostile, test_model("dynamic.onnx"), &flags).exits(3).says(&["truncated 1"]);
}

#[test]
fn a_summary_says_what_came_of_it() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let done = folder.classify(hostile, test_model("dynamic.onnx"), &["-o", "o.csv"]).exits(3);
    let rows = program::rows(&folder.read("o.csv"));
    let count = |status: &str| rows.iter().filter(|row| row["status"] == *status).count();
    done.says(&[
        &format!("{} images in ", rows.len()),
        &format!("ok {}", count("ok")),
        &format!("truncated {}", count("truncated")),
        "1 skipped (not an image)",
        "images/s on CPUExecutionProvider",
        "CPU seconds: walk ",
        &format!("{} rows in o.csv", rows.len()),
        // Every failed image was told on its way.
        "bad_crc_idat.png: corrupt: the image data is damaged",
        "softmax is applied",
    ]);
}

#[test]
fn dash_puts_rows_and_nothing_else_on_stdout() {
    let folder = TestDir::new();
    let done = folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "-"]).exits(0);
    assert_eq!(paths(&done.rows()), listing(&formula()));
    assert!(listing(&folder.path("")).is_empty());
    folder.classify(formula(), test_model("dynamic.onnx"), &["-o", "new/o.csv"]).exits(0);
    assert_eq!(folder.read("new/o.csv"), done.stdout);
}

#[test]
fn json_lines_say_what_the_csv_says() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let classify = |flags: &[&str]| {
        let flags = [flags, &["--top-k", "2"]].concat();
        folder.classify(&hostile, test_model("dynamic.onnx"), &flags).exits(3)
    };
    let (csv, lines) = (classify(&[]), classify(&["--format", "jsonl"]));
    classify(&["-o", "o.jsonl"]);
    assert_eq!(folder.read("o.jsonl"), lines.stdout);
    assert_eq!(lines.text().lines().count(), csv.rows().len());
    for (row, line) in csv.rows().iter().zip(lines.text().lines()) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&json["path"], &json["status"]), (&row["path"].into(), &row["status"].into()));
        if row["status"] == *"ok" {
            let second = &json["top"][1];
            assert_eq!(second["index"].to_string(), row["index_2"]);
            let probability: f64 = row["probability_2"].parse().unwrap();
            assert_eq!(second["probability"], probability);
            assert!(json.get("message").is_none());
        } else {
            assert_eq!(json["message"], row["message"]);
            assert!(json.get("top").is_none());
        }
    }
}

#[test]
fn top_k_adds_columns_and_never_more_than_there_are_classes() {
    let folder = TestDir::new();
    let row = |k: &str| {
        let done = folder.classify(formula(), test_model("dynamic.onnx"), &["-k", k]).exits(0);
        done.rows()[0].clone()
    };
    let (three, many) = (row("3"), row("1000"));
    let probability = |rank: &str| three[&*format!("probability{rank}")].parse::<f64>().unwrap();
    assert!(probability("") >= probability("_2") && probability("_2") >= probability("_3"));
    assert_eq!(three["index_3"], many["index_3"]);
    assert!(!many["index_5"].is_empty() && format!("{many:?}").matches("index").count() == 5);
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_nearest_key() {
    let folder = TestDir::new();
    folder.write("jobs/a.toml", "inputs = ['.']\n\nmodl = 'm.onnx'\n");
    folder.write("jobs/b.toml", "[recipe]\nresise = 'none'\n");
    let run = |job: &str| folder.program(["run", job]).exits(2);
    run("jobs/a.toml").says(&["jobs/a.toml:3", "`modl`", "`model`"]);
    run("jobs/b.toml").says(&["jobs/b.toml:2", "`resise`", "`resize`"]);
}

/// A job on the digits in `folder`, with `more` keys.
fn write_job(folder: &TestDir, name: &str, more: &str) {
    let [images, model, labels] = ["images", "digits.keras", "labels.txt"]
        .map(|file| repository("examples/digits").join(file).display().to_string());
    let job = format!(
        "inputs = ['{images}']\nmodel = '{model}'\nlabels = '{labels}'\n{more}\n\
         [recipe]\nresize = 'none'\nscale = '1/255'\nactivation = 'none'\n"
    );
    folder.write(name, job);
}

#[test]
fn flags_win_over_keys() {
    let folder = TestDir::new();
    for name in ["a.png", ".b.png"] {
        folder.link(&digits().join("3/0879.png"), format!("in/{name}"));
    }
    write_job(&folder, "job.toml", "top-k = 2\nhidden = true\noutput = 'job.csv'");
    let run = |flags: &[&str]| {
        folder.program([&["run", "job.toml", "--inputs", "in"], flags].concat()).exits(0)
    };
    run(&[]);
    let rows = program::rows(&folder.read("job.csv"));
    assert_eq!(paths(&rows), [".b.png", "a.png"]);
    assert!(!rows[0]["index_2"].is_empty());
    let rows = run(&["--top-k", "3", "--hidden=false", "-o", "-"]).rows();
    assert_eq!(paths(&rows), ["a.png"]);
    assert!(!rows[0]["index_3"].is_empty());
}

#[test]
fn paths_in_a_job_are_relative_to_it() {
    let folder = TestDir::new();
    folder.link(&digits().join("3/0879.png"), "deep/in/a.png");
    write_job(&folder, "deep/jobs/job.toml", "output = '../out/job.csv'");
    let text = fs::read_to_string(folder.path("deep/jobs/job.toml")).unwrap();
    let images = digits().display().to_string();
    folder.write("deep/jobs/job.toml", text.replace(&images, "../in"));
    folder.program(["run", "deep/jobs/job.toml"]).exits(0);
    assert_eq!(paths(&program::rows(&folder.read("deep/out/job.csv"))), ["a.png"]);
}

#[test]
fn a_printed_job_gives_the_same_rows() {
    let folder = TestDir::new();
    folder.link(&digits().join("3/0879.png"), "in/a.png");
    let flags = ["-k", "3", "--batch-size", "5", "--exclude", "*.gif", "--mean", "0.5", "-q"];
    let classify = |more: &[&str]| {
        folder.classify("in", digits_model(), &[&flags[..], more].concat()).exits(0)
    };
    let rows = classify(&[]).stdout;
    let job = classify(&["--print-job"]);
    folder.write("job.toml", &job.stdout);
    assert_eq!(folder.program(["run", "job.toml"]).exits(0).stdout, rows);
    let printed_again = folder.program(["run", "job.toml", "--print-job"]).exits(0);
    assert_eq!(printed_again.text(), job.text());
}

#[test]
fn a_printed_job_can_be_kept_in_a_folder_of_jobs() {
    let folder = TestDir::new();
    folder.link(&digits().join("3/0879.png"), "in/a.png");
    folder.write("jobs/none", "");
    let classify = |more: &[&str]| folder.classify("in", digits_model(), more).exits(0);
    // As the example in the help text does.
    folder.write("jobs/job.toml", classify(&["--print-job"]).stdout);
    assert_eq!(folder.program(["run", "jobs/job.toml"]).exits(0).stdout, classify(&[]).stdout);
}

#[test]
fn a_dry_run_reads_no_image_and_writes_nothing() {
    let folder = TestDir::new();
    // Were they read, they would be failures.
    for name in ["a/1.jpg", "a/2.png", "b/3.webp"] {
        folder.write(format!("in/{name}"), "damaged");
    }
    folder.write("in/notes.txt", "no image");
    let before = listing(&folder.path(""));
    let flags = ["-o", "new/out.csv", "--dry-run", "--top-k", "2", "--batch-size", "5"];
    let done = folder.classify("in", digits_model(), &flags).exits(0);
    for word in [
        "in: 3 images, 1 skipped (not an image)",
        "digits.keras",
        "SHA-256 ",
        "resize none",
        "scale 1/255",
        "labels.txt",
        "CPUExecutionProvider",
        "ONNX Runtime 1.",
        "batches of 5",
        "new/out.csv (CSV, top 2)",
        "new/out.run.json",
    ] {
        assert!(done.text().contains(word), "{word} in {done}");
    }
    assert_eq!(done.stderr, "");
    assert_eq!(listing(&folder.path("")), before);
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn the_record_of_a_run_is_true() {
    let folder = TestDir::new();
    let hostile = repository("tests/images/hostile");
    let flags = ["-o", "out/o.csv", "--mean", "0.5,0.25,0.125", "--threads", "2"];
    folder.classify(&hostile, test_model("dynamic.onnx"), &flags).exits(3);
    let record = folder.json("out/o.run.json");
    let csv = folder.read("out/o.csv");
    let rows = program::rows(&csv);
    assert_eq!(record["output"]["sha256"], sha256(&csv));
    assert_eq!(record["output"]["bytes"], csv.len());
    assert_eq!(record["output"]["rows"], rows.len());
    assert_eq!(record["output"]["path"], "out/o.csv");
    let model = fs::read(repository("tests/models/dynamic.onnx")).unwrap();
    assert_eq!(record["model"]["sha256"], sha256(&model));
    assert_eq!(record["model"]["classes"], 5);
    let recipe = &record["recipe"];
    assert_eq!((&recipe["resize"], &recipe["scale"]), (&"squash".into(), &"1/255".into()));
    assert_eq!(recipe["mean"].to_string(), "[0.5,0.25,0.125]");
    assert_eq!(record["activation"]["applied"], "softmax");
    assert_eq!(record["runtime"]["provider"], "CPUExecutionProvider");
    assert_eq!(record["runtime"]["device"], "cpu");
    assert_eq!((&record["complete"], &record["exit"]["code"]), (&true.into(), &3.into()));
    for (status, count) in record["counts"].as_object().unwrap() {
        let there = rows.iter().filter(|row| row["status"] == **status).count();
        assert_eq!(*count, there, "{status}");
    }
    let sum = |key: &str| -> u64 {
        record[key].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(sum("counts"), rows.len() as u64);
    assert_eq!(sum("counts") + sum("skipped"), listing(&hostile).len() as u64);
}

#[test]
fn a_record_may_lie_elsewhere() {
    let folder = TestDir::new();
    let model = || test_model("dynamic.onnx");
    folder.classify(formula(), model(), &["-o", "o.csv", "--manifest", "log/r.json"]).exits(0);
    folder.classify(formula(), model(), &["--manifest", "stdout.json"]).exits(0);
    assert_eq!(listing(&folder.path("")), ["log/r.json", "o.csv", "stdout.json"]);
    assert_eq!(folder.json("stdout.json")["output"]["path"], "-");
}

#[test]
fn a_labels_file_names_the_classes() {
    let folder = TestDir::new();
    folder.write("labels.txt", "=cmd()\nb\nc,d\n\"e\"\n-f\n");
    let labels = ["--labels", "labels.txt", "-k", "5"];
    let rows = folder.classify(formula(), test_model("dynamic.onnx"), &labels).exits(0).rows();
    let inert = ["'=cmd()", "b", "c,d", "\"e\"", "'-f"];
    for rank in ["", "_2", "_3", "_4", "_5"] {
        let index: usize = rows[0][&*format!("index{rank}")].parse().unwrap();
        assert_eq!(&rows[0][&*format!("label{rank}")], inert[index]);
    }
}

#[test]
fn the_runtime_that_would_be_loaded_is_shown() {
    let done = TestDir::new().program(["runtime"]).exits(0);
    for word in ["1.31.1", "CPUExecutionProvider", "libonnxruntime"] {
        assert!(cfg!(not(all(feature = "bundled", unix))) || done.text().contains(word), "{done}");
    }
}
