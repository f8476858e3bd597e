//! The JSON of Keras, with its wrappers taken off: numpy numbers, tagged tuples and shapes.

use serde_json::{Map, Value};

use super::error::Fault;

/// Reads a text; nesting deeper than 128 is an error of the parser.
pub(super) fn parsed(text: &str, what: &str) -> Result<Value, Fault> {
    let value: Value = serde_json::from_str(text).map_err(Fault::container(what))?;
    Ok(plain(value))
}

/// Takes off what Keras wraps plain values in:
///
/// * `{"class_name": "__numpy__" | "__tensor__", "config": {"value": …}}` (archives of 2.12 on),
/// * `{"type": "ndarray", "value": …}` (2.13),
/// * `{"class_name": "__tuple__" | "TensorShape", "items": …}` (saved models).
fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Value::Object(mut fields) => {
            let class = fields.get("class_name").and_then(Value::as_str);
            let inner = match class {
                Some("__numpy__" | "__tensor__") => fields
                    .get_mut("config")
                    .and_then(|config| config.get_mut("value"))
                    .map(Value::take),
                Some("__tuple__" | "TensorShape") => fields.remove("items"),
                None if fields.get("type").is_some_and(|kind| kind == "ndarray") => {
                    fields.remove("value")
                }
                _ => None,
            };
            match inner {
                Some(inner) => plain(inner),
                None => Value::Object(fields.into_iter().map(|(k, v)| (k, plain(v))).collect()),
            }
        }
        other => other,
    }
}

/// A field that is a text.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str)
}

/// A shape such as `[null, 224, 224, 3]`, batch included; `None` when it is none.
pub(super) fn shape(value: &Value) -> Option<Vec<Option<usize>>> {
    let side = |side: &Value| match side {
        Value::Null => Some(None),
        Value::Number(number) => {
            // TensorFlow writes −1 for what is open.
            let fixed = number.as_u64().and_then(|side| usize::try_from(side).ok());
            if fixed.is_none() && number.as_i64() != Some(-1) { None } else { Some(fixed) }
        }
        _ => None,
    };
    value.as_array()?.iter().map(side).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_of_every_era_are_taken_off() {
        for (wrapped, bare) in [
            (r#"{"class_name":"__numpy__","config":{"value":6.0,"dtype":"float32"}}"#, "6.0"),
            (
                r#"{"a":{"type":"ndarray","value":[1,{"type":"ndarray","value":2}]}}"#,
                r#"{"a":[1,2]}"#,
            ),
            (
                r#"{"class_name":"__tuple__","items":[null,{"class_name":"TensorShape","items":[1]}]}"#,
                "[null,[1]]",
            ),
            (
                r#"{"class_name":"Dense","config":{"value":1}}"#,
                r#"{"class_name":"Dense","config":{"value":1}}"#,
            ),
        ] {
            assert_eq!(parsed(wrapped, "x").unwrap(), serde_json::from_str::<Value>(bare).unwrap());
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parsed(&deep, "x").is_err());
    }

    #[test]
    fn shapes_with_open_sides_are_read() {
        let read = |text: &str| shape(&serde_json::from_str(text).unwrap());
        assert_eq!(read("[null,28,-1,1]"), Some(vec![None, Some(28), None, Some(1)]));
        assert_eq!(read("[2.5]"), None);
        assert_eq!(read("{}"), None);
    }
}
