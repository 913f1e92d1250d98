//! `--help` of every command, and the exit code for arguments that are wrong.

use crate::run::{folder, run};

#[test]
fn every_command_says_what_it_does() {
    let folder = folder();
    for command in COMMANDS {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ran = run(folder.path(), &args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        let name = if command.is_empty() {
            "help".to_owned()
        } else {
            format!("help_{}", command.replace(' ', "_"))
        };
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn wrong_arguments_are_no_denial() {
    let folder = folder();
    for args in WRONG {
        let ran = run(folder.path(), args);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{args:?}");
        let is_told = ran.stderr.starts_with("error: ") || ran.stderr.contains("Usage: ");
        assert!(is_told, "{args:?}: {}", ran.stderr);
    }
}

/// Every command there is: `help` lists the first level, so that a new one shows in its snapshot.
const COMMANDS: &[&str] = &[
    "",
    "serve",
    "demo",
    "init",
    "check",
    "test",
    "matrix",
    "diff",
    "explain",
    "prove",
    "audit",
    "audit tail",
    "audit verify",
    "audit prove",
    "audit verify-proof",
    "audit export",
    "audit forget",
    "audit keygen",
    "audit query",
    "audit query who-saw",
    "audit query by",
    "audit query moves",
    "audit replay",
    "audit report",
    "audit sign-off",
    "audit compare",
    "audit store",
    "audit store migrate",
    "key",
    "key new",
    "key hash",
    "bundle",
    "bundle build",
    "bundle sign",
    "bundle verify",
    "bundle inspect",
    "bundle keygen",
    "config",
    "config reference",
    "config schema",
];

const WRONG: &[&[&str]] = &[
    &[],
    &["chekc"],
    &["check", "--bundel", "x"],
    &["serve", "extra"],
    &["explain", "GET /api/deals/42"],
    &["explain", "--principal", "anna", "GET /api/deals/42"],
    &["explain", "--principal", "User::\"rep-east\"", "/api/deals/42"],
    &["explain", "--principal", "User::\"rep-east\"", "--at", "noon", "GET /api/deals/42"],
    &["explain", "--principal", "User::\"rep-east\"", "--header", "no-colon", "GET /api/deals/42"],
    &["explain", "--principal", "User::\"rep-east\"", "--status", "200", "GET /api/deals/42"],
    &["explain", "--principal", "User::\"rep-east\"", "--bundle", "bundle", "GET /api/deals/42"],
    &["init"],
    &["init", "--openapi", "crm.yaml"],
    &["prove", "--tlimit-per", "0"],
    &["prove", "--directory", "people.json"],
    &["prove", "bundle", "--config", "lockkeeper.toml"],
    &["audit"],
    &["audit", "tail", "--last", "0"],
    &["audit", "query"],
    &["audit", "query", "who-saw", "--type", "Deal"],
    &["audit", "query", "by", "anna"],
    &["audit", "query", "refused", "--from", "yesterday"],
    &["audit", "query", "refused", "--revision", "xyz"],
    &["audit", "query", "refused", "--limit", "0"],
    &["audit", "query", "moves", "--stage", "a.b", "--pipeline", "a"],
    &["audit", "sign-off", "--report", "r"],
    &["audit", "sign-off", "--report", "r", "--verdict", "fine"],
    &["audit", "sign-off", "--report", "r", "--verdict", "accepted", "--note", ""],
    &["audit", "report", "--hours", "9-17"],
    &["audit", "report", "--utc-offset", "CET"],
    &["audit", "report", "--bundle", "bundle"],
    &["audit", "tail", "--kind", "decisions"],
    &["audit", "tail", "--state", "state", "--config", "lockkeeper.toml"],
    &["key", "new", "--principal", "anna"],
    &["completions", "powershell"],
    &["man"],
    &["health", "--address", "localhost"],
    &["bundle", "build", "bundle"],
    &["bundle", "build", "bundle", "--out", "a.lkb", "--bundle-version", "0", "--author", "anna"],
    &["bundle", "verify", "a.lkb"],
    &["bundle", "verify", "a.lkb", "--keys", "k", "--revoked-key", "x"],
];
