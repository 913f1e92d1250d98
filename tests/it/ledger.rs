//! What the ledger holds of a journey, and that nothing happens which it could not record.
#![expect(clippy::disallowed_methods, reason = "edge: moves the ledger's folder away under its writer")]

use http::Method;
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::ledger::entry::{Entry, Read};
use lockkeeper::ledger::revisions::Revisions;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{PATIENCE, TestReply, read_to_end};
use serde_json::{Value, json};

#[tokio::test]
async fn a_write_is_told_from_beginning_to_end() {
    let sidecar = TestSidecar::start().await;
    let body = r#"{"stage":"negotiation","title":"x","strategic":false}"#;
    let reply = sidecar.as_person("rep-east").patch("/api/deals/42", body).await;
    assert_eq!(reply.status, 200);
    // Both entries are durable before the answer leaves.
    let ledger = sidecar.ledger();
    let decision = ledger.decision(&reply);
    assert_eq!(decision["effect"], "allow");
    assert_eq!(decision["route"], "PATCH /api/deals/{id:int}");
    assert_eq!(decision["write"]["asked"], json!(["Deal.stage", "Deal.strategic", "Deal.title"]));
    assert_eq!(decision["write"]["unchanged"], json!(["Deal.strategic"]));
    assert_eq!(decision["write"]["stage"], json!({"from": "sales.proposal", "to": "sales.negotiation"}));
    let outcome = ledger.outcome(reply.decision()).unwrap();
    assert_eq!((&outcome["status"], &outcome["upstream"]), (&json!(200), &json!(200)));
    assert_eq!(outcome["released"], "filtered");
    assert_eq!(outcome["sets"][2]["ids"], json!(["42"]));
}

#[tokio::test]
async fn a_list_is_told_by_what_was_shown_and_hidden() {
    let sidecar = TestSidecar::start().await;
    let reply = sidecar.as_person("rep-east").get("/api/deals?stage=won").await;
    let ledger =
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    let decision = ledger.decision(&reply);
    assert_eq!(decision["query"], json!(["stage"]));
    let hidden: Vec<&Value> =
        decision["rows_hidden"].as_array().unwrap().iter().filter(|row| row["type"] == "Deal").collect();
    assert!(hidden.iter().all(|row| !row["ids"].as_array().unwrap().is_empty()));
    assert!(!hidden.is_empty());
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["delivered"], "yes");
}

/// Every entry that was decided by a revision names it, and its bytes are kept.
#[tokio::test]
async fn entries_name_revisions_whose_bytes_are_kept() {
    let sidecar = TestSidecar::start().await;
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    let ledger = sidecar.ledger();
    let decision = ledger.decision(&reply);
    let revisions = Revisions::open(&sidecar.folder().state()).unwrap();
    let kept = revisions.load(decision["bundle"].as_str().unwrap()).unwrap().unwrap();
    let profile = kept.iter().find(|(name, _)| name == "profile.toml").unwrap();
    assert_eq!(profile.1, sidecar.folder().text("bundle/profile.toml").as_bytes());
    let directory = revisions.load(decision["directory"].as_str().unwrap()).unwrap().unwrap();
    assert!(directory.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains("rep-east")));
}

