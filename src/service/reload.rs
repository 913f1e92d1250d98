//! Replaces bundle, directory and keys while the service runs: each part whole or not at all, loudly either way.
//!
//! Promises: a broken part delays no other, so a key that was removed is unknown although a policy file is broken. What a
//! request sees changes once for each reload, never part by part.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

use super::intake::Look;
use super::load::{Contents, look, offer};
use super::settle::{Refused, Settled, settle};
use super::start::keep;
use crate::bundle::compile::Bundle;
use crate::config::service::ServiceConfig;
use crate::ledger::entry::{Entry, PolicyChanges, Revision, RevisionOf, RevisionResult};
use crate::ledger::revisions::Revisions;
use crate::pipeline::serving::Serving;
use crate::pipeline::sidecar::Sidecar;
use crate::telemetry::metrics::ReloadResult;

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// All that the files hold serves.
    Active {
        /// The bundle's hash.
        bundle: String,
        /// The directory's hash.
        directory: String,
    },
    /// Some part stays as it was; the others serve as the files hold them.
    Refused {
        /// The parts that stay: `bundle`, `directory`, `keys`.
        parts: Vec<&'static str>,
        /// Every problem, as text.
        problems: String,
    },
}

/// Reloads on demand and when files change.
pub struct Reloader {
    config: ServiceConfig,
    sidecar: Arc<Sidecar>,
    revisions: Revisions,
    state: AsyncMutex<State>,
}

/// What the last reload saw.
#[derive(Clone)]
struct State {
    contents: Contents,
    look: Look,
    refused: Vec<Refused>,
}

impl Reloader {
    /// A reloader over what serves now, which was read from `contents`. What changed since is taken up at the first look.
    pub fn new(
        config: ServiceConfig,
        sidecar: Arc<Sidecar>,
        revisions: Revisions,
        contents: Contents,
    ) -> Self {
        let state = AsyncMutex::new(State { contents, look: Look::default(), refused: Vec::new() });
        Self { config, sidecar, revisions, state }
    }

