//! The form of files: a module doc, edges that say so, sizes of files and functions.

use super::none;
use super::rust::{self, RustFile, block_end};
use super::tree;

/// Lines of a file without its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines that half of the files stay below.
const FILE_LINES_MEDIAN_MAX: usize = 150;
/// Lines of a function, from its name to its brace; empty lines and comments do not count.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn every_file_opens_with_what_it_is() {
    let opens = |path: &String| tree::read(path).starts_with("//! ");
    let rust = tree::with_ending(&[".rs"]);
    let findings: Vec<String> = rust.into_iter().filter(|path| !opens(path)).collect();
    none("a file opens with a module doc", &findings);
}

#[test]
fn edges_say_so_and_nothing_else_does() {
    let mut findings = Vec::new();
    for file in rust::files() {
        let first: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//! ")).collect();
        let says = first.join("\n").contains("[edge]");
        let lifts = file.code.contains("clippy::disallowed_methods");
        match (says, lifts) {
            (true, false) => findings.push(format!("{} says [edge] and does no I/O", file.path)),
            (false, true) => findings.push(format!("{} does I/O and does not say [edge]", file.path)),
            _ => {}
        }
    }
    none("`[edge]` in the first paragraph goes with lifting `disallowed_methods`", &findings);
}

#[test]
fn files_stay_small() {
    let mut files: Vec<&RustFile> = rust::files().iter().collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.lines));
    let show = |file: &&RustFile| format!("{:4} {}", file.lines, file.path);
    println!("the ten largest files, tests not counted:");
    files.iter().take(10).for_each(|file| println!("  {}", show(file)));
    let over: Vec<String> = files.iter().filter(|file| file.lines > FILE_LINES_MAX).map(show).collect();
    none("files have at most 500 lines without their tests", &over);
    let median = files.get(files.len() / 2).map_or(0, |file| file.lines);
    println!("median: {median}");
    assert!(median <= FILE_LINES_MEDIAN_MAX, "the median file has {median} lines");
}

#[test]
fn functions_stay_small() {
    let mut findings = Vec::new();
    for file in rust::files() {
        for (name, line, lines) in functions(&file.code) {
            if lines > FUNCTION_LINES_MAX {
                findings.push(format!("{}:{line} `{name}` has {lines} lines", file.path));
            }
        }
    }
    none("functions have at most 70 lines", &findings);
}

/// Name, first line and number of lines with code of each function that has a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code.get(..at).unwrap_or_default();
        let after = code.get(at + 3..).unwrap_or_default();
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() || before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let Some(start) = after.find(['{', ';']) else { continue };
        let body = after.get(start..).unwrap_or_default();
        if body.starts_with('{') {
            let whole = after.get(..start + block_end(body)).unwrap_or_default();
            let lines = whole.lines().filter(|line| !line.trim().is_empty()).count();
            found.push((name, before.lines().count(), lines));
        }
    }
    found
}

#[test]
fn functions_are_measured_from_name_to_brace() {
    let code = "\nfn a() -> u8 {\n\n  1\n}\ntrait T {\n  fn b();\n}\nlet f: fn (u8) = g;\n";
    assert_eq!(functions(code), [("a".to_owned(), 1, 3)]);
}
