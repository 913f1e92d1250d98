//! The service's configuration, resolved: what the program needs, every value with its default. One file per section.

mod listen;
mod tls;
mod client;
mod http2;
mod admin;
mod upstream;
mod identity;
mod sources;
pub mod bundle;
mod ledger;
pub mod ledger_routes;
mod checkpoints;
mod retention;
pub mod sinks;
pub mod observe;
pub mod route_pattern;
mod limits;
mod browsers;
mod log;
mod telemetry;

use std::path::Path;
use std::sync::Arc;

use super::author::{Problems, SourceFile};
use super::reader::{Reading, Table};
use super::settings::Section;
use super::stated::Stated;

pub use admin::AdminConfig;
pub use browsers::BrowsersConfig;
pub use bundle::{BundleConfig, BundleOrigin, SigningConfig};
pub use checkpoints::{CheckpointsConfig, CheckpointsHttpsConfig};
pub use http2::Http2Config;
pub use identity::{
    Carrier, CertificateConfig, ClaimConfig, GatewayConfig, IdentityConfig, IntrospectionConfig, JwtConfig,
    KeyConfig, KeySetPlace, LevelConfig, NamedBy, Place, Shown, TypeConfig,
};
pub use ledger::LedgerConfig;
pub use limits::LimitsConfig;
pub use listen::{ListenConfig, ListenTimes};
pub use log::{LogConfig, LogFormat};
pub use retention::RetentionConfig;
pub use sources::DirectoryConfig;
pub use telemetry::TracesConfig;
pub use tls::ListenTlsConfig;
pub use upstream::UpstreamConfig;

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
    pub identity: IdentityConfig,
    /// The directory.
    pub directory: DirectoryConfig,
    /// The bundle.
    pub bundle: BundleConfig,
    /// Routes that are not enforced yet.
    pub observe: Vec<observe::ObserveGroup>,
    /// The ledger.
    pub ledger: LedgerConfig,
    /// What is believed of browsers.
    pub browsers: BrowsersConfig,
    /// Limits.
    pub limits: LimitsConfig,
    /// The operational log.
    pub log: LogConfig,
    /// Traces, if they are on.
    pub traces: Option<TracesConfig>,
    /// What the file states, by name.
    pub stated: Stated,
}

/// Reads a configuration; relative paths are taken from `folder`. `None` comes with at least one error.
pub fn read(source: &Arc<SourceFile>, folder: &Path, problems: &mut Problems) -> Option<ServiceConfig> {
    let reading = Reading::new(Arc::clone(source));
    let parsed = reading.parse(&source.text);
    let config = parsed.as_ref().and_then(|parsed| {
        let root = reading.table(parsed);
        let config = read_root(&root, folder, Stated::of(&source.text, SECTIONS));
        root.finish();
        config
    });
    let found = reading.into_problems();
    let failed = found.has_errors();
    problems.extend(found);
    config.filter(|_| !failed)
}

/// Every section is read before any is missed, so that all problems are found in one run.
fn read_root(root: &Table<'_>, folder: &Path, stated: Stated) -> Option<ServiceConfig> {
    let listen = listen::read(root, folder);
    let admin = admin::read(root, folder);
    let upstream = upstream::read(root, folder);
    let identity = identity::read(root, folder);
    let directory = sources::read_directory(root, folder);
    let bundle = bundle::read(root, folder);
    let observe = observe::read(root, folder);
    let ledger = ledger::read(root, folder);
    let limits = limits::read(root, folder).unwrap_or_default();
    let browsers = browsers::read(root, folder).unwrap_or_default();
    let log = log::read(root, folder).unwrap_or_default();
    let traces = telemetry::read(root, folder);
    Some(ServiceConfig {
        listen: listen?,
        admin,
        upstream: upstream?,
        identity: identity?,
        directory: directory?,
        bundle: bundle?,
        observe,
        ledger: ledger?,
        browsers,
        limits,
        log,
        traces,
        stated,
    })
}

/// Every section of the file, in the order of the reference.
pub const SECTIONS: &[&Section] = &[
    &listen::SECTION,
    &tls::SECTION,
    &http2::SECTION,
    &admin::SECTION,
    &upstream::SECTION,
    &identity::SECTION,
    &identity::keys::CRM_KEYS,
    &identity::keys::API_KEYS,
    &identity::jwt::SECTION,
    &identity::jwt::PRINCIPAL,
    &identity::jwt::ACTOR,
    &identity::jwt::ON_BEHALF_OF,
    &identity::jwt::AUTH_LEVEL,
    &identity::certificate::SECTION,
    &identity::gateway::SECTION,
    &identity::introspection::SECTION,
    &sources::DIRECTORY,
    &bundle::SECTION,
    &bundle::SIGNING,
    &observe::SECTION,
    &ledger::SECTION,
    &ledger_routes::SECTION,
    &checkpoints::SECTION,
    &checkpoints::HTTPS,
    &retention::SECTION,
    &sinks::SECTION,
    &browsers::SECTION,
    &limits::SECTION,
    &log::SECTION,
    &telemetry::SECTION,
    &telemetry::TRACES,
];

#[cfg(test)]
mod tests;
