//! Cases: what a bundle is meant to decide, written beside its policies.
//!
//! Promises: a case is judged by the functions that decide requests; what it states is compared whole, and what it names and is not
//! there is an error in the case, never a pass.

mod scene;
mod given;
mod read;
pub mod expect;
mod about_record;
mod about_request;
mod cedar_tests;
pub mod run;
pub mod junit;

use std::ops::Range;
use std::sync::Arc;

use crate::config::author::SourceFile;
use crate::model::principal::Asker;
use about_record::AboutRecord;
use about_request::AboutRequest;
use cedar_tests::CedarTest;

/// One case.
pub struct Case {
    /// What it says of itself.
    pub name: String,
    source: Arc<SourceFile>,
    span: Range<usize>,
    about: About,
}

/// What a case asks.
enum About {
    /// What somebody may do to a record or a collection.
    Record(Box<AboutRecord>, Asker),
    /// What becomes of a request.
    Request(Box<AboutRequest>, Asker),
    /// What Cedar's own tools would ask.
    Cedar(Box<CedarTest>),
}

impl Case {
    /// Where it stands, as `cases/deals.toml:14`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.source.name, self.source.line_of(self.span.start))
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        &self.source.name
    }
}
