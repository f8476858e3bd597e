//! What can go wrong: with one image (a row) and with the run (an exit status).

use std::{fmt, io, path::PathBuf};

use serde::Serialize;

/// Why one image has no prediction. Becomes a row; never ends the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither the first bytes nor anything else says that this is an image.
    #[error("the content is no known image format (it begins with {found})")]
    NotAnImage {
        /// The first bytes, printable.
        found: String,
    },
    /// An image, of a format or kind that is not decoded here.
    #[error("its format, {what}, is not supported; convert the file to JPEG, PNG or WebP")]
    UnsupportedFormat {
        /// Format or kind, such as `AVIF` or `12-bit JPEG`.
        what: String,
    },
    /// The file ends before the image does.
    #[error("the file ends before the image does: {reason}")]
    Truncated {
        /// The decoder's words.
        reason: String,
    },
    /// The image data contradicts its own format.
    #[error("the image data is damaged: {reason}")]
    Corrupt {
        /// The decoder's words.
        reason: String,
    },
    /// A limit would be exceeded by decoding it.
    #[error("{what} is {found}, over the limit of {limit}{}", key.map(|key| format!(" (key `{key}`)")).unwrap_or_default())]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit in force.
        limit: u64,
        /// The key that moves the limit, when there is one.
        key: Option<&'static str>,
    },
    /// The file or folder could not be opened or read.
    #[error("cannot read it: {0}")]
    Unreadable(#[source] io::Error),
    /// The file was there when the folder was listed, and is not any more.
    #[error("the file vanished between listing and reading")]
    Vanished,
    /// The file changed its size or time stamp while it was read.
    #[error("the file changed while it was read; is something still writing it?")]
    Changed,
    /// A pipe, socket, device or folder under an image's name.
    #[error("it is {what}, not a regular file; it was not opened")]
    NotRegular {
        /// What it is, with its article.
        what: &'static str,
    },
    /// Following this link leads back to a folder that is being listed.
    #[error("the symbolic link leads back to a folder above it")]
    SymlinkLoop,
    /// The decoder panicked.
    #[error("the decoder failed on it: {reason}")]
    DecoderPanic {
        /// The panic's message.
        reason: String,
    },
    /// The child process that decoded it died.
    #[error("the decoder crashed on it ({how}); its own process kept the run alive")]
    DecoderCrash {
        /// How the process ended.
        how: String,
    },
    /// Reading and decoding it took longer than it may.
    #[error("it took longer than {limit} (key `image-timeout`)")]
    Timeout {
        /// The time in force.
        limit: String,
    },
    /// The program died twice while this file was being read.
    #[error(
        "the program died while it read this file, and a second time in a process of its own ({how})"
    )]
    Quarantined {
        /// How the process ended the second time.
        how: String,
    },
    /// What was said of it elsewhere: by the list of files, or by a process of its own.
    #[error("{message}")]
    Listed {
        /// One of [`ItemError::CODES`].
        code: &'static str,
        /// The message.
        message: String,
    },
    /// The image is smaller than the crop that the recipe asks for.
    #[error("{0}")]
    Geometry(String),
    /// The model answered with NaN or an infinity.
    #[error("the model answered {value} for class {class}")]
    BadScores {
        /// The class of the first such score.
        class: usize,
        /// The score.
        value: f32,
    },
}

impl ItemError {
    /// Every code, in the order of the documentation; `ok` is not among them.
    pub const CODES: [&str; 17] = [
        "empty",
        "not_an_image",
        "unsupported_format",
        "truncated",
        "corrupt",
        "too_large",
        "unreadable",
        "vanished",
        "changed",
        "not_regular",
        "symlink_loop",
        "decoder_panic",
        "decoder_crash",
        "timeout",
        "quarantined",
        "bad_geometry",
        "bad_scores",
    ];

    /// The stable word of the `status` column.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage { .. } => "not_an_image",
            Self::UnsupportedFormat { .. } => "unsupported_format",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::TooLarge { .. } => "too_large",
            Self::Unreadable(_) => "unreadable",
            Self::Vanished => "vanished",
            Self::Changed => "changed",
            Self::NotRegular { .. } => "not_regular",
            Self::SymlinkLoop => "symlink_loop",
            Self::DecoderPanic { .. } => "decoder_panic",
            Self::DecoderCrash { .. } => "decoder_crash",
            Self::Timeout { .. } => "timeout",
            Self::Quarantined { .. } => "quarantined",
            Self::Listed { code, .. } => code,
            Self::Geometry(_) => "bad_geometry",
            Self::BadScores { .. } => "bad_scores",
        }
    }
}

