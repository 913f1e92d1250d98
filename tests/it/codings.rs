//! Codings that nobody asked for: what is in them is judged like everything else, and leaves without them; what cannot be
//! undone, or grows too much, never leaves.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, FlushCompress};
use http::Method;
use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::{Caller, TestReply};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::any_crm::{Answer, AnyCrm};
use super::observe::{group, observing};

type Encode = fn(&[u8]) -> Vec<u8>;

/// What `Content-Encoding` says, and what makes it true.
const CODINGS: &[(&str, Encode)] = &[
    ("gzip", gzip),
    ("x-gzip", gzip),
    ("GZIP", gzip),
    ("deflate", zlib),
    ("br", brotli),
    ("zstd", zstd),
    ("identity", plain),
    ("gzip, br", |body| brotli(&gzip(body))),
    ("zstd, deflate", |body| zlib(&zstd(body))),
    ("identity, gzip", gzip),
];

fn plain(body: &[u8]) -> Vec<u8> {
    body.to_vec()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    compress_to_vec(body, CompressionLevel::Fastest)
}

/// Uncompressed meta-blocks (RFC 7932 §9.2) in a window of 64 KiB.
fn brotli(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for (index, block) in body.chunks(1 << 16).enumerate() {
        let head = ((u32::try_from(block.len() - 1).unwrap() << 3) | (1 << 19)) << u32::from(index == 0);
        coded.extend_from_slice(&head.to_le_bytes()[..3]);
        coded.extend_from_slice(block);
    }
    coded.push(0b11);
    coded
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Stands in everything that must not get through.
const CANARY: &str = "canary-5c1f";

async fn deal_of_the_crm() -> Vec<u8> {
    let real = TestSidecar::start().await;
    real.crm_caller().get("/api/deals/42").await.body
}

#[tokio::test]
async fn answers_leave_as_if_they_had_not_been_coded() {
    let (real, crm) = (TestSidecar::start().await, AnyCrm::start().await);
    let sidecar = crm.behind(|options| options).await;
    for (person, target) in
        [("rep-east", "/api/deals/42"), ("rep-east", "/api/deals"), ("rep-east", "/api/pipelines")]
    {
        let body = real.crm_caller().get(target).await.body;
        crm.answers(Answer::json(body.clone()));
        let expected = sidecar.as_person(person).get(target).await;
        assert_eq!(expected.status, 200, "{target}: {}", expected.text());
        for (name, code) in CODINGS {
            crm.answers(Answer::json(code(&body)).coded(name));
            let reply = sidecar.as_person(person).get(target).await;
            assert_eq!(reply.observable(), expected.observable(), "{name} {target}");
            assert_eq!(reply.header("content-encoding"), None);
        }
    }
}

/// A before image, and the answer to the write that it is for.
#[tokio::test]
async fn writes_are_judged_by_coded_images() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    let deal = deal_of_the_crm().await;
    crm.answers(Answer::json(deal.clone()));
    let expected = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"title":"x"}"#).await;
    assert_eq!((expected.status, expected.json()["id"].as_u64()), (200, Some(42)));
    for (name, code) in CODINGS {
        crm.answers(Answer::json(code(&deal)).coded(name));
        let reply = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"title":"x"}"#).await;
        assert_eq!(reply.observable(), expected.observable(), "{name}");
        let denied = sidecar.as_person("rep-east").patch("/api/deals/42", r#"{"margin":1}"#).await;
        assert_eq!(denied.status, 403, "{name}");
        let writes: Vec<String> = crm.seen().into_iter().filter(|line| line.starts_with("PATCH")).collect();
        assert_eq!(writes.len(), 1, "{name}: {writes:?}");
    }
}

/// An error of the CRM tells its status alone, in whatever coding; also in one that cannot be undone.
#[tokio::test]
async fn errors_in_codings() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    let error = format!(r#"{{"error":"{CANARY}"}}"#).into_bytes();
    for (coding, body) in [("gzip", gzip(&error)), ("gzip", error.clone()), ("dcb", error.clone())] {
        for (status, told, reason) in [(422, 422, "crm-rejected"), (500, 502, "upstream-error")] {
            crm.answers(Answer::json(body.clone()).status(status).coded(coding));
            let reply = sidecar.as_person("rep-east").get("/api/deals").await;
            assert_eq!((reply.status, reply.reason().as_str()), (told, reason), "{coding} {status}");
            assert!(!reply.text().contains(CANARY));
        }
        crm.answers(Answer::json(body).status(404).coded(coding));
        assert_eq!(sidecar.as_person("rep-east").get("/api/deals/42").await.status, 404, "{coding}");
    }
}

