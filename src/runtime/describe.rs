//! What `linnaeus runtime` prints.

use std::fmt;

use crate::folders::{self, cache as places};
use crate::runtime::{Located, Runtime, RuntimeError, RuntimeRequest, install, locate};
#[cfg(feature = "bundled")]
use crate::runtime::{
    bundle::PAYLOAD,
    cache::{self, Payload},
};

/// Which ONNX Runtime is used, and which others could be; several aligned lines when displayed.
#[derive(Debug)]
pub struct Description {
    lines: Vec<(&'static str, String)>,
}

impl Description {
    /// Finds out without loading or writing anything.
    ///
    /// # Errors
    /// As [`locate`].
    pub fn of_request(request: &RuntimeRequest) -> Result<Self, RuntimeError> {
        let located = locate(request)?;
        let mut lines =
            vec![("would load", place(&located)), ("origin", located.origin().to_string())];
        lines.extend(surroundings());
        Ok(Self { lines })
    }

    /// Describes the loaded library too.
    #[must_use]
    pub fn of_runtime(runtime: &Runtime) -> Self {
        let mut lines = vec![
            ("loaded", runtime.path().display().to_string()),
            ("origin", runtime.origin().to_string()),
            ("version", runtime.version().to_owned()),
            ("sha256", runtime.sha256().to_owned()),
            ("providers", runtime.providers().join(", ")),
        ];
        lines.extend(surroundings());
        Self { lines }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|line| line.0.len()).max().unwrap_or_default();
        for (index, (name, value)) in self.lines.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(formatter, "{newline}{name:width$}  {value}")?;
        }
        Ok(())
    }
}

#[cfg(feature = "bundled")]
fn surroundings() -> Vec<(&'static str, String)> {
    let Payload { version, bytes, deflated, .. } = &PAYLOAD;
    let carried =
        format!("ONNX Runtime {version}, {} bytes, unpacked {bytes} bytes", deflated.len());
    let caches = places::caches(&folders::process_variable);
    let caches: Vec<_> = caches.iter().map(|folder| folder.path.display().to_string()).collect();
    vec![
        ("carried", carried),
        ("cache folders", caches.join(", then ")),
        ("gpu runtime", gpu_runtime()),
    ]
}

#[cfg(not(feature = "bundled"))]
fn surroundings() -> Vec<(&'static str, String)> {
    let carried = "none; this linnaeus was built without the feature `bundled`".to_owned();
    vec![("carried", carried), ("gpu runtime", gpu_runtime())]
}

fn gpu_runtime() -> String {
    match install::find(&folders::process_variable) {
        Ok(Some(library)) => library.display().to_string(),
        Ok(None) => "not installed; `linnaeus runtime install cuda` fetches it".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[cfg(feature = "bundled")]
fn place(located: &Located) -> String {
    if let Some(path) = located.path() {
        return path.display().to_string();
    }
    let folders = places::caches(&folders::process_variable);
    match cache::find(&PAYLOAD, &folders) {
        Some(path) => path.display().to_string(),
        None => "the carried library, which is unpacked into a cache folder first".to_owned(),
    }
}

#[cfg(not(feature = "bundled"))]
fn place(located: &Located) -> String {
    located.path().map(|path| path.display().to_string()).unwrap_or_default()
}
