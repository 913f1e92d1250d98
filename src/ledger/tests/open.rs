//! What a start makes of the files.
#![expect(clippy::disallowed_methods, reason = "edge: tests damage the ledger's files")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::ledger::append::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::folder::{plain, segment_name};
use crate::ledger::hold::Hold;
use crate::ledger::line::Flaw;
use crate::ledger::made_up::sealed;
use crate::ledger::open::{self, RecoveryReport};
use crate::ledger::prepare::Prepared;
use crate::ledger::tests::{Standing, all, decided, decision, kinds, options, outcome, shown};

/// Commits batches, each of them opened decisions (`+id`) and outcomes (`-id`), to a ledger with this limit.
fn write(dir: &Path, segment_bytes_max: u64, batches: &[&[&str]]) {
    let options = crate::ledger::append::LedgerOptions { segment_bytes_max, ..options(dir) };
    let (mut journal, _) = open::open(&options, Standing::default().clock(), plain()).unwrap();
    for batch in batches {
        let prepare = |name: &&str| match name.strip_prefix('-') {
            Some(id) => outcome(id).prepare().unwrap(),
            None => decided(name.strip_prefix('+').unwrap()).prepare().unwrap(),
        };
        let entries: Vec<Prepared> = batch.iter().map(prepare).collect();
        journal.commit(&entries).unwrap();
    }
}

fn reopen(dir: &Path) -> Result<RecoveryReport, LedgerError> {
    open::open(&options(dir), Standing::default().clock(), plain()).map(|(_, report)| report)
}

fn file(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join("ledger").join(segment_name(first_seq))
}

fn segments(dir: &Path) -> Vec<u64> {
    crate::ledger::folder::segments(&dir.join("ledger")).unwrap()
}

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_new_ledger_starts_with_entry_one() {
    let dir = temp();
    let report = reopen(dir.path()).unwrap();
    assert_eq!(report, RecoveryReport { last_seq: 1, ..RecoveryReport::default() });
    assert_eq!(kinds(dir.path()), ["segment"]);
    let again = reopen(dir.path()).unwrap();
    assert!(again.ended_ns.is_some());
    assert_eq!(again, RecoveryReport { oldest_seq: 1, ended_ns: again.ended_ns, ..report });
}

#[test]
fn all_is_owner_only() {
    let dir = temp();
    let state = dir.path().join("state");
    write(&state, 1 << 20, &[&["+a"]]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("ledger")), 0o700);
    assert_eq!(mode(&state.join("ledger/lock")), 0o600);
    assert_eq!(mode(&file(&state, 1)), 0o600);
}

#[test]
fn open_decisions_are_closed_as_unknown() {
    let dir = temp();
    write(dir.path(), 1 << 20, &[&["+a", "+b"], &["-a"]]);
    let report = reopen(dir.path()).unwrap();
    assert_eq!((report.closed, report.cut_bytes, report.last_seq), (1, 0, 6));
    assert_eq!(
        kinds(dir.path()),
        ["segment", "decision a", "decision b", "outcome a", "outcome b", "recovered"]
    );
    let last = &all(dir.path())[4].value;
    assert_eq!((&last["released"], &last["reason"]), (&"unknown".into(), &"recovered".into()));
    assert_eq!(last.get("status"), None);
    assert_eq!(reopen(dir.path()).unwrap().closed, 0, "once");
}

#[test]
fn a_decision_in_parts_is_closed_once() {
    let dir = temp();
    let (mut journal, _) = open::open(&options(dir.path()), Standing::default().clock(), plain()).unwrap();
    let mut large = decision("a");
    large.sets = vec![shown(&["Deal.title"], (0..5000).map(|id| format!("{id:036}")).collect())];
    let entry = crate::ledger::entry::Entry::Decision(Box::new(large));
    journal.commit(&[entry.prepare().unwrap()]).unwrap();
    drop(journal);
    assert_eq!(reopen(dir.path()).unwrap().closed, 1);
}

#[test]
fn open_decisions_survive_segments() {
    let dir = temp();
    write(dir.path(), 1, &[&["+a"], &["+b"], &["-b"], &["+c"]]);
    let lines = all(dir.path());
    let heads = lines.iter().filter(|line| line.kind == "segment").map(|line| line.value["open"].clone());
    let expected = serde_json::json!([[], [], ["a"], ["a", "b"], ["a"]]);
    assert_eq!(serde_json::Value::from_iter(heads), expected);
    assert_eq!(segments(dir.path()), [1, 2, 4, 6, 8]);
    for older in [1, 2, 4, 6] {
        fs::remove_file(file(dir.path(), older)).unwrap();
    }
    let report = reopen(dir.path()).unwrap();
    assert_eq!((report.oldest_seq, report.closed), (8, 2));
}

