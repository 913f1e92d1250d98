//! What the ledger says of its own copies: that one went down, and that it is back.

use serde::Serialize;

/// A sink changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SinkChange {
    /// The sink's name.
    pub name: String,
    /// What it is from now on.
    pub state: SinkState,
    /// Why it is down, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last entry that it has acknowledged, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
}

/// Whether a sink takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// It does.
    Up,
    /// It does not; entries wait in the ledger.
    Down,
}
