//! `[identity.introspection]`: the CRM is asked who a credential of its own belongs to.

use std::path::Path;

use super::directory::{self, AS, BY, NamedBy};
use super::keys::{HEADER, SCHEME};
use super::shown::{
    self, Carrier, UPSTREAM_HEADER, UPSTREAM_KEY_FILE, UPSTREAM_PER_PERSON_FILE, UPSTREAM_SCHEME,
};
use crate::config::reader::Table;
use crate::config::service::Shown;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::json::path::JsonPath;

/// How the CRM is asked.
#[derive(Clone, Debug)]
pub struct IntrospectionConfig {
    /// Where the credential stands.
    pub place: Place,
    /// The path of the CRM's "who am I".
    pub path: String,
    /// Where the id is in its answer.
    pub id: JsonPath,
    /// How the id becomes a principal.
    pub named_by: NamedBy,
    /// Milliseconds for which an answer is believed.
    pub cache_ms: i64,
    /// Answers that are kept.
    pub cached_max: u64,
    /// Questions to the CRM at one time.
    pub lookups_max: usize,
    /// Bytes of its answer.
    pub answer_bytes_max: usize,
    /// What the CRM is shown afterwards.
    pub shown: Shown,
}

/// Where a credential stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a header.
    Header(Carrier),
    /// In a cookie of this name.
    Cookie(String),
}

/// Reads the section.
pub fn read(identity: &Table<'_>, folder: &Path) -> Option<IntrospectionConfig> {
    let settings = Settings::of(identity, &SECTION, folder)?;
    let cookie = settings.text(&COOKIE);
    if cookie.is_some() && (settings.has(&HEADER) || settings.has(&SCHEME)) {
        settings.error(settings.span(), "both a header and a cookie", "Keep the one that callers send.");
    }
    let place = match cookie {
        Some(cookie) => Place::Cookie(cookie.value),
        None => Place::Header(shown::carrier(&settings, &HEADER, &SCHEME)),
    };
    let path = settings.text(&PATH);
    if let Some(path) = path.as_ref().filter(|path| !is_path(&path.value)) {
        let help = "Write a path below `upstream.url` without a query, e.g. `/api/me`.";
        settings.error(path.span.clone(), format!("`{}` is not a path", path.value), help);
    }
    let id = super::key_path(&settings, &ID);
    let named_by = directory::read(&settings, &AS);
    let is_own = !settings.has(&UPSTREAM_KEY_FILE) && !settings.has(&UPSTREAM_PER_PERSON_FILE);
    let shown = match is_own {
        true => Some(Shown::Caller),
        false => shown::read(&settings, shown::OwnCredential::Never),
    };
    let config = |path: String, id, shown| IntrospectionConfig {
        place,
        path,
        id,
        named_by,
        cache_ms: i64::try_from(settings.integer(&CACHE_MS)).unwrap_or_default(),
        cached_max: settings.integer(&CACHED),
        lookups_max: settings.size(&LOOKUPS),
        answer_bytes_max: settings.size(&ANSWER_BYTES),
        shown,
    };
    let whole = path.zip(id).zip(shown);
    let config = whole.map(|((path, id), shown)| config(path.value, id, shown));
    settings.finish();
    config
}

/// Segments of plain characters: nothing that two readers could take for two things.
fn is_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
    let inner = text.strip_prefix('/').map(|inner| inner.strip_suffix('/').unwrap_or(inner));
    inner.is_some_and(|inner| inner.split('/').all(is_segment))
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity.introspection",
    meaning: "The caller's own CRM credential is shown to the CRM's \"who am I\" route, and the answer must name exactly \
              one person. Afterwards the CRM is shown that same credential, unless a key below says otherwise.",
    presence: Presence::Optional,
    keys: &[
        &HEADER,
        &SCHEME,
        &COOKIE,
        &PATH,
        &ID,
        &AS,
        &BY,
        &CACHE_MS,
        &CACHED,
        &LOOKUPS,
        &ANSWER_BYTES,
        &UPSTREAM_KEY_FILE,
        &UPSTREAM_PER_PERSON_FILE,
        &UPSTREAM_HEADER,
        &UPSTREAM_SCHEME,
    ],
    inner: &[],
};
const COOKIE: Key =
    Key::optional("cookie", Kind::Text("none"), "the cookie that is the credential, in place of a header");
const PATH: Key = Key::required(
    "path",
    Kind::Text("required"),
    "Write the CRM's \"who am I\" path, e.g. `path = \"/api/me\"`.",
    "the CRM's \"who am I\" path, asked by `GET`",
);
const ID: Key = Key::required(
    "id",
    Kind::Text("required"),
    "Write where the answer has the id, e.g. `id = \"$.user.id\"`.",
    "where the answer has the id: a path of names; a list is refused, whatever it holds",
);
const CACHE_MS: Key = Key::integer(
    "cache_ms",
    10_000,
    0,
    300_000,
    "for which an answer is believed: a session that the CRM ends stays open here for so long",
);
const CACHED: Key =
    Key::integer("cached", 10_000, 1, 1_000_000, "answers that are kept, by SHA-256 of the credential");
const LOOKUPS: Key =
    Key::integer("lookups", 32, 1, 10_000, "questions to the CRM at one time; more are refused");
const ANSWER_BYTES: Key = Key::integer("answer_bytes", 65_536, 256, 1_048_576, "of the CRM's answer");
