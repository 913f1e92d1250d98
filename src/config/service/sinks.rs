//! `[[ledger.sinks]]`: copies of the ledger elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::Uri;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::client::{https_url, pair, refuse_in_the_clear, refuse_url};
use crate::config::reader::Text;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::net::pair::PairFiles;
use crate::net::remote::is_loopback;

/// A copy of the ledger.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// What it is called in metrics, status and the ledger.
    pub name: String,
    /// Where it is.
    pub place: SinkPlace,
    /// Whether nothing is removed from the ledger before it has it.
    pub is_required: bool,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub pair: Option<PairFiles>,
    /// Milliseconds for one exchange.
    pub timeout_ms: u64,
    /// Entries of a batch.
    pub batch_entries_max: usize,
    /// Bytes of a batch.
    pub batch_bytes_max: usize,
    /// The longest wait after a failure, in milliseconds.
    pub retry_max_ms: u64,
}

/// Where a copy is.
#[derive(Clone, Debug)]
pub enum SinkPlace {
    /// A PostgreSQL database.
    Postgres {
        /// Hosts, ports, database and user; never a password.
        config: Box<Config>,
        /// The file with the user's password.
        password_file: Option<PathBuf>,
        /// Whether connections are protected.
        is_protected: bool,
    },
    /// Something that takes NDJSON by HTTPS.
    Https {
        /// The whole URL.
        url: Uri,
        /// The file with the bearer token.
        token_file: Option<PathBuf>,
    },
}

impl SinkPlace {
    /// Its kind, as the configuration spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Https { .. } => "https",
        }
    }
}

/// Reads every sink of the ledger's section.
pub fn read(ledger: &Settings<'_>) -> Vec<SinkConfig> {
    let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
    let all = Settings::all(ledger.table(), &SECTION, ledger.folder());
    let read = |settings: &Settings<'_>| {
        let sink = read_sink(settings, &mut names)?;
        let url = settings.text(&URL)?;
        if !urls.insert(url.value.clone()) {
            let help = "Name each place once: two sinks would move one cursor.";
            refuse_url(settings, &url, "two sinks go to the same `url`", help);
            return None;
        }
        Some(sink)
    };
    all.iter().filter_map(read).collect()
}

fn read_sink(settings: &Settings<'_>, names: &mut BTreeSet<String>) -> Option<SinkConfig> {
    let name = settings.text(&NAME).and_then(|name| read_name(settings, name, names));
    let place = read_place(settings);
    let ca_file = settings.path(&CA_FILE);
    let pair = pair(settings, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE);
    let is_plain = match &place {
        Some(SinkPlace::Postgres { is_protected, .. }) => !is_protected,
        Some(SinkPlace::Https { url, .. }) => url.scheme_str() == Some("http"),
        None => false,
    };
    if is_plain {
        let for_tls = [&CA_FILE, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE];
        refuse_in_the_clear(
            settings,
            &for_tls,
            "the sink",
            "Leave it out, or have the connection protected.",
        );
    }
    let is_required = settings.boolean(&REQUIRED);
    let (timeout_ms, retry_max_ms) = (settings.integer(&TIMEOUT_MS), settings.integer(&RETRY_MAX_MS));
    let (batch_entries_max, batch_bytes_max) = (settings.size(&BATCH_ENTRIES), settings.size(&BATCH_BYTES));
    settings.finish();
    let (name, place) = (name?, place?);
    Some(SinkConfig {
        name,
        place,
        is_required,
        ca_file,
        pair,
        timeout_ms,
        batch_entries_max,
        batch_bytes_max,
        retry_max_ms,
    })
}

/// A name is a label of metrics and the name of a file.
fn read_name(settings: &Settings<'_>, name: Text, names: &mut BTreeSet<String>) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.value.is_empty() || name.value.len() > NAME_BYTES_MAX || !name.value.bytes().all(fits) {
        let message = format!("`{}` cannot be the name of a sink", name.value);
        let help = "Write at most 40 lower-case letters, digits and `-`, e.g. `audit-store`.";
        settings.error(name.span, message, help);
        return None;
    }
    if !names.insert(name.value.clone()) {
        let message = format!("two sinks are called `{}`", name.value);
        settings.error(name.span, message, "Each sink has a name of its own.");
        return None;
    }
    Some(name.value)
}

