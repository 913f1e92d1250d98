//! `[upstream]`: the CRM.

use std::path::Path;

use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

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

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<UpstreamConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let parts = settings.text(&URL).and_then(|url| read_url(&settings, &url));
    let config = |(origin, base_path)| UpstreamConfig {
        origin,
        base_path,
        host: settings.text(&HOST).map(|text| text.value),
        connect_timeout_ms: settings.integer(&CONNECT_TIMEOUT_MS),
        answer_timeout_ms: settings.integer(&ANSWER_TIMEOUT_MS),
        idle_connections_max: settings.size(&IDLE_CONNECTIONS),
        idle_timeout_ms: settings.integer(&IDLE_TIMEOUT_MS),
    };
    let is_whole = parts.is_some();
    let config = config(parts.unwrap_or_default());
    settings.finish();
    is_whole.then_some(config)
}

fn read_url(settings: &Settings<'_>, url: &Text) -> Option<(String, String)> {
    let error = |message: String, help: &str| {
        settings.error(url.span.clone(), message, help);
        None
    };
    let Ok(uri) = url.value.parse::<http::Uri>() else {
        return error(format!("`{}` is not a URL", url.value), "Write `http://host:port`.");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return error(format!("`{}` has no scheme or host", url.value), "Write `http://host:port`.");
    };
    if scheme != "http" {
        let help = "TLS towards the CRM is not in this version; put both on one host or a private network.";
        return error(format!("the scheme `{scheme}` is not supported"), help);
    }
    if authority.as_str().contains('@') || uri.query().is_some() {
        let help = "Keys come from files under `[identity]`.";
        return error("a URL here has no credentials and no query".to_owned(), help);
    }
    Some((format!("{scheme}://{authority}"), uri.path().trim_end_matches('/').to_owned()))
}

/// The section.
pub const SECTION: Section = Section {
    name: "upstream",
    meaning: "The CRM. It is told `X-Forwarded-For`, `-Proto` and `-Host`; the caller's own are never believed.",
    presence: Presence::Required,
    keys: &[&URL, &HOST, &CONNECT_TIMEOUT_MS, &ANSWER_TIMEOUT_MS, &IDLE_CONNECTIONS, &IDLE_TIMEOUT_MS],
    inner: &[],
};
const URL: Key = Key::required(
    "url",
    Kind::Text("required"),
    "Write `url = \"http://127.0.0.1:8000\"`, where the CRM listens.",
    "where the CRM is: `http://host:port`, and a path before all paths of the profile; no credentials, no query",
);
const HOST: Key =
    Key::optional("host", Kind::Text("that of `url`"), "the `Host` header that the CRM is sent");
const CONNECT_TIMEOUT_MS: Key = Key::integer("connect_timeout_ms", 2_000, 1, 600_000, "to connect");
const ANSWER_TIMEOUT_MS: Key =
    Key::integer("answer_timeout_ms", 30_000, 1, 3_600_000, "from the request to the end of the answer");
const IDLE_CONNECTIONS: Key =
    Key::integer("idle_connections", 64, 1, 10_000, "idle connections that are kept");
const IDLE_TIMEOUT_MS: Key =
    Key::integer("idle_timeout_ms", 30_000, 1, 3_600_000, "that an idle connection is kept");
