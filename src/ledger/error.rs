//! What can go wrong with the ledger, each with its place and a stable reason code.
//!
//! Promises: no message holds an entry's content. Never decides what to do about an error: callers answer
//! 503.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::CheckpointError;
use super::line::Flaw;

/// Why the ledger could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system refused.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was attempted, as a verb phrase.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line that had been durable is not what was written: start and reading stop here.
    #[error("`{}` is damaged at byte {offset}, line {line}: {flaw}", path.display())]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the first bad line begins, in bytes from the start of the file.
        offset: u64,
        /// The number of the first bad line, from 1.
        line: u64,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Another process, or another handle in this one, writes this ledger.
    #[error("another writer holds `{}`", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// As many entries wait as may wait.
    #[error("the ledger's queue is full at {limit} entries")]
    QueueFull {
        /// `queue_entries_max`.
        limit: usize,
    },
    /// The entry was not durable in time; it may become so later.
    #[error("the ledger did not answer within {limit_ms} ms")]
    Timeout {
        /// `write_timeout_ms`.
        limit_ms: u64,
    },
    /// The last write or sync failed and no new segment could be opened yet; the entry was not recorded.
    #[error("the ledger cannot be written: {0}")]
    Unwritable(Fault),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The entry, or one member of it that cannot be split, is over the limit.
    #[error("a `{kind}` entry of {bytes} bytes is over the limit of {limit}")]
    EntryTooLarge {
        /// The entry's kind.
        kind: &'static str,
        /// How large it, or its part, would be.
        bytes: usize,
        /// The limit that it is over.
        limit: usize,
    },
    /// The entry could not be written as JSON.
    #[error("a `{kind}` entry cannot be written as JSON")]
    Encode {
        /// The entry's kind.
        kind: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A name that would lie outside of its folder, or is not one.
    #[error("`{name}` is not a name to keep a file under")]
    Name {
        /// The name as it was given.
        name: String,
    },
    /// A revision with too many or too large files.
    #[error("a revision of {files} files and {bytes} bytes is over the limit")]
    RevisionTooLarge {
        /// How many files it has.
        files: usize,
        /// The sum of their sizes.
        bytes: usize,
    },
    /// The ledger has fewer entries than a checkpoint was signed for.
    #[error(
        "the ledger has {found} entries, and the checkpoint in `{}` was signed for {signed}: those at its end are gone",
        path.display()
    )]
    RolledBack {
        /// The checkpoint.
        path: PathBuf,
        /// How many entries it stands for.
        signed: u64,
        /// How many there are.
        found: u64,
    },
    /// The first entries are not those that a checkpoint was signed for.
    #[error(
        "the first {signed} entries are not those that the checkpoint in `{}` was signed for: some were changed, added or removed",
        path.display()
    )]
    Rewritten {
        /// The checkpoint.
        path: PathBuf,
        /// How many entries it stands for.
        signed: u64,
    },
    /// The last checkpoint is none, or is that of another log.
    #[error("`{}` is no checkpoint of this log: {why}; {}", path.display(), why.way_out())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// Why not.
        why: CheckpointError,
    },
    /// A tile of the tree that a proof needs is not there.
    #[error("the tile `{}` is missing: the service makes it, where [ledger.checkpoints] is configured", path.display())]
    NoTile {
        /// The full tile.
        path: PathBuf,
    },
    /// The hashes of removed entries are only in tiles, and these are not there or not what they were.
    #[error(
        "the hashes of the {removed} entries that were removed are not whole in `{}`: put the folder back from a backup",
        path.display()
    )]
    LeavesGone {
        /// The folder of the tree.
        path: PathBuf,
        /// How many entries were removed.
        removed: u64,
    },
    /// A segment that was there is not there any more.
    #[error("`{}` went away while the ledger was read, as when it is removed for its age: try again", path.display())]
    Vanished {
        /// The segment.
        path: PathBuf,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl LedgerError {
    /// The stable code of this error, for metrics and problem documents.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "ledger-io",
            Self::Damaged { .. } => "ledger-damaged",
            Self::Locked { .. } => "ledger-locked",
            Self::QueueFull { .. } => "queue-full",
            Self::Timeout { .. } => "timeout",
            Self::Unwritable(_) => "unwritable",
            Self::Closed => "closed",
            Self::EntryTooLarge { .. } | Self::Encode { .. } => "entry-unfit",
            Self::Name { .. } | Self::RevisionTooLarge { .. } => "revision-unfit",
            Self::RolledBack { .. } | Self::Rewritten { .. } => "ledger-rewritten",
            Self::Checkpoint { .. } => "checkpoint-foreign",
            Self::NoTile { .. } | Self::LeavesGone { .. } => "tile-missing",
            Self::Vanished { .. } => "segment-vanished",
            Self::Random(_) => "random-missing",
        }
    }

    /// Whether the files are not what was written.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::RolledBack { .. } | Self::Rewritten { .. })
    }

    /// A closure for `map_err` that adds what was attempted, and where.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}

/// Why the ledger turned unhealthy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", what.code())]
pub struct Fault {
    /// Which step failed.
    pub what: FaultStep,
    /// What the system said.
    pub detail: String,
}

impl Fault {
    /// A closure for `map_err` that names the step.
    pub(super) fn at<E: std::error::Error>(what: FaultStep) -> impl FnOnce(E) -> Self {
        move |error| Self { what, detail: describe(&error) }
    }
}

/// The step of a commit that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultStep {
    /// Writing the lines.
    Write,
    /// Making them durable.
    Sync,
    /// Creating a segment.
    Create,
    /// Re-reading the segment that had failed.
    Recover,
}

impl FaultStep {
    /// The reason code, as `gap` entries carry it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Write => "write-failed",
            Self::Sync => "sync-failed",
            Self::Create => "create-failed",
            Self::Recover => "recover-failed",
        }
    }
}

/// The error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
