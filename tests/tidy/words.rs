//! Words that no tracked file may hold: unfinished work, tests that cannot fail, places of one machine.
//!
//! Each needle is put together from parts, so that this file does not hold it.

use super::{none, tree};

#[test]
fn nothing_is_left_unfinished() {
    let needles = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("#[ig", "nore"),
        concat!("should_", "panic]"),
        concat!("assert!(", "true)"),
    ];
    check("unfinished work and tests that cannot fail are not committed", &needles);
}

#[test]
fn nothing_names_one_machine_or_registry() {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/fa", "rm/"),
        concat!("crates.io", "-index"),
        concat!("pypi", ".org"),
        concat!("registry.", "npmjs"),
        concat!("deb.", "debian.org"),
    ];
    check("files name no folder of one machine and no registry's host", &needles);
}

#[track_caller]
fn check(rule: &str, needles: &[&str]) {
    let mut findings = Vec::new();
    // The lock file is cargo's own and says where each package came from.
    for (path, text) in tree::texts().into_iter().filter(|(path, _)| path != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            let found = needles.iter().filter(|needle| holds(line, needle));
            findings.extend(found.map(|needle| format!("{path}:{} {needle}", number + 1)));
        }
    }
    none(rule, &findings);
}

/// Whether a line holds a needle that is not part of a longer word.
fn holds(line: &str, needle: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    line.match_indices(needle).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + needle.len()..).and_then(|text| text.chars().next());
        let starts_word = needle.starts_with(|c: char| c.is_ascii_alphanumeric());
        let ends_word = needle.ends_with(|c: char| c.is_ascii_alphanumeric());
        !(starts_word && is_word(before) || ends_word && is_word(after))
    })
}

#[test]
fn a_needle_is_found_as_a_word_only() {
    let needle = concat!("X", "XX");
    assert!(holds(&format!("a {needle}: b"), needle));
    assert!(!holds(&format!("`u{needle}X`"), needle));
    assert!(!holds("nothing", needle));
}
