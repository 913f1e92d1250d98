//! `[listen]`: where callers connect, whom to believe, and how long they may take.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::net::network::Networks;
use crate::net::proxy_header::ProxyProtocol;
use crate::net::socket::ListenAddress;

use super::http2::{self, Http2Config};
use super::tls::{self, ListenTlsConfig};

/// Where callers connect.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// The address for callers.
    pub address: ListenAddress,
    /// The address for `/livez` and `/readyz`, if there is one.
    pub health_address: Option<SocketAddr>,
    /// TLS; in the clear without it.
    pub tls: Option<ListenTlsConfig>,
    /// HTTP/2.
    pub http2: Http2Config,
    /// Whether connections in the clear may speak HTTP/2 from the first byte.
    pub h2c: bool,
    /// The values of `Host` that are served, in lower case; all if empty.
    pub hosts: Vec<String>,
    /// Whose word on the caller's address is taken.
    pub trusted_proxies: Networks,
    /// Whether whoever may open the unix socket is believed too.
    pub trusts_unix: bool,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Time limits.
    pub times: ListenTimes,
    /// Exchanges after which a connection is asked to end.
    pub connection_requests: Option<u64>,
}

/// How long callers may take for what, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ListenTimes {
    /// PROXY header and TLS handshake together.
    pub handshake_ms: u64,
    /// A request's head.
    pub head_ms: u64,
    /// Between two requests.
    pub idle_ms: u64,
    /// Without a byte of an answer being taken.
    pub write_ms: u64,
    /// The age at which a connection is asked to end.
    pub connection_age_ms: Option<u64>,
    /// From the word to end until the listener closes.
    pub drain_delay_ms: u64,
    /// Open exchanges, when the service ends.
    pub drain_ms: u64,
}

/// Reads the section.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<ListenConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let address = read_address(&settings);
    let tls = tls::read(settings.table(), folder);
    let config = |address| ListenConfig {
        address,
        health_address: settings.address(&HEALTH_ADDRESS),
        tls: tls.flatten(),
        http2: http2::read(settings.table(), folder).unwrap_or_default(),
        h2c: settings.boolean(&H2C),
        hosts: settings.texts(&HOSTS).into_iter().map(|host| host.value.to_ascii_lowercase()).collect(),
        trusted_proxies: Networks(read_networks(&settings)),
        trusts_unix: settings.texts(&TRUSTED_PROXIES).iter().any(|text| text.value == UNIX),
        proxy_protocol: match settings.choice(&PROXY_PROTOCOL) {
            "v1" => ProxyProtocol::V1,
            "v2" => ProxyProtocol::V2,
            "any" => ProxyProtocol::Any,
            _ => ProxyProtocol::Off,
        },
        times: read_times(&settings),
        connection_requests: settings.number(&CONNECTION_REQUESTS),
    };
    let unspecified = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config = config(address.clone().unwrap_or(unspecified));
    check(&settings, &config);
    settings.finish();
    address.map(|_| config)
}

fn read_times(settings: &Settings<'_>) -> ListenTimes {
    ListenTimes {
        handshake_ms: settings.integer(&HANDSHAKE_TIMEOUT_MS),
        head_ms: settings.integer(&HEAD_TIMEOUT_MS),
        idle_ms: settings.integer(&IDLE_TIMEOUT_MS),
        write_ms: settings.integer(&WRITE_TIMEOUT_MS),
        connection_age_ms: settings.number(&CONNECTION_AGE_MS),
        drain_delay_ms: settings.integer(&DRAIN_DELAY_MS),
        drain_ms: settings.integer(&DRAIN_TIMEOUT_MS),
    }
}

fn read_address(settings: &Settings<'_>) -> Option<ListenAddress> {
    let text = settings.text(&ADDRESS);
    let mode = read_mode(settings, text.as_ref());
    let text = text?;
    if let Some(path) = text.value.strip_prefix("unix:") {
        if path.is_empty() {
            settings.error(
                text.span,
                "the unix socket has no path",
                "Write `unix:/run/lockkeeper/http.sock`.",
            );
            return None;
        }
        return Some(ListenAddress::Unix { path: settings.folder().join(path), mode: mode? });
    }
    let parsed = text.value.parse().ok().map(ListenAddress::Tcp);
    if parsed.is_none() {
        let help = "Write an address and a port, e.g. `127.0.0.1:8080`, or `unix:/run/lockkeeper/http.sock`.";
        settings.error(text.span, format!("`{}` is not an address", text.value), help);
    }
    parsed
}

fn read_mode(settings: &Settings<'_>, address: Option<&Text>) -> Option<u32> {
    let Some(text) = settings.text(&SOCKET_MODE) else { return Some(SOCKET_MODE_DEFAULT) };
    if address.is_some_and(|address| !address.value.starts_with("unix:")) {
        settings.error(
            text.span,
            "`socket_mode` is for unix sockets",
            "Leave it out, or listen on `unix:…`.",
        );
        return None;
    }
    let mode = u32::from_str_radix(&text.value, 8).ok().filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        let help = "Write it in octal, e.g. `\"0660\"`.";
        settings.error(text.span, format!("`{}` is not the mode of a file", text.value), help);
    }
    mode
}

