//! Asking the CRM whose credential this is.
//!
//! Promises: the answer must name exactly one person, at a path of names; a list, a page or a redirect names nobody. Answers
//! are kept by the credential's SHA-256 for a short time, and equal questions at one time are asked once. A CRM that does
//! not answer is told apart from one that does not know the credential. What the CRM answers never leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::header::HeaderName;
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};

use super::Presented;
use super::carrier::Credential;
use super::found::{Found, name_of, named};
use super::upstream::as_it_came;
use crate::config::service::{IntrospectionConfig, Place};
use crate::json::parse::JsonLimits;
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::pipeline::enforce::answer::{self, Answer, AnswerLimits};

/// The CRM's own word on its credentials.
pub struct IntrospectionSource {
    config: IntrospectionConfig,
    header: Option<HeaderName>,
    kept: moka::sync::Cache<[u8; 32], Kept>,
    asked: Mutex<HashMap<[u8; 32], Asked>>,
    slots: Semaphore,
}

/// What a question brings, for all who wait for it.
type Asked = Arc<OnceCell<Result<String, Problem>>>;

#[derive(Clone)]
struct Kept {
    name: String,
    asked_ms: i64,
}

impl IntrospectionSource {
    /// A source; the header is that of the configuration, where a header carries the credential.
    pub fn new(config: IntrospectionConfig, header: Option<HeaderName>) -> Self {
        let kept = moka::sync::Cache::new(config.cached_max);
        let slots = Semaphore::new(config.lookups_max);
        Self { config, header, kept, asked: Mutex::default(), slots }
    }

    /// Where the credential stands.
    pub fn place(&self) -> &Place {
        &self.config.place
    }

    /// The header that carries it, if one does.
    pub fn header(&self) -> Option<&HeaderName> {
        self.header.as_ref()
    }

    /// The principal of a credential; `None` if it is of another kind.
    pub async fn identify(
        &self,
        credential: &Credential<'_>,
        presented: &Presented<'_>,
    ) -> Option<Result<Found, Problem>> {
        let secret = self.secret(credential)?;
        let name = self.name(secret, credential, presented).await;
        let by = &self.config.named_by;
        Some(name.and_then(|name| named(&name, by, presented.directory)).map(Found::plain))
    }

    fn secret<'r>(&self, credential: &Credential<'r>) -> Option<&'r str> {
        match (&self.config.place, credential) {
            (Place::Header(carrier), _) => {
                credential.behind(self.header.as_ref()?, carrier.scheme.as_deref())
            }
            (Place::Cookie(cookie), Credential::Cookie { name, value }) if cookie == name => Some(value),
            (Place::Cookie(_), _) => None,
        }
    }

    async fn name(
        &self,
        secret: &str,
        credential: &Credential<'_>,
        presented: &Presented<'_>,
    ) -> Result<String, Problem> {
        if secret.is_empty() {
            return Err(Reason::CredentialUnknown.into());
        }
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        if let Some(kept) = self.kept.get(&hash) {
            let age_ms = presented.now_ms.saturating_sub(kept.asked_ms);
            if (0..self.config.cache_ms).contains(&age_ms) {
                return Ok(kept.name);
            }
            self.kept.invalidate(&hash);
        }
        let question = self.question(hash);
        let name = question.cell.get_or_init(|| self.ask(credential, presented)).await.clone()?;
        self.kept.insert(hash, Kept { name: name.clone(), asked_ms: presented.now_ms });
        Ok(name)
    }

    /// The question about a credential that is under way, or a new one.
    fn question(&self, hash: [u8; 32]) -> Question<'_> {
        let cell = match self.asked.lock() {
            Ok(mut asked) => Arc::clone(asked.entry(hash).or_default()),
            Err(_) => Arc::default(),
        };
        Question { source: self, hash, cell }
    }

    async fn ask(&self, credential: &Credential<'_>, presented: &Presented<'_>) -> Result<String, Problem> {
        let _slot = self.slots.try_acquire().map_err(|_| {
            Problem::new(Reason::Overloaded).internal("too many questions to the CRM whose credential it is")
        })?;
        let shown = as_it_came(credential)?;
        let response =
            presented.crm.who_am_i(&self.config.path, &shown, self.config.answer_bytes_max).await?;
        let json = JsonLimits {
            bytes_max: self.config.answer_bytes_max,
            depth_max: DEPTH_MAX,
            nodes_max: self.config.answer_bytes_max,
        };
        let limits = AnswerLimits { json, coding: presented.crm.upstream.coding() };
        let why = |reason: Reason, why: &str| Problem::new(reason).internal(why).upstream(response.status);
        match answer::open_json(&response, &limits)? {
            Answer::Success(document) => match self.config.id.first(document.root()).and_then(name_of) {
                Some(name) => Ok(name),
                None => Err(why(Reason::UpstreamShape, "the CRM's \"who am I\" does not name one person")),
            },
            Answer::Rejected(401 | 403, _) => Err(Reason::CredentialUnknown.into()),
            Answer::Empty | Answer::Table(..) | Answer::NotFound | Answer::Rejected(..) => {
                Err(why(Reason::UpstreamError, "the CRM did not say whose credential it is"))
            }
        }
    }
}

/// A question under way; whoever ends first takes it off the list.
struct Question<'s> {
    source: &'s IntrospectionSource,
    hash: [u8; 32],
    cell: Asked,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let Ok(mut asked) = self.source.asked.lock() else { return };
        if asked.get(&self.hash).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell)) {
            asked.remove(&self.hash);
        }
    }
}

const DEPTH_MAX: usize = 32;
