//! What is told of a run, to a person and to a log: every message goes through here.
//!
//! As JSON (`log-format = "json"`), one object per line with the fields `ts` (RFC 3339, UTC),
//! `level` (`info`, `warn`, `error`), `event`, `run` (the run's id) and `message`, and those of the
//! event. Events are `start`, `note`, `progress`, `image_error`, `checkpoint`, `warning`, `signal`,
//! `error`, `finish`, `gate`, `hook` and `exit`; the last line of every run is `exit`. Events and fields are
//! only added, so a reader skips those that it does not know.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    config::Telling,
    error::{Exit, ItemError, RunError},
    invocation::Invocation,
    job::LogFormat,
    output::encode_name,
    progress::{Bar, Counts, Standing},
};

mod file;
mod record;

use file::LogFile;
pub use record::{Level, Record};

/// Failed images that are told one by one as text; all are in the output.
const MOST_ERROR_LINES: u64 = 50;

/// What goes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// Nothing but what is wrong.
    pub quiet: bool,
    /// Between progress lines, where there is no bar.
    pub interval: Duration,
    /// Whether a terminal gets a bar; it must not when the rows themselves go there.
    pub bar: bool,
}

/// The log of one run. Clones write to the same log, from any thread.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    format: LogFormat,
    show: Option<Show>,
    state: Mutex<State>,
}

struct State {
    file: Option<LogFile>,
    bar: Option<Bar>,
    begun: Option<Begun>,
    counts: Counts,
    /// Failed images, and those of them that stderr was told one by one.
    failed: u64,
    shown: u64,
    stopped: Option<(Exit, Instant)>,
    /// Nobody wants to hear of the end: the reader of the rows left.
    left: bool,
    /// The last line was told.
    closed: bool,
}

struct Begun {
    total: u64,
    before: u64,
    at: Instant,
    last_line: Instant,
}

/// Where a record goes, besides the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// Stderr, unless it is to be quiet.
    Everybody,
    /// Stderr, always.
    Alarmed,
    /// Not stderr.
    File,
}

impl Log {
    /// Opens the log. A log file that cannot be opened is a warning: the night's work matters more.
    #[must_use]
    pub fn open(telling: &Telling, show: Show) -> Self {
        let opened = telling.log_file.as_deref().map(LogFile::open);
        let (file, problem) = opened.map_or((None, None), |(file, problem)| (Some(file), problem));
        let log = Self::with(telling.log_format, Some(show), file);
        if let Some(problem) = problem {
            log.warning(&problem);
        }
        log
    }

    /// A log that nobody reads.
    #[must_use]
    pub fn silent() -> Self {
        Self::with(LogFormat::Text, None, None)
    }

    fn with(format: LogFormat, show: Option<Show>, file: Option<LogFile>) -> Self {
        let state = State {
            file,
            bar: None,
            begun: None,
            counts: Counts::default(),
            failed: 0,
            shown: 0,
            stopped: None,
            left: false,
            closed: false,
        };
        Self(Arc::new(Shared { format, show, state: Mutex::new(state) }))
    }

    /// Tells that the program has started, from what to what.
    pub fn start(&self, inputs: &[String], output: &str) {
        let Invocation { host, pid, command, .. } = Invocation::this();
        let version = env!("CARGO_PKG_VERSION");
        let message = format!("linnaeus {version} as {pid} on {host}: {}", command.join(" "));
        let record = Record::new(Level::Info, "start", message)
            .with("version", version)
            .with("host", host.as_str())
            .with("pid", *pid)
            .with("command", command.clone())
            .with("inputs", inputs)
            .with("output", output);
        let to = if self.is_json() { To::Everybody } else { To::File };
        self.tell(&record, to);
    }

    /// Begins to show progress of a run of `total` rows, of which the first `before` are there.
    pub fn begin(&self, total: u64, before: u64) {
        let now = Instant::now();
        let mut state = self.state();
        state.begun = Some(Begun { total, before, at: now, last_line: now });
        let show = self.0.show.filter(|show| show.bar && !show.quiet && !self.is_json());
        state.bar = show.filter(|_| stderr().is_terminal()).map(|_| Bar::start(total));
    }

    /// Tells a sentence that a person should read, once.
    pub fn note(&self, text: &str) {
        self.tell(&Record::new(Level::Info, "note", text), To::Everybody);
    }

    /// Tells what may become a problem; also when it is to be quiet.
    pub fn warning(&self, text: &str) {
        self.tell(&Record::new(Level::Warn, "warning", text), To::Alarmed);
    }

