//! A configuration is read whole, and every mistake in it is named in one run.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Option<ServiceConfig> {
    let mut problems = Problems::default();
    let config = read(&SourceFile::new("lockkeeper.toml", text), Path::new("/etc/lockkeeper"), &mut problems);
    let found: Vec<String> = problems
        .iter()
        .map(|p| format!("{} {p} | {}", p.place().unwrap_or_default(), p.help_text().unwrap_or("")))
        .collect();
    assert_eq!(found, expected);
    config
}

const SMALL: &str = r#"[listen]
address = "127.0.0.1:8080"
[upstream]
url = "http://127.0.0.1:18100/"
[identity.crm_keys]
file = "keys.toml"
[directory]
file = "directory.cedarentities.json"
[bundle]
path = "bundle"
[ledger]
path = "state"
"#;

#[test]
fn a_dozen_lines_are_enough() {
    let config = check(SMALL, &[]).unwrap();
    assert_eq!(config.upstream.origin, "http://127.0.0.1:18100");
    assert_eq!(config.upstream.base_path, "");
    assert_eq!(config.bundle.path, Path::new("/etc/lockkeeper/bundle"));
    assert_eq!(config.identity.keys.len(), 1);
}

#[test]
fn every_typo_is_named_in_one_run() {
    let text = SMALL
        .replace("address", "adress")
        .replace("url =", "ulr =")
        .replace("[ledger]\npath", "[ledger]\npaht");
    check(
        &text,
        &[
            "lockkeeper.toml:1 `address` is missing | Write `address = \"127.0.0.1:8080\"`.",
            "lockkeeper.toml:2 `adress` is not a known key | Did you mean `address`?",
            "lockkeeper.toml:3 `url` is missing | Write `url = \"http://127.0.0.1:8000\"`, where the CRM listens.",
            "lockkeeper.toml:4 `ulr` is not a known key | Did you mean `url`?",
            "lockkeeper.toml:11 `path` is missing | Paths are taken from the folder of the configuration file.",
            "lockkeeper.toml:12 `paht` is not a known key | Did you mean `path`?",
        ],
    );
}

#[test]
fn a_url_must_be_plain_http() {
    let text = SMALL.replace("http://", "https://");
    check(
        &text,
        &[
            "lockkeeper.toml:4 the scheme `https` is not supported | TLS towards the CRM is not in this version; put both on one host or a private network.",
        ],
    );
    let text = SMALL.replace("http://", "http://user:pw@");
    check(
        &text,
        &[
            "lockkeeper.toml:4 a URL here has no credentials and no query | Keys come from files under `[identity]`.",
        ],
    );
}

#[test]
fn nobody_identified_is_an_error() {
    let text = SMALL.replace("[identity.crm_keys]\nfile = \"keys.toml\"", "[identity]");
    check(
        &text,
        &[
            "lockkeeper.toml:5 nobody can be identified | Add `[identity.api_keys]` (keys of Lockkeeper's own), `[identity.crm_keys]` (the callers' CRM keys), or another way of docs/reference/identity.md.",
        ],
    );
}

#[test]
fn traces_need_a_collector_that_is_spoken_to_safely() {
    let with = |lines: &str| format!("{SMALL}[telemetry.traces]\n{lines}\n");
    let read = |lines: &str| check(&with(lines), &[]).unwrap().traces;
    assert!(check(SMALL, &[]).unwrap().traces.is_none());
    assert!(check(&format!("{SMALL}[telemetry]\n"), &[]).unwrap().traces.is_none());
    let traces = read("endpoint = 'http://collector:4318/v1/traces'").unwrap();
    assert_eq!(
        (traces.sample_permille, traces.trust_caller, traces.service_name.as_str()),
        (100, false, "lockkeeper")
    );
    assert!(read("endpoint = 'https://collector/v1/traces'\nheaders_file = 'h'").is_some());
    assert!(read("endpoint = 'http://127.0.0.1:4318/v1/traces'\nheaders_file = 'h'").is_some());
    const EXAMPLE: &str = "Write `endpoint = \"http://127.0.0.1:4318/v1/traces\"`.";
    for (lines, expected) in [
        ("", format!("lockkeeper.toml:11 `endpoint` is missing | {EXAMPLE}")),
        ("endpoint = 'collector'", format!("lockkeeper.toml:12 `collector` is not a URL | {EXAMPLE}")),
        ("endpoint = 'http://c:1'", format!("lockkeeper.toml:12 `http://c:1` has no path | {EXAMPLE}")),
        ("endpoint = 'ftp://c/x'", format!("lockkeeper.toml:12 the scheme of `ftp://c/x` is not http or https | {EXAMPLE}")),
        (
            "endpoint = 'https://u:p@c/x'",
            "lockkeeper.toml:12 a URL here has no credentials and no query | A key for the collector belongs into `headers_file`.".to_owned(),
        ),
        (
            "endpoint = 'http://collector/x'\nheaders_file = 'h'",
            "lockkeeper.toml:12 `headers_file` is not sent in the clear to another machine | Use https, or a collector on this host.".to_owned(),
        ),
        (
            "endpoint = 'https://c/x'\nsample_permille = 1001",
            "lockkeeper.toml:13 `1001` is outside of 0 to 1000 | ".to_owned(),
        ),
    ] {
        check(&with(lines), &[&expected]);
    }
}
