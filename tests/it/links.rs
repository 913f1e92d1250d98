//! Links: a write that names another record is judged at both ends, and a hidden record is told from a missing one by nothing.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;

const DEAL: &str = "/api/deals/42";
const REFUSED: (u16, &str) = (403, "link-refused");

/// The demo whose deals say what their keys name, and a route of its own that relates.
fn linking(options: Options) -> Options {
    options.edit("bundle/profile.toml", |profile| {
        let key = |name: &str| format!("{name} = {{ sets = [\"public\", \"Deal.editable\"]");
        let profile = profile
            .replace(&key("contact_id  "), &format!("{}, id_of = \"Contact\"", key("contact_id  ")))
            .replace(&key("company_id  "), &format!("{}, id_of = \"Company\"", key("company_id  ")))
            .replace(&key("tags        "), &format!("{}, id_of = \"Contact\"", key("tags        ")));
        assert_eq!(profile.matches("id_of").count(), 3);
        profile
    })
}

/// The same, where who sets a deal's contact asks for `relate`, by a route of its own too.
fn relating(options: Options) -> Options {
    let policies = r#"
        @id("test.relate") permit (principal in Role::"rep", action == Action::"relate", resource);
        @id("test.unrelated") forbid (principal, action == Action::"relate", resource == Contact::"101");"#;
    linking(options).policies(policies).edit("bundle/profile.toml", |profile| {
        let relate =
            |at: &str| format!(", {{ when = {{ at = \"{at}\", changes = true }}, action = \"relate\" }}]");
        let assign =
            |at: &str| format!("{{ when = {{ at = \"{at}\", changes = true }}, action = \"assign\" }}]");
        let both = |profile: String, at: &str, contact: &str| {
            let with = assign(at).trim_end_matches(']').to_owned() + &relate(contact);
            profile.replace(&assign(at), &with)
        };
        let profile = both(profile, "$.owner_id", "$.contact_id");
        both(profile, "$.set.owner_id", "$.set.contact_id")
            + r#"
[[routes]]
match   = "POST /api/deals/{id:int}/contacts/{contact:int}"
action  = "relate"
covers  = ["contact_id"]
links   = [{ type = "Contact", id = "path.contact" }]
type    = "Deal"
before  = "GET,HEAD /api/deals/{id:int}"
body    = "none"
"#
    })
}

/// A contact that rep-east may not view.
async fn hidden_contact(sidecar: &TestSidecar) -> u64 {
    let contact = sidecar.crm_caller().get("/api/deals/3").await.json()["contact_id"].as_u64().unwrap();
    assert_eq!(sidecar.as_person("rep-east").get(&format!("/api/contacts/{contact}")).await.status, 404);
    contact
}

/// Sends a change; its status, and the contacts that the CRM was asked for before it. Those in its answer are judged too.
async fn look_ups(sidecar: &TestSidecar, person: &str, at: &str, body: &str) -> (u16, Vec<String>) {
    let from = sidecar.crm_saw().len();
    let reply = sidecar.as_person(person).patch(at, body).await;
    let saw = sidecar.crm_saw().into_iter().skip(from).take_while(|line| !line.starts_with("PATCH"));
    (reply.status, saw.filter(|line| line.contains("/api/contacts/")).collect())
}

