//! The vocabulary every other floor speaks: who asks, for what, what was decided and why.
//!
//! Promises: plain data, no I/O, nothing here knows HTTP bodies, Cedar or any CRM.

pub mod reason;
pub mod principal;
pub mod peer;
pub mod network;
pub mod signature;
pub mod certificate;
pub mod access;
pub mod decision;
pub mod record;
pub mod problem;
pub mod hex;
pub mod keys;
pub mod seeded;
