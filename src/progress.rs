//! How far a run is, in figures, in words and as a bar. The only user of indicatif.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

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

/// Where a run is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What came of the images so far.
    pub counts: Counts,
    /// Rows that the complete output has.
    pub total: u64,
    /// Rows that were there when the run began, and cost it nothing.
    pub before: u64,
    /// Since the first image.
    pub elapsed: Duration,
}

impl Standing {
    /// Images with a row, per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.counts.rows() - self.before) as f64 / self.elapsed.as_secs_f64().max(1e-3)
    }

    /// What is left, at the pace so far; `None` before the first row.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let left = (self.total - self.counts.rows()) as f64 / self.rate();
        Duration::try_from_secs_f64(left.round()).ok()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, total) = (self.counts.rows(), self.total);
        let percent = 100.0 * rows as f64 / total.max(1) as f64;
        write!(f, "{rows}/{total} images ({percent:.1} %), ")?;
        if let Some(left) = self.left() {
            write!(f, "{} left, ", humantime::format_duration(left))?;
        }
        write!(f, "{}{}", rate_text(self.rate()), errors_text(self.counts.errors()))
    }
}

/// A bar on a terminal's stderr.
pub struct Bar(ProgressBar);

impl Bar {
    /// Begins to show a run of `total` rows.
    #[must_use]
    pub fn start(total: u64) -> Self {
        Self(bar(total))
    }

    /// Shows where the run is.
    pub fn update(&self, standing: &Standing) {
        let errors = standing.counts.errors();
        self.0.set_position(standing.counts.rows());
        self.0.set_message(format!("{}{}", rate_text(standing.rate()), errors_text(errors)));
    }

    /// Runs `write`, which writes lines above the bar.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Ends it and leaves nothing behind.
    pub fn finish(&self) {
        self.0.finish_and_clear();
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
        let failed = BTreeMap::from([("truncated", 10)]);
        let counts = Counts { ok: 190, failed, ..Counts::default() };
        let elapsed = Duration::from_secs(10);
        let standing = Standing { counts, total: 400, before: 100, elapsed };
        assert_eq!(
            standing.to_string(),
            "200/400 images (50.0 %), 20s left, 10.0 images/s · 10 failed"
        );
        let nothing = Standing { counts: Counts::default(), total: 9, before: 0, elapsed };
        assert_eq!(nothing.to_string(), "0/9 images (0.0 %), 0.0 images/s");
    }
}
