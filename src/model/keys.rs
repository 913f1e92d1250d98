//! Ed25519 keys that sign bundles and checkpoints: read from PEM or base64, named by a hash of themselves.
//!
//! Promises: a key that cannot be read is an error with its place in the list, never left out. Never holds a private key
//! longer than a signature needs.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use sha2::{Digest as _, Sha256};

use super::hex::hex;

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

/// The name of a public key: the first 32 hex digits of the SHA-256 of its 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// Trusted keys by their names.
pub type TrustedKeys = BTreeMap<KeyId, PublicKey>;

/// Why a key cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Neither PEM nor base64 of a key.
    #[error("`{0}` is not a public Ed25519 key")]
    Public(String),
    /// The PEM text is broken.
    #[error("the PEM text is broken: {0}")]
    Pem(String),
    /// The PEM text holds something else.
    #[error("the PEM text holds {0}, not a public key")]
    NotPublic(&'static str),
    /// Something stands between PEM blocks that would be passed over.
    #[error(
        "line {line} stands beside PEM blocks and is not read: a list is either PEM or one base64 key a line"
    )]
    BesidePem {
        /// Its number, from 1.
        line: usize,
    },
    /// There is no key.
    #[error("no key is in it")]
    None,
    /// The private key cannot be used.
    #[error("it is not a private Ed25519 key in PKCS#8 PEM form: {0}")]
    Private(String),
    /// The text is not the name of a key.
    #[error("`{0}` is not a key id: 32 hex digits in lower case")]
    Id(String),
}

impl KeyId {
    /// Reads a key's name.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.len() == KEY_ID_DIGITS && text.bytes().all(is_hex) {
            true => Ok(Self(text.to_owned())),
            false => Err(KeyError::Id(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PublicKey {
    /// Reads one key: a PEM text, or base64 of its 32 bytes or of its SubjectPublicKeyInfo (RFC 8410).
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match read_public_keys(text)?.as_slice() {
            [key] => Ok(*key),
            _ => Err(KeyError::Public(shortened(text))),
        }
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        KeyId(hex(&Sha256::digest(self.0)).chars().take(KEY_ID_DIGITS).collect())
    }

    /// The key of these bytes, if they are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is this key's signature over the message (RFC 8032).
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[SPKI_PREFIX, &self.0].concat())
    }

    fn from_der_or_raw(bytes: &[u8]) -> Option<Self> {
        bytes.strip_prefix(SPKI_PREFIX).unwrap_or(bytes).try_into().ok().map(Self)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// Reads every key of a text: PEM blocks, or one base64 key a line, never both; `#` begins a comment line.
pub fn read_public_keys(text: &str) -> Result<Vec<PublicKey>, KeyError> {
    let keys = if text.contains("-----BEGIN") { pem_keys(text)? } else { line_keys(text)? };
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}

fn pem_keys(text: &str) -> Result<Vec<PublicKey>, KeyError> {
    require_nothing_beside(text)?;
    let mut keys = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let found = rustls_pki_types::pem::from_buf(&mut rest);
        let Some((kind, der)) = found.map_err(|error| KeyError::Pem(error.to_string()))? else {
            return Ok(keys);
        };
        match kind {
            SectionKind::PublicKey => {
                let key = der.strip_prefix(SPKI_PREFIX).and_then(PublicKey::from_der_or_raw);
                keys.push(key.ok_or_else(|| KeyError::Public("PUBLIC KEY of another kind".to_owned()))?);
            }
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                return Err(KeyError::NotPublic("a private key"));
            }
            _ => return Err(KeyError::NotPublic("something else")),
        }
    }
}

/// The PEM reader passes over what stands outside of blocks: a key in another form would be left out without a word.
fn require_nothing_beside(text: &str) -> Result<(), KeyError> {
    let mut is_inside = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with("-----BEGIN") {
            is_inside = true;
        } else if line.starts_with("-----END") {
            is_inside = false;
        } else if !is_inside && !line.is_empty() && !line.starts_with('#') {
            return Err(KeyError::BesidePem { line: index + 1 });
        }
    }
    Ok(())
}

fn line_keys(text: &str) -> Result<Vec<PublicKey>, KeyError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let bytes = STANDARD.decode(line).ok();
        bytes
            .and_then(|bytes| PublicKey::from_der_or_raw(&bytes))
            .ok_or_else(|| KeyError::Public(shortened(line)))
    };
    lines.map(read).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A private key that can sign.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a PKCS#8 private key in PEM, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes());
        let der = der.map_err(|error| KeyError::Private(error.to_string()))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(Self).map_err(|error| KeyError::Private(error.to_string()))
    }

    /// A new key, as PEM.
    pub fn generate() -> Result<String, KeyError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document = Ed25519KeyPair::generate_pkcs8v1(&random);
        let document =
            document.map_err(|_| KeyError::Private("the system gives no random bytes".to_owned()))?;
        Ok(pem("PRIVATE KEY", document.as_ref()))
    }

    /// The public half.
    pub fn public(&self) -> Option<PublicKey> {
        PublicKey::from_der_or_raw(self.0.public_key().as_ref())
    }

    /// A signature over a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

const PUBLIC_KEY_BYTES: usize = 32;
const KEY_ID_DIGITS: usize = 32;
/// The SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 §4).
const SPKI_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
