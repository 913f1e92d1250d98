//! A CRM that answers what a real one was recorded to answer. [edge]
//!
//! Reads a folder of `NAME.req` and `NAME.resp` files: HTTP as it went over the wire, in the order of their names. A request
//! is answered by the recorded one that equals it: method, path, parameters, credential, and body by its content. Where one
//! request was recorded in several states, the last one that was recorded before the next write counts, so that reads see
//! what was written. Never answers anything else: a request without a record gets [`MISS`] and is remembered.
#![expect(clippy::disallowed_methods, reason = "edge: reads the folder, and collects bodies behind a limit")]
#![expect(clippy::expect_used, clippy::panic, reason = "a recording that cannot be read is no recording")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, TRANSFER_ENCODING,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::pipeline::map::multipart;

/// The recorded exchanges and what became of them; a handle.
#[derive(Clone)]
pub struct Replay {
    exchanges: Arc<Vec<Exchange>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last_write: Option<usize>,
    seen: Vec<String>,
    misses: Vec<String>,
}

struct Exchange {
    asked: Asked,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What two requests must share to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    credential: Option<HeaderValue>,
    body: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    None,
    Json(serde_json::Value),
    Form(Vec<(String, String)>),
    Other(Bytes),
}

impl Replay {
    /// Loads a folder.
    #[track_caller]
    pub fn load(folder: &Path) -> Self {
        let mut names = BTreeMap::new();
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("an entry of a folder").path();
            if path.extension().is_some_and(|extension| extension == "req") {
                names.insert(path.clone(), path.with_extension("resp"));
            }
        }
        let read =
            |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let exchanges = names.iter().map(|(request, response)| {
            Exchange::parse(&read(request), &read(response))
                .unwrap_or_else(|| panic!("{} is not a recorded exchange", request.display()))
        });
        Self { exchanges: Arc::new(exchanges.collect()), state: Arc::default() }
    }

    /// Serves until the task is dropped.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let replay = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let replay = replay.clone();
                    async move { Ok::<_, Infallible>(replay.respond(request).await) }
                });
                // A broken connection is the caller's to notice.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    }

    /// Requests without a record, as `METHOD target body`.
    pub fn misses(&self) -> Vec<String> {
        self.state().misses.clone()
    }

    /// All requests, as `METHOD target`, oldest first.
    pub fn seen(&self) -> Vec<String> {
        self.state().seen.clone()
    }

    /// Those of them that change something.
    pub fn writes(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD "))
            .collect()
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let asked = Asked::of(&head.method, target, &head.headers, &body);
        let line = format!("{} {target}", head.method);
        self.state().seen.push(line.clone());
        match self.find(&asked) {
            Some(exchange) => exchange.response(),
            None => {
                let miss = format!("{line} {}", String::from_utf8_lossy(&body));
                self.state().misses.push(miss);
                let mut response = Response::new(Full::new(Bytes::from_static(b"not recorded")));
                *response.status_mut() = StatusCode::from_u16(MISS).expect("a status of three digits");
                response
            }
        }
    }

    fn find(&self, asked: &Asked) -> Option<&Exchange> {
        let mut state = self.state();
        let is_write = |method: &Method| *method != Method::GET && *method != Method::HEAD;
        let written = state.last_write;
        let matches = || self.exchanges.iter().enumerate().filter(|(_, known)| known.asked == *asked);
        // What was recorded before the write that comes next is how things stand now.
        let next_write = self.exchanges.iter().enumerate().position(|(index, known)| {
            is_write(&known.asked.method)
                && known.status.is_success()
                && written.is_none_or(|last| index > last)
        });
        let horizon = next_write.unwrap_or(usize::MAX);
        let last_before = matches().filter(|(index, _)| *index < horizon).last();
        let (index, exchange) = match is_write(&asked.method) {
            true => matches()
                .find(|(index, _)| written.is_none_or(|last| *index > last))
                .or_else(|| matches().next())?,
            false => last_before.or_else(|| matches().next())?,
        };
        if is_write(&asked.method) && exchange.status.is_success() {
            state.last_write = Some(index);
        }
        Some(exchange)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    fn parse(request: &[u8], response: &[u8]) -> Option<Self> {
        let (line, headers, body) = split(request)?;
        let mut words = line.split(' ');
        let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
        let asked = Asked::of(&method, words.next()?, &headers, &body);
        let (line, mut headers, body) = split(response)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let is_head = method == Method::HEAD;
        for name in [CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        if !is_head {
            headers.remove(CONTENT_LENGTH);
        }
        Some(Self { asked, status, headers, body })
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers.clone());
        response
    }
}

