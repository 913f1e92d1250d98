//! Changes of whatever records the CRM finds: allowed to whom no policy restricts, whatever the records hold, and told in one
//! way to all others. What is refused reaches no CRM, not even to look at a record.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::pipeline::decide::gate::VerdictCache;
use lockkeeper::pipeline::dry_run::{DryRequest, DryRun, dry_run};
use lockkeeper::pipeline::sidecar::Limits;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::{Value, json};

use super::any_crm::{Answer, AnyCrm};

/// Routes that change, and delete, whatever the CRM finds.
const ROUTES: &str = r#"
[[routes]]
match     = "PATCH /api/deals/all"
action    = "bulkEdit"
type      = "Deal"
unbounded = true
writes    = { at = "$.set", ignored = ["ticket"] }
also      = [{ when = { at = "$.set.owner_id", changes = true }, action = "assign" }]
keep      = ["$.updated"]
[routes.query]
stage       = { role = "filter", form = "key" }
"margin__*" = { role = "filter", form = "operator-suffix" }

[[routes]]
match     = "DELETE /api/deals/all"
action    = "bulkDelete"
type      = "Deal"
unbounded = true

[[routes]]
match     = "PATCH /api/contacts/all"
action    = "bulkEdit"
type      = "Contact"
unbounded = true
writes    = { at = "$" }
"#;

/// What policies of the demo lack for the service to change notes, and to try more than that.
const SERVICE: &str = r#"
@id("test.bulk") permit (principal in Role::"service", action in [Action::"bulkEdit", Action::"bulkDelete"], resource);
@id("test.edit") permit (principal in Role::"service", action == Action::"edit", resource is Deal);
@id("test.write") permit (principal in Role::"service", action == Action::"writeField", resource is Deal)
when { context.field == Field::"Deal.notes" || context.field == Field::"Deal.margin" };"#;

struct Rig {
    crm: AnyCrm,
    sidecar: TestSidecar,
}

impl Rig {
    async fn start(policies: &str) -> Self {
        Self::of(|options| options.policies(policies)).await
    }

    /// The demo with more than its policies.
    async fn of(change: impl FnOnce(Options) -> Options) -> Self {
        let crm = AnyCrm::start().await;
        let unbounded = |options: Options| {
            let routes = options.edit("bundle/profile.toml", |profile| profile + ROUTES);
            change(routes)
        };
        let sidecar = crm.behind(unbounded).await;
        crm.answers(Answer::json(br#"{"updated":7}"#.to_vec()));
        Self { crm, sidecar }
    }

    /// What becomes of a request: the body that the CRM got, or status and reason. A dry run says the same.
    async fn sent(&self, person: &str, request: (&str, &str, &str)) -> Result<String, (u16, String)> {
        let (method, target, body) = request;
        let before = self.crm.seen().len();
        let reply = self.sidecar.as_person(person).send(method, target, body).await;
        let (seen, bodies) = (self.crm.seen().split_off(before), self.crm.bodies().split_off(before));
        let explained = self.explained(person, request);
        if reply.status != 200 {
            assert_eq!(seen, Vec::<String>::new(), "{person} {request:?}");
            let refused = (reply.status, reply.reason());
            assert_eq!(explained, Err(refused.clone()), "{person} {request:?}");
            return Err(refused);
        }
        assert_eq!(seen, [format!("{method} {target} HTTP/1.1")]);
        assert_eq!(explained.as_ref(), Ok(&bodies[0]), "{person} {request:?}");
        Ok(bodies[0].clone())
    }

    fn explained(
        &self,
        person: &str,
        (method, target, body): (&str, &str, &str),
    ) -> Result<String, (u16, String)> {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("lockkeeper.test"))]);
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let (method, target) = (method.parse().unwrap(), target.parse().unwrap());
        let told = dry_run(&DryRun {
            snapshot: &self.sidecar.running().sidecar.current.snapshot(),
            limits: &Limits::default(),
            cache: &Arc::new(VerdictCache::new(1_000, 1)),
            asker: &Asker::plain(EntityRef::new("User", person), NOW_MS),
            request: DryRequest { method, target, headers, body: Bytes::from(body.to_owned()) },
            records: &[],
            answer: None,
        });
        match told.problem {
            Some(problem) => Err((problem.status, problem.reason.to_owned())),
            None => Ok(told.upstream.unwrap().body),
        }
    }
}

