//! One request of a connection, handed to the path; its reply, handed back.
//!
//! Promises: the path runs in a task of its own, which a caller who leaves does not end; at most as many of a connection's
//! requests are under way as it may have streams, also where it takes them back.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, oneshot};

use super::door::Door;
use super::{Exchange, forwarded};
use crate::model::peer::Peer;
use crate::net::vitals::Vitals;
use crate::pipeline::forward::Passage;
use crate::pipeline::outgoing::{Outgoing, OutgoingBody};

/// A connection's caller.
pub(super) struct Caller {
    pub door: Arc<Door>,
    pub peer: Arc<Peer>,
    pub vitals: Arc<Vitals>,
    pub streams: Arc<Semaphore>,
}

/// Answers one request.
pub(super) async fn exchange(
    request: Request<Incoming>,
    caller: Arc<Caller>,
) -> Result<Response<OutgoingBody>, Infallible> {
    let opened = caller.vitals.begin();
    // A stream that is reset frees its place with h2 but not here: what it began still runs.
    let place = Arc::clone(&caller.streams).acquire_owned().await;
    let (head, body) = request.into_parts();
    let peer = forwarded::caller(&caller.peer, &head.headers, &caller.door.options.trusted);
    let hosts = &caller.door.sidecar.limits.hosts;
    let passage = Passage { forwarded: forwarded::told(&head, &peer, hosts), ..Passage::default() };
    let exchange = Exchange { head, body, peer, passage };
    let (reply_to, reply) = oneshot::channel();
    let (sidecar, exit) = (Arc::clone(&caller.door.sidecar), caller.door.exits.clone());
    // hyper drops this future when the caller leaves; the task goes on and records.
    tokio::spawn(async move {
        crate::pipeline::run(sidecar, exchange, reply_to).await;
        drop((place, exit));
    });
    let outgoing = reply.await.unwrap_or_else(|_| {
        let (outgoing, _) = Outgoing::new(500, HeaderMap::new(), Bytes::new());
        outgoing
    });
    Ok(outgoing.into_response(opened))
}
