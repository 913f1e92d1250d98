//! TLS towards callers: who is let in, what is shown to whom, and certificates that change while it runs.

use lockkeeper::model::reason::Reason;
use lockkeeper::service::start::start;
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::telemetry::readings::Readings;
use lockkeeper::testkit::client::{Caller, TestReply, read_to_end};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::{NOW_MS, TestCrm, TestSidecar};
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;

use super::certificates::{Authority, Issued, listening};

const NAME: &str = "lockkeeper.test";

async fn sidecar(issued: &Issued, change: impl FnOnce(Options) -> Options) -> TestSidecar {
    TestSidecar::with(|options| change(listening(options, issued))).await
}

async fn status(caller: Caller, config: ClientConfig) -> Option<u16> {
    let mut stream = caller.clone().over_tls(config).connect().await.ok()?;
    // Over TLS 1.3 a client learns only by reading that its certificate was refused.
    stream.write_all(caller.request("GET", "/api/deals/42", "").as_bytes()).await.ok()?;
    TestReply::try_parse(&read_to_end(stream).await).map(|reply| reply.status)
}

#[tokio::test]
async fn callers_over_tls_are_served_and_the_crm_is_told() {
    let authority = Authority::new();
    let sidecar = sidecar(&authority.issue(&[NAME]), |options| options).await;
    let caller = sidecar.as_person("rep-east").over_tls(authority.client(&["http/1.1"]));
    assert_eq!(caller.get("/api/deals/42").await.status, 200);
    assert_eq!(caller.patch("/api/deals/42", r#"{"title":"Over TLS"}"#).await.status, 200);
    for request in sidecar.crm().requests() {
        assert_eq!(request.headers["x-forwarded-proto"], "https");
    }
    // A caller that offers no protocol speaks HTTP/1.1; one that offers only others is not let in.
    let caller = sidecar.as_person("rep-east");
    assert_eq!(status(caller.clone(), authority.client(&[])).await, Some(200));
    assert_eq!(status(caller.clone(), authority.client(&["spdy/3"])).await, None);
    assert_eq!(status(caller, Authority::new().client(&[])).await, None);
    // The caller who trusts another authority leaves with an alert; that is a handshake that failed, too.
    sidecar.expect_refusals(&[(Reason::TlsHandshake, 2)]).await;
}

#[tokio::test]
async fn client_certificates() {
    let (authority, callers, others) = (Authority::new(), Authority::new(), Authority::new());
    let known = callers.issue(&["rep-east.crm.example", "spiffe://crm.example/rep-east"]);
    let over = callers.issue_from(&["rep-east.crm.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2024, 1, 1);
    });
    let foreign = others.issue(&["rep-east.crm.example"]);
    for (asked, without, with_known) in
        [("off", true, true), ("optional", true, true), ("required", false, true)]
    {
        let sidecar = sidecar(&authority.issue(&[NAME]), |options| {
            let ca = callers.pem();
            let options = options.set("listen.tls", "client_certificate", format!("\"{asked}\""));
            match asked {
                "off" => options,
                _ => options
                    .set("listen.tls", "client_ca_file", "\"callers.pem\"")
                    .edit("callers.pem", move |_| ca),
            }
        })
        .await;
        let is_served = async |config| status(sidecar.as_person("rep-east"), config).await == Some(200);
        assert_eq!(is_served(authority.client(&[])).await, without, "{asked} without");
        assert_eq!(is_served(authority.client_as(&known, &[])).await, with_known, "{asked} known");
        let is_off = asked == "off";
        assert_eq!(is_served(authority.client_as(&foreign, &[])).await, is_off, "{asked} foreign");
        assert_eq!(is_served(authority.client_as(&over, &[])).await, is_off, "{asked} expired");
        drop(sidecar.stop().await);
    }
}

#[tokio::test]
async fn the_certificate_that_has_the_name_is_shown() {
    let (first, second) = (Authority::new(), Authority::new());
    let (other, own) = (first.issue(&["other.test"]), second.issue(&["else.test", NAME]));
    let sidecar = sidecar(&other, |options| {
        options
            .set("listen.tls", "certificate_file", r#"["tls.crt", "own.crt"]"#)
            .set("listen.tls", "key_file", r#"["tls.key", "own.key"]"#)
            .edit("own.crt", move |_| own.certificate)
            .edit("own.key", move |_| own.key)
    })
    .await;
    assert_eq!(status(sidecar.as_person("rep-east"), second.client(&[])).await, Some(200));
    assert_eq!(status(sidecar.as_person("rep-east"), first.client(&[])).await, None);
}

#[tokio::test]
async fn old_versions_are_not_spoken() {
    let authority = Authority::new();
    let sidecar =
        sidecar(&authority.issue(&[NAME]), |options| options.set("listen.tls", "minimum_version", "\"1.3\""))
            .await;
    let old = |config: ClientConfig| {
        let mut roots = rustls::RootCertStore::empty();
        let pem = authority.pem();
        let der = <rustls_pki_types::CertificateDer as rustls_pki_types::pem::PemObject>::from_pem_slice(
            pem.as_bytes(),
        );
        roots.add(der.unwrap()).unwrap();
        drop(config);
        ClientConfig::builder_with_provider(lockkeeper::net::roots::provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    };
    assert_eq!(status(sidecar.as_person("rep-east"), old(authority.client(&[]))).await, None);
    assert_eq!(status(sidecar.as_person("rep-east"), authority.client(&[])).await, Some(200));
    sidecar.expect_refusals(&[(Reason::TlsHandshake, 1)]).await;
}

fn replace(sidecar: &TestSidecar, certificate: &str, key: &str) {
    sidecar.folder().write("tls.crt", certificate);
    sidecar.folder().write("tls.key", key);
}

#[tokio::test]
async fn a_new_pair_is_taken_and_a_bad_one_is_not() {
    let (first, second) = (Authority::new(), Authority::new());
    let (old, new) = (first.issue(&[NAME]), second.issue(&[NAME]));
    let over = second.issue_from(&[NAME], |params| params.not_after = rcgen::date_time_ymd(2026, 1, 1));
    let later = second.issue_from(&[NAME], |params| params.not_before = rcgen::date_time_ymd(2027, 1, 1));
    let sidecar = sidecar(&old, |options| options).await;
    let is_served = async |authority: &Authority| {
        status(sidecar.as_person("rep-east"), authority.client(&[])).await == Some(200)
    };
    for (what, certificate, key) in [
        ("mismatched", &new.certificate, &old.key),
        ("expired", &over.certificate, &over.key),
        ("not yet valid", &later.certificate, &later.key),
        ("empty", &String::new(), &new.key),
        ("not PEM", &"certificate".to_owned(), &new.key),
    ] {
        replace(&sidecar, certificate, key);
        sidecar.running().reloader.reload().await;
        assert!(is_served(&first).await && !is_served(&second).await, "{what}");
        let refused = sidecar.running().sidecar.renewed.iter().filter_map(|renewed| renewed.status().refused);
        assert_eq!(refused.count(), 1, "{what}");
    }
    // A connection that was opened before keeps what it agreed on.
    let caller = sidecar.as_person("rep-east").over_tls(first.client(&[]));
    let mut open = caller.connect().await.unwrap();
    replace(&sidecar, &new.certificate, &new.key);
    sidecar.running().reloader.reload().await;
    assert!(is_served(&second).await && !is_served(&first).await);
    assert!(sidecar.running().sidecar.renewed.iter().all(|renewed| renewed.status().refused.is_none()));
    open.write_all(caller.request("GET", "/api/deals/42", "").as_bytes()).await.unwrap();
    assert_eq!(TestReply::parse(&read_to_end(open).await, false).0.status, 200);
}

/// Certificates change again and again while callers come and go: every one of them is answered.
#[tokio::test]
async fn rotation_under_load_loses_nobody() {
    let authority = Authority::new();
    let pairs: Vec<Issued> = (0..2).map(|_| authority.issue(&[NAME])).collect();
    let sidecar = sidecar(&pairs[0], |options| options).await;
    let kept = sidecar.as_person("rep-east").over_tls(authority.client(&["h2"]));
    let kept = lockkeeper::testkit::http2::Http2::connect(&kept, "https").await;
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let caller = sidecar.as_person("rep-east").over_tls(authority.client(&[]));
            tokio::spawn(async move {
                for _ in 0..15 {
                    assert_eq!(caller.get("/api/deals/42").await.status, 200);
                }
            })
        })
        .collect();
    for round in 0..20 {
        let pair = &pairs[round % 2];
        // Two files cannot be replaced as one: in between they do not belong together, which is refused.
        replace(&sidecar, &pair.certificate, &pair.key);
        sidecar.running().sidecar.renew_tls();
        assert_eq!(kept.get("/api/deals/42").await.status, 200);
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let ledger = sidecar.stop().await;
    assert_eq!(ledger.of_kind("decision").len(), 80);
    assert_eq!(ledger.refusals(), []);
}

#[tokio::test]
async fn readiness_turns_red_with_an_expired_certificate() {
    let authority = Authority::new();
    let ending = authority.issue_from(&[NAME], |params| params.not_after = rcgen::date_time_ymd(2026, 7, 1));
    let sidecar = sidecar(&ending, |options| options).await;
    assert!(sidecar.running().sidecar.readiness.is_ready());
    sidecar.set_now_ms(NOW_MS + 20 * 24 * 60 * 60 * 1000);
    assert!(!sidecar.running().sidecar.readiness.is_ready());
    let new = authority.issue(&[NAME]);
    replace(&sidecar, &new.certificate, &new.key);
    sidecar.running().sidecar.renew_tls();
    assert!(sidecar.running().sidecar.readiness.is_ready());
}

#[tokio::test]
async fn a_bad_pair_stops_the_start() {
    let authority = Authority::new();
    let (own, other) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let mixed = Issued { certificate: own.certificate, key: other.key };
    let crm = TestCrm::start().await;
    let folder = TestFolder::new(listening(Options::default(), &mixed), crm.address);
    let (config, loaded) = folder.load();
    let error = start(config, loaded, Clock::from_fn(|| NOW_MS)).await.err().unwrap().to_string();
    assert!(error.contains("does not belong to the certificate"), "{error}");
    assert!(!folder.state().exists(), "a start that did not happen leaves nothing");
}

#[tokio::test]
async fn what_is_no_handshake() {
    let authority = Authority::new();
    let sidecar = sidecar(&authority.issue(&[NAME]), |options| {
        options.set("listen", "handshake_timeout_ms", 200).set("limits", "handshakes", 2)
    })
    .await;
    let plain = sidecar.as_person("rep-east");
    let answer = sidecar.raw(plain.request("GET", "/api/deals/42", "")).await;
    assert!(TestReply::try_parse(&answer).is_none(), "{answer:?}");
    // Two who say nothing hold the places; a third is refused at once, and others again once they are gone.
    let (first, second) = (sidecar.connect().await, sidecar.connect().await);
    let mut third = None;
    while third.is_none() {
        let refused = sidecar.running().sidecar.metrics.encode(&Readings::default());
        let refused = refused.contains("connections-exhausted");
        third = refused.then_some(());
        drop(plain.clone().over_tls(authority.client(&[])).connect().await);
    }
    assert_eq!(read_to_end(first).await, b"");
    assert_eq!(read_to_end(second).await, b"");
    assert_eq!(status(plain, authority.client(&[])).await, Some(200));
    let refusals = sidecar.stop().await.refusals();
    let count = |reason: Reason| {
        refusals.iter().find(|(code, _)| code == reason.code()).map_or(0, |(_, count)| *count)
    };
    assert_eq!(count(Reason::HttpUnreadable), 1);
    assert!(count(Reason::TlsHandshake) >= 2, "{refusals:?}");
    assert!(count(Reason::ConnectionsExhausted) >= 1, "{refusals:?}");
}
