//! `lockkeeper audit`: the ledger for people. `tail` prints the latest decisions and follows what is added.
//!
//! Promises: only reads. It takes no lock, recovers nothing and leaves no file, whoever runs it, so neither a running service nor
//! the next start is ever in the way of it, or it of them. Whoever sees names is told that the ledger does not say so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::evidence::{self, AuditKeygenArgs, ProveArgs, VerifyProofArgs};
use super::exit::Exit;
use super::export::{self, ExportArgs};
use super::forget::{self, ForgetArgs};
use super::query::{self, QueryArgs};
use super::replay::{self, ReplayArgs};
use super::report::{self, ReportArgs};
use super::serve::runtime;
use super::sign_off::{self, SignOffArgs};
use super::store::{self, CompareArgs, StoreArgs};
use super::verify::{self, VerifyArgs};
use super::{Format, configured, render};
use crate::audit::collect::{Filter, Reading};
use crate::audit::item::Item;
use crate::audit::text;
use crate::config::service::AdminConfig;
use crate::ledger::error::LedgerError;
use crate::ledger::handles::Names;
use crate::ledger::read::segment_starts;
use crate::model::principal::EntityRef;

/// The arguments.
#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Print the latest decisions, and with --follow what is added
    Tail(TailArgs),
    /// Check that nobody changed the ledger, by its files and public keys alone
    Verify(VerifyArgs),
    /// Make proofs of one decision that need neither the ledger nor this program's word
    Prove(ProveArgs),
    /// Check such proofs by public keys alone, and print what they prove
    VerifyProof(VerifyProofArgs),
    /// Ask who saw, changed, moved or was refused what
    Query(QueryArgs),
    /// Make an access review: who can see and move what, who did, what is unusual
    Report(ReportArgs),
    /// Close an access review with an entry of the ledger
    SignOff(SignOffArgs),
    /// Ask what another bundle would have decided of the requests in the ledger
    Replay(ReplayArgs),
    /// Write decisions in a form that other systems know
    Export(ExportArgs),
    /// Erase a person from the table of handles; entries and proofs stay
    Forget(ForgetArgs),
    /// Compare the store that a sink fills with the ledger
    Compare(CompareArgs),
    /// Look after the store that sinks fill
    Store(StoreArgs),
    /// Make the key that signs checkpoints
    Keygen(AuditKeygenArgs),
}

/// Whose ledger it is.
#[derive(Args)]
pub(super) struct StateArgs {
    /// The state folder that holds the ledger
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    state: Option<PathBuf>,
    /// The configuration file that names the state folder
    #[arg(long, short, default_value = "lockkeeper.toml")]
    config: PathBuf,
}

impl StateArgs {
    /// The configuration file, where no state folder is named in its place.
    pub(super) fn config(&self) -> Option<&Path> {
        self.state.is_none().then_some(self.config.as_path())
    }
}

/// The arguments of `tail`.
#[derive(Args)]
struct TailArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Keep printing what is added, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print nothing before this entry
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since_seq: u64,
    /// How many decisions to print [default: 20; with --since-seq 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    last: Option<u32>,
    /// Print only this decision
    #[arg(long, value_name = "DECISION_ID")]
    id: Option<String>,
    /// Print only decisions on this principal's requests, e.g. 'User::"anna"'
    #[arg(long, value_name = "PRINCIPAL", value_parser = super::explain::principal)]
    who: Option<EntityRef>,
    /// Print only entries of this kind; may be repeated
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// Whether handles are resolved to names
    #[arg(long, value_enum, default_value_t, num_args = 0..=1, default_missing_value = "always", require_equals = true)]
    names: WhenNames,
    /// How entries are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The kinds of entries that can be asked for. Outcomes stand with their decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Decision,
    Start,
    Stop,
    Config,
    Revision,
    Refusals,
    Alarm,
    Clock,
    Erasure,
    Read,
    Review,
    Sink,
    Removal,
    Gap,
    Recovered,
}

