//! `[browsers]`: which pages may call the API, and which may write with a cookie.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};

/// What is believed of browsers.
#[derive(Clone, Debug, Default)]
pub struct BrowsersConfig {
    /// Origins whose pages may write with a cookie.
    pub origins: Vec<String>,
    /// Origins of other sites whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Whether those may send cookies.
    pub cors_credentials: bool,
    /// Milliseconds for which a preflight's answer holds.
    pub cors_max_age_ms: u64,
}

/// Reads the section; without it no page of another site may do anything.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<BrowsersConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let config = BrowsersConfig {
        origins: origins(&settings, &ORIGINS),
        cors_origins: origins(&settings, &CORS_ORIGINS),
        cors_credentials: settings.boolean(&CORS_CREDENTIALS),
        cors_max_age_ms: settings.integer(&CORS_MAX_AGE_MS),
    };
    if config.cors_credentials && config.cors_origins.is_empty() {
        let help = "Name the sites: `cors_origins = [\"https://app.example.com\"]`.";
        settings.error(settings.span(), "`cors_credentials` without `cors_origins`", help);
    }
    settings.finish();
    Some(config)
}

fn origins(settings: &Settings<'_>, key: &Key) -> Vec<String> {
    let texts = settings.texts(key);
    for text in texts.iter().filter(|text| !is_origin(&text.value)) {
        let help = match text.value.as_str() {
            "*" => "Every site would be let in. Name each: `\"https://app.example.com\"`.",
            "null" => {
                "Sandboxed pages and files of anybody have it. Name sites: `\"https://app.example.com\"`."
            }
            _ => {
                "Write scheme, host and port as browsers send them: `\"https://app.example.com\"` or \
                 `\"http://localhost:3000\"`; lower-case, no path, no slash at the end, no default port."
            }
        };
        settings.error(text.span.clone(), format!("`{}` is not an origin", text.value), help);
    }
    texts.into_iter().map(|text| text.value).collect()
}

/// Whether a text is an origin in the one spelling that browsers send.
fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |authority: &str| {
        let is_named =
            authority.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b));
        is_named && authority.parse::<http::uri::Authority>().is_ok()
    };
    let is_default_port = (text.starts_with("https://") && text.ends_with(":443"))
        || (text.starts_with("http://") && text.ends_with(":80"));
    authority.is_some_and(|authority| !authority.is_empty() && is_plain(authority)) && !is_default_port
}

/// The section.
pub const SECTION: Section = Section {
    name: "browsers",
    meaning: "Which pages may call the API, and which may write with a cookie. Preflights are answered by Lockkeeper and \
              never forwarded; the CRM's own CORS headers are dropped.",
    presence: Presence::Optional,
    keys: &[&ORIGINS, &CORS_ORIGINS, &CORS_CREDENTIALS, &CORS_MAX_AGE_MS],
    inner: &[],
};
const ORIGINS: Key = Key::optional(
    "origins",
    Kind::Texts,
    "origins whose pages may write with what browsers add by themselves (cookies, certificates, logins of their own, a gateway's session): the address under which people reach us, as the browser shows it",
);
const CORS_ORIGINS: Key =
    Key::optional("cors_origins", Kind::Texts, "origins of other sites whose pages may call the API");
const CORS_CREDENTIALS: Key = Key::optional(
    "cors_credentials",
    Kind::Boolean(false),
    "whether those may send cookies, and so write with them",
);
const CORS_MAX_AGE_MS: Key =
    Key::integer("cors_max_age_ms", 600_000, 0, 86_400_000, "for which browsers keep a preflight's answer");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_spelling() {
        for origin in
            ["https://crm.example", "http://localhost:3000", "https://[::1]:8443", "http://10.0.0.1"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "*",
            "null",
            "crm.example",
            "https://",
            "https://crm.example/",
            "https://CRM.example",
            "https://crm.example:443",
            "http://crm.example:80",
            "https://*.example",
            "https://a@crm.example",
            "ftp://crm.example",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
