//! TensorFlow graphs.

use std::path::Path;

use linnaeus::{
    freeze::{self, Options},
    graphdef::GraphFile,
};

/// A frozen graph.
pub fn graph(bytes: &[u8]) {
    super::with_file("graph.pb", bytes, examine);
}

/// A `SavedModel` folder.
pub fn graph_folder(files: &[(&str, &[u8])]) {
    super::with_folder(files, examine);
}

fn examine(path: &Path) {
    let file = match GraphFile::open(path) {
        Ok(file) => file,
        Err(error) => return drop(error.to_string()),
    };
    _ = (file.operations(), file.parts());
    match freeze::freeze_graph(&file, Options::default()) {
        Ok(frozen) => drop(frozen.model.to_bytes()),
        Err(error) => drop(error.to_string()),
    }
}
