//! Why the index cannot answer, each with its way out.

use std::path::PathBuf;

use crate::ledger::error::LedgerError;

/// Why the index could not be made, brought up to date or asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// SQLite, or the file system below it, refused.
    #[error("the index cannot be used: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The file system refused.
    #[error("the index `{}` cannot be {what}: {source}", path.display())]
    Io {
        /// What was attempted, as a participle.
        what: &'static str,
        /// The index.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that somebody else made.
    #[error("`{}` is not an index that Lockkeeper made, and stays as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A line is not where the index has it, although the ledger's beginning and its last line are.
    #[error("entry {seq} is not where the index has it")]
    Stale {
        /// The entry.
        seq: u64,
    },
}

impl IndexError {
    /// What to do about it; `None` where the message says all.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Ledger(_) => None,
            Self::Foreign { .. } => Some("Name another file with `--index FILE`."),
            Self::Sql(error) if is_damaged(error) => Some("Remove the index: it is made anew."),
            Self::Sql(_) | Self::Io { .. } => {
                Some("Keep the index where you may write and where there is room: `--index FILE`.")
            }
            Self::Stale { .. } => Some(
                "Somebody changed the ledger's files: ask `lockkeeper audit verify`. The index is made anew if you remove it.",
            ),
        }
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}
