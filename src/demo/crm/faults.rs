//! Ways in which a CRM answers wrongly, switched on by tests.
//!
//! Promises that a fault is chosen by the holder of the handle and never by a request. Damaging faults strike after the
//! request was carried out, refusing ones instead of it. Never active unless asked for.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, LOCATION, SET_COOKIE};
use http::{Method, StatusCode};

use super::body::{Length, WireBody};
use super::data::SHOW_CASE_DEAL_ID;
use super::record::{NULL, Record};
use super::reply::Reply;
use super::routes::{self, Call};
use super::store::Store;
use super::wire;

/// One way to answer wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Status 200 with an HTML page.
    Html200,
    /// JSON with a stray comma before its last bracket.
    MalformedJson,
    /// `Content-Length` promises the whole body, half of it comes, then the connection closes.
    TruncatedBody,
    /// The first `margin` (else the first `id`) is there twice, first as null.
    DuplicateKey,
    /// No answer and no effect until the fault is cleared or the client goes; then the request is carried out.
    Hang,
    /// 302 to a login page; the request has no effect.
    Redirect,
    /// `Content-Encoding: gzip` on a body that is not compressed.
    GzipClaimed,
    /// 500 whose body shows a statement and a whole deal; the request was carried out.
    ErrorWithSecrets500,
    /// 409 whose body holds two whole deals; the request has no effect.
    Conflict409,
    /// A valid JSON body of this many bytes, at least [`BIG_BODY_BYTES_MIN`] and at most [`BIG_BODY_BYTES_MAX`].
    Big(u64),
    /// This status, or 500 for one that cannot be a final status; the request has no effect.
    Status(u16),
    /// Adds `X-Internal-Margin`, `Set-Cookie` and `Server-Timing`.
    ExtraHeaders,
    /// Wraps the body into an array.
    ArrayInsteadOfObject,
    /// Numbers in the place of records.
    ScalarRecord,
}

/// A fault that is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveFault {
    /// What happens.
    pub fault: Fault,
    /// What it happens to.
    pub scope: FaultScope,
}

/// What a fault happens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultScope {
    /// Every request.
    All,
    /// Requests of one method.
    Method(Method),
    /// Requests whose target ends so.
    TargetEnd(String),
}

impl FaultScope {
    /// Whether a request is meant.
    pub fn covers(&self, method: &Method, target: &str) -> bool {
        match self {
            FaultScope::All => true,
            FaultScope::Method(only) => only == method,
            FaultScope::TargetEnd(end) => target.ends_with(end.as_str()),
        }
    }
}

/// An answer as it goes on the wire: the reply's head and a body that may lie about its length.
#[derive(Debug)]
pub struct Delivery {
    /// Status and headers; its own body has moved to `body`.
    pub head: Reply,
    /// What is sent.
    pub body: WireBody,
}

impl From<Reply> for Delivery {
    fn from(mut reply: Reply) -> Self {
        let body = WireBody::new([std::mem::take(&mut reply.body)], Length::Announced);
        Self { head: reply, body }
    }
}