/// Who has a handle is served; that others are not is no silent state, and ends by itself although none of them comes again.
#[tokio::test]
async fn principals_who_get_no_handle_turn_readiness_red_until_one_can() {
    let sidecar = TestSidecar::start().await;
    let table = sidecar.folder().state().join("principals.jsonl");
    std::fs::create_dir(&table).unwrap();
    let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
    let parts = std::sync::Arc::clone(&sidecar.running().sidecar);
    let told = Err("the ledger takes no entries: handles-failed".to_owned());
    assert_eq!((parts.readiness.conditions()["ledger"].clone(), parts.readiness.is_ready()), (told, false));
    std::fs::remove_dir(&table).unwrap();
    let ready = tokio::time::timeout(PATIENCE, async {
        while !parts.readiness.is_ready() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert!(ready.await.is_ok(), "it does not come back");
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
}

/// Reads that wait for no sync are in the file when they are answered; what changes something waits for its own.
#[tokio::test]
async fn routes_of_durability_write_answer_before_the_sync() {
    let only_written =
        |text| format!("{text}\n[[ledger.routes]]\nroutes = \"GET /api/deals*\"\ndurability = \"write\"\n");
    let sidecar = TestSidecar::with(|options| {
        options.set("ledger", "sync_interval_ms", 60_000).edit("lockkeeper.toml", only_written)
    })
    .await;
    let caller = sidecar.as_person("admin");
    let durable = || sidecar.running().sidecar.recorder.ledger().health().last_seq;
    let at_start = durable();
    let (one, list) = (caller.get("/api/deals/42").await, caller.get("/api/deals").await);
    for reply in [&one, &list] {
        assert_eq!(reply.status, 200);
        assert!(sidecar.ledger().decision(reply)["seq"].as_u64() > Some(at_start));
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    }
    assert_eq!(durable(), at_start, "nothing was synced for them");
    let other = caller.get("/api/contacts/1").await;
    let seq = sidecar.ledger().decision(&other)["seq"].as_u64().unwrap();
    assert!(durable() >= seq, "one sync for all so far");
    sidecar.ledger_when("the outcome", |ledger| ledger.outcome(other.decision()).is_some()).await;
    caller.get("/api/deals/42").await;
    let write = caller.patch("/api/deals/42", r#"{"title":"x"}"#).await;
    let outcome = sidecar.ledger().outcome(write.decision()).unwrap()["seq"].as_u64().unwrap();
    assert!(durable() >= outcome);
}

/// A decision that cannot be recorded forwards nothing and releases nothing.
#[tokio::test]
async fn no_ledger_no_write_and_no_answer() {
    let sidecar = TestSidecar::start().await;
    sidecar.break_ledger().await;
    for (method, target, body) in [
        ("PATCH", "/api/deals/42", r#"{"title":"x"}"#),
        ("POST", "/api/deals/42/move", r#"{"stage":"negotiation"}"#),
        ("POST", "/api/deals", r#"{"title":"x"}"#),
        ("DELETE", "/api/deals/42", ""),
        ("GET", "/api/deals/42", ""),
        ("GET", "/api/deals", ""),
        ("GET", "/api/pipelines", ""),
        // Also what policy would refuse: an unrecorded no is no no.
        ("GET", "/api/deals?sort=margin", ""),
        ("GET", "/nowhere", ""),
    ] {
        let person = if target.contains('?') { "rep-east" } else { "admin" };
        let reply = sidecar.as_person(person).send(method, target, body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"), "{method} {target}");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
}

/// The same with a file system that refuses: the next segment cannot be made.
#[tokio::test]
async fn no_segment_no_write() {
    let sidecar = TestSidecar::with(|options| options.set("ledger", "segment_bytes", 65_536)).await;
    let admin = sidecar.as_person("admin");
    assert_eq!(admin.patch("/api/deals/42", r#"{"title":"x"}"#).await.status, 200);
    let folder = sidecar.folder().state().join("ledger");
    let aside = sidecar.folder().state().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    // Full is full: one of the next entries needs a new segment.
    let recorder = &sidecar.running().sidecar.recorder;
    let fill = || recorder.append(Entry::Read(Read { command: "x".repeat(30_000), by: String::new() }));
    while fill().await.is_ok() {}
    sidecar.crm().reset();
    let reply = admin.patch("/api/deals/42", r#"{"title":"y"}"#).await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "ledger-unavailable"));
    assert_eq!(sidecar.crm_writes(), Vec::<String>::new());
    std::fs::rename(&aside, &folder).unwrap();
}

/// A caller who leaves before the answer: what was begun is carried out once and recorded as abandoned.
#[tokio::test]
async fn a_caller_who_leaves_is_recorded() {
    let sidecar = TestSidecar::start().await;
    for (method, body) in [(Method::GET, ""), (Method::PATCH, r#"{"title":"x"}"#)] {
        sidecar.crm().reset();
        sidecar.crm().set_fault_for(method.clone(), Fault::Hang);
        let stream = sidecar.as_person("rep-east").open(method.as_str(), "/api/deals/42", body).await;
        let asked = format!("{method} /api/deals/42");
        while !sidecar.crm_saw().contains(&asked) {
            lockkeeper::testkit::a_moment().await;
        }
        // Reset, not only closed: half-closed callers are still served.
        stream.set_zero_linger().unwrap();
        drop(stream);
        sidecar.crm().set_fault(None);
        let abandoned = |entry: &&Value| entry["delivered"] == "abandoned";
        let ledger = sidecar
            .ledger_when("the abandoned answer", |ledger| {
                let kind = if body.is_empty() { "outcome" } else { "delivery" };
                ledger.of_kind(kind).iter().any(abandoned)
            })
            .await;
        let decisions = ledger.of_kind("decision");
        let decision = decisions.iter().find(|decision| decision["method"] == method.as_str()).unwrap();
        assert_eq!(decision["effect"], "allow");
        assert_eq!(ledger.outcome(decision["id"].as_str().unwrap()).unwrap()["status"], 200);
        assert_eq!(sidecar.crm_saw().iter().filter(|line| **line == asked).count(), 1);
    }
}

/// Names of fields and ids of records are in the ledger; values, keys, names of people and raw queries never are.
#[tokio::test]
async fn no_value_ever_reaches_the_state_folder() {
    let sidecar = TestSidecar::start().await;
    for person in ["rep-east", "rep-west", "manager-east", "service", "admin"] {
        let caller = sidecar
            .as_person(person)
            .with_header("X-Note: canary-header")
            .with_header("Cookie: canary-cookie=1");
        for (method, target, body) in [
            ("GET", "/api/deals/42", ""),
            ("GET", "/api/deals?title__contains=canary-query", ""),
            ("GET", "/api/deals?title__canary-name=1", ""),
            ("GET", "/api/deals?canary-parameter=1", ""),
            ("GET", "/api/deals?fields=canary-field", ""),
            ("GET", "/api/deals?sort=canary-sort", ""),
            ("GET", "/api/contacts/101", ""),
            ("GET", "/api/canary-path/x", ""),
            ("GET", "/api/deals/canary-id", ""),
            ("PATCH", "/api/deals/42", r#"{"title":"canary-title","canary-key":1}"#),
            ("PATCH", "/api/deals/42", r#"{"title":"canary-title","address":{"canary-inner":1}}"#),
            ("PATCH", "/api/deals/42", r#"{"stage":"canary-stage"}"#),
            ("PATCH", "/api/deals/42", r#"{"owner_id":"canary-owner"}"#),
            ("PATCH", "/api/deals/42", r#"{"id":"canary-body-id"}"#),
            ("PATCH", "/api/contacts/101", r#"{"email":"canary@customer.example"}"#),
            ("POST", "/api/deals", r#"{"title":"canary-new","owner_id":1}"#),
            ("POST", "/api/deals/bulk", r#"{"ids":["canary-bulk"],"set":{"title":"x"}}"#),
            ("PATCH", "/api/deals/42", "canary-syntax"),
        ] {
            drop(caller.send(method, target, body).await);
        }
    }
    drop(sidecar.as_nobody().with_header("Authorization: Bearer canary-key").get("/api/deals").await);
    let stopped = sidecar.stop_keeping_files().await;
    let text = stopped.all_text("state/ledger") + &stopped.all_text("state/principals.jsonl");
    assert!(text.contains("Deal.amount") && text.contains("\"42\""));
    for canary in [
        "canary",
        "key-of-",
        "crm-service-key",
        "Cold storage",
        "125000",
        "31250",
        "Competitor",
        "customer.example",
        "555 0101",
        "Rep East",
        "127.0.0.1\"",
    ] {
        let line = text.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "`{canary}` is in the state folder");
    }
}

/// A read's outcome says that its answer reached the caller only if it did.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_not_delivered() {
    let sidecar = TestSidecar::start().await;
    sidecar.crm().set_fault_for(Method::GET, Fault::Big(12_000_000));
    let stream = sidecar.as_person("admin").open("GET", "/api/deals/42", "").await;
    // The answer does not fit into the buffers of a connection from which nobody reads.
    let ledger = sidecar.ledger_when("the decision", |ledger| !ledger.of_kind("decision").is_empty()).await;
    assert_eq!(ledger.of_kind("outcome").len(), 0);
    stream.readable().await.unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    let ledger = sidecar.ledger_when("the outcome", |ledger| !ledger.of_kind("outcome").is_empty()).await;
    assert_eq!(ledger.of_kind("outcome")[0]["delivered"], "abandoned");
    sidecar.crm().set_fault(None);
    let taken = sidecar.as_person("admin").open("GET", "/api/deals/42", "").await;
    let reply = TestReply::parse(&read_to_end(taken).await, false).0;
    let ledger =
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["delivered"], "yes");
}

#[tokio::test]
async fn a_denial_without_a_policy_names_its_reason_and_its_attribute() {
    let broken = |profile: String| {
        profile.replace(r#"{ at = "owner_id", as = "User","#, r#"{ at = "address", as = "User","#)
    };
    let sidecar = TestSidecar::with(|options| options.edit("bundle/profile.toml", broken)).await;
    let caller = sidecar.as_person("manager-east");
    let read = caller.get("/api/deals/42").await;
    assert_eq!(read.status, 404);
    let write = caller.patch("/api/deals/42", r#"{"title":"x"}"#).await;
    assert_eq!(write.status, 404);
    let ledger = sidecar.ledger();
    let hidden = &ledger.decision(&read)["rows_hidden"][0];
    let expected =
        json!({"type": "Deal", "ids": ["42"], "reason": "attribute-nonconforming", "attribute": "owner"});
    assert_eq!(*hidden, expected);
    let access = &ledger.decision(&write)["access"][0];
    assert_eq!(
        (&access["reason"], &access["attribute"]),
        (&json!("attribute-nonconforming"), &json!("owner"))
    );
}
