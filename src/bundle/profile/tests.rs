//! Profiles that load, and the problems of those that do not.

use super::mask::Mask;
use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Option<Profile> {
    let (profile, found) = load(text);
    assert_eq!(found, expected);
    profile
}

/// A profile, and its problems with their places.
pub(super) fn load(text: &str) -> (Option<Profile>, Vec<String>) {
    let mut problems = Problems::default();
    let profile = Profile::load(&SourceFile::new("profile.toml", text), &mut problems);
    let found = problems.iter().map(|p| format!("{} {p}", p.place().unwrap_or_default()));
    (profile, found.collect())
}

pub(super) const DEAL: &str = r#"profile = 1
[types.Deal]
id = "id"
[types.Deal.attributes]
owner = { at = "owner_id", as = "User", by = "crmId" }
[types.Deal.fields]
title = { sets = ["public"] }
amount = { sets = ["Deal.financial"], twins = ["amount_*"] }
"#;

#[test]
fn a_small_profile_loads() {
    let text = format!(
        "{DEAL}\n[[routes]]\nmatch = 'GET /deals/{{id:int}}'\naction = 'view'\nrecords = {{ at = '$', type = 'Deal', complete = true }}\n"
    );
    let profile = check(&text, &[]).unwrap();
    let (_, deal) = profile.type_named("Deal").unwrap();
    assert_eq!(deal.field_name(1), "Deal.amount");
    let tree = profile.tree("Deal").unwrap();
    assert_eq!(tree.meaning("amount_formatted"), tree::Meaning::Field(1));
    assert_eq!(tree.meaning("id"), tree::Meaning::Meta);
    assert_eq!(tree.meaning("risk"), tree::Meaning::Unknown);
}

#[test]
fn a_key_is_the_twin_of_one_field() {
    let text = format!("{DEAL}margin = {{ sets = ['public'], twins = ['*_text'] }}\n");
    let message =
        "profile.toml:2 the fields of `Deal` collide: a twin of `margin` may also be a twin of another field";
    check(&text, &[message]);
}

#[test]
fn the_most_restrictive_mask_of_a_fields_sets_wins() {
    let text = "profile = 1\n[field_sets]\npii = []\nbank = ['pii']\nplain = []\n[masks]\npii = 'x'\nbank = { keep_last = 4 }\n[types.Deal]\nid = 'id'\n[types.Deal.fields]\n\
        iban = { sets = ['bank'] }\nown = { sets = ['bank'], mask = { keep_last = 2, with = '*' } }\nfree = { sets = ['plain'] }\n";
    let profile = check(text, &[]).unwrap();
    let masks: Vec<Option<Mask>> = profile.types[0].fields.iter().map(|field| field.mask.clone()).collect();
    let own = Mask::KeepLast { count: 2, with: "*".to_owned() };
    assert_eq!(masks, [Some(Mask::Text("\"x\"".to_owned())), Some(own), None]);
}

#[test]
fn masks_that_nobody_knows_do_not_load() {
    let field = |field: &str| format!("{DEAL}phone = {{ sets = ['public'], {field} }}\n");
    check(
        &field("mask = { keep_first = 4 }"),
        &["profile.toml:9 `keep_first` is not a known key", "profile.toml:9 not a mask"],
    );
    check(&field("mask = { as = 'hash' }"), &["profile.toml:9 not a mask"]);
    check(&field("mask = { keep_last = 17 }"), &["profile.toml:9 `17` is outside of 1 to 16"]);
    let twins = "`phone` keeps the last characters, and its twins say the same in other forms, of which others would show";
    check(&field("mask = { keep_last = 4 }, twins = ['phone_text']"), &[&format!("profile.toml:9 {twins}")]);
    check(&format!("{DEAL}[masks]\nsecret = 'x'\n"), &["profile.toml:10 no field set is called `secret`"]);
}

#[test]
fn a_list_must_say_what_hidden_rows_do() {
    let text = format!(
        "{DEAL}\n[[routes]]\nmatch = 'GET /deals'\naction = 'list'\nrecords = {{ at = '$.data[*]', type = 'Deal' }}\n"
    );
    check(&text, &["profile.toml:11 `GET /deals` does not say what hidden rows do"]);
}

