//! Bundles from a URL: asked for with a tag, judged like any other, and remembered for a start without network.
#![expect(clippy::disallowed_methods, reason = "edge: a web server of the test's own")]

use std::sync::{Arc, Mutex};

use lockkeeper::net::remote::{DocumentUrl, Remote, RemoteOptions};
use lockkeeper::service::reload::Reloaded;
use lockkeeper::service::supply::fetch::News;
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::testkit::archive::{DAY_MS, Signer, TestArchive};
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const NO_NOTES: &str = r#"
@id("test.no-notes") forbid (principal, action == Action::"readField", resource)
when { context.field == Field::"Deal.notes" };"#;

/// A web server with one document, and what it was asked.
struct Shop {
    url: String,
    document: Arc<Mutex<(Vec<u8>, &'static str)>>,
    answers: Arc<Mutex<Vec<u16>>>,
    task: JoinHandle<()>,
}

impl Shop {
    async fn open(document: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/crm.lkb", listener.local_addr().unwrap());
        let (document, answers) =
            (Arc::new(Mutex::new((document, "\"one\""))), Arc::new(Mutex::new(Vec::new())));
        let (offered, noted) = (Arc::clone(&document), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let (body, etag) = offered.lock().unwrap().clone();
                let has_it = String::from_utf8_lossy(&head).contains(etag);
                let (status, body) = if has_it { (304, Vec::new()) } else { (200, body) };
                noted.lock().unwrap().push(status);
                let head = format!(
                    "HTTP/1.1 {status} X\r\nETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, document, answers, task }
    }

    fn put(&self, document: Vec<u8>, etag: &'static str) {
        *self.document.lock().unwrap() = (document, etag);
    }

    fn answered(&self) -> Vec<u16> {
        std::mem::take(&mut *self.answers.lock().unwrap())
    }

    /// Whoever asks from now on gets no answer.
    async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn following(shop: &Shop, signer: &Signer) -> TestSidecar {
    TestSidecar::with(|options| {
        options
            .set("bundle", "url", format!("\"{}\"", shop.url))
            // Fetches happen when a test says so.
            .set("bundle", "fetch_poll_ms", 86_400_000)
            .set("bundle.signing", "trusted_keys", format!("[{}]", signer.toml()))
    })
    .await
}

/// What the service does when it is time to fetch.
async fn fetch(sidecar: &TestSidecar, url: &str) -> Result<News, String> {
    let options = RemoteOptions {
        url: DocumentUrl::parse(url).unwrap(),
        ca_file: None,
        timeout_ms: 10_000,
        bytes_max: 1 << 20,
    };
    let clock = Clock::from_fn(|| NOW_MS + 5_000);
    sidecar.running().reloader.supply.fetch(&Remote::new(options).unwrap(), &clock).await
}

#[tokio::test]
async fn a_bundle_is_followed_by_its_tag() {
    let anna = Signer::new();
    let shop = Shop::open(TestArchive::of_version(1).signed_by(&[&anna])).await;
    let sidecar = following(&shop, &anna).await;
    let rep = sidecar.as_person("rep-east");
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::None));
    assert_eq!(shop.answered(), [200, 304]);
    let second = TestArchive::of_version(2).policies(NO_NOTES);
    shop.put(second.signed_by(&[&anna]), "\"two\"");
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::New));
    assert!(matches!(sidecar.running().reloader.reload().await, Reloaded::Active { .. }));
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::None));
    assert_eq!(shop.answered(), [200, 304]);
    let status = sidecar.running().reloader.supply.inbox.status();
    assert_eq!((status.fetched_ms, status.failures, status.error), (Some(NOW_MS + 5_000), 0, None));
    // Another tag for the same bytes is no news.
    shop.put(second.signed_by(&[&anna]), "\"three\"");
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::None));
}

