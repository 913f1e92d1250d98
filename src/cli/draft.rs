//! `lockkeeper check --from-ledger`: what observed traffic showed and the profile does not describe, as a draft.

use std::path::Path;

use super::exit::Exit;
use super::{Format, render};
use crate::audit::draft::{Draft, write};
use crate::bundle::profile::Profile;
use crate::ledger::error::LedgerError;
use crate::ledger::read::{entries, segment_starts};

/// Runs the command against a profile, or against none.
pub fn run(state: &Path, profile: Option<&Profile>, format: Format) -> Exit {
    let draft = match read(state, profile) {
        Ok(Some(draft)) => draft,
        Ok(None) => {
            render::failure(&format!("there is no ledger under `{}`", state.display()));
            return Exit::Failure;
        }
        Err(error) => {
            render::failure(&error);
            return if matches!(error, LedgerError::Damaged { .. }) {
                Exit::LedgerBroken
            } else {
                Exit::Failure
            };
        }
    };
    match format {
        Format::Json => render::line(write::json(&draft, profile).to_string()),
        Format::Text => text(&draft, profile),
    }
    if draft.missing() == 0 { Exit::Success } else { Exit::CheckFailed }
}

fn read(state: &Path, profile: Option<&Profile>) -> Result<Option<Draft>, LedgerError> {
    if segment_starts(state)?.is_empty() {
        return Ok(None);
    }
    let mut draft = Draft::default();
    for line in entries(state, 0) {
        let line = line?;
        if line.kind == "observed" {
            draft.add(&line.value, profile);
        }
    }
    Ok(Some(draft))
}

fn text(draft: &Draft, profile: Option<&Profile>) {
    if draft.missing() > 0 {
        render::line(write::toml(draft, profile).trim_end());
    }
    let count = |list: usize, noun: &str| render::count(list, noun);
    let entries = usize::try_from(draft.entries).unwrap_or(usize::MAX);
    let inner = |lists: &std::collections::BTreeMap<_, std::collections::BTreeMap<String, _>>| {
        lists.values().map(std::collections::BTreeMap::len).sum::<usize>()
    };
    render::message(format!(
        "{} of the ledger read",
        render::count_of(entries, "observed entry", "observed entries")
    ));
    if draft.missing() == 0 {
        let whom = if profile.is_some() { "the profile describes" } else { "nothing is missing in" };
        render::message(format!("{whom} all that was observed"));
        render::message("next: remove the group from `[[observe]]`, or let its date pass");
        return;
    }
    render::message(format!(
        "missing: {}, {}, {}; {} still refused, {} not read",
        count(draft.routes.len(), "route"),
        count(inner(&draft.parameters), "parameter"),
        count(inner(&draft.fields), "field"),
        draft.undescribed.len(),
        draft.unread.len()
    ));
    if draft.unnamed > 0 {
        render::message(format!(
            "{} names were not recorded: they may be values, or were too many",
            draft.unnamed
        ));
    }
    render::message(
        "next: put what you need of the draft into profile.toml, describe it, run `lockkeeper check` again",
    );
    if profile.is_none() {
        render::message("to leave out what a profile has: lockkeeper check --from-ledger STATE BUNDLE");
    }
}
