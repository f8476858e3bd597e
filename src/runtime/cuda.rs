//! Makes the NVIDIA libraries known to the process before ONNX Runtime asks for them by name.
//!
//! The system's loader takes a library already loaded before it searches, so loading each one by
//! its path needs no environment variables; and one that is missing is named, where ONNX Runtime
//! would go on without a GPU.

use std::path::{Path, PathBuf};

use ort::util::preload_dylib;

use crate::runtime::install::pins;
use crate::runtime::{Origin, Runtime};

/// The name ONNX Runtime gives its CUDA execution provider.
const PROVIDER: &str = "CUDAExecutionProvider";

/// The driver's library: by name, then where WSL, NixOS and some containers keep it, outside the
/// loader's search path.
const DRIVER: [&str; 4] = [
    "libcuda.so.1",
    "/usr/lib/wsl/lib/libcuda.so.1",
    "/run/opengl-driver/lib/libcuda.so.1",
    "/usr/local/nvidia/lib64/libcuda.so.1",
];

/// Why CUDA cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// A CPU-only library is loaded.
    #[error(
        "the ONNX Runtime in use, {} ({origin}), has no CUDA; \
         fetch one that has, once, with `linnaeus runtime install cuda`",
        path.display()
    )]
    NotCompiledIn {
        /// The library in use.
        path: PathBuf,
        /// Who decided for it.
        origin: Origin,
    },
    /// No NVIDIA driver.
    #[error(
        "libcuda.so.1, the library of the NVIDIA driver, cannot be loaded; install a driver of \
         version {} or newer, or give the container access to the GPU (docker run --gpus all)",
        pins::DRIVER
    )]
    NoDriver {
        /// What the loader said.
        #[source]
        source: libloading::Error,
    },
    /// A library of CUDA or cuDNN is missing, or needs one that is.
    #[error("{} cannot be loaded; {}", path.display(), advice(source))]
    Library {
        /// The library.
        path: PathBuf,
        /// What the loader said; it names what is missing.
        #[source]
        source: libloading::Error,
    },
    /// The part of ONNX Runtime that speaks CUDA is not beside it.
    #[error(
        "{} is missing; it belongs beside the ONNX Runtime library: keep the files of its \
         package together, or use `linnaeus runtime install cuda`",
        path.display()
    )]
    NoProvider {
        /// Where it should be.
        path: PathBuf,
    },
}

impl Runtime {
    /// Loads what the CUDA execution provider needs; call it before registering the provider, and
    /// register with `error_on_failure()`, without which `ort` falls back to the CPU in silence.
    ///
    /// On systems other than Linux it only checks that the provider is compiled in.
    ///
    /// # Errors
    /// The library has no CUDA, there is no NVIDIA driver, or a library is missing.
    pub fn preload_cuda(&self) -> Result<(), CudaError> {
        if !self.providers().iter().any(|name| name == PROVIDER) {
            let (path, origin) = (self.path().to_path_buf(), self.origin());
            return Err(CudaError::NotCompiledIn { path, origin });
        }
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        preload_driver()?;
        let folder = self.path().parent().unwrap_or(Path::new("/"));
        preload_libraries(folder, self.origin())
    }
}

fn preload_driver() -> Result<(), CudaError> {
    let Err(source) = preload_dylib(DRIVER[0]) else { return Ok(()) };
    if DRIVER[1..].iter().any(|path| preload_dylib(*path).is_ok()) {
        return Ok(());
    }
    Err(CudaError::NoDriver { source })
}

/// In our own folder every library must be there. A user's ONNX Runtime may be of another CUDA
/// version and find its libraries by other means: of those, what lies near is loaded.
fn preload_libraries(folder: &Path, origin: Origin) -> Result<(), CudaError> {
    let folders = near(folder);
    for name in pins::LOAD_ORDER {
        let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
        let path = match found {
            Some(path) => path,
            None if origin == Origin::Installed => folder.join(name),
            None => continue,
        };
        preload_dylib(&path).map_err(|source| CudaError::Library { path, source })?;
    }
    for name in ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] {
        let path = folder.join(name);
        if !path.exists() {
            return Err(CudaError::NoProvider { path });
        }
    }
    Ok(())
}

/// The library's own folder, and those where NVIDIA's Python packages beside it put theirs.
fn near(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    // site-packages/onnxruntime/capi/libonnxruntime.so and site-packages/nvidia/*/lib.
    if let Some(site) = folder.ancestors().nth(2) {
        let nvidia = site.join("nvidia");
        folders.extend(["cu13", "cudnn"].map(|package| nvidia.join(package).join("lib")));
    }
    folders
}

fn advice(source: &libloading::Error) -> &'static str {
    let said = source.to_string();
    if said.contains("libz.so.1") {
        "install zlib from the system's package manager (zlib1g on Debian and Ubuntu)"
    } else if said.contains("libstdc++") || said.contains("GLIBC") {
        "it needs a newer system: glibc 2.28 and the C++ library that came with it, or newer"
    } else {
        "fetch the CUDA libraries again with `linnaeus runtime install cuda`"
    }
}
