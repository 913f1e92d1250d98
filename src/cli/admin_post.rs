//! Asks the admin listener of a running service for something.
//!
//! Promises: the token goes to the address of the configuration and nowhere else; time and answer are bounded. Never follows anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::health::reachable;
use super::render;
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::AdminConfig;

/// Posts a body and returns the answer's, where its status is 200. The error says what went wrong and, in a line of its own where it can,
/// what to do.
pub(super) fn post(admin: &AdminConfig, path: &str, body: &Value) -> Result<Value, String> {
    let mut problems = Problems::default();
    let token = load::secret(&admin.token_file, &mut problems);
    render::problems(&problems);
    let token = token.ok_or("the admin listener's token cannot be read")?;
    let address = reachable(admin.address);
    let answer = ask(address, &token, path, &body.to_string());
    let (status, body) = answer
        .map_err(|error| format!("the admin listener on {address} cannot be asked: {error}{OF_ADDRESS}"))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        200 => Ok(body),
        401 => {
            let file = admin.token_file.display();
            Err(format!(
                "`{file}` (`[admin] token_file`) is not the token of the service on {address}{OF_ADDRESS}"
            ))
        }
        _ => {
            let why = body
                .get("error")
                .and_then(Value::as_str)
                .unwrap_or("it is no admin listener that knows this");
            Err(format!("the admin listener on {address} answered {status}: {why}"))
        }
    }
}

fn ask(address: SocketAddr, token: &str, path: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let no_http = || std::io::Error::other("this is not HTTP");
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(no_http)?;
    let (head, body) = answer.split_at_checked(head_end + 4).ok_or_else(no_http)?;
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    Ok((status.ok_or_else(no_http)?, body.to_vec()))
}

/// A configuration of another service, or one that was changed since the start.
const OF_ADDRESS: &str =
    "\n  help: is `[admin] address` in this configuration that of the service that runs?";

const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Longer than the ledger may take.
const LIMIT: Duration = Duration::from_secs(30);

const ANSWER_BYTES_MAX: u64 = 1 << 16;
