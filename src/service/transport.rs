//! Listeners and the way to the CRM, put together from the configuration; certificates, renewed while the service runs.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::config::author::{AuthorProblem, Problems};
use crate::config::service::{LimitsConfig, ListenTlsConfig, ServiceConfig};
use crate::net::coding::CodingLimits;
use crate::net::descriptors::{self, Shares};
use crate::net::renewed::{Renewed, TlsError};
use crate::net::tls_client::ClientTlsOptions;
use crate::net::tls_server::{self, ServerTlsOptions};
use crate::net::vitals::Patience;
use crate::pipeline::crm::{UpstreamOptions, UpstreamTimes};
use crate::pipeline::forward::Upstream;
use crate::pipeline::listen::door::{DoorOptions, HttpLimits, Trusted};
use crate::pipeline::sidecar::Sidecar;
use crate::telemetry::metrics::CertificateUse;

/// TLS towards callers, if it is configured.
pub fn listener_tls(config: &ServiceConfig, now_ms: i64) -> Result<Option<Renewed<ServerConfig>>, TlsError> {
    let open = |tls: &ListenTlsConfig| {
        let mut protocols = vec![HTTP_1.to_vec()];
        if tls.http2 {
            protocols.insert(0, HTTP_2.to_vec());
        }
        let options = ServerTlsOptions {
            pairs: tls.pairs.clone(),
            client_certificate: tls.client_certificate.clone(),
            minimum_version: tls.minimum_version,
            protocols,
        };
        tls_server::open(options, now_ms)
    };
    config.listen.tls.as_ref().map(open).transpose()
}

/// Looks whether certificates, keys and authorities can be used, without keeping anything.
pub fn check(config: &ServiceConfig, now_ms: i64, problems: &mut Problems) {
    let listener = listener_tls(config, now_ms).err().map(|error| (error, "callers"));
    let upstream = Upstream::new(upstream_options(config), now_ms).err().map(|error| (error, "the CRM"));
    for (error, towards) in listener.into_iter().chain(upstream) {
        let problem = AuthorProblem::error(error.to_string());
        problems
            .push(problem.help(format!("Without it there is no TLS towards {towards}: correct the file.")));
    }
}

/// What a coding may cost, in either direction.
pub fn coding_limits(limits: &LimitsConfig) -> CodingLimits {
    CodingLimits { ratio_max: limits.coding_ratio, codings_max: limits.codings }
}

/// The way to the CRM.
pub fn upstream_options(config: &ServiceConfig) -> UpstreamOptions {
    let upstream = &config.upstream;
    let ms = Duration::from_millis;
    let tls = upstream.tls.as_ref().map(|tls| {
        let mut protocols = vec![HTTP_1.to_vec()];
        if tls.http2 {
            protocols.insert(0, HTTP_2.to_vec());
        }
        let options = ClientTlsOptions { ca_file: tls.ca_file.clone(), pair: tls.pair.clone(), protocols };
        (options, tls.server_name.clone())
    });
    UpstreamOptions {
        origin: upstream.origin.clone(),
        target: upstream.target.clone(),
        base_path: upstream.base_path.clone(),
        host: upstream.host.clone(),
        tls,
        times: UpstreamTimes {
            wait: ms(upstream.times.connection_wait_ms),
            connect: ms(upstream.times.connect_ms),
            head: ms(upstream.times.head_ms),
            body_idle: ms(upstream.times.body_idle_ms),
            answer: ms(upstream.times.answer_ms),
            idle: ms(upstream.times.idle_ms),
        },
        answer_bytes_max: config.limits.answer_bytes,
        coding: coding_limits(&config.limits),
        connections_max: shares(config).upstream,
        idle_connections_max: upstream.idle_connections_max,
    }
}

