//! A body tells of its delivery when its last byte was taken and the connection flushed, and not before.

use std::sync::Arc;

use crate::net::vitals::Vitals;

use super::*;

struct Rig {
    vitals: Arc<Vitals>,
    sent: Option<Sent>,
    telling: oneshot::Receiver<Delivered>,
}

fn rig(protocol: Protocol, body: &'static [u8]) -> Rig {
    let vitals = Vitals::new(protocol);
    let (outgoing, telling) = Outgoing::new(200, HeaderMap::new(), Bytes::from_static(body));
    let mut response = outgoing.into_response(vitals.begin());
    let frame = Pin::new(response.body_mut()).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
    let sent = match frame {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => None,
    };
    Rig { vitals, sent, telling }
}

#[track_caller]
fn check(rig: &mut Rig, expected: Option<Delivered>) {
    assert_eq!(rig.telling.try_recv().ok(), expected);
}

#[test]
fn bytes_that_wait_in_a_buffer_are_not_delivered() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut rig = rig(protocol, b"12345");
        let mut sent = rig.sent.take().unwrap();
        rig.vitals.tell_waiting(Delivered::Yes);
        check(&mut rig, None);
        sent.advance(4);
        rig.vitals.tell_waiting(Delivered::Yes);
        check(&mut rig, None);
        sent.advance(1);
        check(&mut rig, None);
        rig.vitals.tell_waiting(Delivered::Yes);
        check(&mut rig, Some(Delivered::Yes));
    }
}

#[test]
fn what_is_dropped_or_breaks_was_abandoned() {
    let mut dropped = rig(Protocol::Http2, b"12345");
    let mut sent = dropped.sent.take().unwrap();
    sent.advance(4);
    drop(sent);
    check(&mut dropped, Some(Delivered::Abandoned));
    let mut broken = rig(Protocol::Http1, b"12345");
    broken.sent.take().unwrap().advance(5);
    broken.vitals.tell_waiting(Delivered::Abandoned);
    check(&mut broken, Some(Delivered::Abandoned));
}

#[test]
fn a_head_alone_waits_for_the_flush_or_is_not_known() {
    let mut first = rig(Protocol::Http1, b"");
    check(&mut first, None);
    first.vitals.tell_waiting(Delivered::Yes);
    check(&mut first, Some(Delivered::Yes));
    let mut second = rig(Protocol::Http2, b"");
    check(&mut second, Some(Delivered::Unknown));
}
