//! YAML as a JSON value. Aliases are refused: with them a small file stands for a huge one.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Most bytes; the largest of these files name some ten thousand classes.
const MAX_BYTES: usize = 4 << 20;
/// Deepest nesting.
const DEPTH: usize = 64;

/// A list or mapping that is not complete yet.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

/// Reads the first document of a text.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_BYTES >> 20));
    }
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        let complete = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(Open::closed),
            Event::Scalar(text, style, _, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                Some(scalar(&text, style != ScalarStyle::Plain || is_text))
            }
            Event::Alias(_) => return Err("it uses an alias".to_owned()),
            _ => None,
        };
        if open.len() > DEPTH {
            return Err(format!("it is nested more than {DEPTH} deep"));
        }
        let Some(value) = complete else { continue };
        match open.last_mut() {
            None => return Ok(value),
            Some(last) => last.add(value)?,
        }
    }
    Ok(Value::Null)
}

impl Open {
    fn closed(self) -> Value {
        match self {
            Self::List(values) => Value::Array(values),
            Self::Map(map, _) => Value::Object(map),
        }
    }

    fn add(&mut self, value: Value) -> Result<(), String> {
        match self {
            Self::List(values) => values.push(value),
            Self::Map(map, key) => match key.take() {
                None => *key = Some(as_key(value)?),
                Some(key) if map.contains_key(&key) => {
                    return Err(format!("the key {key} stands there twice"));
                }
                Some(key) => _ = map.insert(key, value),
            },
        }
        Ok(())
    }
}

fn as_key(value: Value) -> Result<String, String> {
    match value {
        Value::String(key) => Ok(key),
        Value::Array(_) | Value::Object(_) => Err("a key is a list or mapping".to_owned()),
        other => Ok(other.to_string()),
    }
}

/// A scalar by YAML's core schema.
fn scalar(text: &str, quoted: bool) -> Value {
    if quoted {
        return Value::String(text.to_owned());
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let number = || {
        let whole = text.parse::<i64>().ok().map(Value::from);
        whole.or_else(|| text.parse::<f64>().ok().map(Value::from)).filter(Value::is_number)
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => numeric.then(number).flatten().unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_read_as_their_writers_meant_them() {
        let text = "# a comment\ntask: classify\nimgsz: [224, 224]\nnames:\n  0: tench\n  1: 'no'\n\
                    \x20 2: \"007\"\nargs: {half: false, mean: .5}\nlist:\n- a: 1e-3\n- ~\n";
        let value = json!({
            "task": "classify", "imgsz": [224, 224],
            "names": {"0": "tench", "1": "no", "2": "007"},
            "args": {"half": false, "mean": 0.5}, "list": [{"a": 0.001}, null],
        });
        assert_eq!(parse(text), Ok(value));
        assert_eq!(parse(""), Ok(Value::Null));
        assert_eq!(parse("a: 1\n---\nb: 2\n"), Ok(json!({"a": 1})));
    }

    #[test]
    fn aliases_depth_and_broken_text_are_refused() {
        let deep = "[".repeat(5_000);
        for text in ["a: &x [1]\nb: *x\n", "a: 1\na: 2\n", "[a]: 1\n", "a: [1\n", &deep] {
            assert!(parse(text).is_err(), "{text:.40}");
        }
        assert!(parse(&"a".repeat(MAX_BYTES + 1)).unwrap_err().contains("4 MiB"));
    }
}
