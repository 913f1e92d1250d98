//! Answers that are under way when something changes: what let them begin must hold to their end.

use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::client::read_to_end;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::Value;
use tokio::net::TcpStream;

use super::any_crm::{Answer, AnyCrm};

const DIRECTORY: &str = "directory.cedarentities.json";
const FILE: &str = "/api/files/501/content";
/// More than all buffers between CRM and caller hold.
const FILE_BYTES: u64 = 64 << 20;

/// A file that a person asked for and does not take yet.
async fn begun(sidecar: &TestSidecar, person: &str) -> TcpStream {
    sidecar.crm().set_fault_on("/content", Fault::Big(FILE_BYTES));
    sidecar.as_person(person).open("GET", FILE, "").await
}

/// How much of it still comes.
async fn length(stream: TcpStream) -> u64 {
    u64::try_from(read_to_end(stream).await.len()).unwrap()
}

/// The outcome of an answer that was broken off for a reason.
async fn broken_off(sidecar: &TestSidecar, reason: &str) -> Value {
    let is_it = |outcome: &Value| outcome["reason"] == reason;
    let what = format!("an outcome {reason}");
    let ledger = sidecar.ledger_when(&what, |ledger| ledger.of_kind("outcome").into_iter().any(is_it)).await;
    ledger.of_kind("outcome").into_iter().find(|outcome| is_it(outcome)).unwrap().clone()
}

/// A file of rep-east is broken off by a change of one of the service's files.
async fn check(name: &str, change: impl FnOnce(String) -> String, reason: &str) {
    let sidecar = TestSidecar::start().await;
    let stream = begun(&sidecar, "rep-east").await;
    sidecar.ledger_when("the decision", |ledger| !ledger.of_kind("decision").is_empty()).await;
    assert!(matches!(sidecar.reload_with(name, change).await, Reloaded::Active { .. }), "{name}");
    let outcome = broken_off(&sidecar, reason).await;
    assert_eq!((&outcome["delivered"], &outcome["status"]), (&"partial".into(), &200.into()), "{reason}");
    assert!(length(stream).await < FILE_BYTES, "{reason}");
    assert!(outcome["bytes"].as_u64().unwrap() > 0, "{outcome}");
}

fn in_directory(from: &'static str, to: &'static str) -> impl FnOnce(String) -> String {
    move |text| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_ends_when_its_reader_is_deactivated() {
    let (active, inactive) = (r#"{"active": true, "crmId": "1""#, r#"{"active": false, "crmId": "1""#);
    check(DIRECTORY, in_directory(active, inactive), "principal-inactive").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_ends_when_its_reader_is_somebody_else() {
    let team = r#"{"type": "Role", "id": "rep"}, {"type": "Team", "id": "east"}"#;
    let other = r#"{"type": "Role", "id": "rep"}, {"type": "Team", "id": "west"}"#;
    check(DIRECTORY, in_directory(team, other), "access-changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_ends_when_policies_change() {
    let forbid = r#"@id("test.no") forbid (principal, action == Action::"download", resource);"#;
    check("bundle/policies/test.cedar", |_| forbid.to_owned(), "access-changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_ends_when_the_time_of_its_reader_is_over() {
    let until = r#"{"active": true, "accessUntil": {"fn": "datetime", "arg": "2030-01-01"}, "crmId": "1""#;
    let sidecar = TestSidecar::with(|options| {
        options.edit(DIRECTORY, in_directory(r#"{"active": true, "crmId": "1""#, until))
    })
    .await;
    let stream = begun(&sidecar, "rep-east").await;
    sidecar.ledger_when("the decision", |ledger| !ledger.of_kind("decision").is_empty()).await;
    const { assert!(NOW_MS < 1_893_456_000_000, "the clock of tests stands before 2030") };
    sidecar.set_now_ms(1_893_456_000_000);
    broken_off(&sidecar, "access-window").await;
    assert!(length(stream).await < FILE_BYTES);
}

/// What becomes of others is not theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_on_when_others_change() {
    let sidecar = TestSidecar::start().await;
    let stays = begun(&sidecar, "manager-east").await;
    let goes = begun(&sidecar, "rep-east").await;
    sidecar.ledger_when("both decisions", |ledger| ledger.of_kind("decision").len() == 2).await;
    let east = in_directory(r#"{"active": true, "crmId": "1""#, r#"{"active": false, "crmId": "1""#);
    sidecar.reload_with(DIRECTORY, east).await;
    broken_off(&sidecar, "principal-inactive").await;
    let (stays, goes) = (length(stays).await, length(goes).await);
    assert!(stays > FILE_BYTES && goes < FILE_BYTES, "{stays} {goes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_ends_when_its_reader_is_deactivated() {
    let crm = AnyCrm::start().await;
    let sidecar = crm
        .behind(|options| options.set("limits", "hold_bytes", 10_000).set("limits", "records", 100_000))
        .await;
    let row = |id: usize| {
        let title = "t".repeat(4_000);
        format!(
            r#"{{"id":{id},"title":"{title}","stage":"lead","pipeline":"sales","owner_id":1,"team_id":10}}"#
        )
    };
    let rows: Vec<String> = (1..8_000).map(row).collect();
    let body = format!(r#"{{"data":[{}]}}"#, rows.join(","));
    let length = body.len();
    crm.answers(Answer::json(body.into_bytes()));
    let stream = sidecar.as_person("rep-east").open("GET", "/api/deals", "").await;
    sidecar.ledger_when("a part", |ledger| !ledger.of_kind("shown").is_empty()).await;
    let east = in_directory(r#"{"active": true, "crmId": "1""#, r#"{"active": false, "crmId": "1""#);
    sidecar.reload_with(DIRECTORY, east).await;
    assert_eq!(broken_off(&sidecar, "principal-inactive").await["delivered"], "partial");
    let bytes = read_to_end(stream).await;
    assert!(bytes.len() < length && !bytes.ends_with(b"0\r\n\r\n"), "{}", bytes.len());
}
