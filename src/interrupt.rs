//! Ctrl-C and its relatives: the first asks the run to drain, a second ends the program at once;
//! SIGUSR1 asks how far it is.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::error::Exit;

/// Whether, and by which signal, the run was asked to stop. Cheap to copy and to look at.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Asking>);

#[derive(Debug, Default)]
struct Asking {
    status: AtomicU8,
    /// When the time that the run may take is over.
    deadline: OnceLock<Instant>,
    drained: AtomicBool,
}

impl Stop {
    /// The status to end with, once a stop was asked for.
    #[must_use]
    pub fn requested(&self) -> Option<Exit> {
        match self.0.status.load(Ordering::Relaxed) {
            0 if self.0.deadline.get().is_some_and(|&at| Instant::now() >= at) => {
                // A signal that came before it decides the exit status.
                let _ = self.request(Exit::Budget);
                Some(Exit::Budget)
            }
            0 => None,
            1 => Some(Exit::HungUp),
            2 => Some(Exit::Interrupted),
            3 => Some(Exit::Budget),
            _ => Some(Exit::Terminated),
        }
    }

    /// Asks for a stop, as a signal with this exit status would; returns whether it was the first.
    #[must_use]
    pub fn request(&self, status: Exit) -> bool {
        let code = match status {
            Exit::HungUp => 1,
            Exit::Interrupted => 2,
            Exit::Budget => 3,
            _ => 4,
        };
        self.0.status.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Asks for a stop at that time, with the status [`Exit::Budget`]. The first call counts.
    pub fn request_at(&self, deadline: Instant) {
        let _ = self.0.deadline.set(deadline);
    }

    /// Says that nothing is in flight any more: what is left to do takes no grace.
    pub fn set_drained(&self) {
        self.0.drained.store(true, Ordering::Relaxed);
    }

    fn is_drained(&self) -> bool {
        self.0.drained.load(Ordering::Relaxed)
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To stop, with this status: the first such signal.
    Stop(Exit),
    /// To stop at once: a second one. The program ends as soon as this was heard.
    StopNow(Exit),
    /// What was in flight has not ended within its grace. The program ends as soon as this was heard.
    GraceOver(Exit),
    /// Where the run is (SIGUSR1).
    Status,
}

/// Between looks at whether a stop was asked for, and whether its grace is over.
const LOOK: Duration = Duration::from_millis(200);

/// Time to tell that the program stops at once, to somebody who may not be reading.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Time to tell everybody that the grace is over: nobody is in such a hurry then.
const LAST_DEEDS: Duration = Duration::from_secs(5);

/// Listens for SIGINT, SIGTERM, SIGHUP and SIGUSR1 as long as the process lives. Once a stop was
/// asked for, by a signal or a budget, what is in flight has `grace`; then the process ends, and
/// another run goes on from the last checkpoint. `hear` is called on a thread of its own: one that
/// cannot write must not keep a second signal from ending the process.
///
/// # Errors
///
/// When the operating system refuses a handler.
pub fn listen(
    stop: &Stop,
    grace: Duration,
    hear: impl Fn(Asked) + Send + 'static,
) -> std::io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let stop = stop.clone();
    let signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let (asked, asking) = mpsc::channel();
    let (heard, last_words) = mpsc::channel();
    thread::Builder::new().name("telling".into()).spawn(move || {
        for asked in asking {
            hear(asked);
            if matches!(asked, Asked::StopNow(_) | Asked::GraceOver(_)) {
                let _ = heard.send(());
            }
        }
    })?;
    // It has to outlive every scope: a second signal must end a program that hangs.
    thread::Builder::new().name("signals".into()).spawn(move || {
        let (end, patience) = runtime.block_on(end_at_once(signals, &stop, grace, &asked));
        let _ = asked.send(end);
        let _ = last_words.recv_timeout(patience);
        let (Asked::StopNow(status) | Asked::GraceOver(status)) = end else { return };
        #[expect(clippy::exit, reason = "the second signal asks for exactly this")]
        std::process::exit(i32::from(status.code()));
    })?;
    Ok(())
}

/// Lets signals pass that [`listen`] hears, from now on: for a process that ends when the one that
/// started it does. A service manager sends them to all of a service's processes, and what is in
/// flight then is to be finished.
///
/// # Errors
///
/// When the operating system refuses a handler.
pub fn outlast() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    // The handlers stay when nobody listens any more.
    Signals::new().map(drop)
}

/// Passes on what signals ask for, until a second one asks for a stop or `grace` is over.
async fn end_at_once(
    mut signals: Signals,
    stop: &Stop,
    grace: Duration,
    asked: &mpsc::Sender<Asked>,
) -> (Asked, Duration) {
    // Not `stop`'s first request: a budget may have made that.
    let mut heard_one = false;
    let mut asked_at = None;
    loop {
        match tokio::time::timeout(LOOK, signals.next()).await {
            Ok(None) => {
                let _ = asked.send(Asked::Status);
            }
            Ok(Some(status)) if heard_one => return (Asked::StopNow(status), LAST_WORDS),
            Ok(Some(status)) => {
                heard_one = true;
                let _ = stop.request(status);
                let _ = asked.send(Asked::Stop(status));
            }
            Err(_) => {
                let Some(status) = stop.requested().filter(|_| !stop.is_drained()) else {
                    continue;
                };
                let at: &Instant = asked_at.get_or_insert_with(Instant::now);
                if at.elapsed() >= grace {
                    return (Asked::GraceOver(status), LAST_DEEDS);
                }
            }
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Absent when the process was started to survive a hang-up (`nohup`).
    hang_up: Option<tokio::signal::unix::Signal>,
    status: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) },
            status: signal(SignalKind::user_defined1())?,
        })
    }

    /// The status that the next signal asks to end with; `None` when it only asks for news.
    async fn next(&mut self) -> Option<Exit> {
        tokio::select! {
            _ = self.interrupt.recv() => Some(Exit::Interrupted),
            _ = self.terminate.recv() => Some(Exit::Terminated),
            () = received(self.hang_up.as_mut()) => Some(Exit::HungUp),
            _ = self.status.recv() => None,
        }
    }
}

#[cfg(unix)]
async fn received(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP, signal 1, was ignored when the process began; Linux tells it in `SigIgn`, a
/// mask whose lowest bit is signal 1 (proc(5)).
#[cfg(unix)]
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Option<Exit> {
        self.0.recv().await;
        Some(Exit::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_decides_the_status() {
        let stop = Stop::default();
        assert_eq!(stop.requested(), None);
        assert!(stop.request(Exit::Terminated));
        assert!(!stop.request(Exit::Interrupted));
        assert_eq!(stop.requested(), Some(Exit::Terminated));
    }
}
