//! Replaces bundle, directory and keys while the service runs: each part whole or not at all, loudly either way.
//!
//! Promises: a broken part delays no other, so a key that was removed is unknown although a policy file is broken. What a
//! request sees changes once for each reload, never part by part. Nothing serves before the ledger says whose it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use super::entries::{PARTS, change, revision, revision_of};
use super::intake::{Look, written_ms};
use super::load::{Contents, Distrusted, look, offer};
use super::settle::{Refused, Settled, settle};
use super::start::keep;
use super::supply::{Recall, Supply};
use super::tokens::Tokens;
use crate::config::author::Problems;
use crate::config::service::ServiceConfig;
use crate::ledger::entry::revision::{Revision, RevisionOf, RevisionResult};
use crate::ledger::entry::{Alarm, Entry};
use crate::ledger::revisions::Revisions;
use crate::pipeline::serving::Serving;
use crate::pipeline::sidecar::Sidecar;
use crate::telemetry::clock::Clock;
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
        /// The parts that stay: `bundle`, `directory`, `keys`, `tokens`.
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
    /// The way to further bundles.
    pub supply: Arc<Supply>,
    tokens: Option<Arc<Tokens>>,
    state: AsyncMutex<State>,
}

/// A part that was to serve could not be recorded.
struct Unrecorded;

/// What the last reload saw.
struct State {
    contents: Contents,
    look: Look,
    refused: Vec<Refused>,
    distrusted: Vec<Distrusted>,
    retired: Vec<Arc<Serving>>,
    /// What was wrong with the tokens, as text.
    tokens: String,
}

impl Reloader {
    /// A reloader over what serves now, which was read from `contents`. What changed since is taken up at the first look.
    pub fn new(
        config: ServiceConfig,
        sidecar: Arc<Sidecar>,
        revisions: Revisions,
        supply: Arc<Supply>,
        contents: Contents,
        tokens: Option<Arc<Tokens>>,
    ) -> Self {
        let state = AsyncMutex::new(State {
            contents,
            look: Look::default(),
            refused: Vec::new(),
            distrusted: Vec::new(),
            retired: Vec::new(),
            tokens: String::new(),
        });
        Self { config, sidecar, revisions, supply, tokens, state }
    }

    /// The service that it reloads.
    pub fn sidecar(&self) -> &Sidecar {
        &self.sidecar
    }

    /// The clock of decisions.
    pub fn clock(&self) -> Clock {
        self.sidecar.clock.clone()
    }

    /// Reads all files anew and swaps in what is sound.
    pub async fn reload(&self) -> Reloaded {
        let (renewing, tokens) = (Arc::clone(&self.sidecar), self.tokens.clone());
        let renewed = tokio::task::spawn_blocking(move || {
            renewing.renew_tls();
            tokens.map(|tokens| tokens.renew()).unwrap_or_default()
        });
        let tokens = renewed.await.unwrap_or_default();
        let mut state = self.state.lock().await;
        let before = self.sidecar.current.serving();
        let (config, revisions) = (self.config.clone(), self.revisions.clone());
        let supply = Arc::clone(&self.supply);
        let (known, serving) = (state.contents.clone(), Arc::clone(&before));
        let now_ms = self.sidecar.clock.now_ms();
        let work = tokio::task::spawn_blocking(move || {
            // Looked at before it is read: what changes meanwhile is seen at the next look.
            let look = look(&config, &supply, now_ms);
            let written_ms = written_ms(&config.directory.file);
            let offer = offer(&config, &supply, &known, now_ms);
            let directory = offer.directory.content.clone();
            let mut settled = settle(&serving, &known, offer);
            settled.directory_written_ms = (settled.contents.directory == directory).then_some(written_ms);
            let kept = keep(&supply, &revisions, &settled.bundle, &settled.directory);
            if let Err(error) = &kept {
                settled.withdraw(&serving, &known, error);
            }
            // The next look tries again.
            (if kept.is_ok() { look } else { Look::default() }, settled)
        });
        let reloaded = self.take_up(&mut state, work, now_ms).await;
        self.with_tokens(reloaded, &tokens, &mut state)
    }

