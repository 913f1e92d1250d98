//! Long lists of a CRM that means harm, or in which somebody wrote what does: what is wrong is said in a status as long as it can
//! be, what is held in memory and on the record stays small, and how an answer is cut tells nothing of what is hidden.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use serde_json::Value;

use super::any_crm::{Answer, AnyCrm};
use super::codings::gzip;
use super::long_lists::Poured;

const HOLD_BYTES: usize = 40_000;
const PART_BYTES: usize = 1 << 20;

async fn holding(crm: &AnyCrm, change: impl FnOnce(Options) -> Options) -> TestSidecar {
    crm.behind(|options| change(options.set("limits", "hold_bytes", HOLD_BYTES))).await
}

/// One row of the demo CRM that the representative sees, and one that is hidden from them.
async fn rows() -> (Value, Value) {
    let real = TestSidecar::start().await;
    let all = real.crm_caller().get("/api/deals").await.json();
    let seen = real.as_person("rep-east").get("/api/deals").await.json();
    let is_seen = |row: &&Value| seen["data"].as_array().unwrap().iter().any(|one| one["id"] == row["id"]);
    let rows = all["data"].as_array().unwrap();
    let shown = rows.iter().find(is_seen).unwrap().clone();
    let hidden = rows.iter().find(|row| !is_seen(row)).unwrap().clone();
    (shown, hidden)
}

fn list(rows: impl Iterator<Item = Value>) -> String {
    let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
    format!("{{\"data\":[{}]}}", rows.join(","))
}

