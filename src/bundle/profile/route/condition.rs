//! Conditions by which two routes of one template are told apart: on a query parameter, a header or a place of the body.

use crate::bundle::profile::shape::json_path;
use crate::bundle::profile::types::KeyPattern;
use crate::config::reader::{Item, Table, Text};
use crate::json::path::JsonPath;

/// One condition of a route.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is looked at.
    pub at: Place,
    /// What must be there.
    pub test: Test,
}

/// What a condition looks at.
#[derive(Clone, Debug)]
pub enum Place {
    /// A query parameter.
    Query(String),
    /// A header, lower-case.
    Header(String),
    /// A place in the body.
    Body(JsonPath),
}

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Something.
    Present,
    /// Nothing.
    Absent,
    /// One value, and it is one of these.
    Is(Vec<String>),
    /// One value, and it fits this pattern.
    Matches(KeyPattern),
}

impl Test {
    /// Whether values pass.
    pub fn accepts(&self, values: &[String]) -> bool {
        match (self, values) {
            (Test::Present, values) => !values.is_empty(),
            (Test::Absent, values) => values.is_empty(),
            (Test::Is(wanted), [value]) => wanted.contains(value),
            (Test::Matches(pattern), [value]) => pattern.matches(value),
            (Test::Is(_) | Test::Matches(_), _) => false,
        }
    }

    /// Whether no values can pass both.
    fn excludes(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Absent, Test::Absent) => false,
            (Test::Absent, _) | (_, Test::Absent) => true,
            (Test::Is(mine), Test::Is(theirs)) => !mine.iter().any(|value| theirs.contains(value)),
            (Test::Is(values), Test::Matches(pattern)) | (Test::Matches(pattern), Test::Is(values)) => {
                !values.iter().any(|value| pattern.matches(value))
            }
            (Test::Matches(mine), Test::Matches(theirs)) => !mine.overlaps(theirs),
            (Test::Present, _) | (_, Test::Present) => false,
        }
    }
}

impl Condition {
    /// Whether no request can fulfil both.
    pub fn excludes(&self, other: &Condition) -> bool {
        let same = match (&self.at, &other.at) {
            (Place::Query(mine), Place::Query(theirs)) | (Place::Header(mine), Place::Header(theirs)) => {
                mine == theirs
            }
            (Place::Body(mine), Place::Body(theirs)) => mine.to_string() == theirs.to_string(),
            _ => false,
        };
        same && self.test.excludes(&other.test)
    }

    /// The header that it looks at, if it looks at one.
    pub fn header(&self) -> Option<&str> {
        match &self.at {
            Place::Header(name) => Some(name),
            Place::Query(_) | Place::Body(_) => None,
        }
    }

    /// Whether it looks into the body.
    pub fn is_on_body(&self) -> bool {
        matches!(self.at, Place::Body(_))
    }
}

/// Reads a route's `when`.
pub fn read(table: &Table<'_>) -> Vec<Condition> {
    match table.item("when") {
        Some(item) if item.is_list() => item.list().into_iter().filter_map(read_one).collect(),
        Some(item) => read_one(item).into_iter().collect(),
        None => Vec::new(),
    }
}

fn read_one(item: Item<'_>) -> Option<Condition> {
    let table = item.table()?;
    let places = [table.text("query"), table.text("header"), table.text("body")];
    let (is, matches) = (table.texts("is"), table.text("matches"));
    let (present, absent) = (table.boolean("present"), table.boolean("absent"));
    table.finish();
    let at = match places {
        [Some(name), None, None] => Some(Place::Query(name.value)),
        [None, Some(name), None] => Some(Place::Header(name.value.to_ascii_lowercase())),
        [None, None, Some(path)] => Some(Place::Body(json_path(&table, &path)?)),
        _ => None,
    };
    let test = match (present, absent, is, matches) {
        (Some(true), None, None, None) => Some(Test::Present),
        (None, Some(true), None, None) => Some(Test::Absent),
        (None, None, Some(values), None) => {
            Some(Test::Is(values.into_iter().map(|text: Text| text.value).collect()))
        }
        (None, None, None, Some(pattern)) => KeyPattern::parse(&pattern.value).map(Test::Matches),
        _ => None,
    };
    if at.is_none() || test.is_none() {
        let help = "Name one place (`query`, `header` or `body`) and one test: `is`, `matches` (with `*` at one end), `present = true` or `absent = true`.";
        table.reading().error(table.span(), "this is no condition", help);
    }
    Some(Condition { at: at?, test: test? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_exclude_each_other_never_both_accept() {
        let is = |values: &[&str]| Test::Is(values.iter().map(|value| (*value).to_owned()).collect());
        let matches = |pattern: &str| Test::Matches(KeyPattern::parse(pattern).unwrap());
        let tests = [
            Test::Present,
            Test::Absent,
            is(&["csv"]),
            is(&["json", "xml"]),
            is(&["csv", "json"]),
            matches("c*"),
            matches("*ml"),
            matches("x*"),
        ];
        let values: Vec<Vec<String>> = [&[][..], &["csv"], &["json"], &["xml"], &["cml"], &["csv", "json"]]
            .iter()
            .map(|values| values.iter().map(|value| (*value).to_owned()).collect())
            .collect();
        for mine in &tests {
            for theirs in &tests {
                let both = values.iter().any(|values| mine.accepts(values) && theirs.accepts(values));
                assert!(!(mine.excludes(theirs) && both), "{mine:?} and {theirs:?}");
                assert_eq!(mine.excludes(theirs), theirs.excludes(mine));
            }
        }
        assert!(is(&["csv"]).excludes(&is(&["json"])) && is(&["csv"]).excludes(&Test::Absent));
        assert!(Test::Present.excludes(&Test::Absent) && matches("c*").excludes(&is(&["json"])));
        assert!(!is(&["csv"]).accepts(&["csv".to_owned(), "json".to_owned()]), "one value or none");
    }
}
