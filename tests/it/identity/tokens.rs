//! Tokens that are accepted, and attacks on how they are verified (RFC 8725).

use aws_lc_rs::hmac;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode as encode_elsewhere};
use lockkeeper::testkit::issuer::{TestKey, encode};
use serde_json::json;

use super::*;

#[tokio::test]
async fn every_kind_of_key_identifies_and_the_ledger_says_how() {
    let (rsa, p256, ed25519) = (TestKey::rsa(), TestKey::p256(), TestKey::ed25519());
    let sidecar = trusting(&[("r", &rsa), ("e", &p256), ("d", &ed25519)], "").await;
    for (key, id) in [(&rsa, "r"), (&p256, "e"), (&ed25519, "d")] {
        let token = key.token(&header(key, id), &claims("rep-east").to_string());
        // Twice: verified, then kept.
        assert_eq!(outcome(&sidecar, &token).await, "200", "{id}");
        assert_eq!(outcome(&sidecar, &token).await, "200", "{id}");
    }
    for request in sidecar.crm().requests() {
        assert!(!request.headers.contains_key("authorization"), "the token went to the CRM");
    }
    let ledger = sidecar.stop().await;
    let who =
        ledger.of_kind("decision").into_iter().map(|entry| entry["who"]["authn"].clone()).collect::<Vec<_>>();
    assert_eq!(who, vec![json!("jwt"); 6]);
}