#[test]
fn routes_that_meet_must_state_their_order() {
    let routes = "[[routes]]\nmatch = 'GET /deals/{id}'\naction = 'view'\nrecords = { at = '$', type = 'Deal' }\n[[routes]]\nmatch = 'GET /deals/mine'\npass = 'a menu'\n";
    check(
        &format!("{DEAL}\n{routes}"),
        &["profile.toml:15 `GET /deals/{id}` and `GET /deals/mine` can match one request"],
    );
    check(&format!("{DEAL}\n{routes}over = 'GET /deals/{{id}}'\n"), &[]);
}

#[test]
fn names_must_resolve() {
    let routes = "[[routes]]\nmatch = 'PATCH /deals/{id}'\naction = 'edit'\ntype = 'Dael'\nbefore = 'GET /deals/{id}'\nwrites = { at = '$' }\n";
    check(
        &format!("{DEAL}\n{routes}"),
        &[
            "profile.toml:14 no route is called `GET /deals/{id}`",
            "profile.toml:13 no record type is called `Dael`",
        ],
    );
}

#[test]
fn a_change_needs_a_before_image() {
    let routes = "[[routes]]\nmatch = 'DELETE /deals/{id}'\naction = 'delete'\ntype = 'Deal'\n";
    check(
        &format!("{DEAL}\n{routes}"),
        &["profile.toml:11 `DELETE /deals/{id}` changes records without a before image"],
    );
}

/// What these make is not judged yet, by a route of their own, by a verb or as a further decision.
#[test]
fn what_cannot_be_judged_is_no_route() {
    for action in ["restore", "merge", "convert", "clone"] {
        let label = "POST /deals/{id:int}/x";
        let head = "match = 'POST /deals/{id:int}/x'\ntype = 'Deal'\nbefore = 'GET /deals/{id:int}'\n";
        let says = format!("profile.toml:15 `{label}`: `{action}` is not supported yet");
        let verbs = format!("{{ from = 'query.do', verbs = {{ x = {{ action = '{action}' }} }} }}");
        let also = format!("[{{ action = '{action}', when = {{ at = '$.x' }} }}]");
        check_route(&format!("{head}action = '{action}'\n"), &[&says]);
        check_route(&format!("{head}action = {verbs}\nquery = {{ do = 'harmless' }}\n"), &[&says]);
        check_route(&format!("{head}action = 'edit'\nwrites = {{ at = '$' }}\nalso = {also}\n"), &[&says]);
    }
}

#[track_caller]
fn check_route(route: &str, expected: &[&str]) {
    let image =
        "[[routes]]\nmatch = 'GET /deals/{id:int}'\naction = 'view'\nrecords = { at = '$', type = 'Deal' }\n";
    check(&format!("{DEAL}\n{image}[[routes]]\n{route}"), expected);
}

#[test]
fn a_list_describes_many_records() {
    check_route(
        "match = 'GET /deals'\naction = 'list'\nrecords = { at = '$.data', type = 'Deal' }\nhidden_rows = 'visible'\n",
        &["profile.toml:15 `GET /deals` lists records and describes one"],
    );
}

#[test]
fn conditions_tell_routes_apart_or_do_not() {
    let one = "match = 'GET /export'\nlabel = 'json'\naction = 'export'\ntype = 'Deal'\nwhen = { query = 'format', is = 'json' }\nquery = { format = 'harmless' }\n";
    let other = |when: &str| {
        format!(
            "{one}[[routes]]\nmatch = 'GET /export'\nlabel = 'csv'\naction = 'export'\ntype = 'Deal'\n{when}\n"
        )
    };
    check_route(&other("when = { query = 'format', is = ['csv', 'xls'] }"), &[]);
    check_route(&other("when = { query = 'format', absent = true }"), &[]);
    for when in [
        "",
        "when = { query = 'format', present = true }",
        "when = { header = 'x-format', is = 'csv' }\nheaders = { x-format = 'harmless' }",
    ] {
        check_route(&other(when), &["profile.toml:22 `json` and `csv` can match one request"]);
    }
    check_route(
        "match = 'GET /export'\naction = 'export'\ntype = 'Deal'\nwhen = { header = 'x-format', is = 'csv' }\n",
        &["profile.toml:15 `GET /export` looks at the header `x-format`, which is not forwarded"],
    );
    check_route(
        "match = 'GET /export'\naction = 'export'\ntype = 'Deal'\nwhen = { query = 'format', is = 'csv', absent = true }\n",
        &["profile.toml:18 this is no condition"],
    );
}

