//! Fetches the official ONNX Runtime library of the target platform and lays it, still deflated,
//! where `src/runtime/bundle.rs` includes it. Does nothing without the feature `bundled`.

#![allow(unreachable_pub, reason = "shares files with the library, where `pub` reaches")]

use std::env;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

#[path = "src/runtime/pip.rs"]
mod pip;
#[path = "src/runtime/wheel.rs"]
mod wheel;

const VERSION: &str = "1.31.1";
const WHEEL_VARIABLE: &str = "LINNAEUS_ORT_WHEEL";

/// What one target platform carries; hashes taken from the wheels when they were pinned.
struct Pin {
    target: (&'static str, &'static str),
    platform: &'static str,
    wheel_sha256: &'static str,
    library: &'static str,
    library_sha256: &'static str,
}

const PINS: [Pin; 4] = [
    Pin {
        target: ("linux", "x86_64"),
        platform: "manylinux_2_28_x86_64",
        wheel_sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        library: "libonnxruntime.so.1.31.1",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Pin {
        target: ("linux", "aarch64"),
        platform: "manylinux_2_28_aarch64",
        wheel_sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        library: "libonnxruntime.so.1.31.1",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Pin {
        target: ("macos", "aarch64"),
        platform: "macosx_14_0_arm64",
        wheel_sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        library: "libonnxruntime.1.31.1.dylib",
        library_sha256: "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
    },
    Pin {
        target: ("windows", "x86_64"),
        platform: "win_amd64",
        wheel_sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
        library: "onnxruntime.dll",
        library_sha256: "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
    },
];

fn main() {
    for file in ["build.rs", "src/runtime/pip.rs", "src/runtime/wheel.rs"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed={WHEEL_VARIABLE}");
    if env::var_os("CARGO_FEATURE_BUNDLED").is_none() {
        return;
    }
    if let Err(message) = bundle() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn bundle() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let pin = pin()?;
    let path = fetch(pin, &out)?;
    let written = write_bundle(pin, &path, &out);
    written.map_err(|error| format!("{}: {error}\n{}", path.display(), advice()))
}

/// The pin of the platform compiled for, which need not be the one compiled on.
fn pin() -> Result<&'static Pin, String> {
    let read = |key| env::var(key).unwrap_or_default();
    let target = (read("CARGO_CFG_TARGET_OS"), read("CARGO_CFG_TARGET_ARCH"));
    // The Linux wheels are linked with glibc; a musl program cannot load them.
    let fits = target.0 != "linux" || read("CARGO_CFG_TARGET_ENV") == "gnu";
    PINS.iter().find(|pin| fits && pin.target == (&*target.0, &*target.1)).ok_or_else(|| {
        format!(
            "there is no official ONNX Runtime {VERSION} library to carry for {}\n\
             build with --no-default-features, and name a library with --onnxruntime at run time",
            read("TARGET")
        )
    })
}

/// Returns the path of a wheel whose SHA-256 is the pinned one.
fn fetch(pin: &Pin, out: &Path) -> Result<PathBuf, String> {
    if let Some(given) = env::var_os(WHEEL_VARIABLE).filter(|value| !value.is_empty()) {
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        let sha256 = sha256_of(&given)
            .map_err(|error| format!("{WHEEL_VARIABLE}: {}: {error}", given.display()))?;
        if sha256 == pin.wheel_sha256 {
            return Ok(given);
        }
        return Err(format!(
            "{WHEEL_VARIABLE}: {} has SHA-256 {sha256}\n\
             expected the wheel of onnxruntime {VERSION} for CPython 3.12, {}, SHA-256 {}",
            given.display(),
            pin.platform,
            pin.wheel_sha256
        ));
    }
    let kept = out.join("onnxruntime.whl");
    if sha256_of(&kept).is_ok_and(|sha256| sha256 == pin.wheel_sha256) {
        return Ok(kept);
    }
    let wheel = pip::Wheel {
        package: "onnxruntime",
        version: VERSION,
        python: "3.12",
        platform: pin.platform,
        sha256: pin.wheel_sha256,
    };
    let folder = out.join("download");
    let path = pip::download(&wheel, &folder, &[]).map_err(|error| {
        format!("onnxruntime {VERSION} could not be downloaded: {error}\n{}", advice())
    })?;
    fs::rename(&path, &kept)
        .and_then(|()| fs::remove_dir_all(&folder))
        .map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(kept)
}

fn write_bundle(pin: &Pin, path: &Path, out: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let members = wheel::members(&mut file)?;
    let mut copy = |name: &str, into: &str| -> io::Result<u64> {
        let member = members.iter().find(|member| member.name == name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("the wheel holds no {name}"))
        })?;
        io::copy(&mut wheel::open(&mut file, member)?, &mut File::create(out.join(into))?)?;
        Ok(member.size)
    };
    let bytes = copy(&format!("onnxruntime/capi/{}", pin.library), "library.deflate")?;
    copy("onnxruntime/LICENSE", "license.deflate")?;
    copy("onnxruntime/ThirdPartyNotices.txt", "notices.deflate")?;
    let constants = format!(
        "/// Version of the ONNX Runtime carried in this executable.\n\
         pub(crate) const VERSION: &str = \"{VERSION}\";\n\
         pub(crate) const FILE_NAME: &str = \"{}\";\n\
         pub(crate) const SHA256: &str = \"{}\";\n\
         pub(crate) const BYTES: u64 = {bytes};\n\
         pub(crate) const LIBRARY: &[u8] = include_bytes!(\"library.deflate\");\n\
         pub(crate) const LICENSE: &[u8] = include_bytes!(\"license.deflate\");\n\
         pub(crate) const NOTICES: &[u8] = include_bytes!(\"notices.deflate\");\n",
        pin.library, pin.library_sha256
    );
    fs::write(out.join("bundle.rs"), constants)
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn advice() -> String {
    format!(
        "install Python with pip and give it access to a package index;\n\
         or set {WHEEL_VARIABLE} to the wheel, already downloaded;\n\
         or build with --no-default-features, and name a library with --onnxruntime at run time"
    )
}