#[tokio::test]
async fn tokens_of_another_implementation_are_read() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.public_key_raw();
    let (x, y) = point[1..].split_at(32);
    let jwk = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": encode(x), "y": encode(y)}]});
    let sidecar =
        TestSidecar::with(|options| with_issuer(options, &jwk.to_string(), ISSUER.to_owned())).await;
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let token = encode_elsewhere(&header, &claims("rep-east"), &key).unwrap();
    assert_eq!(outcome(&sidecar, &token).await, "200");
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (rsa, p256, mallory) = (TestKey::rsa(), TestKey::p256(), TestKey::p256());
    let sidecar = trusting(&[("r", &rsa), ("e", &p256)], "").await;
    let body = claims("rep-east").to_string();
    let good = p256.token(&header(&p256, "e"), &body);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let bare = |header: &str| format!("{}.{}", encode(header), encode(&body));

    // The algorithm is not the caller's to choose.
    for alg in ["none", "None", "nOnE", ""] {
        let unsigned = bare(&json!({"alg": alg, "kid": "e"}).to_string());
        check(&sidecar, &format!("{unsigned}.{signature}"), "token-refused").await;
        check(&sidecar, &format!("{unsigned}."), "token-refused").await;
    }
    for secret in [rsa.public_der(), p256.public_der(), Vec::new()] {
        let shared = bare(r#"{"alg":"HS256","kid":"r"}"#);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), shared.as_bytes());
        check(&sidecar, &format!("{shared}.{}", encode(tag)), "token-refused").await;
    }
    // A key of another kind, a key that is nobody's, a signature of another length or over something else.
    check(&sidecar, &rsa.token(r#"{"alg":"RS256","kid":"e"}"#, &body), "token-refused").await;
    check(&sidecar, &rsa.token(r#"{"alg":"PS256","kid":"r"}"#, &body), "token-refused").await;
    check(&sidecar, &mallory.token(&header(&mallory, "e"), &body), "token-refused").await;
    let raw = p256.sign(signed.as_bytes());
    for wrong in [&raw[..63], &[&raw[..], &[0]].concat(), &[0; 64], &[1; 71]] {
        check(&sidecar, &format!("{signed}.{}", encode(wrong)), "token-refused").await;
    }
    let others = encode(claims("admin").to_string());
    let parts: Vec<&str> = good.split('.').collect();
    check(&sidecar, &format!("{}.{others}.{}", parts[0], parts[2]), "token-refused").await;
    // Keys that the token brings along do not exist.
    for (name, value) in [
        ("jwk", mallory.jwk("e")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut head = json!({"alg": "ES256", "kid": "e"});
        head[name] = value;
        check(&sidecar, &mallory.token(&head.to_string(), &body), "token-refused").await;
        check(&sidecar, &p256.token(&head.to_string(), &body), "200").await;
    }
    for id in ["../../etc/passwd", "e' OR '1'='1", "/dev/null", "e\\u0000", ""] {
        let head = format!(r#"{{"alg":"ES256","kid":"{id}"}}"#);
        check(&sidecar, &mallory.token(&head, &body), "token-refused").await;
    }
    let asked = sidecar.crm_saw().into_iter().filter(|line| line == "GET /api/deals/42").count();
    assert_eq!(asked, 4, "only the good tokens");
}

#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused() {
    let key = TestKey::ed25519();
    let sidecar = trusting(&[("d", &key)], "").await;
    let (head, body) = (header(&key, "d"), claims("rep-east").to_string());
    let good = key.token(&head, &body);
    check(&sidecar, &good, "200").await;
    let twice = body.replacen('{', r#"{"sub":"admin","#, 1);
    check(&sidecar, &key.token(&head, &twice), "token-malformed").await;
    let escaped = body.replacen('{', r#"{"s\u0075b":"admin","#, 1);
    check(&sidecar, &key.token(&head, &escaped), "token-malformed").await;
    check(&sidecar, &key.token(&head.replacen('{', r#"{"alg":"none","#, 1), &body), "token-malformed").await;
    check(&sidecar, &key.token(&head, "[]"), "token-malformed").await;
    check(&sidecar, &key.token("{}", &body), "token-malformed").await;
    check(&sidecar, &key.token(r#"{"alg":"EdDSA","kid":7}"#, &body), "token-malformed").await;
    check(&sidecar, &key.token(&format!("{}{head}", '\u{feff}'), &body), "token-malformed").await;
    check(&sidecar, &format!("{good}="), "token-malformed").await;
    check(&sidecar, &good.replacen('.', ". ", 1), "token-malformed").await;
    check(&sidecar, &key.token(&head, &format!("{}{}", "[".repeat(40), "]".repeat(40))), "token-malformed")
        .await;
    let crit = json!({"alg": "EdDSA", "kid": "d", "crit": ["b64"], "b64": false}).to_string();
    check(&sidecar, &key.token(&crit, &body), "token-refused").await;
    for kind in ["logout+jwt", "dpop+jwt", "application/secevent+jwt", ""] {
        let typed = json!({"alg": "EdDSA", "kid": "d", "typ": kind}).to_string();
        check(&sidecar, &key.token(&typed, &body), "token-refused").await;
    }
    for kind in ["at+jwt", "application/at+jwt", "jwt"] {
        let typed = json!({"alg": "EdDSA", "kid": "d", "typ": kind}).to_string();
        check(&sidecar, &key.token(&typed, &body), "200").await;
    }
    // Not a token at all: no source knows it.
    for text in ["x", "a.b", "a.b.c.d", "..", "key"] {
        let expected = if text == ".." { "token-malformed" } else { "credential-unknown" };
        check(&sidecar, text, expected).await;
    }
}

#[tokio::test]
async fn a_token_is_read_up_to_its_limit() {
    let key = TestKey::ed25519();
    let sidecar = trusting(&[("d", &key)], "token_bytes = 600\n").await;
    let sized = |length: usize| {
        let empty = key.token(&header(&key, "d"), &claims_with("rep-east", json!({"pad": ""})));
        let fits = |pad: &usize| {
            let padded = claims_with("rep-east", json!({"pad": "x".repeat(*pad)}));
            key.token(&header(&key, "d"), &padded).len() == length
        };
        assert!(empty.len() < length);
        let pad = (0..600).find(fits)?;
        Some(key.token(&header(&key, "d"), &claims_with("rep-east", json!({"pad": "x".repeat(pad)}))))
    };
    // Base64url has no texts of some lengths.
    let below = (595..=600).rev().find_map(sized).unwrap();
    let above = (601..=606).find_map(sized).unwrap();
    check(&sidecar, &below, "200").await;
    check(&sidecar, &above, "token-malformed").await;
}

async fn check(sidecar: &TestSidecar, token: &str, expected: &str) {
    assert_eq!(outcome(sidecar, token).await, expected, "{token}");
}
