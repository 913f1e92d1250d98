//! The way to the CRM: verified TLS, either version of HTTP, limits of each phase, and writes that are never sent twice.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lockkeeper::demo::crm::faults::Fault;
use lockkeeper::net::roots::provider;
use lockkeeper::testkit::client::{Caller, TestReply};
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::{CRM_KEY, TestCrm, TestSidecar};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Issued};

const NAME: &str = "crm.test";

/// TLS in front of the demo CRM.
struct Front {
    crm: TestCrm,
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    versions: Arc<Mutex<Vec<http::Version>>>,
}

impl Front {
    async fn start(config: ServerConfig) -> Self {
        let crm = TestCrm::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let front = Self { address, crm, accepted: Arc::default(), versions: Arc::default() };
        let (target, accepted, versions) =
            (front.crm.address, Arc::clone(&front.accepted), Arc::clone(&front.versions));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, versions) = (acceptor.clone(), Arc::clone(&versions));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        let service =
                            service_fn(move |request| relay(request, target, Arc::clone(&versions)));
                        let builder = http2::Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                    } else {
                        versions.lock().unwrap().push(http::Version::HTTP_11);
                        let mut crm = TcpStream::connect(target).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut crm).await;
                    }
                });
            }
        });
        front
    }

    async fn sidecar(&self, change: impl FnOnce(Options) -> Options) -> TestSidecar {
        let url = format!("\"https://{}\"", self.address);
        TestSidecar::with(|options| {
            change(options.set("upstream", "url", url).set("upstream", "server_name", format!("\"{NAME}\"")))
        })
        .await
    }

    fn versions(&self) -> Vec<http::Version> {
        self.versions.lock().unwrap().clone()
    }
}

async fn relay(
    request: Request<Incoming>,
    target: SocketAddr,
    versions: Arc<Mutex<Vec<http::Version>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    versions.lock().unwrap().push(request.version());
    let caller = Caller::new(target).with_header(&format!("X-Api-Key: {CRM_KEY}"));
    let (head, body) = request.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    let path = head.uri.path_and_query().unwrap().as_str();
    let reply = caller.send(head.method.as_str(), path, String::from_utf8(body.to_vec()).unwrap()).await;
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status.try_into().unwrap();
    *response.headers_mut() = reply.headers;
    response.headers_mut().remove("connection");
    response.headers_mut().remove("content-length");
    Ok(response)
}

