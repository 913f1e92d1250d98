//! Filters and orders in the forms of many CRMs: each field that they name is judged, and what is forwarded is written anew.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

use crate::any_crm::{Answer, AnyCrm};

/// Routes beside the demo's, each parameter in a form of its own.
const ROUTES: &str = r#"
[[routes]]
match   = "GET /v2/deals"
action  = "list"
records = { at = "$.data[*]", type = "Deal", complete = true }
hidden_rows = "visible"
[routes.query]
limit  = "paging"
pairs  = { role = "sort", form = "json-pairs" }
by     = { role = "sort", form = "colon-list", looks_at = { "Deal.company" = ["Company.name"] } }
fields = { role = "select", form = "json-list", encoding = "brackets" }
where  = { role = "filter", form = "triples", operators = ["=", ">", "in"], and = "AND", or = "OR", refused_values = ["@*"], record_ids = "numbers" }
d      = { role = "filter", form = "triples", encoding = "base64url", operators = ["=", ">"], and = "AND", or = "OR" }
domain = { role = "filter", form = "prefix", operators = ["=", ">"] }
filter = { role = "filter", form = "object", operators = ["_eq", "_gt"], and = "_and", or = "_or", not = "_not" }
q      = { role = "search", over = ["Deal.title", "Deal.notes", "Deal.internal_notes"], over_parameter = "in" }
rel    = { role = "filter", form = "object", operators = ["eq"], separator = "/", looks_at = { "Deal.title" = ["Deal.margin"] } }
"company__*" = { role = "filter", form = "operator-suffix", separator = "__" }
[routes.query.filters]
role = "filter"
form = "object"
encoding = "brackets"
operators = ["$eq", "$gt"]
and = "$and"
or = "$or"
[routes.query.tree]
role = "filter"
form = "tree"
encoding = "brackets"
name = "attribute"
operator = "type"
value = ["value"]
combinator = "type"
children = "value"
and = "and"
or = "or"
list = "and"
operators = ["equals", "greaterThan"]

[[routes]]
match   = "POST /v2/deals/search"
action  = "search"
records = { at = "$.results[*]", type = "Deal" }
totals  = [{ at = "$.total" }]
hidden_rows = "visible"
[routes.reads]
"$.filterGroups" = { role = "filter", form = "tree", list = "or", and = "filters", name = "propertyName", operator = "operator", value = ["value", "values", "highValue"], operators = ["EQ", "GT", "IN", "BETWEEN"] }
"$.sorts"      = { role = "sort", form = "json-objects", name = "propertyName", direction = "direction", directions = ["ASCENDING", "DESCENDING"] }
"$.properties" = { role = "select", form = "json-list", default = ["title"] }
"$.query"      = { role = "search", over = ["Deal.title"] }
"$.page.limit" = "paging"
"$.page.after" = "paging"
"$.owner"      = { role = "filter", form = "key", field = "owner_id" }
"$.lang"       = { role = "harmless", values = ["de", "en"] }
"$.client"     = "ignored"
"#;

async fn crm() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| {
            let options = options.set("limits", "filter_clauses", 3).set("limits", "filter_depth", 4);
            options.edit("bundle/profile.toml", |profile| profile + ROUTES)
        })
        .await;
    (crm, sidecar)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn decoded(target: &str) -> String {
    percent(target.split(' ').nth(1).unwrap())
}

