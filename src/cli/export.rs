//! `lockkeeper audit export`: decisions for other systems, in a form that they know.
//!
//! Promises: nothing is told before the reading is recorded, where a service could record it.

use clap::{Args, ValueEnum};

use super::audit::{StateArgs, Whose, failed, has_ledger};
use super::exit::Exit;
use super::reading::{Demand, Unrecorded, is_recorded};
use super::render;
use crate::audit::joined::Joined;
use crate::audit::ocsf;
use crate::ledger::error::LedgerError;

/// The arguments.
#[derive(Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// Begin with this entry
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since_seq: u64,
    #[command(flatten)]
    unrecorded: Unrecorded,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
}

/// A form that other systems know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Open Cybersecurity Schema Framework: API Activity with Security Control
    #[default]
    Ocsf,
}

/// Runs the command.
pub fn run(args: &ExportArgs, whose: &Whose) -> Exit {
    match exported(args, whose) {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn exported(args: &ExportArgs, whose: &Whose) -> Result<Exit, LedgerError> {
    let command = format!("audit export --since-seq {}", args.since_seq);
    if !has_ledger(&whose.state)? || !is_recorded(whose, Demand::unless(&args.unrecorded), &command)? {
        return Ok(Exit::Failure);
    }
    let mut joined = Joined::new(&whose.state, args.since_seq)?;
    while let Some(item) = joined.next_item()? {
        let event = match args.format {
            ExportFormat::Ocsf => ocsf::event(&item),
        };
        // A reader that has gone away is no failure of ours.
        if event.is_some_and(|event| render::try_line(event.to_string()).is_err()) {
            break;
        }
    }
    Ok(Exit::Success)
}
