//! Signs checkpoints of the ledger and brings them out of its reach [edge].
//!
//! Promises: a thread of its own, so that no request waits for it; an export that fails is told in status, metrics and log, and gets
//! the newest checkpoint later. Never signs for what is not durable.
#![expect(clippy::disallowed_methods, reason = "edge: the interval between checkpoints")]

mod courier;
mod export;
pub mod sealed;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::author::{AuthorProblem, Problems};
use crate::config::load::{check_folder, secret};
use crate::config::service::{CheckpointsConfig, CheckpointsHttpsConfig};
use crate::disk;
use crate::ledger::append::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::note::{NOTE_BYTES_MAX, Signer, VerifierKey};
use crate::ledger::seal::{Mended, Sealer};
use crate::model::keys::{KeyError, SigningKey};
use crate::net::remote::causes;
use crate::telemetry::clock::Clock;
use courier::{Courier, Parcel};
use export::Export;
use sealed::{ExportWatch, SealedNow};

/// Why checkpoints cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointsError {
    /// A key cannot be read.
    #[error("`[ledger.checkpoints] {setting}`: the key `{}` cannot be used: {why}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A key is the one for verifiers.
    #[error("`[ledger.checkpoints] {setting}`: `{}` is the public key, which cannot sign", path.display())]
    Public {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A key is none.
    #[error("`[ledger.checkpoints] {setting}`: the key `{}` cannot be used: {why}", path.display())]
    Key {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: KeyError,
    },
    /// The folder for checkpoints is not there.
    #[error("`[ledger.checkpoints] folder`: checkpoints cannot be put into `{}`: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// The ledger is not the one that was signed for, or cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl CheckpointsError {
    /// What to do about it, where the message does not say that.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::File { why, .. } if why.kind() == io::ErrorKind::NotFound => {
                Some("`lockkeeper audit keygen` makes a key.")
            }
            Self::File { .. } | Self::Ledger(LedgerError::Checkpoint { .. }) => None,
            Self::Public { .. } | Self::Key { .. } => {
                Some("Name the private key, which `lockkeeper audit keygen` wrote.")
            }
            Self::Folder { .. } => Some("Make the folder, or mount it; the service does not."),
            Self::Ledger(LedgerError::RolledBack { .. } | LedgerError::Rewritten { .. }) => Some(
                "Put the state folder back; a new ledger takes another `origin` and another `folder`. \
                 `lockkeeper audit verify` says what is wrong.",
            ),
            Self::Ledger(_) => Some("`lockkeeper audit verify` says what is wrong."),
        }
    }
}

/// What will sign.
pub struct Checkpoints {
    /// The public keys, as verifiers take them.
    pub keys: Vec<String>,
    sealer: Sealer,
    exports: Vec<(Export, ExportWatch)>,
    https: Option<CheckpointsHttpsConfig>,
    interval: Duration,
    idle_interval: Duration,
}

/// A thread that signs, until it is told the last entry.
pub struct Signing {
    /// How far it is.
    pub now: SealedNow,
    stop: Sender<u64>,
    ended: oneshot::Receiver<()>,
    courier: Option<JoinHandle<()>>,
    clock: Clock,
}

/// What the thread works with.
struct Work {
    checkpoints: Checkpoints,
    now: SealedNow,
    /// To the courier; the task ends when this is dropped.
    parcels: Option<watch::Sender<Parcel>>,
    ledger: Ledger,
    clock: Clock,
}

impl Checkpoints {
    /// Reads the keys and takes up the tree, before the ledger is opened. Blocks on the file system.
    ///
    /// # Errors
    /// [`CheckpointsError`].
    pub fn open(config: &CheckpointsConfig, state: &Path) -> Result<Self, CheckpointsError> {
        let signers = key_files(config).map(|path| signer(config, path)).collect::<Result<Vec<_>, _>>()?;
        let exports = exports(config);
        exports.iter().try_for_each(Export::check)?;
        let exported = config.folder.as_deref().map(export::latest);
        let sealer = Sealer::open(state, exported.as_deref(), config.origin.clone(), signers)?;
        let watched = |export: Export| {
            let watch = ExportWatch::new(export.name());
            (export, watch)
        };
        Ok(Self {
            keys: sealer.keys().map(ToString::to_string).collect(),
            sealer,
            exports: exports.into_iter().map(watched).collect(),
            https: config.https.clone(),
            interval: Duration::from_millis(config.interval_ms),
            idle_interval: Duration::from_millis(config.idle_interval_ms),
        })
    }

    /// Starts the thread, and the task that brings checkpoints to an endpoint.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(self, ledger: Ledger, clock: Clock) -> io::Result<Signing> {
        let mut watches: Vec<ExportWatch> = self.exports.iter().map(|(_, watch)| watch.clone()).collect();
        let (parcels, courier) = match &self.https {
            None => (None, None),
            Some(https) => {
                let watch = ExportWatch::new("https");
                watches.push(watch.clone());
                let (parcels, coming) = watch::channel(Parcel::default());
                let courier = Courier::new(https, watch, clock.clone());
                (Some(parcels), Some(tokio::spawn(courier.run(coming))))
            }
        };
        let signed = self.sealer.signed().map_or(0, |head| head.size);
        let now = SealedNow::new(signed, watches);
        let ((stop, stopped), (end, ended)) = (mpsc::channel(), oneshot::channel());
        let work = Work { checkpoints: self, now: now.clone(), parcels, ledger, clock: clock.clone() };
        thread::Builder::new().name("checkpoints".to_owned()).spawn(move || {
            work.run(&stopped);
            drop::<oneshot::Sender<()>>(end);
        })?;
        Ok(Signing { now, stop, ended, courier, clock })
    }
}

