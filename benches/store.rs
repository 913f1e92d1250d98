//! A store in PostgreSQL: how fast it is loaded, how far it is behind under load, how fast it answers. `scripts/store` starts the
//! server and runs this.
//!
//! Arguments: the folder of the server's socket, and how many entries. Prints a table.
#![expect(clippy::disallowed_methods, reason = "edge: a benchmark reads the clock and its arguments")]
#![expect(clippy::print_stdout, reason = "the table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use lockkeeper::audit::sinks::postgres::schema::migrate;
use lockkeeper::audit::sinks::running::{Sinks, Watched};
use lockkeeper::config::service::LedgerConfig;
use lockkeeper::config::service::sinks::{SinkConfig, SinkPlace};
use lockkeeper::ledger::append::{Ledger, LedgerOptions, Waiting};
use lockkeeper::ledger::clock;
use lockkeeper::ledger::durability::Durability;
use lockkeeper::ledger::entry::{
    Access, Change, Decision, Delivered, Effect, Entry, Mode, Outcome, Release, Sets, Write,
};
use lockkeeper::ledger::field_set::FieldSet;
use lockkeeper::ledger::who::Who;
use lockkeeper::service::sinks;
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::telemetry::metrics::Metrics;
use tokio_postgres::{Client, Config, NoTls};

const USERS: u64 = 10_000;
const DEALS: u64 = 200_000;
/// Of 100 requests: lists of 20 deals, stage moves, and requests that are refused.
const LISTS: u64 = 20;
const MOVES: u64 = 5;
const REFUSED: u64 = 6;
/// Decisions of a quarter, whatever their number: entries are stamped from its first to its last second.
const QUARTER_NS: u64 = 92 * 86_400 * 1_000_000_000;
const FIRST_NS: i128 = 1_782_864_000_000_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    // `cargo bench` without arguments runs every benchmark; this one needs a server.
    let (Some(server), Some(entries)) = (arguments.next(), arguments.next()) else {
        println!("scripts/store starts a server and runs this");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(Path::new(&server), entries.parse().unwrap()));
}

async fn run(server: &Path, entries: u64) {
    let owner = connect(server, "postgres", "owner").await;
    owner.batch_execute("create database audit").await.unwrap();
    drop(owner);
    let mut owner = connect(server, "audit", "owner").await;
    migrate(&mut owner).await.unwrap();
    owner.batch_execute("create role writer login in role lockkeeper_writer").await.unwrap();
    let version: String = one(&owner, "show server_version").await;
    row("PostgreSQL", version);
    load(server, entries).await;
    owner.batch_execute("vacuum analyze").await.unwrap();
    sizes(&owner).await;
    questions(&owner).await;
    lag(server).await;
}

/// A ledger of a quarter is written, then sent whole.
async fn load(server: &Path, entries: u64) {
    let dir = tempfile::tempdir().unwrap();
    let at = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&at);
    let step = i64::try_from(QUARTER_NS / entries.max(1)).unwrap();
    let clock: clock::Clock =
        Arc::new(move || FIRST_NS + i128::from(shown.fetch_add(step / 4, Ordering::Relaxed)));
    let options = LedgerOptions { soon_wait_ms: 0, ..LedgerOptions::new(dir.path(), "bench") };
    let (ledger, _) = Ledger::open(options, clock).unwrap();
    let began = Instant::now();
    let mut number = 0;
    while ledger.health().last_seq < entries {
        // The clock stands where so many entries are.
        at.store(i64::try_from(ledger.health().last_seq).unwrap() * step, Ordering::Relaxed);
        for _ in 0..200 {
            for entry in exchange(number) {
                hand_over(&ledger, entry).await;
            }
            number += 1;
        }
    }
    let written = began.elapsed();
    let bytes: u64 = std::fs::read_dir(dir.path().join("ledger"))
        .unwrap()
        .map(|f| f.unwrap().metadata().unwrap().len())
        .sum();
    row("entries", ledger.health().last_seq);
    row("bytes an entry in the ledger", bytes / ledger.health().last_seq);
    row("writing the ledger, entries/s", rate(ledger.health().last_seq, written));
    let began = Instant::now();
    let sinks = start(server, dir.path(), &ledger);
    caught_up(sinks.watched()).await;
    row("loading the store, entries/s", rate(ledger.health().last_seq, began.elapsed()));
    sinks.finish().await;
}

