//! What the index needs of a line, read without copying what need not be copied.
//!
//! Promises: members and kinds that this version does not know are passed over, as the format asks of readers. Never holds what
//! the index does not store.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ledger::entry::Part;

/// Text that is copied only where it is escaped.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A `fields` entry.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow)]
    pub set: Text<'a>,
    pub names: Vec<String>,
}

/// A `decision` entry.
#[derive(Debug, Deserialize)]
pub struct Decision<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub who: Option<Who<'a>>,
    #[serde(borrow)]
    pub method: Text<'a>,
    #[serde(borrow)]
    pub route: Option<Text<'a>>,
    #[serde(borrow)]
    pub effect: Text<'a>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub access: Vec<Access<'a>>,
    #[serde(borrow, default)]
    pub sets: Vec<Sets<'a>>,
    #[serde(borrow, default)]
    pub rows_hidden: Vec<RowsHidden<'a>>,
    #[serde(borrow)]
    pub write: Option<Write<'a>>,
    #[serde(borrow)]
    pub bundle: Text<'a>,
    #[serde(borrow)]
    pub directory: Text<'a>,
    #[serde(borrow)]
    pub mode: Text<'a>,
    pub part: Option<Part>,
}

/// The principal.
#[derive(Debug, Deserialize)]
pub struct Who<'a> {
    #[serde(borrow)]
    pub handle: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub principal_type: Text<'a>,
    #[serde(borrow)]
    pub authn: Text<'a>,
    #[serde(borrow, rename = "onBehalfOf")]
    pub on_behalf_of: Option<Text<'a>>,
}

/// Access requests that were decided alike.
#[derive(Debug, Deserialize)]
pub struct Access<'a> {
    #[serde(borrow)]
    pub action: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub record_type: Text<'a>,
    #[serde(borrow, default)]
    pub ids: Vec<Text<'a>>,
    #[serde(borrow)]
    pub effect: Text<'a>,
    #[serde(borrow, default)]
    pub policies: Vec<Text<'a>>,
}

/// Records whose fields were treated alike.
#[derive(Debug, Deserialize)]
pub struct Sets<'a> {
    #[serde(borrow, rename = "type")]
    pub record_type: Text<'a>,
    #[serde(borrow)]
    pub shown: Option<Text<'a>>,
    #[serde(borrow)]
    pub hidden: Option<Text<'a>>,
    #[serde(borrow)]
    pub masked: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub ids: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub policies: Vec<Text<'a>>,
}

/// Records that were left out.
#[derive(Debug, Deserialize)]
pub struct RowsHidden<'a> {
    #[serde(borrow, rename = "type")]
    pub record_type: Text<'a>,
    #[serde(borrow, default)]
    pub ids: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub policies: Vec<Text<'a>>,
}

/// A change that was asked for.
#[derive(Debug, Deserialize)]
pub struct Write<'a> {
    #[serde(borrow, default)]
    pub asked: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub refused: Vec<Text<'a>>,
    #[serde(borrow)]
    pub stage: Option<Change<'a>>,
}

/// An id before and after.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    #[serde(borrow)]
    pub from: Option<Text<'a>>,
    #[serde(borrow)]
    pub to: Option<Text<'a>>,
}

/// A `shown` entry.
#[derive(Debug, Deserialize)]
pub struct Shown<'a> {
    #[serde(borrow)]
    pub of: Text<'a>,
    #[serde(borrow, default)]
    pub sets: Vec<Sets<'a>>,
    #[serde(borrow, default)]
    pub rows_hidden: Vec<RowsHidden<'a>>,
}

/// An `outcome` entry.
#[derive(Debug, Deserialize)]
pub struct Outcome<'a> {
    #[serde(borrow)]
    pub of: Text<'a>,
    pub status: Option<u16>,
    pub upstream: Option<u16>,
    #[serde(borrow)]
    pub released: Text<'a>,
    #[serde(borrow)]
    pub delivered: Text<'a>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub sets: Vec<Sets<'a>>,
    #[serde(borrow)]
    pub stage: Option<Change<'a>>,
    pub part: Option<Part>,
}

/// A `delivery` entry.
#[derive(Debug, Deserialize)]
pub struct Delivery<'a> {
    #[serde(borrow)]
    pub of: Text<'a>,
    #[serde(borrow)]
    pub delivered: Text<'a>,
}

/// An `alarm` or `observed` entry: something that is said of a decision.
#[derive(Debug, Deserialize)]
pub struct Remark<'a> {
    #[serde(borrow)]
    pub of: Option<Text<'a>>,
}

/// A `refusals` entry.
#[derive(Debug, Deserialize)]
pub struct Refusals<'a> {
    #[serde(borrow)]
    pub counts: Vec<RefusalCount<'a>>,
}

/// How many were refused alike.
#[derive(Debug, Deserialize)]
pub struct RefusalCount<'a> {
    #[serde(borrow)]
    pub reason: Text<'a>,
    #[serde(borrow)]
    pub source: Text<'a>,
    pub count: u64,
}

/// A `gap` entry.
#[derive(Debug, Deserialize)]
pub struct Gap {
    pub refused: u64,
    #[serde(default)]
    pub lost: u64,
    /// Set where no entry is missing, but requests passed that are none.
    pub minute: Option<IgnoredAny>,
}

impl Write<'_> {
    /// Whether a field may not be written.
    pub fn has_refused(&self, field: &Text<'_>) -> bool {
        self.refused.iter().any(|refused| refused.as_str() == field.as_str())
    }
}

impl<'a> Text<'a> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
