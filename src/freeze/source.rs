//! What can be frozen.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{FreezeError, Frozen, Options, freeze, freeze_graph};
use crate::{
    graphdef::GraphFile,
    keras::{Fault, KerasError, KerasFile},
};

/// What messages about a model say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// `Keras` or `TensorFlow`.
    pub program: &'static str,
    /// `layers` or `operations`.
    pub parts: &'static str,
}

/// A model of another format, opened.
pub trait Source {
    /// The file or folder.
    fn path(&self) -> &Path;

    /// The files that it consists of, in a fixed order.
    ///
    /// # Errors
    ///
    /// A folder cannot be listed.
    fn parts(&self) -> io::Result<Vec<PathBuf>>;

    /// What a person calls it.
    fn container(&self) -> &'static str;

    /// What was said about it beside its files and [`Options`].
    fn said(&self) -> Option<&str> {
        None
    }

    /// Who computes with it, and what its parts are called.
    fn words(&self) -> Words;

    /// The Keras that wrote it, when it says so.
    fn keras_version(&self) -> Option<&str>;

    /// Freezes it.
    ///
    /// # Errors
    ///
    /// Those of [`freeze`] and [`freeze_graph`].
    fn freeze(&self, options: Options) -> Result<Frozen, FreezeError>;
}

impl Source for KerasFile {
    fn path(&self) -> &Path {
        self.path()
    }

    fn parts(&self) -> io::Result<Vec<PathBuf>> {
        self.parts()
    }

    fn container(&self) -> &'static str {
        self.container().name()
    }

    fn words(&self) -> Words {
        Words { program: "Keras", parts: "layers" }
    }

    fn keras_version(&self) -> Option<&str> {
        self.keras_version()
    }

    fn freeze(&self, options: Options) -> Result<Frozen, FreezeError> {
        freeze(self, options)
    }
}

impl Source for GraphFile {
    fn path(&self) -> &Path {
        self.path()
    }

    fn parts(&self) -> io::Result<Vec<PathBuf>> {
        self.parts()
    }

    fn container(&self) -> &'static str {
        self.container()
    }

    fn said(&self) -> Option<&str> {
        self.input_said()
    }

    fn words(&self) -> Words {
        Words { program: "TensorFlow", parts: "operations" }
    }

    fn keras_version(&self) -> Option<&str> {
        None
    }

    fn freeze(&self, options: Options) -> Result<Frozen, FreezeError> {
        freeze_graph(self, options)
    }
}

impl dyn Source {
    /// Opens a Keras model, or a TensorFlow graph that says nothing of layers. With `input`, a graph
    /// whose images are fed to the tensor of that name.
    ///
    /// # Errors
    ///
    /// That of the Keras model when it is neither, else that of the graph.
    pub fn open(path: &Path, input: Option<&str>) -> Result<Box<Self>, KerasError> {
        if let Some(input) = input {
            return Ok(Box::new(GraphFile::open(path)?.with_input(input)));
        }
        match KerasFile::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if is_of_no_layers(error.fault()) => match GraphFile::open(path) {
                Ok(file) => Ok(Box::new(file)),
                // What it is not says more than what it could have been.
                Err(other) if matches!(other.fault(), Fault::Foreign { .. }) => Err(error),
                Err(other) => Err(other),
            },
            Err(error) => Err(error),
        }
    }
}

/// Whether a model may be one whose graph is all there is.
fn is_of_no_layers(fault: &Fault) -> bool {
    matches!(fault, Fault::Foreign { .. } | Fault::Unsupported { .. } | Fault::Subclassed { .. })
}
