//! Has the service record that its ledger is read, before anything of it is told.
//!
//! Promises: while a service writes the ledger, nothing is told unless the reading is in it, or `--unrecorded` says that it need not
//! be. The token goes to the address of the configuration and nowhere else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::audit::Whose;
use super::health::reachable;
use super::render;
use crate::admin::readings::PATH;
use crate::config::author::Problems;
use crate::config::load;
use crate::config::service::AdminConfig;
use crate::ledger::read::has_writer;

/// Whether a reading is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is entry so and so, says the service.
    As(u64),
    /// Nobody writes the ledger, so nobody could record it.
    Offline,
    /// It need not be.
    Waived,
}

/// Whether a reading must be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Where a service can.
    Record,
    /// Not at all.
    Waive,
}

/// Records a reading. The error says why that is not possible, and what to do.
pub(super) fn record(whose: &Whose, demand: Demand, command: &str) -> Result<Recorded, String> {
    if demand == Demand::Waive {
        return Ok(Recorded::Waived);
    }
    match has_writer(&whose.state) {
        Ok(false) => return Ok(Recorded::Offline),
        Ok(true) => {}
        Err(error) => {
            return Err(refusal(&format!("whether a service writes this ledger cannot be told: {error}")));
        }
    }
    let Some(admin) = &whose.admin else {
        let why = "a service writes this ledger, and no configuration with an `[admin]` section says how to reach it";
        return Err(refusal(why));
    };
    let mut problems = Problems::default();
    let token = load::secret(&admin.token_file, &mut problems);
    render::problems(&problems);
    let token = token.ok_or_else(|| refusal("the admin listener's token cannot be read"))?;
    announce(admin, &token, command).map(Recorded::As).map_err(|why| refusal(&why))
}

fn refusal(why: &str) -> String {
    format!(
        "the reading cannot be recorded: {why}\n  help: a service that writes its ledger records who reads it: name its configuration with --config; \
         --unrecorded answers all the same and says that nothing was recorded"
    )
}

fn announce(admin: &AdminConfig, token: &str, command: &str) -> Result<u64, String> {
    let address = reachable(admin.address);
    let answer = ask(address, token, &json!({ "command": command }).to_string());
    let (status, body) =
        answer.map_err(|error| format!("the admin listener on {address} cannot be asked: {error}"))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (status, body.get("seq").and_then(Value::as_u64)) {
        (200, Some(seq)) => Ok(seq),
        _ => {
            let why = body
                .get("error")
                .and_then(Value::as_str)
                .unwrap_or("it is no admin listener that knows readings");
            Err(format!("the admin listener on {address} answered {status}: {why}"))
        }
    }
}

fn ask(address: SocketAddr, token: &str, body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "POST {PATH} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
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

const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Longer than the ledger may take.
const LIMIT: Duration = Duration::from_secs(30);

const ANSWER_BYTES_MAX: u64 = 1 << 16;
