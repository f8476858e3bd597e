//! The program that is run when all is over: without a shell, for a limited time, and without a
//! say in how the run ended.

use std::{
    env, fs,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Time for a hook; a message is sent in a second, and cron starts the next run anyway.
pub const LIMIT: Duration = Duration::from_mins(1);
/// Bytes of what it prints that reach the log.
const MOST_PRINTED: u64 = 16 << 10;
/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What came of a hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    /// The beginning of what it printed, on either stream.
    pub printed: Vec<String>,
    /// What is wrong: it could not be started, failed, or took too long.
    pub problem: Option<String>,
}

/// Runs `command` (program and arguments) with `last` as a further argument and `environment`
/// added, until `deadline`, which is asked again and again; it is killed then, with what it started.
pub fn run(
    command: &[String],
    last: &Path,
    environment: &[(&str, String)],
    deadline: impl Fn() -> Instant,
) -> Came {
    let mut printed = Vec::new();
    let outcome = start(command, last, environment)
        .map_err(|error| format!("it cannot be started: {error}"))
        .and_then(|(mut child, mut output)| {
            let outcome = wait(&mut child, deadline);
            printed = lines_of(&mut output);
            outcome
        });
    let problem = match outcome {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("it ended with {status}")),
        Err(problem) => Some(problem),
    };
    Came { printed, problem }
}

/// Where what it prints is collected: a file without a name, so that a program that it leaves
/// running keeps nobody waiting, as the end of a pipe would.
fn start(
    command: &[String],
    last: &Path,
    environment: &[(&str, String)],
) -> io::Result<(Child, fs::File)> {
    let [program, args @ ..] = command else { return Err(io::ErrorKind::NotFound.into()) };
    let output = tempfile::tempfile()?;
    let mut command = Command::new(program);
    command.args(args).arg(last).envs(environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    // A group of its own, so that all of it can be killed.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    Ok((Command::spawn(&mut command)?, output))
}

fn wait(child: &mut Child, deadline: impl Fn() -> Instant) -> Result<ExitStatus, String> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline() => thread::sleep(LOOK),
            Ok(None) => {
                kill(child);
                let after = started.elapsed().as_secs_f64();
                return Err(format!("it was killed after {after:.1} s"));
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    }
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn lines_of(output: &mut fs::File) -> Vec<String> {
    let mut bytes = Vec::new();
    let read = output
        .seek(SeekFrom::Start(0))
        .and_then(|_| output.take(MOST_PRINTED).read_to_end(&mut bytes));
    let text = if read.is_ok() { String::from_utf8_lossy(&bytes) } else { "".into() };
    text.lines().map(str::to_owned).collect()
}

/// What is wrong with the program of `command`, which would be looked for in the `PATH`: told at the
/// start, because otherwise the night on which it is needed would be the first to tell.
///
/// # Errors
///
/// A part of a sentence about it.
#[cfg(unix)]
pub fn check(command: &[String]) -> Result<(), &'static str> {
    let Some(program) = command.first() else { return Err("it is not named") };
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = if program.contains('/') {
        Path::new(program).is_file().then(|| PathBuf::from(program))
    } else {
        env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
    };
    match found.map(|path| rustix::fs::access(path, rustix::fs::Access::EXEC_OK)) {
        None => Err("it is not there"),
        Some(Err(_)) => Err("it is not executable (`chmod +x`)"),
        Some(Ok(())) => Ok(()),
    }
}

/// Elsewhere programs are found in other ways than here.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn check(_: &[String]) -> Result<(), &'static str> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn run_for(limit: Duration, script: &str) -> Came {
        let command = ["sh", "-c", script, "hook"].map(str::to_owned);
        let deadline = Instant::now() + limit;
        run(&command, "a b;c".as_ref(), &[("LINNAEUS_EXIT", "3".to_owned())], || deadline)
    }

    #[test]
    fn it_gets_arguments_and_environment_and_no_shell_reads_them() {
        let came = run_for(LIMIT, "echo \"$1|$LINNAEUS_EXIT\"; echo on stderr >&2");
        assert_eq!(came.printed, ["a b;c|3", "on stderr"]);
        assert_eq!(came.problem, None);
    }

    #[test]
    fn failing_missing_and_slow_ones_are_problems() {
        let problem = run_for(LIMIT, "exit 7").problem.unwrap();
        assert!(problem.contains('7'), "{problem}");
        let deadline = Instant::now();
        let missing = run(&["./not-there".to_owned()], "".as_ref(), &[], || deadline);
        assert!(missing.problem.unwrap().contains("started"));
        let empty = run(&[], "".as_ref(), &[], || deadline);
        assert!(empty.problem.is_some());
        // Its own child would print after a second, if it were not killed as well.
        let slow = run_for(Duration::from_millis(100), "(sleep 600; echo late) & echo now; wait");
        assert!(slow.problem.unwrap().contains("killed"));
        assert_eq!(slow.printed, ["now"]);
    }

    #[test]
    fn a_program_that_it_leaves_running_keeps_nobody_waiting() {
        let came = run_for(LIMIT, "sleep 5 & echo done");
        assert_eq!((came.printed, came.problem), (vec!["done".to_owned()], None));
    }

    #[test]
    fn a_program_is_looked_for_in_the_path() {
        let problem = |program: &str| check(&[program.to_owned()]).unwrap_err();
        assert_eq!(check(&["sh".to_owned()]), Ok(()));
        assert!(problem("no-such-program-here").contains("not there"));
        assert!(problem("./no-such").contains("not there"));
        assert!(problem(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).contains("chmod"));
    }
}
