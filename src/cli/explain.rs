//! `lockkeeper explain`: what would be decided of one request, by which policies, without asking the CRM.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use serde::Serialize;

use super::exit::Exit;
use super::{explain_text, render};
use crate::bundle::current::Snapshot;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::load;
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::principal::{Asker, Attested, EntityRef};
use crate::pipeline::decide::gate::VerdictCache;
use crate::pipeline::decide::witness::witnessed;
use crate::pipeline::dry_run::explanation::{Explanation, FieldNote, FieldState, Outcome};
use crate::pipeline::dry_run::{DryRequest, DryRun, dry_run};
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::sidecar::Limits;
use crate::service::load::{load_bundle, load_configured, load_directory};
use crate::service::start::limits;
use crate::telemetry::clock::Clock;
use crate::workbench::formula::decided::Conditions;
use crate::workbench::nearest::{Denied, denied};

/// The arguments.
#[derive(Args)]
pub struct ExplainArgs {
    /// The configuration file, which names bundle and directory
    #[arg(long, short, default_value = "lockkeeper.toml")]
    config: PathBuf,
    /// The bundle's folder, instead of the configuration's
    #[arg(long, requires = "directory", conflicts_with = "config")]
    bundle: Option<PathBuf>,
    /// The directory, instead of the configuration's
    #[arg(long, requires = "bundle")]
    directory: Option<PathBuf>,
    /// Who asks, e.g. 'User::"anna"'
    #[arg(long, value_parser = principal)]
    principal: EntityRef,
    /// When, e.g. 2026-11-21T12:00:00Z; without it now
    #[arg(long)]
    at: Option<jiff::Timestamp>,
    /// The strength of authentication that a verified token would give, as policies know it: `context.authLevel`
    #[arg(long, value_name = "LEVEL")]
    auth_level: Option<i64>,
    /// For whom the principal acts, as a verified token would say: `context.onBehalfOf`
    #[arg(long, value_name = "PERSON", value_parser = principal)]
    on_behalf_of: Option<EntityRef>,
    /// A record as the CRM holds it: the JSON that its `GET` route answers; may be repeated
    #[arg(long, value_name = "FILE")]
    record: Vec<PathBuf>,
    /// What the CRM would answer, as JSON; for a read of one record, --record will do
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// The status of that answer
    #[arg(long, requires = "answer", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..=599))]
    status: u16,
    /// The request's body; `-` for standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// A request header, as 'Name: value'; may be repeated
    #[arg(long, value_name = "HEADER", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// How the explanation is written
    #[arg(long, value_enum, default_value_t)]
    format: ExplainFormat,
    /// The request, as 'METHOD /path?query'
    #[arg(value_parser = request)]
    request: (Method, Uri),
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExplainFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// A page to hand on
    Html,
}

/// Runs the command.
pub fn run(args: &ExplainArgs) -> Exit {
    let mut problems = Problems::default();
    let explained = explain(args, &mut problems);
    render::problems(&problems);
    let Some(explained) = explained else { return Exit::Failure };
    let text = || explain_text::text(&explained.explanation, &explained.nearest);
    match args.format {
        ExplainFormat::Text => render::line(text().trim_end()),
        ExplainFormat::Html => render::line(explain_text::page(&text())),
        ExplainFormat::Json => match serde_json::to_string_pretty(&explained) {
            Ok(json) => render::line(json),
            Err(error) => {
                render::failure(&error);
                return Exit::Failure;
            }
        },
    }
    match explained.explanation.outcome {
        Outcome::Allow => Exit::Success,
        Outcome::Deny | Outcome::Refuse => Exit::Deny,
        Outcome::Fail => Exit::Failure,
        Outcome::Undetermined => Exit::Undetermined,
    }
}

/// What would be decided, and what would have to differ.
#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    /// Questions that were denied.
    nearest: Vec<Denied>,
}

fn explain(args: &ExplainArgs, problems: &mut Problems) -> Option<Explained> {
    let named = args.bundle.as_deref().zip(args.directory.as_deref());
    let (snapshot, limits) = what_serves(named, Some(&args.config), problems)?;
    let json_limits = JsonLimits {
        bytes_max: limits.answer_bytes_max,
        depth_max: limits.json_depth_max,
        nodes_max: limits.json_values_max,
    };
    let before = problems.error_count();
    let records: Vec<Document> =
        args.record.iter().filter_map(|path| document(path, &json_limits, problems)).collect();
    let answer = args.answer.as_ref().and_then(|path| answer(path, args.status, problems));
    let request = read_request(args, problems);
    if problems.error_count() > before {
        return None;
    }
    let attested = Attested { auth_level: args.auth_level, on_behalf_of: args.on_behalf_of.clone() };
    let now_ms = args.at.map_or_else(|| Clock::system().now_ms(), |at| at.as_millisecond());
    let dry = DryRun {
        snapshot: &snapshot,
        limits: &limits,
        cache: &Arc::new(VerdictCache::new(VERDICTS_MAX, 1)),
        asker: &Asker { entity: args.principal.clone(), attested, now_ms },
        request: request?,
        records: &records,
        answer: answer.as_ref(),
    };
    let (explanation, asked) = witnessed(|| dry_run(&dry));
    let mut nearest = denied(&Conditions::of(&snapshot.bundle), &asked);
    nearest.retain(|denied| is_told(&explanation, denied));
    Some(Explained { explanation, nearest })
}

