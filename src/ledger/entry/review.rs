//! The `review` entry: somebody signed off an access review.

use serde::{Deserialize, Serialize};

/// An access review was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// The SHA-256 of the report, in lower-case hex.
    pub report: String,
    /// What came of it.
    pub verdict: ReviewVerdict,
    /// What the reviewer has to say: no values of records, no names of people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Which token opened the door; the service knows no more of who signs off.
    pub by: String,
}

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewVerdict {
    /// Access is as it should be.
    Accepted,
    /// Something is to be changed.
    Findings,
}
