//! What can be asked of an index, and what it answers.

use super::error::IndexError;

/// Which entries an answer may be about.
#[derive(Clone, Debug)]
pub struct Within {
    /// Not before this time, in nanoseconds since 1970.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
    /// Only entries after this one.
    pub after: u64,
    /// Only decisions that this policy determined, in part at least.
    pub policy: Option<String>,
    /// Only decisions by a bundle or directory whose hash begins so.
    pub revision: Option<String>,
    /// How many rows are told.
    pub limit: usize,
}

/// Rows in the order of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// At most as many as were asked for.
    pub rows: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What was searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// The first entry that the ledger keeps; 0 where it has none.
    pub first: u64,
    /// The last one that is in the index.
    pub last: u64,
    /// When the first was written, in nanoseconds since 1970.
    pub from: i64,
    /// When the last was.
    pub to: i64,
    /// How many gaps there are, and how many entries could not be recorded in them.
    pub gaps: (u64, u64),
    /// How many observed requests let something of the CRM leave of which no entry says what it was.
    pub blind: u64,
}

/// A principal, as entries name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The handle.
    pub handle: String,
    /// The type; empty where no entry says it.
    pub type_name: String,
}

/// One decision and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The number of its first entry.
    pub seq: u64,
    /// The decision id.
    pub id: String,
    /// When it was recorded, in nanoseconds since 1970.
    pub t: i64,
    /// Who asked; `None` where nobody was identified.
    pub who: Option<Principal>,
    /// For whom it acted.
    pub on_behalf_of: Option<Principal>,
    /// Whether another service asked what would be decided.
    pub is_asserted: bool,
    /// The request's method.
    pub method: String,
    /// The route's template.
    pub route: Option<String>,
    /// `allow`, `deny`, `refuse` or `fail`.
    pub effect: String,
    /// The reason code, where it is not `allow`.
    pub reason: Option<String>,
    /// The bundle's hash.
    pub bundle: String,
    /// The directory's hash.
    pub directory: String,
    /// Whether nothing of it was enforced.
    pub is_observed: bool,
    /// Whether it is about a change.
    pub is_change: bool,
    /// The outcome; `None` where there is none yet.
    pub end: Option<End>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The number of its entry.
    pub seq: u64,
    /// The status that the caller got.
    pub status: Option<u16>,
    /// The status that the CRM gave.
    pub upstream: Option<u16>,
    /// `all`, `filtered`, `problem`, `none` or `unknown`.
    pub released: String,
    /// `yes`, `partial`, `abandoned` or `unknown`.
    pub delivered: String,
    /// The reason code, where the answer is not what was decided.
    pub reason: Option<String>,
}

/// A record, by type and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its type.
    pub type_name: String,
    /// Its id as the CRM spells it.
    pub id: String,
}

/// A record that was shown to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The decision.
    pub act: Act,
    /// The record. Without an id where the entry has none: it may be any of its type.
    pub record: Record,
    /// Fields that were shown.
    pub shown: Vec<String>,
    /// Fields that were shown masked.
    pub masked: Vec<String>,
    /// Fields that left although policies would have stripped or masked them: the request was only observed.
    pub unenforced: Vec<String>,
    /// Whether the record left whole although policies would have left it out, for the same cause.
    pub is_whole: bool,
    /// The determining policies.
    pub policies: Vec<String>,
}

/// A way in which records of a type were treated.
#[derive(Debug, PartialEq, Eq)]
pub struct Spelled {
    /// Their type.
    pub type_name: String,
    /// Fields that were shown.
    pub shown: Vec<String>,
    /// Fields that were stripped.
    pub hidden: Vec<String>,
    /// Fields that were shown masked.
    pub masked: Vec<String>,
    /// The determining policies.
    pub policies: Vec<String>,
    /// Whether they were to be left out, and were not: the request was only observed.
    pub is_whole: bool,
}

/// What a principal did or was kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// Was shown fields of records.
    Saw,
    /// Changed something, or may have.
    Changed,
    /// Was denied, refused or failed.
    Refused,
    /// Had fields or rows held back.
    HeldBack,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The CRM carried it out.
    Done,
    /// The CRM accepted it, and what then stood there is not known or not what was asked for.
    Unconfirmed,
    /// It was not forwarded.
    Refused,
    /// The CRM refused it.
    Rejected,
    /// Nobody knows.
    Unknown,
}

/// A stage move, carried out or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The decision.
    pub act: Act,
    /// The stage before.
    pub from: Option<String>,
    /// The stage after.
    pub to: Option<String>,
    /// What became of it.
    pub change: Change,
}

/// Which moves are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stages {
    /// All.
    All,
    /// Those out of this stage or into it.
    Stage(String),
    /// Those in, out of or into a pipeline.
    Pipeline(String),
}

/// Refusals before anyone was identified, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The reason code.
    pub reason: String,
    /// How many.
    pub number: u64,
    /// From how many sources; those that were counted together are one.
    pub sources: u64,
}

/// Refusals of one second, reason and source before anyone was identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unidentified {
    /// The number of the entry.
    pub seq: u64,
    /// When it was written, in nanoseconds since 1970.
    pub t: i64,
    /// The reason code.
    pub reason: String,
    /// The handle of the source, or `others`.
    pub source: String,
    /// How many.
    pub number: u64,
}

/// Somebody read the ledger through a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The number of the entry.
    pub seq: u64,
    /// When, in nanoseconds since 1970.
    pub t: i64,
    /// What was asked.
    pub command: String,
    /// Who asked, as the service knows it.
    pub by: String,
}

impl Within {
    /// Everything that the ledger keeps.
    pub fn everything() -> Self {
        Self { from: None, to: None, after: 0, policy: None, revision: None, limit: usize::MAX }
    }
}

impl Act {
    /// What became of a change that this decision is about.
    pub fn change(&self) -> Change {
        if self.effect != "allow" && !self.is_observed {
            return Change::Refused;
        }
        match self.end.as_ref().and_then(|end| end.upstream) {
            None => Change::Unknown,
            Some(400..) => Change::Rejected,
            Some(_) if self.end.as_ref().is_some_and(|end| end.reason.is_some() && !self.is_observed) => {
                Change::Unconfirmed
            }
            Some(_) => Change::Done,
        }
    }

    /// Whether anything of an answer of the CRM left, or may have. What another service was told it may show, may have been.
    pub fn may_have_shown(&self) -> bool {
        let is_withheld = |end: &End| matches!(end.released.as_str(), "problem" | "none");
        self.is_asserted || !self.end.as_ref().is_some_and(is_withheld)
    }

    /// Whether it did not go through, as decided or later.
    pub fn is_refused(&self) -> bool {
        self.effect != "allow" || self.end.as_ref().is_some_and(|end| end.reason.is_some())
    }
}

impl Change {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// What questions come to.
pub type Answer<T> = Result<Found<T>, IndexError>;
