//! What `inspect` says of models, and what lies beside them: recipes that nobody has to repeat,
//! contradictions, labels.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{ffi::OsString, fs, path::PathBuf};

use serde_json::{Value, json};

mod program;

use program::{Done, Program, TestDir, repository};

/// How the images of `tests/models` are usually fed.
const SAID: [&str; 6] = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];

fn model(name: &str) -> PathBuf {
    repository("tests/models").join(format!("{name}.onnx"))
}

fn image(name: &str) -> PathBuf {
    repository("tests/images/formula").join(name)
}

/// The program with words and then the model at `path`.
fn on(folder: &TestDir, words: &[&str], path: impl Into<OsString>) -> Program {
    let words = words.iter().map(OsString::from);
    folder.program(words.chain([path.into()]))
}

/// The report of `linnaeus inspect --json`, which has to end with the exit status `code`.
fn report(folder: &TestDir, path: impl Into<OsString>, code: i32) -> Value {
    serde_json::from_str(on(folder, &["inspect", "--json"], path).exits(code).text()).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// `linnaeus classify` of one image with the model in the folder `name` of `folder`.
fn classify(folder: &TestDir, name: &str, more: &[&str]) -> Program {
    folder.classify(image("h30w40.png"), vec!["--model".into(), folder.path(name).into()], more)
}

/// The tensor that a model in `name` gets with `flags`, as the name of a file.
fn tensor(folder: &TestDir, name: &str, flags: &[&str], target: &str) {
    let words: Vec<OsString> =
        vec!["tensor".into(), image("h30w40.png").into(), "--model".into(), name.into()];
    let flags = [flags, &["-o", target]].concat().into_iter().map(OsString::from);
    folder.program(words.into_iter().chain(flags)).exits(0);
}

/// Expects that a model and its files lead to the same tensor as `flags` for the bare model.
fn assert_same_tensor(folder: &TestDir, name: &str, bare: &str, flags: &[&str]) {
    tensor(folder, name, &[], "found.npy");
    let other = TestDir::new();
    other.link(&model(bare), "bare.onnx");
    tensor(&other, "bare.onnx", flags, "said.npy");
    let said = other.path("said.npy");
    on(folder, &["tensor-diff", "found.npy"], said).exits(0);
}

const VIT: &str = r#"{"image_processor_type": "ViTImageProcessor", "do_resize": true,
    "size": {"height": 6, "width": 8}, "resample": 2, "do_rescale": true,
    "rescale_factor": 0.00392156862745098, "do_normalize": true,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}"#;
const VIT_FLAGS: [&str; 10] = [
    "--resize",
    "squash",
    "--interpolation",
    "bilinear",
    "--scale",
    "1/255",
    "--mean",
    "0.5,0.4,0.3",
    "--std",
    "0.5,0.25,0.2",
];
const VIT_CONFIG: &str = r#"{"model_type": "vit", "architectures": ["ViTForImageClassification"],
    "id2label": {"0": "ant", "1": "bee", "2": "cat", "3": "dog", "4": "eel"}}"#;
const YOLO: &str = "task: classify\nversion: 8.3.0\nimgsz: [6, 8]\nstride: 1\n\
                    names: {0: ant, 1: bee, 2: cat, 3: dog, 4: eel}\n";

/// A folder `m` with a model and files beside it.
fn beside(source: &str, files: &[(&str, &str)]) -> TestDir {
    let folder = TestDir::new();
    folder.link(&model(source), "m/model.onnx");
    for (name, text) in files {
        folder.write(format!("m/{name}"), text);
    }
    folder
}

