//! Brings checkpoints to an HTTPS endpoint, in a task of its own.
//!
//! Promises: one at a time, and always the newest: those that were superseded meanwhile are left out. Only what the endpoint confirmed
//! counts. What fails is tried again, with waits that double up to a limit, and told. Neither signing nor any other export waits for it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;

use super::sealed::ExportWatch;
use crate::audit::sinks::fault::SinkFault;
use crate::audit::sinks::post::{Post, PostOptions};
use crate::audit::sinks::target::within;
use crate::config::service::CheckpointsHttpsConfig;
use crate::net::backoff::{Backoff, random};
use crate::net::tls_client::ClientTlsOptions;
use crate::telemetry::clock::Clock;

/// A checkpoint on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Parcel {
    /// The signed note.
    pub(super) note: String,
    /// How many entries it stands for.
    pub(super) entries: u64,
}

/// The way to the endpoint.
pub(super) struct Courier {
    post: Post,
    timeout_ms: u64,
    backoff: Backoff,
    watch: ExportWatch,
    clock: Clock,
}

impl Courier {
    /// Nothing is connected yet.
    pub(super) fn new(config: &CheckpointsHttpsConfig, watch: ExportWatch, clock: Clock) -> Self {
        let options = PostOptions {
            url: config.url.clone(),
            token_file: config.token_file.clone(),
            tls: tls(config),
            timeout_ms: config.timeout_ms,
        };
        let backoff = Backoff::new(RETRY_FIRST_MS.min(config.retry_max_ms), config.retry_max_ms);
        let (post, timeout_ms) = (Post::new(options, clock.clone()), config.timeout_ms);
        Self { post, timeout_ms, backoff, watch, clock }
    }

    /// Brings what comes, until nobody sends any more; then the newest is tried once more if it is not there yet.
    pub(super) async fn run(mut self, mut parcels: watch::Receiver<Parcel>) {
        let mut is_over = false;
        while !is_over && parcels.changed().await.is_ok() {
            loop {
                let newest = parcels.borrow_and_update().clone();
                if self.bring(newest).await || is_over {
                    break;
                }
                let wait = self.backoff.failed(random());
                is_over = timeout(wait, parcels.wait_for(|_| false)).await.is_ok();
            }
        }
    }

    /// Whether it is there.
    async fn bring(&mut self, parcel: Parcel) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let sent = self.post.send(headers, Bytes::from(parcel.note));
        match within(self.timeout_ms, sent).await {
            Ok(()) => {
                self.backoff.succeeded();
                self.watch.took(parcel.entries, self.clock.now_ms());
                true
            }
            Err(error) => {
                let is_answer = error.detail.starts_with("it answered");
                let is_turned_away = error.fault == SinkFault::Credentials && is_answer;
                self.watch.failed(error.detail + if is_turned_away { "; see `token_file`" } else { "" });
                false
            }
        }
    }
}

/// Whom to trust, and who we are.
pub(super) fn tls(config: &CheckpointsHttpsConfig) -> ClientTlsOptions {
    ClientTlsOptions { ca_file: config.ca_file.clone(), pair: config.pair.clone(), protocols: Vec::new() }
}

/// The first wait after a failure.
const RETRY_FIRST_MS: u64 = 250;
