//! Routes with an action of their own: it stands for the keys that it covers, and for nothing else.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;

use super::any_crm::{Answer, AnyCrm};

const DEAL: &str =
    r#"{"id":42,"title":"A","stage":"lead","pipeline":"sales","owner_id":1,"team_id":10,"amount":5}"#;

/// The demo with routes that assign and move, both with fields in their bodies, for people who may not edit.
fn with_doors(options: Options) -> Options {
    let policies = r#"@id("test.no-edit") forbid (principal, action == Action::"edit", resource);"#;
    options.policies(policies).edit("bundle/profile.toml", |profile| {
        profile
            + r#"
[[routes]]
match   = "POST /api/deals/{id:int}/assign"
action  = "assign"
covers  = ["owner_id"]
type    = "Deal"
before  = "GET,HEAD /api/deals/{id:int}"
writes  = { at = "$" }

[[routes]]
match   = "POST /api/deals/{id:int}/close"
action  = "moveStage"
type    = "Deal"
before  = "GET,HEAD /api/deals/{id:int}"
to      = { at = "$.stage" }
writes  = { at = "$" }
also    = [{ when = { at = "$.owner_id", changes = true }, action = "assign" }]
"#
    })
}

async fn start() -> (AnyCrm, TestSidecar) {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(with_doors).await;
    crm.answers(Answer::json(b"{}".to_vec()));
    crm.answers_reads(Answer::json(DEAL.as_bytes().to_vec()));
    (crm, sidecar)
}

/// Whether a request is forwarded; else it is denied.
#[track_caller]
fn check(reply: &lockkeeper::testkit::client::TestReply, is_forwarded: bool) {
    match is_forwarded {
        true => assert_eq!(reply.status, 200, "{}", reply.text()),
        false => assert_eq!((reply.status, reply.reason().as_str()), (403, "denied"), "{}", reply.text()),
    }
}

#[tokio::test]
async fn what_an_action_does_not_cover_is_an_edit_by_every_route() {
    let (crm, sidecar) = start().await;
    for (target, body, is_forwarded) in [
        ("/api/deals/42/assign", r#"{"owner_id":4}"#, true),
        ("/api/deals/42/assign", r#"{"owner_id":4,"title":"B"}"#, false),
        ("/api/deals/42/assign", r#"{"title":"B"}"#, false),
        ("/api/deals/42/close", r#"{"stage":"qualified"}"#, true),
        ("/api/deals/42/close", r#"{"stage":"qualified","title":"B"}"#, false),
    ] {
        let before = crm.seen().len();
        let reply = sidecar.as_person("admin").post(target, body).await;
        check(&reply, is_forwarded);
        let posts = crm.seen().iter().skip(before).filter(|line| line.starts_with("POST")).count();
        assert_eq!(posts, usize::from(is_forwarded), "{target} {body}");
    }
}