#[test]
fn inspect_names_exactly_the_missing_keys() {
    let folder = TestDir::new();
    for (name, missing) in [
        ("dynamic", "`resize`, `interpolation`, `scale` are missing"),
        ("inside_imagenet", "`resize`, `interpolation` are missing"),
        ("inside_transform_input", "`resize`, `interpolation` are missing"),
        ("u8_nhwc", "`resize`, `interpolation` are missing"),
        ("gray", "`resize`, `interpolation`, `scale` are missing"),
    ] {
        let report = report(&folder, model(name), 10);
        assert_eq!((&report["complete"], &report["schema"]), (&json!(false), &json!(1)), "{name}");
        let problems = texts(&report["problems"]);
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].contains(missing), "{name}: {problems:?}");
    }
    let flags = ["inspect", "--resize", "squash", "--interpolation", "nearest"];
    let done = on(&folder, &flags, model("dynamic")).exits(10);
    assert!(done.text().contains("`scale` is missing"), "{done}");
    let done = on(&folder, &[&["inspect"], &SAID[..]].concat(), model("dynamic")).exits(0);
    let ending = "verdict   everything that a run needs is said\n";
    assert!(done.text().ends_with(ending), "{done}");
    assert!(done.text().contains("scale = \"1/255\"   # the job\n"), "{done}");
}

#[test]
fn inspect_says_what_the_graph_shows_and_where() {
    let folder = TestDir::new();
    let found = |name: &str| report(&folder, model(name), 10);
    for (name, key, value, place) in [
        ("probs", "activation", json!("none"), "the graph: `probabilities` comes from Softmax"),
        ("sigmoid", "activation", json!("none"), "Sigmoid"),
        ("log_softmax", "activation", json!("softmax"), "the graph: `log_probabilities` comes"),
        ("softmax_moved", "activation", json!("none"), "through Clip, Reshape, Squeeze"),
        ("inside_scalar", "scale", json!("1"), "the graph: `image` goes through Sub, Div"),
        ("inside_unit_nhwc", "scale", json!("1/255"), "the graph: `image` goes through Sub, Div"),
        ("inside_transform_input", "mean", json!([0.485, 0.456, 0.406]), "x · 0.458/0.448/0.45"),
        ("windows_ml", "channels", json!("bgr"), "the model's metadata: Image.BitmapPixelFormat"),
        ("windows_ml", "scale", json!("1"), "the model's metadata: Image.NominalPixelRange"),
    ] {
        let report = found(name);
        assert_eq!(report["recipe"][key], value, "{name}: {report}");
        let evidence = report["evidence"][key].as_str().unwrap();
        assert!(evidence.contains(place), "{name}: {evidence}");
    }
    assert_eq!(found("probs")["labels"], Value::Null);
    assert!(texts(&found("inside_reversed")["notes"])[0].contains("channels are reversed"));
    let inspected = on(&folder, &["inspect"], model("u8_nhwc")).exits(10);
    assert!(inspected.text().contains("`image` u8 [N, 6, 8, 3]\n"), "{inspected}");
}

#[test]
fn inspect_is_content_with_metadata_that_says_all() {
    let folder = TestDir::new();
    let said = report(&folder, model("ultralytics"), 0);
    assert_eq!(said["recipe"]["exif"], "apply");
    assert_eq!((&said["problems"], &said["complete"]), (&json!([]), &json!(true)));
    let labels = &said["labels"];
    assert_eq!((&labels["count"], &labels["place"]), (&json!(5), &json!("the model's metadata")));
    let text = on(&folder, &["inspect"], model("ultralytics")).exits(0);
    let line = "labels    5 from the model's metadata: tench, bird's nest, a, …\n";
    assert!(text.text().contains(line), "{text}");
}

