//! What a sink does not have stays in the ledger, however old it is.

use std::time::Duration;

use lockkeeper::ledger::read::segment_starts;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::PATIENCE;
use lockkeeper::testkit::folder::Options;
use tokio::time::timeout;

use super::receiver::{Mood, Receiver};
use crate::retention::{grown_old, until};

/// A sidecar with a ledger of long ago, and a sink that does not take it.
async fn stuck(required: &'static str) -> (TestSidecar, Receiver) {
    let receiver = Receiver::start(Mood::Says(503)).await;
    let address = receiver.address;
    let sinks = format!(
        "\n[[ledger.sinks]]\nname = \"siem\"\nkind = \"https\"\nurl = \"http://{address}/in\"\nretry_max_ms = 20\n{required}"
    );
    let options = grown_old(Options::default()).await.edit("lockkeeper.toml", move |text| text + &sinks);
    (TestSidecar::with(move |_| options).await, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_sink_is_waited_for() {
    let (sidecar, receiver) = stuck("").await;
    let told = until(&sidecar, "waiting for the sink", |told| {
        told["waitsFor"].as_str().is_some_and(|waits_for| waits_for.starts_with("the sink `siem`"))
    });
    assert_eq!(told.await["removed"], 0);
    assert_eq!(segment_starts(&sidecar.folder().state()).unwrap()[0], 1);
    receiver.turn(Mood::Takes);
    until(&sidecar, "going on", |told| told["removed"].as_u64() > Some(0)).await;
    let removed = segment_starts(&sidecar.folder().state()).unwrap()[0] - 1;
    let has = receiver.distinct();
    assert!((1..=removed).all(|seq| has.contains_key(&seq)), "all of it is there");
    drop(sidecar.stop_keeping_files().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_not_required_is_not() {
    let (sidecar, receiver) = stuck("required = false\n").await;
    until(&sidecar, "going on", |told| told["removed"].as_u64() > Some(0)).await;
    receiver.turn(Mood::Takes);
    // It has nothing yet, and begins with what there is.
    let found = timeout(PATIENCE, async {
        while receiver.distinct().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap();
    assert!(receiver.distinct().keys().next() > Some(&1));
    drop(sidecar.stop_keeping_files().await);
}
