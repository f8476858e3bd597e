//! Runs the built program as a person would, in a folder of its own, and reads what came of it.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "not shipped")]

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt::{self, Write as _},
    fs,
    io::Read,
    ops::Index,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_linnaeus");

/// Nothing here takes as long; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_mins(4);

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The 360 held-out digits, in a folder for each class.
pub(crate) fn digits() -> PathBuf {
    repository("examples/digits/images")
}

/// Flags that run the digits' network as it was trained.
pub(crate) fn digits_model() -> Vec<OsString> {
    let (model, labels) = ("examples/digits/digits.keras", "examples/digits/labels.txt");
    let mut flags: Vec<OsString> = vec!["--model".into(), repository(model).into()];
    flags.extend(["--labels".into(), repository(labels).into()]);
    flags.extend(["--resize", "none", "--scale", "1/255", "--activation", "none"].map(Into::into));
    flags
}

/// Flags that run a model of `tests/models` on images of any size.
pub(crate) fn test_model(name: &str) -> Vec<OsString> {
    let model = repository("tests/models").join(name);
    let mut flags: Vec<OsString> = vec!["--model".into(), model.into()];
    let recipe = ["--resize", "squash", "--interpolation", "bilinear", "--scale", "1/255"];
    flags.extend(recipe.map(Into::into));
    flags
}

/// A temporary folder on the file system of the repository, so that hard links into it work.
pub(crate) struct TestDir(tempfile::TempDir);

impl TestDir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().join(Path::new(name.as_ref()))
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Puts the file `from` under `name`: a second name for it where the system has such.
    pub(crate) fn link(&self, from: &Path, name: impl AsRef<OsStr>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::hard_link(from, &path).is_err() {
            fs::copy(from, path).unwrap();
        }
    }

    /// `count` images in the folder `name`, named by their number, and the numbers' names.
    pub(crate) fn crowd(&self, name: &str, count: usize) -> Vec<String> {
        let images = listing(&digits());
        let names: Vec<_> = (0..count).map(|index| format!("{index:06}.png")).collect();
        for (index, file) in names.iter().enumerate() {
            self.link(&digits().join(&images[index % images.len()]), format!("{name}/{file}"));
        }
        names
    }

    /// A run of the program in this folder.
    pub(crate) fn program<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Program {
        Program::new(BINARY.as_ref(), args).within(self.0.path())
    }

    /// `linnaeus classify` on `input`.
    pub(crate) fn classify(
        &self,
        input: impl AsRef<OsStr>,
        model: Vec<OsString>,
        more: &[&str],
    ) -> Program {
        let args = ["classify".into(), input.as_ref().to_owned()].into_iter().chain(model);
        self.program(args.chain(more.iter().map(Into::into)))
    }
}

/// Relative names of all files below `folder`, component by component in the order of their bytes.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(|entry| entry.file_name().into_encoded_bytes());
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(listing(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            names.push(name);
        }
    }
    names
}

/// A command with nothing in its environment but `PATH` and the cache that all tests share.
pub(crate) struct Program {
    command: Command,
    line: String,
}

impl Program {
    pub(crate) fn new<A: Into<OsString>>(
        binary: &OsStr,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let mut line = format!("{}", Path::new(binary).display());
        for arg in &args {
            write!(line, " {}", quoted(arg)).unwrap();
        }
        let mut command = Command::new(binary);
        command.args(args).env_clear();
        for name in ["PATH", "SystemRoot"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("LINNAEUS_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, line }
    }

    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self.line = format!("cd {} && {}", folder.display(), self.line);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.line = format!("{name}={value} {}", self.line);
        self
    }

    /// The same command as the last arguments of `wrapper`.
    pub(crate) fn through<A: Into<OsString>>(self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let wrapper: Vec<OsString> = wrapper.into_iter().map(Into::into).collect();
        let [program, args @ ..] = &wrapper[..] else { return self };
        let inner = self.command;
        let mut command = Command::new(program);
        command.args(args).arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = inner.get_current_dir() {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let wrapper: Vec<_> = wrapper.iter().map(|arg| quoted(arg)).collect();
        Self { command, line: format!("{} {}", wrapper.join(" "), self.line) }
    }

    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts it; the ends of pipes that it was given are closed here.
    pub(crate) fn start(mut self) -> Running {
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.line));
        Running { child, line: self.line }
    }

    pub(crate) fn run(self) -> Done {
        self.start().finish()
    }

    /// Runs it and expects the exit status `code`.
    pub(crate) fn exits(self, code: i32) -> Done {
        self.run().expect(code)
    }
}

fn quoted(arg: &OsStr) -> String {
    let text = arg.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A command that has been started.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) line: String,
}

impl Running {
    /// Reads what the command prints, to its end.
    pub(crate) fn finish(mut self) -> Done {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (status, stdout, stderr) = thread::scope(|scope| {
            let stdout = scope.spawn(|| read_all(stdout));
            let stderr = scope.spawn(|| read_all(stderr));
            let status = self.wait();
            (status, stdout.join().unwrap(), stderr.join().unwrap())
        });
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Done { line: self.line, status, stdout, stderr }
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                panic!("{}\nhas not ended after {PATIENCE:?}", self.line);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until `condition` holds while the command runs.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{}\nended ({status}) before {what}", self.line);
            }
            assert!(Instant::now() < deadline, "{}\nhas waited too long: {what}", self.line);
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().try_into().ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.unwrap(), signal).unwrap();
    }
}

fn read_all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).unwrap();
    }
    bytes
}

/// A command that has ended.
pub(crate) struct Done {
    line: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    /// Expects the exit status `code`.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "exit status of:\n{self}");
        self
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap_or_else(|_| panic!("not UTF-8: {self}"))
    }

    /// The rows on standard output.
    pub(crate) fn rows(&self) -> Vec<Row> {
        rows(&self.stdout)
    }

    /// Expects each of `words` on stderr.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` should be on the stderr of:\n{self}");
        }
        self
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let shown: String = stdout.chars().take(2_000).collect();
        let Self { line, status, stderr, .. } = self;
        write!(f, "{line}\n{status}\nstdout:\n{shown}\nstderr:\n{stderr}")
    }
}

/// One row of a CSV, by the names of its columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(BTreeMap<String, String>);

impl Row {
    /// Its path and status.
    pub(crate) fn ending(&self) -> (&str, &str) {
        (&self["path"], &self["status"])
    }
}

impl Index<&str> for Row {
    type Output = str;

    fn index(&self, column: &str) -> &str {
        self.0.get(column).unwrap_or_else(|| panic!("no column `{column}` in {self:?}"))
    }
}

/// The rows of a CSV that must be valid: every row as long as the header.
pub(crate) fn rows(csv: &[u8]) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(csv);
    reader.deserialize().map(|row| Row(row.unwrap_or_else(|error| panic!("{error}")))).collect()
}

/// The `path` column.
pub(crate) fn paths(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| &row["path"]).collect()
}
