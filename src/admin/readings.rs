//! Readings of the ledger, recorded in the ledger before anything is told.
//!
//! Promises: a number is answered only once the entry is durable. What is recorded is bounded and is a question of `audit`; who asks
//! sees to it that it names principals by their handles. Never tells what the ledger holds: who may read its files reads them.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, refused};
use super::{Admin, JSON, reply};
use crate::ledger::entry::{Entry, Read};

/// Where a reading is announced.
pub const PATH: &str = "/v1/ledger/readings";

/// What is announced.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    command: String,
}

impl Admin {
    /// Records a reading and answers with its number.
    pub(super) async fn reading(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Announced { command } = match body::json(request, "{\"command\": \"audit …\"}").await {
            Ok(announced) => announced,
            Err(refusal) => return refusal,
        };
        if !is_question(&command) {
            let error = "a command begins with `audit `, has at most 2000 bytes and no control characters";
            return refused(StatusCode::BAD_REQUEST, error);
        }
        // Nobody else has the token; who of those that share it asks, it does not tell.
        let read = Read { command, by: "admin-token".to_owned() };
        match self.sidecar.recorder.ledger().append(Entry::Read(read)).await {
            Ok(seq) => reply(StatusCode::OK, JSON, json!({ "seq": seq }).to_string()),
            Err(error) => {
                tracing::warn!(error = %error, "a reading of the ledger could not be recorded");
                refused(StatusCode::SERVICE_UNAVAILABLE, "the ledger takes no entries")
            }
        }
    }
}

fn is_question(command: &str) -> bool {
    command.starts_with("audit ")
        && command.len() <= COMMAND_BYTES_MAX
        && !command.chars().any(char::is_control)
}

/// Bytes of a question: types, ids and names of fields are short.
const COMMAND_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_recorded() {
        #[track_caller]
        fn check(command: &str, expected: bool) {
            assert_eq!(is_question(command), expected, "{command}");
        }
        check("audit query by p_0f1e2d3c4b5a69788796a5b4", true);
        check(&format!("audit {}", "x".repeat(1_994)), true);
        check(&format!("audit {}", "x".repeat(1_995)), false);
        check("audit query\nby", false);
        check("reload", false);
        check("", false);
    }
}
