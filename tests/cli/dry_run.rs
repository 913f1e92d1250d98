//! A dry run says what the service does: the same answers, byte for byte, and the same requests to the CRM.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use lockkeeper::json::parse::JsonLimits;
use lockkeeper::json::value::Document;
use lockkeeper::model::principal::{Asker, EntityRef};
use lockkeeper::pipeline::decide::gate::VerdictCache;
use lockkeeper::pipeline::dry_run::explanation::{Explanation, Outcome};
use lockkeeper::pipeline::dry_run::{DryRequest, DryRun, dry_run};
use lockkeeper::pipeline::forward::UpstreamResponse;
use lockkeeper::pipeline::sidecar::Limits;
use lockkeeper::testkit::client::TestReply;
use lockkeeper::testkit::folder::PEOPLE;
use lockkeeper::testkit::{NOW_MS, TestSidecar};

/// Explains a request as the service would decide it, with what the CRM holds.
fn explain(sidecar: &TestSidecar, person: &str, request: (&str, &str, &str), held: &Held) -> Explanation {
    let (method, target, body) = request;
    let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("lockkeeper.test"))]);
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let body = Bytes::from(body.to_owned());
    let (method, target) = (method.parse().unwrap(), target.parse().unwrap());
    dry_run(&DryRun {
        snapshot: &sidecar.running().sidecar.current.snapshot(),
        limits: &Limits::default(),
        cache: &Arc::new(VerdictCache::new(1_000, 1)),
        asker: &Asker::plain(EntityRef::new("User", person), NOW_MS),
        request: DryRequest { method, target, headers, body },
        records: &held.records,
        answer: held.answer.as_ref(),
    })
}

/// What the CRM holds, as the administrator sees it: that is all of it.
#[derive(Clone, Default)]
struct Held {
    records: Vec<Document>,
    answer: Option<UpstreamResponse>,
}

impl Held {
    async fn records(sidecar: &TestSidecar, targets: &[String]) -> Self {
        let mut held = Self::default();
        for target in targets {
            let body = sidecar.as_person("admin").get(target).await.body;
            held.records.push(Document::parse(Bytes::from(body), &JsonLimits::default()).unwrap());
        }
        held
    }

    async fn answer(mut self, sidecar: &TestSidecar, target: &str) -> Self {
        let reply = sidecar.as_person("admin").get(target).await;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.answer = Some(UpstreamResponse { status: reply.status, headers, body: Bytes::from(reply.body) });
        self
    }
}

#[track_caller]
fn check(person: &str, request: &str, told: &Explanation, reply: &TestReply) {
    let about = format!("{person} {request}\n{told:#?}\n{}", reply.text());
    let body = told.answer.as_ref().and_then(|answer| answer.body.as_deref());
    match told.outcome {
        Outcome::Allow => assert_eq!((reply.status, body), (200, Some(reply.text())), "{about}"),
        Outcome::Deny | Outcome::Refuse | Outcome::Fail => {
            let problem = told.problem.as_ref().unwrap();
            assert_eq!(problem.status, reply.status, "{about}");
            assert!(problem.reason == "not-found" || reply.text().contains(problem.reason), "{about}");
            assert_eq!(body, None, "{about}");
        }
        Outcome::Undetermined => panic!("undetermined: {about}"),
    }
}

fn contacts() -> Vec<String> {
    (101..=116).map(|id| format!("/api/contacts/{id}")).collect()
}

#[tokio::test]
async fn reads_are_answered_as_the_service_answers_them() {
    let sidecar = TestSidecar::start().await;
    let mut targets = contacts();
    targets.extend((1..=6).chain([42]).map(|id| format!("/api/deals/{id}")));
    targets.extend((201..=203).map(|id| format!("/api/companies/{id}")));
    let held = Held::records(&sidecar, &targets).await;
    for person in PEOPLE {
        for target in &targets {
            let told = explain(&sidecar, person, ("GET", target, ""), &held);
            check(person, target, &told, &sidecar.as_person(person).get(target).await);
        }
    }
}