fn serving(issued: &Issued, callers: Option<&Authority>, protocols: &[&str]) -> ServerConfig {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match callers {
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            let pem = authority.pem();
            let der = <rustls_pki_types::CertificateDer as rustls_pki_types::pem::PemObject>::from_pem_slice(
                pem.as_bytes(),
            );
            roots.add(der.unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(issued.chain(), issued.key()).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

fn trusting(options: Options, authority: &Authority) -> Options {
    let pem = authority.pem();
    options.set("upstream", "ca_file", "\"crm-ca.pem\"").edit("crm-ca.pem", move |_| pem)
}

#[tokio::test]
async fn both_versions_of_http() {
    let authority = Authority::new();
    for (offered, http2, expected) in [
        (&["h2", "http/1.1"][..], "auto", http::Version::HTTP_2),
        (&["h2", "http/1.1"][..], "never", http::Version::HTTP_11),
        (&["http/1.1"][..], "auto", http::Version::HTTP_11),
        (&[][..], "auto", http::Version::HTTP_11),
    ] {
        let front = Front::start(serving(&authority.issue(&[NAME]), None, offered)).await;
        let sidecar = front
            .sidecar(|options| trusting(options.set("upstream", "http2", format!("\"{http2}\"")), &authority))
            .await;
        let caller = sidecar.as_person("rep-east");
        assert_eq!(caller.get("/api/deals/42").await.status, 200);
        assert_eq!(caller.patch("/api/deals/42", r#"{"title":"Over TLS"}"#).await.status, 200);
        assert_eq!(caller.get("/api/deals").await.status, 200);
        let versions = front.versions();
        assert!(
            !versions.is_empty() && versions.iter().all(|version| *version == expected),
            "{offered:?} {http2}"
        );
        let seen = front.crm.handle.requests();
        assert_eq!(seen.iter().filter(|request| request.method == http::Method::PATCH).count(), 1);
    }
}

/// What callers are told is one reason; what operators are told says what to look at.
#[tokio::test]
async fn a_crm_that_cannot_be_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let over = authority.issue_from(&[NAME], |params| params.not_after = rcgen::date_time_ymd(2024, 1, 1));
    let good = authority.issue(&[NAME]);
    let cases = [
        ("an unknown authority", serving(&other.issue(&[NAME]), None, &[])),
        ("a certificate that is over", serving(&over, None, &[])),
        ("another name", serving(&authority.issue(&["other.test"]), None, &[])),
        ("a client certificate that we do not have", serving(&good, Some(&authority), &[])),
    ];
    for (what, config) in cases {
        let front = Front::start(config).await;
        let sidecar = front.sidecar(|options| trusting(options, &authority)).await;
        for (method, body) in [("GET", ""), ("PATCH", r#"{"title":"x"}"#)] {
            let reply = sidecar.as_person("rep-east").send(method, "/api/deals/42", body).await;
            assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-tls"), "{what} {method}");
            assert!(!reply.text().contains("127.0.0.1") && !reply.text().contains("certificate"), "{what}");
        }
        assert_eq!(front.crm.handle.requests().len(), 0, "{what}");
    }
    // A server in the clear where TLS is expected.
    let crm = TestCrm::start().await;
    let url = format!("\"https://{}\"", crm.address);
    let sidecar =
        TestSidecar::with(|options| trusting(options.set("upstream", "url", url), &authority)).await;
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.reason(), "upstream-tls");
    assert_eq!(crm.handle.requests().len(), 0);
}

#[tokio::test]
async fn our_own_certificate_and_new_files() {
    let (authority, ours) = (Authority::new(), Authority::new());
    let own = ours.issue(&["lockkeeper.test"]);
    let front = Front::start(serving(&authority.issue(&[NAME]), Some(&ours), &["h2"])).await;
    let wrong = Authority::new().issue(&["lockkeeper.test"]);
    let sidecar = front
        .sidecar(|options| {
            trusting(options, &authority)
                .set("upstream", "client_certificate_file", "\"own.crt\"")
                .set("upstream", "client_key_file", "\"own.key\"")
                .edit("own.crt", move |_| wrong.certificate)
                .edit("own.key", move |_| wrong.key)
        })
        .await;
    let caller = sidecar.as_person("rep-east");
    assert_eq!(caller.get("/api/deals/42").await.reason(), "upstream-tls");
    sidecar.folder().write("own.crt", &own.certificate);
    sidecar.running().sidecar.renew_tls();
    // The key is still the other's: nothing changes.
    assert_eq!(caller.get("/api/deals/42").await.reason(), "upstream-tls");
    sidecar.folder().write("own.key", &own.key);
    sidecar.running().sidecar.renew_tls();
    assert_eq!(caller.get("/api/deals/42").await.status, 200);
    // Authorities that cannot be read do not replace those that can.
    sidecar.folder().write("crm-ca.pem", "");
    sidecar.running().reloader.reload().await;
    assert_eq!(caller.get("/api/deals/42").await.status, 200);
}

#[tokio::test]
async fn phases_have_their_limits() {
    /// Answers each connection with some bytes and then holds it open.
    async fn hostile(bytes: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes).await;
                held.push(stream);
            }
        });
        address
    }
    for (key, value, bytes, reason) in [
        ("head_timeout_ms", 200, &b""[..], "upstream-timeout"),
        (
            "head_timeout_ms",
            200,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
            "upstream-timeout",
        ),
        ("body_idle_timeout_ms", 200, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "upstream-timeout"),
        ("answer_timeout_ms", 200, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "upstream-timeout"),
        ("head_timeout_ms", 30_000, b"SSH-2.0-OpenSSH\r\n\r\n", "upstream-broken"),
    ] {
        let url = format!("\"http://{}\"", hostile(bytes).await);
        let sidecar =
            TestSidecar::with(|options| options.set("upstream", "url", url).set("upstream", key, value))
                .await;
        let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
        assert_eq!(reply.reason(), reason, "{key} {}", String::from_utf8_lossy(bytes));
    }
    // A TLS handshake that does not come about.
    let authority = Authority::new();
    let url = format!("\"https://{}\"", hostile(b"").await);
    let sidecar = TestSidecar::with(|options| {
        trusting(options.set("upstream", "url", url).set("upstream", "connect_timeout_ms", 200), &authority)
    })
    .await;
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.reason(), "upstream-unreachable");
}

