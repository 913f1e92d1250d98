//! `[ledger.checkpoints]`: who signs for the ledger, and where the signatures go.

use std::path::{Path, PathBuf};

use http::Uri;

use super::client::{https_url, pair, refuse_in_the_clear};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::ledger::note::KeyName;
use crate::net::pair::PairFiles;

/// Who signs for the ledger, and where the signatures go.
#[derive(Clone, Debug)]
pub struct CheckpointsConfig {
    /// The log's name, under which it signs.
    pub origin: KeyName,
    /// The key that signs.
    pub key_file: PathBuf,
    /// The key before, which signs as well while people still trust only that one.
    pub previous_key_file: Option<PathBuf>,
    /// The folder that checkpoints are put into.
    pub folder: Option<PathBuf>,
    /// Whether they are printed.
    pub stdout: bool,
    /// The endpoint that they are sent to.
    pub https: Option<CheckpointsHttpsConfig>,
    /// Milliseconds between two checkpoints of a ledger that grows.
    pub interval_ms: u64,
    /// Milliseconds between two of one that does not.
    pub idle_interval_ms: u64,
}

/// An endpoint that takes checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointsHttpsConfig {
    /// The whole URL.
    pub url: Uri,
    /// The file with the bearer token.
    pub token_file: Option<PathBuf>,
    /// Authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub pair: Option<PairFiles>,
    /// Milliseconds for one exchange.
    pub timeout_ms: u64,
    /// The longest wait after a failure, in milliseconds.
    pub retry_max_ms: u64,
}

impl CheckpointsConfig {
    /// Whether checkpoints leave the state folder.
    #[must_use]
    pub fn has_exports(&self) -> bool {
        self.folder.is_some() || self.stdout || self.https.is_some()
    }
}

/// Reads the section; `Some(None)` if it is there but wrong.
pub fn read(parent: &Table<'_>, folder: &Path) -> Option<Option<CheckpointsConfig>> {
    let settings = Settings::of(parent, &SECTION, folder)?;
    let origin = settings.text(&ORIGIN).and_then(|text| match KeyName::parse(&text.value) {
        Ok(origin) => Some(origin),
        Err(error) => {
            let help = "Write a name that no other ledger has, such as `crm.example.com/lockkeeper`.";
            settings.error(text.span.clone(), error.to_string(), help);
            None
        }
    });
    let key_file = settings.path(&KEY_FILE);
    let previous_key_file = settings.path(&PREVIOUS_KEY_FILE);
    let exported = settings.path(&FOLDER);
    let stdout = settings.boolean(&STDOUT);
    let https = Settings::of(settings.table(), &HTTPS, folder).and_then(|settings| read_https(&settings));
    let interval_ms = settings.integer(&INTERVAL_MS);
    let idle_interval_ms = settings.integer(&IDLE_INTERVAL_MS);
    if idle_interval_ms < interval_ms {
        let help = "A ledger that does not grow needs no more checkpoints than one that does.";
        settings.error(settings.span(), "`idle_interval_ms` is shorter than `interval_ms`", help);
    }
    settings.finish();
    Some(origin.zip(key_file).map(|(origin, key_file)| CheckpointsConfig {
        origin,
        key_file,
        previous_key_file,
        folder: exported,
        stdout,
        https,
        interval_ms,
        idle_interval_ms,
    }))
}

fn read_https(settings: &Settings<'_>) -> Option<CheckpointsHttpsConfig> {
    let url = settings.text(&URL).and_then(|url| https_url(settings, &url, "endpoint"));
    let token_file = settings.path(&TOKEN_FILE);
    let ca_file = settings.path(&CA_FILE);
    let pair = pair(settings, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE);
    if url.as_ref().is_some_and(|url| url.scheme_str() == Some("http")) {
        let for_tls = [&CA_FILE, &CLIENT_CERTIFICATE_FILE, &CLIENT_KEY_FILE];
        refuse_in_the_clear(
            settings,
            &for_tls,
            "the endpoint",
            "Write `https://` in `url`, or leave the key out.",
        );
    }
    let (timeout_ms, retry_max_ms) = (settings.integer(&TIMEOUT_MS), settings.integer(&RETRY_MAX_MS));
    settings.finish();
    Some(CheckpointsHttpsConfig { url: url?, token_file, ca_file, pair, timeout_ms, retry_max_ms })
}

