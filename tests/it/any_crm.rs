//! A CRM that answers every request with whatever a test says, byte for byte.
#![expect(clippy::disallowed_methods, reason = "edge: the CRM's listener")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What answers in the CRM's place.
pub struct AnyCrm {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answer: Answer,
    reads_get: Option<Answer>,
    by_target: Option<ByTarget>,
    seen: Vec<String>,
    bodies: Vec<String>,
}

/// What each path with its query gets.
type ByTarget = Box<dyn Fn(&str) -> Answer + Send>;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Arc<Vec<u8>>,
    is_announced: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self::json(b"{}".to_vec())
    }
}

impl Answer {
    /// A success with a body that says it is JSON, and a version, without which no deal is written.
    pub fn json(body: Vec<u8>) -> Self {
        Self::of_type("application/json", body).header("ETag: \"1\"")
    }

    /// A success with a body of a type.
    pub fn of_type(content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: vec![format!("Content-Type: {content_type}")],
            body: Arc::new(body),
            is_announced: true,
        }
    }

    /// The same with another status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same in codings.
    pub fn coded(mut self, codings: &str) -> Self {
        self.headers.push(format!("Content-Encoding: {codings}"));
        self
    }

    /// The same with one more header, as `Name: value`.
    pub fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// The same without its length: it ends with the connection.
    pub fn unannounced(self) -> Self {
        Self { is_announced: false, ..self }
    }

    fn head(&self) -> String {
        let (status, length) = (self.status, self.body.len());
        let mut lines: String = self.headers.iter().map(|line| format!("{line}\r\n")).collect();
        if self.is_announced {
            lines.push_str(&format!("Content-Length: {length}\r\n"));
        }
        format!("HTTP/1.1 {status} X\r\n{lines}Connection: close\r\n\r\n")
    }
}

impl AnyCrm {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// A sidecar in front of it.
    pub async fn behind(&self, change: impl FnOnce(Options) -> Options) -> TestSidecar {
        let url = format!("\"http://{}\"", self.address);
        TestSidecar::with(|options| change(options.set("upstream", "url", url))).await
    }

    /// What every request gets from now on.
    pub fn answers(&self, answer: Answer) {
        let mut state = self.state.lock().unwrap();
        *state = State { answer, ..State::default() };
    }

    /// What reads get from now on, while writes get something else.
    pub fn answers_reads(&self, answer: Answer) {
        self.state.lock().unwrap().reads_get = Some(answer);
    }

    /// What each path with its query gets from now on.
    pub fn answers_by(&self, answer: impl Fn(&str) -> Answer + Send + 'static) {
        *self.state.lock().unwrap() = State { by_target: Some(Box::new(answer)), ..State::default() };
    }

    /// The request lines since the answer was set.
    pub fn seen(&self) -> Vec<String> {
        let first = |head: &String| head.lines().next().unwrap_or_default().to_owned();
        self.heads().iter().map(first).collect()
    }

    /// The heads of the requests since the answer was set.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The bodies of requests since the answer was set.
    pub fn bodies(&self) -> Vec<String> {
        self.state.lock().unwrap().bodies.clone()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some((head, body)) = read_request(&mut stream).await else { return };
    let answer = {
        let mut state = state.lock().unwrap();
        state.seen.push(head.clone());
        state.bodies.push(body);
        match (&state.by_target, &state.reads_get) {
            (Some(answer), _) => answer(head.split(' ').nth(1).unwrap_or_default()),
            (None, Some(answer)) if head.starts_with("GET ") => answer.clone(),
            (None, _) => state.answer.clone(),
        }
    };
    // Whoever has read enough closes, and need not read the rest.
    let _ = stream.write_all(answer.head().as_bytes()).await;
    let _ = stream.write_all(&answer.body).await;
}

/// The head of a request, and its body.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let body = end + 4..end + 4 + length.unwrap_or(0);
            if let Some(body) = bytes.get(body) {
                return Some((head, String::from_utf8_lossy(body).into_owned()));
            }
        }
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}
