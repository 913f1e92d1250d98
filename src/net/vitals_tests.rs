//! What a connection may be late with, on a clock that stands still until it is waited for.

use super::*;

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(1),
    idle: Duration::from_secs(10),
    write: Duration::from_secs(5),
    exchanges_max: None,
};

#[track_caller]
fn check(protocol: Protocol, act: impl Fn(&Arc<Vitals>) -> Vec<Opened>, expected: Option<Over>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let found = runtime.block_on(async {
        let vitals = Vitals::new(protocol);
        let open = act(&vitals);
        let found = tokio::time::timeout(Duration::from_secs(60), vitals.over(&PATIENCE)).await.ok();
        drop(open);
        found
    });
    assert_eq!(found, expected);
}

#[test]
fn each_phase_has_its_limit() {
    use Protocol::{Http1, Http2};
    let none = |_: &Arc<Vitals>| Vec::new();
    let half_a_head = |vitals: &Arc<Vitals>| {
        vitals.note_read();
        Vec::new()
    };
    let between = |vitals: &Arc<Vitals>| {
        vitals.note_read();
        drop(vitals.begin());
        Vec::new()
    };
    let at_work = |vitals: &Arc<Vitals>| {
        vitals.note_read();
        vec![vitals.begin()]
    };
    // All of it left our buffers for one of a layer below that the socket does not empty.
    let blocked = |vitals: &Arc<Vitals>| {
        let opened = vitals.begin();
        vitals.note_socket(7);
        vitals.note_blocked();
        vec![opened]
    };
    // The CRM is slow, and nothing waits for the caller.
    let starved = |vitals: &Arc<Vitals>| {
        let opened = vitals.begin();
        opened.progress().hand_over(7);
        opened.progress().take(7);
        vitals.note_socket(7);
        vec![opened]
    };
    let unread = |vitals: &Arc<Vitals>| {
        let opened = vitals.begin();
        opened.progress().hand_over(7);
        vec![vitals.begin(), opened]
    };
    check(Http1, none, Some(Over::Head));
    check(Http2, none, Some(Over::Head));
    check(Http1, half_a_head, Some(Over::Head));
    check(Http2, half_a_head, Some(Over::Idle));
    check(Http1, between, Some(Over::Idle));
    check(Http2, between, Some(Over::Idle));
    check(Http1, at_work, None);
    check(Http2, at_work, None);
    for protocol in [Http1, Http2] {
        check(protocol, blocked, Some(Over::Stalled));
        check(protocol, starved, None);
    }
    check(Http1, unread, Some(Over::Stalled));
    check(Http2, unread, Some(Over::Stalled));
}

/// New exchanges beside a stalled one, and single bytes of a head, do not restart the wait.
#[tokio::test(start_paused = true)]
async fn a_caller_cannot_restart_a_wait() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let vitals = Vitals::new(protocol);
        let stalled = vitals.begin();
        stalled.progress().hand_over(7);
        let busy = async {
            loop {
                let other = vitals.begin();
                other.progress().hand_over(1);
                other.progress().take(1);
                vitals.note_socket(1);
                vitals.note_read();
                sleep(Duration::from_millis(300)).await;
            }
        };
        let over = tokio::select! {
            over = vitals.over(&PATIENCE) => Some(over),
            () = busy => None,
            () = sleep(Duration::from_secs(11)) => None,
        };
        assert_eq!(over, Some(Over::Stalled), "{protocol:?}");
    }
    let vitals = Vitals::new(Protocol::Http1);
    let drip = async {
        loop {
            vitals.note_read();
            sleep(Duration::from_millis(300)).await;
        }
    };
    let over = tokio::select! {
        over = vitals.over(&PATIENCE) => Some(over),
        () = drip => None,
        () = sleep(Duration::from_secs(3)) => None,
    };
    assert_eq!(over, Some(Over::Head));
}

/// A reader who is slow but reads is waited for.
#[tokio::test(start_paused = true)]
async fn what_moves_is_not_late() {
    let vitals = Vitals::new(Protocol::Http1);
    let opened = vitals.begin();
    let reads = async {
        opened.progress().hand_over(20);
        for _ in 0..20 {
            opened.progress().take(1);
            sleep(Duration::from_secs(4)).await;
        }
    };
    tokio::select! {
        over = vitals.over(&PATIENCE) => panic!("{over:?}"),
        () = reads => {}
    }
}

#[tokio::test(start_paused = true)]
async fn enough_is_enough() {
    let vitals = Vitals::new(Protocol::Http2);
    let patience = Patience { exchanges_max: Some(2), ..PATIENCE };
    vitals.note_read();
    drop(vitals.begin());
    let early = tokio::time::timeout(Duration::from_secs(1), vitals.over(&patience)).await;
    assert!(early.is_err());
    let _open = vitals.begin();
    assert_eq!(vitals.over(&patience).await, Over::Worn);
}

#[tokio::test]
async fn only_a_flush_after_the_last_byte_tells() {
    let vitals = Vitals::new(Protocol::Http2);
    let (mut ticket, mut telling) = Ticket::new();
    ticket.bind(vitals.begin());
    vitals.tell_waiting(Delivered::Yes);
    assert!(telling.try_recv().is_err());
    ticket.await_flush();
    assert!(telling.try_recv().is_err());
    vitals.tell_waiting(Delivered::Yes);
    assert_eq!(telling.await, Ok(Delivered::Yes));
    let (ticket, telling) = Ticket::new();
    drop(ticket);
    assert_eq!(telling.await, Ok(Delivered::Abandoned));
}
