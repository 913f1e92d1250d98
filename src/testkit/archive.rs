//! Archives of the demo's bundle, built and signed for tests.
#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::NOW_MS;
use crate::bundle::archive::manifest::{Manifest, Statement};
use crate::bundle::archive::provenance::Papers;
use crate::bundle::archive::signature::{self, Signature};
use crate::bundle::archive::{Parts, put_together};
use crate::bundle::revision;
use crate::cli::demo::FILES;
use crate::model::keys::{KeyId, PublicKey, SigningKey};

/// Somebody who signs bundles.
pub struct Signer(SigningKey);

impl Signer {
    /// Somebody with a new key.
    pub fn new() -> Self {
        let private = SigningKey::generate().expect("random bytes");
        Self(SigningKey::parse(&private).expect("a key that was just made"))
    }

    /// Their public key.
    pub fn public(&self) -> PublicKey {
        self.0.public().expect("a pair has a public half")
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.public().id()
    }

    /// Their public key as one element of a TOML list.
    pub fn toml(&self) -> String {
        format!("'''{}'''", self.public().to_pem())
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

/// An archive of the demo's bundle in the making.
pub struct TestArchive {
    files: BTreeMap<String, Bytes>,
    statement: Statement,
}

impl TestArchive {
    /// The demo's bundle under a version, valid for a day from [`NOW_MS`].
    pub fn of_version(version: u64) -> Self {
        let inside = FILES.iter().filter_map(|(name, text)| Some((name.strip_prefix("bundle/")?, *text)));
        let files = inside.map(|(name, text)| (name.to_owned(), Bytes::from_static(text.as_bytes())));
        let statement = Statement {
            version,
            author: "anna".to_owned(),
            approver: Some("ben".to_owned()),
            ticket: Some("CRM-1".to_owned()),
            created_ms: NOW_MS - 1_000,
            expires_ms: NOW_MS + DAY_MS,
        };
        Self { files: files.collect(), statement }
    }

    /// Adds a file of policies.
    #[must_use]
    pub fn policies(mut self, text: &str) -> Self {
        self.files.insert("policies/test.cedar".to_owned(), Bytes::copy_from_slice(text.as_bytes()));
        self
    }

    /// Moves the expiry.
    #[must_use]
    pub fn expires(mut self, expires_ms: i64) -> Self {
        self.statement.expires_ms = expires_ms;
        self
    }

    /// The hash of its files.
    pub fn revision(&self) -> String {
        revision::hash_files(&self.files)
    }

    /// The archive, signed by some people.
    pub fn signed_by(&self, signers: &[&Signer]) -> Vec<u8> {
        let manifest = Manifest::of(&self.statement, &self.files).and_then(|manifest| manifest.to_bytes());
        let manifest = manifest.expect("a manifest of the test");
        let signatures: Vec<Signature> =
            signers.iter().filter_map(|signer| Signature::make(&manifest, &signer.0)).collect();
        let signatures = (!signatures.is_empty()).then(|| Bytes::from(signature::to_text(&signatures)));
        let papers = Papers { manifest, signatures };
        put_together(&Parts { files: self.files.clone(), papers }).expect("names of the demo's files fit")
    }
}

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