fn read_place(settings: &Settings<'_>) -> Option<SinkPlace> {
    let (kind, url) = (settings.choice(&KIND), settings.text(&URL));
    let (password_file, token_file) = (settings.path(&PASSWORD_FILE), settings.path(&TOKEN_FILE));
    let protection = settings.choice(&PROTECTION);
    let foreign: &[&Key] = if kind == "https" { &[&PASSWORD_FILE, &PROTECTION] } else { &[&TOKEN_FILE] };
    for key in foreign.iter().filter(|key| settings.has(key)) {
        let message = format!("`{}` has no effect on a sink of kind `{kind}`", key.name);
        settings.error(settings.span(), message, "Leave it out.");
    }
    let url = url?;
    if kind == "https" {
        return Some(SinkPlace::Https { url: https_url(settings, &url, "sink")?, token_file });
    }
    let config = postgres_url(settings, &url)?;
    let is_near = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(host) => is_loopback(host),
        Host::Unix(_) => true,
    });
    let is_protected = match protection {
        "always" => true,
        "never" => false,
        _ => !is_near,
    };
    Some(SinkPlace::Postgres { config: Box::new(config), password_file, is_protected })
}

fn postgres_url(settings: &Settings<'_>, url: &Text) -> Option<Config> {
    let help = "Write `url = \"postgres://user@host:5432/database\"`, or `postgres://user@%2Frun%2Fpostgresql/database` \
                for a socket; the password comes by `password_file`.";
    let refused = |message: &str| {
        refuse_url(settings, url, message, help);
        None
    };
    let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.value.starts_with(scheme));
    if !is_ours || url.value.contains(['?', '#']) {
        return refused("the sink's `url` is not a `postgres://` URL without a query");
    }
    let Ok(config) = url.value.parse::<Config>() else {
        return refused("the sink's `url` cannot be read");
    };
    if config.get_password().is_some() {
        return refused("a URL here has no password");
    }
    if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().is_empty() {
        return refused("the sink's `url` names no user, no host or no database");
    }
    Some(config)
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.sinks",
    meaning: "Copies of the ledger elsewhere. A sink that is down costs no request anything and loses no entry. See \
              [sinks.md](sinks.md).",
    presence: Presence::Repeated,
    keys: &[
        &NAME,
        &KIND,
        &URL,
        &REQUIRED,
        &PASSWORD_FILE,
        &TOKEN_FILE,
        &PROTECTION,
        &CA_FILE,
        &CLIENT_CERTIFICATE_FILE,
        &CLIENT_KEY_FILE,
        &TIMEOUT_MS,
        &BATCH_ENTRIES,
        &BATCH_BYTES,
        &RETRY_MAX_MS,
    ],
    inner: &[],
};
const NAME: Key = Key::required(
    "name",
    Kind::Text("required"),
    "Write `name = \"store\"`.",
    "what it is called in metrics, status and the ledger: lower-case letters, digits and `-`",
);
const KIND: Key = Key::required(
    "kind",
    Kind::Choice(&["postgres", "https"]),
    "Write `kind = \"postgres\"` or `kind = \"https\"`.",
    "a PostgreSQL database, or something that takes NDJSON by HTTPS",
);
const URL: Key = Key::required(
    "url",
    Kind::Text("required"),
    "Write `url = \"postgres://user@host:5432/database\"` or `url = \"https://host/path\"`.",
    "where it is, without a secret and without a query; several hosts of a database with a comma; `http://` to loopback alone",
);
const REQUIRED: Key = Key::optional(
    "required",
    Kind::Boolean(true),
    "whether [`[ledger.retention]`](#ledgerretention) removes nothing before the sink has it",
);
const PASSWORD_FILE: Key = Key::optional(
    "password_file",
    Kind::Path,
    "file whose first line is the database user's password; read anew for each connection",
);
const TOKEN_FILE: Key = Key::optional(
    "token_file",
    Kind::Path,
    "file whose first line is the bearer token for `https`; read anew after each failure",
);
const PROTECTION: Key = Key::optional(
    "tls",
    Kind::Choice(&["auto", "always", "never"]),
    "whether connections to a database are protected; `auto`: unless all hosts are loopback addresses or sockets",
);
const CA_FILE: Key = Key::optional(
    "ca_file",
    Kind::Path,
    "PEM file with the authorities that its certificate must come from; the system's if absent",
);
const CLIENT_CERTIFICATE_FILE: Key =
    Key::optional("client_certificate_file", Kind::Path, "PEM file with our own certificate for it");
const CLIENT_KEY_FILE: Key = Key::optional("client_key_file", Kind::Path, "PEM file with its private key");
const TIMEOUT_MS: Key =
    Key::integer("timeout_ms", 10_000, 10, 600_000, "for one exchange: connecting, or one batch");
const BATCH_ENTRIES: Key = Key::integer("batch_entries", 1_000, 1, 10_000, "of one batch");
const BATCH_BYTES: Key = Key::integer(
    "batch_bytes",
    1 << 20,
    1 << 10,
    64 << 20,
    "of one batch; a single larger entry is a batch of its own",
);
const RETRY_MAX_MS: Key = Key::integer(
    "retry_max_ms",
    30_000,
    10,
    3_600_000,
    "the longest wait after failures; the first is 250 ms, and each further one doubles it",
);

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 40;

#[cfg(test)]
mod tests;
