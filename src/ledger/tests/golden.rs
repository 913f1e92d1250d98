//! Every kind of entry, byte for byte: the format must not change.

use std::collections::BTreeMap;

use crate::ledger::counts::*;
use crate::ledger::entry::review::{Review, ReviewVerdict};
use crate::ledger::entry::revision::*;
use crate::ledger::entry::sink::{SinkChange, SinkState};
use crate::ledger::entry::*;
use crate::ledger::field_set::FieldSet;
use crate::ledger::line::{self, Place};
use crate::ledger::own::{Gap, Previous, Recovered, SegmentHead};
use crate::ledger::prepare::Prepared;
use crate::ledger::removal::Removal;
use crate::ledger::split;
use crate::ledger::tests::{decision, outcome, shown};
use crate::ledger::tree::Hash;

#[track_caller]
fn check(kind: &str, object: &[u8], expected: &str) {
    let mut bytes = Vec::new();
    line::write(&mut bytes, Place { seq: 12, batch: 7 }, kind, 1_795_289_651_123_456_789, object);
    let line = bytes.strip_suffix(b"\n").unwrap();
    assert_eq!(line::check(line).unwrap().kind, kind);
    let text = std::str::from_utf8(line).unwrap();
    let members = text
        .strip_prefix(&format!(
            r#"{{"v":1,"seq":12,"batch":7,"kind":"{kind}","t":"2026-11-21T19:34:11.123456789Z""#
        ))
        .unwrap();
    assert_eq!(members.split_at(members.len() - 18).0, expected);
    let whole: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(whole["seq"], 12);
}

#[track_caller]
fn check_entry(entry: &Entry, expected: &str) {
    let Prepared { kind, objects, .. } = entry.prepare().unwrap();
    assert_eq!(objects.len(), 1);
    check(kind, &objects[0], expected);
}

#[test]
fn a_line_is_spelled_exactly_so() {
    let mut bytes = Vec::new();
    line::write(&mut bytes, Place { seq: 1, batch: 1 }, "stop", 1_795_289_651_000_000_000, b"{}");
    let expected = "{\"v\":1,\"seq\":1,\"batch\":1,\"kind\":\"stop\",\"t\":\"2026-11-21T19:34:11.000000000Z\",\"crc\":\"CRC\"}\n";
    let crc = format!("{:08x}", crc32c::crc32c(expected.split_once(",\"crc\"").unwrap().0.as_bytes()));
    assert_eq!(String::from_utf8(bytes).unwrap(), expected.replace("CRC", &crc));
}

