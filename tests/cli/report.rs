//! `lockkeeper audit report`: a review of a real day, in every form, and what is told of it.
#![expect(clippy::disallowed_methods, reason = "a test changes files of the service")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use lockkeeper::testkit::folder::TestFolder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::query::a_service;
use crate::run::{Ran, folder, run};
use crate::tail::a_day_that_is_over;

/// A day that is over, and the folder with what decided it.
struct Day {
    _kept: tempfile::TempDir,
    state: String,
    folder: TestFolder,
}

impl Day {
    async fn new() -> Self {
        let (kept, state) = a_day_that_is_over().await;
        Self { _kept: kept, state, folder: folder() }
    }

    fn report(&self, args: &[&str]) -> Ran {
        let own = ["audit", "report", "--state", &self.state, "--bundle", "bundle"];
        let own = own.iter().chain(&["--directory", "directory.cedarentities.json"]);
        run(self.folder.path(), &own.chain(args).copied().collect::<Vec<_>>())
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.report(&[args, &["--format", "json"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let digest: String = Sha256::digest(&ran.stdout).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            ran.stderr.ends_with(&format!("{OFFLINE}SHA-256 of this report: {digest}\n")),
            "{}",
            ran.stderr
        );
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

const OFFLINE: &str = "the ledger does not record this reading: no service writes it now\n";

/// The rows of a section for which each member is as stated.
fn rows<'r>(report: &'r Value, section: &str, members: &[(&str, &str)]) -> Vec<&'r Value> {
    let rows = report["sections"][section]["rows"].as_array().unwrap();
    let is_asked = |row: &&Value| members.iter().all(|(name, value)| row[*name] == *value);
    rows.iter().filter(is_asked).collect()
}

/// One member of the one such row.
#[track_caller]
fn one(report: &Value, section: &str, members: &[(&str, &str)], name: &str) -> String {
    let rows = rows(report, section, members);
    assert_eq!(rows.len(), 1, "{members:?}: {rows:#?}");
    rows[0][name].as_str().unwrap().to_owned()
}

const REP: &str = "User::\"rep-east\"";
const MANAGER: &str = "User::\"manager-east\"";

#[tokio::test(flavor = "multi_thread")]
async fn who_can_and_who_did() {
    let day = Day::new().await;
    let report = day.json(&[]);
    let person = |who: &str, name: &str| one(&report, "people", &[("principal", who)], name);
    let counts = ["requests", "saw", "changed", "refused", "held back"];
    assert_eq!(counts.map(|name| person(REP, name)), ["5", "3", "1", "2", "3"]);
    assert_eq!(counts.map(|name| person(MANAGER, name)), ["1", "1", "0", "0", "1"]);
    assert_eq!(["state", "requests"].map(|name| person("User::\"admin\"", name)), ["active", "0"]);

    // Rights, by the policies that give them, and whether they were used.
    let right = |who: &str, action: &str, name: &str| {
        one(&report, "rights", &[("principal", who), ("type", "Deal"), ("action", action)], name)
    };
    let told =
        |who: &str, action: &str| ["standing", "policies", "uses"].map(|name| right(who, action, name));
    assert_eq!(told(REP, "list"), ["always", "collection.list", "1"]);
    assert_eq!(told(REP, "view")[..2], ["sometimes", "deal.view.own"]);
    assert_eq!(told(REP, "create"), ["sometimes", "deal.create.entry-stage, deal.write.own", "0"]);
    assert_eq!(told(MANAGER, "bulkEdit"), ["sometimes", "deal.bulk.manager", "0"]);
    assert_eq!(told("User::\"admin\"", "delete"), ["always", "admin.everything", "0"]);
    assert!(
        rows(&report, "rights", &[("principal", REP), ("type", "Deal"), ("action", "delete")]).is_empty()
    );
    let fields = |section: &str, who: &str, type_name: &str, action: &str| -> BTreeSet<String> {
        let rows = rows(&report, section, &[("principal", who), ("type", type_name), ("action", action)]);
        let names = rows.iter().flat_map(|row| row["what"].as_str().unwrap().split(", "));
        names.map(|name| name.split(' ').next().unwrap().to_owned()).collect()
    };
    let has = |fields: &BTreeSet<String>, name: &str| fields.contains(name);
    let (rep, manager) =
        (fields("rights", REP, "Deal", "readField"), fields("rights", MANAGER, "Deal", "readField"));
    assert!(has(&rep, "Deal.amount") && !has(&rep, "Deal.margin") && has(&manager, "Deal.margin"));
    // Used once by the rep: its own deal's amount, never its documents.
    let (used, unused) =
        (fields("used", REP, "Deal", "readField"), fields("unused", REP, "Deal", "readField"));
    assert!(has(&used, "Deal.amount") && !has(&unused, "Deal.amount") && has(&unused, "Deal.documents"));
    assert!(has(&fields("used", MANAGER, "Contact", "readFieldMasked"), "Contact.email"));
    assert!(!has(&fields("used", REP, "Deal", "writeField"), "Deal.title"), "the request was refused");
    let unused = |action: &str| {
        rows(&report, "unused", &[("principal", REP), ("type", "Deal"), ("action", action)]).len()
    };
    assert_eq!((unused("list"), unused("create"), unused("moveStage")), (0, 1, 1));
    let moves: Vec<String> = rows(&report, "rights", &[("principal", REP), ("action", "moveStage")])
        .iter()
        .map(|row| format!("{} {}", row["what"].as_str().unwrap(), row["uses"].as_str().unwrap()))
        .collect();
    assert!(moves.contains(&"sales.proposal → sales.negotiation 1".to_owned()), "{moves:?}");

    let moves: Vec<(&Value, &Value)> = rows(&report, "moves", &[("principal", REP)])
        .into_iter()
        .map(|row| (&row["to"], &row["became"]))
        .collect();
    assert_eq!(
        moves,
        [(&json!("sales.negotiation"), &json!("done")), (&json!("sales.won"), &json!("refused"))]
    );
    let reasons: Vec<&Value> =
        rows(&report, "refused", &[("principal", REP)]).into_iter().map(|row| &row["reason"]).collect();
    assert_eq!(reasons, ["fields-denied", "stage-move-denied"]);
    let nobody = rows(&report, "refused", &[("reason", "credential-missing")]);
    assert!(
        nobody.len() == 1
            && nobody[0]["principal"].as_str().unwrap().starts_with("nobody identified, source s_")
    );
    let changes = |what: &str, name: &str| one(&report, "changes", &[("what", what)], name);
    assert_eq!(
        (changes("bundle", "author"), changes("bundle", "result")),
        ("unsigned".to_owned(), "active".to_owned())
    );
    assert!(
        changes("bundle", "policies").contains("admin.everything")
            && !changes("directory", "hash").is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_covers_and_what_is_unusual() {
    let day = Day::new().await;
    let report = day.json(&["--burst", "2", "--burst-minutes", "60", "--hours", "00:00-00:01"]);
    let covers = |what: &str| one(&report, "covers", &[("what", what)], "value");
    let verified = run(Path::new("/"), &["audit", "verify", "--state", &day.state]).stdout;
    let head = covers("head of the ledger, entries and root, of which every line was checked");
    assert!(verified.contains(&format!("head {head}\n")), "{verified} {head}");
    let bundle = rows(&report, "changes", &[("what", "bundle")])[0]["hash"].clone();
    assert_eq!(bundle, covers("bundle"), "the bundle that served is the one that is asked");
    assert_eq!(covers("burst of refusals"), "2 within 60 minutes");
    assert_eq!(covers("working hours, Monday to Friday"), "00:00–00:01 UTC+00:00");
    let unusual = |kind: &str| one(&report, "unusual", &[("principal", REP), ("kind", kind)], "number");
    assert_eq!((unusual("burst"), unusual("off hours")), ("2".to_owned(), "5".to_owned()));
    let calm = day.json(&["--hours", "00:00-23:59", "--utc-offset", "-05:00"]);
    assert!(rows(&calm, "unusual", &[("kind", "burst")]).is_empty());
    // A period in which nothing was: rights are there, deeds are not, and nothing was used.
    let later = day.json(&["--from", "2999-01-01"]);
    assert!(rows(&later, "used", &[]).is_empty() && rows(&later, "changes", &[]).is_empty());
    assert_eq!(one(&later, "people", &[("principal", REP)], "requests"), "0");
    let unused = |report: &Value| rows(report, "unused", &[("principal", REP)]).len();
    assert!(unused(&later) > 0 && rows(&later, "rights", &[("uses", "1")]).is_empty());
    let outside = |report: &Value| one(report, "covers", &[("what", "not covered")], "value");
    assert!(outside(&later).starts_with("the period lies after the last entry ("), "{}", outside(&later));
    assert!(rows(&report, "covers", &[("what", "not covered")]).is_empty());
    let before = day.json(&["--to", "2000-01-01"]);
    let lies = "the period lies before the first entry that is kept (";
    assert!(outside(&before).starts_with(lies), "{}", outside(&before));
    let early = day.report(&["--from", "2000-01-01"]);
    let begins = "the period begins before the first entry that is kept (";
    assert!(early.code == 0 && early.stderr.starts_with(begins), "{}", early.stderr);
    for period in
        [["--from", "2026-12-01", "--to", "2026-11-01"], ["--from", "2026-11-02", "--to", "2026-11-01"]]
    {
        let ran = day.report(&period);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""));
        assert!(ran.stderr.contains("the period ends before it begins"), "{}", ran.stderr);
    }
    assert_eq!(one(&before, "people", &[("principal", REP)], "requests"), "0");
    // From the middle of the day on: what was shown before is no news, and who comes now is new.
    let t =
        run(Path::new("/"), &["audit", "query", "by", MANAGER, "--state", &day.state, "--format", "json"]);
    let t: Value = serde_json::from_str(&t.stdout).unwrap();
    let half = day.json(&["--from", t["rows"][0]["t"].as_str().unwrap()]);
    let kinds = |who: &str| -> Vec<Value> {
        let unusual = rows(&half, "unusual", &[("principal", who)]);
        unusual.iter().filter(|row| row["kind"] != "off hours").map(|row| row["kind"].clone()).collect()
    };
    assert_eq!(kinds(MANAGER), ["new"]);
    assert_eq!(kinds(REP), Vec::<Value>::new(), "nothing that the list showed was new to them");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_tables_hold_texts_and_nothing_else() {
    let day = Day::new().await;
    let hostile = "<img src=x onerror=alert(1)>";
    let table = format!("{}/principals.jsonl", day.state);
    let text = std::fs::read_to_string(&table).unwrap().replace("manager-east", hostile);
    std::fs::write(&table, text).unwrap();
    day.folder.edit("directory.cedarentities.json", |text| {
        let person = r#"{"uid":{"type":"User","id":"=1+1\u202e</table><script>x</script>"},"attrs":{"active":false},"parents":[]},"#;
        text.replacen('[', &format!("[{person}"), 1)
    });
    let page = day.report(&["--format", "html"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    assert!(page.stdout.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.stdout.contains("<img"));
    assert!(
        page.stdout.contains("\\u{202e}&lt;/table&gt;&lt;script&gt;") && !page.stdout.contains("<script")
    );
    for outside in ["src=\"", "href", "http://", "https://", "url("] {
        assert!(!page.stdout.contains(outside), "{outside}");
    }
    let heads = page.stdout.matches("<thead>").count();
    assert_eq!(heads, page.stdout.matches("<table>").count());
    assert_eq!(page.stdout.matches("<section").count() - heads, page.stdout.matches(">nothing</p>").count());
    assert!(page.stdout.contains("<code>sometimes</code> depends on the record"));
    assert!(page.stdout.contains("<td class=\"number\">5</td>"));
    // Whoever may not act is listed with why, and has no rights.
    assert!(page.stdout.contains("principal-inactive"));

    let table = day.report(&["--format", "csv"]);
    let lines: Vec<Vec<String>> = table.stdout.trim_end().split("\r\n").map(cells).collect();
    let (head, rows) = lines.split_first().unwrap();
    assert!(rows.len() > 100 && rows.iter().all(|row| row.len() == head.len()));
    let is_formula = |cell: &String| cell.starts_with(['=', '+', '-', '@']);
    assert!(!rows.iter().flatten().any(is_formula), "no cell is a formula");
    let row = |row: &Vec<String>| -> BTreeMap<String, String> {
        head.iter().cloned().zip(row.iter().cloned()).collect()
    };
    let rows: Vec<BTreeMap<String, String>> = rows.iter().map(row).collect();
    let of = |section: &str| rows.iter().filter(|row| row["section"] == section).count();
    assert!(of("covers") > 10 && of("rights") > 20 && of("unused") > 20 && of("limits") > 5);
    let text = day.report(&[]);
    assert!(text.stdout.starts_with("Access review\n") && text.stdout.contains("\\u{202e}"));
}

fn cells(line: &str) -> Vec<String> {
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap();
    line.split("\",\"").map(|cell| cell.replace("\"\"", "\"")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_people_stay_handles() {
    let day = Day::new().await;
    assert_eq!(run(Path::new("/"), &["audit", "forget", "--state", &day.state, MANAGER]).code, 0);
    let report = day.json(&[]);
    assert_eq!(
        one(&report, "people", &[("principal", MANAGER)], "requests"),
        "0",
        "they are in the directory still"
    );
    let erased = rows(&report, "people", &[("state", "erased, or not in the table of handles")]);
    assert_eq!((erased.len(), &erased[0]["requests"]), (1, &json!("1")));
    // A name and its handle stand nowhere side by side, or a report that was kept would undo the next erasure.
    assert!(erased[0]["handle"].as_str().unwrap().starts_with("p_"));
    assert_eq!(one(&report, "people", &[("principal", REP)], "handle"), "");
    assert!(erased[0]["principal"].as_str().unwrap().starts_with("User p_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_makes_no_report() {
    let day = Day::new().await;
    assert_eq!(day.report(&["--format", "csv"]).code, 0);
    // Where the index is already, only checking every line finds it.
    let segment = format!("{}/ledger/segment-00000000000000000001.jsonl", day.state);
    let changed =
        Command::new("sed").args(["-i", "s/stage-move-denied/stage-move-allowed/"]).arg(&segment).status();
    assert!(changed.unwrap().success());
    let ran = day.report(&[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""));
    assert!(ran.stderr.contains("is damaged at byte "), "{}", ran.stderr);
    let unnamed = run(Path::new("/"), &["audit", "report", "--state", &day.state]);
    assert_eq!(unnamed.code, 1);
    assert!(unnamed.stderr.contains("name them with --bundle and --directory"), "{}", unnamed.stderr);
}

/// Whoever was here before and is shown fields for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn first_uses_of_fields() {
    let (sidecar, config) = a_service().await;
    let rep = sidecar.as_person("rep-east");
    rep.get("/api/companies?per_page=1").await;
    let second = rep.get("/api/deals/42").await;
    rep.get("/api/deals/42").await;
    sidecar.ledger_when("the outcomes", |ledger| ledger.of_kind("outcome").len() == 3).await;
    let ledger = sidecar.ledger();
    let entry = ledger.decision(&second);
    let args =
        ["audit", "report", "--from", entry["t"].as_str().unwrap(), "--format", "json", "--config", &config];
    let report: Value = serde_json::from_str(&run(Path::new("/"), &args).stdout).unwrap();
    let first = |name: &str| one(&report, "unusual", &[("principal", REP), ("kind", "first use")], name);
    assert!(
        first("what").contains("Deal.amount") && first("what").contains("Contact.email"),
        "{}",
        first("what")
    );
    assert!(!first("what").contains("Company.name"), "{}", first("what"));
    assert_eq!(first("entry"), entry["seq"].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_records_that_a_report_is_made() {
    let (sidecar, config) = a_service().await;
    sidecar.as_person("rep-east").get("/api/deals/42").await;
    sidecar.ledger_when("the outcome", |ledger| ledger.of_kind("outcome").len() == 1).await;
    let state = sidecar.folder().state().display().to_string();
    let args = ["audit", "report", "--from", "2000-01-01", "--format", "json"];
    let named = ["--state", &state, "--bundle", "bundle", "--directory", "directory.cedarentities.json"];
    let ran = run(sidecar.folder().path(), &[&args[..], &named].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("the reading cannot be recorded"), "{}", ran.stderr);
    let ran = run(Path::new("/"), &[&args[..], &["--config", &config]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let ledger = sidecar.ledger();
    let read = ledger.of_kind("read");
    assert_eq!(
        (read.len(), &read[0]["command"]),
        (1, &json!("audit report --from 2000-01-01T00:00:00.000000000Z"))
    );
    let told = one(&report, "covers", &[("what", "this reading")], "value");
    assert_eq!(told, format!("entry {} of the ledger", read[0]["seq"]));
    assert_eq!(one(&report, "people", &[("principal", REP)], "saw"), "1");
}
