//! A raw HTTP/1.1 client, one connection per request, and a server for it to speak to. [edge]
//!
//! Promises to show lying answers as they are. Never follows, retries or decodes anything.
#![expect(clippy::disallowed_methods, reason = "tests speak over real loopback sockets")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::demo::crm::DemoCrm;
use crate::demo::crm::record::Record;
use crate::demo::crm::server::{CONNECTIONS_MAX, serve_at_most};

pub const KEY: &str = "test-key";

pub struct Running {
    pub crm: DemoCrm,
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub task: JoinHandle<()>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Running {
    pub async fn start() -> Self {
        Self::with_connections(CONNECTIONS_MAX).await
    }

    pub async fn with_connections(connections_max: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let crm = DemoCrm::seeded(KEY);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = crm.clone();
        let task = tokio::spawn(async move {
            serve_at_most(connections_max, listener, serving, async move { drop(stopped.await) }).await;
        });
        Self { crm, address, stop, task }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    /// Sends with the key, the given header lines and, unless empty, the body.
    pub async fn send(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let key = format!("X-Api-Key: {KEY}");
        let lines: Vec<&str> = [key.as_str()].into_iter().chain(headers.iter().copied()).collect();
        self.raw(&request(method, target, &lines, body)).await
    }

    /// Writes the bytes and reads until the server closes.
    pub async fn raw(&self, request: &str) -> Answer {
        Answer::parse(&read_all(self.open(request).await).await)
    }

    pub async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

pub fn request(method: &str, target: &str, lines: &[&str], body: &str) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {target} HTTP/1.1\r\nHost: crm\r\nConnection: close\r\n{lines}{length}\r\n{body}")
}

pub async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    bytes
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn record(&self) -> Record {
        Record::parse(&self.body).unwrap()
    }
}
