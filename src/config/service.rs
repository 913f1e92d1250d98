//! The service's configuration, resolved: what the program needs, every value with its default.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that `serve` needs to know.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where callers connect.
    pub listen: ListenConfig,
    /// The admin listener, if there is one.
    pub admin: Option<AdminConfig>,
    /// The CRM.
    pub upstream: UpstreamConfig,
    /// How callers are identified, at least one way.
    pub identity: Vec<KeyConfig>,
    /// The directory's file.
    pub directory_file: PathBuf,
    /// The bundle's folder.
    pub bundle_path: PathBuf,
    /// Milliseconds between looks at bundle, directory and keys; 0 for never.
    pub reload_poll_ms: u64,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// Limits.
    pub limits: LimitsConfig,
    /// The operational log's level.
    pub log_level: String,
    /// Whether the operational log is JSON.
    pub log_is_json: bool,
}

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

/// The admin listener.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Its address.
    pub address: SocketAddr,
    /// The file that holds its token.
    pub token_file: PathBuf,
}

/// The CRM.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// `http://host:port`.
    pub origin: String,
    /// A path before all paths of the profile.
    pub base_path: String,
    /// The `Host` header, if not the origin's.
    pub host: Option<String>,
    /// Milliseconds to connect.
    pub connect_timeout_ms: u64,
    /// Milliseconds for a whole answer.
    pub answer_timeout_ms: u64,
    /// Idle connections kept.
    pub idle_connections_max: usize,
    /// Milliseconds that an idle connection is kept.
    pub idle_timeout_ms: u64,
}

/// One way of identifying callers.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// Whether the CRM is shown the caller's own key.
    pub kind: KeyKind,
    /// The file of hashes.
    pub file: PathBuf,
    /// The header that carries the key, lower-case.
    pub header: String,
    /// The scheme before the key.
    pub scheme: Option<String>,
}

/// What the CRM is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The caller's own key.
    Crm,
    /// A service account's.
    Api {
        /// The header for the CRM, lower-case.
        header: String,
        /// The scheme before the key.
        scheme: Option<String>,
        /// The file that holds the key.
        key_file: PathBuf,
    },
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// The state folder.
    pub path: PathBuf,
    /// Bytes of a segment.
    pub segment_bytes_max: u64,
    /// Entries that wait to be written.
    pub queue_entries_max: usize,
    /// Milliseconds for an entry to become durable.
    pub write_timeout_ms: u64,
}

/// Limits, as the file gives them.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Milliseconds for a request body to arrive.
    pub body_timeout_ms: u64,
    /// Bytes of an answer of the CRM.
    pub answer_bytes: usize,
    /// Depth of JSON.
    pub json_depth: usize,
    /// Bytes of path and query.
    pub target_bytes: usize,
    /// Parameters of a query.
    pub query_parameters: usize,
    /// Records in one answer.
    pub records: usize,
    /// Records that one request may name.
    pub ids: usize,
    /// Records fetched on top of one answer.
    pub fetches: usize,
    /// Requests under way.
    pub requests: usize,
    /// Connections of callers.
    pub connections: usize,
    /// Verdicts kept.
    pub cached_verdicts: u64,
}
