//! An OpenAPI document (2.0, 3.0, 3.1; JSON or YAML) as one tree, and where its references lead.
//!
//! Promises: what is read is bounded in bytes, values, depth and repetitions; a text that does not parse yields its place. References are
//! followed inside of the document only: no other file and no network is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_saphyr::options::NonFiniteFloatPolicy;

use crate::config::author::{AuthorProblem, SourceFile};

/// A document that says of itself that it is OpenAPI.
#[derive(Debug)]
pub struct Document {
    /// Everything in it.
    pub root: Value,
    /// How it is built.
    pub generation: Generation,
    /// Its version as it states it, such as `3.0.3`.
    pub version: String,
}

/// How a document is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Swagger 2.0: bodies are parameters, schemas stand in answers.
    Two,
    /// OpenAPI 3: bodies and answers say their content type.
    Three,
}

/// Where a reference leads.
#[derive(Clone, Copy, Debug)]
pub struct Target<'d> {
    /// What stands there.
    pub node: &'d Value,
    /// What it is called there, if a reference led to it.
    pub name: Option<&'d str>,
}

impl Document {
    /// Reads a document; the problem names the place.
    pub fn read(source: &Arc<SourceFile>) -> Result<Self, AuthorProblem> {
        let text = source.text.trim_start_matches('\u{feff}');
        if text.len() > DOCUMENT_BYTES_MAX {
            let message =
                format!("`{}` has {} bytes, more than {DOCUMENT_BYTES_MAX}", source.name, text.len());
            let help = "Split it by parts of the API, and put the drafted profiles together.";
            return Err(AuthorProblem::error(message).help(help));
        }
        let skipped = source.text.len() - text.len();
        let is_json = source.name.ends_with(".json") || text.trim_start().starts_with('{');
        let read = if is_json { read_json(text) } else { read_yaml(text) };
        let root = read.map_err(|flaw| {
            let format = if is_json { "JSON" } else { "YAML" };
            let at = skipped + offset_of(text, flaw.line, flaw.column);
            AuthorProblem::error(format!("not valid {format}: {}", flaw.message)).at(source, at..at)
        })?;
        let (generation, version) = generation(&root).ok_or_else(|| {
            let help =
                "It must be an object with `openapi: 3.…` or `swagger: \"2.0\"`; convert other descriptions first.";
            AuthorProblem::error(format!("`{}` is no OpenAPI document", source.name)).at(source, 0..0).help(help)
        })?;
        Ok(Self { root, generation, version })
    }

    /// What a node is, its references followed; `None` if they lead out of the document, nowhere or in a circle.
    pub fn follow<'d>(&'d self, node: &'d Value) -> Option<Target<'d>> {
        let mut target = Target { node, name: None };
        for _ in 0..STEPS_MAX {
            let Some(reference) = reference(target.node) else { return Some(target) };
            target = Target { node: self.at(reference)?, name: reference.rsplit('/').next() };
        }
        None
    }

    /// What stands at a place of the root; nothing where it is a reference that leads nowhere.
    pub fn member<'d>(&'d self, node: &'d Value, key: &str) -> Option<&'d Value> {
        Some(self.follow(node.get(key)?)?.node)
    }

    /// References that lead nowhere in this document: how many, by the file that they name.
    pub fn unfollowed(&self) -> BTreeMap<&str, usize> {
        let (mut found, mut left) = (BTreeMap::new(), vec![&self.root]);
        while let Some(node) = left.pop() {
            match node {
                Value::Object(members) => left.extend(members.values()),
                Value::Array(items) => left.extend(items),
                _ => {}
            }
            if let Some(reference) = reference(node).filter(|reference| self.at(reference).is_none()) {
                let file = reference.split('#').next().unwrap_or_default();
                if found.len() < FILES_MAX || found.contains_key(file) {
                    *found.entry(file).or_default() += 1;
                }
            }
        }
        found
    }

    fn at(&self, reference: &str) -> Option<&Value> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        self.root.pointer(&pointer)
    }
}

/// Text of a node that refers to another.
fn reference(node: &Value) -> Option<&str> {
    node.get("$ref").and_then(Value::as_str)
}

/// Where and why a text does not parse; lines and columns count from 1.
struct Flaw {
    message: String,
    line: usize,
    column: usize,
}

fn read_json(text: &str) -> Result<Value, Flaw> {
    serde_json::from_str(text).map_err(|error| Flaw {
        message: without_place(&error.to_string()),
        line: error.line(),
        column: error.column(),
    })
}

fn read_yaml(text: &str) -> Result<Value, Flaw> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: VALUES_MAX,
            max_events: 2 * VALUES_MAX,
            max_depth: DEPTH_MAX,
            max_documents: 1,
            enforce_alias_anchor_ratio: false,
        },
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location();
        let count = |number: u64| usize::try_from(number).unwrap_or(1);
        Flaw {
            message: without_place(&error.to_string()),
            line: place.map_or(1, |place| count(place.line())),
            column: place.map_or(1, |place| count(place.column())),
        }
    })
}

