//! Checkpoints that are sent to an HTTPS endpoint: only what it confirmed counts, and whatever it does, the newest arrives.
#![expect(clippy::disallowed_methods, reason = "edge: changes the files of the service")]

use std::time::{Duration, Instant};

use lockkeeper::ledger::checkpoint::{self, Checkpoint};
use lockkeeper::ledger::note::VerifierKey;
use lockkeeper::model::keys::SigningKey;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::ledger::Entries;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::checkpoints::{admin, all_hold, told, with_admin};
use crate::sinks::receiver::{Mood, Receiver, Taken};

/// A service that signs every tenth of a second and sends that to a URL alone.
fn sending(options: Options, url: &str) -> Options {
    with_admin(options)
        .file("ledger.pem", SigningKey::generate().unwrap().into_bytes())
        .set("ledger.checkpoints", "origin", "\"crm/ledger\"")
        .set("ledger.checkpoints", "key_file", "\"ledger.pem\"")
        .set("ledger.checkpoints", "interval_ms", 100)
        .set("ledger.checkpoints", "idle_interval_ms", 1000)
        .set("ledger.checkpoints.https", "url", format!("\"{url}\""))
        .set("ledger.checkpoints.https", "timeout_ms", 2_000)
        .set("ledger.checkpoints.https", "retry_max_ms", 50)
}

fn url(receiver: &Receiver) -> String {
    format!("http://{}/in", receiver.address)
}

/// What an endpoint kept, each signed by the key that the ledger's starts name.
fn arrived(folder: &TestFolder, kept: &[Taken]) -> Vec<Checkpoint> {
    let start = Entries::read(&folder.state()).of_kind("start")[0].clone();
    let key: VerifierKey = start["keys"][0].as_str().unwrap().parse().unwrap();
    let open = |taken: &Taken| checkpoint::open(&taken.body, std::slice::from_ref(&key)).unwrap();
    kept.iter().map(open).collect()
}

async fn caught_up(admin: &Caller) -> Value {
    told(admin, "a catching up", |status| {
        status["unprovable"] == 0 && status["exported"] != 0 && status["failures"] == json!([])
    })
    .await
}

