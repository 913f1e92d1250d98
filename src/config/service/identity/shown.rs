//! What the CRM is shown once a caller is identified.

use std::path::PathBuf;

use crate::config::settings::{Key, Kind, Settings};

/// What the CRM is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The caller's own credential, as it came.
    Caller,
    /// A service account's.
    Service {
        /// Where it stands in the request.
        carrier: Carrier,
        /// The file that holds it.
        key_file: PathBuf,
    },
    /// That of the person, by a file.
    PerPerson {
        /// Where it stands in the request.
        carrier: Carrier,
        /// The file that says which key is whose.
        file: PathBuf,
    },
}

/// A header, and the word before what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The header, lower-case.
    pub header: String,
    /// The scheme before the key; `None` if the header holds just the key.
    pub scheme: Option<String>,
}

/// What a section says of it, or an error; `own` is whether callers bring a credential that the CRM could know.
pub fn read(settings: &Settings<'_>, own: OwnCredential) -> Option<Shown> {
    let carrier = carrier(settings, &UPSTREAM_HEADER, &UPSTREAM_SCHEME);
    let key_file = settings.path(&UPSTREAM_KEY_FILE);
    let file = settings.path(&UPSTREAM_PER_PERSON_FILE);
    let is_own = own == OwnCredential::Possible && settings.boolean(&UPSTREAM_CALLER);
    match (key_file, file, is_own) {
        (Some(key_file), None, false) => Some(Shown::Service { carrier, key_file }),
        (None, Some(file), false) => Some(Shown::PerPerson { carrier, file }),
        (None, None, true) => Some(Shown::Caller),
        (None, None, false) => {
            let mut help =
                "Add `upstream_key_file` (a service account's key) or `upstream_per_person_file` (each \
                            person's own)"
                    .to_owned();
            if own == OwnCredential::Possible {
                help.push_str(", or `upstream_caller = true` if the CRM knows the callers' own credentials");
            }
            settings.error(settings.span(), "nothing says what the CRM is shown", help + ".");
            None
        }
        _ => {
            let message = "more than one key says what the CRM is shown";
            let help = "Keep one of `upstream_key_file`, `upstream_per_person_file` and `upstream_caller`.";
            settings.error(settings.span(), message, help);
            None
        }
    }
}

/// Whether callers bring a credential that the CRM could know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCredential {
    /// They may.
    Possible,
    /// They never do.
    Never,
}

/// A header and its scheme: `Bearer` in `Authorization` unless the file says otherwise, none in other headers.
pub fn carrier(settings: &Settings<'_>, header: &Key, scheme: &Key) -> Carrier {
    let header =
        settings.text(header).map_or("authorization".to_owned(), |text| text.value.to_ascii_lowercase());
    let scheme = match settings.text(scheme) {
        Some(text) if text.value.is_empty() => None,
        Some(text) => Some(text.value),
        None => (header == "authorization").then(|| "Bearer".to_owned()),
    };
    Carrier { header, scheme }
}

pub const UPSTREAM_KEY_FILE: Key = Key::optional(
    "upstream_key_file",
    Kind::Path,
    "file with a service account's key, which the CRM is shown; its own history names that account, the ledger says who it was",
);
pub const UPSTREAM_PER_PERSON_FILE: Key = Key::optional(
    "upstream_per_person_file",
    Kind::Path,
    "file with a key of the CRM for each person: `[[person]]` with `principal`, and `key_file` or `key`; whoever has none is refused",
);
pub const UPSTREAM_CALLER: Key = Key::optional(
    "upstream_caller",
    Kind::Boolean(false),
    "whether the CRM is shown the caller's own credential",
);
pub const UPSTREAM_HEADER: Key =
    Key::optional("upstream_header", Kind::Text("`authorization`"), "the header for the CRM");
pub const UPSTREAM_SCHEME: Key = Key::optional(
    "upstream_scheme",
    Kind::Text("`Bearer` in `authorization`, else none"),
    "the word before the key; empty for none",
);