/// Interim answers and trailers of the CRM go nowhere.
#[tokio::test]
async fn interim_answers_and_trailers_are_dropped() {
    let record = r#"{"id":1,"name":"Sales","stages":[]}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("\"http://{}\"", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let answer = format!(
            "HTTP/1.1 103 Early Hints\r\nLink: <canary>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\nTrailer: X-Canary\r\n\r\n{:x}\r\n{record}\r\n0\r\nX-Canary: canary\r\n\r\n",
            record.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    let sidecar = TestSidecar::with(|options| options.set("upstream", "url", url)).await;
    let caller = sidecar.as_person("rep-east");
    let bytes = sidecar.raw(caller.request("GET", "/api/pipelines", "")).await;
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert_eq!(TestReply::parse(&bytes, false).0.text(), record);
    assert!(!text.contains("canary") && !text.to_ascii_lowercase().contains("trailer"), "{text}");
}

#[tokio::test]
async fn connections_to_the_crm_are_limited() {
    let sidecar = TestSidecar::with(|options| {
        options.set("upstream", "connections", 2).set("upstream", "connection_wait_ms", 300)
    })
    .await;
    sidecar.crm().set_fault(Some(Fault::Hang));
    let caller = sidecar.as_person("rep-east");
    let held = [caller.open("GET", "/api/deals/42", "").await, caller.open("GET", "/api/deals/42", "").await];
    while sidecar.crm_saw().len() < 2 {
        lockkeeper::testkit::a_moment().await;
    }
    let third = caller.get("/api/deals/42").await;
    assert_eq!((third.status, third.reason().as_str()), (503, "upstream-saturated"));
    assert_eq!(sidecar.crm_saw().len(), 2);
    sidecar.crm().set_fault(None);
    for stream in held {
        let bytes = lockkeeper::testkit::client::read_to_end(stream).await;
        assert_eq!(TestReply::parse(&bytes, false).0.status, 200);
    }
}

/// Two connections carry twenty requests that come at once, each in its turn.
#[tokio::test]
async fn connections_to_the_crm_are_used_again() {
    let sidecar = TestSidecar::with(|options| {
        options.set("upstream", "connections", 2).set("upstream", "connection_wait_ms", 30_000)
    })
    .await;
    let many: Vec<_> = (0..20)
        .map(|_| {
            let caller = sidecar.as_person("rep-east");
            tokio::spawn(async move { caller.get("/api/deals/42").await.status })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), 200);
    }
}

