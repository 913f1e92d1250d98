//! A sidecar under test: the demo CRM on a free port, Lockkeeper in front of it, a folder of its own, and callers. [edge]
//!
//! Promises: real sockets, real Cedar, real ledger files, a clock that stands until it is moved; what panics in the
//! background makes the test fail. Never part of a build without the feature `testkit`.
//!
//! ```no_run
//! # async fn example() {
//! use lockkeeper::testkit::TestSidecar;
//! let sidecar = TestSidecar::start().await;
//! let reply = sidecar.as_person("rep-east").get("/api/deals/42").await;
//! assert_eq!(reply.status, 200);
//! # }
//! ```
#![expect(clippy::disallowed_methods, reason = "edge: the demo CRM's listener, and connections of callers")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

pub mod archive;
pub mod client;
pub mod dice;
pub mod http2;
pub mod folder;
pub mod issuer;
pub mod ledger;
pub mod panics;
pub mod replay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::author::Problems;
use crate::demo::crm::{DemoCrm, server};
use crate::model::reason::Reason;
use crate::service::reload::Reloaded;
use crate::service::start::{Running, start};
use crate::telemetry::clock::Clock;
use client::{Caller, exchange};
use folder::{Options, TestFolder};
use ledger::Entries;
use panics::Watch;

/// Lockkeeper in front of the demo CRM.
pub struct TestSidecar {
    running: Running,
    crm: TestCrm,
    folder: TestFolder,
    now_ms: Arc<AtomicI64>,
    watch: Watch,
}

/// The demo CRM on a free port.
pub struct TestCrm {
    /// The handle on its data, requests and faults.
    pub handle: DemoCrm,
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl TestCrm {
    /// A CRM with the first data, open to [`CRM_KEY`].
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port for the CRM");
        let address = listener.local_addr().expect("a bound listener has an address");
        let handle = DemoCrm::seeded(CRM_KEY);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server::serve(listener, handle.clone(), async move { drop(stopped.await) });
        Self { handle, address, stop: Some(stop), task: Some(tokio::spawn(serving)) }
    }

    /// Ends it; its port refuses from then on.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            task.await.expect("the CRM ends in good order");
        }
    }
}

impl TestSidecar {
    /// With the demo's bundle, directory and default limits.
    pub async fn start() -> Self {
        Self::with(|options| options).await
    }

