//! Signed notes as C2SP `signed-note` has them: a text, an empty line, and a signature line for each key.
//!
//! Promises: a note is accepted only if a trusted key signed it and no signature of a trusted key is wrong; names and ids of keys that
//! are not trusted decide nothing. Never holds a private key longer than the service runs.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::model::hex::hex;
use crate::model::keys::{PublicKey, SigningKey};

/// A public key under the name that it signs with: `NAME+ID+BASE64`, as tools for transparency logs write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key: PublicKey,
}

/// A key's name: not empty, at most 255 bytes, without spaces, control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(String);

/// A private key under the name that it signs with.
pub struct Signer {
    verifier: VerifierKey,
    key: SigningKey,
}

/// A note whose signatures were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its text, with the final line feed.
    pub text: String,
    /// The trusted keys that signed it, by their place in the list that was given.
    pub signed_by: Vec<usize>,
}

/// Why a note or a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The key's text is not one.
    #[error("`{0}` is not a key of the form NAME+ID+BASE64")]
    Key(String),
    /// The key's id belongs to another key.
    #[error("the id in `{0}` is not that of its name and key: a part of it was changed or left out")]
    KeyId(String),
    /// The name cannot be one.
    #[error(
        "`{0}` is not a name for a key: it needs 1 to 255 bytes, without spaces, `+` and control characters"
    )]
    Name(String),
    /// The note is too long.
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// The bytes are not those of a note.
    #[error("line {line} of the note is not as C2SP signed-note has it")]
    Form {
        /// The line's number, from 1.
        line: usize,
    },
    /// A trusted key's signature is wrong.
    #[error("the signature of `{0}` is wrong: the text was changed after it was signed")]
    Signature(String),
    /// No trusted key signed it.
    #[error("none of the given keys signed it")]
    Unsigned,
}

impl KeyName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let is_plain = |letter: char| !letter.is_whitespace() && !letter.is_control() && letter != '+';
        let is_name = !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.chars().all(is_plain);
        if is_name { Ok(Self(text.to_owned())) } else { Err(NoteError::Name(text.to_owned())) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VerifierKey {
    /// The key under a name.
    #[must_use]
    pub fn new(name: KeyName, key: PublicKey) -> Self {
        Self { name, key }
    }

    /// The name that it signs with.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The first four bytes of the SHA-256 over name, line feed, type and key.
    fn id(&self) -> [u8; ID_BYTES] {
        let mut digest = Sha256::new();
        digest.update(self.name.0.as_bytes());
        digest.update([b'\n', ED25519_TYPE]);
        digest.update(self.key.bytes());
        let mut id = [0; ID_BYTES];
        id.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = STANDARD.encode([&[ED25519_TYPE], self.key.bytes()].concat());
        write!(f, "{}+{}+{encoded}", self.name, hex(&self.id()))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::Key(text.chars().take(SHOWN_CHARS).collect());
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
        let bytes = bytes.strip_prefix(&[ED25519_TYPE]).ok_or_else(wrong)?;
        let key = PublicKey::from_bytes(bytes).ok_or_else(wrong)?;
        let found = Self { name: KeyName::parse(name)?, key };
        if hex(&found.id()) != id {
            return Err(NoteError::KeyId(text.chars().take(SHOWN_CHARS).collect()));
        }
        Ok(found)
    }
}

impl Signer {
    /// A private key under a name; `None` where its public half cannot be told.
    #[must_use]
    pub fn new(name: KeyName, key: SigningKey) -> Option<Self> {
        Some(Self { verifier: VerifierKey::new(name, key.public()?), key })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn line(&self, text: &str) -> String {
        let bytes = [&self.verifier.id()[..], &self.key.sign(text.as_bytes())].concat();
        format!("{DASH}{} {}\n", self.verifier.name, STANDARD.encode(bytes))
    }
}

/// A note: the text, which ends with a line feed, signed by each of the keys.
#[must_use]
pub fn sign(text: &str, signers: &[Signer]) -> String {
    let lines: Vec<String> = signers.iter().map(|signer| signer.line(text)).collect();
    format!("{text}\n{}", lines.concat())
}

/// Reads a note and checks its signatures against the trusted keys.
///
/// # Errors
/// Whatever keeps it from being trusted.
pub fn open(note: &str, trusted: &[VerifierKey]) -> Result<Note, NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let lines_before = |at: usize| note.get(..at).unwrap_or_default().matches('\n').count() + 1;
    if let Some(at) = note.find(|letter: char| letter.is_ascii_control() && letter != '\n') {
        return Err(NoteError::Form { line: lines_before(at) });
    }
    let empty = note.rfind("\n\n").ok_or(NoteError::Form { line: 1 })?;
    let (text, signatures) = (note.get(..=empty).unwrap_or_default(), note.get(empty + 2..));
    let signatures = signatures.and_then(|lines| lines.strip_suffix('\n'));
    let first_line = lines_before(empty + 2);
    let signatures = signatures.ok_or(NoteError::Form { line: first_line })?;
    let mut signed_by = Vec::new();
    for (place, line) in signatures.split('\n').enumerate() {
        let (name, bytes) = signature(line).ok_or(NoteError::Form { line: first_line + place })?;
        let id = bytes.get(..ID_BYTES).unwrap_or_default();
        let known = trusted.iter().position(|key| key.name.0 == name && key.id() == *id);
        let Some((at, key)) = known.and_then(|at| Some((at, trusted.get(at)?))) else { continue };
        if !key.key.signed(text.as_bytes(), bytes.get(ID_BYTES..).unwrap_or_default()) {
            return Err(NoteError::Signature(name.to_owned()));
        }
        if !signed_by.contains(&at) {
            signed_by.push(at);
        }
    }
    if signed_by.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok(Note { text: text.to_owned(), signed_by })
}

/// A signature line's name, and the key's id and signature as bytes.
fn signature(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() > ID_BYTES)?;
    KeyName::parse(name).ok()?;
    Some((name, bytes))
}

/// How a signature line begins.
const DASH: &str = "\u{2014} ";
/// The type of an Ed25519 signature.
const ED25519_TYPE: u8 = 1;
/// The bytes of a key's id.
const ID_BYTES: usize = 4;
/// The longest name of a key.
const NAME_BYTES_MAX: usize = 255;
/// The longest note: sixteen signatures of the largest kind fit.
pub const NOTE_BYTES_MAX: usize = 128 << 10;
/// How much of a wrong key is shown.
const SHOWN_CHARS: usize = 80;
