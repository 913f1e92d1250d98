//! `lockkeeper audit prove`, `verify-proof` and `keygen`: evidence that needs neither the ledger nor us.

use std::path::{Path, PathBuf};

use clap::Args;

use super::audit::{StateArgs, Whose, failed, has_ledger};
use super::exit::Exit;
use super::query::as_word;
use super::reading::{Demand, Unrecorded, is_recorded};
use super::{key_pair, render};
use crate::audit::evidence::{self, Entries};
use crate::disk;
use crate::ledger::error::LedgerError;
use crate::ledger::evidence::{EVIDENCE_BYTES_MAX, Evidence, Prover};
use crate::ledger::note::{KeyName, VerifierKey};

/// The arguments of `prove`.
#[derive(Args)]
pub struct ProveArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// The decision, as the caller got it in `Lockkeeper-Decision`
    #[arg(value_name = "DECISION_ID")]
    id: String,
    /// The folder that proofs are put into, made if it is missing
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    unrecorded: Unrecorded,
}

/// The arguments of `verify-proof`.
#[derive(Args)]
pub struct VerifyProofArgs {
    /// A public key of the log, as `keygen` printed it; may be repeated
    #[arg(long, value_name = "NAME+ID+BASE64", required = true, value_parser = public_key)]
    key: Vec<VerifierKey>,
    /// The proofs
    #[arg(value_name = "FILE", required = true)]
    proofs: Vec<PathBuf>,
}

/// The arguments of `keygen`.
#[derive(Args)]
pub struct AuditKeygenArgs {
    /// The name of the ledger, as `origin` in [ledger.checkpoints]
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// The new file for the private key
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// The folder that proofs are put into.
pub(super) struct Proofs<'o> {
    prover: Prover,
    out: &'o Path,
}

/// Why there are no proofs.
pub(super) enum ProofError {
    /// The ledger, or what signs for it, cannot be read.
    Ledger(LedgerError),
    /// Something else, in words.
    Other(String),
}

impl From<LedgerError> for ProofError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl ProofError {
    /// Says why.
    pub(super) fn told(self) -> Exit {
        match self {
            Self::Ledger(error) => failed(&error),
            Self::Other(why) => {
                render::failure(&why);
                Exit::Failure
            }
        }
    }
}

impl<'o> Proofs<'o> {
    /// A folder, made if it is missing.
    pub(super) fn into_folder(state: &Path, out: &'o Path) -> Result<Self, ProofError> {
        let none =
            "there is no checkpoint: proofs need a service with [ledger.checkpoints], which signs them";
        let prover = Prover::open(state)?.ok_or_else(|| ProofError::Other(none.to_owned()))?;
        disk::make_folder(out).map_err(|error| unusable("make", out, &error))?;
        Ok(Self { prover, out })
    }

    /// The name of the file with an entry's proof.
    pub(super) fn file_name(seq: u64) -> String {
        format!("{seq:020}.tlog-proof")
    }

    /// Writes the proof of an entry's line; `None` where the last checkpoint is older.
    pub(super) fn put(&self, seq: u64, line: &[u8]) -> Result<Option<PathBuf>, ProofError> {
        let Some(evidence) = self.prover.prove(seq, line)? else { return Ok(None) };
        let path = self.out.join(Self::file_name(seq));
        let written = disk::replace(&path, evidence.to_string().as_bytes(), disk::Readers::Owner);
        written.map_err(|error| unusable("write", &path, &error))?;
        Ok(Some(path))
    }

    /// What to say of entries that are too young.
    pub(super) fn told_early(&self, early: usize, all: usize) -> String {
        let (of, size) = (render::count_of(all, "entry", "entries"), self.prover.size());
        format!(
            "{early} of {of} are younger than the last checkpoint, which is for {size} entries: try again in a moment"
        )
    }
}

/// Runs `prove`.
pub fn prove(args: &ProveArgs, whose: &Whose) -> Exit {
    proved(args, whose).unwrap_or_else(ProofError::told)
}

