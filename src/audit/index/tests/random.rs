//! Random days of a ledger: every kind of entry that the index reads, few names, so that questions meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::super::question::Within;
use super::twin::Twin;
use crate::ledger::clock::Clock;
use crate::ledger::counts::{RefusalCount, Refusals};
use crate::ledger::entry::{
    Access, Alarm, Change, Decision, Delivered, Delivery, Effect, Entry, Mode, Outcome, Read, Release,
    RowsHidden, Sets, Shown, Write,
};
use crate::ledger::field_set::FieldSet;
use crate::ledger::who::Who;

/// Numbers that follow from a seed, and what they choose.
pub struct Ops {
    state: u64,
    ids: u64,
    /// Decisions that have no outcome yet.
    open: Vec<String>,
}

impl Ops {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, ids: 0, open: Vec::new() }
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % end
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        of.iter().filter(|_| self.one_in(2)).map(|text| (*text).to_owned()).collect()
    }

    /// The entries of one life of the service, and its clock, which may step back.
    pub fn day(&mut self) -> (Vec<Entry>, Clock) {
        let entries = self.hours();
        let at = Arc::new(AtomicI64::new(i64::try_from(self.below(1_000)).unwrap()));
        let step = i64::try_from(self.below(7)).unwrap() - 2;
        (entries, Arc::new(move || i128::from(at.fetch_add(step, Ordering::SeqCst).max(0)) * 1_000_000_000))
    }

    /// Entries of some hours; decisions may have been taken in hours before.
    pub fn hours(&mut self) -> Vec<Entry> {
        let (mut entries, mut open) = (Vec::new(), std::mem::take(&mut self.open));
        for _ in 0..self.below(60) + 40 {
            self.one(&mut entries, &mut open);
        }
        self.open = open;
        entries
    }

    fn one(&mut self, entries: &mut Vec<Entry>, open: &mut Vec<String>) {
        match self.below(12) {
            0 => entries.push(self.refusals()),
            1 => entries.push(Entry::Read(Read {
                command: "audit query readings".to_owned(),
                by: "admin-token".to_owned(),
            })),
            2..=5 => {
                let decision = self.decision();
                open.push(decision.id.clone());
                let is_long = self.one_in(6);
                let id = decision.id.clone();
                entries.push(Entry::Decision(Box::new(decision)));
                for n in 1..if is_long { 4 } else { 1 } {
                    let (sets, rows_hidden) = (self.sets(), self.rows_hidden());
                    let shown = Shown {
                        of: id.clone(),
                        n,
                        sets,
                        rows_hidden,
                        reasons: Default::default(),
                        errors: vec![],
                        part: None,
                    };
                    entries.push(Entry::Shown(Box::new(shown)));
                }
            }
            6 if !open.is_empty() => {
                let of = Some(open[0].clone());
                entries.push(Entry::Alarm(Alarm { of, reason: "stage-mismatch".to_owned() }));
            }
            _ if !open.is_empty() => {
                let at = usize::try_from(self.below(open.len() as u64)).unwrap();
                let id = open[at].clone();
                if self.one_in(8) {
                    let (sets, rows_hidden) = (self.sets(), self.rows_hidden());
                    let shown = Shown {
                        of: id,
                        n: 9,
                        sets,
                        rows_hidden,
                        reasons: Default::default(),
                        errors: vec![],
                        part: None,
                    };
                    return entries.push(Entry::Shown(Box::new(shown)));
                }
                open.swap_remove(at);
                entries.push(self.outcome(&id));
                if self.one_in(5) {
                    entries
                        .push(Entry::Delivery(Delivery { of: id.clone(), delivered: Delivered::Abandoned }));
                }
                if self.one_in(20) {
                    open.push(id);
                }
            }
            _ => {}
        }
    }

    fn refusals(&mut self) -> Entry {
        let count = |ops: &mut Self| RefusalCount {
            reason: ops.pick(&["credential-unknown", "denied"]).to_owned(),
            source: ops.pick(&["s_1", "s_2", "others"]).to_owned(),
            count: ops.below(5) + 1,
        };
        Entry::Refusals(Refusals { second: "s".to_owned(), counts: vec![count(self), count(self)] })
    }

    fn decision(&mut self) -> Decision {
        self.ids += 1;
        let effect = match self.below(8) {
            0 => Effect::Deny,
            1 => Effect::Refuse,
            2 => Effect::Fail,
            _ => Effect::Allow,
        };
        let id = match self.one_in(5) {
            true => format!("odd-{}", self.ids),
            false => uuid::Uuid::from_u128(u128::from(self.state) << 64 | u128::from(self.ids)).to_string(),
        };
        let reason = (effect != Effect::Allow).then(|| self.pick(&["denied", "route-unmapped"]).to_owned());
        let is_write = self.one_in(3);
        let write = is_write.then(|| self.write());
        let sets = if is_write { Vec::new() } else { self.sets() };
        let rows_hidden = if is_write { Vec::new() } else { self.rows_hidden() };
        Decision {
            id,
            who: (!self.one_in(10)).then(|| self.who()),
            method: self.pick(&["GET", "POST"]).to_owned(),
            route: (!self.one_in(8)).then(|| "GET /deals/{id}".to_owned()),
            query: Vec::new(),
            effect,
            reason,
            access: self.access(is_write),
            sets,
            rows_hidden,
            reasons: Default::default(),
            write,
            bundle: self.pick(&["aaaaaaaa01", "aaaaaaaa02", "bbbbbbbb01"]).to_owned(),
            directory: self.pick(&["cccccccc01", "aaaaaaaa03"]).to_owned(),
            mode: if self.one_in(4) { Mode::Observe } else { Mode::Enforce },
            part: None,
        }
    }

    fn who(&mut self) -> Who {
        Who {
            handle: self.pick(&["p_a", "p_b", "p_c"]).to_owned(),
            principal_type: "User".to_owned(),
            authn: self.pick(&["api-key", "api-key", "asserted"]).to_owned(),
            auth_level: None,
            on_behalf_of: self.one_in(6).then(|| self.pick(&["p_a", "p_d"]).to_owned()),
        }
    }

    fn access(&mut self, is_write: bool) -> Vec<Access> {
        let actions: &[&str] =
            if is_write { &["view", "edit", "moveStage", "writeField", "create"] } else { &["view", "list"] };
        let mut access = Vec::new();
        for _ in 0..self.below(3) {
            access.push(Access {
                action: self.pick(actions).to_owned(),
                record_type: self.pick(&["Deal", "Deal", "Contact"]).to_owned(),
                ids: self.some(&["1", "2", "(new)"]),
                effect: if self.one_in(4) { Effect::Deny } else { Effect::Allow },
                policies: self.some(&["policy.a", "policy.b"]),
                errors: Vec::new(),
                reason: None,
                attribute: None,
            });
        }
        access
    }

    fn field_set(&mut self, of: &[&str]) -> FieldSet {
        FieldSet::of(self.some(of))
    }

    fn sets(&mut self) -> Vec<Sets> {
        let mut sets = Vec::new();
        for _ in 0..self.below(3) {
            sets.push(Sets {
                record_type: self.pick(&["Deal", "Deal", "Contact"]).to_owned(),
                shown: self.field_set(&["Deal.amount", "Deal.title"]),
                hidden: self.field_set(&["Deal.margin", "Deal.notes", "Deal.\"odd\\name"]),
                masked: self.field_set(&["Deal.phone", "Deal.margin"]),
                ids: self.some(&["1", "2", "3"]),
                policies: self.some(&["policy.a", "policy.b", "policy.c"]),
            });
        }
        sets
    }

    fn rows_hidden(&mut self) -> Vec<RowsHidden> {
        if !self.one_in(3) {
            return Vec::new();
        }
        vec![RowsHidden {
            record_type: "Deal".to_owned(),
            ids: self.some(&["1", "2", "4"]),
            policies: self.some(&["policy.d"]),
            reason: Some("no-permit".to_owned()),
            attribute: None,
        }]
    }

    fn stage(&mut self) -> Option<Change> {
        self.one_in(2).then(|| Change {
            from: (!self.one_in(4)).then(|| self.pick(&["sales.won", "sales.lost", "after.won"]).to_owned()),
            to: (!self.one_in(4)).then(|| self.pick(&["sales.won", "sales.open", "after.open"]).to_owned()),
        })
    }

    fn write(&mut self) -> Write {
        Write {
            asked: self.some(&["Deal.amount", "Deal.margin"]),
            refused: self.some(&["Deal.margin"]),
            stage: self.stage(),
            ..Write::default()
        }
    }

    fn outcome(&mut self, id: &str) -> Entry {
        let released = match self.below(6) {
            0 => Release::Problem,
            1 => Release::None,
            2 => Release::Unknown,
            3 => Release::All,
            _ => Release::Filtered,
        };
        let delivered = match self.below(4) {
            0 => Delivered::Partial,
            1 => Delivered::Unknown,
            _ => Delivered::Yes,
        };
        Entry::Outcome(Outcome {
            of: id.to_owned(),
            status: Some(200),
            upstream: match self.below(4) {
                0 => None,
                1 => Some(422),
                _ => Some(200),
            },
            released,
            bytes: Some(1),
            delivered,
            reason: self.one_in(4).then(|| self.pick(&["denied", "upstream-timeout"]).to_owned()),
            mode: None,
            sets: if self.one_in(3) { self.sets() } else { Vec::new() },
            stage: if self.one_in(4) { self.stage() } else { None },
            part: None,
        })
    }

    /// Bounds of a question.
    pub fn within(&mut self, twin: &Twin) -> Within {
        let time = |ops: &mut Self| i64::try_from(ops.below(1_500) * 1_000_000_000).unwrap();
        Within {
            from: self.one_in(3).then(|| time(self)),
            to: self.one_in(3).then(|| time(self)),
            after: if self.one_in(3) { self.below(twin.last() + 2) } else { 0 },
            policy: self.one_in(3).then(|| self.pick(&["policy.a", "policy.d", "policy.x"]).to_owned()),
            revision: self.one_in(3).then(|| self.pick(&["aaaaaaaa", "bbbbbbbb01", "dddddddd"]).to_owned()),
            limit: if self.one_in(2) { usize::try_from(self.below(5)).unwrap() + 1 } else { usize::MAX },
        }
    }
}

