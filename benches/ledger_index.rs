//! What reading a ledger costs: verifying it; its index: making it, keeping it up to date, and asking it.
//!
//! `cargo bench --bench ledger_index`. Writes a ledger of made-up entries to a temporary folder, verifies and indexes it, asks each question of many
//! records and people, and adds a batch. The number of entries as an argument: `cargo bench --bench ledger_index -- 3000000`. Entries
//! are those of decisions with an outcome each: 70 in 100 show one deal, 15 a list of 25, 15 change one; 6 in 100 are denied;
//! 10,000 people, 200,000 deals.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads clock, arguments and files")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up has failed"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lockkeeper::audit::index::Index;
use lockkeeper::audit::index::question::{Change, Record, Stages, Within};
use lockkeeper::ledger::append::{Ledger, LedgerOptions};
use lockkeeper::ledger::entry::{
    Access, Change as Stage, Decision, Delivered, Effect, Entry, Mode, Outcome, Release, Sets, Write,
};
use lockkeeper::ledger::field_set::FieldSet;
use lockkeeper::ledger::verify::verify;
use lockkeeper::ledger::who::Who;

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(ENTRIES);
    let folder = tempfile::tempdir().unwrap();
    let mut made_up = MadeUp::new(entries);
    let began = Instant::now();
    made_up.write(folder.path(), entries);
    let ledger = bytes(&folder.path().join("ledger"));
    println!("{entries} entries, {} MB, written in {:.1} s", ledger >> 20, began.elapsed().as_secs_f64());
    let began = Instant::now();
    let size = verify(folder.path(), &[], &mut |_, _| {}).unwrap().head.size;
    println!(
        "verified: {size} entries in {:.1} s, {:.0} entries/s",
        began.elapsed().as_secs_f64(),
        size as f64 / began.elapsed().as_secs_f64()
    );
    let file = folder.path().join("index.sqlite");
    let open = || Index::open(&file, folder.path(), &mut |_, _| {}).unwrap();
    let began = Instant::now();
    drop(open());
    let seconds = began.elapsed().as_secs_f64();
    let index = std::fs::metadata(&file).unwrap().len();
    let each = index / entries;
    println!(
        "index made in {seconds:.1} s: {:.0} entries/s, {} MB, {each} bytes per entry, {:.2} of the ledger",
        entries as f64 / seconds,
        index >> 20,
        index as f64 / ledger as f64
    );
    println!("opened again, nothing new: {:.1} ms", ms(&mut [timed(|| drop(open()))]));
    let mut lags: Vec<Duration> = (0..5)
        .map(|_| {
            made_up.write(folder.path(), BATCH);
            timed(|| drop(open()))
        })
        .collect();
    println!("brought up to date with {BATCH} new entries: {:.1} ms", ms(&mut lags));
    ask(&open(), &mut made_up);
}

fn ask(index: &Index, made_up: &mut MadeUp) {
    let within = Within { limit: 1000, ..Within::everything() };
    let quarter =
        Within { from: Some(START_NS + 10 * DAY_NS), to: Some(START_NS + 20 * DAY_NS), ..within.clone() };
    let policy = Within { policy: Some("deal.view.own".to_owned()), ..within.clone() };
    println!("| Question | Rows, on average | Half of them below, ms | The longest, ms |\n|---|---|---|---|");
    let deal = |made_up: &mut MadeUp| Record { type_name: "Deal".to_owned(), id: made_up.deal() };
    row("who saw one field of a deal", || {
        index.who_saw(&deal(made_up), Some("Deal.margin"), &within).unwrap().rows.len()
    });
    row("the same in 10 of 90 days", || {
        index.who_saw(&deal(made_up), Some("Deal.margin"), &quarter).unwrap().rows.len()
    });
    row("the same by one policy", || {
        index.who_saw(&deal(made_up), Some("Deal.margin"), &policy).unwrap().rows.len()
    });
    row("who changed a deal", || index.who_changed(&deal(made_up), None, &within).unwrap().rows.len());
    row("all that a person did, with its entries", || {
        let found = index.by(&made_up.person(), None, &within).unwrap();
        found.rows.iter().filter(|act| index.item(act).is_ok()).count()
    });
    row("1000 refused moves into a stage, with their entries", || {
        let found =
            index.moves(&Stages::Stage("sales.won".to_owned()), Some(Change::Refused), &within).unwrap();
        found.rows.iter().filter(|found| index.item(&found.act).is_ok()).count()
    });
    row("1000 refusals for one reason in 10 of 90 days", || {
        index.refused(Some("stage-move-denied"), &quarter).unwrap().rows.len()
    });
}

fn row(question: &str, mut ask: impl FnMut() -> usize) {
    let mut rows = 0;
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| timed(|| rows += ask())).collect();
    let (half, longest) = (ms(&mut times), times.last().map_or(0.0, |time| time.as_secs_f64() * 1e3));
    println!("| {question} | {} | {half:.2} | {longest:.2} |", rows / ROUNDS);
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// The middle one in milliseconds; sorts them.
fn ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

fn bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Makes entries up.
struct MadeUp {
    state: u64,
    at: Arc<AtomicI64>,
    /// Between two decisions, in nanoseconds.
    step: i64,
    shown: FieldSet,
    all: FieldSet,
    hidden: FieldSet,
}

