//! Tables of text (RFC 4180): read as a list of records that is judged like any other, and written anew from what was
//! released (PEP).
//!
//! Promises: a column that the profile does not name never leaves; a row that is not as long as the header makes the answer
//! unreadable; a byte order mark and the line ends stay. A column in which nothing may be seen leaves with its name.

use bytes::Bytes;
use csv_core::{ReadRecordResult, ReaderBuilder};

use crate::bundle::profile::csv::{Column, CsvSpec};
use crate::json::parse::JsonLimits;
use crate::json::token::quoted;
use crate::json::value::{Document, Kind, Value};

/// How a table was written, so that it can be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    columns: Vec<(String, Column)>,
    delimiter: u8,
    has_byte_order_mark: bool,
    line_end: &'static str,
}

/// Reads a table as a list of objects: texts, `null` for empty cells, lists where a cell holds several values.
pub fn read(bytes: &[u8], spec: &CsvSpec, limits: &JsonLimits) -> Option<(Document, Layout)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, has_byte_order_mark) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut rows = rows(text, spec.delimiter)?.into_iter();
    let header = rows.next()?;
    let columns: Vec<Option<(String, Column)>> = header
        .iter()
        .map(|name| spec.columns.get(name).map(|column| (name.clone(), column.clone())))
        .collect();
    let known: Vec<&(String, Column)> = columns.iter().flatten().collect();
    let is_repeated = known
        .iter()
        .enumerate()
        .any(|(at, (name, _))| known.iter().skip(at + 1).any(|(other, _)| other == name));
    if is_repeated {
        return None;
    }
    let mut objects = Vec::new();
    for row in rows {
        if row.len() != columns.len() {
            return None;
        }
        let members = columns.iter().zip(&row).filter_map(|(column, cell)| {
            let (_, column) = column.as_ref()?;
            Some(format!("{}:{}", quoted(&column.key), value_of(cell, column)))
        });
        objects.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
    }
    // The table itself was within the limit; the keys that each row gets here are the profile's.
    let limits = JsonLimits { bytes_max: limits.bytes_max.saturating_mul(QUOTED_GROWTH_MAX), ..*limits };
    let document = Document::parse(Bytes::from(format!("[{}]", objects.join(","))), &limits).ok()?;
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let columns = columns.into_iter().flatten().collect();
    Some((document, Layout { columns, delimiter: spec.delimiter, has_byte_order_mark, line_end }))
}

/// Every row of a table, the header included.
fn rows(text: &str, delimiter: u8) -> Option<Vec<Vec<String>>> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let mut input = text.as_bytes();
    // No row is longer than its source, and none has more cells.
    let mut cells = vec![0; input.len() + 1];
    let mut ends = vec![0; input.len() + 2];
    let (mut rows, mut filled, mut ended) = (Vec::new(), 0, 0);
    loop {
        let (result, read, wrote, found) =
            reader.read_record(input, cells.get_mut(filled..)?, ends.get_mut(ended..)?);
        input = input.get(read..)?;
        (filled, ended) = (filled + wrote, ended + found);
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return None,
            ReadRecordResult::End => return Some(rows),
            ReadRecordResult::Record => {
                let mut start = 0;
                let mut row = Vec::new();
                for end in ends.get(..ended)? {
                    row.push(String::from_utf8(cells.get(start..*end)?.to_vec()).ok()?);
                    start = *end;
                }
                rows.push(row);
                (filled, ended) = (0, 0);
            }
        }
    }
}

fn value_of(cell: &str, column: &Column) -> String {
    match &column.split {
        Some(_) if cell.is_empty() => "[]".to_owned(),
        Some(split) => format!("[{}]", cell.split(split.as_str()).map(quoted).collect::<Vec<_>>().join(",")),
        None if cell.is_empty() => "null".to_owned(),
        None => quoted(cell),
    }
}

/// Writes released records as the table that they came from; `None` if they are no list of objects.
pub fn write(released: Vec<u8>, layout: &Layout) -> Option<Vec<u8>> {
    let bytes_max = released.len();
    let limits = JsonLimits { bytes_max, depth_max: TABLE_DEPTH_MAX, nodes_max: bytes_max };
    let document = Document::parse(Bytes::from(released), &limits).ok()?;
    if document.root().kind() != Kind::Array {
        return None;
    }
    let shown = |key: &str| document.root().items().any(|record| record.member(key).is_some());
    let columns: Vec<&(String, Column)> =
        layout.columns.iter().filter(|(_, column)| shown(&column.key)).collect();
    let mut out = String::new();
    if layout.has_byte_order_mark {
        out.push(BYTE_ORDER_MARK);
    }
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    write_row(&mut out, &names, layout);
    for record in document.root().items() {
        let cell = |(_, column): &&(String, Column)| {
            record.member(&column.key).map(|value| cell_of(value, column)).unwrap_or_default()
        };
        write_row(&mut out, &columns.iter().map(cell).collect::<Vec<_>>(), layout);
    }
    Some(out.into_bytes())
}

