//! The literals of Python that stand in metadata and label files: `{0: 'tench'}`, `[224, 224]`.

use std::{iter::Peekable, str::Chars};

use serde_json::{Map, Value};

/// Deepest nesting; nobody nests class names.
const DEPTH: usize = 16;

/// Reads a dictionary, list, tuple, string, number, or one of `True`, `False` and `None`. Keys that
/// are numbers become text, as in JSON.
///
/// # Errors
///
/// What stands where something else should.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let value = reader.value(0)?;
    match reader.next_visible() {
        None => Ok(value),
        Some(c) => Err(format!("`{c}` stands after the end")),
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// The next character that is no space, not taken.
    fn next_visible(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!("it is nested more than {DEPTH} deep"));
        }
        match self.next_visible() {
            Some('{') => self.dictionary(depth),
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('\'' | '"') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err("it ends too early".to_owned()),
        }
    }

    /// Takes a comma if one comes; whether `end` comes next, which is taken.
    fn at_end(&mut self, end: char, empty: bool) -> Result<bool, String> {
        let separated = self.next_visible() == Some(',') && !empty;
        if separated {
            self.rest.next();
        }
        match self.next_visible() {
            Some(c) if c == end => Ok(self.rest.next().is_some()),
            Some(c) if !separated && !empty => Err(format!("`{c}` stands where a comma should")),
            Some(_) => Ok(false),
            None => Err(format!("`{end}` is missing at the end")),
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Value, String> {
        self.rest.next();
        let mut values = Vec::new();
        while !self.at_end(end, values.is_empty())? {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn dictionary(&mut self, depth: usize) -> Result<Value, String> {
        self.rest.next();
        let mut map = Map::new();
        while !self.at_end('}', map.is_empty())? {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                Value::Number(key) => key.to_string(),
                _ => return Err("a key is neither text nor a number".to_owned()),
            };
            if self.next_visible() != Some(':') {
                return Err(format!("`:` is missing behind the key {key}"));
            }
            self.rest.next();
            let value = self.value(depth + 1)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(format!("the key {key} stands there twice"));
            }
        }
        Ok(Value::Object(map))
    }

    fn word(&mut self) -> Result<Value, String> {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|&c| c.is_alphanumeric() || "+-._".contains(c)) {
            word.push(c);
        }
        match word.as_str() {
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            "None" => Ok(Value::Null),
            _ => {
                let whole = word.parse::<i64>().ok().map(Value::from);
                let number = whole.or_else(|| word.parse::<f64>().ok().map(Value::from));
                let number = number.filter(Value::is_number);
                number.ok_or_else(|| format!("`{word}` is no value"))
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                c if c == quote => return Ok(text),
                Some('\\') => text.extend(self.escape()?),
                Some(c) => text.push(c),
                None => return Err("a text is not closed".to_owned()),
            }
        }
    }

    /// What stands behind a backslash; a line's end stands for nothing.
    fn escape(&mut self) -> Result<Option<char>, String> {
        let digits = match self.rest.next() {
            Some('n') => return Ok(Some('\n')),
            Some('t') => return Ok(Some('\t')),
            Some('r') => return Ok(Some('\r')),
            Some('\n') => return Ok(None),
            Some(c @ ('\\' | '\'' | '"')) => return Ok(Some(c)),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err("a backslash stands before something unknown".to_owned()),
        };
        let code: String = self.rest.by_ref().take(digits).collect();
        let found = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        found.map(Some).ok_or_else(|| format!("`\\{code}` is no character"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn literals_are_read_as_python_writes_them() {
        for (text, value) in [
            ("{0: 'tench', 1: \"bird's nest\"}", json!({"0": "tench", "1": "bird's nest"})),
            ("{0: 'a\\'b\\x41\\u00e9\\\\'}", json!({"0": "a'bA\u{e9}\\"})),
            ("[224, 224]", json!([224, 224])),
            ("(0.5, -1e-3,)", json!([0.5, -0.001])),
            ("{'nms': False, 'half': None, 'x': []}", json!({"nms": false, "half": null, "x": []})),
            (" {\n 0: 'a',\n}\n", json!({"0": "a"})),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "", "{", "{0 'a'}", "{0: 'a' 1: 'b'}", "{0: 'a', 0: 'b'}", "[1] 2", "'a", "foo()",
            "[,]", "nan", "'\\ud800'", "{[]: 1}", &deep,
        ] {
            assert!(parse(text).is_err(), "{text:.40}");
        }
    }
}