#[tokio::test]
async fn a_hidden_record_and_none_are_refused_alike() {
    let sidecar = TestSidecar::with(linking).await;
    let (rep, hidden) = (sidecar.as_person("rep-east"), hidden_contact(&sidecar).await);
    for (method, at, body) in [
        ("PATCH", DEAL, r#"{"contact_id":ID}"#),
        ("PATCH", DEAL, r#"{"contact_id":"ID","title":"x"}"#),
        ("PATCH", DEAL, r#"{"tags":[101,ID]}"#),
        ("POST", "/api/deals", r#"{"title":"x","owner_id":1,"contact_id":ID}"#),
    ] {
        let send = async |id: &str| rep.send(method, at, body.replace("ID", id)).await;
        let (hidden, missing) = (send(&hidden.to_string()).await, send("99999").await);
        assert_eq!((hidden.status, hidden.reason().as_str()), REFUSED, "{body}");
        assert_eq!(hidden.observable(), missing.observable(), "{body}");
        assert_eq!(sidecar.ledger().decision(&hidden)["reason"], "link-refused");
    }
    for id in ["true", "1.5", "-1", r#""x""#, r#""101/..""#, r#"{"id":101}"#, "[101]", "[[101]]", r#""0101""#]
    {
        let reply = rep.patch(DEAL, format!(r#"{{"contact_id":{id}}}"#)).await;
        let expected = if id == "[101]" { 200 } else { 403 };
        assert_eq!(reply.status, expected, "{id} {}", reply.text());
    }
    assert_eq!(sidecar.crm_writes(), ["PATCH /api/deals/42"]);
}

#[tokio::test]
async fn what_a_caller_may_view_is_linked_to_and_looked_up_once() {
    let sidecar = TestSidecar::with(linking).await;
    let get = "GET /api/contacts/102";
    for (person, body, expected) in [
        ("rep-east", r#"{"contact_id":102,"tags":[102]}"#, &[get][..]),
        ("rep-east", r#"{"contact_id":102}"#, &[]),
        ("rep-east", r#"{"contact_id":null}"#, &[]),
        ("rep-east", r#"{"contact_id":""}"#, &[]),
        ("rep-east", r#"{"tags":[]}"#, &[]),
        ("rep-east", r#"{"contact_id":102}"#, &[get]),
        // Whoever may view every record of a type need not be told which are there.
        ("rep-east", r#"{"company_id":205}"#, &[]),
        ("admin", r#"{"contact_id":116}"#, &[]),
    ] {
        let (status, saw) = look_ups(&sidecar, person, DEAL, body).await;
        assert_eq!(
            (status, saw.iter().map(String::as_str).collect::<Vec<_>>()),
            (200, expected.to_vec()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_link_that_is_there_may_stay_though_its_other_end_is_hidden() {
    let sidecar = TestSidecar::with(linking).await;
    let hidden = hidden_contact(&sidecar).await;
    let body = format!(r#"{{"contact_id":{hidden},"title":"x"}}"#);
    assert_eq!(look_ups(&sidecar, "rep-east", "/api/deals/3", &body).await, (200, Vec::new()));
    // Not for somebody who cannot see that it is there: to them it would be the answer to a guess.
    let hide = r#"@id("test.hide") forbid (principal, action == Action::"readField", resource is Deal)
        when { context.field == Field::"Deal.contact_id" };"#;
    let sidecar = TestSidecar::with(|options| linking(options).policies(hide)).await;
    let rep = sidecar.as_person("rep-east");
    let held = rep.patch("/api/deals/3", format!(r#"{{"contact_id":{hidden}}}"#)).await;
    let other = rep.patch("/api/deals/3", r#"{"contact_id":99999}"#).await;
    assert_eq!((held.status, held.reason().as_str()), REFUSED);
    assert_eq!(held.observable(), other.observable());
}

#[tokio::test]
async fn what_relates_needs_it_at_both_ends() {
    let sidecar = TestSidecar::with(relating).await;
    let (rep, hidden) = (sidecar.as_person("rep-east"), hidden_contact(&sidecar).await);
    let by_path = |id: u64| format!("{DEAL}/contacts/{id}");
    assert_eq!(rep.patch(DEAL, r#"{"contact_id":102}"#).await.status, 200);
    // The demo has no such route: what reaches it is not found.
    assert_eq!(rep.post(&by_path(102), "").await.status, 404);
    assert_eq!(sidecar.crm_writes(), ["PATCH /api/deals/42", "POST /api/deals/42/contacts/102"]);
    for id in [101, hidden, 99999] {
        for reply in [
            rep.patch(DEAL, format!(r#"{{"contact_id":{id}}}"#)).await,
            rep.post("/api/deals/bulk", format!(r#"{{"ids":[42],"set":{{"contact_id":{id}}}}}"#)).await,
            rep.post(&by_path(id), "").await,
        ] {
            assert_eq!(reply.status, 403, "{id} {}", reply.text());
        }
        assert_eq!(rep.post(&by_path(id), "").await.reason(), "link-refused", "{id}");
    }
    assert_eq!(sidecar.crm_writes().len(), 2);
}

/// An id among them makes nothing else an id, not even for somebody who may link to any record.
#[tokio::test]
async fn what_is_no_id_is_refused_beside_one() {
    let sidecar = TestSidecar::with(linking).await;
    for tags in
        [r#"[101,{"name":"x"}]"#, r#"[101,[0,0,{"name":"x"}]]"#, r#"[{"name":"x"},101]"#, r#"[101,1.5]"#]
    {
        for person in ["admin", "rep-east"] {
            let reply = sidecar.as_person(person).patch(DEAL, format!(r#"{{"tags":{tags}}}"#)).await;
            assert_eq!((reply.status, reply.reason().as_str()), REFUSED, "{person} {tags}");
        }
    }
    assert_eq!(sidecar.as_person("admin").patch(DEAL, r#"{"tags":[101,102]}"#).await.status, 200);
    assert_eq!(sidecar.crm_writes().len(), 1);
}

#[tokio::test]
async fn look_ups_are_bounded() {
    let sidecar = TestSidecar::with(|options| linking(options).set("limits", "fetches", 2)).await;
    let body = r#"{"tags":[101,102,103]}"#;
    assert_eq!(look_ups(&sidecar, "rep-east", DEAL, body).await, (400, Vec::new()));
    assert_eq!(sidecar.as_person("rep-east").patch(DEAL, body).await.reason(), "id-too-many");
    // Whoever may link to any record is told so of as many as fit into a body, and of what is no id behind them.
    let ids: Vec<String> = (1..30_000).map(|id| id.to_string()).collect();
    let (ids, admin) = (ids.join(","), sidecar.as_person("admin"));
    let reply = sidecar.as_person("rep-east").patch(DEAL, format!(r#"{{"tags":[{ids}]}}"#)).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "id-too-many"));
    assert_eq!(admin.patch(DEAL, format!(r#"{{"tags":[{ids}]}}"#)).await.status, 200);
    let reply = admin.patch(DEAL, format!(r#"{{"tags":[{ids},{{}}]}}"#)).await;
    assert_eq!((reply.status, reply.reason().as_str()), REFUSED);
}
