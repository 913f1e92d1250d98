//! The ledger for people: entries joined to what belongs together, names of fields spelled out.
//!
//! Promises: only what stands in the ledger is told; entries and members that this version does not know are passed on,
//! not dropped. But for `index` and `sinks`, never reads a file and never writes one: lines come in, items and text go out.

pub mod dictionary;
pub mod item;
pub mod collect;
pub mod text;
pub mod when;
pub mod csv;
pub mod evidence;
pub mod joined;
pub mod ocsf;
pub mod signed;
pub mod draft;
pub mod index;
pub mod report;
pub mod sinks;

#[cfg(test)]
mod tests;
