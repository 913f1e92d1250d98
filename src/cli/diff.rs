//! `lockkeeper diff`: who gains and loses which rights by a change of bundles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::{Format, render};
use crate::bundle::current::Snapshot;
use crate::config::author::Problems;
use crate::config::load;
use crate::service::load::{load_bundle, load_directory};
use crate::telemetry::clock::Clock;
use crate::workbench::diff::allowed::Allowed;
use crate::workbench::diff::{self, difference, write};

/// The arguments.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct DiffArgs {
    /// The bundle that is, a folder or an archive
    old: PathBuf,
    /// The bundle that is to be
    new: PathBuf,
    /// The directory with the people whose rights are compared
    #[arg(long)]
    directory: PathBuf,
    /// The directory that is to be, if it is another
    #[arg(long, value_name = "DIRECTORY")]
    new_directory: Option<PathBuf>,
    /// Whose rights are compared
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Rights that may be gained, one a line: who, type, action, and field or stage
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// The time that policies see; without it now
    #[arg(long)]
    at: Option<jiff::Timestamp>,
    /// How it is written; text is Markdown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Whose rights are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum By {
    /// A user who has that role and nothing else that is known
    Roles,
    /// Everybody of the directory
    #[default]
    People,
}

/// Runs the command.
pub fn run(args: &DiffArgs) -> Exit {
    let mut problems = Problems::default();
    let new_directory = args.new_directory.as_ref().unwrap_or(&args.directory);
    let old = side(&args.old, &args.directory, &mut problems);
    let new = side(&args.new, new_directory, &mut problems);
    let allowed = match &args.allow {
        Some(path) => load::text(path, &mut problems).map(|source| Allowed::read(&source, &mut problems)),
        None => Some(Allowed::default()),
    };
    render::problems(&problems);
    let (Some(old), Some(new), Some(allowed)) = (old, new, allowed.filter(|_| !problems.has_errors())) else {
        return Exit::Failure;
    };
    let by = match args.by {
        By::Roles => diff::By::Roles,
        By::People => diff::By::People,
    };
    let now_ms = args.at.map_or_else(|| Clock::system().now_ms(), |at| at.as_millisecond());
    let mut progress = render::Progress::new("comparing rights");
    let found = difference(&old, &new, by, now_ms, &mut |done, all| progress.tell(done, all));
    progress.end();
    let lacking: Vec<_> = found.changes.iter().map(|change| (change, allowed.lacks(change))).collect();
    let is_agreed = lacking.iter().all(|(_, lacking)| lacking.is_empty());
    let revisions = [old.bundle.revision.as_str(), new.bundle.revision.as_str()];
    match args.format {
        Format::Text => render::line(write::text(&found).trim_end()),
        Format::Json => render::line(write::json(&found, revisions, is_agreed)),
    }
    match (is_agreed, found.uncompared.is_empty()) {
        (true, true) => return Exit::Success,
        (true, false) => return Exit::Undetermined,
        (false, _) => {}
    }
    for (change, lacking) in &lacking {
        for [who, name] in lacking.iter().take(LACKING_MAX) {
            let name = if name.is_empty() { "-" } else { name };
            let action = change.action.split_whitespace().next().unwrap_or(change.action);
            render::message(format!("gained and not allowed: {who} {} {action} {name}", change.type_name));
        }
        if let Some(more) = lacking.len().checked_sub(LACKING_MAX).filter(|more| *more > 0) {
            render::message(format!("and {more} more of {} {}", change.type_name, change.action));
        }
    }
    Exit::CheckFailed
}

fn side(bundle: &Path, directory: &Path, problems: &mut Problems) -> Option<Arc<Snapshot>> {
    let bundle = load_bundle(bundle, problems)?;
    let directory = load_directory(directory, Some(&bundle), problems)?;
    Some(Snapshot::first(bundle, directory))
}

/// Rights of one kind that are named one by one.
const LACKING_MAX: usize = 20;
const EXAMPLE: &str = "Example: lockkeeper diff main/bundle bundle --directory directory.cedarentities.json --allow agreed.txt\n\n\
                       Exit code 3 if somebody gains a right that --allow does not list, 4 if something was not compared.";
