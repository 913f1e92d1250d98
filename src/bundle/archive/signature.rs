//! Signatures over a manifest: a text of one line for each key.
//!
//! Promises: a signature covers the manifest's bytes behind a fixed first line, so that it can never be one over anything
//! else. Order and number of lines carry no meaning; a key stands there once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::keys::{KeyId, PublicKey, SigningKey};

/// One line of a signatures' file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key that it was made with.
    pub key: KeyId,
    /// Its 64 bytes.
    bytes: Vec<u8>,
}

/// Why a signatures' file cannot be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// A line is not `ed25519 KEY-ID BASE64`.
    #[error("line {0} of `manifest.sig` is not `ed25519 KEY-ID BASE64`")]
    Line(usize),
    /// A key stands there twice.
    #[error("the key {0} stands twice in `manifest.sig`")]
    Twice(KeyId),
    /// There are too many lines.
    #[error("`manifest.sig` has more than {SIGNATURES_MAX} signatures")]
    TooMany,
}

impl Signature {
    /// Signs a manifest.
    pub fn make(manifest: &[u8], key: &SigningKey) -> Option<Self> {
        Some(Self { key: key.public()?.id(), bytes: key.sign(&message(manifest)) })
    }

    /// Whether it is the key's signature over the manifest.
    pub fn holds(&self, manifest: &[u8], key: &PublicKey) -> bool {
        key.signed(&message(manifest), &self.bytes) && key.id() == self.key
    }
}

/// Reads a signatures' file; an empty one holds none.
pub fn parse(text: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    let mut found: Vec<Signature> = Vec::new();
    let text = std::str::from_utf8(text).map_err(|_| SignatureError::Line(1))?;
    for (index, line) in text.lines().enumerate() {
        let wrong = || SignatureError::Line(index + 1);
        if found.len() == SIGNATURES_MAX {
            return Err(SignatureError::TooMany);
        }
        let mut words = line.split(' ');
        let (Some(SCHEME), Some(key), Some(encoded), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let key = KeyId::parse(key).map_err(|_| wrong())?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
        if bytes.len() != SIGNATURE_BYTES {
            return Err(wrong());
        }
        if found.iter().any(|other| other.key == key) {
            return Err(SignatureError::Twice(key));
        }
        found.push(Signature { key, bytes });
    }
    Ok(found)
}

/// Writes a signatures' file, in the order of the keys' names.
pub fn to_text(signatures: &[Signature]) -> String {
    let mut lines: Vec<String> = signatures
        .iter()
        .map(|signature| format!("{SCHEME} {} {}\n", signature.key, STANDARD.encode(&signature.bytes)))
        .collect();
    lines.sort();
    lines.concat()
}

/// What is signed.
fn message(manifest: &[u8]) -> Vec<u8> {
    [DOMAIN.as_bytes(), manifest].concat()
}

/// What stands before the manifest in the bytes that are signed.
pub const DOMAIN: &str = "lockkeeper bundle manifest v1\n";
const SCHEME: &str = "ed25519";
const SIGNATURE_BYTES: usize = 64;
const SIGNATURES_MAX: usize = 16;
