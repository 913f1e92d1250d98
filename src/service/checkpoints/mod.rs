//! Signs checkpoints of the ledger and brings them out of its reach. [edge]
//!
//! Promises: a thread of its own, so that no request waits for it; an export that fails is told in status and metrics, and gets the
//! next checkpoint like all others. Never signs for what is not durable.
#![expect(clippy::disallowed_methods, reason = "edge: the export folder, standard output and the interval")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::service::CheckpointsConfig;
use crate::disk::{self, Readers};
use crate::ledger::append::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::note::Signer;
use crate::ledger::seal::Sealer;
use crate::model::keys::{KeyError, SigningKey};
use crate::telemetry::clock::Clock;

/// Why checkpoints cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointsError {
    /// A key cannot be read.
    #[error("the key `{}` cannot be used: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A key is none.
    #[error("the key `{}` cannot be used: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        why: KeyError,
    },
    /// The folder for checkpoints is not there.
    #[error("checkpoints cannot be put into `{}`: {why}", path.display())]
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

/// How far the ledger is signed for and exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// How many entries the last checkpoint stands for.
    pub signed: u64,
    /// Why the last attempt to sign failed, if it did.
    pub failed: Option<String>,
    /// How many entries the last checkpoint stands for that every export has; `None` where there are no exports.
    pub exported: Option<u64>,
    /// When that was, in milliseconds since 1970.
    pub exported_ms: Option<i64>,
    /// What exports failed at the last time.
    pub export_failures: Vec<String>,
    /// Since when an export is under way, in milliseconds since 1970.
    pub export_began_ms: Option<i64>,
}

impl Sealed {
    /// All that fails now, an export that hangs among it.
    #[must_use]
    pub fn failures(&self, now_ms: i64) -> Vec<String> {
        let hangs = self.export_began_ms.filter(|began_ms| now_ms - began_ms > EXPORT_LIMIT_MS);
        let hangs = hangs.map(|began_ms| format!("an export hangs since {} ms", now_ms - began_ms));
        self.failed.iter().chain(&self.export_failures).cloned().chain(hangs).collect()
    }
}

/// What is known of the checkpoints; shared by the thread and whoever asks.
pub type SealedNow = Arc<Mutex<Sealed>>;

/// A thread that signs.
pub struct Checkpoints {
    /// How far it is.
    pub now: SealedNow,
    /// The public keys, as verifiers take them.
    pub keys: Vec<String>,
    sealer: Sealer,
    exports: Vec<Export>,
    interval: Duration,
    idle_interval: Duration,
}

/// A thread that signs, until it is told the last entry.
pub struct Signing {
    /// How far it is.
    pub now: SealedNow,
    stop: Sender<u64>,
    ended: oneshot::Receiver<()>,
}

/// Where checkpoints go.
#[derive(Clone, Debug)]
enum Export {
    /// Files in a folder.
    Folder(PathBuf),
    /// Lines of JSON.
    Stdout,
}

