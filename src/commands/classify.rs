//! `run` and `classify`: from a job to its exit status, and everybody who is to hear of it.

use std::{
    any::Any,
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    panic::{self, AssertUnwindSafe},
    path::{self, Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use linnaeus::{
    config::{self, Config, Target, Telling},
    decode,
    error::{Exit, RunError},
    interrupt::{self, Asked, Stop},
    invocation::Invocation,
    job::{Job, LogFormat},
    model::ModelFile,
    output, predict,
    run::{Run, Summary},
    telling::{
        Log, Show, hook,
        metrics::{self, Figures},
    },
};
use serde_json::{Value, json};

use super::{models, print, reports::AfterRun};
use crate::cli::Options;

/// What a hook gets after a signal, also when `grace` is used up.
const LEAST_HOOK_TIME: Duration = Duration::from_secs(2);

/// One call of the command.
#[derive(Clone)]
struct Call {
    job: Job,
    dry_run: bool,
    restart: bool,
    /// Classes of the table that a person at a terminal gets for one image.
    table: Option<usize>,
    telling: Telling,
    log: Log,
    stop: Stop,
    clock: Instant,
}

/// How far a call came.
#[derive(Default)]
struct Reached {
    model: Option<ModelFile>,
    summary: Option<Summary>,
    /// What the output is worth, for a person.
    evaluation: Option<String>,
    /// The conditions of the gate that do not hold.
    gate: Option<String>,
}

/// Classifies what `flags` and the job file `base` say.
pub(super) fn classify(
    base: Result<Job, RunError>,
    options: Options,
    inputs: Vec<PathBuf>,
) -> Result<Exit, RunError> {
    let (dry_run, print_job, restart) = (options.dry_run, options.print_job, options.restart);
    let flags = options.into_job(inputs);
    // Of a job file that cannot be read, the flags at least say who is to hear of it.
    let (job, refused) = match base {
        Ok(base) => (base.overridden_by(flags), None),
        Err(error) => (flags, Some(error)),
    };
    if print_job {
        return match refused {
            Some(error) => Err(error),
            None => print(&job.with_absolute_paths().to_toml()?),
        };
    }
    let (call, clash) = Call::new(job, dry_run, restart);
    let exit = match refused.or(clash) {
        Some(error) => call.end(Err(error), &Reached::default()),
        None => call.make(),
    };
    Ok(exit)
}

/// Tells of a command line that is none, in JSON when it asks for that.
pub(crate) fn refuse(error: &clap::Error) -> Exit {
    if !error.use_stderr() || !asks_for_json(&env::args_os().collect::<Vec<_>>()) {
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage } else { Exit::Complete };
    }
    let show = Show { quiet: false, interval: Duration::ZERO, bar: false };
    let log = Log::open(&Telling::to_stderr(LogFormat::Json), show);
    let text = error.render().to_string();
    let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
    log.error(&RunError::Usage(text.to_owned()));
    log.exit(Exit::Usage);
    Exit::Usage
}

fn asks_for_json(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == "--log-format=json")
        || args.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json")
}

impl Call {
    fn new(job: Job, dry_run: bool, restart: bool) -> (Self, Option<RunError>) {
        let plain = Telling::to_stderr(job.log_format.unwrap_or(LogFormat::Text));
        let table = wants_table(&job).filter(|_| !dry_run);
        let (telling, clash) = match Telling::of(&job) {
            Ok(_) if dry_run || table.is_some() => (plain, None),
            Ok(telling) => (telling, None),
            Err(error) => (plain, Some(error)),
        };
        let rows_on_terminal = job.output.as_ref().is_none_or(|path| path.as_os_str() == "-")
            && io::stdout().is_terminal();
        let show = Show {
            quiet: job.quiet.unwrap_or(false),
            interval: config::progress_interval(&job),
            bar: !rows_on_terminal,
        };
        let (log, stop, clock) = (Log::open(&telling, show), Stop::default(), Instant::now());
        (Self { job, dry_run, restart, table, telling, log, stop, clock }, clash)
    }

