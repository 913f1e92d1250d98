//! A JSON object as an ordered list of keys, each with the exact text of its value.
//!
//! Promises that a value comes out byte for byte as it went in: `125000.50` keeps its zero, `\/` its backslash.
//! Never resolves duplicate keys the strict way: the last one wins, as in many an old CRM.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Value};

use super::decimal::Decimal;
use super::error::ApiError;

/// One JSON object, shallow: its values are raw JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    entries: Vec<(String, String)>,
}

impl Record {
    /// Reads exactly one object; anything else, also trailing bytes, is [`ApiError::MalformedJson`], and more than
    /// [`KEYS_MAX`] keys are [`ApiError::TooLarge`].
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut record = Self::default();
        let mut rest = after(text, '{')?;
        if let Ok(end) = after(rest, '}') {
            return record.ended(end);
        }
        loop {
            let (key, tail) = leading::<String>(rest)?;
            let (raw, tail) = leading_raw(after(tail, ':')?)?;
            record.set(&key, raw);
            if record.entries.len() > KEYS_MAX {
                return Err(ApiError::TooLarge);
            }
            match after(tail, ',') {
                Ok(next) => rest = next,
                Err(_) => return record.ended(after(tail, '}')?),
            }
        }
    }

    fn ended(self, rest: &str) -> Result<Self, ApiError> {
        if skip_blanks(rest).is_empty() { Ok(self) } else { Err(ApiError::MalformedJson) }
    }

    /// Sets `key` to the JSON text `raw`, in its old place or at the end.
    pub fn set(&mut self, key: &str, raw: impl Into<String>) {
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, value)) => *value = raw.into(),
            None => self.entries.push((key.to_owned(), raw.into())),
        }
    }

    /// The same record with one more (or another) value; for building records in one expression.
    #[must_use]
    pub fn with(mut self, key: &str, raw: impl Into<String>) -> Self {
        self.set(key, raw);
        self
    }

    /// The record with only the keys that `keep` accepts, in the order they had.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.entries.retain(|(key, _)| keep(key));
        self
    }

    /// Keys and raw values in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, raw)| (key.as_str(), raw.as_str()))
    }

    /// The raw JSON text of `key`.
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.entries().find(|(name, _)| *name == key).map(|(_, raw)| raw)
    }

    /// The decoded string at `key`; `None` if it is anything but a string.
    pub fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.raw(key)?).ok()
    }

    /// The decoded string or the scalar's own text; `None` for null and for an absent key.
    pub fn plain(&self, key: &str) -> Option<String> {
        let raw = self.raw(key).filter(|raw| *raw != NULL)?;
        Some(self.text(key).unwrap_or_else(|| raw.to_owned()))
    }

    /// The unsigned whole number at `key`.
    pub fn integer(&self, key: &str) -> Option<u64> {
        self.raw(key)?.parse().ok()
    }

    /// The number at `key`, if [`Decimal`] can hold it.
    pub fn decimal(&self, key: &str) -> Option<Decimal> {
        Decimal::parse(self.raw(key)?)
    }

    /// Bytes of the object's JSON text, as far as keys and values go.
    pub fn bytes(&self) -> usize {
        self.entries().map(|(key, raw)| key.len() + raw.len()).sum()
    }

    /// The object as compact JSON; values keep their own spelling.
    pub fn to_json(&self) -> String {
        let pairs: Vec<String> = self.entries().map(|(key, raw)| format!("{}:{raw}", quoted(key))).collect();
        format!("{{{}}}", pairs.join(","))
    }
}

/// `text` as a JSON string with its quotation marks.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The objects as one JSON array.
pub fn array(records: &[Record]) -> String {
    let items: Vec<String> = records.iter().map(Record::to_json).collect();
    format!("[{}]", items.join(","))
}

/// What follows `mark`, which must be the next character that is not blank.
fn after(text: &str, mark: char) -> Result<&str, ApiError> {
    skip_blanks(text).strip_prefix(mark).ok_or(ApiError::MalformedJson)
}

