//! What each command does: one call into the library, and its result to the right stream.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::CommandFactory as _;
use linnaeus::{
    doctor::Truth,
    error::{Exit, RunError, with_causes},
    isolate,
    job::Job,
    runtime::{self, Description, RuntimeRequest, install},
};

mod classify;
mod models;
mod reports;

use classify::classify;
pub(crate) use classify::refuse;

use crate::cli::{Cli, Command, Installable, RuntimeAction};

/// Runs one command.
pub(crate) fn run(cli: Cli) -> Result<Exit, RunError> {
    match cli.command {
        Command::Run { job, options, inputs } => classify(Job::load(&job), *options, inputs),
        Command::Classify { inputs, options } => classify(Ok(Job::default()), *options, inputs),
        Command::Inspect { model, using, json } => models::inspect(&using.into_job(model), json),
        Command::Doctor { model, images, labelled, truth, most, using, json } => {
            let truth = match (labelled, truth) {
                (Some(folder), _) => Truth::Folders(folder),
                (None, Some(file)) => Truth::File(file),
                (None, None) => Truth::Unknown,
            };
            models::doctor(&using.into_job(model), (images, truth, most), json)
        }
        Command::Pack { model, output, golden, temperature_from, using } => {
            models::pack(&using.into_job(model), &output, &golden, temperature_from)
        }
        Command::Freeze { model, output, golden, verify, bare, json, using } => {
            models::freeze(&using.into_job(model), &output, (&golden, &verify, bare), json)
        }
        Command::Tensor { image, model, output, using } => {
            models::tensor(&image, &using.into_job(model), &output)
        }
        Command::TensorDiff { a, b, tolerance } => models::tensor_diff(&a, &b, tolerance),
        Command::Evaluate(flags) => reports::evaluate(*flags),
        Command::Compare(flags) => reports::compare(*flags),
        Command::Presets { name } => models::presets(name.as_deref()),
        Command::Runtime { action: None, onnxruntime } => {
            let request = RuntimeRequest { explicit: onnxruntime, gpu_wanted: true };
            let located = runtime::locate(&request).map_err(|error| runtime_error(&error))?;
            let runtime = located.load().map_err(|error| runtime_error(&error))?;
            print(&Description::of_runtime(&runtime).to_string())
        }
        Command::Runtime { action: Some(RuntimeAction::Install { what }), .. } => install(what),
        Command::Licenses => print(&licenses()),
        Command::ExitCodes => {
            let lines: Vec<_> = Exit::ALL.iter().map(ToString::to_string).collect();
            print(&(lines.join("\n") + "\n"))
        }
        Command::PrepareImages => prepare_images(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "linnaeus", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// The child of a run with `isolate`, for which this is the other end of its line.
fn prepare_images() -> Result<Exit, RunError> {
    #[cfg(unix)]
    let ends = {
        use std::{fs::File, os::fd::AsFd as _};
        // Files, so that the binary frames pass no line buffer.
        let own = |end: std::os::fd::BorrowedFd<'_>| end.try_clone_to_owned().map(File::from);
        own(io::stdin().as_fd()).and_then(|from| Ok((from, own(io::stdout().as_fd())?)))
    };
    #[cfg(not(unix))]
    let ends = io::Result::Ok((io::stdin(), io::stdout()));
    let ends = linnaeus::interrupt::outlast().and(ends);
    let (from, to) = ends.map_err(|error| RunError::Internal(error.to_string()))?;
    isolate::serve(from, to).map(|()| Exit::Complete)
}

/// The program that is running, also when another has taken its place on the disk since.
fn this_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Some(running) } else { std::env::current_exe().ok() }
}

fn install(what: Installable) -> Result<Exit, RunError> {
    let Installable::Cuda { dir, dry_run } = what;
    let options = install::InstallOptions { dir, dry_run };
    let mut progress = |line: &str| {
        let _ = writeln!(io::stderr(), "{line}");
    };
    let installed =
        install::cuda(&options, &mut progress).map_err(|error| runtime_error(&error))?;
    print(&format!("{}\n", installed.folder.display()))
}

fn licenses() -> String {
    let own = concat!("linnaeus ", env!("CARGO_PKG_VERSION"), "\n\n", include_str!("../LICENSE"));
    match runtime::licenses() {
        Some(onnxruntime) => {
            format!("{own}\n\nONNX Runtime, carried in this executable\n\n{onnxruntime}")
        }
        None => own.to_owned(),
    }
}

fn runtime_error(error: &dyn std::error::Error) -> RunError {
    RunError::Runtime(with_causes(error))
}

/// Prints to standard output; the one place that does.
fn print(text: &str) -> Result<Exit, RunError> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    printed
        .map(|()| Exit::Complete)
        .map_err(|source| RunError::Output { path: "standard output".into(), source })
}
