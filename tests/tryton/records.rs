//! What the ledger says afterwards: who asked, what was held back, which stage became which.

use lockkeeper::ledger::field_set::FieldSet;
use serde_json::json;

use crate::rig::{OPPORTUNITIES, rig};

#[test]
fn a_read_names_person_and_fields() {
    let rig = rig();
    let answer = rig.get("service", &format!("{OPPORTUNITIES}/1?f=amount&f=comment&f=state"));
    let entry = rig.entry("decision", &answer);
    assert_eq!(rig.person(&entry), "User::service");
    assert_eq!(entry["who"]["authn"], json!("crm-key"));
    assert_eq!(entry["route"], json!(format!("GET,HEAD {OPPORTUNITIES}/{{id:int}}")));
    assert_eq!((&entry["effect"], &entry["query"]), (&json!("allow"), &json!(["f"])));
    let sets = &entry["sets"][0];
    assert_eq!((&sets["type"], &sets["ids"]), (&json!("Opportunity"), &json!(["1"])));
    assert_eq!(sets["hidden"], json!(FieldSet::of(["Opportunity.amount", "Opportunity.comment"]).id()));
    assert_eq!(sets["shown"], json!(FieldSet::of(["Opportunity.state"]).id()));
    assert!(!entry.to_string().contains("margin note"), "no value is in the ledger");
}

#[test]
fn a_list_names_the_rows_that_were_shown_and_none_that_tryton_was_not_asked_for() {
    let rig = rig();
    let answer = rig.get("rep-east", &format!("{OPPORTUNITIES}?s=5"));
    let shown: Vec<String> = answer.ids().iter().map(ToString::to_string).collect();
    let entry = rig.entry("decision", &answer);
    let ids: Vec<&str> = entry["sets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|set| set["type"] == "Opportunity")
        .flat_map(|set| set["ids"].as_array().unwrap())
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!((ids.len(), shown.len()), (5, 5));
    assert!(ids.iter().all(|id| shown.iter().any(|other| other == id)), "{ids:?} {shown:?}");
    assert_eq!(entry.get("rows_hidden"), None, "{entry}");
}

#[test]
fn a_stage_move_names_both_stages() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let answer = rig.ask("rep-east", &format!("POST {path}/opportunity"), None).answer;
    let move_made = json!({"from": "opportunity.lead", "to": "opportunity.opportunity"});
    let entry = rig.entry("decision", &answer);
    assert_eq!((rig.person(&entry).as_str(), &entry["write"]["stage"]), ("User::rep-east", &move_made));
    let outcome = rig.entry("outcome", &answer);
    assert_eq!((&outcome["upstream"], &outcome["stage"]), (&json!(200), &move_made));

    let answer = rig.ask("rep-east", &format!("POST {path}/convert"), None).answer;
    let entry = rig.entry("decision", &answer);
    assert_eq!((&entry["effect"], &entry["reason"]), (&json!("deny"), &json!("stage-move-denied")));
    assert_eq!(
        entry["write"]["stage"],
        json!({"from": "opportunity.opportunity", "to": "opportunity.converted"})
    );
}

#[test]
fn what_was_added_for_policy_does_not_count_as_held_back() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    for (who, released) in [("manager", "all"), ("rep-east", "filtered")] {
        let line = format!("PUT {path}?f=description&f=comment");
        let answer = rig.ask(who, &line, Some(&json!({"description": who}))).answer;
        assert_eq!(rig.entry("outcome", &answer)["released"], json!(released), "{who}");
    }
}

#[test]
fn a_refused_write_names_the_fields() {
    let rig = rig();
    let path = rig.opportunity("rep-east", &json!({}), &[]);
    let body = json!({"comment": "4 %", "description": "x"});
    let answer = rig.ask("rep-east", &format!("PUT {path}"), Some(&body)).answer;
    let entry = rig.entry("decision", &answer);
    assert_eq!((&entry["effect"], &entry["reason"]), (&json!("deny"), &json!("fields-denied")));
    assert_eq!(entry["write"]["asked"], json!(["Opportunity.comment", "Opportunity.description"]));
    assert_eq!(entry["write"]["refused"], json!(["Opportunity.comment"]));

    let answer = rig.ask("manager", &format!("PUT {path}"), Some(&json!({"employee": 2}))).answer;
    let entry = rig.entry("decision", &answer);
    assert_eq!(entry["write"]["owner"], json!({"from": "rep-east", "to": "rep-west"}));
}
