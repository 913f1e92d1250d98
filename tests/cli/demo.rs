//! `lockkeeper demo --dir`: which folders it refuses, before it touches anything in them [edge].
#![expect(clippy::disallowed_methods, reason = "edge: folders and sockets that are in the way")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::run::{Ran, command, run};

fn demo(dir: &Path) -> Ran {
    run(
        Path::new("/"),
        &["demo", "--listen", "127.0.0.1:0", "--crm", "127.0.0.1:0", "--dir", &dir.display().to_string()],
    )
}

#[test]
fn a_folder_that_is_not_a_demos_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    let ran = demo(folder.path());
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("is not a demo's folder; name an empty one with --dir"), "{}", ran.stderr);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.txt"]);
}

#[test]
fn a_folder_in_which_a_demo_runs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let mut first =
        command(Path::new("/"), &["demo", "--listen", "127.0.0.1:0", "--crm", "127.0.0.1:0", "--dir", &dir]);
    let mut first = first.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Lockkeeper listens on"), "{line}");
    let keys = fs::read_to_string(folder.path().join("api-keys.toml")).unwrap();
    let ran = demo(folder.path());
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("another demo runs in"), "{}", ran.stderr);
    assert_eq!(
        fs::read_to_string(folder.path().join("api-keys.toml")).unwrap(),
        keys,
        "the keys of the first still hold"
    );
}

#[test]
fn an_address_that_is_taken_is_told_with_the_flag_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--crm"), ("--crm", "--listen")] {
        let dir = folder.path().join(flag.trim_matches('-')).display().to_string();
        let ran = run(Path::new("/"), &["demo", flag, &address, other, "127.0.0.1:0", "--dir", &dir]);
        assert_eq!(ran.code, 1);
        let expected = format!("`{address}` cannot be listened on");
        assert!(
            ran.stderr.contains(&expected) && ran.stderr.contains(&format!("choose another with {flag}")),
            "{}",
            ran.stderr
        );
    }
}
