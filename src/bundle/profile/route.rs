//! Routes: what a request to the CRM's API means, where its parts are, and what may leave of the answer. Plain data, read
//! from the profile by `read`; never decides.

pub mod body;
pub mod condition;
pub mod read;
pub mod version;

use std::collections::BTreeMap;
use std::ops::Range;

use http::Method;

use body::BodySpec;
use condition::Condition;
use version::Versioning;

use super::csv::CsvSpec;
use super::pages::Pages;
use super::push::PushDown;
use super::query::{BodyRule, HeaderRule, QueryRule};
use super::refill::Refill;
use super::shape::Shape;
use super::source::{ActionSource, IdSource, LinkSource, StageSource, TypeSource};
use super::template::Template;
use super::transit::{IdentityNeed, Transit};
use super::types::KeyPath;
use crate::config::reader::Text;
use crate::json::path::JsonPath;
use crate::model::access::{Action, Scope};

/// One route of the CRM's API.
#[derive(Clone, Debug)]
pub struct Route {
    /// Methods and path.
    pub template: Template,
    /// Where the route stands in the profile.
    pub span: Range<usize>,
    /// What the route is called, if not by its methods and path.
    pub name: Option<String>,
    /// What else a request must fulfil.
    pub when: Vec<Condition>,
    /// Labels of routes that this one precedes where both match.
    pub over: Vec<Text>,
    /// Whether the caller must be identified.
    pub identity: IdentityNeed,
    /// Why the route passes unfiltered; `None` for routes that are decided.
    pub pass: Option<String>,
    /// How its bodies travel, if they are not looked into.
    pub transit: Option<Transit>,
    /// Why the route is refused: it is known but not described yet. What else stands there is not checked for being whole.
    pub refuse: Option<String>,
    /// What it stands for; `None` only on routes that pass or are refused.
    pub action: Option<ActionSource>,
    /// The type of the records it is about.
    pub type_source: Option<TypeSource>,
    /// Where the request names the record.
    pub id: Option<IdSource>,
    /// Keys of the record that the route's own action covers, if it says so: who writes them by another route asks for the
    /// action too.
    pub covers: Option<Vec<KeyPath>>,
    /// The records beside its own that a change names elsewhere than in its fields.
    pub links: Vec<LinkSource>,
    /// Further decisions that the body calls for.
    pub also: Vec<Also>,
    /// What may leave of a success.
    pub shape: Shape,
    /// What may leave of an error; without a match only the status leaves.
    pub errors: Vec<ErrorRule>,
    /// The declared query parameters.
    pub query: Vec<QueryRule>,
    /// For a read that takes a body: the declared places of it. There are no others.
    pub reads: Vec<BodyRule>,
    /// The declared headers.
    pub headers: Vec<HeaderRule>,
    /// The label of the route that yields the record as it stands.
    pub before: Option<Text>,
    /// How a write is kept to the record that was judged.
    pub version: Versioning,
    /// What a change of a record that is not there is.
    pub missing: MissingRecord,
    /// Where an answer names the records that were left out of a change of many; without it one refusal refuses all.
    pub prune: Option<JsonPath>,
    /// Where the profile says that a change of many names no records: it changes whatever the CRM finds.
    pub unbounded: Option<Range<usize>>,
    /// Where the body's fields are.
    pub writes: Option<Writes>,
    /// Where a stage move goes.
    pub to: Option<StageSource>,
    /// How the CRM can be told which rows to leave out.
    pub push_down: Option<PushDown>,
    /// What may leave of a success in which no row is hidden: totals tell nothing then.
    pub pushed_shape: Option<Shape>,
    /// Where a list names its other pages.
    pub pages: Pages,
    /// How its pages are filled up where rows are hidden.
    pub refill: Option<Refill>,
    /// What may leave of a success whose page was filled up: the number of rows, but no other page.
    pub refilled_shape: Option<Shape>,
    /// What the request body is.
    pub body: BodySpec,
    /// Whether hidden rows may shape the page: they show as shorter pages.
    pub hidden_rows: HiddenRows,
    /// How a success is written, if it is a table of text and not JSON.
    pub csv: Option<CsvSpec>,
    /// What a success says of itself, if a status alone does not tell.
    pub success: Option<Success>,
    /// Types of which the caller must see everything, since the answer cannot be filtered.
    pub requires: Vec<Text>,
    /// Narrower limits than the service's.
    pub limits: RouteLimits,
}

/// A further decision that a body calls for.
#[derive(Clone, Debug)]
pub struct Also {
    /// The action.
    pub action: Action,
    /// Where the body says so.
    pub at: JsonPath,
    /// What it must say.
    pub when: When,
}

/// What a place of the body must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Anything.
    Present,
    /// One of these JSON texts.
    Is(Vec<String>),
    /// Something else than the record holds.
    Changes,
}

