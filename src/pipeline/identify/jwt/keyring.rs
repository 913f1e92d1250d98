//! The keys of an issuer as they are now: replaced whole, believed for a bounded time, looked at again on demand.
//!
//! Promises: keys that could not be looked at again for `max_age_ms` are no longer believed. Tokens that name unknown keys
//! lead to at most one look in [`UNKNOWN_KEY_GAP_MS`], however many they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::key_set::KeySet;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// The keys of one issuer.
pub struct Keyring {
    known: ArcSwapOption<Known>,
    /// `None` for keys that do not age: those of a file.
    max_age_ms: Option<i64>,
    asked_ms: AtomicI64,
    wanted: Notify,
    looks: watch::Sender<u64>,
}

struct Known {
    keys: Arc<KeySet>,
    seen_ms: i64,
}

impl Keyring {
    /// Keys of a file, which do not age.
    pub fn fixed(keys: KeySet) -> Self {
        let ring = Self::aging(None);
        ring.replace(keys, 0);
        ring
    }

    /// Keys that are fetched; none yet.
    pub fn remote(max_age_ms: i64) -> Self {
        Self::aging(Some(max_age_ms))
    }

    fn aging(max_age_ms: Option<i64>) -> Self {
        Self {
            known: ArcSwapOption::empty(),
            max_age_ms,
            asked_ms: AtomicI64::new(i64::MIN),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
        }
    }

    /// The keys that are believed now.
    pub fn current(&self, now_ms: i64) -> Result<Arc<KeySet>, Problem> {
        let unavailable = |why: &str| Problem::new(Reason::IssuerKeysUnavailable).internal(why);
        let known = self.known.load();
        let known = known.as_ref().ok_or_else(|| unavailable("the issuer's keys were never fetched"))?;
        let is_old = self.max_age_ms.is_some_and(|most| now_ms.saturating_sub(known.seen_ms) > most);
        match is_old {
            true => Err(unavailable("the issuer's keys could not be looked at for too long")),
            false => Ok(Arc::clone(&known.keys)),
        }
    }

    /// New keys take the place of the old ones.
    pub fn replace(&self, keys: KeySet, now_ms: i64) {
        self.known.store(Some(Arc::new(Known { keys: Arc::new(keys), seen_ms: now_ms })));
    }

    /// The keys were looked at and are as they were.
    pub fn confirm(&self, now_ms: i64) {
        if let Some(known) = self.known.load_full() {
            self.known.store(Some(Arc::new(Known { keys: Arc::clone(&known.keys), seen_ms: now_ms })));
        }
    }

    /// Has the keys looked at again because a token names one that is not there, and waits for that; whether it was done.
    pub async fn look_again(&self, now_ms: i64) -> bool {
        if self.max_age_ms.is_none() {
            return false;
        }
        let mut looks = self.looks.subscribe();
        looks.mark_unchanged();
        let asked_ms = self.asked_ms.load(Ordering::Acquire);
        if now_ms.saturating_sub(asked_ms) < UNKNOWN_KEY_GAP_MS {
            return false;
        }
        let is_first =
            self.asked_ms.compare_exchange(asked_ms, now_ms, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if is_first {
            self.wanted.notify_one();
        }
        matches!(timeout(Duration::from_millis(LOOK_WAIT_MS), looks.changed()).await, Ok(Ok(())))
    }

    /// Waits until somebody wants the keys looked at.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A look has ended, whatever it brought.
    pub fn looked(&self) {
        self.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
    }
}

/// Milliseconds between two looks that unknown keys lead to.
pub const UNKNOWN_KEY_GAP_MS: i64 = 10_000;
/// Milliseconds that a request waits for a look.
const LOOK_WAIT_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signature::Algorithm;
    use bytes::Bytes;

    fn keys() -> KeySet {
        let set =
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        KeySet::read(Bytes::from_static(set.as_bytes()), &[Algorithm::EdDsa]).unwrap()
    }

    #[track_caller]
    fn check(ring: &Keyring, now_ms: i64, is_believed: bool) {
        assert_eq!(ring.current(now_ms).is_ok(), is_believed, "at {now_ms}");
    }

    #[test]
    fn keys_are_believed_for_their_age_and_no_longer() {
        let ring = Keyring::remote(1_000);
        check(&ring, 0, false);
        ring.replace(keys(), 500);
        check(&ring, 1_500, true);
        check(&ring, 1_501, false);
        ring.confirm(1_501);
        check(&ring, 2_501, true);
        check(&ring, 2_502, false);
        check(&Keyring::fixed(keys()), i64::MAX, true);
    }

    #[tokio::test]
    async fn unknown_keys_lead_to_one_look_in_a_while() {
        let ring = Arc::new(Keyring::remote(1_000));
        let looker = tokio::spawn({
            let ring = Arc::clone(&ring);
            async move {
                ring.wanted().await;
                ring.looked();
            }
        });
        assert!(ring.look_again(5).await);
        looker.await.unwrap();
        // Nobody looks any more: only a refusal at once can end these.
        assert!(!ring.look_again(5).await);
        assert!(!ring.look_again(5 + UNKNOWN_KEY_GAP_MS - 1).await);
        assert!(!Keyring::fixed(keys()).look_again(5).await);
    }
}
