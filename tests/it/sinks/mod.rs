//! Copies of the ledger: a receiver over HTTPS, and a real PostgreSQL.

mod rig;
pub mod receiver;
pub mod cluster;
mod relay;
mod https;
mod store;
mod away;
mod service;
mod retention;
