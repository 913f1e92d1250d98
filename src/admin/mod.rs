//! The admin listener: metrics, status and reload, always authenticated by a token; and health, never.
//!
//! Promises: nothing here is answered without the token but on the health listener, which tells no detail.
mod body;
mod door;
pub mod health;
pub mod authzen;
pub mod readings;
pub mod erasures;
pub mod reviews;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

use crate::audit::sinks::watch::SinkStatus;
use crate::bundle::archive::provenance::{Pin, Provenance};
use crate::net::renewed::RenewedStatus;
use crate::pipeline::sidecar::Sidecar;
use crate::service::copies::CopiesNow;
use crate::service::reload::{Reloaded, Reloader};
use crate::service::tokens::{Door, Tokens};
use crate::service::vigil::Stand;
use crate::telemetry::readings::Readings;
use authzen::AuthzenOptions;
use door::{Pace, accept};

/// What the admin listener works with.
pub struct Admin {
    /// The service.
    pub sidecar: Arc<Sidecar>,
    /// What reloads.
    pub reloader: Arc<Reloader>,
    /// How far checkpoints and sinks are.
    pub copies: CopiesNow,
    /// The tokens, one of which every request must carry.
    pub tokens: Arc<Tokens>,
    /// What AuthZEN questions may cost.
    pub authzen: AuthzenOptions,
}

/// Serves the admin listener until `shutdown` is ready.
pub async fn serve(listener: TcpListener, admin: Arc<Admin>, shutdown: impl Future<Output = ()>) {
    accept(listener, PACE, shutdown, move |request| {
        let admin = Arc::clone(&admin);
        async move { admin.answer(request).await }
    })
    .await;
}

