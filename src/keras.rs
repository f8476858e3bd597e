//! Keras models without Python: which layers they have, and their weights.
//!
//! A path comes in, a `KerasFile` goes out. All writers from Keras 1.2 to 3 are read, from HDF5
//! files, archives, and `SavedModel` folders. Nothing in a model is executed, no link inside it is
//! followed, and every size has a limit.

use std::{
    fs::{self, File},
    path::Path,
};

use serde_json::Value;

mod archive;
mod call;
mod config;
mod container;
mod dialect;
mod error;
mod hdf5;
mod json;
mod protobuf;
mod saved_model;
mod section;
mod silent;
mod tensor;
mod weights;

use archive::Archive;
pub use call::{Argument, Call, TensorRef};
pub use config::{Input, Kind, Layer, Model};
pub use container::Container;
pub use dialect::is_own_package;
pub use error::{Fault, KerasError};
use hdf5::{Hdf5, Outline};
pub(crate) use protobuf::Shape;
pub use saved_model::{Signature, SignatureTensor, signatures};
use section::Section;
pub use silent::is_silent;
pub use tensor::{Element, Tensor, Values};
pub use weights::Weight;
pub(crate) use weights::{Store, bundle::Bundle};

/// Most bytes of a model's JSON; the largest of `keras.applications` has 1.5 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Most bytes of compressed weights once inflated; uncompressed ones are read in place.
const MAX_WEIGHT_BYTES: u64 = 4 << 30;

/// An opened Keras model.
pub struct KerasFile {
    path: std::path::PathBuf,
    container: Container,
    keras_version: Option<String>,
    backend: Option<String>,
    model: Model,
    arrays: Arrays,
}

/// Where the weights are.
enum Arrays {
    Legacy(Hdf5),
    V3(Hdf5),
    Bundle(Bundle),
    /// They could not be opened; the layers are there all the same.
    Missing(String),
}

impl Store for Hdf5 {
    fn outline(&self, place: &str) -> Result<(Vec<usize>, Element), Fault> {
        let Outline { shape, element } = Hdf5::outline(self, place)?;
        Ok((shape, element))
    }

    fn read(&self, place: &str) -> Result<Tensor, Fault> {
        Hdf5::read(self, place)
    }
}

impl KerasFile {
    /// Opens a model: an archive or HDF5 file, or a folder. The content decides, not the name.
    ///
    /// # Errors
    ///
    /// [`Fault::Foreign`] for files of other kinds, [`Fault::WeightsOnly`], [`Fault::Subclassed`],
    /// [`Fault::Unsupported`] for saved models without layers, and damage; each with what to do.
    pub fn open(path: &Path) -> Result<Self, KerasError> {
        let opened = container::recognise(path).and_then(|(container, path)| match container {
            Container::Archive => Self::archive(&path),
            Container::Hdf5 => Self::hdf5(&path),
            Container::Folder => Self::folder(&path),
            Container::SavedModel => Self::saved_model(&path),
        });
        opened.map_err(|fault| fault.at(path))
    }

    fn archive(path: &Path) -> Result<Self, Fault> {
        let mut archive = Archive::open(path)?;
        let Some(config) = archive.text("config.json", MAX_JSON_BYTES)? else {
            let names = archive.names().join(", ");
            let what = format!("a zip without config.json (it has {names})");
            let hint = "a Keras archive is the .keras file itself; unpack the zip around it";
            return Err(Fault::Foreign { what, hint: hint.to_owned() });
        };
        let metadata = archive.text("metadata.json", MAX_JSON_BYTES)?;
        let weights = archive.section("model.weights.h5", MAX_WEIGHT_BYTES);
        let missing = || "model.weights.h5 is not in the archive".to_owned();
        let arrays = match weights.map(|section| section.map(Hdf5::open)) {
            Ok(Some(Ok(file))) => Arrays::V3(file),
            Ok(Some(Err(fault))) | Err(fault) => Arrays::Missing(cause(&fault)),
            Ok(None) => Arrays::Missing(missing()),
        };
        Self::v3(path, Container::Archive, (&config, metadata.as_deref()), arrays)
    }