#[test]
fn inspect_warns_of_what_a_run_would_refuse() {
    let folder = TestDir::new();
    folder.write("two.txt", "ant\nbee\n");
    let said = |name: &str, more: &[&str]| {
        on(&folder, &[&["inspect"], &SAID[..], more].concat(), model(name))
    };
    for (name, more, words) in [
        ("detector", &[][..], &["no image classifier", "three-dimensional, as a detector's"][..]),
        ("two_outputs", &[], &["features, logits", "`model-output`"]),
        ("two_outputs", &["--model-output", "nope"], &["no output named `nope`"]),
        ("two_inputs", &[], &["`image` f32", "`age_and_place`"]),
        ("dynamic", &["--labels", "two.txt"], &["two.txt names 2 classes, and the model has 5"]),
        (
            "external_outside",
            &[],
            &["`../outside.data`, outside the model's folder", "an absolute path", "caution"],
        ),
    ] {
        let done = said(name, more).exits(10);
        for word in words {
            assert!(done.text().contains(word), "{word}: {done}");
        }
    }
    let done = said("custom_operator", &[]).run();
    assert!(done.text().contains("caution   it uses operators"), "{done}");
    said("two_outputs", &["--model-output", "logits"]).exits(0);
    said("dynamic", &["--labels", "two.txt", "--label-offset", "3"]).exits(0);
    said("lfs_pointer", &[]).exits(10).says(&["Git LFS pointer", "`git lfs pull`"]);
    said("not_a_model", &[]).exits(10).says(&["not_a_model.onnx", "no ONNX model"]);
    said("gone", &[]).exits(10).says(&["gone.onnx"]);
    folder.write("lite.tflite", b"\x1c\0\0\0TFL3\0\0\0\0");
    on(&folder, &["inspect"], "lite.tflite").exits(10).says(&["TensorFlow Lite", "tf2onnx"]);
    folder.link(&model("probs"), "several/one.onnx");
    folder.link(&model("probs"), "several/two.onnx");
    on(&folder, &["inspect"], "several").exits(10).says(&["several models", "one.onnx, two.onnx"]);
}

#[test]
fn inspect_reads_keras_models_and_saved_models() {
    let folder = TestDir::new();
    let archive = fs::File::open(repository("tests/models/keras.zip")).unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(folder.path("")).unwrap();
    let keras = report(&folder, "mode_tf.keras", 0);
    assert_eq!(keras["recipe"]["size"], "16x12");
    assert_eq!(keras["evidence"]["layout"], "the Keras model: the input's shape, N×16×12×3");
    let unknown = on(&folder, &["inspect"], "lambda.keras").exits(10);
    assert!(unknown.text().contains("`half` (Lambda)"), "{unknown}");
    let saved = on(&folder, &["inspect"], "saved_model").exits(0);
    assert!(saved.text().contains("\nsignature "), "{saved}");
    let run = on(&folder, &["classify", ".", "--model"], "mode_tf.keras").exits(10);
    run.says(&["mode_tf.keras", "`interpolation` is missing", "say `interpolation = \"nearest\"`"]);
}

#[test]
fn candidates_are_hints_and_never_used() {
    let folder = TestDir::new();
    folder.link(&model("dynamic_hw"), "my_resnet50.onnx");
    let hinted = "hint: its name is `my_resnet50`, so it may be \
                  `preset = \"torchvision/resnet50-imagenet1k_v1\"`";
    let inspected = on(&folder, &["inspect"], "my_resnet50.onnx").exits(10);
    assert!(inspected.text().contains(hinted), "{inspected}");
    assert!(inspected.text().contains("nothing says how images are prepared"), "{inspected}");
    let refused = classify(&folder, "my_resnet50.onnx", &["-o", "out.csv"]).exits(10);
    refused.says(&["`size`, `resize`, `interpolation`, `scale` are missing", hinted]);
    assert!(!folder.path("out.csv").exists());
}

#[test]
fn a_hugging_face_folder_needs_no_flags() {
    let folder = TestDir::new();
    folder.link(&model("dynamic"), "hf/onnx/model.onnx");
    folder.write("hf/preprocessor_config.json", VIT);
    folder.write("hf/config.json", VIT_CONFIG);
    classify(&folder, "hf", &["-o", "out.csv"]).exits(0).says(&[
        "mean, resize, scale, size, std by ../preprocessor_config.json",
        "activation by ../config.json",
        "labels: ../config.json",
    ]);
    let manifest = folder.json("out.run.json");
    let evidence = &manifest["evidence"];
    assert_eq!(evidence["mean"], "../preprocessor_config.json: image_mean (ViTImageProcessor)");
    assert_eq!(evidence["activation"], "../config.json: several classes in id2label");
    let row = &program::rows(&folder.read("out.csv"))[0];
    let names = ["ant", "bee", "cat", "dog", "eel"];
    assert_eq!(&row["label"], names[row["index"].parse::<usize>().unwrap()]);
    assert_same_tensor(&folder, "hf", "dynamic", &VIT_FLAGS);
    // The folder inside and the file itself are the same model.
    assert_same_tensor(&folder, "hf/onnx/model.onnx", "dynamic", &VIT_FLAGS);
}

