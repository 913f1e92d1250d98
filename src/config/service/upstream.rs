//! `[upstream]`: the CRM.

use std::path::{Path, PathBuf};

use rustls_pki_types::ServerName;

use super::client::{pair, refuse_in_the_clear};
use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::net::connector::Target;
use crate::net::pair::PairFiles;

/// The CRM.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// As configured, without a path: `https://host:port` or `unix:/path`.
    pub origin: String,
    /// Where connections go.
    pub target: Target,
    /// A path before all paths of the profile.
    pub base_path: String,
    /// The `Host` header, if not the origin's.
    pub host: Option<String>,
    /// TLS; in the clear without it.
    pub tls: Option<UpstreamTlsConfig>,
    /// Time limits.
    pub times: UpstreamTimes,
    /// Connections at once.
    pub connections_max: usize,
    /// Idle connections kept.
    pub idle_connections_max: usize,
}

/// TLS towards the CRM.
#[derive(Clone, Debug)]
pub struct UpstreamTlsConfig {
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub pair: Option<PairFiles>,
    /// Who is expected there.
    pub server_name: ServerName<'static>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// How long the CRM may take for what, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTimes {
    /// To wait for a free connection.
    pub connection_wait_ms: u64,
    /// To connect, TLS handshake included.
    pub connect_ms: u64,
    /// From the request to the head of the answer.
    pub head_ms: u64,
    /// Between two parts of the answer's body.
    pub body_idle_ms: u64,
    /// For the whole.
    pub answer_ms: u64,
    /// That an idle connection is kept.
    pub idle_ms: u64,
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<UpstreamConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let place = settings.text(&URL).and_then(|url| read_url(&settings, &url));
    let host = read_host(&settings);
    let tls = read_tls(&settings, place.as_ref());
    let config = |place: Place| UpstreamConfig {
        origin: place.origin,
        target: place.target,
        base_path: place.base_path,
        host,
        tls,
        times: read_times(&settings),
        connections_max: settings.size(&CONNECTIONS),
        idle_connections_max: settings.size(&IDLE_CONNECTIONS),
    };
    let is_whole = place.is_some();
    let config = config(place.unwrap_or_default());
    settings.finish();
    is_whole.then_some(config)
}

struct Place {
    origin: String,
    target: Target,
    base_path: String,
    host: Option<String>,
}

impl Default for Place {
    fn default() -> Self {
        let target = Target::Address(http::Uri::default());
        Self { origin: String::new(), target, base_path: String::new(), host: None }
    }
}

fn read_times(settings: &Settings<'_>) -> UpstreamTimes {
    UpstreamTimes {
        connection_wait_ms: settings.integer(&CONNECTION_WAIT_MS),
        connect_ms: settings.integer(&CONNECT_TIMEOUT_MS),
        head_ms: settings.integer(&HEAD_TIMEOUT_MS),
        body_idle_ms: settings.integer(&BODY_IDLE_TIMEOUT_MS),
        answer_ms: settings.integer(&ANSWER_TIMEOUT_MS),
        idle_ms: settings.integer(&IDLE_TIMEOUT_MS),
    }
}

