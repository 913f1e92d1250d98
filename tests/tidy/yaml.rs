//! A reader for the part of YAML that the manifests of this repository use; anything else is a panic.

use serde_json::{Map, Value};

/// The one document of a text.
pub fn read(text: &str) -> Value {
    let lines: Vec<(usize, &str)> = text.lines().map(|line| (indent(line), line)).collect();
    let mut reader = Reader { lines, at: 0 };
    let value = reader.block(0);
    assert!(reader.peek().is_none(), "line {} is out of place", reader.at + 1);
    value
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

struct Reader<'t> {
    lines: Vec<(usize, &'t str)>,
    at: usize,
}

impl<'t> Reader<'t> {
    /// The next line that is neither empty nor a comment.
    fn peek(&mut self) -> Option<(usize, &'t str)> {
        while let Some((indent, line)) = self.lines.get(self.at).copied() {
            let text = line.trim();
            if !text.is_empty() && !text.starts_with('#') {
                assert!(!text.starts_with("---") && !line.contains('\t'), "line {}: {line}", self.at + 1);
                return Some((indent, text));
            }
            self.at += 1;
        }
        None
    }

    /// A mapping or a list whose lines stand at least so deep.
    fn block(&mut self, depth: usize) -> Value {
        match self.peek() {
            Some((indent, text)) if indent >= depth && text.starts_with("- ") => self.list(indent),
            Some((indent, _)) if indent >= depth => self.mapping(indent),
            _ => Value::Null,
        }
    }

    fn list(&mut self, depth: usize) -> Value {
        let mut items = Vec::new();
        while let Some((indent, text)) =
            self.peek().filter(|(indent, text)| *indent == depth && text.starts_with("- "))
        {
            let rest = &text[2..];
            if split_key(rest).is_some() {
                // The first pair of a mapping stands behind the dash.
                let line = &mut self.lines[self.at];
                *line = (indent + 2, rest);
                items.push(self.mapping(indent + 2));
            } else {
                self.at += 1;
                items.push(scalar(rest));
            }
        }
        Value::Array(items)
    }

    fn mapping(&mut self, depth: usize) -> Value {
        let mut members = Map::new();
        while let Some((_, text)) =
            self.peek().filter(|(indent, text)| *indent == depth && !text.starts_with("- "))
        {
            let (key, rest) = split_key(text).unwrap_or_else(|| panic!("line {}: {text}", self.at + 1));
            self.at += 1;
            let value = match rest {
                "" => {
                    // A list may stand as deep as its key.
                    let is_list =
                        self.peek().is_some_and(|(indent, text)| indent == depth && text.starts_with("- "));
                    self.block(if is_list { depth } else { depth + 1 })
                }
                "|" => self.literal(depth),
                rest => scalar(rest),
            };
            assert!(members.insert(key.to_owned(), value).is_none(), "`{key}` stands twice");
        }
        Value::Object(members)
    }

    fn literal(&mut self, depth: usize) -> Value {
        let mut text = String::new();
        let inner = self.lines.get(self.at).map_or(0, |(indent, _)| *indent);
        while let Some((indent, line)) = self.lines.get(self.at).copied() {
            if indent <= depth && !line.trim().is_empty() {
                break;
            }
            text.push_str(line.get(inner..).unwrap_or_default());
            text.push('\n');
            self.at += 1;
        }
        Value::String(text)
    }
}

/// `key: value` or `key:`.
fn split_key(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    text.split_once(": ")
        .map(|(key, rest)| (key, rest.trim()))
        .or_else(|| Some((text.strip_suffix(':')?, "")))
}

/// Strings, numbers and truth values, and lists of quoted strings, which are JSON as they stand.
fn scalar(text: &str) -> Value {
    if text.starts_with(['"', '[', '{']) || matches!(text, "true" | "false") {
        return serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert!(!text.starts_with(['&', '*', '!', '|', '>', '\'', '%', '@']) && !text.contains(" #"), "{text}");
    text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
}

#[test]
fn what_manifests_use_is_read() {
    let text = "# a\na: 1\nb:\n  - c: x y\n    d: true\n  - \"e\"\nf:\n- [\"g\"]\nh: |\n  i\n\n  j: 1\nk:\nl: 250m\n";
    let expected = serde_json::json!({
        "a": 1, "b": [{"c": "x y", "d": true}, "e"], "f": [["g"]], "h": "i\n\nj: 1\n", "k": null, "l": "250m",
    });
    assert_eq!(read(text), expected);
}
