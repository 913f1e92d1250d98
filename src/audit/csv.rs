//! Lines of tables (RFC 4180) that a spreadsheet can open without running anything in them.
//!
//! Promises: every cell is quoted, and one that a spreadsheet would take for a formula begins with an apostrophe.

/// A line, without its end.
pub fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    cells.join(",")
}

/// A quoted cell.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// What makes spreadsheets take a cell for a formula, in either width.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(cell(text), expected);
        }
        check("42", "\"42\"");
        check("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\"");
        check("+1", "\"'+1\"");
        check("-1", "\"'-1\"");
        check("@a", "\"'@a\"");
        check("\t=1", "\"'\t=1\"");
        check("＝1", "\"'＝1\"");
        check("a=1", "\"a=1\"");
        check("", "\"\"");
    }

    #[test]
    fn a_line_has_a_cell_for_each_column() {
        assert_eq!(line(&["a,b".to_owned(), "c".to_owned()]), "\"a,b\",\"c\"");
    }
}