/// Whether names are resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum WhenNames {
    /// If the table of handles can be read
    #[default]
    Auto,
    /// Or fail
    Always,
    /// Handles only
    Never,
}

/// A ledger, and how its service is reached.
pub(super) struct Whose {
    /// The state folder.
    pub(super) state: PathBuf,
    /// The admin listener, if a configuration names one.
    pub(super) admin: Option<AdminConfig>,
}

/// Runs the command.
pub fn run(args: &AuditArgs) -> Exit {
    let on =
        |of: &StateArgs, work: &dyn Fn(&Whose) -> Exit| whose(of).map_or(Exit::Failure, |whose| work(&whose));
    match &args.command {
        AuditCommand::Tail(args) => on(&args.state, &|whose| runtime(tailed(args, &whose.state))),
        AuditCommand::Verify(args) => on(&args.state, &|whose| verify::run(args, &whose.state)),
        AuditCommand::Prove(args) => on(&args.state, &|whose| evidence::prove(args, whose)),
        AuditCommand::VerifyProof(args) => evidence::verify_proof(args),
        AuditCommand::Query(args) => on(args.state(), &|whose| query::run(args, whose)),
        AuditCommand::Report(args) => on(&args.state, &|whose| report::run(args, whose)),
        AuditCommand::SignOff(args) => on(&args.state, &|whose| sign_off::run(args, whose)),
        AuditCommand::Replay(args) => on(&args.state, &|whose| replay::run(args, whose)),
        AuditCommand::Export(args) => on(&args.state, &|whose| export::run(args, whose)),
        AuditCommand::Forget(args) => on(&args.state, &|whose| forget::run(args, whose)),
        AuditCommand::Compare(args) => store::run_compare(args),
        AuditCommand::Store(args) => store::run(args),
        AuditCommand::Keygen(args) => evidence::keygen(args),
    }
}

async fn tailed(args: &TailArgs, state: &Path) -> Exit {
    match tail(args, state).await {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn whose(args: &StateArgs) -> Option<Whose> {
    if let Some(state) = &args.state {
        return Some(Whose { state: state.clone(), admin: None });
    }
    configured(&args.config).map(|config| Whose { state: config.ledger.path, admin: config.admin })
}

/// Whether there is a ledger; says so if there is none.
pub(super) fn has_ledger(state: &Path) -> Result<bool, LedgerError> {
    let is_there = !segment_starts(state)?.is_empty();
    if !is_there {
        render::failure(&format!("there is no ledger under `{}`", state.display()));
    }
    Ok(is_there)
}

async fn tail(args: &TailArgs, state: &Path) -> Result<Exit, LedgerError> {
    if !has_ledger(state)? {
        return Ok(Exit::Failure);
    }
    let names = names(args.who.is_some(), args.names, state)?;
    let who = match (&args.who, &names) {
        (Some(who), Some(names)) => match names.handle(&who.type_name, &who.id) {
            Some(handle) => Some(handle.to_owned()),
            None => {
                render::message(format!("no request of `{who}` is in this ledger"));
                return Ok(Exit::Success);
            }
        },
        _ => None,
    };
    if names.is_some() {
        render::message(UNRECORDED);
    }
    let filter = Filter { who, ..filter(args) };
    let (mut reading, result) = Reading::open(state, &filter)?;
    let mut printer = Printer { args, state, names: names.filter(|_| args.names != WhenNames::Never) };
    let found = reading.drain();
    let printed = printer.print(&found);
    result?;
    if let (Some(id), true, false) = (&args.id, found.is_empty(), args.follow) {
        render::failure(&format!("no decision `{id}` is in this ledger"));
        return Ok(Exit::Failure);
    }
    match (args.follow, printed) {
        (true, Ok(())) => follow(&mut reading, &mut printer).await,
        // A reader that has gone away is no failure of ours.
        _ => Ok(Exit::Success),
    }
}

fn filter(args: &TailArgs) -> Filter {
    let kind = |kind: &Kind| kind.to_possible_value().map(|value| value.get_name().to_owned());
    let default = if args.since_seq > 0 { LAST_SINCE } else { LAST };
    Filter {
        id: args.id.clone(),
        who: None,
        kinds: args.kind.iter().filter_map(kind).collect(),
        from_seq: args.since_seq,
        last: args.last.and_then(|last| usize::try_from(last).ok()).unwrap_or(default),
    }
}

/// The table of handles, where it is needed.
pub(super) fn names(has_who: bool, when: WhenNames, state: &Path) -> Result<Option<Names>, LedgerError> {
    let is_needed = has_who || when == WhenNames::Always;
    match (Names::read(state), is_needed, when) {
        (_, false, WhenNames::Never) => Ok(None),
        (Ok(names), _, _) => Ok(Some(names)),
        (Err(error), true, _) => Err(error),
        (Err(error), false, _) => {
            render::message(format!("names are not resolved: {}", describe(&error)));
            Ok(None)
        }
    }
}

async fn follow(reading: &mut Reading, printer: &mut Printer<'_>) -> Result<Exit, LedgerError> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Success),
            () = tokio::time::sleep(POLL) => {}
        }
        let result = reading.catch_up();
        if printer.print(&reading.drain()).is_err() {
            return Ok(Exit::Success);
        }
        result?;
    }
}

