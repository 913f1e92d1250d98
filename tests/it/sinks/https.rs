//! A receiver over HTTPS: at least once, whatever it does, and nobody else learns the token.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockkeeper::audit::sinks::fault::SinkFault;
use lockkeeper::config::service::sinks::{SinkConfig, SinkPlace};
use lockkeeper::ledger::entry::sink::SinkState;
use lockkeeper::net::pair::PairFiles;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::receiver::{Mood, Receiver};
use super::rig::{Feed, lines, same, sink};
use crate::certificates::Authority;

fn receiver_sink(receiver: &Receiver) -> SinkConfig {
    sink("siem", receiver.place(None))
}

/// Whether the sink failed with this, at least once more.
async fn fails(feed: &Feed, fault: SinkFault) {
    feed.until("siem", fault.code(), |status| {
        status.error.as_ref().is_some_and(|error| error.fault == fault) && status.state == SinkState::Down
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_ndjson_that_names_its_log() {
    let receiver = Receiver::start(Mood::Takes).await;
    let feed = Feed::start(vec![receiver_sink(&receiver)]);
    feed.decide(0..100).await;
    feed.caught_up("siem").await;
    let id = feed.log_id();
    let state = feed.end().await;
    same(&receiver.distinct(), &lines(state.path()));
    let kept = receiver.kept();
    assert!(kept.len() > 3, "batches are bounded");
    for taken in kept {
        let seqs: Vec<&str> = taken.body.lines().collect();
        assert!(taken.body.ends_with('\n') && seqs.len() <= 50);
        let seq = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].to_string();
        for header in [
            "POST /in HTTP/1.1".to_owned(),
            "content-type: application/x-ndjson".to_owned(),
            format!("lockkeeper-log: {id}"),
            "lockkeeper-log-label: a test".to_owned(),
            format!("lockkeeper-first-seq: {}", seq(seqs[0])),
            format!("lockkeeper-last-seq: {}", seq(seqs[seqs.len() - 1])),
        ] {
            assert!(taken.head.lines().any(|line| line == header), "{header}: {}", taken.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_nothing_is_lost() {
    let receiver = Receiver::start(Mood::Says(500)).await;
    // Short enough to wait for it three times, long enough for an answer on a busy machine.
    let feed = Feed::start(vec![SinkConfig { timeout_ms: 2_000, ..receiver_sink(&receiver) }]);
    feed.decide(0..10).await;
    let moods = [
        (Mood::Says(500), SinkFault::Refused),
        (Mood::Says(404), SinkFault::Refused),
        (Mood::Says(401), SinkFault::Credentials),
        (Mood::Redirects, SinkFault::Redirected),
        (Mood::Breaks, SinkFault::Unreachable),
        (Mood::Babbles, SinkFault::Unreachable),
        (Mood::Slams, SinkFault::Unreachable),
        (Mood::Hangs, SinkFault::Timeout),
    ];
    for (at, (mood, fault)) in (0..).zip(moods) {
        receiver.turn(mood);
        fails(&feed, fault).await;
        assert!(feed.seen().contains(&format!("reason=\"{}\"", fault.code())));
        // Nobody waits for a sink.
        feed.decide(100 + at * 10..105 + at * 10).await;
    }
    let redirected = receiver.asked();
    assert!(redirected.iter().all(|head| head.starts_with("POST /in ")), "nothing was followed");
    receiver.turn(Mood::Takes);
    feed.caught_up("siem").await;
    let state = feed.end().await;
    let written = lines(state.path());
    same(&receiver.distinct(), &written);
    // Each change of state once, however often it failed in between.
    let told: Vec<&String> = written.values().filter(|line| line.contains("\"kind\":\"sink\"")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("\"state\":\"down\",\"reason\":\"sink-refused\""), "{told:?}");
    assert!(told[1].contains("\"state\":\"up\""), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_for_a_while_gets_everything_when_it_is_back() {
    let receiver = Receiver::start(Mood::Takes).await;
    let config = receiver_sink(&receiver);
    let feed = Feed::start(vec![config.clone()]);
    feed.decide(0..20).await;
    feed.caught_up("siem").await;
    let (first, address) = (receiver.distinct(), receiver.stop().await);
    feed.decide(20..60).await;
    fails(&feed, SinkFault::Unreachable).await;
    // The process is killed meanwhile: what was acknowledged last may come again, nothing is missed.
    let state = feed.kill().await;
    let feed = Feed::on(state, vec![config], lockkeeper::ledger::clock::system());
    feed.decide(60..70).await;
    let receiver = Receiver::at(address, Mood::Takes, None).await;
    feed.caught_up("siem").await;
    let state = feed.end().await;
    let mut held = first;
    held.extend(receiver.distinct());
    same(&held, &lines(state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_sent_and_never_told() {
    let receiver = Receiver::start(Mood::Says(401)).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "canary-first\n").unwrap();
    let config = sink("siem", receiver.place(Some(token_file.clone())));
    let feed = Feed::start(vec![config]);
    fails(&feed, SinkFault::Credentials).await;
    assert!(receiver.asked().iter().all(|head| head.contains("authorization: Bearer canary-first")));
    // Replaced without a restart.
    std::fs::write(&token_file, "canary-second\n").unwrap();
    receiver.turn(Mood::Takes);
    feed.decide(0..5).await;
    feed.caught_up("siem").await;
    assert!(receiver.kept().iter().any(|taken| taken.head.contains("authorization: Bearer canary-second")));
    // One that cannot be read, and one that cannot be a header.
    receiver.turn(Mood::Slams);
    for text in [None, Some("canary-\u{7}")] {
        match text {
            None => std::fs::remove_file(&token_file).unwrap(),
            Some(text) => std::fs::write(&token_file, text).unwrap(),
        }
        feed.decide(10..11).await;
        fails(&feed, SinkFault::Credentials).await;
        assert!(!feed.seen().contains("canary"), "{}", feed.seen());
    }
    let state = feed.kill().await;
    let written: String = lines(state.path()).into_values().collect();
    assert!(!written.contains("canary"));
}

#[tokio::test]
async fn the_operational_log_has_one_line_for_each_change_and_no_secret() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || Kept(Arc::clone(&kept)))
        .finish();
    // While there is one subscriber only, whoever comes first by a place decides for all threads whether it is logged.
    let _other = tracing::Dispatch::new(tracing_subscriber::fmt().finish());
    // One thread runs everything in this test.
    let _logging = tracing::subscriber::set_default(subscriber);
    let receiver = Receiver::start(Mood::Says(401)).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "canary-token\n").unwrap();
    let feed = Feed::start(vec![sink("siem", receiver.place(Some(token_file)))]);
    feed.decide(0..5).await;
    fails(&feed, SinkFault::Credentials).await;
    feed.until("siem", "failing for long", |status| status.failures > 6).await;
    receiver.turn(Mood::Takes);
    feed.caught_up("siem").await;
    feed.end().await;
    let log = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let said = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((said("a sink is down"), said("a sink takes entries again")), (1, 1), "{log}");
    assert!(log.contains("reason=\"sink-credentials\"") && log.contains("sink=\"siem\""), "{log}");
    assert!(!log.contains("canary-token"), "{log}");
}

/// Keeps what is logged.
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_on_both_sides() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let receiver = Receiver::over_tls(&authority.issue(&["127.0.0.1"]), Some(roots)).await;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let own = authority.issue(&["sidecar.test"]);
    let pair = PairFiles { certificate: put("own.crt", &own.certificate), key: put("own.key", &own.key) };
    let url = format!("https://{}/in", receiver.address).parse().unwrap();
    let place = SinkPlace::Https { url, token_file: None };
    let ca_file = Some(put("ca.crt", &stranger.pem()));
    let config = SinkConfig { ca_file, pair: Some(pair), timeout_ms: 5_000, ..sink("siem", place) };
    let feed = Feed::start(vec![config]);
    feed.decide(0..5).await;
    fails(&feed, SinkFault::Tls).await;
    assert_eq!(receiver.asked(), Vec::<String>::new(), "nothing was sent to whom nobody trusts");
    put("ca.crt", &authority.pem());
    feed.caught_up("siem").await;
    let state = tokio::time::timeout(Duration::from_secs(20), feed.end()).await.unwrap();
    same(&receiver.distinct(), &lines(state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_service_does_not_wait_for_a_receiver_that_hangs() {
    let receiver = Receiver::start(Mood::Hangs).await;
    let feed = Feed::start(vec![sink("siem", receiver.place(None))]);
    feed.decide(0..5).await;
    let state = feed.kill().await;
    assert!(lines(state.path()).len() > 10);
}
