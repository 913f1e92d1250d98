//! Results of cases as JUnit's XML, which most build servers show.

use std::fmt::Write as _;

use super::run::Judged;

/// The whole report.
pub fn report(judged: &[Judged<'_>]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in judged.chunk_by(|a, b| a.case.file() == b.case.file()) {
        let Some(first) = suite.first() else { continue };
        let file = attribute(first.case.file());
        let failures = suite.iter().filter(|judged| !judged.mismatches.is_empty()).count();
        let tests = suite.len();
        let _ = writeln!(xml, "  <testsuite name={file} tests=\"{tests}\" failures=\"{failures}\">");
        for judged in suite {
            case(&mut xml, judged, &file);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(xml: &mut String, judged: &Judged<'_>, file: &str) {
    let name = attribute(&judged.case.name);
    let _ = write!(xml, "    <testcase name={name} classname={file}");
    if judged.mismatches.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    for mismatch in &judged.mismatches {
        let why = mismatch.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let message = format!(
            "{}: expected {}, found {}{why}; {}",
            mismatch.what,
            mismatch.expected,
            mismatch.found,
            judged.case.place()
        );
        let _ = writeln!(xml, "      <failure message={}/>", attribute(&message));
    }
    xml.push_str("    </testcase>\n");
}

/// A text in quotes. What XML 1.0 (§2.2) has no form for becomes a question mark.
fn attribute(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\n' | '\t' | '\r' => written.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => written.push('?'),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}
