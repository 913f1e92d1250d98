//! What is taken for intact, torn and damaged.

use proptest::prelude::*;

use crate::ledger::line::{self, Flaw, Place};
use crate::ledger::recover::{self, End, Scan};

/// A segment's bytes, and where its batches and lines end.
struct Sample {
    bytes: Vec<u8>,
    line_ends: Vec<usize>,
    batch_ends: Vec<usize>,
}

/// A segment whose batches have these numbers of lines.
fn sample(first_seq: u64, batches: &[usize]) -> Sample {
    let mut sample = Sample { bytes: vec![], line_ends: vec![], batch_ends: vec![] };
    let mut seq = first_seq;
    for lines in batches {
        let batch = seq;
        for _ in 0..*lines {
            let (kind, object) = match (seq - first_seq) % 4 {
                0 if seq == first_seq => {
                    ("segment", r#"{"boot":"b","previous":null,"open":["d0"]}"#.to_owned())
                }
                0 => ("fields", format!(r#"{{"set":"f_{seq}","names":["J*"]}}"#)),
                1 => ("decision", format!(r#"{{"id":"d{seq}","method":"GET"}}"#)),
                2 => ("outcome", format!(r#"{{"of":"d{}","released":"all"}}"#, seq - 1)),
                _ => ("read", r#"{"command":"{\"v\":1,\"seq\":"}"#.to_owned()),
            };
            line::write(&mut sample.bytes, Place { seq, batch }, kind, 0, object.as_bytes());
            sample.line_ends.push(sample.bytes.len());
            seq += 1;
        }
        sample.batch_ends.push(sample.bytes.len());
    }
    sample
}

fn scan(bytes: &[u8], first_seq: u64) -> Scan {
    recover::scan(&mut &bytes[..], first_seq, |_| {}).unwrap()
}

/// A scan of one line after a head.
#[track_caller]
fn check(kind: &str, place: (u64, u64), object: &str, expected: End) {
    let mut bytes = sample(1, &[1]).bytes;
    line::write(&mut bytes, Place { seq: place.0, batch: place.1 }, kind, 0, object.as_bytes());
    assert_eq!(scan(&bytes, 1).end, expected);
}

#[test]
fn a_whole_segment_is_clean() {
    let sample = sample(5, &[1, 3, 1, 8]);
    let scan = scan(&sample.bytes, 5);
    assert_eq!((scan.end, scan.bytes, scan.lines), (End::Clean, sample.bytes.len() as u64, 13));
    assert_eq!(scan.last, Some(Place { seq: 17, batch: 10 }));
    assert!(scan.head_complete);
    assert_eq!(scan.open.iter().collect::<Vec<_>>(), ["d0"]);
    assert_eq!(scan.sets.len(), 3);
}

#[test]
fn a_line_that_was_written_whole_is_never_torn() {
    let sequence = |expected, found| End::Damaged(Flaw::Sequence { expected, found });
    check("read", (2, 2), "{}", End::Clean);
    check("read", (2, 1), "{}", End::Clean);
    check("read", (3, 3), "{}", sequence(2, 3));
    check("read", (1, 1), "{}", sequence(2, 1));
    check("read", (2, 3), "{}", End::Damaged(Flaw::Batch));
    check("read", (2, 0), "{}", End::Damaged(Flaw::Batch));
    check("read", (2, 2), r#"{"x":}"#, End::Damaged(Flaw::Json));
    check("decision", (2, 2), "{}", End::Damaged(Flaw::Json));
    check("outcome", (2, 2), "{}", End::Damaged(Flaw::Json));
    check("tomorrows-kind", (2, 2), r#"{"id":7}"#, End::Clean);
}

#[test]
fn a_segment_starts_with_its_head() {
    let mut bytes = Vec::new();
    line::write(&mut bytes, Place { seq: 1, batch: 1 }, "stop", 0, b"{}");
    assert_eq!(scan(&bytes, 1).end, End::Damaged(Flaw::NotSegment));
    assert_eq!(scan(&sample(1, &[2]).bytes, 2).end, End::Damaged(Flaw::Sequence { expected: 2, found: 1 }));
    let empty = scan(b"", 1);
    assert_eq!((empty.end, empty.head_complete), (End::Clean, false));
}

#[test]
fn a_head_in_parts_is_complete_with_its_last_part() {
    let mut bytes = Vec::new();
    for n in 1..=2 {
        let object = format!(r#"{{"boot":"b","previous":null,"open":["d{n}"],"part":{{"n":{n},"of":2}}}}"#);
        line::write(&mut bytes, Place { seq: n, batch: 1 }, "segment", 0, object.as_bytes());
        let scan = scan(&bytes, 1);
        assert_eq!((scan.head_complete, scan.open.len() as u64), (n == 2, n));
    }
}

#[test]
fn an_outcome_in_parts_closes_with_its_last_part() {
    let mut bytes = sample(1, &[1]).bytes;
    for n in 1..=2 {
        let object = format!(r#"{{"of":"d0","part":{{"n":{n},"of":2}}}}"#);
        line::write(&mut bytes, Place { seq: n + 1, batch: 2 }, "outcome", 0, object.as_bytes());
        assert_eq!(scan(&bytes, 1).open.len(), usize::from(n == 1));
    }
}

/// The segment cut at every length is intact up to its last whole line.
#[track_caller]
fn check_cuts(batches: &[usize]) {
    let sample = sample(7, batches);
    for length in 0..=sample.bytes.len() {
        let whole = sample.line_ends.iter().rev().find(|end| **end <= length).copied().unwrap_or(0);
        let scan = scan(&sample.bytes[..length], 7);
        let expected =
            if whole == length { End::Clean } else { End::Torn((length - whole) as u64, Flaw::NoLineFeed) };
        assert_eq!((scan.bytes, scan.end), (whole as u64, expected), "cut to {length}");
    }
}

/// A flipped byte before the last batch is damage; in the last batch it is at least not accepted.
#[track_caller]
fn check_flips(batches: &[usize], flips: &[u8]) {
    let sample = sample(7, batches);
    let last_batch = sample.batch_ends.iter().rev().nth(1).copied().unwrap_or(0);
    for at in 0..sample.bytes.len() {
        for flip in flips {
            let mut bytes = sample.bytes.clone();
            bytes[at] ^= flip;
            let scan = scan(&bytes, 7);
            let line = sample.line_ends.iter().rev().find(|end| **end <= at).copied().unwrap_or(0);
            assert_eq!(scan.bytes, line as u64, "byte {at} flipped by {flip}");
            match scan.end {
                End::Damaged(_) => {}
                End::Torn(..) => assert!(at >= last_batch, "byte {at} flipped by {flip} was taken for torn"),
                End::Clean => panic!("byte {at} flipped by {flip} was accepted"),
            }
        }
    }
}

#[test]
fn a_cut_anywhere_is_torn() {
    check_cuts(&[1, 3, 1, 1, 4]);
}

#[test]
fn a_flip_before_the_last_batch_is_damage() {
    // Among others each flip that makes or unmakes a line feed, a quote or a digit.
    let every: Vec<u8> = (1..=255).collect();
    check_flips(&[1, 1, 1], &every);
    check_flips(&[3, 4, 2], &[1, 0x20, 0x40, 0x80]);
}

#[test]
fn pages_of_the_last_batch_may_be_missing_in_any_order() {
    let sample = sample(1, &[1, 6]);
    for line in 1..7 {
        let mut bytes = sample.bytes.clone();
        bytes[sample.line_ends[line - 1]..sample.line_ends[line]].fill(0);
        let scan = scan(&bytes, 1);
        assert_eq!(scan.bytes, sample.line_ends[line - 1] as u64);
        assert!(matches!(scan.end, End::Torn(_, Flaw::Checksum | Flaw::NoLineFeed)), "{:?}", scan.end);
    }
}

#[test]
fn a_missing_line_is_damage() {
    let sample = sample(1, &[1, 3, 2]);
    let bytes = [&sample.bytes[..sample.line_ends[1]], &sample.bytes[sample.line_ends[2]..]].concat();
    assert_eq!(scan(&bytes, 1).end, End::Damaged(Flaw::Sequence { expected: 3, found: 4 }));
}

#[test]
fn endless_garbage_is_torn_without_being_a_line() {
    let mut bytes = sample(1, &[1]).bytes;
    let head = bytes.len();
    bytes.resize(head + 3 * line::LINE_BYTES_MAX, b'x');
    assert_eq!(scan(&bytes, 1).end, End::Torn(3 * line::LINE_BYTES_MAX as u64, Flaw::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn cuts_and_flips_of_any_segment(batches in prop::collection::vec(1_usize..6, 1..6), flip in 1_u8..=255) {
        check_cuts(&batches);
        check_flips(&batches, &[flip]);
    }
}
