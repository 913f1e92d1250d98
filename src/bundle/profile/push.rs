//! Push-down: how a route's CRM can be told which rows to leave out. Plain data.

use std::collections::BTreeMap;

use crate::config::reader::{Item, Table, Text};

/// How what `view` leaves becomes a filter of the CRM's.
#[derive(Clone, Debug)]
pub struct PushDown {
    /// The rule of the filter that it is added to.
    pub into: Text,
    /// The attributes that can be filtered by, with what the filter calls them.
    pub attributes: BTreeMap<String, PushedAttribute>,
    /// The operator for one value.
    pub equal: Option<String>,
    /// The operator for one of several values.
    pub one_of: Option<String>,
    /// The operator that compares with `null` where there is no value.
    pub absent: Option<String>,
    /// Whether the filter leaves exactly the rows that it says.
    pub exactness: Exactness,
    /// Where it stands.
    pub span: std::ops::Range<usize>,
}

/// What a filter calls an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedAttribute {
    /// Its name there.
    pub name: String,
    /// How its values are written.
    pub written: Written,
    /// Where it stands.
    pub span: std::ops::Range<usize>,
}

/// How a value is written in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// As a string.
    Text,
    /// As a number.
    Number,
}

/// What an author promises of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// It leaves no row that it should leave out, and leaves out no other.
    Exact,
    /// Rows may be left that are hidden here.
    Rough,
}

/// Reads a route's `push_down`.
pub fn read(table: &Table<'_>) -> Option<PushDown> {
    let into = table.required("into", "Name the parameter, or the place of the body, that takes a filter.");
    let word = |key: &str| table.text(key).map(|text| text.value);
    let (equal, one_of, absent) = (word("equal"), word("in"), word("absent"));
    let exactness = match table.boolean("exact") {
        Some(true) => Exactness::Exact,
        Some(false) | None => Exactness::Rough,
    };
    let attributes = table.table("attributes");
    if attributes.is_none() {
        let help = "Say which attributes can be filtered by: `attributes = { owner = \"owner_id\" }`.";
        table.reading().error(table.span(), "`attributes` is missing", help);
    }
    let attributes = attributes?.entries().into_iter().filter_map(read_attribute).collect();
    table.finish();
    Some(PushDown { into: into?, attributes, equal, one_of, absent, exactness, span: table.span() })
}

fn read_attribute((name, item): (Text, Item<'_>)) -> Option<(String, PushedAttribute)> {
    if item.is_text() {
        let at = item.text()?.value;
        return Some((name.value, PushedAttribute { name: at, written: Written::Text, span: name.span }));
    }
    let table = item.table()?;
    let at = table.required("at", "Say what the filter calls it.");
    let written = match table.text("as") {
        None => Some(Written::Text),
        Some(text) => match text.value.as_str() {
            "text" => Some(Written::Text),
            "number" => Some(Written::Number),
            other => {
                let help = "There are text and number.";
                table.reading().error(text.span, format!("`{other}` is no way to write a value"), help);
                None
            }
        },
    };
    table.finish();
    Some((name.value, PushedAttribute { name: at?.value, written: written?, span: name.span }))
}
