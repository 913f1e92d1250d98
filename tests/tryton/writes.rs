//! Changes by `PUT`, `POST` and `DELETE`: what policy does not permit never reaches Tryton, what it permits is really done.

use serde_json::{Value, json};

use crate::client::Call;
use crate::rig::{Exchange, OPPORTUNITIES, rig};

/// The methods of what Tryton was asked, e.g. `["GET", "PUT"]`.
fn methods(exchange: &Exchange) -> Vec<&str> {
    exchange.asked.iter().filter_map(|head| head.split(' ').next()).collect()
}

/// A `PUT` by somebody on a new opportunity of `rep-east` that must change nothing.
#[track_caller]
fn check_refused(who: &str, body: &Value, expected: (u16, &str), fields: &[&str]) {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let before = rig.held(&path, "write_date");
    let exchange = rig.ask(who, &format!("PUT {path}"), Some(body));
    let answer = &exchange.answer;
    assert_eq!((answer.status, answer.reason().as_str()), expected, "{who} {body} {answer:?}");
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let named = problem.get("fields").cloned().unwrap_or(json!([]));
    assert_eq!(named, json!(fields), "{who} {body}");
    assert!(!methods(&exchange).contains(&"PUT"), "{who} {body}");
    assert_eq!(rig.held(&path, "write_date"), before, "{who} {body}");
}

/// A `PUT` by somebody on a new opportunity of `rep-east` that must be done.
#[track_caller]
fn check_done(who: &str, body: &Value, field: &str, expected: &Value) {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let exchange = rig.ask(who, &format!("PUT {path}?f={field}"), Some(body));
    assert_eq!(exchange.answer.status, 200, "{who} {body} {:?}", exchange.answer);
    assert_eq!(methods(&exchange), ["GET", "PUT"]);
    assert_eq!(rig.held(&path, field), *expected, "{who} {body}");
}

fn money(text: &str) -> Value {
    json!({"__class__": "Decimal", "decimal": text})
}

#[test]
fn a_rep_changes_what_is_theirs_to_change() {
    check_done("rep-east", &json!({"description": "renewed"}), "description", &json!("renewed"));
    check_done("rep-east", &json!({"amount": money("12345.67")}), "amount", &money("12345.67"));
    check_done("rep-east", &json!({"amount": null}), "amount", &Value::Null);
    check_done("rep-east", &json!({"party": 8, "reference": "R"}), "party", &json!(8));
    check_done("rep-east", &json!({"employee": 1}), "employee", &json!(1));
    check_done("manager", &json!({"comment": "17 %"}), "comment", &json!("17 %"));
    check_done("manager", &json!({"employee": 2}), "employee", &json!(2));
}

#[test]
fn an_answer_to_a_write_is_cut_like_any_other() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let line = format!("PUT {path}?f=comment&f=description");
    let answer = rig.ask("rep-east", &line, Some(&json!({"description": "x"}))).answer;
    let id: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(answer.json(), json!({"id": id, "__name__": "sale.opportunity", "description": "x"}));
}

#[test]
fn fields_that_are_not_the_callers() {
    let denied = (403, "fields-denied");
    check_refused("rep-east", &json!({"comment": "x"}), denied, &["comment"]);
    check_refused("rep-east", &json!({"description": "x", "comment": "y"}), denied, &["comment"]);
    check_refused("rep-east", &json!({"number": "9"}), denied, &["number"]);
    check_refused("rep-east", &json!({"rec_name": "x"}), denied, &["rec_name"]);
    check_refused("rep-east", &json!({"nosuch": 1}), denied, &["nosuch"]);
    check_refused("admin", &json!({"party": {"name": "x"}}), denied, &["party"]);
    check_refused("rep-east", &json!({"sales": []}), denied, &["sales"]);
    check_refused("manager", &json!({"lines": [["create", [{"quantity": 1}]]]}), denied, &["lines"]);
    check_refused("rep-west", &json!({"description": "x"}), (404, "none"), &[]);
    check_refused("service", &json!({"description": "x"}), (403, "denied"), &[]);
    check_refused("rep-east", &json!({"employee": 2}), (403, "denied"), &[]);
    check_refused("rep-east", &json!({"employee": "2"}), (403, "denied"), &[]);
    check_refused("rep-east", &json!({"employee": null}), (403, "denied"), &[]);
    check_refused("rep-east", &json!({"employee": 77}), (403, "denied"), &[]);
    check_refused("rep-east", &json!({"id": 2, "description": "x"}), (400, "id-conflict"), &[]);
    check_refused("rep-east", &json!([]), (400, "body-shape"), &[]);
}

#[test]
fn a_stage_in_a_body_is_a_stage_move() {
    check_refused("rep-east", &json!({"state": "converted"}), (403, "stage-move-denied"), &[]);
    check_refused("rep-east", &json!({"state": "won"}), (422, "stage-unknown"), &[]);
    check_refused("service", &json!({"state": "lost"}), (403, "stage-move-denied"), &[]);
}