impl Work {
    fn run(mut self, stopped: &Receiver<u64>) {
        let mut last = Instant::now();
        self.seal(self.ledger.health().last_seq);
        self.mend();
        loop {
            match stopped.recv_timeout(self.checkpoints.interval) {
                Ok(last_seq) => return self.seal(last_seq),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let durable = self.ledger.health().last_seq;
            let has_grown = self.checkpoints.sealer.signed().is_none_or(|head| head.size < durable);
            if has_grown || last.elapsed() >= self.checkpoints.idle_interval {
                self.seal(durable);
                last = Instant::now();
            }
        }
    }

    /// Signs for what is durable, and exports that.
    fn seal(&mut self, durable: u64) {
        match self.checkpoints.sealer.seal(durable) {
            Ok(note) => {
                let entries = self.checkpoints.sealer.signed().map_or(0, |head| head.size);
                self.now.signed(entries);
                self.export(note, entries);
            }
            Err(error) => self.now.failed(causes(&error)),
        }
    }

    /// Makes tiles anew that a crash of the machine lost.
    fn mend(&self) {
        match self.checkpoints.sealer.mend() {
            Ok(Mended { made: 0, lost: 0 }) => {}
            Ok(Mended { made, lost }) => {
                tracing::warn!(made, lost, "tiles of the ledger's tree were missing")
            }
            Err(error) => tracing::error!(error = causes(&error), "missing tiles cannot be made anew"),
        }
    }

    /// Brings a checkpoint to all exports.
    fn export(&self, note: String, entries: u64) {
        let second = self.clock.second();
        // First, because it waits for nothing.
        if let Some(parcels) = &self.parcels {
            parcels.send_replace(Parcel { note: note.clone(), entries });
        }
        for (export, watch) in &self.checkpoints.exports {
            watch.begins(self.clock.now_ms());
            match export.send(&note, &second) {
                Ok(()) => watch.took(entries, self.clock.now_ms()),
                Err(error) => watch.failed(error.to_string()),
            }
        }
    }
}

impl Signing {
    /// Whether what sends to the endpoint still works.
    pub fn is_whole(&self) -> bool {
        self.courier.as_ref().is_none_or(|courier| !courier.is_finished())
    }

    /// Signs for the whole of a ledger that was closed with this entry, and ends; an export that hangs is left behind.
    pub async fn end(self, last_seq: u64) {
        // A thread that is gone has said why.
        let _ = self.stop.send(last_seq);
        let stop = self.courier.as_ref().map(JoinHandle::abort_handle);
        let ends = async {
            let _ = self.ended.await;
            if let Some(courier) = self.courier {
                let _ = courier.await;
            }
        };
        let is_late = timeout(END_TIMEOUT, ends).await.is_err();
        stop.iter().for_each(tokio::task::AbortHandle::abort);
        let sealed = self.now.read();
        if is_late || sealed.is_behind() {
            let failures = sealed.failures(self.clock.now_ms());
            tracing::error!(failures = failures.join("; "), "the last checkpoint is not exported");
        }
    }
}

/// Looks at the keys, the folder, and the endpoint's token and certificates, to say in time what is wrong with them.
pub fn check(config: &CheckpointsConfig, problems: &mut Problems) {
    let keys = key_files(config).filter_map(|file| signer(config, file).err());
    let folders = exports(config).into_iter().filter_map(|export| export.check().err());
    for error in keys.chain(folders) {
        let problem = AuthorProblem::error(error.to_string());
        problems.push(match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
    config.folder.iter().for_each(|folder| check_folder(folder, problems));
    let Some(https) = &config.https else { return };
    https.token_file.iter().for_each(|file| drop(secret(file, problems)));
    if let Err(error) = courier::tls(https).make(Clock::system().now_ms()) {
        let message = format!("`[ledger.checkpoints.https]`: {error}");
        problems
            .push(AuthorProblem::error(message).help("Without it nothing is sent there: correct the file."));
    }
}

/// The files of the keys that sign, the present one first, with the settings that name them.
fn key_files(config: &CheckpointsConfig) -> impl Iterator<Item = (&'static str, &PathBuf)> {
    let previous = config.previous_key_file.iter().map(|path| ("previous_key_file", path));
    std::iter::once(("key_file", &config.key_file)).chain(previous)
}

fn signer(
    config: &CheckpointsConfig,
    (setting, path): (&'static str, &PathBuf),
) -> Result<Signer, CheckpointsError> {
    let path = path.clone();
    if is_public(&path) {
        return Err(CheckpointsError::Public { setting, path });
    }
    let text = match disk::read_private(&path) {
        Ok(text) => text,
        Err(why) => return Err(CheckpointsError::File { setting, path, why }),
    };
    let key = SigningKey::parse(&text)
        .and_then(|key| Signer::new(config.origin.clone(), key).ok_or(KeyError::None));
    key.map_err(|why| CheckpointsError::Key { setting, path, why })
}

/// Whether a file holds a key for verifiers.
fn is_public(path: &Path) -> bool {
    let text = disk::read(path, NOTE_BYTES_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| text.trim().parse::<VerifierKey>().is_ok())
}

/// The exports that the thread itself does.
fn exports(config: &CheckpointsConfig) -> Vec<Export> {
    let folder = config.folder.clone().map(Export::Folder).into_iter();
    folder.chain(config.stdout.then_some(Export::Stdout)).collect()
}

/// How long an end waits for the last checkpoint.
const END_TIMEOUT: Duration = Duration::from_secs(10);
