//! Pairs that fit, and each way in which they do not.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::*;

/// 2026-06-15.
const NOW_MS: i64 = 1_781_524_800_000;

fn made(names: &[&str], from: i32, until: i32) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.subject_alt_names.push(SanType::URI("spiffe://crm.example/rep".try_into().unwrap()));
    params.subject_alt_names.push(SanType::Rfc822Name("rep@crm.example".try_into().unwrap()));
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn try_load(certificate: Option<&str>, key: Option<&str>) -> Result<Pair, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        path
    };
    let files = PairFiles { certificate: file("c.pem", certificate), key: file("k.pem", key) };
    load(&files, NOW_MS)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[track_caller]
fn refused(certificate: Option<&str>, key: Option<&str>, expected: &str) {
    let error = try_load(certificate, key).unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_pair_that_fits() {
    let (certificate, key) = made(&["CRM.example", "*.crm.example"], 2026, 2027);
    let pair = try_load(Some(&certificate), Some(&key)).unwrap();
    assert_eq!(pair.names, ["crm.example", "*.crm.example"]);
    assert_eq!(pair.expires_ms, 1_798_761_600_000);
    let leaf = pair.certified.end_entity_cert().unwrap();
    let names = [
        CertificateName::Dns("CRM.example".to_owned()),
        CertificateName::Dns("*.crm.example".to_owned()),
        CertificateName::Uri("spiffe://crm.example/rep".to_owned()),
        CertificateName::Email("rep@crm.example".to_owned()),
    ];
    assert_eq!(names_of(leaf), names);
    assert_eq!(names_of(&CertificateDer::from(vec![1, 2, 3])), []);
}

#[test]
fn pairs_that_do_not() {
    let (certificate, key) = made(&["crm.example"], 2026, 2027);
    let (other, other_key) = made(&["crm.example"], 2026, 2027);
    let (over, over_key) = made(&["crm.example"], 2024, 2026);
    let (later, later_key) = made(&["crm.example"], 2027, 2028);
    let (certificate, key) = (Some(certificate.as_str()), Some(key.as_str()));
    refused(None, key, "`c.pem` cannot be read: No such file");
    refused(certificate, None, "`k.pem` cannot be read: No such file");
    refused(Some(" \n"), key, "`c.pem` is empty");
    refused(certificate, Some(""), "`k.pem` is empty");
    refused(key, key, "`c.pem` holds no certificate in PEM form: no section is a certificate");
    refused(Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), key, "`c.pem` holds no certificate in PEM form");
    refused(certificate, certificate, "`k.pem` holds no private key in PEM form");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(Some(nonsense), key, "the certificate in `c.pem` cannot be used");
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    refused(certificate, Some(nonsense), "the key in `k.pem` cannot be used");
    refused(
        certificate,
        Some(&other_key),
        "the key in `k.pem` does not belong to the certificate in `c.pem`",
    );
    refused(Some(&other), key, "the key in `k.pem` does not belong to the certificate in `c.pem`");
    refused(Some(&over), Some(&over_key), "the certificate in `c.pem` expired at 2026-01-01T00:00:00Z");
    refused(
        Some(&later),
        Some(&later_key),
        "the certificate in `c.pem` is valid only from 2027-01-01T00:00:00Z",
    );
}
