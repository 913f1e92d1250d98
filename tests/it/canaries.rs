//! What was planted as values, names, queries and secrets shows on no surface that is not its own: the real program, with all that it
//! can write to.
#![expect(clippy::disallowed_methods, reason = "edge: runs the program and reads what it wrote")]

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lockkeeper::model::keys::SigningKey;
use lockkeeper::testkit::client::{Caller, PATIENCE, TestReply};
use lockkeeper::testkit::folder::{Options, TestFolder};
use lockkeeper::testkit::{CRM_KEY, TestCrm};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::collector::{self, Collector};
use crate::program::Program;
use crate::sinks::cluster::{Database, shared};
use crate::sinks::receiver::{Mood, Receiver};

/// Whose name is planted, too; only the table of principals and the kept directories may have it.
const PERSON: &str = "canary-person";
const TOKEN: &str = "canary-admin-token-5e0b";

/// What must not show: everything planted has one of these in it, and so have the demo's own values and keys.
const PLANTED: &[&str] = &[
    "canary",
    "own-word",
    "key-of-",
    CRM_KEY,
    "Cold storage",
    "125000",
    "31250",
    "Competitor",
    "customer.example",
    "555 0101",
];

/// Everything that a service can write to.
struct Surroundings {
    crm: TestCrm,
    database: Database<'static>,
    siem: Receiver,
    witness: Receiver,
    collector: Collector,
}

impl Surroundings {
    async fn start() -> Self {
        let crm = TestCrm::start().await;
        let owner = Caller::new(crm.address).with_header(&format!("X-Api-Key: {CRM_KEY}"));
        for (target, body) in [
            (
                "/api/deals/42",
                json!({"title": "canary-title", "internal_notes": "canary-notes", "notes": "canary"}),
            ),
            ("/api/contacts/101", json!({"name": "canary-contact", "email": "canary@customer.example"})),
        ] {
            assert_eq!(owner.patch(target, body).await.status, 200);
        }
        Self {
            crm,
            database: shared().store().await,
            siem: Receiver::start(Mood::Takes).await,
            witness: Receiver::start(Mood::Takes).await,
            collector: Collector::start(collector::Mood::Takes).await,
        }
    }

    fn options(&self, admin: &str) -> Options {
        let sinks = format!(
            "\n[[ledger.sinks]]\nname = \"siem\"\nkind = \"https\"\nurl = \"http://{}/in\"\ntoken_file = \"sink.token\"\n\
             [[ledger.sinks]]\nname = \"store\"\nkind = \"postgres\"\nurl = \"{}\"\n",
            self.siem.address,
            self.database.url("writer")
        );
        let person = json!({
            "uid": {"type": "User", "id": PERSON},
            "attrs": {"active": true, "crmId": "9", "position": {"type": "Position", "id": "sales-east"}},
            "parents": [{"type": "Role", "id": "rep"}, {"type": "Team", "id": "east"}],
        });
        Options::default()
            .key_for(PERSON)
            .file("admin.token", TOKEN.into())
            .file("sink.token", b"canary-sink-token".to_vec())
            .file("witness.token", b"canary-witness-token".to_vec())
            .file("collector.headers", b"x-key: canary-collector-key".to_vec())
            .file("ledger.pem", SigningKey::generate().unwrap().into_bytes())
            .file("out/.keep", Vec::new())
            .set("admin", "address", format!("\"{admin}\""))
            .set("admin", "token_file", "\"admin.token\"")
            .set("log", "level", "\"debug\"")
            .set("telemetry.traces", "endpoint", self.collector.endpoint())
            .set("telemetry.traces", "headers_file", "\"collector.headers\"")
            .set("telemetry.traces", "sample_permille", 1000)
            .set("ledger.checkpoints", "origin", "\"crm/ledger\"")
            .set("ledger.checkpoints", "key_file", "\"ledger.pem\"")
            .set("ledger.checkpoints", "folder", "\"out\"")
            .set("ledger.checkpoints", "stdout", true)
            .set("ledger.checkpoints", "interval_ms", 100)
            .set("ledger.checkpoints.https", "url", format!("\"http://{}/in\"", self.witness.address))
            .set("ledger.checkpoints.https", "token_file", "\"witness.token\"")
            .edit("lockkeeper.toml", move |text| text + &sinks)
            .edit("directory.cedarentities.json", move |text| {
                let mut people: Vec<Value> = serde_json::from_str(&text).unwrap();
                people.push(person);
                json!(people).to_string()
            })
    }
}

