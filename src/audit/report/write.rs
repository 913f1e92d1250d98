//! A report as text, as JSON and as one table for spreadsheets.

use serde_json::{Map, Value, json};

use super::table::{Table, visible};
use super::{Report, html};
use crate::audit::csv;

/// All tables of a report, in order.
pub fn tables(report: &Report) -> impl Iterator<Item = &Table> {
    std::iter::once(&report.covers).chain(&report.sections).chain([&report.limits])
}

/// As text, without a line feed at the end.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n", visible(&report.title));
    for table in tables(report) {
        text.push_str(&format!("\n{}\n{}\n", table.title, "-".repeat(table.title.chars().count())));
        text.push_str(&format!("{}\n", table.about));
        if !table.rows.is_empty() {
            text.push_str(&format!("{}\n", table.columns.join(" | ")));
        }
        for row in &table.rows {
            let cells: Vec<String> = row.iter().map(|cell| visible(cell)).collect();
            text.push_str(&format!("{}\n", cells.join(" | ")));
        }
        text.push_str(&format!("{}\n", size(table)));
    }
    text.trim_end().to_owned()
}

/// Whether a file begins as a report does, in any of its forms.
pub fn is_form(bytes: &[u8]) -> bool {
    const BEGINNINGS: [&str; 4] =
        ["Access review", html::BEGINNING, "\"section\",\"", "{\"report\":\"access review\""];
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning.as_bytes()))
}

/// How many rows there are, and what is missing.
pub fn size(table: &Table) -> String {
    match (table.rows.len(), table.left_out) {
        (0, 0) => "nothing".to_owned(),
        (rows, 0) => format!("rows: {rows}"),
        (rows, left_out) => format!("rows: {rows}; left out because there are too many: {left_out}"),
    }
}

/// As one object; each row has its columns as members.
pub fn json(report: &Report) -> Value {
    let row = |table: &Table, row: &Vec<String>| -> Value {
        let members = table.columns.iter().zip(row);
        Value::Object(members.map(|(column, cell)| ((*column).to_owned(), json!(cell))).collect())
    };
    let section = |table: &Table| -> Value {
        let rows: Vec<Value> = table.rows.iter().map(|cells| row(table, cells)).collect();
        json!({"title": table.title, "about": table.about, "left_out": table.left_out, "rows": rows})
    };
    let sections: Map<String, Value> =
        tables(report).map(|table| (table.id.to_owned(), section(table))).collect();
    json!({"report": "access review", "version": 1, "sections": sections})
}

/// As one table: the section of each row, and every column that some section has. Without the end of the last line.
pub fn table(report: &Report) -> String {
    let mut columns: Vec<&str> = vec!["section"];
    for column in tables(report).flat_map(|table| table.columns) {
        if !columns.contains(column) {
            columns.push(column);
        }
    }
    let head: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let mut lines = vec![csv::line(&head)];
    for table in tables(report) {
        for row in &table.rows {
            let cell = |column: &&str| match *column {
                "section" => table.id.to_owned(),
                column => {
                    let at = table.columns.iter().position(|own| *own == column);
                    at.and_then(|at| row.get(at)).cloned().unwrap_or_default()
                }
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            lines.push(csv::line(&cells));
        }
    }
    lines.join("\r\n") + "\r"
}
