//! The directory under live traffic, and one that grows old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::{NOW_MS, TestSidecar};

const DIRECTORY: &str = "directory.cedarentities.json";
const EAST: &str = r#"{"active": true, "crmId": "1""#;

fn deactivated(text: &str) -> String {
    text.replace(EAST, &EAST.replace("true", "false"))
}

/// While requests run, a person is deactivated: what began after the reload is refused, and nothing ever fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deactivated_person_is_refused_at_the_next_request_under_load() {
    let sidecar = TestSidecar::start().await;
    let is_reloaded = AtomicBool::new(false);
    let traffic = async {
        let caller = sidecar.as_person("rep-east");
        let mut allowed = 0;
        loop {
            let began_after = is_reloaded.load(Ordering::SeqCst);
            let reply = caller.get("/api/deals/42").await;
            match reply.status {
                200 => {
                    assert!(!began_after, "answered after the reload");
                    allowed += 1;
                }
                _ => {
                    assert_eq!(reply.reason(), "principal-inactive");
                    return allowed;
                }
            }
        }
    };
    let others = async {
        let caller = sidecar.as_person("manager-east");
        while !is_reloaded.load(Ordering::SeqCst) {
            assert_eq!(caller.get("/api/deals/42").await.status, 200);
        }
        assert_eq!(caller.get("/api/deals/42").await.status, 200);
    };
    let reload = async {
        while sidecar.crm_saw().len() < 4 {
            lockkeeper::testkit::a_moment().await;
        }
        let reloaded = sidecar.reload_with(DIRECTORY, |text| deactivated(&text)).await;
        is_reloaded.store(true, Ordering::SeqCst);
        reloaded
    };
    let (allowed, (), reloaded) = tokio::join!(traffic, others, reload);
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    assert!(allowed > 0, "there was traffic before");
}

/// Nobody asks for a reload: the files are looked at, and what changed is taken up.
#[tokio::test]
async fn changes_are_found_without_being_asked() {
    let sidecar = TestSidecar::with(|options| options.set("bundle", "reload_poll_ms", "5")).await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
    sidecar.folder().write("bundle/policies/test.cedar", "permit (principal");
    sidecar.folder().edit(DIRECTORY, |text| deactivated(&text));
    let is_recorded = |what: &'static str, result: &'static str| {
        move |entries: &lockkeeper::testkit::ledger::Entries| {
            let mut entries = entries.of_kind("revision").into_iter().skip(3);
            entries.any(|entry| entry["what"] == what && entry["result"] == result)
        }
    };
    sidecar.ledger_when("the directory is active", is_recorded("directory", "active")).await;
    sidecar.ledger_when("the bundle is refused", is_recorded("bundle", "refused")).await;
    assert_eq!(rep.get("/api/deals/42").await.reason(), "principal-inactive");
}

async fn readiness(sidecar: &TestSidecar) -> u16 {
    let Some(health) = sidecar.running().health_address else { return 0 };
    Caller::new(health).get("/readyz").await.status
}

#[tokio::test]
async fn an_old_directory_decides_nothing() {
    let sidecar = TestSidecar::with(|options| {
        options.set("directory", "max_age_ms", "60000").set("listen", "health_address", "\"127.0.0.1:0\"")
    })
    .await;
    let rep = sidecar.as_person("rep-east");
    // The file is younger than the clock of the test, so it counts as written at the start.
    sidecar.set_now_ms(NOW_MS + 60_000);
    assert_eq!((rep.get("/api/deals/42").await.status, readiness(&sidecar).await), (200, 200));
    sidecar.set_now_ms(NOW_MS + 60_001);
    sidecar.crm().reset();
    for target in ["/api/deals/42", "/nowhere"] {
        let refused = rep.get(target).await;
        assert_eq!((refused.status, refused.reason().as_str()), (503, "directory-stale"));
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    assert_eq!(readiness(&sidecar).await, 503);
    // The file is touched: its content serves on.
    let reload = async || sidecar.running().reloader.reload().await;
    assert!(matches!(reload().await, Reloaded::Active { .. }));
    assert_eq!((rep.get("/api/deals/42").await.status, readiness(&sidecar).await), (200, 200));
    assert_eq!(sidecar.running().sidecar.current.snapshot().generation, 1);
    // A new file that does not load makes nothing young.
    let whole = sidecar.folder().text(DIRECTORY);
    sidecar.folder().write(DIRECTORY, "[");
    sidecar.set_now_ms(NOW_MS + 120_002);
    assert!(matches!(reload().await, Reloaded::Refused { .. }));
    assert_eq!(rep.get("/api/deals/42").await.reason(), "directory-stale");
    // Nor does an old one that does.
    sidecar.folder().write(DIRECTORY, &whole);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW_MS).unwrap());
    let file = std::fs::File::options().append(true).open(sidecar.folder().path().join(DIRECTORY)).unwrap();
    file.set_modified(long_ago).unwrap();
    assert!(matches!(reload().await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.reason(), "directory-stale");
    file.set_modified(long_ago + Duration::from_mins(2)).unwrap();
    reload().await;
    assert_eq!(rep.get("/api/deals/42").await.status, 200);
}
