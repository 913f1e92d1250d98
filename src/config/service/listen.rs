//! `[listen]`: where callers connect.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// Where callers connect.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// The address for callers.
    pub address: SocketAddr,
    /// The address for `/livez` and `/readyz`, if there is one.
    pub health_address: Option<SocketAddr>,
    /// Milliseconds for a request's head to arrive.
    pub head_timeout_ms: u64,
    /// Milliseconds that open exchanges get when the service ends.
    pub drain_timeout_ms: u64,
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<ListenConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let address = settings.address(&ADDRESS);
    let config = |address| ListenConfig {
        address,
        health_address: settings.address(&HEALTH_ADDRESS),
        head_timeout_ms: settings.integer(&HEAD_TIMEOUT_MS),
        drain_timeout_ms: settings.integer(&DRAIN_TIMEOUT_MS),
    };
    let config = config(address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))));
    settings.finish();
    address.map(|_| config)
}

/// The section.
pub const SECTION: Section = Section {
    name: "listen",
    meaning: "Where callers connect.\n\n\
              A head has at most 64 KiB and 100 header fields. There is no TLS: see the \
              [threat model](../threat-model.md).",
    presence: Presence::Required,
    keys: &[&ADDRESS, &HEALTH_ADDRESS, &HEAD_TIMEOUT_MS, &DRAIN_TIMEOUT_MS],
    inner: &[],
};
const ADDRESS: Key = Key::required(
    "address",
    Kind::Address,
    "Write `address = \"127.0.0.1:8080\"`.",
    "where callers connect; port 0 takes a free one",
);
const HEALTH_ADDRESS: Key = Key::optional(
    "health_address",
    Kind::Address,
    "where `/livez` and `/readyz` are asked, without authentication",
);
const HEAD_TIMEOUT_MS: Key =
    Key::integer("head_timeout_ms", 10_000, 100, 600_000, "for a request's head to arrive");
const DRAIN_TIMEOUT_MS: Key =
    Key::integer("drain_timeout_ms", 10_000, 0, 600_000, "that open exchanges get when the service ends");
