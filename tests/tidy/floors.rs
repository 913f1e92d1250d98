//! What may depend on what: a file uses its own floor and lower ones, and stages meet only where this table says.

use std::collections::BTreeSet;

use super::rust::{self, RustFile};
use super::{none, tree};

/// The floor of each top-level module.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("json", 0),
    ("disk", 1),
    ("config", 1),
    ("bundle", 1),
    ("ledger", 1),
    ("net", 1),
    ("telemetry", 1),
    ("pipeline", 2),
    ("audit", 3),
    ("workbench", 3),
    ("service", 4),
    ("admin", 4),
    ("demo", 4),
    ("cli", 4),
    ("testkit", 4),
];

/// What calls the stages in their order and therefore uses them all, beside `pipeline/mod.rs`.
const CALLERS: &[&str] = &[
    "conditional",
    "dry_run",
    "exit",
    "leading",
    "links",
    "listing",
    "onepass",
    "open",
    "passing",
    "pruning",
    "refill",
    "second_look",
    "tenure",
    "upsert",
];

/// Who uses whom inside of `pipeline/`. A new pair is a decision of design.
const STAGES: &[(&str, &[&str])] = &[
    (
        "decide",
        &["hydrate::convert", "hydrate::extract", "hydrate::image", "map", "map::lexer", "map::query"],
    ),
    (
        "enforce",
        &[
            "canonical",
            "decide::gate",
            "decide::judging",
            "decide::request",
            "decide::write",
            "forward",
            "hydrate::extract",
            "hydrate::records",
            "map",
            "map::body",
            "map::form",
            "map::multipart",
            "map::query",
            "map::selection",
            "observe",
            "stream",
        ],
    ),
    (
        "fetch",
        &[
            "decide::gate",
            "decide::judging",
            "enforce::answer",
            "enforce::response",
            "forward",
            "hydrate::convert",
            "hydrate::image",
            "hydrate::records",
            "map",
            "map::projection",
            "pool",
            "serving",
            "sidecar",
        ],
    ),
    ("files", &["fetch", "hydrate::extract", "hydrate::image", "map"]),
    ("crm", &["stream"]),
    ("forward", &["crm", "enforce::request", "stream"]),
    ("identify", &["enforce::answer", "forward"]),
    ("intake", &["canonical", "listen", "map::body", "map::form", "multipart", "sidecar", "stream"]),
    ("listen", &["canonical", "forward", "outgoing", "run", "sidecar"]),
    ("map", &["canonical", "hydrate::extract"]),
    (
        "observe",
        &[
            "Stage",
            "canonical",
            "enforce::answer",
            "enforce::response",
            "forward",
            "hydrate::records",
            "map",
            "map::body",
            "map::query",
            "pool",
            "respond",
            "sidecar",
            "trail",
        ],
    ),
    ("origins", &["identify"]),
    ("outgoing", &["stream"]),
    ("record", &["trail", "unrecorded"]),
    ("respond", &["enforce::response"]),
    ("serving", &["enforce", "identify"]),
    (
        "sidecar",
        &[
            "age",
            "canonical",
            "decide::gate",
            "enforce::answer",
            "forward",
            "keeping",
            "map",
            "map::lexer",
            "observe",
            "origins",
            "pool",
            "record",
            "refill",
            "serving",
            "standing",
            "stream",
            "trail",
        ],
    ),
    ("stream", &["multipart"]),
    ("trail", &["decide::request", "decide::write", "enforce::response", "enforce::shown", "observe"]),
];

#[test]
fn a_file_uses_its_own_floor_and_lower_ones() {
    let mut findings = Vec::new();
    for file in rust::files() {
        let Some(own) = module_path(&file.path).first().cloned() else { continue };
        let Some(own_floor) = floor(&own) else {
            findings.push(format!("{}: the module `{own}` has no floor in tests/tidy/floors.rs", file.path));
            continue;
        };
        for used in uses(file) {
            let target = used.first().map_or("", String::as_str);
            match floor(target) {
                Some(floor) if floor <= own_floor => {}
                Some(_) => {
                    findings.push(format!("{}: `{}` is on a higher floor", file.path, used.join("::")))
                }
                None if used.len() < 2 => {}
                None => findings.push(format!("{}: `{}` has no floor", file.path, used.join("::"))),
            }
        }
    }
    none("a file uses its own floor and lower ones", &findings);
}