fn read_networks(settings: &Settings<'_>) -> Vec<crate::net::network::Network> {
    let read = |text: Text| {
        let parsed = text.value.parse();
        if let Err(error) = &parsed {
            let help = "Write an address or a prefix, e.g. `10.0.0.0/8`.";
            settings.error(text.span, format!("`{}` is not a network: {error}", text.value), help);
        }
        parsed.ok()
    };
    let texts = settings.texts(&TRUSTED_PROXIES).into_iter();
    texts.filter(|text| text.value != UNIX).filter_map(read).collect()
}

fn check(settings: &Settings<'_>, config: &ListenConfig) {
    if config.proxy_protocol != ProxyProtocol::Off && !settings.has(&TRUSTED_PROXIES) {
        let help = "Name the load balancers in `trusted_proxies`, e.g. `[\"10.0.0.0/8\"]`.";
        settings.error(settings.span(), "`proxy_protocol` is on and nobody may send it", help);
    }
    if config.h2c && config.tls.is_some() {
        let help = "Leave it out: over TLS, HTTP/2 is agreed on in the handshake.";
        settings.error(settings.span(), "`h2c` is for connections in the clear", help);
    }
}

/// The section.
pub const SECTION: Section = Section {
    name: "listen",
    meaning: "Where callers connect. See [network.md](network.md) for what is closed when.",
    presence: Presence::Required,
    keys: &[
        &ADDRESS,
        &SOCKET_MODE,
        &HEALTH_ADDRESS,
        &H2C,
        &HOSTS,
        &TRUSTED_PROXIES,
        &PROXY_PROTOCOL,
        &HANDSHAKE_TIMEOUT_MS,
        &HEAD_TIMEOUT_MS,
        &IDLE_TIMEOUT_MS,
        &WRITE_TIMEOUT_MS,
        &CONNECTION_REQUESTS,
        &CONNECTION_AGE_MS,
        &DRAIN_DELAY_MS,
        &DRAIN_TIMEOUT_MS,
    ],
    inner: &["tls", "http2"],
};
const ADDRESS: Key = Key::required(
    "address",
    Kind::Text("required"),
    "Write `address = \"127.0.0.1:8080\"`.",
    "where callers connect: `ADDRESS:PORT`, where port 0 takes a free one, or `unix:PATH`",
);
const SOCKET_MODE: Key =
    Key::optional("socket_mode", Kind::Text("`0660`"), "the mode of a unix socket's file, in octal");
const SOCKET_MODE_DEFAULT: u32 = 0o660;
const HEALTH_ADDRESS: Key = Key::optional(
    "health_address",
    Kind::Address,
    "where `/livez` and `/readyz` are asked, without authentication",
);
const H2C: Key = Key::optional(
    "h2c",
    Kind::Boolean(false),
    "whether connections in the clear may speak HTTP/2 from the first byte",
);
const HOSTS: Key = Key::optional(
    "hosts",
    Kind::Texts,
    "the values of `Host` that are served, with or without a port; all if absent",
);
const TRUSTED_PROXIES: Key = Key::optional(
    "trusted_proxies",
    Kind::Texts,
    "networks, or `unix` for whoever may open the unix socket, whose `X-Forwarded-For`, `X-Forwarded-Proto` and PROXY header are believed",
);
const UNIX: &str = "unix";
const PROXY_PROTOCOL: Key = Key::optional(
    "proxy_protocol",
    Kind::Choice(&["off", "v1", "v2", "any"]),
    "the PROXY header that every connection must begin with",
);
const HANDSHAKE_TIMEOUT_MS: Key =
    Key::integer("handshake_timeout_ms", 10_000, 10, 600_000, "for PROXY header and TLS handshake together");
const HEAD_TIMEOUT_MS: Key =
    Key::integer("head_timeout_ms", 10_000, 100, 600_000, "for a request's head to arrive");
const IDLE_TIMEOUT_MS: Key =
    Key::integer("idle_timeout_ms", 60_000, 100, 3_600_000, "between two requests of one connection");
const WRITE_TIMEOUT_MS: Key = Key::integer(
    "write_timeout_ms",
    30_000,
    100,
    3_600_000,
    "without a byte of an answer being taken by its caller",
);
const CONNECTION_REQUESTS: Key = Key::optional(
    "connection_requests",
    Kind::Integer { min: 1, max: 1 << 40, default: None },
    "requests after which a connection is asked to end",
);
const CONNECTION_AGE_MS: Key = Key::optional(
    "connection_age_ms",
    Kind::Integer { min: 100, max: 1 << 40, default: None },
    "age at which a connection is asked to end",
);
const DRAIN_DELAY_MS: Key = Key::integer(
    "drain_delay_ms",
    0,
    0,
    600_000,
    "from the word to end, when readiness turns red, until the listener closes",
);
const DRAIN_TIMEOUT_MS: Key =
    Key::integer("drain_timeout_ms", 10_000, 0, 600_000, "that open exchanges get when the service ends");
