//! Evidence for one entry: a C2SP `tlog-proof` that holds the entry's line, its proof of inclusion and a checkpoint.
//!
//! Promises: whoever has the log's public key can check it without the ledger, without a network, and without us. Never holds more of
//! the ledger than that one line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{self, Checkpoint, CheckpointError, decimal};
use super::durable;
use super::error::LedgerError;
use super::line::{self, Flaw, LINE_BYTES_MAX};
use super::note::{NOTE_BYTES_MAX, VerifierKey};
use super::proof::{inclusion, inclusion_holds};
use super::seal::{checkpoint_file, folder};
use super::tile_store::{TileReader, TileStore};
use super::tree::{Hash, TreeHead};

/// Evidence for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The entry's line, without its line feed.
    pub line: Vec<u8>,
    /// Its leaf: one less than its number.
    pub index: u64,
    /// What leads from the leaf to the root.
    pub path: Vec<Hash>,
    /// The checkpoint, as a signed note.
    pub checkpoint: String,
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// It is too long.
    #[error("the proof is longer than {EVIDENCE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not as C2SP tlog-proof has it.
    #[error("line {line} of the proof is not as C2SP tlog-proof has it")]
    Form {
        /// The line's number, from 1.
        line: usize,
    },
    /// It does not hold the entry.
    #[error("the proof has no `extra` line with the entry")]
    NoEntry,
    /// The checkpoint cannot be trusted.
    #[error("its checkpoint proves nothing: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is older than the entry.
    #[error("its checkpoint is for {size} entries, and this would be entry {seq}")]
    NotYet {
        /// How many the checkpoint is for.
        size: u64,
        /// The entry's number.
        seq: u64,
    },
    /// The hashes do not lead to the root.
    #[error("the entry is not in the ledger that was signed for, or was changed")]
    NotIncluded,
    /// The line is no line of a ledger.
    #[error("the entry is not a line of a ledger: {0}")]
    Line(Flaw),
    /// The line stands at another place.
    #[error("the line is that of entry {found}, and the proof is for {expected}")]
    Place {
        /// The number that the proof is for.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
}

/// Makes evidence for lines of one ledger.
pub struct Prover {
    store: TileStore,
    checkpoint: String,
    path: PathBuf,
    head: TreeHead,
}

impl Prover {
    /// Takes the last checkpoint under a state folder; `None` where there is none.
    ///
    /// # Errors
    /// What is there is no checkpoint, or a file system refuses.
    pub fn open(state: &Path) -> Result<Option<Self>, LedgerError> {
        let path = checkpoint_file(state);
        let Some(checkpoint) = durable::read_text(&path, NOTE_BYTES_MAX)? else { return Ok(None) };
        let unusable =
            |line| LedgerError::Checkpoint { path: path.clone(), why: CheckpointError::Form { line } };
        let (_, head) = checkpoint::read_unchecked(&checkpoint).map_err(unusable)?;
        Ok(Some(Self { store: TileStore::new(folder(state)), checkpoint, path, head }))
    }

    /// How many entries the checkpoint stands for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Evidence for a line; `None` where the checkpoint is older.
    ///
    /// # Errors
    /// A tile is missing; or the line is not the one that was signed for, or a tile not what it was.
    pub fn prove(&self, seq: u64, line: &[u8]) -> Result<Option<Evidence>, LedgerError> {
        let size = self.head.size;
        let Some(index) = seq.checked_sub(1).filter(|index| *index < size) else { return Ok(None) };
        let path = inclusion(&mut TileReader::new(&self.store, size), index, size)?;
        if !inclusion_holds(Hash::leaf(line), index, &path, &self.head) {
            return Err(LedgerError::Rewritten { path: self.path.clone(), signed: size });
        }
        Ok(Some(Evidence { line: line.to_vec(), index, path, checkpoint: self.checkpoint.clone() }))
    }
}

impl Evidence {
    /// Whether it proves that the line is in the ledger that a trusted key signed for.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, trusted: &[VerifierKey]) -> Result<Checkpoint, EvidenceError> {
        let checkpoint = checkpoint::open(&self.checkpoint, trusted)?;
        let (seq, size) = (self.index.saturating_add(1), checkpoint.head.size);
        if seq > size {
            return Err(EvidenceError::NotYet { size, seq });
        }
        if !inclusion_holds(Hash::leaf(&self.line), self.index, &self.path, &checkpoint.head) {
            return Err(EvidenceError::NotIncluded);
        }
        let head = line::check(&self.line).map_err(EvidenceError::Line)?;
        match head.place.seq == seq {
            true => Ok(checkpoint),
            false => Err(EvidenceError::Place { expected: seq, found: head.place.seq }),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}\nextra {}\nindex {}", STANDARD.encode(&self.line), self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Evidence {
    type Err = EvidenceError;

    fn from_str(text: &str) -> Result<Self, EvidenceError> {
        if text.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLong);
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(EvidenceError::Form { line: 1 })?;
        let mut lines = (1..).zip(head.split('\n'));
        let mut next = || lines.next().unwrap_or((1, ""));
        let (_, VERSION) = next() else { return Err(EvidenceError::Form { line: 1 }) };
        let (number, extra) = next();
        let extra = extra.strip_prefix("extra ").ok_or(EvidenceError::NoEntry)?;
        let wrong = |line| move || EvidenceError::Form { line };
        let line = STANDARD.decode(extra).map_err(|_| wrong(number)())?;
        let (number, index) = next();
        let index = index.strip_prefix("index ").and_then(decimal).ok_or_else(wrong(number))?;
        let mut path = Vec::new();
        for (number, text) in lines {
            let bytes = STANDARD.decode(text).map_err(|_| wrong(number)())?;
            path.push(Hash::from_slice(&bytes).ok_or_else(wrong(number))?);
        }
        Ok(Self { line, index, path, checkpoint: checkpoint.to_owned() })
    }
}

/// The first line.
const VERSION: &str = "c2sp.org/tlog-proof@v1";
/// The longest: a line, 64 hashes and a checkpoint.
pub const EVIDENCE_BYTES_MAX: usize = 2 * LINE_BYTES_MAX + 64 * 48 + NOTE_BYTES_MAX;
