//! What a person sees while a run goes on: a bar on a terminal, otherwise a line now and then.
//! The only user of indicatif.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::walk::Skip;

/// How many images ended how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images with a prediction.
    pub ok: u64,
    /// Failed images, by status.
    pub failed: BTreeMap<&'static str, u64>,
    /// What became no row, in the order of [`Skip::ALL`].
    pub skipped: [u64; Skip::ALL.len()],
}

impl Counts {
    /// Images without a prediction.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Rows: images with and without a prediction.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.ok + self.errors()
    }

    /// Everything that the walk met.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.rows() + self.skipped.iter().sum::<u64>()
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A bar when stderr is a terminal, otherwise a line every so often.
    Auto(Duration),
    /// Lines even on a terminal: the rows themselves go there.
    Lines(Duration),
    /// Nothing.
    Nothing,
}

/// The display of one run.
pub struct Progress {
    view: View,
    started: Instant,
    total: Arc<AtomicU64>,
}

enum View {
    Bar(ProgressBar),
    Lines { interval: Duration, last: Instant },
    Nothing,
}

impl Progress {
    /// Begins to show a run. `total` are the files that the walk will meet, and 0 until somebody
    /// has counted them.
    #[must_use]
    pub fn start(show: Show, total: Arc<AtomicU64>) -> Self {
        let started = Instant::now();
        let lines = |interval| View::Lines { interval, last: started };
        let view = match show {
            Show::Auto(_) if stderr().is_terminal() => View::Bar(bar()),
            Show::Auto(interval) | Show::Lines(interval) => lines(interval),
            Show::Nothing => View::Nothing,
        };
        Self { view, started, total }
    }

    /// Whether a total is of any use.
    #[must_use]
    pub fn wants_total(&self) -> bool {
        !matches!(self.view, View::Nothing)
    }

    /// Shows a sentence that a person should read, once.
    pub fn note(&self, text: &str) {
        match &self.view {
            View::Bar(bar) => bar.suspend(|| print_line(text)),
            View::Lines { .. } => print_line(text),
            View::Nothing => {}
        }
    }

    /// Shows where the run is.
    pub fn update(&mut self, counts: &Counts) {
        let total = self.total.load(Ordering::Relaxed);
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = counts.rows() as f64 / seconds;
        match &mut self.view {
            View::Bar(bar) => {
                if total > 0 {
                    bar.set_length(total.max(counts.met()));
                }
                bar.set_position(counts.met());
                bar.set_message(format!("{}{}", rate_text(rate), errors_text(counts.errors())));
            }
            View::Lines { interval, last } if last.elapsed() >= *interval => {
                *last = Instant::now();
                print_line(&line(counts, total, rate));
            }
            View::Lines { .. } | View::Nothing => {}
        }
    }

    /// Ends the display and leaves nothing behind.
    pub fn finish(&self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let template = "{spinner} {bar:30} {human_pos}/{human_len} files · {msg} · {eta} left";
    let style = ProgressStyle::with_template(template).expect("a constant template");
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn line(counts: &Counts, total: u64, rate: f64) -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let met = counts.met();
    let of_total = if total > 0 {
        let total = total.max(met);
        let left = (total - met) as f64 / (rate * met as f64 / counts.rows().max(1) as f64);
        let eta = Duration::try_from_secs_f64(left.round()).unwrap_or_default();
        let percent = 100.0 * met as f64 / total as f64;
        let eta = humantime::format_duration(eta);
        format!("{met}/{total} files ({percent:.1} %), {eta} left")
    } else {
        format!("{met} files")
    };
    format!("{now} {of_total}, {}{}", rate_text(rate), errors_text(counts.errors()))
}

fn rate_text(rate: f64) -> String {
    let digits = usize::from(rate < 100.0);
    format!("{rate:.digits$} images/s")
}

fn errors_text(errors: u64) -> Cow<'static, str> {
    match errors {
        0 => "".into(),
        1 => " · 1 failed".into(),
        errors => format!(" · {errors} failed").into(),
    }
}

/// A stderr that is gone must not end the run.
fn print_line(text: &str) {
    let _ = writeln!(stderr(), "{}", printable(text));
}

/// `text` with every control character but the line break escaped: the names of files are part of
/// messages, and must not steer the terminal that shows them.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n';
    if !text.contains(steers) {
        return text.into();
    }
    text.chars()
        .fold(String::new(), |mut printed, c| {
            if steers(c) {
                printed.extend(c.escape_debug());
            } else {
                printed.push(c);
            }
            printed
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a\\u{1b}[2Jb\nc\\r");
        assert!(matches!(printable("é\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let counts =
            Counts { ok: 90, failed: BTreeMap::from([("truncated", 10)]), skipped: [100, 0, 0, 0] };
        let text = line(&counts, 400, 10.0);
        assert!(
            text.ends_with(" 200/400 files (50.0 %), 10s left, 10.0 images/s · 10 failed"),
            "{text}"
        );
        assert!(line(&Counts::default(), 0, 0.0).contains(" 0 files, 0.0 images/s"));
    }
}
