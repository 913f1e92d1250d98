//! Upserts: the look-up decides whether a request creates or changes, and a condition holds the CRM to that.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;

use super::any_crm::{Answer, AnyCrm};

const AT: &str = "/api/contacts/by-email/a@x.example";

/// The demo with contacts that are created or changed by their address.
fn upserting(options: Options) -> Options {
    let policies = r#"
        @id("test.create") permit (principal in Role::"rep", action == Action::"create", resource is Contact);
        @id("test.email") permit (principal in Role::"rep", action == Action::"writeField", resource is Contact)
        when { context.field == Field::"Contact.email" && !(resource has owner) };
        @id("test.name") permit (principal in Role::"rep", action == Action::"writeField", resource is Contact)
        when { context.field == Field::"Contact.name" };"#;
    options.policies(policies).edit("bundle/profile.toml", |profile| {
        profile
            + r#"
[[routes]]
match   = "GET /api/contacts/by-email/{id}"
action  = "view"
id      = { from = "path.id", key = "email" }
records = { at = "$", type = "Contact", complete = true }

[[routes]]
match   = "PUT /api/contacts/by-email/{id}"
action  = "edit"
type    = "Contact"
id      = { from = "path.id", key = "email" }
before  = "GET /api/contacts/by-email/{id}"
missing = "create"
version = { from = "header.etag", to = "header.if-match" }
writes  = { at = "$" }
records = { at = "$", complete = true }
"#
    })
}

async fn start() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(upserting).await;
    (crm, sidecar)
}

fn contact(owner: u64) -> Vec<u8> {
    format!(r#"{{"id":7,"name":"A","email":"a@x.example","phone":"1","company_id":1,"owner_id":{owner},"team_id":10,"consent":true}}"#)
        .into_bytes()
}

fn missing() -> Answer {
    Answer::json(br#"{"error":"not found"}"#.to_vec()).status(404)
}

/// The line and the condition of what was written, if anything was.
fn written(crm: &AnyCrm) -> Option<(String, Option<String>)> {
    let head = crm.heads().into_iter().find(|head| head.starts_with("PUT "))?;
    let condition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("if-"));
    Some((head.lines().next().unwrap().to_owned(), condition.map(str::to_ascii_lowercase)))
}

#[tokio::test]
async fn the_look_up_decides() {
    let (crm, sidecar) = start().await;
    let rep = sidecar.as_person("rep-east");
    // There is none: it is created, and only if there still is none.
    crm.answers(Answer::json(contact(1)).status(201));
    crm.answers_reads(missing());
    let created = rep.put(AT, r#"{"name":"A"}"#).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(written(&crm).unwrap().1.as_deref(), Some("if-none-match: *"));
    let ledger = sidecar.ledger();
    let actions = ledger.decision(&created)["access"].to_string();
    assert!(actions.contains("\"create\"") && !actions.contains("\"edit\""), "{actions}");
    // There is one: it is changed, at its version.
    crm.answers(Answer::json(contact(1)));
    let changed = rep.put(AT, r#"{"name":"A"}"#).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(written(&crm).unwrap().1.as_deref(), Some("if-match: \"1\""));
    let ledger = sidecar.ledger();
    let actions = ledger.decision(&changed)["access"].to_string();
    assert!(actions.contains("\"edit\"") && !actions.contains("\"create\""), "{actions}");
    // Somebody was faster: what was judged as a creation does not become a change.
    crm.answers(Answer::json(b"{}".to_vec()).status(412));
    crm.answers_reads(missing());
    let conflict = rep.put(AT, r#"{"name":"A"}"#).await;
    assert_eq!((conflict.status, conflict.reason().as_str()), (409, "record-changed"));
}

#[tokio::test]
async fn each_half_needs_its_own_action() {
    let (crm, sidecar) = start().await;
    for (person, body, is_there, status, reason) in [
        // The one may be edited and not created, the other created and not edited.
        ("service", r#"{"name":"A"}"#, false, 403, "denied"),
        ("service", r#"{"name":"A"}"#, true, 403, "denied"),
        ("rep-east", r#"{"consent":false}"#, false, 403, "fields-denied"),
        ("rep-east", r#"{"consent":false}"#, true, 403, "fields-denied"),
        // The key of the path is written by a creation, and the body cannot name another one.
        ("rep-east", r#"{"name":"A","email":"b@x.example"}"#, false, 400, "id-conflict"),
        ("rep-east", r#"{"name":"A","id":8}"#, false, 400, "id-conflict"),
        ("rep-east", r#"{"name":"A","id":8}"#, true, 400, "id-conflict"),
    ] {
        crm.answers(Answer::json(contact(1)));
        if !is_there {
            crm.answers_reads(missing());
        }
        let reply = sidecar.as_person(person).put(AT, body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{person} {body} {is_there}");
        assert_eq!(written(&crm), None, "{person} {body} {is_there}");
    }
}

/// For whoever may not create, a contact that they may not see and one that is not there are the same bytes.
#[tokio::test]
async fn what_is_hidden_is_told_like_what_is_missing() {
    let forbid = r#"@id("test.hide") forbid (principal in Role::"service", action == Action::"view", resource is Contact);
        @id("test.none") forbid (principal in Role::"service", action == Action::"create", resource is Contact);"#;
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| upserting(options).edit("bundle/policies/more.cedar", move |_| forbid.to_owned()))
        .await;
    for body in [r#"{"name":"A"}"#, r#"{"consent":true}"#, "{}", r#"{"id":8}"#] {
        crm.answers(Answer::json(contact(2)));
        let hidden = sidecar.as_person("service").put(AT, body).await;
        crm.answers_reads(missing());
        let none = sidecar.as_person("service").put(AT, body).await;
        assert_eq!(hidden.observable(), none.observable(), "{body}");
        assert_eq!(written(&crm), None);
    }
}

/// The key by which a request names the record that it makes may itself name another record.
#[tokio::test]
async fn what_the_key_of_a_new_record_names_is_judged() {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| {
            upserting(options).edit("bundle/profile.toml", |profile| {
                let key = r#"email      = { sets = ["#;
                assert_eq!(profile.matches(key).count(), 1);
                let profile = profile.replace(key, r#"email      = { id_of = "Deal", sets = ["#);
                profile.replace("by-email/{id}", "by-email/{id:int}")
            })
        })
        .await;
    crm.answers(Answer::json(contact(1)).status(201));
    crm.answers_reads(missing());
    for body in [r#"{"name":"A"}"#, r#"{"name":"A","email":3}"#] {
        let reply = sidecar.as_person("rep-east").put("/api/contacts/by-email/3", body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "link-refused"), "{body}");
    }
    assert_eq!(written(&crm), None);
}