/// Why a whole run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The job file, the flags or their combination make no sense.
    #[error("{0}")]
    Usage(String),
    /// The model, its labels or its recipe cannot be used.
    #[error("{0}")]
    Model(String),
    /// ONNX Runtime, or the device asked for, is not there.
    #[error("{0}")]
    Runtime(String),
    /// A root cannot be listed or read.
    #[error("cannot read the input {}: {source}\nhint: check the path under `inputs`", path.display())]
    Input {
        /// The root.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {source}\nhint: {}", path.display(), output_hint(source))]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another run is writing the same output.
    #[error("another run is writing {}{holder}\nhint: wait for it, or give this run another `output`", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Who writes it, in parentheses after a space; nothing when it is not known.
        holder: String,
    },
    /// What an earlier run left cannot be gone on with.
    #[error("{0}")]
    Mismatch(String),
    /// The run was asked to stop before the first image.
    #[error("stopped before the first image; nothing was written")]
    Stopped(Exit),
    /// The model failed on a batch whose shape it had accepted.
    #[error(
        "the model failed on a batch of {images} images: {reason}\nhint: try a smaller `batch-size`"
    )]
    Inference {
        /// Images in the batch.
        images: usize,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// A bug here.
    #[error("internal error: {0}\nhint: please report it with the command line")]
    Internal(String),
}

/// An error and all its causes in one line, for messages whose reader has no use for the levels.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn output_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and run again"
        }
        io::ErrorKind::PermissionDenied => {
            "may this user write there? A file that another user left may be in the way"
        }
        io::ErrorKind::BrokenPipe => "the program reading the output ended early",
        _ => "check the path and its disk",
    }
}

impl RunError {
    /// Whether the reader of standard output left, which is no news to anybody.
    #[must_use]
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit status that this error ends the program with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Model(_) | Self::Runtime(_) | Self::Inference { .. } => Exit::Model,
            Self::Input { .. } => Exit::Input,
            Self::Output { .. } => Exit::Output,
            Self::Locked { .. } => Exit::Locked,
            Self::Mismatch(_) => Exit::Mismatch,
            Self::Stopped(exit) => *exit,
            Self::Internal(_) => Exit::Internal,
        }
    }
}

/// The program's exit statuses. The list only grows; an unknown one is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Every image has a prediction.
    Complete,
    /// A bug in linnaeus.
    Internal,
    /// Wrong flags or job file.
    Usage,
    /// The output is complete, and some of its rows say why an image failed.
    SomeFailed,
    /// No image was found; the old output is left as it was.
    Empty,
    /// Stopped early: more images failed than `max-errors` allows.
    TooManyErrors,
    /// A gate of `evaluate` or `compare` failed.
    Gate,
    /// Stopped early by `stop-after` or `limit`; the same command goes on.
    Budget,
    /// The model, labels, recipe, runtime or device cannot be used.
    Model,
    /// Another run is writing the same output.
    Locked,
    /// What an earlier run left does not fit this one.
    Mismatch,
    /// An input root cannot be read.
    Input,
    /// The output cannot be written.
    Output,
    /// The terminal went away (SIGHUP); the same command goes on.
    HungUp,
    /// Ctrl-C (SIGINT); the same command goes on.
    Interrupted,
    /// SIGTERM; the same command goes on.
    Terminated,
}

impl Exit {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 16] = [
        Self::Complete,
        Self::Internal,
        Self::Usage,
        Self::SomeFailed,
        Self::Empty,
        Self::TooManyErrors,
        Self::Gate,
        Self::Budget,
        Self::Model,
        Self::Locked,
        Self::Mismatch,
        Self::Input,
        Self::Output,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    ///
    /// 74 is `EX_IOERR` of `sysexits.h`; 128 + N is the shell's number for signal N.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Empty => 4,
            Self::TooManyErrors => 5,
            Self::Gate => 6,
            Self::Budget => 7,
            Self::Model => 10,
            Self::Locked => 11,
            Self::Mismatch => 12,
            Self::Input => 13,
            Self::Output => 74,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Whether the output is there and complete: what a night is for.
    #[must_use]
    pub fn published(self) -> bool {
        matches!(self, Self::Complete | Self::SomeFailed)
    }

    /// Whether a signal asked for this end.
    #[must_use]
    pub fn is_signal(self) -> bool {
        matches!(self, Self::HungUp | Self::Interrupted | Self::Terminated)
    }

    /// One line for `--help` and the README.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Complete => "every image has a prediction",
            Self::Internal => "a bug in linnaeus",
            Self::Usage => "wrong flags or job file",
            Self::SomeFailed => "the output is complete; some rows say why an image failed",
            Self::Empty => "no image was found; the old output is left as it was",
            Self::TooManyErrors => "stopped early: more images failed than `max-errors` allows",
            Self::Gate => "a gate of `evaluate` or `compare` failed",
            Self::Model => "the model, labels, recipe, runtime or device cannot be used",
            Self::Budget => "stopped by `stop-after` or `limit`; the same command goes on",
            Self::Locked => "another run is writing the same output",
            Self::Mismatch => "what an earlier run left does not fit this one; see `--restart`",
            Self::Input => "an input cannot be read",
            Self::Output => "the output cannot be written",
            Self::HungUp => "hung up (SIGHUP); the same command goes on",
            Self::Interrupted => "interrupted (SIGINT); the same command goes on",
            Self::Terminated => "terminated (SIGTERM); the same command goes on",
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {}", self.code(), self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_published_contract() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 74, 129, 130, 143]);
    }
}
