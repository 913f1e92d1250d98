//! Bodies that are no JSON, or too much of it: as answers of the CRM and as bodies of callers, each refused with its reason,
//! and nothing of them gets any further.

use lockkeeper::model::reason::Reason;
use lockkeeper::testkit::TestSidecar;
use lockkeeper::testkit::client::TestReply;

use super::any_crm::{Answer, AnyCrm};

/// Stands in everything that must not get through.
const CANARY: &str = "canary-5c1f";
const JSON: &str = "application/json";

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Syntax,
    DuplicateKey,
    Depth,
    Size,
    Type,
}

impl Flaw {
    /// Of an answer.
    fn of_crm(self) -> Reason {
        match self {
            Flaw::Syntax | Flaw::DuplicateKey | Flaw::Depth => Reason::UpstreamMalformed,
            Flaw::Size => Reason::UpstreamTooLarge,
            Flaw::Type => Reason::UpstreamType,
        }
    }

    /// Of a request.
    fn of_caller(self) -> Reason {
        match self {
            Flaw::Syntax => Reason::JsonSyntax,
            Flaw::DuplicateKey => Reason::JsonDuplicateKey,
            Flaw::Depth => Reason::JsonDepth,
            Flaw::Size => Reason::BodyTooLarge,
            Flaw::Type => Reason::BodyType,
        }
    }
}

