//! Reading what is durable in batches, whatever stands behind it.
#![expect(clippy::disallowed_methods, reason = "tests look at the ledger's files and change them")]

use std::path::Path;
use std::sync::Arc;

use crate::ledger::append::{Ledger, LedgerOptions};
use crate::ledger::batches::{Batch, BatchError, BatchLimits, Batches};
use crate::ledger::cursor::{CursorFile, Mark};
use crate::ledger::log_id::LogId;
use crate::ledger::tests::{Disk, Standing, all, decided, options, outcome};

const MANY: BatchLimits = BatchLimits { lines_max: 100, bytes_max: 1 << 20 };

/// A ledger of several small segments.
async fn filled(dir: &Path, decisions: usize) -> Ledger {
    let options = LedgerOptions { segment_bytes_max: 2_000, ..options(dir) };
    let (ledger, _) = Ledger::open(options, Standing::default().clock()).unwrap();
    for number in 0..decisions {
        let id = format!("d{number}");
        ledger.append(decided(&id)).await.unwrap();
        ledger.append(outcome(&id)).await.unwrap();
    }
    ledger
}

/// All lines in batches, each with its first number.
fn read_all(batches: &mut Batches, durable_seq: u64, limits: BatchLimits) -> Vec<Batch> {
    std::iter::from_fn(|| batches.read(durable_seq, limits).unwrap()).collect()
}

fn segment_file(dir: &Path, first_seq: u64) -> std::path::PathBuf {
    dir.join(format!("ledger/segment-{first_seq:020}.jsonl"))
}

fn starts(dir: &Path) -> Vec<u64> {
    crate::ledger::read::segment_starts(dir).unwrap()
}

#[tokio::test]
async fn every_line_comes_once_in_order_from_wherever_one_starts() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 20).await;
    let last_seq = ledger.health().last_seq;
    let written: Vec<Vec<u8>> = all(dir.path()).into_iter().map(|line| line.bytes).collect();
    assert!(starts(dir.path()).len() > 3, "several segments");
    for from in 1..=last_seq {
        for limits in [
            MANY,
            BatchLimits { lines_max: 3, bytes_max: 1 << 20 },
            BatchLimits { lines_max: 9, bytes_max: 1_000 },
        ] {
            let mut expected = from;
            let mut found: Vec<Vec<u8>> = Vec::new();
            for batch in read_all(&mut Batches::new(dir.path(), from), last_seq, limits) {
                assert_eq!(batch.first_seq(), expected);
                assert_eq!(batch.count(), batch.lines().count());
                assert!(batch.count() <= limits.lines_max);
                assert!(batch.bytes().len() <= limits.bytes_max || batch.count() == 1);
                expected = batch.last_seq() + 1;
                assert_eq!(batch.lines().last(), Some(batch.last_line()));
                let joined: Vec<u8> = batch.lines().flat_map(|line| [line, b"\n"].concat()).collect();
                assert_eq!(joined, batch.bytes());
                found.extend(batch.lines().map(<[u8]>::to_vec));
            }
            assert_eq!(found, written[usize::try_from(from).unwrap() - 1..]);
        }
    }
}

#[tokio::test]
async fn nothing_behind_the_durable_end_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 5).await;
    let last_seq = ledger.health().last_seq;
    for durable_seq in 0..last_seq {
        let found = read_all(&mut Batches::new(dir.path(), 1), durable_seq, MANY);
        assert_eq!(found.last().map_or(0, Batch::last_seq), durable_seq);
    }
}

#[tokio::test]
async fn a_line_that_was_cut_again_is_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, time) = (Arc::new(Disk::default()), Standing::default());
    let (ledger, _) = Ledger::open_with(options(dir.path()), time.clock(), disk.wrap()).unwrap();
    ledger.append(decided("kept")).await.unwrap();
    let mut batches = Batches::new(dir.path(), 1);
    let before = ledger.health().last_seq;
    assert_eq!(read_all(&mut batches, before, MANY).len(), 1);
    // The line reaches the file and its sync fails: whoever reads ahead has it in hand now.
    disk.fail(1, 1);
    ledger.append(decided("lost")).await.unwrap_err();
    assert!(std::fs::read_to_string(segment_file(dir.path(), 1)).unwrap().contains("lost"));
    assert!(read_all(&mut batches, ledger.health().last_seq, MANY).is_empty());
    time.pass_ms(2_000);
    ledger.append(decided("anew")).await.unwrap();
    let found = read_all(&mut batches, ledger.health().last_seq, MANY);
    let text: String = found.iter().map(|batch| String::from_utf8(batch.bytes().to_vec()).unwrap()).collect();
    assert_eq!(found[0].first_seq(), before + 1);
    assert!(text.contains("\"anew\"") && !text.contains("\"lost\""), "{text}");
}