    /// Takes in what came of the images so far, and shows it when it is time to.
    pub fn progress(&self, counts: &Counts) {
        let mut state = self.state();
        state.counts.clone_from(counts);
        let interval = self.0.show.map(|show| show.interval);
        let due = state.begun.as_ref().is_some_and(|begun| {
            interval.is_some_and(|interval| begun.last_line.elapsed() >= interval)
        });
        if state.bar.is_none() && !due {
            return;
        }
        let Some(standing) = state.standing() else { return };
        if let Some(bar) = &state.bar {
            bar.update(&standing);
        }
        if let Some(begun) = state.begun.as_mut().filter(|_| due) {
            begun.last_line = Instant::now();
            let to = if state.bar.is_some() { To::File } else { To::Everybody };
            self.write(&mut state, &progress_record(&standing), to);
        }
    }

    /// Tells where the run is, because somebody asked (SIGUSR1).
    pub fn status(&self) {
        let mut state = self.state();
        let record = match state.standing() {
            Some(standing) => progress_record(&standing),
            None => Record::new(Level::Info, "progress", "no image read yet"),
        };
        self.write(&mut state, &record.with("asked", true), To::Alarmed);
    }

    /// What came of the images so far, and how long it took.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.state().standing()
    }

    /// Tells of an image without a prediction.
    pub fn image_error(&self, name: &[u8], error: &ItemError) {
        let mut state = self.state();
        state.failed += 1;
        if !self.is_json() && state.failed > MOST_ERROR_LINES {
            return;
        }
        let path = encode_name(name);
        let shown: String = path.chars().flat_map(char::escape_debug).collect();
        let message = format!("{shown}: {}: {error}", error.code());
        let record = Record::new(Level::Warn, "image_error", message)
            .with("path", path)
            .with("status", error.code())
            .with("reason", error.to_string());
        // Beside a bar, its count is enough; the summary has examples.
        let to = if state.bar.is_some() { To::File } else { To::Everybody };
        state.shown += u64::from(to == To::Everybody);
        self.write(&mut state, &record, to);
    }

    /// Whether stderr was told the failed images one by one, so that no examples are needed.
    #[must_use]
    pub fn tells_images(&self) -> bool {
        self.0.show.is_some_and(|show| !show.quiet) && self.state().shown > 0
    }

    /// Tells that what was written so far survives the program's death.
    pub fn checkpoint(&self, rows: u64, bytes: u64) {
        if self.is_json() {
            let message = format!("{rows} rows are safe");
            let record = Record::new(Level::Info, "checkpoint", message);
            self.tell(&record.with("rows", rows).with("bytes", bytes), To::Everybody);
        }
    }

    /// Tells that the run was asked to stop.
    pub fn signal(&self, status: Exit) {
        let mut state = self.state();
        if state.stopped.is_some() {
            return;
        }
        state.stopped = Some((status, Instant::now()));
        let message =
            "stopping: what is in flight is being finished; once more to stop at once".to_owned();
        let record = Record::new(Level::Warn, "signal", message)
            .with("code", status.code())
            .with("meaning", status.meaning());
        self.write(&mut state, &record, To::Alarmed);
    }

    /// When the run was asked to stop.
    #[must_use]
    pub fn stopped_at(&self) -> Option<Instant> {
        self.state().stopped.map(|(_, at)| at)
    }

    /// Tells why the run failed. Nobody but the file hears that the reader of the rows left: a person
    /// did that, or `head`.
    pub fn error(&self, error: &RunError) {
        let exit = error.exit();
        let record = Record::new(Level::Error, "error", error.to_string())
            .with("code", exit.code())
            .with("meaning", exit.meaning());
        self.end_progress();
        let heard = self.is_json() || !error.is_reader_gone();
        self.state().left = !heard;
        self.tell(&record, if heard { To::Alarmed } else { To::File });
    }

    /// Tells which conditions of the gate do not hold; a person has read it in the evaluation.
    pub fn gate(&self, failed: &str) {
        let to = if self.is_json() { To::Alarmed } else { To::File };
        self.tell(&Record::new(Level::Error, "gate", failed), to);
    }

    /// Tells of a panic, on the thread on which it happens: it may hold the log, which is waited for
    /// by nobody then.
    pub fn panic(&self, panic: &str) {
        let Ok(mut state) = self.0.state.try_lock() else { return };
        let record = Record::new(Level::Error, "error", format!("a defect: {panic}"));
        self.write(&mut state, &record.with("code", Exit::Internal.code()), To::Alarmed);
    }

    /// Ends the bar, and leaves nothing of it behind.
    pub fn end_progress(&self) {
        if let Some(bar) = self.state().bar.take() {
            bar.finish();
        }
    }

    /// Tells what came of the run: `summary` for a person, `fields` for a program.
    pub fn finish(&self, exit: Exit, summary: &str, fields: Vec<(&'static str, Value)>) {
        self.end_progress();
        let mut state = self.state();
        let untold = state.failed.saturating_sub(MOST_ERROR_LINES);
        let mut message = summary.trim_end().to_owned();
        if untold > 0 && !self.is_json() {
            let more =
                "more failed images are not listed here; the output has each with its reason";
            let _ = write!(message, "\n  {untold} {more}");
        }
        let mut record = Record::new(level_of(exit), "finish", message)
            .with("code", exit.code())
            .with("meaning", exit.meaning());
        for (key, value) in fields {
            record = record.with(key, value);
        }
        self.write(&mut state, &record, unless_well(exit));
    }

    /// Tells what a hook printed or how it went.
    pub fn hook(&self, key: &str, line: &str, went_well: bool) {
        let record = Record::new(Level::Info, "hook", format!("{key}: {line}")).with("key", key);
        let to = if went_well { To::Everybody } else { To::Alarmed };
        self.tell(&record.with("line", line), to);
    }

    /// Tells the last line; what comes later, of other threads, is not told.
    pub fn exit(&self, exit: Exit) {
        self.end_progress();
        let mut state = self.state();
        let (code, meaning) = (exit.code(), exit.meaning());
        let record = Record::new(level_of(exit), "exit", format!("exit status {code}: {meaning}"))
            .with("code", code)
            .with("meaning", meaning);
        // A shell tells a person the status; what cron mails does not.
        let mailed = self.0.show.is_some_and(|show| show.quiet) && !state.left;
        let to = if self.is_json() || mailed { unless_well(exit) } else { To::File };
        self.write(&mut state, &record, to);
        state.closed = true;
    }

    /// Whether messages are JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.0.format == LogFormat::Json
    }

    /// Tells something else.
    fn tell(&self, record: &Record, to: To) {
        self.write(&mut self.state(), record, to);
    }

    fn write(&self, state: &mut State, record: &Record, to: To) {
        if state.closed {
            return;
        }
        let json = self.is_json();
        let problem = state
            .file
            .as_mut()
            .and_then(|file| file.write(&if json { record.json() } else { record.file_text() }));
        let shown = match (to, self.0.show) {
            (To::File, _) | (_, None) => false,
            (To::Everybody, Some(show)) => !show.quiet,
            (To::Alarmed, Some(_)) => true,
        };
        let text = || if json { record.json() } else { record.text() };
        if shown {
            print(state, &text());
        }
        if let Some(problem) = problem.filter(|_| self.0.show.is_some()) {
            let record = Record::new(Level::Warn, "warning", problem);
            print(state, &if json { record.json() } else { record.text() });
        }
    }

    /// A thread that panicked while it told something must not silence the others.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn standing(&self) -> Option<Standing> {
        let Begun { total, before, at, .. } = *self.begun.as_ref()?;
        Some(Standing { counts: self.counts.clone(), total, before, elapsed: at.elapsed() })
    }
}

