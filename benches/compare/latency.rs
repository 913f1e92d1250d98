//! Times single requests: one in flight, all targets in turn, so that a neighbour's noise hits all of them alike.
//!
//! Each target has one connection, which stays open. The order of the targets is drawn anew for each turn, because what a
//! proxy does after its answer would else always fall on the same next one. Answers are read whole and counted.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::TcpStream;

/// What to ask of whom, as JSON.
#[derive(Deserialize)]
struct Plan {
    http2: bool,
    turns: usize,
    warm_turns: usize,
    authorization: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    url: String,
}

enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// Carries the plan out and prints the times of each target.
pub fn run(plan: &str) {
    let plan: Plan = serde_json::from_str(plan).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let measured = runtime.block_on(measure(&plan));
    let rows = plan.targets.iter().zip(measured).map(|(target, (mut times, bytes))| {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        serde_json::json!({
            "name": target.name, "requests": times.len(), "bytes": bytes,
            "p10_ns": at(10), "p50_ns": at(50), "p99_ns": at(99),
        })
    });
    println!("{}", serde_json::Value::Array(rows.collect()));
}

async fn measure(plan: &Plan) -> Vec<(Vec<u64>, usize)> {
    let mut connections = Vec::new();
    for target in &plan.targets {
        connections.push(connect(target, plan.http2).await);
    }
    let mut measured = vec![(Vec::with_capacity(plan.turns), 0); plan.targets.len()];
    let mut order: Vec<usize> = (0..plan.targets.len()).collect();
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    for turn in 0..plan.warm_turns + plan.turns {
        shuffle(&mut order, &mut dice);
        for target in &order {
            let (ns, bytes) = ask(&mut connections[*target], &plan.targets[*target], plan).await;
            if turn >= plan.warm_turns {
                measured[*target].0.push(ns);
                measured[*target].1 = bytes;
            }
        }
    }
    measured
}

async fn connect(target: &Target, is_http2: bool) -> Connection {
    let uri: Uri = target.url.parse().unwrap();
    let stream = TcpStream::connect(uri.authority().unwrap().as_str()).await;
    let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    stream.set_nodelay(true).unwrap();
    let io = TokioIo::new(stream);
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        Connection::Http2(sender)
    } else {
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Connection::Http1(sender)
    }
}

/// Nanoseconds from the request to the last byte of the answer, and how many bytes that were.
async fn ask(connection: &mut Connection, target: &Target, plan: &Plan) -> (u64, usize) {
    let uri: Uri = target.url.parse().unwrap();
    let host = uri.authority().unwrap().to_string();
    // HTTP/2 takes the whole URI; on HTTP/1.1 that form is for proxies that are told of.
    let uri = if plan.http2 { uri } else { uri.path().parse().unwrap() };
    let mut request = Request::get(uri).header("authorization", &plan.authorization);
    if !plan.http2 {
        request = request.header("host", host);
    }
    let request = request.body(Empty::new()).unwrap();
    let start = Instant::now();
    let response = match connection {
        Connection::Http1(sender) => {
            sender.ready().await.unwrap();
            sender.send_request(request).await
        }
        Connection::Http2(sender) => sender.send_request(request).await,
    };
    let response = response.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
    let ns = u64::try_from(start.elapsed().as_nanos()).unwrap();
    assert_eq!(status, StatusCode::OK, "{}", target.name);
    (ns, body.unwrap_or_else(|error| panic!("{}: {error}", target.name)).to_bytes().len())
}

/// Fisher and Yates, with a small generator of its own: nothing here must be unpredictable.
fn shuffle(order: &mut [usize], dice: &mut u64) {
    for last in (1..order.len()).rev() {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        order.swap(last, usize::try_from(*dice % (last as u64 + 1)).unwrap());
    }
}

const WINDOW_BYTES: u32 = 8 * 1024 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
