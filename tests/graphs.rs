//! TensorFlow graphs, frozen and run, held to what TensorFlow itself answers:
//! `tests/models/make_graphs.py`.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "the goldens are f32, JSON knows f64 alone")]

use std::{collections::BTreeMap, fs, path::Path};

use linnaeus::{
    classifier,
    config::ModelConfig,
    engine::TensorEngine,
    freeze::{self, FreezeError, Frozen, Options, Source},
    graphdef::GraphFile,
    job::Job,
    keras::KerasFile,
    model::ModelFile,
    onnx::proto::GraphProto,
    recipe::Element,
    tensor::Tensor,
};
use serde_json::Value;
use tempfile::TempDir;

fn models() -> (TempDir, Value) {
    let folder = TempDir::new().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/graphs.zip");
    zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap().extract(folder.path()).unwrap();
    let golden = fs::read_to_string(folder.path().join("golden.json")).unwrap();
    (folder, serde_json::from_str(&golden).unwrap())
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

/// The two images that `make_graphs.py` makes.
fn images(shape: &[usize]) -> Tensor {
    let shape: Vec<usize> = std::iter::once(2).chain(shape.iter().copied()).collect();
    let place = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 252.25 - 2.0;
    let values = (0..shape.iter().product()).map(place).collect();
    Tensor { shape, values, element: Element::F32 }
}

fn channels_first(tensor: &Tensor) -> Tensor {
    let [images, height, width, channels] = tensor.shape[..] else { panic!("{:?}", tensor.shape) };
    let image = height * width * channels;
    let each = (0..images).flat_map(|n| (0..channels).map(move |c| (n, c)));
    let values =
        each.flat_map(|(n, c)| (0..height * width).map(move |p| n * image + p * channels + c));
    let values = values.map(|at| tensor.values[at]).collect();
    Tensor { shape: vec![images, channels, height, width], values, element: Element::F32 }
}

fn frozen(folder: &TempDir, name: &str, options: Options) -> (GraphFile, Frozen) {
    let path = folder.path().join(name);
    let file = GraphFile::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let frozen = freeze::freeze_graph(&file, options);
    (file, frozen.unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn answers(file: &dyn Source, frozen: &Frozen, fed: &Tensor) -> BTreeMap<String, Tensor> {
    let folder = TempDir::new().unwrap();
    let model = ModelFile::with_frozen(file, frozen, folder.path()).unwrap();
    let job = Job { model: Some(model.onnx().to_owned()), ..Job::default() };
    let config = ModelConfig { threads: 1, ..ModelConfig::resolve(&job).unwrap() };
    let runtime = classifier::load_runtime(&config).unwrap();
    let mut engine = TensorEngine::load(&model, &runtime, 1).unwrap();
    engine.answers(fed).unwrap().into_iter().collect()
}

/// Shares of the largest number by which answers differ, where that is over the tolerance.
fn differences(found: &BTreeMap<String, Tensor>, golden: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, expected) in golden["outputs"].as_object().unwrap() {
        let Some(found) = found.get(name) else {
            // An index beside the scores is left out.
            if name != "class" {
                wrong.push(format!("{name} is missing"));
            }
            continue;
        };
        if found.shape != numbers(&expected["shape"]) {
            wrong
                .push(format!("{name} has the shape {:?}, not {}", found.shape, expected["shape"]));
            continue;
        }
        let values = expected["values"].as_array().unwrap().iter();
        let values: Vec<f32> = values.map(|n| n.as_f64().unwrap() as f32).collect();
        let largest = values.iter().fold(1.0f32, |most, value| most.max(value.abs()));
        let gaps = found.values.iter().zip(&values).map(|(a, b)| (a - b).abs() / largest);
        let gap =
            gaps.fold(0.0, |most: f32, gap| if gap.is_nan() { f32::MAX } else { most.max(gap) });
        if gap > 2e-5 {
            wrong.push(format!("{name} differs by {gap:.1e}"));
        }
    }
    wrong
}

fn listed(golden: &Value) -> impl Iterator<Item = (&String, &Value)> {
    golden.as_object().unwrap().iter()
}

#[test]
fn frozen_graphs_answer_what_tensorflow_answers() {
    let (folder, golden) = models();
    assert!(listed(&golden).count() > 8);
    // The decoder's has a test of its own.
    for (name, said) in listed(&golden).filter(|(name, _)| *name != "decoder.pb") {
        let fed = images(&numbers(&said["input"]));
        let fed = if name == "first.pb" { channels_first(&images(&[8, 10, 3])) } else { fed };
        for fold in [true, false] {
            let (file, frozen) = frozen(&folder, name, Options { fold, ..Options::default() });
            let wrong = differences(&answers(&file, &frozen, &fed), said);
            assert!(wrong.is_empty(), "{name} (fold {fold}): {wrong:#?}");
        }
    }
}

#[test]
fn images_may_be_fed_with_their_channels_first() {
    let (folder, golden) = models();
    for name in ["plain.pb", "exported_3", "saved_2"] {
        let options = Options { channels_first: true, ..Options::default() };
        let (file, frozen) = frozen(&folder, name, options);
        let fed = channels_first(&images(&numbers(&golden[name]["input"])));
        let wrong = differences(&answers(&file, &frozen, &fed), &golden[name]);
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

fn operators(graph: &GraphProto) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        *counts.entry(&*node.op_type).or_default() += 1;
    }
    counts
}

#[test]
fn the_network_is_as_good_as_one_made_of_layers() {
    let (folder, _) = models();
    // Behind a rectifier normalisation stays, and so does padding in front of a pooling.
    for (name, transposes, stay) in [
        ("last.pb", 1, [0, 0]),
        ("first.pb", 0, [0, 0]),
        ("saved_2", 1, [1, 1]),
        ("exported_3", 1, [0, 1]),
    ] {
        let (_, frozen) = frozen(&folder, name, Options::default());
        let graph = frozen.model.graph.unwrap();
        let counts = operators(&graph);
        assert_eq!(counts.get("Transpose").copied().unwrap_or(0), transposes, "{name}: {counts:?}");
        let left = |gone: &str| counts.get(gone).copied().unwrap_or(0);
        assert_eq!([left("BatchNormalization"), left("Pad")], stay, "{name}: {counts:?}");
        assert_eq!((left("Identity"), graph.input.len()), (0, 1), "{name}: {counts:?}");
    }
    let (_, frozen) = frozen(&folder, "module", Options::default());
    let graph = frozen.model.graph.unwrap();
    let counts = operators(&graph);
    assert_eq!((counts.get("Conv"), counts.get("Add")), (Some(&3), None), "{counts:?}");
    assert_eq!(graph.output[0].name, "scores");
}

#[test]
fn a_graph_and_its_layers_answer_the_same() {
    let (folder, golden) = models();
    let path = folder.path().join("saved_2");
    fs::copy(folder.path().join("saved_2.metadata"), path.join("keras_metadata.pb")).unwrap();
    let layers = KerasFile::open(&path).unwrap();
    let graph = GraphFile::open(&path).unwrap();
    let frozen = [
        freeze::freeze(&layers, Options::default()).unwrap(),
        freeze::freeze_graph(&graph, Options::default()).unwrap(),
    ];
    assert_eq!(frozen[0].summary.parameters, frozen[1].summary.parameters);
    let fed = images(&numbers(&golden["saved_2"]["input"]));
    let found = frozen.map(|frozen| answers(&layers, &frozen, &fed));
    assert!(!found[0].is_empty() && found[0].len() == found[1].len());
    for (a, b) in found[0].values().zip(found[1].values()) {
        assert_eq!(a.shape, b.shape);
        let gaps = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs());
        assert!(gaps.fold(0.0, f32::max) < 1e-5, "{found:?}");
    }
}

#[test]
fn images_may_be_fed_behind_a_decoder_in_the_graph() {
    let (folder, golden) = models();
    let path = folder.path().join("decoder.pb");
    let refused = freeze::freeze_graph(&GraphFile::open(&path).unwrap(), Options::default());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("DecodeJpeg") && refused.contains("`model-input`"), "{refused}");
    for name in ["Sub", "Sub:0"] {
        let file = GraphFile::open(&path).unwrap().with_input(name);
        let frozen = freeze::freeze_graph(&file, Options::default()).unwrap();
        let graph = frozen.model.graph.as_ref().unwrap();
        assert_eq!(graph.input[0].name, "Sub");
        let fed = images(&numbers(&golden["decoder.pb"]["input"]));
        let wrong = differences(&answers(&file, &frozen, &fed), &golden["decoder.pb"]);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let file = GraphFile::open(&path).unwrap().with_input("gone");
    let error = freeze::freeze_graph(&file, Options::default()).unwrap_err().to_string();
    assert!(error.contains("no operation `gone`"), "{error}");
}

#[test]
fn bytes_are_fed_as_numbers() {
    let (folder, _) = models();
    let (file, frozen) = frozen(&folder, "bytes.pb", Options::default());
    let shape = vec![1, 8, 10, 3];
    let at = |share: f32| Tensor {
        values: vec![share * 255.0; 240],
        shape: shape.clone(),
        element: Element::F32,
    };
    let full = &answers(&file, &frozen, &at(1.0))["scores"];
    let half = &answers(&file, &frozen, &at(0.5))["scores"];
    for (full, half) in full.values.iter().zip(&half.values) {
        assert!((full - 2.0 * half).abs() < 1e-5 && full.abs() > 1e-3, "{full} {half}");
    }
}

#[test]
fn what_has_no_conversion_is_refused_by_its_name() {
    let folder = TempDir::new().unwrap();
    let node = |name: &str, op: &str, inputs: &[&str]| {
        let field = |tag: u8, text: &str| [&[tag, text.len() as u8], text.as_bytes()].concat();
        let inputs = inputs.iter().flat_map(|input| field(0x1a, input));
        let node: Vec<u8> =
            [field(0x0a, name), field(0x12, op)].concat().into_iter().chain(inputs).collect();
        [vec![0x0a, node.len() as u8], node].concat()
    };
    let place = |nodes: &[Vec<u8>]| {
        let path = folder.path().join("graph.pb");
        fs::write(&path, nodes.concat()).unwrap();
        GraphFile::open(&path).and_then(|file| {
            Ok(match freeze::freeze_graph(&file, Options::default()) {
                Ok(_) => "frozen".to_owned(),
                Err(FreezeError::Keras(error)) => return Err(error),
                Err(error) => error.to_string(),
            })
        })
    };
    let told = |nodes: &[Vec<u8>]| match place(nodes) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    let input = node("photo", "Placeholder", &[]);
    for (nodes, words) in [
        (
            vec![input.clone(), node("a", "Bessel", &["photo"]), node("b", "TopKV2", &["a"])],
            &["operation `a` (Bessel)", "`b` (TopKV2)", "tf2onnx"][..],
        ),
        (
            vec![node("file", "Placeholder", &[]), node("d", "DecodeJpeg", &["file"])],
            &["`d` (DecodeJpeg)", "`model-input`"],
        ),
        (vec![input.clone(), node("a", "Relu", &["photo"])], &["does not say which shape"]),
        (vec![input.clone(), node("a", "Relu", &["gone"])], &["no operation `gone`"]),
        (
            vec![node("a", "Relu", &["b"]), node("b", "Relu", &["a"]), node("c", "Relu", &["a"])],
            &["in a circle"],
        ),
        (vec![input], &["0 ends"]),
    ] {
        let text = told(&nodes);
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    }
}