/// A stderr that is gone must not end the run. Each call is one write, so that lines of several
/// processes do not mix.
fn print(state: &State, text: &str) {
    let write = || {
        let _ = stderr().write_all(text.as_bytes());
    };
    match &state.bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn progress_record(standing: &Standing) -> Record {
    let Standing { counts, total, before, elapsed } = standing;
    let record = Record::new(Level::Info, "progress", standing.to_string())
        .with("rows", counts.rows())
        .with("total", *total)
        .with("before", *before)
        .with("ok", counts.ok)
        .with("failed", counts.errors())
        .with("seconds", elapsed.as_secs_f64())
        .with("images_per_second", standing.rate());
    match standing.left() {
        Some(left) => record.with("seconds_left", left.as_secs_f64()),
        None => record,
    }
}

fn level_of(exit: Exit) -> Level {
    match exit {
        Exit::Complete => Level::Info,
        Exit::SomeFailed | Exit::Budget => Level::Warn,
        _ => Level::Error,
    }
}

fn unless_well(exit: Exit) -> To {
    if exit == Exit::Complete { To::Everybody } else { To::Alarmed }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_comes_after_the_last_line_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let (file, _) = LogFile::open(&path);
        let log = Log::with(LogFormat::Json, None, Some(file));
        log.panic("it\nbroke");
        {
            let _held = log.state();
            log.panic("on the thread that holds the log");
        }
        log.exit(Exit::Internal);
        log.warning("too late");
        let text = fs::read_to_string(&path).unwrap();
        let objects: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<_> = objects.iter().map(|object| &object["event"]).collect();
        assert_eq!(events, ["error", "exit"]);
        assert_eq!(objects[0]["message"], "a defect: it\nbroke");
    }

    #[test]
    fn a_log_that_nobody_reads_takes_everything() {
        let log = Log::silent();
        log.begin(9, 0);
        log.note("a");
        log.progress(&Counts { ok: 3, ..Counts::default() });
        log.status();
        assert!(!log.tells_images());
        assert_eq!(log.standing().unwrap().counts.ok, 3);
        log.signal(Exit::Terminated);
        assert!(log.stopped_at().is_some());
    }
}
