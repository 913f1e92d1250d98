//! `[bundle]` and `[bundle.signing]`: where policies come from, and whose signatures count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::bundle::archive::trust::{Revoked, Strictness};
use crate::config::reader::{Table, Text};
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::model::keys::{self, KeyError, KeyId, PublicKey, TrustedKeys};
use crate::net::remote::{DocumentUrl, RemoteOptions};

/// The bundle.
#[derive(Clone, Debug)]
pub struct BundleConfig {
    /// Where it comes from.
    pub origin: BundleOrigin,
    /// Milliseconds between looks at bundle, directory and keys; 0 for never.
    pub reload_poll_ms: u64,
    /// Bytes of an archive.
    pub archive_bytes_max: usize,
    /// Whose signatures count; absent where nobody looks at signatures.
    pub signing: Option<SigningConfig>,
}

/// Where a bundle comes from.
#[derive(Clone, Debug)]
pub enum BundleOrigin {
    /// A folder with a bundle's files, an archive, or a folder that receives archives.
    Path(PathBuf),
    /// An archive that is fetched now and then.
    Url {
        /// Where it is and what it may cost.
        remote: RemoteOptions,
        /// Milliseconds between fetches.
        poll_ms: u64,
    },
}

/// Whose signatures count.
#[derive(Clone, Debug)]
pub struct SigningConfig {
    /// Whether signatures are required.
    pub strictness: Strictness,
    /// Keys of the configuration itself.
    pub keys: TrustedKeys,
    /// A file with further keys.
    pub keys_file: Option<PathBuf>,
    /// How many of them must have signed.
    pub signatures_min: usize,
    /// What the configuration itself calls back.
    pub revoked: Revoked,
    /// A file with more that is called back.
    pub revoked_file: Option<PathBuf>,
    /// Milliseconds for which a bundle serves beyond its expiry.
    pub grace_ms: i64,
}

/// Reads `[bundle]`.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<BundleConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let archive_bytes_max = settings.size(&ARCHIVE_BYTES);
    let origin = read_origin(&settings, archive_bytes_max);
    let reload_poll_ms = settings.integer(&RELOAD_POLL_MS);
    let signing = Settings::of(settings.table(), &SIGNING, folder).map(|signing| read_signing(&signing));
    settings.finish();
    Some(BundleConfig { origin: origin?, reload_poll_ms, archive_bytes_max, signing })
}

fn read_origin(settings: &Settings<'_>, bytes_max: usize) -> Option<BundleOrigin> {
    let ca_file = settings.path(&CA_FILE);
    let (timeout_ms, poll_ms) = (settings.integer(&FETCH_TIMEOUT_MS), settings.integer(&FETCH_POLL_MS));
    let help =
        "Write `path` for a folder or an archive on this machine, or `url` for an archive that is fetched.";
    let url = match (settings.has(&PATH), settings.text(&URL)) {
        (true, None) => return settings.path(&PATH).map(BundleOrigin::Path),
        (false, Some(url)) => url,
        (true, Some(url)) => {
            settings.error(url.span, "`path` and `url` exclude each other", help);
            return None;
        }
        (false, None) => {
            settings.error(settings.span(), "`path` is missing", help);
            return None;
        }
    };
    let parsed = match DocumentUrl::parse(&url.value) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Shown with its line, the query would be in the journal.
            let span = if url.value.contains(['?', '@']) { settings.span() } else { url.span };
            settings.error(span, error.to_string(), "Write `url = \"https://…/crm.lkb\"`.");
            return None;
        }
    };
    let remote = RemoteOptions { url: parsed, ca_file, timeout_ms, bytes_max };
    Some(BundleOrigin::Url { remote, poll_ms })
}

fn read_signing(settings: &Settings<'_>) -> SigningConfig {
    let strictness = if settings.boolean(&REQUIRED) { Strictness::Required } else { Strictness::Advised };
    let public = |text: &str| PublicKey::parse(text).map(|key| (key.id(), key));
    let keys: TrustedKeys = read_list(settings, &TRUSTED_KEYS, public).into_iter().collect();
    let keys_file = settings.path(&TRUSTED_KEYS_FILE);
    let signatures_min = settings.size(&SIGNATURES_MIN);
    let revoked = Revoked {
        keys: read_list(settings, &REVOKED_KEYS, KeyId::parse).into_iter().collect(),
        revisions: read_revisions(settings),
    };
    let revoked_file = settings.path(&REVOKED_FILE);
    let grace_ms = i64::try_from(settings.integer(&GRACE_MS)).unwrap_or(i64::MAX);
    if keys_file.is_none() && keys.len() < signatures_min {
        let message =
            format!("{signatures_min} signatures are needed, but {} trusted keys are known", keys.len());
        let help = "Name public keys in `trusted_keys` or `trusted_keys_file`; `lockkeeper bundle keygen` makes some.";
        settings.error(settings.span(), message, help);
    }
    settings.finish();
    SigningConfig { strictness, keys, keys_file, signatures_min, revoked, revoked_file, grace_ms }
}

fn read_list<T>(settings: &Settings<'_>, key: &Key, parse: impl Fn(&str) -> Result<T, KeyError>) -> Vec<T> {
    let read = |text: Text| match parse(&text.value) {
        Ok(value) => Some(value),
        Err(error) => {
            let help = "`lockkeeper bundle keygen` prints both forms of a key.";
            settings.error(text.span, error.to_string(), help);
            None
        }
    };
    settings.texts(key).into_iter().filter_map(read).collect()
}

