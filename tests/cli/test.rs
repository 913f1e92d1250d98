//! `lockkeeper test`: the demo's cases, what a failed one says, what is wrong with a case, and thresholds.

use crate::run::{Ran, folder, redact, run};

const CASES: &str = "bundle/cases/deals.toml";

#[test]
fn the_demos_cases_hold() {
    let folder = folder();
    let ran = run(folder.path(), &["test", "bundle"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    insta::assert_snapshot!("test_demo", redact(&ran.stdout));
}

#[test]
fn what_the_demos_cases_reach() {
    let folder = folder();
    let ran = run(folder.path(), &["test", "bundle", "--filter", "margin", "--coverage"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("test_coverage", redact(&ran.stdout));
}

/// A file of cases about the demo, with the head that every file has.
fn cases(text: &str) -> Ran {
    let folder = folder();
    let head = "cases = 1\nnow = \"2026-06-15T12:00:00Z\"\n\
                people.rep = { is = 'User::\"rep\"', in = ['Role::\"rep\"'] }\n\
                records.own = { type = \"Deal\", id = \"1\", attributes = { owner = \"rep\", stage = \"sales.lead\", pipeline = \"sales\" } }\n";
    folder.write(CASES, &format!("{head}{text}"));
    run(folder.path(), &["test", "bundle", "--filter", "#"])
}

/// Every kind of statement, each wrong.
const WRONG: &str = r##"
records.wire = { type = "Deal", id = "42", file = "records/deal-42.json" }
people.gone = { is = 'User::"gone"', attributes = { active = false } }

[[case]]
name = "# actions, fields, moves and policies"
principal = "rep"
record = "own"
allow = ["delete"]
deny = ["view"]
visible = ["margin"]
hidden = ["title"]
writable = ["stage"]
protected = ["title"]
moves = ["sales.won"]
no_moves = ["sales.proposal"]
policies = { view = [], "readField margin" = ["guard.inactive"] }

[[case]]
name = "# somebody inactive"
principal = "gone"
record = "own"
allow = ["view"]

[[case]]
name = "# a collection"
principal = "rep"
collection = "Deal"
count = 3
allow = ["bulkEdit"]

[[case]]
name = "# a new record"
principal = "rep"
record = "own"
new = true
deny = ["create"]
protected = ["owner_id"]

[[case]]
name = "# a request"
principal = "rep"
request = "GET /api/deals?sort=margin"
expect = "allow"
reason = "no-permit"
status = 200
sent = "GET /api/deals"

[[case]]
name = "# an answer"
principal = "rep"
request = "GET /api/deals"
answer = { json = '{"data":[{"id":1,"owner_id":1,"title":"x","margin":2}],"total":1}' }
rows = ["1"]
visible = ["Deal.title"]
hidden = ["Deal.amount"]
leaves = '{}'

[[case]]
name = "# what is not given"
principal = "rep"
request = "PATCH /api/deals/42"
body = '{"title":"x"}'
expect = "allow"
"##;

#[test]
fn a_case_that_fails_says_what_was_found() {
    let ran = cases(WRONG);
    assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "{}", ran.stdout);
    insta::assert_snapshot!("test_failures", redact(&ran.stdout));
}

#[test]
fn the_same_for_programs_and_for_build_servers() {
    for format in ["json", "junit"] {
        let folder = folder();
        folder.edit(CASES, |text| text.replacen("deny      = [\"delete\",", "deny      = [\"view\",", 1));
        let ran = run(folder.path(), &["test", "bundle", "--filter", "margin", "--format", format]);
        assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "{}", ran.stdout);
        insta::assert_snapshot!(format!("test_{format}"), redact(&ran.stdout));
    }
}

/// Everything that can be wrong with a case itself.
const BROKEN: &str = r##"
surprise = 1
groups.'Team::east' = {}
people.x = { is = 'Robot::"x"' }
people.y = { in = ['Role::"rep"'] }
records.a = { type = "Dael", id = "1", attributes = {} }
records.b = { type = "Deal", id = "1" }
records.c = { type = "Deal", id = "1", attributes = { ownr = "rep", stage = "sales.wno", owner = "nobody", amount = "a lot" } }
records.d = { type = "Deal", id = "41", file = "records/deal-42.json" }
records.e = { type = "Deal", id = "42", file = "records/nothing.json" }
records.f = { type = "Deal", id = "42", json = '{"id":42,"id":43}' }

[[case]]
name = "# everything"
principal = "somebody"
record = "nothing"
allow = ["veiw", "list", "moveStage"]
visible = ["titel", "others"]
hidden = ["others"]
moves = ["sales.wno"]
policies = { view = ["deal.view.ownn"], fly = [] }

[[case]]
name = "# nothing"
principal = "rep"
record = "own"

[[case]]
principal = "rep"
request = "/api/deals"
expect = "alow"
reason = "no-permitt"
now = "tomorrow"

[[case]]
name = "# two things"
principal = "rep"
record = "own"
collection = "Deal"
allow = ["view"]

[[case]]
name = "# an answer of two kinds"
principal = "rep"
request = "GET /api/deals"
answer = { json = "{}", csv = "ID" }
expect = "allow"

[[case]]
name = "# a record without bytes"
principal = "rep"
request = "GET /api/deals/1"
records = ["own"]
body = "x"
body_file = "records/deal-42.json"
expect = "allow"
"##;

#[test]
fn what_is_wrong_with_cases_is_told_at_once() {
    let ran = cases(BROKEN);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    insta::assert_snapshot!("test_broken", redact(&ran.stderr));
}

#[test]
fn files_that_are_no_cases_are_named() {
    let broken = [
        ("bundle/cases/deals.toml", "cases = 2\n", "`2` is outside of 1 to 1"),
        ("bundle/cases/deals.toml", "now = \"2026-06-15T12:00:00Z\"\n", "`cases` is missing"),
        ("bundle/cases/deals.toml", "cases = 1\n", "`now` is missing"),
        ("bundle/cases/deals.toml", "cases =\n", "not valid TOML"),
        ("bundle/cases/guards.tests.json", "{}", "not a list of Cedar's tests"),
        ("bundle/cases/guards.tests.json", "[{\"request\":{}}]", "missing field"),
    ];
    for (file, text, message) in broken {
        let folder = folder();
        folder.write(file, text);
        let ran = run(folder.path(), &["test", "bundle"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{text}");
        assert!(ran.stderr.contains(message), "{text}: {}", ran.stderr);
    }
}

#[test]
fn without_cases_nothing_was_tested() {
    let folder = folder();
    let ran = run(folder.path(), &["test", "bundle", "--filter", "no case has this name"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("has `no case has this name` in it"), "{}", ran.stderr);
}

#[test]
fn thresholds_are_gates() {
    let folder = folder();
    for (threshold, code) in [
        ("--min-policies=10", 0),
        ("--min-policies=100", 3),
        ("--min-conditions=100", 3),
        ("--min-matrix=100", 3),
    ] {
        let ran = run(folder.path(), &["test", "bundle", threshold]);
        assert_eq!(ran.code, code, "{threshold}: {}", ran.stderr);
        assert_eq!(ran.stderr.contains("are reached, fewer than 100 %"), code == 3, "{}", ran.stderr);
    }
}
