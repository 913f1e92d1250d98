//! Full replacements by callers who do not see everything: what they cannot see is merged back in, and tells nothing.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::folder::Options;
use serde_json::{Map, Value, json};

const AT: &str = "/api/deals/42";
const HIDDEN: &[&str] = &["margin", "internal_notes", "risk_score"];

/// The demo with a replacement that keeps what its caller cannot see.
fn keeping(options: Options) -> Options {
    options.edit("bundle/profile.toml", |profile| {
        let refuses = r#"{ at = "$", semantics = "replace" }"#;
        let keeps = r#"{ at = "$", semantics = "replace", hidden = "keep", ignored = ["contact", "company", "owner"] }"#;
        assert!(profile.contains(refuses));
        profile.replace(refuses, keeps)
    })
}

/// A deal as the CRM holds it, without what moves with every write.
async fn held(sidecar: &TestSidecar) -> Map<String, Value> {
    let mut deal = sidecar.crm_caller().get(AT).await.json();
    let deal = deal.as_object_mut().unwrap();
    deal.remove("version");
    std::mem::take(deal)
}

async fn seen_by(sidecar: &TestSidecar, person: &str) -> Map<String, Value> {
    let mut deal = sidecar.as_person(person).get(AT).await.json();
    std::mem::take(deal.as_object_mut().unwrap())
}

async fn put(sidecar: &TestSidecar, person: &str, body: &Map<String, Value>) -> TestReply {
    sidecar.as_person(person).put(AT, Value::Object(body.clone())).await
}