#[test]
fn segments_name_the_one_before() {
    use sha2::Digest as _;
    let dir = temp();
    write(dir.path(), 1, &[&["+a"]]);
    write(dir.path(), 1, &[&["-a"]]);
    let heads: Vec<_> = all(dir.path()).into_iter().filter(|line| line.kind == "segment").collect();
    assert_eq!(heads[0].value["previous"], serde_json::Value::Null);
    for (head, first_seq) in heads[1..].iter().zip(segments(dir.path())) {
        let before = fs::read(file(dir.path(), first_seq)).unwrap();
        let sha256 = crate::model::hex::hex(&sha2::Sha256::digest(&before));
        let expected =
            serde_json::json!({"file": segment_name(first_seq), "bytes": before.len(), "sha256": sha256});
        assert_eq!(head.value["previous"], expected);
    }
    assert_eq!(heads.len(), 4);
}

#[test]
fn a_segment_ends_by_its_age_over_starts() {
    let dir = temp();
    let standing = Standing::default();
    let options = crate::ledger::append::LedgerOptions { segment_ms_max: 1000, ..options(dir.path()) };
    let open = || open::open(&options, standing.clock(), plain()).unwrap().0;
    let commit = |journal: &mut crate::ledger::journal::Journal| {
        journal.commit(&[Prepared::stop()]).unwrap();
        segments(dir.path())
    };
    let mut journal = open();
    assert_eq!(commit(&mut journal), [1]);
    standing.pass_ms(1000);
    assert_eq!(commit(&mut journal), [1], "as old as it may be");
    drop(journal);
    // It began when its head was written, not with this start.
    let mut journal = open();
    standing.pass_ms(1);
    assert_eq!(commit(&mut journal), [1, 4]);
    // The clock was put back: the segment would else stay open until it comes there again.
    standing.pass_ms(-3_600_000);
    assert_eq!(commit(&mut journal), [1, 4, 6]);
    assert_eq!(commit(&mut journal), [1, 4, 6], "once");
    assert_eq!(all(dir.path()).len(), 8);
}

#[test]
fn each_segment_spells_its_field_sets_once() {
    let dir = temp();
    let options = crate::ledger::append::LedgerOptions { segment_bytes_max: 1200, ..options(dir.path()) };
    for _ in 0..2 {
        let (mut journal, _) = open::open(&options, Standing::default().clock(), plain()).unwrap();
        for id in ["a", "b", "c"] {
            let mut decision = decision(id);
            decision.sets = vec![shown(&["Deal.title"], vec!["1".into()])];
            let entry = crate::ledger::entry::Entry::Decision(Box::new(decision));
            journal.commit(&[entry.prepare().unwrap(), outcome(id).prepare().unwrap()]).unwrap();
        }
    }
    let mut spelled = std::collections::HashSet::new();
    let mut segments = 0;
    for line in all(dir.path()) {
        match line.kind.as_str() {
            "segment" => {
                segments += 1;
                spelled.clear();
            }
            "fields" => assert!(spelled.insert(line.value["set"].to_string()), "spelled twice"),
            "decision" => {
                for set in ["shown", "hidden"] {
                    assert!(spelled.contains(&line.value["sets"][0][set].to_string()), "spelled before use");
                }
            }
            _ => {}
        }
    }
    assert!(segments > 2);
}

/// Every length of the last segment: what was durable by then is there, and numbers go on.
#[test]
fn a_cut_anywhere_recovers() {
    let whole = temp();
    write(whole.path(), 1, &[&["+a", "-a"]]);
    write(whole.path(), 1 << 20, &[&["+b"], &["+c", "-b"]]);
    let lines = all(whole.path());
    let last = *segments(whole.path()).last().unwrap();
    let bytes = fs::read(file(whole.path(), last)).unwrap();
    for length in 0..=bytes.len() {
        let dir = temp();
        fs::create_dir(dir.path().join("ledger")).unwrap();
        for older in segments(whole.path()).into_iter().filter(|older| *older < last) {
            fs::copy(file(whole.path(), older), file(dir.path(), older)).unwrap();
        }
        fs::write(file(dir.path(), last), &bytes[..length]).unwrap();
        let report = reopen(dir.path()).unwrap();
        let kept = all(dir.path());
        let whole_lines = bytes[..length].iter().filter(|byte| **byte == b'\n').count()
            + usize::try_from(last).unwrap()
            - 1;
        assert_eq!(kept[..whole_lines], lines[..whole_lines], "cut to {length}");
        let open = |lines: &[crate::ledger::read::Line]| {
            lines.iter().filter(|line| line.kind == "decision").count()
                - lines.iter().filter(|line| line.kind == "outcome").count()
        };
        assert_eq!(open(&kept), 0);
        assert_eq!(report.closed, open(&lines[..whole_lines]));
        assert_eq!(report.last_seq, kept.len() as u64);
        assert_eq!(report.cut_bytes > 0, length > 0 && bytes[length - 1] != b'\n', "cut to {length}");
    }
}