#[test]
fn a_timm_folder_needs_no_flags() {
    let config = r#"{"architecture": "resnet18", "num_classes": 5,
        "label_names": ["ant", "bee", "cat", "dog", "eel"],
        "pretrained_cfg": {"input_size": [3, 6, 8], "interpolation": "bilinear", "crop_pct": 1.0,
        "crop_mode": "squash", "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2]}}"#;
    let folder = beside("dynamic", &[("config.json", config)]);
    let done = classify(&folder, "m", &["-o", "out.csv"]).exits(0);
    done.says(&["std by config.json", "labels: config.json"]);
    assert_same_tensor(&folder, "m", "dynamic", &VIT_FLAGS);
}

#[test]
fn a_teachable_machine_folder_needs_no_flags() {
    let lines: Vec<_> = (0..27).map(|class| format!("{class} colour {class}\n")).collect();
    let lines = lines.concat();
    let folder = beside("article", &[("keras_model.h5", ""), ("labels.txt", &lines)]);
    let done = classify(&folder, "m", &[]).exits(0);
    let row = &done.rows()[0];
    assert_eq!(&row["label"], format!("colour {}", &row["index"]));
    done.says(&["scale by labels.txt beside keras_model.h5"]);
    let flags =
        ["--resize", "aspect-box exact", "--interpolation", "lanczos", "--scale", "1/127.5-1"];
    assert_same_tensor(&folder, "m", "article", &flags);
}

#[test]
fn ultralytics_metadata_needs_no_flags_but_its_activation_is_checked() {
    let folder = beside("probs", &[("metadata.yaml", YOLO)]);
    let done = classify(&folder, "m", &["-o", "out.csv"]).exits(0);
    done.says(&["scale, size by metadata.yaml"]);
    assert_eq!(folder.json("out.run.json")["evidence"]["size"], "metadata.yaml: imgsz");
    let flags = [&SAID[..], &["--exif", "apply"]].concat();
    assert_same_tensor(&folder, "m", "probs", &flags);

    // This one answers logits, whatever its metadata says.
    let run = |more: &[&str]| {
        let model = vec!["--model".into(), model("ultralytics").into()];
        folder.classify(image("bright.png"), model, more)
    };
    let refused = run(&["-o", "new.csv"]).exits(10);
    refused.says(&[
        "`activation = \"none\"`",
        "the model's metadata",
        "`activation = \"softmax\"`",
    ]);
    assert!(!folder.path("new.csv").exists());
    run(&["--activation", "softmax", "-o", "new.csv"]).exits(0);
    run(&["--activation", "none"]).exits(0);
}

#[test]
fn a_softmax_that_is_said_of_probabilities_is_refused_at_the_first_batch() {
    let folder = TestDir::new();
    folder.write("m/config.json", VIT_CONFIG);
    folder.write("m/preprocessor_config.json", VIT);
    folder.write("out.csv", "the old rows");
    // An operator of the same length whose answers are probabilities too, and not said to be.
    let bytes = fs::read(model("probs")).unwrap();
    let mut hard = bytes.clone();
    for at in 0..hard.len() - 7 {
        if &bytes[at..at + 7] == b"Softmax" {
            hard[at..at + 7].copy_from_slice(b"Hardmax");
        }
    }
    folder.write("m/model.onnx", hard);
    let done = classify(&folder, "m", &["-o", "out.csv"]).exits(10);
    done.says(&[
        "`activation = \"softmax\"` is said by config.json: several classes",
        "contradict it",
        "`activation = \"none\"`",
    ]);
    assert_eq!(folder.read("out.csv"), b"the old rows");
    classify(&folder, "m", &["--activation", "none", "-o", "out.csv"]).exits(0);
    // What the graph shows needs no person: it has the last word.
    fs::write(folder.path("m/model.onnx"), bytes).unwrap();
    let done = classify(&folder, "m", &["-o", "out.csv"]).exits(0);
    done.says(&["the graph says `activation = \"none\"`, and config.json says"]);
}

#[test]
fn normalising_twice_is_refused() {
    let folder = beside("inside_imagenet", &[("preprocessor_config.json", VIT)]);
    let words = ["preprocessor_config.json", "twice", "`scale = \"1\"`", "Mul, Sub, Div"];
    classify(&folder, "m", &[]).exits(10).says(&words);
    let problems = report(&folder, "m", 10)["problems"].clone();
    assert!(texts(&problems)[0].contains("twice"), "{problems}");
    // A person settles it, and is told what stands against it.
    let settled = classify(&folder, "m", &["--scale", "1", "-o", "out.csv"]).exits(0);
    settled.says(&["the job says `scale = \"1\"`; preprocessor_config.json says"]);
    assert_eq!(folder.json("out.run.json")["recipe"]["mean"], json!([0.0, 0.0, 0.0]));
}

#[test]
fn sidecars_of_the_same_weight_that_disagree_are_both_named() {
    let folder = beside("dynamic", &[("preprocessor_config.json", VIT), ("metadata.yaml", YOLO)]);
    classify(&folder, "m", &[]).exits(10).says(&[
        "preprocessor_config.json says `scale = \"1/255\"`, `mean = [0.5,0.4,0.3]`",
        "metadata.yaml says `scale = \"1/255\"`",
        "hint: say which is right",
    ]);
    let flags = ["--scale", "1/255", "--activation", "softmax", "-o", "out.csv"];
    classify(&folder, "m", &flags).exits(0);
    assert_eq!(folder.json("out.run.json")["recipe"]["mean"], json!([0.0, 0.0, 0.0]));
}

#[test]
fn a_size_that_the_graph_has_not_is_refused() {
    let seven = VIT.replace("\"height\": 6", "\"height\": 7");
    let folder = beside("dynamic", &[("preprocessor_config.json", &seven)]);
    let words = ["preprocessor_config.json", "images are 7x8", "input is 6x8", "`size = \"6x8\"`"];
    classify(&folder, "m", &[]).exits(10).says(&words);
    classify(&folder, "m", &["--size", "6x8"]).exits(0);
}

#[test]
fn a_persons_key_wins_with_its_whole_group() {
    let folder = beside("dynamic", &[("preprocessor_config.json", VIT)]);
    let flags = ["--scale", "1/127.5-1", "-o", "out.csv"];
    let done = classify(&folder, "m", &flags).exits(0);
    done.says(&["the job says `scale = \"1/127.5-1\"`; preprocessor_config.json says"]);
    let manifest = folder.json("out.run.json");
    assert_eq!(manifest["recipe"]["mean"], json!([0.0, 0.0, 0.0]), "{manifest}");
    assert_eq!(manifest["evidence"]["scale"], "the job");
    assert_eq!(manifest["evidence"]["mean"], Value::Null);
    assert_eq!(
        manifest["evidence"]["resize"].as_str().unwrap().split(':').next(),
        Some("preprocessor_config.json")
    );
    let dry = classify(&folder, "m", &["--scale", "1/127.5-1", "--dry-run"]).exits(0);
    assert!(dry.text().contains("note      the job says `scale"), "{dry}");
}

fn labelled(folder: &TestDir, more: &[&str]) -> Program {
    classify(folder, "m", &[&SAID[..], more].concat())
}

fn label(done: &Done) -> String {
    done.rows()[0]["label"].to_owned()
}

#[test]
fn labels_beside_the_model_are_found_unless_they_disagree() {
    let folder = beside("dynamic", &[("labels.txt", "ant\nbee\ncat\ndog\neel\n")]);
    let done = labelled(&folder, &[]).exits(0).says(&["labels: labels.txt"]);
    let found = label(&done);
    assert!(["ant", "bee", "cat", "dog", "eel"].contains(&found.as_str()), "{done}");
    assert_eq!(label(&labelled(&folder, &["--labels", "none"]).exits(0)), "");
    folder.write("own.txt", "1\n2\n3\n4\nV\n".replace(char::is_whitespace, "x\n"));
    assert!(label(&labelled(&folder, &["--labels", "own.txt"]).exits(0)).ends_with('x'));

    folder.write("m/classes.txt", "ant\nbee\ncat\ndog\nelk\n");
    let words = ["class 4 is eel in labels.txt", "elk in classes.txt", "labels = \"none\""];
    let refused = labelled(&folder, &[]).exits(10).says(&words);
    assert_eq!(refused.stderr.matches("hint:").count(), 1, "{refused}");
    on(&folder, &[&["inspect"], &SAID[..]].concat(), "m").exits(10);
    assert_eq!(label(&labelled(&folder, &["--labels", "m/labels.txt"]).exits(0)), found);
    folder.write("m/model.labels.txt", "A\nA\nA\nA\nA\n");
    assert_eq!(label(&labelled(&folder, &[]).exits(0)), "A");
}

#[test]
fn labels_are_counted_and_may_be_shifted() {
    let folder = beside("dynamic", &[]);
    folder.write("four.txt", "bee\ncat\ndog\neel\n");
    folder.write("six.txt", "dummy\nant\nbee\ncat\ndog\neel\n");
    let words = ["four.txt names 4 classes, and the model has 5", "hint: "];
    labelled(&folder, &["--labels", "four.txt"]).exits(10).says(&words);
    let names = ["background", "bee", "cat", "dog", "eel"];
    let done = labelled(&folder, &["--labels", "four.txt", "--label-offset", "1"]).exits(0);
    let class = done.rows()[0]["index"].parse::<usize>().unwrap();
    assert_eq!(label(&done), names[class]);
    let done = labelled(&folder, &["--labels", "six.txt", "--label-offset", "-1"]).exits(0);
    assert_eq!(label(&done), ["ant", "bee", "cat", "dog", "eel"][class]);
    let none = labelled(&folder, &["--labels", "four.txt", "--label-offset", "-4"]).exits(2);
    none.says(&["`label-offset = -4`", "4 labels"]);
}

#[test]
fn presets_are_listed_shown_and_near_names_are_told() {
    let folder = TestDir::new();
    let list = folder.program(["presets"]).exits(0);
    let names: Vec<_> = list.text().lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 50 && names.contains(&"keras/vgg16"), "{list}");
    let shown = folder.program(["presets", "keras/vgg16"]).exits(0);
    let lines = "scale = \"1\"\nmean = [103.939, 116.779, 123.68]\nchannels = \"bgr\"\n";
    assert!(shown.text().starts_with("[recipe]\nsize = \"224x224\"\n"), "{shown}");
    assert!(shown.text().contains(lines), "{shown}");
    // Every name that is listed can be shown, and what is shown is a job.
    for name in ["zoo/gluon", names[0], names[names.len() - 1]] {
        let job = folder.program(["presets", name]).exits(0).stdout;
        folder.write("job.toml", job);
        let run = folder.program(["run", "job.toml", "--print-job"]).exits(0);
        assert!(run.text().contains("resize = "), "{run}");
    }
    let near = ["`preset = \"vgg-16\"`", "keras/vgg16", "`linnaeus presets`"];
    folder.program(["presets", "vgg-16"]).exits(2).says(&near);
    let near_weights = "nearest are: torchvision/resnet50-imagenet1k_v1, \
                        torchvision/resnet50-imagenet1k_v2, keras/resnet50";
    folder.program(["presets", "torchvision/resnet50"]).exits(2).says(&[near_weights]);
    let folder = beside("dynamic", &[]);
    classify(&folder, "m", &["--preset", "vgg-16"]).exits(2).says(&near);
    for command in ["inspect", "doctor"] {
        on(&folder, &[command, "--preset", "vgg-16"], "m").exits(2).says(&near);
    }
}

#[test]
fn a_commands_own_flags_stand_before_the_headings() {
    let folder = TestDir::new();
    for (command, flag) in [
        ("inspect", "--json"),
        ("doctor", "--json"),
        ("doctor", "--truth"),
        ("pack", "--golden"),
        ("classify", "--dry-run"),
        ("run", "--inputs"),
        ("run", "--print-job"),
    ] {
        let help = folder.program([command, "--help"]).exits(0);
        let at = |word: &str| help.text().find(word).unwrap_or_else(|| panic!("{word}: {help}"));
        assert!(at(flag) < at("\nModel and device:"), "{help}");
    }
}
