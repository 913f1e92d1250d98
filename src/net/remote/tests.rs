//! Documents from real sockets: tags, statuses, limits, redirects and untrusted servers.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each connection with the next of the given texts; hands back what was asked.
async fn server(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).await.unwrap();
                head.extend_from_slice(&buffer[..read]);
            }
            asked.push(String::from_utf8(head).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, task)
}

fn remote(url: &str, bytes_max: usize) -> Remote {
    Remote::new(RemoteOptions {
        url: DocumentUrl::parse(url).unwrap(),
        ca_file: None,
        timeout_ms: 10_000,
        bytes_max,
    })
    .unwrap()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let (url, task) = server(vec![
        "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 4\r\n\r\nkeys",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ])
    .await;
    let remote = remote(&url, 4);
    let first = remote.fetch(None).await.unwrap();
    let etag = Some("\"v1\"".to_owned());
    assert_eq!(first, Fetched::Document { bytes: Bytes::from_static(b"keys"), etag });
    assert_eq!(remote.fetch(Some("\"v1\"")).await.unwrap(), Fetched::Unchanged);
    let asked = task.await.unwrap();
    assert!(!asked[0].contains("if-none-match"), "{}", asked[0]);
    assert!(asked[1].contains("if-none-match: \"v1\""), "{}", asked[1]);
}

#[track_caller]
fn check(result: Result<Fetched, RemoteError>, expected: &str) {
    let message = result.unwrap_err().to_string();
    let (_, after) = message.split_once("/keys`").unwrap();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn only_a_200_of_bounded_size_is_a_document() {
    let (url, task) = server(vec![
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nk",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nkey",
    ])
    .await;
    let remote = remote(&url, 4);
    check(remote.fetch(None).await, " answered 302");
    check(remote.fetch(None).await, " answered 304");
    check(remote.fetch(None).await, " answered 206");
    check(remote.fetch(None).await, " is larger than 4 bytes");
    assert!(matches!(
        remote.fetch(None).await,
        Err(RemoteError::TooLarge { .. } | RemoteError::Unreachable { .. })
    ));
    task.await.unwrap();
    assert!(matches!(remote.fetch(None).await, Err(RemoteError::Unreachable { .. })));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(roots::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeys").await;
            let _ = stream.shutdown().await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let fetch = async |ca_file| {
        let url = format!("https://localhost:{port}/keys");
        Remote::new(RemoteOptions {
            url: DocumentUrl::parse(&url)?,
            ca_file: Some(ca_file),
            timeout_ms: 10_000,
            bytes_max: 4,
        })?
        .fetch(None)
        .await
    };
    let document = fetch(file("ca.pem", made.cert.pem())).await.unwrap();
    assert_eq!(document, Fetched::Document { bytes: Bytes::from_static(b"keys"), etag: None });
    assert!(matches!(fetch(file("other.pem", other.cert.pem())).await, Err(RemoteError::Unreachable { .. })));
    let empty = fetch(file("empty.pem", String::new())).await.unwrap_err();
    assert!(empty.to_string().ends_with("empty.pem` holds no certificate"), "{empty}");
}

/// Object stores sign URLs in the query: it is sent, and nobody sees it.
#[tokio::test]
async fn a_query_is_sent_and_never_shown() {
    let (url, task) = server(vec!["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"]).await;
    let signed = format!("{url}?sig=canary&se=2026");
    let remote = remote(&signed, 4);
    let error = remote.fetch(None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`{url}` answered 403"));
    assert!(!format!("{error:?} {:?}", remote.options).contains("canary"));
    assert!(task.await.unwrap()[0].starts_with("GET /keys?sig=canary&se=2026 HTTP/1.1"));
    let refused = DocumentUrl::parse("http://store.example/a?sig=canary").unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}

#[test]
fn only_https_or_loopback_is_fetched() {
    let check = |url: &str, expected: Option<&str>| {
        let why = DocumentUrl::parse(url).err().map(|error| error.to_string());
        let shown = url.replace("user:pw@", "");
        let expected = expected.map(|why| format!("`{shown}` cannot be fetched: {why}"));
        assert_eq!(why, expected);
    };
    check("https://idp.example/keys", None);
    check("http://127.0.0.1:8080/keys", None);
    check("http://[::1]:8080/keys", None);
    check("http://idp.example/keys", Some("only https is fetched from another machine"));
    check("http://localhost/keys", Some("only https is fetched from another machine"));
    check("http://127.0.0.1.example/keys", Some("only https is fetched from another machine"));
    check("https://user:pw@idp.example/keys", Some("a URL here has no credentials"));
    check("ftp://idp.example/keys", Some("its scheme is not https"));
    check("/keys", Some("it has no host"));
}
