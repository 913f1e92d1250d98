//! The network below HTTP: whom we trust, and documents that are fetched now and then (keys, bundles).
//!
//! Promises: TLS is always verified; redirects are never followed; every document has a size and a time limit.

pub mod roots;
pub mod remote;
pub mod backoff;