/// What an answer is, how it is coded, and the reason of the refusal.
fn refused(body: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>, Reason)> {
    let coded = gzip(body);
    let with_tail = |tail: &[u8]| [&coded[..], tail].concat();
    let mut other_sum = coded.clone();
    let sum_at = other_sum.len() - 8;
    other_sum[sum_at] ^= 1;
    let large = format!(r#"{{"id":42,"title":"{}"}}"#, noise(250_000)).into_bytes();
    vec![
        ("an unknown coding", "compress", body.to_vec(), Reason::UpstreamCoding),
        ("a known and an unknown one", "gzip, exi", coded.clone(), Reason::UpstreamCoding),
        ("a coding with a parameter", "gzip;q=1", coded.clone(), Reason::UpstreamCoding),
        ("an empty name", "gzip,", coded.clone(), Reason::UpstreamCoding),
        ("too many codings", "gzip, gzip, gzip", gzip(&gzip(&coded)), Reason::UpstreamCoding),
        ("not coded at all", "gzip", body.to_vec(), Reason::UpstreamCoding),
        ("another coding", "br", coded.clone(), Reason::UpstreamCoding),
        ("the wrong order", "br, gzip", brotli(&coded), Reason::UpstreamCoding),
        ("deflate without zlib", "deflate", raw_deflate(body), Reason::UpstreamCoding),
        ("cut off", "gzip", coded[..coded.len() - 1].to_vec(), Reason::UpstreamCoding),
        ("cut off early", "zstd", zstd(body)[..9].to_vec(), Reason::UpstreamCoding),
        ("garbage behind it", "gzip", with_tail(b"{}"), Reason::UpstreamCoding),
        ("zeros behind it", "gzip", with_tail(&[0; 8]), Reason::UpstreamCoding),
        ("a wrong checksum", "gzip", other_sum, Reason::UpstreamCoding),
        ("a dictionary of zlib", "deflate", bytes("78bb00000001"), Reason::UpstreamCoding),
        ("a dictionary of zstd", "zstd", bytes("28b52ffd016807010000"), Reason::UpstreamCoding),
        ("a window of 9 MiB", "zstd", bytes("28b52ffd0069010000"), Reason::UpstreamCoding),
        ("a window of brotli's extension", "br", bytes("1146030303"), Reason::UpstreamCoding),
        ("too large decoded", "zstd", zstd(&large), Reason::UpstreamTooLarge),
        ("too large coded", "br", brotli(&large), Reason::UpstreamTooLarge),
        ("a second document", "gzip", with_tail(&coded), Reason::UpstreamMalformed),
        ("nothing", "gzip", gzip(b""), Reason::UpstreamMalformed),
    ]
}

/// Text that does not become shorter.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(
            b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                [usize::try_from(state >> 26).unwrap()],
        )
    };
    (0..length).map(|_| next()).collect()
}

#[track_caller]
fn check(reply: &TestReply, reason: Reason, what: &str) {
    assert_eq!((reply.status, reply.reason().as_str()), (reason.status(), reason.code()), "{what}");
    let everything = format!("{:?} {}", reply.headers, reply.text());
    assert!(!everything.contains(CANARY), "{what}: {everything}");
}

