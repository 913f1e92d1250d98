//! The service's configuration, and what all files that people write have in common.
//!
//! Promises: every problem of a file is reported in one run, each with its place and a way out; unknown keys are errors.

pub mod author;
pub mod reader;
pub mod settings;
pub mod stated;
pub mod service;
pub mod load;
pub mod reference;
pub mod json_schema;
