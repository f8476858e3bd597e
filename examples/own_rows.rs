//! Rows of one's own: a job is put together in code, its rows go to standard output as JSON lines.
//!
//!     cargo run --example own_rows | head -3

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::num::NonZeroUsize;

use linnaeus::{
    config::Config,
    error::RunError,
    interrupt::Stop,
    job::{Format, Job},
    run::Run,
    telling::Log,
};

fn main() -> Result<(), RunError> {
    let base = Job::load("jobs/digits.toml".as_ref())?;
    let job = base.overridden_by(Job {
        inputs: Some(vec!["examples/digits/images/7".into()]),
        output: Some("-".into()),
        format: Some(Format::Jsonl),
        top_k: NonZeroUsize::new(3),
        quiet: Some(true),
        ..Job::default()
    });
    let summary = Run::prepare(Config::resolve(job)?)?.execute(&Stop::default(), &Log::silent())?;
    eprintln!("{} of {} classified", summary.counts.ok, summary.counts.rows());
    Ok(())
}
