//! The fields of a JSON object, each checked as it is read.

use serde_json::{Map, Value};

use crate::geometry::Size;

/// Largest side of an image that a model is fed.
const MAX_SIDE: f64 = 16384.0;

/// An object whose fields are read by name. A field that is null counts as absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of a value that is an object.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(|map| Self { map })
    }

    pub(super) fn value(self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The names of all fields.
    pub(super) fn keys(self) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str)
    }

    pub(super) fn object(self, key: &str) -> Option<Self> {
        self.value(key).and_then(Self::of)
    }

    pub(super) fn list(self, key: &str) -> Option<&'a [Value]> {
        self.value(key)?.as_array().map(Vec::as_slice)
    }

    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.value(key)?.as_str()
    }

    /// A field that is true or false.
    pub(super) fn flag(self, key: &str) -> Result<Option<bool>, String> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| odd(key, value, "true or false"));
        self.value(key).map(flag).transpose()
    }

    /// A finite number, which may be written as text.
    pub(super) fn number(self, key: &str) -> Result<Option<f64>, String> {
        self.value(key)
            .map(|value| as_number(value).ok_or_else(|| odd(key, value, "a number")))
            .transpose()
    }

    /// A number, or a list of up to four.
    pub(super) fn numbers(self, key: &str) -> Result<Option<Vec<f64>>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let numbers = match value.as_array() {
            Some(list) if (1..=4).contains(&list.len()) => list.iter().map(as_number).collect(),
            Some(_) => None,
            None => as_number(value).map(|number| vec![number]),
        };
        numbers.map(Some).ok_or_else(|| odd(key, value, "a number, or one for each channel"))
    }

    /// A count of pixels: a whole number from 1 to 16384.
    pub(super) fn side(self, key: &str) -> Result<Option<usize>, String> {
        self.value(key)
            .map(|value| as_side(value).ok_or_else(|| odd(key, value, "a number of pixels")))
            .transpose()
    }

    /// A size: one side of a square, or a list of height and width.
    pub(super) fn size(self, key: &str) -> Result<Option<Size>, String> {
        let size = |value: &Value| as_size(value).ok_or_else(|| odd(key, value, "a size"));
        self.value(key).map(size).transpose()
    }
}

/// A finite number, which may be written as text.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

/// A whole number from 1 to 16384.
pub(super) fn as_side(value: &Value) -> Option<usize> {
    pixels(as_number(value)?)
}

/// A whole number from 1 to 16384.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
pub(super) fn pixels(number: f64) -> Option<usize> {
    let whole = (1.0..=MAX_SIDE).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as usize)
}

/// One side of a square, or a list of height and width.
pub(super) fn as_size(value: &Value) -> Option<Size> {
    match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => Some(Size { height: as_side(height)?, width: as_side(width)? }),
        Some([side]) => as_side(side).map(Size::square),
        Some(_) => None,
        None => as_side(value).map(Size::square),
    }
}

/// What a field should have been.
pub(super) fn odd(key: &str, value: &Value, wanted: &str) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    format!("`{key}` is {text}, and not {wanted}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_checked_as_they_are_read() {
        let value = json!({
            "side": 224.0, "text": "0.5", "list": [1, 2.5], "null": null, "pair": [240, 320],
            "huge": 16385, "zero": 0, "half": 0.5, "many": [1, 2, 3, 4, 5], "bad": "nan",
        });
        let fields = Fields::of(&value).unwrap();
        assert_eq!(fields.side("side"), Ok(Some(224)));
        assert_eq!(fields.number("text"), Ok(Some(0.5)));
        assert_eq!(fields.numbers("list"), Ok(Some(vec![1.0, 2.5])));
        assert_eq!(fields.numbers("null"), Ok(None));
        assert_eq!(fields.size("pair"), Ok(Some(Size { height: 240, width: 320 })));
        assert_eq!(fields.size("side"), Ok(Some(Size::square(224))));
        for key in ["huge", "zero", "half", "bad", "list"] {
            assert!(fields.side(key).unwrap_err().contains(key), "{key}");
        }
        assert!(fields.numbers("many").is_err() && fields.number("bad").is_err());
        assert!(fields.flag("side").is_err() && fields.size("many").is_err());
    }
}
