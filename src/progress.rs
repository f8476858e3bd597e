//! What a person sees while a run goes on: a bar on a terminal, otherwise a line now and then.
//! The only user of indicatif.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _, stderr},
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
    total: u64,
    /// Rows that were there when it began, and cost this run nothing.
    before: u64,
}

enum View {
    Bar(ProgressBar),
    Lines { interval: Duration, last: Instant },
    Nothing,
}

impl Progress {
    /// Begins to show a run of `total` rows, of which the first `before` are there already.
    #[must_use]
    pub fn start(show: Show, total: u64, before: u64) -> Self {
        let started = Instant::now();
        let lines = |interval| View::Lines { interval, last: started };
        let view = match show {
            Show::Auto(_) if stderr().is_terminal() => View::Bar(bar(total)),
            Show::Auto(interval) | Show::Lines(interval) => lines(interval),
            Show::Nothing => View::Nothing,
        };
        Self { view, started, total, before }
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
        let total = self.total;
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = (counts.rows() - self.before) as f64 / seconds;
        match &mut self.view {
            View::Bar(bar) => {
                bar.set_position(counts.rows());
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

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{spinner} {bar:30} {human_pos}/{human_len} images · {msg} · {eta} left";
    let style = ProgressStyle::with_template(template).expect("a constant template");
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn line(counts: &Counts, total: u64, rate: f64) -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let rows = counts.rows();
    let left = Duration::try_from_secs_f64(((total - rows) as f64 / rate).round());
    let left = humantime::format_duration(left.unwrap_or_default());
    let percent = 100.0 * rows as f64 / total.max(1) as f64;
    let of_total = format!("{rows}/{total} images ({percent:.1} %), {left} left");
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
            Counts { ok: 190, failed: BTreeMap::from([("truncated", 10)]), ..Counts::default() };
        let text = line(&counts, 400, 20.0);
        assert!(
            text.ends_with(" 200/400 images (50.0 %), 10s left, 20.0 images/s · 10 failed"),
            "{text}"
        );
        assert!(line(&Counts::default(), 5, 0.0).contains(" 0/5 images (0.0 %), 0s left"));
    }
}
