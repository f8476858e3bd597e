//! Packed models, exact tensors and the search for a recipe, as a person meets them.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _, fs};

use linnaeus::onnx::{OnnxFile, with_metadata};
use serde_json::Value;

mod program;

use program::{Done, Program, TestDir, digits, digits_model, listing, repository};

/// A command on the digits' model with its labels and what else is `said`.
fn digits_command(folder: &TestDir, command: &str, said: &[&str]) -> Program {
    let model = repository("examples/digits/digits.keras");
    let words: [OsString; 2] = [command.into(), model.into()];
    folder.program(words.into_iter().chain(said.iter().map(Into::into)))
}

/// What the digits' network was trained with.
const TRAINED: [&str; 6] = ["--resize", "none", "--scale", "1/255", "--activation", "none"];

/// `linnaeus pack` of the digits' model into `packed.onnx`.
fn pack(folder: &TestDir, more: &[&str]) -> Program {
    let more = [&TRAINED[..], &["-o", "packed.onnx"], more].concat();
    digits_command(folder, "pack", &more)
}

/// The first image of a digit.
fn digit(class: usize) -> String {
    let name = &listing(&digits().join(class.to_string()))[0];
    digits().join(format!("{class}/{name}")).display().to_string()
}

fn metadata(model: &[u8]) -> BTreeMap<String, String> {
    OnnxFile::read(model.to_vec().into()).unwrap().metadata().entries
}

fn run(folder: &TestDir, model: &str, more: &[&str]) -> Program {
    folder.classify(digits().join("3"), vec!["--model".into(), model.into()], more)
}

#[test]
fn a_packed_model_needs_nothing_else() {
    let folder = TestDir::new();
    let (seven, three) = (format!("{}=7", digit(7)), format!("{}=3", digit(3)));
    let done = pack(&folder, &["--golden", &seven, "--golden", &three]).exits(0);
    assert!(done.text().contains("10 labels, 2 golden images"), "{done}");

    let alone = TestDir::new();
    alone.link(&folder.path("packed.onnx"), "packed.onnx");
    let packed = run(&alone, "packed.onnx", &["-k", "10"]).exits(0);
    let whole = folder.classify(digits().join("3"), digits_model(), &["-k", "10"]).exits(0);
    assert!(packed.rows().len() > 20 && packed.rows()[0]["label"] == *"3", "{packed}");
    assert_eq!(packed.text(), whole.text());
    packed.says(&["by the package", "labels: the package"]);

    let inspected = alone.program(["inspect", "packed.onnx"]).exits(0);
    for line in ["golden    2 images", "labels    10 from the package: 0, 1, 2, …"] {
        assert!(inspected.text().contains(line), "{inspected}");
    }
    assert!(!inspected.text().contains("\nmetadata"), "{inspected}");
}

#[test]
fn a_golden_image_of_another_class_leaves_nothing_behind() {
    let folder = TestDir::new();
    folder.write("packed.onnx", "an old one");
    let wrong = format!("{}=8", digit(7));
    let words = ["should be 8", "class 7 (7)", "nothing was written"];
    pack(&folder, &["--golden", &wrong]).exits(10).says(&words);
    assert_eq!(listing(&folder.path("")), ["packed.onnx"]);
    assert_eq!(folder.read("packed.onnx"), b"an old one");
}

#[test]
fn a_golden_image_that_cannot_be_used_is_a_mistake_of_the_command() {
    let folder = TestDir::new();
    folder.write("large.png", vec![0; (1 << 20) + 1]);
    for (golden, word) in [
        ("x.png", "`x.png` is not IMAGE=LABEL"),
        ("x.png=", "IMAGE=LABEL"),
        ("=7", "IMAGE=LABEL"),
        ("x.png=7", "x.png: cannot read it: entity not found"),
        ("large.png=7", "at most 1048576 bytes"),
    ] {
        pack(&folder, &["--golden", golden]).exits(2).says(&[word]);
    }
    let many: Vec<_> = (0..33).flat_map(|_| ["--golden".into(), digit(7) + "=7"]).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    pack(&folder, &many).exits(10).says(&["33 golden images are too many"]);
    assert_eq!(listing(&folder.path("")), ["large.png"]);
}

