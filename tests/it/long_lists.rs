//! Lists longer than what is held back leave while they come in: filtered as any list, on the record part by part, and broken
//! off where something is wrong with them.

use std::collections::BTreeSet;

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{TestReply, read_to_end};
use serde_json::Value;

use super::any_crm::{Answer, AnyCrm};
use super::codings::gzip;

/// The demo CRM's list of deals, so many times over, with long titles.
async fn list(times: usize) -> String {
    let real = TestSidecar::start().await;
    let body = real.crm_caller().get("/api/deals").await;
    let text = body.text();
    let (start, end) = (text.find('[').unwrap(), text.rfind(']').unwrap());
    let rows = text.get(start + 1..end).unwrap();
    let (before, after) = (text.get(..=start).unwrap(), text.get(end..).unwrap());
    let long = format!("\"title\":\"{}", "t".repeat(4_000));
    format!("{before}{}{after}", vec![rows.replace("\"title\":\"", &long); times].join(","))
}

async fn holding(crm: &AnyCrm, bytes: usize) -> TestSidecar {
    crm.behind(|options| options.set("limits", "hold_bytes", bytes).set("limits", "records", 100_000)).await
}

/// A reply whose length was not announced.
pub struct Poured {
    pub status: String,
    pub decision: String,
    pub body: String,
    pub is_whole: bool,
    /// The sizes of its pieces.
    pub chunks: Vec<usize>,
}

impl Poured {
    pub async fn of(sidecar: &TestSidecar, person: &str) -> Self {
        Self::from(sidecar, person, "/api/deals").await
    }

    pub async fn from(sidecar: &TestSidecar, person: &str, target: &str) -> Self {
        let stream = sidecar.as_person(person).open("GET", target, "").await;
        let bytes = read_to_end(stream).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, mut chunks) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let (mut body, mut is_whole, mut sizes) = (String::new(), false, Vec::new());
        while let Some((size, rest)) = chunks.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            is_whole = size == 0 && rest == "\r\n";
            sizes.push(size);
            body.push_str(rest.get(..size).unwrap_or(rest));
            chunks = rest.get(size + 2..).unwrap_or_default();
        }
        let decision = head.lines().find_map(|line| line.strip_prefix("lockkeeper-decision: ")).unwrap();
        let status = head.lines().next().unwrap().to_owned();
        Self { status, decision: decision.to_owned(), body, is_whole, chunks: sizes }
    }
}

fn ids(entry: &Value, list: &str) -> BTreeSet<String> {
    let sets = entry.get(list).and_then(Value::as_array).into_iter().flatten();
    let of = |set: &Value| {
        let ids = set["ids"].as_array().unwrap().iter();
        ids.map(|id| format!("{} {}", set["type"], id)).collect::<Vec<_>>()
    };
    sets.flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_the_same_list() {
    let crm = AnyCrm::start().await;
    let (held, poured) = (holding(&crm, 64 << 20).await, holding(&crm, 10_000).await);
    let body = list(10).await;
    let plain = Answer::json(body.clone().into_bytes());
    let coded = Answer::json(gzip(body.as_bytes())).coded("gzip");
    for (answer, person, parts) in [(plain, "admin", 2), (coded, "rep-east", 1)] {
        crm.answers(answer);
        let expected = held.as_person(person).get("/api/deals").await;
        let reply = Poured::of(&poured, person).await;
        assert!(reply.is_whole && reply.status.starts_with("HTTP/1.1 200"), "{}", reply.status);
        assert_eq!(reply.body, expected.text(), "{person}");
        assert!(compare_entries(&held, &expected, &poured, &reply).await >= parts, "{person}");
    }
}

/// What the parts say together is what one entry says; how many parts there are.
async fn compare_entries(
    held: &TestSidecar,
    expected: &TestReply,
    poured: &TestSidecar,
    reply: &Poured,
) -> usize {
    let one = held.ledger_when("the outcome", |entries| entries.outcome(expected.decision()).is_some()).await;
    let parts = poured.ledger_when("the outcome", |entries| entries.outcome(&reply.decision).is_some()).await;
    let shown: Vec<&Value> =
        parts.of_kind("shown").into_iter().filter(|entry| entry["of"] == reply.decision).collect();
    let numbers: BTreeSet<u64> = shown.iter().map(|entry| entry["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len() as u64, *numbers.last().unwrap(), "none is missing");
    let lines = one.of_kind("decision").into_iter().filter(|entry| entry["id"] == expected.decision());
    let lines: Vec<&Value> = lines.collect();
    for list in ["sets", "rows_hidden"] {
        let together: BTreeSet<String> = shown.iter().flat_map(|entry| ids(entry, list)).collect();
        let whole: BTreeSet<String> = lines.iter().flat_map(|entry| ids(entry, list)).collect();
        assert_eq!(together, whole, "{list}");
    }
    let outcome = parts.outcome(&reply.decision).unwrap();
    assert_eq!((&outcome["released"], &outcome["status"]), (&"filtered".into(), &200.into()));
    assert_eq!(outcome["bytes"], reply.body.len());
    numbers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_start_is_said_by_a_status() {
    let crm = AnyCrm::start().await;
    let sidecar = holding(&crm, 100_000).await;
    let body = list(2).await;
    let cases = [
        (body.replacen("{\"id\"", "5,{\"id\"", 1), "upstream-shape"),
        (body.replacen("{\"id\"", "{,\"id\"", 1), "upstream-malformed"),
        (format!("{{\"data\":[{{\"id\":1,\"title\":\"{}\"}}]}}", "x".repeat(400_000)), "upstream-too-large"),
    ];
    for (body, reason) in cases {
        crm.answers(Answer::json(body.into_bytes()));
        let reply = sidecar.as_person("rep-east").get("/api/deals").await;
        assert_eq!((reply.status, reply.reason().as_str()), (502, reason));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_later_breaks_the_answer_off() {
    let crm = AnyCrm::start().await;
    let sidecar = holding(&crm, 100_000).await;
    let body = list(25).await;
    let middle = body.len() / 2;
    let cut = body.get(..middle).unwrap().to_owned();
    let after = body.get(middle..).unwrap().replacen("\"title\":", "\"title\"", 1);
    for (body, reason) in [(cut.clone(), "upstream-malformed"), (cut + &after, "upstream-malformed")] {
        crm.answers(Answer::json(body.into_bytes()));
        let reply = Poured::of(&sidecar, "admin").await;
        assert!(reply.status.starts_with("HTTP/1.1 200") && !reply.is_whole, "it begins, and does not end");
        let decision = reply.decision.as_str();
        let entries = sidecar.ledger_when("the outcome", |entries| entries.outcome(decision).is_some()).await;
        let outcome = entries.outcome(decision).unwrap();
        assert_eq!((&outcome["delivered"], &outcome["reason"]), (&"partial".into(), &reason.into()));
        // Whatever left is on the record.
        let shown = entries.of_kind("shown").into_iter().filter(|entry| entry["of"] == decision);
        let shown: BTreeSet<String> = shown.flat_map(|entry| ids(entry, "sets")).collect();
        assert!(!shown.is_empty());
    }
}
