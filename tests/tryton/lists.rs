//! Lists: rows of others are gone, pages stay pages, and no count tells of what was removed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::rig::{OPPORTUNITIES, Rig, rig};

/// The ids of a page of Tryton's own, of the rows of one employee or of all: pages are full.
#[track_caller]
fn expected(rig: &Rig, query: &str, headers: &[(&str, &str)], employee: Option<u64>) -> Vec<u64> {
    let own =
        employee.map(|id| format!("&d={}", URL_SAFE.encode(json!([["employee", "=", id]]).to_string())));
    direct(rig, &format!("{query}{}", own.unwrap_or_default()), headers).ids()
}

#[track_caller]
fn direct(rig: &Rig, query: &str, headers: &[(&str, &str)]) -> Answer {
    let line = format!("GET {OPPORTUNITIES}?f=employee{query}");
    rig.send_direct(&Call { line: &line, key: Some(rig.key("admin")), headers, body: None })
}

#[track_caller]
fn through(rig: &Rig, who: &str, query: &str, headers: &[(&str, &str)]) -> Answer {
    let line = format!("GET {OPPORTUNITIES}?f=description{query}");
    rig.send(&Call { line: &line, key: Some(rig.key(who)), headers, body: None }).answer
}

/// The keys of each row, sorted: Tryton writes them in an order of the day.
fn keys_of_rows(rows: &Value) -> Vec<Vec<String>> {
    let keys = |row: &Value| {
        let mut keys: Vec<String> = row.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    rows.as_array().unwrap().iter().map(keys).collect()
}

#[track_caller]
fn check(query: &str, headers: &[(&str, &str)]) {
    let rig = rig();
    for (who, employee) in [("rep-east", Some(1)), ("rep-west", Some(2)), ("service", None), ("admin", None)]
    {
        let answer = through(&rig, who, query, headers);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.ids(), expected(&rig, query, headers, employee), "{who} {query} {headers:?}");
        let keys = keys_of_rows(&answer.json());
        assert!(keys.iter().all(|keys| keys == &["__name__", "description", "id"]), "{keys:?}");
    }
}

#[test]
fn rows_of_others_are_gone() {
    check("", &[]);
    let rig = rig();
    let mine = rig.get("rep-east", OPPORTUNITIES).ids();
    let seeded = rig.seed("opportunities")["rep-east"].as_array().unwrap().clone();
    assert!(seeded.iter().all(|id| mine.contains(&id.as_u64().unwrap())), "{mine:?}");
    assert!(!mine.contains(&2) && !mine.contains(&5), "{mine:?}");
}

#[test]
fn pages_by_number_of_rows() {
    check("&s=5", &[]);
    check("&s=5&p=3", &[]);
    check("&s=0", &[]);
    check("&s=7&p=5000", &[]);
}

#[test]
fn pages_by_range_tell_no_total() {
    check("", &[("Range", "records=0-5")]);
    check("", &[("Range", "records=10-50")]);
    let rig = rig();
    let headers = [("Range", "records=0-50")];
    let all = direct(&rig, "", &headers);
    let total = all.header("content-range").and_then(|range| range.strip_prefix("records 0-50/"));
    assert!(total.is_some_and(|total| total.parse::<u32>().is_ok()), "{all:?}");
    let answer = through(&rig, "rep-east", "", &headers);
    // Nor of the rows of others: Tryton counts the caller's own.
    let own = format!("records 0-{}/*", answer.ids().len());
    assert!(answer.ids().len() < 50);
    assert_eq!(answer.header("content-range"), Some(own.as_str()));
    assert_eq!(answer.header("accept-ranges"), Some("records"));
}

#[test]
fn a_head_tells_no_length() {
    let rig = rig();
    for target in [OPPORTUNITIES.to_owned(), format!("{OPPORTUNITIES}/1")] {
        let answer = rig.ask("service", &format!("HEAD {target}?f=comment"), None).answer;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        let own = rig.direct("service", &format!("HEAD {target}?f=comment"), None);
        assert_ne!(own.header("content-length"), answer.header("content-length"));
        assert!(answer.header("content-length").is_none_or(|length| length == "0"), "{answer:?}");
    }
}

#[test]
fn fields_are_cut_in_every_row() {
    let rig = rig();
    let rows = |who: &str| rig.get(who, &format!("{OPPORTUNITIES}?f=amount&f=comment&s=5")).json();
    assert_eq!(keys_of_rows(&rows("service")), vec![vec!["__name__", "id"]; 5]);
    assert_eq!(keys_of_rows(&rows("admin")), vec![vec!["__name__", "amount", "comment", "id"]; 5]);
}
