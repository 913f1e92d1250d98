//! Tokens that an issuer signed (RFC 7519, RFC 8725): verified with the issuer's own keys, then kept by their SHA-256.
//!
//! Promises: only the configured algorithms, each with keys of its own kind; a kept token is refused as soon as it ends, its
//! key is gone, or the issuer's keys are too old. Never stores a token, only its hash.

pub mod token;
pub mod key_set;
pub mod keyring;
pub mod claims;
pub mod refresh;

use std::sync::Arc;

use http::header::HeaderName;
use sha2::{Digest, Sha256};

use super::Presented;
use super::carrier::Credential;
use super::found::Found;
use crate::config::service::JwtConfig;
use crate::model::problem::Problem;
use claims::Claims;
use key_set::KeyPrint;
use keyring::Keyring;
use token::{Token, refused};

/// One issuer of tokens.
pub struct JwtSource {
    config: JwtConfig,
    header: HeaderName,
    keyring: Arc<Keyring>,
    kept: moka::sync::Cache<[u8; 32], Kept>,
}

#[derive(Clone)]
struct Kept {
    claims: Arc<Claims>,
    key: KeyPrint,
}

/// What an issuer says of a credential.
pub enum Answer {
    /// Whose it is.
    Found(Found),
    /// It is a token of this issuer, and not accepted.
    Refused(Problem),
    /// Another source may know it; why this one does not, where it could be read.
    NotOurs(Option<Problem>),
}

impl JwtSource {
    /// An issuer with its keys.
    pub fn new(config: JwtConfig, header: HeaderName, keyring: Arc<Keyring>) -> Self {
        let kept = moka::sync::Cache::new(config.cached_tokens_max);
        Self { config, header, keyring, kept }
    }

    /// The header that carries its tokens.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// How it is configured.
    pub fn config(&self) -> &JwtConfig {
        &self.config
    }

    /// Its keys.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Goes on with the keys that the same issuer's source had fetched.
    pub fn inherit(&mut self, other: &JwtSource) {
        let is_fetched = matches!(self.config.key_set, crate::config::service::KeySetPlace::Remote { .. });
        if is_fetched && self.config.issuer == other.config.issuer {
            self.keyring = Arc::clone(&other.keyring);
        }
    }

    /// The principal behind a token.
    pub async fn identify(&self, credential: &Credential<'_>, presented: &Presented<'_>) -> Answer {
        let scheme = self.config.carrier.scheme.as_deref();
        let text = credential.behind(&self.header, scheme).filter(|text| token::looks_like_one(text));
        let Some(text) = text else { return Answer::NotOurs(None) };
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let claims = match self.kept.get(&hash) {
            Some(kept) => self.still_holds(&hash, kept, presented.now_ms),
            None => {
                let token = match Token::read(text, self.config.token_bytes_max) {
                    Ok(token) => token,
                    Err(problem) => return Answer::NotOurs(Some(problem)),
                };
                if token.issuer().as_deref() != Some(self.config.issuer.as_str()) {
                    return Answer::NotOurs(Some(refused("the token's issuer is not known")));
                }
                self.verify(hash, &token, presented.now_ms).await
            }
        };
        let found = claims.and_then(|claims| claims.find(&self.config, presented.directory));
        found.map_or_else(Answer::Refused, Answer::Found)
    }

    /// A token that was verified before holds as long as its time, its key, and the issuer's keys do.
    fn still_holds(&self, hash: &[u8; 32], kept: Kept, now_ms: i64) -> Result<Arc<Claims>, Problem> {
        let checked = self.keyring.current(now_ms).and_then(|keys| match keys.has(kept.key) {
            true => kept.claims.check_time(now_ms, self.config.leeway_ms),
            false => Err(refused("the key that signed the token is no longer the issuer's")),
        });
        match checked {
            Ok(()) => Ok(kept.claims),
            Err(problem) => {
                self.kept.invalidate(hash);
                Err(problem)
            }
        }
    }

    async fn verify(&self, hash: [u8; 32], token: &Token<'_>, now_ms: i64) -> Result<Arc<Claims>, Problem> {
        if !self.config.algorithms.contains(&token.algorithm) {
            return Err(refused("the algorithm is not one of the issuer's"));
        }
        let id = token.key_id.as_deref();
        let mut keys = self.keyring.current(now_ms)?;
        if keys.find(id, token.algorithm).is_none() && self.keyring.look_again(now_ms).await {
            keys = self.keyring.current(now_ms)?;
        }
        let key =
            keys.find(id, token.algorithm).ok_or_else(|| refused("no key of the issuer fits the token"))?;
        if !key.has_signed(token.signed, &token.signature) {
            return Err(refused("the signature is wrong"));
        }
        let claims = Arc::new(Claims::read(&token.claims, &self.config)?);
        claims.check_time(now_ms, self.config.leeway_ms)?;
        self.kept.insert(hash, Kept { claims: Arc::clone(&claims), key: key.print() });
        Ok(claims)
    }
}
