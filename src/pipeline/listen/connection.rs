//! One connection while HTTP is spoken on it, by either version.
//!
//! Promises: a connection that is late is closed; one that is old, worn or no longer wanted is asked to end and may finish
//! what it began; all limits of hyper and h2 are set here and none is left to a default.

use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::door::{Door, Stage};
use super::exchange::{Caller, exchange};
use super::open::{Agreed, Opened};
use crate::model::reason::Reason;
use crate::net::socket::Stream;
use crate::net::vitals::{Over, Protocol, Vitals};
use crate::net::watched::{FirstByte, Watched};
use crate::telemetry::metrics::CloseCause;

/// Serves a connection to its end.
pub async fn drive(opened: Opened, door: Arc<Door>) {
    let Opened { stream, peer, agreed, place } = opened;
    let (stream, protocol) = match agreed {
        Agreed::Http1 => (stream, Protocol::Http1),
        Agreed::Http2 => (stream, Protocol::Http2),
        Agreed::Nothing if door.options.h2c => match detect(stream, &door).await {
            Some(found) => found,
            None => return door.refuse(Reason::HeadTimeout, Some(peer.address), "no first bytes"),
        },
        Agreed::Nothing => (stream, Protocol::Http1),
    };
    let vitals = Vitals::new(protocol);
    let (stream, first) = Watched::new(stream, Arc::clone(&vitals));
    let streams = usize::try_from(door.options.http.streams_max).unwrap_or(usize::MAX);
    let caller = Arc::new(Caller {
        door: Arc::clone(&door),
        peer: Arc::clone(&peer),
        vitals: Arc::clone(&vitals),
        streams: Arc::new(Semaphore::new(streams)),
    });
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| exchange(request, Arc::clone(&caller)));
    let ended = match protocol {
        Protocol::Http1 => watch(http1(&door).serve_connection(stream, service), &vitals, &door).await,
        Protocol::Http2 => watch(http2(&door).serve_connection(stream, service), &vitals, &door).await,
    };
    tell(&ended, &first, agreed, peer.address, &door);
    drop(place);
}

enum Ended {
    Closed(Result<(), hyper::Error>),
    Late(Over),
    Cut,
}

/// Lets the connection run until it ends, is late, or is cut.
async fn watch<C>(connection: C, vitals: &Vitals, door: &Door) -> Ended
where
    C: GracefulConnection<Error = hyper::Error>,
{
    tokio::pin!(connection);
    let mut patience = door.options.patience;
    let mut is_ending = false;
    let age = async {
        match door.options.age {
            Some(age) => sleep(age).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(age);
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ended::Closed(ended),
            over = vitals.over(&patience) => match over {
                Over::Worn => patience.exchanges_max = None,
                over => return Ended::Late(over),
            },
            () = door.reached(Stage::Closing), if !is_ending => {}
            () = age.as_mut(), if !is_ending => {}
            () = door.reached(Stage::Cut) => return Ended::Cut,
        }
        // HTTP/1.1 says `Connection: close` on its last answer, HTTP/2 sends GOAWAY (RFC 9113 §6.8).
        if !is_ending {
            connection.as_mut().graceful_shutdown();
            is_ending = true;
        }
    }
}

fn http1(door: &Door) -> http1::Builder {
    let limits = &door.options.http;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Vitals tell a late head from an idle connection, which hyper does not.
        .header_read_timeout(None)
        .max_buf_size(limits.head_bytes_max)
        .max_headers(limits.headers_max)
        // A client that closes its sending half after the request still gets its answer.
        .half_close(true);
    builder
}

fn http2(door: &Door) -> http2::Builder<TokioExecutor> {
    let limits = &door.options.http;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(limits.resets_max)
        .max_local_error_reset_streams(limits.faults_max)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}

/// Reads just enough of a connection in the clear to know its version (RFC 9113 §3.3).
async fn detect(mut stream: Stream, door: &Door) -> Option<(Stream, Protocol)> {
    let mut start = Vec::with_capacity(PREFACE.len());
    let reading = async {
        while start.len() < PREFACE.len() && PREFACE.starts_with(&start) {
            match stream.read_u8().await {
                Ok(byte) => start.push(byte),
                // What came is for hyper to make sense of.
                Err(_) => break,
            }
        }
    };
    timeout(door.options.patience.head, reading).await.ok()?;
    let protocol = if start == PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(std::io::Cursor::new(start).chain(reader), writer);
    Some((Box::new(stream), protocol))
}

fn tell(ended: &Ended, first: &FirstByte, agreed: Agreed, source: std::net::IpAddr, door: &Door) {
    match ended {
        Ended::Closed(Err(error)) if is_unreadable(error) => {
            if agreed == Agreed::Nothing && first.is_tls() {
                tracing::info!(peer = %source, "TLS came to the listener in the clear");
            }
            door.refuse(Reason::HttpUnreadable, Some(source), &error.to_string());
        }
        Ended::Closed(_) => {}
        Ended::Late(Over::Head) => door.refuse(Reason::HeadTimeout, Some(source), "no whole head in time"),
        Ended::Late(Over::Stalled) => {
            door.sidecar.metrics.connection_closed(CloseCause::Unread);
            tracing::debug!(peer = %source, "an answer was not read, the connection is closed");
        }
        Ended::Late(_) => door.sidecar.metrics.connection_closed(CloseCause::Idle),
        Ended::Cut => door.sidecar.metrics.connection_closed(CloseCause::Drained),
    }
}

/// Faults of HTTP/2 itself come with a cause that is no fault of the socket.
fn is_unreadable(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    let is_of_http2 = cause.is_some_and(|cause| !cause.is::<std::io::Error>() && cause.source().is_none());
    error.is_parse() || error.is_parse_too_large() || (is_of_http2 && !error.is_user() && !error.is_timeout())
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_BYTES_MAX: u32 = 16 * 1024;
const SEND_BUFFER_BYTES: usize = 64 * 1024;