impl MadeUp {
    /// Over 90 days.
    fn new(entries: u64) -> Self {
        let open = [
            "Deal.amount",
            "Deal.currency",
            "Deal.owner",
            "Deal.stage",
            "Deal.team",
            "Deal.title",
            "Deal.version",
        ];
        let closed = ["Deal.internal_notes", "Deal.margin"];
        Self {
            state: 42,
            at: Arc::new(AtomicI64::new(START_NS)),
            step: 90 * DAY_NS / i64::try_from(entries / 2).unwrap(),
            shown: FieldSet::of(open),
            all: FieldSet::of(open.iter().chain(&closed).copied()),
            hidden: FieldSet::of(closed),
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % end
    }

    fn deal(&mut self) -> String {
        self.below(200_000).to_string()
    }

    fn person(&mut self) -> String {
        format!("p_{:024x}", self.below(10_000))
    }

    /// Adds so many entries; batches and segments as a service has them.
    fn write(&mut self, folder: &Path, entries: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let at = Arc::clone(&self.at);
        let clock = Arc::new(move || i128::from(at.load(Ordering::Relaxed)));
        let (ledger, _) = Ledger::open(LedgerOptions::new(folder, "bench"), clock).unwrap();
        runtime.block_on(async {
            for _ in 0..entries / 2 {
                self.at.fetch_add(self.step, Ordering::Relaxed);
                let (decision, outcome) = self.pair();
                for entry in [Entry::Decision(Box::new(decision)), Entry::Outcome(outcome)] {
                    while ledger.append_soon(entry.clone()).is_err() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
            ledger.close().await.unwrap();
        });
    }

    fn pair(&mut self) -> (Decision, Outcome) {
        let (kind, is_denied, is_manager) = (self.below(100), self.below(100) < 6, self.below(3) == 0);
        let id = uuid::Uuid::from_u128(
            u128::from(self.at.load(Ordering::Relaxed).unsigned_abs()) << 64
                | u128::from(self.below(u64::MAX >> 34)),
        );
        let is_write = kind >= 85;
        let ids: Vec<String> =
            (0..if (70..85).contains(&kind) { 25 } else { 1 }).map(|_| self.deal()).collect();
        let (shown, hidden) = match is_manager {
            true => (self.all.clone(), FieldSet::default()),
            false => (self.shown.clone(), self.hidden.clone()),
        };
        let policies = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let by = if is_manager {
            policies(&["deal.view.subordinates", "field.read.manager"])
        } else {
            policies(&["deal.view.own", "field.read.public"])
        };
        let sets = vec![Sets {
            record_type: "Deal".to_owned(),
            shown,
            hidden,
            masked: FieldSet::default(),
            ids: ids.clone(),
            policies: by.clone(),
        }];
        let stage = Stage {
            from: Some("sales.proposal".to_owned()),
            to: Some(
                ["sales.won", "sales.lost", "sales.negotiation"][usize::try_from(self.below(3)).unwrap()]
                    .to_owned(),
            ),
        };
        let (effect, reason) = match is_denied {
            true => (Effect::Deny, Some(if is_write { "stage-move-denied" } else { "denied" }.to_owned())),
            false => (Effect::Allow, None),
        };
        let access = Access {
            action: "moveStage".to_owned(),
            record_type: "Deal".to_owned(),
            ids,
            effect,
            policies: by,
            errors: vec![],
            reason: None,
            attribute: None,
        };
        let write =
            Write { asked: vec!["Deal.stage".to_owned()], stage: Some(stage.clone()), ..Write::default() };
        let decision = Decision {
            id: id.to_string(),
            who: Some(Who {
                handle: self.person(),
                principal_type: "User".to_owned(),
                authn: "jwt".to_owned(),
                auth_level: None,
                on_behalf_of: None,
            }),
            method: if is_write { "POST" } else { "GET" }.to_owned(),
            route: Some(if is_write { "POST /deals/{id}/move" } else { "GET /deals/{id}" }.to_owned()),
            query: vec![],
            effect,
            reason: reason.clone(),
            access: if is_write { vec![access] } else { vec![] },
            sets: if is_write || is_denied { vec![] } else { sets.clone() },
            rows_hidden: vec![],
            reasons: Default::default(),
            write: is_write.then_some(write),
            bundle: "1f1b9c94cd45a9cf227f8eaead1cf3f73cdfb2246ec89e76caeb78d3e9684dff".to_owned(),
            directory: "1c324755f0222aa7b79e07d5c72ee338c7e170b3d9605e4880fe12ec00a79d3d".to_owned(),
            mode: Mode::Enforce,
            part: None,
        };
        let outcome = Outcome {
            of: id.to_string(),
            status: Some(if is_denied { 403 } else { 200 }),
            upstream: (!is_denied).then_some(200),
            released: if is_denied { Release::Problem } else { Release::Filtered },
            bytes: Some(900),
            delivered: Delivered::Yes,
            reason,
            mode: None,
            sets: if is_write && !is_denied { sets } else { vec![] },
            stage: (is_write && !is_denied).then_some(stage),
            part: None,
        };
        (decision, outcome)
    }
}

/// Entries without an argument.
const ENTRIES: u64 = 300_000;

/// Entries of a batch that is added.
const BATCH: u64 = 5_000;

/// How often each question is asked.
const ROUNDS: usize = 101;

/// 2026-07-01T00:00:00Z.
const START_NS: i64 = 1_782_864_000_000_000_000;

const DAY_NS: i64 = 86_400_000_000_000;
