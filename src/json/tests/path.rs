//! Paths: what is one, what it finds, and its limits.

use super::super::path::{JsonPath, PATH_BYTES_MAX, PATH_SEGMENTS_MAX, Segment};
use super::document;

const DEALS: &str = r#"{
    "data": [{"id": 1, "owner": {"id": "u1"}}, {"id": 2, "owner": null}, 3],
    "related": {"notes": {"items": [10, 11]}, "calls": {"items": []}, "total": 5, "mails": {"items": [12]}},
    "a.b": {"c": "dotted"}, "it's": "quoted", "\u0069d": "escaped", "": "empty", "@odata.count": 7, "$ref": 8,
    "args": [[100, 101], [102]]
}"#;

#[track_caller]
fn check(path: &str, expected: &[&str]) {
    let document = document(DEALS);
    let parsed = JsonPath::parse(path).unwrap();
    let found: Vec<&str> = parsed.find(document.root()).iter().map(|value| value.raw()).collect();
    assert_eq!(found, expected, "`{path}`");
    assert_eq!(parsed.first(document.root()).map(|value| value.raw()), expected.first().copied(), "`{path}`");
    assert_eq!(parsed.to_string(), path);
}

#[track_caller]
fn check_refused(path: &str, offset: usize) {
    let error = JsonPath::parse(path).unwrap_err();
    assert_eq!(error.offset, offset, "`{path}`: {error}");
}

#[test]
fn finds_every_match_in_source_order() {
    check("$", &[DEALS]);
    check("$.data[*].id", &["1", "2"]);
    check("$.data[*].owner.id", &["\"u1\""]);
    check("$.data[*].owner", &["{\"id\": \"u1\"}", "null"]);
    check("$.data[0].id", &["1"]);
    check("$.data[2]", &["3"]);
    check("$.data[3]", &[]);
    check("$.related.*.items[*]", &["10", "11", "12"]);
    check("$.related.*.items[0]", &["10", "12"]);
    check("$.related.total", &["5"]);
    check("$.args[0]", &["[100, 101]"]);
    check("$.args[*][0]", &["100", "102"]);
    check("$.args[*][*]", &["100", "101", "102"]);
    check("$['a.b'].c", &["\"dotted\""]);
    check(r"$['it\'s']", &["\"quoted\""]);
    check("$['@odata.count']", &["7"]);
    check("$['$ref']", &["8"]);
    check("$['']", &["\"empty\""]);
    check("$.id", &["\"escaped\""]);
    check("id", &["\"escaped\""]);
    check("related.notes.items[1]", &["11"]);
    check("['a.b']['c']", &["\"dotted\""]);
    check("*.total", &["5"]);
}

#[test]
fn another_shape_has_no_match() {
    for path in [
        "$[*]",
        "$[0]",
        "$.data.*",
        "$.data.id",
        "$.related[*]",
        "$.id.x",
        "$.id[0]",
        "$.id.*",
        "$.data.0",
        "$['0']",
        "$.nothing",
        "$.a.b",
    ] {
        check(path, &[]);
    }
}

#[test]
fn segments_are_as_written() {
    let key = |name: &str| Segment::Key(name.to_owned());
    let check = |path: &str, expected: &[Segment]| {
        assert_eq!(JsonPath::parse(path).unwrap().segments(), expected, "`{path}`");
    };
    check("$", &[]);
    check("$.a.b", &[key("a"), key("b")]);
    check("a.b", &[key("a"), key("b")]);
    check("$[*].*[0]", &[Segment::EachItem, Segment::EachMember, Segment::Index(0)]);
    check("$.a-b_c:d@é", &[key("a-b_c:d@é")]);
    check("$.0[12]", &[key("0"), Segment::Index(12)]);
    check(r"$['\'\\.[*]$']", &[key(r"'\.[*]$")]);
    check("[*].id", &[Segment::EachItem, key("id")]);
}

#[test]
fn refuses_what_is_no_path() {
    let cases: &[(&str, usize)] = &[
        ("", 0),
        (".", 0),
        (".a", 0),
        ("$.", 2),
        ("$a", 1),
        ("$$", 1),
        ("a$", 1),
        ("$..a", 2),
        ("a..b", 2),
        ("a.", 2),
        ("$.a b", 3),
        (" $", 0),
        ("$ ", 1),
        ("$.**", 3),
        ("$.a*", 3),
        ("$.*a", 3),
        ("$[", 2),
        ("$[]", 2),
        ("$[0", 3),
        ("$[*", 3),
        ("$[-1]", 2),
        ("$[01]", 2),
        ("$[1:2]", 3),
        ("$[1,2]", 3),
        ("$[99999999999999999999]", 2),
        ("$[a]", 2),
        ("$[\"a\"]", 2),
        ("$['a]", 5),
        ("$['a'", 5),
        (r"$['\n']", 3),
        ("$['a\n']", 4),
        ("$]", 1),
        ("$.a]", 3),
        ("$.a'b'", 3),
        ("$[?(@.a)]", 2),
        ("$[0]a", 4),
        ("$['a']b", 6),
    ];
    for (path, offset) in cases {
        check_refused(path, *offset);
    }
    let error = JsonPath::parse("$..a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a key (in quotes if it has other than plain characters) or `*` at byte 2 of the path"
    );
}

#[test]
fn limits_hold_at_and_one_past() {
    let deep = format!("${}", "[0]".repeat(PATH_SEGMENTS_MAX));
    assert_eq!(JsonPath::parse(&deep).unwrap().segments().len(), 32);
    check_refused(&format!("{deep}.a"), deep.len());
    let relative = vec!["a"; PATH_SEGMENTS_MAX].join(".");
    assert_eq!(JsonPath::parse(&relative).unwrap().segments().len(), 32);
    check_refused(&format!("{relative}.a"), relative.len());
    JsonPath::parse(&"k".repeat(PATH_BYTES_MAX)).unwrap();
    check_refused(&"k".repeat(PATH_BYTES_MAX + 1), 256);
}