struct Printer<'a> {
    args: &'a TailArgs,
    state: &'a Path,
    names: Option<Names>,
}

impl Printer<'_> {
    fn print(&mut self, items: &[Item]) -> std::io::Result<()> {
        self.learn_names(items);
        for item in items {
            match self.args.format {
                Format::Text => {
                    render::try_line(text::item(item, &|handle| self.name(handle)))?;
                }
                Format::Json => {
                    for entry in [&item.entry].into_iter().chain(&item.later) {
                        render::try_line(self.named(entry).to_string())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Somebody may have come since the table was read.
    fn learn_names(&mut self, items: &[Item]) {
        let handles = items.iter().filter_map(|item| item.entry.get("who")?.get("handle")?.as_str());
        let is_behind = self.names.is_some() && handles.into_iter().any(|handle| self.name(handle).is_none());
        if let (true, Ok(names)) = (is_behind, Names::read(self.state)) {
            self.names = Some(names);
        }
    }

    fn name(&self, handle: &str) -> Option<String> {
        let (type_name, id) = self.names.as_ref()?.resolve(handle)?;
        Some(EntityRef::new(type_name, id).to_string())
    }

    /// The entry with its principal's name. It is no longer the line that was written, so it has no checksum.
    fn named(&self, entry: &Value) -> Value {
        let mut entry = entry.clone();
        if let Some(members) = entry.as_object_mut() {
            members.remove("crc");
        }
        let who = entry.get_mut("who").and_then(Value::as_object_mut);
        if let Some(who) = who {
            let name = who.get("handle").and_then(Value::as_str).and_then(|handle| self.name(handle));
            if let Some(name) = name {
                who.insert("principal".to_owned(), json!(name));
            }
        }
        entry
    }
}

/// Says why a ledger cannot be read.
pub(super) fn failed(error: &LedgerError) -> Exit {
    render::failure(&describe(error));
    exit_of(error)
}

/// How a command ends that met this error.
pub(super) fn exit_of(error: &LedgerError) -> Exit {
    if error.is_evidence() { Exit::LedgerBroken } else { Exit::Failure }
}

/// The error with its cause, in one line.
pub(super) fn describe(error: &LedgerError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// What whoever sees names is told.
const UNRECORDED: &str =
    "names are shown; the ledger does not record this reading (--names=never shows handles)";

/// How many decisions are printed.
const LAST: usize = 20;

/// How many are, from a stated entry on.
const LAST_SINCE: usize = 10_000;

/// How often the files are looked at.
const POLL: Duration = Duration::from_millis(200);
