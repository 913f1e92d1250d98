//! Where a list names its other pages: in places of its body, and in the `Link` header.

use super::shape::json_path;
use crate::config::reader::Table;
use crate::json::path::JsonPath;

/// Where the addresses of other pages stand.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// Places of the body.
    pub places: Vec<JsonPath>,
    /// Whether the `Link` header has them.
    pub header: LinkHeader,
    /// Where the profile says so.
    pub span: std::ops::Range<usize>,
}

/// Whether the `Link` header of an answer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkHeader {
    /// It is dropped.
    #[default]
    Dropped,
    /// It names other pages.
    Pages,
}

impl Pages {
    /// An answer that names no other page.
    pub const NONE: Self = Self { places: Vec::new(), header: LinkHeader::Dropped, span: 0..0 };

    /// Whether an answer names no other page.
    pub fn are_none(&self) -> bool {
        self.places.is_empty() && self.header == LinkHeader::Dropped
    }
}

/// Reads `pages` of a route.
pub fn read(table: &Table<'_>) -> Pages {
    let span = table.item("pages").map_or(0..0, |item| item.span());
    let texts = table.texts("pages").unwrap_or_default();
    let (headers, places): (Vec<_>, Vec<_>) = texts.iter().partition(|text| text.value == HEADER);
    let header = if headers.is_empty() { LinkHeader::Dropped } else { LinkHeader::Pages };
    for text in places.iter().filter(|text| !text.value.starts_with('$')) {
        let help = "Name places of the body, such as `$.next`, or `header.link`.";
        table.reading().error(text.span.clone(), format!("`{}` is no place of pages", text.value), help);
    }
    let places = places.into_iter().filter_map(|text| json_path(table, text)).collect();
    Pages { places, header, span }
}

const HEADER: &str = "header.link";

#[cfg(test)]
mod tests {
    use crate::bundle::profile::tests::{DEAL, load};

    #[track_caller]
    fn check(head: &str, records: &str, more: &str, expected: &[&str]) {
        let text = format!(
            "{DEAL}[[routes]]\nmatch = '{head}'\naction = 'list'\nhidden_rows = 'visible'\nrecords = {{ at = '{records}', type = 'Deal' }}\n{more}"
        );
        assert_eq!(load(&text).1, expected, "{more}");
    }

    #[test]
    fn pages_stand_beside_the_rows_of_a_list() {
        let get = "GET /deals";
        check(get, "$.data[*]", "pages = ['$.next', '$.pages.last', 'header.link']", &[]);
        let message = "profile.toml:14 `header.location` is no place of pages";
        check(get, "$.data[*]", "pages = ['header.location']", &[message]);
        check(get, "$.data[*]", "pages = ['next']", &["profile.toml:14 `next` is no place of pages"]);
        for (page, more) in [
            ("$.data", ""),
            ("$.page", "keep = ['$.page']"),
            ("$.page.next", "keep = ['$.page']"),
            ("$.all", "totals = { at = '$.all' }"),
        ] {
            let message =
                format!("profile.toml:14 the page `{page}` stands where something else is described");
            check(get, "$.data[*]", &format!("pages = ['{page}']\n{more}"), &[&message]);
        }
        let by_pattern = |name: &str| format!("pages = ['$.next']\nquery = {{ '{name}' = 'paging' }}");
        let message = "profile.toml:14 `page[*` chooses pages by a pattern";
        check(get, "$.data[*]", &by_pattern("page[*"), &[message]);
        check(get, "$.data[*]", &by_pattern("page[number]"), &[]);
        let search = "reads = { '$.limit' = 'paging' }\npages = ['$.next']";
        check("POST /deals", "$.data[*]", search, &["profile.toml:15 `POST /deals` has no other pages"]);
    }
}
