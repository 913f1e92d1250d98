//! What is no plain answer: HTML, redirects, bad ids, bad keys. [edge]

#![expect(clippy::disallowed_methods, reason = "edge: writes a file of the test")]

use crate::rig::{DEAL, Rig};

#[tokio::test]
async fn a_page_of_html_never_leaves() {
    let rig = Rig::start().await;
    let target = "/api/opportunities/not-a-uuid/";
    assert_eq!(rig.person("admin").get(target).await.reason(), "route-unmapped");
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.stop().await;
    // Even where the profile lets such an id through.
    let text = |profile: String| {
        profile.replace("GET,HEAD /api/opportunities/{id:uuid}/", "GET,HEAD /api/opportunities/{id:text}/")
    };
    let over = |profile: String| {
        profile.replace(
            "match = \"GET /api/opportunities/pipelines/\"",
            "match = \"GET /api/opportunities/pipelines/\"\nover = [\"GET,HEAD /api/opportunities/{id:text}/\"]",
        ).replace(
            "match   = \"GET /api/opportunities/export/\"",
            "match   = \"GET /api/opportunities/export/\"\nover = [\"GET,HEAD /api/opportunities/{id:text}/\"]",
        )
    };
    let rig = Rig::with(|profile| over(text(profile)), |config| config).await;
    let reply = rig.person("admin").get(target).await;
    assert_eq!(reply.status, 404);
    assert!(!reply.text().contains("<html") && !reply.text().contains("URLconf"), "{}", reply.text());
    rig.stop().await;
}

#[tokio::test]
async fn a_redirect_for_a_missing_slash_is_not_followed() {
    let rig = Rig::start().await;
    let target = DEAL.strip_suffix('/').unwrap();
    assert_eq!(rig.person("admin").get(target).await.reason(), "route-unmapped");
    rig.stop().await;
    let no_slash = |profile: String| profile.replace("{id:uuid}/\"", "{id:uuid}\"");
    let rig = Rig::with(no_slash, |config| config).await;
    let reply = rig.person("admin").get(target).await;
    assert_eq!((reply.status, reply.reason().as_str()), (502, "upstream-redirect"));
    assert_eq!(reply.header("location"), None);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_that_the_crm_refuses_is_the_operators_fault() {
    let bogus = |folder: &std::path::Path| std::fs::write(folder.join("crm.key"), "bcrm_pat_bogus").unwrap();
    let rig = Rig::with_files(bogus, |config| config).await;
    let reply = rig.person("admin").get(DEAL).await;
    // BottleCRM says 403, which is what it says of hidden records too: the same answer.
    assert_eq!(reply.status, 404);
    assert!(!reply.text().contains("Organization context"), "{}", reply.text());
    rig.stop().await;
}

#[tokio::test]
async fn nobody_gets_in_without_a_key() {
    let rig = Rig::start().await;
    for person in ["nobody", ""] {
        let reply = rig.person(person).get(DEAL).await;
        assert_eq!((reply.status, reply.reason().as_str()), (401, "credential-unknown"));
    }
    assert_eq!(rig.seen(), Vec::<String>::new());
    rig.stop().await;
}
