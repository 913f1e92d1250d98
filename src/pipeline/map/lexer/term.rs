//! A JSON value of its own: what lexers read and write. Numbers keep their digits, keys their order.

use bytes::Bytes;

use crate::json::parse::{JsonError, JsonLimits};
use crate::json::value::{Document, Kind, Value};

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Term>),
    /// An object; no key stands twice.
    Object(Vec<(String, Term)>),
}

impl Term {
    /// The value of a document. Recurses as deep as the document is, which has a limit.
    pub fn of(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Null => Term::Null,
            Kind::Bool => Term::Bool(value.boolean().unwrap_or_default()),
            Kind::Number => Term::Number(value.raw().to_owned()),
            Kind::String => Term::Text(value.text().unwrap_or_default().into_owned()),
            Kind::Array => Term::List(value.items().map(Term::of).collect()),
            Kind::Object => Term::Object(
                value.members().map(|member| (member.key().into_owned(), Term::of(member.value()))).collect(),
            ),
        }
    }

    /// Reads all of a text.
    pub fn parse(text: &str, limits: &JsonLimits) -> Result<Self, JsonError> {
        Ok(Term::of(Document::parse(Bytes::copy_from_slice(text.as_bytes()), limits)?.root()))
    }

    /// A text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Term::Text(text.into())
    }

    /// The string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Term::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub fn items(&self) -> Option<&[Term]> {
        match self {
            Term::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn members(&self) -> Option<&[(String, Term)]> {
        match self {
            Term::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Whether it holds nothing else.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Term::List(_) | Term::Object(_))
    }

    /// The scalar as text; `None` for what holds other values.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Term::Null => Some(String::new()),
            Term::Bool(truth) => Some(truth.to_string()),
            Term::Number(text) | Term::Text(text) => Some(text.clone()),
            Term::List(_) | Term::Object(_) => None,
        }
    }

    /// As JSON, without white space.
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    fn write(&self, json: &mut String) {
        match self {
            Term::Null => json.push_str("null"),
            Term::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
            Term::Number(digits) => json.push_str(digits),
            Term::Text(text) => write_text(text, json),
            Term::List(items) => {
                json.push('[');
                for (place, item) in items.iter().enumerate() {
                    json.push_str(if place > 0 { "," } else { "" });
                    item.write(json);
                }
                json.push(']');
            }
            Term::Object(members) => {
                json.push('{');
                for (place, (key, value)) in members.iter().enumerate() {
                    json.push_str(if place > 0 { "," } else { "" });
                    write_text(key, json);
                    json.push(':');
                    value.write(json);
                }
                json.push('}');
            }
        }
    }
}

/// In ASCII alone: readers differ in what else they take for the end of a line, or of a text.
fn write_text(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            ' '..='~' => json.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| json.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    json.push('"');
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any value, a few levels deep.
    pub fn any_term() -> impl Strategy<Value = Term> {
        let leaf = prop_oneof![
            Just(Term::Null),
            any::<bool>().prop_map(Term::Bool),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?".prop_map(Term::Number),
            "\\PC{0,6}|[\"\\\\\u{0}-\u{1f}\u{2028}😀]{0,4}|(and|or|AND|OR|&|\\||!|\\$or|=|gt|field|amount|title)"
                .prop_map(Term::Text),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let key = "[a-c]|and|or|not|field|operator|value|amount|\\$gt|\\$or|\\PC{0,3}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Term::List),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|members| Term::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn numbers_keep_their_digits_and_texts_their_characters() {
        let read = |text| Term::parse(text, &JsonLimits::default()).map(|term| term.to_json());
        for (text, expected) in [
            (" [ 1.50 , -0, 1e400 ] ", "[1.50,-0,1e400]"),
            (r#"{"\u0061":"\u00e9/\/","b":"x\ny"}"#, r#"{"a":"\u00e9//","b":"x\u000ay"}"#),
            ("\"\u{2028}😀\"", r#""\u2028\ud83d\ude00""#),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "[1,]", "[1] x", "{\"a\":1,\"\\u0061\":2}", "'a'", "/**/1", "NaN"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(term in any_term()) {
            let json = term.to_json();
            prop_assert!(json.is_ascii());
            prop_assert_eq!(Term::parse(&json, &JsonLimits::default()), Ok(term));
        }
    }
}
