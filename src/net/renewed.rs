//! Something made from files, such as a TLS configuration: made anew when the files change [edge].
//!
//! Promises: what cannot be made never replaces what serves, and says so until the files are right; an exchange that
//! holds the old one keeps it to its end.
#![expect(clippy::disallowed_methods, reason = "edge: looks whether files have changed")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::pair::PairError;
use super::roots::RootsError;

/// Why files cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or its key.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// Authorities.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The parts do not fit together.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What a making yields.
pub struct Made<T> {
    /// The thing itself.
    pub value: T,
    /// When the first certificate in it expires, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// What a look at the files led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They are as they were.
    Unchanged,
    /// The new one serves.
    Replaced,
    /// They cannot be used; the old one serves on.
    Refused(String),
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewedStatus {
    /// What it is, e.g. `listener`.
    pub what: &'static str,
    /// When the first certificate in it expires.
    pub expires_ms: Option<i64>,
    /// Why the files as they are now do not serve, if they do not.
    pub refused: Option<String>,
}

/// A thing and the files that it is made of.
pub struct Renewed<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    make: Make<T>,
    current: ArcSwap<T>,
    state: Mutex<State>,
}

type Make<T> = Box<dyn Fn(i64) -> Result<Made<T>, TlsError> + Send + Sync>;

struct State {
    seen: Vec<u8>,
    expires_ms: Option<i64>,
    refused: Option<String>,
}

/// Anything that is made of files.
pub trait Renew: Send + Sync {
    /// Looks at the files, and makes it anew if they have changed. Blocks on the file system.
    fn renew(&self, now_ms: i64) -> Renewal;
    /// How it stands.
    fn status(&self) -> RenewedStatus;
}

impl<T: Send + Sync + 'static> Renewed<T> {
    /// Makes it for the first time.
    pub fn make(
        what: &'static str,
        files: Vec<PathBuf>,
        now_ms: i64,
        make: impl Fn(i64) -> Result<Made<T>, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // The files are hashed first: a change in between is then seen at the next look.
        let seen = fingerprint(&files);
        let made = make(now_ms)?;
        let state = State { seen, expires_ms: made.expires_ms, refused: None };
        let current = ArcSwap::from_pointee(made.value);
        Ok(Self { what, files, make: Box::new(make), current, state: Mutex::new(state) })
    }

    /// What serves now.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Renew for Renewed<T> {
    fn renew(&self, now_ms: i64) -> Renewal {
        let seen = fingerprint(&self.files);
        // The lock is held over the making, so that two looks at once cannot put an older one last.
        let mut state = self.state();
        // A certificate that was refused as not yet valid becomes valid without a change of its file.
        if seen == state.seen && state.refused.is_none() {
            return Renewal::Unchanged;
        }
        let is_new = seen != state.seen;
        state.seen = seen;
        match (self.make)(now_ms) {
            Ok(made) => {
                self.current.store(Arc::new(made.value));
                state.expires_ms = made.expires_ms;
                state.refused = None;
                tracing::info!(what = self.what, "TLS files were replaced");
                Renewal::Replaced
            }
            Err(error) => {
                let why = error.to_string();
                if is_new {
                    tracing::error!(what = self.what, error = %why, "TLS files refused, the old ones serve on");
                }
                state.refused = Some(why.clone());
                Renewal::Refused(why)
            }
        }
    }

    fn status(&self) -> RenewedStatus {
        let state = self.state();
        RenewedStatus { what: self.what, expires_ms: state.expires_ms, refused: state.refused.clone() }
    }
}

fn fingerprint(files: &[PathBuf]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for file in files {
        let content = content(file);
        hash.update(u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(&content);
    }
    hash.finalize().to_vec()
}

/// A file that cannot be read counts as empty: that it became readable is a change.
fn content(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}