/// The section.
pub const SECTION: Section = Section {
    name: "ledger.checkpoints",
    meaning: "Signed checkpoints: with them a ledger that somebody rewrote is told from one that nobody did. See \
              [ledger.md](ledger.md#checkpoints).\n\nA checkpoint proves something only where this host cannot change it: let `folder` be \
              a mount that the service may write to but not rewrite, send them to an endpoint, or collect what the service prints.",
    presence: Presence::Optional,
    keys: &[&ORIGIN, &KEY_FILE, &PREVIOUS_KEY_FILE, &FOLDER, &STDOUT, &INTERVAL_MS, &IDLE_INTERVAL_MS],
    inner: &["https"],
};
const ORIGIN: Key = Key::required(
    "origin",
    Kind::Text("required"),
    "Write a name that no other ledger has, such as `crm.example.com/lockkeeper`.",
    "the name of this ledger, under which it signs; it stays for good. No two instances may share one",
);
const KEY_FILE: Key = Key::required(
    "key_file",
    Kind::Path,
    "`lockkeeper audit keygen` makes one.",
    "the private Ed25519 key (PKCS#8 PEM) that signs, readable by its owner only",
);
const PREVIOUS_KEY_FILE: Key = Key::optional(
    "previous_key_file",
    Kind::Path,
    "the key before, which signs as well, so that whoever trusts only that one can follow to the new one",
);
const FOLDER: Key = Key::optional(
    "folder",
    Kind::Path,
    "an existing folder that checkpoints are put into: `checkpoint`, and a file of all for each day",
);
const STDOUT: Key = Key::optional(
    "stdout",
    Kind::Boolean(false),
    "whether each checkpoint is printed on standard output, as a line of JSON",
);
const INTERVAL_MS: Key =
    Key::integer("interval_ms", 1_000, 100, 3_600_000, "between two checkpoints of a ledger that grows");
const IDLE_INTERVAL_MS: Key = Key::integer(
    "idle_interval_ms",
    60_000,
    1_000,
    86_400_000,
    "after which the last checkpoint is exported again where the ledger does not grow: silence is told from an end",
);

/// The endpoint's section.
pub const HTTPS: Section = Section {
    name: "ledger.checkpoints.https",
    meaning: "An endpoint that each checkpoint is sent to by `POST`. See [ledger.md](ledger.md#checkpoints).\n\n```toml\n\
              [ledger.checkpoints.https]\nurl = \"https://log.example.com/lockkeeper\"\ntoken_file = \"log.token\"\n\
              ca_file = \"log-ca.pem\"\n```",
    presence: Presence::Optional,
    keys: &[
        &URL,
        &TOKEN_FILE,
        &CA_FILE,
        &CLIENT_CERTIFICATE_FILE,
        &CLIENT_KEY_FILE,
        &TIMEOUT_MS,
        &RETRY_MAX_MS,
    ],
    inner: &[],
};
const URL: Key = Key::required(
    "url",
    Kind::Text("required"),
    "Write `url = \"https://host/path\"`.",
    "where it is, without a secret and without a query; `http://` to loopback alone",
);
const TOKEN_FILE: Key = Key::optional(
    "token_file",
    Kind::Path,
    "file whose first line is the bearer token; read anew after each failure",
);
const CA_FILE: Key = Key::optional(
    "ca_file",
    Kind::Path,
    "PEM file with the authorities that its certificate must come from; the system's if absent. Read anew after each failure",
);
const CLIENT_CERTIFICATE_FILE: Key = Key::optional(
    "client_certificate_file",
    Kind::Path,
    "PEM file with our own certificate for it; read anew after each failure",
);
const CLIENT_KEY_FILE: Key = Key::optional(
    "client_key_file",
    Kind::Path,
    "PEM file with its private key; read anew after each failure",
);
const TIMEOUT_MS: Key =
    Key::integer("timeout_ms", 10_000, 10, 600_000, "for one exchange, connecting included");
const RETRY_MAX_MS: Key = Key::integer(
    "retry_max_ms",
    30_000,
    10,
    3_600_000,
    "the longest wait after failures; the first is at most 250 ms, and each further one doubles it",
);