/// An answer in plain text or JSON.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.is_authenticated(&request) {
            let mut response =
                reply(StatusCode::UNAUTHORIZED, JSON, json!({"error": "token missing or wrong"}).to_string());
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => reply(StatusCode::OK, OPEN_METRICS, self.metrics()),
            (&Method::GET, "/status") => reply(StatusCode::OK, JSON, self.status()),
            (&Method::POST, "/reload") => self.reload().await,
            (&Method::POST, readings::PATH) => self.reading(request).await,
            (&Method::POST, erasures::PATH) => self.erase(request).await,
            (&Method::POST, reviews::PATH) => self.sign_off(request).await,
            (_, "/metrics" | "/status" | "/reload" | readings::PATH | erasures::PATH | reviews::PATH) => reply(
                StatusCode::METHOD_NOT_ALLOWED,
                JSON,
                json!({"error": "method not allowed"}).to_string(),
            ),
            _ => self.authzen(request).await.unwrap_or_else(|| {
                let there =
                    "there are /metrics, /status, /reload, /v1/ledger/readings, /v1/ledger/erasures, /v1/ledger/reviews, /access/v1/evaluation and /access/v1/evaluations";
                reply(StatusCode::NOT_FOUND, JSON, json!({ "error": there }).to_string())
            }),
        }
    }

    fn is_authenticated(&self, request: &Request<Incoming>) -> bool {
        let mut values = request.headers().get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some(token) = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")) else {
            return false;
        };
        self.tokens.opens(door(request.uri().path()), token)
    }

    fn metrics(&self) -> String {
        let cache = self.sidecar.cache.counts();
        let health = self.sidecar.recorder.health();
        let sealed = self.copies.sealed().unwrap_or_default();
        let failing = sealed.failures(self.sidecar.clock.now_ms()).len();
        self.sidecar.metrics.encode(&Readings {
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            cache_bypasses: cache.bypasses,
            verdicts_compiled: cache.compiled,
            verdicts_plain: cache.plain,
            verdict_mismatches: cache.mismatches,
            ledger_is_writable: health.writable,
            ledger_entries: health.last_seq,
            ledger_queue: u64::try_from(self.sidecar.recorder.ledger().queued()).unwrap_or(u64::MAX),
            requests_open: u64::try_from(self.sidecar.requests_open()).unwrap_or(u64::MAX),
            pool_busy: u64::try_from(self.sidecar.pool.busy()).unwrap_or(u64::MAX),
            pool_waiting: u64::try_from(self.sidecar.pool.waiting()).unwrap_or(u64::MAX),
            generation: self.sidecar.current.snapshot().generation,
            observe_until: self.sidecar.observing.seconds_left(self.sidecar.clock.now_ms()),
            checkpoint_entries: sealed.signed,
            checkpoint_exported: sealed.exported().map_or(0, |(entries, _)| entries),
            checkpoint_failing: u64::try_from(failing).unwrap_or(u64::MAX),
            sinks: self.copies.sinks.readings(),
            is_removal_overdue: self.copies.retained().is_some_and(|retained| retained.waits_for.is_some()),
            free_bytes: self.copies.space().free_bytes,
            is_space_low: self.copies.space().is_low,
            is_ready: self.sidecar.readiness.is_ready(),
        })
    }

    fn status(&self) -> String {
        let snapshot = self.sidecar.current.snapshot();
        let health = self.sidecar.recorder.health();
        let profile = &snapshot.bundle.profile;
        let passes = profile
            .routes
            .iter()
            .filter_map(|route| route.pass.as_ref().map(|why| (route.label(), why.clone())));
        let condition = |holds: Result<(), String>| holds.err().unwrap_or_else(|| "ok".to_owned());
        let conditions = self.sidecar.readiness.conditions().into_iter();
        let conditions: std::collections::BTreeMap<_, _> =
            conditions.map(|(name, holds)| (name, condition(holds))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.sidecar.readiness.is_ready(),
            "conditions": conditions,
            "generation": snapshot.generation,
            "bundle": snapshot.bundle.revision,
            "bundleOrigin": self.bundle_origin(&snapshot.bundle.provenance),
            "directory": snapshot.directory.revision,
            "directoryAgeMs": self.sidecar.directory_age.age_ms(self.sidecar.clock.now_ms()),
            "people": snapshot.directory.people_count(),
            "policies": snapshot.bundle.policies.ids().count(),
            "routes": profile.routes.len(),
            "observing": self.observing(),
            "passThrough": passes.collect::<std::collections::BTreeMap<_, _>>(),
            "ledger": {
                "writable": health.writable,
                "lastSeq": health.last_seq,
                "why": health.why.map(|why| why.to_string()),
                "freeBytes": self.copies.space().free_bytes,
                "spaceLow": self.copies.space().is_low,
            },
            "sinks": self.copies.sinks.statuses().iter().map(sink).collect::<Vec<_>>(),
            "tls": self.tls(),
            "checkpoints": self.checkpoints(health.last_seq),
            "retention": self.copies.retained().map(|retained| json!({
                "keepDays": retained.keep_days,
                "removed": retained.removed,
                "waitsFor": retained.waits_for,
            })),
        })
        .to_string()
    }

    /// How much of the ledger is signed for, and how much of that is out of this host's reach.
    fn checkpoints(&self, last_seq: u64) -> serde_json::Value {
        let Some(sealed) = self.copies.sealed() else {
            return json!({"signed": null, "why": "[ledger.checkpoints] is not configured: entries are provable only against heads noted elsewhere"});
        };
        let (exported, exported_ms) = sealed.exported().unzip();
        json!({
            "signed": sealed.signed,
            "exported": exported,
            "exportedMs": exported_ms,
            "unprovable": last_seq.saturating_sub(exported.unwrap_or(0)),
            "failures": sealed.failures(self.sidecar.clock.now_ms()),
        })
    }

    fn bundle_origin(&self, provenance: &Provenance) -> serde_json::Value {
        let manifest = provenance.vouched();
        let fetch = self.reloader.supply.inbox.status();
        json!({
            "stand": Stand::of(&self.sidecar).code(),
            "author": provenance.author(),
            "version": manifest.map(|manifest| manifest.version),
            "expires": manifest.map(|manifest| manifest.expires.clone()),
            "signers": provenance.signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "pinned": provenance.pin == Pin::Pinned,
            "fetchedMs": fetch.fetched_ms,
            "checkedMs": fetch.checked_ms,
            "fetchFailures": fetch.failures,
            "fetchError": fetch.error,
        })
    }

    /// Certificates that we show, and why files that lie there do not serve, if they do not.
    fn tls(&self) -> serde_json::Value {
        let now_ms = self.sidecar.clock.now_ms();
        let one = |status: RenewedStatus| {
            let expires = status.expires_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            let days_left = status.expires_ms.map(|at| (at - now_ms).div_euclid(DAY_MS));
            let expires = expires.map(|at| at.to_string());
            (status.what, json!({"expires": expires, "daysLeft": days_left, "refused": status.refused}))
        };
        let all: std::collections::BTreeMap<_, _> =
            self.sidecar.renewed.iter().map(|renewed| one(renewed.status())).collect();
        json!(all)
    }

    /// The groups of routes that are not enforced now.
    fn observing(&self) -> Vec<serde_json::Value> {
        let open = self.sidecar.observing.open(self.sidecar.clock.now_ms());
        open.map(|group| {
            let routes: Vec<&str> = group.routes.iter().map(|pattern| pattern.text.as_str()).collect();
            json!({"group": group.name, "routes": routes, "until": group.until.value})
        })
        .collect()
    }

    async fn reload(&self) -> Response<Full<Bytes>> {
        match self.reloader.reload().await {
            Reloaded::Active { bundle, directory } => {
                reply(StatusCode::OK, JSON, json!({"bundle": bundle, "directory": directory}).to_string())
            }
            Reloaded::Refused { parts, problems } => {
                let body = json!({"error": "reload refused in part", "refused": parts, "problems": problems});
                reply(StatusCode::UNPROCESSABLE_ENTITY, JSON, body.to_string())
            }
        }
    }
}

/// How one sink stands.
fn sink(status: &SinkStatus) -> serde_json::Value {
    let error = status.error.as_ref();
    json!({
        "name": status.name,
        "kind": status.kind,
        "state": status.state,
        "acknowledged": status.acknowledged,
        "lagEntries": status.lag_entries,
        "lagMs": status.lag_ms,
        "failures": status.failures,
        "lost": status.lost,
        "reason": error.map(|error| error.fault.code()),
        "error": error.map(|error| error.detail.as_str()),
    })
}

/// Which token opens a path.
fn door(path: &str) -> Door {
    match authzen::is_path(path) {
        true => Door::Authzen,
        false => Door::Admin,
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PACE: Pace = Pace { head: Duration::from_secs(10), whole: Duration::from_secs(60) };
