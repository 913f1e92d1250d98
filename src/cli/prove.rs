//! `lockkeeper prove`: whether the invariants of a bundle hold, by a solver or for the people of a directory.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::prove_text::{Means, Report};
use super::{Format, render, serve};
use crate::bundle::compile::Bundle;
use crate::bundle::current::Snapshot;
use crate::bundle::lints;
use crate::config::author::{AuthorProblem, Problems, nearest};
use crate::config::load;
use crate::service::load::{load_bundle, load_configured, load_directory};
use crate::workbench::prove::environment::Ground;
use crate::workbench::prove::invariant::{self, Invariant};
use crate::workbench::prove::people::People;
use crate::workbench::prove::{Findings, Verdict, bounded};

/// The arguments.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct ProveArgs {
    /// The bundle's folder or an archive of it; without it the one of the configuration
    bundle: Option<PathBuf>,
    /// The configuration file, which names bundle and directory
    #[arg(long, short, default_value = "lockkeeper.toml", conflicts_with = "bundle")]
    config: PathBuf,
    /// The directory whose people are checked where nothing is proved
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// The id of an invariant to look at, instead of all; may be repeated
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// The solver: a program that is cvc5, or `none` to check the directory's people alone
    #[arg(long, value_name = "PROGRAM", default_value = "cvc5")]
    solver: PathBuf,
    /// Milliseconds that one question to the solver may take
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    tlimit_per: u64,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is asked about.
struct Subject {
    /// The bundle alone, or with a directory.
    ground: Whose,
    invariants: Vec<Invariant>,
}

enum Whose {
    Bundle(Box<Bundle>),
    Snapshot(Arc<Snapshot>),
}

impl Whose {
    fn bundle(&self) -> &Bundle {
        match self {
            Self::Bundle(bundle) => bundle,
            Self::Snapshot(snapshot) => &snapshot.bundle,
        }
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Bundle(_) => None,
            Self::Snapshot(snapshot) => Some(snapshot),
        }
    }
}

/// Runs the command.
pub fn run(args: &ProveArgs) -> Exit {
    let mut problems = Problems::default();
    let subject = subject(args, &mut problems);
    render::problems(&problems);
    let Some(subject) = subject else { return Exit::Failure };
    serve::runtime(report(args, &subject))
}

/// Loads what is asked about; `None` comes with at least one error.
fn subject(args: &ProveArgs, problems: &mut Problems) -> Option<Subject> {
    let (bundle, directory) = match &args.bundle {
        Some(path) => (load_bundle(path, problems)?, args.directory.clone()),
        None => {
            let config = load::load(&args.config, problems)?;
            (load_configured(&config, problems)?, Some(config.directory.file))
        }
    };
    let mut invariants = invariant::load(&bundle, problems)?;
    if invariants.is_empty() {
        let problem = AuthorProblem::error("the bundle has no invariants");
        problems
            .push(problem.help("Write claims as Cedar policies into `invariants/*.cedar` of its folder."));
        return None;
    }
    for id in &args.only {
        if !invariants.iter().any(|invariant| invariant.id == *id) {
            let near = nearest(id, invariants.iter().map(|invariant| invariant.id.as_str()));
            let help = match near {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "Without --only every invariant is looked at, and told by its id.".to_owned(),
            };
            problems.push(AuthorProblem::error(format!("there is no invariant `{id}`")).help(help));
            return None;
        }
    }
    invariants.retain(|invariant| args.only.is_empty() || args.only.contains(&invariant.id));
    let ground = match directory {
        Some(path) => {
            let directory = load_directory(&path, Some(&bundle), problems)?;
            lints::people(&invariant::read(&bundle, &mut Problems::default()), &directory, problems);
            Whose::Snapshot(Snapshot::first(bundle, directory))
        }
        None => Whose::Bundle(Box::new(bundle)),
    };
    Some(Subject { ground, invariants })
}

