//! Sign-offs of access reviews, recorded in the ledger.
//!
//! Promises: a number is answered only once the entry is durable. What is recorded is bounded: a hash, a word and a short note. Never reads
//! a report.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, refused};
use super::{Admin, JSON, reply};
use crate::ledger::entry::Entry;
use crate::ledger::entry::review::{Review, ReviewVerdict};

/// Where a review is signed off.
pub const PATH: &str = "/v1/ledger/reviews";

/// What is signed off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    report: String,
    verdict: ReviewVerdict,
    note: Option<String>,
}

impl Admin {
    /// Records a sign-off and answers with its number.
    pub(super) async fn sign_off(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Signed { report, verdict, note } = match body::json(request, FORM).await {
            Ok(signed) => signed,
            Err(refusal) => return refusal,
        };
        if !is_hash(&report) {
            let error = "a report is named by its SHA-256: 64 lower-case hex digits";
            return refused(StatusCode::BAD_REQUEST, error);
        }
        if !note.as_deref().is_none_or(is_note) {
            let error = "a note has at most 500 bytes and no control characters";
            return refused(StatusCode::BAD_REQUEST, error);
        }
        // Nobody else has the token; who of those that share it signs, it does not tell.
        let review = Review { report, verdict, note, by: "admin-token".to_owned() };
        match self.sidecar.recorder.ledger().append(Entry::Review(review)).await {
            Ok(seq) => reply(StatusCode::OK, JSON, json!({ "seq": seq }).to_string()),
            Err(error) => {
                tracing::warn!(error = %error, "a review could not be signed off");
                refused(StatusCode::SERVICE_UNAVAILABLE, "the ledger takes no entries")
            }
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text can be the note of a review.
pub fn is_note(text: &str) -> bool {
    !text.is_empty() && text.len() <= NOTE_BYTES_MAX && !text.chars().any(char::is_control)
}

const FORM: &str = "{\"report\": \"SHA-256\", \"verdict\": \"accepted\" or \"findings\", \"note\": \"…\"}";

/// Bytes of a note: a sentence and the number of a ticket.
const NOTE_BYTES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_hashes_and_notes_are_short() {
        for (text, expected) in [
            ("0a".repeat(32), true),
            ("0A".repeat(32), false),
            ("0a".repeat(31), false),
            (String::new(), false),
        ] {
            assert_eq!(is_hash(&text), expected, "{text}");
        }
        for (text, expected) in [
            ("CR-12: done".to_owned(), true),
            ("x".repeat(501), false),
            (String::new(), false),
            ("a\nb".into(), false),
        ] {
            assert_eq!(is_note(&text), expected, "{text}");
        }
    }
}
