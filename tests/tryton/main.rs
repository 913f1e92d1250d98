//! Journeys through Lockkeeper in front of a real Tryton, with the example's own bundle, directory and configuration.
//!
//! Promises: every expectation was read from the real server's answers; one Tryton and one Lockkeeper serve all journeys,
//! which take turns; what a journey changes it made itself. The first run installs Tryton from the package index.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]

mod client;
mod relay;
mod tryton;
mod rig;
mod reads;
mod lists;
mod filters;
mod refusals;
mod writes;
mod verbs;
mod records;
