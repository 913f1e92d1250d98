//! `lockkeeper check`: compiles a bundle, with its directory and configuration if given, and reports every problem.

use std::path::{Path, PathBuf};

use clap::Args;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::exit::Exit;
use super::{Format, draft, render, serve};
use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::bundle::profile::route::{HiddenRows, Route};
use crate::bundle::profile::transit::IdentityNeed;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load;
use crate::config::service::ServiceConfig;
use crate::service::load::{Loaded, load_bundle, load_directory};
use crate::service::probe::{Finding, Level, Probe};
use crate::service::telemetry::collector_headers;
use crate::service::transport;
use crate::service::transport::upstream_options;
use crate::telemetry::clock::Clock;
use crate::workbench::lints;

/// The arguments.
#[derive(Args)]
pub struct CheckArgs {
    /// The bundle's folder or an archive of it; without it the one of the configuration
    bundle: Option<PathBuf>,
    /// The configuration file to check, with everything that it names
    #[arg(long, short, conflicts_with = "bundle")]
    config: Option<PathBuf>,
    /// A directory to check against the bundle's schema
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// Draft what observed traffic showed and the profile does not describe, from the ledger in this state folder
    #[arg(long, value_name = "STATE", conflicts_with_all = ["emit_schema", "directory", "probe"])]
    from_ledger: Option<PathBuf>,
    /// Print the whole joined schema, for Cedar's own tools, instead of the report
    #[arg(long)]
    emit_schema: bool,
    /// Ask the CRM as well: whether it is there, and whether it answers without going through Lockkeeper; never a write
    #[arg(long, conflicts_with = "bundle")]
    probe: bool,
    /// A file with a caller's own credential, as `Name: value`, to try at the CRM itself
    #[arg(long, value_name = "FILE", requires = "probe")]
    probe_as: Option<PathBuf>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> Exit {
    let mut problems = Problems::default();
    if let (Some(state), None, None) = (&args.from_ledger, &args.bundle, &args.config) {
        return draft::run(state, None, args.format);
    }
    let mut findings = Vec::new();
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
            let loaded = config.as_ref().and_then(|config| loaded(config, &mut problems));
            if let (true, Some(config), Some(loaded)) = (args.probe, &config, &loaded) {
                findings = probe(args, config, loaded, &mut problems);
            }
            loaded.map_or((None, None), |loaded| (Some(loaded.bundle), Some(loaded.directory)))
        }
    };
    if let (Some(state), Some(bundle)) = (&args.from_ledger, &bundle) {
        render::problems(&problems);
        return draft::run(state, Some(&bundle.profile), args.format);
    }
    if let (true, Some(bundle)) = (args.emit_schema, &bundle) {
        render::line(&bundle.schema.text);
        return Exit::Success;
    }
    if let Some(bundle) = &bundle {
        lints::lint(bundle, directory.as_ref(), &mut problems);
    }
    match args.format {
        Format::Text => {
            text(bundle.as_ref(), directory.as_ref(), &problems);
            findings.iter().for_each(tell);
        }
        Format::Json => render::line(as_json(bundle.as_ref(), directory.as_ref(), &problems, &findings)),
    }
    match problems.has_errors() || bundle.is_none() || has_failed(&findings) {
        true => Exit::CheckFailed,
        false => Exit::Success,
    }
}

fn has_failed(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Bad)
}

/// Asks the CRM.
fn probe(args: &CheckArgs, config: &ServiceConfig, loaded: &Loaded, problems: &mut Problems) -> Vec<Finding> {
    let caller = match &args.probe_as {
        Some(path) => match credential(path, problems) {
            Some(header) => Some(header),
            None => return Vec::new(),
        },
        None => None,
    };
    let probe =
        Probe { upstream: upstream_options(config), loaded, now_ms: Clock::system().now_ms(), caller };
    let mut findings = Vec::new();
    serve::runtime(async {
        findings = probe.run().await;
        Exit::Success
    });
    findings
}

/// The one header of a file; `None` comes with at least one error.
fn credential(path: &Path, problems: &mut Problems) -> Option<(HeaderName, HeaderValue)> {
    let headers = collector_headers(path, problems)?;
    let count = headers.len();
    match headers.into_iter().next() {
        Some((Some(name), value)) if count == 1 => Some((name, value)),
        _ => {
            let message = format!("`{}` holds {}", path.display(), render::count(count, "header"));
            problems.push(AuthorProblem::error(message).help("Write one line: `name: value`."));
            None
        }
    }
}

fn tell(finding: &Finding) {
    render::line(format!("{:<9} {}: {}", finding.level.name(), finding.check, finding.what));
    if let Some(fix) = finding.fix {
        render::line(format!("          help: {fix}"));
    }
}

/// Loads what the configuration names, from the network too.
fn loaded(config: &ServiceConfig, problems: &mut Problems) -> Option<Loaded> {
    let mut loaded = None;
    serve::runtime(async {
        loaded = serve::load_with(config, None, problems).await;
        Exit::Success
    });
    loaded
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
            let how = match route.identity {
                IdentityNeed::Required => "passes undecided",
                IdentityNeed::Nobody => "passes for anybody",
            };
            render::line(format!("{how}: {} ({reason})", route.label()));
        }
        if route.hidden_rows != HiddenRows::Unstated {
            render::line(format!("hidden rows show in page lengths: {}", route.label()));
        }
    }
}

/// Every route that passes undecided, and why.
fn passes(bundle: &Bundle) -> Vec<serde_json::Value> {
    let one = |route: &Route| {
        let identity = match route.identity {
            IdentityNeed::Required => "required",
            IdentityNeed::Nobody => "none",
        };
        let reason = route.pass.as_ref()?;
        Some(json!({"route": route.label(), "identity": identity, "reason": reason}))
    };
    bundle.profile.routes.iter().filter_map(one).collect()
}

fn as_json(
    bundle: Option<&Bundle>,
    directory: Option<&Directory>,
    problems: &Problems,
    findings: &[Finding],
) -> String {
    let probed: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check,
                "level": finding.level.name(),
                "what": finding.what,
                "fix": finding.fix,
            })
        })
        .collect();
    let listed: Vec<_> = problems
        .iter()
        .map(|problem| {
            json!({
                "severity": if problem.is_error() { "error" } else { "warning" },
                "lint": problem.lint(),
                "message": problem.message(),
                "place": problem.place(),
                "help": problem.help_text(),
            })
        })
        .collect();
    json!({
        "ok": !problems.has_errors() && bundle.is_some() && !has_failed(findings),
        "bundle": bundle.map(|bundle| bundle.revision.clone()),
        "policies": bundle.map(|bundle| bundle.policies.ids().map(str::to_owned).collect::<Vec<_>>()),
        "routes": bundle.map(|bundle| bundle.profile.routes.iter().map(|route| route.label()).collect::<Vec<_>>()),
        "passes": bundle.map(passes),
        "directory": directory.map(|directory| directory.revision.clone()),
        "problems": listed,
        "probe": probed,
    })
    .to_string()
}
