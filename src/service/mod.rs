//! The running service: its parts put together from a configuration, and replaced while it runs.
//!
//! Promises: a broken bundle, directory or key file stops a start with all its errors, and never replaces what serves.

pub mod intake;
pub mod supply;
pub mod load;
pub mod sources;
mod persons;
pub mod transport;
pub mod tokens;
pub mod start;
pub mod entries;
pub mod checkpoints;
pub mod copies;
mod state;
mod clock_steps;
pub mod settle;
pub mod vigil;
pub mod reload;
pub mod telemetry;
pub mod retention;
pub mod space;
pub mod sinks;
pub mod probe;
