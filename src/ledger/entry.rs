//! What callers may say to the ledger: one struct per kind of entry, spelled in JSON as its members are
//! named here.
//!
//! Promises: absent and empty members are omitted; a member's name and meaning never change once released.
//! Never has a place for a field's value, a token, a raw query, or a person's name or address.

pub mod review;
pub mod revision;
pub mod sink;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::review::Review;
use self::revision::Revision;
use self::sink::SinkChange;
use super::counts::{Passes, Refusals, Unrecorded};
use super::field_set::FieldSet;
use super::removal::Removal;
use super::who::Who;

/// One thing to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The service started.
    Start(Start),
    /// The configuration that the service started with.
    Config(Configured),
    /// A request was decided. It stays open until an outcome names it.
    Decision(Box<Decision>),
    /// What a part of a long answer showed; durable before that part leaves.
    Shown(Box<Shown>),
    /// What became of a decided request.
    Outcome(Outcome),
    /// Names that an observed request showed and the profile does not have.
    Observed(Observed),
    /// Whether a write's answer reached the caller, where that was known only after its outcome.
    Delivery(Delivery),
    /// Requests refused before anyone was identified, counted.
    Refusals(Refusals),
    /// Requests on routes for which nobody is identified, counted.
    Passes(Passes),
    /// Requests that passed while nothing could be recorded; a `gap` entry.
    Unrecorded(Unrecorded),
    /// A bundle, a directory or keys were offered.
    Revision(Revision),
    /// Something that a person must look at.
    Alarm(Alarm),
    /// The clock that entries are stamped with stepped.
    Clock(ClockStep),
    /// A principal was erased from the table of handles.
    Erasure(Erasure),
    /// Someone looked at the ledger.
    Read(Read),
    /// Somebody signed off an access review.
    Review(Review),
    /// A copy of the ledger went down or is back.
    Sink(SinkChange),
    /// The oldest segment is removed.
    Removal(Removal),
}

/// The service started; everything after it was decided by this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Start {
    /// The program's version.
    pub version: String,
    /// A random id of this process's life.
    pub boot: String,
    /// The hash of the bundle that serves.
    pub bundle: String,
    /// The hash of the directory that serves.
    pub directory: String,
    /// The address that it listens on.
    pub listen: String,
    /// What is not enforced until a date, by the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observe: Vec<ObserveGroup>,
    /// The public keys that sign checkpoints, as `NAME+ID+BASE64`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// The configuration that the service started with; another one takes another start. Names of settings, never their values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// The SHA-256 of the file, in hex.
    pub hash: String,
    /// The settings that the file states and that are not the defaults, as `section.key`, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
}

/// A group of routes that is not enforced until a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObserveGroup {
    /// Its name.
    pub name: String,
    /// What it covers, as the configuration spells it.
    pub routes: Vec<String>,
    /// Until when, as the configuration spells it.
    pub until: String,
}

/// A request was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The decision id, as the caller got it.
    pub id: String,
    /// The principal; absent where none was identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who>,
    /// The request's method.
    pub method: String,
    /// The route's template, such as `GET /deals/{id}`; absent where no route matched. Never the raw target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The names of the query's parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// What was decided of the request as a whole.
    pub effect: Effect,
    /// The reason code; absent for `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The access requests that were asked, grouped by what they have in common.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Which fields of which records were shown, hidden and masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Sets>,
    /// Records that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows_hidden: Vec<RowsHidden>,
    /// What the `@reason` annotations of policies that denied something say, by policy id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// What the request wanted to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Write>,
    /// The hash of the bundle that decided.
    pub bundle: String,
    /// The hash of the directory that decided.
    pub directory: String,
    /// Whether the decision was enforced.
    pub mode: Mode,
    /// Set by the ledger where the entry was split; callers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// Access requests with one action, type, effect and cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The action.
    pub action: String,
    /// The resource's type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The resources' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// What was decided.
    pub effect: Effect,
    /// The ids of the determining policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The ids of policies that failed to evaluate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The reason code of a denial that no policy determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name of the attribute that could not be used, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
}

/// Records of one type whose fields were treated alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sets {
    /// The records' type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Fields that were shown.
    #[serde(skip_serializing_if = "FieldSet::is_empty")]
    pub shown: FieldSet,
    /// Fields that were stripped.
    #[serde(skip_serializing_if = "FieldSet::is_empty")]
    pub hidden: FieldSet,
    /// Fields that were masked.
    #[serde(skip_serializing_if = "FieldSet::is_empty")]
    pub masked: FieldSet,
    /// The records' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The ids of the determining policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