#[test]
fn packing_again_keeps_nothing_of_the_old_package() {
    let folder = TestDir::new();
    let golden = format!("{}=7", digit(7));
    pack(&folder, &["--golden", &golden]).exits(0);
    let first = folder.read("packed.onnx");
    let words = ["pack", "packed.onnx", "-o", "again.onnx", "--golden", &golden];
    folder.program(words).exits(0);
    let (one, two) = (metadata(&first), metadata(&folder.read("again.onnx")));
    for key in ["linnaeus.recipe", "linnaeus.labels", "linnaeus.golden", "linnaeus.package"] {
        assert_eq!(one[key], two[key], "{key}");
    }
    assert_ne!(one["linnaeus.source"], two["linnaeus.source"]);

    // Other labels and numbers, and no golden image: the old one would contradict them.
    let words = ["pack", "packed.onnx", "-o", "bare.onnx", "--labels", "none", "--scale", "1/2550"];
    let done = folder.program(words).exits(0);
    assert!(done.text().contains("0 labels, 0 golden images"), "{done}");
    let done = run(&folder, "bare.onnx", &[]).exits(0);
    assert!(done.rows().iter().all(|row| row["label"].is_empty()), "{done}");
}

#[test]
fn a_package_whose_golden_image_has_another_answer_is_refused_first() {
    let folder = TestDir::new();
    pack(&folder, &["--golden", &format!("{}=7", digit(7))]).exits(0);
    let packed = folder.read("packed.onnx");
    let recipe = metadata(&packed)["linnaeus.recipe"].replace("1/255", "1/2550");
    let tampered = BTreeMap::from([("linnaeus.recipe".to_owned(), recipe)]);
    folder.write("tampered.onnx", with_metadata(&packed, &tampered).unwrap());
    folder.write("out.csv", "the old rows");

    let output = ["-o", "out.csv"];
    let refused = run(&folder, "tampered.onnx", &output).exits(10);
    let answers = ["was class 7 (7) with", "when it was packed", "and is class", "now\nhint: "];
    refused.says(&answers);
    let listed = listing(&folder.path(""));
    assert_eq!(listed, ["out.csv", "packed.onnx", "tampered.onnx"]);
    assert_eq!(folder.read("out.csv"), b"the old rows");

    // A person who changes the recipe is told that nothing proves it.
    let own = run(&folder, "tampered.onnx", &["--scale", "1/255"]).exits(0);
    let rows = run(&folder, "packed.onnx", &[]).exits(0);
    assert_eq!(own.text(), rows.text());
    own.says(&["the golden images are not checked, because the job changes the recipe"]);

    let damaged = BTreeMap::from([("linnaeus.recipe".to_owned(), "{".to_owned())]);
    folder.write("damaged.onnx", with_metadata(&packed, &damaged).unwrap());
    let done = run(&folder, "damaged.onnx", &output).exits(10);
    done.says(&["`linnaeus.recipe` is damaged", "pack the original again"]);
}

#[test]
fn a_model_in_two_files_is_packed_with_both() {
    let folder = TestDir::new();
    folder.link(&repository("tests/models/external.onnx"), "external.onnx");
    let weights: Vec<u8> =
        (0..357u16).flat_map(|at| (f32::from(at) / 357.0).to_le_bytes()).collect();
    folder.write("external.onnx.data", &weights);
    fs::create_dir(folder.path("other")).unwrap();
    let said = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];
    let pack = |target: &str| {
        folder.program(["pack", "external.onnx", "-o", target].into_iter().chain(said))
    };
    let images = || repository("tests/images/formula");
    let of = |model: &str, more: &[&str]| {
        folder.classify(images(), vec!["--model".into(), model.into()], more).exits(0)
    };
    let expected = of("external.onnx", &said);
    for target in ["packed.onnx", "other/packed.onnx"] {
        pack(target).exits(0);
        assert_eq!(of(target, &[]).text(), expected.text());
    }
    assert_eq!(folder.read("other/external.onnx.data"), weights);
    // The weights of another model stay what they are.
    folder.write("other/external.onnx.data", "others");
    let words = ["other/external.onnx.data is another one", "into another folder"];
    pack("other/again.onnx").exits(10).says(&words);
    assert_eq!(folder.read("other/external.onnx.data"), b"others");
    assert!(!folder.path("other/again.onnx").exists());
}

#[test]
fn a_package_says_which_output_is_read() {
    let folder = TestDir::new();
    let model = repository("tests/models/two_outputs.onnx").display().to_string();
    let said = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];
    let words = ["pack", &model, "-o", "packed.onnx", "--model-output", "logits"];
    folder.program(words.into_iter().chain(said)).exits(0);
    let images = || repository("tests/images/formula");
    let packed = folder.classify(images(), vec!["--model".into(), "packed.onnx".into()], &[]);
    let flags = vec!["--model".into(), model.into(), "--model-output".into(), "logits".into()];
    let whole = folder.classify(images(), flags, &said).exits(0);
    assert_eq!(packed.exits(0).text(), whole.text());
    folder.program(["inspect", "packed.onnx"]).exits(0);
}

