//! `lockkeeper explain`: its text, and the exit code of each kind of outcome.

use crate::run::{Ran, folder, redact, run_with_input};

const DEAL: &str = include_str!("fixtures/deal-42.json");
const CONTACT: &str = include_str!("fixtures/contact-101.json");

/// Explains a request at a fixed time, the deal and its contact being at hand.
fn explain(person: &str, args: &[&str], body: &str, request: &str) -> Ran {
    let folder = folder();
    folder.write("deal.json", DEAL);
    folder.write("contact.json", CONTACT);
    folder.write("other.json", "{\"id\":7}");
    let principal = format!("User::\"{person}\"");
    let fixed = ["explain", "--principal", &principal, "--at", "2026-06-15T12:00:00Z"];
    let args: Vec<&str> = fixed.iter().chain(args).copied().chain([request]).collect();
    run_with_input(folder.path(), &args, body)
}

#[track_caller]
fn check(name: &str, code: i32, person: &str, args: &[&str], body: &str, request: &str) {
    let ran = explain(person, args, body, request);
    assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{name}: {}", ran.stdout);
    insta::assert_snapshot!(name, redact(&ran.stdout));
}

const RECORDS: &[&str] = &["--record", "deal.json", "--record", "contact.json"];
const WITH_BODY: &[&str] = &["--record", "deal.json", "--body", "-"];

#[test]
fn a_rep_reads_a_deal() {
    check("explain_rep_reads_deal", 0, "rep-east", RECORDS, "", "GET /api/deals/42");
}

#[test]
fn a_page_can_be_handed_on() {
    let args = [RECORDS, &["--format", "html"]].concat();
    check("explain_html", 0, "rep-east", &args, "", "GET /api/deals/42");
}

#[test]
fn a_rep_may_not_move_it_to_won() {
    let (body, request) = ("{\"stage\":\"won\"}", "POST /api/deals/42/move");
    check("explain_rep_moves_to_won", 2, "rep-east", WITH_BODY, body, request);
}

#[test]
fn customer_service_may_not_filter_by_amount() {
    check("explain_service_filters_by_amount", 2, "service", &[], "", "GET /api/deals?amount__gte=100000");
}

#[test]
fn a_write_with_a_denied_field() {
    let (body, request) = ("{\"title\":\"x\",\"margin\":1}", "PATCH /api/deals/42");
    check("explain_denied_field", 2, "rep-east", WITH_BODY, body, request);
}

#[test]
fn a_write_that_is_allowed() {
    let (body, request) = ("{\"title\":\"x\"}", "PATCH /api/deals/42");
    check("explain_allowed_write", 0, "rep-east", WITH_BODY, body, request);
}

#[test]
fn without_the_record_nothing_is_guessed() {
    let request = "PATCH /api/deals/42";
    check("explain_undetermined", 4, "rep-east", &["--body", "-"], "{\"title\":\"x\"}", request);
}

#[test]
fn every_outcome_has_its_exit_code() {
    let code = |person, args: &[&str], body, request| explain(person, args, body, request).code;
    assert_eq!(code("rep-east", RECORDS, "", "GET /api/deals/42"), 0);
    assert_eq!(code("rep-east", &[], "", "GET /api/deals"), 0, "the list itself is allowed");
    assert_eq!(code("rep-east", &[], "", "GET /api/teams"), 0, "the route passes");
    assert_eq!(code("rep-west", RECORDS, "", "GET /api/deals/42"), 2, "hidden");
    assert_eq!(code("rep-east", &[], "", "GET /api/nothing"), 2, "unmapped");
    assert_eq!(code("nobody", RECORDS, "", "GET /api/deals/42"), 2, "not in the directory");
    assert_eq!(code("rep-east", &[], "", "GET /api/deals/../42"), 2, "refused as malformed");
    assert_eq!(
        code("rep-east", &["--answer", "other.json"], "", "GET /api/deals/42"),
        2,
        "another record is no such record"
    );
    let gone = ["--answer", "other.json", "--status", "500"];
    assert_eq!(code("rep-east", &gone, "", "GET /api/deals/42"), 1, "the CRM failed");
    assert_eq!(code("rep-east", &["--record", "no.json"], "", "GET /api/deals/42"), 1, "no such file");
    assert_eq!(code("rep-east", &[], "", "GET /api/deals/42"), 4, "it depends on the record");
    assert_eq!(code("rep-east", &["--record", "other.json"], "", "GET /api/deals/42"), 4, "another record");
}

