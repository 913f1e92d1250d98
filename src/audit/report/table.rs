//! A section of a report: a table of texts with its head.
//!
//! Promises: bounded; what did not fit is counted.

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name for programs.
    pub id: &'static str,
    /// Its title for people.
    pub title: &'static str,
    /// What it tells.
    pub about: String,
    /// The names of its columns.
    pub columns: &'static [&'static str],
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Vec<String>>,
    /// How many rows did not fit.
    pub left_out: usize,
}

impl Table {
    /// An empty section.
    pub fn new(
        id: &'static str,
        title: &'static str,
        about: impl Into<String>,
        columns: &'static [&'static str],
    ) -> Self {
        Self { id, title, about: about.into(), columns, rows: Vec::new(), left_out: 0 }
    }

    /// Adds a row, or counts it where there are too many.
    pub fn push<const N: usize>(&mut self, row: [String; N]) {
        match self.rows.len() < ROWS_MAX {
            true => self.rows.push(row.into()),
            false => self.left_out += 1,
        }
    }
}

/// A text in which nothing is hidden: what moves the cursor, turns the line around or is not seen is spelled out.
pub fn visible(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || HIDDEN.iter().any(|range| range.contains(&c));
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match is_hidden(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
        shown
    })
}

/// Characters without a shape, and those that change the direction of others.
const HIDDEN: &[std::ops::RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// Rows of one section: what a person can still search and a browser show.
pub const ROWS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(visible(text), expected);
        }
        check("Zoë <b> \"x\"", "Zoë <b> \"x\"");
        check("a\u{202e}b", "a\\u{202e}b");
        check("a\u{1b}[2Jb\n", "a\\u{1b}[2Jb\\u{a}");
        check("a\u{200b}\u{feff}", "a\\u{200b}\\u{feff}");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut table = Table::new("t", "T", "", &["a"]);
        for row in 0..ROWS_MAX + 3 {
            table.push([row.to_string()]);
        }
        assert_eq!((table.rows.len(), table.left_out), (ROWS_MAX, 3));
    }
}
