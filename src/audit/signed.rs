//! What a ledger's signed checkpoints say about it, once its lines were checked.
//!
//! Promises: a checkpoint counts only if a key signed it that was given, or that such a key vouched for: an entry names the new key,
//! and a checkpoint over that entry is signed by one that is trusted. Never reads a file.

use std::str::FromStr as _;

use crate::ledger::checkpoint::{self, CheckpointError};
use crate::ledger::life::Life;
use crate::ledger::note::VerifierKey;
use crate::ledger::tree::TreeHead;
use crate::ledger::verify::Noted;

/// Checkpoints that somebody kept, in the order of their sizes.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    notes: Vec<(TreeHead, String)>,
    /// Lines that began as an exported one and are none: cut short, or changed.
    pub unreadable: usize,
}

/// What came of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// How many are signed by a trusted key, and the ledger begins with what they stand for.
    pub hold: usize,
    /// The largest of these.
    pub newest: Option<TreeHead>,
    /// The keys that were trusted in the end.
    pub keys: Vec<VerifierKey>,
    /// What the others are, by the number of entries that each is for.
    pub broken: Vec<(u64, Broken)>,
}

/// Why a checkpoint does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The ledger has other entries.
    Changed,
    /// The ledger has fewer entries.
    Cut,
    /// The entries were removed, and so were their hashes.
    Unknown,
    /// Its signatures.
    Untrusted(CheckpointError),
}

impl Kept {
    /// Checkpoints from one text: a signed note, or lines of JSON with a `checkpoint` each, as the service exports them; other lines
    /// may stand between. Returns how many there were, or the number of the first line that is none.
    ///
    /// # Errors
    /// The number of the first wrong line.
    pub fn add(&mut self, text: &str) -> Result<usize, usize> {
        if self.push(text).is_some() {
            return Ok(1);
        }
        let mut found = 0;
        for (number, line) in (1_usize..).zip(text.lines()) {
            let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else {
                self.unreadable += usize::from(line.contains(MARK));
                continue;
            };
            let Some(note) = value.get("checkpoint").and_then(serde_json::Value::as_str) else { continue };
            self.push(note).ok_or(number)?;
            found += 1;
        }
        Ok(found)
    }

    /// What each stands for, for the comparison with the ledger.
    #[must_use]
    pub fn heads(&self) -> Vec<TreeHead> {
        self.notes.iter().map(|(head, _)| *head).collect()
    }

    /// Puts them in order; the same one again counts once.
    pub fn sort(&mut self) {
        self.notes
            .sort_by(|(one, note), (other, other_note)| (one.size, note).cmp(&(other.size, other_note)));
        self.notes.dedup();
    }

    /// Judges each, when it is known what became of what it stands for.
    #[must_use]
    pub fn judge(&self, noted: &[Noted], given: &[VerifierKey], life: &Life) -> Judged {
        let mut judged = Judged { keys: given.to_vec(), ..Judged::default() };
        let mut starts = life.keys.iter().peekable();
        for ((head, note), noted) in self.notes.iter().zip(noted) {
            let broken = match (noted, checkpoint::open(note, &judged.keys)) {
                (Noted::Kept, Ok(_)) => {
                    judged.hold += 1;
                    judged.newest = Some(*head);
                    while let Some((_, keys)) = starts.next_if(|(seq, _)| *seq <= head.size) {
                        judged.follow(keys);
                    }
                    continue;
                }
                (_, Err(error)) => Broken::Untrusted(error),
                (Noted::Changed, Ok(_)) => Broken::Changed,
                (Noted::Cut, Ok(_)) => Broken::Cut,
                (Noted::Unknown, Ok(_)) => Broken::Unknown,
            };
            judged.broken.push((head.size, broken));
        }
        judged
    }

    fn push(&mut self, note: &str) -> Option<()> {
        let (_, head) = checkpoint::read_unchecked(note).ok()?;
        self.notes.push((head, note.to_owned()));
        Some(())
    }
}

impl Judged {
    /// Trusts the keys that an entry names which the newest checkpoint stands for.
    fn follow(&mut self, keys: &[String]) {
        for text in keys {
            let key = VerifierKey::from_str(text).ok();
            let same_name =
                |key: &VerifierKey| self.keys.first().is_some_and(|first| first.name() == key.name());
            if let Some(key) = key.filter(|key| same_name(key) && !self.keys.contains(key)) {
                self.keys.push(key);
            }
        }
    }
}

/// What stands in each exported line.
const MARK: &str = "\"checkpoint\"";
