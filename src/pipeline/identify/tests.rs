//! One credential, one principal: every way in which that fails.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::model::principal::EntityRef;

fn directory() -> Directory {
    let schema = format!("{}\ntype UserAttributes = {{}};", crate::bundle::schema::BASE);
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&schema).unwrap();
    let text = r#"[
        {"uid": {"type": "User", "id": "anna"}, "attrs": {"active": true}, "parents": []},
        {"uid": {"type": "User", "id": "gone"}, "attrs": {"active": false}, "parents": []},
        {"uid": {"type": "User", "id": "temp"}, "attrs": {"active": true, "accessFrom": "1970-01-01T00:00:01Z", "accessUntil": "1970-01-01T00:00:02Z"}, "parents": []}
    ]"#;
    let mut problems = Problems::default();
    let directory = crate::bundle::directory::load(&SourceFile::new("d", text), &schema, &mut problems);
    directory.unwrap_or_else(|| panic!("{problems}"))
}

fn sources() -> Vec<KeySource> {
    let mut keys = KeyTable::default();
    for (key, id) in [("k-anna", "anna"), ("k-gone", "gone"), ("k-temp", "temp"), ("k-nobody", "nobody")] {
        keys.insert(key, EntityRef::new("User", id));
    }
    let source = |header: &'static str, scheme: Option<&str>, keys| KeySource {
        authn: Authn::ApiKey,
        header: HeaderName::from_static(header),
        scheme: scheme.map(str::to_owned),
        keys,
        upstream: UpstreamCredential::Caller,
    };
    vec![source("authorization", Some("Bearer"), keys), source("x-api-key", None, KeyTable::default())]
}

#[track_caller]
fn check(pairs: &[(&'static str, &'static str)], now_ms: i64, expected: Result<&str, Reason>) {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let found = identify(&headers, &sources(), &directory(), now_ms);
    let found = found.map(|identity| identity.principal.entity.id).map_err(|problem| problem.reason);
    assert_eq!(found, expected.map(str::to_owned), "{pairs:?}");
}

#[test]
fn one_known_credential_makes_one_principal() {
    check(&[("authorization", "Bearer k-anna")], 0, Ok("anna"));
    check(&[("authorization", "bearer  k-anna ")], 0, Ok("anna"));
    check(&[], 0, Err(Reason::CredentialMissing));
    check(&[("cookie", "sid=1")], 0, Err(Reason::CredentialMissing));
    check(&[("authorization", "Bearer k-bert")], 0, Err(Reason::CredentialUnknown));
    check(&[("authorization", "Basic k-anna")], 0, Err(Reason::CredentialUnknown));
    check(&[("authorization", "k-anna")], 0, Err(Reason::CredentialUnknown));
    check(&[("x-api-key", "k-anna")], 0, Err(Reason::CredentialUnknown));
}

#[test]
fn two_credentials_are_refused() {
    check(&[("authorization", "Bearer k-anna"), ("x-api-key", "k")], 0, Err(Reason::CredentialsConflict));
    check(
        &[("authorization", "Bearer k-anna"), ("authorization", "Bearer k-anna")],
        0,
        Err(Reason::CredentialsConflict),
    );
}

#[test]
fn the_directory_has_the_last_word() {
    check(&[("authorization", "Bearer k-nobody")], 0, Err(Reason::PrincipalUnknown));
    check(&[("authorization", "Bearer k-gone")], 0, Err(Reason::PrincipalInactive));
    check(&[("authorization", "Bearer k-temp")], 999, Err(Reason::AccessWindow));
    check(&[("authorization", "Bearer k-temp")], 1000, Ok("temp"));
    check(&[("authorization", "Bearer k-temp")], 1999, Ok("temp"));
    check(&[("authorization", "Bearer k-temp")], 2000, Err(Reason::AccessWindow));
}
