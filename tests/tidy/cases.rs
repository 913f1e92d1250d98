//! The JSON Schema of case files against their reader, the repository's case files and the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use lockkeeper::bundle::{compile, source};
use lockkeeper::config::author::Problems;
use lockkeeper::model::access::Action;
use lockkeeper::model::reason::Reason;
use lockkeeper::workbench::cases::run::Cases;
use serde_json::Value;

use super::schema::violations;
use super::{none, tree};

const FILE: &str = "cases/deals.toml";

/// A key that is near no other, so that the help lists all.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqqqqqq";

/// The place of a table in the schema, which of the forms of a case it has, and a line with an unknown key in that table.
const TABLES: &[(&str, &[&str], &str)] = &[
    ("", &[], "U = 1"),
    ("/$defs/person", &[], "people.a = { is = 'User::\"a\"', U = 1 }"),
    ("/$defs/group", &[], "groups.'Team::\"a\"' = { U = 1 }"),
    ("/$defs/given", &[], "records.a = { type = 'Deal', id = '1', attributes = {}, U = 1 }"),
    (
        "/$defs/case",
        &["about_record", "about_collection"],
        "case = [{ name = 'a', principal = 'a', record = 'a', allow = 'view', U = 1 },",
    ),
    (
        "/$defs/case",
        &["about_request"],
        "{ name = 'a', principal = 'a', request = 'GET /api/deals', expect = 'deny', U = 1 },",
    ),
    (
        "/$defs/answer",
        &[],
        "{ name = 'a', principal = 'a', request = 'GET /api/deals', answer = { U = 1 }, expect = 'deny' }]",
    ),
];

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    let lines = TABLES.iter().map(|(_, _, line)| line.replace("U =", &format!("{UNKNOWN} =")));
    let head = "cases = 1\nnow = '2026-06-15T12:00:00Z'\n";
    let problems = read(&lines.fold(head.to_owned(), |text, line| text + &line + "\n"));
    for (at, (table, forms, line)) in TABLES.iter().enumerate() {
        let place = format!("{FILE}:{}", at + 1 + head.lines().count());
        let told = problems.iter().find(|problem| {
            problem.place().as_deref() == Some(&place) && problem.message().contains(UNKNOWN)
        });
        let help =
            told.and_then(|problem| problem.help_text()).unwrap_or_else(|| panic!("{line}: {problems}"));
        let known = help.strip_prefix("Known here: ").unwrap().trim_end_matches('.');
        let mut known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
        if forms.contains(&"about_record") {
            // By this key the reader tells the forms apart.
            assert!(known.remove("request"));
        }
        assert_eq!(listed(table, forms), known, "{line}");
    }
}

/// The keys that the schema has in a table, and that one of the forms does not exclude.
fn listed(table: &str, forms: &[&str]) -> BTreeSet<String> {
    let schema = schema();
    let all = schema.pointer(&format!("{table}/properties")).and_then(Value::as_object).unwrap().keys();
    let excludes = |form: &str, key: &str| {
        let excluded = schema["$defs"][form]["not"]["anyOf"].as_array().unwrap();
        excluded.iter().any(|excluded| excluded["required"][0] == key)
    };
    let fits = |key: &&String| forms.is_empty() || forms.iter().any(|form| !excludes(form, key));
    all.filter(fits).cloned().collect()
}

#[test]
fn the_schema_has_the_words_of_the_reader() {
    let words = |name: &str| -> BTreeSet<String> {
        serde_json::from_value(schema()["$defs"][name]["enum"].clone()).unwrap()
    };
    let asked = Action::ALL.iter().filter(|action| **action != Action::MoveStage);
    assert_eq!(words("action"), asked.map(|action| action.name().to_owned()).collect());
    assert_eq!(words("reason"), Reason::ALL.iter().map(|reason| reason.code().to_owned()).collect());
}

#[test]
fn case_files_satisfy_the_schema() {
    let files = tree::with_ending(&[".toml"]).into_iter().filter(|path| path.contains("/cases/"));
    let mut texts: BTreeMap<String, String> = files.map(|path| (path.clone(), tree::read(&path))).collect();
    assert!(!texts.is_empty());
    let reference = tree::read("docs/reference/test.md");
    let shown = reference.split("```toml\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    texts.insert("docs/reference/test.md".to_owned(), shown.to_owned());
    let found = texts
        .iter()
        .flat_map(|(path, text)| check(text).into_iter().map(move |finding| format!("{path}: {finding}")));
    none("case files satisfy schemas/cases.schema.json", &found.collect::<Vec<_>>());
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let sound = [
        "people.a = { is = 'User::\"a\"', in = 'Role::\"rep\"', attributes = { crmId = '1' } }",
        "records.a = { type = 'Deal', id = '1', attributes = { amount = '1.00' } }",
        "case = [{ name = 'a', principal = 'a', record = 'a', allow = 'view', deny = ['delete'] },",
        "{ name = 'a', principal = 'a', collection = 'Deal', count = 2, allow = 'list' },",
        "{ name = 'a', principal = 'a', request = 'GET /api/deals', reason = 'no-permit', status = 403 }]",
    ];
    let text = |lines: &[String]| format!("cases = 1\nnow = '2026-06-15T12:00:00Z'\n{}", lines.join("\n"));
    let lines: Vec<String> = sound.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(check(&text(&lines)), Vec::<String>::new());
    assert!(!read(&text(&lines)).has_errors(), "{}", read(&text(&lines)));
    for (right, wrong) in [
        ("is =", "was ="),
        ("in = 'Role::\"rep\"'", "in = 1"),
        ("attributes = { amount", "json = '{}', attributes = { amount"),
        ("'1.00'", "1.5"),
        ("id = '1'", "id = 1"),
        ("record = 'a'", "record = 'a', collection = 'Deal'"),
        ("record = 'a'", "record = 'a', count = 2"),
        ("collection = 'Deal', ", ""),
        ("count = 2", "count = -1"),
        ("allow = 'view'", "allow = 'veiw'"),
        ("['delete']", "['moveStage']"),
        ("name = 'a', principal = 'a', record", "principal = 'a', record"),
        ("'no-permit'", "'no-permitt'"),
        ("status = 403", "status = 99"),
        ("status = 403", "expect = 'no'"),
        ("status = 403", "answer = { json = '{}', file = 'a.json' }"),
        ("status = 403", "body = 'x', body_file = 'a.json'"),
        ("status = 403", "leaves = '{}', leaves_file = 'a.json'"),
        ("status = 403", "record = 'a'"),
    ] {
        let broken: Vec<String> = lines.iter().map(|line| line.replacen(right, wrong, 1)).collect();
        assert_ne!(broken, lines, "{right}");
        assert!(read(&text(&broken)).has_errors(), "the reader takes {wrong}");
        assert!(!check(&text(&broken)).is_empty(), "the schema takes {wrong}");
    }
}

/// What the reader says of a case file beside the demo's policies.
fn read(text: &str) -> Problems {
    let mut problems = Problems::default();
    let mut files = source::read(&tree::root().join("policies/demo-crm"), &mut problems).unwrap();
    files.insert(FILE.to_owned(), Bytes::from(text.to_owned()));
    let bundle = Arc::new(compile::compile(files, &mut problems).unwrap());
    Cases::read(&bundle, &mut problems);
    problems
}

fn check(text: &str) -> Vec<String> {
    violations(&schema(), &toml::from_str(text).unwrap())
}

fn schema() -> Value {
    serde_json::from_str(&tree::read("schemas/cases.schema.json")).unwrap()
}
