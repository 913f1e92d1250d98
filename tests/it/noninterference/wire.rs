//! A caller that keeps its connection, sends whatever bytes it is told to, and reads one answer to each request.

use std::net::SocketAddr;

use lockkeeper::testkit::client::{PATIENCE, TestReply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::model::server::{KEY_HEADER, key};
use super::requests::Ask;

/// A person with the key of one slot.
pub struct Caller {
    address: SocketAddr,
    key: String,
    /// The tag of the last answer that had one.
    tag: String,
    stream: Option<TcpStream>,
}

impl Caller {
    pub fn new(address: SocketAddr, person: &str, slot: usize) -> Self {
        Self {
            address,
            key: format!("{KEY_HEADER}: {}", key(person, slot)),
            tag: "\"none\"".to_owned(),
            stream: None,
        }
    }

    /// What is answered, as far as two answers may be told apart.
    pub async fn ask(&mut self, ask: &Ask) -> TestReply {
        let bytes = ask.bytes(&self.key, &self.tag);
        let is_head = ask.method == "HEAD";
        let reply = self.answer(ask, &bytes, is_head).await;
        self.tag = reply.header("etag").map_or(std::mem::take(&mut self.tag), str::to_owned);
        reply.observable()
    }

    async fn answer(&mut self, ask: &Ask, bytes: &[u8], is_head: bool) -> TestReply {
        if let Some(stream) = self.stream.take()
            && let Some(reply) = self.exchange(stream, bytes, is_head).await
        {
            return reply;
        }
        // The other side had closed before it saw anything.
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let reply = self.exchange(stream, bytes, is_head).await;
        reply.unwrap_or_else(|| panic!("no answer to {ask}"))
    }

    async fn exchange(&mut self, mut stream: TcpStream, bytes: &[u8], is_head: bool) -> Option<TestReply> {
        stream.write_all(bytes).await.ok()?;
        let mut read = Vec::new();
        loop {
            let chunk = timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("an answer");
            let is_over = chunk.map_or(true, |count| count == 0);
            if let Some(reply) = whole(&read, is_head) {
                let closes =
                    reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                self.stream = Some(stream).filter(|_| !closes && !is_over);
                return Some(reply);
            }
            if is_over {
                assert!(read.is_empty(), "half an answer: {}", String::from_utf8_lossy(&read));
                return None;
            }
        }
    }
}

/// The answer, once it is there.
fn whole(bytes: &[u8], is_head: bool) -> Option<TestReply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    if bytes.starts_with(b"HTTP/1.1 100 ") {
        return whole(&bytes[end..], is_head);
    }
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    // Nothing here is long enough to be sent in chunks.
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let length = if is_head { 0 } else { length.unwrap_or(0) };
    (bytes.len() >= end + length).then(|| TestReply::parse(bytes, is_head).0)
}
