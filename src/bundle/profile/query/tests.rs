//! Rules that load, and the problems of those that do not.

use super::*;
use crate::bundle::profile::Profile;
use crate::config::author::{Problems, SourceFile};

/// Loads a list with one rule for `p`, and one for a body.
#[track_caller]
fn load(rule: &str, reads: &str) -> (Option<Profile>, Vec<String>) {
    let text = format!(
        r#"profile = 1
[types.Deal]
id = "id"
[types.Deal.fields]
title = {{ sets = ["public"] }}
[[routes]]
match = "GET /deals"
action = "list"
records = {{ at = "$[*]", type = "Deal" }}
hidden_rows = "visible"
query = {{ {rule} }}
[[routes]]
match = "POST /deals/search"
action = "search"
records = {{ at = "$[*]", type = "Deal" }}
hidden_rows = "visible"
{reads}
"#
    );
    let mut problems = Problems::default();
    let profile = Profile::load(&SourceFile::new("profile.toml", text), &mut problems);
    let found = problems.iter().map(|problem| {
        format!("{problem}{}", problem.help_text().map(|help| format!(" [{help}]")).unwrap_or_default())
    });
    (profile, found.collect())
}

const READS: &str = r#"reads = { "$.limit" = "paging" }"#;

#[track_caller]
fn problem(rule: &str, expected: &str) {
    let (_, problems) = load(rule, READS);
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{rule}: {problems:#?}");
}

#[track_caller]
fn problem_of_body(reads: &str, expected: &str) {
    let (_, problems) = load("", reads);
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{reads}: {problems:#?}");
}

#[test]
fn rules_load_with_their_words() {
    let rule = r#"p = { role = "filter", form = "triples", encoding = "base64url", operators = "=", and = ["AND", "and"], looks_at = { "Deal.title" = ["Deal.title"] } }"#;
    let (profile, problems) = load(rule, READS);
    assert_eq!(problems, Vec::<String>::new());
    let rule = &profile.unwrap().routes[0].query[0];
    assert_eq!((rule.form, rule.encoding), (Form::Triples, Encoding::Base64Url));
    assert_eq!(rule.grammar.operators, ["="]);
    assert_eq!(rule.grammar.and, ["AND", "and"]);
}

#[test]
fn names_are_those_of_the_reference() {
    for (form, name) in FORMS {
        assert_eq!((Form::named(name), form.name()), (Some(*form), *name));
    }
    assert_eq!(Form::Opaque.name(), "");
}

#[test]
fn a_form_fits_its_role_and_has_its_words() {
    for (rule, expected) in [
        (
            r#"p = { role = "sort", form = "triples", operators = "=" }"#,
            "the form of `p` does not fit its role [A `sort` takes comma-list, ",
        ),
        (
            r#"p = { role = "filter", form = "comma-list" }"#,
            "[A `filter` takes key, operator-suffix, bracketed, triples, prefix, object, tree.",
        ),
        (r#"p = { role = "filter", form = "domain" }"#, "`domain` is not a form [There are comma-list, "),
        (
            r#"p = { role = "filter", form = "triples" }"#,
            "a form `triples` needs `operators` [List the operators",
        ),
        (
            r#"p = { role = "filter", form = "tree", operators = "eq", operator = "op", value = "v" }"#,
            "a form `tree` needs `name` [Say which key",
        ),
        (
            r#"p = { role = "filter", form = "tree", operators = "eq", name = "f", operator = "op" }"#,
            "a form `tree` needs `value`",
        ),
        (
            r#"p = { role = "filter", form = "tree", operators = "eq", name = "f", operator = "op", value = "v", combinator = "c" }"#,
            "`combinator` and `children` go together",
        ),
        (r#"p = { role = "sort", form = "json-objects" }"#, "a form `json-objects` needs `name`"),
        (
            r#"p = { role = "filter", form = "object", operators = ["$eq", "$or"], or = "$or" }"#,
            "a word of this form has two meanings",
        ),
        (
            r#"p = { role = "filter", form = "object", operators = "$eq", implicit = "eq" }"#,
            "`eq` is not one of `operators` [Add it there.]",
        ),
        (
            r#"p = { role = "filter", form = "triples", operators = "=", list = "and" }"#,
            "`list` is not a known key",
        ),
        (
            r#"p = { role = "filter", form = "tree", operators = "eq", name = "f", operator = "o", value = "v", list = "xor" }"#,
            "`xor` joins nothing [There are and and or.]",
        ),
        (
            r#"p = { role = "filter", form = "triples", operators = "=", record_ids = "texts" }"#,
            "`texts` is no kind of id [There are any and numbers.]",
        ),
        (
            r#"p = { role = "filter", form = "triples", operators = "=", refused_values = "*a*" }"#,
            "`*a*` is no pattern [Use `*` at one end only.]",
        ),
        (
            r#"p = { role = "filter", form = "triples", operators = "=", encoding = "rot13" }"#,
            "`rot13` is not an encoding [There are json, base64url, base64 and brackets.]",
        ),
        (r#"p = { role = "sort", form = "comma-list", encoding = "json" }"#, "`encoding` is not a known key"),
        (
            r#""p*" = { role = "filter", form = "object", operators = "=", encoding = "brackets" }"#,
            "`p*` is a pattern, and its brackets are read [Write what stands before",
        ),
        (
            r#"p = { role = "filter", form = "triples", operators = "=", levels = 3 }"#,
            "`levels` is not a known key",
        ),
        (
            r#"p = { role = "filter", form = "object", operators = "=", encoding = "brackets", levels = 21 }"#,
            "`21` is outside of 1 to 20",
        ),
    ] {
        problem(rule, expected);
    }
}

#[test]
fn names_of_fields_resolve() {
    for (rule, expected) in [
        (
            r#"p = { role = "search", over = ["Deal.titel"] }"#,
            "no field is called `Deal.titel` [Did you mean `Deal.title`?]",
        ),
        (
            r#"p = { role = "sort", form = "comma-list", looks_at = { "Deal.x" = ["Deal.nosuch"] } }"#,
            "no field is called `Deal.nosuch`",
        ),
        (
            r#"p = { role = "sort", form = "comma-list", looks_at = { "x" = ["Deal.title"] } }"#,
            "`x` does not begin with a record type [Write the type",
        ),
        (
            r#"p = { role = "search", over_parameter = "in" }"#,
            "`p` has an `over_parameter` and no `over` [List the fields",
        ),
        (
            r#"p = { role = "search", over = ["Deal.title"], over_parameter = "in" }, in = "harmless""#,
            "`in` is the caller's and tells the search where to look",
        ),
        (
            r#"p = { role = "search", over = ["Deal.*"], over_parameter = "in" }"#,
            "a search can be told to look at fields of one type only",
        ),
        (
            r#"p = { role = "search", over = ["Deal.title"], over_parameter = { name = "in", form = "key" } }"#,
            "`key` lists no fields to search",
        ),
    ] {
        problem(rule, expected);
    }
}

#[test]
fn a_body_that_asks_is_described_place_by_place() {
    for (reads, expected) in [
        (
            "body = \"json\"",
            "`POST /deals/search` reads and takes a body that nobody reads [Say what each place",
        ),
        ("", "`POST /deals/search` reads by a method that may write"),
        (r#"reads = { limit = "paging" }"#, "`limit` is no place of a body [Write the keys that lead to it"),
        (r#"reads = { "$" = "paging" }"#, "`$` is no place of a body"),
        (r#"reads = { "$.a[*]" = "paging" }"#, "`$.a[*]` is no place of a body"),
        (
            r#"reads = { "$.a" = "harmless", "$.a.b" = "paging" }"#,
            "`$.a` holds `$.a.b` [Declare the inner places alone.]",
        ),
        (
            r#"reads = { "$.a" = { role = "filter", form = "operator-suffix" } }"#,
            "the form of `$.a` is one of parameters",
        ),
        (
            r#"reads = { "$.a" = { role = "filter", form = "object", operators = "=", encoding = "brackets" } }"#,
            "the form of `$.a` is one of parameters",
        ),
        (
            r#"reads = { "$.a" = { role = "filter", form = "key" } }"#,
            "`$.a` does not say which field it is about",
        ),
        (
            r#"reads = { "$.a" = { role = "search", over = ["Deal.title"], over_parameter = "in" } }"#,
            "`$.a` stands in a body",
        ),
        (
            "reads = { \"$.a\" = \"paging\" }\nbody = [\"json\", \"form\"]",
            "has `reads` and a body that is not JSON",
        ),
        ("reads = { \"$.a\" = \"paging\" }\nbody = \"optional\"", "has `reads` and a body that is not JSON"),
        ("reads = { \"$.a\" = \"paging\" }\nwrites = { at = \"$.b\" }", "has `reads` and is no search"),
        (
            "reads = { \"$.a\" = { role = \"select\", form = \"json-list\" } }\nquery = { f = { role = \"select\", form = \"comma-list\" } }",
            "selects in two places",
        ),
    ] {
        problem_of_body(reads, expected);
    }
    let (profile, problems) = load("", READS);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(profile.unwrap().routes[1].reads[0].at, ["limit"]);
}

/// Loads a list with a push-down into one of its filters.
#[track_caller]
fn push_down(push: &str) -> Vec<String> {
    let text = format!(
        r#"profile = 1
[types.Deal]
id = "id"
[types.Deal.attributes]
owner  = {{ at = "owner_id", as = "User", by = "crmId" }}
amount = {{ as = "decimal" }}
[types.Deal.fields]
title = {{ sets = ["public"] }}
[[routes]]
match = "GET /deals"
action = "list"
records = {{ at = "$.data[*]", type = "Deal" }}
totals = {{ at = "$.total", counts_rows = true }}
hidden_rows = "visible"
push_down = {{ {push} }}
[routes.query]
owner_id = {{ role = "filter", form = "key", field = "title" }}
where = {{ role = "filter", form = "triples", operators = ["=", "in"] }}
groups = {{ role = "filter", form = "tree", operators = "EQ", name = "n", operator = "o", value = "v", list = "or", and = "filters" }}
sort = {{ role = "sort", form = "comma-list" }}
"#
    );
    let mut problems = Problems::default();
    Profile::load(&SourceFile::new("profile.toml", text), &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_push_down_can_be_said() {
    for good in [
        r#"into = "where", attributes = { owner = "owner_id" }, equal = "=", exact = true"#,
        r#"into = "where", attributes = { owner = { at = "owner", as = "number" } }, in = "in", absent = "=""#,
        r#"into = "owner_id", attributes = { owner = "owner_id" }"#,
        r#"into = "groups", attributes = { owner = "owner_id" }, equal = "EQ""#,
    ] {
        assert_eq!(push_down(good), Vec::<String>::new(), "{good}");
    }
    for (bad, expected) in [
        (
            r#"into = "sort", attributes = { owner = "owner_id" }, equal = "=""#,
            "`sort` is no filter to add to",
        ),
        (
            r#"into = "nosuch", attributes = { owner = "owner_id" }, equal = "=""#,
            "`nosuch` is no filter to add to",
        ),
        (r#"into = "where", equal = "=""#, "`attributes` is missing"),
        (
            r#"into = "where", attributes = { ownr = "owner_id" }, equal = "=""#,
            "`Deal` has no attribute `ownr`",
        ),
        (
            r#"into = "where", attributes = { amount = "amount" }, equal = "=""#,
            "nobody can tell how the CRM spells values of `amount`",
        ),
        (
            r#"into = "where", attributes = { owner = { at = "x", as = "date" } }, equal = "=""#,
            "`date` is no way to write a value",
        ),
        (r#"into = "where", attributes = { owner = "owner_id" }"#, "there is no operator for values"),
        (
            r#"into = "where", attributes = { owner = "owner_id" }, equal = "==""#,
            "`==` is not one of the `operators` of `where`",
        ),
        (
            r#"into = "owner_id", attributes = { owner = "owner" }"#,
            "a parameter that is one field takes one value of one attribute",
        ),
        (
            r#"into = "owner_id", attributes = { owner = "owner_id" }, equal = "=""#,
            "a parameter that is one field takes one value of one attribute",
        ),
    ] {
        let problems = push_down(bad);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{bad}: {problems:#?}");
    }
}
