//! A PostgreSQL that goes away and comes back, forgets, and wants passwords over TLS.

use lockkeeper::audit::sinks::fault::SinkFault;
use lockkeeper::config::service::sinks::{SinkConfig, SinkPlace};
use lockkeeper::ledger::entry::sink::SinkState;
use tokio_postgres::Config;

use super::cluster::{Cluster, connect, shared};
use super::rig::{Feed, lines, same};
use super::store::stored;
use crate::certificates::Authority;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_away_has_everything_once() {
    let mut cluster = Cluster::start(&[]);
    let (config, name) = {
        let database = cluster.store().await;
        (database.sink("store"), database.name.clone())
    };
    let mut feed = Feed::start(vec![config.clone()]);
    for round in 0..3_u32 {
        feed.decide(round * 1000..round * 1000 + 60).await;
        // In the middle of whatever it is doing.
        cluster.stop();
        feed.decide(round * 1000 + 100..round * 1000 + 160).await;
        feed.until("store", "down", |status| status.state == SinkState::Down).await;
        assert!(feed.status("store").lag_entries > 100);
        if round == 1 {
            // We are killed while it is away.
            let state = feed.kill().await;
            feed = Feed::on(state, vec![config.clone()], lockkeeper::ledger::clock::system());
        }
        cluster.go_on();
        feed.caught_up("store").await;
    }
    let (id, lost) = (feed.log_id(), feed.status("store").lost);
    let state = feed.end().await;
    assert_eq!(lost, 0, "what was acknowledged survived a crash of the server");
    let auditor = connect(cluster.config(&name, "auditor")).await;
    let written = lines(state.path());
    same(&stored(&auditor, &id).await, &written);
    let told = written.values().filter(|line| line.contains("\"kind\":\"sink\"")).count();
    // Down and up for each time. The process that was started meanwhile takes the store for up, and tells what it meets itself.
    assert!([5, 7].contains(&told), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failover_lost_is_sent_again_and_said() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..50).await;
    feed.caught_up("store").await;
    let had = feed.status("store").acknowledged.unwrap();
    // A standby that was behind took over: rows and cursor of the last transactions are gone.
    let owner = database.connect("owner").await;
    let back = "begin; \
                delete from lockkeeper.entry where seq > 40; delete from lockkeeper.touched where seq > 40; \
                update lockkeeper.log set seq = 40, line_sha256 = encode(sha256(convert_to( \
                  (select line from lockkeeper.entry where seq = 40), 'UTF8')), 'hex'); \
                commit; \
                select pg_terminate_backend(pid) from pg_stat_activity \
                where usename = 'writer' and datname = current_database()";
    owner.batch_execute(back).await.unwrap();
    feed.decide(100..101).await;
    feed.caught_up("store").await;
    assert_eq!(feed.status("store").lost, had - 40);
    assert!(feed.seen().contains(&format!("lockkeeper_sink_lost_entries{{sink=\"store\"}} {}", had - 40)));
    let (id, state) = (feed.log_id(), feed.end().await);
    same(&stored(&database.connect("auditor").await, &id).await, &lines(state.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_the_segments_that_it_needs_says_so_and_skips_nothing() {
    let database = shared().store().await;
    let feed = Feed::start(vec![database.sink("store")]);
    feed.decide(0..300).await;
    feed.caught_up("store").await;
    let starts = lockkeeper::ledger::read::segment_starts(feed.dir.path()).unwrap();
    assert!(starts.len() > 2);
    let id = feed.log_id();
    let state = feed.end().await;
    let first = state.path().join(format!("ledger/segment-{:020}.jsonl", starts[0]));
    let kept = std::fs::read(&first).unwrap();
    std::fs::remove_file(&first).unwrap();
    let owner = database.connect("owner").await;
    let back = "delete from lockkeeper.entry where seq > 10; delete from lockkeeper.touched where seq > 10; \
                update lockkeeper.log set seq = 10, line_sha256 = encode(sha256(convert_to( \
                  (select line from lockkeeper.entry where seq = 10), 'UTF8')), 'hex')";
    owner.batch_execute(back).await.unwrap();
    let feed = Feed::on(state, vec![database.sink("store")], lockkeeper::ledger::clock::system());
    feed.until("store", "in want of segments", |status| {
        let expected = format!("the entries 11 to {} are gone", starts[1] - 1);
        let error = status.error.as_ref();
        error.is_some_and(|e| e.fault == SinkFault::SegmentsMissing && e.detail.contains(&expected))
    })
    .await;
    assert_eq!(feed.status("store").acknowledged, Some(10));
    std::fs::write(&first, kept).unwrap();
    feed.caught_up("store").await;
    let state = feed.end().await;
    same(&stored(&database.connect("auditor").await, &id).await, &lines(state.path()));
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_go_over_verified_tls_and_are_told_to_nobody() {
    let (authority, stranger, port) = (Authority::new(), Authority::new(), free_port());
    let mut cluster = Cluster::start(&[("listen_addresses", "127.0.0.1"), ("port", &port.to_string())]);
    let issued = authority.issue(&["127.0.0.1"]);
    cluster.put("server.crt", &issued.certificate);
    cluster.put("server.key", &issued.key);
    cluster
        .put("postgresql.auto.conf", "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
    cluster.put("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
    cluster.stop();
    cluster.go_on();
    let database = cluster.store().await;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("writer").dbname(&database.name);
    let place = |is_protected| SinkPlace::Postgres {
        config: Box::new(config.clone()),
        password_file: Some(folder.path().join("password")),
        is_protected,
    };
    put("password", "canary-wrong\n");
    let ca_file = Some(put("ca.crt", &stranger.pem()));
    let protected = SinkConfig { place: place(true), ca_file, ..database.sink("store") };
    let plain = SinkConfig { place: place(false), ..database.sink("plain") };
    let feed = Feed::start(vec![protected, plain]);
    feed.decide(0..5).await;
    let fails = async |name: &str, fault: SinkFault| {
        feed.until(name, fault.code(), |s| s.error.as_ref().is_some_and(|error| error.fault == fault)).await;
    };
    fails("store", SinkFault::Tls).await;
    // The server takes nobody in the clear.
    fails("plain", SinkFault::Credentials).await;
    put("ca.crt", &authority.pem());
    fails("store", SinkFault::Credentials).await;
    put("password", "canary-writer\n");
    feed.caught_up("store").await;
    assert!(!feed.seen().contains("canary"), "{}", feed.seen());
    let (id, state) = (feed.log_id(), feed.kill().await);
    let written = lines(state.path());
    assert!(!written.values().any(|line| line.contains("canary")));
    let owner = database.connect("owner").await;
    let held = stored(&owner, &id).await;
    assert!(!held.is_empty() && held.iter().all(|(seq, line)| written.get(seq) == Some(line)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_slow_delays_no_entry() {
    let database = shared().store().await;
    let owner = database.connect("owner").await;
    let feed = Feed::start(vec![SinkConfig { timeout_ms: 1_000, ..database.sink("store") }]);
    feed.decide(0..5).await;
    feed.caught_up("store").await;
    owner.batch_execute("begin; lock table lockkeeper.log in access exclusive mode").await.unwrap();
    feed.decide(10..80).await;
    feed.until("store", "too slow", |status| {
        status.error.as_ref().is_some_and(|error| error.fault == SinkFault::Timeout) && status.failures > 2
    })
    .await;
    owner.batch_execute("rollback").await.unwrap();
    feed.caught_up("store").await;
    let (id, state) = (feed.log_id(), feed.end().await);
    same(&stored(&database.connect("auditor").await, &id).await, &lines(state.path()));
}