    fn folder(path: &Path) -> Result<Self, Fault> {
        let read = |name: &str| -> Result<String, Fault> {
            let path = path.join(name);
            let length = fs::metadata(&path).map_err(Fault::Unreadable)?.len();
            Fault::within(name, length, MAX_JSON_BYTES)?;
            fs::read_to_string(path).map_err(Fault::Unreadable)
        };
        let weights = File::open(path.join("model.weights.h5")).and_then(Section::whole);
        let arrays = match weights.map_err(Fault::Unreadable).and_then(Hdf5::open) {
            Ok(file) => Arrays::V3(file),
            Err(fault) => Arrays::Missing(cause(&fault)),
        };
        let texts = (&*read("config.json")?, read("metadata.json").ok());
        Self::v3(path, Container::Folder, (texts.0, texts.1.as_deref()), arrays)
    }

    fn v3(
        path: &Path,
        container: Container,
        (config, metadata): (&str, Option<&str>),
        arrays: Arrays,
    ) -> Result<Self, Fault> {
        let model = json::parsed(config, "config.json")?;
        let metadata = metadata.and_then(|text| json::parsed(text, "metadata.json").ok());
        let version =
            metadata.as_ref().and_then(|metadata| metadata.get("keras_version")?.as_str());
        Ok(Self {
            path: path.to_owned(),
            container,
            keras_version: version.map(str::to_owned),
            backend: None,
            model: Model::parse(&model)?,
            arrays,
        })
    }

    fn hdf5(path: &Path) -> Result<Self, Fault> {
        let section = File::open(path).and_then(Section::whole).map_err(Fault::Unreadable)?;
        let file = Hdf5::open(section)?;
        let Some(config) = file.text("", "model_config")? else {
            return Err(without_config(&file));
        };
        Fault::within("model_config", config.len() as u64, MAX_JSON_BYTES)?;
        let of = |name: &str| match file.text("", name) {
            Ok(None) | Err(_) => file.text("model_weights", name).ok().flatten(),
            Ok(found) => found,
        };
        Ok(Self {
            path: path.to_owned(),
            container: Container::Hdf5,
            keras_version: of("keras_version"),
            backend: of("backend"),
            model: Model::parse(&json::parsed(&config, "model_config")?)?,
            arrays: Arrays::Legacy(file),
        })
    }