/// A record with one more value in it.
fn record(value: &str) -> String {
    format!(r#"{{"id":42,"title":"{CANARY}","other":{value}}}"#)
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// A good body made bad: what it is, its type, its bytes, and the flaw. `body` holds the canary.
fn spoilt(body: &str) -> Vec<(&'static str, &'static str, Vec<u8>, Flaw)> {
    let whole = body.as_bytes();
    let behind = |tail: &str| format!("{body}{tail}").into_bytes();
    let before = |head: &[u8]| [head, whole].concat();
    let with = |bytes: &[u8]| {
        let at = body.find(CANARY).unwrap();
        [&whole[..at], bytes, &whole[at..]].concat()
    };
    let cases = [
        ("cut off by one", whole[..whole.len() - 1].to_vec(), Flaw::Syntax),
        ("cut off in the canary", whole[..body.find(CANARY).unwrap() + 3].to_vec(), Flaw::Syntax),
        ("one bracket", b"{".to_vec(), Flaw::Syntax),
        ("white space", b" \r\n\t".to_vec(), Flaw::Syntax),
        ("a letter behind it", behind("x"), Flaw::Syntax),
        ("a bracket behind it", behind("}"), Flaw::Syntax),
        ("a NUL behind it", behind("\0"), Flaw::Syntax),
        ("a comment behind it", behind(" // end"), Flaw::Syntax),
        ("two documents", behind(body), Flaw::Syntax),
        ("two lines", behind(&format!("\n{body}\n")), Flaw::Syntax),
        ("a prefix against scripts", before(b")]}',\n"), Flaw::Syntax),
        ("a byte order mark", before(b"\xef\xbb\xbf"), Flaw::Syntax),
        ("UTF-16, little end first", utf16(body, u16::to_le_bytes), Flaw::Syntax),
        ("UTF-16, big end first", utf16(body, u16::to_be_bytes), Flaw::Syntax),
        ("UTF-16 with its mark", [&b"\xff\xfe"[..], &utf16(body, u16::to_le_bytes)].concat(), Flaw::Syntax),
        ("UTF-32", body.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(), Flaw::Syntax),
        ("Latin-1", with(b"\xe9"), Flaw::Syntax),
        ("an overlong slash", with(b"\xc0\xaf"), Flaw::Syntax),
        ("a surrogate as three bytes", with(b"\xed\xa0\x80"), Flaw::Syntax),
        ("beyond Unicode", with(b"\xf4\x90\x80\x80"), Flaw::Syntax),
        ("a raw line feed", with(b"\n"), Flaw::Syntax),
        ("half of a pair", with(br"\ud83d"), Flaw::Syntax),
        ("the other half", with(br"\ude00"), Flaw::Syntax),
        ("a pair the wrong way round", with(br"\ude00\ud83d"), Flaw::Syntax),
        ("half of a pair and a letter", with(br"\ud83d\u0041"), Flaw::Syntax),
    ];
    let of_type = |(what, bytes, flaw)| (what, JSON, bytes, flaw);
    let mut all: Vec<_> = cases.into_iter().map(of_type).collect();
    for content_type in ["application/json; charset=utf-16", "text/html", "application/json, text/html"] {
        all.push(("the wrong type", content_type, whole.to_vec(), Flaw::Type));
    }
    all
}

/// Members of which one is there twice.
fn doubled() -> Vec<(&'static str, String)> {
    vec![
        ("a key twice", r#""k":1,"k":2"#.to_owned()),
        ("a key twice, once escaped", r#""k":1,"\u006b":2"#.to_owned()),
        ("one key 100 000 times", format!("{}\"k\":0", "\"k\":0,".repeat(99_999))),
    ]
}

/// Values that are too much, each in the place of one value of a record.
fn excessive() -> Vec<(&'static str, String, Flaw)> {
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    vec![
        ("97 arrays", nested("[", "]", 97), Flaw::Depth),
        ("100 objects", nested(r#"{"a":"#, "}", 100), Flaw::Depth),
        ("100 000 arrays", nested("[", "]", 100_000), Flaw::Depth),
        ("100 000 objects", nested(r#"{"a":"#, "}", 100_000), Flaw::Depth),
        ("400 000 arrays that nobody closes", "[".repeat(400_000), Flaw::Depth),
    ]
}

#[track_caller]
fn check(reply: &TestReply, reason: Reason, what: &str) {
    assert_eq!((reply.status, reply.reason().as_str()), (reason.status(), reason.code()), "{what}");
    let everything = format!("{:?} {}", reply.headers, reply.text());
    assert!(!everything.contains(CANARY), "{what}: {everything}");
}

/// What the CRM answers: the record, and a list with it. Each leaves one record in the ledger and nothing of itself.
async fn check_answer(
    sidecar: &TestSidecar,
    crm: &AnyCrm,
    what: &str,
    (content_type, body): (&str, Vec<u8>),
    (target, reason): (&str, Reason),
) {
    crm.answers(Answer::of_type(content_type, body));
    let reply = sidecar.as_person("admin").get(target).await;
    check(&reply, reason, &format!("{what}: {target}"));
    let ledger =
        sidecar.ledger_when("the outcome", |ledger| ledger.outcome(reply.decision()).is_some()).await;
    assert_eq!(ledger.outcome(reply.decision()).unwrap()["reason"], reason.code(), "{what}");
    assert_eq!(ledger.of_kind("decision").iter().filter(|entry| entry["id"] == reply.decision()).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_the_crm() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    for (target, around) in [("/api/deals/42", ["", ""]), ("/api/deals", [r#"{"data":["#, "]}"])] {
        let in_place = |record: String| [around[0], &record, around[1]].concat();
        for (what, content_type, body, flaw) in spoilt(&in_place(record("1"))) {
            check_answer(&sidecar, &crm, what, (content_type, body), (target, flaw.of_crm())).await;
        }
        for (what, value, flaw) in excessive() {
            let body = in_place(record(&value)).into_bytes();
            check_answer(&sidecar, &crm, what, (JSON, body), (target, flaw.of_crm())).await;
        }
        // Keys of a record; inside of a value that nobody looks into they are not compared.
        for (what, members) in doubled() {
            let body = in_place(record(&format!("1,{members}"))).into_bytes();
            check_answer(&sidecar, &crm, what, (JSON, body), (target, Flaw::DuplicateKey.of_crm())).await;
        }
    }
    assert!(!sidecar.stop_keeping_files().await.all_text("state/ledger").contains(CANARY));
}

/// What is large, and what that costs is bounded by the limit of 16 MiB by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_of_the_crm() {
    let crm = AnyCrm::start().await;
    let sidecar = crm.behind(|options| options).await;
    let long = record(&format!("\"{}\"", "x".repeat(100_000_000))).into_bytes();
    let target = "/api/deals/42";
    check_answer(&sidecar, &crm, "100 MB", (JSON, long), (target, Reason::UpstreamTooLarge)).await;
    let keys =
        |count: usize| (0..count).map(|key| format!("\"k{key}\":0")).collect::<Vec<String>>().join(",");
    let twice = record(&format!("1,{},\"k0\":0", keys(1_000_000))).into_bytes();
    check_answer(&sidecar, &crm, "1 000 001 keys", (JSON, twice), (target, Reason::UpstreamMalformed)).await;
    // Keys that nobody knows are looked through, however many the limits admit, and stay behind.
    let deal = TestSidecar::start().await.crm_caller().get(target).await;
    let with_keys = deal.text().replacen('{', &format!("{{{},", keys(100_000)), 1);
    crm.answers(Answer::json(deal.body.clone()));
    let expected = sidecar.as_person("rep-east").get(target).await;
    crm.answers(Answer::json(with_keys.into_bytes()));
    let found = sidecar.as_person("rep-east").get(target).await;
    assert_eq!((found.status, found.observable()), (200, expected.observable()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_callers() {
    let sidecar = TestSidecar::start().await;
    let caller = sidecar.as_person("rep-east");
    let send = async |content_type: &str, body: &[u8]| {
        let caller = caller.clone().with_header(&format!("Content-Type: {content_type}"));
        let head = caller.with_header(&format!("Content-Length: {}", body.len()));
        let head = head.request("PATCH", "/api/deals/42", "");
        TestReply::parse(&sidecar.raw([head.as_bytes(), body].concat()).await, false).0
    };
    let mut cases = spoilt(&record("1"));
    cases.extend(
        excessive().into_iter().map(|(what, value, flaw)| (what, JSON, record(&value).into_bytes(), flaw)),
    );
    cases.extend(doubled().into_iter().map(|(what, members)| {
        (what, JSON, record(&format!("{{{members}}}")).into_bytes(), Flaw::DuplicateKey)
    }));
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("\"k{key}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    let long = record(&format!("\"{}\"", "x".repeat(100_000_000)));
    cases.push(("a million keys", JSON, keys.into_bytes(), Flaw::Size));
    cases.push(("100 MB", JSON, long.into_bytes(), Flaw::Size));
    for (what, content_type, body, flaw) in cases {
        let reply = send(content_type, &body).await;
        check(&reply, flaw.of_caller(), what);
        let ledger = sidecar.ledger();
        let decision = ledger.decision(&reply);
        let told = (decision["effect"].as_str(), decision["reason"].as_str());
        assert_eq!(told, (Some("refuse"), Some(flaw.of_caller().code())), "{what}");
    }
    assert_eq!(sidecar.crm_saw(), Vec::<String>::new());
}
