//! Keeps an issuer's fetched keys fresh: now and then, at once when a token names an unknown key, and with back-off while
//! the issuer does not answer.
//!
//! Promises: a set that cannot be used never takes the place of one that can; every failure is told to operators.

use std::sync::Arc;
use std::time::Duration;

use super::JwtSource;
use super::key_set::KeySet;
use super::keyring::Keyring;
use crate::config::service::KeySetPlace;
use crate::model::signature::Algorithm;
use crate::net::backoff::{Backoff, random};
use crate::net::remote::{Fetched, Remote, RemoteError, RemoteOptions};
use crate::telemetry::clock::Clock;

/// What keeps one issuer's keys fresh.
pub struct Refresher {
    keyring: Arc<Keyring>,
    issuer: String,
    algorithms: Vec<Algorithm>,
    remote: Remote,
    every: Duration,
    etag: Option<String>,
}

impl Refresher {
    /// For an issuer whose keys are at a URL; `None` for one whose keys are in a file.
    pub fn of(source: &JwtSource) -> Option<Result<Self, RemoteError>> {
        let config = source.config();
        match &config.key_set {
            KeySetPlace::File(_) => None,
            KeySetPlace::Remote { options, refresh_ms, .. } => {
                Some(Self::new(source, options.clone(), Duration::from_millis(*refresh_ms)))
            }
        }
    }

    fn new(source: &JwtSource, options: RemoteOptions, every: Duration) -> Result<Self, RemoteError> {
        let config = source.config();
        Ok(Self {
            keyring: Arc::clone(source.keyring()),
            issuer: config.issuer.clone(),
            algorithms: config.algorithms.clone(),
            remote: Remote::new(options)?,
            every,
            etag: None,
        })
    }

    /// Looks until `shutdown` is ready, first at once.
    pub async fn run(mut self, clock: Clock, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut backoff = Backoff::new(BACKOFF_FIRST_MS, BACKOFF_MOST_MS);
        loop {
            let wait = match self.look(&clock).await {
                Ok(()) => {
                    backoff.succeeded();
                    self.every
                }
                Err(why) => {
                    tracing::warn!(issuer = %self.issuer, error = %why, failures = backoff.failures() + 1, "the issuer's keys could not be fetched");
                    backoff.failed(random()).min(self.every)
                }
            };
            self.keyring.looked();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.keyring.wanted() => {}
                () = &mut shutdown => return,
            }
        }
    }

    async fn look(&mut self, clock: &Clock) -> Result<(), String> {
        let fetched = self.remote.fetch(self.etag.as_deref()).await.map_err(|error| error.to_string())?;
        match fetched {
            Fetched::Unchanged => self.keyring.confirm(clock.now_ms()),
            Fetched::Document { bytes, etag } => {
                let keys = KeySet::read(bytes, &self.algorithms).map_err(|error| error.to_string())?;
                tracing::debug!(issuer = %self.issuer, keys = keys.len(), "the issuer's keys were fetched");
                self.keyring.replace(keys, clock.now_ms());
                self.etag = etag;
            }
        }
        Ok(())
    }
}

const BACKOFF_FIRST_MS: u64 = 1_000;
const BACKOFF_MOST_MS: u64 = 60_000;
