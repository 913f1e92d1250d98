//! Lists that can be refilled, and those that cannot.

use super::tests::load;
use super::*;

const FINE: &str = "refill = { size = 'limit', offset = 'offset', default = 20, most = 100 }";

/// A list of deals with lines of its own; the problems without their places.
fn problems(route: &str) -> (Option<Profile>, Vec<String>) {
    let text = format!(
        "profile = 1\n[types.Deal]\nid = 'id'\n[types.Contact]\nid = 'id'\n[[routes]]\nmatch = 'GET /deals'\naction = 'list'\n{route}\n"
    );
    let (profile, found) = load(&text);
    (profile, found.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect())
}

const LIST: &str = "records = { at = '$.data[*]', type = 'Deal' }";
const QUERY: &str =
    "query = { limit = 'paging', offset = 'paging', sort = { role = 'sort', form = 'comma-list' } }";

#[track_caller]
fn check(route: &str, expected: &[&str]) {
    let (profile, found) = problems(route);
    assert_eq!(found, expected, "{route}");
    assert_eq!(profile.is_some(), expected.is_empty(), "{route}");
}

#[test]
fn pages_are_asked_for_as_the_crm_takes_them() {
    let refill = |refill: &str| {
        let query = QUERY.replace("offset", "page");
        let query = if refill.contains("page =") { &query } else { QUERY };
        let (profile, found) = problems(&format!("{LIST}\n{query}\nrefill = {{ {refill} }}"));
        assert_eq!(found, Vec::<String>::new());
        profile.unwrap().routes[0].refill.clone().unwrap()
    };
    let pairs = |one: &str, other: &str| {
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        vec![pair(one).unwrap(), pair(other).unwrap()]
    };
    let offset = refill("size = 'limit', offset = 'offset', default = 20, most = 100, read = 50");
    assert_eq!((offset.start(), offset.page_at(0)), (0, pairs("limit=50", "offset=0")));
    // Fewer rows than asked for are no end, only none are.
    assert_eq!((offset.after(0, 50), offset.after(50, 7), offset.after(57, 0)), (Some(50), Some(57), None));
    let page = refill("size = 'limit', page = 'page', default = 20, most = 100");
    assert_eq!((page.start(), page.page_at(3)), (1, pairs("limit=100", "page=3")));
    assert_eq!((page.after(1, 100), page.after(2, 99), page.after(2, 0)), (Some(2), None, None));
    assert_eq!(refill("size = 'limit', page = 'page', first = 0, default = 20, most = 100").start(), 0);
}

#[test]
fn what_cannot_be_refilled_does_not_load() {
    check(&format!("{LIST}\n{QUERY}\n{FINE}\ntotals = {{ at = '$.total', counts_rows = true }}"), &[]);
    let with = |refill: &str| format!("{LIST}\n{QUERY}\nrefill = {{ {refill} }}");
    for (refill, expected) in [
        ("offset = 'offset', default = 20, most = 100", "`size` is missing"),
        ("size = 'limit', default = 20, most = 100", "a page is found by `offset` or by `page`"),
        (
            "size = 'limit', offset = 'offset', page = 'offset', default = 20, most = 100",
            "a page is found by `offset` or by `page`",
        ),
        (
            "size = 'limit', offset = 'offset', first = 1, default = 20, most = 100",
            "`first` is the number of the first page",
        ),
        ("size = 'limit', offset = 'offset', most = 100", "`default` and `most` are missing"),
        ("size = 'limit', offset = 'offset', default = 20, most = 10", "no page is longer than `most`"),
        (
            "size = 'limit', offset = 'offset', default = 2, most = 10, read = 11",
            "no page is longer than `most`",
        ),
    ] {
        assert!(problems(&with(refill)).1.contains(&expected.to_owned()), "{refill}");
    }
    for (refill, expected) in [
        (
            "size = 'sort', offset = 'offset', default = 1, most = 1",
            "`sort` is no paging parameter of `GET /deals`",
        ),
        (
            "size = 'limit', offset = 'skip', default = 1, most = 1",
            "`skip` is no paging parameter of `GET /deals`",
        ),
    ] {
        assert_eq!(problems(&with(refill)).1.first().map(String::as_str), Some(expected), "{refill}");
    }
    for (route, expected) in [
        (
            format!("{LIST}\n{QUERY}\n{FINE}\nhidden_rows = 'visible'"),
            "`GET /deals` says two things of hidden rows",
        ),
        (
            format!("{LIST}\n{}\n{FINE}", QUERY.replace("sort = {", "cursor = 'paging', sort = {")),
            "`cursor` pages as well",
        ),
        (
            format!(
                "{LIST}\n{}\n{FINE}",
                QUERY.replace("limit = 'paging'", "limit = { role = 'paging', values = ['5'] }")
            ),
            "`limit` takes listed values only",
        ),
        (
            format!("{LIST}\n{QUERY}\n{FINE}\nheaders = {{ x-page = 'paging' }}"),
            "the header `x-page` pages as well",
        ),
        (
            format!("{}\n{QUERY}\n{FINE}", LIST.replace("[*]'", "[*]', optional = true")),
            "the list `$.data[*]` may be missing",
        ),
        (
            format!("{}\n{QUERY}\n{FINE}", LIST.replace("[*]", ".*")),
            "`GET /deals` has not one list of records to fill up",
        ),
        (
            format!("{}\n{QUERY}\n{FINE}", LIST.replace("[*]", "[*].rows[*]")),
            "`GET /deals` has not one list of records to fill up",
        ),
        (
            format!(
                "records = [{{ at = '$.data[*]', type = 'Deal' }}, {{ at = '$.more[*]', type = 'Contact' }}]\n{QUERY}\n{FINE}"
            ),
            "`GET /deals` has not one list of records to fill up",
        ),
        (format!("type = 'Contact'\n{LIST}\n{QUERY}\n{FINE}"), "`GET /deals` lists records of other types"),
        (
            format!("type = 'Deal'\n{}\n{QUERY}\n{FINE}", LIST.replace("'Deal'", "{ key = 'kind' }")),
            "`GET /deals` lists records of other types",
        ),
        (
            format!("{LIST}\n{QUERY}\n{FINE}\ntotals = {{ at = '$.pages[*].total', counts_rows = true }}"),
            "`$.pages[*].total` is not one place",
        ),
        (
            format!(
                "{}\n{QUERY}\n{FINE}\ncsv = {{ columns = {{ ID = 'id' }} }}",
                LIST.replace("$.data[*]", "$[*]")
            ),
            "`GET /deals` answers no JSON that is filtered",
        ),
    ] {
        check(&route, &[expected]);
    }
}