fn percent(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        bytes.push(match byte {
            b'%' => hex(rest.next().unwrap()) * 16 + hex(rest.next().unwrap()),
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// What is forwarded of parameters, or why they are refused; each written as `name=value`, unescaped.
async fn asked(
    (crm, sidecar): &(AnyCrm, TestSidecar),
    person: &str,
    parameters: &[(&str, &str)],
) -> Result<String, String> {
    crm.answers(Answer::json(br#"{"data":[]}"#.to_vec()));
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let reply = sidecar.as_person(person).get(&format!("/v2/deals?{}", pairs.join("&"))).await;
    outcome(&reply, crm)?;
    let seen = crm.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    Ok(decoded(&seen[0]).strip_prefix("/v2/deals?").unwrap_or_default().to_owned())
}

fn outcome(reply: &TestReply, crm: &AnyCrm) -> Result<(), String> {
    match reply.status {
        200 => Ok(()),
        _ => {
            assert!(crm.seen().is_empty(), "a refusal comes before anything ran: {:?}", crm.seen());
            Err(reply.reason())
        }
    }
}

#[tokio::test]
async fn what_is_read_whole_is_written_anew() {
    let rig = crm().await;
    for (name, value, expected) in [
        ("pairs", r#" [["amount","DESC"], ["title"]] "#, r#"pairs=[["amount","DESC"],["title"]]"#),
        ("by", "amount:desc,company", "by=amount:desc,company"),
        ("where", r#"["amount",">", 5.0]"#, r#"where=[["amount",">",5.0]]"#),
        (
            "where",
            r#"["OR",["company.name","=","\u0048"],["amount","in",[1,2]]]"#,
            r#"where=["OR",["company.name","=","H"],["amount","in",[1,2]]]"#,
        ),
        ("where", "[ ]", "where=[]"),
        ("where", r#"[["company","=",7]]"#, r#"where=[["company","=",7]]"#),
        // [["margin",">",1]] with a space and without padding.
        ("d", "W1sibWFyZ2luIiwgIj4iLDFdXQ", "d=W1sibWFyZ2luIiwiPiIsMV1d"),
        (
            "domain",
            r#"["|",["title","=","x"],["amount",">",1]]"#,
            r#"domain=["|",["title","=","x"],["amount",">",1]]"#,
        ),
        (
            "filter",
            r#"{"_or":[{"title":{"_eq":"x"}},{"company":{"name":{"_eq":"y"}}}]}"#,
            r#"filter={"_or":[{"title":{"_eq":"x"}},{"company":{"name":{"_eq":"y"}}}]}"#,
        ),
        ("rel", r#"{"company/name":{"eq":1}}"#, r#"rel={"company/name":{"eq":1}}"#),
        ("company__name__contains", "x", "company__name__contains=x"),
        ("filters[$or][0][amount][$gt]", "5", "filters[$or][0][amount][$gt]=5"),
        ("q", "x", "q=x&in=title,notes,internal_notes"),
    ] {
        assert_eq!(asked(&rig, "admin", &[(name, value)]).await.as_deref(), Ok(expected), "{name}={value}");
    }
    let tree = [
        ("tree[0][value][0][value]", "5"),
        ("tree[0][value][0][type]", "greaterThan"),
        ("tree[0][value][0][attribute]", "amount"),
        ("limit", "5"),
        ("tree[0][type]", "or"),
    ];
    let written = "tree[0][type]=or&tree[0][value][0][attribute]=amount&tree[0][value][0][type]=greaterThan\
                   &tree[0][value][0][value]=5&limit=5";
    assert_eq!(asked(&rig, "admin", &tree).await.as_deref(), Ok(written));
    // What policy needs stands in the same form.
    let selected =
        asked(&rig, "admin", &[("fields[0]", "title"), ("fields[1]", "company.name")]).await.unwrap();
    assert!(selected.starts_with("fields[0]=title&fields[1]=company.name&fields[2]="), "{selected}");
}

/// In the same words whether a field is hidden, does not exist, or stands in something that is not understood.
#[tokio::test]
async fn what_names_a_hidden_field_is_refused_wherever_it_stands() {
    let rig = crm().await;
    for (name, value) in [
        ("pairs", r#"[["amount","DESC"]]"#),
        ("by", "amount"),
        ("where", r#"[["amount",">",5]]"#),
        ("where", r#"[["title","=","x"],["OR",["title","=","y"],["AND",["amount","=",1]]]]"#),
        ("d", "W1sibWFyZ2luIiwgIj4iLDFdXQ"),
        ("domain", r#"["!",["amount",">",1]]"#),
        ("filter", r#"{"_not":{"amount":{"_gt":1}}}"#),
        ("filter", r#"{"company":{"credit_limit":{"_gt":1}}}"#),
        ("filters[$and][0][amount][$gt]", "5"),
        ("tree[0][attribute]", "amount"),
        ("company__credit_limit__gt", "5"),
        // What the CRM looks at besides.
        ("rel", r#"{"title":{"eq":"x"}}"#),
    ] {
        assert_eq!(
            asked(&rig, "service", &[(name, value)]).await,
            Err("reference-refused".to_owned()),
            "{name}={value}"
        );
    }
    let allowed = asked(&rig, "service", &[("where", r#"[["title","=","x"]]"#)]).await;
    assert_eq!(allowed.as_deref(), Ok(r#"where=[["title","=","x"]]"#));
}

#[tokio::test]
async fn what_is_not_understood_whole_is_refused_for_everybody() {
    let rig = crm().await;
    for (name, value) in [
        ("where", r#"[["title","=","x"]] "x""#),
        ("where", r#"[["title","=","x"]]/**/"#),
        ("where", r#"[["title","like","x"]]"#),
        ("where", r#"[["title","=","@amount"]]"#),
        ("where", r#"[["title","=",{"field":"amount"}]]"#),
        ("where", r#"[["company","=","Harbor"]]"#),
        ("where", r#"[["nosuch","=",1]]"#),
        ("where", r#"[["title","=",1,"Company"]]"#),
        ("pairs", r#"[["company","asc"]]"#),
        ("d", "W1sibWFyZ2luIiwgIj4iLDFdXQ===="),
        ("d", "W1sibWFyZ2luIiwgIj4iLDFdXR"),
        ("filter", r#"{"title":{"_eq":"x","_eq":"y"}}"#),
        ("filter", r#"{"title":{"_eq":"x","\u005feq":"y"}}"#),
        ("filter", r#"{"title":{"_regex":"x"}}"#),
        ("filter", r#"{"title":"x"}"#),
        ("filters", "x"),
        ("filters[title", "x"),
        ("filters[title][$eq][", "x"),
        ("filters[title][$ne]", "x"),
        ("tree[1][attribute]", "title"),
        ("company__name__regex", "x"),
    ] {
        assert_eq!(
            asked(&rig, "admin", &[(name, value)]).await,
            Err("reference-refused".to_owned()),
            "{name}={value}"
        );
    }
    let twice = [("filters[title][$eq]", "x"), ("filters[title][$eq]", "y")];
    assert_eq!(asked(&rig, "admin", &twice).await, Err("reference-refused".to_owned()));
    let twice = [("where", "[]"), ("where", "[]")];
    assert_eq!(asked(&rig, "admin", &twice).await, Err("query-repeated".to_owned()));
}

#[tokio::test]
async fn limits_of_filters_hold() {
    let rig = crm().await;
    let clause = r#"["title","=","x"]"#;
    for (text, is_within) in [
        (format!("[{}]", [clause; 3].join(",")), true),
        (format!("[{}]", [clause; 4].join(",")), false),
        (format!(r#"[["AND",["AND",["AND",{clause}]]]]"#), true),
        (format!(r#"[["AND",["AND",["AND",["AND",{clause}]]]]]"#), false),
    ] {
        let found = asked(&rig, "admin", &[("where", &text)]).await;
        let expected =
            if is_within { Ok(format!("where={text}")) } else { Err("filter-too-large".to_owned()) };
        assert_eq!(found, expected, "{text}");
    }
}

/// A search that can be told where to look is told to look at what its caller may read everywhere.
#[tokio::test]
async fn a_search_looks_only_where_its_caller_may() {
    let rig = crm().await;
    assert_eq!(asked(&rig, "service", &[("q", "x")]).await.as_deref(), Ok("q=x&in=title,notes"));
    // Rows are hidden from a rep, and what is found tells of them.
    assert_eq!(asked(&rig, "rep-east", &[("q", "x")]).await, Err("reference-refused".to_owned()));
    assert_eq!(asked(&rig, "admin", &[("in", "margin")]).await, Err("query-undeclared".to_owned()));
}

/// What is forwarded of a body, or why it is refused.
async fn searched(
    (crm, sidecar): &(AnyCrm, TestSidecar),
    person: &str,
    body: &str,
) -> Result<String, String> {
    crm.answers(Answer::json(
        br#"{"total":2,"results":[{"id":42,"title":"t","owner_id":1,"margin":5}]}"#.to_vec(),
    ));
    let reply = sidecar.as_person(person).post("/v2/deals/search", body).await;
    outcome(&reply, crm)?;
    assert_eq!(crm.seen(), ["POST /v2/deals/search HTTP/1.1"]);
    let answer = reply.json();
    assert!(answer.get("total").is_none() && answer["results"][0].get("owner_id").is_none(), "{answer}");
    Ok(crm.bodies().concat())
}

#[tokio::test]
async fn a_search_by_body_is_judged_and_written_anew() {
    let rig = crm().await;
    let needed = r#""owner_id""#;
    let body = r#"{ "filterGroups" : [{"filters":[{"value":"5","propertyName":"amount","operator":"GT"}]}],
        "sorts":[{"propertyName":"amount","direction":"DESCENDING"}], "client":"x", "properties":["title"],
        "query":"storage", "page":{"limit":10,"after":"0"}, "owner":1, "lang":"de" }"#;
    let forwarded = searched(&rig, "admin", body).await.unwrap();
    let expected = r#"{"filterGroups":[{"filters":[{"propertyName":"amount","operator":"GT","value":"5"}]}],"sorts":[{"propertyName":"amount","direction":"DESCENDING"}],"query":"storage","page":{"limit":10,"after":"0"},"owner":1,"lang":"de","properties":["title""#;
    assert!(forwarded.starts_with(expected) && forwarded.contains(needed), "{forwarded}");
    // Without a projection of the caller's own the CRM's, and what policy needs.
    let forwarded = searched(&rig, "admin", "{}").await.unwrap();
    assert!(forwarded.starts_with(r#"{"properties":["title","#) && forwarded.contains(needed), "{forwarded}");
}

#[tokio::test]
async fn a_body_that_refers_to_what_is_hidden_is_refused() {
    let rig = crm().await;
    for (body, reason) in [
        (
            r#"{"filterGroups":[{"filters":[{"propertyName":"amount","operator":"GT","value":"5"}]}]}"#,
            "reference-refused",
        ),
        (r#"{"sorts":[{"propertyName":"margin"}]}"#, "reference-refused"),
        (r#"{"sorts":[{"propertyName":"title","direction":"up"}]}"#, "reference-refused"),
        (r#"{"properties":["nosuch"]}"#, "reference-refused"),
        (r#"{"properties":"title"}"#, "reference-refused"),
        (r#"{"page":{"limit":{"a":1}}}"#, "reference-refused"),
        (r#"{"lang":"fr"}"#, "reference-refused"),
        (r#"{"owner":{"$ne":1}}"#, "reference-refused"),
        (r#"{"query":["x"]}"#, "reference-refused"),
        (r#"{"page":{"limit":1,"x":1}}"#, "body-shape"),
        (r#"{"page":1}"#, "body-shape"),
        (r#"{"filters":[]}"#, "body-shape"),
        (r#"{"sorts":[],"\u0073orts":[]}"#, "json-duplicate-key"),
        ("[]", "body-shape"),
        ("", "body-missing"),
    ] {
        assert_eq!(searched(&rig, "service", body).await, Err(reason.to_owned()), "{body}");
    }
    let (_, sidecar) = &rig;
    assert_eq!(sidecar.as_person("service").get("/v2/deals/search").await.reason(), "route-unmapped");
    // The ledger knows the places, not what stands there.
    let reply = sidecar
        .as_person("service")
        .post("/v2/deals/search", r#"{"sorts":[{"propertyName":"margin"}]}"#)
        .await;
    let decision = sidecar.ledger().decision(&reply).clone();
    assert_eq!(decision["query"], serde_json::json!(["$.sorts"]));
    assert!(!decision.to_string().contains("margin"));
}
