//! The only place that prints [edge].
#![expect(clippy::disallowed_methods, reason = "edge: looks whether colours are wanted")]

use std::io::{IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::config::author::Problems;

/// Prints a line of data.
pub fn line(text: impl AsRef<str>) {
    // A reader that has gone away is no failure of ours.
    let _ = try_line(text);
}

/// Prints a line of data at once; an error means that nobody reads any more.
pub fn try_line(text: impl AsRef<str>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    out.flush()
}

/// Prints a message for people.
pub fn message(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Prints a failure in the form of all author problems.
pub fn failure(error: &dyn std::fmt::Display) {
    message(format!("error: {error}"));
}

/// Prints every problem with its source and its way out.
pub fn problems(problems: &Problems) {
    let handler = GraphicalReportHandler::new_themed(theme()).with_width(110).with_links(false);
    for problem in problems.iter() {
        let mut text = String::new();
        match handler.render_report(&mut text, problem) {
            Ok(()) => message(text.trim_end()),
            Err(_) => failure(problem),
        }
    }
}

/// A number with its noun.
pub fn count(number: usize, noun: &str) -> String {
    count_of(number, noun, &format!("{noun}s"))
}

/// The same for a noun whose plural has no `s` of its own.
pub fn count_of(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn theme() -> GraphicalTheme {
    let wants_colour = std::env::var("NO_COLOR").map_or(true, |value| value.is_empty());
    match wants_colour && std::io::stderr().is_terminal() {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    }
}
