//! A sink that takes batches by HTTPS: `POST` of NDJSON, at least once.
//!
//! Promises: those of [`Post`]; each request names the log and the numbers of its entries.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::fault::SinkError;
use super::post::Post;
use super::target::{Log, Position, Target};
use crate::ledger::batches::Batch;
use crate::ledger::cursor::Mark;

/// The sink.
pub struct HttpsSink {
    post: Post,
}

impl HttpsSink {
    /// A sink that is not connected.
    #[must_use]
    pub fn new(post: Post) -> Self {
        Self { post }
    }
}

impl Target for HttpsSink {
    fn kind(&self) -> &'static str {
        "https"
    }

    async fn position(&mut self, _: &Log) -> Result<Position, SinkError> {
        self.post.open().await?;
        Ok(Position::KeptHere)
    }

    async fn deliver(&mut self, log: &Log, _: &Mark, batch: &Batch) -> Result<(), SinkError> {
        self.post.send(headers(log, batch), batch.bytes()).await
    }
}

fn headers(log: &Log, batch: &Batch) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    add(&mut headers, LOG, log.id.as_str());
    if let Some(label) = &log.label {
        add(&mut headers, LABEL, label);
    }
    headers.insert(FIRST_SEQ, HeaderValue::from(batch.first_seq()));
    headers.insert(LAST_SEQ, HeaderValue::from(batch.last_seq()));
    headers
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

const LOG: HeaderName = HeaderName::from_static("lockkeeper-log");
const LABEL: HeaderName = HeaderName::from_static("lockkeeper-log-label");
const FIRST_SEQ: HeaderName = HeaderName::from_static("lockkeeper-first-seq");
const LAST_SEQ: HeaderName = HeaderName::from_static("lockkeeper-last-seq");