fn with(row: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut row = row.clone();
    row[key] = value.into();
    row
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_says_that_it_is_json_is_read_as_a_list() {
    let (crm, (shown, _)) = (AnyCrm::start().await, rows().await);
    let sidecar = holding(&crm, |options| options).await;
    let body = list(vec![with(&shown, "title", "<script>"); 1_000].into_iter());
    for content_type in ["text/html", "application/json; charset=utf-16", "text/csv"] {
        crm.answers(Answer::of_type(content_type, body.clone().into_bytes()));
        let reply = sidecar.as_person("rep-east").get("/api/deals").await;
        assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-type"), "{content_type}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_grows_past_the_limit_of_streams_breaks_off() {
    let (crm, (shown, _)) = (AnyCrm::start().await, rows().await);
    let sidecar = holding(&crm, |options| options.set("limits", "stream_bytes", 4 * PART_BYTES)).await;
    let body = list(vec![with(&shown, "title", "x".repeat(2_000)); 4_000].into_iter());
    assert!(body.len() > 6 * PART_BYTES);
    crm.answers(Answer::json(body.into_bytes()).unannounced());
    let reply = Poured::of(&sidecar, "rep-east").await;
    assert!(!reply.is_whole && reply.body.len() <= 4 * PART_BYTES, "{} bytes", reply.body.len());
    let decision = reply.decision.as_str();
    let entries = sidecar.ledger_when("the outcome", |entries| entries.outcome(decision).is_some()).await;
    assert_eq!(entries.outcome(decision).unwrap()["reason"], "upstream-too-large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_be_refused_is_refused_before_the_answer_begins() {
    let (crm, (shown, hidden)) = (AnyCrm::start().await, rows().await);
    let refusing = |profile: String| {
        let text = "twins = [\"margin_pct\"], hide = \"null\"";
        assert!(profile.contains(text));
        profile.replacen(text, "twins = [\"margin_pct\"], hide = \"refuse\"", 1)
    };
    let sidecar = holding(&crm, |options| options.edit("bundle/profile.toml", refusing)).await;
    // Most is hidden, so that nothing would be due to leave for long.
    let rows = (0..4_000).map(|number| if number == 3 { shown.clone() } else { hidden.clone() });
    crm.answers(Answer::json(list(rows).into_bytes()));
    let reply = sidecar.as_person("rep-east").get("/api/deals").await;
    assert_eq!(reply.status, 403, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_hidden_are_recorded_in_parts_as_well() {
    let (crm, (shown, hidden)) = (AnyCrm::start().await, rows().await);
    let sidecar = holding(&crm, |options| options).await;
    // Far more ids than one entry takes.
    let id = |number: usize| format!("{number:0>250}");
    let rows = (0..45_000).map(|number| match number % 1_000 {
        0 => with(&shown, "id", id(number)),
        _ => {
            let keep = ["owner_id", "team_id", "stage", "pipeline", "amount", "strategic"];
            let mut row = serde_json::json!({ "id": id(number) });
            keep.iter().for_each(|key| row[*key] = hidden[*key].clone());
            row
        }
    });
    crm.answers(Answer::json(list(rows).into_bytes()));
    let reply = Poured::of(&sidecar, "rep-east").await;
    assert!(reply.is_whole, "{}", reply.status);
    let decision = reply.decision.as_str();
    let entries = sidecar.ledger_when("the outcome", |entries| entries.outcome(decision).is_some()).await;
    let shown = entries.of_kind("shown").into_iter().filter(|entry| entry["of"] == decision);
    let hidden = shown.flat_map(|entry| entry["rows_hidden"].as_array().into_iter().flatten());
    let hidden = hidden.filter(|row| row["type"] == "Deal");
    let ids: usize = hidden.map(|row| row["ids"].as_array().unwrap().len()).sum();
    assert_eq!(ids, 45_000 - 45);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_coded_leaves_in_parts_that_are_as_small() {
    let (crm, (shown, _)) = (AnyCrm::start().await, rows().await);
    let sidecar = holding(&crm, |options| options).await;
    let body = list((0..8_000).map(|number| with(&shown, "id", number)));
    let coded = gzip(body.as_bytes());
    assert!(coded.len() > HOLD_BYTES && body.len() > 6 * PART_BYTES, "{} {}", coded.len(), body.len());
    crm.answers(Answer::json(coded).coded("gzip"));
    let reply = Poured::of(&sidecar, "rep-east").await;
    assert!(reply.is_whole);
    let decision = reply.decision.as_str();
    let entries = sidecar.ledger_when("the outcome", |entries| entries.outcome(decision).is_some()).await;
    let parts = entries.of_kind("shown").into_iter().filter_map(|entry| {
        let sets = entry["sets"].as_array().filter(|_| entry["of"] == decision)?;
        let ids = sets.iter().filter(|set| set["type"] == "Deal");
        Some(ids.map(|set| set["ids"].as_array().unwrap().len()).sum::<usize>())
    });
    let row_bytes = reply.body.len() / 8_000;
    let most = parts.max().unwrap();
    assert!(most * row_bytes < 2 * PART_BYTES, "{most} rows of {row_bytes} bytes in one part");
}

/// What a caller sees of how an answer is cut must not depend on what is hidden.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_values_do_not_move_the_borders_of_what_leaves() {
    let (crm, (shown, hidden)) = (AnyCrm::start().await, rows().await);
    let sidecar = holding(&crm, |options| options).await;
    let mut seen = Vec::new();
    for (note, between) in [("", 0), ("a hidden note of some length", 1), ("another", 7)] {
        let row = with(&shown, "internal_notes", note);
        let of = |number: usize| {
            let dull = vec![hidden.clone(); if number.is_multiple_of(5) { between } else { 0 }];
            std::iter::once(with(&row, "id", number)).chain(dull)
        };
        crm.answers(Answer::json(list((0..5_000).flat_map(of)).into_bytes()).unannounced());
        let reply = Poured::of(&sidecar, "rep-east").await;
        assert!(reply.is_whole && reply.body.len() > 3 * PART_BYTES, "{}", reply.body.len());
        assert!(!reply.body.contains("some length"));
        seen.push((reply.chunks, reply.body));
    }
    let (first, others) = seen.split_first().unwrap();
    for other in others {
        assert!(other.1 == first.1, "the same body");
        assert_eq!(other.0, first.0, "the same pieces");
    }
}
