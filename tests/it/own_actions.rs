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

/// A CRM may take a composite for all there is of it, so a part that is left out is written like one that is stated.
#[tokio::test]
async fn a_part_of_a_composite_needs_its_action_where_the_rest_is_written() {
    let crm = AnyCrm::start().await;
    let sharing = |options: Options| {
        options.policies(r#"@id("test.no") forbid (principal, action == Action::"share", resource);"#).edit(
            "bundle/profile.toml",
            |profile| {
                let also = |at: &str, action: &str| {
                    format!("{{ when = {{ at = \"{at}\", changes = true }}, action = \"{action}\" }}")
                };
                ["$", "$.set"].iter().fold(profile, |profile, at| {
                    let assign = also(&format!("{at}.owner_id"), "assign");
                    let share = also(&format!("{at}.address.city"), "share");
                    profile.replace(&format!("{assign}]"), &format!("{assign}, {share}]"))
                })
            },
        )
    };
    let sidecar = crm.behind(sharing).await;
    let deal = DEAL.replace('}', r#","address":{"city":"B","postal_code":"2"}}"#);
    crm.answers(Answer::json(deal.into_bytes()));
    for (body, is_forwarded) in [
        (r#"{"title":"B"}"#, true),
        (r#"{"address":{"city":"B","postal_code":"3"}}"#, true),
        (r#"{"address":{"city":"C","postal_code":"2"}}"#, false),
        (r#"{"address":{"postal_code":"2"}}"#, false),
        (r#"{"address":{}}"#, false),
        (r#"{"address":null}"#, false),
    ] {
        check(&sidecar.as_person("admin").patch("/api/deals/42", body).await, is_forwarded);
    }
}