fn proved(args: &ProveArgs, whose: &Whose) -> Result<Exit, ProofError> {
    let (state, command) = (&whose.state, format!("audit prove {}", as_word(&args.id)));
    if !has_ledger(state)? || !is_recorded(whose, Demand::unless(&args.unrecorded), &command)? {
        return Ok(Exit::Failure);
    }
    let proofs = Proofs::into_folder(state, &args.out)?;
    let Entries { lines, is_closed } = evidence::entries_of(state, &args.id)?;
    if lines.is_empty() {
        return Err(ProofError::Other(format!("no decision `{}` is in this ledger", args.id)));
    }
    let (all, mut early) = (lines.len(), 0);
    for (seq, line) in lines {
        match proofs.put(seq, &line)? {
            Some(path) => render::line(path.display().to_string()),
            None => early += 1,
        }
    }
    if !is_closed {
        render::message("the decision has no outcome yet: prove it again when it has");
    }
    if early > 0 {
        render::failure(&proofs.told_early(early, all));
        return Ok(Exit::Undetermined);
    }
    Ok(Exit::Success)
}

/// Runs `verify-proof`: prints the line that each proof proves.
pub fn verify_proof(args: &VerifyProofArgs) -> Exit {
    let mut exit = Exit::Success;
    for path in &args.proofs {
        match checked(path, &args.key) {
            Ok((line, told)) => {
                render::line(line);
                render::message(format!("{}: {told}", path.display()));
            }
            Err(Unproved::Unreadable(error)) => {
                render::failure(&format!("cannot read `{}`: {error}", path.display()));
                exit = if exit == Exit::Success { Exit::Failure } else { exit };
            }
            Err(Unproved::Wrong(why)) => {
                render::failure(&format!("`{}`: {why}", path.display()));
                exit = Exit::LedgerBroken;
            }
        }
    }
    exit
}

/// Why a file proves nothing.
enum Unproved {
    /// There is no such file, or it cannot be read.
    Unreadable(std::io::Error),
    /// It is no proof, or one that does not hold.
    Wrong(String),
}

fn checked(path: &Path, keys: &[VerifierKey]) -> Result<(String, String), Unproved> {
    let bytes = disk::read(path, EVIDENCE_BYTES_MAX).map_err(Unproved::Unreadable)?;
    let wrong = |why: &dyn std::fmt::Display| Unproved::Wrong(why.to_string());
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not text"))?;
    let evidence: Evidence = text.parse().map_err(|error| wrong(&error))?;
    let checkpoint = evidence.check(keys).map_err(|error| wrong(&error))?;
    let line = String::from_utf8(evidence.line).map_err(|_| wrong(&"the entry is not text"))?;
    let (seq, head) = (evidence.index + 1, checkpoint.head);
    Ok((line, format!("entry {seq} is in the ledger of `{}` with head {head}", checkpoint.origin)))
}

/// A public key as `keygen` prints it.
pub(super) fn public_key(text: &str) -> Result<VerifierKey, String> {
    let help = || match Path::new(text).is_file() {
        true => format!("; that is a file: write --key \"$(cat {text})\""),
        false => String::new(),
    };
    text.parse().map_err(|error| format!("{error}{}", help()))
}

/// Runs `keygen`.
pub fn keygen(args: &AuditKeygenArgs) -> Exit {
    match made(args) {
        Ok(key) => {
            render::line(key.to_string());
            render::message(
                "the line above is the public key: keep it where the auditors are, out of this host's reach",
            );
            Exit::Success
        }
        Err(why) => {
            render::failure(&why);
            Exit::Failure
        }
    }
}

fn made(args: &AuditKeygenArgs) -> Result<VerifierKey, String> {
    let name = KeyName::parse(&args.origin).map_err(|error| error.to_string())?;
    key_pair::make(&args.out).map(|public| VerifierKey::new(name, public))
}

fn unusable(what: &str, path: &Path, error: &std::io::Error) -> ProofError {
    ProofError::Other(format!("cannot {what} `{}`: {error}", path.display()))
}
