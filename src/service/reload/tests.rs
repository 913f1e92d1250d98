//! Reloads that do not come to an end.

use super::*;
use crate::testkit::TestSidecar;

/// It is recorded once, nothing changes, and the next look tries again.
#[tokio::test]
async fn a_load_that_does_not_end_is_recorded() {
    let sidecar = TestSidecar::start().await;
    let reloader = &sidecar.running().reloader;
    let before = sidecar.running().sidecar.current.serving();
    for _ in 0..2 {
        let work = tokio::spawn(std::future::pending());
        work.abort();
        let reloaded = reloader.take_up(&mut *reloader.state.lock().await, work, 0).await;
        let Reloaded::Refused { parts, problems } = reloaded else { panic!("{reloaded:?}") };
        assert_eq!(parts, ["bundle", "directory", "keys"]);
        assert!(problems.contains("the load did not end"), "{problems}");
    }
    assert!(Arc::ptr_eq(&before, &sidecar.running().sidecar.current.serving()));
    assert!(reloader.calls_for_reading().await);
    let ledger = sidecar.ledger();
    let refused = ledger.of_kind("revision").into_iter().filter(|entry| entry["result"] == "refused");
    assert_eq!(refused.count(), 3, "once for each part");
    assert!(matches!(reloader.reload().await, Reloaded::Active { .. }));
}
