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

/// How far something is, on the last line of a terminal; nothing elsewhere.
pub struct Progress {
    what: &'static str,
    is_shown: bool,
    told: Option<u64>,
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(what: &'static str) -> Self {
        Self { what, is_shown: std::io::stderr().is_terminal(), told: None }
    }

    /// So much is done, of so much.
    pub fn tell(&mut self, done: u64, all: u64) {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
        if self.is_shown && self.told != Some(percent) {
            let _ = write!(std::io::stderr(), "\r{} {percent} %", self.what);
            self.told = Some(percent);
        }
    }

    /// Takes the line away.
    pub fn end(self) {
        if self.told.is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
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
