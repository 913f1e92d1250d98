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
    assert_eq!(config.identity.len(), 1);
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
fn the_crm_is_reached_over_tls_or_in_the_clear() {
    let https = SMALL.replace("http://127.0.0.1:18100/", "https://crm.example/base/");
    let config = check(&https, &[]).unwrap();
    assert_eq!(
        (config.upstream.origin.as_str(), config.upstream.base_path.as_str()),
        ("https://crm.example", "/base")
    );
    assert!(config.upstream.tls.is_some_and(|tls| tls.http2));
    check(
        &SMALL.replace("http://", "ftp://"),
        &[
            "lockkeeper.toml:4 the scheme `ftp` is not supported | Write `https://host:port`, `http://host:port` or `unix:PATH`.",
        ],
    );
    check(
        &SMALL.replace("http://", "http://user:pw@"),
        &[
            "lockkeeper.toml:4 a URL here has no credentials and no query | Keys come from files under `[identity]`.",
        ],
    );
    check(
        &SMALL.replace("[identity", "ca_file = \"ca.pem\"\n[identity"),
        &[
            "lockkeeper.toml:3 `ca_file` has no effect: the CRM is reached in the clear | Write `https://` in `url`, or leave the key out.",
        ],
    );
    check(
        &https.replace("[identity", "client_key_file = \"k\"\nserver_name = \"a b\"\n[identity"),
        &[
            "lockkeeper.toml:3 a client certificate and its key go together | Name both `client_certificate_file` and `client_key_file`, or neither.",
            "lockkeeper.toml:6 `a b` is no name of a server | Write a DNS name or an IP address.",
        ],
    );
}

#[test]
fn what_listeners_cannot_be() {
    #[track_caller]
    fn listen(lines: &str, expected: &[&str]) -> Option<ServiceConfig> {
        let rest = SMALL.replace("[listen]\naddress = \"127.0.0.1:8080\"\n", "");
        check(&format!("{rest}[listen]\n{lines}\n"), expected)
    }
    let tcp = "address = \"127.0.0.1:8080\"";
    listen(
        "address = \"8080\"",
        &[
            "lockkeeper.toml:12 `8080` is not an address | Write an address and a port, e.g. `127.0.0.1:8080`, or `unix:/run/lockkeeper/http.sock`.",
        ],
    );
    let unix = listen("address = \"unix:http.sock\"\nsocket_mode = \"0600\"", &[]).unwrap();
    assert_eq!(unix.listen.address.to_string(), "unix:/etc/lockkeeper/http.sock");
    listen(
        &format!("{tcp}\nsocket_mode = \"0600\""),
        &["lockkeeper.toml:13 `socket_mode` is for unix sockets | Leave it out, or listen on `unix:…`."],
    );
    listen(
        &format!("{tcp}\nproxy_protocol = \"any\""),
        &[
            "lockkeeper.toml:11 `proxy_protocol` is on and nobody may send it | Name the load balancers in `trusted_proxies`, e.g. `[\"10.0.0.0/8\"]`.",
        ],
    );
    listen(
        &format!("{tcp}\ntrusted_proxies = [\"10.0.0.1/8\"]"),
        &[
            "lockkeeper.toml:13 `10.0.0.1/8` is not a network: the address has bits beyond its prefix | Write an address or a prefix, e.g. `10.0.0.0/8`.",
        ],
    );
    let tls = |lines: &str| format!("{tcp}\n[listen.tls]\n{lines}");
    let pair = "certificate_file = \"c\"\nkey_file = \"k\"";
    assert!(listen(&tls(pair), &[]).unwrap().listen.tls.is_some());
    listen(
        &tls(&format!("{pair}\nclient_certificate = \"required\"")),
        &[
            "lockkeeper.toml:13 client certificates cannot be verified | Name the authorities of your callers in `client_ca_file`.",
        ],
    );
    listen(
        &tls(&format!("{pair}\nclient_ca_file = \"ca\"")),
        &[
            "lockkeeper.toml:13 `client_ca_file` has no effect: client certificates are off | Set `client_certificate` to `optional` or `required`, or leave the file out.",
        ],
    );
    listen(
        &tls("certificate_file = [\"a\", \"b\"]\nkey_file = \"k\""),
        &[
            "lockkeeper.toml:13 there are 2 files of certificates and 1 of keys | Name one key for each certificate, in the same order.",
        ],
    );
    listen(
        &format!("{tcp}\nh2c = true\n[listen.tls]\n{pair}"),
        &[
            "lockkeeper.toml:11 `h2c` is for connections in the clear | Leave it out: over TLS, HTTP/2 is agreed on in the handshake.",
        ],
    );
}

#[test]
fn nobody_identified_is_an_error() {
    let text = SMALL.replace("[identity.crm_keys]\nfile = \"keys.toml\"", "[identity]");
    check(
        &text,
        &[
            "lockkeeper.toml:5 nobody can be identified | Add `[identity.api_keys]` (keys of Lockkeeper's own) or `[identity.crm_keys]` (the callers' CRM keys).",
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
