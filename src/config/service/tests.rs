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
    let BundleOrigin::Path(path) = &config.bundle.origin else { panic!("{config:?}") };
    assert_eq!(path, Path::new("/etc/lockkeeper/bundle"));
    assert!(config.bundle.signing.is_none());
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
        ("", format!("lockkeeper.toml:13 `endpoint` is missing | {EXAMPLE}")),
        ("endpoint = 'collector'", format!("lockkeeper.toml:14 `collector` is not a URL | {EXAMPLE}")),
        ("endpoint = 'http://c:1'", format!("lockkeeper.toml:14 `http://c:1` has no path | {EXAMPLE}")),
        ("endpoint = 'ftp://c/x'", format!("lockkeeper.toml:14 the scheme of `ftp://c/x` is not http or https | {EXAMPLE}")),
        (
            "endpoint = 'https://u:p@c/x'",
            "lockkeeper.toml:14 a URL here has no credentials and no query | A key for the collector belongs into `headers_file`.".to_owned(),
        ),
        (
            "endpoint = 'http://collector/x'\nheaders_file = 'h'",
            "lockkeeper.toml:14 `headers_file` is not sent in the clear to another machine | Use https, or a collector on this host.".to_owned(),
        ),
        (
            "endpoint = 'https://c/x'\nsample_permille = 1001",
            "lockkeeper.toml:15 `1001` is outside of 0 to 1000 | ".to_owned(),
        ),
    ] {
        check(&with(lines), &[&expected]);
    }
}

/// A base64 key and its id.
const KEY: &str = "F/nEvpuPqj5RAH85kmroasbobp8zZ4XgnmwLSrvKzsw=";
const KEY_ID: &str = "805b98f3d3e06d4693b3b6a78061f2a6";

#[test]
fn a_signed_bundle_from_a_url_is_configured() {
    let revision = "0f".repeat(32);
    let signing = format!(
        "url = \"https://bundles.example/crm.lkb\"\n[bundle.signing]\ntrusted_keys = \"{KEY}\"\nsignatures_min = 1\n\
         revoked_keys = [\"{KEY_ID}\"]\nrevoked_revisions = [\"{revision}\"]\n"
    );
    let config = check(&SMALL.replace("path = \"bundle\"\n", &signing), &[]).unwrap();
    assert!(matches!(config.bundle.origin, BundleOrigin::Url { poll_ms: 60_000, .. }), "{config:?}");
    let signing = config.bundle.signing.unwrap();
    assert_eq!(signing.strictness, crate::bundle::archive::trust::Strictness::Required);
    assert_eq!((signing.keys.len(), signing.signatures_min, signing.grace_ms), (1, 1, 0));
    assert!(signing.keys.keys().eq(&signing.revoked.keys));
    assert!(signing.revoked.revisions.contains(&revision));
}

#[test]
fn each_mistake_in_signing_has_its_message() {
    let in_bundle = |text: &str, expected: &[&str]| {
        check(&SMALL.replace("path = \"bundle\"\n", text), expected);
    };
    let origin =
        "Write `path` for a folder or an archive on this machine, or `url` for an archive that is fetched.";
    in_bundle("", &[&format!("lockkeeper.toml:9 `path` is missing | {origin}")]);
    in_bundle(
        "path = \"bundle\"\nurl = \"https://a.example/b\"\n",
        &[&format!("lockkeeper.toml:11 `path` and `url` exclude each other | {origin}")],
    );
    in_bundle(
        "url = \"http://a.example/b\"\n",
        &[
            "lockkeeper.toml:10 `http://a.example/b` cannot be fetched: only https is fetched from another machine | Write `url = \"https://…/crm.lkb\"`.",
        ],
    );
    let known =
        "Name public keys in `trusted_keys` or `trusted_keys_file`; `lockkeeper bundle keygen` makes some.";
    in_bundle(
        "path = \"a.lkb\"\n[bundle.signing]\n",
        &[&format!("lockkeeper.toml:11 1 signatures are needed, but 0 trusted keys are known | {known}")],
    );
    in_bundle(
        &format!(
            "path = \"a.lkb\"\n[bundle.signing]\ntrusted_keys = [\"{KEY}\", \"{KEY}\"]\nsignatures_min = 2\n"
        ),
        &[&format!("lockkeeper.toml:11 2 signatures are needed, but 1 trusted keys are known | {known}")],
    );
    let forms = "`lockkeeper bundle keygen` prints both forms of a key.";
    in_bundle(
        "path = \"a.lkb\"\n[bundle.signing]\ntrusted_keys_file = \"k\"\ntrusted_keys = \"AAAA\"\nrevoked_keys = \"anna\"\nrevoked_revisions = \"7\"\nrequierd = true\n",
        &[
            &format!("lockkeeper.toml:13 `AAAA` is not a public Ed25519 key | {forms}"),
            &format!("lockkeeper.toml:14 `anna` is not a key id: 32 hex digits in lower case | {forms}"),
            "lockkeeper.toml:15 `7` is not a revision | A revision is 64 hex digits in lower case, as `check` prints it.",
            "lockkeeper.toml:16 `requierd` is not a known key | Did you mean `required`?",
        ],
    );
}

