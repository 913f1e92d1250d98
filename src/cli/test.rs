//! `lockkeeper test`: runs the cases of a bundle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::render;
use crate::audit::report::table::visible;
use crate::bundle::compile::Bundle;
use crate::config::author::Problems;
use crate::config::load;
use crate::service::load::{load_bundle, load_configured};
use crate::workbench::cases::expect::Mismatch;
use crate::workbench::cases::junit;
use crate::workbench::cases::run::{Cases, Judged};
use crate::workbench::coverage::{Counting, Coverage, Share};

/// The arguments.
#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct TestArgs {
    /// The bundle's folder or an archive of it; without it the one of the configuration
    bundle: Option<PathBuf>,
    /// The configuration file that names the bundle
    #[arg(long, short, default_value = "lockkeeper.toml", conflicts_with = "bundle")]
    config: PathBuf,
    /// Run only cases whose name has this text in it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// How the report is written
    #[arg(long, value_enum, default_value_t)]
    format: TestFormat,
    /// Tell what the cases reach of policies, of their conditions, and of roles, actions, stages and fields
    #[arg(long)]
    coverage: bool,
    /// Fail if fewer policies apply in any case, in per cent
    #[arg(long, value_name = "PERCENT", value_parser = percent())]
    min_policies: Option<u8>,
    /// Fail if fewer parts of conditions are seen both to hold and not to, in per cent
    #[arg(long, value_name = "PERCENT", value_parser = percent())]
    min_conditions: Option<u8>,
    /// Fail if fewer cells of roles, actions, stages and fields are asked about, in per cent
    #[arg(long, value_name = "PERCENT", value_parser = percent())]
    min_matrix: Option<u8>,
}

fn percent() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(0..=100)
}

/// How a report on cases is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For what shows the results of builds: JUnit's XML
    Junit,
}

/// Runs the command.
pub fn run(args: &TestArgs) -> Exit {
    let mut problems = Problems::default();
    let bundle = bundle(args, &mut problems).map(Arc::new);
    let cases = bundle.as_ref().and_then(|bundle| Cases::read(bundle, &mut problems));
    render::problems(&problems);
    let (Some(bundle), Some(cases)) = (bundle, cases) else { return Exit::Failure };
    let judged: Vec<Judged<'_>> = cases.judge(&args.filter).collect();
    if judged.is_empty() {
        let why = match cases.count() {
            0 => "the bundle has no cases: write some into its folder `cases`".to_owned(),
            count => format!("no name of {} has `{}` in it", render::count(count, "case"), args.filter),
        };
        render::failure(&why);
        return Exit::Failure;
    }
    let coverage = args.wants_coverage().then(|| coverage(&bundle, &judged));
    match args.format {
        TestFormat::Text => {
            text(&judged);
            coverage.iter().for_each(tell_coverage);
        }
        TestFormat::Json => render::line(as_json(&bundle, &judged, coverage.as_ref())),
        TestFormat::Junit => render::line(junit::report(&judged).trim_end()),
    }
    let is_enough = coverage.is_none_or(|coverage| is_enough(args, &coverage));
    match judged.iter().all(|judged| judged.mismatches.is_empty()) && is_enough {
        true => Exit::Success,
        false => Exit::CheckFailed,
    }
}

impl TestArgs {
    fn wants_coverage(&self) -> bool {
        let least = [self.min_policies, self.min_conditions, self.min_matrix];
        self.coverage || least.iter().any(Option::is_some)
    }
}