fn leading<T: DeserializeOwned>(text: &str) -> Result<(T, &str), ApiError> {
    let mut stream = Deserializer::from_str(text).into_iter::<T>();
    let value = stream.next().and_then(Result::ok).ok_or(ApiError::MalformedJson)?;
    let (_, rest) = text.split_at_checked(stream.byte_offset()).ok_or(ApiError::MalformedJson)?;
    Ok((value, rest))
}

/// The text of the first value, validated without being built, so that depth costs no stack.
fn leading_raw(text: &str) -> Result<(&str, &str), ApiError> {
    let text = skip_blanks(text);
    let (IgnoredAny, rest) = leading::<IgnoredAny>(text)?;
    let raw = text.strip_suffix(rest).ok_or(ApiError::MalformedJson)?;
    Ok((raw, rest))
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

/// JSON's null, which stands for "no value" everywhere in the demo CRM.
pub const NULL: &str = "null";
/// Keys that one object holds at most; keys are found by looking at each in turn.
pub const KEYS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, Record};
    use crate::demo::crm::error::ApiError;
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let written = Record::parse(text).ok().map(|record| record.to_json());
        assert_eq!(written.as_deref(), expected, "`{text}`");
    }

    #[test]
    fn keeps_the_spelling_of_values() {
        check("{}", Some("{}"));
        check(" { } \n", Some("{}"));
        check(r#"{"a": 125000.50 , "b":"\/\u2014"}"#, Some(r#"{"a":125000.50,"b":"\/\u2014"}"#));
        check(r#"{"a":{"x" : [1, 2.0]},"c":-0}"#, Some(r#"{"a":{"x" : [1, 2.0]},"c":-0}"#));
        check(r#"{"\u0061":1,"a":2,"b":3}"#, Some(r#"{"a":2,"b":3}"#));
    }

    #[test]
    fn refuses_all_that_is_not_one_object() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":1}x",
            "{\"a\":nul}",
            "{1:2}",
            "{\"a\":\"\u{1}\"}",
            "{}{}",
            "\u{feff}{}",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let levels = 200_000;
        let text = format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        check(&text, Some(&text));
    }

    #[test]
    fn holds_its_limit_of_keys_and_no_more() {
        let object = |keys: usize| {
            let pairs: Vec<String> = (0..keys).map(|key| format!("\"k{key}\":1")).collect();
            format!("{{{}}}", pairs.join(","))
        };
        assert!(Record::parse(&object(KEYS_MAX)).is_ok());
        assert_eq!(Record::parse(&object(KEYS_MAX + 1)), Err(ApiError::TooLarge));
    }

    #[test]
    fn reads_scalars() {
        let record = Record::parse(r#"{"t":"a\/b","n":7,"d":0.50,"z":null,"o":{}}"#).unwrap();
        assert_eq!(record.text("t").as_deref(), Some("a/b"));
        assert_eq!(record.text("n"), None);
        assert_eq!(record.integer("n"), Some(7));
        assert_eq!(record.integer("d"), None);
        assert_eq!(record.plain("d").as_deref(), Some("0.50"));
        assert_eq!(record.plain("z"), None);
        assert_eq!(record.plain("absent"), None);
        assert!(record.decimal("d").is_some() && record.decimal("t").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn agrees_with_serde_json_on_what_is_an_object(text in r#"[\{\}\[\]",:a1. \\]{0,12}"#) {
            let expected = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok();
            prop_assert_eq!(Record::parse(&text).is_ok(), expected, "`{}`", text);
        }

        #[test]
        fn writing_then_reading_changes_nothing(key in any::<String>(), value in any::<String>(), number in any::<i64>()) {
            let record = Record::default().with(&key, super::quoted(&value)).with("n", number.to_string());
            prop_assert_eq!(Record::parse(&record.to_json()).unwrap(), record);
        }
    }
}
