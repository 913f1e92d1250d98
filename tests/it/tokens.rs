//! The tokens of the admin listener: each opens its own part, and is replaced while the service runs.

use lockkeeper::service::reload::Reloaded;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::folder::Options;

const ADMIN: &str = "admin-token-canary-90ab";
const AUTHZEN: &str = "authzen-token-canary-17cd";
const QUESTIONS: &[&str] = &["/access/v1/evaluation", "/access/v1/evaluations"];

fn with_both(options: Options) -> Options {
    options
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("admin", "token_file", "\"admin.token\"")
        .set("admin", "authzen_token_file", "\"authzen.token\"")
        .edit("admin.token", |_| ADMIN.to_owned())
        .edit("authzen.token", |_| AUTHZEN.to_owned())
}

fn holder(sidecar: &TestSidecar, token: &str) -> Caller {
    Caller::new(sidecar.running().admin_address.unwrap())
        .with_header(&format!("Authorization: Bearer {token}"))
        .with_header("Content-Type: application/json")
}

/// What a token is answered: for an operator's paths, and for those of AuthZEN. Without one question, AuthZEN says 400.
async fn statuses(sidecar: &TestSidecar, token: &str) -> (Vec<u16>, Vec<u16>) {
    let holder = holder(sidecar, token);
    let operators = vec![
        holder.get("/metrics").await.status,
        holder.get("/status").await.status,
        holder.post("/reload", "").await.status,
    ];
    let mut services = vec![holder.get("/.well-known/authzen-configuration").await.status];
    for path in QUESTIONS {
        services.push(holder.post(path, "{}").await.status);
    }
    (operators, services)
}

const OPEN: (&[u16], &[u16]) = (&[200, 200, 200], &[200, 400, 400]);
const SHUT: &[u16] = &[401, 401, 401];

#[track_caller]
fn check(found: &(Vec<u16>, Vec<u16>), operators: &[u16], services: &[u16]) {
    assert_eq!((found.0.as_slice(), found.1.as_slice()), (operators, services));
}

#[tokio::test]
async fn whoever_may_ask_questions_can_do_nothing_else() {
    let sidecar = TestSidecar::with(with_both).await;
    check(&statuses(&sidecar, AUTHZEN).await, SHUT, OPEN.1);
    check(&statuses(&sidecar, ADMIN).await, OPEN.0, SHUT);
    check(&statuses(&sidecar, "").await, SHUT, SHUT);
    assert_eq!(
        holder(&sidecar, AUTHZEN).get("/nowhere").await.status,
        401,
        "what there is, is for operators"
    );
}

#[tokio::test]
async fn tokens_are_replaced_without_a_restart() {
    const NEXT: &str = "admin-token-canary-next";
    let sidecar = TestSidecar::with(with_both).await;
    let reloaded = sidecar.reload_with("admin.token", |_| format!("  {NEXT}\n")).await;
    assert!(matches!(reloaded, Reloaded::Active { .. }), "{reloaded:?}");
    check(&statuses(&sidecar, ADMIN).await, SHUT, SHUT);
    check(&statuses(&sidecar, NEXT).await, OPEN.0, SHUT);
    check(&statuses(&sidecar, AUTHZEN).await, SHUT, OPEN.1);
    // What cannot be used leaves both as they are, and holds up nothing else.
    for (content, said) in
        [("short", "has 5 bytes, less than 16"), ("", "holds no secret"), (NEXT, "hold the same token")]
    {
        let reloaded = sidecar.reload_with("authzen.token", |_| content.to_owned()).await;
        let Reloaded::Refused { parts, problems } = reloaded else { panic!("{content}: {reloaded:?}") };
        assert_eq!(parts, ["tokens"]);
        assert!(problems.contains("authzen.token") && problems.contains(said), "{problems}");
        assert!(!problems.contains(NEXT), "{problems}");
        assert_eq!(holder(&sidecar, NEXT).post("/reload", "").await.status, 422);
        assert_eq!(holder(&sidecar, AUTHZEN).get("/.well-known/authzen-configuration").await.status, 200);
    }
    assert!(!sidecar.folder().all_text("state").contains(NEXT));
}

/// The look at files takes in the tokens, so that a file which changed is read without anybody asking.
#[tokio::test]
async fn a_token_that_changed_calls_for_reading() {
    let sidecar = TestSidecar::with(|options| with_both(options).set("bundle", "reload_poll_ms", "20")).await;
    sidecar.folder().write("authzen.token", "authzen-token-canary-next");
    let asker = holder(&sidecar, "authzen-token-canary-next");
    while asker.get("/.well-known/authzen-configuration").await.status != 200 {
        lockkeeper::testkit::a_moment().await;
    }
    check(&statuses(&sidecar, AUTHZEN).await, SHUT, SHUT);
}
