//! One credential, one principal: every way in which that fails for keys, and what counts as a credential.

use super::*;
use crate::config::author::{Problems, SourceFile};
use crate::config::service::NamedBy;
use crate::model::certificate::NamePattern;
use crate::model::network::Network;
use crate::model::peer::CertificateName;
use crate::model::principal::EntityRef;
use gateway::Trust;
use keys::KeyTable;

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

fn sources() -> Sources {
    let mut keys = KeyTable::default();
    for (key, id) in [("k-anna", "anna"), ("k-gone", "gone"), ("k-temp", "temp"), ("k-nobody", "nobody")] {
        keys.insert(key, EntityRef::new("User", id));
    }
    let source = |header: &'static str, scheme: Option<&str>, keys| {
        let (header, scheme) = (HeaderName::from_static(header), scheme.map(str::to_owned));
        let keys = KeySource { authn: Authn::ApiKey, header, scheme, keys };
        Source { way: Way::Keys(keys), upstream: UpstreamCredential::Caller }
    };
    Sources::new(vec![
        source("authorization", Some("Bearer"), keys),
        source("x-api-key", None, KeyTable::default()),
        gateway(),
        certificates(),
    ])
}

#[track_caller]
fn check(pairs: &[(&'static str, &'static str)], now_ms: i64, expected: Result<&str, Reason>) {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let found = by_key(&headers, now_ms).map_err(|problem| problem.reason);
    assert_eq!(found, expected.map(str::to_owned), "{pairs:?}");
}

/// What `identify` does, as far as it needs no CRM.
fn by_key(headers: &HeaderMap, now_ms: i64) -> Result<String, Problem> {
    let (sources, peer) = (sources(), Peer::plain([192, 0, 2, 1].into()));
    let credential = sources.carriers.the_one(headers, &peer)?;
    let (_, found, _) = by_keys(&sources, &credential)?.ok_or(Reason::CredentialUnknown)?;
    admit(&found.entity, &directory(), now_ms)?;
    Ok(found.entity.id)
}

fn users() -> NamedBy {
    NamedBy { type_name: "User", attribute: None }
}

fn gateway() -> Source {
    let trust = Trust {
        networks: vec![Network::parse("10.0.0.0/8").unwrap()],
        unix: false,
        certificates: vec![NamePattern::parse("DNS:gw.example.com").unwrap()],
    };
    let header = HeaderName::from_static("x-gateway-user");
    let way = Way::Gateway(GatewaySource { header, trust, named_by: users() });
    Source { way, upstream: UpstreamCredential::Caller }
}

fn certificates() -> Source {
    let table = vec![
        (NamePattern::parse("DNS:batch.example.com").unwrap(), EntityRef::new("Service", "batch")),
        (NamePattern::parse("URI:spiffe://example.com/batch").unwrap(), EntityRef::new("Service", "batch")),
    ];
    let pattern = NamePattern::parse("email:*@example.com");
    let way = Way::Certificate(CertificateSource { table, pattern, named_by: users() });
    Source { way, upstream: UpstreamCredential::Caller }
}

fn peer(address: [u8; 4], names: &[&str]) -> Peer {
    let name = |text: &&str| match text.split_once(':').unwrap() {
        ("DNS", name) => CertificateName::Dns(name.to_owned()),
        ("URI", name) => CertificateName::Uri(name.to_owned()),
        (_, name) => CertificateName::Email(name.to_owned()),
    };
    Peer { certificate_names: names.iter().map(name).collect(), ..Peer::plain(address.into()) }
}

#[track_caller]
fn check_carrier(peer: &Peer, pairs: &[(&'static str, &'static str)], expected: Result<CarriedBy, Reason>) {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let sources = sources();
    let found = sources.carriers.the_one(&headers, peer).map(|found| sources.carriers.carried_by(&found));
    assert_eq!(found.map_err(|problem| problem.reason), expected, "{pairs:?} from {peer:?}");
}

