//! The workbench (PAP): what a bundle does, told to those who write it, before it goes live.
//!
//! Promises: asks the functions that decide requests, so that it cannot disagree with the proxy. Never asks the CRM, never writes a
//! ledger.

pub mod init;
pub mod ask;
pub mod condition;
pub mod cases;
pub mod coverage;
pub mod formula;
pub mod matrix;
pub mod diff;
pub mod nearest;
pub mod replay;
pub mod prove;
pub mod lints;
