//! `lockkeeper check`: compiles a bundle, with its directory and configuration if given, and reports every problem.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::{Format, render};
use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::bundle::profile::route::HiddenRows;
use crate::config::author::Problems;
use crate::config::load;
use crate::service::load::{load as load_all, load_bundle, load_directory};
use crate::service::transport;
use crate::telemetry::clock::Clock;

/// The arguments.
#[derive(Args)]
pub struct CheckArgs {
    /// The bundle's folder; without it the one of the configuration
    bundle: Option<PathBuf>,
    /// The configuration file to check, with everything that it names
    #[arg(long, short, conflicts_with = "bundle")]
    config: Option<PathBuf>,
    /// A directory to check against the bundle's schema
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// Print the whole joined schema, for Cedar's own tools, instead of the report
    #[arg(long)]
    emit_schema: bool,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> Exit {
    let mut problems = Problems::default();
    let (bundle, directory) = match &args.bundle {
        Some(path) => {
            let bundle = load_bundle(path, &mut problems);
            let directory = args.directory.as_ref();
            let directory = directory.and_then(|path| load_directory(path, bundle.as_ref(), &mut problems));
            (bundle, directory)
        }
        None => {
            let path = args.config.clone().unwrap_or_else(|| PathBuf::from("lockkeeper.toml"));
            let config = load::load(&path, &mut problems);
            if let Some(config) = &config {
                transport::check(config, Clock::system().now_ms(), &mut problems);
            }
            let loaded = config.and_then(|config| load_all(&config, &mut problems));
            loaded.map_or((None, None), |loaded| (Some(loaded.bundle), Some(loaded.directory)))
        }
    };
    if let (true, Some(bundle)) = (args.emit_schema, &bundle) {
        render::line(&bundle.schema.text);
        return Exit::Success;
    }
    match args.format {
        Format::Text => text(bundle.as_ref(), directory.as_ref(), &problems),
        Format::Json => render::line(as_json(bundle.as_ref(), directory.as_ref(), &problems)),
    }
    match problems.has_errors() || bundle.is_none() {
        true => Exit::CheckFailed,
        false => Exit::Success,
    }
}

fn text(bundle: Option<&Bundle>, directory: Option<&Directory>, problems: &Problems) {
    render::problems(problems);
    let Some(bundle) = bundle.filter(|_| !problems.has_errors()) else {
        render::message(render::count(problems.error_count(), "problem"));
        return;
    };
    let profile = &bundle.profile;
    let fields: usize = profile.types.iter().map(|record_type| record_type.fields.len()).sum();
    render::line(format!("bundle    {}", bundle.revision));
    render::line(format!("policies  {}", bundle.policies.ids().count()));
    render::line(format!("types     {} with {fields} fields", profile.types.len()));
    render::line(format!("routes    {}", profile.routes.len()));
    if let Some(directory) = directory {
        render::line(format!("directory {} ({} people)", directory.revision, directory.people_count()));
    }
    for route in &profile.routes {
        if let Some(reason) = &route.pass {
            render::line(format!("passes undecided: {} ({reason})", route.label()));
        }
        if route.hidden_rows != HiddenRows::Unstated {
            render::line(format!("hidden rows show in page lengths: {}", route.label()));
        }
    }
}

fn as_json(bundle: Option<&Bundle>, directory: Option<&Directory>, problems: &Problems) -> String {
    let listed: Vec<_> = problems
        .iter()
        .map(|problem| {
            json!({
                "severity": if problem.is_error() { "error" } else { "warning" },
                "message": problem.message(),
                "place": problem.place(),
                "help": problem.help_text(),
            })
        })
        .collect();
    json!({
        "ok": !problems.has_errors() && bundle.is_some(),
        "bundle": bundle.map(|bundle| bundle.revision.clone()),
        "policies": bundle.map(|bundle| bundle.policies.ids().map(str::to_owned).collect::<Vec<_>>()),
        "routes": bundle.map(|bundle| bundle.profile.routes.iter().map(|route| route.label()).collect::<Vec<_>>()),
        "directory": directory.map(|directory| directory.revision.clone()),
        "problems": listed,
    })
    .to_string()
}
