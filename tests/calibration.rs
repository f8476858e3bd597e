//! The way of a temperature: fitted by `evaluate`, stored by `pack`, applied in the next run.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{ffi::OsString, fmt::Write as _};

mod program;

use program::{TestDir, digits, repository, rows, test_model};
use serde_json::Value;

/// What a test of one model leaves: reports before and after, and the folder that they are in.
struct Loop {
    folder: TestDir,
    before: Value,
    after: Value,
}

fn classify(folder: &TestDir, model: Vec<OsString>, output: &str) {
    folder.classify(digits(), model, &["-k", "5", "-q", "-o", output]).exits(0);
}

fn evaluate(folder: &TestDir, name: &str) -> Value {
    let (rows, page) = (format!("{name}.csv"), format!("{name}.html"));
    folder.program(["evaluate", &rows, "--truth", "truth.csv", "-o", &page]).exits(0);
    folder.json(&format!("{name}.json"))
}

/// Runs `model`, calls three of four answers right, packs it with the temperature that fits this, and
/// does the same with what was packed.
fn through(model: &str) -> Loop {
    let folder = TestDir::new();
    classify(&folder, test_model(model), "before.csv");
    let mut truth = "path,index\n".to_owned();
    for (nth, row) in rows(&folder.read("before.csv")).iter().enumerate() {
        let class = row["index"].parse::<usize>().unwrap();
        let class = if nth % 4 == 0 { (class + 1) % 5 } else { class };
        writeln!(truth, "{},{class}", &row["path"]).unwrap();
    }
    folder.write("truth.csv", truth);
    let before = evaluate(&folder, "before");
    let args = ["pack".into(), repository("tests/models").join(model).into()].into_iter();
    let more = ["-o", "packed.onnx", "--temperature-from", "before.json"].map(OsString::from);
    let done = folder.program(args.chain(test_model(model).split_off(2)).chain(more)).exits(0);
    let fitted = before["temperature"]["value"].as_f64().unwrap();
    assert!(done.text().contains(&format!("temperature {fitted}")), "{done}");
    classify(&folder, vec!["--model".into(), "packed.onnx".into()], "after.csv");
    let after = evaluate(&folder, "after");
    Loop { folder, before, after }
}

#[test]
fn a_packed_temperature_gives_what_the_report_promised() {
    for (model, of) in [("dynamic.onnx", "logits"), ("probs.onnx", "logarithms of probabilities")] {
        let Loop { folder, before, after } = through(model);
        let number = |value: &Value| value.as_f64().unwrap();
        let promised = &before["temperature"];
        assert!(number(&promised["value"]) < 0.8 && promised["exact"] == true, "{promised}");
        // Rows have six decimals, so an image may be in the next bin.
        let found = number(&after["calibration"]["ece"]);
        assert!(
            (found - number(&promised["ece"][1])).abs() < 0.005,
            "{model}: {found}, {promised}"
        );
        assert!(found < number(&before["calibration"]["ece"]) - 0.05);
        let loss = number(&after["losses"]["log_loss"]["value"]);
        assert!((loss - number(&promised["log_loss"][1])).abs() < 1e-4, "{model}: {loss}");
        // It is fitted, and changes no answer.
        assert!((number(&after["temperature"]["value"]) - 1.0).abs() < 1e-3);
        assert_eq!(before["top"], after["top"]);
        let applied = &folder.json("after.run.json")["activation"]["temperature"];
        assert_eq!((&applied["value"], &applied["of"]), (&promised["value"], &of.into()));
        let inspected = folder.program(["inspect", "packed.onnx"]).exits(0);
        let line = format!("temperature = {}   # the package", promised["value"]);
        assert!(inspected.text().contains(&line), "{inspected}");
        // What was divided before is divided by both.
        let again = ["pack", "packed.onnx", "-o", "again.onnx", "--temperature-from", "after.json"];
        let done = folder.program(again).exits(0);
        let both = number(&promised["value"]) * number(&after["temperature"]["value"]);
        assert!(done.text().contains(&format!("temperature {both}")), "{done}");
    }
}

#[test]
fn a_temperature_of_something_else_is_refused() {
    let Loop { folder, .. } = through("probs.onnx");
    let pack = |model: &str, recipe: &[&str], report: &str| {
        let args = ["pack".into(), repository("tests/models").join(model).into_os_string()];
        let more = ["-o", "no.onnx", "--temperature-from", report].map(OsString::from);
        folder.program(args.into_iter().chain(recipe.iter().map(Into::into)).chain(more))
    };
    let recipe = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];
    let other = ["--resize", "squash", "--interpolation", "bicubic", "--scale", "1/255"];
    pack("dynamic.onnx", &recipe, "before.json").exits(2).says(&["SHA-256", "that was evaluated"]);
    pack("probs.onnx", &other, "before.json").exits(2).says(&["`interpolation`", "another way"]);
    pack("probs.onnx", &recipe, "before.run.json").exits(2).says(&["no report of an evaluation"]);
    pack("probs.onnx", &recipe, "none.json").exits(2).says(&["none.json"]);
    let unfitted = String::from_utf8(folder.read("before.json")).unwrap();
    let mut unfitted: Value = serde_json::from_str(&unfitted).unwrap();
    unfitted["temperature"] = Value::Null;
    folder.write("unfitted.json", unfitted.to_string());
    pack("probs.onnx", &recipe, "unfitted.json").exits(2).says(&["none was fitted"]);
    assert!(!folder.path("no.onnx").exists());
}

#[test]
fn a_temperature_is_refused_where_it_means_nothing() {
    let folder = TestDir::new();
    let run = |model: &str, more: &[&str]| {
        let more = [&["--temperature", "2"], more].concat();
        folder.classify(digits().join("3"), test_model(model), &more)
    };
    run("sigmoid.onnx", &[]).exits(10).says(&["`temperature` cannot be applied", "multi-label"]);
    run("binary.onnx", &[]).exits(10).says(&["one score"]);
    run("dynamic.onnx", &["--activation", "sigmoid"]).exits(10).says(&["contradict each other"]);
    run("dynamic.onnx", &["--activation", "none"]).exits(10).says(&["no probabilities"]);
    folder
        .classify(digits(), test_model("dynamic.onnx"), &["--temperature", "0"])
        .exits(2)
        .says(&["temperature"]);
}
