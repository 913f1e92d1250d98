//! What a list costs on its whole way: from a caller's connection to the CRM and back through filter, decisions and ledger.
//!
//! `cargo bench --bench pipeline`. Caller, Lockkeeper and CRM are in this process and talk over loopback; the same requests
//! go straight to the CRM in turn, and what is told is the difference. The ledger is in /dev/shm where there is one, so that
//! the disk's sync is not what is seen. Counts of records as arguments: `cargo bench --bench pipeline -- 1 100`.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: a benchmark reads clock, arguments and files, and connects"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up has failed"
)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "compare/data.rs"]
mod data;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lockkeeper::bundle::revision::hash;
use lockkeeper::config::author::Problems;
use lockkeeper::config::load;
use lockkeeper::service::load::load_from;
use lockkeeper::service::start::{Running, start};
use lockkeeper::service::supply::Supply;
use lockkeeper::telemetry::clock::Clock;
use tokio::net::{TcpListener, TcpStream};

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let counts = if asked.is_empty() { COUNTS.to_vec() } else { asked };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&counts));
}

async fn measure(counts: &[usize]) {
    let memory = Path::new("/dev/shm");
    let folder =
        if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
    let body = Arc::new(Mutex::new(Bytes::new()));
    let crm = serve_crm(Arc::clone(&body)).await;
    let running = sidecar(folder.path(), crm).await;
    let mut straight = connect(crm).await;
    let mut through = connect(running.address).await;
    println!(
        "| records | body, KB | straight, µs | through Lockkeeper, µs | added, µs | added, µs of processor | added per record, µs |"
    );
    println!("|---|---|---|---|---|---|---|");
    for count in counts {
        let list = Bytes::from(data::list(*count));
        let length = list.len();
        *body.lock().unwrap() = list;
        let [direct, whole] = alternate(&mut straight, &mut through, runs(*count)).await;
        let added = whole.wall_us - direct.wall_us;
        println!(
            "| {count} | {} | {:.0} | {:.0} | {added:.0} | {:.0} | {:.2} |",
            length.div_ceil(1_000),
            direct.wall_us,
            whole.wall_us,
            whole.cpu_us - direct.cpu_us,
            added / (*count).max(1) as f64,
        );
    }
    running.stop().await.unwrap();
}

/// Fewer runs of long lists: a second or so for each.
fn runs(count: usize) -> usize {
    (200_000 / (count + 300)).clamp(21, 501)
}

/// Median of the time on the clock, and mean of the processor time of the whole process, in microseconds.
struct Cost {
    wall_us: f64,
    cpu_us: f64,
}

/// Both ways in turn, some requests each, so that a neighbour's noise hits both. What follows an answer, such as its entry in
/// the ledger, falls among the next requests of the same way.
async fn alternate(straight: &mut Caller, through: &mut Caller, runs: usize) -> [Cost; 2] {
    let each = runs.div_ceil(ROUNDS);
    let mut taken = [(Vec::new(), 0), (Vec::new(), 0)];
    for round in 0..=ROUNDS {
        for (caller, (walls, cpu_ns)) in [&mut *straight, &mut *through].into_iter().zip(&mut taken) {
            let cpu = processor_ns();
            for _ in 0..each {
                let wall = Instant::now();
                ask(caller).await;
                if round > 0 {
                    walls.push(wall.elapsed().as_secs_f64() * 1e6);
                }
            }
            if round > 0 {
                *cpu_ns += processor_ns() - cpu;
            }
        }
    }
    taken.map(|(mut walls, cpu_ns)| {
        walls.sort_by(f64::total_cmp);
        Cost { wall_us: walls[walls.len() / 2], cpu_us: cpu_ns as f64 / 1e3 / walls.len() as f64 }
    })
}

/// Processor time of all threads of this process.
fn processor_ns() -> u64 {
    let own = |path: std::path::PathBuf| {
        let stat = std::fs::read_to_string(path.join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| own(task.unwrap().path())).sum()
}

struct Caller {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
}

async fn connect(address: SocketAddr) -> Caller {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Caller { sender, host: address.to_string() }
}

async fn ask(caller: &mut Caller) {
    let request = Request::get("/deals").header("host", &caller.host);
    let request = request.header("authorization", format!("Bearer {KEY}")).body(Empty::new()).unwrap();
    caller.sender.ready().await.unwrap();
    let response = caller.sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.unwrap().to_bytes();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
}

/// A CRM that answers everything with one body.
async fn serve_crm(body: Arc<Mutex<Bytes>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let body = Arc::clone(&body);
            let answer = service_fn(move |_| {
                let body = Full::new(body.lock().unwrap().clone());
                let response = Response::builder().header("content-type", "application/json").body(body);
                async move { Ok::<_, Infallible>(response.unwrap()) }
            });
            let serving = hyper::server::conn::http1::Builder::new();
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

/// Lockkeeper as `serve` starts it, with the bundle of the comparison.
async fn sidecar(folder: &Path, crm: SocketAddr) -> Running {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/bundle");
    let key =
        format!("[[key]]\nprincipal = 'User::\"{}\"'\nsha256 = \"{}\"\n", data::CALLER, hash(KEY.as_bytes()));
    write("api-keys.toml", key);
    write("crm.key", "the-crm-does-not-look\n".to_owned());
    write("directory.cedarentities.json", data::directory());
    let settings = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{crm}\"\n[identity.api_keys]\nfile = \"api-keys.toml\"\n\
         upstream_key_file = \"crm.key\"\n[directory]\nfile = \"directory.cedarentities.json\"\n[bundle]\npath = \"{}\"\n\
         [ledger]\npath = \"state\"\n",
        bundle.display(),
    );
    write("lockkeeper.toml", settings);
    let (mut problems, clock) = (Problems::default(), Clock::system());
    let config = load::load(&folder.join("lockkeeper.toml"), &mut problems);
    let config = config.unwrap_or_else(|| panic!("{problems}"));
    let loaded = load_from(&config, Supply::new(&config, None), clock.now_ms(), &mut problems);
    let loaded = loaded.unwrap_or_else(|| panic!("{problems}"));
    start(config, loaded, clock).await.unwrap()
}

const COUNTS: &[usize] = &[1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];
const KEY: &str = "pipeline-key-of-u1";
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The first one beside these only warms up.
const ROUNDS: usize = 7;