#[tokio::test]
async fn segments_that_are_gone_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 20).await;
    let (last_seq, starts) = (ledger.health().last_seq, starts(dir.path()));
    let mut at_the_end_of_the_first = Batches::new(dir.path(), 1);
    while at_the_end_of_the_first.next_seq() < starts[1] {
        at_the_end_of_the_first.read(starts[1] - 1, MANY).unwrap();
    }
    std::fs::remove_file(segment_file(dir.path(), starts[1])).unwrap();
    let gone = |result: Result<Option<Batch>, BatchError>| match result {
        Err(BatchError::Gone { wanted, kept }) => (wanted, kept),
        other => panic!("{other:?}"),
    };
    let expected = (starts[1], starts[2]);
    assert_eq!(gone(at_the_end_of_the_first.read(last_seq, MANY)), expected);
    assert_eq!(gone(at_the_end_of_the_first.read(last_seq, MANY)), expected, "the place stays");
    assert_eq!(gone(Batches::new(dir.path(), starts[1]).read(last_seq, MANY)), expected);
    assert_eq!(
        gone(Batches::new(dir.path(), starts[1] + 1).read(last_seq, MANY)),
        (starts[1] + 1, starts[2])
    );
    std::fs::remove_file(segment_file(dir.path(), 1)).unwrap();
    assert_eq!(gone(Batches::new(dir.path(), 1).read(last_seq, MANY)), (1, starts[2]));
    assert!(Batches::new(dir.path(), starts[2]).read(last_seq, MANY).unwrap().is_some());
}

#[tokio::test]
async fn damage_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 2).await;
    let last_seq = ledger.health().last_seq;
    let path = segment_file(dir.path(), 1);
    let text = std::fs::read(&path).unwrap();
    let second = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut changed = text.clone();
    changed[second + 40] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    let error = Batches::new(dir.path(), 2).read(last_seq, MANY).unwrap_err().to_string();
    assert!(error.contains(&format!("at byte {second}, line 2: the checksum")), "{error}");
    // The first line is whole, and nobody asked for more.
    assert_eq!(Batches::line(dir.path(), 1).unwrap().unwrap().count(), 1);
    std::fs::write(&path, &text[..second]).unwrap();
    let error = Batches::new(dir.path(), 2).read(last_seq, MANY).unwrap_err().to_string();
    assert!(error.contains("the file became shorter"), "{error}");
}

#[test]
fn an_id_is_made_once_and_lies_with_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open(options(dir.path()), Standing::default().clock()).unwrap());
    assert_eq!(LogId::read(dir.path()).unwrap(), None);
    let id = LogId::open(dir.path()).unwrap();
    assert_eq!(LogId::parse(id.as_str()), Some(id.clone()));
    assert_eq!((LogId::open(dir.path()).unwrap(), LogId::read(dir.path()).unwrap()), (id.clone(), Some(id)));
    std::fs::write(dir.path().join("ledger/log-id"), "12").unwrap();
    let error = LogId::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("use the log's id in"), "{error}");
}

#[test]
fn a_cursor_is_read_as_it_was_kept_and_only_for_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = CursorFile::new(dir.path(), "store");
    assert_eq!(file.read("a").unwrap(), None);
    for seq in [7, 8] {
        let mark = Mark::at(seq, b"line");
        file.keep("a", &mark).unwrap();
        assert_eq!(file.read("a").unwrap(), Some(mark));
    }
    assert_eq!(file.read("b").unwrap(), None, "another log begins anew");
    std::fs::write(dir.path().join("sinks/store.json"), "{").unwrap();
    assert!(file.read("a").unwrap_err().to_string().contains("use the cursor in"));
}
