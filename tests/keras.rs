//! Keras models of every container, held to `golden/keras.json`: what Keras itself says of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, io, path::Path};

use linnaeus::keras::{Container, Fault, KerasFile, Kind, Model, signatures};
use serde_json::Value;
use tempfile::TempDir;

mod keras_models;

use keras_models::{golden, models};

fn opened(folder: &TempDir, name: &str) -> KerasFile {
    KerasFile::open(&folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn sides(value: &Value) -> Vec<Option<usize>> {
    let side = |side: &Value| side.as_u64().map(|side| usize::try_from(side).unwrap());
    value.as_array().unwrap().iter().map(side).collect()
}

/// Layers as Keras lists them: without the input layer of a chain, which `model.layers` leaves out.
fn listed(model: &Model) -> Vec<&str> {
    let chain = model.kind == Kind::Sequential;
    let layers = model.layers.iter().filter(|layer| !(chain && layer.is_input()));
    layers.map(|layer| layer.name.as_str()).collect()
}

#[test]
fn layers_and_shapes_are_those_that_keras_lists() {
    let (folder, golden) = (models(), golden());
    let models = golden["models"].as_object().unwrap();
    assert!(models.len() > 20);
    for (name, said) in models {
        let file = opened(&folder, name);
        let model = file.model();
        assert_eq!(model.name, said["name"].as_str().unwrap(), "{name}");
        assert_eq!(model.kind == Kind::Sequential, said["sequential"] == true, "{name}");
        assert_eq!(listed(model), texts(&said["top_layers"]), "{name}");
        let inputs = model.input_layers();
        assert_eq!(inputs.len(), 1, "{name}");
        assert_eq!(inputs[0].shape, sides(&said["input_shape"]), "{name}");
        let classes: Vec<_> = said["leaves"].as_array().unwrap().iter().collect();
        let leaves = model.walk().into_iter();
        let leaves: Vec<_> = leaves.filter(|(_, l)| l.model.is_none() && !l.is_input()).collect();
        assert_eq!(leaves.len(), classes.len(), "{name}");
        for ((path, layer), said) in leaves.iter().zip(classes) {
            assert_eq!(*path, texts(&said["path"]), "{name}");
            assert_eq!(layer.class, said["class"].as_str().unwrap(), "{name}");
        }
    }
}

#[test]
fn every_layer_gets_its_own_weights() {
    let (folder, golden) = (models(), golden());
    for (name, said) in golden["models"].as_object().unwrap() {
        let file = opened(&folder, name);
        let index = file.weight_index().unwrap_or_else(|error| panic!("{name}: {error}"));
        let count: usize = index.iter().map(|weight| weight.shape.iter().product::<usize>()).sum();
        // Keras counts the state of random generators among the parameters.
        let seeds = file.model().walk().iter().filter(|(_, l)| is_random(&l.class)).count() * 2;
        let counted = usize::try_from(said["params"].as_u64().unwrap()).unwrap();
        assert!(count == counted || count + seeds == counted, "{name}: {count}, not {counted}");
        for leaf in said["leaves"].as_array().unwrap() {
            let path = texts(&leaf["path"]);
            let roles: Vec<_> = index.iter().filter(|weight| weight.layer == path).collect();
            let roles: Vec<_> = roles.iter().map(|weight| weight.role.as_str()).collect();
            assert_eq!(roles, texts(&leaf["names"]), "{name}: {path:?}");
            let tensors = file.weights(&path).unwrap();
            let shapes: Vec<_> = tensors.iter().map(|tensor| tensor.shape.clone()).collect();
            let expected: Vec<Vec<usize>> = (leaf["shapes"].as_array().unwrap().iter())
                .map(|shape| sides(shape).into_iter().map(Option::unwrap).collect())
                .collect();
            assert_eq!(shapes, expected, "{name}: {path:?}");
            for (tensor, sum) in tensors.iter().zip(leaf["sums"].as_array().unwrap()) {
                let found: f64 = tensor.to_f32().iter().map(|&value| f64::from(value)).sum();
                let sum = sum.as_f64().unwrap();
                assert!(
                    (found - sum).abs() < 1e-9 * sum.abs().max(1.0),
                    "{name}: {path:?}: {found}, not {sum}"
                );
            }
        }
    }
}

fn is_random(class: &str) -> bool {
    class.starts_with("Random") || class == "Dropout"
}

#[test]
fn containers_are_told_by_their_content() {
    let folder = models();
    for (name, container, version) in [
        ("rescaling.keras", Container::Archive, Some("3.15.1")),
        ("deflated.keras", Container::Archive, Some("3.15.1")),
        ("rescaling_2.keras", Container::Archive, Some("2.21.0")),
        ("sequential_3.h5", Container::Hdf5, Some("3.15.1")),
        ("sequential_2.h5", Container::Hdf5, Some("2.21.0")),
        ("unzipped", Container::Folder, Some("3.15.1")),
        ("saved_model", Container::SavedModel, Some("2.21.0")),
        ("saved_model/saved_model.pb", Container::SavedModel, Some("2.21.0")),
    ] {
        let file = opened(&folder, name);
        assert_eq!((file.container(), file.keras_version()), (container, version), "{name}");
    }
    // TensorFlow up to 2.12 wrote HDF5 under the name of archives; others put a block in front.
    let hdf5 = fs::read(folder.path().join("sequential_3.h5")).unwrap();
    for front in [0, 512, 2048] {
        let path = folder.path().join("renamed.keras");
        fs::write(&path, [vec![0; front], hdf5.clone()].concat()).unwrap();
        let file = KerasFile::open(&path).unwrap();
        assert_eq!(file.container(), Container::Hdf5);
        assert_eq!(file.weights(&["logits"]).unwrap()[0].shape, [676, 10]);
    }
}

#[test]
fn what_is_no_model_is_refused_by_name_and_with_the_next_step() {
    let folder = models();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("pointer.keras", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
    write("m.tflite", b"\x1c\0\0\0TFL3\0\0\0\0");
    // A graph of a placeholder `x` and a softmax `y` of it.
    write(
        "graph.pb",
        b"\x0a\x10\x0a\x01x\x12\x0bPlaceholder\x0a\x0f\x0a\x01y\x12\x07Softmax\x1a\x01x",
    );
    write("empty.h5", b"");
    write("model.json", b"{\"class_name\": \"Sequential\"}");
    fs::create_dir(folder.path().join("nothing")).unwrap();
    for (name, what, hint) in [
        ("only_2.h5", "only weights (layer_names", "model.save('model.keras')"),
        ("only_3.weights.h5", "only weights (a group `layers`", "model.save('model.keras')"),
        ("pointer.keras", "Git LFS pointer", "git lfs pull"),
        ("m.tflite", "TensorFlow Lite", "tf2onnx"),
        ("graph.pb", "frozen TensorFlow graph of 2", "--inputs x:0 --outputs y:0"),
        ("empty.h5", "empty file", "again"),
        ("model.json", "JSON of an architecture", "model.save"),
        ("nothing", "a folder without a model", "saved_model.pb"),
    ] {
        let error = KerasFile::open(&folder.path().join(name)).err().unwrap().to_string();
        assert!(error.contains(what) && error.contains(hint) && error.contains(name), "{error}");
    }
    let absent = KerasFile::open(&folder.path().join("absent.h5")).err().unwrap();
    assert!(
        matches!(absent.fault(), Fault::Unreadable(cause) if cause.kind() == io::ErrorKind::NotFound)
    );
}

#[test]
fn python_code_in_a_model_is_named() {
    let folder = models();
    let file = opened(&folder, "lambda.keras");
    let opaque = file.opaque_layers();
    let names: Vec<_> = opaque.iter().map(|(path, layer)| (path.clone(), &*layer.class)).collect();
    assert_eq!(names, [(vec!["half"], "Lambda")]);
    for name in golden()["models"].as_object().unwrap().keys().filter(|n| *n != "lambda.keras") {
        let file = opened(&folder, name);
        assert!(file.opaque_layers().is_empty(), "{name}: {:?}", file.opaque_layers());
    }
}

#[test]
fn signatures_are_those_that_tensorflow_lists() {
    let folder = models();
    let found = signatures(&folder.path().join("saved_model")).unwrap();
    let golden = golden();
    let said = golden["signatures"].as_array().unwrap();
    assert_eq!(found.len(), said.len());
    for (found, said) in found.iter().zip(said) {
        assert_eq!(found.tags, texts(&said["tags"]));
        assert_eq!(
            (&*found.key, &*found.method),
            (said["key"].as_str().unwrap(), said["method"].as_str().unwrap())
        );
        for (found, said) in [(&found.inputs, &said["inputs"]), (&found.outputs, &said["outputs"])]
        {
            let found: Vec<_> = (found.iter())
                .map(|t| (t.key.as_str(), t.name.as_str(), t.dtype.as_str(), t.shape.clone()))
                .collect();
            let said: Vec<_> = (said.as_array().unwrap().iter())
                .map(|t| {
                    let text = |key: &str| t[key].as_str().unwrap();
                    let shape = t["shape"].as_array().map(|_| sides(&t["shape"]));
                    (text("key"), text("name"), text("dtype"), shape)
                })
                .collect();
            assert_eq!(found, said);
        }
    }
}

/// Small, repeatable numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// Everything that can be asked of a model; the answers do not matter, only that they come.
fn ask_everything(path: &Path) -> bool {
    let Ok(file) = KerasFile::open(path) else { return false };
    let _ = (file.model().walk().len(), file.opaque_layers().len());
    let Ok(index) = file.weight_index() else { return false };
    index.iter().all(|weight| file.read(weight).is_ok())
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let folder = models();
    let place = folder.path().join("damaged");
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut refused = 0;
    for name in ["nested.keras", "deflated.keras", "mode_tf_2.h5", "nested_3.h5"] {
        let whole = fs::read(folder.path().join(name)).unwrap();
        for step in 0..24 {
            fs::write(&place, &whole[..whole.len() * step / 24]).unwrap();
            assert!(!ask_everything(&place), "{name} cut at {step}/24 is whole");
        }
        for _ in 0..120 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] =
                    [0, 0xFF, 0x80, u8::try_from(random.below(256)).unwrap()][random.below(4)];
            }
            fs::write(&place, bytes).unwrap();
            refused += usize::from(!ask_everything(&place));
        }
    }
    assert!(refused > 20, "only {refused} of 480 damaged files were noticed");
}

#[test]
fn damaged_saved_models_are_errors_and_never_panics() {
    let folder = models();
    let root = folder.path().join("saved_model");
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for name in ["keras_metadata.pb", "saved_model.pb", "variables/variables.index"] {
        let whole = fs::read(root.join(name)).unwrap();
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256)).unwrap();
            }
            bytes.truncate(random.below(4 * whole.len()).max(1));
            fs::write(root.join(name), bytes).unwrap();
            ask_everything(&root);
            let _ = signatures(&root);
        }
        fs::write(root.join(name), &whole).unwrap();
    }
    assert!(ask_everything(&root));
}