#[test]
fn errors_that_tell_of_a_record_stay_in() {
    check_route(
        "match = 'GET /deals/{id:int}/more'\naction = 'view'\nrecords = { at = '$', type = 'Deal' }\nerrors = [{ status = [409], keep = ['$.code'] }]\n",
        &["profile.toml:15 `GET /deals/{id:int}/more` lets the error 409 out"],
    );
}

#[test]
fn an_embedded_record_says_what_hides_it_and_a_derived_field_where_it_stands() {
    let text = |field: &str| format!("{DEAL}{field}\n");
    check(
        &text("next = { sets = ['public'], is = 'Deal' }"),
        &["profile.toml:9 `next` does not say what stands in the place of a hidden record"],
    );
    check(&text("next = { sets = ['public'], is = 'Deal', hide = 'null' }"), &[]);
    check(
        &text("odds = { sets = ['public'], derived_from = ['amount'] }"),
        &["profile.toml:9 `odds` derives from `amount` and shares no field set with it"],
    );
    check(&text("odds = { sets = ['Deal.financial'], derived_from = ['amount'] }"), &[]);
    check(
        &text("odds = { sets = ['public'], derived_from = ['nope'] }"),
        &["profile.toml:9 no field is called `nope`"],
    );
}

#[test]
fn headers_that_say_who_asks_are_never_forwarded() {
    let text = |headers: &str| format!("{DEAL}[headers]\n{headers}\n");
    check(&text("identity = ['x-crm-as']"), &[]);
    check(
        &text("identity = ['x-crm-as']\nrequest = ['X-CRM-As']"),
        &["profile.toml:1 the header `x-crm-as` is one of `identity` and never forwarded"],
    );
    check(
        &text("request = ['MSCRMCallerID']"),
        &["profile.toml:1 the header `mscrmcallerid` cannot be on a list of the profile"],
    );
}

#[test]
fn a_list_of_objects_is_an_attribute_with_one_place_in_each() {
    let text =
        |owner: &str| DEAL.replace("owner = { at = \"owner_id\", as = \"User\", by = \"crmId\" }", owner);
    check(&text("who = { at = ['m[*].id', 'm[*]'], as = 'set of User', by = 'crmId' }"), &[]);
    check(
        &text("who = { at = 'm[*].id', as = 'User' }"),
        &["profile.toml:5 `who` has many places and one value"],
    );
    check(
        &text("who = { at = ['m[*].id', 'n[*].id'], as = 'set of User' }"),
        &["profile.toml:5 these places are not in the items of one list"],
    );
}

/// What is kept leaves as it is, so it must not hold records.
#[test]
fn what_is_kept_holds_no_records() {
    let list = |records: &str, keep: &str| {
        format!(
            "match = 'GET /deals'\naction = 'list'\nrecords = {{ at = \"{records}\", type = 'Deal' }}\nkeep = [\"{keep}\"]\nhidden_rows = 'visible'\n"
        )
    };
    for (records, keep) in [
        ("$.data[*]", "$.data"),
        ("$.data[*]", "$['data']"),
        ("$.data[*]", "$['data'][*]"),
        ("$.data[*]", "$"),
        ("$.groups.*[*]", "$.groups.open"),
        ("$[*][*]", "$[0]"),
    ] {
        let expected =
            format!("profile.toml:15 `GET /deals` keeps `{keep}`, which holds the records of `{records}`");
        check_route(&list(records, keep), &[&expected]);
    }
    check_route(&list("$.data[*]", "$.page"), &[]);
    check_route(&list("$.data[*]", "$.*"), &[]);
}
