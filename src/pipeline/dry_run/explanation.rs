//! What a dry run tells: each step of the path as plain values, for people and programs to read.
//!
//! Promises: every policy that is named is described once, with its effect, its `@reason` and its place. Never holds a
//! credential. Made by [`dry_run`](super::dry_run()) alone; nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What would be decided of one request, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The principal, in Cedar's form.
    pub principal: String,
    /// The strength of authentication that was taken for verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_level: Option<i64>,
    /// For whom the principal acts, in Cedar's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The time of the decision, RFC 3339 in UTC.
    pub at: String,
    /// The request's method.
    pub method: String,
    /// The request's target, as it was given.
    pub target: String,
    /// The hash of the bundle that decides.
    pub bundle: String,
    /// The hash of the directory that decides.
    pub directory: String,
    /// How the request would end.
    pub outcome: Outcome,
    /// Why it would not get its answer.
    pub problem: Option<Ended>,
    /// What was not given and has a bearing on the answer.
    pub missing: Vec<Missing>,
    /// The route that matched.
    pub route: Option<RouteMatch>,
    /// Where none did: labels of routes with the same path and other methods.
    pub other_methods: Vec<String>,
    /// What the route makes of the request; absent where it passes undecided.
    pub access: Option<Asked>,
    /// The fields that the query refers to.
    pub references: Vec<ReferenceUse>,
    /// The names that would be added to the projection, because policy needs them.
    pub added: Vec<String>,
    /// Every decision before the CRM is asked, in order.
    pub decisions: Vec<Decided>,
    /// What a write would change, one for each record.
    pub changes: Vec<Changes>,
    /// The rows that the proxy would look for, where it fills up pages: what the CRM is sent is the first of several pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refilled: Option<Wanted>,
    /// What the CRM would be sent.
    pub upstream: Option<Sent>,
    /// What would leave of the sample answer.
    pub answer: Option<Answered>,
    /// Every policy that is named above, by id.
    pub policies: BTreeMap<String, PolicyNote>,
}

/// Rows of those that the caller may view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// How many are skipped.
    pub skip: u64,
    /// How many are answered at most.
    pub take: u64,
}

/// How a request would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It gets its answer, as far as policy leaves it.
    Allow,
    /// Policy says no.
    Deny,
    /// It is declined before or despite policy.
    Refuse,
    /// Something is broken.
    Fail,
    /// What was given does not tell.
    #[default]
    Undetermined,
}

/// Why a request would not get its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The reason code.
    pub reason: &'static str,
    /// What the caller reads of it.
    pub title: &'static str,
    /// The status that the caller gets.
    pub status: u16,
    /// What the caller is told beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The keys of the caller's body that are concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What only operators read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<String>,
}

/// Something that was not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Missing {
    /// A record as the CRM holds it.
    Record {
        /// Its type.
        #[serde(rename = "type")]
        type_name: String,
        /// Its id.
        id: String,
        /// The route that yields it.
        route: String,
    },
    /// Attributes of a record in the sample answer.
    Attributes {
        /// The record's type.
        #[serde(rename = "type")]
        type_name: String,
        /// Its id.
        id: String,
        /// The route by which the service would fetch them.
        route: String,
    },
    /// The CRM's answer.
    Answer,
}

/// The route that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteMatch {
    /// Its label.
    pub label: String,
    /// Where it stands, as `profile.toml:14`.
    pub place: String,
    /// Why it passes undecided, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<String>,
}

/// What a route makes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The action, and further ones that the body calls for.
    pub actions: Vec<&'static str>,
    /// The record type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// The records that the request names.
    pub ids: Vec<String>,
    /// The stage that it moves to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// One use of a field in a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReferenceUse {
    /// What the parameter does with it.
    pub role: &'static str,
    /// The field's full name, after those of the embedding fields.
    pub fields: Vec<String>,
    /// Whether it may.
    pub is_permitted: bool,
    /// Why.
    pub why: &'static str,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The action.
    pub action: &'static str,
    /// The record type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The records.
    pub ids: Vec<String>,
    /// The field, for decisions on fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was decided.
    #[serde(flatten)]
    pub because: Because,
}

/// What was decided and what determined it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// `allow` or `deny`.
    pub effect: &'static str,
    /// The reason code, for a deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The determining policies.
    pub policies: Vec<String>,
    /// The policies that failed to evaluate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Where no policy permits it: those that permit this action on this type under conditions that are not met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
}

/// What a write would change of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Fields that the body writes.
    pub asked: BTreeSet<String>,
    /// Those of them that are denied.
    pub refused: BTreeSet<String>,
    /// Denied fields that were sent as they stand, and are left out.
    pub unchanged: BTreeSet<String>,
    /// The stage before and after.
    pub stage: Option<(String, String)>,
    /// The owner before and after.
    pub owner: Option<(String, String)>,
    /// The team before and after.
    pub team: Option<(String, String)>,
}

/// A request to the CRM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers, without the credential.
    pub headers: Vec<(String, String)>,
    /// What stands for the credential.
    pub credential: &'static str,
    /// The body.
    pub body: String,
}

/// What would leave of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// The CRM's status.
    pub upstream_status: u16,
    /// Each record that it holds, in order.
    pub records: Vec<RecordNote>,
    /// How many of them, embedded ones not counted, may not be viewed.
    pub rows_removed: usize,
    /// The body that leaves; absent where none does.
    pub body: Option<String>,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordNote {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id.
    pub id: String,
    /// Whether it stands inside of another record.
    pub is_embedded: bool,
    /// Whether any of it leaves: it may be viewed, and so may the field that it stands in.
    pub is_released: bool,
    /// Whether it may be viewed.
    pub view: Because,
    /// What becomes of each field; empty where the record does not leave.
    pub fields: Vec<FieldNote>,
}

/// What becomes of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldNote {
    /// Its full name.
    pub name: String,
    /// What becomes of it.
    pub state: FieldState,
    /// The determining policies; empty where none permits it.
    pub policies: Vec<String>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldState {
    /// Its value leaves.
    Shown,
    /// A mask leaves.
    Masked,
    /// It is held back.
    Hidden,
    /// The answer does not carry it, or the caller did not ask for it.
    Absent,
}

/// A policy that had a part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyNote {
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// What its `@reason` says.
    pub reason: Option<String>,
    /// Where it stands, as `policies/deals.cedar:14`.
    pub place: Option<String>,
}
