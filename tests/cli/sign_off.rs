//! `lockkeeper audit sign-off`: a review of a running service, closed by an entry of its ledger.
#![expect(clippy::disallowed_methods, reason = "a test writes a report into a file")]

use std::path::Path;

use lockkeeper::testkit::client::Caller;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::query::{TOKEN, a_service};
use crate::run::{Ran, run};
use crate::tail::a_day_that_is_over;

fn sign_off(args: &[&str]) -> Ran {
    run(Path::new("/"), &[&["audit", "sign-off"], args].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_names_the_report() {
    let (sidecar, config) = a_service().await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    let made = run(Path::new("/"), &["audit", "report", "--config", &config, "--format", "html"]);
    let file = sidecar.folder().path().join("review.html").display().to_string();
    std::fs::write(&file, &made.stdout).unwrap();
    let told = made
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("SHA-256 of this report: "))
        .unwrap()
        .to_owned();
    let args = ["--report", &file, "--verdict", "findings", "--note", "CR-12", "--config", &config];
    let ran = sign_off(&args);
    assert_eq!((ran.code, ran.stdout.trim()), (0, told.as_str()), "{}", ran.stderr);
    let ledger = sidecar.ledger();
    let review = ledger.of_kind("review")[0];
    let digest: String = Sha256::digest(&made.stdout).iter().map(|byte| format!("{byte:02x}")).collect();
    let members = ["report", "verdict", "note", "by"].map(|name| review[name].as_str().unwrap());
    assert_eq!(members, [digest.as_str(), "findings", "CR-12", "admin-token"]);
    assert_eq!(
        ran.stderr,
        format!("entry {} of the ledger closes the review of this report\n", review["seq"])
    );
    // Once more: both stand, and whoever signs is told.
    let again = sign_off(&["--report", &file, "--verdict", "accepted", "--config", &config]);
    let before = format!(
        "entry {} of {} had closed the review of this report already (findings); both stand\n",
        review["seq"],
        review["t"].as_str().unwrap()
    );
    assert!(again.code == 0 && again.stderr.starts_with(&before), "{}", again.stderr);
    for format in ["text", "csv", "json"] {
        let made = run(Path::new("/"), &["audit", "report", "--config", &config, "--format", format]);
        std::fs::write(&file, &made.stdout).unwrap();
        let ran = sign_off(&["--report", &file, "--verdict", "accepted", "--config", &config]);
        let is_plain = !ran.stderr.contains("warning") && !ran.stderr.contains("already");
        assert!(ran.code == 0 && is_plain, "{format}: {}", ran.stderr);
    }
    std::fs::write(&file, "crm.example.com/lockkeeper+key").unwrap();
    let ran = sign_off(&["--report", &file, "--verdict", "accepted", "--config", &config]);
    assert!(ran.stderr.contains("does not look like what `audit report` writes"), "{}", ran.stderr);
    // One byte more is another report.
    std::fs::write(&file, format!("{}x", made.stdout)).unwrap();
    let ran = sign_off(&["--report", &file, "--verdict", "accepted", "--config", &config]);
    let ledger = sidecar.ledger();
    let review = *ledger.of_kind("review").last().unwrap();
    assert_eq!((ran.code, &review["report"]), (0, &json!(ran.stdout.trim())));
    assert!(ran.stdout.trim() != digest && review.get("note").is_none());
    let tail = run(Path::new("/"), &["audit", "tail", "--config", &config, "--kind", "review"]);
    assert!(
        tail.stdout.contains(&format!("REVIEW   findings of report {digest}, by admin-token: CR-12")),
        "{}",
        tail.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_signed_off() {
    let (kept, state) = a_day_that_is_over().await;
    let file = kept.path().join("review").display().to_string();
    std::fs::write(&file, "").unwrap();
    let refused = |args: &[&str], why: &str| {
        let ran = sign_off(&[&["--verdict", "accepted"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    };
    refused(&["--report", &file, "--state", &state], "is empty: it is no report");
    refused(&["--report", "/nonexistent", "--state", &state], "cannot read `/nonexistent`");
    std::fs::write(&file, "a report").unwrap();
    refused(&["--report", &file, "--state", &state], "no service writes this ledger");
    let (sidecar, config) = a_service().await;
    let running = sidecar.folder().state().display().to_string();
    refused(&["--report", &file, "--state", &running], "name its configuration");
    sidecar.folder().write("admin.token", "another-token-that-is-wrong");
    refused(&["--report", &file, "--config", &config], "is not the token of the service on");
    assert_eq!(sidecar.ledger().of_kind("review").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_announced_in_one_way() {
    let (sidecar, _) = a_service().await;
    let anybody = Caller::new(sidecar.running().admin_address.unwrap());
    let admin = anybody.clone().with_header(&format!("Authorization: Bearer {TOKEN}"));
    let report = "0a".repeat(32);
    let post = async |body: Value| admin.post("/v1/ledger/reviews", body).await.status;
    let whole = json!({"report": report, "verdict": "accepted", "note": "n"});
    assert_eq!(anybody.post("/v1/ledger/reviews", whole.clone()).await.status, 401);
    assert_eq!(post(whole).await, 200);
    assert_eq!(post(json!({"report": report, "verdict": "accepted"})).await, 200);
    assert_eq!(post(json!({"report": report})).await, 400);
    assert_eq!(post(json!({"report": report, "verdict": "fine"})).await, 400);
    assert_eq!(post(json!({"report": "0a", "verdict": "accepted"})).await, 400);
    assert_eq!(post(json!({"report": report, "verdict": "accepted", "note": "a\nb"})).await, 400);
    assert_eq!(post(json!({"report": report, "verdict": "accepted", "by": "anna"})).await, 400);
    assert_eq!(post(json!({"report": report, "verdict": "accepted", "note": "x".repeat(9_000)})).await, 413);
    assert_eq!(admin.get("/v1/ledger/reviews").await.status, 405);
    assert_eq!(sidecar.ledger().of_kind("review").len(), 2);
    sidecar.break_ledger().await;
    assert_eq!(post(json!({"report": report, "verdict": "accepted"})).await, 503);
}
