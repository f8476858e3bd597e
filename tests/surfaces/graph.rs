//! TensorFlow graphs.

use std::{fs, path::Path};

use linnaeus::{
    freeze::{self, Options},
    graphdef::GraphFile,
};

/// A frozen graph.
pub fn graph(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph.pb");
    fs::write(&path, bytes).unwrap();
    examine(&path);
}

/// A `SavedModel` folder.
pub fn graph_folder(files: &[(&str, &[u8])]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    examine(folder.path());
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
