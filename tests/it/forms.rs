//! Writes that are no JSON: a form is judged as the object of its keys, and the CRM gets what was judged, written anew.

use http::Method;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

use super::versions::versioned;

const AT: &str = "/api/deals/42";
const ROUTES: &[&str] = &["PATCH /api/deals/{id:int}", "POST /api/deals/{id:int}/move"];
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const PARTS: &str = "Content-Type: multipart/form-data; boundary=XX";

/// The demo with routes that take forms too. The CRM itself takes JSON alone, so it answers 400 to what it gets.
async fn start() -> TestSidecar {
    TestSidecar::with(|options| {
        let options = versioned(options, ROUTES, r#"{ from = "record.version", to = "body.$.version" }"#);
        options.edit("bundle/profile.toml", |profile| {
            let version = "version = { from = \"record.version\"";
            assert_eq!(profile.matches(version).count(), ROUTES.len());
            profile.replace(version, &format!("body = [\"json\", \"form\", \"multipart\"]\n{version}"))
        })
    })
    .await
}

/// The body of what was forwarded, if anything was.
fn forwarded(sidecar: &TestSidecar) -> Option<String> {
    let requests = sidecar.crm().requests();
    let write = requests.into_iter().find(|request| request.method != Method::GET)?;
    Some(String::from_utf8(write.body.to_vec()).unwrap())
}

async fn send(sidecar: &TestSidecar, person: &str, kind: &str, target: &str, body: &str) -> TestReply {
    sidecar.crm().reset();
    let method = if target.ends_with("/move") { "POST" } else { "PATCH" };
    sidecar.as_person(person).with_header(kind).send(method, target, body).await
}

/// A form as parts.
fn parts(form: &str) -> String {
    let pairs = form_urlencoded::parse(form.as_bytes()).map(|(key, value)| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n")
    });
    pairs.collect::<String>() + "--XX--\r\n"
}

#[tokio::test]
async fn a_form_is_judged_as_the_object_of_its_keys() {
    let sidecar = start().await;
    for (person, target, form, status, reason) in [
        ("rep-east", AT, "margin=1", 403, "fields-denied"),
        ("rep-east", AT, "margin=", 403, "fields-denied"),
        ("rep-east", AT, "m%61rgin=1&title=x", 403, "fields-denied"),
        ("rep-east", AT, "title=x&no_such_field=", 403, "fields-denied"),
        ("rep-east", AT, "amount_formatted=1", 403, "fields-denied"),
        ("rep-east", AT, "address.street=x", 403, "fields-denied"),
        ("rep-east", AT, "address[street]=x", 403, "fields-denied"),
        ("rep-east", AT, "stage=won", 403, "stage-move-denied"),
        ("rep-east", AT, "title=x&st%61ge=won", 403, "stage-move-denied"),
        ("rep-east", "/api/deals/42/move", "stage=won", 403, "stage-move-denied"),
        ("admin", AT, "stage=", 422, "stage-unknown"),
        ("admin", AT, "pipeline=", 422, "stage-unknown"),
        ("rep-east", AT, "owner_id=2", 403, "denied"),
        ("rep-east", AT, "owner_id=", 403, "denied"),
        ("rep-east", AT, "id=43&title=x", 400, "id-conflict"),
        ("rep-east", AT, "title=x&title=y", 400, "form-duplicate-key"),
        ("rep-east", AT, "title=x&t%69tle=y", 400, "form-duplicate-key"),
        ("rep-east", AT, "version=2&title=x", 409, "record-changed"),
        ("service", AT, "title=x", 403, "denied"),
    ] {
        for (kind, body) in [(FORM, form.to_owned()), (PARTS, parts(form))] {
            let reply = send(&sidecar, person, kind, target, &body).await;
            assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{person} {kind} {form}");
            assert_eq!(forwarded(&sidecar), None, "{person} {kind} {form}");
        }
    }
}

#[tokio::test]
async fn the_crm_gets_what_was_judged() {
    let sidecar = start().await;
    for (target, form, expected) in [
        (AT, "title=%4eew+one&amount=1.50", "title=New%20one&amount=1.50&version=1"),
        (AT, "title=", "title=&version=1"),
        (AT, "title=a%26stage%3Dwon", "title=a%26stage%3Dwon&version=1"),
        (AT, "version=1&title=x", "version=1&title=x"),
        // What says nothing new is left out.
        (AT, "stage=proposal&title=x", "title=x&version=1"),
        ("/api/deals/42/move", "stage=negotiation", "stage=negotiation&version=1"),
    ] {
        let reply = send(&sidecar, "rep-east", FORM, target, form).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "crm-rejected"), "{form}");
        assert_eq!(forwarded(&sidecar).as_deref(), Some(expected), "{form}");
        send(&sidecar, "rep-east", PARTS, target, &parts(form)).await;
        let sent = forwarded(&sidecar).unwrap();
        for (key, value) in form_urlencoded::parse(expected.as_bytes()) {
            assert!(sent.contains(&format!("name=\"{key}\"\r\n\r\n{value}\r\n")), "{form}: {sent}");
        }
        assert_eq!(sent.matches("name=").count(), expected.split('&').count(), "{form}: {sent}");
    }
}
