//! Answers that are tables of text: which column is which key of a record.

use std::collections::BTreeMap;

use crate::config::reader::{Item, Table, Text};

/// How a CSV answer is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvSpec {
    /// What stands in each column, by its name in the header row. Other columns never leave.
    pub columns: BTreeMap<String, Column>,
    /// The separator of cells.
    pub delimiter: u8,
}

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The key of the record.
    pub key: String,
    /// The separator of values, if a cell holds several.
    pub split: Option<String>,
}

/// Reads a route's `csv` table.
pub fn read(table: &Table<'_>) -> Option<CsvSpec> {
    let help = "Say which column is which key, e.g. `columns = { \"Amount\" = \"amount\" }`.";
    let columns = table.table("columns");
    if columns.is_none() {
        table.reading().error(table.span(), "`columns` is missing", help);
    }
    let delimiter = table.text("delimiter");
    table.finish();
    let columns: BTreeMap<String, Column> = columns?
        .entries()
        .into_iter()
        .filter_map(|(name, item)| Some((name.value, read_column(item)?)))
        .collect();
    let mut keys: Vec<&str> = columns.values().map(|column| column.key.as_str()).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair.first() == pair.last()) {
        let key = pair.first().copied().unwrap_or_default();
        table.reading().error(table.span(), format!("two columns are the key `{key}`"), "");
    }
    Some(CsvSpec { columns, delimiter: read_delimiter(table, delimiter.as_ref()) })
}

fn read_column(item: Item<'_>) -> Option<Column> {
    if item.is_text() {
        return Some(Column { key: item.text()?.value, split: None });
    }
    let table = item.table()?;
    let key = table.required("key", "Name the key of the record that stands in the column.");
    let split = table.text("split").map(|text| text.value).filter(|text| !text.is_empty());
    table.finish();
    Some(Column { key: key?.value, split })
}

fn read_delimiter(table: &Table<'_>, text: Option<&Text>) -> u8 {
    match text.map(|text| (text, text.value.as_bytes())) {
        None => b',',
        Some((_, [byte @ (b',' | b';' | b'\t' | b'|')])) => *byte,
        Some((text, _)) => {
            let help = "There are `,`, `;`, `|` and a tab.";
            table.reading().error(text.span.clone(), format!("`{}` is not a delimiter", text.value), help);
            b','
        }
    }
}