/// Records of one type that were left out for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowsHidden {
    /// The records' type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The records' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The ids of the determining policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The reason code, where no policy said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name of the attribute that could not be used, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
}

/// What a request wanted to change, by the names of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Write {
    /// Whether it named no records, and would change whatever the CRM finds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbounded: bool,
    /// Fields that would change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// Those of them that were denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// Fields that were sent as they already stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<String>,
    /// The stage's id before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Change>,
    /// The owner's id before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Change>,
    /// The team's id before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Change>,
}

/// An id before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Before; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// After; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Permitted by policy.
    Allow,
    /// Policy said no.
    Deny,
    /// Declined before or despite policy.
    Refuse,
    /// Something broke.
    Fail,
}

/// Whether decisions are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are only recorded.
    Observe,
}

/// Which of several lines of one entry a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The line's number, from 1.
    pub n: u32,
    /// How many there are.
    pub of: u32,
}

/// What a part of a long answer showed, which leaves part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The decision's id.
    pub of: String,
    /// The part's number, from 1.
    pub n: u32,
    /// Which fields of which records were shown, hidden and masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Sets>,
    /// Records that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows_hidden: Vec<RowsHidden>,
    /// The `@reason` of policies that left records out, by id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// The ids of policies that failed to evaluate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Set where the entry takes several lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// What became of a decided request; it closes the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The decision's id.
    pub of: String,
    /// The status that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status that the CRM gave; absent where it was not asked or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<u16>,
    /// How much of the CRM's answer was released.
    pub released: Release,
    /// The bytes of the body that was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether the answer reached the caller.
    pub delivered: Delivered,
    /// The reason code, where the answer is not what was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `observe` where the request was observed: `reason` and `sets` then say what enforcement would have made of the
    /// answer, as far as the decision does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What a write's answer showed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Sets>,
    /// The stage that the record had before and has after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Change>,
    /// Set by the ledger where the entry was split; callers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// How much of the CRM's answer was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// All of it.
    All,
    /// What policy left of it.
    Filtered,
    /// A problem document of ours instead.
    Problem,
    /// Nothing.
    None,
    /// Nobody knows: the process ended before it said so.
    Unknown,
}

/// Whether an answer reached the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivered {
    /// It was written to the connection whole.
    Yes,
    /// A part of it was, then the answer or the connection broke off.
    Partial,
    /// The caller had gone.
    Abandoned,
    /// Not known, or not known yet.
    Unknown,
}

/// Names that an observed request and its answer showed and the profile does not have. Paths hold placeholders where a word
/// could be anything; there is no place for a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The decision's id.
    pub of: String,
    /// The group that observes.
    pub group: String,
    /// The request's method.
    pub method: String,
    /// The route's template, where one matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The path with placeholders, where none matched: `/api/deals/{int}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Names of parameters that are not declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// The request body's content type, from a closed list, where the body is not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_type: Option<String>,
    /// Places of the request body, where it is not described: `/lines/[*]/amount`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_keys: Vec<String>,
    /// The status that the CRM gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's content type, from a closed list, where the answer is not described.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_type: Option<String>,
    /// Places of the answer, where it is not described.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answer_keys: Vec<String>,
    /// Keys of records that no field claims.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<SeenFields>,
    /// How many names were left out: they may be values, or were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub unnamed: u64,
    /// The reason code with which the request would have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Keys of one type's records that no field claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenFields {
    /// The records' type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The keys, with points between levels.
    pub names: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether an answer reached the caller, where that was known only later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The decision's id.
    pub of: String,
    /// Whether it did.
    pub delivered: Delivered,
}

/// Something that a person must look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The decision that it concerns, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The reason code.
    pub reason: String,
}

/// The clock that entries are stamped with stepped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockStep {
    /// Milliseconds that it went beside the time that passed; below zero where it went back.
    pub step_ms: i64,
}

/// A principal was erased from the table of handles: from here on nobody can tell whose the handle was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// The handle.
    pub handle: String,
    /// Which token opened the door; the service knows no more of who asked for it.
    pub by: String,
}

/// Someone looked at the ledger through the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    /// The question: types, ids and names of fields; a principal by its handle.
    pub command: String,
    /// Which token opened the door; the service knows no more of who reads.
    pub by: String,
}