#[test]
fn damage_refuses_the_start_and_changes_nothing() {
    let dir = temp();
    write(dir.path(), 1 << 20, &[&["+a"], &["+b"], &["-a"]]);
    let mut bytes = fs::read(file(dir.path(), 1)).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second + 40] ^= 1;
    fs::write(file(dir.path(), 1), &bytes).unwrap();
    match reopen(dir.path()) {
        Err(LedgerError::Damaged { offset, line, flaw, .. }) => {
            assert_eq!((offset, line, flaw), (second as u64, 2, Flaw::Checksum));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(file(dir.path(), 1)).unwrap(), bytes);
}

#[test]
fn a_ledger_of_a_later_version_is_not_cut() {
    let dir = temp();
    write(dir.path(), 1 << 20, &[]);
    let path = file(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(sealed(r#"{"v":2,"seq":2"#).into_bytes());
    bytes.push(b'\n');
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(reopen(dir.path()), Err(LedgerError::Damaged { flaw: Flaw::Version, .. })));
}

/// What a start says when the folder of three segments (1, 2, 4) was changed like this.
#[track_caller]
fn check_flaw(change: impl FnOnce(&Path), expected: fn(Flaw) -> bool) {
    let dir = temp();
    write(dir.path(), 1, &[&["+a"], &["-a"]]);
    assert_eq!(segments(dir.path()), [1, 2, 4]);
    change(dir.path());
    match reopen(dir.path()) {
        Err(LedgerError::Damaged { flaw, .. }) => assert!(expected(flaw), "{flaw:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_segment_before_must_be_there_and_of_its_size() {
    let resize = |dir: &Path, by: i64| {
        let path = file(dir, 2);
        let bytes = i64::try_from(fs::metadata(&path).unwrap().len()).unwrap() + by;
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(u64::try_from(bytes).unwrap()).unwrap();
    };
    check_flaw(|dir| resize(dir, -1), |flaw| matches!(flaw, Flaw::Predecessor { .. }));
    check_flaw(|dir| resize(dir, 1), |flaw| matches!(flaw, Flaw::Predecessor { .. }));
    check_flaw(|dir| fs::remove_file(file(dir, 2)).unwrap(), |flaw| flaw == Flaw::Missing);
}

#[test]
fn a_segment_of_the_limit_goes_on_and_one_past_it_does_not() {
    let sample = temp();
    write(sample.path(), 1 << 20, &[&["+a"]]);
    let bytes = fs::metadata(file(sample.path(), 1)).unwrap().len();
    for (limit, expected) in [(bytes, vec![1]), (bytes - 1, vec![1, 3])] {
        let dir = temp();
        write(dir.path(), limit, &[&["+a"], &["-a"]]);
        assert_eq!(segments(dir.path()), expected);
    }
}

#[test]
fn a_torn_tail_before_a_later_segment_is_damage() {
    let dir = temp();
    write(dir.path(), 1 << 20, &[&["+a"]]);
    let path = file(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    fs::write(file(dir.path(), 3), b"").unwrap();
    assert!(matches!(reopen(dir.path()), Err(LedgerError::Damaged { flaw: Flaw::NoLineFeed, .. })));
    assert!(file(dir.path(), 3).exists());
}

#[test]
fn an_only_segment_without_a_head_keeps_its_number() {
    let dir = temp();
    fs::create_dir(dir.path().join("ledger")).unwrap();
    fs::write(file(dir.path(), 50), b"{\"v\":1,").unwrap();
    let report = reopen(dir.path()).unwrap();
    assert_eq!((report.cut_bytes, report.last_seq), (7, 50));
    assert_eq!(segments(dir.path()), [50]);
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = temp();
    write(dir.path(), 1 << 20, &[]);
    for name in ["segment-9.jsonl", "segment-00000000000000000009.jsonl.gz", "notes"] {
        fs::write(dir.path().join("ledger").join(name), b"x").unwrap();
    }
    assert_eq!(reopen(dir.path()).unwrap().last_seq, 1);
}

#[test]
fn a_second_writer_is_refused() {
    let dir = temp();
    let clock = Standing::default().clock();
    let first = Ledger::open(options(dir.path()), clock.clone()).unwrap();
    let second = Ledger::open(options(dir.path()), clock.clone());
    assert!(matches!(second, Err(LedgerError::Locked { .. })));
    drop(first);
}

#[test]
fn a_ledger_that_is_held_is_opened_by_nobody() {
    let dir = temp();
    assert!(Hold::take(dir.path()).is_err(), "there is none yet");
    let open = || open::open(&options(dir.path()), Standing::default().clock(), plain());
    let (journal, _) = open().unwrap();
    assert!(Hold::take(dir.path()).unwrap().is_none(), "it is being written");
    drop(journal);
    let hold = Hold::take(dir.path()).unwrap().unwrap();
    assert!(Hold::take(dir.path()).unwrap().is_none());
    assert!(matches!(open(), Err(LedgerError::Locked { .. })));
    drop(hold);
    assert!(open().is_ok());
}