/// Whether an explanation tells of a denied question: others were asked on the way to it.
fn is_told(explanation: &Explanation, denied: &Denied) -> bool {
    let is_it = |type_name: &str, id: &str| EntityRef::new(type_name, id).to_string() == denied.resource;
    let decided = explanation.decisions.iter().any(|decided| {
        let is_about = decided.ids.iter().any(|id| is_it(&decided.type_name, id))
            || is_it("Collection", &decided.type_name);
        let same = decided.action == denied.action && decided.field == denied.field;
        same && is_about && decided.because.effect == "deny"
    });
    let shown = explanation.answer.iter().flat_map(|answer| &answer.records).any(|record| {
        let is_hidden = |field: &FieldNote| {
            let is_it = Some(&field.name) == denied.field.as_ref();
            is_it && matches!(field.state, FieldState::Hidden | FieldState::Masked)
        };
        let is_of = match denied.action.as_str() {
            "view" => record.view.effect == "deny",
            "readField" => record.fields.iter().any(is_hidden),
            _ => false,
        };
        is_of && is_it(&record.type_name, &record.id)
    });
    decided || shown
}

/// Bundle and directory that are named, or those of a configuration, with the limits that apply to them. Keys are neither needed nor
/// read.
pub(super) fn what_serves(
    named: Option<(&Path, &Path)>,
    config: Option<&Path>,
    problems: &mut Problems,
) -> Option<(Arc<Snapshot>, Limits)> {
    let (bundle, directory, limits) = match named {
        Some((bundle, directory)) => {
            (load_bundle(bundle, problems)?, directory.to_path_buf(), Limits::default())
        }
        None => {
            let config = load::load(config?, problems)?;
            let bundle = load_configured(&config, problems)?;
            (bundle, config.directory.file, limits(&config.limits))
        }
    };
    let directory = load_directory(&directory, Some(&bundle), problems)?;
    Some((Snapshot::first(bundle, directory), limits))
}

fn read_request(args: &ExplainArgs, problems: &mut Problems) -> Option<DryRequest> {
    let (method, target) = args.request.clone();
    let body = match &args.body {
        None => Bytes::new(),
        Some(path) if path.as_os_str() == "-" => standard_input(problems)?,
        Some(path) => Bytes::from(load::text(path, problems)?.text.clone()),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &args.header {
        headers.append(name.clone(), value.clone());
    }
    headers.entry(HOST).or_insert(HeaderValue::from_static("lockkeeper"));
    if !body.is_empty() {
        headers.entry(CONTENT_TYPE).or_insert(JSON);
    }
    Some(DryRequest { method, target, headers, body })
}

fn standard_input(problems: &mut Problems) -> Option<Bytes> {
    let mut body = Vec::new();
    match std::io::stdin().take(BODY_BYTES_MAX).read_to_end(&mut body) {
        Ok(_) => Some(Bytes::from(body)),
        Err(error) => {
            problems.push(AuthorProblem::error(format!("standard input cannot be read: {error}")));
            None
        }
    }
}

fn answer(path: &Path, status: u16, problems: &mut Problems) -> Option<UpstreamResponse> {
    let body = Bytes::from(load::text(path, problems)?.text.clone());
    Some(UpstreamResponse { status, headers: HeaderMap::from_iter([(CONTENT_TYPE, JSON)]), body })
}

fn document(path: &Path, limits: &JsonLimits, problems: &mut Problems) -> Option<Document> {
    let source = load::text(path, problems)?;
    match Document::parse(Bytes::from(source.text.clone()), limits) {
        Ok(document) => Some(document),
        Err(error) => {
            let at = error.offset().min(source.text.len());
            problems.push(AuthorProblem::error(format!("not a record: {error}")).at(&source, at..at));
            None
        }
    }
}

/// Reads a principal, for arguments.
pub fn principal(text: &str) -> Result<EntityRef, String> {
    EntityRef::parse(text).ok_or_else(|| "write e.g. 'User::\"anna\"'".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write 'Name: value'")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

fn request(text: &str) -> Result<(Method, Uri), String> {
    let (method, target) = text.split_once(' ').ok_or("write e.g. 'GET /api/deals/42'")?;
    let method = method.parse().map_err(|_| format!("`{method}` is not a method"))?;
    let target = target.trim().parse().map_err(|error| format!("`{target}` is not a target: {error}"))?;
    Ok((method, target))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes read from standard input: more than any body limit lets pass.
const BODY_BYTES_MAX: u64 = 1 << 31;

/// Verdicts kept while one request is explained.
const VERDICTS_MAX: u64 = 10_000;