#[test]
fn stages_meet_only_where_the_table_says() {
    let sources = tree::with_ending(&[".rs"]);
    let mut found = BTreeSet::new();
    for file in rust::files() {
        let path = module_path(&file.path);
        let [top, stage, ..] = path.as_slice() else { continue };
        if top != "pipeline" || CALLERS.contains(&stage.as_str()) {
            continue;
        }
        for used in uses(file) {
            if let Some(target) = stage_of(&used, &sources).filter(|target| !is_within(target, stage)) {
                found.insert((stage.clone(), target));
            }
        }
    }
    let listed: BTreeSet<(String, String)> = STAGES
        .iter()
        .flat_map(|(stage, targets)| targets.iter().map(|target| ((*stage).to_owned(), (*target).to_owned())))
        .collect();
    let show = |(stage, target): &(String, String)| format!("{stage} uses {target}");
    none("not in the table of stages", &found.difference(&listed).map(show).collect::<Vec<_>>());
    none(
        "in the table of stages but not in the code",
        &listed.difference(&found).map(show).collect::<Vec<_>>(),
    );
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn is_within(target: &str, stage: &str) -> bool {
    target.split("::").next() == Some(stage)
}

/// The stage that a path names, with its file where there is one: `hydrate::image`, `forward`, `run` for the path itself.
fn stage_of(used: &[String], sources: &[String]) -> Option<String> {
    let (top, rest) = used.split_first()?;
    let (stage, rest) = rest.split_first()?;
    if top != "pipeline" {
        return None;
    }
    match rest.first() {
        Some(file) if sources.contains(&format!("src/pipeline/{stage}/{file}.rs")) => {
            Some(format!("{stage}::{file}"))
        }
        _ => Some(stage.clone()),
    }
}

/// `src/pipeline/decide/gate.rs` is `pipeline::decide::gate`.
fn module_path(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")).unwrap_or_default();
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').filter(|name| !matches!(*name, "lib" | "main")).map(str::to_owned).collect()
}

/// Every path from the crate's root that a file names, in `use` or elsewhere.
fn uses(file: &RustFile) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in file.code.match_indices(start) {
            let before = file.code.get(..at).unwrap_or_default();
            if before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$')) {
                continue;
            }
            let mut reader = Reader { rest: file.code.get(at..).unwrap_or_default() };
            let mut paths = Vec::new();
            reader.tree(Vec::new(), &mut paths);
            found.extend(paths.into_iter().filter_map(|path| resolve(&module_path(&file.path), &path)));
        }
    }
    found
}

fn resolve(own: &[String], path: &[String]) -> Option<Vec<String>> {
    if path.first().is_some_and(|first| first == "crate") {
        return path.get(1..).map(<[String]>::to_vec);
    }
    let ups = path.iter().take_while(|name| *name == "super").count();
    let base = own.get(..own.len().checked_sub(ups)?)?;
    Some(base.iter().chain(path.iter().skip(ups)).cloned().collect())
}

/// Reads a path or a `use` tree.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn tree(&mut self, mut path: Vec<String>, found: &mut Vec<Vec<String>>) {
        loop {
            let name: String =
                self.rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            self.rest = self.rest.get(name.len()..).unwrap_or_default();
            path.extend(Some(name).filter(|name| !name.is_empty() && name != "self"));
            if !self.take("::") {
                return found.push(path);
            }
            if self.take("{") {
                return self.group(&path, found);
            }
        }
    }

    fn group(&mut self, path: &[String], found: &mut Vec<Vec<String>>) {
        while !self.take("}") && !self.rest.is_empty() {
            self.tree(path.to_vec(), found);
            // What stands between two members, such as `as _`, is no path.
            let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
            self.rest = self.rest.get(end..).unwrap_or_default();
            self.take(",");
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

#[test]
fn paths_are_read_from_use_trees_and_code() {
    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let path = "src/pipeline/decide/gate.rs".to_owned();
        let file = RustFile { path, text: String::new(), code: code.to_owned(), lines: 0 };
        let found: Vec<String> = uses(&file).iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected, "{code}");
    }
    check("use crate::model::reason::Reason;", &["model::reason::Reason"]);
    check(
        "use crate::json::{self, value::{Kind, Value as V}, path::*};",
        &["json", "json::value::Kind", "json::value::Value", "json::path"],
    );
    check("let x = crate::cli::run();", &["cli::run"]);
    check("use super::super::forward::{Passage};", &["pipeline::forward::Passage"]);
    check("$crate::a; pub(in crate::pipeline) fn f() {}", &["pipeline"]);
}
