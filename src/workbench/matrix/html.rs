//! A matrix as one page that a manager can read and sign: a table for each type, a column for each role or group of people.
//!
//! Promises: no script, nothing that is fetched, every text escaped, as the pages of reports.

use std::fmt::Write as _;

use super::write::title;
use super::{Cell, Matrix, TypeTable, name};
use crate::audit::report::html::{END, begin, escaped};

/// The page.
pub fn page(matrix: &Matrix, bundle: &str, directory: &str) -> String {
    let mut page = begin("Who may do what");
    // Writing into a string does not fail.
    let _ = writeln!(
        page,
        "<p>Bundle <code>{}</code>, directory <code>{}</code>. \u{201c}yes\u{201d}: whatever the record. A condition: only where it holds. \
         Brackets name the stages that a condition is of. Nothing: no.</p>",
        escaped(bundle),
        escaped(directory)
    );
    for group in matrix.columns.iter().filter(|group| group.members.len() > 1) {
        let members = escaped(&group.members.join(", "));
        let _ = writeln!(page, "<p>{}: {members}</p>", escaped(&name(group)));
    }
    for table in &matrix.tables {
        section(&mut page, matrix, table);
    }
    page.push_str(
        "<section>\n<h2>Signature</h2>\n<table><tbody><tr><td>Reviewed by</td><td>&nbsp;</td></tr>",
    );
    page.push_str("<tr><td>Date</td><td>&nbsp;</td></tr><tr><td>Findings</td><td>&nbsp;</td></tr></tbody></table>\n</section>\n");
    page.push_str(END);
    page
}

fn section(page: &mut String, matrix: &Matrix, table: &TypeTable) {
    let type_name = escaped(&table.type_name);
    let _ = write!(page, "<section>\n<h2>{type_name}</h2>\n<table>\n<thead><tr><th scope=\"col\"></th>");
    for group in &matrix.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(&name(group)));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escaped(&title(table, row)));
        row.cells.iter().for_each(|cell| tell(page, cell));
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn tell(page: &mut String, cell: &Cell) {
    let _ = match (cell.is_yes(), cell.is_no()) {
        (true, _) => write!(page, "<td class=\"yes\">yes</td>"),
        (_, true) => write!(page, "<td class=\"no\"></td>"),
        (false, false) => write!(page, "<td>{}</td>", escaped(&cell.told())),
    };
}
