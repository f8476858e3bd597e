//! The same bytes whatever the number of threads, batches and sessions, and rows in the order of
//! the names.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::ffi::{OsStr, OsString};

mod program;

use program::{TestDir, digits, digits_model, listing, paths, repository, rows, test_model};

/// Every combination of these must make the same bytes.
const THREADS: [&str; 3] = ["1", "2", "8"];
const BATCHES: [&str; 3] = ["1", "7", "32"];
const SESSIONS: [&str; 2] = ["1", "2"];

/// The output under every combination, which must be one and the same.
fn only_output(
    folder: &TestDir,
    input: impl AsRef<OsStr>,
    model: &[OsString],
    code: i32,
) -> Vec<u8> {
    let mut outputs: Vec<(String, Vec<u8>)> = Vec::new();
    for threads in THREADS {
        for batch in BATCHES {
            for sessions in SESSIONS {
                let flags = ["--threads", threads, "--batch-size", batch, "--sessions", sessions];
                let done = folder.classify(&input, model.to_vec(), &flags).exits(code);
                outputs.push((flags.join(" "), done.stdout));
            }
        }
    }
    let (_, first) = outputs[0].clone();
    for (flags, output) in &outputs {
        assert!(*output == first, "{flags} makes another output than {}", outputs[0].0);
    }
    first
}

/// Digits in folders, with images that fail in each of them, before, between and after.
fn mixed(folder: &TestDir) {
    let hostile = repository("tests/images/hostile");
    let failing = ["truncated.jpg", "empty.jpg", "text.jpg", "huge_header.png", "fake.heic"];
    for (index, name) in listing(&digits()).iter().step_by(4).enumerate() {
        folder.link(&digits().join(name), format!("mixed/{name}"));
        let bad = failing[index % failing.len()];
        let class = name.split('/').next().unwrap();
        folder.link(&hostile.join(bad), format!("mixed/{class}/{:04}-{bad}", index * 37 % 2_000));
    }
}

#[test]
fn digits_make_the_same_bytes_on_any_threads_batches_and_sessions() {
    let folder = TestDir::new();
    let output = only_output(&folder, digits(), &digits_model(), 0);
    assert_eq!(paths(&rows(&output)), listing(&digits()));
}

#[test]
fn failing_images_in_between_change_nothing_of_that() {
    let folder = TestDir::new();
    mixed(&folder);
    let model = [test_model("dynamic.onnx"), vec!["--activation".into(), "softmax".into()]];
    let output = only_output(&folder, "mixed", &model.concat(), 3);
    let rows = rows(&output);
    assert_eq!(paths(&rows), listing(&folder.path("mixed")));
    let failed = rows.iter().filter(|row| row["status"] != *"ok").count();
    assert_eq!((rows.len(), failed), (180, 90));
}

#[test]
fn an_unsaid_activation_is_the_same_for_every_batch_size() {
    let folder = TestDir::new();
    for model in ["dynamic.onnx", "probs.onnx", "sigmoid.onnx", "binary.onnx"] {
        let output =
            only_output(&folder, repository("tests/images/formula"), &test_model(model), 0);
        assert_eq!(rows(&output).len(), 7, "{model}");
    }
}

#[test]
fn scores_that_are_no_numbers_decide_no_activation() {
    let folder = TestDir::new();
    let images = repository("tests/images/formula");
    let output = only_output(&folder, images, &test_model("nan.onnx"), 3);
    for row in rows(&output) {
        match &row["status"] {
            "bad_scores" => assert_eq!(&row["probability"], ""),
            status => {
                assert_eq!(status, "ok");
                let probability: f64 = row["probability"].parse().unwrap();
                assert!((0.0..=1.0).contains(&probability), "{row:?}");
            }
        }
    }
}

#[test]
fn the_models_batch_size_changes_no_row() {
    let folder = TestDir::new();
    mixed(&folder);
    let output = |model: &str| folder.classify("mixed", test_model(model), &[]).exits(3).stdout;
    let dynamic = output("dynamic.onnx");
    assert_eq!(rows(&dynamic).len(), 180);
    for fixed in ["fixed1.onnx", "fixed4.onnx"] {
        assert!(output(fixed) == dynamic, "{fixed} makes another output than dynamic.onnx");
    }
}

#[test]
fn a_batch_gives_the_same_as_single_images() {
    let folder = TestDir::new();
    let images = repository("tests/images/hostile");
    let model = || {
        let mut flags = test_model("dynamic.onnx");
        flags.extend(["--activation", "softmax", "--top-k", "5"].map(Into::into));
        flags
    };
    let batch = folder.classify(&images, model(), &["--batch-size", "32"]);
    let batch = batch.exits(3).rows();
    assert!(batch.len() > 70);
    for row in batch {
        let single =
            folder.classify(&row["path"], model(), &["--batch-size", "1"]).within(&images).run();
        assert_eq!(single.rows(), [row], "{single}");
    }
}

#[test]
fn several_inputs_keep_their_order() {
    let folder = TestDir::new();
    let image = digits().join(&listing(&digits())[0]);
    for name in ["b/2.png", "b/1.png", "a/1.png", "c.png"] {
        folder.link(&image, name);
    }
    let inputs = ["classify", "b", "c.png", "a"].map(OsString::from);
    let done = folder.program(inputs.into_iter().chain(digits_model())).exits(0);
    assert_eq!(paths(&done.rows()), ["b/1.png", "b/2.png", "c.png", "a/1.png"]);
}