#[test]
fn the_checksum_is_castagnolis() {
    // RFC 3720 B.4: 32 bytes of zeros give 8a9136aa.
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn decisions() {
    check_entry(
        &Entry::Decision(Box::new(decision("d1"))),
        r#","id":"d1","who":{"handle":"p_0f1e2d3c4b5a69788796a5b4","type":"User","authn":"jwt"},"method":"GET","route":"GET /deals/{id}","effect":"allow","bundle":"b1","directory":"d1","mode":"enforce""#,
    );
    let change = |from: Option<&str>, to| Some(Change { from: from.map(str::to_owned), to });
    let full = Decision {
        who: None,
        query: vec!["sort".into()],
        effect: Effect::Deny,
        reason: Some("field-write-denied".into()),
        access: vec![Access {
            action: "edit".into(),
            record_type: "Deal".into(),
            ids: vec!["42".into()],
            effect: Effect::Fail,
            policies: vec!["p".into()],
            errors: vec!["q".into()],
            reason: Some("attribute-not-carried".into()),
            attribute: Some("amount".into()),
        }],
        sets: vec![shown(&["Deal.title", "Deal.amount"], vec!["42".into()])],
        rows_hidden: vec![RowsHidden {
            record_type: "Deal".into(),
            ids: vec!["43".into()],
            policies: vec!["r".into()],
            reason: Some("attribute-nonconforming".into()),
            attribute: Some("owner".into()),
        }],
        reasons: [("r".into(), "Not yours.".into())].into(),
        write: Some(Write {
            unbounded: true,
            asked: vec!["Deal.title".into()],
            refused: vec!["Deal.margin".into()],
            unchanged: vec!["Deal.owner".into()],
            stage: change(Some("won"), Some("lost".into())),
            owner: change(None, Some("7".into())),
            team: change(Some("t"), None),
        }),
        mode: Mode::Observe,
        ..decision("d2")
    };
    check_entry(
        &Entry::Decision(Box::new(full)),
        r#","id":"d2","method":"GET","route":"GET /deals/{id}","query":["sort"],"effect":"deny","reason":"field-write-denied","access":[{"action":"edit","type":"Deal","ids":["42"],"effect":"fail","policies":["p"],"errors":["q"],"reason":"attribute-not-carried","attribute":"amount"}],"sets":[{"type":"Deal","shown":"f_f225515011c0ca41","hidden":"f_b00325fdc539f1d8","ids":["42"],"policies":["own-deals"]}],"rows_hidden":[{"type":"Deal","ids":["43"],"policies":["r"],"reason":"attribute-nonconforming","attribute":"owner"}],"reasons":{"r":"Not yours."},"write":{"unbounded":true,"asked":["Deal.title"],"refused":["Deal.margin"],"unchanged":["Deal.owner"],"stage":{"from":"won","to":"lost"},"owner":{"to":"7"},"team":{"from":"t"}},"bundle":"b1","directory":"d1","mode":"observe""#,
    );
}

#[test]
fn parts_of_long_lists() {
    let part = |n| Shown {
        of: "d1".into(),
        n,
        sets: Vec::new(),
        rows_hidden: Vec::new(),
        reasons: BTreeMap::new(),
        errors: Vec::new(),
        part: None,
    };
    check_entry(&Entry::Shown(Box::new(part(1))), r#","of":"d1","n":1"#);
    let full = Shown {
        sets: vec![shown(&["Deal.title", "Deal.amount"], vec!["42".into()])],
        rows_hidden: vec![RowsHidden {
            record_type: "Deal".into(),
            ids: vec!["43".into()],
            policies: vec!["r".into()],
            reason: None,
            attribute: None,
        }],
        reasons: [("r".into(), "Not yours.".into())].into(),
        errors: vec!["q".into()],
        ..part(2)
    };
    check_entry(
        &Entry::Shown(Box::new(full)),
        r#","of":"d1","n":2,"sets":[{"type":"Deal","shown":"f_f225515011c0ca41","hidden":"f_b00325fdc539f1d8","ids":["42"],"policies":["own-deals"]}],"rows_hidden":[{"type":"Deal","ids":["43"],"policies":["r"]}],"reasons":{"r":"Not yours."},"errors":["q"]"#,
    );
}

#[test]
fn what_becomes_of_them() {
    check_entry(
        &outcome("d1"),
        r#","of":"d1","status":200,"upstream":200,"released":"filtered","bytes":42,"delivered":"yes""#,
    );
    check_entry(
        &Entry::Delivery(Delivery { of: "d1".into(), delivered: Delivered::Abandoned }),
        r#","of":"d1","delivered":"abandoned""#,
    );
    check_entry(
        &Entry::Alarm(Alarm { of: Some("d1".into()), reason: "stage-moved-twice".into() }),
        r#","of":"d1","reason":"stage-moved-twice""#,
    );
}

#[test]
fn the_service() {
    check_entry(
        &Entry::Start(Start {
            version: "0.1.0".into(),
            boot: "b".into(),
            bundle: "h1".into(),
            directory: "h2".into(),
            listen: "127.0.0.1:8080".into(),
            observe: Vec::new(),
            keys: Vec::new(),
        }),
        r#","version":"0.1.0","boot":"b","bundle":"h1","directory":"h2","listen":"127.0.0.1:8080""#,
    );
    let counts =
        vec![RefusalCount { reason: "token-missing".into(), source: "s_0123456789abcdef".into(), count: 3 }];
    check_entry(
        &Entry::Refusals(Refusals { second: "2026-11-21T19:34:11Z".into(), counts }),
        r#","second":"2026-11-21T19:34:11Z","counts":[{"reason":"token-missing","source":"s_0123456789abcdef","count":3}]"#,
    );
    let counts = vec![PassCount {
        route: "POST /login".into(),
        why: "people log in here".into(),
        source: "s_0123456789abcdef".into(),
        status: 401,
        count: 2,
    }];
    check_entry(
        &Entry::Passes(Passes { second: "2026-11-21T19:34:11Z".into(), counts }),
        r#","second":"2026-11-21T19:34:11Z","counts":[{"route":"POST /login","why":"people log in here","source":"s_0123456789abcdef","status":401,"count":2}]"#,
    );
    let passed = vec![RouteCount { route: "GET /static/{path...}".into(), count: 5 }];
    check_entry(
        &Entry::Unrecorded(Unrecorded::new("write-failed", "2026-11-21T19:34:00Z", passed)),
        r#","reason":"write-failed","refused":0,"minute":"2026-11-21T19:34:00Z","passed":[{"route":"GET /static/{path...}","count":5}]"#,
    );
    check_entry(
        &Entry::Revision(Revision {
            what: RevisionOf::Bundle,
            hash: "h2".into(),
            previous: Some("h1".into()),
            result: RevisionResult::Active,
            problems: 0,
            author: "unsigned".into(),
            approver: None,
            ticket: None,
            version: None,
            signers: vec![],
            pinned: None,
            policies: Some(PolicyChanges { added: vec!["p".into()], ..PolicyChanges::default() }),
            part: None,
        }),
        r#","what":"bundle","hash":"h2","previous":"h1","result":"active","problems":0,"author":"unsigned","policies":{"added":["p"]}"#,
    );
    check_entry(
        &Entry::Revision(Revision {
            what: RevisionOf::Bundle,
            hash: "h1".into(),
            previous: None,
            result: RevisionResult::Active,
            problems: 0,
            author: "anna".into(),
            approver: Some("ben".into()),
            ticket: Some("CRM-1".into()),
            version: Some(7),
            signers: vec!["0123456789abcdef0123456789abcdef".into()],
            pinned: Some(true),
            policies: None,
            part: None,
        }),
        r#","what":"bundle","hash":"h1","result":"active","problems":0,"author":"anna","approver":"ben","ticket":"CRM-1","version":7,"signers":["0123456789abcdef0123456789abcdef"],"pinned":true"#,
    );
    check_entry(
        &Entry::Erasure(Erasure { handle: "p_1".into(), by: "admin-token".into() }),
        r#","handle":"p_1","by":"admin-token""#,
    );
    check_entry(
        &Entry::Config(Configured { hash: "h1".into(), settings: vec!["ledger.path".into()] }),
        r#","hash":"h1","settings":["ledger.path"]"#,
    );
    check_entry(&Entry::Clock(ClockStep { step_ms: -61_000 }), r#","step_ms":-61000"#);
    check_entry(
        &Entry::Read(Read { command: "audit query by p_1".into(), by: "admin-token".into() }),
        r#","command":"audit query by p_1","by":"admin-token""#,
    );
    let report = "0f".repeat(32);
    let review = Review {
        report,
        verdict: ReviewVerdict::Findings,
        note: Some("CR-12".into()),
        by: "admin-token".into(),
    };
    check_entry(
        &Entry::Review(review.clone()),
        r#","report":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","verdict":"findings","note":"CR-12","by":"admin-token""#,
    );
    check_entry(
        &Entry::Review(Review { verdict: ReviewVerdict::Accepted, note: None, ..review }),
        r#","report":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","verdict":"accepted","by":"admin-token""#,
    );
    let sink = SinkChange { name: "store".into(), state: SinkState::Up, reason: None, acknowledged: Some(7) };
    check_entry(&Entry::Sink(sink), r#","name":"store","state":"up","acknowledged":7"#);
    let (state, reason) = (SinkState::Down, Some("sink-timeout".into()));
    let sink = SinkChange { name: "store".into(), state, reason, acknowledged: None };
    check_entry(&Entry::Sink(sink), r#","name":"store","state":"down","reason":"sink-timeout""#);
    let removal = Removal {
        file: "segment-00000000000000000001.jsonl".into(),
        first: 1,
        last: 3,
        bytes: 9,
        sha256: "0f".repeat(32),
        until: "2026-11-18T16:00:00.123456789Z".into(),
        keep_days: 400,
        subtrees: vec![Hash::leaf(b"a"), Hash::leaf(b"b")],
    };
    check_entry(
        &Entry::Removal(removal),
        r#","file":"segment-00000000000000000001.jsonl","first":1,"last":3,"bytes":9,"sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","until":"2026-11-18T16:00:00.123456789Z","keep_days":400,"subtrees":["022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c","57eb35615d47f34ec714cacdf5fd74608a5e8e102724e80b24b287c0c27b6a31"]"#,
    );
    check(Prepared::stop().kind, &Prepared::stop().objects[0], "");
}

#[test]
fn what_is_observed() {
    check_entry(
        &Entry::Start(Start {
            version: "0.1.0".into(),
            boot: "b".into(),
            bundle: "h1".into(),
            directory: "h2".into(),
            listen: "l".into(),
            observe: vec![ObserveGroup {
                name: "all".into(),
                routes: vec!["*".into()],
                until: "2026-12-01T00:00:00Z".into(),
            }],
            keys: vec!["crm/ledger+00000000+AQ".into()],
        }),
        r#","version":"0.1.0","boot":"b","bundle":"h1","directory":"h2","listen":"l","observe":[{"name":"all","routes":["*"],"until":"2026-12-01T00:00:00Z"}],"keys":["crm/ledger+00000000+AQ"]"#,
    );
    let Entry::Outcome(closed) = outcome("d1") else { return };
    check_entry(
        &Entry::Outcome(Outcome {
            mode: Some(Mode::Observe),
            reason: Some("upstream-type".into()),
            ..closed
        }),
        r#","of":"d1","status":200,"upstream":200,"released":"filtered","bytes":42,"delivered":"yes","reason":"upstream-type","mode":"observe""#,
    );
    let bare = Observed { of: "d1".into(), group: "all".into(), method: "GET".into(), ..Observed::default() };
    check_entry(&Entry::Observed(bare.clone()), r#","of":"d1","group":"all","method":"GET""#);
    let full = Observed {
        route: Some("GET /deals".into()),
        path: Some("/api/deals/{int}".into()),
        query: vec!["page".into()],
        request_type: Some("application/json".into()),
        request_keys: vec!["/lines/[*]/amount".into()],
        status: Some(200),
        answer_type: Some("text/html".into()),
        answer_keys: vec!["/id".into()],
        fields: vec![SeenFields { record_type: "Deal".into(), names: vec!["nickname".into()] }],
        unnamed: 3,
        reason: Some("route-unmapped".into()),
        ..bare
    };
    check_entry(
        &Entry::Observed(full),
        r#","of":"d1","group":"all","method":"GET","route":"GET /deals","path":"/api/deals/{int}","query":["page"],"request_type":"application/json","request_keys":["/lines/[*]/amount"],"status":200,"answer_type":"text/html","answer_keys":["/id"],"fields":[{"type":"Deal","names":["nickname"]}],"unnamed":3,"reason":"route-unmapped""#,
    );
}

#[test]
fn the_ledgers_own() {
    let previous = Some(Previous {
        file: "segment-00000000000000000001.jsonl".into(),
        bytes: 9,
        sha256: "0f".repeat(32),
    });
    let head = SegmentHead { boot: "b".into(), previous, open: vec!["d1".into()], part: None };
    check(
        "segment",
        &split::fitting("segment", &head).unwrap(),
        r#","boot":"b","previous":{"file":"segment-00000000000000000001.jsonl","bytes":9,"sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"},"open":["d1"]"#,
    );
    let first = SegmentHead { previous: None, open: vec![], ..head };
    check("segment", &split::fitting("segment", &first).unwrap(), r#","boot":"b","previous":null,"open":[]"#);
    let gap = |lost| Prepared::own("gap", &Gap { reason: "sync-failed", refused: 2, lost }).unwrap();
    check("gap", &gap(0).objects[0], r#","reason":"sync-failed","refused":2"#);
    check("gap", &gap(3).objects[0], r#","reason":"sync-failed","refused":2,"lost":3"#);
    let recovered = Recovered { file: "f".into(), cut_bytes: 3, closed: 1 };
    let recovered = Prepared::own("recovered", &recovered).unwrap();
    check(recovered.kind, &recovered.objects[0], r#","file":"f","cut_bytes":3,"closed":1"#);
}

#[test]
fn field_sets_are_the_same_in_any_order() {
    let set = FieldSet::of(["Deal.title", "Deal.amount", "Deal.title"]);
    assert_eq!(set, FieldSet::from(vec!["Deal.amount".to_owned(), "Deal.title".to_owned()]));
    check("fields", set.object(), r#","set":"f_f225515011c0ca41","names":["Deal.amount","Deal.title"]"#);
    assert!(FieldSet::of(Vec::<String>::new()).is_empty());
}
