//! The network below HTTP: whom we trust and who we say we are, listeners and connections, documents that are fetched.
//!
//! Promises: TLS is always verified; redirects are never followed; every document has a size and a time limit.

pub mod roots;
pub mod https;
pub mod remote;
pub mod backoff;
pub mod network;
pub mod descriptors;
pub mod socket;
pub mod proxy_header;
pub mod pair;
pub mod renewed;
pub mod tls_server;
pub mod tls_client;
pub mod connector;
pub mod vitals;
pub mod watched;
pub mod coding;