/// The nth id of [`long_entries`].
pub fn long_id(n: usize) -> String {
    format!("{n:012}")
}

/// A read, a long list and a write, each of so many records that its entry takes several lines.
pub fn long_entries() -> Vec<Entry> {
    let mut ops = Ops::new(11);
    let mut one = |from: usize| {
        let decision = ops.decision();
        let ids: Vec<String> = (from..from + 9_000).map(long_id).collect();
        let sets = vec![Sets {
            record_type: "Deal".to_owned(),
            shown: FieldSet::of(["Deal.amount"]),
            hidden: FieldSet::default(),
            masked: FieldSet::default(),
            ids: ids.clone(),
            policies: vec!["policy.a".to_owned()],
        }];
        let who = Who { handle: "p_a".to_owned(), on_behalf_of: None, authn: "jwt".to_owned(), ..ops.who() };
        let plain = Decision {
            who: Some(who),
            access: vec![],
            sets: vec![],
            rows_hidden: vec![],
            write: None,
            effect: Effect::Allow,
            reason: None,
            mode: Mode::Enforce,
            ..decision
        };
        (plain, sets, ids)
    };
    let (read, list, write) = (one(0), one(9_000), one(18_000));
    let shown = Shown {
        of: list.0.id.clone(),
        n: 1,
        sets: list.1,
        rows_hidden: vec![],
        reasons: Default::default(),
        errors: vec![],
        part: None,
    };
    let access = Access {
        action: "edit".to_owned(),
        record_type: "Deal".to_owned(),
        ids: write.2,
        effect: Effect::Allow,
        policies: vec![],
        errors: vec![],
        reason: None,
        attribute: None,
    };
    let outcome = Outcome {
        of: write.0.id.clone(),
        status: Some(200),
        upstream: Some(200),
        released: Release::Filtered,
        bytes: Some(1),
        delivered: Delivered::Yes,
        reason: None,
        mode: None,
        sets: write.1,
        stage: None,
        part: None,
    };
    let decision = |decision: Decision| Entry::Decision(Box::new(decision));
    vec![
        decision(Decision { sets: read.1, ..read.0 }),
        decision(list.0),
        Entry::Shown(Box::new(shown)),
        decision(Decision { access: vec![access], ..write.0 }),
        Entry::Outcome(outcome),
    ]
}
