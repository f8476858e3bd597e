//! `linnaeus freeze`, and Keras models where a model is taken, as a person meets them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use linnaeus::{onnx::OnnxFile, recipe::Element, tensor::Tensor};
use serde_json::Value;

mod program;

use program::{Done, Program, TestDir, digits, listing, repository};

/// The models of `freeze.zip`, in a folder of their own.
fn models() -> (TestDir, Value) {
    let folder = TestDir::new();
    let archive = fs::File::open(repository("tests/models/freeze.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path("")).unwrap();
    let golden = folder.json("golden.json");
    (folder, golden)
}

/// What the models of the tests cannot say of themselves.
const RECIPE: [&str; 6] = ["--interpolation", "bilinear", "--scale", "1/255", "--channels", "rgb"];

fn freeze(folder: &TestDir, model: &str, more: &[&str]) -> Program {
    let words = [&["freeze", model, "-o", "out.onnx"], &RECIPE[..], more].concat();
    folder.program(words)
}

/// Every file that freezing could have left.
fn left(folder: &TestDir) -> Vec<String> {
    let names = listing(&folder.path("")).into_iter();
    names.filter(|name| name.contains(".onnx") || name.contains(".freezing")).collect()
}

#[test]
fn a_frozen_model_carries_what_it_takes_to_use_it() {
    let (folder, golden) = models();
    folder.write("labels.txt", "cat\ndog\nelk\n");
    let image = digits().join(&listing(&digits())[0]);
    let expected = format!("{}=0", image.display());
    // Whatever the class is, one of the three is right.
    let runs = (0..3).map(|class| {
        let golden = format!("{}{class}", expected.trim_end_matches('0'));
        freeze(&folder, "chain_3.keras", &["--json", "--golden", &golden]).run()
    });
    let right: Vec<Done> = runs.filter(|done| done.status.code() == Some(0)).collect();
    let [done] = &right[..] else { panic!("{} of 3 were right", right.len()) };
    let report: Value = serde_json::from_str(done.text()).unwrap();
    assert_eq!(report["parameters"], golden["chain_3.keras"]["parameters"]);
    assert_eq!((&report["labels"], &report["goldens"]), (&3.into(), &1.into()));
    assert_eq!(report["folded"]["silent_layers"], 1);
    assert_eq!(report["bytes"], fs::metadata(folder.path("out.onnx")).unwrap().len());
    let file = OnnxFile::read(folder.read("out.onnx").into()).unwrap();
    let metadata = file.metadata().entries;
    assert!(metadata["linnaeus.source"].contains("chain_3.keras"), "{metadata:?}");
    assert!(metadata["linnaeus.source"].contains(report["sha256"].as_str().unwrap()));
    assert_eq!(left(&folder), ["out.onnx"]);

    let alone = TestDir::new();
    alone.link(&folder.path("out.onnx"), "out.onnx");
    let rows = alone.classify(&image, vec!["--model".into(), "out.onnx".into()], &[]).exits(0);
    assert!(["cat", "dog", "elk"].contains(&&rows.rows()[0]["label"]), "{rows}");
}

#[test]
fn a_keras_model_gives_the_rows_that_its_frozen_form_gives() {
    let (folder, _) = models();
    let cache = folder.path("cache");
    let run = |model: &str, more: &[&str]| {
        let model = vec!["--model".into(), model.into()];
        let program = folder.classify(digits().join("3"), model, more);
        program.env("LINNAEUS_CACHE_DIR", cache.to_str().unwrap()).exits(0)
    };
    let kept = || listing(&cache).into_iter().filter(|n| n.contains(".onnx")).collect::<Vec<_>>();
    for model in ["chain_2.h5", "chain_3.keras", "saved_model"] {
        freeze(&folder, model, &[]).exits(0);
        let frozen = run("out.onnx", &[]);
        let before = if cache.exists() { kept().len() } else { 0 };
        let direct = run(model, &RECIPE);
        assert!(direct.rows().len() > 20 && direct.text() == frozen.text(), "{model}");
        assert_eq!(kept().len(), before + 1, "{model} is frozen once");
        let again = run(model, &RECIPE);
        assert_eq!((again.text(), kept().len()), (frozen.text(), before + 1));
    }
    // A damaged one is made again.
    let names = kept();
    fs::write(cache.join(&names[0]), b"cut").unwrap();
    for model in ["chain_2.h5", "chain_3.keras", "saved_model"] {
        run(model, &RECIPE);
    }
    assert!(fs::metadata(cache.join(&names[0])).unwrap().len() > 1000);
    assert_eq!(kept(), names);
}

#[test]
fn what_keras_answers_is_compared() {
    let (folder, golden) = models();
    let place = |i: usize| f32::from(u16::try_from((i * 7919 + 13) % 1009).unwrap()) / 252.25 - 2.0;
    let values: Vec<f32> = (0..2 * 7 * 9 * 3).map(place).collect();
    let fed = Tensor { shape: vec![2, 7, 9, 3], values, element: Element::F32 };
    fed.write_npy(&folder.path("x.npy")).unwrap();
    let said = &golden["chain_3"]["outputs"][0]["values"];
    #[allow(clippy::cast_possible_truncation, reason = "the goldens are f32")]
    let values: Vec<f32> =
        said.as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32).collect();
    let mut answer = Tensor { shape: vec![2, 3], values, element: Element::F32 };
    answer.write_npy(&folder.path("y.npy")).unwrap();
    for layout in [&[][..], &["--layout", "nchw"]] {
        let verify = [&["--verify", "x.npy=y.npy"], layout].concat();
        let done = freeze(&folder, "chain_3.keras", &verify).exits(0);
        assert!(done.text().contains("equals Keras's own answers in y.npy"), "{done}");
        assert!(done.text().contains("best class equal for 2 of 2"), "{done}");
        fs::remove_file(folder.path("out.onnx")).unwrap();
    }
    answer.values.swap(0, 1);
    answer.write_npy(&folder.path("y.npy")).unwrap();
    let wrong = freeze(&folder, "chain_3.keras", &["--verify", "x.npy=y.npy"]).exits(10);
    wrong.says(&["does not answer what y.npy says", "nothing was written"]);
    assert_eq!(left(&folder), Vec::<String>::new());
    freeze(&folder, "chain_3.keras", &["--verify", "x.npy"]).exits(2);
}

#[test]
fn the_network_alone_needs_no_recipe() {
    let (folder, _) = models();
    let bare = ["freeze", "nested_2.h5", "-o", "out.onnx"];
    let done = folder.program(bare).exits(10);
    done.says(&["`interpolation`", "--bare"]);
    assert_eq!(left(&folder), Vec::<String>::new());
    let done = folder.program([&bare[..], &["--bare"]].concat()).exits(0);
    assert!(done.text().contains("0 keys of the recipe"), "{done}");
}

#[test]
fn a_tensorflow_graph_is_taken_wherever_a_model_is() {
    let folder = TestDir::new();
    let archive = fs::File::open(repository("tests/models/graphs.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path("")).unwrap();
    let run = |model: &str, more: &[&str]| {
        folder.classify(digits().join("3"), vec!["--model".into(), model.into()], more).exits(0)
    };
    let said = [&RECIPE[..], &["--resize", "squash"]].concat();
    for (model, parts) in [("last.pb", "frozen TensorFlow graph"), ("module", "SavedModel")] {
        let done = freeze(&folder, model, &["--resize", "squash"]).exits(0);
        for word in [parts, " operations, ", "not compared with TensorFlow"] {
            assert!(done.text().contains(word), "{word}: {done}");
        }
        let (frozen, direct) = (run("out.onnx", &[]), run(model, &said));
        assert!(direct.rows().len() > 20 && direct.text() == frozen.text(), "{model}");
    }
    // Nothing in a graph says how images are prepared.
    let bare = folder.classify(digits(), vec!["--model".into(), "last.pb".into()], &[]).exits(10);
    bare.says(&["`interpolation`", "`scale`", "does not guess"]);
    let inspected = folder.program(["inspect", "last.pb"]).exits(10);
    assert!(inspected.text().contains("[batch, 8, 10, 3]"), "{inspected}");
    let words: Vec<_> = ["inspect", "module"].into_iter().chain(said).collect();
    let inspected = folder.program(words);
    let inspected = inspected.run();
    for word in ["serving_default: takes x DT_FLOAT", "a graph of 3", "linnaeus runs it as it is"] {
        assert!(inspected.text().contains(word), "{word}: {inspected}");
    }
}

#[test]
fn what_cannot_be_frozen_is_refused_with_the_next_step() {
    let folder = TestDir::new();
    let archive = fs::File::open(repository("tests/models/keras.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path("")).unwrap();
    folder.write(
        "graph.pb",
        b"\x0a\x10\x0a\x01x\x12\x0bPlaceholder\x0a\x0f\x0a\x01y\x12\x07Softmax\x1a\x01x",
    );
    for (model, words) in [
        (
            "lambda.keras",
            &["`half` (Lambda)", "Python code, which is never executed", "hint: "][..],
        ),
        ("only_2.h5", &["only weights", "model.save('model.keras')"]),
        ("graph.pb", &["operation `x` (Placeholder)", "does not say which shape it takes"]),
        ("absent.keras", &["absent.keras", "cannot be read"]),
    ] {
        freeze(&folder, model, &[]).exits(10).says(words);
    }
    let graph = folder.classify(digits(), vec!["--model".into(), "graph.pb".into()], &RECIPE);
    graph.exits(10).says(&["operation `x` (Placeholder)", "tf2onnx"]);
    assert_eq!(left(&folder), Vec::<String>::new());
}
