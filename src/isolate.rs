//! Images prepared in child processes: a decoder that crashes or hangs costs one row and not the
//! run.
//!
//! The child is the program itself with a command that no help text shows. It is started once, is
//! told the settings, and then answers for one image after another; a dead one is started again. It
//! reads the files itself, asks its parent for the memory that decoding takes (so that all children
//! share one budget), and sends the elements or the row's error back. It ends when its line does,
//! so none outlives a parent that was killed.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

mod frames;
#[cfg_attr(not(unix), path = "isolate/no_process.rs")]
mod process;
mod serve;

use frames::Kind;
use process::{End, Process};
pub use serve::serve;

use crate::{
    deadline::Deadline,
    decode::{Budget, Limits},
    error::{ItemError, RunError},
    preprocess::Sample,
    recipe::Recipe,
    source::Reader,
    timing::{Stage, Timing},
};

/// The command of the program that [`serve`]s.
pub const COMMAND: &str = "prepare-images";

/// Parent and child have to be the same.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What a child may take beyond what it is told to: its own code's memory, and what resampling
/// takes besides the pixels.
const HEAD_ROOM: u64 = 256 << 20;
/// A child notices itself that its time is over, mostly. After this it is ended.
const GRACE: Duration = Duration::from_secs(1);
/// For starting a child on a busy machine.
const START: Duration = Duration::from_mins(1);
/// Longest path, and longest settings; the system's longest path is 4,096.
const PATH_BYTES: usize = 1 << 20;
/// Longest message of an error.
const MESSAGE_BYTES: usize = 64 << 10;
/// The stages that a child books.
const STAGES: [Stage; 3] = [Stage::Read, Stage::Decode, Stage::Preprocess];
/// Bytes of their times: processor and wall clock of each.
const TIMES_BYTES: usize = STAGES.len() * 2 * 8;

/// What a child has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How images are prepared.
    pub recipe: Recipe,
    /// What is refused before decoding.
    pub limits: Limits,
    /// How files are read.
    pub reader: Reader,
    /// For one image.
    pub image_timeout: Duration,
    /// Children that there will be, which share the memory that is kept between images.
    pub threads: usize,
    /// Bytes that the system lets a child take beyond those it starts with.
    pub memory: u64,
}