#[test]
fn what_is_no_api_call_is_explained_too() {
    let code = |person: &str, args: &[&str], body: &str, request: &str| {
        let folder = folder();
        folder.write("deal.json", DEAL);
        folder.write(
            "file.json",
            r#"{"id":501,"deal_id":42,"owner_id":1,"name":"a","media_type":"b","size":1}"#,
        );
        folder.write("page.json", "<html>");
        let principal = format!("User::\"{person}\"");
        let fixed = ["explain", "--principal", &principal, "--at", "2026-06-15T12:00:00Z"];
        let args: Vec<&str> = fixed.iter().chain(args).copied().chain([request]).collect();
        run_with_input(folder.path(), &args, body).code
    };
    let both = ["--record", "file.json", "--record", "deal.json"];
    let file = "GET /api/files/501/content";
    assert_eq!(code("rep-east", &both, "", file), 0);
    assert_eq!(code("rep-east", &both, "", "GET /api/deals/42/files/501"), 0);
    assert_eq!(code("rep-east", &both, "", "GET /api/deals/41/files/501"), 2, "another deal's file");
    assert_eq!(code("rep-west", &both, "", file), 2, "a hidden deal's file");
    assert_eq!(code("service", &both, "", file), 2, "the field says no");
    assert_eq!(code("rep-east", &["--record", "deal.json"], "", file), 4, "it depends on the file's record");
    assert_eq!(code("rep-east", &["--record", "file.json"], "", file), 4, "it depends on the deal");
    let json = [&both[..], &["--answer", "deal.json"]].concat();
    assert_eq!(code("rep-east", &json, "", file), 1, "JSON is no file");
    let upload = ["--record", "deal.json", "--body", "-", "--header", "Content-Type: application/pdf"];
    assert_eq!(code("rep-east", &upload, "%PDF", "POST /api/deals/42/files"), 0);
    assert_eq!(code("service", &upload, "%PDF", "POST /api/deals/42/files"), 2);
    assert_eq!(code("nobody", &["--body", "-"], "{}", "POST /login"), 0, "nobody needs to be known");
    assert_eq!(code("nobody", &["--body", "-"], "{", "POST /login"), 2, "not JSON");
    assert_eq!(code("nobody", &[], "", "GET /static/app.css"), 0);
}

#[test]
fn what_is_filled_up_is_explained() {
    let folder = folder();
    let refill = "refill = { size = \"per_page\", page = \"page\", default = 20, most = 100 }";
    let profile = folder.text("bundle/profile.toml");
    folder.write("bundle/profile.toml", &profile.replacen("hidden_rows = \"visible-when-paged\"", refill, 1));
    folder.write(
        "page.json",
        r#"{"page":1,"total":2,"count":2,"data":[{"id":1,"owner_id":1},{"id":2,"owner_id":2}]}"#,
    );
    let run = |person: &str, request: &str| {
        let principal = format!("User::\"{person}\"");
        let at = ["--at", "2026-06-15T12:00:00Z", "--answer", "page.json", request];
        let args: Vec<&str> = ["explain", "--principal", &principal].into_iter().chain(at).collect();
        crate::run::run(folder.path(), &args)
    };
    let ran = run("rep-east", "GET /api/deals?per_page=5&page=3&sort=title");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    for line in [
        "5 rows of those that the caller may view, after 10 of them",
        "GET /api/deals?sort=title&per_page=100&page=1",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    // Of one page the CRM's number is not told.
    assert!(!ran.stdout.contains("\"total\""), "{}", ran.stdout);
    assert!(run("rep-east", "GET /api/deals?per_page=x").stdout.contains("paging-malformed"));
    assert!(!run("service", "GET /api/deals?per_page=5").stdout.contains("after"));
}

#[test]
fn programs_get_json() {
    let args = ["--record", "deal.json", "--record", "contact.json", "--format", "json"];
    let ran = explain("rep-east", &args, "", "GET /api/deals/42");
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["outcome"], "allow");
    let fields = told["answer"]["records"][0]["fields"].as_array().unwrap();
    let margin = fields.iter().find(|field| field["name"] == "Deal.margin").unwrap();
    assert_eq!((&margin["state"], &margin["policies"][0]), (&"hidden".into(), &"guard.margin".into()));
    assert_eq!(told["policies"]["guard.margin"]["effect"], "forbid");
    assert!(!ran.stdout.contains("crm-service-key"), "the service's own key is neither needed nor shown");
}