/// Requests of every kind, those among them that are refused. Returns what the refusals said.
async fn requests(program: &Program, folder: &TestFolder) -> String {
    let mut refusals = String::new();
    let mut tell = |reply: TestReply| {
        if reply.status >= 400 {
            // The names that callers wrote may be told to them.
            let text = reply.text().replace("own-word", "");
            refusals.push_str(&format!("{:?} {text}\n", reply.headers));
        }
    };
    for person in [PERSON, "rep-east", "rep-west", "manager-east", "service", "admin"] {
        let caller = Caller::new(program.address)
            .with_header(&format!("Authorization: Bearer {}", folder.key(person)))
            .with_header("X-Note: canary-header")
            .with_header("Cookie: canary-cookie=1");
        for (method, target, body) in [
            ("GET", "/api/deals/42", ""),
            ("GET", "/api/deals", ""),
            ("GET", "/api/contacts/101", ""),
            ("GET", "/api/deals?title__contains=canary-query", ""),
            ("GET", "/api/deals?own-word-parameter=canary", ""),
            ("GET", "/api/deals?fields=own-word-field", ""),
            ("GET", "/api/canary-path/x", ""),
            ("GET", "/api/deals/canary-id", ""),
            ("PATCH", "/api/deals/42", r#"{"title":"canary-new-title","margin":"canary"}"#),
            ("PATCH", "/api/deals/42", r#"{"stage":"canary-stage"}"#),
            ("PATCH", "/api/deals/42", r#"{"own-word-key":"canary"}"#),
            ("PATCH", "/api/contacts/101", r#"{"email":"canary-new@customer.example"}"#),
            ("POST", "/api/deals", r#"{"title":"canary-deal","owner_id":1}"#),
            ("PATCH", "/api/deals/42", "canary-syntax"),
        ] {
            tell(caller.send(method, target, body).await);
        }
    }
    let stranger = Caller::new(program.address);
    tell(stranger.with_header("Authorization: Bearer canary-unknown").get("/api/deals?canary=canary").await);
    refusals
}

/// What the admin listener answers, to who may ask and who may not.
async fn administration(admin: &str) -> String {
    let anybody = || Caller::new(admin.parse().unwrap()).with_header("Content-Type: application/json");
    let caller = anybody().with_header(&format!("Authorization: Bearer {TOKEN}"));
    let about = json!({
        "subject": {"type": "User", "id": PERSON},
        "action": {"name": "view"},
        "resource": {"type": "Deal", "id": "42", "properties": {"title": "canary-property", "owner_id": 1}},
    });
    let replies = [
        caller.post("/access/v1/evaluation", &about).await,
        caller.post("/access/v1/evaluation", "canary").await,
        caller.post("/v1/ledger/readings", json!({"command": "audit query moves"})).await,
        caller.post("/v1/ledger/readings", json!({"command": "canary"})).await,
        caller.post("/v1/ledger/erasures", json!({"principal": "User::\"canary-nobody\""})).await,
        caller.post("/reload", "").await,
        caller.get("/metrics").await,
        caller.get("/status").await,
        anybody().with_header("Authorization: Bearer canary-wrong").get("/status").await,
    ];
    replies.iter().map(|reply| format!("{:?} {}\n", reply.headers, reply.text())).collect()
}

/// Waits until all copies have all.
async fn settled(admin: &str) {
    let caller = Caller::new(admin.parse().unwrap()).with_header(&format!("Authorization: Bearer {TOKEN}"));
    let settled = timeout(PATIENCE, async {
        loop {
            let status: Value = serde_json::from_str(caller.get("/status").await.text()).unwrap();
            let sinks = status["sinks"].as_array().unwrap();
            if sinks.iter().all(|sink| sink["lagEntries"] == 0) && status["checkpoints"]["unprovable"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(settled.await.is_ok(), "the copies never had all: {}", caller.get("/status").await.text());
}

/// Everything in every table of the store.
async fn tables(database: &Database<'_>) -> String {
    let auditor = database.connect("auditor").await;
    let mut text = String::new();
    for table in ["log", "entry", "touched", "field_set", "migration"] {
        let rows = format!("select to_jsonb(of)::text from lockkeeper.{table} of");
        for row in auditor.query(&rows, &[]).await.unwrap() {
            text.push_str(&(row.get::<_, String>(0) + "\n"));
        }
    }
    text
}

/// What a command on the state folder prints.
fn command(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
    let ran =
        command.arg("audit").args(args).args(["--state", "state"]).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{args:?}: {}", text(&ran.stderr));
    text(&ran.stdout) + &text(&ran.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_planted_shows_on_any_surface() {
    let around = Surroundings::start().await;
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let folder = TestFolder::new(around.options(&admin), around.crm.address);
    let printed = ["stdout.txt", "stderr.txt"].map(|name| folder.path().join(name));
    let [out, error] = [&printed[0], &printed[1]].map(|path| File::create(path).unwrap());
    let mut program = Program::start_into(&folder, out.into(), error.into()).await;
    let refusals = requests(&program, &folder).await;
    let answers = administration(&admin).await;
    settled(&admin).await;
    program.end();

    let [out, error] = [&printed[0], &printed[1]].map(|path| std::fs::read_to_string(path).unwrap());
    let run = |args: &[&str]| command(folder.path(), args);
    let bodies =
        |receiver: &Receiver| receiver.kept().into_iter().map(|taken| taken.body).collect::<String>();
    let spans = around.collector.raw().into_iter();
    let spans: String = spans.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect();
    // What each must have in it, so that it is the surface that is meant.
    let surfaces = [
        ("refusals", "route-unmapped", refusals),
        ("admin answers", "lockkeeper_requests", answers),
        ("operational log", "route-unmapped", error),
        ("standard output", "checkpoint", out),
        ("segments", "Deal.margin", folder.all_text("state/ledger")),
        ("tree", "crm/ledger", folder.all_text("state/tree")),
        ("cursors", "sha256", folder.all_text("state/sinks")),
        ("exported checkpoints", "crm/ledger", folder.all_text("out")),
        ("sent checkpoints", "crm/ledger", bodies(&around.witness)),
        ("NDJSON", "Deal.margin", bodies(&around.siem)),
        ("store", "Deal.margin", tables(&around.database).await),
        ("spans", "GET /api/deals/{id", spans),
        ("OCSF", "class_uid", run(&["export"])),
        ("tail", "fields-denied", run(&["tail", "--names=never", "--last", "1000"])),
        ("answers of the index", "Deal", run(&["query", "refused", "--names=never", "--format", "json"])),
        ("index", "SQLite format 3", folder.all_text("state/index.sqlite")),
    ];
    let mut findings = Vec::new();
    for (surface, marker, text) in &surfaces {
        assert!(text.contains(marker), "{surface} has no `{marker}`: {text}");
        for planted in PLANTED {
            let line = text.lines().find(|line| line.contains(planted));
            findings.extend(line.map(|line| format!("`{planted}` shows in {surface}: {line}")));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    // These say who somebody is, and nothing else.
    for own in ["state/principals.jsonl", "state/revisions"] {
        let text = folder.all_text(own);
        assert!(text.contains(PERSON), "{own}");
        let rest = text.replace(PERSON, "");
        assert!(!rest.contains("canary") && !rest.contains("key-of-"), "{own}");
    }
}
