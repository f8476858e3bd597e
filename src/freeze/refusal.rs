//! What cannot be converted, by the names of the layers, and what to do about it.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

use super::layer;
use crate::keras::{KerasError, KerasFile, Layer};

/// Most layers that a message lists.
const MOST_LISTED: usize = 12;

/// Why a model cannot be frozen.
#[derive(Debug)]
#[non_exhaustive]
pub enum FreezeError {
    /// The file cannot be read.
    Keras(KerasError),
    /// Some of its layers cannot be converted.
    Refused {
        /// The file.
        path: PathBuf,
        /// The layers, and why.
        layers: Vec<Refused>,
    },
    /// Some operations of its graph cannot be converted.
    Operations {
        /// The file.
        path: PathBuf,
        /// The operations, and why.
        operations: Vec<Refused>,
    },
    /// Its parts contradict each other, or it is larger than any that is known.
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is no folder to put the frozen model in.
    NoPlace {
        /// The file.
        path: PathBuf,
        /// The folders that were tried, as lines, each with what stood against it.
        tried: String,
    },
}

/// One layer that cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name, behind those of the models around it.
    pub layer: String,
    /// Its class.
    pub class: String,
    /// Why, as the end of a sentence about it.
    pub reason: String,
}

impl FreezeError {
    /// What a person does next.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let layers = match self {
            Self::Refused { layers, .. } => layers,
            Self::Operations { operations, .. } => {
                let told = |refused: &Refused| {
                    let reason = &refused.reason;
                    reason.contains("save the model") || reason.contains("`model-input`")
                };
                let size = operations.iter().any(|refused| refused.reason.contains("--size"));
                return (!size && !operations.iter().any(told)).then_some(
                    "take the `.keras` or `.h5` file of the same model when there is one, or \
                     convert it where TensorFlow is with `python -m tf2onnx.convert`",
                );
            }
            _ => return None,
        };
        let code = layers.iter().any(|layer| layer.reason.contains("Python code"));
        let size = layers.iter().any(|layer| layer.reason.contains("--size"));
        Some(if code {
            "rebuild the model with built-in layers in their places (Rescaling for `x / 255`, \
             Activation for a function), load its weights into it, and save it with \
             model.save('model.keras'); or export it to ONNX where its code runs"
        } else if size {
            "say the size of the images with `--size HEIGHTxWIDTH`"
        } else {
            "export the model to ONNX where Keras runs, with model.export('model.onnx', \
             format='onnx'), and tell us about the layer"
        })
    }
}

impl fmt::Display for FreezeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keras(error) => return error.fmt(f),
            Self::Unusable { path, what } => {
                return write!(f, "cannot freeze {}: {what}", path.display());
            }
            Self::NoPlace { path, tried } => {
                return write!(
                    f,
                    "cannot keep what {} was frozen to:\n{tried}\nhint: name a folder that you \
                     may write to with LINNAEUS_CACHE_DIR, or freeze it to a file yourself with \
                     `linnaeus freeze`",
                    path.display()
                );
            }
            Self::Refused { path, layers } => list(f, path, ("layer", layers))?,
            Self::Operations { path, operations } => list(f, path, ("operation", operations))?,
        }
        match self.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    path: &Path,
    (kind, refused): (&str, &[Refused]),
) -> fmt::Result {
    write!(f, "cannot freeze {}: ", path.display())?;
    for (at, Refused { layer, class, reason }) in refused.iter().take(MOST_LISTED).enumerate() {
        let separator = if at > 0 { "; " } else { "" };
        write!(f, "{separator}{kind} `{layer}` ({class}): {reason}")?;
    }
    match refused.len().saturating_sub(MOST_LISTED) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

impl Error for FreezeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Keras(error) => error.source(),
            _ => None,
        }
    }
}

impl From<KerasError> for FreezeError {
    fn from(error: KerasError) -> Self {
        Self::Keras(error)
    }
}

impl FreezeError {
    /// One layer, refused.
    pub(super) fn one(path: &Path, name: String, layer: &Layer, reason: String) -> Self {
        let refused = Refused { layer: name, class: layer.class.clone(), reason };
        Self::Refused { path: path.to_owned(), layers: vec![refused] }
    }
}

/// Refuses every layer whose class has no conversion, all of them at once.
pub(super) fn look_over(file: &KerasFile) -> Result<(), FreezeError> {
    let layers = refused_layers(file);
    if layers.is_empty() {
        return Ok(());
    }
    Err(FreezeError::Refused { path: file.path().to_owned(), layers })
}

/// The layers whose class has no conversion.
pub(super) fn refused_layers(file: &KerasFile) -> Vec<Refused> {
    let mut layers = Vec::new();
    for (path, layer) in file.model().walk() {
        if layer.model.is_some() || layer.is_input() {
            continue;
        }
        if let Some(reason) = reason(layer) {
            layers.push(Refused { layer: path.join("/"), class: layer.class.clone(), reason });
        }
    }
    layers
}

fn reason(layer: &Layer) -> Option<String> {
    let class = layer.class.as_str();
    if layer::is_known_lambda(layer) {
        return None;
    }
    if layer.is_opaque() {
        return Some(match class {
            "Lambda" => "it is Python code, which is never executed".to_owned(),
            _ => "it is no layer of Keras, and only its Python code knows what it does".to_owned(),
        });
    }
    // Operations have no list of classes: each says itself whether it is known.
    if layer::is_known(class) || layer.is_operation() {
        return None;
    }
    let quantised = layer.config.get("dtype").is_some_and(|d| d.to_string().contains("Quantized"));
    let reason =
        if quantised { "it is quantised" } else { "linnaeus has no conversion for its class" };
    Some(reason.to_owned())
}
