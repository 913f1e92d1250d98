//! Drafts of made-up entries: they are TOML, they load, and nothing in them is permitted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Draft, write};
use crate::bundle::profile::Profile;
use crate::config::author::{Problems, SourceFile};

fn seen(method: &str, path: &str) -> Value {
    json!({"t": "2026-06-15T12:00:00.000000000Z", "method": method, "path": path, "status": 200, "reason": "route-unmapped"})
}

fn profile(text: &str) -> Result<Profile, String> {
    let mut problems = Problems::default();
    let source: Arc<SourceFile> = SourceFile::new("profile.toml", text);
    Profile::load(&source, &mut problems).ok_or_else(|| problems.to_string())
}

#[track_caller]
fn draft(entries: &[Value], base: &str) -> (Draft, String) {
    let profile = profile(base).unwrap();
    let mut draft = Draft::default();
    entries.iter().for_each(|entry| draft.add(entry, Some(&profile)));
    let text = write::toml(&draft, Some(&profile));
    (draft, text)
}

/// The labels that a profile has after the draft was pasted; it must load, and again nothing but `refuse` is missing.
#[track_caller]
fn check(entries: &[Value], base: &str, expected: &[&str]) -> String {
    let (drafted, text) = draft(entries, base);
    let pasted = format!("{base}\n{text}");
    let whole = profile(&pasted).unwrap_or_else(|problems| panic!("{problems}\n{pasted}"));
    let labels: Vec<String> = whole.routes.iter().filter(|r| r.refuse.is_some()).map(|r| r.label()).collect();
    assert_eq!(labels, expected);
    let mut again = Draft::default();
    entries.iter().for_each(|entry| again.add(entry, Some(&whole)));
    if !text.contains("Not ready") {
        assert_eq!(expected.len(), drafted.routes.len());
        assert!(again.routes.is_empty(), "{text}");
    }
    text
}

const NONE: &str = "profile = 1\n";

#[test]
fn routes_are_merged_by_their_words() {
    let entries = [
        seen("GET", "/api/deals/{int}"),
        seen("HEAD", "/api/deals/{int}"),
        seen("GET", "/api/deals/{uuid}"),
        seen("GET", "/api/deals/{int}/notes/{uuid}"),
        seen("GET", "/api/deals/{int}/notes/{uuid}"),
        seen("POST", "/api/deals/"),
        seen("PATCH", "/api/deals/{int}"),
        seen("GET", "/"),
    ];
    let expected = [
        "GET,HEAD /api/deals/{id}",
        "GET /api/deals/{deals_id:int}/notes/{id:uuid}",
        "POST /api/deals/",
        "PATCH /api/deals/{id:int}",
        "GET /",
    ];
    let text = check(&entries, NONE, &expected);
    assert!(text.contains("# 3 ×, last 2026-06-15T12:00:00Z; answered 200"), "{text}");
    for guess in ["view", "create", "edit", "list"] {
        assert!(text.contains(&format!("# action = \"{guess}\"  # guessed from the method")), "{text}");
    }
}

#[test]
fn what_meets_is_put_in_order() {
    let entries = [
        seen("GET", "/api/{}"),
        seen("GET", "/api/deals"),
        seen("GET", "/{}/deals"),
        seen("GET", "/{}/{}"),
        seen("GET", "/api/{}/{int}/{}"),
        seen("GET", "/api/{}/{}/{int}"),
    ];
    // The last two have the same words: what differs in kind may be any text.
    let expected = [
        "GET /api/{id}",
        "GET /api/deals",
        "GET /{id}/deals",
        "GET /{part_id}/{id}",
        "GET /api/{api_id}/{api_id2}/{id}",
    ];
    let text = check(&entries, NONE, &expected);
    assert!(text.contains("over   = ["), "{text}");
    assert!(text.contains("add to `words`"), "{text}");
}

const DEALS: &str = r#"profile = 1
[field_sets]
public = []
[types.Deal]
id = "id"
[types.Deal.fields]
title = { sets = ["public"] }
[[routes]]
match = "GET /api/deals/export"
action = "view"
id = "query.id"
records = { at = "$", type = "Deal" }
query = { id = "harmless" }
[[routes]]
match = "GET /api/{kind}/{id}/notes"
refuse = "later"
"#;

#[test]
fn what_the_profile_has_is_not_missing() {
    let mut entries = vec![seen("GET", "/api/deals/export"), seen("GET", "/api/deals/{int}/notes")];
    let (drafted, _) = draft(&entries, DEALS);
    assert_eq!((drafted.routes.len(), drafted.undescribed.len(), drafted.missing()), (0, 1, 1));
    // A drafted route that an exact one of the profile meets cannot be pasted as it is; a more exact one can.
    entries = vec![seen("GET", "/api/deals/{}"), seen("GET", "/api/tasks/{int}/notes")];
    let text = check(&entries[..1], DEALS, &["GET /api/{kind}/{id}/notes"]);
    assert!(text.contains("# Not ready to paste: it meets GET /api/deals/export"), "{text}");
    assert_eq!(draft(&entries[1..], DEALS).0.undescribed.len(), 1);
}

