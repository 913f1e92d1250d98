//! Lockkeeper in front of the recorded BottleCRM [edge]: in process, on free ports, with a real ledger.
#![expect(clippy::disallowed_methods, reason = "edge: the recorded CRM's listener, and files of the test")]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lockkeeper::config::author::Problems;
use lockkeeper::config::{load, service::ServiceConfig};
use lockkeeper::service::load::load as load_all;
use lockkeeper::service::start::{Running, start};
use lockkeeper::telemetry::clock::Clock;
use lockkeeper::testkit::client::{Caller, TestReply, exchange};
use lockkeeper::testkit::ledger::Entries;
use lockkeeper::testkit::replay::Replay;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The whole set-up.
pub struct Rig {
    running: Running,
    replay: Replay,
    crm: SocketAddr,
    folder: tempfile::TempDir,
    _serving: JoinHandle<()>,
}

/// The recorded deal of `rep-4`, that of `rep-1`, and the one that was made while recording.
pub const DEAL: &str = "/api/opportunities/ff965a99-feec-4be7-9b39-5baebe4d4f9d/";
pub const MADE: &str = "/api/opportunities/18f54b54-02ae-4953-9184-57379d164a4d/";

impl Rig {
    /// With the example's files as they are.
    pub async fn start() -> Self {
        Self::with(|profile| profile, |config| config).await
    }

    /// With a change to the profile and to the configuration.
    pub async fn with(
        profile: impl FnOnce(String) -> String,
        change: impl FnOnce(ServiceConfig) -> ServiceConfig,
    ) -> Self {
        let edit = |folder: &Path| {
            let file = folder.join("bundle/profile.toml");
            std::fs::write(&file, profile(std::fs::read_to_string(&file).unwrap())).unwrap();
        };
        Self::with_files(edit, change).await
    }

    /// With a change to a copy of the example's files and to the configuration.
    pub async fn with_files(
        edit: impl FnOnce(&Path),
        change: impl FnOnce(ServiceConfig) -> ServiceConfig,
    ) -> Self {
        let replay = Replay::load(&root().join("tests/fixtures/bottlecrm"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let crm = listener.local_addr().unwrap();
        let serving = tokio::spawn(replay.clone().serve(listener));
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("examples/bottlecrm"), folder.path());
        edit(folder.path());
        // As the README says: a checkout is readable by everybody, and a key is not to be.
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("crm.key"), private).unwrap();
        let mut problems = Problems::default();
        let file = folder.path().join("lockkeeper.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in [
            ("127.0.0.1:8080", "127.0.0.1:0"),
            ("127.0.0.1:8081", "127.0.0.1:0"),
            ("127.0.0.1:18300", &crm.to_string()),
            ("../../.cache/bottlecrm-ledger", "ledger"),
        ] {
            assert!(text.contains(from), "the example's configuration has no `{from}`");
            text = text.replace(from, to);
        }
        std::fs::write(&file, text).unwrap();
        let config = load::load(&file, &mut problems).unwrap_or_else(|| panic!("{problems}"));
        let config = change(config);
        let loaded = load_all(&config, &mut problems);
        assert_eq!(problems.to_string(), "", "the example loads without a warning");
        let running = start(config, loaded.unwrap(), Clock::system()).await.unwrap();
        Self { running, replay, crm, folder, _serving: serving }
    }

    /// A person of the example's directory.
    pub fn person(&self, name: &str) -> Caller {
        Caller::new(self.running.address).with_header(&format!("Authorization: Bearer example-key-of-{name}"))
    }

    /// Sends a recorded request straight to the CRM, past Lockkeeper, so that what it changed has happened.
    pub async fn happened(&self, name: &str) {
        let request = std::fs::read(root().join(format!("tests/fixtures/bottlecrm/{name}.req"))).unwrap();
        let request =
            String::from_utf8(request).unwrap().replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let answer = exchange(self.crm, request.as_bytes()).await;
        let (reply, _) = TestReply::parse(&answer, false);
        assert_eq!(reply.status, 200, "{name}");
    }

    /// What the CRM was asked to change.
    pub fn writes(&self) -> Vec<String> {
        self.replay.writes()
    }

    /// All that the CRM was asked.
    pub fn seen(&self) -> Vec<String> {
        self.replay.seen()
    }

    /// Ends in good order; every request to the CRM was one that was recorded.
    pub async fn stop(self) -> Entries {
        assert_eq!(self.replay.misses(), Vec::<String>::new(), "requests that were not recorded");
        self.stop_with_misses().await
    }

    /// The same where a journey asks for what was not recorded.
    pub async fn stop_with_misses(self) -> Entries {
        self.running.stop().await.unwrap();
        Entries::read(&self.folder.path().join("ledger"))
    }
}

/// The body that BottleCRM answered when an exchange was recorded.
pub fn recorded(name: &str) -> String {
    let bytes = std::fs::read(root().join(format!("tests/fixtures/bottlecrm/{name}.resp"))).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A member of a JSON body by pointer.
#[track_caller]
pub fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no `{pointer}` in {value}"))
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}