#[test]
fn a_gateway_is_believed_only_as_the_peer_itself() {
    let named = ("x-gateway-user", "anna");
    let (far, near) = (peer([192, 0, 2, 1], &[]), peer([10, 1, 2, 3], &[]));
    check_carrier(&near, &[named], Ok(CarriedBy::Gateway));
    check_carrier(&far, &[named], Err(Reason::GatewayUntrusted));
    // An address that a header or a PROXY line names is not where the connection comes from.
    check_carrier(&far, &[named, ("x-forwarded-for", "10.1.2.3")], Err(Reason::GatewayUntrusted));
    let told = Peer { address: [10, 1, 2, 3].into(), ..far.clone() };
    check_carrier(&told, &[named], Err(Reason::GatewayUntrusted));
    let socket = Peer { direct: None, ..near.clone() };
    check_carrier(&socket, &[named], Err(Reason::GatewayUntrusted));
    check_carrier(
        &far,
        &[("x-gateway-user", ""), ("authorization", "Bearer k-anna")],
        Err(Reason::GatewayUntrusted),
    );
    check_carrier(&near, &[named, ("authorization", "Bearer k-anna")], Err(Reason::CredentialsConflict));
    check_carrier(&near, &[named, named], Err(Reason::CredentialsConflict));
    let by_certificate = peer([192, 0, 2, 1], &["DNS:gw.example.com"]);
    check_carrier(&by_certificate, &[named], Ok(CarriedBy::Gateway));
    check_carrier(&by_certificate, &[], Err(Reason::CredentialMissing));
    check_carrier(&peer([192, 0, 2, 1], &["URI:gw.example.com"]), &[named], Err(Reason::GatewayUntrusted));
}

#[test]
fn the_gateways_header_holds_one_name() {
    let Way::Gateway(gateway) = gateway().way else { panic!("a gateway") };
    for (value, expected) in [("anna", Some("anna")), ("anna,bert", None), ("anna, anna", None), ("", None)] {
        let credential = Credential::Header { name: &gateway.header, value };
        let found = gateway.identify(&credential, &directory()).unwrap();
        assert_eq!(found.ok().map(|found| found.entity.id).as_deref(), expected, "{value}");
    }
}

#[test]
fn a_certificate_counts_as_a_credential() {
    let peer = peer([192, 0, 2, 1], &["email:anna@example.com"]);
    check_carrier(&peer, &[], Ok(CarriedBy::Certificate));
    check_carrier(&peer, &[("authorization", "Bearer k-anna")], Err(Reason::CredentialsConflict));
    check_carrier(&peer, &[("cookie", "sid=1")], Ok(CarriedBy::Certificate));
}

#[track_caller]
fn check_names(names: &[&str], expected: Result<&str, Reason>) {
    let Way::Certificate(source) = certificates().way else { panic!("certificates") };
    let found = source.identify(&peer([192, 0, 2, 1], names).certificate_names, &directory());
    let found = found.map(|found| found.entity.id).map_err(|problem| problem.reason);
    assert_eq!(found, expected.map(str::to_owned), "{names:?}");
}

#[test]
fn the_names_of_a_certificate_lead_to_exactly_one_principal() {
    check_names(&["email:anna@example.com"], Ok("anna"));
    check_names(&["DNS:batch.example.com"], Ok("batch"));
    check_names(&["DNS:BATCH.example.com", "URI:spiffe://example.com/batch"], Ok("batch"));
    check_names(&["DNS:other.example.com", "email:anna@example.com"], Ok("anna"));
    check_names(&["email:anna@example.com", "email:bert@example.com"], Err(Reason::PrincipalAmbiguous));
    check_names(&["email:batch@example.com", "DNS:batch.example.com"], Err(Reason::PrincipalAmbiguous));
    check_names(&["DNS:other.example.com"], Err(Reason::CertificateUnknown));
    check_names(&["URI:batch.example.com"], Err(Reason::CertificateUnknown));
    check_names(&[], Err(Reason::CertificateUnknown));
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

/// Browsers send some schemes by themselves once somebody has logged in, also where a page of another site asks.
#[test]
fn schemes_that_browsers_add_are_told_from_others() {
    let peer = Peer::plain([192, 0, 2, 1].into());
    for value in ["Basic eDp5", "basic eDp5", "Negotiate YII=", "NTLM TlRM", "Digest username=x"] {
        check_carrier(&peer, &[("authorization", value)], Ok(CarriedBy::Browser));
    }
    for value in ["Bearer k", "Token k", "k", "Basically k"] {
        check_carrier(&peer, &[("authorization", value)], Ok(CarriedBy::Header));
    }
    check_carrier(&peer, &[("x-api-key", "Basic k")], Ok(CarriedBy::Header));
}
