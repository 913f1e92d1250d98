//! What a route says of the fields that it writes: what loads, and the problems of what does not.

use super::tests::load;

/// A profile with a replacement, which stands in line 16.
#[track_caller]
fn check(image: &str, replacement: &str, expected: &[&str]) {
    let text = format!(
        "profile = 1
[types.Deal]
id = 'id'
[types.Deal.attributes]
owner = {{ at = 'owner.id', as = 'User' }}
[types.Deal.fields]
title = {{ sets = ['public'] }}
[[routes]]
match = 'GET /deals/{{id:int}}'
action = 'view'
{image}
[[routes]]
action = 'edit'
type = 'Deal'
before = 'GET /deals/{{id:int}}'
match = 'PUT /deals/{{id:int}}'
{replacement}
"
    );
    assert_eq!(load(&text).1, expected, "{replacement}");
}

const WHOLE: &str = "records = { at = '$', type = 'Deal', complete = true }";
const PINNED: &str = "version = { from = 'header.etag', to = 'header.if-match' }";
const KEEPS: &str = "writes = { semantics = 'replace', hidden = 'keep', ignored = ['stats'] }";

#[test]
fn hidden_values_are_kept_at_a_version_of_the_whole_record() {
    let keeps = |why: &str| format!("profile.toml:16 `PUT /deals/{{id:int}}` keeps hidden values {why}");
    check(WHOLE, &format!("{PINNED}\n{KEEPS}"), &[]);
    check(WHOLE, KEEPS, &[&keeps("without a version")]);
    check(WHOLE, &format!("version = 'read-again'\n{KEEPS}"), &[&keeps("without a version")]);
    check(WHOLE, &format!("{PINNED}\n{KEEPS}\nbody = ['json', 'form']"), &[&keeps("in a form")]);
    let merge = KEEPS.replace("replace", "merge");
    check(WHOLE, &format!("{PINNED}\n{merge}"), &[&keeps("and merges, which erases none")]);
    let in_part = keeps("of a record that is not answered as a whole");
    check(&WHOLE.replace(", complete = true", ""), &format!("{PINNED}\n{KEEPS}"), &[&in_part]);
    let projected = "query = { fields = { role = 'select', form = 'comma-list', default = ['id'] } }";
    let lower = in_part.replace(":16 ", ":17 ");
    check(&format!("{WHOLE}\n{projected}"), &format!("{PINNED}\n{KEEPS}"), &[&lower]);
    let other = KEEPS.replace("'keep'", "'merge'");
    check(
        WHOLE,
        &format!("{PINNED}\n{other}"),
        &["profile.toml:18 `merge` is not what becomes of hidden values"],
    );
}

#[test]
fn what_policies_look_at_is_not_ignored() {
    check(
        WHOLE,
        "writes = { ignored = ['owner', 'stats'] }",
        &["profile.toml:16 `owner` is ignored, and the attribute `owner` is taken from it"],
    );
}

/// Of several places only the first would be judged, and all of them would reach the CRM.
#[test]
fn what_is_judged_stands_at_one_place() {
    let many = |at: &str| format!("profile.toml:16 `PUT /deals/{{id:int}}` looks at many places, `{at}`");
    check(WHOLE, "writes = { at = '$.deals[*]' }", &[&many("$.deals[*]")]);
    check(WHOLE, "writes = { at = '$.*' }", &[&many("$.*")]);
    check(
        WHOLE,
        "writes = { at = '$' }\nalso = [{ action = 'delete', when = { at = '$.flags[*].deleted', is = [true] } }]",
        &[&many("$.flags[*].deleted")],
    );
    check(WHOLE, "writes = { at = '$.args[0]' }", &[]);
}

/// Records are left out only of a list of ids in JSON, and only where the answer can name them.
#[test]
fn what_is_left_out_is_listed_and_named() {
    let label = "`PUT /deals/{id:int}`";
    let bulk = |more: &str| format!("id = 'body.$.ids[*]'\nwrites = {{ at = '$.set' }}\n{more}");
    let says = |why: &str| format!("profile.toml:16 {label} {why}");
    check(WHOLE, &bulk("prune = '$.refused'\nkeep = ['$.updated']"), &[]);
    check(WHOLE, "writes = { at = '$' }\nprune = '$.refused'", &[&says("leaves records out and lists none")]);
    check(WHOLE, &bulk("prune = '$.refused'\nbody = 'form'"), &[&says("leaves records out of a form")]);
    for at in ["$", "$.a.b", "$.a[*]"] {
        let why = says("does not answer an object that could name them");
        check(WHOLE, &bulk(&format!("prune = '{at}'")), &[&why]);
    }
    for keep in ["$.refused", "$.refused[0]"] {
        let why =
            says("names the records that it leaves out in `$.refused`, where the CRM answers something");
        check(WHOLE, &bulk(&format!("prune = '$.refused'\nkeep = ['{keep}']")), &[&why]);
    }
}

#[test]
fn what_creates_or_changes_is_held_to_one_of_both() {
    let says = |why: &str| format!("profile.toml:16 `PUT /deals/{{id:int}}` creates what is missing {why}");
    let upsert = "writes = { at = '$' }\nmissing = 'create'\n";
    let unheld = says("without the condition that it is missing");
    check(WHOLE, &format!("{upsert}{PINNED}"), &[]);
    check(WHOLE, upsert, &[&unheld]);
    check(WHOLE, &format!("{upsert}version = 'read-again'"), &[&unheld]);
    check(WHOLE, &format!("{upsert}version = {{ from = 'header.etag', to = 'body.$.v' }}"), &[&unheld]);
    check(WHOLE, &format!("missing = 'create'\n{PINNED}"), &[&says("and is no edit of one record")]);
    let other = upsert.replace("'create'", "'make'");
    check(WHOLE, &other, &["profile.toml:18 `make` is not what a change of a missing record is"]);
}

#[test]
fn what_is_linked_to_is_a_type_and_the_link_a_change() {
    let put = "profile.toml:16 `PUT /deals/{id:int}`";
    let at = |link: &str| format!("writes = {{ at = '$' }}\nlinks = [{link}]");
    let none = format!("{put} has no parameter `other`");
    check(WHOLE, &at("{ type = 'Deal', id = 'body.$.other' }"), &[]);
    check(WHOLE, &at("{ type = 'Deal', id = 'path.other' }"), &[&none]);
    check(
        WHOLE,
        &at("{ type = 'Dael', id = 'path.id' }"),
        &["profile.toml:18 no record type is called `Dael`"],
    );
}
