//! Which container a path is, by its content and never by its name.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use prost::Message;

use super::{error::Fault, protobuf::GraphDef};

/// HDF5's signature; it stands at 0, 512, 1024, 2048 and so on.
const HDF5: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Places of the HDF5 signature that are looked at: up to 4 MiB.
const HDF5_PLACES: u32 = 14;

/// Most bytes of a frozen graph that is looked into for its inputs and outputs.
const MAX_GRAPH_BYTES: u64 = 1 << 30;

/// The containers of Keras models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A zip of JSON and weights: `.keras` of Keras 3, and of 2.12 on.
    Archive,
    /// One HDF5 file: `.h5`, and `.keras` of TensorFlow up to 2.12.
    Hdf5,
    /// A folder with `config.json` and `model.weights.h5`.
    Folder,
    /// A `SavedModel` folder of Keras 2.
    SavedModel,
}

impl Container {
    /// What a person calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Archive => "Keras archive",
            Self::Hdf5 => "Keras HDF5 file",
            Self::Folder => "unzipped Keras archive",
            Self::SavedModel => "TensorFlow SavedModel",
        }
    }
}

/// Finds what `path` is, and the path that it is to be read from: that of the folder when the path
/// is of `saved_model.pb` in it.
pub(super) fn recognise(path: &Path) -> Result<(Container, PathBuf), Fault> {
    let metadata = fs::metadata(path).map_err(Fault::Unreadable)?;
    if metadata.is_dir() {
        return recognise_folder(path).map(|container| (container, path.to_owned()));
    }
    if !metadata.is_file() {
        return Err(foreign("neither a file nor a folder", "give the model's file"));
    }
    let mut start = Vec::new();
    let mut file = File::open(path).map_err(Fault::Unreadable)?;
    file.by_ref().take(512).read_to_end(&mut start).map_err(Fault::Unreadable)?;
    if start.starts_with(b"PK\x03\x04") {
        return Ok((Container::Archive, path.to_owned()));
    }
    if start.starts_with(HDF5) || has_user_block(path).map_err(Fault::Unreadable)? {
        return Ok((Container::Hdf5, path.to_owned()));
    }
    let folder = path.parent().filter(|_| path.file_name().is_some_and(|n| n == "saved_model.pb"));
    match folder {
        Some(folder) => Ok((Container::SavedModel, folder.to_owned())),
        None => Err(named(path, &start)),
    }
}

fn recognise_folder(folder: &Path) -> Result<Container, Fault> {
    let has = |name: &str| folder.join(name).is_file();
    if has("saved_model.pb") {
        Ok(Container::SavedModel)
    } else if has("config.json") && has("model.weights.h5") {
        Ok(Container::Folder)
    } else if has("saved_model.pbtxt") {
        let hint = "save it again with tf.saved_model.save, which writes saved_model.pb";
        Err(Fault::Unsupported { what: "its graph is in text form".into(), hint: hint.into() })
    } else {
        let hint = "a folder of Keras has saved_model.pb, or config.json and model.weights.h5";
        Err(foreign("a folder without a model", hint))
    }
}

/// Whether HDF5 begins behind a user block.
fn has_user_block(path: &Path) -> std::io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    for place in (0..HDF5_PLACES).map(|power| 512u64 << power) {
        if place + 8 > length {
            break;
        }
        let mut found = [0; 8];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut found)?;
        if &found == HDF5 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn foreign(what: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault::Foreign { what: what.into(), hint: hint.into() }
}

/// A file that is no Keras model, by name.
fn named(path: &Path, start: &[u8]) -> Fault {
    let is = |at: usize, magic: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if start.is_empty() {
        return foreign("an empty file", "copy or download it again");
    }
    if is(0, b"version https://git-lfs") {
        return foreign(
            "a Git LFS pointer, not the file itself",
            "run `git lfs pull` in its folder",
        );
    }
    if is(4, b"TFL3") {
        let hint = "take the Keras file that it was made from, or convert it to ONNX with \
                    python -m tf2onnx.convert --tflite FILE --output model.onnx";
        return foreign("a TensorFlow Lite model", hint);
    }
    if start[0] == b'{' {
        let is_model = start.windows(12).any(|word| word == b"\"class_name\"");
        return if is_model {
            let hint = "save the whole model with model.save('model.keras')";
            foreign("the JSON of an architecture without weights", hint)
        } else {
            foreign("JSON", "give a .keras or .h5 file, or a SavedModel folder")
        };
    }
    if start[0] == 0x80 {
        return foreign("a Python pickle, which is never loaded", "export the model to ONNX");
    }
    if start[0] == 0x0A
        && let Some(graph) = frozen_graph(path)
    {
        return graph;
    }
    foreign("of an unknown kind", "give a .keras or .h5 file, or a SavedModel folder")
}

/// The refusal of a frozen graph, with the command that converts it; `None` when it is none.
fn frozen_graph(path: &Path) -> Option<Fault> {
    if fs::metadata(path).ok()?.len() > MAX_GRAPH_BYTES {
        return None;
    }
    let graph = GraphDef::decode(&*fs::read(path).ok()?).ok()?;
    if graph.nodes.is_empty() || graph.nodes.iter().any(|node| node.op.is_empty()) {
        return None;
    }
    let is_input = |op: &str| op == "Placeholder" || op == "PlaceholderV2";
    let list = |names: Vec<&str>| {
        let names: Vec<_> = names.iter().take(4).map(|name| format!("{name}:0")).collect();
        if names.is_empty() { "NAME:0".to_owned() } else { names.join(",") }
    };
    let inputs = graph.nodes.iter().filter(|node| is_input(&node.op)).map(|node| &*node.name);
    let used: std::collections::HashSet<&str> = (graph.nodes.iter())
        .flat_map(|node| &node.inputs)
        .map(|input| input.trim_start_matches('^').split(':').next().unwrap_or_default())
        .collect();
    let ends = |node: &&super::protobuf::NodeDef| {
        !used.contains(&*node.name)
            && !["NoOp", "Const"].contains(&&*node.op)
            && !is_input(&node.op)
    };
    let outputs = graph.nodes.iter().filter(ends).map(|node| &*node.name);
    Some(Fault::Foreign {
        what: format!("a frozen TensorFlow graph of {} operations", graph.nodes.len()),
        hint: format!(
            "convert it to ONNX where TensorFlow is: python -m tf2onnx.convert --graphdef {} \
             --inputs {} --outputs {} --output model.onnx",
            path.file_name().unwrap_or_default().to_string_lossy(),
            list(inputs.collect()),
            list(outputs.collect()),
        ),
    })
}