/// Who gets a record, changes one field and sends it back changes that field, for everybody's eyes.
#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let sidecar = TestSidecar::with(keeping).await;
    for (person, title) in
        [("rep-east", "by the rep"), ("manager-east", "by the manager"), ("admin", "by the admin")]
    {
        let mut expected = held(&sidecar).await;
        expected["title"] = json!(title);
        let mut body = seen_by(&sidecar, person).await;
        body["title"] = json!(title);
        let reply = put(&sidecar, person, &body).await;
        assert_eq!(reply.status, 200, "{person}: {}", reply.text());
        assert_eq!(held(&sidecar).await, expected, "{person}");
        assert_eq!(reply.json(), Value::Object(seen_by(&sidecar, person).await), "{person}");
        let ledger = sidecar.ledger();
        let asked = ledger.decision(&reply)["write"]["refused"].clone();
        assert_eq!(asked, Value::Null, "{person}");
    }
    // What comes back has the CRM's own text.
    let sent =
        sidecar.crm().requests().into_iter().find(|request| request.method == http::Method::PUT).unwrap();
    let sent = String::from_utf8(sent.body.to_vec()).unwrap();
    assert!(sent.contains(r#""margin":31250.25"#) && !sent.contains("margin_pct"), "{sent}");
    assert_eq!(sent.matches("\"margin\"").count(), 1, "{sent}");
}

/// What the caller sees and leaves out is erased, and that is a write.
#[tokio::test]
async fn what_is_left_out_is_still_written() {
    let sidecar = TestSidecar::with(keeping).await;
    let whole = seen_by(&sidecar, "rep-east").await;
    let before = held(&sidecar).await;
    let with = |key: &str, value: Option<Value>| {
        let mut body = whole.clone();
        match value {
            Some(value) => drop(body.insert(key.to_owned(), value)),
            None => drop(body.remove(key)),
        }
        body
    };
    for (body, status, reason) in [
        (with("currency", None), 403, "fields-denied"),
        (with("owner_id", None), 403, "denied"),
        (with("owner_id", Some(json!(2))), 403, "denied"),
        (with("stage", None), 422, "stage-unknown"),
        (with("stage", Some(json!("won"))), 403, "stage-move-denied"),
        (with("margin", Some(json!(1))), 403, "fields-denied"),
        (with("margin_pct", Some(json!(1))), 403, "fields-denied"),
        (with("internal_notes", Some(Value::Null)), 403, "fields-denied"),
        (with("risk_score", Some(json!(1))), 403, "fields-denied"),
        (with("no_such_field", Some(json!(1))), 403, "fields-denied"),
        (with("address", Some(Value::Null)), 403, "fields-denied"),
        (with("address", Some(json!([]))), 403, "fields-denied"),
        (with("id", Some(json!(43))), 400, "id-conflict"),
    ] {
        let reply = put(&sidecar, "rep-east", &body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{body:?}");
        let fields = reply.json()["fields"].as_array().cloned().unwrap_or_default();
        for named in &fields {
            assert!(
                body.contains_key(named.as_str().unwrap()) || named == "currency",
                "{fields:?} of {body:?}"
            );
        }
    }
    assert_eq!(held(&sidecar).await, before);
    let reply = put(&sidecar, "rep-east", &with("notes", None)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let after = held(&sidecar).await;
    assert_eq!(after["notes"], Value::Null);
    HIDDEN.iter().for_each(|key| assert_eq!(after[*key], before[*key], "{key}"));
}

/// A stage and an owner that nobody sees stay: leaving them out is no move, no assignment and no erasure.
#[tokio::test]
async fn what_is_hidden_does_not_change() {
    let forbid = r#"@id("test.hidden") forbid (principal in Role::"rep", action == Action::"readField", resource is Deal)
        when { [Field::"Deal.stage", Field::"Deal.pipeline", Field::"Deal.owner_id", Field::"Deal.address.city"].contains(context.field) };
        @id("test.assign") forbid (principal, action == Action::"assign", resource);"#;
    let sidecar = TestSidecar::with(|options| keeping(options.policies(forbid))).await;
    let mut expected = held(&sidecar).await;
    let mut body = seen_by(&sidecar, "rep-east").await;
    assert!(["stage", "pipeline", "owner_id"].iter().all(|key| !body.contains_key(*key)), "{body:?}");
    (body["title"], expected["title"]) = (json!("x"), json!("x"));
    (body["address"]["street"], expected["address"]["street"]) = (json!("Pier 9"), json!("Pier 9"));
    let reply = put(&sidecar, "rep-east", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(held(&sidecar).await, expected);
    let ledger = sidecar.ledger();
    assert_eq!(ledger.decision(&reply)["write"]["stage"], Value::Null);
    // For somebody who cannot see it, a stage that they name is a move, also the one where the record is.
    for stage in ["proposal", "negotiation", "won"] {
        body.insert("stage".to_owned(), json!(stage));
        let reply = put(&sidecar, "rep-east", &body).await;
        assert!([200, 403].contains(&reply.status), "{stage}: {} {}", reply.status, reply.text());
        assert!(!ledger_stage(&sidecar, &reply).is_null(), "{stage}");
    }
}

fn ledger_stage(sidecar: &TestSidecar, reply: &TestReply) -> Value {
    let ledger = sidecar.ledger();
    ledger.decision(reply)["write"]["stage"].clone()
}

/// A mask that comes back is the value that it stands for; a composite whose hidden part is `null` stays whole.
#[tokio::test]
async fn masks_and_blanks_stand_for_what_they_hide() {
    let permit = r#"@id("test.mask") permit (principal in Role::"rep", action == Action::"readFieldMasked", resource is Deal)
        when { context.field == Field::"Deal.internal_notes" };
        @id("test.city") forbid (principal in Role::"rep", action == Action::"readField", resource is Deal)
        when { context.field == Field::"Deal.address.city" };"#;
    let sidecar = TestSidecar::with(|options| {
        keeping(options.policies(permit)).edit("bundle/profile.toml", |profile| {
            profile
                .replace(
                    r#"internal_notes = { sets = ["Deal.internal"] }"#,
                    r#"internal_notes = { sets = ["Deal.internal"], mask = "•••" }"#,
                )
                .replace(
                    r#""address.city"        = { sets = ["public", "Deal.editable"] }"#,
                    r#""address.city" = { sets = ["public", "Deal.editable"], hide = { value = "" } }"#,
                )
        })
    })
    .await;
    let mut expected = held(&sidecar).await;
    let mut body = seen_by(&sidecar, "rep-east").await;
    assert_eq!(
        (&body["internal_notes"], &body["margin"], &body["address"]["city"]),
        (&json!("•••"), &Value::Null, &json!(""))
    );
    (body["title"], expected["title"]) = (json!("x"), json!("x"));
    for _ in 0..2 {
        let reply = put(&sidecar, "rep-east", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(held(&sidecar).await, expected);
        // And without them as well.
        ["internal_notes", "margin", "version"].iter().for_each(|key| drop(body.remove(*key)));
        body["address"].as_object_mut().unwrap().remove("city");
        body.remove("margin_pct");
        body.insert("version".to_owned(), json!(2));
    }
}

/// Small numbers without a crate.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn value(&mut self) -> Value {
        [
            json!(null),
            json!(0),
            json!(""),
            json!("x"),
            json!(1.5),
            json!([]),
            json!({}),
            json!({"street":"s"}),
            json!(true),
            json!("won"),
        ][self.roll(10)]
        .clone()
    }

    /// A body near what the caller sees: some keys gone, some changed, some that are not theirs.
    fn body(&mut self, seen: &Map<String, Value>) -> Map<String, Value> {
        let mut body = seen.clone();
        for _ in 0..self.roll(4) {
            let keys: Vec<String> = body.keys().cloned().collect();
            let key = keys[self.roll(keys.len())].clone();
            match self.roll(3) {
                0 => drop(body.remove(&key)),
                1 => drop(body.insert(key, self.value())),
                _ => drop(
                    body["address"].as_object_mut().map(|inner| inner.insert("city".to_owned(), json!("c"))),
                ),
            }
            let foreign = [
                "margin",
                "margin_pct",
                "internal_notes",
                "risk_score",
                "secret",
                "notes",
                "title",
                "amount",
            ];
            if self.roll(2) == 0 {
                body.insert(foreign[self.roll(8)].to_owned(), self.value());
            }
            body.entry("address").or_insert_with(|| json!({}));
        }
        body
    }
}

/// Two states that differ in what a caller cannot see give that caller the same answers to every replacement, and keep what
/// each of them had.
#[tokio::test]
async fn hidden_values_shape_no_answer_and_stay() {
    let (one, two) = (TestSidecar::with(keeping).await, TestSidecar::with(keeping).await);
    let differ = json!({"margin": 0.10, "internal_notes": null, "risk_score": {"a":[1, 2]}, "secret": "s"});
    assert_eq!(one.crm_caller().patch(AT, "{}").await.status, 200);
    assert_eq!(two.crm_caller().patch(AT, &differ).await.status, 200);
    let (mut dice, mut forwarded) = (Dice(7), 0);
    for round in 0..crate::scaled(60) {
        let seen = seen_by(&one, "rep-east").await;
        assert_eq!(seen, seen_by(&two, "rep-east").await, "{round}");
        let body = dice.body(&seen);
        let (was_one, was_two) = (held(&one).await, held(&two).await);
        let (first, second) = (put(&one, "rep-east", &body).await, put(&two, "rep-east", &body).await);
        assert_eq!(first.observable(), second.observable(), "{round}: {body:?}");
        forwarded += usize::from(first.status == 200);
        for (was, sidecar) in [(was_one, &one), (was_two, &two)] {
            let now = held(sidecar).await;
            for key in HIDDEN.iter().chain(&["secret"]) {
                assert_eq!(now.get(*key), was.get(*key), "{round}: {key} by {body:?}");
            }
        }
    }
    assert!(forwarded > 5, "only {forwarded} replacements were forwarded");
}
