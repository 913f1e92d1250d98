//! `lockkeeper matrix`: who may do what, as a table.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::explain::what_serves;
use super::render;
use crate::config::author::Problems;
use crate::config::load;
use crate::telemetry::clock::Clock;
use crate::workbench::formula::decided::Conditions;
use crate::workbench::matrix::{html, matrix, people, write};

/// The arguments.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct MatrixArgs {
    /// The configuration file, which names bundle and directory
    #[arg(long, short, default_value = "lockkeeper.toml")]
    config: PathBuf,
    /// The bundle, a folder or an archive, instead of the configuration's
    #[arg(long, requires = "directory", conflicts_with = "config")]
    bundle: Option<PathBuf>,
    /// The directory, instead of the configuration's
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// Whose rights are told
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Only this type of the profile
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// The time that policies see; without it now
    #[arg(long)]
    at: Option<jiff::Timestamp>,
    /// Compare with this file, which an earlier run wrote, and tell only what differs; exit code 3 if anything does
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: MatrixFormat,
}

/// Whose rights are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum By {
    /// A user who has that role and nothing else that is known
    #[default]
    Roles,
    /// Everybody of the directory, those together whom policies cannot tell apart
    People,
}

/// How a matrix is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MatrixFormat {
    /// For people, and for a golden file
    #[default]
    Text,
    /// A line for each cell
    Csv,
    /// A page to read and to sign
    Html,
    /// For programs
    Json,
}

/// Runs the command.
pub fn run(args: &MatrixArgs) -> Exit {
    let mut problems = Problems::default();
    let named = args.bundle.as_deref().zip(args.directory.as_deref());
    let serves = what_serves(named, Some(&args.config), &mut problems);
    let golden = args.golden.as_ref().map(|path| load::text(path, &mut problems));
    render::problems(&problems);
    let (Some((snapshot, _)), Some(golden)) = (serves, golden.map_or(Some(None), |golden| golden.map(Some)))
    else {
        return Exit::Failure;
    };
    let types = &snapshot.bundle.profile.types;
    if let Some(wanted) =
        args.r#type.as_ref().filter(|wanted| !types.iter().any(|known| known.name == **wanted))
    {
        let known: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
        render::failure(&format!("`{wanted}` is not a type of the profile: there are {}", known.join(", ")));
        return Exit::Usage;
    }
    let now_ms = args.at.map_or_else(|| Clock::system().now_ms(), |at| at.as_millisecond());
    let columns = match args.by {
        By::Roles => people::roles(&snapshot),
        By::People => {
            let conditions = Conditions::of(&snapshot.bundle);
            let mut progress = render::Progress::new("looking at people");
            let groups =
                people::people(&snapshot, &conditions, now_ms, &mut |done, all| progress.tell(done, all));
            progress.end();
            groups
        }
    };
    let mut progress = render::Progress::new("asking the policies");
    let found =
        matrix(&snapshot, columns, args.r#type.as_deref(), now_ms, &mut |done, all| progress.tell(done, all));
    progress.end();
    let (bundle, directory) = (&snapshot.bundle.revision, &snapshot.directory.revision);
    let told = match args.format {
        MatrixFormat::Text => write::text(&found),
        MatrixFormat::Csv => write::comma_separated(&found),
        MatrixFormat::Html => html::page(&found, bundle, directory),
        MatrixFormat::Json => write::json(&found, bundle, directory),
    };
    match golden {
        None => {
            render::line(told.trim_end());
            Exit::Success
        }
        Some(golden) => compare(&golden.text, &told),
    }
}

/// Tells how a text differs from the one of an earlier run.
fn compare(golden: &str, told: &str) -> Exit {
    let (golden, told) = (golden.trim_end(), told.trim_end());
    if golden == told {
        return Exit::Success;
    }
    let difference = similar::TextDiff::from_lines(golden, told);
    render::line(
        difference
            .unified_diff()
            .context_radius(CONTEXT_LINES)
            .header("before", "now")
            .to_string()
            .trim_end(),
    );
    render::failure(&"the matrix is not that of the file");
    Exit::CheckFailed
}

/// Lines told around each that differs.
const CONTEXT_LINES: usize = 3;
const EXAMPLE: &str =
    "Example: lockkeeper matrix --by people --format html > rights.html\n\nExit code 3 if --golden differs.";
