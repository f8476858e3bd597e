//! Loads the decided library, once per process.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;

use crate::digest;
use crate::runtime::probe::{self, Opened};
use crate::runtime::{Located, Origin, RuntimeError};

/// A second environment in one process is an error of `ort`, so the first is kept for good.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded and started ONNX Runtime; clones share it.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    located: Located,
    environment: Environment,
    path: PathBuf,
    version: String,
    sha256: String,
    providers: Vec<String>,
}

impl Runtime {
    /// The environment to create sessions in. Telemetry is off.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// The library's absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Who decided for this library.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.located.origin
    }

    /// The version it reports, such as `1.31.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// SHA-256 of the library file, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// Execution providers compiled in, such as `CPUExecutionProvider`, the preferred first. That
    /// one is compiled in does not mean that this machine can use it.
    #[must_use]
    pub fn providers(&self) -> &[String] {
        &self.0.providers
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { located, path, version, .. } = &*self.0;
        formatter
            .debug_struct("Runtime")
            .field("origin", &located.origin)
            .field("path", path)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

pub(super) fn load(located: Located) -> Result<Runtime, RuntimeError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*loaded {
        if runtime.0.located == located {
            return Ok(runtime.clone());
        }
        return Err(RuntimeError::AlreadyLoaded { loaded: runtime.0.path.clone() });
    }
    probe::silence_telemetry();
    let (path, opened, memory) = open(&located)?;
    let runtime = start(located, path, opened)?;
    // `ort` opens the path once more, so memory behind it must live until here.
    drop(memory);
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

/// A library's path, the library, and the memory it lies in if it is no file.
type Open = (PathBuf, Opened, Option<File>);

fn open(located: &Located) -> Result<Open, RuntimeError> {
    let Some(path) = &located.path else { return open_carried() };
    let opened = probe::open(path, located.origin)?;
    Ok((path.clone(), opened, None))
}

#[cfg(feature = "bundled")]
fn open_carried() -> Result<Open, RuntimeError> {
    use crate::folders::{self, cache as places};
    use crate::runtime::bundle::PAYLOAD;
    use crate::runtime::cache::{self, Placed};

    let folders = places::caches(&folders::process_variable);
    let Placed { path, memory } = cache::place(&PAYLOAD, &folders)?;
    match probe::open(&path, Origin::Bundled) {
        Ok(opened) => Ok((path, opened, memory)),
        // The bytes are right, so the folder is at fault: it may be mounted `noexec`.
        Err(refused) => {
            let Ok(Placed { path, memory }) = cache::in_memory(&PAYLOAD) else {
                return Err(refused);
            };
            let opened = probe::open(&path, Origin::Bundled).map_err(|_| refused)?;
            Ok((path, opened, memory))
        }
    }
}

#[cfg(not(feature = "bundled"))]
fn open_carried() -> Result<Open, RuntimeError> {
    unreachable!("`locate` gives every library a path when none is carried")
}

fn start(located: Located, path: PathBuf, opened: Opened) -> Result<Runtime, RuntimeError> {
    let origin = located.origin;
    let sha256 = sha256(&located, &path)?;
    let builder = ort::init_from(&path).map_err(|error| match error {
        ort::LoadDynamicError::Dlopen { error: source, path } => {
            RuntimeError::NotLoadable { path, origin, source }
        }
        ort::LoadDynamicError::BadVersion { version_str: found, path } => {
            RuntimeError::TooOld { path, origin, found }
        }
        _ => RuntimeError::NotOnnxRuntime { path: path.clone(), origin },
    })?;
    let environment = builder
        .with_name("linnaeus")
        .with_telemetry(false)
        .build()
        .map_err(|source| RuntimeError::Start { path: path.clone(), source })?;
    let providers = probe::providers(&environment);
    let version = opened.version;
    Ok(Runtime(Arc::new(Inner { located, environment, path, version, sha256, providers })))
}

fn sha256(located: &Located, path: &Path) -> Result<String, RuntimeError> {
    #[cfg(feature = "bundled")]
    if located.path.is_none() {
        return Ok(crate::runtime::bundle::PAYLOAD.sha256.to_owned());
    }
    let (_, sha256) = File::open(path).and_then(digest::of).map_err(|source| {
        RuntimeError::Unreadable { path: path.to_path_buf(), origin: located.origin, source }
    })?;
    Ok(sha256)
}
