//! `[[identity.jwt]]`: signed tokens, one section for each issuer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory::{self, AS, AS_AGENT, AS_USER, BY, NamedBy};
use super::keys::{HEADER, SCHEME};
use super::shown::{
    self, Carrier, OwnCredential, Shown, UPSTREAM_CALLER, UPSTREAM_HEADER, UPSTREAM_KEY_FILE,
    UPSTREAM_PER_PERSON_FILE, UPSTREAM_SCHEME,
};
use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::json::path::JsonPath;
use crate::model::signature::{Algorithm, Family};
use crate::net::remote::{DocumentUrl, RemoteOptions};

/// One issuer of tokens.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// The algorithms that are accepted, at most one for each family of keys.
    pub algorithms: Vec<Algorithm>,
    /// Where the issuer's keys are.
    pub key_set: KeySetPlace,
    /// What carries the token.
    pub carrier: Carrier,
    /// How far the issuer's clock may be off.
    pub leeway_ms: i64,
    /// Bytes of a token.
    pub token_bytes_max: usize,
    /// Verified tokens that are kept.
    pub cached_tokens_max: u64,
    /// Who it is.
    pub principal: ClaimConfig,
    /// What else they may be than the principal's `as` says.
    pub types: Option<TypeConfig>,
    /// Who acts in the principal's place.
    pub actor: Option<ClaimConfig>,
    /// For whom the principal acts.
    pub on_behalf_of: Option<ClaimConfig>,
    /// How strongly they were authenticated.
    pub level: Option<LevelConfig>,
    /// What the CRM is shown.
    pub shown: Shown,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub enum KeySetPlace {
    /// In a file, looked at again with the other files.
    File(PathBuf),
    /// At a URL.
    Remote {
        /// Where.
        options: RemoteOptions,
        /// Milliseconds between two looks.
        refresh_ms: u64,
        /// Milliseconds for which keys are believed that could not be looked at again.
        max_age_ms: i64,
    },
}

/// A claim that names somebody.
#[derive(Clone, Debug)]
pub struct ClaimConfig {
    /// Where it is in the token.
    pub claim: JsonPath,
    /// How it becomes a principal.
    pub named_by: NamedBy,
}

/// A claim that says what type a principal is of.
#[derive(Clone, Debug)]
pub struct TypeConfig {
    /// Where it is in the token.
    pub claim: JsonPath,
    /// The type that each value means.
    pub types: BTreeMap<String, &'static str>,
}

/// A claim that says how strongly somebody was authenticated.
#[derive(Clone, Debug)]
pub struct LevelConfig {
    /// Where it is in the token: a string or a list of strings.
    pub claim: JsonPath,
    /// The level that each value means.
    pub levels: BTreeMap<String, i64>,
}

/// Reads every section.
pub fn read(identity: &Table<'_>, folder: &Path) -> Vec<JwtConfig> {
    let mut found: Vec<JwtConfig> = Vec::new();
    for settings in Settings::all(identity, &SECTION, folder) {
        let issuer = read_one(&settings, folder);
        settings.finish();
        let Some(issuer) = issuer else { continue };
        if found.iter().any(|other| other.issuer == issuer.issuer) {
            let help = "Write one section for each issuer; it may list several audiences.";
            settings.error(settings.span(), format!("the issuer `{}` has two sections", issuer.issuer), help);
        }
        found.push(issuer);
    }
    found
}

