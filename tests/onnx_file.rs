//! ONNX files read as files, held to `golden/onnx.json`: contents by the `onnx` package, maps
//! measured with ONNX Runtime.

#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use linnaeus::onnx::{
    Dim, ExternalProblemKind, NormaliserKind, OnnxFile, Quantisation, ScoreKind, Verdict,
    with_metadata,
};
use serde_json::{Value, json};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn bytes_of(name: &str) -> Bytes {
    fs::read(tests().join(format!("models/{name}.onnx"))).unwrap().into()
}

fn model(name: &str) -> OnnxFile {
    OnnxFile::read(bytes_of(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn golden() -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(tests().join("golden/onnx.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let golden = golden.as_object().unwrap().clone();
    assert!(golden.len() > 30, "{}", golden.len());
    golden
}

fn values(values: &[linnaeus::onnx::Value]) -> Value {
    let dims = |dims: &[Dim]| serde_json::to_value(dims).unwrap();
    let one = |value: &linnaeus::onnx::Value| {
        json!([value.name, value.element.unwrap().0, dims(value.dims.as_ref().unwrap())])
    };
    values.iter().map(one).collect()
}

#[test]
fn contents_are_what_the_onnx_package_says() {
    for (name, expected) in golden() {
        let file = model(&name);
        let parameters = file.parameters();
        let operators: Vec<_> =
            file.operators().iter().map(|op| json!([op.domain, op.name, op.count])).collect();
        let external: Vec<_> = file.external_data().into_iter().map(|data| data.tensor).collect();
        for (key, found) in [
            ("ir_version", json!(file.ir_version())),
            ("producer", json!(file.producer())),
            ("graph", json!(file.graph_name())),
            ("opsets", json!(file.opsets())),
            ("metadata", json!(file.metadata().entries)),
            ("inputs", values(&file.inputs())),
            ("outputs", values(&file.outputs())),
            ("parameters", json!(parameters.count)),
            ("parameter_bytes", json!(parameters.bytes)),
            ("nodes", json!(file.node_count())),
            ("operators", json!(operators)),
            ("external", json!(external)),
        ] {
            assert_eq!(found, expected[key], "{name}: {key}");
        }
        assert_eq!(parameters.by_type.values().sum::<u64>(), parameters.count, "{name}");
    }
}

#[test]
fn what_a_graph_does_to_its_image_is_what_the_runtime_measures() {
    for (name, kind) in [
        ("inside_scalar", NormaliserKind::Bytes),
        ("inside_imagenet", NormaliserKind::Bytes),
        ("inside_caffe_nhwc", NormaliserKind::Bytes),
        ("inside_dequantised", NormaliserKind::Bytes),
        ("inside_unit_nhwc", NormaliserKind::Unit),
        ("inside_transform_input", NormaliserKind::TransformInput),
        ("inside_reversed", NormaliserKind::ChannelReversal),
        ("inside_other", NormaliserKind::Other),
        ("inside_qdq", NormaliserKind::None),
    ] {
        let file = model(name);
        let found = file.normaliser(&file.inputs()[0]);
        let expected = &golden()[name]["map"];
        assert_eq!(found.kind, kind, "{name}: {}", found.evidence);
        assert_eq!(json!(found.reversed), expected["reversed"], "{name}: {}", found.evidence);
        for (key, found) in [("factor", &found.factor), ("offset", &found.offset)] {
            for channel in 0..3 {
                let found = found.get(channel).unwrap_or(&found[0]);
                let expected = expected[key][channel].as_f64().unwrap();
                let difference = (found - expected).abs();
                // The measured factor is a difference of two numbers in f32.
                assert!(difference < 2e-5, "{name}: {key} {channel}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_graph_that_does_nothing_to_its_image_is_said_to() {
    for name in ["dynamic", "fixed1", "fp16", "gray", "two_outputs", "probs", "windows_ml"] {
        let file = model(name);
        let found = file.normaliser(&file.inputs()[0]);
        assert_eq!(found.kind, NormaliserKind::None, "{name}: {}", found.evidence);
    }
    let file = model("inside_scalar");
    assert_eq!(
        file.normaliser(&file.inputs()[0]).evidence,
        "`image` goes through Sub, Div up to Conv `conv_2`, and x becomes x · 0.00784 -1"
    );
}

#[test]
fn probabilities_are_told_from_scores() {
    for (name, output, kind) in [
        ("dynamic", "logits", ScoreKind::Logits),
        ("two_outputs", "features", ScoreKind::Logits),
        ("probs", "probabilities", ScoreKind::Softmax),
        ("softmax_moved", "probabilities", ScoreKind::Softmax),
        ("softmax_in_parts", "probabilities", ScoreKind::Softmax),
        ("log_softmax", "log_probabilities", ScoreKind::LogSoftmax),
        ("sigmoid", "probabilities", ScoreKind::Sigmoid),
        ("binary", "probability", ScoreKind::Sigmoid),
        ("chosen", "class", ScoreKind::Chosen),
        ("dynamic", "no such output", ScoreKind::Logits),
    ] {
        let found = model(name).scores(output);
        assert_eq!(found.kind, kind, "{name}: {}", found.evidence);
    }
}

#[test]
fn channels_are_found_by_the_first_convolution_or_by_what_the_file_says() {
    for (name, layout, channels) in [
        ("dynamic", Some("nchw"), Some(3)),
        ("gray", Some("nchw"), Some(1)),
        ("u8_nhwc", Some("nhwc"), Some(3)),
        ("inside_caffe_nhwc", Some("nhwc"), Some(3)),
        ("inside_transform_input", Some("nchw"), Some(3)),
        ("dynamic_hw", Some("nchw"), Some(3)),
        ("wrong_rank", None, None),
    ] {
        let file = model(name);
        let hint = file.layout(&file.inputs()[0]);
        let found = (hint.layout.map(|layout| layout.to_string()), hint.channels);
        assert_eq!(found, (layout.map(str::to_owned), channels), "{name}: {}", hint.evidence);
    }
}

#[test]
fn classifiers_are_told_from_other_models_with_a_reason() {
    for (name, verdict, word) in [
        ("dynamic", Verdict::Classifier, "a score for each class"),
        ("two_outputs", Verdict::Classifier, "a score for each class"),
        ("spatial_out", Verdict::Classifier, "a score for each class"),
        ("binary", Verdict::Classifier, "one score"),
        ("detector", Verdict::Other, "`boxes` f32 [N, 20, 6] is three-dimensional"),
        ("two_inputs", Verdict::Other, "2 inputs"),
        ("wrong_rank", Verdict::Other, "is no image"),
        ("chosen", Verdict::Other, "whole numbers"),
        ("decodes_images", Verdict::Unsure, "encoded image"),
    ] {
        let found = model(name).classifier();
        assert_eq!(found.verdict, verdict, "{name}: {:?}", found.reasons);
        assert!(found.reasons.iter().any(|r| r.contains(word)), "{name}: {:?}", found.reasons);
    }
}

#[test]
fn slow_and_unsafe_models_show_it() {
    for (name, words) in [
        ("dynamic", &[][..]),
        ("fixed1", &["fixed-batch"]),
        ("initialiser_inputs", &["initialiser-inputs", "fixed-batch"]),
        ("external", &[]),
        ("external_outside", &["external-path"]),
        ("custom_operator", &["custom-operators"]),
        ("decodes_images", &["custom-operators", "decodes-images"]),
    ] {
        let file = model(name);
        let signs = [file.slow_signs(), file.unsafe_signs()].concat();
        let found: Vec<_> = signs.iter().map(|sign| sign.word).collect();
        assert_eq!(found, words, "{name}: {signs:?}");
    }
    // Before IR version 4 all initialisers had to be inputs, and could not be overridden.
    let mut old = bytes_of("initialiser_inputs").to_vec();
    assert_eq!(old[..2], [0x08, 9]);
    old[1] = 3;
    let signs = OnnxFile::read(old.into()).unwrap().slow_signs();
    assert_eq!(signs.iter().map(|s| s.word).collect::<Vec<_>>(), ["fixed-batch", "old-ir"]);
    assert_eq!(model("inside_qdq").quantisation(), Quantisation::Qdq);
    assert_eq!(model("dynamic").quantisation(), Quantisation::None);
}

#[test]
fn what_the_file_says_beside_its_graph_is_read() {
    let said = model("windows_ml");
    assert_eq!(said.metadata().get_in_any_case("IMAGE.bitmappixelformat"), Some("Bgr8"));
    let input = &said.inputs()[0];
    assert_eq!(input.denotation, "IMAGE");
    assert_eq!(input.dim_denotations[1], "DATA_CHANNEL");
    let names = model("ultralytics").metadata();
    assert!(names.get("names").unwrap().contains("bird's nest"));
}

/// The model `external`, whose weights are to be in `external.onnx.data`, in a new folder.
fn external() -> (tempfile::TempDir, PathBuf, OnnxFile, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m/external.onnx");
    fs::create_dir(folder.path().join("m")).unwrap();
    fs::write(&path, bytes_of("external")).unwrap();
    let file = model("external");
    let needed = file.external_data().iter().map(|data| data.offset + data.length).max().unwrap();
    (folder, path, file, needed)
}

#[test]
fn weights_beside_the_model_are_checked_without_reading_them() {
    let (_folder, path, file, needed) = external();
    let data = path.with_file_name("external.onnx.data");
    let kinds =
        || file.external_problems(&path).into_iter().map(|found| found.kind).collect::<Vec<_>>();
    assert_eq!(kinds(), [ExternalProblemKind::Missing]);
    fs::write(&data, vec![0; usize::try_from(needed).unwrap() - 1]).unwrap();
    let found = needed - 1;
    assert_eq!(kinds(), [ExternalProblemKind::TooShort { needed, found }]);
    fs::write(&data, vec![0; usize::try_from(needed).unwrap()]).unwrap();
    assert_eq!(kinds(), []);
    fs::remove_file(&data).unwrap();
    fs::create_dir(&data).unwrap();
    assert_eq!(kinds(), [ExternalProblemKind::NotRegular]);
}

#[test]
#[cfg(unix)]
fn a_link_to_weights_may_lead_to_the_real_model_and_nowhere_else() {
    use std::os::unix::fs::symlink;

    let (folder, path, file, needed) = external();
    let blob = folder.path().join("blob");
    fs::write(&blob, vec![0; usize::try_from(needed).unwrap()]).unwrap();
    symlink(&blob, path.with_file_name("external.onnx.data")).unwrap();
    let problems = file.external_problems(&path);
    assert_eq!(problems[0].kind, ExternalProblemKind::LeavesFolder, "{problems:?}");
    assert!(problems[0].to_string().contains("leads out of the model's folder"));
    // As in the cache of Hugging Face: the model itself is a link into the same folder.
    fs::rename(&path, folder.path().join("model-blob")).unwrap();
    symlink(folder.path().join("model-blob"), &path).unwrap();
    assert_eq!(file.external_problems(&path), []);
}

#[test]
fn weights_outside_the_folder_are_not_looked_for() {
    let problems = model("external_outside").external_problems(&tests().join("models/m.onnx"));
    let kinds: Vec<_> = problems.iter().map(|problem| &problem.kind).collect();
    let expected = [
        &ExternalProblemKind::Upwards,
        &ExternalProblemKind::Absolute,
        &ExternalProblemKind::Missing,
    ];
    assert_eq!(kinds, expected);
    assert!(kinds[0].is_unsafe() && kinds[1].is_unsafe() && !kinds[2].is_unsafe());
}

#[test]
fn metadata_is_set_and_everything_else_stays() {
    let before = bytes_of("ultralytics");
    let entries: BTreeMap<_, _> =
        [("task".to_owned(), "detect".to_owned()), ("π".to_owned(), "é".to_owned())].into();
    let after = with_metadata(&before, &entries).unwrap();
    let (old, new) = (model("ultralytics"), OnnxFile::read(after.clone().into()).unwrap());
    let mut expected = old.metadata().entries;
    expected.extend(entries.clone());
    assert_eq!(new.metadata().entries, expected);
    assert_eq!(new.metadata().duplicates, [""; 0]);
    assert_eq!(new.proto(), old.proto());
    assert_eq!(with_metadata(&after, &entries).unwrap(), after);
}

#[test]
fn what_is_no_model_is_refused_with_a_reason() {
    for (bytes, word) in [
        (bytes_of("not_a_model"), "no ONNX model: at byte 0"),
        (bytes_of("dynamic").slice(..1000), "announces"),
        (Bytes::new(), "no graph"),
        (Bytes::from_static(b"\x08\x08"), "no graph"),
        // IR version 8, producer that is no UTF-8.
        (Bytes::from_static(b"\x08\x08\x12\x01\xff"), "no ONNX model"),
    ] {
        let message = OnnxFile::read(bytes).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
}

/// Calls everything that reads a file.
fn look_at_everything(bytes: Bytes) -> bool {
    let Ok(file) = OnnxFile::read(bytes) else { return false };
    for input in file.inputs() {
        let _ = (file.normaliser(&input), file.layout(&input), file.size_hint(&input));
    }
    for output in file.outputs() {
        let _ = file.scores(&output.name);
    }
    let _ = (file.classifier(), file.slow_signs(), file.unsafe_signs(), file.quantisation());
    let _ = (file.metadata(), file.parameters(), file.operators(), file.doc_string());
    // In a folder that is not there, so that a changed name cannot name a file.
    let _ = file.external_problems(Path::new("no such folder/m.onnx"));
    true
}

/// Models with something of everything.
const VARIED: [&str; 8] = [
    "inside_transform_input",
    "inside_caffe_nhwc",
    "inside_other",
    "inside_qdq",
    "softmax_moved",
    "windows_ml",
    "external_outside",
    "decodes_images",
];

#[test]
fn no_cut_file_panics() {
    for name in VARIED {
        let bytes = bytes_of(name);
        for end in 0..bytes.len() {
            look_at_everything(bytes.slice(..end));
            let entries = [("task".to_owned(), "classify".to_owned())].into();
            let _ = with_metadata(&bytes[..end], &entries);
        }
    }
}

#[test]
fn no_changed_file_panics() {
    // Xorshift, from Marsaglia's paper of 2003.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut read = 0;
    for name in VARIED {
        let bytes = bytes_of(name);
        for _ in 0..1000 {
            let mut changed = bytes.to_vec();
            for _ in 0..=random(4) {
                let at = random(changed.len());
                let interesting = [0, 1, 0x7f, 0x80, 0xff, 2, 3, 4];
                changed[at] = match random(3) {
                    0 => interesting[random(interesting.len())],
                    1 => changed[at] ^ (1 << random(8)),
                    _ => u8::try_from(random(256)).unwrap(),
                };
            }
            read += usize::from(look_at_everything(changed.into()));
        }
    }
    // Otherwise the analyses saw nothing.
    assert!(read > 2000, "{read}");
}
