//! What statuses and certificates are taken for.

use rustls_pki_types::CertificateDer;

use super::network::describe;
use super::*;

#[test]
fn statuses_are_taken_for_what_they_say() {
    let levels =
        |judge: fn(u16) -> Finding| [200, 204, 302, 401, 403, 404, 500].map(|status| judge(status).level);
    use Level::{Bad, Good, Warning};
    assert_eq!(levels(|status| to_nobody(status, "/x")), [Bad, Bad, Warning, Good, Good, Warning, Warning]);
    assert_eq!(levels(|status| to_service(Ok(status), "/x")), [Good, Good, Bad, Bad, Bad, Bad, Bad]);
    let caller = |status| to_caller(Ok(status), "/x", Good);
    assert_eq!(levels(caller), [Warning, Warning, Good, Good, Good, Good, Good]);
    assert_eq!(to_caller(Ok(200), "/x", Bad).level, Bad);
}

#[test]
fn whatever_is_not_good_says_what_to_do() {
    for status in [200, 302, 401, 500] {
        for finding in
            [to_nobody(status, "/x"), to_service(Ok(status), "/x"), to_caller(Ok(status), "/x", Level::Good)]
        {
            assert_eq!(finding.fix.is_some(), finding.level != Level::Good, "{finding:?}");
        }
    }
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["crm.test".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2030, 1, 15);
    let certificate = parameters.self_signed(&key).unwrap();
    let der = CertificateDer::from(certificate.der().to_vec());
    // 2030-01-01 and a second later.
    let day = 1_893_456_000;
    assert_eq!(describe(&der, day).level, Level::Good);
    let late = describe(&der, day + 1);
    assert_eq!(late.level, Level::Warning);
    assert!(late.what.contains("(13 days)"), "{}", late.what);
}
