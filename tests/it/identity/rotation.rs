//! Issuers' keys as they change: in a file, at a URL, and where the issuer does not answer.

use lockkeeper::testkit::issuer::TestKey;

use super::server::Server;
use super::*;

#[tokio::test]
async fn a_key_that_left_the_file_takes_its_kept_tokens_along() {
    let (old, new) = (TestKey::p256(), TestKey::p256());
    let sidecar = trusting(&[("old", &old)], "").await;
    let token = old.token(&header(&old, "old"), &claims("rep-east").to_string());
    let newer = new.token(&header(&new, "new"), &claims("rep-east").to_string());
    assert_eq!(outcome(&sidecar, &token).await, "200");
    assert_eq!(outcome(&sidecar, &newer).await, "token-refused");
    let both = key_set(&[("old", &old), ("new", &new)]);
    sidecar.reload_with("issuer.jwks", |_| both).await;
    assert_eq!(outcome(&sidecar, &token).await, "200");
    assert_eq!(outcome(&sidecar, &newer).await, "200");
    // The same name for another key does not bring the old tokens back.
    let renamed = key_set(&[("old", &new)]);
    sidecar.reload_with("issuer.jwks", |_| renamed).await;
    assert_eq!(outcome(&sidecar, &token).await, "token-refused");
    assert_eq!(outcome(&sidecar, &newer).await, "token-refused");
}

#[tokio::test]
async fn a_file_that_is_no_key_set_is_refused_and_the_old_keys_stay() {
    let key = TestKey::p256();
    let sidecar = trusting(&[("k", &key)], "").await;
    let token = key.token(&header(&key, "k"), &claims("rep-east").to_string());
    let mut private = key.jwk("k");
    private["d"] = json!("AAAA");
    let weak = json!({"kty": "RSA", "kid": "w", "n": "AQAB", "e": "AQAB"});
    let secret = json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0"});
    let encrypting = json!({"kty": "EC", "use": "enc", "kid": "x"});
    for (broken, why) in [
        ("{".to_owned(), "it is not a JSON document"),
        ("[]".to_owned(), "it has no list `keys`"),
        (json!({"keys": []}).to_string(), "none of its keys can be used"),
        (json!({"keys": [weak, encrypting]}).to_string(), "none of its keys can be used"),
        (json!({"keys": [key.jwk("k"), private]}).to_string(), "key 2 is a private or shared key"),
        (json!({"keys": [key.jwk("k"), secret]}).to_string(), "key 2 is a private or shared key"),
        (
            json!({"keys": [key.jwk("k"), TestKey::p256().jwk("k")]}).to_string(),
            "two keys have the same `kid`",
        ),
        (json!({"keys": vec![0; 101]}).to_string(), "it has more than 100 keys"),
    ] {
        let reloaded = sidecar.reload_with("issuer.jwks", |_| broken).await;
        let told = format!("{reloaded:?}");
        assert!(told.starts_with("Refused") && told.contains(why), "{why}: {told}");
        assert_eq!(outcome(&sidecar, &token).await, "200", "{why}");
    }
}

#[tokio::test]
async fn a_token_without_a_key_id_needs_a_set_without_a_choice() {
    let (first, second, other) = (TestKey::p256(), TestKey::p256(), TestKey::ed25519());
    let token = first.token(r#"{"alg":"ES256"}"#, &claims("rep-east").to_string());
    let sidecar = trusting(&[("a", &first), ("b", &other)], "").await;
    assert_eq!(outcome(&sidecar, &token).await, "200");
    let choice = key_set(&[("a", &first), ("c", &second)]);
    sidecar.reload_with("issuer.jwks", |_| choice).await;
    let fresh = first.token(r#"{"alg":"ES256"}"#, &claims_with("rep-east", json!({"jti": "1"})));
    assert_eq!(outcome(&sidecar, &fresh).await, "token-refused");
}

/// A sidecar that fetches the issuer's keys; the first look has ended when this returns.
async fn fetching(keys: String) -> (TestSidecar, Server) {
    let server = Server::start(move |_| (200, "application/json", keys.clone())).await;
    let url = format!(
        "jwks_url = \"http://{}/keys\"\njwks_refresh_ms = 86400000\njwks_max_age_ms = 60000\n",
        server.address
    );
    let section = ISSUER.replace("jwks_file = \"issuer.jwks\"\n", &url);
    let sidecar =
        TestSidecar::with(|options| options.edit("lockkeeper.toml", move |text| text + &section)).await;
    (sidecar, server)
}

#[tokio::test]
async fn an_unknown_key_leads_to_one_look_in_ten_seconds() {
    let (old, new, third) = (TestKey::p256(), TestKey::p256(), TestKey::p256());
    let (sidecar, server) = fetching(key_set(&[("old", &old)])).await;
    let token = |key: &TestKey, id: &str| key.token(&header(key, id), &claims("rep-east").to_string());
    // The first request may come before the first look, and waits for it then.
    eventually(&sidecar, &token(&old, "old"), "200").await;
    let rotated = key_set(&[("new", &new)]);
    server.answer_with(move |_| (200, "application/json", rotated.clone()));
    let before = server.asked("/keys").len();
    assert_eq!(outcome(&sidecar, &token(&new, "new")).await, "200");
    assert_eq!(server.asked("/keys").len(), before + 1);
    // The key that left takes its kept token along, without a look.
    assert_eq!(outcome(&sidecar, &token(&old, "old")).await, "token-refused");
    for id in ["x", "y", "z"] {
        assert_eq!(outcome(&sidecar, &token(&third, id)).await, "token-refused");
    }
    assert_eq!(server.asked("/keys").len(), before + 1);
    sidecar.set_now_ms(NOW_MS + 10_000);
    assert_eq!(outcome(&sidecar, &token(&third, "x")).await, "token-refused");
    assert_eq!(server.asked("/keys").len(), before + 2);
    // A reload keeps what was fetched.
    sidecar.reload_with("api-keys.toml", |text| text).await;
    assert_eq!(outcome(&sidecar, &token(&new, "new")).await, "200");
    assert_eq!(server.asked("/keys").len(), before + 2);
}

#[tokio::test]
async fn keys_that_cannot_be_looked_at_are_believed_for_a_bounded_time() {
    let key = TestKey::p256();
    let (sidecar, server) = fetching(key_set(&[("k", &key)])).await;
    let long = json!({"exp": NOW + 3_600});
    let token = key.token(&header(&key, "k"), &claims_with("rep-east", long));
    eventually(&sidecar, &token, "200").await;
    server.answer_with(|_| (503, "text/html", "<h1>down</h1>".to_owned()));
    sidecar.set_now_ms(NOW_MS + 60_000);
    assert_eq!(outcome(&sidecar, &token).await, "200");
    sidecar.set_now_ms(NOW_MS + 60_001);
    assert_eq!(outcome(&sidecar, &token).await, "issuer-keys-unavailable");
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_refuses_and_does_not_stop_the_start() {
    let key = TestKey::p256();
    let (sidecar, _) = fetching("<html>".to_owned()).await;
    let token = key.token(&header(&key, "k"), &claims("rep-east").to_string());
    assert_eq!(outcome(&sidecar, &token).await, "issuer-keys-unavailable");
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 200);
}

/// Asks until the first look at the keys has ended.
async fn eventually(sidecar: &TestSidecar, token: &str, expected: &str) {
    let asking = async {
        loop {
            match outcome(sidecar, token).await {
                found if found == "issuer-keys-unavailable" => lockkeeper::testkit::a_moment().await,
                found => return found,
            }
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), asking).await;
    assert_eq!(found.as_deref(), Ok(expected));
}
