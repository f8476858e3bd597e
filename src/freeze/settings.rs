//! A layer's settings, read with their types and within bounds.

use serde_json::{Map, Value as Json};

use super::array::Array;

/// Largest side, stride, or count in a layer's settings: all sums and products of two stay exact.
const MAX_SETTING: usize = 1 << 24;

/// The settings of one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings<'a>(pub(super) &'a Map<String, Json>);

impl<'a> Settings<'a> {
    /// A setting that is there and not null.
    pub(super) fn get(self, key: &str) -> Option<&'a Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, key: &str) -> Result<Option<&'a str>, String> {
        self.typed(key, Json::as_str)
    }

    pub(super) fn flag(self, key: &str, usual: bool) -> Result<bool, String> {
        // Keras 1 and JSON of other tools write 0 and 1.
        let flag = |value: &Json| value.as_bool().or_else(|| Some(value.as_f64()? != 0.0));
        Ok(self.typed(key, flag)?.unwrap_or(usual))
    }

    pub(super) fn number(self, key: &str) -> Result<Option<f64>, String> {
        self.typed(key, Json::as_f64)
    }

    /// A setting of one type. One of another is refused: its usual value would be another model.
    fn typed<T>(
        self,
        key: &str,
        read: impl Fn(&'a Json) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.get(key).map(|value| read(value).ok_or_else(|| unusable(key, value))).transpose()
    }

    pub(super) fn whole(self, key: &str) -> Result<Option<usize>, String> {
        self.get(key).map(|value| whole(value, key)).transpose()
    }

    /// Where Keras has the channels of this layer.
    ///
    /// # Errors
    ///
    /// When it is a place that Keras does not have.
    pub(super) fn channels_first(self) -> Result<bool, String> {
        match self.text("data_format")? {
            None | Some("channels_last") => Ok(false),
            Some("channels_first") => Ok(true),
            Some(other) => Err(format!("its `data_format` is {other:?}")),
        }
    }

    /// One number for height and width, or one for each.
    pub(super) fn pair(self, key: &str) -> Result<Option<[usize; 2]>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value {
            Json::Array(items) => match &items[..] {
                [one] => whole(one, key).map(|one| Some([one, one])),
                [height, width] => Ok(Some([whole(height, key)?, whole(width, key)?])),
                _ => Err(unusable(key, value)),
            },
            one => whole(one, key).map(|one| Some([one, one])),
        }
    }

    /// A pair of which neither is 0; `usual` when nothing is said.
    pub(super) fn steps(self, key: &str, usual: [usize; 2]) -> Result<[usize; 2], String> {
        let pair = self.pair(key)?.unwrap_or(usual);
        if pair.contains(&0) { Err(format!("its `{key}` is 0")) } else { Ok(pair) }
    }

    /// `[[before, after], [before, after]]` for height and width, in all its short forms.
    pub(super) fn sides(self, key: &str) -> Result<[[usize; 2]; 2], String> {
        if let Some(Json::Array(items)) = self.get(key)
            && let [rows @ Json::Array(_), columns @ Json::Array(_)] = &items[..]
        {
            let both = |value: &Json| match value.as_array().map(Vec::as_slice) {
                Some([before, after]) => Ok([whole(before, key)?, whole(after, key)?]),
                _ => Err(unusable(key, value)),
            };
            return Ok([both(rows)?, both(columns)?]);
        }
        // Keras 1 wrote four numbers too.
        if let Some(Json::Array(items)) = self.get(key)
            && let [top, bottom, left, right] = &items[..]
        {
            let number = |value| whole(value, key);
            return Ok([[number(top)?, number(bottom)?], [number(left)?, number(right)?]]);
        }
        let [rows, columns] = self.pair(key)?.unwrap_or([1, 1]);
        Ok([[rows, rows], [columns, columns]])
    }

    /// An axis, or a list of one; `usual` when nothing is said.
    pub(super) fn axis(self, key: &str, usual: i64) -> Result<i64, String> {
        match self.axes(key, usual)?[..] {
            [axis] => Ok(axis),
            _ => Err(format!("its `{key}` names several axes")),
        }
    }

    /// A list of axes.
    pub(super) fn axes(self, key: &str, usual: i64) -> Result<Vec<i64>, String> {
        let Some(value) = self.get(key) else { return Ok(vec![usual]) };
        integers(value).ok_or_else(|| unusable(key, value))
    }
}

/// A whole number or a list of them.
pub(super) fn integers(value: &Json) -> Option<Vec<i64>> {
    match value {
        Json::Array(items) => items.iter().map(Json::as_i64).collect(),
        one => one.as_i64().map(|one| vec![one]),
    }
}

fn whole(value: &Json, key: &str) -> Result<usize, String> {
    let float = || value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let found = value.as_u64().or_else(|| float().map(|number| number as u64));
    let found = found.and_then(|number| usize::try_from(number).ok());
    found.filter(|&number| number <= MAX_SETTING).ok_or_else(|| unusable(key, value))
}

fn unusable(key: &str, value: &Json) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    format!("its `{key}` is {text}")
}

/// Numbers in nested lists of equal lengths, or one number; `None` for anything else.
pub(super) fn array(value: &Json) -> Option<Array> {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Json::Array(items) = inner {
        shape.push(items.len());
        inner = items.first()?;
    }
    let mut values = Vec::new();
    flatten(value, &shape, &mut values)?;
    Some(Array { shape, values })
}

#[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
fn flatten(value: &Json, shape: &[usize], values: &mut Vec<f32>) -> Option<()> {
    match (shape, value) {
        ([], Json::Number(number)) => values.push(number.as_f64()? as f32),
        ([], Json::Bool(truth)) => values.push(f32::from(u8::from(*truth))),
        ([side, rest @ ..], Json::Array(items)) if items.len() == *side => {
            items.iter().try_for_each(|item| flatten(item, rest, values))?;
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(json: &str, read: impl Fn(Settings) -> T) -> T {
        read(Settings(&serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn pairs_and_sides_have_short_forms() {
        for (json, expected) in [
            (r#"{"k": 2}"#, Ok(Some([2, 2]))),
            (r#"{"k": [2, 3]}"#, Ok(Some([2, 3]))),
            (r#"{"k": 2.0}"#, Ok(Some([2, 2]))),
            (r#"{"k": null}"#, Ok(None)),
            (r#"{"k": [1, 2, 3]}"#, Err(())),
            (r#"{"k": -1}"#, Err(())),
            (r#"{"k": 1e18}"#, Err(())),
        ] {
            assert_eq!(with(json, |s| s.pair("k").map_err(drop)), expected, "{json}");
        }
        for (json, expected) in [
            (r#"{"k": 2}"#, [[2, 2], [2, 2]]),
            (r#"{"k": [1, 2]}"#, [[1, 1], [2, 2]]),
            (r#"{"k": [[1, 2], [3, 4]]}"#, [[1, 2], [3, 4]]),
            (r#"{"k": [1, 2, 3, 4]}"#, [[1, 2], [3, 4]]),
        ] {
            assert_eq!(with(json, |s| s.sides("k")), Ok(expected), "{json}");
        }
    }

    #[test]
    fn only_even_lists_are_arrays() {
        let read = |text: &str| array(&serde_json::from_str(text).unwrap());
        assert_eq!(read("[[1, 2], [3, 4]]").unwrap().shape, [2, 2]);
        assert_eq!(read("2.5"), Some(Array::scalar(2.5)));
        for odd in ["[[1], [2, 3]]", "[1, [2]]", "\"x\"", "[]"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
