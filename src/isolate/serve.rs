//! The child's side: prepares what it is told to, until nobody tells any more.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use half::f16;

use super::{
    PATH_BYTES, STAGES, Settings, VERSION,
    frames::{self, Kind},
    path_from_bytes,
};
use crate::{
    decode::{Budget, Decoder, Policy},
    error::RunError,
    prepare::{Buffers, Preparer},
    preprocess::{Preprocessor, Sample},
    recipe::{Element, Recipe},
    timing::Timing,
};

/// Both ends of the line to the parent.
struct Line<R, W> {
    from: R,
    to: W,
}

/// Reads settings, and then answers for one image after another, until `from` ends.
///
/// # Errors
///
/// `Internal` when what comes is no request, or the answer cannot be written.
pub fn serve(
    mut from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
) -> Result<(), RunError> {
    let mut payload = Vec::new();
    match frames::read(&mut from, PATH_BYTES, &mut payload).map_err(|error| lost(&error))? {
        None => return Ok(()),
        Some(Kind::Settings) => {}
        Some(other) => return Err(lost(&format!("{other:?} instead of settings"))),
    }
    let settings: Settings =
        serde_json::from_slice(&payload).map_err(|error| lost(&error.to_string()))?;
    system::all(settings.memory);
    let line = Arc::new(Mutex::new(Line { from, to }));
    match settings.recipe.element {
        Element::U8 => serve_as::<u8, _, _>(settings, &line),
        Element::F16 => serve_as::<f16, _, _>(settings, &line),
        Element::F32 => serve_as::<f32, _, _>(settings, &line),
    }
}

fn lost(why: &dyn std::fmt::Display) -> RunError {
    RunError::Internal(format!("a process that prepares images cannot go on: {why}"))
}

impl<R: Read, W: Write> Line<R, W> {
    /// Tells the parent how much memory something takes, and waits for it. A parent that is gone
    /// needs no answer; what follows ends at the next look at the line.
    fn borrow(&mut self, need: Kind, bytes: u64) -> io::Result<()> {
        frames::write(&mut self.to, need, &bytes.to_le_bytes())?;
        frames::read(&mut self.from, 0, &mut Vec::new()).map(drop)
    }
}

fn serve_as<T, R, W>(settings: Settings, line: &Arc<Mutex<Line<R, W>>>) -> Result<(), RunError>
where
    T: Sample,
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let Settings { recipe, limits, reader, image_timeout, threads, .. } = settings;
    let Recipe { exif, alpha, deep, .. } = recipe;
    let budget = |total, need| {
        let line = Arc::clone(line);
        Budget::lent(total, move |bytes| _ = lock(&line).borrow(need, bytes))
    };
    let files = &budget(reader.max_bytes, Kind::NeedFile);
    let budget = budget(limits.max_bytes, Kind::Need);
    let decoder = Decoder { limits, policy: Policy { exif, alpha, deep }, budget };
    let preprocessor = Preprocessor::<T>::new(recipe);
    let preparer =
        Preparer { reader, files, decoder: &decoder, preprocessor: &preprocessor, image_timeout };
    let mut slot = vec![T::default(); preprocessor.image_len()];
    let (mut buffers, mut request, mut answer) = (Buffers::default(), Vec::new(), Vec::new());
    let said = frames::write(&mut lock(line).to, Kind::Ready, VERSION.as_bytes());
    said.map_err(|error| lost(&error))?;
    loop {
        let asked = frames::read(&mut lock(line).from, PATH_BYTES, &mut request);
        match asked.map_err(|error| lost(&error))? {
            None => return Ok(()),
            Some(Kind::Image) => {}
            Some(other) => return Err(lost(&format!("{other:?} instead of an image"))),
        }
        system::processor(image_timeout);
        let path = path_from_bytes(&request);
        let timing = Timing::default();
        let outcome = preparer.prepare(Path::new(&path), &mut buffers, &mut slot, &timing);
        buffers.trim(limits.max_bytes, threads);
        answer.clear();
        for stage in STAGES {
            for time in [timing.cpu(stage), timing.wall(stage)] {
                let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                answer.extend(nanos.to_le_bytes());
            }
        }
        let kind = match outcome {
            Ok(()) => {
                T::to_bytes(&slot, &mut answer);
                Kind::Tensor
            }
            Err(error) => {
                answer.extend(format!("{}\n{error}", error.code()).bytes());
                Kind::Failed
            }
        };
        frames::write(&mut lock(line).to, kind, &answer).map_err(|error| lost(&error))?;
    }
}

fn lock<T>(line: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the system is asked to keep this process to.
#[cfg(unix)]
mod system {
    use std::fs;

    use rustix::process::{Resource, getrlimit, setrlimit};

    use super::Duration;
    use crate::timing;

    /// Processor seconds beyond an image's time: the parent ends a process that hangs, and this is
    /// for one whose parent is gone.
    const SPARE_SECONDS: u64 = 5;

    /// At most `memory` bytes more than there are now, and no core file. Where the system refuses,
    /// the limits of decoding hold alone.
    pub(super) fn all(memory: u64) {
        if let Some(now) = address_space() {
            set(Resource::As, now.saturating_add(memory));
        }
        set(Resource::Core, 0);
    }

    /// Processor time for the next image, as if it needed all of `limit`.
    pub(super) fn processor(limit: Duration) {
        let until = timing::process_cpu().saturating_add(limit).as_secs();
        set(Resource::Cpu, until.saturating_add(SPARE_SECONDS));
    }

    /// Sets the soft limit, which is the one that counts.
    fn set(resource: Resource, value: u64) {
        let mut limit = getrlimit(resource);
        limit.current = Some(limit.maximum.map_or(value, |most| most.min(value)));
        let _ = setrlimit(resource, limit);
    }

    /// Bytes of addresses in use, where Linux tells them.
    fn address_space() -> Option<u64> {
        let pages = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = pages.split(' ').next()?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn all(_: u64) {}

    pub(super) fn processor(_: super::Duration) {}
}
