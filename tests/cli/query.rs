//! `lockkeeper audit query`: the ledger of a real service, asked while it runs and after.
#![expect(clippy::disallowed_methods, reason = "a test changes and removes files")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::Caller;
use lockkeeper::testkit::folder::Options;
use serde_json::{Value, json};

use crate::run::{Ran, redact, run};
use crate::tail::a_day_that_is_over;

/// Asks the ledger of a state folder.
fn query(state: &str, args: &[&str]) -> Ran {
    let args: Vec<&str> = ["audit", "query"].iter().chain(args).copied().chain(["--state", state]).collect();
    run(Path::new("/"), &args)
}

/// An answer of a ledger that nobody writes.
#[track_caller]
fn answer(state: &str, args: &[&str]) -> Value {
    let ran = query(state, &[args, &["--format", "json"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, OFFLINE), "{args:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[track_caller]
fn rows(state: &str, args: &[&str]) -> Vec<Value> {
    answer(state, args)["rows"].as_array().unwrap().clone()
}

/// One member of each row.
#[track_caller]
fn each(state: &str, args: &[&str], pointer: &str) -> Vec<String> {
    let text = |row: &Value| row.pointer(pointer).and_then(Value::as_str).unwrap_or("null").to_owned();
    rows(state, args).iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_people_read_them() {
    let (_kept, state) = a_day_that_is_over().await;
    let told = |name: &str, args: &[&str]| {
        let ran = query(&state, args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, OFFLINE), "{args:?}");
        insta::assert_snapshot!(name, redact(&without_numbers(&ran.stdout)));
    };
    told("query_who_saw", &["who-saw", "--type", "Deal", "--id", "42", "--field", "margin"]);
    told("query_who_changed", &["who-changed", "--type", "Deal", "--id", "42", "--field", "margin"]);
    told("query_moves", &["moves"]);
    told("query_refused", &["refused", "--reason", "fields-denied"]);
    told("query_by", &["by", "User::\"rep-east\"", "--only", "changed"]);
}

/// Each row by its columns, as a spreadsheet reads it.
#[tokio::test(flavor = "multi_thread")]
async fn tables_for_spreadsheets() {
    let (_kept, state) = a_day_that_is_over().await;
    let table = |args: &[&str]| {
        let ran = query(&state, &[args, &["--format", "csv"]].concat());
        assert!(ran.code == 0 && ran.stderr.ends_with(OFFLINE), "{}", ran.stderr);
        let line = |line: &str| -> Vec<String> {
            let cells = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap();
            cells.split("\",\"").map(|cell| cell.replace("\"\"", "\"")).collect()
        };
        let lines: Vec<Vec<String>> = ran.stdout.trim_end_matches("\r\n").split("\r\n").map(line).collect();
        let (head, rows) = lines.split_first().unwrap();
        assert!(rows.iter().all(|row| row.len() == head.len()), "{lines:?}");
        let row = |row: &Vec<String>| -> BTreeMap<String, String> {
            head.iter().cloned().zip(row.iter().cloned()).collect()
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let moves = table(&["moves"]);
    let told = |column: &str| moves.iter().map(|row| row[column].clone()).collect::<Vec<_>>();
    assert_eq!(told("principal"), ["User::\"rep-east\"", "User::\"rep-east\""]);
    assert_eq!(
        (told("records"), told("to")),
        (vec!["Deal 42".to_owned(); 2], vec!["sales.won".into(), "sales.negotiation".into()])
    );
    assert_eq!(
        (told("change"), told("reason")),
        (vec!["refused".to_owned(), "done".into()], vec!["stage-move-denied".into(), String::new()])
    );
    let saw = table(&["who-saw", "--type", "Deal", "--id", "42", "--field", "margin"]);
    assert_eq!(
        (saw.len(), saw[0]["shown"].as_str(), saw[0]["answer"].as_str()),
        (1, "Deal.margin", "200, delivered")
    );
    let by = table(&["by", "User::\"rep-east\""]);
    assert_eq!(by.iter().map(|row| row["rows_hidden"].as_str()).collect::<Vec<_>>(), ["", "", "", "", "4"]);
    assert_eq!(by[3]["refused_fields"], "Deal.margin");
    assert_eq!(table(&["readings"]).len(), 0);
}

/// Where the outcome of a read stands, and how large answers are, is not the same in every run.
fn without_numbers(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once(", entry ").map_or(line, |(id, _)| id));
    let lines = lines.map(|line| line.split_once(" in entries ").map_or(line, |(found, _)| found));
    let parts = |line: &str| {
        let parts = line.split(", ").map(|part| if part.ends_with(" bytes") { "<size>" } else { part });
        parts.collect::<Vec<_>>().join(", ")
    };
    lines.map(parts).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_a_day() {
    let (_kept, state) = a_day_that_is_over().await;
    let deal = ["--type", "Deal", "--id", "42"];
    let who = |args: &[&str]| each(&state, args, "/who/principal");
    let (rep, manager) = ("User::\"rep-east\"", "User::\"manager-east\"");
    let saw = |more: &[&str]| who(&[&["who-saw"], &deal[..], more].concat());
    assert_eq!(saw(&["--field", "margin"]), [manager]);
    assert_eq!(saw(&["--field", "Deal.margin"]), [manager]);
    // The rep reads it once, and the answer to the move shows it again.
    assert_eq!(saw(&["--field", "amount"]), [rep, manager, rep]);
    assert_eq!(saw(&[]), [rep, manager, rep]);
    assert_eq!(saw(&["--field", "amount", "--policy", "field.read.manager"]), [manager]);
    assert_eq!(saw(&["--from", "2999-01-01"]), Vec::<String>::new());
    assert_eq!(saw(&["--to", "2999-01-01"]).len(), 3);
    // Masked is told from shown.
    let contact = rows(&state, &["who-saw", "--type", "Contact", "--id", "101", "--field", "email"]);
    let told: Vec<_> = contact.iter().map(|row| (&row["shown"], &row["masked"])).collect();
    let email = json!(["Contact.email"]);
    assert_eq!(told, [(&email, &json!([])), (&json!([]), &email), (&email, &json!([]))]);
    // A list's records too, and rows that were left out were not seen.
    assert_eq!(who(&["who-saw", "--type", "Deal", "--id", "3"]), [rep]);
    assert_eq!(who(&["who-saw", "--type", "Deal", "--id", "1"]), Vec::<String>::new());

    assert_eq!(
        each(&state, &[&["who-changed"], &deal[..]].concat(), "/change"),
        ["refused", "done", "refused"]
    );
    assert_eq!(
        each(&state, &[&["who-changed"], &deal[..], &["--field", "margin"]].concat(), "/reason"),
        ["fields-denied"]
    );
    let by = |only: &str| rows(&state, &["by", rep, "--only", only]).len();
    assert_eq!((by("saw"), by("changed"), by("refused"), by("held-back")), (3, 1, 2, 3));
    assert_eq!(rows(&state, &["by", rep]).len(), 5);
    let stranger = query(&state, &["by", "User::\"anna\""]);
    assert!(stranger.stdout.starts_with("nothing was found in entries 1–"), "{}", stranger.stdout);
    assert_eq!(
        stranger.stderr,
        format!(
            "{OFFLINE}no handle is known of this principal: no request of theirs is in this ledger, or they were erased; a handle will do in their place\n"
        )
    );

    let moves = |args: &[&str]| each(&state, &[&["moves"], args].concat(), "/to");
    assert_eq!(moves(&[]), ["sales.won", "sales.negotiation"]);
    assert_eq!(moves(&["--refused"]), ["sales.won"]);
    assert_eq!(moves(&["--stage", "sales.negotiation"]), ["sales.negotiation"]);
    assert_eq!(moves(&["--pipeline", "sales"]).len(), 2);
    let typo = query(&state, &["moves", "--pipeline", "sale"]);
    assert!(typo.stdout.starts_with("nothing was found in entries 1–"), "{}", typo.stdout);
    assert_eq!(typo.stderr, format!("{OFFLINE}no entry names the pipeline `sale`; did you mean `sales`?\n"));
    let records = rows(&state, &["moves", "--refused"]);
    assert_eq!(records[0]["records"], json!([{"type": "Deal", "id": "42"}]));

    assert_eq!(each(&state, &["refused"], "/reason"), ["stage-move-denied", "fields-denied"]);
    let refused = answer(&state, &["refused", "--reason", "credential-missing"]);
    let unidentified = json!([{"reason": "credential-missing", "count": 1, "sources": 1}]);
    assert_eq!((&refused["rows"], &refused["unidentified"]), (&json!([]), &unidentified));
    // By what decided.
    let bundle = rows(&state, &["refused"])[0]["bundle"].as_str().unwrap().get(..10).unwrap().to_owned();
    assert_eq!(rows(&state, &["refused", "--revision", &bundle]).len(), 2);
    let other = query(&state, &["refused", "--revision", "0000000000"]);
    assert!(other.stdout.starts_with("nothing was found"), "{}", other.stdout);
    assert!(other.stderr.contains("no entry names the revision `0000000000`"), "{}", other.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_was_searched_and_where_it_goes_on() {
    let (_kept, state) = a_day_that_is_over().await;
    let first = answer(&state, &["refused", "--limit", "1"]);
    let next = first["next"].as_u64().unwrap().to_string();
    let second = answer(&state, &["refused", "--limit", "1", "--after", &next]);
    assert_eq!(
        (&first["rows"][0]["reason"], &second["rows"][0]["reason"]),
        (&json!("stage-move-denied"), &json!("fields-denied"))
    );
    assert_eq!((&second["next"], &second["recorded"]), (&Value::Null, &Value::Null));
    let told = query(&state, &["refused", "--limit", "1"]).stdout;
    assert!(told.contains("\n1 is told of entries 1–"), "{told}");
    let reversed = query(&state, &["refused", "--from", "2026-12-01", "--to", "2026-11-01"]);
    assert_eq!((reversed.code, reversed.stdout.as_str()), (64, ""));
    assert!(reversed.stderr.contains("the period ends before it begins"), "{}", reversed.stderr);
    assert!(
        told.contains(&format!("; there are more: go on with --after {next}, or raise --limit")),
        "{told}"
    );
    let last = first["searched"]["last"].as_u64().unwrap();
    let nothing = query(&state, &["who-saw", "--type", "Deal", "--id", "999999"]).stdout;
    assert!(nothing.starts_with(&format!("nothing was found in entries 1–{last}, written 20")), "{nothing}");
    // A change is told with what became of it, and not with what its answer showed.
    let changes = query(&state, &["who-changed", "--type", "Deal", "--id", "42"]).stdout;
    let became: Vec<&str> = changes.lines().filter_map(|line| line.strip_prefix("    change   ")).collect();
    assert_eq!(became, ["refused", "done", "refused"], "{changes}");
    assert!(!changes.contains("    record ") && !changes.contains("      shown"), "{changes}");
    // What no entry ever named is told with what is near.
    let typo = query(&state, &["who-saw", "--type", "Deal", "--id", "42", "--field", "margn"]);
    assert!(
        typo.stderr.contains("no entry names the field `Deal.margn`; did you mean `Deal.margin`?"),
        "{}",
        typo.stderr
    );
    let typo = query(&state, &["moves", "--stage", "sales.wn"]);
    assert!(
        typo.stderr.contains("no entry names the stage `sales.wn`; did you mean `sales.won`?"),
        "{}",
        typo.stderr
    );
    assert_eq!(typo.code, 0);
    let bare = query(&state, &["moves", "--stage", "won"]).stderr;
    assert!(bare.contains("no entry names the stage `won`; did you mean `sales.won`?"), "{bare}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_resolved_if_they_may_be() {
    let (_kept, state) = a_day_that_is_over().await;
    let ran = query(&state, &["refused", "--names=never"]);
    assert!(!ran.stdout.contains("rep-east") && ran.stdout.contains("User p_"), "{}", ran.stdout);
    let handle = rows(&state, &["refused"])[0]["who"]["handle"].as_str().unwrap().to_owned();
    assert_eq!(rows(&state, &["by", &handle]).len(), 5);
    // Erased: the row has no name any more, and what was done stays.
    let table = format!("{state}/principals.jsonl");
    let text = std::fs::read_to_string(&table).unwrap();
    let erase = |line: &str| match line.contains(&handle) {
        true => format!("{{\"handle\":\"{handle}\"}}\n"),
        false => format!("{line}\n"),
    };
    std::fs::write(&table, text.lines().map(erase).collect::<String>()).unwrap();
    assert_eq!(rows(&state, &["by", &handle]).len(), 5);
    assert_eq!(rows(&state, &["by", &handle])[0]["who"]["principal"], Value::Null);
    let by_name = query(&state, &["by", "User::\"rep-east\""]).stdout;
    assert!(by_name.starts_with("nothing was found"), "{by_name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_anew_and_goes_where_it_may() {
    let (kept, state) = a_day_that_is_over().await;
    let expected = rows(&state, &["refused"]);
    std::fs::remove_file(format!("{state}/index.sqlite")).unwrap();
    assert_eq!(rows(&state, &["refused"]), expected);
    let elsewhere = kept.path().join("mine.sqlite").display().to_string();
    std::fs::remove_file(format!("{state}/index.sqlite")).unwrap();
    assert_eq!(rows(&state, &["refused", "--index", &elsewhere]), expected);
    assert!(!Path::new(&format!("{state}/index.sqlite")).exists());
    // Somebody else's file.
    let notes = kept.path().join("notes").display().to_string();
    std::fs::write(&notes, "my notes").unwrap();
    let ran = query(&state, &["refused", "--index", &notes]);
    let expected = format!(
        "error: `{notes}` is not an index that Lockkeeper made, and stays as it is\n  help: Name another file with `--index FILE`.\n"
    );
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (1, "", expected));
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "my notes");
    let ran = query(&state, &["refused", "--index", "/nonexistent/index"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("help: Keep the index where you may write"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_no_answer() {
    let (_kept, state) = a_day_that_is_over().await;
    let segment = format!("{state}/ledger/segment-00000000000000000001.jsonl");
    let changed =
        Command::new("sed").args(["-i", "s/stage-move-denied/stage-move-allowed/"]).arg(&segment).status();
    assert!(changed.unwrap().success());
    let ran = query(&state, &["refused"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""));
    assert!(ran.stderr.contains("is damaged at byte "), "{}", ran.stderr);
    let nothing = query("/nonexistent", &["refused"]);
    assert_eq!(
        (nothing.code, nothing.stderr.as_str()),
        (1, "error: there is no ledger under `/nonexistent`\n")
    );
}

/// No value of a record, no token and no value of a query is in the index.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_holds_no_values() {
    let (kept, state) = a_day_that_is_over().await;
    rows(&state, &["refused"]);
    let bytes = std::fs::read(kept.path().join("state/index.sqlite")).unwrap();
    let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(holds("Deal.margin") && holds("stage-move-denied"), "the canary test looks at the right file");
    let sidecar = TestSidecar::start().await;
    let deal = sidecar.crm_caller().get("/api/deals/42").await.json();
    let mut values = Vec::new();
    texts_of(&deal, &["title", "email", "phone", "notes", "internal_notes", "street"], &mut values);
    assert!(values.len() >= 5, "{values:?}");
    let callers = ["key-of-rep-east", "canary", "rep-east", "manager-east", "per_page=4"].map(str::to_owned);
    for value in values.iter().chain(&callers) {
        assert!(!holds(value), "{value}");
    }
}

/// The texts of members of these names, wherever they stand.
fn texts_of(value: &Value, names: &[&str], found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        match member.as_str() {
            Some(text) if names.contains(&name.as_str()) => found.push(text.to_owned()),
            _ => texts_of(member, names, found),
        }
    }
}

pub const TOKEN: &str = "admin-token-canary-90ab";

/// A running service with an admin listener, and a configuration that leads to it.
pub async fn a_service() -> (TestSidecar, String) {
    let with_admin = |options: Options| {
        options
            .set("admin", "address", "\"127.0.0.1:0\"")
            .set("admin", "token_file", "\"admin.token\"")
            .edit("admin.token", |_| TOKEN.to_owned())
    };
    let sidecar = TestSidecar::with(with_admin).await;
    let address = sidecar.running().admin_address.unwrap();
    let reached = sidecar
        .folder()
        .text("lockkeeper.toml")
        .replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{address}\""));
    assert!(reached.contains(&address.to_string()), "{reached}");
    sidecar.folder().write("auditor.toml", &reached);
    let config = sidecar.folder().path().join("auditor.toml").display().to_string();
    (sidecar, config)
}

fn live(config: &str, args: &[&str]) -> Ran {
    let args: Vec<&str> =
        ["audit", "query"].iter().chain(args).copied().chain(["--config", config]).collect();
    run(Path::new("/"), &args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_records_who_reads_its_ledger() {
    let (sidecar, config) = a_service().await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    sidecar.ledger_when("the outcome", |ledger| ledger.of_kind("outcome").len() == 1).await;
    let ran = live(&config, &["by", "User::\"rep-east\"", "--format", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let seq = told["recorded"].as_u64().unwrap();
    assert_eq!((ran.code, ran.stderr), (0, format!("this reading is entry {seq} of the ledger\n")));
    assert_eq!(told["rows"].as_array().unwrap().len(), 1);
    let ledger = sidecar.ledger();
    let read = ledger.of_kind("read")[0].clone();
    let handle = told["rows"][0]["who"]["handle"].as_str().unwrap();
    assert_eq!((read["seq"].as_u64(), &read["by"]), (Some(seq), &json!("admin-token")));
    assert_eq!(read["command"], format!("audit query by {handle}"), "a principal is named by its handle");
    // Who read it is a question too, and is recorded like any other.
    let ran = live(&config, &["readings", "--format", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let commands: Vec<&Value> = told["rows"].as_array().unwrap().iter().map(|row| &row["command"]).collect();
    assert_eq!(commands, [&json!(format!("audit query by {handle}")), &json!("audit query readings")]);
    // An id that looks like flags is one word of the question.
    live(&config, &["who-saw", "--type", "Deal", "--id", "42 --field x"]);
    let read = sidecar.ledger().of_kind("read")[2]["command"].clone();
    assert_eq!(read, "audit query who-saw --type Deal --id \"42 --field x\"");
    let everything = sidecar.folder().all_text("state/ledger");
    assert!(!everything.contains(TOKEN) && !everything.contains("rep-east"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_told() {
    let (sidecar, config) = a_service().await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    let refused = |ran: Ran, why: &str| {
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("--unrecorded"), "{}", ran.stderr);
    };
    let state = sidecar.folder().state().display().to_string();
    let unnamed = "no configuration with an `[admin]` section says how to reach it";
    refused(query(&state, &["refused"]), unnamed);
    let own = sidecar.folder().path().join("lockkeeper.toml").display().to_string();
    refused(
        live(&own, &["refused"]),
        "is `[admin] address` in this configuration that of the service that runs?",
    );
    sidecar.folder().write("admin.token", "another-token-that-is-wrong");
    refused(live(&config, &["refused"]), "is not the token of the service on");
    let ran = live(&config, &["refused", "--unrecorded"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (0, "the ledger does not record this reading: --unrecorded\n")
    );
    assert_eq!(sidecar.ledger().of_kind("read").len(), 0);
    // A service that is not this ledger's would record the reading where nobody looks for it.
    sidecar.folder().write("admin.token", TOKEN);
    let (other, _) = a_service().await;
    let address = other.running().admin_address.unwrap();
    let text = sidecar
        .folder()
        .text("lockkeeper.toml")
        .replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{address}\""));
    sidecar.folder().write("astray.toml", &text);
    let astray = sidecar.folder().path().join("astray.toml").display().to_string();
    let ran = live(&astray, &["refused"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("the configuration names another service's admin listener"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_is_announced_in_one_way() {
    let (sidecar, _) = a_service().await;
    let anybody = Caller::new(sidecar.running().admin_address.unwrap());
    let admin = anybody.clone().with_header(&format!("Authorization: Bearer {TOKEN}"));
    let post = |body: Value| {
        let admin = admin.clone();
        async move { admin.post("/v1/ledger/readings", body).await.status }
    };
    assert_eq!(anybody.post("/v1/ledger/readings", json!({"command": "audit x"})).await.status, 401);
    assert_eq!(post(json!({"command": "audit query refused"})).await, 200);
    assert_eq!(post(json!({"command": "reload"})).await, 400);
    assert_eq!(post(json!({"command": "audit query refused", "value": 1})).await, 400);
    assert_eq!(post(json!({"command": format!("audit {}", "x".repeat(2_000))})).await, 400);
    assert_eq!(post(json!({"command": format!("audit {}", "x".repeat(9_000))})).await, 413);
    assert_eq!(admin.get("/v1/ledger/readings").await.status, 405);
    assert_eq!(sidecar.ledger().of_kind("read").len(), 1);
    sidecar.break_ledger().await;
    assert_eq!(post(json!({"command": "audit query refused"})).await, 503);
}

const OFFLINE: &str = "the ledger does not record this reading: no service writes it now\n";

/// What was only observed left as the CRM wrote it, whatever policies say.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_observed_was_seen() {
    let observe = "\n[[observe]]\nname = \"g\"\nroutes = \"*\"\nuntil = \"2026-07-01T00:00:00Z\"\n";
    let sidecar =
        TestSidecar::with(|options| options.edit("lockkeeper.toml", move |text| text + observe)).await;
    let rep = sidecar.as_person("rep-east");
    // Its own deal, with a margin that policies hide; another's; and what no route describes.
    rep.get("/api/deals/42").await;
    rep.get("/api/deals/1").await;
    rep.get("/api/deals?per_page=4&page=1").await;
    rep.get("/api/unmapped").await;
    let state = sidecar.folder().state().display().to_string();
    sidecar.ledger_when("the outcomes", |ledger| ledger.of_kind("outcome").len() == 4).await;
    let folder = sidecar.stop_keeping_files().await;
    let saw = |id: &str, field: &str| {
        let rows = rows(&state, &["who-saw", "--type", "Deal", "--id", id, "--field", field]);
        let told =
            rows.iter().map(|row| (row["shown"].clone(), row["not_enforced"].clone(), row["whole"].clone()));
        told.collect::<Vec<_>>()
    };
    let (none, whole) = (json!([]), (json!([]), json!([]), json!(true)));
    assert_eq!(saw("42", "margin"), [(none.clone(), json!(["Deal.margin"]), json!(false))]);
    assert_eq!(saw("42", "amount"), [(json!(["Deal.amount"]), none.clone(), json!(false))]);
    assert_eq!(saw("1", "margin"), [whole.clone(), whole], "read by itself, and in the list");
    let told = query(&state, &["who-saw", "--type", "Deal", "--id", "1", "--limit", "1"]).stdout;
    assert!(told.contains("unhidden all of it: policies would have left the record out"), "{told}");
    assert!(told.contains("; of 1 observed requests no entry says what they showed"), "{told}");
    drop(folder);
}
