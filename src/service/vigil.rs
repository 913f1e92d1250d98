//! Watches the bundle that serves grow old: warns before it expires, and alarms when it does or was called back.

use std::sync::Arc;
use std::time::Duration;

use super::reload::Reloader;
use crate::bundle::compile::Bundle;
use crate::model::reason::Reason;
use crate::pipeline::sidecar::Sidecar;

/// How the bundle that serves stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stand {
    /// It serves.
    #[default]
    Good,
    /// It serves, and expires soon.
    Aging,
    /// It expired and serves for a while yet.
    Grace,
    /// It expired: nothing is decided.
    Expired,
    /// It was called back: nothing is decided.
    Revoked,
}

impl Stand {
    /// How what serves stands now.
    pub fn of(sidecar: &Sidecar) -> Self {
        let (snapshot, now_ms) = (sidecar.current.snapshot(), sidecar.clock.now_ms());
        match sidecar.standing.check(&snapshot.bundle, now_ms) {
            Err(problem) if problem.reason == Reason::BundleRevoked => Self::Revoked,
            Err(_) => Self::Expired,
            Ok(()) => Self::by_age(&snapshot.bundle, now_ms),
        }
    }

    fn by_age(bundle: &Bundle, now_ms: i64) -> Self {
        let provenance = &bundle.provenance;
        let enforced = provenance.manifest().filter(|_| provenance.serves_until_ms.is_some());
        match enforced.map(|manifest| manifest.expires_ms().saturating_sub(now_ms)) {
            Some(left_ms) if left_ms <= 0 => Self::Grace,
            Some(left_ms) if left_ms <= WARN_MS => Self::Aging,
            Some(_) | None => Self::Good,
        }
    }

    /// The code in status and ledger.
    pub fn code(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Aging => "expires-soon",
            Self::Grace => "bundle-in-grace",
            Self::Expired => "bundle-expired",
            Self::Revoked => "bundle-revoked",
        }
    }

    /// Whether load balancers may send requests here.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Good | Self::Aging)
    }
}

/// Looks once a second until `shutdown` is ready.
pub(super) async fn vigil(reloader: Arc<Reloader>, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut last = Stand::default();
    let mut is_trusting = true;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                last = reloader.keep_vigil(last).await;
                if is_trusting && reloader.sidecar().cache.has_lost_trust() {
                    is_trusting = false;
                    reloader.alarm(Reason::DecisionMismatch.code()).await;
                }
            }
            () = &mut shutdown => return,
        }
    }
}

impl Reloader {
    /// Tells if the stand changed; what nobody may overlook is an alarm.
    pub async fn keep_vigil(&self, last: Stand) -> Stand {
        let stand = Stand::of(self.sidecar());
        if stand == last {
            return stand;
        }
        let snapshot = self.sidecar().current.snapshot();
        let bundle = snapshot.bundle.revision.as_str();
        let expires = snapshot.bundle.provenance.manifest().map(|manifest| manifest.expires.as_str());
        match stand {
            Stand::Good => tracing::info!(bundle, "the bundle is in good standing"),
            Stand::Aging => {
                tracing::warn!(bundle, expires, "the bundle expires soon: build and sign a new one")
            }
            Stand::Grace | Stand::Expired | Stand::Revoked => {
                tracing::error!(
                    bundle,
                    expires,
                    stand = stand.code(),
                    "the bundle may not serve: load another"
                );
                self.alarm(stand.code()).await;
            }
        }
        stand
    }
}

const WARN_MS: i64 = 7 * 86_400_000;
