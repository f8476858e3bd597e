//! Prepares a library for `ort`, and asks it what it is before and after `ort` takes it over.
//!
//! The only place of the crate with unsafe code: `ort` offers none of it.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::ptr;

use libloading::{Library, Symbol};
use ort::environment::Environment;
use ort::sys::OrtApiBase;

use crate::runtime::{Origin, RuntimeError};

/// A library that is ONNX Runtime; it stays loaded as long as this value lives.
pub(super) struct Opened {
    /// The version it reports, such as `1.31.1`.
    pub version: String,
    _library: Library,
}

/// Keeps ONNX Runtime from creating a device identifier and an upload queue in the user's cache.
///
/// The official builds do that while the environment is created, before the function that turns
/// telemetry off can be called; only this variable, read before, prevents it (`Privacy.md` of the
/// package, "Disabling Telemetry").
pub fn silence_telemetry() {
    const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
        return;
    }
    // SAFETY: the danger is C code that reads the environment in another thread meanwhile; Rust
    // code shares a lock with this call. `load` asks to be called before threads are started, runs
    // this once, and ONNX Runtime, which is the C code here, is not yet loaded.
    unsafe { std::env::set_var(VARIABLE, "1") };
}

/// Loads the library at an absolute `path` and asks for its version.
///
/// # Errors
/// It is no library, not ONNX Runtime, or older than the functions `ort` calls.
pub(super) fn open(path: &Path, origin: Origin) -> Result<Opened, RuntimeError> {
    let named = || path.to_path_buf();
    refuse_truncated(path, origin)?;
    // SAFETY: loading runs the library's initialisers. `locate` and `cache` have settled that the
    // file is one the user named, or one that nobody but the user and root can write. It is as
    // long as its headers say, so mapping it does not reach past its end.
    let library = unsafe { Library::new(path) }.map_err(|source| RuntimeError::NotLoadable {
        path: named(),
        origin,
        source,
    })?;
    let version =
        version(&library).ok_or_else(|| RuntimeError::NotOnnxRuntime { path: named(), origin })?;
    if !is_new_enough(&version) {
        return Err(RuntimeError::TooOld { path: named(), origin, found: version });
    }
    Ok(Opened { version, _library: library })
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
fn refuse_truncated(path: &Path, origin: Origin) -> Result<(), RuntimeError> {
    let length = std::fs::metadata(path).map(|found| found.len());
    match (length, crate::runtime::elf::mapped_bytes(path)) {
        (Ok(length), Ok(needed)) if needed <= length => Ok(()),
        (Ok(_), Ok(_)) => Err(RuntimeError::Truncated { path: path.to_path_buf(), origin }),
        (_, Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(RuntimeError::Truncated { path: path.to_path_buf(), origin })
        }
        (Err(source), _) | (_, Err(source)) => {
            Err(RuntimeError::Unreadable { path: path.to_path_buf(), origin, source })
        }
    }
}

/// Passes always: the loaders of other systems look at the file's length.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
#[expect(clippy::unnecessary_wraps, reason = "fails on Linux")]
fn refuse_truncated(_path: &Path, _origin: Origin) -> Result<(), RuntimeError> {
    Ok(())
}

fn version(library: &Library) -> Option<String> {
    type Getter = unsafe extern "C" fn() -> *const OrtApiBase;
    // SAFETY: ONNX Runtime's C header declares `OrtGetApiBase` with this type, unchanged since 1.0;
    // no other library exports the name. The returned table is static, and so is its string.
    unsafe {
        let getter: Symbol<Getter> = library.get(b"OrtGetApiBase").ok()?;
        let base = getter().as_ref()?;
        let version = (base.GetVersionString)();
        (!version.is_null()).then(|| CStr::from_ptr(version).to_string_lossy().into_owned())
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse);
    matches!((parts.next(), parts.next()), (Some(Ok(1)), Some(Ok(minor))) if minor >= ort::MINOR_VERSION)
}

/// Lists the execution providers compiled into the loaded library, in its order of preference.
///
/// The environment proves that a library is loaded; without one `ort::api` would panic.
pub(super) fn providers(_loaded: &Environment) -> Vec<String> {
    let api = ort::api();
    let mut names: *mut *mut c_char = ptr::null_mut();
    let mut count: c_int = 0;
    // SAFETY: on success the call leaves `count` valid C strings behind `names`, which stay so
    // until released below, with the same two values, exactly once.
    unsafe {
        let status = (api.GetAvailableProviders)(&raw mut names, &raw mut count);
        if ort::Error::result_from_status(status).is_err() || names.is_null() {
            return Vec::new();
        }
        let count_read = usize::try_from(count).unwrap_or_default();
        let listed = (0..count_read)
            .map(|index| CStr::from_ptr(*names.add(index)).to_string_lossy().into_owned())
            .collect();
        let released = (api.ReleaseAvailableProviders)(names, count);
        // The documented status is always success; converting it frees it should that change.
        let _ = ort::Error::result_from_status(released);
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_new_enough("1.24.0") && is_new_enough("1.31.1") && is_new_enough("1.100.0-dev"));
        assert!(!is_new_enough("1.23.2") && !is_new_enough("1.9.0"));
        assert!(!is_new_enough("2.0.0") && !is_new_enough("") && !is_new_enough("1.x"));
    }
}
