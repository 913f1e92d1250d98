//! Filters and orders in Tryton's own form, base64 of JSON: those whose fields the caller may read on every record reach it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::rig::{OPPORTUNITIES, rig};

fn encoded(json: &str) -> String {
    URL_SAFE.encode(json)
}

/// The rows that a person gets are those that Tryton itself finds, but for the rows of others.
#[track_caller]
fn check(who: &str, parameters: &[(&str, &str)], employee: Option<u64>) {
    let rig = rig();
    let query: Vec<String> =
        parameters.iter().map(|(name, json)| format!("{name}={}", encoded(json))).collect();
    let query = query.join("&");
    let answer = rig.get(who, &format!("{OPPORTUNITIES}?f=description&{query}"));
    assert_eq!(answer.status, 200, "{who} {parameters:?} {answer:?}");
    let own = rig.direct("admin", &format!("GET {OPPORTUNITIES}?f=employee&{query}"), None).json();
    let rows = own.as_array().unwrap().iter();
    let rows = rows.filter(|row| employee.is_none_or(|id| row["employee"] == serde_json::json!(id)));
    let expected: Vec<u64> = rows.map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(answer.ids(), expected, "{who} {parameters:?}");
    assert!(expected.len() > 1, "{parameters:?} finds next to nothing");
}

#[track_caller]
fn refused(who: &str, name: &str, json: &str) {
    let rig = rig();
    let exchange = rig.ask(who, &format!("GET {OPPORTUNITIES}?f=description&{name}={}", encoded(json)), None);
    assert_eq!(
        (exchange.answer.status, exchange.answer.reason().as_str()),
        (403, "reference-refused"),
        "{who} {json}"
    );
    assert_eq!(exchange.asked, Vec::<String>::new(), "{who} {json}");
}

#[test]
fn domains_reach_tryton() {
    for domain in [
        "[]",
        r#"[["state","=","lead"]]"#,
        r#"["OR",["state","=","lost"],[["state","=","lead"],["description","ilike","%renewal%"]]]"#,
        r#"[["party.name","like","A%"]]"#,
        r#"[["party","in",[7,8]]]"#,
        r#"[["employee.rec_name","ilike","%east%"],["rec_name","ilike","%1%"]]"#,
        r#"[["start_date",">",{"__class__":"date","year":2026,"month":1,"day":8}]]"#,
    ] {
        check("service", &[("d", domain)], None);
        check("rep-east", &[("d", domain)], Some(1));
    }
    let amount = r#"[["amount",">",{"__class__":"Decimal","decimal":"20000"}]]"#;
    check("admin", &[("d", amount), ("o", r#"[["amount","DESC NULLS LAST"],["id","ASC"]]"#)], None);
    check("service", &[("o", r#"[["state","desc"],["party","ASC"],["id","ASC"]]"#)], None);
}

#[test]
fn hidden_fields_are_no_oracle() {
    for (name, json) in [
        ("d", r#"[["amount",">",20000]]"#),
        ("d", r#"[["state","=","lead"],["OR",["comment","ilike","%4%"],["state","=","lost"]]]"#),
        ("o", r#"[["amount","ASC"]]"#),
        ("o", r#"[["state","ASC"],["comment","ASC"]]"#),
        // Tryton finds a party by its e-mail addresses and phone numbers too, however one gets to it.
        ("d", r#"[["party.rec_name","ilike","%555%"]]"#),
        ("d", r#"[["employee.party.rec_name","ilike","%555%"]]"#),
        ("d", r#"[["party","ilike","%555%"]]"#),
        ("d", r#"[["party.email","ilike","%@%"]]"#),
        ("d", r#"[["party.contact_mechanisms","=",1]]"#),
    ] {
        refused("service", name, json);
    }
    refused("rep-east", "d", r#"[["comment","ilike","%4%"]]"#);
}

#[test]
fn what_is_more_than_a_domain_never_reaches_tryton() {
    for (name, json) in [
        ("d", r#"[["party","where",[["contact_mechanisms.value","ilike","%5%"]]]]"#),
        ("d", r#"[["party.contact_mechanisms.value","ilike","%5%"]]"#),
        ("d", r#"[["party","child_of",[7],"name"]]"#),
        ("d", r#"[["lines.amount",">",5]]"#),
        ("d", r#"[["create_uid","=",1]]"#),
        ("d", r#"[["state","=","lead","sale.opportunity"]]"#),
        ("d", r#"[["state","=","lead"]]]"#),
        ("d", r#"["OR"]"#),
        ("d", r#"{"__class__":"Decimal","decimal":"1"}"#),
        ("o", r#"[["employee","ASC"]]"#),
        ("o", r#"[["state","ASC; drop"]]"#),
        ("o", r#"["state","ASC"]"#),
    ] {
        refused("admin", name, json);
    }
}

/// Tryton is asked for the caller's own rows, so pages are full, and nothing that is hidden shapes them.
#[test]
fn pages_of_a_filter_are_of_the_callers_own_rows() {
    let rig = rig();
    for (who, domain, own) in [
        ("rep-east", r#"[["state","=","lead"]]"#, r#"[["employee","=",1],["state","=","lead"]]"#),
        // A rep may read the amounts of their own opportunities, and only those are left.
        ("rep-east", r#"[["amount",">",20000]]"#, r#"[["employee","=",1],["amount",">",20000]]"#),
        ("service", r#"[["state","=","lead"]]"#, r#"[["state","=","lead"]]"#),
    ] {
        let exchange =
            rig.ask(who, &format!("GET {OPPORTUNITIES}?f=description&d={}&s=3", encoded(domain)), None);
        let direct = rig.direct("admin", &format!("GET {OPPORTUNITIES}?d={}&s=3", encoded(own)), None);
        assert_eq!((exchange.answer.ids(), exchange.answer.ids().len()), (direct.ids(), 3), "{who} {domain}");
        assert!(exchange.asked[0].contains(&encoded(own).replace('=', "%3D")), "{:?}", exchange.asked);
    }
    // A manager's people are a list.
    let exchange = rig.ask("manager", &format!("GET {OPPORTUNITIES}?s=3"), None);
    assert_eq!(exchange.answer.ids().len(), 3);
    assert!(exchange.asked[0].contains("&d="), "{:?}", exchange.asked);
}