/// `linnaeus tensor` of an image of `tests/images` into `target`.
fn tensor(folder: &TestDir, model: &str, said: &[&str], target: &str) -> Program {
    let image = repository("tests/images/formula/h30w40.png").display().to_string();
    let model = repository(&format!("tests/models/{model}.onnx")).display().to_string();
    let words = ["tensor", &image, "--model", &model, "-o", target, "--resize", "squash"];
    folder.program([&words[..], &["--interpolation", "bilinear"], said].concat())
}

#[test]
fn tensors_are_compared_and_the_usual_mistakes_are_named() {
    let folder = TestDir::new();
    let imagenet = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"];
    let unit = ["--scale", "1/255"];
    for (target, said) in [
        ("unit.npy", &unit[..]),
        ("bgr.npy", &["--scale", "1/255", "--channels", "bgr"]),
        ("signed.npy", &["--scale", "1/127.5-1"]),
        ("imagenet.npy", &[&unit[..], &imagenet].concat()),
        ("imagenet_bgr.npy", &[&unit[..], &imagenet, &["--channels", "bgr"]].concat()),
    ] {
        tensor(&folder, "dynamic", said, target).exits(0);
    }
    tensor(&folder, "u8_nhwc", &[], "bytes.npy").exits(0);
    assert!(folder.read("unit.npy").starts_with(b"\x93NUMPY"));
    let compared = |a: &str, b: &str, code: i32| folder.program(["tensor-diff", a, b]).exits(code);
    let equal = compared("unit.npy", "unit.npy", 0);
    assert_eq!(equal.text(), "equal in every bit: 144 elements\n");
    for (a, b, words) in [
        ("unit.npy", "bgr.npy", &["the channels are in the opposite order: RGB on"][..]),
        ("unit.npy", "signed.npy", &["2.000000 times the first less 1.000000", "`scale`"]),
        ("unit.npy", "imagenet.npy", &["for each channel", "4.366812 times x less 2.117904"]),
        ("imagenet.npy", "imagenet_bgr.npy", &["the opposite order", "`mean`"]),
    ] {
        let done = compared(a, b, 3);
        for word in words {
            assert!(done.text().contains(word), "{word}: {done}");
        }
    }
    let near = ["tensor-diff", "unit.npy", "signed.npy", "--tolerance", "1"];
    folder.program(near).exits(0);
    let moved = compared("unit.npy", "bytes.npy", 2);
    moved.says(&["[1, 3, 6, 8]", "[1, 6, 8, 3]", "numpy.moveaxis"]);
    compared("unit.npy", "gone.npy", 2).says(&["gone.npy", "numpy.save"]);
    folder.write("text.npy", "no tensor");
    compared("unit.npy", "text.npy", 2).says(&["text.npy"]);
}

#[test]
fn a_tensor_needs_an_image_and_a_recipe() {
    let folder = TestDir::new();
    tensor(&folder, "dynamic", &[], "out.npy").exits(10).says(&["`scale` is missing"]);
    let model = repository("tests/models/ultralytics.onnx").display().to_string();
    folder.write("broken.png", "no image");
    for (image, word) in [("gone.png", "cannot read it: entity not found"), ("broken.png", "")] {
        let words = ["tensor", image, "--model", &model, "-o", "out.npy"];
        folder.program(words).exits(2).says(&[image, word]);
    }
    assert_eq!(listing(&folder.path("")), ["broken.png"]);
}

fn report(done: &Done) -> Value {
    serde_json::from_str(done.text()).unwrap()
}

/// Arguments that try the digits' model on its own labelled images.
fn on_digits<'a>(images: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--json", "--most", "100", "--labelled", images], more].concat()
}