/// Asks and tells.
async fn report(args: &ProveArgs, subject: &Subject) -> Exit {
    let ground = Ground::of(subject.ground.bundle());
    let found = match solver(args).await {
        // The solver ends with what asks it.
        Ok(Some(solver)) => match interruption() {
            Ok(interruption) => tokio::select! {
                found = proved(subject, &ground, solver) => found,
                () = interruption => Err("interrupted".to_owned()),
            },
            Err(error) => Err(error.to_string()),
        },
        Ok(None) => checked(subject, &ground),
        Err(why) => {
            render::message(why);
            checked(subject, &ground)
        }
    };
    let (means, findings) = match found {
        Ok(found) => found,
        Err(why) => {
            render::failure(&why);
            return Exit::Failure;
        }
    };
    let report = Report { bundle: subject.ground.bundle(), means, findings: &findings };
    match args.format {
        Format::Text => render::line(report.text().trim_end()),
        Format::Json => render::line(report.json()),
    }
    match findings.iter().map(Findings::verdict).min() {
        Some(Verdict::Proved) => Exit::Success,
        Some(Verdict::Refuted) => Exit::CheckFailed,
        Some(Verdict::Undetermined | Verdict::Holds) | None => Exit::Undetermined,
    }
}

type Found<'a> = (Means, Vec<Findings<'a>>);

/// Checks the people of the directory.
fn checked<'a>(subject: &'a Subject, ground: &Ground<'_>) -> Result<Found<'a>, String> {
    let Some(snapshot) = subject.ground.snapshot() else {
        return Err(
            "without a solver, claims are checked for the people of a directory: name it with --directory"
                .to_owned(),
        );
    };
    let people = People::of(ground, &subject.invariants, snapshot)?;
    let check = |invariant| bounded::check(ground, invariant, snapshot, &people);
    let means = Means { solver: None, people: Some(snapshot.directory.people_count()) };
    Ok((means, subject.invariants.iter().map(check).collect()))
}

#[cfg(feature = "solver")]
use crate::workbench::prove::{search, solver::Solver};

/// Looks for the solver; `None` if none is wanted. The error says why there is none.
#[cfg(feature = "solver")]
async fn solver(args: &ProveArgs) -> Result<Option<Solver>, String> {
    if args.solver.as_os_str() == "none" {
        return Ok(None);
    }
    let limit = std::time::Duration::from_millis(args.tlimit_per);
    let found = Solver::find(args.solver.clone(), limit).await;
    found.map(Some).map_err(|why| {
        format!("{why}. Install cvc5, on Debian by `apt-get install cvc5`, or name it with --solver; nothing is proved without it")
    })
}

/// Asks the solver of every claim.
#[cfg(feature = "solver")]
async fn proved<'a>(
    subject: &'a Subject,
    ground: &Ground<'_>,
    mut solver: Solver,
) -> Result<Found<'a>, String> {
    let schema = cedar_policy_symcc::CompiledSchema::new(&ground.bundle.schema.schema);
    let schema = schema.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let mut progress = render::Progress::new("proving:");
    let all = u64::try_from(subject.invariants.len()).unwrap_or(u64::MAX);
    for (done, invariant) in (0..).zip(&subject.invariants) {
        progress.tell(done, all);
        found.push(search::prove(ground, &schema, invariant, &mut solver).await);
    }
    progress.end();
    let (version, limit) = (solver.version, solver.limit.as_millis());
    let solver = Some(format!("{version}, at most {limit} ms per question"));
    Ok((Means { solver, people: None }, found))
}

#[cfg(not(feature = "solver"))]
enum Solver {}

#[cfg(not(feature = "solver"))]
async fn solver(args: &ProveArgs) -> Result<Option<Solver>, String> {
    match args.solver.as_os_str() == "none" {
        true => Ok(None),
        false => {
            Err("this program was built without the feature `solver`; build it with that to prove anything"
                .to_owned())
        }
    }
}

#[cfg(not(feature = "solver"))]
async fn proved<'a>(_: &'a Subject, _: &Ground<'_>, solver: Solver) -> Result<Found<'a>, String> {
    match solver {}
}

/// Comes when somebody wants the program to end. From here on that does not end it by itself.
fn interruption() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

const EXAMPLE: &str = "Example: lockkeeper prove bundle --only margin.managers\n\n\
    Exit code 0 if all is proved, 3 if a request breaks a claim, 4 if something is not proved.";