#[tokio::test]
async fn what_cannot_be_undone_never_leaves() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options.set("limits", "answer_bytes", 200_000)).await;
    let deal = String::from_utf8(deal_of_the_crm().await).unwrap();
    let body = deal.replacen('{', &format!(r#"{{"notes2":"{CANARY}","#), 1).into_bytes();
    for (what, coding, answer, reason) in refused(&body) {
        crm.answers(Answer::json(answer.clone()).coded(coding));
        let reply = sidecar.as_person("admin").get("/api/deals/42").await;
        check(&reply, reason, what);
        let ledger =
            sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
        assert_eq!(ledger.outcome(reply.decision()).unwrap()["reason"], reason.code(), "{what}");
        // A route that passes hands on what was coded, not the coding.
        let passed = sidecar.as_person("admin").get("/api/pipelines").await;
        match reason {
            Reason::UpstreamMalformed => assert_eq!(passed.status, 200, "{what}"),
            _ => check(&passed, reason, what),
        }
        // The CRM has taken the write, whatever it says.
        crm.answers_reads(Answer::json(body.clone()));
        let written = sidecar.as_person("admin").patch("/api/deals/42", r#"{"title":"x"}"#).await;
        check(&written, Reason::AnswerWithheld, what);
    }
    assert!(!sidecar.stop_keeping_files().await.all_text("state/ledger").contains(CANARY));
}

/// 10 GB of zeros each, whole and valid up to where they are given up.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let mut deflate = Compress::new(Compression::best(), false);
    let zeros = vec![0; 1 << 20];
    let mut piece = || {
        let mut coded = Vec::with_capacity(1 << 20);
        deflate.compress_vec(&zeros, &mut coded, FlushCompress::Full).unwrap();
        coded
    };
    let (first, further) = (piece(), piece());
    let members = [bytes("1f8b0800000000000003"), first, further.repeat(10_239)].concat();
    let brotli = bytes("fcffff034002200e0b40f7fe8fffff7f004800c46101e8deff19").repeat(639);
    let brotli = [bytes("cbffff3f002400e2b14072effff8ffff078004401c1680eefd9f01"), brotli, vec![3]].concat();
    let zstd = [bytes("28b52ffd0038"), bytes("02001000").repeat(81_919), bytes("03001000")].concat();
    let parcel = gzip(&brotli);
    vec![("gzip", members), ("br", brotli), ("zstd", zstd), ("br, gzip", parcel)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_end_with_a_reason() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    for (coding, bomb) in bombs() {
        let bomb_bytes = bomb.len();
        assert!(bomb_bytes < 16 << 20, "{coding}: it must be what it holds that is refused");
        crm.answers(Answer::json(bomb).coded(coding));
        // A list that is longer than what is held back is read while it is decoded, and this is no list.
        let of_list = if bomb_bytes > 4 << 20 { Reason::UpstreamMalformed } else { Reason::UpstreamTooLarge };
        for (target, reason) in [
            ("/api/deals", of_list),
            ("/api/deals/42", Reason::UpstreamTooLarge),
            ("/api/pipelines", Reason::UpstreamTooLarge),
        ] {
            let reply = sidecar.as_person("admin").get(target).await;
            check(&reply, reason, &format!("{coding} {target}"));
        }
    }
    crm.answers(Answer::json(deal_of_the_crm().await));
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
}

/// A request with a body of any bytes.
async fn send(sidecar: &TestSidecar, caller: &Caller, method: &str, coding: &str, body: &[u8]) -> TestReply {
    let caller = caller.clone().with_header("Content-Type: application/json");
    let caller = caller.with_header(&format!("Content-Encoding: {coding}"));
    let caller = caller.with_header(&format!("Content-Length: {}", body.len()));
    let head = caller.request(method, "/api/deals/42", "");
    TestReply::parse(&sidecar.raw([head.as_bytes(), body].concat()).await, false).0
}

#[tokio::test]
async fn bodies_of_callers_reach_the_crm_without_their_codings() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("rep-east");
    for (name, code) in CODINGS {
        sidecar.crm().reset();
        let reply = send(&sidecar, &caller, "PATCH", name, &code(br#"{"title":"New"}"#)).await;
        assert_eq!((reply.status, reply.json()["title"].as_str()), (200, Some("New")), "{name}");
        let written = sidecar.crm().requests().into_iter().find(|seen| seen.method == Method::PATCH).unwrap();
        assert_eq!(&written.body[..], br#"{"title":"New"}"#, "{name}");
        assert!(!written.headers.contains_key("content-encoding"), "{name}");
        assert_eq!(written.headers.get("content-length").unwrap(), "15", "{name}");
        // What is inside is judged.
        let denied = send(&sidecar, &caller, "PATCH", name, &code(br#"{"margin":1}"#)).await;
        assert_eq!((denied.status, denied.reason().as_str()), (403, "fields-denied"), "{name}");
        assert_eq!(sidecar.crm_writes().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_undone_go_nowhere() {
    let sidecar = TestSidecar::with(|options| options.set("limits", "body_bytes", 200_000)).await;
    let caller = sidecar.as_person("rep-east");
    for (what, coding, body, reason) in refused(br#"{"title":"New"}"#) {
        let reason = match reason {
            Reason::UpstreamTooLarge => Reason::BodyTooLarge,
            Reason::UpstreamMalformed if what == "nothing" => Reason::BodyMissing,
            Reason::UpstreamMalformed => Reason::JsonSyntax,
            _ => Reason::BodyCoding,
        };
        let reply = send(&sidecar, &caller, "PATCH", coding, &body).await;
        check(&reply, reason, what);
        assert_eq!(sidecar.ledger().decision(&reply)["reason"], reason.code(), "{what}");
    }
    for (coding, bomb) in bombs().into_iter().filter(|(_, bomb)| bomb.len() < 200_000) {
        check(&send(&sidecar, &caller, "PATCH", coding, &bomb).await, Reason::BodyTooLarge, coding);
    }
    // Nobody who is unknown gets anything decoded.
    let nobody = send(&sidecar, &sidecar.as_nobody(), "PATCH", "gzip", b"no gzip").await;
    assert_eq!(nobody.reason(), "credential-missing");
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}

/// What is observed leaves as the CRM coded it, and is judged by what is inside; also where that cannot be told.
#[tokio::test]
async fn observed_answers_keep_their_codings() {
    let crm = AnyCrm::start().await;
    let groups = group("g", r#""GET /api/deals*""#, "2026-07-01T00:00:00Z");
    let sidecar = crm.behind(observing(groups)).await;
    let deal = deal_of_the_crm().await;
    crm.answers(Answer::json(deal.clone()));
    let plain = sidecar.as_person("rep-east").get("/api/deals/42").await;
    let sets = sidecar.ledger().decision(&plain)["sets"].clone();
    assert!(sets.is_array(), "{sets}");
    for (coding, body, reason) in [
        ("gzip", gzip(&deal), None),
        ("deflate, br", brotli(&zlib(&deal)), None),
        ("compress", deal.clone(), Some("upstream-coding")),
        ("gzip", deal.clone(), Some("upstream-coding")),
    ] {
        crm.answers(Answer::json(body.clone()).coded(coding));
        let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
        assert_eq!((reply.status, reply.header("content-encoding")), (200, Some(coding)));
        assert!(reply.body == body, "{coding}: not what the CRM sent");
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        assert_eq!(decision["reason"].as_str(), reason, "{coding}");
        assert!(reason.is_some() || decision["sets"] == sets, "{coding}: {decision}");
    }
}

#[tokio::test]
async fn codings_can_be_switched_off() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options.set("limits", "codings", 0)).await;
    let deal = deal_of_the_crm().await;
    crm.answers(Answer::json(gzip(&deal)).coded("gzip"));
    check(&sidecar.as_person("admin").get("/api/deals/42").await, Reason::UpstreamCoding, "gzip");
    crm.answers(Answer::json(deal).coded("identity"));
    assert_eq!(sidecar.as_person("admin").get("/api/deals/42").await.status, 200);
    let reply = send(&sidecar, &sidecar.as_person("admin"), "PATCH", "gzip", &gzip(b"{}")).await;
    check(&reply, Reason::BodyCoding, "gzip");
}

/// What the limit on growth admits, byte for byte.
#[tokio::test]
async fn growth_has_its_limit() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options.set("limits", "coding_ratio", 100)).await;
    for (length, status) in [(1 << 20, 200), ((1 << 20) + 1, 502)] {
        let mut body = br#"{"names":""#.to_vec();
        body.resize(length - 2, b' ');
        body.extend(b"\"}");
        let coded = gzip(&body);
        assert!(coded.len() < 5_000, "it grows by more than 200 times");
        crm.answers(Answer::json(coded).coded("gzip"));
        let reply = sidecar.as_person("admin").get("/api/pipelines").await;
        assert_eq!(reply.status, status, "{length}");
    }
}
