//! Runs the program in a folder of its own, and makes what it prints the same in every run.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use lockkeeper::testkit::folder::{Options, TestFolder};

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A folder with the demo's bundle, directory and a configuration.
pub fn folder() -> TestFolder {
    TestFolder::new(Options::default(), ([127, 0, 0, 1], 9).into())
}

/// The program, ready to be started in a folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    command.args(args).current_dir(folder).env("NO_COLOR", "1").env_remove("COLUMNS");
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, args: &[&str]) -> Ran {
    run_with_input(folder, args, "")
}

/// Runs the program with something on standard input.
pub fn run_with_input(folder: &Path, args: &[&str], input: &str) -> Ran {
    let mut command = command(folder, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Replaces what differs from run to run: hashes, ids, handles, times and ports. Lines of the demo's bundle lose their
/// numbers, which change whenever it does: the line itself tells as much.
pub fn redact(text: &str) -> String {
    text.split_inclusive('\n').map(|line| redact_line(without_gutter(line).as_ref())).collect()
}

/// A line of a rendered problem without the number of the source line, and without the room that it takes.
fn without_gutter(line: &str) -> Cow<'_, str> {
    let bare = line.trim_start();
    let behind = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_source = behind.len() < bare.len() && behind.starts_with(" │");
    let is_frame = ["╭─[", "·", "╰──"].iter().any(|frame| bare.starts_with(frame));
    match (is_source, is_frame) {
        (true, _) => Cow::Owned(format!("    {}", behind.trim_start())),
        (_, true) => Cow::Owned(format!("    {bare}")),
        (false, false) => Cow::Borrowed(line),
    }
}

fn redact_line(line: &str) -> String {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c));
    // Words with their separator behind them.
    let redact = |word: &str| {
        let bare = word.trim_end_matches(is_separator);
        redact_word(bare) + word.strip_prefix(bare).unwrap_or_default()
    };
    line.split_inclusive(is_separator).map(redact).collect()
}

fn redact_word(word: &str) -> String {
    let is_hex = |text: &str| text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = word.len() == 36 && word.split('-').count() == 5 && is_hex(&word.replace('-', ""));
    let is_date = word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2;
    let is_clock = word.len() == 13 && word.ends_with('Z') && word.matches(':').count() == 2;
    if is_uuid {
        "<id>".to_owned()
    } else if is_date {
        "<date>".to_owned()
    } else if is_clock {
        "<time>".to_owned()
    } else if let Some(handle) = word.strip_prefix("p_").filter(|handle| is_hex(handle)) {
        format!("<handle of {} digits>", handle.len())
    } else if is_hex(word) {
        format!("<hash of {} digits>", word.len())
    } else if let Some((file, line)) = word.split_once(":").filter(|(file, _)| is_of_bundle(file)) {
        let column = line.split_once(':').map_or(String::new(), |(_, column)| format!(":{column}"));
        format!("{file}:<line>{column}")
    } else if word.starts_with("127.0.0.1:") {
        "<address>".to_owned()
    } else {
        word.to_owned()
    }
}

fn is_of_bundle(file: &str) -> bool {
    [".toml", ".cedar", ".cedarschema", ".json"].iter().any(|ending| file.ends_with(ending))
}

#[test]
fn what_differs_from_run_to_run_is_redacted() {
    let text = "2026-11-21 22:54:13.287Z  ALLOW → p_1872fb4e4fd422ddbb827884 af4c2da3c444 on 127.0.0.1:4057, 42\n\
                id 01a20051-3b06-76a1-a717-a88f0d0a9fe0, entry 9\n  \u{256d}─[policies/deals.cedar:14:3]\n 14 │ permit\n";
    let expected = "<date> <time>  ALLOW → <handle of 24 digits> <hash of 12 digits> on <address>, 42\nid <id>, entry 9\n    \u{256d}─[policies/deals.cedar:<line>:3]\n    │ permit\n";
    assert_eq!(redact(text), expected);
}
