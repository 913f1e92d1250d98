//! Buttons: stage moves through Tryton's verbs, and the RPC methods that stand in the same place of the path.

use serde_json::{Value, json};

use crate::client::Call;
use crate::rig::{OPPORTUNITIES, rig};

/// A verb by somebody on a new opportunity of `rep-east`, led there by buttons; then Tryton holds that state.
#[track_caller]
fn check(who: &str, buttons: &[&str], verb: &str, expected: (u16, &str), held: &str) {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), buttons);
    let exchange = rig.ask(who, &format!("POST {path}/{verb}?f=state"), None);
    let answer = exchange.answer;
    let outcome = match answer.status {
        200 => {
            answer.json().get("state").map_or(answer.body.clone(), |state| state.as_str().unwrap().to_owned())
        }
        _ => answer.reason(),
    };
    assert_eq!((answer.status, outcome.as_str()), expected, "{who} {verb} {answer:?}");
    assert_eq!(rig.held(&path, "state"), json!(held), "{who} {verb}");
    let posts = exchange.asked.iter().filter(|head| head.starts_with("POST")).count();
    assert_eq!(posts, usize::from(answer.status == 200), "{who} {verb}");
}

#[test]
fn moves_that_policy_permits_are_made() {
    check("rep-east", &[], "opportunity", (200, "opportunity"), "opportunity");
    check("rep-east", &["opportunity"], "lead", (200, "lead"), "lead");
    check("rep-east", &[], "lost", (200, "lost"), "lost");
    check("rep-east", &["opportunity"], "cancel", (200, "cancelled"), "cancelled");
    check("manager", &["lost"], "lead", (200, "lead"), "lead");
    check("admin", &["cancel"], "lead", (200, "lead"), "lead");
}

#[test]
fn moves_that_policy_does_not_permit_change_nothing() {
    let denied = (403, "stage-move-denied");
    check("service", &[], "opportunity", denied, "lead");
    check("service", &[], "lost", denied, "lead");
    check("rep-east", &["lost"], "lead", denied, "lost");
    check("rep-east", &["cancel"], "lead", denied, "cancelled");
    check("rep-west", &[], "lost", (404, "none"), "lead");
}

#[test]
fn a_name_in_escapes_is_the_same_verb() {
    check("service", &[], "%6cost", (403, "stage-move-denied"), "lead");
    check("rep-east", &[], "%6cost", (200, "lost"), "lost");
}

#[test]
fn rpc_methods_are_refused() {
    let unlisted = (403, "verb-unlisted");
    for method in [
        "write",
        "copy",
        "delete",
        "search_read",
        "read",
        "export_data",
        "won",
        "Lost",
        "%77rite",
        "__init__",
    ] {
        check("admin", &[], method, unlisted, "lead");
    }
    let rig = rig();
    for (target, expected) in [
        ("search_read", (403, "route-unmapped")),
        ("create", (403, "route-unmapped")),
        ("1%2Flost", (400, "path-encoded-slash")),
        ("1/lost/", (403, "route-unmapped")),
        ("1/%2e%2e/2/lost", (400, "path-dot-segment")),
        ("1/lost;x", (400, "path-parameter")),
        ("1/%256cost", (400, "path-double-encoding")),
    ] {
        let exchange = rig.ask("admin", &format!("POST {OPPORTUNITIES}/{target}"), None);
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), expected, "{target}");
        assert_eq!(exchange.asked, Vec::<String>::new(), "{target}");
    }
}

#[test]
fn convert_is_for_managers_and_answers_nothing_of_trytons() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &["opportunity"]);
    for verb in ["convert", "%63onvert"] {
        for (who, expected) in [("rep-east", "stage-move-denied"), ("service", "stage-move-denied")] {
            let exchange = rig.ask(who, &format!("POST {path}/{verb}"), None);
            assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), (403, expected));
            assert!(exchange.asked.iter().all(|head| head.starts_with("GET ")), "{:?}", exchange.asked);
            assert_eq!(
                (rig.held(&path, "state"), rig.held(&path, "sales")),
                (json!("opportunity"), json!([]))
            );
        }
    }
    let exchange = rig.ask("manager", &format!("POST {path}/convert"), None);
    assert_eq!((exchange.answer.status, exchange.answer.body.as_str()), (200, "{}"));
    assert_eq!(rig.held(&path, "state"), json!("converted"));
    assert_eq!(rig.held(&path, "sales").as_array().map(Vec::len), Some(1));
    assert_eq!(rig.ask("manager", &format!("POST {path}/convert"), None).answer.status, 400, "not twice");
}

#[test]
fn a_verb_takes_no_body() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let line = format!("POST {path}/lost?f=state");
    let send = |body| rig.send(&Call { line: &line, key: Some(rig.key("rep-east")), headers: &[], body });
    for body in ["{}", r#"{"values":{"amount":1}}"#, "null"] {
        let exchange = send(Some(body));
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), (400, "body-unexpected"));
        assert_eq!(exchange.asked, Vec::<String>::new());
    }
    // Tryton itself refuses an empty body of type JSON; the type of nothing is not passed on.
    let typed = Call { line: &line, key: Some(rig.key("rep-east")), headers: &[], body: Some("") };
    assert_eq!(rig.send_direct(&typed).status, 400);
    let exchange = send(Some(""));
    assert_eq!((exchange.answer.status, &exchange.answer.json()["state"]), (200, &Value::from("lost")));
    assert!(!exchange.asked[1].to_ascii_lowercase().contains("content-type"), "{:?}", exchange.asked);
}
