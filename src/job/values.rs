//! Values of keys. Each has one spelling, the same in flags, job files and manifests.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{device::Device, recipe::words};

words! {
    /// The output's format.
    Format("format") {
        /// RFC 4180, with a header.
        Csv = "csv",
        /// One JSON object per line.
        Jsonl = "jsonl",
    }
}

words! {
    /// Whether rows of the last complete run are used again.
    Incremental("incremental") {
        /// Everything is classified.
        No = "false",
        /// A file of the same name, size and time stamp keeps its row.
        Stat = "true",
        /// A file of the same name and content (SHA-256) keeps its row.
        Content = "content",
    }
}

words! {
    /// What becomes of the rows of files that are gone.
    Deleted("deleted") {
        /// They are left out.
        Drop = "drop",
        /// They stay.
        Keep = "keep",
    }
}

words! {
    /// How messages look.
    LogFormat("log-format") {
        /// For a person.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// How many images may fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxErrors {
    /// So many.
    Count(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl MaxErrors {
    /// Whether `errors` of `images` are too many.
    #[must_use]
    pub fn exceeded(self, errors: u64, images: u64) -> bool {
        match self {
            Self::Count(most) => errors > most,
            Self::Percent(most) => errors as f64 > images as f64 * most / 100.0,
        }
    }
}

impl fmt::Display for MaxErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::Percent(most) => write!(f, "{most}%"),
        }
    }
}

impl FromStr for MaxErrors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`max-errors = \"{text}\"` is neither a number nor a share such as 2%");
        match text.strip_suffix('%') {
            Some(share) => {
                let share = share.trim_end().parse().ok();
                let share = share.filter(|share| (0.0..=100.0).contains(share));
                share.map(Self::Percent).ok_or_else(bad)
            }
            None => text.parse().map(Self::Count).map_err(|_| bad()),
        }
    }
}

/// A time such as `90s`, `5m` or `5h 30m`, in words of `humantime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |error| format!("`{text}` is no time ({error}); write such as 90s, 5m or 5h 30m");
        humantime::parse_duration(text).map(Self).map_err(bad)
    }
}

/// Numbers and truth values are written as such; everything else as text.
macro_rules! as_written {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = self.to_string();
                match (text.parse::<u64>(), text.parse::<bool>()) {
                    (Ok(number), _) => serializer.serialize_u64(number),
                    (_, Ok(truth)) => serializer.serialize_bool(truth),
                    _ => serializer.serialize_str(&text),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = deserializer.deserialize_any(Written)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

as_written!(Device, Format, Incremental, Deleted, LogFormat, MaxErrors, Span);

/// Takes a text, a number or a truth value as the text that it is written with.
struct Written;

impl de::Visitor<'_> for Written {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<String, E> {
        Ok(truth.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_number_or_a_share() {
        let two: MaxErrors = "2%".parse().unwrap();
        assert_eq!(two, MaxErrors::Percent(2.0));
        assert!(!two.exceeded(2, 100) && two.exceeded(3, 100));
        assert!(!MaxErrors::Count(0).exceeded(0, 9) && MaxErrors::Count(0).exceeded(1, 9));
        for bad in ["-1", "101%", "NaN%", "two", ""] {
            assert!(bad.parse::<MaxErrors>().unwrap_err().contains("max-errors"), "{bad}");
        }
    }

    #[test]
    fn a_time_has_units() {
        assert_eq!("5h 30m".parse(), Ok(Span(Duration::from_mins(330))));
        assert!("5".parse::<Span>().unwrap_err().contains("90s"));
    }
}