async fn fails(admin: &Caller, why: &str) -> Value {
    told(admin, why, |status| {
        status["failures"].as_array().is_some_and(|failures| {
            failures.iter().any(|failure| failure.as_str().unwrap().starts_with(&format!("https: {why}")))
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_posted_to_whom_is_trusted_up_to_the_end_of_the_ledger() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let receiver = Receiver::over_tls(&authority.issue(&["127.0.0.1"]), Some(roots)).await;
    let own = authority.issue(&["sidecar.test"]);
    let url = format!("https://{}/in", receiver.address);
    let sidecar = TestSidecar::with(|options| {
        sending(options, &url)
            .file("ca.crt", stranger.pem().into_bytes())
            .file("own.crt", own.certificate.clone().into_bytes())
            .file("own.key", own.key.clone().into_bytes())
            .file("endpoint.token", b"canary-token\n".to_vec())
            .set("ledger.checkpoints.https", "ca_file", "\"ca.crt\"")
            .set("ledger.checkpoints.https", "client_certificate_file", "\"own.crt\"")
            .set("ledger.checkpoints.https", "client_key_file", "\"own.key\"")
            .set("ledger.checkpoints.https", "token_file", "\"endpoint.token\"")
    })
    .await;
    let admin = admin(&sidecar);
    let failing = fails(&admin, "").await;
    assert_eq!(failing["exported"], Value::Null, "nobody confirmed anything");
    assert_eq!(receiver.asked(), Vec::<String>::new(), "nothing was sent to whom nobody trusts");
    sidecar.folder().write("ca.crt", &authority.pem());
    let whole = caught_up(&admin).await;
    assert_eq!(whole["exported"], whole["signed"]);
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let folder = sidecar.stop_keeping_files().await;
    let kept = receiver.kept();
    for header in
        ["POST /in HTTP/1.1", "content-type: text/plain; charset=utf-8", "authorization: Bearer canary-token"]
    {
        assert!(kept.iter().all(|taken| taken.head.lines().any(|line| line == header)), "{header}");
    }
    let arrived = arrived(&folder, &kept);
    let entries = all_hold(&folder.state(), &arrived);
    assert_eq!(arrived.last().unwrap().head.size, entries, "the `stop` entry is signed for");
    assert_eq!(
        kept.last().unwrap().body,
        std::fs::read_to_string(folder.state().join("tree/checkpoint")).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_is_told_and_the_newest_alone_arrives_later() {
    let receiver = Receiver::start(Mood::Takes).await;
    let sidecar = TestSidecar::with(|options| sending(options, &url(&receiver))).await;
    let admin = admin(&sidecar);
    let moods = [
        (Mood::Says(500), "it answered 500"),
        (Mood::Says(404), "it answered 404"),
        (Mood::Says(401), "it answered 401 Unauthorized; see `token_file`"),
        (Mood::Redirects, "it answered 307 Temporary Redirect: redirects are not followed"),
        (Mood::Breaks, ""),
        (Mood::Babbles, ""),
        (Mood::Slams, ""),
        (Mood::Hangs, "no answer within 2000 ms"),
    ];
    for (mood, why) in moods {
        let before = caught_up(&admin).await;
        receiver.turn(mood);
        let failing = fails(&admin, why).await;
        assert_eq!(failing["exported"], before["exported"], "{mood:?} is no confirmation");
        let metrics = admin.get("/metrics").await;
        assert!(metrics.text().contains("lockkeeper_checkpoint_failing 1\n"), "{}", metrics.text());
        // Nobody waits for an endpoint, and neither does signing.
        let mut signed = failing["signed"].as_u64();
        for _ in 0..3 {
            assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
            let later = told(&admin, "a later one", |status| status["signed"].as_u64() > signed).await;
            signed = later["signed"].as_u64();
        }
        let kept = receiver.kept().len();
        receiver.turn(Mood::Takes);
        caught_up(&admin).await;
        let arrived = arrived(sidecar.folder(), &receiver.kept()[kept..]);
        // One may have been on its way when the mood changed.
        let older = arrived.iter().filter(|checkpoint| Some(checkpoint.head.size) < signed).count();
        assert!(older <= 1, "{mood:?}: superseded ones are left out, and not sent one after the other");
    }
    assert!(receiver.asked().iter().all(|head| head.starts_with("POST /in ")), "nothing was followed");
    let folder = sidecar.stop_keeping_files().await;
    all_hold(&folder.state(), &arrived(&folder, &receiver.kept()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_away_delays_neither_start_nor_end() {
    let receiver = Receiver::start(Mood::Takes).await;
    let url = url(&receiver);
    let address = receiver.stop().await;
    let sidecar = TestSidecar::with(|options| sending(options, &url)).await;
    let failing = fails(&admin(&sidecar), "").await;
    assert_eq!(failing["exported"], Value::Null);
    assert_eq!(failing["unprovable"], failing["signed"]);
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let began = Instant::now();
    let sidecar = sidecar.restart().await;
    assert!(began.elapsed() < END_LIMIT, "{:?}", began.elapsed());
    let restarted = fails(&admin(&sidecar), "").await;
    assert_eq!(restarted["exported"], Value::Null, "what was signed before was never confirmed");
    let receiver = Receiver::at(address, Mood::Takes, None).await;
    caught_up(&admin(&sidecar)).await;
    let folder = sidecar.stop_keeping_files().await;
    all_hold(&folder.state(), &arrived(&folder, &receiver.kept()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_delays_the_end_by_no_more_than_the_limit() {
    let receiver = Receiver::start(Mood::Hangs).await;
    let sidecar = TestSidecar::with(|options| {
        sending(options, &url(&receiver)).set("ledger.checkpoints.https", "timeout_ms", 600_000)
    })
    .await;
    told(&admin(&sidecar), "a signature", |status| status["signed"].as_u64() > Some(0)).await;
    let began = Instant::now();
    let folder = sidecar.stop_keeping_files().await;
    assert!((END_LIMIT..4 * END_LIMIT).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(Entries::read(&folder.state()).of_kind("stop").len(), 1);
    assert!(receiver.kept().is_empty());
}

/// How long a service that ends waits for its last checkpoint.
const END_LIMIT: Duration = Duration::from_secs(10);