#[tokio::test]
async fn without_network_a_start_serves_what_served_last() {
    let anna = Signer::new();
    let shop = Shop::open(TestArchive::of_version(1).policies(NO_NOTES).signed_by(&[&anna])).await;
    let sidecar = following(&shop, &anna).await;
    let url = shop.url.clone();
    shop.close().await;
    assert!(fetch(&sidecar, &url).await.is_err());
    assert_eq!(sidecar.running().reloader.supply.inbox.status().failures, 1);
    let sidecar = sidecar.restart().await;
    let rep = sidecar.as_person("rep-east");
    assert_eq!(rep.get("/api/deals/42").await.json().get("notes"), None);
    let status = sidecar.running().reloader.supply.inbox.status();
    assert_eq!((status.fetched_ms, status.checked_ms, status.failures), (Some(NOW_MS), None, 1));
    assert!(status.error.is_some());
    // It is no more trusted for being kept: it expires like any other.
    sidecar.set_now_ms(NOW_MS + DAY_MS);
    let Err(problems) = sidecar.try_restart(None).await else { panic!("an expired bundle serves") };
    assert!(problems.to_string().contains("expired"), "{problems}");
    assert!(problems.to_string().contains("seconds ago"), "{problems}");
}

#[tokio::test]
async fn what_was_fetched_and_refused_is_not_remembered() {
    let (anna, eve) = (Signer::new(), Signer::new());
    let shop = Shop::open(TestArchive::of_version(1).signed_by(&[&anna])).await;
    let sidecar = following(&shop, &anna).await;
    // Also if its files are the ones that serve.
    shop.put(TestArchive::of_version(1).signed_by(&[&eve]), "\"same\"");
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::New));
    let reloaded = sidecar.running().reloader.reload().await;
    assert!(matches!(reloaded, Reloaded::Refused { .. }), "{reloaded:?}");
    shop.put(TestArchive::of_version(2).policies(NO_NOTES).signed_by(&[&eve]), "\"evil\"");
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::New));
    let reloaded = sidecar.running().reloader.reload().await;
    assert!(matches!(reloaded, Reloaded::Refused { .. }), "{reloaded:?}");
    let alarms = sidecar.ledger().of_kind("alarm").len();
    assert_eq!(alarms, 2);
    // The same bytes again are no news: one alarm is enough.
    assert_eq!(fetch(&sidecar, &shop.url).await, Ok(News::None));
    sidecar.running().reloader.reload().await;
    assert_eq!(sidecar.ledger().of_kind("alarm").len(), alarms);
    shop.close().await;
    let sidecar = sidecar.restart().await;
    let rep = sidecar.as_person("rep-east");
    assert!(rep.get("/api/deals/42").await.json().get("notes").is_some());
}

#[tokio::test]
async fn what_another_url_gave_does_not_serve() {
    let anna = Signer::new();
    let shop = Shop::open(TestArchive::of_version(1).signed_by(&[&anna])).await;
    let sidecar = following(&shop, &anna).await;
    shop.close().await;
    sidecar.folder().edit("lockkeeper.toml", |text| text.replace("/crm.lkb", "/other.lkb"));
    let Err(problems) = sidecar.try_restart(None).await else { panic!("what another URL gave serves") };
    assert!(problems.to_string().contains("nothing was fetched"), "{problems}");
}

/// Object stores sign URLs in the query. It is for fetching only, and another signature is no other archive.
#[tokio::test]
async fn a_query_is_shown_nowhere() {
    const TOKEN: &str = "admin-token-canary-90ab";
    let anna = Signer::new();
    let mut shop = Shop::open(TestArchive::of_version(1).signed_by(&[&anna])).await;
    let plain = shop.url.clone();
    shop.url.push_str("?X-Amz-Signature=query-canary");
    let sidecar = TestSidecar::with(|options| {
        options
            .set("bundle", "url", format!("\"{}\"", shop.url))
            .set("bundle", "fetch_poll_ms", 86_400_000)
            .set("bundle.signing", "trusted_keys", format!("[{}]", anna.toml()))
            .set("admin", "address", "\"127.0.0.1:0\"")
            .set("admin", "token_file", "\"admin.token\"")
            .edit("admin.token", |_| TOKEN.to_owned())
    })
    .await;
    let signed = shop.url.clone();
    shop.close().await;
    let error = fetch(&sidecar, &signed).await.unwrap_err();
    assert!(error.contains(&plain) && !error.contains("query-canary"), "{error}");
    let admin = Caller::new(sidecar.running().admin_address.unwrap());
    let status = admin.with_header(&format!("Authorization: Bearer {TOKEN}")).get("/status").await;
    let status = status.text();
    assert!(status.contains(&plain) && !status.contains("query-canary"), "{status}");
    sidecar.folder().edit("lockkeeper.toml", |text| text.replace("query-canary", "next-canary"));
    let sidecar = sidecar.restart().await;
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
    assert!(!sidecar.folder().all_text("state").contains("canary"));
}
