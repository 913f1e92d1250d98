//! The targets of `scripts/fuzz`, which no other check builds: each has what it needs.

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
