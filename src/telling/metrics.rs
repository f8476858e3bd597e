//! Figures of the last run as a file for Prometheus' textfile collector.
//!
//! The form is the [text exposition format](https://prometheus.io/docs/instrumenting/exposition_formats/).
//! Every series has the label `name`, the file's own name without `.prom`, because two files in one
//! folder must not hold the same series.

use std::{
    fmt::{self, Write as _},
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    error::{Exit, ItemError, RunError},
    model::ModelFile,
    output,
    progress::Counts,
    walk::Skip,
};

const LAST_SUCCESS: &str = "linnaeus_last_success_timestamp_seconds";

/// Larger than any file of these.
const MOST_BYTES: u64 = 1 << 20;

/// What the last run leaves to be watched.
#[derive(Debug)]
pub struct Figures<'a> {
    /// When it ended.
    pub ended: SystemTime,
    /// The status it ended with.
    pub exit: Exit,
    /// Wall time from the program's start, in seconds.
    pub seconds: f64,
    /// What came of the images.
    pub counts: Counts,
    /// Images with a row, per second; nothing when none was read.
    pub images_per_second: Option<f64>,
    /// The model, when it could be opened.
    pub model: Option<&'a ModelFile>,
}

/// Writes the figures to `path`, so that they appear whole or not at all. The time of the last
/// success is kept from the old file when this run is none.
///
/// # Errors
///
/// `Output` when the file cannot be written.
pub fn write(path: &Path, figures: &Figures<'_>) -> Result<(), RunError> {
    let regular = fs::metadata(path).ok().map(|found| (found.is_file(), found.len()));
    let old = match regular {
        Some((true, bytes)) if bytes <= MOST_BYTES => fs::read_to_string(path).unwrap_or_default(),
        _ => String::new(),
    };
    let text = Exposition::of(path, figures, last_success(&old)).0;
    if let Some((false, _)) = regular {
        // A pipe or device is written to, and never replaced by a file.
        let opened = OpenOptions::new().write(true).open(path);
        return opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| RunError::Output { path: path.to_owned(), source });
    }
    output::write_atomically(path, text.as_bytes())
}

/// The time of the last success, in seconds since 1970, as the old file says.
fn last_success(old: &str) -> f64 {
    let line = old.lines().find(|line| line.starts_with(LAST_SUCCESS));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    value.filter(|value| value.is_finite() && *value >= 0.0).unwrap_or(0.0)
}

struct Exposition(String);

impl Exposition {
    fn of(path: &Path, figures: &Figures<'_>, last_success: f64) -> Self {
        let Figures { ended, exit, seconds, .. } = figures;
        let ended = ended.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let success = if exit.published() { ended } else { last_success };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut text = Self(String::new());
        let help = "Images per second of the last run; missing when it read none.";
        let speed =
            figures.images_per_second.map(|rate| ("linnaeus_images_per_second", help, rate));
        for (metric, help, value) in [
            ("linnaeus_last_run_timestamp_seconds", "When the last run ended.", ended),
            (LAST_SUCCESS, "When a run last ended well (exit status 0 or 3); 0 is never.", success),
            ("linnaeus_last_exit_code", "Exit status of the last run.", f64::from(exit.code())),
            ("linnaeus_run_duration_seconds", "Wall time of the last run.", *seconds),
        ]
        .into_iter()
        .chain(speed)
        {
            text.gauge(metric, help, vec![(vec![("name", &stem)], value)]);
        }
        text.count(&stem, figures);
        text
    }

    fn count(&mut self, name: &str, figures: &Figures<'_>) {
        let Figures { counts, model, .. } = figures;
        let name = ("name", name);
        let failed = |code| counts.failed.get(code).copied().unwrap_or(0);
        let statuses = ItemError::CODES.map(|code| (code, failed(code)));
        let images = std::iter::once(("ok", counts.ok)).chain(statuses);
        self.gauge(
            "linnaeus_images",
            "Images of the last run, by the status of their row.",
            images.map(|(code, count)| (vec![name, ("status", code)], count as f64)).collect(),
        );
        let skipped = Skip::ALL.iter().map(|reason| reason.word()).zip(counts.skipped);
        self.gauge(
            "linnaeus_skipped_files",
            "Files of the last run that got no row, by reason.",
            skipped.map(|(why, count)| (vec![name, ("reason", why)], count as f64)).collect(),
        );
        if let Some(model) = model {
            let file = model.path.file_name().unwrap_or_default().to_string_lossy();
            let version = ("version", env!("CARGO_PKG_VERSION"));
            let labels = vec![name, ("file", &*file), ("sha256", &*model.sha256), version];
            self.gauge(
                "linnaeus_model_info",
                "Always 1: the model of the last run, and the version of linnaeus.",
                vec![(labels, 1.0)],
            );
        }
    }

    fn gauge(&mut self, metric: &str, help: &str, samples: Vec<(Vec<(&str, &str)>, f64)>) {
        let _ = writeln!(self.0, "# HELP {metric} {help}\n# TYPE {metric} gauge");
        for (labels, value) in samples {
            let labels: Vec<_> =
                labels.iter().map(|(key, value)| format!("{key}=\"{}\"", Escaped(value))).collect();
            let _ = writeln!(self.0, "{metric}{{{}}} {value}", labels.join(","));
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped, as the format says.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn figures(exit: Exit, ended: u64) -> Figures<'static> {
        let ended = UNIX_EPOCH + Duration::from_secs(ended);
        let counts = Counts { ok: 7, ..Counts::default() };
        Figures { ended, exit, seconds: 1.5, counts, images_per_second: Some(4.0), model: None }
    }

    #[test]
    fn the_last_success_outlives_failures_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photos.prom");
        let ran = |exit, ended| {
            write(&path, &figures(exit, ended)).unwrap();
            last_success(&fs::read_to_string(&path).unwrap())
        };
        for (exit, ended, expected) in [
            (Exit::Model, 10, 0.0),
            (Exit::Complete, 20, 20.0),
            (Exit::Terminated, 30, 20.0),
            (Exit::Locked, 40, 20.0),
            (Exit::SomeFailed, 50, 50.0),
        ] {
            assert!((ran(exit, ended) - expected).abs() < 1e-9, "{exit:?}");
        }
        fs::write(&path, b"linnaeus_last_success_timestamp_seconds{ NaN\n\xff").unwrap();
        assert!(ran(Exit::Model, 60).abs() < 1e-9);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn labels_are_escaped() {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/dynamic.onnx");
        let mut model = ModelFile::open(model.as_ref()).unwrap();
        model.path = "m/a\"b\\c\nd.onnx".into();
        let figures = Figures { model: Some(&model), ..figures(Exit::Complete, 1) };
        let text = Exposition::of("x/a\"b.prom".as_ref(), &figures, 0.0).0;
        assert!(text.contains(r#"name="a\"b",file="a\"b\\c\nd.onnx""#), "{text}");
    }
}
