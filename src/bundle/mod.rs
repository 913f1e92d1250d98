//! Bundles.
pub mod profile;