#[test]
fn the_doctor_finds_how_the_digits_were_trained() {
    let folder = TestDir::new();
    let images = digits().display().to_string();
    let done = digits_command(&folder, "doctor", &on_digits(&images, &[])).exits(0);
    let found = report(&done);
    assert_eq!((&found["schema"], &found["images"]), (&1.into(), &100.into()));
    assert!(found["missing"].as_str().unwrap().contains("`scale`"), "{done}");
    let ranking = found["ranking"].as_array().unwrap();
    let best = &ranking[0];
    assert_eq!((&best["recipe"]["scale"], &best["same_as_best"]), (&"1/255".into(), &true.into()));
    assert!(best["accuracy"][0].as_f64().unwrap() > 0.95, "{best}");
    let signed = ranking.iter().find(|r| r["recipe"]["scale"] == "1/127.5-1").unwrap();
    assert_eq!(signed["same_as_best"], false, "{signed}");
    for key in ["words", "said", "information", "confidence", "distinct", "p"] {
        assert!(!best[key].is_null(), "{key}: {best}");
    }

    // What it prints for a job file runs.
    let text = digits_command(&folder, "doctor", &["--labelled", &images, "--most", "40"]).exits(0);
    let (_, lines) = text.text().rsplit_once("[recipe]").unwrap();
    let model = repository("examples/digits/digits.keras");
    folder.write("job.toml", format!("model = {model:?}\ninputs = [{images:?}]\n[recipe]{lines}"));
    let rows = folder.program(["run", "job.toml", "--quiet"]).exits(0).rows();
    let right = rows.iter().filter(|row| row["path"].starts_with(&row["label"])).count();
    assert!(20 * right > 19 * rows.len(), "{right} of {}", rows.len());
}

#[test]
fn the_doctor_contradicts_what_is_said_and_wrong() {
    let folder = TestDir::new();
    let images = digits().display().to_string();
    let said = on_digits(&images, &["--resize", "none", "--scale", "1/127.5-1"]);
    let found = report(&digits_command(&folder, "doctor", &said).exits(10));
    assert!(found["signs"][0].as_str().unwrap().contains("worse than the best (p<0.0001)"));
    assert_eq!(found["missing"], Value::Null);
    let said = on_digits(&images, &["--resize", "none", "--scale", "1/255"]);
    let found = report(&digits_command(&folder, "doctor", &said).exits(0));
    let ranking = found["ranking"].as_array().unwrap();
    let own: Vec<_> = ranking.iter().filter(|ranked| ranked["said"] == true).collect();
    assert!(own.len() == 1 && own[0]["same_as_best"] == true, "{own:?}");
}

#[test]
fn the_doctor_reads_a_file_with_the_truth() {
    let folder = TestDir::new();
    let mut labels = String::from("path,label\n");
    let mut indices = String::from("image,index\n");
    for (at, name) in listing(&digits()).iter().enumerate().filter(|(at, _)| at % 10 == 0) {
        folder.link(&digits().join(name), format!("{at}.png"));
        let (class, _) = name.split_once('/').unwrap();
        for text in [&mut labels, &mut indices] {
            writeln!(text, "{at}.png,{class}").unwrap();
        }
    }
    folder.write("labels.csv", labels + "gone.png,3\n");
    folder.write("indices.csv", indices);
    for file in ["labels.csv", "indices.csv"] {
        let said = ["--json", "--truth", file, "--resize", "none"];
        let found = report(&digits_command(&folder, "doctor", &said).exits(0));
        assert_eq!(found["ranking"][0]["recipe"]["scale"], "1/255", "{file}");
        assert_eq!(found["images"], 36, "{file}");
        assert!(found["truth"].is_string(), "{file}: {}", found["truth"]);
        let unreadable = found["unreadable"].as_array().unwrap();
        assert_eq!(unreadable.len(), usize::from(file == "labels.csv"), "{unreadable:?}");
    }
}

#[test]
fn the_doctor_says_what_it_lacks() {
    let folder = TestDir::new();
    folder.write("columns.csv", "file,colour\na.png,red\n");
    folder.write("empty.csv", "");
    let formula = repository("tests/images/formula").display().to_string();
    for (said, words) in [
        (&[formula.as_str()][..], &["7 images are too few", "16 or more"][..]),
        (&["--truth", "columns.csv"], &["columns.csv", "file, colour", "`path,label`"]),
        (&["--truth", "empty.csv"], &["empty.csv", "it is empty"]),
        (&["--truth", "gone.csv"], &["gone.csv"]),
        (&["--labelled", &formula], &["has no folders with images", "each class"]),
    ] {
        digits_command(&folder, "doctor", said).exits(2).says(words);
    }
    let bare = digits_command(&folder, "doctor", &[]).exits(0);
    for words in ["missing   ", "`interpolation`, `scale` are missing", "Give images"] {
        assert!(bare.text().contains(words), "{bare}");
    }
    let whole = digits_command(&folder, "doctor", &TRAINED).exits(0);
    assert!(whole.text().contains("Nothing is missing"), "{whole}");
    let detector = repository("tests/models/detector.onnx").display().to_string();
    folder.program(["doctor", &detector, &formula]).exits(10).says(&["no image classifier"]);
}