#[test]
fn a_list_of_what_was_called_back_is_read_line_by_line() {
    let revision = "0f".repeat(32);
    let revoked =
        bundle::read_revoked(&format!("# anna left\n\nkey {KEY_ID}\n revision  {revision}\n")).unwrap();
    assert_eq!((revoked.keys.len(), revoked.revisions.len()), (1, 1));
    for (text, expected) in [
        ("key\n", "line 1 is neither"),
        ("\nkey anna\n", "line 2: `anna` is not a key id"),
        ("revision 12\n", "line 1 is neither"),
        (&format!("keys {KEY_ID}\n"), "line 1 is neither"),
        (&format!("key {KEY_ID} # anna\n"), "line 1 is neither"),
    ] {
        let error = bundle::read_revoked(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// A filter that means nothing would silence the log, and nobody would read why.
#[test]
fn a_level_of_the_log_is_one_that_there_is() {
    let log = |level: &str| format!("{SMALL}[log]\nlevel = \"{level}\"\n");
    for level in ["info", "off", "info,hyper=warn", "hyper_util::client=trace, debug"] {
        assert_eq!(check(&log(level), &[]).unwrap().log.level, level);
    }
    let help =
        "Write `error`, `warn`, `info`, `debug`, `trace` or `off`, or a filter such as `info,hyper=warn`.";
    for (level, wrong) in
        [("infoo", "infoo"), ("", ""), ("info,", ""), ("info,hyper=loud", "hyper=loud"), ("=info", "=info")]
    {
        check(&log(level), &[&format!("lockkeeper.toml:14 `{wrong}` is not a level of the log | {help}")]);
    }
}

/// Nor is what nobody outside of this host could prove any more.
#[test]
fn what_nobody_signs_for_is_not_removed() {
    const UNSIGNED: &str = "lockkeeper.toml:13 `[ledger.retention]` needs `[ledger.checkpoints]` that are exported | Add [ledger.checkpoints] with `folder`, `stdout` or an endpoint: only what was signed for, out of this host's reach, can be removed and still be proved.";
    let retained = format!("{SMALL}[ledger.retention]\nkeep_days = 400\n");
    check(&retained, &[UNSIGNED]);
    let signed = "[ledger.checkpoints]\norigin = \"crm/ledger\"\nkey_file = \"ledger.pem\"\n";
    check(&format!("{retained}{signed}"), &[UNSIGNED]);
    let signed = format!("{signed}stdout = true\n");
    let config = check(&format!("{retained}{signed}"), &[]).unwrap();
    let retention = config.ledger.retention.unwrap();
    assert_eq!((retention.keep_days, retention.interval_ms), (400, 60_000));
    check(
        &format!("{SMALL}{signed}[ledger.retention]\n"),
        &["lockkeeper.toml:17 `keep_days` is missing | Write e.g. `keep_days = 2557` for seven years."],
    );
}
