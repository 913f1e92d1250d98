//! TLS where we are the client: what several sections say of it in the same way.

use crate::config::settings::{Key, Settings};
use crate::net::pair::PairFiles;

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
