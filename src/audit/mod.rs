//! The ledger for people: entries joined to what belongs together, names of fields spelled out.
//!
//! Promises: only what stands in the ledger is told; entries and members that this version does not know are passed on,
//! not dropped. Never reads a file and never writes one: lines come in, items and text go out. Only `index` keeps a file.

pub mod dictionary;
pub mod item;
pub mod collect;
pub mod text;
pub mod evidence;
pub mod joined;
pub mod ocsf;
pub mod signed;
pub mod draft;
pub mod index;

#[cfg(test)]
mod tests;
