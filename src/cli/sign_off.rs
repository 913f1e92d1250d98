//! `lockkeeper audit sign-off`: closes an access review with an entry of the ledger.
//!
//! Promises: the entry names the very bytes of the report. Only the service that writes the ledger adds to it, so nothing is signed off
//! where none does. Whoever signs the same report once more is told, as far as they may read the ledger.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::admin_post::post;
use super::audit::{StateArgs, Whose, describe};
use super::exit::Exit;
use super::render;
use crate::admin::reviews::{PATH, is_note};
use crate::audit::report::write;
use crate::disk;
use crate::ledger::error::LedgerError;
use crate::ledger::read::{Tail, has_writer};
use crate::model::hex::hex;

/// The arguments.
#[derive(Args)]
pub struct SignOffArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// The report, as `audit report` wrote it
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// What came of the review
    #[arg(long, value_enum)]
    verdict: Verdict,
    /// A sentence for the ledger, e.g. the number of a ticket; no values of records and no names of people, since it stays
    #[arg(long, value_parser = note)]
    note: Option<String>,
}

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// Access is as it should be
    Accepted,
    /// Something is to be changed
    Findings,
}

/// Runs the command.
pub fn run(args: &SignOffArgs, whose: &Whose) -> Exit {
    match signed_off(args, whose) {
        Ok((digest, seq)) => {
            render::line(&digest);
            render::message(format!("entry {seq} of the ledger closes the review of this report"));
            Exit::Success
        }
        Err(why) => {
            render::failure(&why);
            Exit::Failure
        }
    }
}

fn signed_off(args: &SignOffArgs, whose: &Whose) -> Result<(String, u64), String> {
    let digest = digest(&args.report)?;
    match has_writer(&whose.state) {
        Ok(true) => {}
        Ok(false) => {
            return Err(
                "no service writes this ledger, so no entry can be added: sign off where it runs".to_owned()
            );
        }
        // Whoever may not look may ask the service all the same.
        Err(_) if whose.admin.is_some() => {}
        Err(error) => return Err(describe(&error)),
    }
    let help = "the service that writes this ledger must do it: name its configuration, with an `[admin]` section, with --config";
    let admin = whose.admin.as_ref().ok_or(help)?;
    let verdict = args.verdict.to_possible_value().map(|value| value.get_name().to_owned());
    let mut body = json!({ "report": digest, "verdict": verdict });
    if let (Some(note), Some(members)) = (&args.note, body.as_object_mut()) {
        members.insert("note".to_owned(), json!(note));
    }
    let answer = post(admin, PATH, &body)?;
    let seq = answer.get("seq").and_then(Value::as_u64);
    match seq.map_or(Ok(None), |seq| signed_before(&whose.state, &digest, seq)) {
        Ok(None) => {}
        Ok(Some(told)) => render::message(told),
        Err(error) => render::message(format!(
            "whether this report was signed off before cannot be told: {}",
            describe(&error)
        )),
    }
    seq.map(|seq| (digest, seq)).ok_or_else(|| "the admin listener does not know reviews".to_owned())
}

/// What to say of the last sign-off of the same report before entry `seq`, if there is one. Reads the ledger up to there.
fn signed_before(state: &Path, digest: &str, seq: u64) -> Result<Option<String>, LedgerError> {
    let (mut tail, mut found) = (Tail::new(state, 0), None);
    while let Some(line) = tail.next_raw()?.filter(|line| line.place.seq < seq) {
        if line.kind != "review" {
            continue;
        }
        let review: Value = serde_json::from_slice(&line.bytes).unwrap_or_default();
        let text = |member| review.get(member).and_then(Value::as_str).unwrap_or_default();
        if text("report") == digest {
            let (seq, t, verdict) = (line.place.seq, &line.t, text("verdict"));
            found = Some(format!(
                "entry {seq} of {t} had closed the review of this report already ({verdict}); both stand"
            ));
        }
    }
    Ok(found)
}

fn digest(report: &Path) -> Result<String, String> {
    let bytes = disk::read(report, REPORT_BYTES_MAX);
    let bytes = bytes.map_err(|error| format!("cannot read `{}`: {error}", report.display()))?;
    if bytes.is_empty() {
        return Err(format!("`{}` is empty: it is no report", report.display()));
    }
    if !write::is_form(&bytes) {
        let file = report.display();
        render::message(format!("warning: `{file}` does not look like what `audit report` writes"));
    }
    Ok(hex(&Sha256::digest(bytes)))
}

fn note(text: &str) -> Result<String, String> {
    let why = "a note has at most 500 bytes and no control characters";
    is_note(text).then(|| text.to_owned()).ok_or_else(|| why.to_owned())
}

/// The most bytes of a report.
const REPORT_BYTES_MAX: usize = 1 << 30;
