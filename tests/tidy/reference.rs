//! Reference documents that say what the code says: reasons, metrics, commands, links, schemas.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::CommandFactory;
use lockkeeper::audit::sinks::fault::SinkFault;
use lockkeeper::cli::Cli;
use lockkeeper::model::reason::{Class, Fault, Reason};
use lockkeeper::telemetry::metrics::{CertificateUse, CloseCause, Finished, Metrics, ReloadResult};
use lockkeeper::telemetry::readings::Readings;
use lockkeeper::telemetry::sinks::SinkReading;

use super::{none, tree};

#[test]
fn the_table_of_reasons_is_the_list_of_the_code() {
    let rows = rows("docs/reference/reasons.md");
    let documented: BTreeSet<String> =
        rows.iter().map(|row| row.get(..4).unwrap_or_default().join(" ")).collect();
    let expected: BTreeSet<String> = Reason::ALL.iter().map(|reason| describe(*reason)).collect();
    none("missing in docs/reference/reasons.md", &difference(&expected, &documented));
    none("wrong in docs/reference/reasons.md", &difference(&documented, &expected));
    let thin = rows.iter().filter(|row| row.len() != 6 || row.iter().any(String::is_empty));
    none(
        "each reason has a meaning and something to do",
        &thin.map(|row| row.join(" | ")).collect::<Vec<_>>(),
    );
}

#[test]
fn every_reason_has_its_paragraph_in_troubleshooting() {
    let text = tree::read("docs/guide/troubleshooting.md");
    let mut paragraphs = BTreeSet::new();
    let mut thin = Vec::new();
    for section in text.split("\n### ").skip(1) {
        let (heading, rest) = section.split_once('\n').unwrap_or((section, ""));
        let body = rest.split("\n## ").next().unwrap_or("").trim();
        if body.len() < PARAGRAPH_MIN {
            thin.push(heading.to_owned());
        }
        paragraphs.insert(heading.to_owned());
    }
    let expected: BTreeSet<String> = Reason::ALL.iter().map(|reason| format!("`{reason}`")).collect();
    none("reasons without a paragraph in docs/guide/troubleshooting.md", &difference(&expected, &paragraphs));
    none("paragraphs about no reason in docs/guide/troubleshooting.md", &difference(&paragraphs, &expected));
    none("paragraphs that say next to nothing", &thin);
}

/// Characters that say more than the code does.
const PARAGRAPH_MIN: usize = 40;

fn describe(reason: Reason) -> String {
    let class = match reason.class() {
        Class::Refuse => "refuse",
        Class::Deny => "deny",
        Class::Fail => "fail",
    };
    let fault = match reason.fault() {
        Fault::Client => "client",
        Fault::Upstream => "upstream",
        Fault::Ours => "ours",
    };
    format!("`{reason}` {class} {fault} {}", reason.status())
}

#[test]
fn the_table_of_what_happens_to_sinks_is_the_list_of_the_code() {
    let rows = rows("docs/reference/sinks.md").into_iter().filter(|row| row.len() == 3);
    let codes = rows.filter_map(|row| row.into_iter().next()).filter(|cell| cell.contains('-'));
    let documented: BTreeSet<String> = codes.collect();
    let expected: BTreeSet<String> =
        SinkFault::ALL.iter().map(|fault| format!("`{}`", fault.code())).collect();
    none("missing in docs/reference/sinks.md", &difference(&expected, &documented));
    none("in docs/reference/sinks.md but not in the code", &difference(&documented, &expected));
}

