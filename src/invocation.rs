//! This very start of the program: its id, and where and how it was called.

use std::{
    env, process,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::digest;

/// Hexadecimal digits of a run's id: enough for all nights of all machines of one log.
const ID_DIGITS: usize = 12;

/// One start of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invocation {
    /// Its id, the same in the log, the manifest and the environment of hooks.
    pub run: String,
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The command line; what is not UTF-8 in it is replaced.
    pub command: Vec<String>,
}

impl Invocation {
    /// The one of this process.
    #[must_use]
    pub fn this() -> &'static Self {
        static THIS: OnceLock<Invocation> = OnceLock::new();
        THIS.get_or_init(|| {
            let (host, pid) = (host(), process::id());
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let seed = format!("{host} {pid} {}", since.as_nanos());
            let (_, mut run) = digest::of(seed.as_bytes()).expect("bytes in memory can be read");
            run.truncate(ID_DIGITS);
            let command = env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
            Self { run, host, pid, command }
        })
    }
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_id() {
        let this = Invocation::this();
        assert_eq!(this, Invocation::this());
        assert_eq!(this.run.len(), ID_DIGITS);
        assert!(this.run.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(this.pid, process::id());
        assert!(!this.command.is_empty());
    }
}