impl Settings {
    /// The bytes that a child needs at most for what these settings let it do: the file twice (a
    /// buffer that grows), decoding, a copy of the pixels in another layout, and head room.
    #[must_use]
    pub fn memory_for(limits: Limits, reader: Reader) -> u64 {
        let parts = [
            reader.max_bytes.saturating_mul(2),
            limits.max_bytes,
            limits.max_pixels.saturating_mul(3).min(limits.max_bytes),
            HEAD_ROOM,
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// How children are started; all alike.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    settings: Vec<u8>,
    image_timeout: Duration,
}

impl Launch {
    /// Children are `program` with the argument [`COMMAND`]; it must call [`serve`] then.
    ///
    /// # Errors
    ///
    /// `Internal` when the settings would reach a child as others.
    pub fn new(program: PathBuf, settings: &Settings) -> Result<Self, RunError> {
        let json = serde_json::to_vec(settings);
        let json = json.map_err(|error| RunError::Internal(error.to_string()))?;
        // A number that lost its last digit on the way would change every tensor.
        if serde_json::from_slice::<Settings>(&json).ok().as_ref() != Some(settings) {
            return Err(RunError::Internal("the recipe cannot be sent to a child".to_owned()));
        }
        Ok(Self { program, settings: json, image_timeout: settings.image_timeout })
    }
}

/// A process that prepares images. Dropping it ends it.
pub struct Child {
    launch: Arc<Launch>,
    /// None after a crash, until the next image.
    process: Option<Process>,
    answer: Vec<u8>,
}

impl Child {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// `Runtime` when the program cannot be started, or is another.
    pub fn start(launch: &Arc<Launch>) -> Result<Self, RunError> {
        let mut child = Self { launch: Arc::clone(launch), process: None, answer: Vec::new() };
        child.process = Some(child.begin()?);
        Ok(child)
    }

    /// The number of its process, while there is one.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Prepares the image in the file `path` into `slot`, with memory from the `budgets` of files and
    /// of decoding. The process may die of it: then this image's row says so, and the next image
    /// gets another process.
    ///
    /// # Errors
    ///
    /// Of the run: as for [`Child::start`], when another process was needed. Of the image: every
    /// reason why it has no tensor; `decoder_crash` and `timeout` when the process ended.
    pub fn prepare<T: Sample>(
        &mut self,
        path: &Path,
        slot: &mut [T],
        budgets: (&Budget, &Budget),
        timing: &Timing,
    ) -> Result<Result<(), ItemError>, RunError> {
        // One that ended meanwhile is not this image's fault.
        let running = self.process.take().and_then(Process::still_running);
        let mut process = running.map_or_else(|| self.begin(), Ok)?;
        match self.ask(&mut process, path, slot, (budgets, timing)) {
            Ok(outcome) => {
                self.process = Some(process);
                Ok(outcome)
            }
            Err(error) => Ok(Err(match process.end(&error) {
                End::TimedOut => Deadline::after(self.launch.image_timeout).error(),
                End::Crashed(how) => ItemError::DecoderCrash { how },
            })),
        }
    }

    fn begin(&mut self) -> Result<Process, RunError> {
        let launch = Arc::clone(&self.launch);
        let program = &launch.program;
        let fail = |reason: &str| {
            RunError::Runtime(format!(
                "the process for `isolate` cannot be started ({} {COMMAND}): {reason}\nhint: leave \
                 `isolate` out to decode without",
                program.display()
            ))
        };
        let mut process = Process::start(program).map_err(|error| fail(&error.to_string()))?;
        let answer = process.send(Kind::Settings, &launch.settings).and_then(|()| {
            process.receive(MESSAGE_BYTES, &Deadline::after(START), &mut self.answer)
        });
        match answer {
            Ok(Kind::Ready) if self.answer == VERSION.as_bytes() => Ok(process),
            Ok(_) => Err(fail("it is another version, or another program")),
            Err(error) => Err(fail(&match process.end(&error) {
                End::TimedOut => "it does not answer".to_owned(),
                End::Crashed(how) => format!("it ended at once: {how}"),
            })),
        }
    }

    fn ask<T: Sample>(
        &mut self,
        process: &mut Process,
        path: &Path,
        slot: &mut [T],
        ((files, decoding), timing): ((&Budget, &Budget), &Timing),
    ) -> io::Result<Result<(), ItemError>> {
        let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
        let most = TIMES_BYTES + size_of_val(slot).max(MESSAGE_BYTES);
        let mut deadline = Deadline::after(self.launch.image_timeout.saturating_add(GRACE));
        let (mut _file, mut _image) = (None, None);
        process.send(Kind::Image, &path_to_bytes(path))?;
        loop {
            let kind = process.receive(most, &deadline, &mut self.answer)?;
            if let Kind::NeedFile | Kind::Need = kind {
                let bytes = self.answer.as_slice().try_into().map_err(|_| nonsense())?;
                let bytes = u64::from_le_bytes(bytes);
                // What is held is given back first: nobody waits for what it holds itself.
                if kind == Kind::NeedFile {
                    (_file, _image) = (None, None);
                    _file = Some(deadline.not_counting(|| files.acquire(bytes)));
                } else {
                    _image = None;
                    _image = Some(deadline.not_counting(|| decoding.acquire(bytes)));
                }
                process.send(Kind::Take, &[])?;
                continue;
            }
            let (times, rest) = self.answer.split_at_checked(TIMES_BYTES).ok_or_else(nonsense)?;
            book(times, timing);
            match kind {
                Kind::Tensor if rest.len() == size_of_val(slot) => {
                    T::from_bytes(rest, slot);
                    return Ok(Ok(()));
                }
                Kind::Failed => return told(rest).map(Err).ok_or_else(nonsense),
                _ => return Err(nonsense()),
            }
        }
    }
}

/// Books the times that a child sent: nanoseconds, processor and wall clock of each stage.
fn book(times: &[u8], timing: &Timing) {
    let nanos = |bytes: &[u8; 8]| Duration::from_nanos(u64::from_le_bytes(*bytes));
    let times: Vec<_> = times.as_chunks().0.iter().map(nanos).collect();
    for (stage, times) in STAGES.into_iter().zip(times.as_chunks::<2>().0) {
        timing.book_elsewhere(stage, times[0], times[1]);
    }
}

/// The error of an image that a child sent: a known code, a line end, the message.
fn told(answer: &[u8]) -> Option<ItemError> {
    let (code, message) = str::from_utf8(answer).ok()?.split_once('\n')?;
    let code = ItemError::CODES.into_iter().find(|known| *known == code)?;
    Some(ItemError::Listed { code, message: message.to_owned() })
}

#[cfg(unix)]
fn path_to_bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_vec())
}

/// Processes are not started on this platform.
#[cfg(not(unix))]
fn path_to_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