/// Where the body's fields are and what it means to leave one out.
#[derive(Clone, Debug)]
pub struct Writes {
    /// The object whose keys are fields.
    pub at: JsonPath,
    /// Merge or replace.
    pub semantics: WriteSemantics,
    /// Keys that the CRM erases where a merge leaves them out.
    pub clears: Vec<KeyPath>,
    /// Those of them that are sent along as they stand, with the place of what a write takes, from the field's value.
    pub resend: BTreeMap<String, JsonPath>,
    /// Keys of the object that the CRM takes no notice of: cut out of what is forwarded, and never erased.
    pub ignored: Vec<String>,
    /// What a full replacement does to values that its caller cannot see.
    pub hidden: HiddenValues,
    /// What the CRM assumes where a body for a new record leaves a key out, as JSON text by wire key.
    pub defaults: BTreeMap<String, String>,
}

/// What a missing key means in a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteSemantics {
    /// Nothing.
    Merge,
    /// The value is erased.
    Replace,
}

/// What a full replacement does to values that its caller cannot see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenValues {
    /// It is refused.
    #[default]
    Refuse,
    /// They are merged back in, from the record of the version that is pinned.
    Keep,
}

/// What a change of a record that is not there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingRecord {
    /// Not found.
    #[default]
    NotFound,
    /// A creation.
    Create,
}

/// What hidden rows do to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenRows {
    /// Not a list, or the author has not said.
    Unstated,
    /// They show in page lengths.
    Visible,
    /// They show in page lengths, but without a paging parameter the CRM answers every match.
    VisibleWhenPaged,
}

/// What an answer must say of itself to be a success.
#[derive(Clone, Debug)]
pub struct Success {
    /// Where.
    pub at: JsonPath,
    /// One of these JSON texts.
    pub is: Vec<String>,
}

/// What may leave of an error.
#[derive(Clone, Debug)]
pub struct ErrorRule {
    /// The statuses.
    pub statuses: Vec<u16>,
    /// What passes.
    pub shape: Shape,
}

/// A route's own limits; `None` means the service's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Bytes of a request body.
    pub body_bytes: Option<usize>,
    /// Bytes of an answer.
    pub answer_bytes: Option<usize>,
    /// Depth of JSON in either.
    pub depth: Option<usize>,
    /// Records in one answer.
    pub records: Option<usize>,
    /// Milliseconds until the CRM must have answered.
    pub time_ms: Option<u64>,
}

/// Who left hidden rows out of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// The proxy.
    #[default]
    Checked,
    /// The CRM, exactly, or there are none; the proxy checked them again.
    Pushed,
    /// The proxy, which filled up the page.
    Refilled,
}

impl Route {
    /// What may leave of a success.
    pub fn shape_of(&self, rows: Rows) -> &Shape {
        let shape = match rows {
            Rows::Checked => None,
            Rows::Pushed => self.pushed_shape.as_ref(),
            Rows::Refilled => self.refilled_shape.as_ref(),
        };
        shape.unwrap_or(&self.shape)
    }

    /// Every action that the route may stand for, further decisions included.
    pub fn actions(&self) -> Vec<Action> {
        let own = self.action.as_ref().map(ActionSource::actions).unwrap_or_default();
        own.into_iter().chain(self.also.iter().map(|also| also.action)).collect()
    }

    /// Whether a request by this method may change something: an action does, or nothing is known of what it does.
    pub fn may_change_by(&self, method: &Method) -> bool {
        let is_unknown = self.action.is_none() && !method.is_safe();
        is_unknown || self.actions().into_iter().any(Action::is_change)
    }

    /// Whether a request by this method carries nothing: nobody is identified for it, it changes nothing, and no cookie travels.
    pub fn carries_nothing_by(&self, method: &Method) -> bool {
        let has_cookies = self.transit.as_ref().is_some_and(|transit| !transit.cookies.is_empty());
        self.identity == IdentityNeed::Nobody && method.is_safe() && !has_cookies
    }

    /// Whether no request can match both by their conditions.
    pub fn is_told_from(&self, other: &Route) -> bool {
        self.when.iter().any(|mine| other.when.iter().any(|theirs| mine.excludes(theirs)))
    }

    /// Whether the route answers one record that already is: its errors are those of the record.
    pub fn reads_one_record(&self) -> bool {
        let actions = self.actions();
        !actions.is_empty() && actions.iter().all(|action| action.scope() == Scope::RecordRead)
    }

    /// The label, e.g. `GET /deals/{id}`.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.template.to_string())
    }
}

/// Statuses by which a CRM says that there is a record, though not for this caller or not now.
pub fn tells_of_records(status: u16) -> bool {
    matches!(status, 403 | 409 | 412 | 423 | 424 | 428 | 451)
}
