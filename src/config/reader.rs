//! Reads TOML tables key by key, so that every problem of a file is found in one run and each has its span.
//!
//! A table that is read must be finished: keys that nobody asked for are errors with the nearest known key. Nothing is
//! defaulted here; absent is `None`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::json::token::quoted;

/// Text with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The string's value.
    pub value: String,
    /// Where it stands in its file.
    pub span: Range<usize>,
}

/// Where problems of one file go.
pub struct Reading {
    /// The file that is read.
    pub source: Arc<SourceFile>,
    problems: RefCell<Problems>,
}

impl Reading {
    /// Starts to read a file.
    pub fn new(source: Arc<SourceFile>) -> Self {
        Self { source, problems: RefCell::default() }
    }

    /// Notes an error at a place of this file.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let help = help.into();
        let problem = AuthorProblem::error(message).at(&self.source, span);
        let problem = if help.is_empty() { problem } else { problem.help(help) };
        self.problems.borrow_mut().push(problem);
    }

    /// Notes a warning at a place of this file.
    pub fn warning(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let problem = AuthorProblem::warning(message).at(&self.source, span).help(help);
        self.problems.borrow_mut().push(problem);
    }

    /// Ends the reading and hands out what was found.
    pub fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    /// Parses the whole file; a syntax error is noted and yields `None`.
    pub fn parse<'a>(&'a self, text: &'a str) -> Option<Spanned<DeTable<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.error(span, format!("not valid TOML: {}", error.message().trim_end_matches('\n')), "");
        }
        errors.is_empty().then_some(table)
    }

    /// A reader over a parsed table.
    pub fn table<'a>(&'a self, table: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { reading: self, table: table.get_ref(), span: table.span(), asked: RefCell::default() }
    }
}

/// One table of the file.
pub struct Table<'a> {
    reading: &'a Reading,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    asked: RefCell<BTreeSet<String>>,
}

/// One value of the file, of any type.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    reading: &'a Reading,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// Where the table stands.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The file's reading, to note further errors.
    pub fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// The value of a key, whatever its type.
    pub fn item(&self, key: &str) -> Option<Item<'a>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.table.get(key).map(|value| Item { reading: self.reading, value })
    }

    /// A string.
    pub fn text(&self, key: &str) -> Option<Text> {
        self.item(key)?.text()
    }

    /// A string that must be there.
    pub fn required(&self, key: &str, help: &str) -> Option<Text> {
        if self.item(key).is_none() {
            self.reading.error(self.span(), format!("`{key}` is missing"), help);
        }
        self.text(key)
    }

    /// A truth value.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.item(key)?.boolean()
    }

    /// A whole number within a range.
    pub fn integer(&self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.item(key)?.integer(range)
    }

    /// A string or a list of strings.
    pub fn texts(&self, key: &str) -> Option<Vec<Text>> {
        self.item(key)?.texts()
    }

    /// A table.
    pub fn table(&self, key: &str) -> Option<Table<'a>> {
        self.item(key)?.table()
    }

    /// A list of tables (`[[key]]`), empty if absent.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        self.item(key)
            .map(|item| item.list())
            .unwrap_or_default()
            .into_iter()
            .filter_map(Item::table)
            .collect()
    }

    /// Every key with its value, for tables whose keys are names that the author chose.
    pub fn entries(&self) -> Vec<(Text, Item<'a>)> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let key: &Spanned<std::borrow::Cow<'a, str>> = key;
            self.asked.borrow_mut().insert(key.get_ref().to_string());
            let text = Text { value: key.get_ref().to_string(), span: key.span() };
            (text, Item { reading: self.reading, value })
        };
        let mut entries: Vec<_> = self.table.iter().map(entry).collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// Ends the reading of this table: keys that were never asked for are errors.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if asked.contains(name) {
                continue;
            }
            let known = || asked.iter().map(String::as_str);
            let help = match nearest(name, known()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known here: {}.", known().collect::<Vec<_>>().join(", ")),
            };
            self.reading.error(key.span(), format!("`{name}` is not a known key"), help);
        }
    }
}