    /// Records what was settled, then swaps it in: what could not be recorded does not serve.
    async fn take_up(&self, state: &mut State, work: JoinHandle<(Look, Settled)>, now_ms: i64) -> Reloaded {
        let before = self.sidecar.current.serving();
        // Without a look, the next one tries again.
        let (mut look, mut settled) = work.await.unwrap_or_else(|_| {
            let known = state.contents.clone();
            (Look::default(), Settled::unfinished(&before, known))
        });
        if self.record_changes(&before, &state.contents, &mut settled).await.is_err() {
            look = Look::default();
        }
        self.note_standing(&settled, now_ms).await;
        let after = self.swap(&before, &settled);
        if let Some(written_ms) = settled.directory_written_ms {
            self.sidecar.directory_age.note(written_ms, now_ms);
        }
        let is_news = !Arc::ptr_eq(&before, &after) || settled.refused != state.refused;
        let distrusted = std::mem::replace(&mut state.distrusted, settled.distrusted.clone());
        state.look = look;
        state.contents = settled.contents.clone();
        let former = std::mem::replace(&mut state.refused, settled.refused.clone());
        if !Arc::ptr_eq(&before, &after) && self.config.bundle.reload_poll_ms > 0 {
            state.retired.push(Arc::clone(&before));
        }
        if !is_news && settled.distrusted != distrusted {
            tell_problems(&settled.problems);
        }
        if is_news {
            tell(&after, &settled);
            for refused in settled.refused.iter().filter(|refused| !former.contains(refused)) {
                self.record_refusal(&before, refused).await;
            }
        }
        for Distrusted { hash, alarm } in settled.distrusted.iter().filter(|it| !distrusted.contains(it)) {
            let (part, hash, alarm) = (RevisionOf::Bundle, hash.clone(), Some(*alarm));
            self.record_refusal(&before, &Refused { part, hash, problems: 1, alarm }).await;
        }
        self.count(&settled);
        outcome(&after, &settled)
    }

    /// Adds what is wrong with the tokens of the admin listener, and tells it once.
    fn with_tokens(&self, reloaded: Reloaded, tokens: &Problems, state: &mut State) -> Reloaded {
        let told = std::mem::replace(&mut state.tokens, tokens.to_string());
        if !tokens.has_errors() {
            return reloaded;
        }
        if told != state.tokens {
            tell_problems(tokens);
            tracing::error!("the tokens of the admin listener stay as they were");
        }
        let (mut parts, mut problems) = match reloaded {
            Reloaded::Active { .. } => (Vec::new(), String::new()),
            Reloaded::Refused { parts, problems } => (parts, problems),
        };
        parts.push("tokens");
        problems.push_str(&tokens.to_string());
        Reloaded::Refused { parts, problems }
    }

    /// Notes whether the bundle that is to serve was called back.
    async fn note_standing(&self, settled: &Settled, now_ms: i64) {
        let (supply, bundle) = (Arc::clone(&self.supply), Arc::clone(&settled.bundle));
        let recall = tokio::task::spawn_blocking(move || supply.recall(&bundle, now_ms)).await;
        match recall.unwrap_or(Recall::Unknown) {
            Recall::None => self.sidecar.standing.note(&settled.bundle.revision, None),
            Recall::Revoked(why) => self.sidecar.standing.note(&settled.bundle.revision, Some(why)),
            // Whoever was called back stays so while the list cannot be read.
            Recall::Unknown => {}
        }
    }

