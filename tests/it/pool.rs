//! Large bodies are worked on a few at a time: one too many is refused, on the record, and small ones never wait for them.

use std::sync::mpsc;

use lockkeeper::pipeline::pool::{Entry, Work};
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::folder::Options;
use lockkeeper::testkit::ledger::Entries;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::any_crm::{Answer, AnyCrm};

/// One works and `queue` may wait; whatever has 700 bytes is large.
async fn narrow(queue: usize) -> TestSidecar {
    TestSidecar::with(|options| {
        let options = options.set("limits", "pool_threads", 1).set("limits", "pool_bytes", 700);
        options.set("limits", "pool_queue", queue)
    })
    .await
}

/// Keeps the one thread busy until it is let go.
struct Busy {
    end: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Busy {
    async fn keep(sidecar: &TestSidecar) -> Self {
        let (end, ended) = mpsc::channel();
        let (begun, has_begun) = oneshot::channel();
        let sidecar = std::sync::Arc::clone(&sidecar.running().sidecar);
        let task = tokio::spawn(async move {
            let work = move || {
                let _ = begun.send(());
                let _ = ended.recv();
            };
            sidecar.pool.run(Work { bytes: usize::MAX, entry: Entry::Begun }, work).await.unwrap();
        });
        has_begun.await.unwrap();
        Self { end, task }
    }

    async fn let_go(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// Waits for what must come about by itself.
async fn when_waiting(sidecar: &TestSidecar, count: usize) {
    while sidecar.running().sidecar.pool.waiting() != count {
        lockkeeper::testkit::a_moment().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_too_many_is_refused_and_recorded() {
    let sidecar = narrow(0).await;
    let busy = Busy::keep(&sidecar).await;
    let reply = sidecar.as_person("manager-east").get("/api/deals").await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "pool-saturated"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    let ledger =
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    assert_eq!(ledger.decision(&reply)["reason"], "pool-saturated");
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["status"], 503);
    // A body of a caller likewise, before anything is forwarded.
    sidecar.crm().reset();
    let long = format!(r#"{{"title":"{}"}}"#, "x".repeat(700));
    let reply = sidecar.as_person("rep-east").patch("/api/deals/42", &long).await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "pool-saturated"));
    assert_eq!(sidecar.ledger().decision(&reply)["reason"], "pool-saturated");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
    // What is small does not need the pool.
    assert_eq!(sidecar.as_person("admin").get("/api/deals/9007").await.status, 404);
    assert_eq!(sidecar.as_person("admin").get("/api/teams").await.status, 200);
    busy.let_go().await;
    assert_eq!(sidecar.as_person("manager-east").get("/api/deals").await.status, 200);
    assert_eq!(sidecar.as_person("rep-east").patch("/api/deals/42", &long).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_gets_the_answer() {
    let sidecar = narrow(1).await;
    let busy = Busy::keep(&sidecar).await;
    let caller = sidecar.as_person("manager-east");
    let waiting = tokio::spawn(async move { caller.get("/api/deals").await });
    when_waiting(&sidecar, 1).await;
    let refused = sidecar.as_person("manager-east").get("/api/deals").await;
    assert_eq!(refused.reason(), "pool-saturated");
    busy.let_go().await;
    assert_eq!(waiting.await.unwrap().status, 200);
}

/// The CRM has taken it: what it answers is filtered, however many wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_done_is_not_refused() {
    let deal = TestSidecar::start().await.crm_caller().get("/api/deals/42").await.body;
    let crm = AnyCrm::start().await;
    // The image is small, and the answer is not.
    crm.answers(Answer::json([&deal[..], &vec![b' '; 8_000]].concat()));
    crm.answers_reads(Answer::json(deal));
    let limits = |options: Options| options.set("limits", "pool_threads", 1).set("limits", "pool_queue", 0);
    let sidecar = crm.behind(|options| limits(options).set("limits", "pool_bytes", 8_000)).await;
    let busy = Busy::keep(&sidecar).await;
    let caller = sidecar.as_person("rep-east");
    let writing = tokio::spawn(async move { caller.patch("/api/deals/42", r#"{"title":"x"}"#).await });
    when_waiting(&sidecar, 1).await;
    assert_eq!(crm.seen(), ["GET /api/deals/42 HTTP/1.1", "PATCH /api/deals/42 HTTP/1.1"]);
    busy.let_go().await;
    let reply = writing.await.unwrap();
    assert_eq!((reply.status, reply.json()["id"].as_u64()), (200, Some(42)));
}

/// A caller who leaves takes no place along, and leaves a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_keeps_no_place() {
    let sidecar = narrow(2).await;
    let busy = Busy::keep(&sidecar).await;
    let gone = sidecar.as_person("manager-east").open("GET", "/api/deals", "").await;
    when_waiting(&sidecar, 1).await;
    drop(gone);
    busy.let_go().await;
    let is_recorded = |ledger: &Entries| ledger.of_kind("outcome").len() == 1;
    let ledger = sidecar.ledger_when("the outcome", is_recorded).await;
    assert_eq!(ledger.of_kind("decision").len(), 1);
    let pool = &sidecar.running().sidecar.pool;
    assert_eq!((pool.busy(), pool.waiting()), (0, 0));
    assert_eq!(sidecar.as_person("manager-east").get("/api/deals").await.status, 200);
}