/// How callers' connections are taken.
pub fn door_options(config: &ServiceConfig, tls: Option<Arc<Renewed<ServerConfig>>>) -> DoorOptions {
    let (listen, limits, http2) = (&config.listen, &config.limits, &config.listen.http2);
    let ms = Duration::from_millis;
    let connections_max = shares(config).callers;
    if connections_max < limits.connections {
        let (wanted, possible) = (limits.connections, connections_max);
        tracing::warn!(wanted, possible, "the limit of open files allows fewer connections than configured");
    }
    DoorOptions {
        tls,
        h2c: listen.h2c,
        proxy_protocol: listen.proxy_protocol,
        trusted: Trusted { networks: listen.trusted_proxies.clone(), unix: listen.trusts_unix },
        http: HttpLimits {
            head_bytes_max: limits.head_bytes,
            headers_max: limits.headers,
            streams_max: http2.streams,
            stream_window_bytes: http2.stream_window_bytes,
            connection_window_bytes: http2.connection_window_bytes,
            resets_max: http2.resets,
            faults_max: http2.faults,
            ping_interval: ms(http2.ping_interval_ms),
            ping_timeout: ms(http2.ping_timeout_ms),
        },
        patience: Patience {
            head: ms(listen.times.head_ms),
            idle: ms(listen.times.idle_ms),
            write: ms(listen.times.write_ms),
            exchanges_max: listen.connection_requests,
        },
        handshake: ms(listen.times.handshake_ms),
        age: listen.times.connection_age_ms.map(ms),
        connections_max,
        connections_per_source_max: limits.connections_per_source,
        handshakes_max: limits.handshakes,
        drain: ms(listen.times.drain_ms),
        // The CRM's time is the longest that a request waits for anybody; the ledger's comes on top.
        exits: ms(config.upstream.times.answer_ms + config.ledger.write_timeout_ms),
    }
}

fn shares(config: &ServiceConfig) -> Shares {
    let wish = Shares { callers: config.limits.connections, upstream: config.upstream.connections_max };
    descriptors::share(descriptors::limit(), wish)
}

/// Not ready with a certificate that has expired: nobody could connect.
pub fn require_certificates(sidecar: &Arc<Sidecar>) {
    note_certificates(sidecar);
    let (renewed, clock) = (sidecar.renewed.clone(), sidecar.clock.clone());
    let check = move || {
        let now_ms = clock.now_ms();
        let expired = renewed
            .iter()
            .map(|renewed| renewed.status())
            .find(|status| status.expires_ms.is_some_and(|at| at < now_ms));
        expired.map_or(Ok(()), |status| Err(format!("the certificate of the {} has expired", status.what)))
    };
    sidecar.readiness.require("certificates", Box::new(check));
}

fn note_certificates(sidecar: &Sidecar) {
    for status in sidecar.renewed.iter().map(|renewed| renewed.status()) {
        let used_for =
            if status.what == "listener" { CertificateUse::Listen } else { CertificateUse::Upstream };
        if let Some(at) = status.expires_ms {
            sidecar.metrics.certificate_expires(used_for, at.div_euclid(1000));
        }
    }
}

/// Looks at certificate files now and then, and says in time when one ends.
pub struct Renewals {
    interval_ms: u64,
    warning_days: i64,
}

impl Renewals {
    /// As configured.
    pub fn of(config: &ServiceConfig) -> Self {
        let days = config.listen.tls.as_ref().map_or(WARNING_DAYS, |tls| tls.expiry_warning_days);
        Self {
            interval_ms: config.bundle.reload_poll_ms,
            warning_days: i64::try_from(days).unwrap_or(i64::MAX),
        }
    }

    /// Looks until `shutdown` is ready.
    pub async fn watch(self, sidecar: Arc<Sidecar>, shutdown: impl Future<Output = ()>) {
        let mut warned_on = self.warn(&sidecar, None);
        if self.interval_ms == 0 {
            return shutdown.await;
        }
        tokio::pin!(shutdown);
        let mut ticks = tokio::time::interval(Duration::from_millis(self.interval_ms));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut shutdown => return,
            }
            let looking = Arc::clone(&sidecar);
            let _ = tokio::task::spawn_blocking(move || looking.renew_tls()).await;
            note_certificates(&sidecar);
            warned_on = self.warn(&sidecar, warned_on);
        }
    }

    /// Warns once a day; returns the day.
    fn warn(&self, sidecar: &Sidecar, warned_on: Option<i64>) -> Option<i64> {
        let now_ms = sidecar.clock.now_ms();
        let today = now_ms.div_euclid(DAY_MS);
        if warned_on == Some(today) {
            return warned_on;
        }
        for status in sidecar.renewed.iter().map(|renewed| renewed.status()) {
            let days_left = status.expires_ms.map(|at| (at - now_ms).div_euclid(DAY_MS));
            if let Some(days_left) = days_left.filter(|days| *days < self.warning_days) {
                tracing::warn!(what = status.what, days_left, "a certificate ends soon or has ended");
            }
        }
        Some(today)
    }
}

const HTTP_1: &[u8] = b"http/1.1";
const HTTP_2: &[u8] = b"h2";
const WARNING_DAYS: u64 = 14;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