    /// Looks for changes at the configured interval until `shutdown` is ready.
    pub async fn watch(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        if self.config.bundle.reload_poll_ms == 0 {
            return shutdown.await;
        }
        tokio::pin!(shutdown);
        let mut ticks = tokio::time::interval(Duration::from_millis(self.config.bundle.reload_poll_ms));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_fresh = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut shutdown => return,
            }
            if self.calls_for_reading().await {
                self.reload().await;
            }
            was_fresh = self.tell_age(was_fresh);
            self.drop_retired().await;
        }
    }

    async fn calls_for_reading(&self) -> bool {
        let (config, now_ms) = (self.config.clone(), self.sidecar.clock.now_ms());
        let supply = Arc::clone(&self.supply);
        let looked = tokio::task::spawn_blocking(move || look(&config, &supply, now_ms)).await;
        let Ok(now) = looked else { return false };
        now.calls_for_reading(&self.state.lock().await.look)
    }

    /// Drops what no request holds any more: freeing a large directory takes milliseconds that no caller should wait for.
    async fn drop_retired(&self) {
        let mut state = self.state.lock().await;
        let (unused, used) = std::mem::take(&mut state.retired).into_iter().partition(is_unused);
        state.retired = used;
        drop(state);
        let unused: Vec<Arc<Serving>> = unused;
        if !unused.is_empty() && tokio::task::spawn_blocking(move || drop(unused)).await.is_err() {
            tracing::error!("what served before could not be dropped");
        }
    }

    /// Says once that the directory has become too old, and once that it is fresh again.
    fn tell_age(&self, was_fresh: bool) -> bool {
        let now_ms = self.sidecar.clock.now_ms();
        let age_ms = self.sidecar.directory_age.age_ms(now_ms);
        let is_fresh = self.sidecar.directory_age.is_fresh(now_ms);
        match (was_fresh, is_fresh) {
            (true, false) => tracing::error!(age_ms, "the directory is too old: every request is refused"),
            (false, true) => tracing::info!(age_ms, "the directory is fresh again"),
            (true, true) | (false, false) => {}
        }
        is_fresh
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
        let Refused { part, hash, problems, alarm } = refused.clone();
        let previous = Some(revision_of(before, part).to_owned());
        let result = RevisionResult::Refused;
        self.record(Revision { previous, problems, ..revision(part, hash, result) }).await;
        if let Some(code) = alarm {
            self.alarm(code).await;
        }
    }

    /// Records each part that is to serve anew; one that cannot be recorded is taken back.
    async fn record_changes(
        &self,
        before: &Serving,
        known: &Contents,
        settled: &mut Settled,
    ) -> Result<(), Unrecorded> {
        let mut result = Ok(());
        for part in PARTS {
            let Some(entry) = change(part, before, settled) else { continue };
            if let Err(problem) = self.sidecar.recorder.append(Entry::Revision(entry)).await {
                let why = format!("it could not be recorded: {}", problem.internal.unwrap_or_default());
                settled.take_back(part, before, known, &why);
                result = Err(Unrecorded);
            }
        }
        result
    }

    async fn record(&self, entry: Revision) {
        if let Err(problem) = self.sidecar.recorder.append(Entry::Revision(entry)).await {
            tracing::error!(error = ?problem.internal, "a refused revision could not be recorded");
        }
    }

    /// Records that a person must look.
    pub async fn alarm(&self, code: &str) {
        let entry = Entry::Alarm(Alarm { of: None, reason: code.to_owned() });
        if let Err(problem) = self.sidecar.recorder.append(entry).await {
            tracing::error!(error = ?problem.internal, alarm = code, "an alarm could not be recorded");
        }
    }
}

fn is_unused(serving: &Arc<Serving>) -> bool {
    Arc::strong_count(serving) == 1 && Arc::strong_count(&serving.snapshot) == 1
}

fn tell_problems(problems: &Problems) {
    for problem in problems.iter() {
        let place = problem.place().unwrap_or_default();
        match problem.is_error() {
            true => tracing::error!(place, problem = %problem, help = problem.help_text(), "load problem"),
            false => tracing::warn!(place, problem = %problem, help = problem.help_text(), "load warning"),
        }
    }
}

fn tell(after: &Serving, settled: &Settled) {
    tell_problems(&settled.problems);
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

#[cfg(all(test, feature = "testkit"))]
mod tests;
