//! Text in a page: foreign text shows as text, whatever it is.

use std::{
    fmt::Write as _,
    path::{Component, Path, PathBuf},
};

use crate::output;

/// `text` in HTML and SVG, also between quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// `text` with characters that cannot be seen, or that turn the order of others, written out: a name
/// `a\u{202e}gpj.exe` does not end in `jpg`.
pub(super) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The name of an image as a person sees it, from its `path` cell.
pub(super) fn name(cell: &str) -> String {
    if cell.starts_with("//") {
        let name = output::decode_name(cell);
        return visible(&String::from_utf8_lossy(&name));
    }
    visible(cell)
}

/// JSON that stands in a `script` element.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain data has JSON");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The address of `file` as seen from a page in `folder`: a relative path in which only letters,
/// digits and few signs stand for themselves, so that no name is a scheme or a mark-up.
pub(super) fn href(file: &Path, folder: &Path) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (file, folder) = (plain(&whole(file)), plain(&whole(folder)));
    let shared = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let ups = folder.components().skip(shared).map(|_| "..".to_owned());
    let downs = file.components().skip(shared).map(|part| encoded(part.as_os_str()));
    let parts: Vec<String> = ups.chain(downs).collect();
    format!("./{}", parts.join("/"))
}

fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
        plain
    })
}

fn encoded(part: &std::ffi::OsStr) -> String {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(part).to_vec();
    #[cfg(not(unix))]
    let bytes = part.to_string_lossy().into_owned().into_bytes();
    bytes.iter().fold(String::new(), |mut out, &byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_inert_and_visible() {
        assert_eq!(escaped("\"><script>a&'b"), "&quot;&gt;&lt;script&gt;a&amp;&#39;b");
        assert_eq!(visible("a\u{202e}gpj\n\u{7f}é"), "a\\u{202e}gpj\\n\\u{7f}é");
        assert_eq!(json(&"</script><!--&"), "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
        assert_eq!(name("//a%FE%25"), "a\u{FFFD}%");
    }

    #[test]
    fn addresses_are_relative_and_no_scheme() {
        let folder = Path::new("/a/out");
        for (file, expected) in [
            ("/a/in/b c.jpg", "./../in/b%20c.jpg"),
            ("/a/out/javascript:alert(1)", "./javascript%3Aalert%281%29"),
            ("/a/out/x/../\"><b>.png", "./%22%3E%3Cb%3E.png"),
        ] {
            assert_eq!(href(Path::new(file), folder), expected);
        }
    }
}
