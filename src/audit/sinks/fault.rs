//! Why a sink did not take a batch: a code from a closed list, and what operators may read.

use crate::ledger::batches::BatchError;
use crate::ledger::error::LedgerError;

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SinkFault {
    /// No connection, or it broke.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// No trust: a certificate or a name is not what was expected.
    Tls,
    /// A password, token, certificate or key was not accepted, or its file cannot be used.
    Credentials,
    /// It answered that it does not take the batch.
    Refused,
    /// It answered with a redirect, which is never followed.
    Redirected,
    /// The store's tables are of another version than this program's.
    StoreVersion,
    /// The store was changed by somebody else in between.
    StoreMoved,
    /// It has entries of this log that are not this ledger's.
    Diverged,
    /// Entries that it still needs are not in the ledger any more.
    SegmentsMissing,
    /// The ledger's own files cannot be read, or the state folder cannot be written.
    Ledger,
}

impl SinkFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Tls,
        Self::Credentials,
        Self::Refused,
        Self::Redirected,
        Self::StoreVersion,
        Self::StoreMoved,
        Self::Diverged,
        Self::SegmentsMissing,
        Self::Ledger,
    ];

    /// The code in metrics, status, log and ledger.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "sink-unreachable",
            Self::Timeout => "sink-timeout",
            Self::Tls => "sink-tls",
            Self::Credentials => "sink-credentials",
            Self::Refused => "sink-refused",
            Self::Redirected => "sink-redirected",
            Self::StoreVersion => "store-version",
            Self::StoreMoved => "store-moved",
            Self::Diverged => "sink-diverged",
            Self::SegmentsMissing => "segments-missing",
            Self::Ledger => "ledger-unusable",
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", fault.code())]
pub struct SinkError {
    /// Its kind.
    pub fault: SinkFault,
    /// What operators may read. Never a secret.
    pub detail: String,
}

impl SinkError {
    /// A failure with its text.
    pub fn new(fault: SinkFault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}

impl From<LedgerError> for SinkError {
    fn from(error: LedgerError) -> Self {
        Self::new(SinkFault::Ledger, crate::net::remote::causes(&error))
    }
}

impl From<BatchError> for SinkError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Gone { .. } => Self::new(
                SinkFault::SegmentsMissing,
                format!("{error}: put their files back into the ledger's folder"),
            ),
            BatchError::Ledger(error) => error.into(),
        }
    }
}
