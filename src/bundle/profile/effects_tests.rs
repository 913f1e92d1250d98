//! Routes to one effect: each asks for the action that the others ask for.

use super::tests::load;

/// A deal with a route that asks for `assign` where the owner changes, and one more route.
#[track_caller]
fn check(other: &str, expected: &[&str]) {
    let text = format!(
        "profile = 1
[types.Deal]
id = 'id'
[types.Deal.fields]
owner_id = {{ sets = ['public'] }}
[types.Note]
id = 'id'
[[routes]]
match = 'GET /deals/{{id:int}}'
action = 'view'
records = {{ at = '$', type = 'Deal' }}
[[routes]]
match = 'PATCH /deals/{{id:int}}'
action = 'edit'
type = 'Deal'
before = 'GET /deals/{{id:int}}'
writes = {{ at = '$' }}
also = [{{ action = 'assign', when = {{ at = '$.owner_id', changes = true }} }}, {{ action = 'delete', when = {{ at = '$.deleted', is = [true] }} }}]
[[routes]]
before = 'GET /deals/{{id:int}}'
{other}
"
    );
    assert_eq!(load(&text).1, expected, "{other}");
}

const PUT: &str = "match = 'PUT /deals/{id:int}'\naction = 'edit'\ntype = 'Deal'\n";
const ASSIGN: &str = "{ action = 'assign', when = { at = '$.deal.owner_id', changes = true } }";
const DELETE: &str = "{ action = 'delete', when = { at = '$.deal.deleted', is = [true] } }";
const NO_ASSIGN: &str = "profile.toml:21 `PUT /deals/{id:int}` writes `owner_id` without `assign`, which `PATCH /deals/{id:int}` asks for";
const NO_DELETE: &str = "profile.toml:21 `PUT /deals/{id:int}` writes `deleted` without `delete`, which `PATCH /deals/{id:int}` asks for";

#[test]
fn each_route_asks_for_what_the_others_ask_for() {
    let put = |also: &str| format!("{PUT}writes = {{ at = '$.deal' }}\nalso = [{also}]");
    check(&put(&format!("{ASSIGN}, {DELETE}")), &[]);
    check(&put(ASSIGN), &[NO_DELETE]);
    check(&put(""), &[NO_ASSIGN, NO_DELETE]);
    // Whatever stands there is broader than one value: then the one that asks at one value lacks something.
    let narrower =
        NO_DELETE.replace(":21 ", ":13 ").replace("PUT", "X").replace("PATCH", "PUT").replace('X', "PATCH");
    check(&put(&format!("{ASSIGN}, {}", DELETE.replace(", is = [true]", ""))), &[&narrower]);
    check(&put(&format!("{ASSIGN}, {}", DELETE.replace("true", "1"))), &[&narrower, NO_DELETE]);
    // The same place of the body is not the same key of the record.
    check(&put(&format!("{}, {DELETE}", ASSIGN.replace("$.deal", "$"))), &[NO_ASSIGN]);
    // What the CRM takes no notice of has no effect.
    check(&format!("{PUT}writes = {{ at = '$', ignored = ['owner_id', 'deleted'] }}"), &[]);
}

#[test]
fn only_changes_of_the_same_type_are_compared() {
    let create = "match = 'POST /deals'\naction = 'create'\ntype = 'Deal'\nwrites = { at = '$' }";
    check(create, &[]);
    check(&PUT.replace("'Deal'", "'Note'").replace("'edit'", "'edit'\nwrites = { at = '$' }"), &[]);
    let moves = "match = 'POST /deals/{id:int}/assign'\naction = 'assign'\ntype = 'Deal'\nwrites = { at = '$', ignored = ['deleted'] }";
    check(moves, &[]);
    let any = "match = 'PUT /any/{type}/{id:int}'\naction = 'edit'\ntype = { from = 'path.type' }\nwrites = { at = '$' }";
    let to = |text: &str| text.replace("PUT /deals/{id:int}", "PUT /any/{type}/{id:int}");
    check(any, &[&to(NO_ASSIGN), &to(NO_DELETE)]);
}