/// What is wrong, without the place, which is shown, and without what only programmers of the reader could do about it.
fn without_place(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let inside: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    before + inside
}

/// A version may be written without quotes, so that YAML takes it for a number.
fn generation(root: &Value) -> Option<(Generation, String)> {
    let text = |key| match root.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let three = text("openapi").filter(|version| version.starts_with("3."));
    let two = || text("swagger").filter(|version| version == "2" || version.starts_with("2."));
    three.map(|version| (Generation::Three, version)).or_else(|| Some((Generation::Two, two()?)))
}

/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 20;
/// Values of a YAML document, repetitions by aliases included.
const VALUES_MAX: usize = 4_000_000;
/// Levels of a YAML document, which its reader takes on the stack; those of JSON are 128.
const DEPTH_MAX: usize = 64;
/// References that follow each other.
const STEPS_MAX: usize = 32;
/// Files whose references are counted.
const FILES_MAX: usize = 100;
/// Characters of what a reader says.
const MESSAGE_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Document, AuthorProblem> {
        Document::read(&SourceFile::new(name, text))
    }

    #[track_caller]
    fn check(name: &str, text: &str, expected: Result<&str, (&str, &str)>) {
        match (read(name, text), expected) {
            (Ok(document), Ok(version)) => assert_eq!(document.version, version),
            (Err(problem), Err((place, part))) => {
                assert_eq!(problem.place().as_deref().unwrap_or_default(), place, "{problem}");
                assert!(problem.message().contains(part), "{problem}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn documents_say_what_they_are() {
        check("a.json", "{\"openapi\":\"3.1.0\"}", Ok("3.1.0"));
        check("a", "\u{feff} {\"swagger\":\"2.0\"}", Ok("2.0"));
        check("a.yaml", "openapi: 3.0.3\n", Ok("3.0.3"));
        check("a.yaml", "swagger: 2.0\n", Ok("2.0"));
        check("a.yaml", "openapi: 4.0.0\n", Err(("a.yaml:1", "no OpenAPI document")));
        check("a.yaml", "swagger: '1.2'\n", Err(("a.yaml:1", "no OpenAPI document")));
        check("a.yaml", "- openapi\n", Err(("a.yaml:1", "no OpenAPI document")));
        check("a.yaml", "", Err(("a.yaml:1", "no OpenAPI document")));
    }

    #[test]
    fn what_does_not_parse_has_its_place() {
        check("a.json", "{\n\"openapi\": 3.0.1\n}", Err(("a.json:2", "expected")));
        check("a.json", &"[".repeat(1_000), Err(("a.json:1", "recursion limit")));
        check("a.yaml", "openapi: 3.0.0\ninfo: [1,\nb: 2", Err(("a.yaml:2", "unclosed bracket")));
        check("a.yaml", "openapi: 3.0.0\na: 1\na: 2\n", Err(("a.yaml:3", "duplicate mapping key")));
        check("a.yaml", "a: 1\n---\nb: 1\n", Err(("a.yaml:2", "Documents")));
        let deep: String = (0..500).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        check("a.yaml", &deep, Err(("a.yaml:65", "Depth")));
    }

    #[test]
    fn aliases_cannot_make_much_of_little() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{inner}]\n");
        }
        let problem = read("a.yaml", &bomb).unwrap_err();
        assert!(problem.message().contains("budget breached"), "{problem}");
        let document = read("a.yaml", "openapi: 3.0.0\na: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(document.root["c"]["b"], 1);
    }

    #[test]
    fn words_and_numbers_of_yaml_are_those_of_json() {
        let document = read("a.yaml", "openapi: 3.0.0\n200: {v: [no, yes, true, 12, 1.10, .inf]}\n").unwrap();
        let expected = serde_json::json!(["no", "yes", true, 12, 1.1, ".inf"]);
        assert_eq!(document.root["200"]["v"], expected);
    }

    #[test]
    fn references_are_followed_inside_of_the_document_only() {
        let text = r##"{"openapi":"3.0.0","a":{"$ref":"#/b~1c/d%20e"},"b/c":{"d e":{"x":1}},"one":{"$ref":"#/two"},
            "two":{"$ref":"#/one"},"far":{"$ref":"other.yaml#/a"},"lost":{"$ref":"#/nowhere"},"odd":{"$ref":7}}"##;
        let document = read("a.json", text).unwrap();
        let name = |key: &str| document.follow(&document.root[key]).map(|target| target.name);
        assert_eq!(name("a"), Some(Some("d%20e")));
        assert_eq!(name("b/c"), Some(None));
        assert_eq!((name("one"), name("far"), name("lost")), (None, None, None));
        assert_eq!(name("odd"), Some(None));
        assert_eq!(document.unfollowed().into_iter().collect::<Vec<_>>(), [("", 1), ("other.yaml", 1)]);
    }
}
