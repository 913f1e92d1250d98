//! A real Tryton on a free port [edge], started by the example's own script on a fresh copy of the seeded database.
//!
//! Promises: its folder is new and goes with it; it is stopped when the test process ends, in whatever way. Packages and
//! seed are kept in `LOCKKEEPER_CACHE`, or `.cache/` of this repository.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: asks for a free port, reads the seed and the environment"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running Tryton.
pub struct Tryton {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its folder.
    pub folder: PathBuf,
    /// The ids and keys of the seed.
    pub seed: Value,
    /// Ends Tryton when its standard input closes, which the end of this process does.
    _keeper: Child,
}

/// The folder of this repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

impl Tryton {
    /// Starts it.
    pub fn start() -> Self {
        let script = Path::new(ROOT).join("examples/tryton/crm");
        let cache = std::env::var("LOCKKEEPER_CACHE").map_or(Path::new(ROOT).join(".cache"), PathBuf::from);
        let folder = tempfile::Builder::new().prefix("lockkeeper-tryton-").tempdir().unwrap().keep();
        let keeper = keep(&script, &folder);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = Command::new(&script)
            .args(["start", "--from"])
            .arg(cache.join("tryton"))
            .arg(folder.join("crm"))
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "Tryton did not start: {said}");
        let seed = std::fs::read_to_string(folder.join("crm/seed.json")).unwrap();
        Self { address, folder, seed: serde_json::from_str(&seed).unwrap(), _keeper: keeper }
    }
}

/// A process that waits for the end of this one, deaf to what ends it, and then cleans up.
fn keep(script: &Path, folder: &Path) -> Child {
    const WAIT_THEN_CLEAN_UP: &str =
        "trap '' INT TERM HUP; read -r _ || true; \"$0\" stop \"$1/crm\"; rm -rf -- \"$1\"";
    Command::new("bash")
        .args(["-c", WAIT_THEN_CLEAN_UP])
        .args([script, folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
