//! Where there are no processes to talk to: `isolate` says so and ends the run.

use std::{convert::Infallible, io, path::Path};

use super::frames::Kind;
use crate::deadline::Deadline;

/// There is none.
pub(super) struct Process(Infallible);

/// How a process ended that should not have.
#[allow(dead_code, reason = "there is none that could")]
pub(super) enum End {
    /// Its time was over.
    TimedOut,
    /// In words.
    Crashed(String),
}

impl Process {
    pub(super) fn start(_: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "`isolate` is for Linux and macOS"))
    }

    pub(super) fn id(&self) -> u32 {
        match self.0 {}
    }

    pub(super) fn still_running(self) -> Option<Self> {
        match self.0 {}
    }

    pub(super) fn send(&mut self, _: Kind, _: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn receive(&mut self, _: usize, _: &Deadline, _: &mut Vec<u8>) -> io::Result<Kind> {
        match self.0 {}
    }

    pub(super) fn end(self, _: &io::Error) -> End {
        match self.0 {}
    }
}
