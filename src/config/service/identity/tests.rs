//! Every way of identifying callers is read, and every mistake in it is named.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::config::reader::Reading;

#[track_caller]
fn check(text: &str, expected: &[&str]) -> Option<IdentityConfig> {
    let reading = Reading::new(SourceFile::new("l.toml", text));
    let parsed = reading.parse(text);
    let config =
        parsed.as_ref().and_then(|parsed| read(&reading.table(parsed), Path::new("/etc/lockkeeper")));
    drop(parsed);
    let problems: Problems = reading.into_problems();
    let found: Vec<String> =
        problems.iter().map(|problem| format!("{} {problem}", problem.place().unwrap_or_default())).collect();
    assert_eq!(found, expected);
    config
}

const ISSUER: &str = r#"[[identity.jwt]]
issuer = "https://login.example.com/"
audience = "crm"
algorithms = ["RS256", "ES256"]
jwks_url = "https://login.example.com/jwks"
upstream_caller = true
"#;

#[test]
fn an_issuer_needs_few_lines() {
    let config = check(ISSUER, &[]).unwrap();
    let issuer = config.jwt.first().unwrap();
    assert_eq!(issuer.principal.claim.to_string(), "sub");
    assert_eq!(issuer.shown, Shown::Caller);
    assert_eq!((issuer.leeway_ms, issuer.token_bytes_max), (30_000, 8_192));
    assert_eq!(issuer.carrier.scheme.as_deref(), Some("Bearer"));
}

#[test]
fn claims_are_names_or_paths_of_names() {
    let more = "principal = { claim = \"employee_id\", as = \"User\", by = \"crmId\", type_claim = \"kind\", types = { robot = \"Service\" } }\n\
                actor = { claim = \"$.act.sub\" }\nauth_level = { claim = \"amr\", levels = { pwd = 1, mfa = 2 } }\n";
    let config = check(&format!("{ISSUER}{more}"), &[]).unwrap();
    let issuer = config.jwt.first().unwrap();
    assert_eq!(issuer.actor.as_ref().unwrap().named_by.type_name, "Agent");
    assert_eq!(issuer.level.as_ref().unwrap().levels.get("mfa"), Some(&2));
    assert_eq!(issuer.types.as_ref().unwrap().types.get("robot"), Some(&"Service"));
    let wrong = "principal = { claim = \"$.groups[0]\" }\nactor = { claim = \"$\" }\non_behalf_of = { claim = \"a..b\" }\n";
    check(
        &format!("{ISSUER}{wrong}"),
        &[
            "l.toml:7 `$.groups[0]` may lead to any of several values",
            "l.toml:8 `$` may lead to any of several values",
            "l.toml:9 expected a key (in quotes if it has other than plain characters) or `*` at byte 2 of the path",
        ],
    );
}

#[test]
fn weak_and_doubled_algorithms_are_no_algorithms() {
    for (algorithms, expected) in [
        ("\"none\"", "l.toml:4 `none` is not an accepted algorithm"),
        ("\"HS256\"", "l.toml:4 `HS256` is not an accepted algorithm"),
        ("\"rs256\"", "l.toml:4 `rs256` is not an accepted algorithm"),
        ("\"RS256\", \"PS256\"", "l.toml:4 `PS256` is a second algorithm for the same keys"),
    ] {
        check(&ISSUER.replace("\"RS256\", \"ES256\"", algorithms), &[expected]);
    }
}

#[test]
fn every_mistake_about_an_issuer_is_named() {
    let text = ISSUER.replace("https://login.example.com/jwks", "http://login.example.com/jwks");
    check(
        &text,
        &[
            "l.toml:5 `http://login.example.com/jwks` cannot be fetched: only https is fetched from another machine",
        ],
    );
    check(
        &ISSUER.replace(
            "jwks_url = \"https://login.example.com/jwks\"\nupstream_caller = true\n",
            "isuer = 1\n",
        ),
        &[
            "l.toml:1 no place for the issuer's keys",
            "l.toml:1 nothing says what the CRM is shown",
            "l.toml:5 `isuer` is not a known key",
        ],
    );
    check(
        &format!("{ISSUER}upstream_key_file = \"k\"\n"),
        &["l.toml:1 more than one key says what the CRM is shown"],
    );
    check(&ISSUER.replace("\"crm\"", "[]"), &["l.toml:1 `audience` names nobody"]);
    check(
        &format!("{ISSUER}{ISSUER}"),
        &["l.toml:7 the issuer `https://login.example.com/` has two sections"],
    );
    let both = "actor = { claim = \"a\" }\non_behalf_of = { claim = \"b\" }\n";
    check(&format!("{ISSUER}{both}"), &["l.toml:1 `actor` and `on_behalf_of` say the same in two ways"]);
    let level = "auth_level = { claim = \"acr\", levels = { a = -1 } }\n";
    check(&format!("{ISSUER}{level}"), &["l.toml:7 `-1` is outside of 0 to 1000000"]);
}

#[test]
fn a_gateway_is_somebody() {
    let gateway =
        |rest: &str| format!("[identity.gateway]\nheader = \"X-User\"\nupstream_key_file = \"k\"\n{rest}");
    let config = check(&gateway("trusted_peers = [\"10.0.0.7\", \"unix\"]\n"), &[]).unwrap();
    let found = config.gateway.unwrap();
    assert_eq!((found.header.as_str(), found.trusted_peers.len(), found.trusts_unix), ("x-user", 1, true));
    check(&gateway(""), &["l.toml:1 no gateway is trusted"]);
    check(
        &gateway(
            "trusted_peers = [\"0.0.0.0/0\", \"10.0.0.1/8\"]\ntrusted_certificates = \"DNS:*.example.com\"\n",
        ),
        &[
            "l.toml:4 `0.0.0.0/0` cannot be trusted: it stands for everybody",
            "l.toml:4 `10.0.0.1/8` cannot be trusted: it has bits set behind its prefix; write the network's first address",
            "l.toml:5 `DNS:*.example.com` is not a certificate's name",
        ],
    );
    let text = gateway("trusted_peers = \"10.0.0.7\"\n").replace("X-User", "Authorization");
    check(&text, &["l.toml:1 the gateway's header cannot be `authorization`"]);
}

#[test]
fn certificates_and_introspection_lead_to_one_person() {
    let certificate = "[identity.certificate]\nupstream_key_file = \"k\"\n";
    check(certificate, &["l.toml:1 no certificate would lead to anybody"]);
    check(
        &format!("{certificate}pattern = \"DNS:a.b\"\n"),
        &["l.toml:3 `DNS:a.b` is not a name with one `*`"],
    );
    let crm = "[identity.introspection]\npath = \"/api/me\"\nid = \"$.user.id\"\n";
    assert_eq!(check(crm, &[]).unwrap().introspection.unwrap().shown, Shown::Caller);
    for path in ["api/me", "/api/../me", "/api//me", "/api/me?x=1", "/api/%2e", "http://elsewhere/me"] {
        check(&crm.replace("/api/me", path), &[&format!("l.toml:2 `{path}` is not a path")]);
    }
    for id in ["$[0].id", "$[*].id", "$.*.id"] {
        check(
            &crm.replace("$.user.id", id),
            &[&format!("l.toml:3 `{id}` may lead to any of several values")],
        );
    }
    check(&format!("{crm}cookie = \"sid\"\nheader = \"x\"\n"), &["l.toml:1 both a header and a cookie"]);
}