fn coverage(bundle: &Bundle, judged: &[Judged<'_>]) -> Coverage {
    let mut counting = Counting::new(bundle);
    judged.iter().flat_map(|judged| &judged.asked).for_each(|asked| counting.add(asked));
    counting.end()
}

/// Whether every threshold is reached; what is not is told.
fn is_enough(args: &TestArgs, coverage: &Coverage) -> bool {
    let thresholds = [
        ("policies", args.min_policies, coverage.of_policies()),
        ("conditions", args.min_conditions, coverage.of_conditions()),
        ("the matrix", args.min_matrix, coverage.matrix.all),
    ];
    let mut is_enough = true;
    for (what, least, share) in thresholds {
        let Some(least) = least.filter(|least| share.percent() < usize::from(*least)) else { continue };
        render::failure(&format!("{} % of {what} are reached, fewer than {least} %", share.percent()));
        is_enough = false;
    }
    is_enough
}

/// The shares, and what of policies and conditions nobody reached.
fn tell_coverage(coverage: &Coverage) {
    let share = |what: &str, share: Share| {
        render::line(format!("{what:<11} {:>3} %  {} of {}", share.percent(), share.reached, share.all));
    };
    render::line("");
    share("policies", coverage.of_policies());
    share("conditions", coverage.of_conditions());
    share("matrix", coverage.matrix.all);
    for policy in &coverage.policies {
        let place = policy.place.as_deref().unwrap_or_default();
        if !policy.applied {
            render::line(format!("  {} never applied  ({place})", policy.id));
            continue;
        }
        for condition in &policy.conditions {
            let lacking = match (condition.seen_true, condition.seen_false) {
                (true, true) => continue,
                (true, false) => "was never false",
                (false, true) => "was never true",
                (false, false) => "was never looked at",
            };
            render::line(format!("  {}: `{}` {lacking}  ({place})", policy.id, condition.text));
        }
    }
    let mut by_role: BTreeMap<&str, Share> = BTreeMap::new();
    for row in &coverage.matrix.rows {
        let sum = by_role.entry(&row.role).or_default();
        sum.reached += row.share.reached;
        sum.all += row.share.all;
    }
    for (role, share) in by_role {
        let (reached, all) = (share.reached, share.all);
        render::line(format!("  role {role}: {reached} of {all} cells of actions, stages and fields"));
    }
}

fn bundle(args: &TestArgs, problems: &mut Problems) -> Option<Bundle> {
    match &args.bundle {
        Some(path) => load_bundle(path, problems),
        None => load_configured(&load::load(&args.config, problems)?, problems),
    }
}

/// Files with their cases, and below each failed one what was decided otherwise.
fn text(judged: &[Judged<'_>]) {
    let mut file = "";
    for Judged { case, mismatches, .. } in judged {
        if case.file() != file {
            file = case.file();
            render::line(file);
        }
        if mismatches.is_empty() {
            render::line(format!("  ok    {}", visible(&case.name)));
            continue;
        }
        render::line(format!("  FAIL  {}  ({})", visible(&case.name), case.place()));
        mismatches.iter().for_each(|mismatch| render::line(format!("        {}", told(mismatch))));
    }
    let failed = judged.iter().filter(|judged| !judged.mismatches.is_empty()).count();
    render::line(format!("{}, {failed} failed", render::count(judged.len(), "case")));
}

fn told(mismatch: &Mismatch) -> String {
    let why = mismatch.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}: expected {}, found {}{why}", mismatch.what, mismatch.expected, mismatch.found)
}

fn as_json(bundle: &Bundle, judged: &[Judged<'_>], coverage: Option<&Coverage>) -> String {
    let case = |Judged { case, mismatches, .. }: &Judged<'_>| {
        json!({
            "name": case.name,
            "place": case.place(),
            "ok": mismatches.is_empty(),
            "mismatches": mismatches,
        })
    };
    json!({
        "ok": judged.iter().all(|judged| judged.mismatches.is_empty()),
        "bundle": bundle.revision,
        "cases": judged.iter().map(case).collect::<Vec<_>>(),
        "coverage": coverage.map(|coverage| {
            json!({
                "policies": { "share": coverage.of_policies(), "all": coverage.policies },
                "conditions": { "share": coverage.of_conditions() },
                "matrix": coverage.matrix,
            })
        }),
    })
    .to_string()
}

const EXAMPLE: &str = "Example: lockkeeper test bundle --filter margin\n\nExit code 3 if a case fails.";
