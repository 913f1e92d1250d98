//! `lockkeeper audit verify`: whether the ledger is what was written, and still begins with what was signed or noted of it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::audit::{StateArgs, describe, exit_of, failed, has_ledger};
use super::evidence::public_key;
use super::exit::Exit;
use super::verify_text;
use super::{Format, render};
use crate::audit::signed::{Judged, Kept};
use crate::disk;
use crate::ledger::error::LedgerError;
use crate::ledger::note::VerifierKey;
use crate::ledger::revisions::Revisions;
use crate::ledger::seal::checkpoint_file;
use crate::ledger::tree::TreeHead;
use crate::ledger::verify::{Verified, verify};

/// The arguments.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// A public key of the log, as `audit keygen` printed it; may be repeated
    #[arg(long, value_name = "NAME+ID+BASE64", value_parser = public_key)]
    key: Vec<VerifierKey>,
    /// Checkpoints that were exported: a file, or a folder of them; may be repeated
    #[arg(long, value_name = "PATH", requires = "key")]
    checkpoint: Vec<PathBuf>,
    /// What an earlier run printed as `head`: the ledger must still begin with these entries; may be repeated
    #[arg(long, value_name = "SIZE:ROOT", value_parser = head)]
    head: Vec<TreeHead>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What was found.
pub(super) struct Found {
    /// The lines.
    pub(super) verified: Verified,
    /// The heads that were given.
    pub(super) heads: Vec<TreeHead>,
    /// The checkpoints, where keys were given.
    pub(super) judged: Option<Judged>,
    /// Revisions that decided and are not kept.
    pub(super) missing: Vec<String>,
}

/// A head that stands for something.
fn head(text: &str) -> Result<TreeHead, String> {
    let head: TreeHead = text.parse().map_err(|error| format!("{error}"))?;
    match head.size {
        0 => Err("a head of no entries proves nothing: every ledger begins with it".to_owned()),
        _ => Ok(head),
    }
}

/// Runs the command.
pub fn run(args: &VerifyArgs, state: &Path) -> Exit {
    match verified(args, state) {
        Ok(exit) => exit,
        Err(error) if args.format == Format::Json => {
            render::line(json!({ "error": describe(&error), "damaged": damaged(&error) }).to_string());
            exit_of(&error)
        }
        Err(error) => failed(&error),
    }
}

fn verified(args: &VerifyArgs, state: &Path) -> Result<Exit, LedgerError> {
    if !has_ledger(state)? {
        // Whoever has a head or a checkpoint had a ledger.
        let had_one = !args.head.is_empty() || !args.checkpoint.is_empty();
        return Ok(if had_one { Exit::LedgerBroken } else { Exit::Failure });
    }
    let kept = match kept(args, state) {
        Ok(kept) => kept,
        Err(why) => {
            render::failure(&why);
            return Ok(Exit::Failure);
        }
    };
    if kept.unreadable > 0 {
        let lines = render::count(kept.unreadable, "line");
        render::message(format!("{lines} of the given files began as a checkpoint and could not be read"));
    }
    let heads = [args.head.clone(), kept.heads()].concat();
    let mut progress = render::Progress::new("verifying");
    let verified = verify(state, &heads, &mut |done, all| progress.tell(done, all));
    progress.end();
    let mut verified = verified?;
    let of_checkpoints = verified.noted.split_off(args.head.len());
    let judged = kept.judge(&of_checkpoints, &args.key, &verified.life);
    let missing = missing(state, &verified)?;
    let judged = (!args.key.is_empty()).then_some(judged);
    let found = Found { verified, heads: args.head.clone(), judged, missing };
    match args.format {
        Format::Text => verify_text::print(&found),
        Format::Json => render::line(json_of(&found).to_string()),
    }
    let broken = verify_text::broken(&found);
    broken.iter().for_each(|text| render::failure(text));
    Ok(if broken.is_empty() { Exit::Success } else { Exit::LedgerBroken })
}

/// The checkpoints that were given, and the service's own last one; none without a key that could vouch for them.
fn kept(args: &VerifyArgs, state: &Path) -> Result<Kept, String> {
    let mut kept = Kept::default();
    if args.key.is_empty() {
        return Ok(kept);
    }
    for path in &args.checkpoint {
        let mut found = 0;
        for file in files(path)? {
            found += add(&mut kept, &file)?;
        }
        if found == 0 {
            return Err(format!("there is no checkpoint in `{}`", path.display()));
        }
    }
    let own = checkpoint_file(state);
    if own.is_file() && add(&mut kept, &own)? == 0 {
        return Err(format!("the service's own last checkpoint in `{}` is none", own.display()));
    }
    kept.sort();
    Ok(kept)
}

fn add(kept: &mut Kept, file: &Path) -> Result<usize, String> {
    let unusable = |why: String| format!("checkpoints cannot be read from `{}`: {why}", file.display());
    let bytes = disk::read(file, CHECKPOINTS_BYTES_MAX).map_err(|error| unusable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not text".to_owned()))?;
    kept.add(&text).map_err(|line| unusable(format!("line {line} is not a checkpoint")))
}

/// A file, or those of a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    disk::files(path).map_err(|error| format!("cannot look into `{}`: {error}", path.display()))
}

/// Revisions that decided and whose text is not kept.
fn missing(state: &Path, verified: &Verified) -> Result<Vec<String>, LedgerError> {
    let revisions = Revisions::existing(state);
    let mut missing = Vec::new();
    for hash in &verified.life.revisions {
        if !revisions.has(hash)? {
            missing.push(hash.clone());
        }
    }
    Ok(missing)
}

fn json_of(found: &Found) -> Value {
    let Found { verified, heads, judged, missing } = found;
    let noted = heads.iter().zip(&verified.noted);
    let noted =
        noted.map(|(head, noted)| json!({ "head": head.to_string(), "state": verify_text::word(*noted) }));
    let checkpoints = judged.as_ref().map(|judged| {
        let broken = judged.broken.iter().map(|(size, broken)| {
            json!({ "entries": size, "why": verify_text::why(broken, *size, verified.head.size) })
        });
        json!({
            "hold": judged.hold,
            "newest": judged.newest.map(|head| head.to_string()),
            "keys": judged.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "broken": broken.collect::<Vec<_>>(),
        })
    });
    json!({
        "head": verified.head.to_string(),
        "entries": verified.head.size,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "integrity": {
            "noted": noted.collect::<Vec<_>>(),
            "checkpoints": checkpoints,
            "wrong_tiles": verified.tiles.count,
            "first_wrong_tile": verified.tiles.first,
        },
        "completeness": {
            "removed": verified.removed.as_ref().map(|removed| json!({ "entry": removed.seq, "t": removed.t, "removal": removed.removal })),
            "remaining": verified.remaining,
            "unfinished_bytes": verified.unfinished_bytes,
            "open": verified.open,
            "gaps": verified.life.gaps,
            "refused": verified.life.refused,
            "lost": verified.life.lost,
            "passed": verified.life.passed,
            "missing_revisions": missing,
            "unsigned": judged.as_ref().map(|judged| verify_text::unsigned(verified, judged)),
        },
    })
}

fn damaged(error: &LedgerError) -> Option<Value> {
    match error {
        LedgerError::Damaged { path, offset, line, flaw } => {
            let (file, flaw) = (path.display().to_string(), flaw.to_string());
            Some(json!({ "file": file, "offset": offset, "line": line, "flaw": flaw }))
        }
        _ => None,
    }
}

/// The most bytes of one file of checkpoints: a day of one a second is some 30 MB.
const CHECKPOINTS_BYTES_MAX: usize = 256 << 20;