fn read_one(settings: &Settings<'_>, folder: &Path) -> Option<JwtConfig> {
    let issuer = settings.text(&ISSUER).map(|text| text.value);
    let audiences: Vec<String> = settings.texts(&AUDIENCE).into_iter().map(|text| text.value).collect();
    if settings.has(&AUDIENCE) && audiences.is_empty() {
        settings.error(settings.span(), "`audience` names nobody", "Tokens for others would be accepted.");
    }
    let algorithms = read_algorithms(settings);
    let key_set = read_key_set(settings);
    let carrier = shown::carrier(settings, &HEADER, &SCHEME);
    let table = settings.table();
    let principal = Settings::of(table, &PRINCIPAL, folder);
    let types = principal.as_ref().and_then(|principal| read_types(principal, folder));
    let principal = principal.map(|principal| read_claim(&principal, &AS));
    let actor = Settings::of(table, &ACTOR, folder).and_then(|actor| read_claim(&actor, &AS_AGENT));
    let on_behalf_of =
        Settings::of(table, &ON_BEHALF_OF, folder).and_then(|person| read_claim(&person, &AS_USER));
    if actor.is_some() && on_behalf_of.is_some() {
        let help = "With `actor`, the principal of the token is the person for whom the actor acts.";
        settings.error(settings.span(), "`actor` and `on_behalf_of` say the same in two ways", help);
    }
    let level = Settings::of(table, &AUTH_LEVEL, folder).and_then(|level| read_level(&level));
    let shown = shown::read(settings, OwnCredential::Possible);
    let leeway_ms = i64::try_from(settings.integer(&LEEWAY_MS)).unwrap_or_default();
    let (token_bytes_max, cached_tokens_max) =
        (settings.size(&TOKEN_BYTES), settings.integer(&CACHED_TOKENS));
    let principal = match principal {
        Some(principal) => principal?,
        None => ClaimConfig {
            claim: JsonPath::parse("sub").ok()?,
            named_by: NamedBy { type_name: "User", attribute: None },
        },
    };
    Some(JwtConfig {
        issuer: issuer?,
        audiences,
        algorithms,
        key_set: key_set?,
        carrier,
        leeway_ms,
        token_bytes_max,
        cached_tokens_max,
        principal,
        types,
        actor,
        on_behalf_of,
        level,
        shown: shown?,
    })
}

fn read_algorithms(settings: &Settings<'_>) -> Vec<Algorithm> {
    let mut found: Vec<Algorithm> = Vec::new();
    for text in settings.texts(&ALGORITHMS) {
        let Some(algorithm) = Algorithm::parse(&text.value) else {
            let names: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
            let help =
                format!("There are {}. `none` and shared secrets are never accepted.", names.join(", "));
            settings.error(text.span, format!("`{}` is not an accepted algorithm", text.value), help);
            continue;
        };
        let family: Family = algorithm.family();
        if found.iter().any(|other| other.family() == family) {
            let help = "Keep the one that the issuer signs with: a key is used with one algorithm only.";
            settings.error(
                text.span,
                format!("`{}` is a second algorithm for the same keys", text.value),
                help,
            );
        }
        found.push(algorithm);
    }
    found
}

fn read_key_set(settings: &Settings<'_>) -> Option<KeySetPlace> {
    let (file, url) = (settings.path(&JWKS_FILE), settings.text(&JWKS_URL));
    let (refresh_ms, max_age_ms) = (settings.integer(&JWKS_REFRESH_MS), settings.integer(&JWKS_MAX_AGE_MS));
    let (ca_file, timeout_ms) = (settings.path(&JWKS_CA_FILE), settings.integer(&JWKS_TIMEOUT_MS));
    match (file, url) {
        (Some(file), None) => Some(KeySetPlace::File(file)),
        (None, Some(url)) => {
            let url = match DocumentUrl::parse(&url.value) {
                Ok(url) => url,
                Err(error) => {
                    let help = "Write `https://…`, as the issuer documents it.";
                    settings.error(url.span, error.to_string(), help);
                    return None;
                }
            };
            let options = RemoteOptions { url, ca_file, timeout_ms, bytes_max: JWKS_BYTES_MAX };
            let max_age_ms = i64::try_from(max_age_ms).unwrap_or(i64::MAX);
            Some(KeySetPlace::Remote { options, refresh_ms, max_age_ms })
        }
        (found, _) => {
            let what = if found.is_some() { "two places" } else { "no place" };
            let help = "Write either `jwks_url` or `jwks_file`.";
            settings.error(settings.span(), format!("{what} for the issuer's keys"), help);
            None
        }
    }
}

