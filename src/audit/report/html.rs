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
    let mut page = begin(&report.title);
    for table in tables(report) {
        section(&mut page, table);
    }
    page.push_str(END);
    page
}

/// The beginning of a page of that title, up to what it tells.
pub fn begin(title: &str) -> String {
    let title = escaped(title);
    format!("{BEGINNING}{HEAD}<title>{title}</title>\n{STYLE}<h1>{title}</h1>\n")
}

/// The end of a page.
pub const END: &str = "</main>\n</body>\n</html>";

fn section(page: &mut String, table: &Table) {
    // Writing into a string does not fail.
    let _ = write!(
        page,
        "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n",
        escaped(table.id),
        escaped(table.title),
        coded(&table.about)
    );
    if !table.rows.is_empty() {
        rows(page, table);
    }
    let _ = write!(page, "<p class=\"size\">{}</p>\n</section>\n", escaped(&size(table)));
}

fn rows(page: &mut String, table: &Table) {
    page.push_str("<table>\n<thead><tr>");
    for column in table.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let is_number = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
            let _ = match (is_number, table.id) {
                (true, _) => write!(page, "<td class=\"number\">{cell}</td>"),
                // Sentences of ours; every other text is somebody's.
                (false, "limits") => write!(page, "<td>{}</td>", coded(cell)),
                (false, _) => write!(page, "<td>{}</td>", escaped(cell)),
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

/// A text that is no markup, except that what stands between backticks is code.
fn coded(text: &str) -> String {
    let safe = escaped(text);
    let mut parts = safe.split('`');
    let mut coded = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(rest) => coded.push_str(&format!("<code>{code}</code>{rest}")),
            None => coded.push_str(&format!("`{code}")),
        }
    }
    coded
}

/// A text that is no markup.
pub fn escaped(text: &str) -> String {
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

/// How every page begins.
pub const BEGINNING: &str = "<!DOCTYPE html>\n<html lang=\"en\">";

/// The head of the page: what it may do.
const HEAD: &str = r#"
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
"#;

/// How it looks on a screen and on paper.
const STYLE: &str = r#"<style>
body { font: 14px/1.4 sans-serif; margin: 2em; color: #111; background: #fff; }
h2 { margin: 2em 0 0.3em; }
p { max-width: 60em; margin: 0.3em 0 0.6em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #bbb; padding: 0.2em 0.5em; text-align: left; vertical-align: top; overflow-wrap: anywhere; white-space: pre-wrap; }
th { background: #eee; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.number { text-align: right; }
.yes { background: #dff0d8; }
.no { color: #999; }
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
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_in_pairs_are_code() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(coded(text), expected);
        }
        check("`a<b` is `c`.", "<code>a&lt;b</code> is <code>c</code>.");
        check("a ` b", "a ` b");
        check("", "");
    }

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
            let report = Report {
                title: cell.to_owned(),
                uncovered: Vec::new(),
                covers: table.clone(),
                sections: vec![table.clone()],
                limits: table,
            };
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