    fn make(&self) -> Exit {
        if !self.dry_run && self.table.is_none() {
            self.announce();
        }
        if self.log.is_json() {
            // The usual report of a panic is no JSON.
            let log = self.log.clone();
            panic::set_hook(Box::new(move |panic| {
                if !decode::is_contained() {
                    log.panic(&panic.to_string());
                }
            }));
        }
        let mut reached = Reached::default();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.attempt(&mut reached)));
        let outcome = outcome.unwrap_or_else(|panic| {
            Err(RunError::Internal(format!("it panicked: {}", panic_message(&*panic))))
        });
        self.end(outcome, &reached)
    }

    /// Tells what begins, and what could not be told when it ends.
    fn announce(&self) {
        let inputs = self.job.inputs.iter().flatten().map(|path| path.display().to_string());
        let output = self.job.output.as_ref().map_or("-".into(), |path| path.display().to_string());
        self.log.start(&inputs.collect::<Vec<_>>(), &output);
        self.warn_of_hooks(&self.telling);
    }

    fn warn_of_hooks(&self, telling: &Telling) {
        let hooks = [("on-success", &telling.on_success), ("on-failure", &telling.on_failure)];
        for (key, command) in hooks {
            if command.is_empty() {
                continue;
            }
            if let Err(problem) = hook::check(command) {
                self.log.warning(&format!("the program of `{key}`, {}: {problem}", command[0]));
            }
        }
    }

    fn attempt(&self, reached: &mut Reached) -> Result<Exit, RunError> {
        let mut config = Config { restart: self.restart, ..Config::resolve(self.job.clone())? };
        config.patience.program = super::this_program();
        let after = AfterRun::new(self.job.evaluate.clone(), &config)?;
        if let (Some(classes), [image]) = (self.table, &config.inputs[..]) {
            return models::table(&config, image, classes);
        }
        if self.dry_run {
            return self.rehearse(config);
        }
        let call = self.clone();
        let hear = move |asked| match asked {
            Asked::Stop(status) => call.log.signal(status),
            Asked::StopNow(status) => call.log.exit(status),
            Asked::GraceOver(status) => call.abandon(status),
            Asked::Status => call.log.status(),
        };
        interrupt::listen(&self.stop, config.spending.grace, hear)
            .map_err(|error| RunError::Internal(format!("no signal handler: {error}")))?;
        let run = Run::prepare(config)?;
        reached.model = Some(run.model().clone());
        let summary = reached.summary.insert(run.execute(&self.stop, &self.log)?);
        if let Some(after) = after.filter(|_| summary.exit.published()) {
            let evaluated = after.evaluate()?;
            reached.evaluation = evaluated.text;
            if evaluated.failed.is_some() {
                reached.gate = evaluated.failed;
                summary.end_with(Exit::Gate)?;
            }
        }
        Ok(summary.exit)
    }

    /// Says what a run would do, and what would keep it from that.
    fn rehearse(&self, config: Config) -> Result<Exit, RunError> {
        let telling = config.telling.clone();
        let target = match &config.target {
            Target::File(path) => Some(path.clone()),
            Target::Stdout => None,
        };
        let allow_empty = config.allow_empty;
        let (text, images) = Run::prepare(config)?.describe()?;
        print(&text)?;
        let told = [
            ("log-file", telling.log_file.as_ref()),
            ("metrics-file", telling.metrics_file.as_ref()),
        ];
        for (key, path) in told {
            let Some(path) = path else { continue };
            if let Err(error) = output::check_place(path) {
                self.log
                    .warning(&format!("`{key}`, {}, cannot be written: {error}", path.display()));
            }
        }
        self.warn_of_hooks(&telling);
        if let Some(path) = target {
            output::check_place(&path).map_err(|source| RunError::Output { path, source })?;
        }
        if images == 0 && !allow_empty {
            self.log.warning("there is no image: the run would write nothing (see `allow-empty`)");
            return Ok(Exit::Empty);
        }
        Ok(Exit::Complete)
    }

    /// Tells everybody how it ended. Nothing that fails here changes the status.
    fn end(&self, outcome: Result<Exit, RunError>, reached: &Reached) -> Exit {
        // Whatever is left to do takes no grace: each part of it has its own limit.
        self.stop.set_drained();
        let exit = outcome.as_ref().map_or_else(RunError::exit, |exit| *exit);
        if exit.is_signal() {
            // The thread that hears signals may be slower than the run's end.
            self.log.signal(exit);
        }
        match (&outcome, &reached.summary) {
            (Err(error), summary) => {
                // What was classified is complete, and only its evaluation failed.
                if let Some(summary) = summary {
                    self.finish(summary);
                }
                self.log.error(error);
            }
            (Ok(_), Some(summary)) => self.finish(summary),
            (Ok(_), None) => {}
        }
        if let Some(text) = &reached.evaluation {
            let _ = print(text);
        }
        if let Some(failed) = &reached.gate {
            self.log.gate(failed);
        }
        // The figures are those of the run that has the lock.
        if exit != Exit::Locked {
            self.write_figures(exit, reached);
        }
        let started = Instant::now();
        let grace = self.job.grace.map_or(config::GRACE, |span| span.0);
        let deadline = || {
            let stopped = self.log.stopped_at();
            let after_signal = stopped.map(|at| (at + grace).max(started + LEAST_HOOK_TIME));
            after_signal.unwrap_or(started + hook::LIMIT).min(started + hook::LIMIT)
        };
        self.run_hook(exit, outcome.err().as_ref(), reached, deadline);
        self.log.exit(exit);
        exit
    }

    /// Tells everybody of an end that something in flight keeps from coming.
    fn abandon(&self, exit: Exit) {
        self.log
            .warning("what was in flight has not ended within `grace`; the run ends without it");
        let reached = Reached::default();
        self.write_figures(exit, &reached);
        let deadline = Instant::now() + LEAST_HOOK_TIME;
        self.run_hook(exit, None, &reached, || deadline);
        self.log.exit(exit);
    }

    fn write_figures(&self, exit: Exit, reached: &Reached) {
        let Some(path) = &self.telling.metrics_file else { return };
        if let Err(error) = metrics::write(path, &self.figures(exit, reached)) {
            self.log.warning(&format!("no figures for Prometheus: {error}"));
        }
    }

    fn finish(&self, summary: &Summary) {
        let mut shown = summary.clone();
        if self.log.tells_images() {
            shown.examples.clear();
        }
        self.log.finish(summary.exit, &shown.to_string(), fields(summary));
    }

    fn figures<'a>(&self, exit: Exit, reached: &'a Reached) -> Figures<'a> {
        let counts = match (&reached.summary, self.log.standing()) {
            (Some(summary), _) => summary.counts.clone(),
            (None, standing) => standing.map(|standing| standing.counts).unwrap_or_default(),
        };
        let rate = match &reached.summary {
            Some(summary) => {
                (summary.manifest.read > 0).then_some(summary.manifest.images_per_second)
            }
            None => self.log.standing().map(|standing| standing.rate()).filter(|&rate| rate > 0.0),
        };
        Figures {
            ended: SystemTime::now(),
            exit,
            seconds: self.clock.elapsed().as_secs_f64(),
            counts,
            images_per_second: rate,
            model: reached.model.as_ref(),
        }
    }

    fn run_hook(
        &self,
        exit: Exit,
        error: Option<&RunError>,
        reached: &Reached,
        deadline: impl Fn() -> Instant,
    ) {
        let (key, command) = if exit.published() {
            ("on-success", &self.telling.on_success)
        } else {
            ("on-failure", &self.telling.on_failure)
        };
        if command.is_empty() {
            return;
        }
        let recorded = reached.summary.as_ref().and_then(|summary| summary.recorded.as_deref());
        let environment = self.environment(exit, error, reached);
        let recorded = recorded.map(absolute).unwrap_or_default();
        let came = hook::run(command, &recorded, &environment, deadline);
        for line in &came.printed {
            self.log.hook(key, line, came.problem.is_none());
        }
        if let Some(problem) = came.problem {
            let program = &command[0];
            self.log.warning(&format!(
                "`{key}`, {program}: {problem}; the exit status stays {}",
                exit.code()
            ));
        }
    }

    fn environment(
        &self,
        exit: Exit,
        error: Option<&RunError>,
        reached: &Reached,
    ) -> Vec<(&'static str, String)> {
        let summary = reached.summary.as_ref();
        let output = match (&self.job.output, summary) {
            (_, Some(summary)) if summary.manifest.output.path == "-" => "-".to_owned(),
            (_, Some(summary)) => {
                absolute(summary.manifest.output.path.as_ref()).display().to_string()
            }
            (Some(path), None) => absolute(path).display().to_string(),
            (None, None) => "-".to_owned(),
        };
        let error = error.map(ToString::to_string).or_else(|| reached.gate.clone());
        let error = error.or_else(|| summary.and_then(Summary::reason)).unwrap_or_default();
        let recorded = summary.and_then(|summary| summary.recorded.as_ref());
        let counts = self.figures(exit, reached).counts;
        let status = json!(exit);
        vec![
            ("LINNAEUS_EXIT", exit.code().to_string()),
            ("LINNAEUS_STATUS", status.as_str().unwrap_or_default().to_owned()),
            ("LINNAEUS_MEANING", exit.meaning().to_owned()),
            ("LINNAEUS_ERROR", told(&error)),
            ("LINNAEUS_RUN", Invocation::this().run.clone()),
            ("LINNAEUS_HOST", Invocation::this().host.clone()),
            ("LINNAEUS_OUTPUT", output),
            (
                "LINNAEUS_MANIFEST",
                recorded.map_or(String::new(), |path| absolute(path).display().to_string()),
            ),
            ("LINNAEUS_IMAGES", counts.rows().to_string()),
            ("LINNAEUS_FAILED", counts.errors().to_string()),
        ]
    }
}

/// As somebody in another folder needs it.
fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Without bytes that an environment cannot hold.
fn told(message: &str) -> String {
    linnaeus::progress::printable(message).into_owned()
}

fn fields(summary: &Summary) -> Vec<(&'static str, Value)> {
    let manifest = &summary.manifest;
    let record = summary.recorded.as_ref().map(|path| path.display().to_string());
    vec![
        ("complete", json!(manifest.complete)),
        ("counts", json!(manifest.counts)),
        ("skipped", json!(manifest.skipped)),
        ("seconds", json!(manifest.seconds)),
        ("images_per_second", json!(manifest.images_per_second)),
        ("output", json!(manifest.output)),
        ("manifest", json!(record)),
    ]
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// How many classes a person who gives one image and a terminal is shown as a table.
fn wants_table(job: &Job) -> Option<usize> {
    let one = job.inputs.as_ref().is_some_and(|inputs| inputs.len() == 1 && inputs[0].is_file());
    let rows = job.output.is_some() || job.format.is_some() || job.manifest.is_some();
    let shown = one && !rows && io::stdout().is_terminal();
    shown.then(|| job.top_k.map_or(predict::USUAL_CLASSES, usize::from))
}