impl Checkpoints {
    /// Reads the keys and takes up the tree, before the ledger is opened. Blocks on the file system.
    ///
    /// # Errors
    /// [`CheckpointsError`].
    pub fn open(config: &CheckpointsConfig, state: &Path) -> Result<Self, CheckpointsError> {
        let files = [Some(&config.key_file), config.previous_key_file.as_ref()];
        let signer = |path: &PathBuf| {
            let text =
                disk::read_private(path).map_err(|why| CheckpointsError::File { path: path.clone(), why })?;
            let unusable = |why| CheckpointsError::Key { path: path.clone(), why };
            let key = SigningKey::parse(&text).map_err(unusable)?;
            Signer::new(config.origin.clone(), key).ok_or_else(|| unusable(KeyError::None))
        };
        let signers = files.into_iter().flatten().map(signer).collect::<Result<Vec<_>, _>>()?;
        let exports = config.folder.clone().map(Export::Folder).into_iter();
        let exports: Vec<Export> = exports.chain(config.stdout.then_some(Export::Stdout)).collect();
        exports.iter().try_for_each(Export::check)?;
        let exported = config.folder.as_ref().map(|folder| folder.join(LATEST));
        let sealer = Sealer::open(state, exported.as_deref(), config.origin.clone(), signers)?;
        let sealed = Sealed { signed: sealer.signed().map_or(0, |head| head.size), ..Sealed::default() };
        Ok(Self {
            now: Arc::new(Mutex::new(sealed)),
            keys: sealer.keys().map(ToString::to_string).collect(),
            sealer,
            exports,
            interval: Duration::from_millis(config.interval_ms),
            idle_interval: Duration::from_millis(config.idle_interval_ms),
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start(self, ledger: Ledger, clock: Clock) -> io::Result<Signing> {
        let ((stop, stopped), (end, ended)) = (mpsc::channel(), oneshot::channel());
        let now = Arc::clone(&self.now);
        let thread = thread::Builder::new().name("checkpoints".to_owned());
        thread.spawn(move || {
            self.run(&ledger, &clock, &stopped);
            drop::<oneshot::Sender<()>>(end);
        })?;
        Ok(Signing { now, stop, ended })
    }

    fn run(mut self, ledger: &Ledger, clock: &Clock, stopped: &Receiver<u64>) {
        let mut last = Instant::now();
        self.seal(ledger.health().last_seq, clock);
        loop {
            match stopped.recv_timeout(self.interval) {
                Ok(last_seq) => return self.seal(last_seq, clock),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let durable = ledger.health().last_seq;
            let has_grown = self.sealer.signed().is_none_or(|head| head.size < durable);
            if has_grown || last.elapsed() >= self.idle_interval {
                self.seal(durable, clock);
                last = Instant::now();
            }
        }
    }

    /// Signs for what is durable, and exports that.
    fn seal(&mut self, durable: u64, clock: &Clock) {
        let note = match self.sealer.seal(durable) {
            Ok(note) => note,
            Err(error) => return self.failed(&error),
        };
        let signed = self.sealer.signed().map_or(0, |head| head.size);
        let failed = self.update(|sealed| {
            sealed.signed = signed;
            sealed.failed.take()
        });
        if failed.is_some() {
            tracing::info!(signed, "checkpoints are signed again");
        }
        self.export(&note, signed, clock);
    }

    /// Brings a checkpoint to all exports, and notes how that went.
    fn export(&self, note: &str, signed: u64, clock: &Clock) {
        self.update(|sealed| sealed.export_began_ms = Some(clock.now_ms()));
        let second = clock.second();
        let day: String = second.chars().take(DAY_CHARS).collect();
        let line = json!({"t": second, "checkpoint": note}).to_string();
        let failure = |export: &Export| {
            let failed = export.send(note, &line, &day).err()?;
            Some(format!("{}: {failed}", export.name()))
        };
        let failures: Vec<String> = self.exports.iter().filter_map(failure).collect();
        let is_news = self.update(|sealed| {
            sealed.export_began_ms = None;
            if failures.is_empty() && !self.exports.is_empty() {
                sealed.exported = Some(signed);
                sealed.exported_ms = Some(clock.now_ms());
            }
            let before = std::mem::replace(&mut sealed.export_failures, failures.clone());
            before != failures
        });
        match failures.as_slice() {
            [] if is_news => tracing::info!(signed, "checkpoints are exported again"),
            [] => {}
            failures if is_news => {
                tracing::error!(failures = failures.join("; "), "a checkpoint could not be exported");
            }
            _ => {}
        }
    }

    fn failed(&self, error: &LedgerError) {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        let error = format!("{error}{}", cause.unwrap_or_default());
        if self.update(|sealed| sealed.failed.replace(error.clone())).as_ref() != Some(&error) {
            tracing::error!(error, "no checkpoint can be signed");
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Sealed) -> T) -> T {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Signing {
    /// Signs for the whole of a ledger that was closed with this entry, and ends; an export that hangs is left behind.
    pub async fn end(self, last_seq: u64) {
        // A thread that is gone has said why.
        let _ = self.stop.send(last_seq);
        if timeout(END_TIMEOUT, self.ended).await.is_err() {
            tracing::error!("the last checkpoint is not exported: an export hangs");
        }
    }
}

impl Export {
    fn name(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Stdout => "stdout",
        }
    }

    fn check(&self) -> Result<(), CheckpointsError> {
        match self {
            Self::Stdout => Ok(()),
            // A mount that is not there must not become a folder on this host.
            Self::Folder(path) => match std::fs::metadata(path) {
                Ok(found) if found.is_dir() => Ok(()),
                Ok(_) => Err(CheckpointsError::Folder {
                    path: path.clone(),
                    why: io::ErrorKind::NotADirectory.into(),
                }),
                Err(why) => Err(CheckpointsError::Folder { path: path.clone(), why }),
            },
        }
    }

    fn send(&self, note: &str, line: &str, day: &str) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}")?;
                out.flush()
            }
            Self::Folder(path) => {
                let history = path.join(format!("checkpoints-{day}.jsonl"));
                // Whoever may write there must not lead us to a file elsewhere.
                let mut options = OpenOptions::new();
                options.read(true).append(true).create(true).custom_flags(libc::O_NOFOLLOW);
                let mut file = options.open(history)?;
                // The line before may have been cut short by a full disk.
                let glue = if ends_a_line(&mut file)? { "" } else { "\n" };
                file.write_all(format!("{glue}{line}\n").as_bytes())?;
                file.sync_data()?;
                disk::replace(&path.join(LATEST), note.as_bytes(), Readers::All)
            }
        }
    }
}

/// Whether a file is empty or ends with a line feed.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// How long an export may take before it counts as failing.
const EXPORT_LIMIT_MS: i64 = 10_000;
/// The letters of a date: `2026-11-21`.
const DAY_CHARS: usize = 10;
/// The last checkpoint in an export's folder.
const LATEST: &str = "checkpoint";
/// How long an end waits for the last checkpoint.
const END_TIMEOUT: Duration = Duration::from_secs(10);