fn read_url(settings: &Settings<'_>, url: &Text) -> Option<Place> {
    let error = |message: String, help: &str| {
        settings.error(url.span.clone(), message, help);
        None
    };
    if let Some(path) = url.value.strip_prefix("unix:") {
        let target = Target::Unix(settings.folder().join(path));
        return Some(Place { origin: url.value.clone(), target, ..Place::default() });
    }
    let Ok(uri) = url.value.parse::<http::Uri>() else {
        return error(format!("`{}` is not a URL", url.value), "Write `https://host:port`.");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return error(format!("`{}` has no scheme or host", url.value), "Write `https://host:port`.");
    };
    if scheme != "http" && scheme != "https" {
        let help = "Write `https://host:port`, `http://host:port` or `unix:PATH`.";
        return error(format!("the scheme `{scheme}` is not supported"), help);
    }
    if authority.as_str().contains('@') || uri.query().is_some() {
        let help = "Keys come from files under `[identity]`.";
        return error("a URL here has no credentials and no query".to_owned(), help);
    }
    let origin = format!("{scheme}://{authority}");
    let Ok(target) = origin.parse::<http::Uri>() else {
        return error(format!("`{}` is not a URL", url.value), "Write `https://host:port`.");
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let base_path = uri.path().trim_end_matches('/').to_owned();
    Some(Place { origin, target: Target::Address(target), base_path, host: Some(host) })
}

fn read_host(settings: &Settings<'_>) -> Option<String> {
    let text = settings.text(&HOST)?;
    let is_authority = text.value.parse::<http::uri::Authority>().is_ok_and(|_| !text.value.contains('@'));
    if !is_authority {
        let help = "Write a name and, if it is not the usual one, a port: `crm.example:8443`.";
        settings.error(text.span, format!("`{}` cannot be a `Host`", text.value), help);
        return None;
    }
    Some(text.value)
}

/// TLS follows the scheme; keys that are for TLS alone are errors without it.
fn read_tls(settings: &Settings<'_>, place: Option<&Place>) -> Option<UpstreamTlsConfig> {
    let pair = pair(settings, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE);
    let (ca_file, named) = (settings.path(&CA_FILE), settings.text(&SERVER_NAME));
    let http2 = settings.choice(&HTTP2) == "auto";
    let place = place?;
    if !place.origin.starts_with("https:") {
        let for_tls = [&CA_FILE, &SERVER_NAME, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE, &HTTP2];
        let help = "Write `https://` in `url`, or leave the key out.";
        refuse_in_the_clear(settings, &for_tls, "the CRM", help);
        return None;
    }
    let name = named.as_ref().map(|text| text.value.clone()).or(place.host.clone()).unwrap_or_default();
    let Ok(server_name) = ServerName::try_from(name.clone()) else {
        let span = named.map_or(settings.span(), |text| text.span);
        settings.error(
            span,
            format!("`{name}` is no name of a server"),
            "Write a DNS name or an IP address.",
        );
        return None;
    };
    Some(UpstreamTlsConfig { ca_file, pair, server_name, http2 })
}

/// The section.
pub const SECTION: Section = Section {
    name: "upstream",
    meaning: "The CRM. It is told `X-Forwarded-For` and `-Proto`, and `-Host` where `listen.hosts` lists it; they are always ours. Its certificate is \
              always verified. Certificate files are looked at again every `bundle.reload_poll_ms`.",
    presence: Presence::Required,
    keys: &[
        &URL,
        &HOST,
        &CA_FILE,
        &SERVER_NAME,
        &CLIENT_CERTIFICATE_FILE,
        &CLIENT_KEY_FILE,
        &HTTP2,
        &CONNECTIONS,
        &CONNECTION_WAIT_MS,
        &CONNECT_TIMEOUT_MS,
        &HEAD_TIMEOUT_MS,
        &BODY_IDLE_TIMEOUT_MS,
        &ANSWER_TIMEOUT_MS,
        &IDLE_CONNECTIONS,
        &IDLE_TIMEOUT_MS,
    ],
    inner: &[],
};
const URL: Key = Key::required(
    "url",
    Kind::Text("required"),
    "Write `url = \"http://127.0.0.1:8000\"`, where the CRM listens.",
    "where the CRM is: `https://host:port` or `http://host:port`, and a path before all paths of the profile; or `unix:PATH`; no credentials, no query",
);
const HOST: Key =
    Key::optional("host", Kind::Text("that of `url`"), "the `Host` header that the CRM is sent");
const CA_FILE: Key = Key::optional(
    "ca_file",
    Kind::Path,
    "PEM file with the authorities that the CRM's certificate must come from; the system's if absent",
);
const SERVER_NAME: Key = Key::optional(
    "server_name",
    Kind::Text("the host of `url`"),
    "the name that the CRM's certificate must have",
);
const CLIENT_CERTIFICATE_FILE: Key =
    Key::optional("client_certificate_file", Kind::Path, "PEM file with our own certificate for the CRM");
const CLIENT_KEY_FILE: Key = Key::optional("client_key_file", Kind::Path, "PEM file with its private key");
const HTTP2: Key =
    Key::optional("http2", Kind::Choice(&["auto", "never"]), "whether HTTP/2 is offered to the CRM");
const CONNECTIONS: Key = Key::integer("connections", 256, 1, 10_000, "connections to the CRM at once");
const CONNECTION_WAIT_MS: Key =
    Key::integer("connection_wait_ms", 5_000, 1, 600_000, "to wait for a free connection");
const CONNECT_TIMEOUT_MS: Key =
    Key::integer("connect_timeout_ms", 2_000, 1, 600_000, "to connect, TLS handshake included");
const HEAD_TIMEOUT_MS: Key = Key::integer(
    "head_timeout_ms",
    30_000,
    1,
    3_600_000,
    "from the request to the head of the answer, waiting and connecting included",
);
const BODY_IDLE_TIMEOUT_MS: Key =
    Key::integer("body_idle_timeout_ms", 10_000, 1, 3_600_000, "between two parts of the answer's body");
const ANSWER_TIMEOUT_MS: Key =
    Key::integer("answer_timeout_ms", 30_000, 1, 3_600_000, "from the request to the end of the answer");
const IDLE_CONNECTIONS: Key =
    Key::integer("idle_connections", 64, 1, 10_000, "idle connections that are kept");
const IDLE_TIMEOUT_MS: Key =
    Key::integer("idle_timeout_ms", 30_000, 1, 3_600_000, "that an idle connection is kept");