fn refused() -> Result<String, (u16, String)> {
    Err((403, "unbounded-refused".to_owned()))
}

const DEALS: &str = "/api/deals/all";

/// Whoever may change every record may change them all at once; the CRM gets what was judged and nothing else.
#[tokio::test]
async fn who_is_not_restricted_changes_whatever_there_is() {
    let rig = Rig::start("").await;
    for (request, expected) in [
        (("PATCH", DEALS, r#"{"set":{"notes":"x"}}"#), r#"{"set":{"notes":"x"}}"#),
        (
            ("PATCH", DEALS, r#"{"set":{"strategic":true,"ticket":5,"tags":["a"]}}"#),
            r#"{"set":{"strategic":true,"tags":["a"]}}"#,
        ),
        (("PATCH", DEALS, r#"{"set":{"margin":null}}"#), r#"{"set":{"margin":null}}"#),
        (
            ("PATCH", "/api/deals/all?stage=lead&margin__gte=5", r#"{"set":{"title":"x"}}"#),
            r#"{"set":{"title":"x"}}"#,
        ),
        (("DELETE", DEALS, ""), ""),
    ] {
        assert_eq!(rig.sent("admin", request).await, Ok(expected.to_owned()), "{request:?}");
    }
    let reply = rig.sidecar.as_person("admin").patch(DEALS, r#"{"set":{"notes":"x"}}"#).await;
    assert_eq!(reply.json(), json!({"updated": 7}));
    let ledger = rig.sidecar.ledger();
    let entry = ledger.decision(&reply);
    assert_eq!(entry["write"], json!({"unbounded": true, "asked": ["Deal.notes"]}));
    let accesses: Vec<(&Value, &Value, &Value)> = entry["access"]
        .as_array()
        .unwrap()
        .iter()
        .map(|access| (&access["action"], &access["type"], &access["ids"]))
        .collect();
    let all = |action: &str| (json!(action), json!("Deal"), Value::Null);
    let expected = ["bulkEdit", "view", "edit", "readField", "writeField"].map(all);
    assert_eq!(accesses, expected.iter().map(|(action, on, ids)| (action, on, ids)).collect::<Vec<_>>());
    assert_eq!(entry["effect"], "allow");
}

/// One policy that looks at the record, at what it becomes or at how many there are is enough. Each is about an administrator of its
/// own, and in one bundle with the others.
#[tokio::test]
async fn what_depends_on_the_record_is_refused() {
    let edit = ("PATCH", DEALS, r#"{"set":{"notes":"x"}}"#);
    let delete = ("DELETE", DEALS, "");
    let own = "when { resource has owner && resource.owner == principal }";
    let notes = r#"when { context.field == Field::"Deal.notes" }"#;
    let mine = r#"unless { context.field == Field::"Deal.title" || !(resource has pipeline) }"#;
    let other = r#"when { context.field == Field::"Deal.title" && resource has pipeline }"#;
    let sometimes = r#"when { context.field == Field::"Deal.notes" && resource has stage && resource.stage in StageGroup::"closed" }"#;
    let cases = [
        ("view", "when { resource is Deal && resource has strategic && resource.strategic }", edit, true),
        (
            "edit",
            r#"when { resource is Deal && resource has amount && resource.amount.greaterThan(decimal("5.0")) }"#,
            edit,
            true,
        ),
        ("edit", "when { resource is Deal } unless { resource is Deal && resource has owner }", edit, true),
        ("edit", r#"when { resource == Deal::"42" }"#, edit, true),
        ("edit", own, edit, true),
        ("edit", own, delete, false),
        ("delete", own, delete, true),
        ("delete", own, edit, false),
        ("readField", sometimes, edit, true),
        ("readField", notes, edit, true),
        ("writeField", notes, edit, true),
        ("writeField", mine, edit, true),
        ("writeField", other, edit, false),
        // The context is that of the request.
        ("edit", r#"unless { context.now > datetime("2020-01-01") }"#, edit, false),
        ("writeField", r#"unless { context.now > datetime("2020-01-01") }"#, edit, false),
        ("edit", "unless { context has authLevel && context.authLevel >= 2 }", edit, true),
        // What the record would become is not known, nor how many records there are.
        ("edit", "when { context has proposed && context.proposed has amount }", edit, true),
        ("delete", "when { context has proposed && context.proposed has amount }", edit, false),
        ("bulkEdit", "when { context has count && context.count > 100 }", edit, true),
        ("bulkEdit", "when { context has count && context.count > 100 }", delete, false),
    ];
    let person = |place: usize| format!("admin-{place}");
    let mut policies = String::new();
    for (place, (action, condition, ..)) in cases.iter().enumerate() {
        let on = if condition.contains("Deal") || !condition.contains("resource") { "" } else { " is Deal" };
        let who = person(place);
        policies.push_str(&format!(
            "@id(\"test.{place}\") forbid (principal == User::\"{who}\", action == Action::\"{action}\", resource{on}) {condition};\n"
        ));
    }
    let rig = Rig::of(|options| {
        let named = (0..cases.len())
            .fold(options.policies(&policies), |options, place| options.key_for(&person(place)));
        named.edit("directory.cedarentities.json", move |text| {
            let mut entities: Vec<Value> = serde_json::from_str(&text).unwrap();
            entities.extend((0..cases.len()).map(|place| {
                json!({
                    "uid": {"type": "User", "id": person(place)},
                    "attrs": {"active": true},
                    "parents": [{"type": "Role", "id": "administrator"}],
                })
            }));
            json!(entities).to_string()
        })
    })
    .await;
    for (place, (action, condition, request, is_refused)) in cases.into_iter().enumerate() {
        let expected = if is_refused { refused() } else { Ok(request.2.to_owned()) };
        assert_eq!(rig.sent(&person(place), request).await, expected, "{action} {condition} {request:?}");
    }
}

/// A key stands for one field of the record alone, whoever sends it.
#[tokio::test]
async fn what_is_more_than_a_field_is_refused() {
    let rig = Rig::start("").await;
    for set in [
        r#"{"stage":"won"}"#,
        r#"{"pipeline":"renewals"}"#,
        r#"{"owner_id":4}"#,
        r#"{"team_id":10}"#,
        r#"{"id":42}"#,
        r#"{"contact":7}"#,
        r#"{"contact":{"name":"x"}}"#,
        r#"{"address":{"city":"B"}}"#,
        r#"{"address":{"street":"A","city":"B","postal_code":"2"}}"#,
        r#"{"address":{}}"#,
        r#"{"address":null}"#,
        r#"{"amount_formatted":"5"}"#,
        r#"{"Notes":"x"}"#,
        r#"{"risk":1}"#,
        // What nobody can read is nothing that policies could look at.
        r#"{"strategic":"maybe"}"#,
        r#"{"notes":"x","risk":1}"#,
    ] {
        let body = format!(r#"{{"set":{set}}}"#);
        assert_eq!(rig.sent("admin", ("PATCH", DEALS, &body)).await, refused(), "{set}");
    }
    for (body, reason) in [(r#"{"set":{"notes":"x"},"ids":[42]}"#, "body-shape"), ("{}", "body-shape")] {
        let found = rig.sent("admin", ("PATCH", DEALS, body)).await;
        assert_eq!(found, Err((400, reason.to_owned())), "{body}");
    }
    let query = "/api/deals/all?ids=42";
    let found = rig.sent("admin", ("PATCH", query, r#"{"set":{"notes":"x"}}"#)).await;
    assert_eq!(found, Err((400, "query-undeclared".to_owned())));
}

/// What another action stands for changes on each record or does not, and nobody looks.
#[tokio::test]
async fn what_needs_a_further_action_is_refused() {
    let also = r#"also = [{ when = { at = "$.consent", changes = true }, action = "share" }]"#;
    let rig = Rig::of(|options| {
        options.edit("bundle/profile.toml", move |profile| {
            ["PATCH /api/contacts/{id:int}", "PATCH /api/contacts/all"].iter().fold(
                profile,
                |profile, head| {
                    assert!(profile.contains(&format!("\"{head}\"\n")));
                    profile.replace(&format!("\"{head}\"\n"), &format!("\"{head}\"\n{also}\n"))
                },
            )
        })
    })
    .await;
    let contacts = "/api/contacts/all";
    assert_eq!(rig.sent("admin", ("PATCH", contacts, r#"{"consent":true}"#)).await, refused());
    let name = r#"{"name":"x"}"#;
    assert_eq!(rig.sent("admin", ("PATCH", contacts, name)).await, Ok(name.to_owned()));
}

/// A field that pins versions is written by the proxy alone.
#[tokio::test]
async fn a_version_is_refused() {
    let rig = Rig::of(|options| {
        options.edit("bundle/profile.toml", |profile| {
            let by_tag = r#"{ from = "header.etag", to = "header.if-match" }"#;
            profile.replace(by_tag, r#"{ from = "record.version", to = "header.if-match" }"#)
        })
    })
    .await;
    assert_eq!(rig.sent("admin", ("PATCH", DEALS, r#"{"set":{"version":9}}"#)).await, refused());
    let plain = Rig::start("").await;
    let body = r#"{"set":{"version":9}}"#;
    assert_eq!(plain.sent("admin", ("PATCH", DEALS, body)).await, Ok(body.to_owned()));
}

/// One id for all records is nobody's, field or not.
#[tokio::test]
async fn an_id_is_refused_where_it_is_a_field() {
    let rig = Rig::of(|options| {
        options.edit("bundle/profile.toml", |profile| {
            let fields = "[types.Deal.fields]\n";
            assert!(profile.contains(fields));
            profile.replacen(
                fields,
                &format!("{fields}id = {{ sets = [\"public\", \"Deal.editable\"] }}\n"),
                1,
            )
        })
    })
    .await;
    assert_eq!(rig.sent("admin", ("PATCH", DEALS, r#"{"set":{"id":42}}"#)).await, refused());
    let notes = r#"{"set":{"notes":"x"}}"#;
    assert_eq!(rig.sent("admin", ("PATCH", DEALS, notes)).await, Ok(notes.to_owned()));
}

/// To view everything is not to change everything, and to change everything not to read it.
#[tokio::test]
async fn some_of_it_is_not_all_of_it() {
    let rig = Rig::start(SERVICE).await;
    let notes = r#"{"set":{"notes":"x"}}"#;
    assert_eq!(rig.sent("service", ("PATCH", DEALS, notes)).await, Ok(notes.to_owned()));
    for (request, reason) in [
        (("PATCH", DEALS, r#"{"set":{"margin":5}}"#), "unbounded-refused"),
        (("PATCH", DEALS, r#"{"set":{"title":"x"}}"#), "unbounded-refused"),
        (("DELETE", DEALS, ""), "unbounded-refused"),
        (("PATCH", "/api/deals/all?margin__gte=5", notes), "reference-refused"),
    ] {
        assert_eq!(rig.sent("service", request).await, Err((403, reason.to_owned())), "{request:?}");
    }
    for person in ["manager-east", "rep-east"] {
        assert_eq!(rig.sent(person, ("PATCH", DEALS, notes)).await, Err((403, "denied".to_owned())));
    }
    // Nobody knows how many there are, which is not to say that there are few.
    let few =
        SERVICE.replacen(", resource);", ", resource) unless { context has count && context.count > 9 };", 1);
    let rig = Rig::start(&few).await;
    assert_eq!(rig.sent("service", ("PATCH", DEALS, notes)).await, refused());
    let reply = rig.sidecar.as_person("service").patch(DEALS, notes).await;
    let access =
        json!([{"action": "bulkEdit", "type": "Deal", "effect": "deny", "reason": "unbounded-refused"}]);
    let ledger = rig.sidecar.ledger();
    assert_eq!(ledger.decision(&reply)["access"], access);
    // What was asked for is known, though none of it was judged.
    assert_eq!(ledger.decision(&reply)["write"], json!({"unbounded": true, "asked": ["Deal.notes"]}));
    let bulk = r#"@id("test.bulk") permit (principal, action in Action::"bulk", resource);"#;
    let rig = Rig::start(bulk).await;
    for person in ["manager-east", "rep-east", "service"] {
        assert_eq!(rig.sent(person, ("PATCH", DEALS, notes)).await, refused(), "{person}");
    }
}

/// A mask that somebody was shown would stand in every record.
#[tokio::test]
async fn a_mask_is_refused() {
    let masked = r#"
@id("test.bulk") permit (principal in Role::"manager", action == Action::"bulkEdit", resource);
@id("test.all") permit (principal in Role::"manager", action in [Action::"view", Action::"edit", Action::"writeField"], resource is Contact);"#;
    let rig = Rig::start(masked).await;
    let contacts = "/api/contacts/all";
    let name = r#"{"name":"x"}"#;
    assert_eq!(rig.sent("manager-east", ("PATCH", contacts, name)).await, Ok(name.to_owned()));
    let email = r#"{"email":"•••@•••"}"#;
    assert_eq!(rig.sent("manager-east", ("PATCH", contacts, email)).await, refused());
    assert_eq!(
        rig.sent("admin", ("PATCH", contacts, r#"{"email":"a@b.example"}"#)).await,
        Ok(r#"{"email":"a@b.example"}"#.to_owned())
    );
}

/// What a policy looks at counts, though it leaves the caller out: but for one that leaves them out before it looks.
#[tokio::test]
async fn who_is_left_out_first_is_not_restricted() {
    let amount = r#"{"set":{"amount":7.5}}"#;
    let rig = Rig::start("").await;
    assert_eq!(rig.sent("admin", ("PATCH", DEALS, amount)).await, refused());
    let rig = Rig::of(|options| {
        options.edit("bundle/policies/guards.cedar", |guards| {
            let (others, guard) = guards.split_once("@id(\"guard.closed-figures\")").unwrap();
            let (scope, rest) = guard.split_once("\nwhen\n").unwrap();
            let (when, unless) = rest.trim_end().trim_end_matches(';').split_once("\nunless ").unwrap();
            format!("{others}@id(\"guard.closed-figures\"){scope}\nunless {unless}\nwhen {when};\n")
        })
    })
    .await;
    assert_eq!(rig.sent("admin", ("PATCH", DEALS, amount)).await, Ok(amount.to_owned()));
}

/// The refusal is the same whatever it comes from.
#[tokio::test]
async fn a_refusal_tells_nothing() {
    let rig = Rig::start(SERVICE).await;
    let service = rig.sidecar.as_person("service");
    let told = |reply: TestReply| {
        let mut told = reply.json();
        told.as_object_mut().unwrap().remove("decision");
        told
    };
    let unread = told(service.patch(DEALS, r#"{"set":{"margin":5}}"#).await);
    for set in [r#"{"title":"x"}"#, r#"{"nothing":1}"#, r#"{"stage":"won"}"#, r#"{"stage":"nowhere"}"#] {
        assert_eq!(told(service.patch(DEALS, format!(r#"{{"set":{set}}}"#)).await), unread, "{set}");
    }
    assert_eq!(told(service.delete(DEALS).await), unread);
    assert_eq!(unread["title"], "The change names no records, and the caller is not unrestricted.");
    assert_eq!((&unread["detail"], &unread["fields"]), (&Value::Null, &Value::Null));
    // The ledger says more.
    let reply = service.patch(DEALS, r#"{"set":{"margin":5,"notes":"x"}}"#).await;
    let ledger = rig.sidecar.ledger();
    let entry = ledger.decision(&reply);
    assert_eq!((&entry["effect"], &entry["reason"]), (&json!("refuse"), &json!("unbounded-refused")));
    let expected =
        json!({"unbounded": true, "asked": ["Deal.margin", "Deal.notes"], "refused": ["Deal.margin"]});
    assert_eq!(entry["write"], expected);
}
