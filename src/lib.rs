//! Lockkeeper.
pub mod model;
pub mod json;
pub mod config;
pub mod bundle;
pub mod ledger;
pub mod telemetry;
pub mod pipeline;
pub mod service;
pub mod admin;
pub mod demo;
pub mod cli;
