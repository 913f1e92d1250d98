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
    let moves = "match = 'POST /deals/{id:int}/assign'\naction = 'assign'\ncovers = ['owner_id']\ntype = 'Deal'\nwrites = { at = '$', ignored = ['deleted'] }";
    check(moves, &[]);
    // What is known and refused can do nothing.
    check(&format!("{PUT}writes = {{ at = '$' }}\nrefuse = 'later'"), &[]);
    let any = "match = 'PUT /any/{type}/{id:int}'\naction = 'edit'\ntype = { from = 'path.type' }\nwrites = { at = '$' }";
    let to = |text: &str| text.replace("PUT /deals/{id:int}", "PUT /any/{type}/{id:int}");
    check(any, &[&to(NO_ASSIGN), &to(NO_DELETE)]);
}

const TEAM: &str = "profile = 1
[types.Deal]
id = 'id'
[types.Deal.fields]
owner_id = { sets = ['public'] }
'team.id' = { sets = ['public'] }
[[routes]]
match = 'GET /deals/{id:int}'
action = 'view'
records = { at = '$', type = 'Deal' }
[[routes]]
match = 'PATCH /deals/{id:int}'
action = 'edit'
type = 'Deal'
before = 'GET /deals/{id:int}'
writes = { at = '$' }
";

/// A route that may write every field of a deal, and one with an action of its own.
#[track_caller]
fn check_door(door: &str, expected: &[&str]) {
    let text = format!("{TEAM}[[routes]]\ntype = 'Deal'\nbefore = 'GET /deals/{{id:int}}'\n{door}\n");
    assert_eq!(load(&text).1, expected, "{door}");
}

#[test]
fn an_action_of_its_own_is_asked_for_by_every_route_that_writes_what_it_covers() {
    let door = |keys: &str| format!("match = 'POST /deals/{{id:int}}/assign'\naction = 'assign'\n{keys}");
    let lacks = |key: &str, action: &str, label: &str| {
        format!(
            "profile.toml:12 `PATCH /deals/{{id:int}}` writes `{key}` without `{action}`, which `{label}` asks for"
        )
    };
    let assign = "POST /deals/{id:int}/assign";
    check_door(&door("covers = ['owner_id']"), &[&lacks("owner_id", "assign", assign)]);
    let both = [lacks("owner_id", "assign", assign), lacks("team", "assign", assign)];
    check_door(&door("covers = ['owner_id', 'team']"), &[&both[0], &both[1]]);
    check_door(&door("covers = []"), &[]);
    let by_verb = "match = 'POST /deals/{id:int}/{verb}'\naction = { from = 'path.verb', verbs = { give = { action = 'share', covers = ['team.id'] }, note = { action = 'comment' } } }";
    check_door(by_verb, &[&lacks("team.id", "share", "POST /deals/{id:int}/{verb} give")]);
    let removes = "match = 'DELETE /deals/{id:int}'\naction = 'delete'\ncovers = ['owner_id']";
    check_door(removes, &[&lacks("owner_id", "delete", "DELETE /deals/{id:int}")]);
    // Whatever the team's key says is covered where all of it may change.
    let also = "also = [{ action = 'assign', when = { at = '$.owner_id', changes = true } }]\n";
    let asks = format!(
        "{TEAM}{also}[[routes]]\ntype = 'Deal'\nbefore = 'GET /deals/{{id:int}}'\n{}\n",
        door("covers = ['owner_id']")
    );
    assert!(load(&asks).1.is_empty(), "{:?}", load(&asks).1);
}

#[test]
fn what_an_action_covers_is_said_and_exists() {
    let door =
        |action: &str, keys: &str| format!("match = 'POST /deals/{{id:int}}/x'\naction = '{action}'\n{keys}");
    for action in ["assign", "share", "relate"] {
        let silent =
            format!("profile.toml:20 `POST /deals/{{id:int}}/x` does not say what `{action}` covers");
        check_door(&door(action, "links = [{ type = 'Deal', id = 'path.id' }]"), &[&silent]);
    }
    check_door(&door("comment", ""), &[]);
    check_door(&door("edit", ""), &[]);
    let unknown = "profile.toml:20 `POST /deals/{id:int}/x` covers `owner`, where no field stands";
    let besides = "profile.toml:12 `PATCH /deals/{id:int}` writes `owner` without `assign`, which `POST /deals/{id:int}/x` asks for";
    check_door(&door("assign", "covers = ['owner']"), &[unknown, besides]);
    let moves = "profile.toml:20 `POST /deals/{id:int}/x` covers keys, and `moveStage` cannot";
    check_door(&door("moveStage", "to = { at = '$.stage' }\ncovers = ['owner_id']"), &[moves]);
    let verbs = "match = 'POST /deals/{id:int}/{verb}'\naction = { from = 'path.verb', verbs = { note = { action = 'comment' } } }\ncovers = ['owner_id']";
    check_door(verbs, &["profile.toml:20 `POST /deals/{id:int}/{verb}` covers keys beside its verbs"]);
}

#[test]
fn two_routes_without_bodies_ask_for_one_action() {
    let take = "match = 'POST /deals/{id:int}/take'\naction = 'edit'\ncovers = ['owner_id']\n";
    let assign = "[[routes]]\nmatch = 'POST /deals/{id:int}/assign'\naction = 'assign'\ntype = 'Deal'\nbefore = 'GET /deals/{id:int}'\ncovers = ['owner_id']";
    let lacks = "profile.toml:20 `POST /deals/{id:int}/take` writes `owner_id` without `assign`, which `POST /deals/{id:int}/assign` asks for";
    let patch = "profile.toml:12 `PATCH /deals/{id:int}` writes `owner_id` without `assign`, which `POST /deals/{id:int}/assign` asks for";
    check_door(&format!("{take}{assign}"), &[patch, lacks]);
}

/// What relates says what it relates to: by `links`, or by a key of the body that holds ids.
#[test]
fn a_relation_has_two_ends() {
    let relate = |more: &str| format!("match = 'POST /deals/{{id:int}}/x'\naction = 'relate'\n{more}");
    let one_end = "profile.toml:20 `POST /deals/{id:int}/x` relates and does not say to what";
    check_door(&relate("covers = []"), &[one_end]);
    check_door(&relate("covers = []\nlinks = [{ type = 'Deal', id = 'path.id' }]"), &[]);
    let by_key = |field: &str| {
        let also = "also = [{ action = 'relate', when = { at = '$.owner_id', changes = true } }]\n";
        let fields = TEAM
            .replace("owner_id = { sets = ['public']", &format!("owner_id = {{ sets = ['public']{field}"));
        let door = relate("covers = ['owner_id']\nwrites = { at = '$' }");
        load(&format!("{fields}{also}[[routes]]\ntype = 'Deal'\nbefore = 'GET /deals/{{id:int}}'\n{door}\n"))
            .1
    };
    assert_eq!(by_key(", id_of = 'Deal'"), Vec::<String>::new());
    assert_eq!(by_key(""), [one_end.replace(":20 ", ":21 ")]);
}
