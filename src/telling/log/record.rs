//! One thing told, as text and as JSON.

use std::{borrow::Cow, fmt::Write as _, time::SystemTime};

use serde_json::Value;

use crate::{invocation::Invocation, progress::printable};

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// A person should look, some day.
    Warn,
    /// The run failed.
    Error,
}

impl Level {
    /// Its word in JSON and in a log file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One thing told.
#[derive(Debug, Clone)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// What kind of thing.
    pub event: &'static str,
    /// It, in words.
    pub message: String,
    /// It, in figures.
    pub fields: Vec<(&'static str, Value)>,
    time: SystemTime,
}

impl Record {
    /// Something told now.
    #[must_use]
    pub fn new(level: Level, event: &'static str, message: impl Into<String>) -> Self {
        let (message, time) = (message.into(), SystemTime::now());
        Self { level, event, message, fields: Vec::new(), time }
    }

    /// The same with a field more.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((key, value.into()));
        self
    }

    /// One JSON object and a line break; no control character is in it, whatever names it tells.
    pub(super) fn json(&self) -> String {
        let time = humantime::format_rfc3339_millis(self.time).to_string();
        let always = [
            ("ts", time.into()),
            ("level", self.level.word().into()),
            ("event", self.event.into()),
            ("run", Invocation::this().run.as_str().into()),
            ("message", self.message.trim_end().into()),
        ];
        let pair = |(key, value): &(&str, Value)| format!("{}:{value}", Value::from(*key));
        let pairs: Vec<_> = always.iter().chain(&self.fields).map(pair).collect();
        format!("{{{}}}\n", without_controls(&pairs.join(",")))
    }

    /// Lines for a person, without a time: cron's mail and the journal have their own.
    pub(super) fn text(&self) -> String {
        let message = printable(self.message.trim_end());
        match (self.level, self.event) {
            (_, "progress") => {
                format!("{} {message}\n", humantime::format_rfc3339_seconds(self.time))
            }
            (Level::Error, "error") => format!("error: {message}\n"),
            (_, "warning") => format!("warning: {message}\n"),
            _ => format!("{message}\n"),
        }
    }

    /// Lines for a file that many runs write to: each says when, which run, and how bad.
    pub(super) fn file_text(&self) -> String {
        let time = humantime::format_rfc3339_seconds(self.time);
        let (run, level) = (&Invocation::this().run, self.level.word());
        let message = printable(self.message.trim_end());
        message.lines().fold(String::new(), |mut lines, line| {
            let _ = writeln!(lines, "{time} {run} {level:<5} {line}");
            lines
        })
    }
}

/// `json` with DEL and the C1 controls escaped, which JSON allows and which steer some terminals.
/// They can only be inside strings.
fn without_controls(json: &str) -> Cow<'_, str> {
    if !json.contains(char::is_control) {
        return json.into();
    }
    json.chars()
        .fold(String::with_capacity(json.len()), |mut escaped, c| {
            if c.is_control() {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
            escaped
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_line_without_controls_and_reads_back() {
        let name = "a\nb\u{1b}]0;x\u{7}\u{9b}2J\u{7f}\"\\\u{2028}.jpg";
        let record = Record::new(Level::Warn, "image_error", name).with("path", name);
        let line = record.json();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["path"], &read["message"]), (&name.into(), &name.into()));
        assert_eq!((&read["level"], &read["event"]), (&"warn".into(), &"image_error".into()));
    }

    #[test]
    fn every_line_of_a_file_says_when_and_which_run() {
        let record = Record::new(Level::Info, "finish", "one\n  two\u{1b}\n");
        let text = record.file_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        for (line, end) in lines.iter().zip([" info  one", " info    two\\u{1b}"]) {
            assert!(line.ends_with(end), "{line}");
            assert!(line.contains(&Invocation::this().run), "{line}");
        }
    }
}
