//! `lockkeeper audit report`: an access review from what decides and what the ledger says was done.
//!
//! Promises: nothing is told before the reading is recorded, where a service could record it, and before every line of the ledger was
//! checked. Only the index's file is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::audit::{StateArgs, Whose, failed, has_ledger};
use super::exit::Exit;
use super::query::{Moment, end_moment, first_moment, index_file, is_period, open_index, unanswered};
use super::reading::{Demand, Recorded, Unrecorded, is_in, record};
use super::{explain, render};
use crate::audit::index::error::IndexError;
use crate::audit::report::bursts::Rule;
use crate::audit::report::hours::{Hours, UtcOffset};
use crate::audit::report::tally::Rules;
use crate::audit::report::{Sources, html, report, write};
use crate::audit::when::exact;
use crate::bundle::current::Snapshot;
use crate::config::author::Problems;
use crate::disk;
use crate::ledger::checkpoint;
use crate::ledger::handles::Names;
use crate::ledger::log_id::LogId;
use crate::ledger::seal::checkpoint_file;
use crate::ledger::tree::TreeHead;
use crate::ledger::verify::verify;
use crate::model::hex::hex;
use crate::telemetry::clock::Clock;
use sha2::{Digest as _, Sha256};

/// The arguments.
#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// The bundle whose policies say who can, a folder or an archive; without it the configuration's
    #[arg(long, requires = "directory")]
    bundle: Option<PathBuf>,
    /// The directory with the people who can, with --bundle
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// The beginning of the period, RFC 3339 or a date (UTC); without it the first entry
    #[arg(long, value_name = "TIME", value_parser = first_moment)]
    from: Option<Moment>,
    /// The end of the period; a date counts whole
    #[arg(long, value_name = "TIME", value_parser = end_moment)]
    to: Option<Moment>,
    /// When people work, Monday to Friday: what is outside of that is told as unusual
    #[arg(long, value_name = "FROM-TO", default_value = "07:00-19:00")]
    hours: Hours,
    /// How far their clocks are from UTC
    #[arg(long, value_name = "±HH:MM", default_value = "+00:00", allow_hyphen_values = true)]
    utc_offset: UtcOffset,
    /// How many refusals of one person or source are a burst
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    burst: u64,
    /// Within how many minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    burst_minutes: u32,
    /// The index's file; without it index.sqlite in the state folder
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    #[command(flatten)]
    unrecorded: Unrecorded,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For a terminal
    #[default]
    Text,
    /// One page that can be handed on and printed
    Html,
    /// For spreadsheets
    Csv,
    /// For programs
    Json,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs, whose: &Whose) -> Exit {
    match reported(args, whose) {
        Ok(exit) => exit,
        Err(error) => unanswered(&error),
    }
}

fn reported(args: &ReportArgs, whose: &Whose) -> Result<Exit, IndexError> {
    if !is_period(args.from, args.to) {
        return Ok(Exit::Usage);
    }
    if !has_ledger(&whose.state)? {
        return Ok(Exit::Failure);
    }
    let Some(snapshot) = snapshot(args) else { return Ok(Exit::Failure) };
    let names = Names::read(&whose.state)?;
    let command = command(args);
    let recorded = match record(whose, Demand::unless(&args.unrecorded), &command) {
        Ok(recorded) => recorded,
        Err(why) => return Ok(refused(&why)),
    };
    let index = open_index(index_file(args.index.as_ref(), whose), whose)?;
    if let Recorded::As(seq) = recorded
        && let Err(why) = is_in(&index, seq, &command)?
    {
        return Ok(refused(&why));
    }
    let mut progress = render::Progress::new("checking the ledger:");
    let verified = verify(&whose.state, &[], &mut |done, all| progress.tell(done, all));
    progress.end();
    let head = match verified {
        Ok(verified) => verified.head,
        Err(error) => return Ok(failed(&error)),
    };
    let sources = Sources {
        index: &index,
        names: &names,
        snapshot: &snapshot,
        now_ms: Clock::system().now_ms(),
        head,
        log: LogId::read(&whose.state)?.map(|id| id.to_string()),
        signed: signed(&whose.state),
        to: args.to.map(|at| at.0),
        rules: rules(args),
        reading: recorded.briefly(),
    };
    let mut progress = render::Progress::new("asking the policies:");
    let made = report(&sources, &mut |done, all| progress.tell(done, all));
    progress.end();
    let made = made?;
    let text = match args.format {
        ReportFormat::Text => write::text(&made),
        ReportFormat::Html => html::page(&made),
        ReportFormat::Csv => write::table(&made),
        ReportFormat::Json => write::json(&made).to_string(),
    };
    let digest = hex(&Sha256::digest(format!("{text}\n")));
    render::line(text);
    made.uncovered.iter().for_each(render::message);
    render::message(recorded.told());
    render::message(format!("SHA-256 of this report: {digest}"));
    Ok(Exit::Success)
}

/// The name and head of the last checkpoint in the state folder, where there is one.
fn signed(state: &Path) -> Option<(String, TreeHead)> {
    let note = disk::read(&checkpoint_file(state), CHECKPOINT_BYTES_MAX).ok()?;
    checkpoint::read_unchecked(&String::from_utf8(note).ok()?).ok()
}

fn refused(why: &str) -> Exit {
    render::failure(&why);
    Exit::Failure
}

/// What decides: the bundle and directory that are named, or those of the configuration.
fn snapshot(args: &ReportArgs) -> Option<Arc<Snapshot>> {
    let mut problems = Problems::default();
    let named = args.bundle.as_deref().zip(args.directory.as_deref());
    let snapshot = match (named, args.state.config()) {
        (None, None) => {
            render::failure(
                &"who can do what is asked of a bundle and a directory: name them with --bundle and --directory, or a configuration with --config",
            );
            return None;
        }
        (named, config) => explain::what_serves(named, config, &mut problems),
    };
    render::problems(&problems);
    snapshot.map(|(snapshot, _)| snapshot)
}

fn rules(args: &ReportArgs) -> Rules {
    Rules {
        from: args.from.map(|at| at.0),
        burst: Rule { number: args.burst, minutes: args.burst_minutes },
        hours: args.hours,
        offset: args.utc_offset,
    }
}

/// The command as it is recorded.
fn command(args: &ReportArgs) -> String {
    let bound = |name: &str, at: Option<Moment>| at.map(|at| format!(" --{name} {}", exact(at.0)));
    let bounds = [bound("from", args.from), bound("to", args.to)];
    let bounds: String = bounds.into_iter().flatten().collect();
    format!("audit report{bounds}")
}

/// The most bytes of a checkpoint.
const CHECKPOINT_BYTES_MAX: usize = 1 << 16;
