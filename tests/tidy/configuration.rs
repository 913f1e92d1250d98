//! The configuration's sections against its reader, its reference, its JSON Schema and the examples of the repository.

use std::collections::BTreeSet;
use std::path::Path;

use lockkeeper::cli::config::{reference_text, schema_text};
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::config::service::{self, SECTIONS};
use lockkeeper::config::settings::{Kind, Presence, Section};
use serde_json::Value;

use super::schema::violations;
use super::{none, tree};

#[test]
fn the_reference_is_what_the_code_writes() {
    let is_same = tree::read("docs/reference/config.md") == reference_text();
    assert!(is_same, "docs/reference/config.md is not what the code writes: run scripts/generate");
}

#[test]
fn the_json_schema_is_what_the_code_writes() {
    let is_same = tree::read("schemas/lockkeeper.schema.json") == schema_text();
    assert!(is_same, "schemas/lockkeeper.schema.json is not what the code writes: run scripts/generate");
}

#[test]
fn every_section_is_listed_under_the_one_around_it() {
    let names: BTreeSet<String> = SECTIONS.iter().map(|section| section.name.to_owned()).collect();
    let nested = names.iter().filter(|name| name.contains('.')).cloned().collect::<BTreeSet<_>>();
    let inner: BTreeSet<String> = SECTIONS
        .iter()
        .flat_map(|section| section.inner.iter().map(move |inner| format!("{}.{inner}", section.name)))
        .collect();
    assert_eq!(nested, inner);
}

#[test]
fn the_reader_reads_every_section_and_key_that_is_listed() {
    // No key takes a date, so each key that is read is complained about.
    let section = |section: &&Section| {
        let keys = section.keys.iter().map(|key| format!("{} = 1979-05-27\n", key.name));
        format!("{}\n{}", heading(section), keys.collect::<String>())
    };
    let text: String = SECTIONS.iter().map(section).collect();
    let problems = problems(&text);
    let mut unread = Vec::new();
    let mut line = 0;
    for section in SECTIONS {
        line += 1;
        for key in section.keys {
            line += 1;
            let place = format!("t.toml:{line}");
            if !problems.iter().any(|problem| problem.place().as_deref() == Some(&place)) {
                unread.push(format!("{}.{}", section.name, key.name));
            }
        }
    }
    none("listed keys that the reader does not look at", &unread);
}

#[test]
fn the_reader_knows_no_section_that_is_not_listed() {
    let unknown = "qqqqqqqqqqqqqqqqqqqq";
    let problems = problems(&format!("[{unknown}]\n"));
    let help = problems.iter().find(|problem| problem.message().contains(unknown)).unwrap().help_text();
    let known = help.and_then(|help| help.strip_prefix("Known here: ")).unwrap().trim_end_matches('.');
    let known: BTreeSet<&str> = known.split(", ").collect();
    let listed: BTreeSet<&str> =
        SECTIONS.iter().map(|section| section.name).filter(|name| !name.contains('.')).collect();
    assert_eq!(known, listed);
}

#[test]
fn the_examples_satisfy_the_json_schema() {
    let examples: Vec<String> = tree::with_ending(&["lockkeeper.toml"]);
    assert!(!examples.is_empty());
    let mut findings = Vec::new();
    for path in examples {
        let found = check(&tree::read(&path));
        findings.extend(found.into_iter().map(|finding| format!("{path}: {finding}")));
    }
    none("examples satisfy schemas/lockkeeper.schema.json", &findings);
}

#[test]
fn the_json_schema_refuses_what_the_reader_refuses() {
    let example = tree::read("examples/tryton/lockkeeper.toml");
    assert_eq!(check(&example), Vec::<String>::new());
    let missing = example.replace("[ledger]", "[legder]");
    assert_eq!(check(&missing), ["/legder is not described", "/ledger is missing"]);
    let shapes = "[listen]\naddress = 8080\nhead_timeout_ms = 99\ndrain_timeout_ms = 600001\nadress = 'x'\n[log]\nformat = 'xml'\n[upstream]\n";
    let found = check(shapes);
    for expected in [
        "/listen/address has another type",
        "/listen/head_timeout_ms is out of range",
        "/listen/drain_timeout_ms is out of range",
        "/listen/adress is not described",
        "/log/format is none of the words",
        "/upstream/url is missing",
    ] {
        assert!(found.iter().any(|finding| finding == expected), "{expected}: {found:?}");
    }
}

#[test]
fn ranges_of_the_json_schema_are_those_of_the_reader() {
    for section in SECTIONS {
        for key in section.keys {
            let Kind::Integer { min, max, .. } = key.kind else { continue };
            for value in [Some(min), Some(max), min.checked_sub(1), max.checked_add(1)].into_iter().flatten()
            {
                // A key of an inner section needs the outer ones only if they are tables of a list.
                let text = format!("{}\n{} = {value}\n", heading(section), key.name);
                let refused = problems(&text).iter().any(|problem| problem.message().contains("outside of"));
                let broken = check(&text).iter().any(|finding| finding.ends_with("is out of range"));
                assert_eq!(refused, broken, "[{}] {} = {value}", section.name, key.name);
                assert_eq!(refused, !(min..=max).contains(&value));
            }
        }
    }
}

fn heading(section: &Section) -> String {
    match section.presence {
        Presence::Repeated => format!("[[{}]]", section.name),
        Presence::Required | Presence::Optional => format!("[{}]", section.name),
    }
}

fn problems(text: &str) -> Problems {
    let mut problems = Problems::default();
    service::read(&SourceFile::new("t.toml", text), Path::new("/"), &mut problems);
    problems
}

fn check(text: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(&schema_text()).unwrap();
    let document: Value = toml::from_str(text).unwrap();
    violations(&schema, &document)
}