fn read_claim(settings: &Settings<'_>, kind: &Key) -> Option<ClaimConfig> {
    let claim = super::key_path(settings, &CLAIM);
    let named_by = directory::read(settings, kind);
    settings.finish();
    Some(ClaimConfig { claim: claim?, named_by })
}

fn read_types(settings: &Settings<'_>, _folder: &Path) -> Option<TypeConfig> {
    let types = settings.map(&TYPES);
    let claim = super::key_path(settings, &TYPE_CLAIM);
    let known = |name: &str| ["User", "Service", "Agent"].into_iter().find(|known| *known == name);
    let mut found = BTreeMap::new();
    for (value, item) in types {
        let Some(name) = item.text() else { continue };
        match known(&name.value) {
            Some(known) => drop(found.insert(value.value, known)),
            None => {
                let message = format!("`{}` is not a type of principals", name.value);
                settings.error(name.span, message, "There are User, Service, Agent.");
            }
        }
    }
    match (claim, found.is_empty()) {
        (Some(claim), false) => Some(TypeConfig { claim, types: found }),
        (None, true) => None,
        _ => {
            let help = "Write both, e.g. `type_claim = \"kind\", types = { robot = \"Service\" }`.";
            settings.error(settings.span(), "`type_claim` and `types` go together", help);
            None
        }
    }
}

fn read_level(settings: &Settings<'_>) -> Option<LevelConfig> {
    let claim = super::key_path(settings, &LEVEL_CLAIM);
    let mut levels = BTreeMap::new();
    for (value, item) in settings.map(&LEVELS) {
        if let Some(level) = item.integer(0..=LEVEL_MAX) {
            levels.insert(value.value, i64::try_from(level).unwrap_or_default());
        }
    }
    settings.finish();
    Some(LevelConfig { claim: claim?, levels })
}

/// The section.
pub const SECTION: Section = Section {
    name: "identity.jwt",
    meaning: "Signed tokens of an issuer; `[[identity.jwt]]` once for each. `exp` is required, `nbf` honoured. See \
              identity.md.",
    presence: Presence::Repeated,
    keys: &[
        &ISSUER,
        &AUDIENCE,
        &ALGORITHMS,
        &JWKS_URL,
        &JWKS_FILE,
        &JWKS_CA_FILE,
        &JWKS_TIMEOUT_MS,
        &JWKS_REFRESH_MS,
        &JWKS_MAX_AGE_MS,
        &HEADER,
        &SCHEME,
        &LEEWAY_MS,
        &TOKEN_BYTES,
        &CACHED_TOKENS,
        &UPSTREAM_CALLER,
        &UPSTREAM_KEY_FILE,
        &UPSTREAM_PER_PERSON_FILE,
        &UPSTREAM_HEADER,
        &UPSTREAM_SCHEME,
    ],
    inner: &["principal", "actor", "on_behalf_of", "auth_level"],
};

/// Who the token is about.
pub const PRINCIPAL: Section = Section {
    name: "identity.jwt.principal",
    meaning: "The claim that names the principal; without it `sub`, as the id of a `User`.",
    presence: Presence::Optional,
    keys: &[&CLAIM, &AS, &BY, &TYPE_CLAIM, &TYPES],
    inner: &[],
};

/// Who acts in their place.
pub const ACTOR: Section = Section {
    name: "identity.jwt.actor",
    meaning: "The claim that names who acts in the principal's place (RFC 8693: `act.sub`). Where a token has it, the \
              actor is the principal, and the one whom the token is about becomes `context.onBehalfOf`.",
    presence: Presence::Optional,
    keys: &[&CLAIM, &AS_AGENT, &BY],
    inner: &[],
};

/// For whom they act.
pub const ON_BEHALF_OF: Section = Section {
    name: "identity.jwt.on_behalf_of",
    meaning: "The claim that names the person for whom the principal acts, for issuers that put the actor into `sub`: \
              it becomes `context.onBehalfOf`.",
    presence: Presence::Optional,
    keys: &[&CLAIM, &AS_USER, &BY],
    inner: &[],
};

