//! A matrix as text, CSV and JSON.
//!
//! Promises: the same matrix gives the same bytes, so that a file of it shows each change as changed lines.

use std::fmt::Write as _;

use serde_json::json;

use super::{Cell, Matrix, Row, TypeTable, name};
use crate::audit::csv;
use crate::workbench::formula::Formula;
use crate::workbench::formula::words::words;

/// For people and for golden files: a line for each column that may do something.
pub fn text(matrix: &Matrix) -> String {
    let mut text = String::new();
    for group in matrix.columns.iter().filter(|group| group.members.len() > 1) {
        let _ = writeln!(text, "{}: {}", name(group), group.members.join(", "));
    }
    for table in &matrix.tables {
        let _ = writeln!(text, "\n{}", table.type_name);
        for row in &table.rows {
            let _ = writeln!(text, "  {}", title(table, row));
            let mut nobody = true;
            for (group, cell) in matrix.columns.iter().zip(&row.cells) {
                if cell.is_no() {
                    continue;
                }
                nobody = false;
                let _ = writeln!(text, "    {}: {}", name(group), cell.told());
            }
            if nobody {
                text.push_str("    nobody\n");
            }
        }
    }
    text
}

/// One row for each cell: column, type, action, names, stages, condition.
pub fn comma_separated(matrix: &Matrix) -> String {
    let mut lines =
        csv::line(&["who", "type", "action", "on", "stages", "allowed"].map(str::to_owned)) + "\r\n";
    for table in &matrix.tables {
        for row in &table.rows {
            for (group, cell) in matrix.columns.iter().zip(&row.cells) {
                for (stages, formula) in &cell.0 {
                    let columns = [
                        name(group),
                        table.type_name.clone(),
                        row.action.to_owned(),
                        row.short_names(table).join(", "),
                        stages.join(", "),
                        words(formula),
                    ];
                    lines.push_str(&csv::line(&columns));
                    lines.push_str("\r\n");
                }
            }
        }
    }
    lines
}

/// For programs.
pub fn json(matrix: &Matrix, bundle: &str, directory: &str) -> String {
    let cell = |cell: &Cell| {
        let parts = cell.0.iter().map(|(stages, formula)| {
            let state = match formula {
                Formula::True => "always",
                Formula::False => "never",
                _ => "sometimes",
            };
            let condition = formula.is_open().then(|| words(formula));
            json!({ "stages": stages, "allowed": state, "condition": condition })
        });
        parts.collect::<Vec<_>>()
    };
    let row = |row: &Row| json!({ "action": row.action, "names": row.names, "cells": row.cells.iter().map(cell).collect::<Vec<_>>() });
    let tables: Vec<_> = matrix
        .tables
        .iter()
        .map(|table| json!({ "type": table.type_name, "rows": table.rows.iter().map(row).collect::<Vec<_>>() }))
        .collect();
    let columns: Vec<_> =
        matrix.columns.iter().map(|group| json!({ "name": name(group), "members": group.members })).collect();
    json!({ "bundle": bundle, "directory": directory, "columns": columns, "tables": tables }).to_string()
}

/// What a row is about.
pub fn title(table: &TypeTable, row: &Row) -> String {
    let names = row.short_names(table);
    match (row.action, names.is_empty()) {
        (action, true) => action.to_owned(),
        ("moveStage", false) => format!("moveStage to {}", names.join(", ")),
        (action, false) => format!("{action} {}", names.join(", ")),
    }
}

impl Row {
    /// Fields without their type's name.
    pub fn short_names(&self, table: &TypeTable) -> Vec<&str> {
        let prefix = format!("{}.", table.type_name);
        self.names.iter().map(|name| name.strip_prefix(prefix.as_str()).unwrap_or(name)).collect()
    }
}

impl Cell {
    /// Whether nothing is allowed.
    pub fn is_no(&self) -> bool {
        self.0.iter().all(|(_, formula)| *formula == Formula::False)
    }

    /// Whether all is allowed, whatever the record.
    pub fn is_yes(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, formula)| *formula == Formula::True)
    }

    /// The conditions, with the stages that they are of.
    pub fn told(&self) -> String {
        let part = |(stages, formula): &(Vec<String>, Formula)| match stages.is_empty() {
            true => words(formula),
            false => format!("[{}] {}", stages.join(", "), words(formula)),
        };
        let parts = self.0.iter().filter(|(_, formula)| *formula != Formula::False);
        parts.map(part).collect::<Vec<_>>().join(" | ")
    }
}
