//! `lockkeeper audit store migrate` and `lockkeeper audit compare`: the store of many logs, for those who own and those who
//! audit it.
//!
//! Promises: secrets come by file; a store that differs is exit code 5, with the places.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::serve::runtime;
use super::{Format, configured, render};
use crate::audit::sinks::compare::{Compared, Depth, Difference, compare};
use crate::audit::sinks::fault::SinkError;
use crate::audit::sinks::postgres::connect::{PostgresOptions, Session};
use crate::audit::sinks::postgres::schema::{VERSION, migrate, require_version, script};
use crate::config::service::LedgerConfig;
use crate::config::service::sinks::SinkPlace;
use crate::ledger::log_id::LogId;
use crate::service::sinks::postgres_options;
use crate::telemetry::clock::Clock;

/// The arguments of `store`.
#[derive(Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Make the store's tables, or bring them to this program's version
    Migrate(MigrateArgs),
}

/// Which store, and as whom.
#[derive(Args)]
struct StoreAccess {
    /// The configuration file that names the store
    #[arg(long, short, default_value = "lockkeeper.toml")]
    config: PathBuf,
    /// The sink's name, where there are several stores
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// The database user, in place of the sink's own
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The file with that user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

/// The arguments of `migrate`.
#[derive(Args)]
struct MigrateArgs {
    #[command(flatten)]
    access: StoreAccess,
    /// Print the SQL and change nothing
    #[arg(long)]
    print: bool,
}

/// The arguments of `compare`.
#[derive(Args)]
pub struct CompareArgs {
    #[command(flatten)]
    access: StoreAccess,
    /// Compare every line too, not only numbers
    #[arg(long)]
    lines: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs `store`.
pub fn run(args: &StoreArgs) -> Exit {
    let StoreCommand::Migrate(args) = &args.command;
    if args.print {
        render::line(script().trim_end());
        return Exit::Success;
    }
    let Some((_, options)) = store(&args.access) else { return Exit::Failure };
    runtime(async {
        match migrated(&options).await {
            Ok(exit) => exit,
            Err(error) => failed(&error),
        }
    })
}

/// Runs `compare`.
pub fn run_compare(args: &CompareArgs) -> Exit {
    let Some((ledger, options)) = store(&args.access) else { return Exit::Failure };
    runtime(async {
        match compared(args, &ledger, &options).await {
            Ok(exit) => exit,
            Err(error) => failed(&error),
        }
    })
}

async fn migrated(options: &PostgresOptions) -> Result<Exit, SinkError> {
    let mut session = Session::open(options, Clock::system().now_ms()).await?;
    let before = migrate(&mut session.client).await?;
    let told = match before {
        VERSION => format!("the store has version {VERSION} already; grants were made again"),
        0 => format!("the store's tables were made, version {VERSION}"),
        _ => format!("the store was brought from version {before} to {VERSION}"),
    };
    render::line(told);
    Ok(Exit::Success)
}

async fn compared(
    args: &CompareArgs,
    ledger: &LedgerConfig,
    options: &PostgresOptions,
) -> Result<Exit, SinkError> {
    let Some(log) = LogId::read(&ledger.path)? else {
        render::failure(&format!("no sink was ever fed from `{}`: it has no log id", ledger.path.display()));
        return Ok(Exit::Failure);
    };
    let session = Session::open(options, Clock::system().now_ms()).await?;
    require_version(&session.client).await?;
    let depth = if args.lines { Depth::Lines } else { Depth::Numbers };
    let compared = compare(&session.client, &ledger.path, &log, depth).await?;
    match args.format {
        Format::Text => text(&compared, depth),
        Format::Json => render::line(json_of(&compared).to_string()),
    }
    compared.differences.iter().for_each(|difference| render::failure(&describe(difference, &compared)));
    Ok(if compared.differences.is_empty() { Exit::Success } else { Exit::LedgerBroken })
}

fn text(compared: &Compared, depth: Depth) {
    let Compared { log, first_seq, stored_seq, ledger_seq, segments, .. } = compared;
    render::line(format!("log {log}: the ledger ends at entry {ledger_seq}, the store at {stored_seq}"));
    for segment in segments {
        let expected = segment.last_seq - segment.first_seq + 1;
        let (first, last, stored) = (segment.first_seq, segment.last_seq, segment.stored);
        render::line(format!("entries {first} to {last}: the store has {stored} of {expected}"));
    }
    if compared.differences.is_empty() {
        let what = if depth == Depth::Lines { "every line is" } else { "every number is" };
        render::line(format!("{what} there, from entry {first_seq} to {stored_seq}"));
    }
    if compared.behind() > 0 {
        render::line(format!("{} entries wait to be sent", compared.behind()));
    }
}

fn describe(difference: &Difference, compared: &Compared) -> String {
    let Compared { log, stored_seq, ledger_seq, .. } = compared;
    match difference {
        Difference::Unknown => format!("the store knows nothing of log {log}"),
        Difference::Ahead => {
            format!("the store has entries up to {stored_seq}, the ledger ends at {ledger_seq}")
        }
        Difference::Missing { from, to } if from == to => format!("the store does not have entry {from}"),
        Difference::Missing { from, to } => format!("the store does not have the entries {from} to {to}"),
        Difference::Beyond { count } => {
            format!("the store has {count} entries behind {stored_seq}, where it says that it ends")
        }
        Difference::Doubled { from, to, count } => {
            format!("the store has {count} rows too many among the entries {from} to {to}")
        }
        Difference::Before { count } => {
            format!("the store has {count} entries before the first that it was sent")
        }
        Difference::Line { seq } => format!("the store has another line for entry {seq}"),
    }
}

fn json_of(compared: &Compared) -> Value {
    let difference = |difference: &Difference| match difference {
        Difference::Unknown => json!({"what": "unknown"}),
        Difference::Ahead => json!({"what": "ahead"}),
        Difference::Missing { from, to } => json!({"what": "missing", "from": from, "to": to}),
        Difference::Beyond { count } => json!({"what": "beyond", "count": count}),
        Difference::Doubled { from, to, count } => {
            json!({"what": "doubled", "from": from, "to": to, "count": count})
        }
        Difference::Before { count } => json!({"what": "before", "count": count}),
        Difference::Line { seq } => json!({"what": "line", "seq": seq}),
    };
    let segments = compared.segments.iter().map(
        |segment| json!({"first": segment.first_seq, "last": segment.last_seq, "stored": segment.stored}),
    );
    json!({
        "log": compared.log,
        "first": compared.first_seq,
        "stored": compared.stored_seq,
        "ledger": compared.ledger_seq,
        "waiting": compared.behind(),
        "segments": segments.collect::<Vec<_>>(),
        "differences": compared.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

/// The store that is meant, and how it is reached. Says what is wrong if it cannot.
fn store(access: &StoreAccess) -> Option<(LedgerConfig, PostgresOptions)> {
    let ledger = configured(&access.config)?.ledger;
    let is_meant = |name: &str| access.sink.as_deref().is_none_or(|wanted| wanted == name);
    let stores = ledger.sinks.iter().filter(|sink| matches!(sink.place, SinkPlace::Postgres { .. }));
    let meant: Vec<_> = stores.filter(|sink| is_meant(&sink.name)).collect();
    let [sink] = meant.as_slice() else {
        let file = access.config.display();
        render::failure(&match (&access.sink, meant.len()) {
            (Some(name), _) => format!("`{file}` has no sink `{name}` of kind `postgres`"),
            (None, 0) => format!("`{file}` has no sink of kind `postgres`"),
            (None, _) => format!("`{file}` has several stores: name one with `--sink`"),
        });
        return None;
    };
    let mut options = postgres_options(sink)?;
    if let Some(user) = &access.user {
        options.config.user(user.as_str());
        options.password_file.clone_from(&access.password_file);
    }
    Some((ledger, options))
}

fn failed(error: &SinkError) -> Exit {
    render::failure(error);
    Exit::Failure
}