/// How strongly they were authenticated.
pub const AUTH_LEVEL: Section = Section {
    name: "identity.jwt.auth_level",
    meaning: "The claim that says how strongly the principal was authenticated: it becomes `context.authLevel`.",
    presence: Presence::Optional,
    keys: &[&LEVEL_CLAIM, &LEVELS],
    inner: &[],
};

const ISSUER: Key = Key::required(
    "issuer",
    Kind::Text("required"),
    "Write it as tokens have it in `iss`, e.g. `issuer = \"https://login.example.com/\"`.",
    "what `iss` must be, to the letter",
);
const AUDIENCE: Key = Key::required(
    "audience",
    Kind::Texts,
    "Write what the issuer puts into `aud` for this API, e.g. `audience = \"crm-api\"`.",
    "one of these must be in `aud`",
);
const ALGORITHMS: Key = Key::required(
    "algorithms",
    Kind::Texts,
    "Write what the issuer signs with, e.g. `algorithms = [\"RS256\"]`.",
    "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA; at most one for each type of key",
);
const JWKS_URL: Key = Key::optional(
    "jwks_url",
    Kind::Text("none"),
    "where the issuer publishes its keys; https, or http on loopback",
);
const JWKS_FILE: Key =
    Key::optional("jwks_file", Kind::Path, "a file with the issuer's keys, in place of a URL");
const JWKS_CA_FILE: Key = Key::optional(
    "jwks_ca_file",
    Kind::Path,
    "certificate authorities for `jwks_url` in place of the system's",
);
const JWKS_TIMEOUT_MS: Key = Key::integer("jwks_timeout_ms", 5_000, 100, 60_000, "to fetch the keys");
const JWKS_REFRESH_MS: Key = Key::integer(
    "jwks_refresh_ms",
    300_000,
    1_000,
    86_400_000,
    "between two looks at `jwks_url`; an unknown key leads to one at once, at most every 10 seconds",
);
const JWKS_MAX_AGE_MS: Key = Key::integer(
    "jwks_max_age_ms",
    86_400_000,
    10_000,
    2_592_000_000,
    "for which keys are believed while `jwks_url` does not answer; then tokens are refused",
);
const LEEWAY_MS: Key = Key::integer(
    "leeway_ms",
    30_000,
    0,
    300_000,
    "by which the issuer's clock may be off, for `exp` and `nbf`",
);
const TOKEN_BYTES: Key = Key::integer("token_bytes", 8_192, 256, 65_536, "of a token");
const CACHED_TOKENS: Key =
    Key::integer("cached_tokens", 10_000, 1, 10_000_000, "verified tokens that are kept, by their SHA-256");
const CLAIM: Key = Key::required(
    "claim",
    Kind::Text("required"),
    "Write a claim's name, or a path such as `$.act.sub`.",
    "the claim: a name, or a path such as `$.act.sub`; `email` counts only with `email_verified`",
);
const TYPE_CLAIM: Key =
    Key::optional("type_claim", Kind::Text("none"), "a claim that says which type of principal it is");
const TYPES: Key = Key::optional(
    "types",
    Kind::Map("none"),
    "the type for each value of `type_claim`; other values are refused, without the claim `as` holds",
);
const LEVEL_CLAIM: Key = Key::required(
    "claim",
    Kind::Text("required"),
    "Write `claim = \"acr\"` or `claim = \"amr\"`.",
    "the claim, e.g. `acr` or `amr`",
);
const LEVELS: Key = Key::required(
    "levels",
    Kind::Map("required"),
    "Write e.g. `levels = { pwd = 1, mfa = 2 }`.",
    "the level that each value means, a whole number; of several the highest counts, others mean nothing",
);
const LEVEL_MAX: u64 = 1_000_000;

/// Bytes of a key set.
pub const JWKS_BYTES_MAX: usize = 1024 * 1024;
