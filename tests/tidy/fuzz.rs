//! The targets of `scripts/fuzz`, which no other check builds: each has what it needs, and builds what the program is built of.

use std::collections::{BTreeMap, BTreeSet};

use super::{none, tree};

#[test]
fn every_target_is_declared_seeded_and_described() {
    let paths = tree::paths();
    let manifest = tree::read("fuzz/Cargo.toml");
    let document = tree::read("docs/reliability.md");
    let targets =
        paths.iter().filter_map(|path| path.strip_prefix("fuzz/fuzz_targets/")?.strip_suffix(".rs"));
    let targets: Vec<&str> = targets.filter(|name| !name.contains('/')).collect();
    assert!(!targets.is_empty(), "no targets in fuzz/fuzz_targets");
    let mut findings = Vec::new();
    for name in targets {
        let has_seeds = paths.iter().any(|path| path.starts_with(&format!("fuzz/seeds/{name}/")));
        for (is_there, what) in [
            (
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "a [[bin]] in fuzz/Cargo.toml",
            ),
            (has_seeds, "a file in fuzz/seeds"),
            (paths.contains(&format!("fuzz/dictionaries/{name}.dict")), "a file in fuzz/dictionaries"),
            (document.contains(&format!("| `{name}` |")), "a row in docs/reliability.md"),
        ] {
            findings.extend((!is_there).then(|| format!("`{name}` lacks {what}")));
        }
    }
    none("a target of fuzz/ is whole", &findings);
}

#[test]
fn targets_are_built_of_what_the_program_is_built_of() {
    let (program, targets) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    let mut findings = Vec::new();
    for (name, versions) in &targets {
        let others = program.get(name).filter(|known| !versions.is_subset(known));
        findings.extend(others.map(|known| format!("{name}: {versions:?}, the program has {known:?}")));
    }
    none("fuzz/Cargo.lock has the versions of Cargo.lock", &findings);
}

/// The packages of a lock file with their versions.
fn locked(path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = tree::read(path);
    let value = |line: Option<&str>, key: &str| {
        let quoted = line.and_then(|line| line.strip_prefix(key));
        quoted.map(|quoted| quoted.trim_matches('"').to_owned()).unwrap_or_default()
    };
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in text.split("[[package]]\n").skip(1) {
        let mut lines = package.lines();
        let (name, version) = (value(lines.next(), "name = "), value(lines.next(), "version = "));
        found.entry(name).or_default().insert(version);
    }
    found
}
