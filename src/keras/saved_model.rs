//! TensorFlow's `SavedModel` folders: their signatures, and the layers that Keras 2 wrote into them.

use std::{collections::BTreeMap, fs, path::Path};

use prost::Message;
use serde_json::Value;

use super::{
    error::{Fault, KerasError},
    json,
    protobuf::{KerasMetadata, SavedModel, TensorInfo},
};

/// Most bytes of `saved_model.pb` and `keras_metadata.pb`; protobuf itself ends at 2 GiB.
const MAX_MESSAGE_BYTES: u64 = 1 << 30;

/// One way to call a saved model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Tags of the graph that it belongs to, such as `serve`.
    pub tags: Vec<String>,
    /// Its key, such as `serving_default`.
    pub key: String,
    /// Its method, such as `tensorflow/serving/predict`.
    pub method: String,
    /// What goes in, by key.
    pub inputs: Vec<SignatureTensor>,
    /// What comes out, by key.
    pub outputs: Vec<SignatureTensor>,
}

/// One tensor of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureTensor {
    /// Its key in the signature.
    pub key: String,
    /// Its name in the graph, such as `serving_default_input_1:0`.
    pub name: String,
    /// Element type as TensorFlow prints it, such as `DT_FLOAT`.
    pub dtype: String,
    /// Its sides; `None` inside is open, `None` as a whole is an unknown rank.
    pub shape: Option<Vec<Option<usize>>>,
}

/// Lists the signatures of a `SavedModel` folder, whoever wrote it, in the order of the file and by
/// key: what `saved_model_cli show --all` prints.
///
/// # Errors
///
/// When `saved_model.pb` is missing, over 1 GiB, or no message of that kind.
pub fn signatures(folder: &Path) -> Result<Vec<Signature>, KerasError> {
    let saved = read_saved_model(folder).map_err(|fault| fault.at(folder))?;
    let mut found = Vec::new();
    for graph in saved.meta_graphs {
        let tags = graph.info.map(|info| info.tags).unwrap_or_default();
        for (key, signature) in graph.signatures {
            found.push(Signature {
                tags: tags.clone(),
                key,
                method: signature.method,
                inputs: tensors(signature.inputs),
                outputs: tensors(signature.outputs),
            });
        }
    }
    Ok(found)
}

fn tensors(tensors: BTreeMap<String, TensorInfo>) -> Vec<SignatureTensor> {
    let tensor = |(key, info): (String, TensorInfo)| SignatureTensor {
        key,
        name: info.name,
        dtype: type_name(info.dtype),
        shape: info
            .shape
            .filter(|shape| !shape.unknown_rank)
            .map(|shape| shape.dims.iter().map(|dim| usize::try_from(dim.size).ok()).collect()),
    };
    tensors.into_iter().map(tensor).collect()
}

/// Names of `DataType` in TensorFlow's `types.proto`.
fn type_name(number: i32) -> String {
    const NAMES: [&str; 24] = [
        "INVALID",
        "FLOAT",
        "DOUBLE",
        "INT32",
        "UINT8",
        "INT16",
        "INT8",
        "STRING",
        "COMPLEX64",
        "INT64",
        "BOOL",
        "QINT8",
        "QUINT8",
        "QINT32",
        "BFLOAT16",
        "QINT16",
        "QUINT16",
        "UINT16",
        "COMPLEX128",
        "HALF",
        "RESOURCE",
        "VARIANT",
        "UINT32",
        "UINT64",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| format!("DT_{number}"), |name| format!("DT_{name}"))
}

fn read_message(path: &Path) -> Result<Vec<u8>, Fault> {
    let length = fs::metadata(path).map_err(Fault::Unreadable)?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Fault::within(&name, length, MAX_MESSAGE_BYTES)?;
    fs::read(path).map_err(Fault::Unreadable)
}

fn read_saved_model(folder: &Path) -> Result<SavedModel, Fault> {
    let bytes = read_message(&folder.join("saved_model.pb"))?;
    let saved = SavedModel::decode(&*bytes).map_err(Fault::container("saved_model.pb"))?;
    if saved.meta_graphs.is_empty() {
        return Err(Fault::damaged("saved_model.pb has no graph"));
    }
    Ok(saved)
}

/// What Keras 2 left in the folder.
pub(super) struct Metadata {
    /// The JSON of the model, with `class_name` and `config`.
    pub(super) model: Value,
    pub(super) keras_version: Option<String>,
}

/// Reads the layers: `keras_metadata.pb` from TensorFlow 2.5 on, before that the first object of
/// `saved_model.pb`.
///
/// # Errors
///
/// `Unsupported` when Keras 3's `export()` or TensorFlow alone wrote the folder; `Subclassed` when
/// the model is Python code.
pub(super) fn metadata(folder: &Path) -> Result<Metadata, Fault> {
    let (identifier, text) = match folder.join("keras_metadata.pb") {
        path if path.is_file() => {
            let bytes = read_message(&path)?;
            let found = KerasMetadata::decode(&*bytes);
            let found = found.map_err(Fault::container("keras_metadata.pb"))?;
            let root = found.nodes.into_iter().find(|node| node.path == "root");
            let root = root.ok_or_else(|| Fault::damaged("keras_metadata.pb has no root"))?;
            (root.identifier, root.metadata)
        }
        _ => {
            let saved = read_saved_model(folder)?;
            let objects = saved.meta_graphs.into_iter().filter_map(|graph| graph.objects);
            let first = objects.flat_map(|objects| objects.nodes).next();
            let first = first.and_then(|node| node.user).unwrap_or_default();
            (first.identifier, first.metadata)
        }
    };
    if text.trim().is_empty() || !identifier.starts_with("_tf_keras") {
        return Err(without_layers());
    }
    let model = json::parsed(&text, "Keras metadata")?;
    if !["_tf_keras_network", "_tf_keras_sequential", "_tf_keras_model"].contains(&&*identifier) {
        return Err(without_layers());
    }
    let keras_version = model.get("keras_version").and_then(Value::as_str).map(str::to_owned);
    Ok(Metadata { model, keras_version })
}

fn without_layers() -> Fault {
    Fault::Unsupported {
        what: "it is a TensorFlow SavedModel without a description of its layers, as Keras 3's \
               export() and TensorFlow itself write it"
            .to_owned(),
        hint: "take the `.keras` or `.h5` file of the same model (model.save('model.keras')), or \
               convert the folder where TensorFlow is: \
               python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
            .to_owned(),
    }
}