fn cell_of(value: Value<'_>, column: &Column) -> String {
    match (value.kind(), &column.split) {
        (Kind::Null, _) => String::new(),
        (Kind::Array, Some(split)) => {
            let values: Vec<String> = value.items().map(|item| cell_of(item, column)).collect();
            values.join(split)
        }
        _ => value.text().map_or_else(|| value.raw().to_owned(), |text| text.into_owned()),
    }
}

fn write_row(out: &mut String, cells: &[String], layout: &Layout) {
    let delimiter = char::from(layout.delimiter);
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        // A lone empty cell would be an empty line, which readers skip.
        let is_lone = cells.len() == 1 && cell.is_empty();
        match is_lone || cell.contains([delimiter, '"', '\r', '\n']) {
            true => out.push_str(&format!("\"{}\"", cell.replace('"', "\"\""))),
            false => out.push_str(cell),
        }
    }
    out.push_str(layout.line_end);
}

const BYTE_ORDER_MARK: char = '\u{feff}';
/// A list of objects with lists of texts.
const TABLE_DEPTH_MAX: usize = 16;
/// By how much a table grows as JSON: each cell gets its key.
const QUOTED_GROWTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const LIMITS: JsonLimits = JsonLimits { bytes_max: 1000, depth_max: 8, nodes_max: 100 };

    fn spec() -> CsvSpec {
        let column =
            |key: &str, split: Option<&str>| Column { key: key.to_owned(), split: split.map(str::to_owned) };
        let columns = BTreeMap::from([
            ("ID".to_owned(), column("id", None)),
            ("Name".to_owned(), column("name", None)),
            ("Who".to_owned(), column("who", Some("; "))),
        ]);
        CsvSpec { columns, delimiter: b',' }
    }

    #[track_caller]
    fn check(table: &str, expected: Option<(&str, &str)>) {
        let found = read(table.as_bytes(), &spec(), &LIMITS);
        let found = found.map(|(document, layout)| {
            let json = document.root().raw().to_owned();
            (String::from_utf8(write(json.clone().into_bytes(), &layout).unwrap()).unwrap(), json)
        });
        let found = found.as_ref().map(|(table, json)| (json.as_str(), table.as_str()));
        assert_eq!(found, expected, "{table:?}");
    }

    #[test]
    fn tables_become_records_and_tables_again() {
        check(
            "\u{feff}ID,Secret,Name,Who\r\n7,x,\"a, \"\"b\"\"\",u1; u2\r\n8,y,,\r\n",
            Some((
                r#"[{"id":"7","name":"a, \"b\"","who":["u1","u2"]},{"id":"8","name":null,"who":[]}]"#,
                "\u{feff}ID,Name,Who\r\n7,\"a, \"\"b\"\"\",u1; u2\r\n8,,\r\n",
            )),
        );
        check("Name,ID\nx,7", Some((r#"[{"name":"x","id":"7"}]"#, "Name,ID\nx,7\n")));
        check(
            "ID,Name\n7,\"two\nlines\"\n",
            Some((r#"[{"id":"7","name":"two\nlines"}]"#, "ID,Name\n7,\"two\nlines\"\n")),
        );
        check("ID,Name\n", Some(("[]", "\n")));
    }

    #[test]
    fn what_is_not_a_table_is_not_read() {
        for broken in ["", "ID,Name\n7\n", "ID,Name\n7,x,y\n", "ID,ID\n7,8\n"] {
            check(broken, None);
        }
        assert!(read(b"ID\n\xff\n", &spec(), &LIMITS).is_none());
        let wide = format!("ID\n{}", "1\n".repeat(60));
        assert!(read(wide.as_bytes(), &spec(), &LIMITS).is_none(), "more values than the limit");
    }

    #[test]
    fn a_column_leaves_only_if_some_row_shows_it() {
        let (_, layout) = read(b"ID,Name,Who\n7,x,u1\n8,y,u2\n", &spec(), &LIMITS).unwrap();
        let write =
            |json: &str| String::from_utf8(write(json.as_bytes().to_vec(), &layout).unwrap()).unwrap();
        assert_eq!(write(r#"[{"id":"7"},{"id":"8","name":"y"}]"#), "ID,Name\n7,\n8,y\n");
        assert_eq!(write(r#"[{"id":"7"},{"id":"8"}]"#), "ID\n7\n8\n");
        assert_eq!(write("[]"), "\n");
    }
}
