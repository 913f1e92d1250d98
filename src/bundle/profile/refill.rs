//! Refill: how the proxy pages through a list of the CRM's, so that callers page through the rows that they may view. Plain
//! data.

use std::ops::Range;

use crate::config::reader::{Table, Text};

/// How pages are asked for.
#[derive(Clone, Debug)]
pub struct Refill {
    /// The parameter for a page's length.
    pub size: Text,
    /// How the place of a page is said.
    pub place: PagePlace,
    /// How long a page is where nobody says.
    pub default: u64,
    /// How long a page may be: a greater wish is cut to it.
    pub most: u64,
    /// How long the pages are that the proxy reads.
    pub read: u64,
    /// Where it stands.
    pub span: Range<usize>,
}

/// How the place of a page is said.
#[derive(Clone, Debug)]
pub enum PagePlace {
    /// By this parameter, which is how many rows go before it.
    Offset(Text),
    /// By this parameter, which is its number; and by the number of the first page.
    Number(Text, u64),
}

impl Refill {
    /// The parameter that says which page is wanted.
    pub fn place_name(&self) -> &Text {
        match &self.place {
            PagePlace::Offset(name) | PagePlace::Number(name, _) => name,
        }
    }

    /// Where the first page is.
    pub fn start(&self) -> u64 {
        match &self.place {
            PagePlace::Offset(_) => 0,
            PagePlace::Number(_, first) => *first,
        }
    }

    /// The parameters that ask for the page at a place.
    pub fn page_at(&self, place: u64) -> Vec<(String, String)> {
        vec![
            (self.size.value.clone(), self.read.to_string()),
            (self.place_name().value.clone(), place.to_string()),
        ]
    }

    /// The place of the page that follows one at which so many rows came; `None` if it was the last.
    pub fn after(&self, place: u64, rows: u64) -> Option<u64> {
        match &self.place {
            // A CRM may give fewer rows than it was asked for.
            PagePlace::Offset(_) => (rows > 0).then(|| place.saturating_add(rows)),
            PagePlace::Number(..) => (rows >= self.read).then(|| place.saturating_add(1)),
        }
    }
}

/// Reads a route's `refill`.
pub fn read(table: &Table<'_>) -> Option<Refill> {
    let size = table.required("size", "Name the parameter that says how long a page is: `size = \"limit\"`.");
    let (offset, page) = (table.text("offset"), table.text("page"));
    let first = table.integer("first", 0..=1);
    let length = |key: &str| table.integer(key, 1..=LENGTH_MAX);
    let (default, most, read) = (length("default"), length("most"), length("read"));
    table.finish();
    let error = |message: &str, help: &str| table.reading().error(table.span(), message, help);
    if first.is_some() && page.is_none() {
        error("`first` is the number of the first page", "Leave it out, or name the parameter `page`.");
    }
    let place = match (offset, page) {
        (Some(name), None) => Some(PagePlace::Offset(name)),
        (None, Some(name)) => Some(PagePlace::Number(name, first.unwrap_or(1))),
        _ => {
            let help =
                "Name one of them: `offset = \"offset\"` for rows to skip, `page = \"page\"` for a number.";
            error("a page is found by `offset` or by `page`", help);
            None
        }
    };
    if default.is_none() || most.is_none() {
        let help =
            "Say what the CRM does: `default = 20`, rows without the parameter; `most = 100`, rows at most.";
        error("`default` and `most` are missing", help);
    }
    let (default, most) = (default?, most?);
    let read = read.unwrap_or(most);
    if default > most || read > most {
        error("no page is longer than `most`", "Lower `default` and `read`, or raise `most`.");
    }
    Some(Refill { size: size?, place: place?, default, most, read, span: table.span() })
}

/// Rows of one page.
const LENGTH_MAX: u64 = 100_000;
