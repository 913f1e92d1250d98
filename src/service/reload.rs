//! Replaces bundle, directory and keys while the service runs: whole or not at all, loudly either way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

use super::load::{fingerprint, load};
use super::start::keep;
use crate::bundle::compile::Bundle;
use crate::bundle::current::Snapshot;
use crate::bundle::{revision, source};
use crate::config::author::Problems;
use crate::config::service::ServiceConfig;
use crate::ledger::entry::{Entry, PolicyChanges, Revision, RevisionOf, RevisionResult};
use crate::ledger::revisions::Revisions;
use crate::pipeline::sidecar::Sidecar;

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The new revision serves.
    Active {
        /// The bundle's hash.
        bundle: String,
        /// The directory's hash.
        directory: String,
    },
    /// The old revision stays.
    Refused {
        /// Every problem, as text.
        problems: String,
    },
}

/// Reloads on demand and when files change.
pub struct Reloader {
    config: ServiceConfig,
    sidecar: Arc<Sidecar>,
    revisions: Revisions,
    seen: Mutex<String>,
    one_at_a_time: AsyncMutex<()>,
}

impl Reloader {
    /// A reloader over what serves now.
    pub fn new(config: ServiceConfig, sidecar: Arc<Sidecar>, revisions: Revisions) -> Self {
        let seen = Mutex::new(fingerprint(&config));
        Self { config, sidecar, revisions, seen, one_at_a_time: AsyncMutex::default() }
    }

    /// Loads all files anew and swaps them in, if they are whole.
    pub async fn reload(&self) -> Reloaded {
        let _turn = self.one_at_a_time.lock().await;
        self.note_seen();
        let sidecar = Arc::clone(&self.sidecar);
        let _ = tokio::task::spawn_blocking(move || sidecar.renew_tls()).await;
        let mut problems = Problems::default();
        let config = self.config.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = load(&config, &mut problems);
            (loaded, problems)
        });
        let Ok((loaded, problems)) = loading.await else {
            return Reloaded::Refused { problems: "the load did not end".to_owned() };
        };
        for problem in problems.iter() {
            let place = problem.place().unwrap_or_default();
            match problem.is_error() {
                true => {
                    tracing::error!(place, problem = %problem, help = problem.help_text(), "load problem")
                }
                false => {
                    tracing::warn!(place, problem = %problem, help = problem.help_text(), "load warning")
                }
            }
        }
        let before = self.sidecar.current.snapshot();
        let Some(loaded) = loaded else {
            tracing::error!(problems = problems.error_count(), "reload refused, the old revision stays");
            self.record_refusal(&before, &problems).await;
            return Reloaded::Refused { problems: problems.to_string() };
        };
        let (bundle, directory) = (Arc::new(loaded.bundle), Arc::new(loaded.directory));
        let candidate =
            Snapshot { generation: 0, bundle: Arc::clone(&bundle), directory: Arc::clone(&directory) };
        if let Err(error) = keep(&self.revisions, &candidate) {
            tracing::error!(error = %error, "reload refused, the new revision could not be kept");
            return Reloaded::Refused { problems: error.to_string() };
        }
        let serving = self.sidecar.current.swap(Arc::clone(&bundle), Arc::clone(&directory));
        self.sidecar.sources.store(Arc::new(loaded.sources));
        self.record_change(&before, &serving).await;
        tracing::info!(bundle = %bundle.revision, directory = %directory.revision, "reloaded");
        Reloaded::Active { bundle: bundle.revision.clone(), directory: directory.revision.clone() }
    }

    /// Looks for changes at the configured interval until `shutdown` is ready.
    pub async fn watch(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        if self.config.bundle.reload_poll_ms == 0 {
            return shutdown.await;
        }
        tokio::pin!(shutdown);
        let mut ticks = tokio::time::interval(Duration::from_millis(self.config.bundle.reload_poll_ms));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut shutdown => return,
            }
            let config = self.config.clone();
            let now = tokio::task::spawn_blocking(move || fingerprint(&config)).await.unwrap_or_default();
            let has_changed = self.seen.lock().is_ok_and(|seen| *seen != now);
            if has_changed {
                self.reload().await;
            }
        }
    }

    fn note_seen(&self) {
        let now = fingerprint(&self.config);
        if let Ok(mut seen) = self.seen.lock() {
            *seen = now;
        }
    }

    async fn record_refusal(&self, before: &Snapshot, problems: &Problems) {
        let count = u64::try_from(problems.error_count()).unwrap_or(u64::MAX);
        let files = source::read(&self.config.bundle.path, &mut Problems::default()).unwrap_or_default();
        let hash = revision::hash_files(&files);
        let previous = Some(before.bundle.revision.clone());
        self.record(RevisionOf::Bundle, hash, previous, RevisionResult::Refused, count, None).await;
    }

    async fn record_change(&self, before: &Snapshot, after: &Snapshot) {
        if before.bundle.revision != after.bundle.revision {
            let changes = policy_changes(Some(&before.bundle), &after.bundle);
            let (hash, previous) = (after.bundle.revision.clone(), Some(before.bundle.revision.clone()));
            self.record(RevisionOf::Bundle, hash, previous, RevisionResult::Active, 0, changes).await;
        }
        if before.directory.revision != after.directory.revision {
            let (hash, previous) =
                (after.directory.revision.clone(), Some(before.directory.revision.clone()));
            self.record(RevisionOf::Directory, hash, previous, RevisionResult::Active, 0, None).await;
        }
    }

    async fn record(
        &self,
        what: RevisionOf,
        hash: String,
        previous: Option<String>,
        result: RevisionResult,
        problems: u64,
        policies: Option<PolicyChanges>,
    ) {
        let author = "unsigned".to_owned();
        let entry = Revision { what, hash, previous, result, problems, author, policies, part: None };
        if let Err(problem) = self.sidecar.recorder.append(Entry::Revision(entry)).await {
            tracing::error!(error = ?problem.internal, "a revision could not be recorded");
        }
    }
}

/// The ids of policies that differ between two bundles.
pub fn policy_changes(before: Option<&Bundle>, after: &Bundle) -> Option<PolicyChanges> {
    let none = std::collections::BTreeMap::new();
    let old = before.map_or(&none, |bundle| &bundle.policies.texts);
    let new = &after.policies.texts;
    let changes = PolicyChanges {
        added: new.keys().filter(|id| !old.contains_key(*id)).cloned().collect(),
        removed: old.keys().filter(|id| !new.contains_key(*id)).cloned().collect(),
        changed: new
            .iter()
            .filter(|(id, text)| old.get(*id).is_some_and(|o| o != *text))
            .map(|(id, _)| id.clone())
            .collect(),
    };
    Some(changes).filter(|changes| *changes != PolicyChanges::default())
}
