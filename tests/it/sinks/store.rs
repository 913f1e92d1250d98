//! A store in a real PostgreSQL: exactly once, by months, for two instances, and as little rights as can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lockkeeper::audit::sinks::compare::{Depth, Difference, compare};
use lockkeeper::audit::sinks::fault::SinkFault;
use lockkeeper::audit::sinks::postgres::schema::{VERSION, migrate, script};
use lockkeeper::config::service::sinks::SinkConfig;
use lockkeeper::ledger::entry::{Effect, Entry};
use lockkeeper::ledger::log_id::LogId;
use lockkeeper::ledger::made_up::{HANDLE, outcome};
use lockkeeper::testkit::client::PATIENCE;
use tokio_postgres::Client;

use super::cluster::shared;
use super::relay::Relay;
use super::rig::{Feed, lines, moved, same};

/// The lines of one log in the store.
pub async fn stored(auditor: &Client, log: &str) -> BTreeMap<u64, String> {
    let rows = auditor.query("select seq, line from lockkeeper.entry where log = $1", &[&log]).await.unwrap();
    let count = rows.len();
    let line = |row: tokio_postgres::Row| (u64::try_from(row.get::<_, i64>(0)).unwrap(), row.get(1));
    let lines: BTreeMap<u64, String> = rows.into_iter().map(line).collect();
    assert_eq!(lines.len(), count, "each number once");
    lines
}