/// A server of HTTP/2 by hand, which says of each request that it was not or may have been processed.
#[tokio::test]
async fn a_write_is_never_sent_twice_over_http2() {
    const REFUSED: u8 = 7;
    const CANCEL: u8 = 8;
    for (what, answer) in
        [("RST_STREAM refused", Some(REFUSED)), ("RST_STREAM cancel", Some(CANCEL)), ("GOAWAY", None)]
    {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(Arc::new(serving(&authority.issue(&[NAME]), None, &["h2"])));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("\"https://{}\"", listener.local_addr().unwrap());
        let heads = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let counting = Arc::clone(&counting);
                tokio::spawn(async move {
                    stream.read_exact(&mut [0; 24]).await?;
                    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
                    loop {
                        let mut head = [0; 9];
                        stream.read_exact(&mut head).await?;
                        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
                        stream.read_exact(&mut vec![0; length]).await?;
                        if head[3] != 1 {
                            continue;
                        }
                        counting.fetch_add(1, Ordering::SeqCst);
                        let stream_id = &head[5..9];
                        let frame = match answer {
                            Some(code) => [&[0, 0, 4, 3, 0][..], stream_id, &[0, 0, 0, code]].concat(),
                            None => [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &[0; 8]].concat(),
                        };
                        stream.write_all(&frame).await?;
                        stream.flush().await?;
                    }
                    #[expect(unreachable_code, reason = "tells the type of what `?` returns")]
                    std::io::Result::Ok(())
                });
            }
        });
        let sidecar = TestSidecar::with(|options| {
            let options = options.set("upstream", "server_name", format!("\"{NAME}\""));
            trusting(
                options.set("upstream", "url", url).set("upstream", "answer_timeout_ms", 2_000),
                &authority,
            )
        })
        .await;
        // A create needs no image, so its one request is the write.
        let body = r#"{"title":"Once","owner_id":1,"amount":7}"#;
        let write = sidecar.as_person("rep-east").post("/api/deals", body).await;
        assert!(write.status >= 500, "{what}: {}", write.text());
        assert_eq!(heads.load(Ordering::SeqCst), 1, "{what}: {}", write.text());
    }
}

/// What `check --probe` finds of a CRM with an authority of its own that asks for our certificate.
#[tokio::test]
async fn a_probe_trusts_and_shows_what_requests_do() {
    let (authority, ours) = (Authority::new(), Authority::new());
    let own = ours.issue(&["lockkeeper.test"]);
    let front = Front::start(serving(&authority.issue(&[NAME]), Some(&ours), &["http/1.1"])).await;
    let sidecar = front
        .sidecar(|options| {
            trusting(options, &authority)
                .set("upstream", "client_certificate_file", "\"own.crt\"")
                .set("upstream", "client_key_file", "\"own.key\"")
                .edit("own.crt", move |_| own.certificate)
                .edit("own.key", move |_| own.key)
        })
        .await;
    let found = probed(&sidecar).await;
    let of = |check: &str| found.iter().find(|(name, _, _)| *name == check).map(|(_, level, _)| *level);
    assert_eq!(
        (of("certificate"), of("no-credential"), of("service-account")),
        (Some("ok"), Some("ok"), Some("ok"))
    );
    let other = Authority::new().pem();
    sidecar.folder().write("crm-ca.pem", &other);
    let found = probed(&sidecar).await;
    let (check, level, what) = found.last().unwrap();
    assert_eq!((*check, *level), ("certificate", "error"));
    assert!(
        what.contains("not signed by the authority of that name that is trusted; see `ca_file`"),
        "{what}"
    );
    sidecar.folder().write("crm-ca.pem", "no certificate");
    let found = probed(&sidecar).await;
    assert_eq!((found.len(), found[0].0, found[0].1), (1, "certificate", "error"));
}

async fn probed(sidecar: &TestSidecar) -> Vec<(&'static str, &'static str, String)> {
    let mut problems = lockkeeper::config::author::Problems::default();
    let path = sidecar.folder().path().join("lockkeeper.toml");
    let config = lockkeeper::config::load::load(&path, &mut problems).unwrap();
    let loaded = lockkeeper::service::load::load(&config, &mut problems).unwrap();
    let upstream = lockkeeper::service::transport::upstream_options(&config);
    let now_ms = lockkeeper::telemetry::clock::Clock::system().now_ms();
    let findings =
        lockkeeper::service::probe::Probe { upstream, loaded: &loaded, now_ms, caller: None }.run().await;
    findings.into_iter().map(|found| (found.check, found.level.name(), found.what)).collect()
}
