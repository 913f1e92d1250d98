//! The ledger of a sidecar under test, read from its files while it is being written.
//!
//! Promises: entries in order, each checked. Never waits longer than [`PATIENCE`].
#![expect(clippy::panic, reason = "a test whose ledger cannot be read has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tokio::time::timeout;

use super::client::{PATIENCE, TestReply};
use crate::ledger::read;

/// All entries of a ledger at one moment.
#[derive(Clone, Debug)]
pub struct Entries(pub Vec<Value>);

impl Entries {
    /// Reads them.
    pub fn read(state: &Path) -> Self {
        let line = |line: Result<read::Line, _>| match line {
            Ok(line) => line.value,
            Err(error) => panic!("the ledger cannot be read: {error}"),
        };
        Self(read::entries(state, 0).map(line).collect())
    }

    /// Reads them until a condition holds that must come about by itself.
    pub async fn when(state: &Path, what: &str, holds: impl Fn(&Self) -> bool) -> Self {
        let found = timeout(PATIENCE, async {
            loop {
                let entries = Self::read(state);
                if holds(&entries) {
                    return entries;
                }
                super::a_moment().await;
            }
        });
        match found.await {
            Ok(entries) => entries,
            Err(_) => panic!("the ledger never showed {what}: {:#?}", Self::read(state)),
        }
    }

    /// Entries of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|entry| entry["kind"] == kind).collect()
    }

    /// The decision that an answer names; it must be there exactly once.
    #[track_caller]
    pub fn decision(&self, reply: &TestReply) -> &Value {
        let id = reply.decision();
        let found: Vec<&Value> =
            self.of_kind("decision").into_iter().filter(|entry| entry["id"] == id).collect();
        match found.as_slice() {
            [decision] => decision,
            other => panic!("{} decisions for `{id}`", other.len()),
        }
    }

    /// The outcome of a decision, if it is there.
    pub fn outcome(&self, decision_id: &str) -> Option<&Value> {
        self.of_kind("outcome").into_iter().find(|entry| entry["of"] == decision_id)
    }

    /// Refusals before identity, by reason.
    pub fn refusals(&self) -> Vec<(String, u64)> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let counts = self.of_kind("refusals").into_iter().filter_map(|entry| entry["counts"].as_array());
        for count in counts.flatten() {
            let reason = count["reason"].as_str().unwrap_or_default().to_owned();
            *found.entry(reason).or_default() += count["count"].as_u64().unwrap_or_default();
        }
        found.into_iter().collect()
    }
}