#[test]
fn a_limit_on_amounts_sees_every_form() {
    let denied = (403, "fields-denied");
    for amount in [money("1000000.01"), money("2E+6"), json!("2000000"), json!(2_000_000), json!(2e6)] {
        check_refused("rep-east", &json!({"amount": amount}), denied, &["amount"]);
    }
    // No amount that policy can read, so nothing says that the limit holds.
    for amount in [money("NaN"), money("2000000.00001"), json!({"decimal": {}}), json!([2_000_000])] {
        check_refused("rep-east", &json!({"amount": amount}), denied, &["amount"]);
    }
    check_done("rep-east", &json!({"amount": money("1E+6")}), "amount", &money("1E+6"));
    check_done("rep-east", &json!({"amount": "250.50"}), "amount", &money("250.50"));
    check_done("rep-east", &json!({"amount": 250}), "amount", &money("250"));
    check_done("manager", &json!({"amount": money("2E+6")}), "amount", &money("2E+6"));
}

#[test]
fn new_opportunities() {
    let rig = rig();
    let line = format!("POST {OPPORTUNITIES}?f=state&f=amount&f=comment");
    let body = json!({"company": 1, "currency": 1, "party": 7, "employee": 1, "amount": money("500.10")});
    let with = |key: &str, value: Value| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().insert(key.to_owned(), value);
        body
    };
    let made = rig.ask("rep-east", &line, Some(&body));
    assert_eq!((made.answer.status, methods(&made)), (200, vec!["POST"]), "{:?}", made.answer);
    let json = made.answer.json();
    assert_eq!(
        (&json["state"], &json["amount"], json.get("comment")),
        (&json!("lead"), &money("500.10"), None)
    );
    assert_eq!(rig.held(&format!("{OPPORTUNITIES}/{}", json["id"]), "employee"), json!(1));

    for (who, body, expected) in [
        ("rep-west", body.clone(), (403, "denied")),
        ("service", body.clone(), (403, "denied")),
        ("rep-east", with("employee", Value::Null), (403, "denied")),
        ("rep-east", with("state", json!("converted")), (403, "denied")),
        ("rep-east", with("comment", json!("x")), (403, "fields-denied")),
        ("rep-east", with("lines", json!([])), (403, "fields-denied")),
        ("rep-east", with("amount", money("1000000.01")), (403, "fields-denied")),
    ] {
        let exchange = rig.ask(who, &line, Some(&body));
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), expected, "{who} {body}");
        assert_eq!(exchange.asked, Vec::<String>::new(), "{who} {body}");
    }
}

#[test]
fn removal() {
    let rig = rig();
    let ended = rig.opportunity("rep-east", &json!({}), &["cancel"]);
    for (who, path, expected) in [
        ("rep-east", &ended, (403, "denied")),
        ("service", &ended, (403, "denied")),
        ("manager", &rig.opportunity("rep-east", &json!({}), &[]), (403, "denied")),
    ] {
        let exchange = rig.ask(who, &format!("DELETE {path}"), None);
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), expected, "{who} {path}");
        assert_eq!(methods(&exchange), ["GET"], "{who} {path}");
    }
    assert_eq!(rig.ask("rep-west", &format!("DELETE {ended}"), None).answer.status, 404);
    let exchange = rig.ask("manager", &format!("DELETE {ended}"), None);
    assert_eq!((exchange.answer.status, exchange.answer.body.as_str()), (204, ""));
    assert_eq!(rig.direct("admin", &format!("GET {ended}"), None).status, 404);
}

#[test]
fn what_tryton_says_no_to_is_not_repeated() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({"reference": "SECRET-7"}), &[]);
    for (line, body, said) in [
        (format!("POST {path}/lead"), None, "SECRET-7"),
        (format!("PUT {path}"), Some(json!({"conversion_probability": 7})), "SECRET-7"),
        (format!("PUT {path}"), Some(json!({"state": "lost"})), "not allowed to modify"),
    ] {
        let own = rig.direct("rep-east", &line, body.as_ref());
        assert!(own.status == 400 && own.body.contains(said), "{own:?}");
        let answer = rig.ask("rep-east", &line, body.as_ref()).answer;
        assert_eq!((answer.status, answer.reason().as_str()), (400, "crm-rejected"), "{answer:?}");
        assert!(!answer.body.contains(said) && !answer.body.contains("message"), "{answer:?}");
    }
}

#[test]
fn bodies_that_can_be_read_in_two_ways() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let line = format!("PUT {path}");
    for (body, reason) in [
        (r#"{"description":"a","description":"b"}"#, "json-duplicate-key"),
        (r#"{"description":"a""#, "json-syntax"),
        ("", "body-missing"),
    ] {
        let call = Call { line: &line, key: Some(rig.key("rep-east")), headers: &[], body: Some(body) };
        let exchange = rig.send(&call);
        assert_eq!((exchange.answer.status, exchange.answer.reason().as_str()), (400, reason));
        assert_eq!(exchange.asked, Vec::<String>::new(), "{body}");
    }
}
