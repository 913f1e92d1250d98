//! Many connections at once: idle ones cost little and keep nobody from being served.

use lockkeeper::testkit::TestCrm;
use lockkeeper::testkit::client::{Caller, TestReply};
use lockkeeper::testkit::folder::{Options, TestFolder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::program::Program;
use super::scaled;

/// What the process may hold with all of them open, in bytes.
const RESIDENT_BYTES_MAX: u64 = 600_000_000;
/// As many as fit into a common limit of open files, on both sides.
const IDLE_MAX: usize = 9_000;
const BUSY_MAX: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_callers_keep_nobody_from_being_served() {
    let crm = TestCrm::start().await;
    let options =
        Options::default().set("listen", "head_timeout_ms", 600_000).set("limits", "connections", 20_000);
    let folder = TestFolder::new(options, crm.address);
    let program = Program::start(&folder).await;
    let key = folder.key("rep-east");
    let caller = Caller::new(program.address).with_header(&format!("Authorization: Bearer {key}"));
    let (idle, busy) = (scaled(200).min(IDLE_MAX), scaled(25).min(BUSY_MAX));
    let before = program.resident_bytes();
    let mut kept = Vec::new();
    for _ in 0..idle {
        kept.push(answered_once(&caller, &program).await);
    }
    let requests = (0..busy).map(|_| {
        let caller = caller.clone();
        tokio::spawn(async move {
            for _ in 0..3 {
                let reply = caller.get("/api/deals/42").await;
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
        })
    });
    let requests: Vec<_> = requests.collect();
    for request in requests {
        request.await.unwrap();
    }
    let after = program.resident_bytes();
    assert!(after < RESIDENT_BYTES_MAX, "{after} bytes resident");
    // They are connections still: each is served when it asks.
    for stream in &mut kept {
        assert_eq!(ask(stream, &caller).await.status, 200);
    }
    println!(
        "| idle connections beside busy callers | {idle} and {busy} | all served; {} MB resident, {} MB before |",
        after / 1_000_000,
        before / 1_000_000
    );
}

/// A connection that was served once and is kept open.
async fn answered_once(caller: &Caller, program: &Program) -> TcpStream {
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    assert_eq!(ask(&mut stream, caller).await.status, 200);
    stream
}

async fn ask(stream: &mut TcpStream, caller: &Caller) -> TestReply {
    let request = caller.request("GET", "/api/companies/201", "").replace("Connection: close\r\n", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        if let Some(reply) = TestReply::try_parse(&bytes) {
            return reply;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the connection was closed");
    }
}
