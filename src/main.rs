//! The program: arguments in, exit status out.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use linnaeus::{
    error::{Exit, RunError},
    progress::printable,
};

mod cli;
mod commands;

fn main() -> ExitCode {
    // First, while this is the only thread: it sets an environment variable.
    linnaeus::runtime::silence_telemetry();
    linnaeus::memory::confine();
    linnaeus::decode::silence_contained_panics();
    let exit = commands::run(cli::Cli::parse()).unwrap_or_else(|error| report(&error));
    ExitCode::from(exit.code())
}

/// Tells what went wrong. A reader of standard output that left is no news to anybody.
fn report(error: &RunError) -> Exit {
    let left = matches!(
        error,
        RunError::Output { source, .. } if source.kind() == io::ErrorKind::BrokenPipe
    );
    if !left {
        // A stderr that is gone must not turn into a panic.
        let _ = writeln!(io::stderr(), "error: {}", printable(&error.to_string()));
    }
    error.exit()
}