/// Entries at a steady pace, as many as a busy service makes: how long the oldest one waits.
async fn lag(server: &Path) {
    for pairs in [100, 1_000, 3_000] {
        let dir = tempfile::tempdir().unwrap();
        let options = LedgerOptions::new(dir.path(), "bench");
        let (ledger, _) = Ledger::open(options, clock::system()).unwrap();
        let sinks = start(server, dir.path(), &ledger);
        caught_up(sinks.watched()).await;
        let (mut ticks, mut lags) = (tokio::time::interval(Duration::from_millis(20)), Vec::new());
        for tick in 0..500 {
            ticks.tick().await;
            for number in 0..pairs / 50 {
                for entry in exchange(tick * 1_000 + number) {
                    hand_over(&ledger, entry).await;
                }
            }
            lags.push(sinks.watched().statuses().first().map_or(0, |status| status.lag_ms));
        }
        lags.sort_unstable();
        row(
            &format!("lag at {} entries/s, ms, median and worst", pairs * 2),
            format!("{} / {}", at(&lags, 50), at(&lags, 100)),
        );
        sinks.finish().await;
    }
}

async fn questions(client: &Client) {
    let who_saw = "select count(*) from lockkeeper.who_saw('Deal', $1, 'Deal.margin')";
    let refused = "select count(*) from lockkeeper.refused_to($1)";
    let moves = "select count(*) from lockkeeper.stage_moves($1::text::timestamptz, $1::text::timestamptz + interval '1 hour', 'sales')";
    let of = "select count(*) from lockkeeper.of_principal($1, '2026-08-01', '2026-08-08')";
    let hour = |n: u64| format!("2026-{:02}-{:02}T{:02}:00:00Z", 7 + n % 3, 1 + n % 28, n % 24);
    ask(client, "who saw a field of a deal", who_saw, |n| (n * 7919 % DEALS).to_string()).await;
    ask(client, "all that was refused to a principal", refused, |n| handle(n * 7919 % USERS)).await;
    ask(client, "a principal's week", of, |n| handle(n * 7919 % USERS)).await;
    ask(client, "stage moves of an hour", moves, hour).await;
}

/// The same question about many, each once, one after the other.
async fn ask(client: &Client, what: &str, sql: &str, about: impl Fn(u64) -> String) {
    let statement = client.prepare(sql).await.unwrap();
    let (mut times, mut found) = (Vec::new(), 0);
    for number in 0..500 {
        let asked = about(number);
        let began = Instant::now();
        let rows: i64 = client.query_one(&statement, &[&asked]).await.unwrap().get(0);
        times.push(u64::try_from(began.elapsed().as_micros()).unwrap());
        found += rows;
    }
    times.sort_unstable();
    let ms = |percent| format!("{:.2}", Duration::from_micros(at(&times, percent)).as_secs_f64() * 1e3);
    let rows = found / 500;
    row(
        &format!("{what}, ms, median / p99 / worst"),
        format!("{} / {} / {} ({rows} rows)", ms(50), ms(99), ms(100)),
    );
}

async fn sizes(client: &Client) {
    let entries: i64 = one(client, "select count(*) from lockkeeper.entry").await;
    for table in ["entry", "touched"] {
        for (what, function) in [("table", "pg_table_size"), ("indexes", "pg_indexes_size")] {
            let sql = format!(
                "select sum({function}(inhrelid))::bigint from pg_inherits where inhparent = 'lockkeeper.{table}'::regclass"
            );
            let bytes: i64 = one(client, &sql).await;
            row(&format!("bytes an entry, `{table}`, {what}"), bytes / entries);
        }
    }
}

fn start(server: &Path, state: &Path, ledger: &Ledger) -> Sinks {
    let mut config = Config::new();
    config.host_path(server).dbname("audit").user("writer");
    let place = SinkPlace::Postgres { config: Box::new(config), password_file: None, is_protected: false };
    let sink = SinkConfig {
        name: "store".to_owned(),
        place,
        is_required: true,
        ca_file: None,
        pair: None,
        timeout_ms: 60_000,
        batch_entries_max: 1_000,
        batch_bytes_max: 1 << 20,
        retry_max_ms: 30_000,
    };
    let config = LedgerConfig {
        checkpoints: None,
        retention: None,
        free_bytes_min: 0,
        path: state.to_owned(),
        segment_bytes_max: 256 << 20,
        segment_ms_max: 86_400_000,
        queue_entries_max: 8_192,
        write_timeout_ms: 5_000,
        sync_interval_ms: 1_000,
        routes: Vec::new(),
        log_label: None,
        sinks: vec![sink],
    };
    sinks::start(&config, ledger, &Arc::new(Metrics::default()), &Clock::system()).unwrap()
}

