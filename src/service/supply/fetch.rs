//! Fetches archives over HTTPS: asks with the tag of what is known, waits longer after failures, hands what is new to the
//! reload.
//!
//! Promises: a fetch that fails changes nothing but the status; what was fetched serves only after it was judged and
//! compiled, and is remembered then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::Supply;
use super::fetched::Note;
use crate::bundle::revision;
use crate::config::author::{AuthorProblem, Problems};
use crate::config::service::BundleOrigin;
use crate::net::backoff::{Backoff, random};
use crate::net::remote::{Fetched, Remote};
use crate::service::reload::Reloader;
use crate::telemetry::clock::Clock;

/// An archive that was fetched and does not serve yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its URL, without query.
    pub url: String,
    /// Its ETag.
    pub etag: Option<String>,
    /// When it was fetched, in milliseconds since 1970.
    pub fetched_ms: i64,
}

impl Candidate {
    /// What is noted of it.
    pub(super) fn note(&self) -> Note {
        let (url, etag) = (self.url.clone(), self.etag.clone());
        Note { url, etag, fetched_ms: self.fetched_ms, sha256: revision::hash(&self.bytes) }
    }
}

/// Where fetched archives wait, and how fetching goes.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<InboxState>,
}

#[derive(Clone, Default)]
struct InboxState {
    candidate: Option<Candidate>,
    status: FetchStatus,
}

/// How fetching goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchStatus {
    /// When the server last answered, in milliseconds since 1970.
    pub checked_ms: Option<i64>,
    /// When what serves was fetched, in milliseconds since 1970.
    pub fetched_ms: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last fetch failed.
    pub error: Option<String>,
}

impl Inbox {
    /// The archive that waits.
    pub(super) fn candidate(&self) -> Option<Candidate> {
        self.with(|state| state.candidate.clone())
    }

    /// Forgets an archive that serves now.
    pub(super) fn clear(&self, served: &Candidate) {
        self.with(|state| {
            if state.candidate.as_ref() == Some(served) {
                state.candidate = None;
            }
            state.status.fetched_ms = Some(served.fetched_ms);
        });
    }

    /// How fetching goes.
    pub fn status(&self) -> FetchStatus {
        self.with(|state| state.status.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut InboxState) -> T) -> T {
        // A panic while it was held left nothing half done: each change is one assignment.
        change(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Whether a fetch brought anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An archive waits that was not known.
    New,
    /// What is known is what there is.
    None,
}

impl Supply {
    /// Fetches once.
    pub async fn fetch(&self, remote: &Remote, clock: &Clock) -> Result<News, String> {
        let (waiting, url) = (self.inbox.candidate(), remote.url());
        let known = self.memory().fetched(&url).map(|known| known.note);
        let etag = match &waiting {
            Some(candidate) => candidate.etag.clone(),
            None => known.as_ref().and_then(|note| note.etag.clone()),
        };
        let result = remote.fetch(etag.as_deref()).await;
        let now_ms = clock.now_ms();
        let fetched_ms = known.as_ref().map(|note| note.fetched_ms);
        self.inbox.with(|state| {
            state.status.fetched_ms = state.status.fetched_ms.or(fetched_ms);
            match &result {
                Ok(_) => {
                    state.status =
                        FetchStatus { checked_ms: Some(now_ms), failures: 0, error: None, ..state.status };
                }
                Err(error) => {
                    state.status.failures = state.status.failures.saturating_add(1);
                    state.status.error = Some(error.to_string());
                }
            }
        });
        let (bytes, etag) = match result.map_err(|error| error.to_string())? {
            Fetched::Unchanged => return Ok(News::None),
            Fetched::Document { bytes, etag } => (bytes, etag),
        };
        let is_known = match &waiting {
            Some(candidate) => candidate.bytes == bytes,
            None => known.is_some_and(|note| note.sha256 == revision::hash(&bytes)),
        };
        if is_known {
            return Ok(News::None);
        }
        let candidate = Candidate { bytes, url, etag, fetched_ms: now_ms };
        self.inbox.with(|state| state.candidate = Some(candidate));
        Ok(News::New)
    }

    /// Fetches before the first load, if the bundle comes from a URL. Without an answer the archive that served last does,
    /// and the age of it is told.
    pub async fn fetch_first(&self, clock: &Clock, problems: &mut Problems) {
        let (BundleOrigin::Url { remote: options, .. }, false) = (&self.config.origin, self.is_pinned())
        else {
            return;
        };
        let fetched = match Remote::new(options.clone()) {
            Ok(remote) => self.fetch(&remote, clock).await.map(drop),
            Err(error) => Err(error.to_string()),
        };
        let Err(error) = fetched else { return };
        let problem = AuthorProblem::warning(format!("the bundle could not be fetched: {error}"));
        let known = self.memory().fetched(&options.url.to_string());
        problems.push(match known {
            Some(known) => {
                let age_s = clock.now_ms().saturating_sub(known.note.fetched_ms) / 1000;
                problem
                    .help(format!("The one that was fetched {age_s} seconds ago serves; fetching goes on."))
            }
            None => problem.help("Look at the URL, the certificate authority in `ca_file` and the network."),
        });
    }

    /// Fetches now and then until `shutdown` is ready.
    pub async fn watch(&self, reloader: Arc<Reloader>, clock: Clock, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let (BundleOrigin::Url { remote: options, poll_ms }, false) = (&self.config.origin, self.is_pinned())
        else {
            return shutdown.await;
        };
        let mut backoff = Backoff::new(*poll_ms, BACKOFF_MS_MAX);
        let mut wait = jittered(*poll_ms);
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut shutdown => return,
            }
            // Made anew each time, so that a changed `ca_file` counts.
            let fetched = match Remote::new(options.clone()) {
                Ok(remote) => self.fetch(&remote, &clock).await,
                Err(error) => Err(error.to_string()),
            };
            wait = match fetched {
                Ok(news) => {
                    backoff.succeeded();
                    if news == News::New {
                        reloader.reload().await;
                    }
                    jittered(*poll_ms)
                }
                Err(error) => {
                    let wait = backoff.failed(random());
                    let (failures, next_ms) = (backoff.failures(), wait.as_millis());
                    tracing::warn!(
                        error,
                        failures,
                        next_ms,
                        "the bundle could not be fetched, the old one stays"
                    );
                    wait
                }
            };
        }
    }
}

/// The interval, up to a tenth more or less, so that many instances do not ask as one.
fn jittered(poll_ms: u64) -> Duration {
    let tenth = poll_ms / 10;
    Duration::from_millis(poll_ms - tenth + random() % (2 * tenth + 1))
}

const BACKOFF_MS_MAX: u64 = 15 * 60 * 1000;
