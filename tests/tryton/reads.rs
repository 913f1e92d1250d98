//! One opportunity, many readers: who sees it, which of its fields, and in which bytes.

use serde_json::{Value, json};

use crate::rig::{OPPORTUNITIES, rig};

/// A list of values as one comparable text, since Tryton's key order differs from run to run.
#[track_caller]
fn check(who: &str, target: &str, expected: &Value) {
    let answer = rig().get(who, target);
    assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{who} {target}");
}

#[track_caller]
fn check_hidden(who: &str, target: &str) {
    let rig = rig();
    let missing = rig.direct("admin", &format!("GET {OPPORTUNITIES}/9999"), None);
    let missing_here = rig.get(who, &format!("{OPPORTUNITIES}/9999"));
    let answer = rig.get(who, target);
    assert_eq!((answer.status, &answer.body), (404, &missing.body), "{who} {target}");
    assert_eq!(answer.header("content-type"), missing.header("content-type"));
    assert_eq!((answer.status, &answer.body), (missing_here.status, &missing_here.body));
    assert_eq!(answer.header_names(), missing_here.header_names());
}

#[test]
fn one_opportunity_five_readers() {
    let target = format!("{OPPORTUNITIES}/1?f=amount&f=comment&f=state&f=reference");
    let amount = json!({"__class__": "Decimal", "decimal": "5000"});
    let all = json!({
        "id": 1, "__name__": "sale.opportunity", "state": "lead", "reference": "REF-0001",
        "amount": amount, "comment": "Internal margin note: 13%",
    });
    let without = |keys: &[&str]| {
        let mut json = all.clone();
        keys.iter().for_each(|key| assert!(json.as_object_mut().unwrap().remove(*key).is_some()));
        json
    };
    check("rep-east", &target, &without(&["comment"]));
    check("manager", &target, &all);
    check("service", &target, &without(&["amount", "comment"]));
    check("admin", &target, &all);
    check_hidden("rep-west", &target);
}

#[test]
fn the_others_row_looks_like_no_row_whatever_is_selected() {
    for query in
        ["", "?f=rec_name", "?f=amount", "?f=employee", "?f=employee.party.name", "?f=party&f=party.name"]
    {
        check_hidden("rep-west", &format!("{OPPORTUNITIES}/1{query}"));
        check_hidden("rep-east", &format!("{OPPORTUNITIES}/2{query}"));
        check_hidden("rep-east", &format!("{OPPORTUNITIES}/5{query}"));
    }
}

#[test]
fn a_selection_is_answered_as_tryton_answers_it() {
    let party = json!({"id": 7, "__name__": "party.party", "name": "Alder Logistics"});
    let employee = json!({"id": 1, "__name__": "company.employee"});
    let person = json!({"id": 2, "__name__": "party.party", "name": "Rep East"});
    let named = json!({"id": 1, "__name__": "company.employee", "party": person});
    let cases: &[(&str, &[(&str, Value)])] = &[
        ("", &[("rec_name", json!("1 [REF-0001]"))]),
        ("?f=id", &[]),
        ("?f=amount", &[("amount", json!({"__class__": "Decimal", "decimal": "5000"}))]),
        ("?f=party", &[("party", json!(7))]),
        ("?f=party.name", &[("party", party.clone())]),
        ("?f=party&f=party.name", &[("party", party)]),
        ("?f=employee", &[("employee", json!(1))]),
        ("?f=employee.id", &[("employee", employee)]),
        ("?f=employee.party.name", &[("employee", named.clone())]),
        ("?f=employee.party.name&f=employee", &[("employee", named)]),
        ("?f=converted_by.rec_name", &[("converted_by", Value::Null)]),
        (
            "?f=start_date",
            &[("start_date", json!({"__class__": "date", "year": 2026, "month": 1, "day": 5}))],
        ),
        ("?f=state&f=state", &[("state", json!("lead"))]),
        ("?f=rec_name&f=number", &[("rec_name", json!("1 [REF-0001]")), ("number", json!("1"))]),
    ];
    for (query, members) in cases {
        let mut expected = json!({"id": 1, "__name__": "sale.opportunity"});
        for (key, value) in *members {
            expected.as_object_mut().unwrap().insert((*key).to_owned(), value.clone());
        }
        check("rep-east", &format!("{OPPORTUNITIES}/1{query}"), &expected);
        assert_eq!(rig().direct("rep-east", &format!("GET {OPPORTUNITIES}/1{query}"), None).json(), expected);
    }
}

#[test]
fn what_policy_needs_is_asked_for_and_not_shown() {
    let rig = rig();
    for (query, sent) in [
        ("", "?f=rec_name&f=employee"),
        ("?f=description", "?f=description&f=employee"),
        ("?f=employee.party.name", "?f=employee.party.name"),
    ] {
        let exchange = rig.ask("rep-east", &format!("GET {OPPORTUNITIES}/1{query}"), None);
        assert_eq!(exchange.answer.status, 200);
        let line = exchange.asked[0].lines().next().unwrap().to_owned();
        assert_eq!(line, format!("GET {OPPORTUNITIES}/1{sent} HTTP/1.1"));
        let has_employee = exchange.answer.json().get("employee").is_some();
        assert_eq!(has_employee, query.contains("employee"), "{query}");
    }
}

#[test]
fn money_keeps_its_text() {
    let rig = rig();
    for text in ["12345.67", "1E+3", "0.10", "99999999999999999999.99"] {
        let changes = json!({"amount": {"__class__": "Decimal", "decimal": text}});
        let path = rig.opportunity("rep-east", &changes, &[]);
        let wire = format!(r#"{{"__class__": "Decimal", "decimal": "{text}"}}"#);
        let direct = rig.direct("rep-east", &format!("GET {path}?f=amount"), None);
        let answer = rig.get("rep-east", &format!("{path}?f=amount"));
        assert!(
            direct.body.contains(&wire) && answer.body.contains(&wire),
            "{} {}",
            direct.body,
            answer.body
        );
    }
}

#[test]
fn parties_show_no_contact_data() {
    let party = "/crm/rest/model/party.party/7";
    let target = format!("{party}?f=name&f=contact_mechanisms&f=email");
    let name = json!({"id": 7, "__name__": "party.party", "name": "Alder Logistics"});
    for who in ["rep-east", "rep-west", "manager", "service"] {
        check(who, &target, &name);
    }
    let all = rig().direct("admin", &format!("GET {target}"), None).json();
    assert_eq!(all["email"], json!("purchasing@alder-logistics.example"));
    check("admin", &target, &all);
    check("service", party, &json!({"id": 7, "__name__": "party.party", "rec_name": "Alder Logistics"}));
    assert_eq!(rig().get("rep-east", "/crm/rest/model/party.party?s=3").ids().len(), 3);
}