impl Asked {
    fn of(method: &Method, target: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        Self {
            method: method.clone(),
            path,
            query: sorted(form_urlencoded::parse(query.as_bytes()).into_owned()),
            credential: headers.get(AUTHORIZATION).cloned(),
            body: Content::of(headers, body),
        }
    }
}

impl Content {
    fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if body.is_empty() {
            return Content::None;
        }
        let form = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/x-www-form-urlencoded" => Some(form_urlencoded::parse(body).into_owned().collect()),
            "multipart/form-data" => multipart::read(body, content_type).ok(),
            _ => None,
        };
        match (form, serde_json::from_slice(body)) {
            (Some(pairs), _) => Content::Form(sorted(pairs.into_iter())),
            (None, Ok(json)) => Content::Json(json),
            (None, Err(_)) => Content::Other(Bytes::copy_from_slice(body)),
        }
    }
}

fn sorted(pairs: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

/// First line, headers and body of a recorded message; a chunked body is joined.
fn split(message: &[u8]) -> Option<(&str, HeaderMap, Bytes)> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (message.get(..end)?, message.get(end + 4..)?);
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let first = lines.next()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    let is_chunked = headers.get(TRANSFER_ENCODING).is_some_and(|coding| coding == "chunked");
    let body = if is_chunked { joined(body)? } else { Bytes::copy_from_slice(body) };
    Some((first, headers, body))
}

fn joined(mut chunked: &[u8]) -> Option<Bytes> {
    let mut body = Vec::new();
    loop {
        let line = chunked.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(chunked.get(..line)?).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(Bytes::from(body));
        }
        body.extend_from_slice(chunked.get(line + 2..line + 2 + size)?);
        chunked = chunked.get(line + 4 + size..)?;
    }
}

/// The status of an answer that was not recorded: none that a CRM gives.
pub const MISS: u16 = 599;
/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(request: &str, status: u16, body: &str) -> Exchange {
        let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\n{body}");
        Exchange::parse(request.as_bytes(), response.as_bytes()).unwrap()
    }

    fn replay(exchanges: Vec<Exchange>) -> Replay {
        Replay { exchanges: Arc::new(exchanges), state: Arc::default() }
    }

    #[track_caller]
    fn check(replay: &Replay, request: &str, expected: Option<&str>) {
        let asked = exchange(request, 200, "").asked;
        let found = replay.find(&asked).map(|exchange| String::from_utf8(exchange.body.to_vec()).unwrap());
        assert_eq!(found.as_deref(), expected, "{request}");
    }

    #[test]
    fn reads_see_what_was_written() {
        let (get, put) = (
            "GET /a HTTP/1.1\r\n\r\n",
            "PUT /a HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"x\": 1}",
        );
        let replay =
            replay(vec![exchange(get, 200, "old"), exchange(put, 200, "done"), exchange(get, 200, "new")]);
        check(&replay, get, Some("old"));
        check(&replay, get, Some("old"));
        check(&replay, &put.replace(": 1", ":1"), Some("done"));
        check(&replay, get, Some("new"));
        check(&replay, get, Some("new"));
    }

    #[test]
    fn only_equal_requests_are_answered() {
        let form = "POST /a?x=1&y=b+c HTTP/1.1\r\nAuthorization: k\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1&b=2";
        let replay = replay(vec![exchange(form, 400, "no")]);
        check(&replay, &form.replace("x=1&y=b+c", "y=b%20c&x=1").replace("a=1&b=2", "b=2&a=1"), Some("no"));
        for (from, to) in [
            ("/a", "/b"),
            ("x=1", "x=2"),
            ("POST", "PUT"),
            (": k", ": l"),
            ("b=2", "b=3"),
            ("\r\nAuthorization: k", ""),
        ] {
            check(&replay, &form.replace(from, to), None);
        }
    }

    #[test]
    fn chunked_bodies_are_joined() {
        assert_eq!(joined(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n").unwrap(), "abc0123456789");
        assert_eq!(joined(b"3\r\nab"), None);
    }
}