    fn saved_model(path: &Path) -> Result<Self, Fault> {
        let metadata = saved_model::metadata(path)?;
        let arrays = match Bundle::open(path) {
            Ok(bundle) => Arrays::Bundle(bundle),
            Err(fault) => Arrays::Missing(cause(&fault)),
        };
        Ok(Self {
            path: path.to_owned(),
            container: Container::SavedModel,
            keras_version: metadata.keras_version,
            backend: metadata.model.get("backend").and_then(Value::as_str).map(str::to_owned),
            model: Model::parse(&metadata.model)?,
            arrays,
        })
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that it consists of, in a fixed order.
    ///
    /// # Errors
    ///
    /// A folder cannot be listed.
    pub fn parts(&self) -> std::io::Result<Vec<std::path::PathBuf>> {
        let mut parts = match self.container {
            Container::Archive | Container::Hdf5 => return Ok(vec![self.path.clone()]),
            Container::Folder => vec!["config.json", "metadata.json", "model.weights.h5"],
            Container::SavedModel => vec!["saved_model.pb", "keras_metadata.pb"],
        }
        .into_iter()
        .map(|name| self.path.join(name))
        .filter(|path| path.is_file())
        .collect::<Vec<_>>();
        if self.container == Container::SavedModel {
            let mut variables = Vec::new();
            for entry in fs::read_dir(self.path.join("variables"))? {
                variables.push(entry?.path());
            }
            variables.retain(|path| path.is_file());
            variables.sort_unstable();
            parts.extend(variables);
        }
        Ok(parts)
    }

    /// The container.
    #[must_use]
    pub fn container(&self) -> Container {
        self.container
    }

    /// The Keras that wrote it, such as `2.12.0`, when it says so.
    #[must_use]
    pub fn keras_version(&self) -> Option<&str> {
        self.keras_version.as_deref()
    }

    /// The backend that wrote it, such as `tensorflow`, when it says so.
    #[must_use]
    pub fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// The layers.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Layers that cannot be understood without running their Python code, with the names of the
    /// models around them: `Lambda`, and classes that are not Keras's own.
    #[must_use]
    pub fn opaque_layers(&self) -> Vec<(Vec<&str>, &Layer)> {
        let mut layers = self.model.walk();
        layers.retain(|(_, layer)| layer.is_opaque());
        layers
    }

    /// Every array of weights, in the order of the layers. Reads their shapes alone.
    ///
    /// # Errors
    ///
    /// When the weights cannot be opened, or do not fit the layers.
    pub fn weight_index(&self) -> Result<Vec<Weight>, KerasError> {
        let placed = match &self.arrays {
            Arrays::Legacy(file) => weights::legacy::place(file, &self.model),
            Arrays::V3(file) => weights::v3::place(file, &self.model),
            Arrays::Bundle(bundle) => bundle.place(&self.model),
            Arrays::Missing(why) => Err(Fault::Damaged(format!("no weights: {why}"))),
        };
        let weights = placed.and_then(|placed| weights::index(self.store()?, placed));
        weights.map_err(|fault| fault.at(&self.path))
    }

    /// Reads one array.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is over 2 GiB.
    pub fn read(&self, weight: &Weight) -> Result<Tensor, KerasError> {
        let read = self.store().and_then(|store| store.read(&weight.place));
        read.map_err(|fault| fault.at(&self.path))
    }

    /// Reads the arrays of one layer, in their order. `layer` is its name, behind those of the
    /// models that it is nested in. A layer without weights has none.
    ///
    /// # Errors
    ///
    /// Those of [`KerasFile::weight_index`] and [`KerasFile::read`].
    pub fn weights(&self, layer: &[&str]) -> Result<Vec<Tensor>, KerasError> {
        let index = self.weight_index()?;
        index.iter().filter(|weight| weight.layer == layer).map(|w| self.read(w)).collect()
    }

    fn store(&self) -> Result<&dyn Store, Fault> {
        match &self.arrays {
            Arrays::Legacy(file) | Arrays::V3(file) => Ok(file),
            Arrays::Bundle(bundle) => Ok(bundle),
            Arrays::Missing(why) => Err(Fault::Damaged(format!("no weights: {why}"))),
        }
    }
}

impl Layer {
    /// Whether only its Python code knows what it does.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        let operation = self.is_operation() && self.class != "Lambda";
        self.model.is_none()
            && !dialect::is_of_applications(&self.class, self.package.as_deref(), &self.config)
            && !dialect::is_built_in(&self.class, self.package.as_deref(), operation)
    }

    /// Whether it is an operation of Keras 3 between layers. Those have no settings that layers
    /// have, but for the type that `Cast` makes.
    #[must_use]
    pub fn is_operation(&self) -> bool {
        let package = self.package.as_deref().unwrap_or_default();
        let bare = !["trainable", "dtype"].iter().any(|key| self.config.contains_key(*key));
        package.starts_with("keras.src.ops")
            || package.starts_with("keras.ops")
            || self.class == "Cast"
            || bare && !self.is_input()
    }
}

/// A fault without its levels.
fn cause(fault: &Fault) -> String {
    crate::error::with_causes(fault)
}

/// Why an HDF5 file without `model_config` is no model.
fn without_config(file: &Hdf5) -> Fault {
    let groups = file.groups("").unwrap_or_default();
    let has = |name: &str| groups.iter().any(|group| group == name);
    if matches!(file.texts("", "layer_names"), Ok(Some(_))) {
        return Fault::WeightsOnly { evidence: "layer_names and no model_config".to_owned() };
    }
    let lists = ["layers", "_layer_checkpoint_dependencies"];
    match lists.iter().find(|name| has(name) || groups.iter().any(|g| g.starts_with(*name))) {
        Some(list) => Fault::WeightsOnly { evidence: format!("a group `{list}`, no model_config") },
        None => Fault::Foreign {
            what: "an HDF5 file".to_owned(),
            hint: "a Keras model has the attribute model_config; model.save('model.keras') \
                   writes one that has everything"
                .to_owned(),
        },
    }
}
