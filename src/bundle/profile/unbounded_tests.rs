//! Changes of many that name no records: what loads, and the problems of what does not.

use super::tests::{DEAL, load};

/// The problems of a profile whose second route stands in line 15; what it says begins in line 17.
fn problems(head: &str, says: &str) -> Vec<String> {
    let text = format!(
        "{DEAL}
[[routes]]
match = 'GET /deals/{{id:int}}'
action = 'view'
records = {{ at = '$', type = 'Deal' }}
[[routes]]
match = '{head}'
type = 'Deal'
{says}
"
    );
    load(&text).1
}

#[track_caller]
fn check(head: &str, says: &str, expected: &[&str]) {
    assert_eq!(problems(head, says), expected, "{head} {says}");
}

const HEAD: &str = "PATCH /deals";

#[test]
fn a_change_of_many_names_records_or_says_that_it_does_not() {
    let unnamed = "profile.toml:15 `PATCH /deals` changes records that it does not name";
    let blind = "profile.toml:15 `PATCH /deals` changes records without a before image";
    for action in ["bulkEdit", "bulkDelete"] {
        let says = |rest: &str| format!("action = '{action}'\n{rest}");
        check(HEAD, &says("unbounded = true"), &[]);
        check(HEAD, &says("unbounded = true\nwrites = { at = '$.set', ignored = ['x'] }"), &[]);
        let also = "also = [{ action = 'assign', when = { at = '$.owner_id', changes = true } }]";
        check(HEAD, &says(&format!("unbounded = true\nwrites = {{ at = '$' }}\n{also}")), &[]);
        check(HEAD, &says("id = 'body.$.ids[*]'\nbefore = 'GET /deals/{id:int}'\nbody = 'json'"), &[]);
        check(HEAD, &says(""), &[unnamed, blind]);
        check(HEAD, &says("unbounded = false"), &[unnamed, blind]);
        check(
            HEAD,
            &says("unbounded = 'yes'"),
            &["profile.toml:18 expected `true` or `false`, found string", unnamed, blind],
        );
    }
}

#[test]
fn what_names_no_records_says_nothing_about_each() {
    let beside = |key: &str| format!("profile.toml:18 `PATCH /deals` is unbounded and has `{key}`");
    for (key, says) in [
        ("id", "id = 'body.$.ids[*]'\nbody = 'json'"),
        ("before", "before = 'GET /deals/{id:int}'"),
        ("missing", "missing = 'create'"),
        ("prune", "prune = '$.refused'"),
        ("version", "version = 'read-again'"),
        ("version", "version = { from = 'header.etag', to = 'header.if-match' }"),
        ("links", "links = [{ type = 'Deal', id = 'query.other' }]"),
        ("to", "to = 'won'"),
        ("push_down", "push_down = { into = 'q', attributes = { owner = 'o' }, equal = '=' }"),
        ("refill", "refill = { size = 'l', offset = 'o', default = 2, most = 9 }"),
        ("pages", "pages = ['$.next']"),
        ("writes.semantics", "writes = { semantics = 'replace' }"),
        ("writes.hidden", "writes = { semantics = 'replace', hidden = 'keep' }"),
        ("writes.clears", "writes = { clears = ['tags'] }"),
        ("writes.resend", "writes = { clears = ['tags'], resend = { tags = '$' } }"),
    ] {
        let found = problems(HEAD, &format!("action = 'bulkEdit'\nunbounded = true\n{says}"));
        assert!(found.contains(&beside(key)), "{says}: {found:?}");
    }
    for head in ["PATCH /deals/of/{id:int}", "PATCH /companies/{company:int}/deals"] {
        let by_path = format!("profile.toml:18 `{head}` is unbounded and has `{{…}}`");
        check(head, "action = 'bulkEdit'\nunbounded = true", &[&by_path]);
    }
    for place in ["query", "headers"] {
        let dropped =
            format!("profile.toml:18 `PATCH /deals` is unbounded and has `{place}.….role = \"ignored\"`");
        check(
            HEAD,
            &format!("action = 'bulkEdit'\nunbounded = true\n{place} = {{ x-q = 'ignored' }}"),
            &[&dropped],
        );
    }
}

#[test]
fn only_a_change_of_many_is_unbounded() {
    let other = |label: &str| format!("profile.toml:18 `{label}` is unbounded and no change of many records");
    for (head, says) in [
        (
            "GET /deals",
            "action = 'list'\nunbounded = true\nrecords = { at = '$[*]' }\nhidden_rows = 'visible'",
        ),
        ("POST /deals", "action = 'create'\nunbounded = true\nwrites = { at = '$' }"),
        ("PATCH /deals/{id}", "action = 'edit'\nunbounded = true\nbefore = 'GET /deals/{id:int}'"),
        ("GET /status", "pass = 'The same for everybody.'\nunbounded = true"),
    ] {
        check(head, says, &[&other(head)]);
    }
    let verbs =
        "action = { from = 'path.verb', verbs = { all = { action = 'bulkEdit' } } }\nunbounded = true";
    check("POST /deals/{verb}", verbs, &[&other("POST /deals/{verb}")]);
}
