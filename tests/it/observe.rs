//! What is observed passes as it came and is judged as ever; what is not observed stays enforced; no value is ever kept.

use std::sync::{Arc, Mutex};

use lockkeeper::audit::draft::{Draft, write};
use lockkeeper::bundle::profile::Profile;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::ledger::Entries;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::{Value, json};

const UNTIL: &str = "2026-07-01T00:00:00Z";
const UNTIL_MS: i64 = 1_782_864_000_000;

/// A group that observes some routes.
pub fn group(name: &str, routes: &str, until: &str) -> String {
    format!("\n[[observe]]\nname = \"{name}\"\nroutes = {routes}\nuntil = \"{until}\"\n")
}

/// The demo's bundle, observed.
pub fn observing(groups: String) -> impl FnOnce(Options) -> Options {
    move |options| options.edit("lockkeeper.toml", move |text| text + &groups)
}

async fn start(routes: &str) -> TestSidecar {
    TestSidecar::with(observing(group("g", routes, UNTIL))).await
}

/// The observed entry of an answer, once it is there.
async fn seen(sidecar: &TestSidecar, id: &str) -> Value {
    let find =
        |ledger: &Entries| ledger.of_kind("observed").into_iter().find(|entry| entry["of"] == id).cloned();
    let ledger = sidecar.ledger_when("what was observed", |ledger| find(ledger).is_some()).await;
    find(&ledger).unwrap()
}