fn read_revisions(settings: &Settings<'_>) -> BTreeSet<String> {
    let mut revisions = BTreeSet::new();
    for text in settings.texts(&REVOKED_REVISIONS) {
        match is_revision(&text.value) {
            true => drop(revisions.insert(text.value)),
            false => {
                let message = format!("`{}` is not a revision", text.value);
                settings.error(
                    text.span,
                    message,
                    "A revision is 64 hex digits in lower case, as `check` prints it.",
                );
            }
        }
    }
    revisions
}

/// Reads a file of what is called back: `key ID` or `revision HASH`, one a line; `#` begins a comment line. The error names
/// the line.
pub fn read_revoked(text: &str) -> Result<Revoked, String> {
    let mut revoked = Revoked::default();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["key", id] => {
                let id = KeyId::parse(id).map_err(|error| format!("line {}: {error}", index + 1))?;
                revoked.keys.insert(id);
            }
            ["revision", hash] if is_revision(hash) => {
                revoked.revisions.insert((*hash).to_owned());
            }
            _ => return Err(format!("line {} is neither `key ID` nor `revision HASH`", index + 1)),
        }
    }
    Ok(revoked)
}

/// Reads a file of trusted keys.
pub fn read_trusted(text: &str) -> Result<TrustedKeys, KeyError> {
    Ok(keys::read_public_keys(text)?.into_iter().map(|key| (key.id(), key)).collect())
}

fn is_revision(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The section.
pub const SECTION: Section = Section {
    name: "bundle",
    meaning: "Policies, schema and profile, from a folder, an archive or a URL. See [bundle.md](bundle.md).\n\n\
              Bundle, directory and keys go live apart, each whole or not at all: what is broken stays as it was, says so \
              in the log and the ledger, and delays nothing else. A bundle and a directory that do not fit each other \
              never serve together: the directory goes first, because it is how people lose access. Nothing goes live before \
              the ledger says so: what cannot be recorded stays as it was and is tried again. A file counts as \
              changed when its size, its times or its place on disk differ; then its bytes are compared. SIGHUP and \
              `POST /reload` look at once.",
    presence: Presence::Required,
    keys: &[&PATH, &URL, &CA_FILE, &FETCH_TIMEOUT_MS, &FETCH_POLL_MS, &ARCHIVE_BYTES, &RELOAD_POLL_MS],
    inner: &["signing"],
};

/// Whose signatures count.
pub const SIGNING: Section = Section {
    name: "bundle.signing",
    meaning: "Whose signatures a bundle must carry. Without this section nobody looks at signatures.",
    presence: Presence::Optional,
    keys: &[
        &REQUIRED,
        &TRUSTED_KEYS,
        &TRUSTED_KEYS_FILE,
        &SIGNATURES_MIN,
        &REVOKED_KEYS,
        &REVOKED_REVISIONS,
        &REVOKED_FILE,
        &GRACE_MS,
    ],
    inner: &[],
};
const PATH: Key = Key::optional(
    "path",
    Kind::Path,
    "the bundle's folder, an archive of it, or a folder that receives archives; this or `url`",
);
const URL: Key = Key::optional(
    "url",
    Kind::Text("none"),
    "where an archive is fetched: `https://…`, or `http://` on loopback; its query is sent and never shown",
);
const CA_FILE: Key =
    Key::optional("ca_file", Kind::Path, "authorities to trust for `url` in place of the system's");
const FETCH_TIMEOUT_MS: Key =
    Key::integer("fetch_timeout_ms", 30_000, 100, 600_000, "for fetching an archive");
const FETCH_POLL_MS: Key = Key::integer(
    "fetch_poll_ms",
    60_000,
    100,
    86_400_000,
    "between fetches of `url`; after failures it is longer, up to 15 minutes",
);
const ARCHIVE_BYTES: Key =
    Key::integer("archive_bytes", 16 << 20, 1 << 10, 256 << 20, "of an archive as it is stored");
const RELOAD_POLL_MS: Key = Key::integer(
    "reload_poll_ms",
    1_000,
    0,
    3_600_000,
    "between looks at bundle, directory and keys; 0 for never",
);
const REQUIRED: Key = Key::optional(
    "required",
    Kind::Boolean(true),
    "whether a bundle that is unsigned, older, expired or revoked is refused; otherwise it is warned of",
);
const TRUSTED_KEYS: Key =
    Key::optional("trusted_keys", Kind::Texts, "public Ed25519 keys, each as PEM or base64");
const TRUSTED_KEYS_FILE: Key = Key::optional(
    "trusted_keys_file",
    Kind::Path,
    "file with more of them, as PEM or one base64 key a line; looked at again while the service runs",
);
const SIGNATURES_MIN: Key = Key::integer(
    "signatures_min",
    1,
    1,
    16,
    "trusted keys that must have signed; from 2 on the approver must not be the author",
);
const REVOKED_KEYS: Key =
    Key::optional("revoked_keys", Kind::Texts, "ids of keys that do not count any more");
const REVOKED_REVISIONS: Key =
    Key::optional("revoked_revisions", Kind::Texts, "hashes of bundles that may not serve");
const REVOKED_FILE: Key = Key::optional(
    "revoked_file",
    Kind::Path,
    "file with more of both: lines `key ID` and `revision HASH`; looked at again while the service runs",
);
const GRACE_MS: Key = Key::integer(
    "grace_ms",
    0,
    0,
    30 * 86_400_000,
    "for which a bundle serves beyond its expiry; readiness is red meanwhile",
);
