//! `[listen.tls]`: TLS towards callers.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Kind, Presence, Section, Settings};
use crate::net::pair::PairFiles;
use crate::net::tls_server::{ClientCertificate, TlsVersion};

/// TLS towards callers.
#[derive(Clone, Debug)]
pub struct ListenTlsConfig {
    /// Certificates with their keys; the first is the default.
    pub pairs: Vec<PairFiles>,
    /// Whether callers show a certificate.
    pub client_certificate: ClientCertificate,
    /// The lowest version that is spoken.
    pub minimum_version: TlsVersion,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Days before the end of a certificate from which on the status says so.
    pub expiry_warning_days: u64,
}

/// Reads the section; `Some(None)` if it is there but wrong.
pub fn read(parent: &Table<'_>, folder: &Path) -> Option<Option<ListenTlsConfig>> {
    let settings = Settings::of(parent, &SECTION, folder)?;
    let pairs = read_pairs(&settings);
    let client_certificate = read_client(&settings);
    let minimum_version = match settings.choice(&MINIMUM_VERSION) {
        "1.3" => TlsVersion::V13,
        _ => TlsVersion::V12,
    };
    let http2 = settings.boolean(&HTTP2);
    let expiry_warning_days = settings.integer(&EXPIRY_WARNING_DAYS);
    settings.finish();
    let config = |client_certificate| ListenTlsConfig {
        pairs,
        client_certificate,
        minimum_version,
        http2,
        expiry_warning_days,
    };
    Some(client_certificate.map(config))
}

fn read_pairs(settings: &Settings<'_>) -> Vec<PairFiles> {
    let (certificates, keys) = (settings.texts(&CERTIFICATE_FILE), settings.texts(&KEY_FILE));
    if certificates.len() != keys.len() && !certificates.is_empty() && !keys.is_empty() {
        let message =
            format!("there are {} files of certificates and {} of keys", certificates.len(), keys.len());
        settings.error(settings.span(), message, "Name one key for each certificate, in the same order.");
    }
    let pair = |(certificate, key): (crate::config::reader::Text, crate::config::reader::Text)| PairFiles {
        certificate: settings.folder().join(certificate.value),
        key: settings.folder().join(key.value),
    };
    certificates.into_iter().zip(keys).map(pair).collect()
}

fn read_client(settings: &Settings<'_>) -> Option<ClientCertificate> {
    let file = settings.path(&CLIENT_CA_FILE);
    match (settings.choice(&CLIENT_CERTIFICATE), file) {
        ("off", None) => Some(ClientCertificate::Off),
        ("optional", Some(file)) => Some(ClientCertificate::Optional(file)),
        ("required", Some(file)) => Some(ClientCertificate::Required(file)),
        (_, Some(_)) => {
            let help = "Set `client_certificate` to `optional` or `required`, or leave the file out.";
            settings.error(
                settings.span(),
                "`client_ca_file` has no effect: client certificates are off",
                help,
            );
            None
        }
        (_, None) => {
            let help = "Name the authorities of your callers in `client_ca_file`.";
            settings.error(settings.span(), "client certificates cannot be verified", help);
            None
        }
    }
}

/// The section.
pub const SECTION: Section = Section {
    name: "listen.tls",
    meaning: "TLS towards callers. Without this section they connect in the clear. All files are looked at again every \
              `bundle.reload_poll_ms`; what cannot be used never replaces what serves.",
    presence: Presence::Optional,
    keys: &[
        &CERTIFICATE_FILE,
        &KEY_FILE,
        &CLIENT_CERTIFICATE,
        &CLIENT_CA_FILE,
        &MINIMUM_VERSION,
        &HTTP2,
        &EXPIRY_WARNING_DAYS,
    ],
    inner: &[],
};
const CERTIFICATE_FILE: Key = Key::required(
    "certificate_file",
    Kind::Texts,
    "Write `certificate_file = \"tls.crt\"`.",
    "PEM file with the certificate and those between it and its authority; several for several names, the first is the default",
);
const KEY_FILE: Key = Key::required(
    "key_file",
    Kind::Texts,
    "Write `key_file = \"tls.key\"`.",
    "PEM file with the private key; as many as certificates, in the same order",
);
const CLIENT_CERTIFICATE: Key = Key::optional(
    "client_certificate",
    Kind::Choice(&["off", "optional", "required"]),
    "whether callers show a certificate; one that is shown is always verified",
);
const CLIENT_CA_FILE: Key =
    Key::optional("client_ca_file", Kind::Path, "PEM file with the authorities of callers' certificates");
const MINIMUM_VERSION: Key =
    Key::optional("minimum_version", Kind::Choice(&["1.2", "1.3"]), "the lowest version that is spoken");
const HTTP2: Key = Key::optional("http2", Kind::Boolean(true), "whether HTTP/2 is offered");
const EXPIRY_WARNING_DAYS: Key = Key::integer(
    "expiry_warning_days",
    14,
    0,
    365,
    "days before a certificate's end from which on `/status` and the log say so",
);