async fn one<T: for<'r> tokio_postgres::types::FromSql<'r>>(client: &Client, sql: &str) -> T {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_is_there_once_and_answers_the_three_questions() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(1..=60).await;
    for (id, effect) in [(7, Effect::Allow), (8, Effect::Deny)] {
        feed.ledger.append(Entry::Decision(Box::new(moved(id, effect)))).await.unwrap();
        feed.ledger.append(outcome(&format!("move-{id}"))).await.unwrap();
    }
    feed.caught_up("store").await;
    let (id, auditor) = (feed.log_id(), database.connect("auditor").await);
    let state = feed.end().await;
    same(&stored(&auditor, &id).await, &lines(state.path()));
    let saw = async |deal: &str, field: &str| -> Vec<(String, String)> {
        let sql = "select handle, decision from lockkeeper.who_saw('Deal', $1, $2)";
        let rows = auditor.query(sql, &[&deal, &field]).await.unwrap();
        rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    assert_eq!(saw("42", "Deal.amount").await, [(HANDLE.to_owned(), "read-42".to_owned())]);
    assert_eq!(saw("42", "Deal.margin").await, []);
    assert_eq!(saw("420", "Deal.amount").await, []);
    let of = format!("select count(*) from lockkeeper.of_principal('{HANDLE}')");
    assert_eq!(one::<i64>(&auditor, &of).await, 62);
    let refused =
        format!("select string_agg(decision || ' ' || reason, ',') from lockkeeper.refused_to('{HANDLE}')");
    assert_eq!(one::<String>(&auditor, &refused).await, "move-8 stage-move-denied");
    let moves = "select string_agg(effect || ' ' || records[1] || ' ' || stage_from || '>' || stage_to, ', ') \
                 from lockkeeper.stage_moves(pipeline => 'sales')";
    let expected = "allow Deal:7 sales.new>sales.won, deny Deal:8 sales.new>sales.won";
    assert_eq!(one::<String>(&auditor, moves).await, expected);
    assert_eq!(
        one::<i64>(&auditor, "select count(*) from lockkeeper.stage_moves(pipeline => 'sale')").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_commit_that_is_lost_doubles_nothing() {
    let database = shared().store().await;
    let relay = Relay::start(shared().folder(), 4);
    let mut config = tokio_postgres::Config::new();
    config.host_path(relay.folder()).user("writer").dbname(&database.name);
    let feed = Feed::start(vec![SinkConfig { place: database.place(config), ..database.sink("store") }]);
    feed.decide(0..200).await;
    feed.caught_up("store").await;
    assert_eq!(relay.left(), 0);
    let (id, state) = (feed.log_id(), feed.end().await);
    same(&stored(&database.connect("auditor").await, &id).await, &lines(state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_killed_within_a_batch_leaves_nothing_half() {
    let database = shared().store().await;
    let owner = database.connect("owner").await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..5).await;
    feed.caught_up("store").await;
    let before = feed.status("store").acknowledged;
    for round in 1..4_u32 {
        // The batch gets as far as its last table and stays there.
        owner.batch_execute("begin; lock table lockkeeper.touched in access exclusive mode").await.unwrap();
        feed.decide(round * 100..round * 100 + 30).await;
        let waiting = "select pid from pg_stat_activity where usename = 'writer' and datname = current_database() \
                       and wait_event_type = 'Lock'";
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(row) = owner.query_opt(waiting, &[]).await.unwrap() {
                    return row.get::<_, i32>(0);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let pid = found.await.unwrap();
        assert!(one::<bool>(&owner, &format!("select pg_terminate_backend({pid})")).await);
        feed.until("store", "failing", |status| status.failures > 0).await;
        owner.batch_execute("rollback").await.unwrap();
        feed.caught_up("store").await;
    }
    assert!(feed.status("store").acknowledged > before);
    let (id, state) = (feed.log_id(), feed.end().await);
    same(&stored(&database.connect("auditor").await, &id).await, &lines(state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_a_store() {
    let database = shared().store().await;
    let feeds = [Feed::start(vec![database.sink("store")]), Feed::start(vec![database.sink("store")])];
    tokio::join!(feeds[0].decide(0..150), feeds[1].decide(0..150));
    for feed in &feeds {
        feed.caught_up("store").await;
    }
    let auditor = database.connect("auditor").await;
    let [first, second] = feeds;
    assert_ne!(first.log_id(), second.log_id());
    for feed in [first, second] {
        let (id, state) = (feed.log_id(), feed.end().await);
        same(&stored(&auditor, &id).await, &lines(state.path()));
    }
    assert_eq!(one::<i64>(&auditor, "select count(*) from lockkeeper.log").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ledgers_under_one_id_are_told_apart() {
    let database = shared().store().await;
    let first = Feed::start(vec![database.sink("store")]);
    first.decide(0..20).await;
    first.caught_up("store").await;
    let (id, first_state) = (first.log_id(), first.end().await);
    // A state folder that was copied, and went on by itself.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("ledger")).unwrap();
    std::fs::write(dir.path().join("ledger/log-id"), &id).unwrap();
    let second = Feed::on(dir, vec![database.sink("store")], lockkeeper::ledger::clock::system());
    second.decide(0..40).await;
    let diverged = |status: &lockkeeper::audit::sinks::watch::SinkStatus| {
        status.error.as_ref().is_some_and(|error| error.fault == SinkFault::Diverged) && status.failures > 3
    };
    second.until("store", "diverged", diverged).await;
    second.kill().await;
    same(&stored(&database.connect("auditor").await, &id).await, &lines(first_state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_month_has_its_partition_also_when_the_clock_steps() {
    let database = shared().store().await;
    let now_ns = Arc::new(AtomicI64::new(0));
    let set = |text: &str| {
        let at = text.parse::<jiff::Timestamp>().unwrap().as_nanosecond();
        now_ns.store(i64::try_from(at).unwrap(), Ordering::SeqCst);
    };
    set("2026-11-30T23:59:59.999999999Z");
    let shown = Arc::clone(&now_ns);
    let clock = Arc::new(move || i128::from(shown.load(Ordering::SeqCst)));
    let feed = Feed::on(tempfile::tempdir().unwrap(), vec![database.sink("store")], clock);
    feed.decide(0..5).await;
    feed.caught_up("store").await;
    set("2026-12-01T00:00:00Z");
    feed.decide(5..10).await;
    set("2024-02-29T12:00:00Z");
    feed.decide(10..15).await;
    feed.caught_up("store").await;
    let (id, state) = (feed.log_id(), feed.end().await);
    let auditor = database.connect("auditor").await;
    same(&stored(&auditor, &id).await, &lines(state.path()));
    let partitions = "select string_agg(c.relname, ' ' order by c.relname) from pg_inherits i \
                      join pg_class c on c.oid = i.inhrelid where i.inhparent = 'lockkeeper.entry'::regclass";
    // The month of each row and the one after it; nanoseconds are cut, not rounded into the next month.
    let expected = "entry_2024_02 entry_2024_03 entry_2026_11 entry_2026_12 entry_2027_01";
    assert_eq!(one::<String>(&auditor, partitions).await, expected);
    let in_november = "select count(*) from lockkeeper.entry where t >= '2026-11-30Z' and t < '2026-12-01Z'";
    assert_eq!(
        one::<i64>(&auditor, in_november).await,
        13,
        "segment, two field sets, five reads with outcomes"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_may_do_what_they_need_and_no_more() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..5).await;
    feed.caught_up("store").await;
    feed.end().await;
    let denied = async |user: &str, sql: &str| {
        let error = database.connect(user).await.batch_execute(sql).await.unwrap_err();
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{user}: {sql}: {error}");
    };
    for table in ["entry", "touched", "field_set", "log", "migration"] {
        for user in ["writer", "auditor"] {
            denied(user, &format!("delete from lockkeeper.{table}")).await;
            denied(user, &format!("truncate lockkeeper.{table}")).await;
            denied(user, &format!("drop table lockkeeper.{table}")).await;
        }
    }
    denied("writer", "select * from lockkeeper.entry").await;
    denied("writer", "select * from lockkeeper.touched").await;
    denied("writer", "update lockkeeper.entry set line = ''").await;
    denied("writer", "update lockkeeper.log set first_seq = 1").await;
    denied("writer", "update lockkeeper.log set log = '0'").await;
    denied("writer", "insert into lockkeeper.migration (version) values (9)").await;
    denied("writer", "create table lockkeeper.mine ()").await;
    denied("auditor", "insert into lockkeeper.field_set values ('f', '{}')").await;
    denied("auditor", "update lockkeeper.log set seq = 0").await;
    denied("auditor", "select lockkeeper.ensure_month('2030-01-01')").await;
    database.connect("auditor").await.batch_execute("select * from lockkeeper.touched").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_version_are_refused_with_the_way_out() {
    let database = shared().empty().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..5).await;
    let told = async |expected: &str| {
        feed.until("store", expected, |status| {
            let error = status.error.as_ref();
            error.is_some_and(|e| e.fault == SinkFault::StoreVersion && e.detail.contains(expected))
        })
        .await;
    };
    told("no tables for the ledger: run `lockkeeper audit store migrate`").await;
    let mut owner = database.connect("owner").await;
    assert_eq!(migrate(&mut owner).await, Ok(0));
    feed.caught_up("store").await;
    assert_eq!(migrate(&mut owner).await, Ok(VERSION), "a second time changes nothing");
    owner.batch_execute("insert into lockkeeper.migration (version) values (99)").await.unwrap();
    assert!(migrate(&mut owner).await.unwrap_err().detail.contains("knows only"));
    // Asked whenever a connection is made.
    owner.batch_execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer' and datname = current_database()").await.unwrap();
    feed.decide(10..12).await;
    told("version 99, this program knows only").await;
    owner.batch_execute("delete from lockkeeper.migration where version = 99").await.unwrap();
    feed.caught_up("store").await;
}

#[tokio::test]
async fn the_printed_script_makes_the_same_store() {
    let database = shared().empty().await;
    let mut owner = database.connect("owner").await;
    owner.batch_execute(&script()).await.unwrap();
    assert_eq!(migrate(&mut owner).await, Ok(VERSION));
    let grants: i64 = one(
        &owner,
        "select count(*) from information_schema.table_privileges where grantee = 'lockkeeper_auditor'",
    )
    .await;
    assert!(grants >= 4, "{grants}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_says_where_a_store_differs() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..300).await;
    feed.caught_up("store").await;
    let id = LogId::parse(&feed.log_id()).unwrap();
    let state = feed.end().await;
    let (auditor, owner) = (database.connect("auditor").await, database.connect("owner").await);
    let differences = async |depth| compare(&auditor, state.path(), &id, depth).await.unwrap().differences;
    let whole = compare(&auditor, state.path(), &id, Depth::Lines).await.unwrap();
    assert_eq!((whole.differences.as_slice(), whole.behind(), whole.first_seq), ([].as_slice(), 0, 1));
    assert!(whole.segments.len() > 2, "{whole:?}");
    assert!(whole.segments.iter().all(|s| s.stored == s.last_seq - s.first_seq + 1));
    let change = async |sql: &str| owner.batch_execute(sql).await.unwrap();
    change("update lockkeeper.entry set line = line || ' ' where seq = 9").await;
    assert_eq!(differences(Depth::Numbers).await, []);
    assert_eq!(differences(Depth::Lines).await, [Difference::Line { seq: 9 }]);
    // A second row for an entry hides neither itself, nor what stands behind it, nor that another one is gone.
    let doubled = "insert into lockkeeper.entry (log, seq, t, kind, part, line) \
                   select log, seq, t + interval '1 second', kind, part, 'forged' from lockkeeper.entry where seq = 8";
    change(doubled).await;
    change("delete from lockkeeper.entry where seq = 10").await;
    let found = differences(Depth::Lines).await;
    assert!(matches!(found[0], Difference::Doubled { from: 1, count: 1, .. }), "{found:?}");
    let others =
        [Difference::Missing { from: 10, to: 10 }, Difference::Line { seq: 8 }, Difference::Line { seq: 9 }];
    assert_eq!(found[1..], others);
    change("delete from lockkeeper.entry where line = 'forged'").await;
    change(
        "insert into lockkeeper.entry (log, seq, t, kind, part, line) \
            select log, 0, t, kind, part, 'forged' from lockkeeper.entry where seq = 8",
    )
    .await;
    assert!(differences(Depth::Numbers).await.contains(&Difference::Before { count: 1 }));
    change("delete from lockkeeper.entry where line = 'forged'").await;
    change("delete from lockkeeper.entry where seq in (1, 5, 6, 7, 400)").await;
    let missing = [(1, 1), (5, 7), (10, 10), (400, 400)].map(|(from, to)| Difference::Missing { from, to });
    assert_eq!(differences(Depth::Numbers).await, missing);
    change("update lockkeeper.log set seq = seq - 3").await;
    let compared = compare(&auditor, state.path(), &id, Depth::Numbers).await.unwrap();
    assert_eq!(compared.behind(), 3);
    assert_eq!(compared.differences.last(), Some(&Difference::Beyond { count: 3 }));
    change("update lockkeeper.log set seq = seq + 100").await;
    assert!(differences(Depth::Numbers).await.contains(&Difference::Ahead));
    let other = LogId::parse("0123456789abcdef").unwrap();
    let unknown = compare(&auditor, state.path(), &other, Depth::Numbers).await.unwrap();
    assert_eq!(unknown.differences, [Difference::Unknown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_column_can_hold_stops_nothing() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    let long = "x".repeat(5_000);
    let odd = ["a\0b", "\"{},\\", "", "ä→", long.as_str()];
    let mut decision = super::rig::shown(1);
    decision.id = "odd".to_owned();
    decision.route = Some("GET /a\0b".to_owned());
    decision.sets[0].ids = odd.iter().map(|id| (*id).to_owned()).collect();
    feed.ledger.append(Entry::Decision(Box::new(decision))).await.unwrap();
    feed.caught_up("store").await;
    let (id, state) = (feed.log_id(), feed.end().await);
    let auditor = database.connect("auditor").await;
    same(&stored(&auditor, &id).await, &lines(state.path()));
    for record in ["a\u{fffd}b", "\"{},\\", "", "ä→", long.as_str()] {
        let sql = "select count(*) from lockkeeper.who_saw('Deal', $1, 'Deal.amount')";
        let found: i64 = auditor.query_one(sql, &[&record]).await.unwrap().get(0);
        assert_eq!(found, 1, "{record}");
    }
}
