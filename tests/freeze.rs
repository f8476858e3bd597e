//! Keras models, frozen and run, held to what Keras itself answers: `tests/models/make_freeze.py`.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "the goldens are f32, JSON knows f64 alone")]

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use linnaeus::{
    classifier,
    config::ModelConfig,
    engine::TensorEngine,
    freeze::{self, FreezeError, Frozen, Options},
    job::Job,
    keras::KerasFile,
    model::ModelFile,
    onnx::proto::{GraphProto, NodeProto, TensorProto},
    pack::keras::{Demands, freeze_with},
    recipe::Element,
    tensor::Tensor,
};
use serde_json::Value;
use tempfile::TempDir;

fn models() -> (TempDir, Value) {
    let folder = TempDir::new().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/freeze.zip");
    zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap().extract(folder.path()).unwrap();
    let golden = fs::read_to_string(folder.path().join("golden.json")).unwrap();
    (folder, serde_json::from_str(&golden).unwrap())
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

/// The two images that `make_freeze.py` makes.
fn images(shape: &[usize]) -> Tensor {
    let shape: Vec<usize> = std::iter::once(2).chain(shape.iter().copied()).collect();
    let place = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 252.25 - 2.0;
    let values = (0..shape.iter().product()).map(place).collect();
    Tensor { shape, values, element: Element::F32 }
}

fn frozen(folder: &TempDir, name: &str, options: Options) -> (KerasFile, Frozen) {
    let file = KerasFile::open(&folder.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let frozen = freeze::freeze(&file, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    (file, frozen)
}

fn answers(file: &KerasFile, frozen: &Frozen, fed: &Tensor) -> Result<Vec<Tensor>, String> {
    let folder = TempDir::new().unwrap();
    let model = ModelFile::with_frozen(file, frozen, folder.path()).unwrap();
    let job = Job { model: Some(model.onnx().to_owned()), ..Job::default() };
    let config = ModelConfig { threads: 1, ..ModelConfig::resolve(&job).unwrap() };
    let runtime = classifier::load_runtime(&config).unwrap();
    let engine = TensorEngine::load(&model, &runtime, 1);
    let mut engine = engine.map_err(|error| error.to_string())?;
    Ok(engine.answers(fed)?.into_iter().map(|(_, answer)| answer).collect())
}

/// The largest share by which an answer differs from Keras's, and the output that does.
fn difference(found: &[Tensor], golden: &Value) -> (f32, usize) {
    let expected = golden["outputs"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    let one = |(at, (found, expected)): (usize, (&Tensor, &Value))| {
        assert_eq!(found.shape, numbers(&expected["shape"]), "output {at}");
        let expected: Vec<f32> = expected["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_f64().unwrap() as f32)
            .collect();
        let largest = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
        let gap = found.values.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        (gap.fold(0.0, f32::max) / largest, at)
    };
    let all = found.iter().zip(expected).enumerate().map(one);
    all.max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap()
}

/// The models with a file each, and the names of their goldens.
fn listed(golden: &Value) -> Vec<(String, Value)> {
    let files = golden.as_object().unwrap().iter().filter(|(_, said)| said.get("model").is_some());
    files.map(|(file, said)| (file.clone(), said.clone())).collect()
}

/// Keras itself computed in these numbers; everything here computes in f32.
fn tolerance(name: &str) -> f32 {
    match name {
        name if name.contains("bfloat16") => 0.05,
        name if name.contains("float16") => 5e-3,
        _ => 2e-5,
    }
}

#[test]
fn frozen_models_answer_what_keras_answers() {
    let (folder, golden) = models();
    let files = listed(&golden);
    assert!(files.len() > 25, "{files:?}");
    for (name, said) in files {
        let fed = images(&numbers(&said["input"]));
        for fold in [true, false] {
            let (file, frozen) = frozen(&folder, &name, Options { fold, ..Options::default() });
            assert_eq!(frozen.summary.parameters, said["parameters"].as_u64().unwrap(), "{name}");
            let found = answers(&file, &frozen, &fed).unwrap_or_else(|e| panic!("{name}: {e}"));
            let (gap, at) = difference(&found, &golden[said["model"].as_str().unwrap()]);
            assert!(
                gap <= tolerance(&name),
                "{name}: output {at} differs by {gap:.1e} (fold {fold})"
            );
        }
    }
}

/// The weights of all these models fit their files: the limit is lowered.
const BESIDE: u64 = 0;

#[test]
fn weights_beside_a_model_answer_as_those_inside() {
    let (folder, golden) = models();
    for (name, said) in listed(&golden) {
        let fed = images(&numbers(&said["input"]));
        let options = Options { most_bytes: BESIDE, ..Options::default() };
        let (file, beside) = frozen(&folder, &name, options);
        let (_, inside) = frozen(&folder, &name, Options::default());
        assert!(beside.beside && !inside.beside);
        assert_eq!(
            answers(&file, &beside, &fed).unwrap(),
            answers(&file, &inside, &fed).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_model_and_the_file_of_its_weights_are_written_together() {
    let (folder, _) = models();
    let target = folder.path().join("out/out.onnx");
    fs::create_dir(target.parent().unwrap()).unwrap();
    let options = |most_bytes| Options { most_bytes, ..Options::default() };
    let freeze = |name: &str, most_bytes| {
        let job = Job { model: Some(folder.path().join(name)), ..Job::default() };
        let config = ModelConfig { threads: 1, ..ModelConfig::resolve(&job).unwrap() };
        let demands = Demands { bare: true, ..Demands::default() };
        freeze_with(&config, &demands, options(most_bytes), &target).unwrap()
    };
    let names = || {
        let entries = fs::read_dir(target.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let admitted = || {
        let mut file = ModelFile::open(&target).unwrap();
        let onnx = file.admit().unwrap();
        (file, onnx)
    };
    assert!(freeze("nested_3.keras", Options::default().most_bytes).weights.is_none());
    assert_eq!((names(), admitted().0.weights), (vec!["out.onnx".into()], Vec::new()));
    // Another model takes the place of the first, weights and all.
    for name in ["nested_3.keras", "convolutions_3.keras"] {
        let report = freeze(name, BESIDE);
        assert!(report.to_string().contains("out.onnx.data beside it"), "{report}");
        assert_eq!(names(), ["out.onnx", "out.onnx.data"]);
        let (file, onnx) = admitted();
        assert_eq!(Some(&file.weights[..]), report.weights.as_ref().map(std::slice::from_ref));
        assert_eq!(file.weights[0].location, "out.onnx.data");
        assert_eq!(report.bytes, file.bytes);
        let large = onnx.proto().initializer.iter().filter(|tensor| tensor.raw_data.len() > 255);
        assert_eq!(large.count(), 0, "{name}");
        #[cfg(unix)]
        for path in [&target, &target.with_file_name("out.onnx.data")] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o444, 0o444, "others may read {}", path.display());
        }
    }
}

#[test]
fn images_may_be_fed_with_their_channels_first() {
    let (folder, golden) = models();
    for name in [
        "convolutions_3.keras",
        "shapes_2.h5",
        "normalisations_3.keras",
        "nested_2.h5",
        "operations_3.h5",
    ] {
        let said = &golden[name];
        let fed = images(&numbers(&said["input"]));
        let [images, height, width, channels] = fed.shape[..] else { panic!("{name}") };
        let place = |n, h, w, c| ((n * height + h) * width + w) * channels + c;
        let mut moved = Tensor {
            shape: vec![images, channels, height, width],
            values: Vec::new(),
            ..fed.clone()
        };
        for n in 0..images {
            for c in 0..channels {
                for h in 0..height {
                    moved.values.extend((0..width).map(|w| fed.values[place(n, h, w, c)]));
                }
            }
        }
        let options = Options { channels_first: true, ..Options::default() };
        let (file, frozen) = frozen(&folder, name, options);
        let found = answers(&file, &frozen, &moved).unwrap();
        let (gap, at) = difference(&found, &golden[said["model"].as_str().unwrap()]);
        assert!(gap <= tolerance(name), "{name}: output {at} differs by {gap:.1e}");
    }
}

fn graph(frozen: &Frozen) -> &GraphProto {
    frozen.model.graph.as_ref().unwrap()
}

#[test]
fn the_graph_is_one_that_an_expert_would_write() {
    let (folder, _) = models();
    for (name, operators) in [
        (
            "chain_3.keras",
            &["Transpose", "Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Relu", "Gemm", "Softmax"]
                [..],
        ),
        (
            "saved_model",
            &["Transpose", "Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Relu", "Gemm", "Softmax"],
        ),
        (
            "mixed_float16.keras",
            &[
                "Transpose",
                "Conv",
                "Relu",
                "BatchNormalization",
                "GlobalAveragePool",
                "Flatten",
                "Gemm",
            ],
        ),
    ] {
        let (_, frozen) = frozen(&folder, name, Options::default());
        let graph = graph(&frozen);
        let found: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(found, operators, "{name}");
        let constants: Vec<&str> = graph.initializer.iter().map(|c| c.name.as_str()).collect();
        assert!(graph.input.iter().all(|input| !constants.contains(&input.name.as_str())));
    }
    let (_, chain) = frozen(&folder, "chain_3.keras", Options::default());
    let (graph, names) = (graph(&chain), |names: Vec<&NodeProto>| {
        names.iter().map(|node| node.output[0].clone()).collect::<Vec<_>>()
    });
    assert_eq!(graph.output[0].name, "probs");
    assert!(names(graph.node.iter().collect()).contains(&"max_pooling2d".to_owned()), "{graph:?}");
    assert!(graph.initializer.iter().any(|c| c.name == "probs/kernel"));
    let (_, all) = frozen(&folder, "convolutions_3.keras", Options::default());
    let folded = all.summary.folded;
    assert_eq!((folded.batch_normalisations, folded.remaining, folded.paddings), (5, 1, 1));
    // A base that is used twice shares one normalisation, and each use has its own copy folded.
    let (_, nested) = frozen(&folder, "nested_3.keras", Options::default());
    assert_eq!(nested.summary.folded.batch_normalisations, 2);
}

/// A way to get a graph wrong, the model that shows it, and whether it is folded before.
type Mutation = (&'static str, &'static str, bool, fn(&mut GraphProto) -> usize);

/// The mistakes that converters make, each of which has to show.
const MUTATIONS: [Mutation; 7] = [
    ("padding on the other side", "convolutions_3.keras", true, |graph| {
        let convolutions = graph.node.iter_mut().filter(|node| node.op_type == "Conv");
        let pads = convolutions.flat_map(|node| &mut node.attribute).filter(|a| a.name == "pads");
        pads.filter(|pads| pads.ints[..2] != pads.ints[2..])
            .map(|pads| pads.ints.rotate_left(2))
            .count()
    }),
    ("no beta", "normalisations_3.keras", false, |graph| zeroed(graph, "", "/beta")),
    ("no beta in a folded bias", "convolutions_3.keras", true, |graph| {
        zeroed(graph, "batch_norm", "/bias")
    }),
    ("the usual epsilon", "convolutions_3.keras", false, |graph| {
        let normal = graph.node.iter_mut().filter(|node| node.op_type == "BatchNormalization");
        let epsilon = normal.flat_map(|node| &mut node.attribute).filter(|a| a.name == "epsilon");
        epsilon.map(|epsilon| epsilon.f = 1e-5).count()
    }),
    ("kernels turned around", "chain_3.keras", true, |graph| {
        let kernels = graph.initializer.iter_mut().filter(|c| c.dims.len() == 4);
        kernels
            .map(|kernel| {
                let area = usize::try_from(kernel.dims[2] * kernel.dims[3]).unwrap();
                let mut values = floats(kernel);
                values.chunks_exact_mut(area).for_each(<[f32]>::reverse);
                set(kernel, &values);
            })
            .count()
    }),
    ("Keras 2's hard sigmoid", "activations_3.keras", true, |graph| {
        let hard = graph.node.iter_mut().filter(|node| node.op_type == "HardSigmoid");
        let alpha = hard.flat_map(|node| &mut node.attribute).filter(|a| a.name == "alpha");
        alpha.map(|alpha| alpha.f = 0.2).count()
    }),
    ("flattened with the channels first", "chain_3.keras", true, |graph| {
        // 2×3 pixels of 4 channels: the rows of the dense layer back in the order of Keras.
        let kernel = graph.initializer.iter_mut().find(|c| c.dims == [24, 5]).unwrap();
        let values = floats(kernel);
        let row = |row: usize| &values[row * 5..][..5];
        let rows = (0..6).flat_map(|pixel| (0..4).map(move |channel| channel * 6 + pixel));
        let moved: Vec<f32> = rows.flat_map(|from| row(from).to_vec()).collect();
        set(kernel, &moved);
        1
    }),
];

fn floats(tensor: &TensorProto) -> Vec<f32> {
    let chunks = tensor.raw_data.as_chunks::<4>().0.iter();
    chunks.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn set(tensor: &mut TensorProto, values: &[f32]) {
    tensor.raw_data =
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into();
}

fn zeroed(graph: &mut GraphProto, part: &str, ending: &str) -> usize {
    let named = |c: &&mut TensorProto| c.name.contains(part) && c.name.ends_with(ending);
    let shifts = graph.initializer.iter_mut().filter(named);
    shifts.map(|shift| set(shift, &vec![0.0; floats(shift).len()])).count()
}

#[test]
fn every_mistake_of_converters_would_show() {
    let (folder, golden) = models();
    for (mistake, name, fold, mutate) in MUTATIONS {
        let (file, mut frozen) = frozen(&folder, name, Options { fold, ..Options::default() });
        assert!(mutate(frozen.model.graph.as_mut().unwrap()) > 0, "{mistake}: nothing was changed");
        let said = &golden[name];
        let found = answers(&file, &frozen, &images(&numbers(&said["input"]))).unwrap();
        let (gap, _) = difference(&found, &golden[said["model"].as_str().unwrap()]);
        assert!(gap > 50.0 * tolerance(name), "{mistake} would differ by {gap:.1e} alone");
    }
}

/// An archive of `freeze.zip` with one setting changed.
fn changed(folder: &TempDir, name: &str, (from, to): (&str, &str)) -> PathBuf {
    let mut archive =
        zip::ZipArchive::new(fs::File::open(folder.path().join(name)).unwrap()).unwrap();
    let path = folder.path().join("changed.keras");
    let mut out = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let entry_name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if entry_name == "config.json" {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "{name} has no {from}");
            bytes = text.replace(from, to).into_bytes();
        }
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        out.start_file(entry_name, stored).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
    path
}

#[test]
fn settings_that_are_not_known_are_refused_and_not_passed_over() {
    let (folder, _) = models();
    for (name, change, reason) in [
        (
            "operations_3.keras",
            (r#""crop_to_aspect_ratio": false"#, r#""crop_to_aspect_ratio": true"#),
            "`crop_to_aspect_ratio` is true",
        ),
        ("operations_3.keras", (r#""initial": null"#, r#""initial": 0.5"#), "`initial` is 0.5"),
        ("operations_3.keras", (r#""x_min": -1.0"#, r#""x_min": [0, 1, 2]"#), "`x_min` is [0,1,2]"),
        (
            "settings_3.keras",
            (r#""epsilon": 3.0"#, r#""epsilon": "small""#),
            "`epsilon` is \"small\"",
        ),
        ("convolutions_3.keras", (r#""padding": "valid""#, r#""padding": 7"#), "`padding` is 7"),
        (
            "activations_3.keras",
            (r#""max_value": 1.5"#, r#""max_value": "1.5""#),
            "`max_value` is \"1.5\"",
        ),
        (
            "normalisations_3.keras",
            (r#""epsilon": 0.1"#, r#""epsilon": [0.1]"#),
            "`epsilon` is [0.1]",
        ),
        ("nested_3.keras", (r#""training": false"#, r#""training": true"#), "training=True"),
    ] {
        let file = KerasFile::open(&changed(&folder, name, change)).unwrap();
        let error = freeze::freeze(&file, Options::default()).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("layer `"), "{name}: {error}");
    }
}

#[test]
fn layers_without_a_conversion_are_refused_by_name() {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/keras.zip");
    let folder = TempDir::new().unwrap();
    zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap().extract(folder.path()).unwrap();
    let file = KerasFile::open(&folder.path().join("lambda.keras")).unwrap();
    let error = freeze::freeze(&file, Options::default()).unwrap_err();
    let text = error.to_string();
    for part in ["lambda.keras", "`half` (Lambda)", "never executed", "hint: rebuild"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(matches!(error, FreezeError::Refused { layers, .. } if layers.len() == 1));
}
