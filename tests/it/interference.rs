//! Non-interference: two CRM states that differ only in what a person may not see give that person the same answers.

use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::noninterference::{self, Plan};

/// Owner and team of the deals that a person may see; `None` for somebody who sees every deal.
struct Viewer {
    person: &'static str,
    owner: Option<u64>,
    /// Keys of visible deals that are hidden from this person.
    hidden: &'static [&'static str],
}

const VIEWERS: &[Viewer] = &[
    Viewer {
        person: "rep-east",
        owner: Some(1),
        hidden: &["margin", "internal_notes", "risk_score", "unheard_of"],
    },
    Viewer {
        person: "service",
        owner: None,
        hidden: &[
            "amount",
            "probability",
            "discount_pct",
            "margin",
            "internal_notes",
            "risk_score",
            "unheard_of",
        ],
    },
];

/// A source of values that follow from a number alone.
struct Values(u64);

impl Values {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of(&mut self, values: &[Value]) -> Value {
        let at = usize::try_from(self.below(1 << 20)).unwrap() % values.len();
        values[at].clone()
    }

    fn of(&mut self, key: &str) -> Value {
        let number = self.below(1_000_000);
        match key {
            "internal_notes" | "title" | "notes" | "name" | "email" | "phone" => {
                json!("x".repeat(usize::try_from(self.below(40)).unwrap() + 1))
            }
            "stage" => self.one_of(&[json!("lead"), json!("won"), json!("proposal"), json!("nowhere")]),
            "owner_id" => self.one_of(&[json!(2), json!(3), json!(5), json!(99)]),
            "contact_id" => json!(101 + self.below(16)),
            "company_id" => json!(201 + self.below(8)),
            _ if self.below(5) == 0 => Value::Null,
            _ => json!(number),
        }
    }
}

/// Brings the CRM into a state that follows from a number; what the viewer may see is the same for all numbers.
async fn arrange(sidecar: &TestSidecar, viewer: &Viewer, state: u64) {
    sidecar.crm().reset();
    let crm = sidecar.crm_caller();
    let mut values = Values(state);
    let all = crm.get("/api/deals").await.json();
    for deal in all["data"].as_array().unwrap() {
        let target = format!("/api/deals/{}", deal["id"]);
        let is_visible = viewer.owner.is_none_or(|owner| deal["owner_id"] == owner);
        let other = ["title", "stage", "owner_id", "contact_id", "company_id", "amount", "margin", "notes"];
        if !is_visible && values.below(4) == 0 {
            assert_eq!(crm.delete(&target).await.status, 204);
            continue;
        }
        let keys = if is_visible { viewer.hidden } else { &other };
        let body: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), values.of(key))).collect();
        assert_eq!(crm.patch(&target, Value::Object(body)).await.status, 200);
    }
    if viewer.owner.is_some() {
        for _ in 0..values.below(4) {
            let body = json!({"title": values.of("title"), "owner_id": 2, "stage": values.of("stage")});
            assert_eq!(crm.post("/api/deals", body).await.status, 201);
        }
        // Contacts of team west.
        for contact in [103, 104, 107, 108] {
            let body =
                json!({"name": values.of("name"), "email": values.of("email"), "phone": values.of("phone")});
            assert_eq!(crm.patch(&format!("/api/contacts/{contact}"), body).await.status, 200);
        }
    }
}

/// All that the viewer asks, and gets.
async fn ask(sidecar: &TestSidecar, viewer: &Viewer) -> Vec<(String, TestReply)> {
    let caller = sidecar.as_person(viewer.person);
    let mut targets: Vec<String> = [
        "",
        "?fields=title,contact",
        "?stage=won",
        "?stage=nowhere",
        "?owner_id=2",
        "?owner_id=1",
        "?sort=-title",
        "?sort=contact_id,company_id",
        "?title__contains=x",
        "?company_id=203&sort=close_date",
        "?sort=margin",
        "?amount__gte=1",
        "?margin__lte=500000",
        "?q=x",
        "?sort=risk_score",
        "?fields=risk_score",
    ]
    .map(|query| format!("/api/deals{query}"))
    .to_vec();
    if viewer.owner.is_none() {
        targets.push("/api/deals?page=2&per_page=7&sort=title".to_owned());
    }
    targets.extend((1..=45).step_by(2).map(|id| format!("/api/deals/{id}")));
    targets.extend((201..=203).map(|id| format!("/api/companies/{id}")));
    targets.extend(
        ["/api/contacts", "/api/companies", "/api/contacts/101", "/api/contacts/103"].map(str::to_owned),
    );
    let mut answers = Vec::new();
    for target in targets {
        let reply = caller.get(&target).await.observable();
        answers.push((format!("GET {target}"), reply));
    }
    for (method, target, body) in [
        ("HEAD", "/api/deals", ""),
        ("HEAD", "/api/deals/7", ""),
        ("PATCH", "/api/deals/7", r#"{"title":"x"}"#),
        ("PATCH", "/api/deals/42", r#"{"margin":500}"#),
        ("PATCH", "/api/deals/42", r#"{"margin":null}"#),
        ("POST", "/api/deals/7/move", r#"{"stage":"won"}"#),
        ("POST", "/api/deals/bulk", r#"{"ids":[7,10],"set":{"title":"x"}}"#),
        ("DELETE", "/api/deals/7", ""),
    ] {
        let reply = caller.send(method, target, body).await.observable();
        answers.push((format!("{method} {target} {body}"), reply));
    }
    answers
}

/// Every sequence of requests, random bundles, a CRM that tells all that it can: `noninterference/`.
#[test]
fn no_sequence_of_requests_tells_what_is_hidden() {
    let plan = Plan::of_environment(SEQUENCES);
    let tally = match noninterference::runtime().block_on(plan.run()) {
        Ok(tally) => tally,
        Err(finding) => std::panic::panic_any(finding.to_string()),
    };
    println!("| noninterference: seed {}, {tally} |", plan.seed);
    // Sequences that are all refused, or states that are all the same, would pass.
    if tally.sequences >= SEQUENCES {
        assert!(tally.edits > tally.sequences && tally.successes > tally.requests / 10);
        assert!(tally.changes > tally.sequences / 25 && tally.refused > 0 && tally.missing > 0);
    }
}

#[test]
fn what_is_hidden_does_not_show() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for viewer in VIEWERS {
        // So few fetches that records inside hidden ones would use them up.
        let few = TestSidecar::with(|options| options.set("limits", "fetches", 3));
        let sidecar = runtime.block_on(few);
        let mut runner = TestRunner::new(Config { cases: 3, failure_persistence: None, ..Config::default() });
        let ran = runner.run(&(any::<u64>(), any::<u64>()), |(one, other)| {
            let mut told = Vec::new();
            for state in [one, other] {
                runtime.block_on(arrange(&sidecar, viewer, state));
                told.push(runtime.block_on(ask(&sidecar, viewer)));
            }
            for ((what, first), (_, second)) in told[0].iter().zip(&told[1]) {
                prop_assert_eq!(first, second, "{} {}", viewer.person, what);
            }
            Ok(())
        });
        ran.unwrap_or_else(|error| std::panic::panic_any(error.to_string()));
        let _guard = runtime.enter();
        drop(sidecar);
    }
}

const SEQUENCES: usize = 1_000;
