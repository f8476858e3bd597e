//! The parent's side of one process: starting it, talking to it within a time, and how it ended.

use std::{
    io::{self, Read},
    os::{fd::AsFd as _, unix::process::CommandExt as _, unix::process::ExitStatusExt as _},
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Signal,
};

use super::frames::{self, Kind};
use crate::deadline::Deadline;

/// A child that runs; dropping it ends it.
pub(super) struct Process {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
    errors: ChildStderr,
}

/// How a process ended that should not have.
pub(super) enum End {
    /// Its time was over.
    TimedOut,
    /// In words.
    Crashed(String),
}

impl Process {
    /// Starts `program` as a child that prepares images. Files that this process has open are
    /// closed in it: the standard library opens all of them so.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(super::COMMAND).arg0("linnaeus");
        // A group of its own: Ctrl-C is for the parent, which lets what is in flight finish.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(errors)) = pipes else { unreachable!("all are piped") };
        Ok(Self { child, to, from, errors })
    }

    /// Its number, for a person.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Itself, when it has not ended meanwhile.
    pub(super) fn still_running(mut self) -> Option<Self> {
        (!self.has_ended()).then_some(self)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a frame. It fits into the pipe, which is empty: the child has read all before.
    pub(super) fn send(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        frames::write(&mut self.to, kind, payload)
    }

    /// Receives a frame of at most `most` bytes by `deadline`.
    pub(super) fn receive(
        &mut self,
        most: usize,
        deadline: &Deadline,
        payload: &mut Vec<u8>,
    ) -> io::Result<Kind> {
        let mut timed = Timed { from: &mut self.from, deadline };
        let received = frames::read(&mut timed, most, payload)?;
        received.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Ends it after `error` on its line, and says what became of it.
    pub(super) fn end(mut self, error: &io::Error) -> End {
        if error.kind() == io::ErrorKind::TimedOut {
            return End::TimedOut;
        }
        if error.kind() == io::ErrorKind::InvalidData {
            return End::Crashed("its answer was no answer".to_owned());
        }
        // It closed its end: it is dead, or is dying.
        let waited = self.child.wait();
        let mut said = Vec::new();
        let _ = self.errors.by_ref().take(64 << 10).read_to_end(&mut said);
        match waited {
            Ok(status) if status.signal() == Some(Signal::XCPU.as_raw()) => End::TimedOut,
            Ok(status) => End::Crashed(in_words(status, &String::from_utf8_lossy(&said))),
            Err(error) => End::Crashed(error.to_string()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and is only waited for.
        let _ = self.child.kill();
        // Up to two seconds in all.
        for pause in (0..11).map(|doublings| Duration::from_millis(1 << doublings)) {
            if self.has_ended() {
                return;
            }
            thread::sleep(pause);
        }
        // A system call on a dead network folder cannot be killed. The run goes on without it.
    }
}

/// A pipe that is read until a deadline.
struct Timed<'a> {
    from: &'a mut ChildStdout,
    deadline: &'a Deadline,
}

impl Read for Timed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.left().min(Duration::from_hours(1));
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut pipe = [PollFd::from_borrowed_fd(self.from.as_fd(), PollFlags::IN)];
            match poll(&mut pipe, Some(&timeout)) {
                // What is there is read even when it is late.
                Ok(1..) => return self.from.read(out),
                Ok(0) if self.deadline.has_passed() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How a process ended; the same words each time for the same cause.
fn in_words(status: ExitStatus, said: &str) -> String {
    const SIGNALS: [(Signal, &str); 8] = [
        (Signal::SEGV, "SIGSEGV, a wrong address"),
        (Signal::BUS, "SIGBUS, a wrong address or a file that shrank"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::ILL, "SIGILL, an instruction that this processor does not have"),
        (Signal::FPE, "SIGFPE, a division by zero"),
        (Signal::SYS, "SIGSYS, a forbidden system call"),
        (Signal::KILL, "SIGKILL, as the system does when memory is exhausted"),
        (Signal::TERM, "SIGTERM"),
    ];
    let why = if said.contains("overflowed its stack") {
        ": its stack overflowed"
    } else if said.contains("memory allocation of") {
        ": it wanted more memory than it may have"
    } else {
        ""
    };
    match status.signal() {
        Some(number) => {
            let known = SIGNALS.iter().find(|(signal, _)| signal.as_raw() == number);
            let name = known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).into());
            format!("{name}{why}")
        }
        None => format!("exit status {}{why}", status.code().unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ended_is_told_in_words() {
        let ended = |raw, said| in_words(ExitStatus::from_raw(raw), said);
        assert!(ended(11, "").starts_with("SIGSEGV"));
        let overflow = "\nthread 'main' (77) has overflowed its stack\nfatal runtime error";
        assert_eq!(ended(6, overflow), "SIGABRT: its stack overflowed");
        assert_eq!(ended(42, ""), "signal 42");
        assert_eq!(ended(7 << 8, ""), "exit status 7");
    }
}
