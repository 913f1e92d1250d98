//! What the CRM is shown: a key for each person, and never what else the caller sent.

use lockkeeper::testkit::CRM_KEY;
use lockkeeper::testkit::issuer::TestKey;

use super::*;

#[tokio::test]
async fn each_person_has_a_key_of_the_crm_or_is_refused() {
    let key = TestKey::ed25519();
    let keys = key_set(&[("d", &key)]);
    let section =
        ISSUER.replace("upstream_key_file = \"crm.key\"", "upstream_per_person_file = \"persons.toml\"");
    let persons = format!(
        "[[person]]\nprincipal = 'User::\"rep-east\"'\nkey_file = \"crm.key\"\n[[person]]\nprincipal = 'User::\"admin\"'\nkey = \"{CRM_KEY}\"\n"
    );
    let sidecar = TestSidecar::with(|options| {
        with_issuer(options, &keys, section).edit("persons.toml", move |_| persons)
    })
    .await;
    let token = |person: &str| key.token(&header(&key, "d"), &claims(person).to_string());
    assert_eq!(outcome(&sidecar, &token("rep-east")).await, "200");
    assert_eq!(outcome(&sidecar, &token("admin")).await, "200");
    assert_eq!(outcome(&sidecar, &token("rep-west")).await, "crm-credential-missing");
    // A key that the CRM does not take is the operator's fault, not the caller's.
    sidecar.reload_with("crm.key", |_| "revoked".to_owned()).await;
    assert_eq!(outcome(&sidecar, &token("rep-east")).await, "upstream-error");
    assert_eq!(outcome(&sidecar, &token("admin")).await, "200");
}

#[tokio::test]
async fn mistakes_in_the_file_are_named() {
    let key = TestKey::ed25519();
    let keys = key_set(&[("d", &key)]);
    let section =
        ISSUER.replace("upstream_key_file = \"crm.key\"", "upstream_per_person_file = \"persons.toml\"");
    let sidecar = TestSidecar::with(|options| {
        with_issuer(options, &keys, section).edit("persons.toml", |_| String::new())
    })
    .await;
    let anna = "principal = 'User::\"anna\"'\n";
    for (text, why) in [
        (format!("[[person]]\n{anna}"), "no key, or two, for `User::\"anna\"`"),
        (format!("[[person]]\n{anna}key = \"a\"\nkey_file = \"b\"\n"), "no key, or two"),
        (format!("[[person]]\n{anna}key = \"a\"\n[[person]]\n{anna}key = \"b\"\n"), "stands twice"),
        (format!("[[person]]\n{anna}key_file = \"gone.key\"\n"), "gone.key` cannot be read"),
        (
            "[[person]]\nprincipal = 'Deal::\"42\"'\nkey = \"a\"\n".to_owned(),
            "`Deal::\"42\"` is not a principal",
        ),
        (format!("[[person]]\n{anna}key = \"a\\nb\"\n"), "cannot stand in a header"),
        (format!("[[persn]]\n{anna}key = \"a\"\n"), "`persn` is not a known key"),
    ] {
        let told = format!("{:?}", sidecar.reload_with("persons.toml", |_| text).await);
        assert!(
            told.starts_with("Refused") && told.replace("\\\\", "\\").replace("\\\"", "\"").contains(why),
            "{why}: {told}"
        );
    }
}

#[tokio::test]
async fn identities_and_impersonation_of_the_caller_never_go_to_the_crm() {
    let key = TestKey::ed25519();
    let keys = key_set(&[("d", &key)]);
    let gateway = "\n[identity.gateway]\nheader = \"x-gw-user\"\ntrusted_peers = \"127.0.0.1\"\nupstream_key_file = \"crm.key\"\nupstream_header = \"x-api-key\"\n";
    let section = format!("{ISSUER}{gateway}");
    let sidecar = TestSidecar::with(|options| {
        with_issuer(options, &keys, section).edit("bundle/profile.toml", |text| {
            // Even where the profile lets the gateway's header through.
            text.replacen("request = [", "request = [\"x-gw-user\", ", 1)
        })
    })
    .await;
    let reply = sidecar
        .as_nobody()
        .with_header("X-Gw-User: rep-east")
        .with_header("X-Remote-User: admin")
        .with_header("MSCRMCallerID: 5")
        .with_header("X-Forwarded-User: admin")
        .with_header("Cookie: sid=1")
        .get("/api/deals/42")
        .await;
    assert_eq!(reply.status, 200);
    let names: Vec<String> = sidecar.crm().requests()[0].headers.keys().map(ToString::to_string).collect();
    for name in ["x-gw-user", "x-remote-user", "mscrmcallerid", "x-forwarded-user", "cookie", "authorization"]
    {
        assert!(!names.contains(&name.to_owned()), "{name} in {names:?}");
    }
    assert!(names.contains(&"x-api-key".to_owned()));
    // Where nobody is identified, nobody asks who may send the header either.
    sidecar.crm().reset();
    sidecar.as_nobody().with_header("X-Gw-User: admin").get("/static/app.css").await;
    let open = sidecar.crm().requests();
    assert_eq!((open.len(), open[0].headers.get("x-gw-user")), (1, None));
    let conflict =
        sidecar.as_person("rep-east").with_header("X-Gw-User: rep-east").get("/api/deals/42").await;
    assert_eq!(conflict.reason(), "credentials-conflict");
}
