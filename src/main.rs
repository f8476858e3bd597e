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
    let exit = match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli).unwrap_or_else(|error| report(&error)),
        Err(error) => commands::refuse(&error),
    };
    ExitCode::from(exit.code())
}

/// Tells what went wrong.
fn report(error: &RunError) -> Exit {
    if !error.is_reader_gone() {
        // A stderr that is gone must not turn into a panic.
        let _ = writeln!(io::stderr(), "error: {}", printable(&error.to_string()));
    }
    error.exit()
}
