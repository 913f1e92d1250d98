//! `lockkeeper audit verify`: whether the ledger is what was written, and still begins with what was noted of it earlier.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::audit::{StateArgs, failed, has_ledger};
use super::exit::Exit;
use super::{Format, render};
use crate::ledger::error::LedgerError;
use crate::ledger::tree::TreeHead;
use crate::ledger::verify::{Noted, Verified, verify};

/// The arguments.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// What an earlier run printed as `head`: the ledger must still begin with these entries; may be repeated
    #[arg(long, value_name = "SIZE:ROOT")]
    head: Vec<TreeHead>,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, state: &Path) -> Exit {
    match verified(args, state) {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn verified(args: &VerifyArgs, state: &Path) -> Result<Exit, LedgerError> {
    if !has_ledger(state)? {
        // Whoever has a head had a ledger.
        return Ok(if args.head.is_empty() { Exit::Failure } else { Exit::LedgerBroken });
    }
    let mut progress = render::Progress::new("verifying");
    let verified = verify(state, &args.head, &mut |done, all| progress.tell(done, all));
    progress.end();
    let verified = verified?;
    match args.format {
        Format::Text => text(&verified, &args.head),
        Format::Json => render::line(json_of(&verified, &args.head).to_string()),
    }
    let noted = args.head.iter().zip(&verified.noted);
    let broken: Vec<String> = noted.filter_map(|(head, noted)| broken(head, *noted, &verified)).collect();
    broken.iter().for_each(|text| render::failure(text));
    Ok(if broken.is_empty() { Exit::Success } else { Exit::LedgerBroken })
}

fn text(verified: &Verified, heads: &[TreeHead]) {
    let Verified { head, segments, bytes, open, unfinished_bytes, noted } = verified;
    let segments = render::count(*segments, "segment");
    render::line(format!("every checksum holds: {} entries, {segments}, {bytes} bytes", head.size));
    if *unfinished_bytes > 0 {
        render::line(format!(
            "unfinished: {unfinished_bytes} bytes at the end are no whole line: a commit that is under way or was interrupted, or damage"
        ));
    }
    render::line(format!("decisions without outcome: {open}"));
    for (head, _) in heads.iter().zip(noted).filter(|(_, noted)| **noted == Noted::Kept) {
        render::line(format!("still begins with the {} entries of the noted head", head.size));
    }
    render::line(format!("head {head}"));
}

fn json_of(verified: &Verified, heads: &[TreeHead]) -> serde_json::Value {
    let noted = |(head, noted): (&TreeHead, &Noted)| {
        let state = match noted {
            Noted::Kept => "kept",
            Noted::Changed => "changed",
            Noted::Cut => "cut",
        };
        json!({ "head": head.to_string(), "state": state })
    };
    json!({
        "head": verified.head.to_string(),
        "entries": verified.head.size,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "unfinished_bytes": verified.unfinished_bytes,
        "open": verified.open,
        "noted": heads.iter().zip(&verified.noted).map(noted).collect::<Vec<_>>(),
    })
}

/// What is wrong, if anything, with what a noted head stands for.
fn broken(head: &TreeHead, noted: Noted, verified: &Verified) -> Option<String> {
    let (size, found) = (head.size, verified.head.size);
    match noted {
        Noted::Kept => None,
        Noted::Changed => Some(format!(
            "the first {size} entries are not those of the noted head: some were changed, added or removed"
        )),
        Noted::Cut => {
            Some(format!("the ledger has {found} entries and had {size}: those at its end are gone"))
        }
    }
}
