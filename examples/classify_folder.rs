//! The shortest use of the library: a job file, a run, a summary.
//!
//!     cargo run --example classify_folder

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use linnaeus::{
    config::Config, error::RunError, interrupt::Stop, job::Job, run::Run, telling::Log,
};

fn main() -> Result<(), RunError> {
    let job = Job::load("jobs/digits.toml".as_ref())?;
    let run = Run::prepare(Config::resolve(job)?)?;
    let summary = run.execute(&Stop::default(), &Log::silent())?;
    println!("{summary}");
    Ok(())
}
