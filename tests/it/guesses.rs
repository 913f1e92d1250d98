//! Guesses and smuggling: what was never shown cannot be asked for by sending it back, and nothing unjudged is forwarded.

use lockkeeper::testkit::TestSidecar;

#[tokio::test]
async fn sending_back_an_empty_contact_does_not_tell_whether_there_is_one() {
    let sidecar = TestSidecar::start().await;
    let mut answers = Vec::new();
    // Contact 107 is of another team, and there is no contact 9999: both show as no contact.
    for contact in ["107", "9999"] {
        sidecar.crm().reset();
        let moved =
            sidecar.crm_caller().patch("/api/deals/42", format!(r#"{{"contact_id":{contact}}}"#)).await;
        assert_eq!(moved.status, 200);
        let caller = sidecar.as_person("rep-east");
        assert!(caller.get("/api/deals/42").await.json()["contact"].is_null());
        answers.push(caller.patch("/api/deals/42", r#"{"contact":null}"#).await.observable());
    }
    assert_eq!(answers[0], answers[1]);
}

/// A merge that empties the phone where it is left out, by somebody who may neither see nor write it.
#[tokio::test]
async fn leaving_out_what_is_hidden_does_not_tell_whether_there_is_any() {
    let sidecar = TestSidecar::with(|options| {
        let clears = |text: String| {
            let (before, route) = text.split_once("match   = \"PATCH /api/contacts/{id:int}\"").unwrap();
            let cleared = route.replacen("writes  = { at = \"$\"", "writes  = { at = \"$\", clears = [\"phone\"]", 1);
            assert_ne!(cleared, route);
            format!("{before}match   = \"PATCH /api/contacts/{{id:int}}\"{cleared}")
        };
        options.edit("bundle/profile.toml", clears).policies(
            r#"@id("no-phone") forbid (principal, action in [Action::"fieldRead", Action::"fieldWrite"], resource is Contact)
            when { context.field == Field::"Contact.phone" };"#,
        )
    })
    .await;
    let mut answers = Vec::new();
    for phone in ["null", "\"1\""] {
        sidecar.crm().reset();
        let body = format!("{{\"phone\":{phone},\"owner_id\":1}}");
        assert_eq!(sidecar.crm_caller().patch("/api/contacts/101", body).await.status, 200);
        answers.push(sidecar.as_person("rep-east").patch("/api/contacts/101", r#"{"name":"x"}"#).await);
    }
    assert_eq!(answers[0].observable(), answers[1].observable());
    assert_eq!(answers[0].reason(), "fields-denied");
}

#[tokio::test]
async fn a_member_that_nobody_judges_is_refused_even_if_it_is_empty() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("manager-east");
    for (target, body) in [
        ("/api/deals/42/move", r#"{"stage":"negotiation","force":{}}"#),
        ("/api/deals/42/move", r#"{"stage":"negotiation","x":{"y":[]}}"#),
        ("/api/deals/bulk", r#"{"ids":[42],"set":{"title":"x"},"all":[]}"#),
    ] {
        let reply = caller.post(target, body).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "body-shape"), "{body}");
    }
    assert!(sidecar.crm_writes().is_empty());
}

#[tokio::test]
async fn a_filter_is_one_field_and_one_known_operator() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("admin");
    for target in ["/api/deals?title__margin__gte=1", "/api/deals?title__=x", "/api/deals?title__regex=x"] {
        let reply = caller.get(target).await;
        assert_eq!((reply.status, reply.reason().as_str()), (403, "reference-refused"), "{target}");
    }
    assert!(sidecar.crm_saw().is_empty());
    assert_eq!(caller.get("/api/deals?title__contains=storage").await.status, 200);
}

#[tokio::test]
async fn a_part_of_a_composite_does_not_erase_what_no_field_claims() {
    let sidecar = TestSidecar::start().await;
    let with_geo = r#"{"address":{"street":"a","city":"b","postal_code":"c","geo":"51.9,4.4"}}"#;
    assert_eq!(sidecar.crm_caller().patch("/api/deals/42", with_geo).await.status, 200);
    let reply = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"address":{"street":"x"}}"#).await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "fields-denied"));
    assert!(!reply.text().contains("geo"));
    assert_eq!(sidecar.crm_caller().get("/api/deals/42").await.json()["address"]["geo"], "51.9,4.4");
}

#[tokio::test]
async fn what_a_caller_may_write_deep_stays_readable_in_lists() {
    let sidecar = TestSidecar::start().await;
    let tags = |depth: usize| format!(r#"{{"tags":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let caller = sidecar.as_person("manager-east");
    assert_eq!(caller.patch("/api/deals/42", tags(63)).await.status, 200);
    assert_eq!(caller.patch("/api/deals/42", tags(64)).await.reason(), "json-depth");
    assert_eq!(sidecar.as_person("rep-east").get("/api/deals").await.status, 200);
    assert_eq!(sidecar.as_person("service").get("/api/companies/201").await.status, 200);
}

#[tokio::test]
async fn callers_words_for_methods_do_not_reach_the_ledger() {
    let sidecar = TestSidecar::start().await;
    let reply = sidecar.as_person("rep-east").send("CANARYMETHOD", "/api/deals/42", "").await;
    assert_eq!(reply.reason(), "route-unmapped");
    assert_eq!(sidecar.ledger().decision(&reply)["method"], "other");
}
