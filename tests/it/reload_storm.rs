//! Reloads in quick succession beside live traffic, one in three broken: no request fails, none sees two revisions, and
//! each ledger entry names the revision that its answer was made by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, TestReply};

use super::scaled;

/// How often the bundle changes.
const ROUNDS: usize = 6;

/// What one revision shows of a deal: its policies hide exactly one of these fields.
const HIDDEN_BY_TURNS: &[&str] = &["notes", "title"];

fn hiding(field: &str, round: usize) -> String {
    format!(
        "@id(\"test.round-{round}\") forbid (principal, action == Action::\"readField\", resource)\n\
         when {{ context.field == Field::\"Deal.{field}\" }};"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_sees_two_revisions() {
    let sidecar = Arc::new(TestSidecar::with(|options| options.policies(&hiding("notes", 0))).await);
    let serving = || sidecar.running().sidecar.current.snapshot().bundle.revision.clone();
    let mut hides = BTreeMap::from([(serving(), "notes")]);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..2).map(|_| tokio::spawn(read_on(sidecar.as_person("rep-east"), Arc::clone(&is_over)))).collect();
    for round in 1..=scaled(ROUNDS) {
        let field = HIDDEN_BY_TURNS[round % 2];
        let is_broken = round % 3 == 0;
        let text = if is_broken { "permit (principal,".to_owned() } else { hiding(field, round) };
        let reloaded = sidecar.reload_with("bundle/policies/test.cedar", |_| text).await;
        match is_broken {
            true => assert!(matches!(reloaded, Reloaded::Refused { .. }), "round {round}: {reloaded:?}"),
            false => assert!(matches!(reloaded, Reloaded::Active { .. }), "round {round}: {reloaded:?}"),
        }
        if !is_broken {
            hides.insert(serving(), field);
        }
    }
    is_over.store(true, Ordering::SeqCst);
    let mut replies = Vec::new();
    for reader in readers {
        replies.extend(reader.await.unwrap());
    }
    let ledger = sidecar.ledger();
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
        let bundle = ledger.decision(reply)["bundle"].as_str().unwrap();
        let hidden = hides.get(bundle).unwrap_or_else(|| panic!("`{bundle}` never served"));
        let shown = reply.json();
        let missing: Vec<&str> =
            HIDDEN_BY_TURNS.iter().copied().filter(|field| shown.get(field).is_none()).collect();
        assert_eq!(missing, [*hidden], "the answer was made by another revision than its entry says");
    }
    assert!(replies.len() >= hides.len(), "{} answers over {} revisions", replies.len(), hides.len());
    println!(
        "| reloads beside live traffic, one in three broken | {} | {} answers, none failed, each made by the one revision that its entry names |",
        scaled(ROUNDS),
        replies.len()
    );
}

async fn read_on(caller: Caller, is_over: Arc<AtomicBool>) -> Vec<TestReply> {
    let mut replies = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        replies.push(caller.get("/api/deals/42").await);
    }
    replies
}