    /// With changes to them.
    pub async fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let watch = Watch::start();
        let crm = TestCrm::start().await;
        let folder = TestFolder::new(change(Options::default()), crm.address);
        let now_ms = Arc::new(AtomicI64::new(NOW_MS));
        let running = Self::run(&folder, &now_ms).await;
        Self { running, crm, folder, now_ms, watch }
    }

    async fn run(folder: &TestFolder, now_ms: &Arc<AtomicI64>) -> Running {
        Self::try_run(folder, now_ms, None)
            .await
            .unwrap_or_else(|problems| panic!("the files of the test do not load: {problems}"))
    }

    async fn try_run(
        folder: &TestFolder,
        now_ms: &Arc<AtomicI64>,
        revision: Option<String>,
    ) -> Result<Running, Problems> {
        let now_ms = Arc::clone(now_ms);
        let clock = Clock::from_fn(move || now_ms.load(Ordering::SeqCst));
        let (config, loaded) = folder.load_at(&clock, revision).await?;
        Ok(start(config, loaded, clock)
            .await
            .unwrap_or_else(|error| panic!("the sidecar did not start: {error}")))
    }

    /// A caller with a person's key.
    pub fn as_person(&self, person: &str) -> Caller {
        let key = self.folder.key(person);
        self.as_nobody().with_header(&format!("Authorization: Bearer {key}"))
    }

    /// A caller without a credential.
    pub fn as_nobody(&self) -> Caller {
        Caller::new(self.running.address)
    }

    /// The holder of the CRM's own key, past the sidecar: what the CRM answers and holds by itself.
    pub fn crm_caller(&self) -> Caller {
        Caller::new(self.crm.address).with_header(&format!("X-Api-Key: {CRM_KEY}"))
    }

    /// Sends bytes on a connection of their own and returns all that comes back until it is closed.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        exchange(self.running.address, bytes.as_ref()).await
    }

    /// A connection on which nothing was written.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.address).await.expect("the sidecar listens")
    }

    /// Where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// The demo CRM.
    pub fn crm(&self) -> &DemoCrm {
        &self.crm.handle
    }

    /// What the CRM was asked, as `METHOD target`, oldest first.
    pub fn crm_saw(&self) -> Vec<String> {
        let line =
            |request: crate::demo::crm::seen::SeenRequest| format!("{} {}", request.method, request.target);
        self.crm().requests().into_iter().map(line).collect()
    }

    /// Those of them that change something.
    pub fn crm_writes(&self) -> Vec<String> {
        self.crm_saw().into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }

    /// Ends the CRM; its port refuses from then on.
    pub async fn stop_crm(&mut self) {
        self.crm.stop().await;
    }

    /// The parts of the running service.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The folder with bundle, directory, keys and state.
    pub fn folder(&self) -> &TestFolder {
        &self.folder
    }

    /// Sets the clock of decisions.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Replaces a file of bundle or directory and reloads.
    pub async fn reload_with(&self, name: &str, change: impl FnOnce(String) -> String) -> Reloaded {
        self.folder.edit(name, change);
        self.running.reloader.reload().await
    }

    /// The ledger as it is now; the outcome of a read may still be on its way.
    pub fn ledger(&self) -> Entries {
        Entries::read(&self.folder.state())
    }

    /// The ledger, once it fulfils a condition that must come about by itself.
    pub async fn ledger_when(&self, what: &str, holds: impl Fn(&Entries) -> bool) -> Entries {
        Entries::when(&self.folder.state(), what, holds).await
    }

    /// Makes every further append to the ledger fail.
    pub async fn break_ledger(&self) {
        self.running.sidecar.recorder.ledger().clone().close().await.expect("the ledger was open");
    }

    /// Ends the service in good order and returns its ledger.
    pub async fn stop(self) -> Entries {
        Entries::read(&self.stop_keeping_files().await.state())
    }

    /// Ends the service in good order and returns its folder.
    pub async fn stop_keeping_files(self) -> TestFolder {
        let Self { running, mut crm, folder, watch, .. } = self;
        running.stop().await.expect("the ledger ends in good order");
        crm.stop().await;
        drop(watch);
        folder
    }

    /// Ends the service in good order and starts it again on the same folder.
    pub async fn restart(self) -> Self {
        self.try_restart(None)
            .await
            .unwrap_or_else(|problems| panic!("the files of the test do not load: {problems}"))
    }

    /// The same; with `revision`, as `serve --revision` starts. The error is what stopped the start.
    pub async fn try_restart(self, revision: Option<&str>) -> Result<Self, Problems> {
        let Self { running, crm, folder, now_ms, watch } = self;
        // The ledger may have been broken on purpose.
        let _ = running.stop().await;
        let running = Self::try_run(&folder, &now_ms, revision.map(str::to_owned)).await?;
        Ok(Self { running, crm, folder, now_ms, watch })
    }

    /// Ends the service; its ledger must count these refusals before identity and no others.
    #[track_caller]
    pub fn expect_refusals(self, expected: &[(Reason, u64)]) -> impl Future<Output = ()> + use<> {
        let expected: Vec<(String, u64)> =
            expected.iter().map(|(reason, count)| (reason.code().to_owned(), *count)).collect();
        let place = std::panic::Location::caller();
        async move {
            let found = self.stop().await.refusals();
            assert_eq!(found, expected, "refusals counted before identity, asked for at {place}");
        }
    }
}

/// Between two looks at what must come about by itself: leaves the processor to whom it is waited for.
pub async fn a_moment() {
    tokio::time::sleep(LOOK_EVERY).await;
}

/// The key that the demo CRM opens to.
pub const CRM_KEY: &str = "crm-service-key-3f1d5c";
/// Where the clock of decisions stands: 2026-06-15T12:00:00Z.
pub const NOW_MS: i64 = 1_781_524_800_000;
const LOOK_EVERY: Duration = Duration::from_millis(1);
