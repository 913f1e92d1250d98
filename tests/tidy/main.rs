//! The repository's rules as ordinary tests: floors, edges, sizes, words, and reference documents that tell the truth.
//!
//! Promises: reads the tracked files only, needs no network and changes nothing; each finding names its place and rule.
#![expect(clippy::disallowed_methods, reason = "edge: the rules are about the files of the repository")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that looks for what is not there has failed"
)]

mod tree;
mod rust;
mod floors;
mod shape;
mod words;
mod reference;
mod language;
mod configuration;
mod schema;
mod cases;
mod yaml;
mod deploy;
mod cookbook;
mod evidence;
mod fuzz;

/// Fails with every finding, or passes if there is none.
#[track_caller]
fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}
