//! The model CRM behind a listener: one process, many states, told apart by the key that a request carries.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use super::State;
use super::answer::{Answer, Asked, answer};

/// The CRM: as many states as there are slots.
#[derive(Clone)]
pub struct Crm {
    pub address: SocketAddr,
    slots: Arc<Vec<Mutex<State>>>,
}

impl Crm {
    /// Starts it, with one state in every slot.
    pub async fn start(slots: usize, state: &State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slots = Arc::new((0..slots).map(|_| Mutex::new(state.clone())).collect::<Vec<_>>());
        let crm = Self { address, slots };
        let serving = crm.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = stream.set_nodelay(true);
                let crm = serving.clone();
                let service = service_fn(move |request| respond(crm.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        crm
    }

    /// The state of a slot.
    pub fn slot(&self, slot: usize) -> MutexGuard<'_, State> {
        self.slots[slot].lock().unwrap()
    }
}

async fn respond(crm: Crm, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<(String, String)> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let segments = head.uri.path().split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
    let pairs =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map(|body| body.to_bytes());
    let asked = Asked {
        method: head.method.to_string(),
        segments,
        pairs,
        headers,
        body: body.unwrap_or_default().to_vec(),
    };
    let answered = match slot_of(&asked, crm.slots.len()) {
        Some(slot) => answer(&mut crm.slot(slot), &asked),
        None => Answer { status: 401, headers: Vec::new(), body: Vec::new() },
    };
    let mut response = Response::builder().status(answered.status);
    for (name, value) in answered.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(answered.body))).unwrap())
}

/// The slot that a key opens: `key-USER-SLOT`.
fn slot_of(asked: &Asked, slots: usize) -> Option<usize> {
    let (_, key) = asked.headers.iter().find(|(name, _)| name == KEY_HEADER)?;
    key.rsplit_once('-')?.1.parse().ok().filter(|slot| *slot < slots)
}

/// The key of a person for a slot.
pub fn key(person: &str, slot: usize) -> String {
    format!("key-{person}-{slot}")
}

/// The header that carries the key, here and at the sidecar.
pub const KEY_HEADER: &str = "x-crm-key";
const BODY_BYTES_MAX: usize = 1 << 20;
