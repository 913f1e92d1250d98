//! Deciding (PDP): Cedar's own authorizer on slices, with verdicts per record kept while nothing that they read changes.
//!
//! Promises: a kept verdict equals a fresh one; any policy error denies; a missing or unusable fact denies.

pub mod entities;
pub mod evaluate;
pub mod witness;
pub mod whatever;
pub mod program;
mod kept;
pub mod gate;
pub mod judging;
pub mod held;
pub mod always;
pub mod standing;
pub mod residual;
pub mod push;
pub mod refill;
pub mod references;
pub mod keys;
pub mod write;
mod file;
pub mod stage;
mod version;
mod fields;
pub mod links;
pub mod merge;
mod unbounded;
pub mod request;
