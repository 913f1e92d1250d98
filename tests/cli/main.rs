//! The command line as its users see it: the real program, its exit codes, and snapshots of what it prints.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]

mod run;

mod author;
mod check;
mod draft;
mod dry_run;
mod explain;
mod help;
mod tail;
