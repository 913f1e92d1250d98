//! The service's configuration: what the file says (raw) and what the program needs (resolved).
//!
//! Promises: every problem of a file is reported in one run, each with its place and a way out; unknown keys are errors.

pub mod author;
pub mod reader;
