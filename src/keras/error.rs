//! Why a file is no model that can be read, and what to do about it.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

/// What went wrong with one file or folder.
#[derive(Debug)]
pub struct KerasError {
    path: PathBuf,
    fault: Fault,
}

impl KerasError {
    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl fmt::Display for KerasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}", self.path.display(), self.fault)?;
        match self.fault.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for KerasError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// The kinds of faults.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is a file of another kind.
    #[error("it is {what}, not a Keras model")]
    Foreign {
        /// The kind, with its article.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Weights without the layers that they belong to.
    #[error("it contains only weights ({evidence}); the architecture is not in it")]
    WeightsOnly {
        /// What shows it.
        evidence: String,
    },
    /// A model whose layers are Python code.
    #[error("its model, `{class}`, is Python code and not a list of layers")]
    Subclassed {
        /// The class.
        class: String,
    },
    /// Something that is not read here.
    #[error("{what}")]
    Unsupported {
        /// What it is.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Its parts contradict each other, or end early.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The reader of a container failed.
    #[error("its {what} cannot be read")]
    Container {
        /// The part.
        what: String,
        /// The reader's words.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Larger than any model that is known.
    #[error("its {what} is {found}, over the limit of {limit}")]
    Limit {
        /// What is too large.
        what: String,
        /// Its value.
        found: u64,
        /// The limit.
        limit: u64,
    },
}

impl Fault {
    pub(crate) fn at(self, path: &Path) -> KerasError {
        KerasError { path: path.to_owned(), fault: self }
    }

    pub(crate) fn container<E>(what: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let what = what.into();
        move |source| Self::Container { what, source: source.into() }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// `found` when it is within the limit.
    pub(crate) fn within(what: &str, found: u64, limit: u64) -> Result<u64, Self> {
        if found <= limit {
            Ok(found)
        } else {
            Err(Self::Limit { what: what.to_owned(), found, limit })
        }
    }

    /// What a person does next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Foreign { hint, .. } | Self::Unsupported { hint, .. } => Some(hint),
            Self::WeightsOnly { .. } => Some(
                "build the model in Python, load these weights, and save the whole of it with \
                 model.save('model.keras')",
            ),
            Self::Subclassed { .. } => Some(
                "rebuild it with keras.Model(inputs, outputs) from built-in layers and save it \
                 with model.save('model.keras'), or export it to ONNX where its code runs",
            ),
            Self::Damaged(_) | Self::Container { .. } => Some(
                "copy or download it again; a complete file opens with keras.models.load_model",
            ),
            Self::Unreadable(_) | Self::Limit { .. } => None,
        }
    }
}
