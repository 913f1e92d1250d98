//! `[listen.http2]`: what one HTTP/2 connection of a caller may cost.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Presence, Section, Settings};

/// Limits of HTTP/2.
#[derive(Clone, Copy, Debug)]
pub struct Http2Config {
    /// Streams at once.
    pub streams: u32,
    /// Bytes of a request body that may be under way, per stream.
    pub stream_window_bytes: u32,
    /// Bytes of all request bodies that may be under way.
    pub connection_window_bytes: u32,
    /// Streams that the caller may reset before we looked at them.
    pub resets: usize,
    /// Streams that we may have to reset for the caller's faults.
    pub faults: usize,
    /// Milliseconds between pings.
    pub ping_interval_ms: u64,
    /// Milliseconds for the answer to a ping.
    pub ping_timeout_ms: u64,
}

/// Reads the section; without it every default holds.
pub fn read(parent: &Table<'_>, folder: &Path) -> Option<Http2Config> {
    let settings = Settings::of(parent, &SECTION, folder)?;
    let small = |key: &Key| u32::try_from(settings.integer(key)).unwrap_or(u32::MAX);
    let config = Http2Config {
        streams: small(&STREAMS),
        stream_window_bytes: small(&STREAM_WINDOW_BYTES),
        connection_window_bytes: small(&CONNECTION_WINDOW_BYTES),
        resets: settings.size(&RESETS),
        faults: settings.size(&FAULTS),
        ping_interval_ms: settings.integer(&PING_INTERVAL_MS),
        ping_timeout_ms: settings.integer(&PING_TIMEOUT_MS),
    };
    settings.finish();
    Some(config)
}

impl Default for Http2Config {
    fn default() -> Self {
        let small = |key: &Key| u32::try_from(key.default_integer()).unwrap_or(u32::MAX);
        Self {
            streams: small(&STREAMS),
            stream_window_bytes: small(&STREAM_WINDOW_BYTES),
            connection_window_bytes: small(&CONNECTION_WINDOW_BYTES),
            resets: RESETS.default_size(),
            faults: FAULTS.default_size(),
            ping_interval_ms: PING_INTERVAL_MS.default_integer(),
            ping_timeout_ms: PING_TIMEOUT_MS.default_integer(),
        }
    }
}

/// The section.
pub const SECTION: Section = Section {
    name: "listen.http2",
    meaning: "What one HTTP/2 connection of a caller may cost.",
    presence: Presence::Optional,
    keys: &[
        &STREAMS,
        &STREAM_WINDOW_BYTES,
        &CONNECTION_WINDOW_BYTES,
        &RESETS,
        &FAULTS,
        &PING_INTERVAL_MS,
        &PING_TIMEOUT_MS,
    ],
    inner: &[],
};
const STREAMS: Key = Key::integer("streams", 100, 1, 10_000, "requests at once");
const STREAM_WINDOW_BYTES: Key = Key::integer(
    "stream_window_bytes",
    64 * 1024,
    16 * 1024,
    (1 << 31) - 1,
    "of one request body that may be under way",
);
const CONNECTION_WINDOW_BYTES: Key = Key::integer(
    "connection_window_bytes",
    1 << 20,
    64 * 1024,
    (1 << 31) - 1,
    "of all request bodies that may be under way",
);
const RESETS: Key = Key::integer(
    "resets",
    20,
    1,
    10_000,
    "requests that the caller may take back before they were looked at; one more ends the connection",
);
const FAULTS: Key = Key::integer("faults", 64, 1, 10_000, "malformed requests; one more ends the connection");
const PING_INTERVAL_MS: Key = Key::integer(
    "ping_interval_ms",
    30_000,
    100,
    3_600_000,
    "between pings that see whether the caller is there",
);
const PING_TIMEOUT_MS: Key =
    Key::integer("ping_timeout_ms", 10_000, 100, 600_000, "for the answer to a ping");
