//! What verified claims lead to: for whom, until when, which principal, which level, on whose behalf.

use lockkeeper::testkit::issuer::TestKey;
use serde_json::json;

use super::*;

struct Desk {
    sidecar: TestSidecar,
    key: TestKey,
}

impl Desk {
    async fn open(section: &str, policies: &'static str) -> Self {
        let key = TestKey::ed25519();
        let keys = key_set(&[("d", &key)]);
        let section = format!("{ISSUER}{section}");
        let sidecar = TestSidecar::with(|options| {
            let options = with_issuer(options, &keys, section).edit("directory.cedarentities.json", |text| {
                let robots = r#"[
  {"uid": {"type": "Agent", "id": "helper"}, "attrs": {"active": true}, "parents": [{"type": "Role", "id": "administrator"}]},
  {"uid": {"type": "Service", "id": "batch"}, "attrs": {"active": true, "crmId": "77"}, "parents": [{"type": "Role", "id": "administrator"}]},
  {"uid": {"type": "User", "id": "left"}, "attrs": {"active": false, "crmId": "78"}, "parents": []},
  {"uid": {"type": "User", "id": "twin-a"}, "attrs": {"active": true, "crmId": "79"}, "parents": []},
  {"uid": {"type": "User", "id": "twin-b"}, "attrs": {"active": true, "crmId": "79"}, "parents": []},"#;
                text.replacen('[', robots, 1)
            });
            if policies.is_empty() { options } else { options.policies(policies) }
        });
        Self { sidecar: sidecar.await, key }
    }