    /// Reads all files anew and swaps in what is sound.
    pub async fn reload(&self) -> Reloaded {
        let renewing = Arc::clone(&self.sidecar);
        let _ = tokio::task::spawn_blocking(move || renewing.renew_tls()).await;
        let mut state = self.state.lock().await;
        let before = self.sidecar.current.serving();
        let (config, revisions) = (self.config.clone(), self.revisions.clone());
        let (known, serving) = (state.contents.clone(), Arc::clone(&before));
        let now_ms = self.sidecar.clock.now_ms();
        let work = tokio::task::spawn_blocking(move || {
            // Looked at before it is read: what changes meanwhile is seen at the next look.
            let look = look(&config, now_ms);
            let mut settled = settle(&serving, &known, offer(&config, &known));
            match keep(&revisions, &settled.bundle, &settled.directory) {
                Ok(()) => (look, settled),
                Err(error) => {
                    settled.withdraw(&serving, &known, &error);
                    // The next look tries again.
                    (Look::default(), settled)
                }
            }
        });
        let Ok((look, settled)) = work.await else {
            tracing::error!("reload refused, the load did not end");
            let parts = PARTS.iter().map(|part| part.code()).collect();
            self.sidecar.metrics.reload(ReloadResult::Refused);
            return Reloaded::Refused { parts, problems: "the load did not end".to_owned() };
        };
        let after = self.swap(&before, &settled);
        let is_news = !Arc::ptr_eq(&before, &after) || settled.refused != state.refused;
        let next = State { contents: settled.contents.clone(), look, refused: settled.refused.clone() };
        let former = std::mem::replace(&mut *state, next);
        if is_news {
            tell(&after, &settled);
            self.record_changes(&before, &after).await;
            for refused in settled.refused.iter().filter(|refused| !former.refused.contains(refused)) {
                self.record_refusal(&before, refused).await;
            }
        }
        self.count(&settled);
        outcome(&after, &settled)
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
            if self.calls_for_reading().await {
                self.reload().await;
            }
        }
    }

    async fn calls_for_reading(&self) -> bool {
        let (config, now_ms) = (self.config.clone(), self.sidecar.clock.now_ms());
        let Ok(now) = tokio::task::spawn_blocking(move || look(&config, now_ms)).await else { return false };
        now.calls_for_reading(&self.state.lock().await.look)
    }

    /// Swaps in what changed, all at once; what is the same keeps its verdicts.
    fn swap(&self, before: &Arc<Serving>, settled: &Settled) -> Arc<Serving> {
        let is_same = Arc::ptr_eq(&before.snapshot.bundle, &settled.bundle)
            && Arc::ptr_eq(&before.snapshot.directory, &settled.directory)
            && Arc::ptr_eq(&before.identity, &settled.identity);
        match is_same {
            true => Arc::clone(before),
            false => self.sidecar.current.swap(
                Arc::clone(&settled.bundle),
                Arc::clone(&settled.directory),
                Arc::clone(&settled.identity),
            ),
        }
    }

    fn count(&self, settled: &Settled) {
        let is_refused = |part| settled.refused.iter().any(|refused| refused.part == part);
        let metrics = &self.sidecar.metrics;
        metrics.reload(if settled.refused.is_empty() { ReloadResult::Active } else { ReloadResult::Refused });
        if !is_refused(RevisionOf::Directory) {
            metrics.directory_loaded(self.sidecar.clock.now_ms() / 1000);
        }
    }

    async fn record_refusal(&self, before: &Serving, refused: &Refused) {
        let Refused { part, hash, problems } = refused.clone();
        let previous = Some(revision_of(before, part).to_owned());
        self.record(part, hash, previous, RevisionResult::Refused, problems, None).await;
    }

    async fn record_changes(&self, before: &Serving, after: &Serving) {
        for part in PARTS {
            let (old, new) = (revision_of(before, part), revision_of(after, part));
            if old == new {
                continue;
            }
            let changes = match part {
                RevisionOf::Bundle => policy_changes(Some(&before.snapshot.bundle), &after.snapshot.bundle),
                RevisionOf::Directory | RevisionOf::Keys => None,
            };
            let (hash, previous) = (new.to_owned(), Some(old.to_owned()));
            self.record(part, hash, previous, RevisionResult::Active, 0, changes).await;
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

/// The hash by which the ledger names a part of what serves.
pub fn revision_of(serving: &Serving, part: RevisionOf) -> &str {
    match part {
        RevisionOf::Bundle => &serving.snapshot.bundle.revision,
        RevisionOf::Directory => &serving.snapshot.directory.revision,
        RevisionOf::Keys => &serving.identity.revision,
    }
}

fn tell(after: &Serving, settled: &Settled) {
    for problem in settled.problems.iter() {
        let place = problem.place().unwrap_or_default();
        match problem.is_error() {
            true => tracing::error!(place, problem = %problem, help = problem.help_text(), "load problem"),
            false => tracing::warn!(place, problem = %problem, help = problem.help_text(), "load warning"),
        }
    }
    let generation = after.snapshot.generation;
    let [bundle, directory, keys] = PARTS.map(|part| revision_of(after, part));
    if settled.refused.is_empty() {
        tracing::info!(generation, bundle, directory, keys, "reloaded");
        return;
    }
    let (refused, problems) = (codes(&settled.refused).join(", "), settled.problems.error_count());
    let message = "reload refused in part: what is broken stays as it was";
    tracing::error!(generation, bundle, directory, keys, refused, problems, message);
}

fn outcome(after: &Serving, settled: &Settled) -> Reloaded {
    if !settled.refused.is_empty() {
        return Reloaded::Refused { parts: codes(&settled.refused), problems: settled.problems.to_string() };
    }
    let snapshot = &after.snapshot;
    Reloaded::Active {
        bundle: snapshot.bundle.revision.clone(),
        directory: snapshot.directory.revision.clone(),
    }
}

fn codes(refused: &[Refused]) -> Vec<&'static str> {
    refused.iter().map(|refused| refused.part.code()).collect()
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

/// The parts, in the order in which they are recorded.
pub const PARTS: [RevisionOf; 3] = [RevisionOf::Bundle, RevisionOf::Directory, RevisionOf::Keys];