impl<'a> Item<'a> {
    /// Where the value stands.
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The file's reading, to note further errors.
    pub fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// Whether the value is a string.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// The value as a string.
    pub fn text(self) -> Option<Text> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(Text { value: text.to_string(), span: self.span() }),
            _ => self.wrong("a string"),
        }
    }

    /// The value as a truth value.
    pub fn boolean(self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong("`true` or `false`"),
        }
    }

    /// The value as a whole number within a range.
    pub fn integer(self, range: RangeInclusive<u64>) -> Option<u64> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.wrong("a whole number");
        };
        let parsed = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let inside = parsed.filter(|value| range.contains(value));
        if inside.is_none() {
            let message = format!("`{}` is outside of {} to {}", integer, range.start(), range.end());
            self.reading.error(self.span(), message, "");
        }
        inside
    }

    /// The value as a list.
    pub fn list(self) -> Vec<Item<'a>> {
        match self.value.get_ref() {
            DeValue::Array(values) => {
                values.iter().map(|value| Item { reading: self.reading, value }).collect()
            }
            _ => self.wrong::<()>("a list").map(|()| Vec::new()).unwrap_or_default(),
        }
    }

    /// The value as one string or a list of strings.
    pub fn texts(self) -> Option<Vec<Text>> {
        if self.is_text() {
            return self.text().map(|text| vec![text]);
        }
        if !self.is_list() {
            return self.wrong("a string or a list of strings");
        }
        self.list().into_iter().map(Item::text).collect()
    }

    /// The value as a table.
    pub fn table(self) -> Option<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => {
                Some(Table { reading: self.reading, table, span: self.span(), asked: RefCell::default() })
            }
            _ => self.wrong("a table"),
        }
    }

    /// The value as the text it would have in JSON: strings, whole numbers and truth values only.
    pub fn scalar_json(self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(quoted(text)),
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.as_str().to_owned()),
            DeValue::Boolean(value) => Some(value.to_string()),
            _ => self.wrong("a string, whole number or truth value"),
        }
    }

    /// The value as JSON: all but fractions, which have no exact form, and dates.
    pub fn json(self) -> Option<serde_json::Value> {
        match self.value.get_ref() {
            DeValue::Array(_) => {
                let items = self.list().into_iter().map(Item::json);
                items.collect::<Option<_>>().map(serde_json::Value::Array)
            }
            DeValue::Table(_) => {
                let entries = self.table()?.entries().into_iter();
                let members = entries.map(|(key, item)| Some((key.value, item.json()?)));
                Some(serde_json::Value::Object(members.collect::<Option<_>>()?))
            }
            _ => serde_json::from_str(&self.scalar_json()?).ok(),
        }
    }

    fn wrong<T>(self, expected: &str) -> Option<T> {
        let found = self.value.get_ref().type_str();
        self.reading.error(self.span(), format!("expected {expected}, found {found}"), "");
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, read: impl Fn(&Table<'_>), expected: &[&str]) {
        let reading = Reading::new(SourceFile::new("t.toml", text));
        if let Some(table) = reading.parse(text) {
            let table = reading.table(&table);
            read(&table);
            table.finish();
        }
        let problems = reading.into_problems();
        let found: Vec<String> =
            problems.iter().map(|p| format!("{} {p}", p.place().unwrap_or_default())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_problem_of_a_file_is_found() {
        let read = |table: &Table<'_>| {
            table.text("name");
            table.integer("timeout_ms", 1..=10);
            table.boolean("on");
            table.required("address", "");
        };
        check(
            "name = 1\ntimeout_ms = 11\non = true\nadress = 'x'\n",
            read,
            &[
                "t.toml:1 expected a string, found integer",
                "t.toml:2 `11` is outside of 1 to 10",
                "t.toml:1 `address` is missing",
                "t.toml:4 `adress` is not a known key",
            ],
        );
    }

    #[test]
    fn broken_toml_is_one_problem_with_a_place() {
        check(
            "name = \n",
            |_| {},
            &["t.toml:1 not valid TOML: string values must be quoted, expected literal string"],
        );
    }

    #[test]
    fn one_string_is_a_list_of_one() {
        let text = "a = 'x'\nb = ['y', 'z']\n";
        let reading = Reading::new(SourceFile::new("t.toml", text));
        let parsed = reading.parse(text).unwrap();
        let table = reading.table(&parsed);
        let values = |key| table.texts(key).unwrap().into_iter().map(|t| t.value).collect::<Vec<_>>();
        assert_eq!(values("a"), ["x"]);
        assert_eq!(values("b"), ["y", "z"]);
    }
}
