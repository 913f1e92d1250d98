//! Has the service record that its ledger is read, before anything of it is told.
//!
//! Promises: while a service writes the ledger, nothing is told unless the reading is in it, or `--unrecorded` says that it need not
//! be. The token goes to the address of the configuration and nowhere else.

use clap::Args;
use serde_json::{Value, json};

use super::admin_post::post;
use super::audit::Whose;
use super::render;
use crate::admin::readings::PATH;
use crate::audit::index::Index;
use crate::audit::index::error::IndexError;
use crate::audit::index::question::Within;
use crate::audit::item::text;
use crate::ledger::error::LedgerError;
use crate::ledger::read::{Line, entries, has_writer};

/// Whether a reading is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is entry so and so, says the service.
    As(u64),
    /// Nobody writes the ledger, so nobody could record it.
    Offline,
    /// It need not be.
    Waived,
}

impl Recorded {
    /// In words.
    pub(super) fn told(self) -> String {
        match self {
            Self::As(seq) => format!("this reading is entry {seq} of the ledger"),
            Self::Offline => "the ledger does not record this reading: no service writes it now".to_owned(),
            Self::Waived => "the ledger does not record this reading: --unrecorded".to_owned(),
        }
    }

    /// In fewer words, beside "this reading".
    pub(super) fn briefly(self) -> String {
        match self {
            Self::As(seq) => format!("entry {seq} of the ledger"),
            Self::Offline => "not recorded: no service wrote the ledger then".to_owned(),
            Self::Waived => "not recorded: --unrecorded".to_owned(),
        }
    }
}

/// Whether the service recorded the reading in this ledger; the inner error says that it was another one.
pub(super) fn is_in(index: &Index, seq: u64, command: &str) -> Result<Result<(), String>, IndexError> {
    let only = Within { after: seq.saturating_sub(1), limit: 1, ..Within::everything() };
    let found = index.readings(&only)?;
    let is_it = found.rows.first().is_some_and(|reading| reading.seq == seq && reading.command == command);
    Ok(is_it.then_some(()).ok_or_else(|| elsewhere(seq)))
}

/// Records a reading for which no index is asked, and says so. `false` where it cannot be, which is said too.
pub(super) fn is_recorded(whose: &Whose, demand: Demand, command: &str) -> Result<bool, LedgerError> {
    let recorded = match record(whose, demand, command) {
        Ok(recorded) => recorded,
        Err(why) => {
            render::failure(&why);
            return Ok(false);
        }
    };
    if let Recorded::As(seq) = recorded {
        let entry = entries(&whose.state, seq).next().transpose()?;
        let is_it = |line: &Line| line.place.seq == seq && text(&line.value, "command") == command;
        if !entry.is_some_and(|line| is_it(&line)) {
            render::failure(&elsewhere(seq));
            return Ok(false);
        }
    }
    render::message(recorded.told());
    Ok(true)
}

fn elsewhere(seq: u64) -> String {
    format!("entry {seq} is not this reading: the configuration names another service's admin listener")
}

/// Whether a reading must be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Where a service can.
    Record,
    /// Not at all.
    Waive,
}

impl Demand {
    /// As `--unrecorded` says.
    pub(super) fn unless(is_waived: &Unrecorded) -> Self {
        if is_waived.unrecorded { Self::Waive } else { Self::Record }
    }
}

/// The flag by which a reading need not be recorded.
#[derive(Args)]
pub(super) struct Unrecorded {
    /// Answer although the ledger does not record this reading
    #[arg(long)]
    unrecorded: bool,
}

/// Records a reading. The error says why that is not possible, and what to do.
pub(super) fn record(whose: &Whose, demand: Demand, command: &str) -> Result<Recorded, String> {
    if demand == Demand::Waive {
        return Ok(Recorded::Waived);
    }
    match has_writer(&whose.state) {
        Ok(false) => return Ok(Recorded::Offline),
        Ok(true) => {}
        Err(error) => {
            return Err(refusal(&format!("whether a service writes this ledger cannot be told: {error}")));
        }
    }
    let Some(admin) = &whose.admin else {
        let why = "a service writes this ledger, and no configuration with an `[admin]` section says how to reach it";
        return Err(refusal(why));
    };
    let answer = post(admin, PATH, &json!({ "command": command }));
    let answer = answer.map_err(|why| format!("the reading cannot be recorded: {why}\n  help: {WAIVED}"))?;
    let seq = answer.get("seq").and_then(Value::as_u64);
    seq.map(Recorded::As).ok_or_else(|| refusal("the admin listener does not know readings"))
}

fn refusal(why: &str) -> String {
    format!(
        "the reading cannot be recorded: {why}\n  help: a service that writes its ledger records who reads it: name its configuration with --config; \
         {WAIVED}"
    )
}

/// What the flag does.
const WAIVED: &str = "--unrecorded answers all the same and says that nothing was recorded";
