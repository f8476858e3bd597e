//! The text form of protocol buffers, as far as `TensorFlow`'s label maps and Triton's
//! `config.pbtxt` need it.

use std::{iter::Peekable, str::Chars};

use super::{Class, in_order};

/// Deepest nesting of messages.
const DEPTH: usize = 16;

/// A message: its fields in order, repeated ones several times.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    fields: Vec<(String, Field)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Scalar(String),
    Message(Message),
}

impl Message {
    /// The text of the last scalar field of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).last()
    }

    /// The texts of all scalar fields of this name.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(own, _)| own == name).filter_map(|(_, field)| match field {
            Field::Scalar(text) => Some(text.as_str()),
            Field::Message(_) => None,
        })
    }

    /// The messages that are fields of this name.
    pub(crate) fn messages(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.fields.iter().filter(move |(own, _)| own == name).filter_map(|(_, field)| match field {
            Field::Scalar(_) => None,
            Field::Message(message) => Some(message),
        })
    }
}

/// Reads a message.
///
/// # Errors
///
/// What stands where something else should.
pub(crate) fn parse(text: &str) -> Result<Message, String> {
    Reader { rest: text.chars().peekable() }.message(None, 0)
}

/// Whether a text begins as a label map does.
pub(super) fn is_label_map(text: &str) -> bool {
    let lines = text.lines().map(str::trim);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'));
    let behind = first.and_then(|line| line.strip_prefix("item")).map(str::trim_start);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['{', ':']))
}

/// The classes of a label map. Its ids usually begin at 1.
pub(super) fn label_map(text: &str) -> Result<Vec<Class>, String> {
    let map = parse(text)?;
    let class = |item: &Message| {
        let name = item.text("display_name").or(item.text("name"))?;
        let class = Class::with_id(item.text("name").unwrap_or(""), name);
        Some((item.text("id")?.parse().ok()?, class))
    };
    let classes: Option<Vec<(usize, Class)>> = map.messages("item").map(class).collect();
    let classes = classes.ok_or("an item has no id or no name")?;
    let first = classes.iter().map(|(id, _)| *id).min().unwrap_or(0);
    in_order(first.min(1), classes)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// The next character that is neither space, comment nor separator; not taken.
    fn next_visible(&mut self) -> Option<char> {
        loop {
            match self.rest.peek().copied() {
                Some('#') => while self.rest.next().is_some_and(|c| c != '\n') {},
                Some(c) if c.is_whitespace() || c == ',' || c == ';' => _ = self.rest.next(),
                other => return other,
            }
        }
    }

    fn message(&mut self, end: Option<char>, depth: usize) -> Result<Message, String> {
        if depth > DEPTH {
            return Err(format!("it is nested more than {DEPTH} deep"));
        }
        let mut message = Message::default();
        loop {
            match self.next_visible() {
                c if c == end => {
                    self.rest.next();
                    return Ok(message);
                }
                None => return Err("a message is not closed".to_owned()),
                Some(_) => {}
            }
            let name = self.word()?;
            if self.next_visible() == Some(':') {
                self.rest.next();
            }
            if self.next_visible() == Some('[') {
                self.rest.next();
                while self.next_visible() != Some(']') {
                    message.fields.push((name.clone(), self.field(depth)?));
                }
                self.rest.next();
            } else {
                message.fields.push((name, self.field(depth)?));
            }
        }
    }

    fn field(&mut self, depth: usize) -> Result<Field, String> {
        let end = match self.next_visible() {
            Some('{') => '}',
            Some('<') => '>',
            Some('"' | '\'') => return self.string().map(Field::Scalar),
            _ => return self.word().map(Field::Scalar),
        };
        self.rest.next();
        self.message(Some(end), depth + 1).map(Field::Message)
    }

    fn word(&mut self) -> Result<String, String> {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|&c| c.is_alphanumeric() || "_+-./".contains(c)) {
            word.push(c);
        }
        match self.rest.peek() {
            _ if !word.is_empty() => Ok(word),
            Some(c) => Err(format!("`{c}` stands where a name or value should")),
            None => Err("it ends too early".to_owned()),
        }
    }

    /// One or several quoted texts, which belong together.
    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        while let Some(quote @ ('"' | '\'')) = self.next_visible() {
            self.rest.next();
            loop {
                match self.rest.next() {
                    Some(c) if c == quote => break,
                    Some('\\') => match self.rest.next() {
                        Some('n') => text.push('\n'),
                        Some('t') => text.push('\t'),
                        Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                        _ => return Err("a backslash stands before something unknown".to_owned()),
                    },
                    Some(c) => text.push(c),
                    None => return Err("a text is not closed".to_owned()),
                }
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_messages_lists_and_comments_are_read() {
        let text = "name: \"a\" # a model\ninput [\n { name: 'x' dims: [ 3, 224, 224 ] },\n \
                    { name: \"y\" }\n]\noutput < dims: -1; label_filename: \"l.txt\" >";
        let message = parse(text).unwrap();
        assert_eq!(message.text("name"), Some("a"));
        let inputs: Vec<_> = message.messages("input").collect();
        assert_eq!(inputs[0].texts("dims").collect::<Vec<_>>(), ["3", "224", "224"]);
        assert_eq!(inputs[1].text("name"), Some("y"));
        assert_eq!(message.messages("output").next().unwrap().text("label_filename"), Some("l.txt"));
    }

    #[test]
    fn a_label_map_counts_from_0_or_1_and_prefers_display_names() {
        let map = "item { name: '/m/01' id: 1 display_name: 'cat' } item { id: 2 name: 'dog' }";
        let names: Vec<_> = label_map(map).unwrap().into_iter().map(|class| class.name).collect();
        assert_eq!(names, ["cat", "dog"]);
        assert!(label_map("item { id: 0 name: 'a' } item { id: 2 name: 'b' }").is_err());
        assert!(is_label_map("# classes\nitem {\n") && !is_label_map("itemised\nlist\n"));
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        let deep = "a {".repeat(100_000);
        for text in ["a", "a {", "a: \"b", "a: [1", "}", "a: }", "{", "a: \"\\q\"", &deep] {
            assert!(parse(text).is_err(), "{text:.40}");
        }
    }
}
