//! AuthZEN: the answers of the admin listener are those of the proxy, in the shape of the Authorization API 1.0.

use lockkeeper::testkit::archive::{DAY_MS, Signer, TestArchive};
use lockkeeper::testkit::client::{Caller, TestReply};
use lockkeeper::testkit::folder::{Options, PEOPLE};
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::{Value, json};

const TOKEN: &str = "admin-token-canary-90ab";

fn with_admin(options: Options) -> Options {
    options
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("admin", "token_file", "\"admin.token\"")
        .set("admin", "questions", 3)
        .set("admin", "question_bytes", 10_000)
        .edit("admin.token", |_| TOKEN.to_owned())
}

async fn start() -> TestSidecar {
    TestSidecar::with(with_admin).await
}

fn nobody(sidecar: &TestSidecar) -> Caller {
    Caller::new(sidecar.running().admin_address.unwrap())
}

fn pep(sidecar: &TestSidecar) -> Caller {
    nobody(sidecar)
        .with_header(&format!("Authorization: Bearer {TOKEN}"))
        .with_header("Content-Type: application/json")
}

async fn ask(sidecar: &TestSidecar, question: &Value) -> Value {
    let reply = pep(sidecar).post("/access/v1/evaluation", question).await;
    assert_eq!(reply.status, 200, "{question}: {}", reply.text());
    reply.json()
}

/// A deal as the CRM's API gives it.
async fn deal(sidecar: &TestSidecar, id: &str) -> Value {
    let reply = sidecar.crm_caller().get(&format!("/api/deals/{id}")).await.json();
    reply.get("data").cloned().unwrap_or(reply)
}

fn about(person: &str, action: &str, id: &str, record: &Value) -> Value {
    json!({
        "subject": {"type": "User", "id": person},
        "action": {"name": action},
        "resource": {"type": "Deal", "id": id, "properties": record},
    })
}

