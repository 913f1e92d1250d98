//! Listening: connections become exchanges, replies become bytes. [edge]
//!
//! Promises: connections, heads and time are limited; a connection that cannot be read is counted with a reason; a caller who
//! leaves does not end what was begun; at the end every exchange that was begun has left its record.
#![expect(clippy::disallowed_methods, reason = "edge: the one place where callers' bodies are collected")]

pub mod door;
mod open;
mod connection;
mod exchange;
mod forwarded;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::forward::Passage;
use crate::bundle::profile::route::Route;
use crate::model::peer::Peer;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A request as it came.
pub struct Exchange {
    /// The head.
    pub head: http::request::Parts,
    /// The body, not yet read.
    pub body: Incoming,
    /// The other end of the connection.
    pub peer: Arc<Peer>,
    /// What the CRM is told of the caller.
    pub passage: Passage,
}

impl Passage {
    /// The passage on a route, with its own limits.
    pub fn with(&self, route: &Route) -> Passage {
        Passage {
            forwarded: self.forwarded.clone(),
            watch: self.watch.clone(),
            time_ms: route.limits.time_ms,
            answer_bytes_max: route.limits.answer_bytes,
        }
    }
}

/// Reads a request body whole. Trailers are dropped.
pub async fn read_body(body: Incoming, bytes_max: usize, timeout_ms: u64) -> Result<Bytes, Problem> {
    let collected = timeout(Duration::from_millis(timeout_ms), Limited::new(body, bytes_max).collect()).await;
    match collected {
        Err(_) => Err(Reason::BodyTimeout.into()),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Reason::BodyTooLarge.into())
        }
        Ok(Err(error)) => Err(Problem::new(Reason::BodyUnreadable).internal(error.to_string())),
    }
}
