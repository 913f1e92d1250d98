//! Journeys through Lockkeeper in front of BottleCRM as it was recorded, with the example's own bundle, directory and
//! configuration.
//!
//! Promises: what the CRM answers is what it answered when it was recorded; a request that was not recorded fails the
//! journey; each journey has a CRM, a Lockkeeper and a ledger of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may panic")]

mod rig;
mod reads;
mod lists;
mod moves;
mod writes;
mod tables;
mod odd;
mod pages;
