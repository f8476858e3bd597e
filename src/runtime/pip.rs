//! Downloads pinned wheels with pip.
//!
//! Shared with `build.rs`, hence the standard library only. Which index pip asks is the user's
//! pip configuration; the pinned SHA-256 decides what is accepted.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const COMMANDS: [&[&str]; 5] = [
    &["python3", "-m", "pip"],
    &["python", "-m", "pip"],
    &["py", "-m", "pip"],
    &["pip3"],
    &["pip"],
];

/// One wheel, named so exactly that only one file in the world fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wheel {
    /// Name of the package, as pip knows it.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Python version pip is to choose for; the libraries inside do not depend on it.
    pub python: &'static str,
    /// Platform tag of the wheel.
    pub platform: &'static str,
    /// SHA-256 of the wheel, in lower-case hexadecimal.
    pub sha256: &'static str,
}

/// Why pip brought no wheel.
#[derive(Debug)]
pub enum PipError {
    /// None of the known ways to start pip works.
    NoPip,
    /// pip ran and failed; its words are in `output`.
    Failed {
        /// The command that was run.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A file beside the download could not be written or read.
    Io(io::Error),
}

impl fmt::Display for PipError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPip => {
                let tried: Vec<_> = COMMANDS.iter().map(|words| words.join(" ")).collect();
                write!(formatter, "pip was not found (tried: {})", tried.join(", "))
            }
            Self::Failed { command, output } => write!(formatter, "`{command}` failed: {output}"),
            Self::Io(_) => write!(formatter, "the files of the download could not be handled"),
        }
    }
}

impl std::error::Error for PipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(source) = self { Some(source) } else { None }
    }
}

/// Downloads `wheel` into `folder`, which is emptied first, and returns its path.
///
/// pip has compared the SHA-256 by then. Every pip found is tried in turn.
///
/// # Errors
/// There is no pip, every pip failed, or `folder` cannot be written.
pub(crate) fn download(wheel: &Wheel, folder: &Path, extra: &[&str]) -> Result<PathBuf, PipError> {
    let mut failure = PipError::NoPip;
    let mut seen = Vec::new();
    for words in COMMANDS {
        let Some(version) = version_of(words) else { continue };
        if seen.contains(&version) {
            continue;
        }
        seen.push(version);
        match download_with(words, wheel, folder, extra) {
            Ok(path) => return Ok(path),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn download_with(
    words: &[&str],
    wheel: &Wheel,
    folder: &Path,
    extra: &[&str],
) -> Result<PathBuf, PipError> {
    let requirements = require(wheel, folder).map_err(PipError::Io)?;
    let Wheel { python, platform, .. } = wheel;
    let mut pip = command(words);
    pip.args(["--disable-pip-version-check", "--no-input", "--quiet", "download"])
        .args(["--require-hashes", "--no-deps", "--only-binary=:all:", "--progress-bar=off"])
        .args(["--python-version", python, "--platform", platform])
        .args(extra)
        .arg("--requirement")
        .arg(&requirements)
        .arg("--dest")
        .arg(folder)
        // Large wheels must not pass through a small /tmp.
        .env("TMPDIR", folder)
        .env("PIP_REQUIRE_VIRTUALENV", "0");
    let output = pip.output().map_err(PipError::Io)?;
    if !output.status.success() {
        return Err(PipError::Failed { command: describe(&pip), output: words_of(&output) });
    }
    let wheel = fs::read_dir(folder)
        .map_err(PipError::Io)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension() == Some(OsStr::new("whl")));
    wheel.ok_or_else(|| PipError::Failed {
        command: describe(&pip),
        output: format!("it reported success but left no wheel; {}", words_of(&output)),
    })
}

/// Empties `folder` and writes the requirements file, which alone can carry a hash.
fn require(wheel: &Wheel, folder: &Path) -> io::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let path = folder.join("requirements.txt");
    let Wheel { package, version, sha256, .. } = wheel;
    fs::write(&path, format!("{package}=={version} --hash=sha256:{sha256}\n"))?;
    Ok(path)
}

/// What `pip --version` prints names the installation, so one installation is tried once.
fn version_of(words: &[&str]) -> Option<Vec<u8>> {
    let output = command(words).arg("--version").output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The last lines of what pip printed: its conclusion comes last.
fn words_of(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const WHEEL: Wheel = Wheel {
        package: "some-package",
        version: "1.2.3",
        python: "3.12",
        platform: "some_platform",
        sha256: "0123abcd",
    };

    /// Runs a shell script in place of pip.
    fn download_by(script: &str) -> Result<String, PipError> {
        let base = tempfile::tempdir().unwrap();
        let pip = base.path().join("pip.sh");
        fs::write(&pip, script).unwrap();
        let folder = base.path().join("download");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stale.whl"), "stale").unwrap();
        download_with(&["sh", pip.to_str().unwrap()], &WHEEL, &folder, &["--extra"])
            .map(|path| fs::read_to_string(path).unwrap())
    }

    #[test]
    fn pip_is_asked_for_exactly_one_file() {
        // The last two arguments are `--dest` and its folder, the one before is the requirements.
        let script = r#"
            for last; do :; done
            { echo "$*" | grep -o 'download.*--extra'; cat "$last/requirements.txt"; } >"$last/a.whl"
        "#;
        let told = download_by(script).unwrap();
        let (arguments, requirement) = told.split_once('\n').unwrap();
        assert_eq!(requirement, "some-package==1.2.3 --hash=sha256:0123abcd\n");
        for needed in ["--require-hashes", "--no-deps", "--platform some_platform"] {
            assert!(arguments.contains(needed), "{arguments}");
        }
    }

    #[test]
    fn a_failing_pip_is_quoted() {
        let error = download_by("echo no matching distribution >&2; exit 1").unwrap_err();
        assert!(error.to_string().ends_with("failed: no matching distribution"), "{error}");
        let error = download_by("exit 0").unwrap_err();
        assert!(error.to_string().contains("left no wheel"), "{error}");
    }
}
