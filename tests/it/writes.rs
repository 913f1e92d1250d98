//! Writes: what policy permits is forwarded as it was sent, everything else leaves no request at the CRM.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use serde_json::{Value, json};

/// What becomes of a write.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The CRM gets this body.
    Forwarded(&'static str),
    /// Nothing reaches the CRM; status and reason.
    No(u16, &'static str),
}
use Then::{Forwarded, No};

const FIELDS: Then = No(403, "fields-denied");
const DENIED: Then = No(403, "denied");
const MOVE: Then = No(403, "stage-move-denied");
const STAGE: Then = No(422, "stage-unknown");
const CONFLICT: Then = No(400, "id-conflict");
const SHAPE: Then = No(400, "body-shape");

type Case = (&'static str, &'static str, &'static str, &'static str, Then);

async fn check_all(sidecar: &TestSidecar, cases: &[Case]) {
    for case in cases {
        check(sidecar, case).await;
    }
}

async fn check(sidecar: &TestSidecar, case: &Case) {
    let (person, method, target, body, then) = *case;
    sidecar.crm().reset();
    let before = sidecar.crm_caller().get("/api/deals").await;
    let reply = sidecar.as_person(person).send(method, target, body).await;
    let writes: Vec<_> =
        sidecar.crm().requests().into_iter().filter(|request| request.method != http::Method::GET).collect();
    match then {
        Forwarded(expected) => {
            assert!(reply.status < 300, "{case:?}: {} {}", reply.status, reply.text());
            let bodies: Vec<&str> =
                writes.iter().map(|write| std::str::from_utf8(&write.body).unwrap()).collect();
            assert_eq!(bodies, [expected], "{case:?}");
            assert_eq!((writes[0].method.as_str(), writes[0].target.as_str()), (method, target), "{case:?}");
        }
        No(status, reason) => {
            assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{case:?}");
            assert!(writes.is_empty(), "{case:?} reached the CRM: {writes:?}");
            assert_eq!(sidecar.crm_caller().get("/api/deals").await.text(), before.text(), "{case:?}");
            check_refusal(sidecar, &reply, reason);
        }
    }
}

fn check_refusal(sidecar: &TestSidecar, reply: &TestReply, reason: &str) {
    let ledger = sidecar.ledger();
    let decision = ledger.decision(reply);
    assert_eq!(decision["reason"], reason);
    assert_ne!(decision["effect"], "allow");
}

#[tokio::test]
async fn fields_of_a_patch() {
    let sidecar = TestSidecar::start().await;
    let at = "/api/deals/42";
    check_all(
        &sidecar,
        &[
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"title":"N\u00e9w","amount":1.50}"#,
                Forwarded(r#"{"title":"N\u00e9w","amount":1.50}"#),
            ),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"amount":null,"tags":[]}"#,
                Forwarded(r#"{"amount":null,"tags":[]}"#),
            ),
            ("rep-east", "PATCH", at, "{}", Forwarded("{}")),
            ("rep-east", "PATCH", at, r#"{"margin":1}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"title":"x","margin":1}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"margin":31250.25}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"risk_score":73}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"no_such_field":1}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"Title":"x"}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"amount_formatted":"1"}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"margin_pct":25.0}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"contact":{"id":101,"email":"x"}}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"owner":{"id":2}}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"version":2}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"strategic":true}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"team_id":20}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"address.street":"x"}"#, FIELDS),
            // What the caller was shown and sends back as it is, is left out.
            ("rep-east", "PATCH", at, r#"{"strategic":false,"title":"x"}"#, Forwarded(r#"{"title":"x"}"#)),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"version":1,"title":"x","team_id":10}"#,
                Forwarded(r#"{"title":"x"}"#),
            ),
            (
                "manager-east",
                "PATCH",
                at,
                r#"{"margin":31250.250,"title":"x"}"#,
                Forwarded(r#"{"title":"x"}"#),
            ),
            ("manager-east", "PATCH", at, r#"{"margin":31250.26}"#, FIELDS),
            ("admin", "PATCH", at, r#"{"margin":9}"#, Forwarded(r#"{"margin":9}"#)),
            // Parts of an object; and what is no object in its place.
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"address":{"street":"Pier 8"}}"#,
                Forwarded(r#"{"address":{"street":"Pier 8"}}"#),
            ),
            ("rep-east", "PATCH", at, r#"{"address":{"street":"x","floor":2}}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"address":null}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"address":[]}"#, FIELDS),
            // The id.
            ("rep-east", "PATCH", at, r#"{"id":43,"title":"x"}"#, CONFLICT),
            ("rep-east", "PATCH", at, r#"{"id":"042","title":"x"}"#, CONFLICT),
            ("rep-east", "PATCH", at, r#"{"id":null,"title":"x"}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"id":[42],"title":"x"}"#, FIELDS),
            // No object.
            ("rep-east", "PATCH", at, "[]", SHAPE),
            ("rep-east", "PATCH", at, "null", SHAPE),
            ("rep-east", "PATCH", at, r#""title""#, SHAPE),
            ("rep-east", "PATCH", at, "", No(400, "body-missing")),
            // Who may not edit, or not any more.
            ("service", "PATCH", at, r#"{"title":"x"}"#, DENIED),
            ("service", "PATCH", at, "{}", DENIED),
            ("rep-east", "PATCH", "/api/deals/15", r#"{"amount":1}"#, FIELDS),
            ("manager-east", "PATCH", "/api/deals/15", r#"{"amount":1}"#, Forwarded(r#"{"amount":1}"#)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_stage_moves_by_every_route_alike() {
    let sidecar = TestSidecar::start().await;
    let (at, by) = ("/api/deals/42", "/api/deals/42/move");
    check_all(
        &sidecar,
        &[
            ("rep-east", "POST", by, r#"{"stage":"negotiation"}"#, Forwarded(r#"{"stage":"negotiation"}"#)),
            ("rep-east", "PATCH", at, r#"{"stage":"negotiation"}"#, Forwarded(r#"{"stage":"negotiation"}"#)),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"stage":"proposal","title":"x"}"#,
                // No move: sent on, it would undo what somebody else moves in the meantime.
                Forwarded(r#"{"title":"x"}"#),
            ),
            ("rep-east", "POST", by, r#"{"stage":"won"}"#, MOVE),
            ("rep-east", "PATCH", at, r#"{"stage":"won"}"#, MOVE),
            ("rep-east", "PATCH", at, r#"{"st\u0061ge":"won"}"#, MOVE),
            ("rep-east", "PATCH", at, r#"{"stage":"won","title":"x"}"#, MOVE),
            // Judged on the amount as it stands, whatever else the request says.
            ("rep-east", "PATCH", at, r#"{"stage":"won","amount":1}"#, MOVE),
            ("rep-east", "PATCH", "/api/deals/6", r#"{"stage":"won"}"#, Forwarded(r#"{"stage":"won"}"#)),
            ("rep-east", "PATCH", "/api/deals/6", r#"{"stage":"won","amount":9}"#, FIELDS),
            ("rep-east", "PATCH", "/api/deals/6", r#"{"stage":"won","amount":999999}"#, FIELDS),
            ("service", "POST", by, r#"{"stage":"negotiation"}"#, MOVE),
            ("service", "PATCH", at, r#"{"stage":"negotiation"}"#, MOVE),
            ("rep-east", "POST", "/api/deals/15/move", r#"{"stage":"quoted"}"#, MOVE),
            ("rep-east", "PATCH", "/api/deals/15", r#"{"stage":"quoted"}"#, MOVE),
            (
                "manager-east",
                "PATCH",
                "/api/deals/15",
                r#"{"stage":"quoted"}"#,
                Forwarded(r#"{"stage":"quoted"}"#),
            ),
            ("manager-east", "POST", by, r#"{"stage":"won"}"#, Forwarded(r#"{"stage":"won"}"#)),
            (
                "manager-east",
                "POST",
                "/api/deals/bulk",
                r#"{"ids":[42,3],"set":{"stage":"won"}}"#,
                Forwarded(r#"{"ids":[42,3],"set":{"stage":"won"}}"#),
            ),
            // Some move and some are there already: one body for all.
            (
                "manager-east",
                "POST",
                "/api/deals/bulk",
                r#"{"ids":[42,3],"set":{"stage":"proposal"}}"#,
                Forwarded(r#"{"ids":[42,3],"set":{"stage":"proposal"}}"#),
            ),
            ("rep-east", "POST", "/api/deals/bulk", r#"{"ids":[3],"set":{"stage":"won"}}"#, DENIED),
            // Only stages of the catalogue, and only one at a time.
            ("admin", "PATCH", at, r#"{"stage":"nowhere"}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":"Won"}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":null}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":""}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":["won"]}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":{"id":"won"}}"#, STAGE),
            ("admin", "POST", by, r#"{"stage":"nowhere"}"#, STAGE),
            // A stage of another pipeline, by either route.
            ("admin", "POST", by, r#"{"stage":"renewed"}"#, STAGE),
            ("admin", "PATCH", at, r#"{"stage":"renewed"}"#, STAGE),
            ("admin", "POST", by, r#"{"stage":["won"]}"#, STAGE),
            ("admin", "POST", by, "{}", STAGE),
            ("admin", "POST", by, r#"{"stage":"won","amount":1}"#, SHAPE),
            ("admin", "POST", by, "", No(400, "body-missing")),
            ("manager-east", "POST", "/api/deals/bulk", r#"{"ids":[42],"set":{"stage":"nowhere"}}"#, STAGE),
        ],
    )
    .await;
}

/// The pipeline is part of where a deal stands: it cannot be taken away, made up or set apart from the stage.
#[tokio::test]
async fn a_pipeline_changes_only_with_its_stage() {
    let sidecar = TestSidecar::start().await;
    let at = "/api/deals/42";
    check_all(
        &sidecar,
        &[
            ("rep-east", "PATCH", at, r#"{"pipeline":"sales"}"#, Forwarded("{}")),
            ("rep-east", "PATCH", at, r#"{"pipeline":"renewals"}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"pipeline":null}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"pipeline":""}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"pipeline":"nowhere"}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"pipeline":5}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"pipeline":{}}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"stage":"negotiation","pipeline":null}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"stage":"quoted"}"#, STAGE),
            ("rep-east", "PATCH", at, r#"{"stage":"quoted","pipeline":"sales"}"#, STAGE),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"stage":"quoted","pipeline":"renewals"}"#,
                Forwarded(r#"{"stage":"quoted","pipeline":"renewals"}"#),
            ),
            ("rep-east", "PATCH", at, r#"{"stage":"renewed","pipeline":"renewals"}"#, MOVE),
            ("manager-east", "POST", "/api/deals/bulk", r#"{"ids":[42],"set":{"pipeline":null}}"#, STAGE),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_owner_is_judged_before_and_after() {
    let sidecar = TestSidecar::start().await;
    let at = "/api/deals/42";
    check_all(
        &sidecar,
        &[
            ("rep-east", "PATCH", at, r#"{"owner_id":2}"#, DENIED),
            ("rep-east", "PATCH", at, r#"{"owner_id":3}"#, DENIED),
            ("rep-east", "PATCH", at, r#"{"owner_id":null}"#, DENIED),
            ("rep-east", "PATCH", at, r#"{"owner_id":1}"#, Forwarded(r#"{"owner_id":1}"#)),
            ("manager-east", "PATCH", at, r#"{"owner_id":3}"#, Forwarded(r#"{"owner_id":3}"#)),
            ("manager-east", "PATCH", at, r#"{"owner_id":2}"#, DENIED),
            ("manager-east", "PATCH", at, r#"{"owner_id":99}"#, DENIED),
            ("manager-east", "PATCH", at, r#"{"owner_id":[3]}"#, DENIED),
            ("manager-east", "PATCH", at, r#"{"owner_id":{"id":3}}"#, DENIED),
            ("manager-east", "PATCH", at, r#"{"owner_id":true}"#, DENIED),
            ("manager-east", "POST", "/api/deals/bulk", r#"{"ids":[42,3],"set":{"owner_id":2}}"#, DENIED),
            (
                "manager-east",
                "POST",
                "/api/deals/bulk",
                r#"{"ids":[42,3],"set":{"owner_id":3}}"#,
                Forwarded(r#"{"ids":[42,3],"set":{"owner_id":3}}"#),
            ),
        ],
    )
    .await;
}

/// `assign` by whichever route the owner changes.
#[tokio::test]
async fn a_forbidden_assignment_is_forbidden_by_every_route() {
    let forbid = r#"@id("test.no-assign") forbid (principal, action == Action::"assign", resource);"#;
    let sidecar = TestSidecar::with(|options| options.policies(forbid)).await;
    let mut whole = deal(&sidecar).await;
    whole["owner_id"] = json!(2);
    let other: &'static str = Box::leak(whole.to_string().into_boxed_str());
    whole.as_object_mut().unwrap().remove("owner_id");
    let none: &'static str = Box::leak(whole.to_string().into_boxed_str());
    check_all(
        &sidecar,
        &[
            ("admin", "PATCH", "/api/deals/42", r#"{"owner_id":2}"#, DENIED),
            ("admin", "PATCH", "/api/deals/42", r#"{"owner_id":null}"#, DENIED),
            ("admin", "PATCH", "/api/deals/42", r#"{"owner_id":1}"#, Forwarded(r#"{"owner_id":1}"#)),
            ("admin", "POST", "/api/deals/bulk", r#"{"ids":[42],"set":{"owner_id":2}}"#, DENIED),
            ("admin", "PUT", "/api/deals/42", other, DENIED),
            ("admin", "PUT", "/api/deals/42", none, DENIED),
        ],
    )
    .await;
}

/// Deal 42 as an administrator may send it back: records inside a field are never part of a write.
async fn deal(sidecar: &TestSidecar) -> Value {
    let mut deal = sidecar.as_person("admin").get("/api/deals/42").await.json();
    for embedded in ["contact", "company"] {
        deal.as_object_mut().unwrap().remove(embedded);
    }
    deal
}

#[tokio::test]
async fn a_full_replacement_needs_a_full_view() {
    let sidecar = TestSidecar::start().await;
    let whole = deal(&sidecar).await;
    let mut cases: Vec<Case> = Vec::new();
    let leak = |value: &Value| -> &'static str { Box::leak(value.to_string().into_boxed_str()) };
    for person in ["rep-east", "manager-east"] {
        cases.push((person, "PUT", "/api/deals/42", leak(&whole), No(403, "put-partial-view")));
    }
    cases.push(("service", "PUT", "/api/deals/42", "{}", No(403, "put-partial-view")));
    cases.push(("admin", "PUT", "/api/deals/42", leak(&whole), Forwarded(leak(&whole))));
    let with = |key: &str, value: Value| {
        let mut changed = whole.clone();
        changed[key] = value;
        leak(&changed)
    };
    let without = |key: &str| {
        let mut changed = whole.clone();
        changed.as_object_mut().unwrap().remove(key);
        leak(&changed)
    };
    for (body, then) in [
        (with("title", json!("x")), Forwarded(with("title", json!("x")))),
        (with("stage", json!("won")), Forwarded(with("stage", json!("won")))),
        (without("notes"), Forwarded(without("notes"))),
        (with("risk_score", json!(1)), FIELDS),
        (with("id", json!(43)), CONFLICT),
        (with("stage", json!("nowhere")), STAGE),
        (with("pipeline", json!("renewals")), STAGE),
        // Left out is erased: a deal without a stage, or apart from its pipeline, is no stage move that could be judged.
        (without("stage"), STAGE),
        (without("pipeline"), STAGE),
    ] {
        cases.push(("admin", "PUT", "/api/deals/42", body, then));
    }
    check_all(&sidecar, &cases).await;
}

/// What a full replacement leaves out it erases, keys that no field claims included.
#[tokio::test]
async fn leaving_out_is_writing() {
    let forbid = r#"
        @id("test.unclassified") forbid (principal, action == Action::"writeField", resource is Deal)
        when { context.field in FieldSet::"unclassified" };
        @id("test.margin") forbid (principal, action == Action::"writeField", resource is Deal)
        when { context.field in FieldSet::"Deal.margin" };"#;
    let sidecar = TestSidecar::with(|options| options.policies(forbid)).await;
    let whole = deal(&sidecar).await;
    let put = |key: &str| {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(key);
        body.to_string()
    };
    for (key, fields) in [("risk_score", json!(["risk_score"])), ("margin", json!(["margin"]))] {
        let reply = sidecar.as_person("admin").put("/api/deals/42", put(key)).await;
        assert_eq!((reply.reason().as_str(), &reply.json()["fields"]), ("fields-denied", &fields), "{key}");
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
    assert_eq!(sidecar.as_person("admin").put("/api/deals/42", put("notes")).await.status, 200);
}

/// Managers may write what they see masked: the e-mail address by this mask, the telephone number by a 0.
async fn with_masks(mask: &'static str) -> TestSidecar {
    let permit = r#"
        @id("test.edit") permit (principal in Role::"manager", action == Action::"edit", resource is Contact);
        @id("test.write") permit (principal in Role::"manager", action == Action::"writeField", resource is Contact)
        when { context.field in FieldSet::"Contact.editable" };"#;
    let permit = format!(
        r#"{permit} @id("test.mask") permit (principal, action == Action::"readFieldMasked", resource is Contact)
        when {{ context.field == Field::"Contact.phone" }};"#
    );
    TestSidecar::with(|options| {
        options.policies(&permit).edit("bundle/profile.toml", move |profile| {
            let phone = r#"phone      = { sets = ["pii", "Contact.editable"]"#;
            assert!(profile.contains(phone));
            let profile = profile.replace(phone, &format!("{phone}, mask = 0"));
            profile.replace("mask = \"•••@•••\"", mask)
        })
    })
    .await
}

/// The last characters that come back as they were shown are no new value; others are.
#[tokio::test]
async fn a_partial_mask_is_never_written() {
    let sidecar = with_masks("mask = { keep_last = 4 }").await;
    let at = "/api/contacts/101";
    assert_eq!(sidecar.as_person("manager-east").get(at).await.json()["email"], "•••mple");
    check_all(
        &sidecar,
        &[
            ("manager-east", "PATCH", at, r#"{"email":"•••mple","name":"x"}"#, Forwarded(r#"{"name":"x"}"#)),
            ("manager-east", "PATCH", at, r#"{"email":"•••mplf"}"#, Forwarded(r#"{"email":"•••mplf"}"#)),
        ],
    )
    .await;
}

/// A mask that comes back is left out, so that it never overwrites what it stands for.
#[tokio::test]
async fn a_mask_is_never_written() {
    let sidecar = with_masks("mask = \"•••@•••\"").await;
    let at = "/api/contacts/101";
    check_all(
        &sidecar,
        &[
            ("manager-east", "PATCH", at, r#"{"email":"•••@•••","name":"x"}"#, Forwarded(r#"{"name":"x"}"#)),
            // A mask need not be text.
            ("manager-east", "PATCH", at, r#"{"phone":0,"name":"x"}"#, Forwarded(r#"{"name":"x"}"#)),
            ("manager-east", "PATCH", at, r#"{"phone":1}"#, Forwarded(r#"{"phone":1}"#)),
            (
                "manager-east",
                "PATCH",
                at,
                r#"{"email":"new@x.example"}"#,
                Forwarded(r#"{"email":"new@x.example"}"#),
            ),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"email":"new@x.example"}"#,
                Forwarded(r#"{"email":"new@x.example"}"#),
            ),
            ("service", "PATCH", at, r#"{"name":"x"}"#, DENIED),
            ("rep-east", "PATCH", at, r#"{"consent":false}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"consent":true,"name":"x"}"#, Forwarded(r#"{"name":"x"}"#)),
        ],
    )
    .await;
}

/// `moveStage` by whichever route the stage changes: the action of the route is not what is asked.
#[tokio::test]
async fn a_forbidden_move_is_forbidden_by_every_route() {
    let forbid = r#"@id("test.no-move") forbid (principal, action == Action::"moveStage", resource);"#;
    let sidecar = TestSidecar::with(|options| options.policies(forbid)).await;
    let mut whole = deal(&sidecar).await;
    whole["stage"] = json!("won");
    let won: &'static str = Box::leak(whole.to_string().into_boxed_str());
    whole["stage"] = json!("quoted");
    whole["pipeline"] = json!("renewals");
    let quoted: &'static str = Box::leak(whole.to_string().into_boxed_str());
    let at = "/api/deals/42";
    check_all(
        &sidecar,
        &[
            ("admin", "POST", "/api/deals/42/move", r#"{"stage":"won"}"#, MOVE),
            ("admin", "PATCH", at, r#"{"stage":"won"}"#, MOVE),
            ("admin", "PATCH", at, r#"{"title":"x","stage":"lost"}"#, MOVE),
            ("admin", "PATCH", at, r#"{"stage":"quoted","pipeline":"renewals"}"#, MOVE),
            ("admin", "PUT", at, won, MOVE),
            ("admin", "PUT", at, quoted, MOVE),
            ("admin", "POST", "/api/deals/bulk", r#"{"ids":[42],"set":{"stage":"won"}}"#, MOVE),
            ("admin", "POST", "/api/deals/bulk", r#"{"ids":[42,3],"set":{"stage":"won","title":"x"}}"#, MOVE),
        ],
    )
    .await;
}

/// What commands relations, empties them or names other records is a write of the field that it stands in, and of no other.
#[tokio::test]
async fn relations_and_clears_are_writes() {
    let sidecar = TestSidecar::start().await;
    let at = "/api/deals/42";
    check_all(
        &sidecar,
        &[
            // Commands in the form of tuples and objects, and links beside them.
            ("rep-east", "PATCH", at, r#"{"contact":[[6,0,[101]]]}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"contact":[[0,0,{"email":"x@x.example"}]]}"#, FIELDS),
            ("admin", "PATCH", at, r#"{"contact":{"id":101,"email":"x@x.example"}}"#, FIELDS),
            ("rep-east", "PATCH", at, r##"{"contact@odata.bind":"/contacts(101)"}"##, FIELDS),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"contact_id":{"connect":{"id":101}}}"#,
                Forwarded(r#"{"contact_id":{"connect":{"id":101}}}"#),
            ),
            // Empty in every spelling counts as a write.
            ("rep-east", "PATCH", at, r#"{"margin":null}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"margin":""}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"internal_notes":[]}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"internal_notes":{}}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"currency":null}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"team_id":null}"#, FIELDS),
            (
                "rep-east",
                "PATCH",
                at,
                r#"{"tags":null,"notes":""}"#,
                Forwarded(r#"{"tags":null,"notes":""}"#),
            ),
            // Parts of a composite that are left out may be erased with it.
            ("rep-east", "PATCH", at, r#"{"owner":{"name":"x"}}"#, FIELDS),
            ("rep-east", "PATCH", at, r#"{"address":{}}"#, Forwarded(r#"{"address":{}}"#)),
        ],
    )
    .await;
}
