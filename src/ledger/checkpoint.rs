//! Checkpoints as C2SP `tlog-checkpoint` has them: a log's name, its size and its root, as a signed note.
//!
//! Promises: a checkpoint that was opened is signed by a trusted key and names the log that was asked for. Never holds a time: when it
//! was seen is for whoever saw it.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note::{self, KeyName, Note, NoteError, Signer, VerifierKey};
use super::tree::{Hash, TreeHead};

/// What a log says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Its size and root.
    pub head: TreeHead,
    /// The trusted keys that signed it, by their place in the list that was given.
    pub signed_by: Vec<usize>,
}

/// Why a checkpoint cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signed text is no checkpoint.
    #[error("line {line} of the signed text is not as C2SP tlog-checkpoint has it")]
    Form {
        /// The line's number, from 1.
        line: usize,
    },
    /// It is of another log.
    #[error("it is a checkpoint of the log `{found}`, and the key is that of `{expected}`")]
    Origin {
        /// The name in the checkpoint.
        found: String,
        /// The name of the key.
        expected: String,
    },
}

impl CheckpointError {
    /// What to do where the log itself shall go on from the checkpoint.
    pub(super) fn way_out(&self) -> String {
        match self {
            Self::Origin { found, .. } => format!("`origin` stays for good: write `{found}` again"),
            Self::Note(_) | Self::Form { .. } => {
                "after a change of keys name the old one as `previous_key_file`".to_owned()
            }
        }
    }
}

/// A checkpoint over the head, signed by each of the keys.
#[must_use]
pub fn sign(origin: &KeyName, head: &TreeHead, signers: &[Signer]) -> String {
    note::sign(&text(origin, head), signers)
}

fn text(origin: &KeyName, head: &TreeHead) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{origin}\n{}\n{}", head.size, STANDARD.encode(head.root.as_bytes()));
    text
}

/// Reads a checkpoint and checks its signatures. A log signs under its own name, so the name must be that of a key that signed.
///
/// # Errors
/// Whatever keeps it from being trusted.
pub fn open(note: &str, trusted: &[VerifierKey]) -> Result<Checkpoint, CheckpointError> {
    let Note { text, signed_by } = note::open(note, trusted)?;
    let (origin, head) = parse(&text).map_err(|line| CheckpointError::Form { line })?;
    let names = signed_by.iter().filter_map(|at| trusted.get(*at)).map(VerifierKey::name);
    let names: Vec<String> = names.map(ToString::to_string).collect();
    if !names.contains(&origin) {
        return Err(CheckpointError::Origin { found: origin, expected: names.join("`, `") });
    }
    Ok(Checkpoint { origin, head, signed_by })
}

/// The name and head in a note of whoever. Nothing vouches for them.
///
/// # Errors
/// The number of the first wrong line.
pub fn read_unchecked(note: &str) -> Result<(String, TreeHead), usize> {
    parse(note)
}

/// The name and head in a checkpoint's text; further lines, which others may add, are not ours to judge. The number of the first
/// wrong line otherwise.
fn parse(text: &str) -> Result<(String, TreeHead), usize> {
    let mut lines = text.split('\n');
    let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(1_usize)?;
    let size = lines.next().and_then(decimal).ok_or(2_usize)?;
    let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).ok_or(3_usize)?;
    let root = Hash::from_slice(&root).ok_or(3_usize)?;
    Ok((origin.to_owned(), TreeHead { size, root }))
}

/// A decimal number without sign and leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_canonical)
}
