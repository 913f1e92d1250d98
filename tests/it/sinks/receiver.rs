//! Something that takes NDJSON, in any mood [edge].
#![expect(clippy::disallowed_methods, reason = "edge: sockets of a receiver under test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lockkeeper::config::service::sinks::SinkPlace;
use lockkeeper::net::roots::provider;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Issued;

/// What it does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Keeps it and says so.
    Takes,
    /// Answers with a status, and keeps nothing.
    Says(u16),
    /// Redirects to itself.
    Redirects,
    /// Reads it and never answers.
    Hangs,
    /// Keeps it, and closes in the middle of saying so.
    Breaks,
    /// Answers with bytes that are no HTTP.
    Babbles,
    /// Closes before it has read the batch.
    Slams,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Taken {
    pub head: String,
    pub body: String,
}

/// A receiver.
pub struct Receiver {
    pub address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    kept: Arc<Mutex<Vec<Taken>>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(mood: Mood) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), mood, None).await
    }

    /// With a certificate; `client_roots` are those that callers' certificates must come from.
    pub async fn over_tls(issued: &Issued, client_roots: Option<rustls::RootCertStore>) -> Self {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = match client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(issued.chain(), issued.key()).unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        Self::at("127.0.0.1:0".parse().unwrap(), Mood::Takes, Some(tls)).await
    }

    /// On a stated address, as after a restart.
    pub async fn at(address: SocketAddr, mood: Mood, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, kept, asked) = (Arc::new(Mutex::new(mood)), Arc::default(), Arc::default());
        let shared = (Arc::clone(&mood), Arc::clone(&kept), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            // Connections end with the receiver.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (shared, tls) = (shared.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => drop(serve(stream, shared).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let _ = serve(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, mood, kept, asked, task }
    }

    pub fn place(&self, token_file: Option<PathBuf>) -> SinkPlace {
        let url = format!("http://{}/in", self.address).parse().unwrap();
        SinkPlace::Https { url, token_file }
    }

    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What it kept.
    pub fn kept(&self) -> Vec<Taken> {
        self.kept.lock().unwrap().clone()
    }

    /// The heads of all requests, kept or not.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// What it kept by log and number, as a receiver should read it; a number may come again with the same line.
    pub fn distinct(&self) -> BTreeMap<u64, String> {
        let mut lines = BTreeMap::new();
        for taken in self.kept() {
            for line in taken.body.lines() {
                let entry: serde_json::Value = serde_json::from_str(line).unwrap();
                let seq = entry["seq"].as_u64().unwrap();
                let before = lines.insert(seq, line.to_owned());
                assert!(before.is_none_or(|before| before == line), "entry {seq} came with another line");
            }
        }
        lines
    }

    /// Ends it; its port refuses from then on.
    pub async fn stop(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

type Shared = (Arc<Mutex<Mood>>, Arc<Mutex<Vec<Taken>>>, Arc<Mutex<Vec<String>>>);

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Shared) -> std::io::Result<()> {
    let (mood, kept, asked) = shared;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        asked.lock().unwrap().push(head.clone());
        let mood = *mood.lock().unwrap();
        if mood == Mood::Slams {
            return Ok(());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await?;
        if matches!(mood, Mood::Takes | Mood::Breaks) {
            kept.lock().unwrap().push(Taken { head, body: String::from_utf8(body).unwrap() });
        }
        let answer = match mood {
            Mood::Takes => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            Mood::Says(status) => format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"),
            Mood::Redirects => "HTTP/1.1 307 There\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Mood::Breaks => "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok".to_owned(),
            Mood::Babbles => "yes\r\n\r\n".to_owned(),
            Mood::Hangs => std::future::pending().await,
            Mood::Slams => return Ok(()),
        };
        stream.write_all(answer.as_bytes()).await?;
        if matches!(mood, Mood::Breaks | Mood::Babbles) {
            return stream.shutdown().await;
        }
    }
}