#[test]
fn what_was_seen_before_it_was_described_is_not_missing() {
    for (reason, expected) in [("route-unmapped", 0), ("route-undescribed", 0), ("upstream-type", 1)] {
        let mut entry = seen("GET", "/api/deals/export");
        (entry["answer_type"], entry["reason"]) = ("text/csv".into(), reason.into());
        assert_eq!(draft(&[entry], DEALS).0.missing(), expected, "{reason}");
    }
}

#[test]
fn records_are_guessed_by_what_the_route_is_about() {
    let guess = |path: &str, keys: &[&str]| {
        let mut entry = seen("GET", path);
        entry["answer_keys"] = json!(keys);
        draft(&[entry], NONE).0.routes.first().unwrap().records_guess()
    };
    let one = ["/users/[*]/id", "/deal_obj/id", "/deal_obj/owner/id"];
    assert_eq!(guess("/api/deals/{int}/", &one).as_deref(), Some("$.deal_obj"));
    let many = ["/tags/[*]/id", "/deals/[*]/id", "/deals/[*]/owner/id", "/org/id"];
    assert_eq!(guess("/api/deals/", &many).as_deref(), Some("$.deals[*]"));
    assert_eq!(guess("/api/deals/", &["/id", "/owner/id"]).as_deref(), Some("$"));
    assert_eq!(guess("/api/deals/", &["/name"]), None);
}

#[test]
fn parameters_and_fields_of_known_routes() {
    let entry = json!({
        "t": "2026-06-15T12:00:00Z", "method": "GET", "route": "GET /api/deals/export",
        "query": ["id", "colour", "filter[stage]"], "answer_type": "text/csv", "reason": "upstream-type",
        "fields": [{"type": "Deal", "names": ["title", "nickname", "owner.name"]}, {"type": "Gone", "names": ["x"]}],
    });
    let (drafted, text) = draft(std::slice::from_ref(&entry), DEALS);
    assert_eq!(drafted.missing(), 5);
    assert!(
        text.contains("#   colour = \"refused\"") && text.contains("#   \"filter[stage]\" = \"refused\""),
        "{text}"
    );
    assert!(text.contains("# GET /api/deals/export: text/csv, would be `upstream-type`"), "{text}");
    // Below the header that is there, the lines load.
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("sets = [")).collect();
    assert_eq!(lines.len(), 2);
    let declared = DEALS.replace("[field_sets]\n", "[field_sets]\nunreviewed = []\n");
    let pasted =
        declared.replace("[types.Deal.fields]\n", &format!("[types.Deal.fields]\n{}\n", lines.join("\n")));
    let whole = profile(&pasted).unwrap();
    let mut again = Draft::default();
    again.add(&entry, Some(&whole));
    assert_eq!(again.fields.len(), 0);
}

/// Files can be changed by others: what stands there never becomes more than a comment, a string or a key.
#[test]
fn a_forged_entry_breaks_out_of_nothing() {
    let mut entry = seen("GET", "/api/deals");
    for member in ["query", "request_keys", "answer_keys"] {
        entry[member] = json!(["a\n[[routes]]", "x\" = 1 #", "ok"]);
    }
    entry["answer_type"] = json!("x\ny");
    let entries = [
        entry,
        seen("GET", "/a\"]\n/b"),
        seen("GET", "/x{y"),
        seen("OPTIONS", "/api/deals"),
        seen("G\nET", "/api/tasks"),
        json!({"fields": [{"type": "Deal\n", "names": ["x"]}, {"type": "Deal", "names": ["a\nb", "c d"]}]}),
        json!({"route": "GET /x\n[[routes]]", "query": ["y"]}),
    ];
    let (_, text) = draft(&entries, NONE);
    let parsed: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(parsed["routes"].as_array().unwrap().len(), 1, "{text}");
    // Nor without a profile to compare with, nor by what is not a name.
    let broken = "x\n[[routes]]\nmatch = \"GET /forged\"\n#";
    let described =
        json!({"t": "2026", "route": "GET /x", "reason": "a", "query": ["y"], "answer_type": "text/csv"});
    let mut alone = Draft::default();
    alone.add(&described, None);
    for member in ["t", "route", "reason"] {
        let mut forged = described.clone();
        forged[member] = json!(broken);
        alone.add(&forged, None);
    }
    let mut forged = seen("GET", "/api/deals");
    forged["t"] = json!(broken);
    alone.add(&forged, None);
    let text = write::toml(&alone, None);
    assert!(!text.contains("forged") && text.contains("# GET /x: text/csv"), "{text}");
    assert_eq!(alone.unnamed, 4);
}

#[test]
fn what_is_too_much_is_counted() {
    let mut drafted = Draft::default();
    for at in 0..=super::ROUTES_MAX {
        drafted.add(&seen("GET", &format!("/api/w{at}")), None);
    }
    assert_eq!((drafted.routes.len(), drafted.unnamed), (super::ROUTES_MAX, 1));
    let names: Vec<String> = (0..=super::NAMES_MAX).map(|at| format!("n{at}")).collect();
    drafted.add(&json!({"route": "GET /x", "query": names}), None);
    assert_eq!((drafted.parameters["GET /x"].len(), drafted.unnamed), (super::NAMES_MAX, 2));
}
