//! The command line as its users see it: the real program, its exit codes, and snapshots of what it prints.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that looks for what is not there has failed")]

mod run;

mod author;
mod bundle;
mod capabilities;
mod check;
mod demo;
mod diff;
mod draft;
mod dry_run;
mod explain;
mod export;
mod forget;
mod help;
mod init;
mod matrix;
mod operations;
mod probe;
mod prove;
mod query;
mod replay;
mod report;
mod sign_off;
mod tail;
mod test;
mod verify;