#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::default();
    // A family is not written before it has a member.
    metrics.count(&Finished { status: 200, ..Finished::default() });
    metrics.upstream(None, Duration::ZERO);
    metrics.connection_refused(Reason::HttpUnreadable);
    metrics.connection_closed(CloseCause::Idle);
    metrics.reload(ReloadResult::Active);
    metrics.certificate_expires(CertificateUse::Listen, 0);
    metrics.count_observed(None);
    metrics.write_unconfirmed("stage-mismatch");
    metrics.passed_unrecorded("GET /static/{path...}");
    metrics.sinks().took("store", 1);
    metrics.sinks().failed("store", "sink-timeout");
    let observe_until = vec![("deals".to_owned(), 1)];
    let readings = Readings { observe_until, sinks: vec![SinkReading::default()], ..Readings::default() };
    let encoded = metrics.encode(&readings);
    let types = encoded.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    // A counter's samples carry `_total`, and that is the name that people query.
    let name = |line: &str| match line.split_once(' ') {
        Some((name, "counter")) => format!("`{name}_total`"),
        Some((name, "info")) => format!("`{name}_info`"),
        Some((name, _)) => format!("`{name}`"),
        None => line.to_owned(),
    };
    let expected: BTreeSet<String> = types.map(name).collect();
    assert!(expected.contains("`lockkeeper_requests_total`"), "{expected:?}");
    let documented: BTreeSet<String> =
        rows("docs/reference/metrics.md").into_iter().filter_map(|row| row.into_iter().next()).collect();
    none("missing in docs/reference/metrics.md", &difference(&expected, &documented));
    none("in docs/reference/metrics.md but not in the code", &difference(&documented, &expected));
}

#[test]
fn every_command_and_flag_is_documented() {
    let text = tree::read("docs/reference/cli.md");
    let mut missing = Vec::new();
    collect_missing(&Cli::command(), "", &text, &mut missing);
    none("every command and flag stands in docs/reference/cli.md in backticks", &missing);
}

fn collect_missing(command: &clap::Command, above: &str, text: &str, missing: &mut Vec<String>) {
    for inner in command.get_subcommands() {
        let name = format!("{above} {}", inner.get_name());
        if !text.contains(&format!("`lockkeeper{name}`")) {
            missing.push(name.clone());
        }
        for flag in inner.get_arguments().filter_map(|argument| argument.get_long()) {
            if !matches!(flag, "help" | "version") && !text.contains(&format!("`--{flag}`")) {
                missing.push(format!("{name} --{flag}"));
            }
        }
        collect_missing(inner, &name, text, missing);
    }
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for document in tree::with_ending(&[".md"]) {
        let text = tree::read(&document);
        let links = text.match_indices("](").filter_map(|(at, _)| text.get(at + 2..)?.split(')').next());
        let files = links.filter_map(|link| link.split('#').next());
        let broken = files.filter(|file| !file.is_empty() && !file.contains("://"));
        let broken = broken.filter(|file| !tree::leads_somewhere(&document, file));
        findings.extend(broken.map(|file| format!("{document}: {file}")));
    }
    none("links of documents lead to files of the repository", &findings);
}

#[test]
fn the_readme_leads_to_every_document() {
    let readme = tree::read("README.md");
    let documents = tree::with_ending(&[".md"]).into_iter().filter(|path| path.starts_with("docs/"));
    let unlinked = documents.filter(|path| !readme.contains(&format!("]({path})")));
    none("documents that README.md does not link", &unlinked.collect::<Vec<_>>());
}

#[test]
fn json_schemas_are_json() {
    let schemas = tree::with_ending(&[".schema.json"]);
    assert!(!schemas.is_empty());
    for path in schemas {
        let schema: serde_json::Value = serde_json::from_str(&tree::read(&path)).unwrap();
        assert!(schema.get("$schema").is_some(), "{path} does not say which JSON Schema it is");
    }
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let paths = tree::with_ending(&[".md"]);
    let numbers =
        paths.iter().filter_map(|path| path.strip_prefix("docs/decisions/")?.get(..4)?.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(!numbers.is_empty());
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

/// The cells of each row whose first cell is code.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = tree::read(document);
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

fn difference(all: &BTreeSet<String>, known: &BTreeSet<String>) -> Vec<String> {
    all.difference(known).cloned().collect()
}
