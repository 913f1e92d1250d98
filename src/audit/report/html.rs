//! A report as one page that can be handed on, printed and read without a network.
//!
//! Promises: no script, nothing that is fetched from elsewhere, and the page itself forbids both; every text is escaped, and what would
//! not be seen in it is spelled out.

use std::fmt::Write as _;

use super::Report;
use super::table::{Table, visible};
use super::write::{size, tables};

/// The page, without a line feed at the end.
pub fn page(report: &Report) -> String {
    let mut page = String::from(HEAD);
    for table in tables(report) {
        section(&mut page, table);
    }
    page.push_str("</main>\n</body>\n</html>");
    page
}

fn section(page: &mut String, table: &Table) {
    // Writing into a string does not fail.
    let _ = write!(
        page,
        "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n<table>\n<thead><tr>",
        escaped(table.id),
        escaped(table.title),
        escaped(&table.about)
    );
    for column in table.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    let _ = write!(page, "</tbody>\n</table>\n<p class=\"size\">{}</p>\n</section>\n", escaped(&size(table)));
}

/// A text that is no markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The head of the page: what it may do, and how it looks on a screen and on paper.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Access review</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 2em; color: #111; background: #fff; }
h2 { margin: 2em 0 0.3em; }
p { max-width: 60em; margin: 0.3em 0 0.6em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #bbb; padding: 0.2em 0.5em; text-align: left; vertical-align: top; overflow-wrap: anywhere; white-space: pre-wrap; }
th { background: #eee; }
.size { color: #555; }
@media print {
  body { margin: 0; font-size: 9pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  section { break-before: page; }
  section:first-of-type { break-before: auto; }
}
</style>
</head>
<body>
<main>
<h1>Access review</h1>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(escaped(text), expected);
        }
        check("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
        check("\" onload='x' & y", "&quot; onload=&#39;x&#39; &amp; y");
        check("&lt;", "&amp;lt;");
        check("a\u{202e}b\u{0}", "a\\u{202e}b\\u{0}");
    }

    /// Whatever stands in whichever cell, the page's own markup is all there is.
    #[test]
    fn hostile_cells_change_no_page() {
        let hostile = "</td></table><img src=http://x onerror='x'><script>\"</style>]]>-->";
        let with = |cell: &str| {
            let mut table = Table::new("people", "People", cell, &["principal", "reason"]);
            table.push([cell.to_owned(), cell.to_owned()]);
            let report = Report { covers: table.clone(), sections: vec![table.clone()], limits: table };
            page(&report)
        };
        let marks = |page: &str| page.matches(['<', '>', '"', '\'']).count();
        let (plain, attacked) = (with("x"), with(hostile));
        assert_eq!(marks(&plain), marks(&attacked));
        for needle in ["<script", "<img", "http://x ", "src=", "href", "@import", "url("] {
            let is_there = plain.contains(needle) || (attacked.contains(needle) && needle.starts_with('<'));
            assert!(!is_there, "{needle}");
        }
    }
}
