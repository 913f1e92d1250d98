//! Sinks are read whole, and what is wrong with one is said without its secrets.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::config::service;

fn read_all(sinks: &str) -> (Vec<SinkConfig>, Vec<String>) {
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:1\"\n[upstream]\nurl = \"http://127.0.0.1:1\"\n[identity.crm_keys]\nfile = \"k\"\n\
         [directory]\nfile = \"d\"\n[bundle]\npath = \"b\"\n[ledger]\npath = \"s\"\n{sinks}"
    );
    let mut problems = Problems::default();
    let source = SourceFile::new("lockkeeper.toml", text);
    let config = service::read(&source, std::path::Path::new("/etc/lk"), &mut problems);
    let told = |problem: &crate::config::author::AuthorProblem| {
        format!("{problem} | {}", problem.help_text().unwrap_or_default())
    };
    (config.map(|config| config.ledger.sinks).unwrap_or_default(), problems.iter().map(told).collect())
}

fn sink(lines: &str) -> String {
    format!("[[ledger.sinks]]\nname = \"store\"\n{lines}\n")
}

#[track_caller]
fn is_refused(lines: &str, expected: &str) {
    let (_, problems) = read_all(&sink(lines));
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{lines}: {problems:?}");
    assert!(!problems.iter().any(|problem| problem.contains("canary")), "{problems:?}");
}

#[track_caller]
fn is_protected(lines: &str, expected: bool) {
    let (sinks, problems) = read_all(&sink(&format!("kind = \"postgres\"\n{lines}")));
    assert_eq!(problems, Vec::<String>::new());
    let SinkPlace::Postgres { is_protected, .. } = sinks[0].place else { panic!("{sinks:?}") };
    assert_eq!(is_protected, expected, "{lines}");
}

#[test]
fn a_store_beyond_this_machine_is_protected_unless_somebody_says_otherwise() {
    is_protected("url = \"postgres://w@db.example:5433/audit\"", true);
    is_protected("url = \"postgres://w@127.0.0.1/audit\"", false);
    is_protected("url = \"postgres://w@[::1]/audit\"", false);
    is_protected("url = \"postgres://w@%2Frun%2Fpostgresql/audit\"", false);
    // Somebody answers for names.
    is_protected("url = \"postgres://w@localhost/audit\"", true);
    is_protected("url = \"postgres://w@127.0.0.1,db.example/audit\"", true);
    is_protected("url = \"postgres://w@127.0.0.1/audit\"\ntls = \"always\"", true);
    is_protected("url = \"postgres://w@db.example/audit\"\ntls = \"never\"", false);
}

#[test]
fn every_value_has_its_default() {
    let (sinks, problems) = read_all(&sink("kind = \"https\"\nurl = \"https://siem.example/in\""));
    assert_eq!(problems, Vec::<String>::new());
    let sink = &sinks[0];
    assert_eq!((sink.name.as_str(), sink.place.kind()), ("store", "https"));
    assert_eq!((sink.timeout_ms, sink.retry_max_ms), (10_000, 30_000));
    assert_eq!((sink.batch_entries_max, sink.batch_bytes_max), (1_000, 1 << 20));
}

#[test]
fn what_cannot_be_used_is_refused() {
    is_refused("url = \"https://siem.example/in\"", "`kind` is missing");
    is_refused("kind = \"kafka\"\nurl = \"x\"", "`kafka` is not a value of `kind`");
    is_refused("kind = \"https\"", "`url` is missing");
    is_refused("kind = \"https\"\nurl = \"http://siem.example/in\"", "only https leaves this machine");
    is_refused("kind = \"https\"\nurl = \"https://a:canary@siem.example/in\"", "no credentials and no query");
    is_refused(
        "kind = \"https\"\nurl = \"https://siem.example/in?key=canary\"",
        "no credentials and no query",
    );
    is_refused(
        "kind = \"https\"\nurl = \"ftp://siem.example/in\"",
        "the scheme of the sink's `url` is not https",
    );
    is_refused("kind = \"postgres\"\nurl = \"postgres://w:canary@db.example/audit\"", "has no password");
    is_refused(
        "kind = \"postgres\"\nurl = \"postgres://w@db.example/audit?sslmode=disable\"",
        "without a query",
    );
    is_refused("kind = \"postgres\"\nurl = \"postgres://db.example/audit\"", "names no user");
    is_refused("kind = \"postgres\"\nurl = \"postgres://w@db.example\"", "no database");
    is_refused("kind = \"postgres\"\nurl = \"https://db.example/audit\"", "is not a `postgres://` URL");
    is_refused(
        "kind = \"https\"\nurl = \"https://a.example/\"\npassword_file = \"p\"",
        "`password_file` has no effect",
    );
    is_refused("kind = \"https\"\nurl = \"https://a.example/\"\ntls = \"never\"", "`tls` has no effect");
    is_refused(
        "kind = \"postgres\"\nurl = \"postgres://w@127.0.0.1/a\"\ntoken_file = \"t\"",
        "`token_file` has no effect",
    );
    is_refused(
        "kind = \"postgres\"\nurl = \"postgres://w@127.0.0.1/a\"\nca_file = \"t\"",
        "`ca_file` has no effect",
    );
    is_refused("kind = \"https\"\nurl = \"https://a.example/\"\nclient_key_file = \"k\"", "go together");
    is_refused("kind = \"https\"\nurl = \"https://a.example/\"\nbatch = 1", "`batch` is not a known key");
}

#[test]
fn names_are_fit_for_files_and_labels() {
    let one = |name: &str| {
        format!("[[ledger.sinks]]\nname = \"{name}\"\nkind = \"https\"\nurl = \"https://a.example/{name}\"\n")
    };
    for name in ["", "A", "a/b", "..", "a b", &"a".repeat(41)] {
        let (_, problems) = read_all(&one(name));
        assert!(problems[0].contains("cannot be the name of a sink"), "{name}: {problems:?}");
    }
    let (_, problems) = read_all(&(one("a") + &one("a")));
    assert_eq!(problems, ["two sinks are called `a` | Each sink has a name of its own."]);
    let (_, problems) = read_all(&(one("a") + &one("b").replace("example/b", "example/a")));
    assert!(problems[0].starts_with("two sinks go to the same `url`"), "{problems:?}");
    let (sinks, problems) = read_all(&(one("a") + &one("b-2")));
    assert_eq!((sinks.len(), problems.len()), (2, 0));
}
