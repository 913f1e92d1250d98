//! What `lockkeeper demo` runs: an embedded stand-in for a legacy CRM.
//!
//! Promises that everything here works without a network beyond loopback and without files. Never used by `serve`.

pub mod crm;
