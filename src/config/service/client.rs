//! HTTPS where we are the client: what several sections say of it in the same way.

use http::Uri;

use crate::config::reader::Text;
use crate::config::settings::{Key, Settings};
use crate::net::pair::PairFiles;
use crate::net::remote::is_loopback;

/// A URL to send to: `https`, or `http` on loopback, without credentials and query. `of` is what it is the URL of.
pub fn https_url(settings: &Settings<'_>, url: &Text, of: &str) -> Option<Uri> {
    let refused = |message: &str| {
        refuse_url(settings, url, message, "Write `url = \"https://host/path\"`; secrets come by file.");
        None
    };
    let in_the_clear =
        "Write `url = \"https://host/path\"`, or `http://127.0.0.1:PORT/path` for what is on this host.";
    let Ok(uri) = url.value.parse::<Uri>() else { return refused(&format!("the {of}'s `url` is not a URL")) };
    let Some(authority) = uri.authority() else { return refused(&format!("the {of}'s `url` has no host")) };
    if authority.as_str().contains('@') || uri.query().is_some() {
        return refused("a URL here has no credentials and no query");
    }
    match uri.scheme_str() {
        Some("https") => Some(uri),
        Some("http") if is_loopback(authority.host()) => Some(uri),
        Some("http") => {
            refuse_url(settings, url, "only https leaves this machine", in_the_clear);
            None
        }
        _ => refused(&format!("the scheme of the {of}'s `url` is not https")),
    }
}

/// A URL that cannot be used. One that may hold a secret is not shown with its line.
pub fn refuse_url(settings: &Settings<'_>, url: &Text, message: &str, help: &str) {
    let span = if url.value.contains(['?', '@', '#']) { settings.span() } else { url.span.clone() };
    settings.error(span, message, help);
}

/// Our own certificate: the keys that name it and its private key go together.
pub fn pair(settings: &Settings<'_>, certificate: &Key, key: &Key) -> Option<PairFiles> {
    match (settings.path(certificate), settings.path(key)) {
        (Some(certificate), Some(key)) => Some(PairFiles { certificate, key }),
        (None, None) => None,
        _ => {
            let help = format!("Name both `{}` and `{}`, or neither.", certificate.name, key.name);
            settings.error(settings.span(), "a client certificate and its key go together", help);
            None
        }
    }
}

/// Refuses keys that are for TLS alone, where `what` is reached without.
pub fn refuse_in_the_clear(settings: &Settings<'_>, keys: &[&Key], what: &str, help: &str) {
    for key in keys.iter().filter(|key| settings.has(key)) {
        let message = format!("`{}` has no effect: {what} is reached in the clear", key.name);
        settings.error(settings.span(), message, help);
    }
}
