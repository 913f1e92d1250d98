//! The exit codes of every command, in one table.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked; or the decision is allow.
    Success,
    /// It failed.
    Failure,
    /// The decision is deny.
    Deny,
    /// A check or a test failed.
    CheckFailed,
    /// The decision cannot be told from what was given.
    Undetermined,
    /// The ledger is broken.
    LedgerBroken,
    /// The arguments were wrong.
    Usage,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Deny => 2,
            Exit::CheckFailed => 3,
            Exit::Undetermined => 4,
            Exit::LedgerBroken => 5,
            Exit::Usage => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
