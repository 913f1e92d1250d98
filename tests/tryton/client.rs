//! A small HTTP/1.1 client over plain sockets [edge]: what is written is what is sent, so that a journey can also send
//! what a tidy client would not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A request but for its address.
pub struct Call<'c> {
    /// Method and target as they stand in the request line.
    pub line: &'c str,
    /// The key behind `Authorization: Bearer`, if there is one.
    pub key: Option<&'c str>,
    /// Further headers.
    pub headers: &'c [(&'c str, &'c str)],
    /// The body; without one neither `Content-Type` nor `Content-Length` is sent.
    pub body: Option<&'c str>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The names of all headers, sorted.
    pub fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The ids of the records in the body, a list, in order.
    #[track_caller]
    pub fn ids(&self) -> Vec<u64> {
        let json = self.json();
        let rows = json.as_array().unwrap_or_else(|| panic!("not a list: {self:?}"));
        rows.iter().map(|row| row.get("id").and_then(Value::as_u64).unwrap()).collect()
    }

    /// The reason in a problem document, or `none` where the body is something else.
    pub fn reason(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        json.get("reason").and_then(Value::as_str).unwrap_or("none").to_owned()
    }
}

/// Sends a request on a connection of its own and reads the answer to its end.
#[track_caller]
pub fn send(address: SocketAddr, call: &Call<'_>) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, WAIT_MAX).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream.set_write_timeout(Some(WAIT_MAX)).unwrap();
    let mut head = format!("{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", call.line);
    if let Some(key) = call.key {
        head.push_str(&format!("Authorization: Bearer {key}\r\n"));
    }
    if let Some(body) = call.body {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    for (name, value) in call.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{}", call.body.unwrap_or("")).as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&String::from_utf8(bytes).unwrap())
}

#[track_caller]
fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    assert!(
        !headers.iter().any(|(name, _)| name == "transfer-encoding"),
        "bodies here have a length: {head}"
    );
    Answer { status: status.unwrap(), body: body.to_owned(), headers }
}

/// The longest wait for one step of an exchange.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
