//! Lockkeeper.
pub mod model;
pub mod json;
pub mod config;
pub mod bundle;
