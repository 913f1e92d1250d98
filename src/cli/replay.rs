//! `lockkeeper audit replay`: what another bundle would have decided of the requests in the ledger.
//!
//! Promises: nothing is told before the reading is recorded, where a service could record it. The ledger is only read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::audit::{StateArgs, Whose, failed, has_ledger};
use super::exit::Exit;
use super::explain::what_serves;
use super::query::{Moment, end_moment, first_moment, is_period};
use super::reading::{Demand, Unrecorded, is_recorded};
use super::{Format, render};
use crate::audit::item::text;
use crate::audit::joined::Joined;
use crate::audit::when::nanoseconds;
use crate::bundle::compile;
use crate::bundle::current::Snapshot;
use crate::bundle::directory;
use crate::config::author::{Problems, SourceFile};
use crate::ledger::error::LedgerError;
use crate::ledger::handles::Names;
use crate::ledger::revisions::Revisions;
use crate::model::principal::EntityRef;
use crate::workbench::replay::{Replay, Replayed};

/// The arguments.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// The bundle that is asked, a folder or an archive
    #[arg(long)]
    bundle: PathBuf,
    /// The directory that is asked
    #[arg(long)]
    directory: PathBuf,
    /// The beginning of the period, RFC 3339 or a date (UTC); without it the first entry
    #[arg(long, value_name = "TIME", value_parser = first_moment)]
    from: Option<Moment>,
    /// The end of the period; a date counts whole
    #[arg(long, value_name = "TIME", value_parser = end_moment)]
    to: Option<Moment>,
    #[command(flatten)]
    unrecorded: Unrecorded,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub(super) fn run(args: &ReplayArgs, whose: &Whose) -> Exit {
    if !is_period(args.from, args.to) {
        return Exit::Usage;
    }
    let mut problems = Problems::default();
    let serves = what_serves(Some((&args.bundle, &args.directory)), None, &mut problems);
    render::problems(&problems);
    let Some((snapshot, _)) = serves else { return Exit::Failure };
    match replayed(args, whose, &snapshot) {
        Ok(None) => Exit::Failure,
        Ok(Some(found)) => {
            match args.format {
                Format::Text => tell(&found),
                Format::Json => match serde_json::to_string(&found) {
                    Ok(json) => render::line(json),
                    Err(error) => {
                        render::failure(&error);
                        return Exit::Failure;
                    }
                },
            }
            Exit::Success
        }
        Err(error) => failed(&error),
    }
}

fn replayed(
    args: &ReplayArgs,
    whose: &Whose,
    snapshot: &Arc<Snapshot>,
) -> Result<Option<Replayed>, LedgerError> {
    let command = format!("audit replay --bundle {}", snapshot.bundle.revision);
    if !has_ledger(&whose.state)? || !is_recorded(whose, Demand::unless(&args.unrecorded), &command)? {
        return Ok(None);
    }
    let names = Names::read(&whose.state)?;
    let revisions = Revisions::existing(&whose.state);
    let mut kept: HashMap<(String, String), Option<Arc<Snapshot>>> = HashMap::new();
    let then = |bundle: &str, directory: &str| {
        if kept.len() > REVISIONS_MAX {
            kept.clear();
        }
        let key = (bundle.to_owned(), directory.to_owned());
        kept.entry(key).or_insert_with(|| load(&revisions, bundle, directory)).clone()
    };
    let mut replay = Replay::new(snapshot, Box::new(then));
    let mut joined = Joined::new(&whose.state, 0)?;
    while let Some(item) = joined.next_item()? {
        let t = nanoseconds(text(&item.entry, "t"));
        let is_before = args.from.is_some_and(|from| t < from.0);
        let is_after = args.to.is_some_and(|to| t > to.0);
        if item.kind != "decision" || is_before || is_after {
            continue;
        }
        let handle = item.entry.get("who").map(|who| text(who, "handle")).unwrap_or_default();
        let who = names.resolve(handle).map(|(type_name, id)| EntityRef::new(type_name, id));
        replay.add(&item.entry, who, t / 1_000_000);
    }
    Ok(Some(replay.end()))
}

/// What decided then, from what the service kept of it.
fn load(revisions: &Revisions, bundle: &str, directory: &str) -> Option<Arc<Snapshot>> {
    let mut problems = Problems::default();
    let files = revisions.load(bundle).ok()??.into_iter().collect();
    let bundle = compile::compile(files, &mut problems)?;
    let people = revisions.load(directory).ok()??;
    let (name, bytes) = people.into_iter().next()?;
    let source = SourceFile::new(name, String::from_utf8_lossy(&bytes));
    let directory = directory::load(&source, &bundle.schema.schema, &mut problems)?;
    Some(Snapshot::first(bundle, directory))
}

fn tell(found: &Replayed) {
    let changed: u64 = found.changed.iter().map(|changed| changed.count).sum();
    let unknown: u64 = found.unknown.values().sum();
    render::line(format!(
        "{} decisions with {} questions: {} as they were, {changed} otherwise, {unknown} cannot be asked again",
        found.decisions, found.questions, found.same
    ));
    for change in &found.changed {
        let on = if change.on.is_empty() { String::new() } else { format!(" {}", change.on) };
        render::line(format!(
            "{}: {} {}{on}: was {}, would be {} ({} times, first {})",
            change.who, change.action, change.type_name, change.was, change.would, change.count, change.first
        ));
    }
    for (why, count) in &found.unknown {
        render::line(format!("cannot be asked again, {count} times: {why}"));
    }
}

/// Revisions that are kept in memory.
const REVISIONS_MAX: usize = 16;
const EXAMPLE: &str = "Example: lockkeeper audit replay --config lockkeeper.toml --bundle bundle --directory directory.cedarentities.json --from 2026-11-01";