    async fn check(&self, changes: Value, expected: &str) {
        let token = self.key.token(&header(&self.key, "d"), &claims_with("rep-east", changes.clone()));
        assert_eq!(outcome(&self.sidecar, &token).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn issuer_audience_and_time() {
    let desk = Desk::open("leeway_ms = 5000\n", "").await;
    desk.check(json!({"aud": ["other", "crm-batch"]}), "200").await;
    for audience in
        [json!("other"), json!([]), json!(["other"]), json!({"crm": 1}), json!(["crm", 1]), json!("cr")]
    {
        desk.check(json!({ "aud": audience }), "token-refused").await;
    }
    desk.check(json!({"aud": null}), "token-refused").await;
    for issuer in
        [json!("https://login.test"), json!("https://evil.test/"), json!(["https://login.test/"]), json!(1)]
    {
        desk.check(json!({ "iss": issuer }), "token-refused").await;
    }
    desk.check(json!({"iss": null}), "token-refused").await;
    desk.check(json!({"exp": null}), "token-refused").await;
    desk.check(json!({"exp": "2030"}), "token-refused").await;
    desk.check(json!({"exp": 1e300}), "token-refused").await;
    desk.check(json!({"nbf": 9.5e300}), "token-refused").await;
    desk.check(json!({"exp": NOW - 4}), "200").await;
    desk.check(json!({"exp": NOW - 5}), "token-expired").await;
    desk.check(json!({"exp": (NOW - 4) as f64 + 0.5}), "200").await;
    desk.check(json!({"exp": -1}), "token-expired").await;
    desk.check(json!({"nbf": NOW + 5}), "200").await;
    desk.check(json!({"nbf": NOW + 6}), "token-expired").await;
    desk.check(json!({"nbf": "soon"}), "token-refused").await;
    desk.check(json!({"cnf": {"jkt": "x"}}), "token-refused").await;
}

#[tokio::test]
async fn a_kept_token_ends_with_its_time() {
    let desk = Desk::open("leeway_ms = 0\n", "").await;
    desk.check(json!({"exp": NOW + 1}), "200").await;
    desk.sidecar.set_now_ms(NOW_MS + 999);
    desk.check(json!({"exp": NOW + 1}), "200").await;
    desk.sidecar.set_now_ms(NOW_MS + 1_000);
    desk.check(json!({"exp": NOW + 1}), "token-expired").await;
}

#[tokio::test]
async fn the_directory_is_asked_at_every_request() {
    let desk = Desk::open("", "").await;
    desk.check(json!({}), "200").await;
    let inactive = r#""attrs": {"active": false, "crmId": "1""#;
    desk.sidecar
        .reload_with("directory.cedarentities.json", |text| {
            text.replace(r#""attrs": {"active": true, "crmId": "1""#, inactive)
        })
        .await;
    desk.check(json!({}), "principal-inactive").await;
    desk.check(json!({"sub": "nobody"}), "principal-unknown").await;
    for sub in [
        json!(null),
        json!(""),
        json!(["rep-east"]),
        json!(true),
        json!("x".repeat(257)),
        json!("a\u{0}b"),
        json!(-1),
    ] {
        desk.check(json!({ "sub": sub }), "token-refused").await;
    }
}

#[tokio::test]
async fn a_claim_names_by_an_attribute_and_may_say_the_type() {
    let section = r#"principal = { claim = "employee", by = "crmId", type_claim = "kind", types = { robot = "Service" } }
"#;
    let desk = Desk::open(section, "").await;
    desk.check(json!({"employee": "1"}), "200").await;
    desk.check(json!({"employee": 1}), "200").await;
    desk.check(json!({"employee": "77", "kind": "robot"}), "200").await;
    desk.check(json!({"employee": "77"}), "principal-unknown").await;
    desk.check(json!({"employee": "1", "kind": "robot"}), "principal-unknown").await;
    desk.check(json!({"employee": "1", "kind": "root"}), "token-refused").await;
    desk.check(json!({"employee": "1", "kind": 1}), "token-refused").await;
    desk.check(json!({"employee": "79"}), "principal-ambiguous").await;
    desk.check(json!({"employee": "78"}), "principal-inactive").await;
    desk.check(json!({"employee": "99"}), "principal-unknown").await;
    desk.check(json!({}), "token-refused").await;
}

#[tokio::test]
async fn an_email_counts_only_if_it_is_verified() {
    let desk = Desk::open("principal = { claim = \"email\" }\n", "").await;
    desk.check(json!({"email": "rep-east", "email_verified": true}), "200").await;
    desk.check(json!({"email": "rep-east"}), "token-refused").await;
    desk.check(json!({"email": "rep-east", "email_verified": "true"}), "token-refused").await;
    desk.check(json!({"email": "rep-east", "email_verified": false}), "token-refused").await;
}

#[tokio::test]
async fn the_level_comes_from_verified_claims_only() {
    const POLICY: &str = r#"@id("t.level") forbid (principal, action == Action::"view", resource is Deal)
        unless { context has authLevel && context.authLevel >= 2 };"#;
    let desk =
        Desk::open("auth_level = { claim = \"amr\", levels = { pwd = 1, otp = 2, hwk = 3 } }\n", POLICY)
            .await;
    desk.check(json!({"amr": ["pwd", "otp"]}), "200").await;
    desk.check(json!({"amr": "hwk"}), "200").await;
    desk.check(json!({"amr": ["pwd"]}), "not-found").await;
    desk.check(json!({"amr": ["face", 2]}), "not-found").await;
    desk.check(json!({}), "not-found").await;
    desk.check(json!({"amr": 3}), "token-refused").await;
    // What a caller says beside the token does not count.
    let token = desk.key.token(&header(&desk.key, "d"), &claims("rep-east").to_string());
    let caller = desk.sidecar.as_nobody().with_header(&format!("Authorization: Bearer {token}"));
    let reply = caller.with_header("X-Auth-Level: 3").with_header("authLevel: 3").get("/api/deals/42").await;
    assert_eq!(reply.status, 404);
}

/// The agent needs a permit of its own, and nothing goes beyond what the person may see.
const BOTH: &str = r#"@id("t.agent-alone") forbid (principal is Agent, action, resource)
    unless { context has onBehalfOf };
    @id("t.agent-beyond") forbid (principal is Agent, action in [Action::"recordRead", Action::"fieldRead"], resource is Deal)
    when { context has onBehalfOf }
    unless { resource has owner && resource.owner == context.onBehalfOf };"#;

#[tokio::test]
async fn an_actor_asks_for_the_person_that_the_token_is_about() {
    let desk = Desk::open("actor = { claim = \"act.sub\" }\n", BOTH).await;
    desk.check(json!({}), "200").await;
    desk.check(json!({"act": {"sub": "helper"}}), "200").await;
    desk.check(json!({"sub": "rep-west", "act": {"sub": "helper"}}), "not-found").await;
    desk.check(json!({"act": {"sub": "nobody"}}), "principal-unknown").await;
    desk.check(json!({"sub": "nobody", "act": {"sub": "helper"}}), "principal-unknown").await;
    desk.check(json!({"sub": "left", "act": {"sub": "helper"}}), "principal-inactive").await;
    desk.check(json!({"act": {"client": "helper"}}), "token-refused").await;
    desk.check(json!({"act": "helper"}), "token-refused").await;
    desk.check(json!({"sub": "helper"}), "principal-unknown").await;
    let ledger = desk.sidecar.stop().await;
    let kinds =
        ledger.of_kind("decision").into_iter().map(|entry| entry["who"]["type"].clone()).collect::<Vec<_>>();
    assert_eq!(kinds, ["User", "Agent", "Agent"]);
    let entries = ledger.of_kind("decision");
    assert_eq!(entries[1]["who"]["onBehalfOf"], entries[0]["who"]["handle"]);
    assert!(entries[0]["who"].get("onBehalfOf").is_none());
}

#[tokio::test]
async fn on_behalf_of_may_be_a_claim_of_its_own() {
    let section = "principal = { claim = \"sub\", as = \"Agent\" }\non_behalf_of = { claim = \"$.for.id\", by = \"crmId\" }\n";
    let desk = Desk::open(section, BOTH).await;
    desk.check(json!({"sub": "helper", "for": {"id": "1"}}), "200").await;
    desk.check(json!({"sub": "helper", "for": {"id": "2"}}), "not-found").await;
    desk.check(json!({"sub": "helper"}), "not-found").await;
    desk.check(json!({"sub": "helper", "for": {"id": "79"}}), "principal-ambiguous").await;
    desk.check(json!({"sub": "helper", "for": {"id": []}}), "token-refused").await;
}

#[tokio::test]
async fn a_token_that_somebody_else_acts_with_is_not_a_plain_one() {
    let desk = Desk::open("", "").await;
    desk.check(json!({"act": {"sub": "helper"}}), "token-refused").await;
    desk.check(json!({"act": null}), "200").await;
}