#[tokio::test]
async fn lists_are_answered_as_the_service_answers_them() {
    let sidecar = TestSidecar::start().await;
    // What the CRM is asked for on top of a projection is in the whole list.
    let lists = [
        ("/api/deals?page=1&per_page=7", "/api/deals?page=1&per_page=7"),
        ("/api/deals?sort=-title&page=2&per_page=5", "/api/deals?sort=-title&page=2&per_page=5"),
        ("/api/deals?amount__gte=90000", "/api/deals?amount__gte=90000"),
        ("/api/deals?fields=title,amount&page=1&per_page=7", "/api/deals?page=1&per_page=7"),
        ("/api/deals?fields=nothing", "/api/deals?page=1&per_page=1"),
        ("/api/contacts?page=1&per_page=9", "/api/contacts?page=1&per_page=9"),
        ("/api/companies?page=2&per_page=2", "/api/companies?page=2&per_page=2"),
        ("/api/deals?undeclared=1", "/api/deals?page=1&per_page=1"),
    ];
    let records = Held::records(&sidecar, &contacts()).await;
    for (target, sample) in lists {
        let held = records.clone().answer(&sidecar, sample).await;
        for person in PEOPLE {
            let told = explain(&sidecar, person, ("GET", target, ""), &held);
            check(person, target, &told, &sidecar.as_person(person).get(target).await);
        }
    }
}

#[tokio::test]
async fn writes_go_to_the_crm_as_they_would() {
    let writes = [
        ("PATCH", "/api/deals/42", "{\"title\":\"x\"}"),
        ("PATCH", "/api/deals/42", "{\"title\":\"x\",\"margin\":1}"),
        ("PATCH", "/api/deals/42", "{\"margin\":31250.25,\"notes\":\"y\"}"),
        ("PATCH", "/api/deals/42", "{\"owner_id\":2}"),
        ("PATCH", "/api/deals/42", "{\"stage\":\"won\"}"),
        ("PATCH", "/api/deals/42", "{\"nothing\":1}"),
        ("PUT", "/api/deals/42", "{\"title\":\"x\"}"),
        ("POST", "/api/deals/42/move", "{\"stage\":\"won\"}"),
        ("POST", "/api/deals/42/move", "{\"stage\":\"negotiation\"}"),
        ("POST", "/api/deals/42/move", "{\"stage\":\"nowhere\"}"),
        ("POST", "/api/deals", "{\"title\":\"new\",\"owner_id\":1}"),
        ("POST", "/api/deals", "{\"title\":\"new\",\"owner_id\":2}"),
        ("POST", "/api/deals/bulk", "{\"ids\":[42],\"set\":{\"notes\":\"z\"}}"),
        ("DELETE", "/api/deals/42", ""),
    ];
    let sidecar = TestSidecar::start().await;
    for person in PEOPLE {
        for (method, target, body) in writes {
            sidecar.crm().reset();
            let held = Held::records(&sidecar, &["/api/deals/42".to_owned()]).await;
            let told = explain(&sidecar, person, (method, target, body), &held);
            let reply = sidecar.as_person(person).send(method, target, body).await;
            let about = format!("{person} {method} {target} {body}\n{told:#?}\n{}", reply.text());
            let sent = told.upstream.as_ref().map(|sent| format!("{} {}", sent.method, sent.target));
            assert_eq!(sidecar.crm_writes(), sent.into_iter().collect::<Vec<_>>(), "{about}");
            let forwarded = sidecar.crm().requests().into_iter().find(|request| request.method != "GET");
            let forwarded = forwarded.map(|request| String::from_utf8(request.body.to_vec()).unwrap());
            assert_eq!(forwarded, told.upstream.as_ref().map(|sent| sent.body.clone()), "{about}");
            match &told.problem {
                None => assert!(reply.status < 300, "{about}"),
                Some(problem) => assert_eq!(problem.status, reply.status, "{about}"),
            }
        }
    }
}
