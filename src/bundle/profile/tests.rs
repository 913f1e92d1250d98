//! Profiles that load, and the problems of those that do not.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Option<Profile> {
    let mut problems = Problems::default();
    let profile = Profile::load(&SourceFile::new("profile.toml", text), &mut problems);
    let found: Vec<String> =
        problems.iter().map(|p| format!("{} {p}", p.place().unwrap_or_default())).collect();
    assert_eq!(found, expected);
    profile
}

const DEAL: &str = r#"profile = 1
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