/// An observed read leaves as the CRM wrote it, and the entry says what would have been left of it.
#[tokio::test]
async fn an_observed_read_passes_and_says_what_would_be_hidden() {
    let sidecar = start(r#""GET /api/deals*""#).await;
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    let bare = sidecar.crm_caller().get("/api/deals/42").await;
    assert_eq!((reply.status, &reply.body), (200, &bare.body));
    assert!(reply.json()["margin"].is_string() || reply.json()["margin"].is_number(), "{}", reply.json());
    let enforced = TestSidecar::start().await;
    let other = enforced.as_person("rep-east").get("/api/deals/42").await;
    let (observed, enforced) = (sidecar.ledger(), enforced.ledger());
    let (observed, enforced) = (observed.decision(&reply), enforced.decision(&other));
    assert_eq!((&observed["mode"], &enforced["mode"]), (&json!("observe"), &json!("enforce")));
    for member in ["effect", "reason", "sets", "rows_hidden", "access", "reasons", "route"] {
        assert_eq!(observed[member], enforced[member], "{member}");
    }
    assert!(observed["sets"].as_array().unwrap().iter().any(|set| set.get("hidden").is_some()));
    let id = reply.decision();
    let ledger = sidecar.ledger_when("the outcome", |ledger| ledger.outcome(id).is_some()).await;
    let outcome = ledger.outcome(id).unwrap();
    assert_eq!((&outcome["released"], &outcome["mode"]), (&json!("all"), &json!("observe")));
    assert!(reply.headers.keys().all(|name| !name.as_str().contains("observe")));
}

/// What would be denied, refused or hidden whole goes through and is told with its reason.
#[tokio::test]
async fn what_would_end_goes_on() {
    let sidecar = start(r#""*""#).await;
    let rep = sidecar.as_person("rep-east");
    for (method, target, body, status, effect, reason) in [
        ("GET", "/api/deals?sort=margin", "", 200, "refuse", "reference-refused"),
        ("GET", "/api/deals?colour=red", "", 200, "refuse", "query-undeclared"),
        ("GET", "/api/nowhere", "", 404, "refuse", "route-unmapped"),
        ("GET", "/api/deals/42", "", 200, "allow", ""),
        ("PATCH", "/api/deals/42", r#"{"margin":"1.00"}"#, 200, "deny", "fields-denied"),
        ("PATCH", "/api/deals/42", "{", 400, "refuse", "json-syntax"),
        ("POST", "/api/deals/42/move", r#"{"stage":"won"}"#, 200, "deny", "stage-move-denied"),
        ("GET", "/api/deals/999999", "", 404, "deny", "not-found"),
    ] {
        let reply = rep.send(method, target, body).await;
        assert_eq!(reply.status, status, "{method} {target}: {}", String::from_utf8_lossy(&reply.body));
        assert!(!String::from_utf8_lossy(&reply.body).contains("urn:lockkeeper"), "{method} {target}");
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        assert_eq!((&decision["mode"], &decision["effect"]), (&json!("observe"), &json!(effect)), "{target}");
        assert_eq!(decision["reason"].as_str().unwrap_or_default(), reason, "{method} {target}");
    }
    assert_eq!(sidecar.crm_writes().len(), 3);
}

/// The decision on an observed write is durable before the CRM hears of it, and its outcome before the answer leaves.
#[tokio::test]
async fn an_observed_write_is_recorded_first() {
    let sidecar = start(r#""*""#).await;
    let reply = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"margin":"1.00"}"#).await;
    let ledger = sidecar.ledger();
    assert_eq!(ledger.decision(&reply)["write"]["refused"], json!(["Deal.margin"]));
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["status"], 200);
    sidecar.break_ledger().await;
    sidecar.crm().reset();
    for (method, target) in [("PATCH", "/api/deals/42"), ("POST", "/api/nowhere"), ("GET", "/api/nowhere")] {
        let reply = sidecar.as_person("rep-east").send(method, target, "{}").await;
        assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"), "{method}");
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

/// Observing one group leaves every other request as it was.
#[tokio::test]
async fn a_group_does_not_loosen_another() {
    let groups = group("deals", r#"["GET /api/deals", "GET /api/reports*"]"#, UNTIL)
        + &group("late", r#""GET /api/contacts*""#, "2026-06-14T00:00:00Z")
        + &group("later", r#""GET /api/con*""#, UNTIL);
    let sidecar = TestSidecar::with(observing(groups)).await;
    let rep = sidecar.as_person("rep-east");
    for (method, target, reason) in [
        ("GET", "/api/deals/42?colour=red", "query-undeclared"),
        ("GET", "/api/contacts?colour=red", "query-undeclared"),
        ("GET", "/api/companies?colour=red", "query-undeclared"),
        ("GET", "/api/nowhere", "route-unmapped"),
        ("GET", "/api/deals/", "route-unmapped"),
        ("POST", "/api/reports/x", "route-unmapped"),
        ("PATCH", "/api/deals/42?colour=red", "body-missing"),
        ("DELETE", "/api/deals", "route-unmapped"),
    ] {
        let reply = rep.send(method, target, "").await;
        assert!(reply.status >= 400, "{method} {target}");
        assert_eq!(reply.reason(), reason, "{method} {target}");
        assert_eq!(sidecar.ledger().decision(&reply)["mode"], "enforce");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    assert_eq!(rep.get("/api/deals?colour=red").await.status, 200);
}

/// Enforcement begins at the instant, by the clock, without a restart.
#[tokio::test]
async fn enforcement_begins_at_the_instant() {
    let sidecar = start(r#""*""#).await;
    let rep = sidecar.as_person("rep-east");
    for (now_ms, status, mode) in [
        (NOW_MS, 404, "observe"),
        (UNTIL_MS - 1, 404, "observe"),
        (UNTIL_MS, 403, "enforce"),
        (UNTIL_MS + 1, 403, "enforce"),
    ] {
        sidecar.set_now_ms(now_ms);
        let reply = rep.get("/api/nowhere").await;
        assert_eq!(reply.status, status, "{now_ms}");
        assert_eq!(sidecar.ledger().decision(&reply)["mode"], mode, "{now_ms}");
    }
    assert!(sidecar.running().sidecar.observing.open(UNTIL_MS).next().is_none());
    assert_eq!(sidecar.running().sidecar.observing.seconds_left(UNTIL_MS - 1), [("g".to_owned(), 1)]);
    assert_eq!(
        sidecar.ledger().of_kind("start")[0]["observe"],
        json!([{"name": "g", "routes": ["*"], "until": UNTIL}])
    );
}

/// Framing, identity, sizes and credentials hold for observed requests too.
#[tokio::test]
async fn what_holds_for_everybody_holds() {
    let groups = group("g", r#""*""#, UNTIL);
    let sidecar =
        TestSidecar::with(|options| observing(groups)(options.set("limits", "body_bytes", "100"))).await;
    let rep = sidecar.as_person("rep-east");
    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(100));
    for (method, target, body, reason) in [
        ("GET", "/api/deals%2F42", "", "path-encoded-slash"),
        ("GET", "/api/../deals", "", "path-dot-segment"),
        ("GET", "/api/deals?_method=DELETE", "", "method-override"),
        ("POST", "/api/nowhere", large.as_str(), "body-too-large"),
        ("TRACE", "/api/deals", "", "route-unmapped"),
        ("PROPFIND", "/api/deals", "", "route-unmapped"),
    ] {
        let reply = rep.send(method, target, body).await;
        assert_eq!(reply.reason(), reason, "{method} {target}");
    }
    let coded = rep.clone().with_header("Content-Encoding: gzip").post("/api/nowhere", "{}").await;
    assert_eq!(coded.reason(), "body-coding");
    assert_eq!(sidecar.as_nobody().get("/api/deals").await.reason(), "credential-missing");
    let wrong = sidecar.as_nobody().with_header("Authorization: Bearer wrong");
    assert_eq!(wrong.get("/api/deals").await.reason(), "credential-unknown");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    // Nothing that says who asks goes to the CRM beside the service account's key.
    let own = rep
        .with_header("Cookie: session=stolen")
        .with_header("X-Remote-User: admin")
        .with_header("X-Api-Key-2: x");
    assert_eq!(own.get("/api/nowhere").await.status, 404);
    let asked = sidecar.crm().requests().pop().unwrap();
    let names: Vec<&str> = asked.headers.keys().map(http::HeaderName::as_str).collect();
    for name in ["cookie", "x-remote-user", "authorization", "x-api-key-2"] {
        assert!(!names.contains(&name), "{names:?}");
    }
}

/// What cannot be judged passes and is recorded with the reason that it would have had.
#[tokio::test]
async fn what_cannot_be_judged_passes() {
    let sidecar = start(r#""*""#).await;
    let rep = sidecar.as_person("rep-east");
    for (fault, reason) in [(Fault::MalformedJson, "upstream-malformed"), (Fault::Html200, "upstream-type")] {
        sidecar.crm().set_fault(Some(fault));
        let reply = rep.get("/api/deals/42").await;
        let (entry, ledger) = (seen(&sidecar, reply.decision()).await, sidecar.ledger());
        assert_eq!(ledger.decision(&reply)["reason"], reason);
        assert_eq!(entry["reason"], reason);
        assert!(!reply.body.is_empty());
        assert_eq!(reply.status, 200);
    }
}

/// What no route describes is recorded by names.
#[tokio::test]
async fn undescribed_requests_leave_names() {
    let sidecar = start(r#""*""#).await;
    let rep = sidecar.as_person("rep-east");
    let reply = rep.post("/api/deals/42/notes?page=2&hunter", r#"{"lines":[{"text":"secret"}],"x":1}"#).await;
    let entry = seen(&sidecar, reply.decision()).await;
    assert_eq!(entry["path"], "/api/deals/{int}/notes");
    assert_eq!(entry["query"], json!(["page"]));
    assert_eq!(entry["request_type"], "application/json");
    assert_eq!(entry["request_keys"], json!(["/lines/[*]/text", "/x"]));
    assert_eq!((&entry["unnamed"], &entry["group"]), (&json!(1), &json!("g")));
    let reply = rep.get("/api/deals?colour=red").await;
    let entry = seen(&sidecar, reply.decision()).await;
    assert_eq!((&entry["route"], &entry["query"]), (&json!("GET,HEAD /api/deals"), &json!(["colour"])));
    assert_eq!(entry.get("path"), None);
}

/// Keys of records that no field claims are recorded by type, from answers and from writes.
#[tokio::test]
async fn unclassified_keys_are_recorded() {
    let change = |text: String| {
        text.replace("currency     = { sets = [\"public\"] }\n", "")
            .replace("name         = { sets = [\"public\"] }\n", "")
    };
    let groups = group("g", r#""*""#, UNTIL);
    let sidecar =
        TestSidecar::with(|options| observing(groups)(options.edit("bundle/profile.toml", change))).await;
    let rep = sidecar.as_person("rep-east");
    let reply = rep.get("/api/deals/42?expand=company").await;
    let entry = seen(&sidecar, reply.decision()).await;
    let found = entry["fields"].as_array().unwrap();
    let names = [("Company", json!(["name"])), ("Deal", json!(["currency", "risk_score"]))];
    let expected: Vec<Value> = names.iter().map(|(of, names)| json!({"type": of, "names": names})).collect();
    assert_eq!(*found, expected);
    let reply = rep.patch("/api/deals/42", r#"{"nickname":"secret"}"#).await;
    let entry = seen(&sidecar, reply.decision()).await;
    assert!(entry["fields"][1]["names"].as_array().unwrap().contains(&json!("nickname")), "{entry}");
}

/// A log that is kept in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Canaries in every place of requests and answers: none of them is ever on disk, in the log or in a draft.
#[tokio::test]
async fn no_value_is_ever_kept() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // All tasks of the test run on its thread.
    let _logging = tracing::subscriber::set_default(subscriber);
    let sidecar = start(r#""*""#).await;
    let rep = sidecar
        .as_person("rep-east")
        .with_header("X-Canary: canaryheader")
        .with_header("Accept-Language: canarylanguage");
    let body = r#"{"title":"canarybody","deep":[{"k":"canarydeep"}],"canary9key8with7digits":1,"canary@key.test":1}"#;
    for (method, target, body) in [
        ("GET", "/api/deals/canarypath", ""),
        ("GET", "/canarypath/canarypath-canarypath/42", ""),
        ("GET", "/api/deals/42/canary_path?canaryflag", ""),
        ("GET", "/api/deals?colour=canaryquery&sort=canarysort&q=canarysearch", ""),
        ("GET", "/api/deals/42?canary%40mail.test=1", ""),
        ("POST", "/api/canarypath", body),
        ("PATCH", "/api/deals/42", body),
        ("PATCH", "/api/deals/42", r#"{"notes":"canarywritten"}"#),
        ("GET", "/api/deals/42", ""),
        ("GET", "/api/companies", ""),
        ("canarymethod", "/api/deals", ""),
    ] {
        rep.send(method, target, body).await;
    }
    let form = rep.clone().with_header("Content-Type: text/canarytype");
    let form_reply = form.post("/api/deals", "canaryform=canaryvalue").await;
    let answered = rep.get("/api/deals/42").await;
    assert!(String::from_utf8_lossy(&answered.body).contains("canarywritten"));
    seen(&sidecar, form_reply.decision()).await;
    let (drafted, draft) = draft(&sidecar, &sidecar.ledger());
    assert!(drafted.missing() > 5, "{draft}");
    let json = write::json(&drafted, None).to_string();
    tracing::info!("the log is watched");
    let folder = sidecar.stop_keeping_files().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is watched"));
    let ledger = folder.all_text("state/ledger");
    assert!(ledger.contains("\"kind\":\"observed\""));
    assert!(ledger.contains("request_keys"));
    for line in ledger.lines().chain(draft.lines()).chain(json.lines()).chain(log.lines()) {
        assert!(!line.to_ascii_lowercase().contains("canary"), "{line}");
    }
}

/// The draft of a ledger, against the profile that serves.
fn draft(sidecar: &TestSidecar, ledger: &Entries) -> (Draft, String) {
    let snapshot = sidecar.running().sidecar.current.snapshot();
    let profile: &Profile = &snapshot.bundle.profile;
    let mut draft = Draft::default();
    ledger.of_kind("observed").into_iter().for_each(|entry| draft.add(entry, Some(profile)));
    let text = write::toml(&draft, Some(profile));
    (draft, text)
}

/// From nothing: an empty profile observes, the draft is pasted and loads, and the same traffic is enforced.
#[tokio::test]
async fn a_profile_grows_from_traffic() {
    let groups = group("all", r#""*""#, UNTIL);
    let sidecar = TestSidecar::with(|options| {
        let mut options = observing(groups)(options);
        for name in ["fields", "guards", "records", "stages"] {
            options = options.edit(&format!("bundle/policies/{name}.cedar"), |_| "// none yet\n".to_owned());
        }
        let options = options.edit("bundle/crm.cedarschema", |_| "// none yet\n".to_owned());
        options.edit("bundle/profile.toml", |_| "profile = 1\n".to_owned())
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    let traffic = [
        ("GET", "/api/deals?page=1&per_page=2", ""),
        ("HEAD", "/api/deals", ""),
        ("GET", "/api/deals/42", ""),
        ("GET", "/api/deals/7?fields=id", ""),
        ("PATCH", "/api/deals/42", r#"{"title":"new"}"#),
        ("POST", "/api/deals/42/move", r#"{"stage":"negotiation"}"#),
        ("GET", "/api/pipelines", ""),
        ("GET", "/api/hunterpassword", ""),
    ];
    let mut last = String::new();
    for (method, target, body) in traffic {
        let reply = rep.send(method, target, body).await;
        let bare = sidecar.crm_caller().send(method, target, "").await;
        assert!(!reply.body.starts_with(b"{\"type\":\"urn:lockkeeper"), "{method} {target}");
        if method == "GET" {
            assert_eq!((reply.status, &reply.body), (bare.status, &bare.body), "{method} {target}");
        }
        last = reply.decision().to_owned();
    }
    seen(&sidecar, &last).await;
    let (drafted, text) = draft(&sidecar, &sidecar.ledger());
    assert_eq!(drafted.entries, 8);
    assert!(!text.contains("hunter"), "{text}");
    for label in [
        "GET,HEAD /api/deals",
        "GET /api/deals/{id:int}",
        "PATCH /api/deals/{id:int}",
        "POST /api/deals/{id:int}/move",
        "GET /api/pipelines",
        "GET /api/{id}",
    ] {
        assert!(text.contains(&format!("match  = \"{label}\"")), "{label}: {text}");
    }
    assert!(text.contains("query  = { page = \"refused\", per_page = \"refused\" }"), "{text}");
    assert!(text.contains("# records = { at = \"$.data[*]\", type = \"…\" }"), "{text}");
    let paste = |profile: String| format!("{profile}\n{text}");
    assert!(matches!(sidecar.reload_with("bundle/profile.toml", paste).await, Reloaded::Active { .. }));
    let (again, _) = draft(&sidecar, &sidecar.ledger());
    assert_eq!((again.routes.len(), again.undescribed.len()), (0, 6));
    // What is pasted is still observed, now by its label, and refused once the date has passed.
    let observed = rep.get("/api/deals/42").await;
    assert_eq!(sidecar.ledger().decision(&observed)["reason"], "route-undescribed");
    assert_eq!(sidecar.ledger().decision(&observed)["route"], "GET /api/deals/{id:int}");
    sidecar.set_now_ms(UNTIL_MS);
    sidecar.crm().reset();
    for (method, target, body) in traffic {
        let reply = rep.send(method, target, body).await;
        assert_eq!(reply.status, 403, "{method} {target}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// A field that the draft names loads where it is pasted, and is no longer missing.
#[tokio::test]
async fn drafted_fields_load() {
    let change = |text: String| text.replace("currency     = { sets = [\"public\"] }\n", "");
    let groups = group("g", r#""*""#, UNTIL);
    let sidecar =
        TestSidecar::with(|options| observing(groups)(options.edit("bundle/profile.toml", change))).await;
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    seen(&sidecar, reply.decision()).await;
    let (drafted, text) = draft(&sidecar, &sidecar.ledger());
    let names: Vec<&String> = drafted.fields["Deal"].keys().collect();
    assert_eq!(names, ["currency", "risk_score"]);
    let below = |header: &str, profile: String| {
        let block = text.split(&format!("{header}\n")).nth(1).unwrap();
        let block: String =
            block.lines().take_while(|line| line.contains('=')).map(|line| format!("{line}\n")).collect();
        profile.replace(&format!("{header}\n"), &format!("{header}\n{block}"))
    };
    let paste = |profile| below("[types.Deal.fields]", below("[field_sets]", profile));
    assert!(matches!(sidecar.reload_with("bundle/profile.toml", paste).await, Reloaded::Active { .. }));
    assert_eq!(draft(&sidecar, &sidecar.ledger()).0.missing(), 0);
}

/// A route that only the body chooses is not observed by way of the one that the path alone would have chosen, and a
/// request that no route takes is not observed where a route of its path is not.
#[tokio::test]
async fn a_condition_leads_into_no_other_group() {
    let route = r#"
[[routes]]
match = "POST /api/deals/{id:int}/{verb:word}"
when = [{ body = "$.op", is = ["note"] }]
over = ["POST /api/deals/{id:int}/move", "POST /api/deals/{id:int}/files"]
refuse = "later"
body = "json"
[[routes]]
match = "GET /api/teams/{id:int}"
when = [{ query = "view", is = ["all"] }]
refuse = "later"
"#;
    let groups = group("g", r#"["POST /api/deals/{id:int}/{verb:word}", "GET /api/teams/4*"]"#, UNTIL);
    let change = move |text: String| text + route;
    let sidecar =
        TestSidecar::with(|options| observing(groups)(options.edit("bundle/profile.toml", change))).await;
    let rep = sidecar.as_person("rep-east");
    let reply = rep.post("/api/deals/42/move", r#"{"stage":"won"}"#).await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "stage-move-denied"));
    let reply = rep.get("/api/teams/42").await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "route-unmapped"));
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
    // The refused route does not stand in the other's way.
    let admin = sidecar.as_person("admin").post("/api/deals/42/move", r#"{"stage":"negotiation"}"#).await;
    assert_eq!(admin.status, 200);
    sidecar.crm().reset();
    // Where no other route could be meant, the group observes as it says.
    let reply = rep.post("/api/deals/42/notes", r#"{"op":"note"}"#).await;
    assert_eq!(sidecar.ledger().decision(&reply)["mode"], "observe");
    assert_eq!(sidecar.crm_writes(), ["POST /api/deals/42/notes"]);
}
