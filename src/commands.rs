//! What each command does: one call into the library, and its result to the right stream.

use std::io::{self, IsTerminal as _, Write as _};

use clap::CommandFactory as _;
use linnaeus::{
    config::Config,
    doctor::Truth,
    error::{Exit, RunError, with_causes},
    interrupt::{self, Stop},
    job::Job,
    predict,
    progress::printable,
    run::Run,
    runtime::{self, Description, RuntimeRequest, install},
};

mod models;

use crate::cli::{Cli, Command, Installable, Options, RuntimeAction};

/// Runs one command.
pub(crate) fn run(cli: Cli) -> Result<Exit, RunError> {
    match cli.command {
        Command::Run { job, options, inputs } => {
            let base = Job::load(&job)?;
            classify(base, *options, inputs)
        }
        Command::Classify { inputs, options } => classify(Job::default(), *options, inputs),
        Command::Inspect { model, using, json } => models::inspect(&using.into_job(model), json),
        Command::Doctor { model, images, labelled, truth, most, using, json } => {
            let truth = match (labelled, truth) {
                (Some(folder), _) => Truth::Folders(folder),
                (None, Some(file)) => Truth::File(file),
                (None, None) => Truth::Unknown,
            };
            models::doctor(&using.into_job(model), (images, truth, most), json)
        }
        Command::Pack { model, output, golden, using } => {
            models::pack(&using.into_job(model), &output, &golden)
        }
        Command::Freeze { model, output, golden, verify, bare, json, using } => {
            models::freeze(&using.into_job(model), &output, (&golden, &verify, bare), json)
        }
        Command::Tensor { image, model, output, using } => {
            models::tensor(&image, &using.into_job(model), &output)
        }
        Command::TensorDiff { a, b, tolerance } => models::tensor_diff(&a, &b, tolerance),
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
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "linnaeus", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

fn classify(
    base: Job,
    options: Options,
    inputs: Vec<std::path::PathBuf>,
) -> Result<Exit, RunError> {
    let (dry_run, print_job, restart) = (options.dry_run, options.print_job, options.restart);
    let job = base.overridden_by(options.into_job(inputs));
    if print_job {
        return print(&job.with_absolute_paths().to_toml()?);
    }
    let table = wants_table(&job);
    let config = Config { restart, ..Config::resolve(job)? };
    if let (Some(classes), [image], false) = (table, &config.inputs[..], dry_run) {
        return models::table(&config, image, classes);
    }
    let quiet = config.quiet;
    if dry_run {
        return print(&Run::prepare(config)?.describe()?);
    }
    let stop = Stop::default();
    let announce = |_: Exit| {
        // A terminal that hung up cannot be written to, and that is no reason to panic.
        let text = "stopping: what is in flight is being finished; once more to stop at once";
        let _ = writeln!(io::stderr(), "{text}");
    };
    interrupt::listen(&stop, announce)
        .map_err(|error| RunError::Internal(format!("no signal handler: {error}")))?;
    let summary = Run::prepare(config)?.execute(&stop)?;
    if !quiet || summary.exit != Exit::Complete {
        let _ = write!(io::stderr(), "{}", printable(&summary.to_string()));
    }
    Ok(summary.exit)
}

/// How many classes a person who gives one image and a terminal is shown as a table.
fn wants_table(job: &Job) -> Option<usize> {
    let one = job.inputs.as_ref().is_some_and(|inputs| inputs.len() == 1 && inputs[0].is_file());
    let rows = job.output.is_some() || job.format.is_some() || job.manifest.is_some();
    let shown = one && !rows && io::stdout().is_terminal();
    shown.then(|| job.top_k.map_or(predict::USUAL_CLASSES, usize::from))
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
