//! Identification end to end: tokens, introspection, keys of the CRM for each person, and every attack on them.

mod tokens;
mod claims;
mod rotation;
mod introspection;
mod upstream;
mod server;

use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::issuer::{TestKey, key_set};
use lockkeeper::testkit::{NOW_MS, TestSidecar};
use serde_json::{Value, json};

/// The seconds at which the clock of decisions stands.
const NOW: i64 = NOW_MS / 1_000;

/// The section of an issuer whose keys are in a file, up to where more can be added.
const ISSUER: &str = r#"
[[identity.jwt]]
issuer = "https://login.test/"
audience = ["crm", "crm-batch"]
algorithms = ["RS256", "ES256", "EdDSA"]
jwks_file = "issuer.jwks"
upstream_key_file = "crm.key"
upstream_header = "x-api-key"
"#;

/// A sidecar that trusts one issuer with these keys.
async fn trusting(keys: &[(&str, &TestKey)], more: &str) -> TestSidecar {
    let (keys, more) = (key_set(keys), format!("{ISSUER}{more}"));
    TestSidecar::with(|options| with_issuer(options, &keys, more)).await
}

fn with_issuer(options: Options, keys: &str, section: String) -> Options {
    let keys = keys.to_owned();
    options.edit("issuer.jwks", move |_| keys).edit("lockkeeper.toml", move |text| text + &section)
}

/// Claims that are accepted, for a person.
fn claims(person: &str) -> Value {
    json!({"iss": "https://login.test/", "aud": "crm", "sub": person, "exp": NOW + 300})
}

/// The same with changes: a `null` takes a claim away.
fn claims_with(person: &str, changes: Value) -> String {
    let mut claims = claims(person);
    for (name, value) in changes.as_object().unwrap() {
        match value.is_null() {
            true => drop(claims.as_object_mut().unwrap().remove(name)),
            false => claims[name] = value.clone(),
        }
    }
    claims.to_string()
}

fn header(key: &TestKey, id: &str) -> String {
    json!({"alg": key.algorithm(), "kid": id, "typ": "JWT"}).to_string()
}

/// What a request with a token comes to: `200`, or the reason.
async fn outcome(sidecar: &TestSidecar, token: &str) -> String {
    let caller = sidecar.as_nobody().with_header(&format!("Authorization: Bearer {token}"));
    let reply = caller.get("/api/deals/42").await;
    match reply.status {
        200 => "200".to_owned(),
        // Hidden records are answered in the CRM's own words.
        404 => "not-found".to_owned(),
        _ => reply.reason(),
    }
}