/// Carries `call` out, unless `fault` prevents it, and answers as `fault` says.
pub fn deliver(fault: Fault, store: &mut Store, call: &Call<'_>) -> Delivery {
    if let Some(refusal) = refusal(fault, store, call) {
        return refusal.into();
    }
    let reply = routes::answer(store, call);
    match fault {
        Fault::Html200 => Reply::typed(StatusCode::OK, "text/html; charset=utf-8", HTML_PAGE).into(),
        Fault::MalformedJson => {
            rewritten(reply, |body| body.strip_suffix('}').unwrap_or(body).to_owned() + ",}")
        }
        Fault::DuplicateKey => rewritten(reply, duplicated),
        Fault::ArrayInsteadOfObject => rewritten(reply, |body| format!("[{body}]")),
        Fault::ScalarRecord if is_list(call) => rewritten(reply, |_| r#"{"data":[1,2]}"#.to_owned()),
        Fault::ScalarRecord => rewritten(reply, |_| "1".to_owned()),
        Fault::ErrorWithSecrets500 => {
            Reply::json(StatusCode::INTERNAL_SERVER_ERROR, secrets(store, call)).into()
        }
        Fault::TruncatedBody => truncated(reply),
        Fault::GzipClaimed => reply.with_header(CONTENT_ENCODING, "gzip").into(),
        Fault::Big(bytes) => big(reply, call, bytes),
        Fault::ExtraHeaders => with_extra_headers(reply).into(),
        Fault::Hang | Fault::Redirect | Fault::Conflict409 | Fault::Status(_) => reply.into(),
    }
}

/// The answer of those faults that keep the request from being carried out.
fn refusal(fault: Fault, store: &Store, call: &Call<'_>) -> Option<Reply> {
    match fault {
        Fault::Redirect => Some(
            Reply::empty(StatusCode::FOUND)
                .with_header(LOCATION, "https://crm.example/login?next=/api/deals/1"),
        ),
        Fault::Conflict409 => Some(Reply::json(StatusCode::CONFLICT, conflict(store, call))),
        Fault::Status(code) => Some(with_status(code)),
        _ => None,
    }
}

fn with_status(code: u16) -> Reply {
    let status = StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Reply::empty(status),
        _ => Reply::json(status, format!(r#"{{"error":"status {}"}}"#, status.as_u16())),
    }
}

fn rewritten(mut reply: Reply, change: impl FnOnce(&str) -> String) -> Delivery {
    let body = change(&String::from_utf8_lossy(&reply.body));
    reply.body = body.into();
    bodied(reply).into()
}

/// A status that allows a body: 204 and 304 become 200.
fn bodied(mut reply: Reply) -> Reply {
    if matches!(reply.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        reply.status = StatusCode::OK;
    }
    reply
}

fn duplicated(body: &str) -> String {
    let key = if body.contains("\"margin\":") { "\"margin\":" } else { "\"id\":" };
    body.replacen(key, &format!("{key}null,{key}"), 1)
}

fn truncated(reply: Reply) -> Delivery {
    let whole = reply.body.clone();
    let length = whole.len().to_string();
    let mut delivery = Delivery::from(reply);
    if !whole.is_empty() {
        delivery.head = delivery.head.with_header(CONTENT_LENGTH, &length);
        delivery.body = WireBody::new([whole.slice(..whole.len() / 2)], Length::Unannounced);
    }
    delivery
}

fn big(reply: Reply, call: &Call<'_>, bytes: u64) -> Delivery {
    let (head, tail) = if is_list(call) {
        (r#"{"data":[{"id":42,"notes":""#, "\"}]}")
    } else {
        (r#"{"id":42,"notes":""#, "\"}")
    };
    let bytes = bytes.clamp(BIG_BODY_BYTES_MIN, BIG_BODY_BYTES_MAX);
    let frame = u64::try_from(head.len() + tail.len()).unwrap_or_default();
    let body = WireBody::padded(head, bytes.saturating_sub(frame), tail);
    Delivery { body, head: bodied(Reply { body: Bytes::new(), ..reply }) }
}

fn with_extra_headers(reply: Reply) -> Reply {
    reply
        .with_header(HeaderName::from_static("x-internal-margin"), "31250.25")
        .with_header(SET_COOKIE, "sid=5f0c9d; Path=/; HttpOnly")
        .with_header(HeaderName::from_static("server-timing"), "db;dur=53;desc=\"deals.margin\"")
}

fn secrets(store: &Store, call: &Call<'_>) -> String {
    let statement = "UPDATE deals SET margin = 31250.25 WHERE id = 42";
    let detail = Record::default()
        .with("statement", format!("\"{statement}\""))
        .with("record", whole_deal(store, call));
    Record::default().with("error", "\"internal error\"").with("detail", detail.to_json()).to_json()
}

fn conflict(store: &Store, call: &Call<'_>) -> String {
    let other =
        store.deals.rows().next().map_or_else(|| NULL.to_owned(), |row| wire::deal(store, row).to_json());
    Record::default()
        .with("error", "\"conflict\"")
        .with("current", whole_deal(store, call))
        .with("related", format!("[{other}]"))
        .to_json()
}

/// The deal that the path names, else the show-case deal.
fn whole_deal(store: &Store, call: &Call<'_>) -> String {
    let named = call.segments.iter().find_map(|segment| segment.parse().ok()).unwrap_or(SHOW_CASE_DEAL_ID);
    store.deals.row(named).map_or_else(|_| NULL.to_owned(), |row| wire::deal(store, row).to_json())
}

fn is_list(call: &Call<'_>) -> bool {
    !call.segments.iter().any(|segment| segment.parse::<u64>().is_ok())
}

/// The smallest body that [`Fault::Big`] makes: its JSON frame needs that much.
pub const BIG_BODY_BYTES_MIN: u64 = 64;
/// The largest body that [`Fault::Big`] makes.
pub const BIG_BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
const HTML_PAGE: &str = "<!doctype html><html><head><title>Sign in</title></head><body>\
    <h1>Session expired</h1><p>Deal 42, margin 31250.25</p></body></html>";
