//! The packages of the GPU runtime, and the libraries taken from each.
//!
//! ONNX Runtime 1.31.1 is compiled with CUDA 13.0 and asks for cuDNN 9 (`cuda_version` in its
//! package, and the extras `cuda` and `cudnn` of its metadata). CUDA is kept at 13.0 because a
//! driver runs no PTX newer than itself, and some of these libraries compile at run time.

use crate::runtime::pip::Wheel;

/// Version of ONNX Runtime installed.
pub(crate) const VERSION: &str = "1.31.1";

/// The oldest NVIDIA driver that runs CUDA 13.0, by its release notes.
pub(crate) const DRIVER: &str = "580";

/// One package, and what is wanted of it.
pub(crate) struct Package {
    /// The wheel.
    pub wheel: Wheel,
    /// Its length in MB (10⁶ bytes), rounded.
    pub megabytes: u64,
    /// File names of the libraries to take.
    pub libraries: &'static [&'static str],
}

/// The library that is loaded first, with its version.
pub(crate) const LIBRARY: &str = "libonnxruntime.so.1.31.1";

/// Every package.
pub(crate) const PACKAGES: [Package; 8] = [
    Package {
        wheel: Wheel {
            package: "onnxruntime-gpu",
            version: VERSION,
            python: "3.12",
            platform: "manylinux_2_28_x86_64",
            sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
        },
        megabytes: 256,
        libraries: &[
            LIBRARY,
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
        ],
    },
    Package {
        wheel: nvidia(
            "nvidia-cuda-runtime",
            "13.0.96",
            "manylinux2014_x86_64",
            "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        ),
        megabytes: 2,
        libraries: &["libcudart.so.13"],
    },
    Package {
        wheel: nvidia(
            "nvidia-cuda-nvrtc",
            "13.0.88",
            "manylinux2010_x86_64",
            "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
        ),
        megabytes: 90,
        libraries: &["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"],
    },
    Package {
        wheel: nvidia(
            "nvidia-nvjitlink",
            "13.0.88",
            "manylinux2010_x86_64",
            "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
        ),
        megabytes: 41,
        libraries: &["libnvJitLink.so.13"],
    },
    Package {
        wheel: nvidia(
            "nvidia-cublas",
            "13.1.0.3",
            "manylinux_2_27_x86_64",
            "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        ),
        megabytes: 423,
        libraries: &["libcublasLt.so.13", "libcublas.so.13"],
    },
    Package {
        wheel: nvidia(
            "nvidia-curand",
            "10.4.0.35",
            "manylinux_2_27_x86_64",
            "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        ),
        megabytes: 60,
        libraries: &["libcurand.so.10"],
    },
    Package {
        wheel: nvidia(
            "nvidia-cufft",
            "12.0.0.61",
            "manylinux2014_x86_64",
            "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
        ),
        megabytes: 214,
        libraries: &["libcufft.so.12"],
    },
    Package {
        wheel: nvidia(
            "nvidia-cudnn-cu13",
            "9.20.0.48",
            "manylinux_2_27_x86_64",
            "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304",
        ),
        megabytes: 366,
        libraries: &[
            "libcudnn.so.9",
            "libcudnn_adv.so.9",
            "libcudnn_cnn.so.9",
            "libcudnn_engines_precompiled.so.9",
            "libcudnn_engines_runtime_compiled.so.9",
            "libcudnn_graph.so.9",
            "libcudnn_heuristic.so.9",
            "libcudnn_ops.so.9",
        ],
    },
];

/// The libraries of CUDA and cuDNN, each after those it needs (the `NEEDED` entries of the pinned
/// files, and the names they open at run time).
pub(crate) const LOAD_ORDER: [&str; 16] = [
    "libcudart.so.13",
    "libnvrtc-builtins.so.13.0",
    "libnvrtc.so.13",
    "libnvJitLink.so.13",
    "libcublasLt.so.13",
    "libcublas.so.13",
    "libcurand.so.10",
    "libcufft.so.12",
    "libcudnn_graph.so.9",
    "libcudnn_ops.so.9",
    "libcudnn_heuristic.so.9",
    "libcudnn_cnn.so.9",
    "libcudnn_adv.so.9",
    "libcudnn_engines_precompiled.so.9",
    "libcudnn_engines_runtime_compiled.so.9",
    "libcudnn.so.9",
];

const fn nvidia(
    package: &'static str,
    version: &'static str,
    platform: &'static str,
    sha256: &'static str,
) -> Wheel {
    Wheel { package, version, python: "3.12", platform, sha256 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_that_is_loaded_is_installed() {
        let installed: Vec<_> = PACKAGES.iter().flat_map(|package| package.libraries).collect();
        assert!(LOAD_ORDER.iter().all(|name| installed.contains(&name)));
        // The remaining three are ONNX Runtime's own.
        assert_eq!(installed.len(), LOAD_ORDER.len() + 3);
    }
}