fn names(answer: &Value, list: &str) -> Vec<String> {
    let list = answer["context"][list].as_array();
    list.unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// For every person and some deals: allowed is what the proxy shows, and a field is released if the proxy shows it.
#[tokio::test]
async fn it_never_disagrees_with_the_proxy_on_reads() {
    let sidecar = start().await;
    let snapshot = sidecar.running().sidecar.current.snapshot();
    let (_, deal_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let mut released = 0;
    for id in ["1", "2", "7", "42"] {
        let record = deal(&sidecar, id).await;
        for person in PEOPLE {
            let answer = ask(&sidecar, &about(person, "view", id, &record)).await;
            let proxied = sidecar.as_person(person).get(&format!("/api/deals/{id}")).await;
            assert_eq!(answer["decision"], proxied.status == 200, "{person} {id}: {answer}");
            if proxied.status != 200 {
                assert_eq!(answer["context"].get("released"), None, "{person} {id}");
                continue;
            }
            let body = proxied.json();
            let shown = body.get("data").unwrap_or(&body);
            for field in &deal_type.fields {
                let at = |record: &Value| record.pointer(&format!("/{}", field.at.join("/"))).cloned();
                let (held, left) = (at(&record).filter(|value| !value.is_null()), at(shown));
                if held.is_none() || field.embeds.is_some() {
                    continue;
                }
                let name = format!("Deal.{}", field.name);
                let is_released = names(&answer, "released").contains(&name);
                assert_eq!(left == held, is_released, "{person} {id} {name}: {answer}");
                let is_told =
                    names(&answer, "masked").contains(&name) || names(&answer, "hidden").contains(&name);
                assert_ne!(is_released, is_told, "{person} {id} {name}");
                released += usize::from(is_released);
            }
        }
    }
    assert!(released > 50, "the comparison found little to compare: {released}");
}

#[tokio::test]
async fn it_never_disagrees_with_the_proxy_on_stage_moves() {
    let sidecar = start().await;
    for (id, wire, stage) in [
        ("42", "won", "sales.won"),
        ("42", "lost", "sales.lost"),
        ("42", "negotiation", "sales.negotiation"),
        ("2", "won", "sales.won"),
    ] {
        for person in PEOPLE {
            sidecar.crm().reset();
            let record = deal(&sidecar, id).await;
            let mut question = about(person, "moveStage", id, &record);
            question["action"]["properties"] = json!({"to": stage});
            let answer = ask(&sidecar, &question).await;
            let body = json!({"stage": wire}).to_string();
            let proxied = sidecar.as_person(person).post(&format!("/api/deals/{id}/move"), &body).await;
            assert_eq!(
                answer["decision"],
                proxied.status == 200,
                "{person} {id} {stage}: {answer} {}",
                proxied.text()
            );
        }
    }
}

#[tokio::test]
async fn an_answer_says_what_made_it_and_the_ledger_has_it() {
    let sidecar = start().await;
    let record = deal(&sidecar, "42").await;
    let mut question = about("rep-east", "view", "42", &record);
    question["context"] = json!({"time": "2024-05-31T15:22-07:00"});
    question["subject"]["properties"] = json!({"department": "Sales"});
    let answer = ask(&sidecar, &question).await;
    let context = &answer["context"];
    let snapshot = sidecar.running().sidecar.current.snapshot();
    assert_eq!(context["policies"], json!(["deal.view.own"]));
    assert_eq!(context["revision"]["bundle"], snapshot.bundle.revision.as_str());
    assert_eq!(context["ignored"], json!(["subject.properties", "context.time"]));
    assert!(names(&answer, "hidden").contains(&"Deal.margin".to_owned()), "{answer}");
    let id = context["id"].as_str().unwrap().to_owned();
    let entries = sidecar.ledger_when("the outcome", |entries| entries.outcome(&id).is_some()).await;
    let decision = entries.of_kind("decision").into_iter().find(|entry| entry["id"] == id.as_str()).unwrap();
    assert_eq!((&decision["route"], &decision["effect"]), (&"authzen".into(), &"allow".into()));
    assert_eq!((&decision["who"]["authn"], &decision["who"]["type"]), (&"asserted".into(), &"User".into()));
    assert_eq!(decision["sets"][0]["ids"], json!(["42"]));
    assert_eq!(entries.outcome(&id).unwrap()["released"], "none");
    // Values and names that only the question held stay out of the ledger.
    let all = sidecar.folder().all_text("state/ledger");
    assert!(!all.contains("Sales") && !all.contains(record["title"].as_str().unwrap()));
}

#[tokio::test]
async fn whoever_may_not_act_is_denied_with_the_reason() {
    let sidecar = start().await;
    let record = deal(&sidecar, "42").await;
    let check = async |question: Value, reason: &str| {
        let answer = ask(&sidecar, &question).await;
        assert_eq!(
            (&answer["decision"], &answer["context"]["reason"]),
            (&false.into(), &reason.into()),
            "{question}: {answer}"
        );
        answer
    };
    check(about("nobody-here", "view", "42", &record), "principal-unknown").await;
    let mut role = about("rep", "view", "42", &record);
    role["subject"]["type"] = "Role".into();
    check(role, "principal-unknown").await;
    check(about("rep-west", "view", "42", &record), "no-permit").await;
    let answer = check(about("rep-west", "edit", "42", &record), "no-permit").await;
    assert_eq!(answer["context"]["outcome"], "not-found");
    check(about("rep-east", "can_read", "42", &record), "no-permit").await;
    check(about("rep-east", "view", "43", &record), "id-conflict").await;
    check(about("rep-east", "view", "4\n2", &record), "id-malformed").await;
    let mut unknown = about("rep-east", "view", "42", &record);
    unknown["resource"]["type"] = "Invoice".into();
    check(unknown, "type-unknown").await;
    let east = r#"{"active": true, "crmId": "1""#;
    let leave = |text: String| text.replace(east, &east.replace("true", "false"));
    sidecar.reload_with("directory.cedarentities.json", leave).await;
    check(about("rep-east", "view", "42", &record), "principal-inactive").await;
}

/// What the question leaves out, or spells in a way that does not convert, is never taken for "there is none".
#[tokio::test]
async fn what_policy_needs_must_be_carried_and_convert() {
    let sidecar = start().await;
    let whole = deal(&sidecar, "42").await;
    let check = async |change: &dyn Fn(&mut Value), reason: &str| {
        let mut record = whole.clone();
        change(&mut record);
        let answer = ask(&sidecar, &about("rep-east", "view", "42", &record)).await;
        assert_eq!(
            (&answer["decision"], &answer["context"]["reason"]),
            (&false.into(), &reason.into()),
            "{answer}"
        );
    };
    check(&|record| drop(record.as_object_mut().unwrap().remove("owner_id")), "attribute-not-carried").await;
    check(&|record| record["owner_id"] = json!({"id": 1}), "attribute-nonconforming").await;
    check(&|record| record["owner_id"] = json!(999_999), "attribute-nonconforming").await;
    check(&|record| *record = json!({}), "attribute-not-carried").await;
    let mut bare = about("rep-east", "view", "42", &whole);
    bare["resource"].as_object_mut().unwrap().remove("properties");
    assert_eq!(ask(&sidecar, &bare).await["context"]["reason"], "attribute-not-carried");
}

#[tokio::test]
async fn changes_are_judged_on_both_states_of_the_record() {
    let sidecar = start().await;
    let record = deal(&sidecar, "42").await;
    let with = |action: &str, properties: Value| {
        let mut question = about("rep-east", action, "42", &record);
        question["action"]["properties"] = properties;
        question
    };
    let decision = async |question: &Value| ask(&sidecar, question).await["decision"] == true;
    assert!(decision(&with("edit", json!({}))).await);
    // To give one's deal away is an edit of a deal that is then another's.
    let theirs = deal(&sidecar, "7").await["owner_id"].clone();
    assert!(!decision(&with("edit", json!({"proposed": {"owner_id": theirs}}))).await);
    assert!(decision(&with("writeField", json!({"field": "Deal.title"}))).await);
    assert!(!decision(&with("writeField", json!({"field": "Deal.margin"}))).await);
    assert!(decision(&with("readField", json!({"field": "Deal.title"}))).await);
    assert!(!decision(&with("readField", json!({"field": "Deal.margin"}))).await);
    assert!(!decision(&with("readField", json!({"field": "Deal.titel"}))).await);
    assert!(!decision(&with("moveStage", json!({"to": "sales.nowhere"}))).await);
    assert!(!decision(&with("moveStage", json!({}))).await);
    let collection = |person: &str, count: Value| {
        json!({
            "subject": {"type": "User", "id": person},
            "action": {"name": "bulkEdit", "properties": {"count": count}},
            "resource": {"type": "Collection", "id": "Deal"},
        })
    };
    assert!(decision(&collection("manager-east", json!(20))).await);
    assert!(!decision(&collection("manager-east", json!(21))).await);
    assert!(!decision(&collection("rep-east", json!(1))).await);
    let mut new = about(
        "rep-east",
        "create",
        "new",
        &json!({"owner_id": record["owner_id"], "stage": "lead", "pipeline": "sales"}),
    );
    assert!(decision(&new).await, "{}", ask(&sidecar, &new).await);
    new["resource"]["properties"]["stage"] = "won".into();
    assert!(!decision(&new).await);
}

/// What is allowed is what the proxy lets pass, key by key; what is denied is named as the ledger names it.
#[tokio::test]
async fn it_never_disagrees_with_the_proxy_on_what_a_change_writes() {
    let sidecar = start().await;
    let title = deal(&sidecar, "42").await["title"].clone();
    let margin = deal(&sidecar, "42").await["margin"].clone();
    let (mut allowed, mut denied) = (0, 0);
    for (id, body) in [
        ("42", json!({"title": "x"})),
        ("42", json!({"title": "x", "margin": "1.00"})),
        ("42", json!({"margin": margin})),
        ("42", json!({"title": title})),
        ("42", json!({"stage": "negotiation"})),
        ("42", json!({"stage": "won", "title": "x"})),
        ("42", json!({"stage": "proposal", "title": "x"})),
        ("42", json!({"no_such_key": 1})),
        ("42", json!({"id": 43})),
        ("42", json!({"owner_id": 2})),
        ("42", json!({})),
        ("7", json!({"title": "x"})),
    ] {
        for person in PEOPLE {
            sidecar.crm().reset();
            let mut question = about(person, "edit", id, &deal(&sidecar, id).await);
            question["action"]["properties"] = json!({"proposed": body});
            let answer = ask(&sidecar, &question).await;
            let proxied = sidecar.as_person(person).patch(&format!("/api/deals/{id}"), &body).await;
            assert_eq!(
                answer["decision"],
                proxied.status == 200,
                "{person} {id} {body}: {answer} {}",
                proxied.text()
            );
            let ledger = sidecar.ledger();
            let write = &ledger.decision(&proxied)["write"];
            let outcome = answer["context"].get("denied").cloned().unwrap_or(json!([]));
            if proxied.status != 404 {
                assert_eq!(
                    outcome,
                    write.get("refused").cloned().unwrap_or(json!([])),
                    "{person} {body}: {answer}"
                );
            }
            (allowed, denied) = match proxied.status {
                200 => (allowed + 1, denied),
                _ => (allowed, denied + 1),
            };
        }
    }
    assert!(allowed > 10 && denied > 10, "the comparison found little to compare: {allowed} {denied}");
}

#[tokio::test]
async fn it_never_disagrees_with_the_proxy_on_what_a_new_record_holds() {
    let sidecar = start().await;
    let whole = json!({"owner_id": 1, "stage": "lead", "pipeline": "sales", "title": "x"});
    for (key, value) in [
        ("title", json!("y")),
        ("margin", json!("1.00")),
        ("no_such_key", json!(1)),
        ("id", json!(4_711)),
        ("stage", json!("won")),
        ("stage", json!("nowhere")),
        ("pipeline", json!("other")),
    ] {
        for person in PEOPLE {
            sidecar.crm().reset();
            let mut body = whole.clone();
            body[key] = value.clone();
            let answer = ask(&sidecar, &about(person, "create", "new", &body)).await;
            let proxied = sidecar.as_person(person).post("/api/deals", &body).await;
            let is_made = (200..300).contains(&proxied.status);
            assert_eq!(answer["decision"], is_made, "{person} {body}: {answer} {}", proxied.text());
        }
    }
}

#[tokio::test]
async fn a_denied_proposal_names_its_fields() {
    let sidecar = start().await;
    let record = deal(&sidecar, "42").await;
    let mut question = about("rep-east", "edit", "42", &record);
    question["action"]["properties"] = json!({"proposed": {"title": "x", "margin": "1.00", "no_such_key": 1, "strategic": record["strategic"]}});
    let answer = ask(&sidecar, &question).await;
    let context = &answer["context"];
    assert_eq!(
        (&answer["decision"], &context["reason"]),
        (&false.into(), &"fields-denied".into()),
        "{answer}"
    );
    assert_eq!(names(&answer, "denied"), ["Deal.*", "Deal.margin"]);
    assert_eq!(names(&answer, "unchanged"), ["Deal.strategic"]);
    let mut create = about("rep-east", "create", "new", &json!({}));
    create["action"]["properties"] = json!({"proposed": {"margin": "1.00"}});
    let answer = ask(&sidecar, &create).await;
    assert_eq!(
        (&answer["decision"], &answer["context"]["reason"]),
        (&false.into(), &"question-unreadable".into())
    );
}

#[tokio::test]
async fn many_questions_share_defaults_and_end_as_asked() {
    let sidecar = start().await;
    let (mine, theirs) = (deal(&sidecar, "42").await, deal(&sidecar, "7").await);
    let item =
        |id: &str, record: &Value| json!({"resource": {"type": "Deal", "id": id, "properties": record}});
    let (yes, no) = (item("42", &mine), item("7", &theirs));
    let ask = async |items: &[&Value], options: Value| -> Vec<bool> {
        let question = json!({
            "subject": {"type": "User", "id": "rep-east"},
            "action": {"name": "view"},
            "options": options,
            "evaluations": items,
        });
        let reply = pep(&sidecar).post("/access/v1/evaluations", &question).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answers = reply.json()["evaluations"].as_array().unwrap().clone();
        answers.iter().map(|answer| answer["decision"].as_bool().unwrap()).collect()
    };
    let semantic = |word: &str| json!({"evaluations_semantic": word});
    assert_eq!(ask(&[&yes, &no, &yes], json!({})).await, [true, false, true]);
    assert_eq!(ask(&[&yes, &no, &yes], semantic("execute_all")).await, [true, false, true]);
    assert_eq!(ask(&[&yes, &no, &yes], semantic("deny_on_first_deny")).await, [true, false]);
    assert_eq!(ask(&[&no, &yes, &no], semantic("permit_on_first_permit")).await, [false, true]);
    // Its own member takes the place of the default; one that cannot be read denies itself alone.
    let west = json!({"subject": {"type": "User", "id": "rep-west"}, "resource": no["resource"]});
    let broken = json!({"resource": {"type": "Deal"}});
    assert_eq!(ask(&[&west, &broken, &yes], json!({})).await, [true, false, true]);
    let decisions = sidecar.ledger().of_kind("decision").len();
    assert_eq!(decisions, 3 + 3 + 2 + 2 + 3, "what was asked is recorded, what was not is not");
}

#[tokio::test]
async fn a_request_without_evaluations_is_one_question() {
    let sidecar = start().await;
    let mut question = about("rep-east", "view", "42", &deal(&sidecar, "42").await);
    for evaluations in [None, Some(json!([]))] {
        if let Some(evaluations) = evaluations {
            question["evaluations"] = evaluations;
        }
        let reply = pep(&sidecar).post("/access/v1/evaluations", &question).await;
        assert_eq!((reply.status, &reply.json()["decision"]), (200, &true.into()), "{}", reply.text());
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_as_a_whole() {
    let sidecar = start().await;
    let whole = about("rep-east", "view", "42", &json!({}));
    let check = async |path: &str, body: String, status: u16, expected: &str| {
        let reply: TestReply = pep(&sidecar).post(path, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.text().contains(expected), "{body}: {}", reply.text());
    };
    let one = "/access/v1/evaluation";
    for member in ["subject", "action", "resource"] {
        let mut question = whole.clone();
        question.as_object_mut().unwrap().remove(member);
        check(one, question.to_string(), 400, &format!("`{member}` is missing")).await;
    }
    for (pointer, value, expected) in [
        ("/subject/id", json!(1), "`subject.id` must be a string"),
        ("/subject/type", json!(""), "`subject.type` must be a string"),
        ("/action/name", Value::Null, "`action.name` must be a string"),
        ("/resource/properties", json!([]), "`resource.properties` must be an object"),
        ("/resource", json!("Deal"), "`resource` must be an object"),
    ] {
        let mut question = whole.clone();
        *question.pointer_mut(pointer).unwrap() = value;
        check(one, question.to_string(), 400, expected).await;
    }
    for key in [
        "now",
        "authLevel",
        "onBehalfOf",
        "breakGlassReason",
        "approver",
        "proposed",
        "from",
        "to",
        "field",
        "count",
    ] {
        let mut question = whole.clone();
        question["context"] = json!({key: 1});
        check(one, question.to_string(), 400, &format!("`context.{key}` is set by the service")).await;
    }
    let mut misspelt = whole.clone();
    misspelt["action"]["properties"] = json!({"feild": "Deal.title"});
    check(one, misspelt.to_string(), 400, "`action.properties.feild` is not known").await;
    check(one, "{".to_owned(), 400, "not a question").await;
    check(one, "[]".to_owned(), 400, "a question is a JSON object").await;
    check(one, r#"{"subject":1,"subject":2}"#.to_owned(), 400, "duplicate key").await;
    check(one, format!("{{\"a\":\"{}\"}}", "x".repeat(10_000)), 413, "more than 10000 bytes").await;
    let many = "/access/v1/evaluations";
    let four = json!({"evaluations": [whole, whole, whole, whole]});
    check(many, four.to_string(), 400, "more than 3 evaluations").await;
    let mut sloppy = json!({"evaluations": [whole], "options": {"evaluations_semantic": "any"}});
    check(many, sloppy.to_string(), 400, "evaluations_semantic").await;
    sloppy["evaluations"] = json!({});
    check(many, sloppy.to_string(), 400, "`evaluations` must be an array").await;
    let text = nobody(&sidecar).with_header(&format!("Authorization: Bearer {TOKEN}"));
    let text = text.with_header("Content-Type: text/plain");
    assert_eq!(text.post(one, &whole).await.status, 400);
    assert_eq!(sidecar.ledger().of_kind("decision").len(), 0);
}

#[tokio::test]
async fn nothing_is_answered_without_the_token() {
    let sidecar = start().await;
    for path in ["/access/v1/evaluation", "/access/v1/evaluations"] {
        let reply = nobody(&sidecar).with_header("Content-Type: application/json").post(path, "{}").await;
        assert_eq!(reply.status, 401);
        assert_eq!(pep(&sidecar).get(path).await.status, 405);
    }
    assert_eq!(nobody(&sidecar).get("/.well-known/authzen-configuration").await.status, 401);
}

#[tokio::test]
async fn the_metadata_names_what_there_is_and_a_request_id_comes_back() {
    let sidecar =
        TestSidecar::with(|options| with_admin(options).set("admin", "url", "\"https://pdp.example/\""))
            .await;
    let metadata = pep(&sidecar).get("/.well-known/authzen-configuration").await.json();
    let expected = json!({
        "policy_decision_point": "https://pdp.example",
        "access_evaluation_endpoint": "https://pdp.example/access/v1/evaluation",
        "access_evaluations_endpoint": "https://pdp.example/access/v1/evaluations",
    });
    assert_eq!(metadata, expected);
    let id = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716";
    let reply =
        pep(&sidecar).with_header(&format!("X-Request-ID: {id}")).post("/access/v1/evaluation", "{}").await;
    assert_eq!((reply.status, reply.header("x-request-id")), (400, Some(id)));
}

#[tokio::test]
async fn without_a_ledger_or_a_bundle_in_good_standing_nothing_is_allowed() {
    let anna = Signer::new();
    let bytes = TestArchive::of_version(1).signed_by(&[&anna]);
    let sidecar = TestSidecar::with(|options| {
        let keys = format!("[{}]", anna.toml());
        let options = with_admin(options).set("bundle", "path", "\"crm.lkb\"").file("crm.lkb", bytes);
        options.set("bundle.signing", "trusted_keys", keys)
    })
    .await;
    let question = about("rep-east", "view", "42", &deal(&sidecar, "42").await);
    assert_eq!(ask(&sidecar, &question).await["decision"], true);
    sidecar.set_now_ms(NOW_MS + DAY_MS);
    let answer = ask(&sidecar, &question).await;
    assert_eq!(
        (&answer["decision"], &answer["context"]["reason"]),
        (&false.into(), &"bundle-expired".into())
    );
    sidecar.set_now_ms(NOW_MS);
    sidecar.break_ledger().await;
    assert_eq!(pep(&sidecar).post("/access/v1/evaluation", &question).await.status, 503);
}

/// What the proxy refuses because nobody said lately who is who, is not answered here either.
#[tokio::test]
async fn a_directory_that_is_too_old_answers_no_question() {
    let sidecar =
        TestSidecar::with(|options| with_admin(options).set("directory", "max_age_ms", "60000")).await;
    let question = about("rep-east", "view", "42", &deal(&sidecar, "42").await);
    sidecar.set_now_ms(NOW_MS + 60_000);
    assert_eq!(ask(&sidecar, &question).await["decision"], true);
    sidecar.set_now_ms(NOW_MS + 60_001);
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.reason(), "directory-stale");
    let answer = ask(&sidecar, &question).await;
    assert_eq!(
        (&answer["decision"], &answer["context"]["reason"]),
        (&false.into(), &"directory-stale".into()),
        "{answer}"
    );
    assert_eq!(answer["context"].get("released"), None);
}