async fn caught_up(watched: &Watched) {
    while watched.statuses().iter().any(|s| s.lag_entries > 0 || s.acknowledged.is_none()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn hand_over(ledger: &Ledger, entry: Entry) {
    let mut waiting = Some(Waiting::new(entry, Durability::Sync).unwrap());
    while let Some(entry) = waiting.take() {
        waiting = ledger.offer(entry).unwrap();
        if waiting.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One request: its decision and its outcome.
fn exchange(number: u64) -> [Entry; 2] {
    // Spread over users and deals without a pattern that an index could profit from.
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let (deal, what, id) = (random % DEALS, random / DEALS % 100, format!("{random:012x}-{number}"));
    let is_refused = random / 7 % 100 < REFUSED;
    let effect = if is_refused { Effect::Deny } else { Effect::Allow };
    let count = if what < LISTS { 20 } else { 1 };
    let is_move = (LISTS..LISTS + MOVES).contains(&what);
    let ids: Vec<String> = (0..count).map(|n| ((deal + n * 7919) % DEALS).to_string()).collect();
    let sets = Sets {
        record_type: "Deal".into(),
        shown: FieldSet::of(["Deal.amount", "Deal.close_date", "Deal.margin", "Deal.title"]),
        hidden: FieldSet::of(["Deal.internal_notes"]),
        masked: FieldSet::default(),
        ids: ids.clone(),
        policies: vec!["deal.view.own".into(), "field.read.public".into()],
    };
    let access = Access {
        action: if is_move { "moveStage" } else { "view" }.into(),
        record_type: "Deal".into(),
        ids,
        effect,
        policies: vec!["deal.view.own".into()],
        errors: vec![],
        reason: None,
        attribute: None,
    };
    let stage = Change { from: Some("sales.talk".into()), to: Some("sales.won".into()) };
    let write =
        is_move.then(|| Write { asked: vec!["Deal.stage".into()], stage: Some(stage), ..Write::default() });
    let decision = Decision {
        id: id.clone(),
        who: Some(Who {
            handle: handle(random / 13 % USERS),
            principal_type: "User".into(),
            authn: "jwt".into(),
            auth_level: None,
            on_behalf_of: None,
        }),
        method: if is_move { "PATCH" } else { "GET" }.into(),
        route: Some(if count > 1 { "GET /deals" } else { "GET /deals/{id:int}" }.into()),
        query: vec![],
        effect,
        reason: is_refused.then(|| "record-denied".to_owned()),
        access: vec![access],
        sets: if is_refused || is_move { vec![] } else { vec![sets] },
        rows_hidden: vec![],
        reasons: BTreeMap::new(),
        write,
        bundle: "31053ab113ba74ac12270d6e1edd31a1a4931fa2ae6284b197f54aaa4dc3c9c1".into(),
        directory: "b9069917bb3f4a450e1d369327c7870d0da7c3d48a0cc33e038abda5d30fce08".into(),
        mode: Mode::Enforce,
        part: None,
    };
    let outcome = Outcome {
        of: id,
        status: Some(200),
        upstream: Some(200),
        released: Release::Filtered,
        bytes: Some(1_024),
        delivered: Delivered::Yes,
        reason: None,
        mode: None,
        sets: vec![],
        stage: None,
        part: None,
    };
    [Entry::Decision(Box::new(decision)), Entry::Outcome(outcome)]
}

fn handle(user: u64) -> String {
    format!("p_{user:024x}")
}

async fn connect(server: &Path, database: &str, user: &str) -> Client {
    let mut config = Config::new();
    config.host_path(server).dbname(database).user(user);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn one<T: for<'r> tokio_postgres::types::FromSql<'r>>(client: &Client, sql: &str) -> T {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// The value below which so many of 100 are.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(0)
}

fn rate(count: u64, duration: Duration) -> u64 {
    let ms = u64::try_from(duration.as_millis()).unwrap().max(1);
    count * 1_000 / ms
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("{what:<58} {value}");
}
