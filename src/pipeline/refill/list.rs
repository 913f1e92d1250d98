//! The rows that are wanted, taken from the CRM's pages, and the answer that is put together of them: the first page with these
//! rows in the place of its own.
//!
//! Promises: key order, numbers and escapes stay as the CRM wrote them; no hidden row is in it, nor in any count of rows. What is put
//! together is no released body: it is an answer like the CRM's, to be filtered.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, LINK};

use crate::bundle::profile::shape::Shape;
use crate::json::parse::JsonLimits;
use crate::json::path::{JsonPath, Segment};
use crate::json::strip;
use crate::json::value::{Document, Kind, NodeId, Value};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::seeded::{Fault, is_seeded};
use crate::pipeline::decide::refill::Window;
use crate::pipeline::enforce::shown::ShownSets;
use crate::pipeline::fetch::judged::JudgedRows;
use crate::pipeline::forward::UpstreamResponse;

/// The rows that are wanted.
pub(super) struct WantedRows {
    window: Window,
    /// Where the list is; nothing if the root is the list.
    list: Vec<Segment>,
    /// Where the number of all rows is told.
    totals: Vec<JsonPath>,
    /// How many rows were met that may be viewed.
    viewed: u64,
    /// Those that are wanted, with commas between them.
    rows: Vec<u8>,
    /// The first page without its rows.
    envelope: Option<UpstreamResponse>,
    /// Rows that may not be viewed.
    pub hidden: ShownSets,
}

/// Whether all that is wanted is there.
pub(super) enum Taken {
    /// There may be more.
    More,
    /// It is.
    All,
}

impl WantedRows {
    /// None yet, of a list that a shape describes.
    pub(super) fn new(window: Window, shape: &Shape) -> Self {
        let list = shape.records.first().map(|location| location.at.segments()).unwrap_or_default();
        let list = list.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
        Self {
            window,
            list,
            totals: shape.totals_of_rows().cloned().collect(),
            viewed: 0,
            rows: Vec::new(),
            envelope: None,
            hidden: ShownSets::default(),
        }
    }

    /// How many more rows that may be viewed have to be met; where their number is told, all of them.
    pub(super) fn missing(&self) -> u64 {
        match self.totals.is_empty() {
            true => self.window.end().saturating_sub(self.viewed),
            false => u64::MAX,
        }
    }

    /// Takes what is wanted of a page.
    pub(super) fn take(
        &mut self,
        document: &Document,
        response: &UpstreamResponse,
        judged: &JudgedRows,
        bytes_max: usize,
    ) -> Result<Taken, Problem> {
        if self.envelope.is_none() {
            self.envelope = Some(self.envelope_of(document, response)?);
        }
        let list = find(document.root(), &self.list).ok_or_else(misshapen)?;
        // Every row is a record, so they stand in the same order.
        for (row, (record, verdict)) in list.items().zip(&judged.rows) {
            if row.node() != record.node {
                return Err(misshapen());
            }
            if !verdict.view.is_allow() {
                self.hidden.hide_row(&record.facts.type_name, &record.facts.id, verdict);
                self.viewed += u64::from(is_seeded(Fault::WindowCountsHidden));
                continue;
            }
            if self.window.has(self.viewed) {
                self.keep(row, bytes_max).map_err(|problem| problem.upstream(response.status))?;
            }
            self.viewed += 1;
        }
        Ok(if self.missing() == 0 { Taken::All } else { Taken::More })
    }

    fn keep(&mut self, row: Value<'_>, bytes_max: usize) -> Result<(), Problem> {
        if !self.rows.is_empty() {
            self.rows.push(b',');
        }
        self.rows.extend_from_slice(row.raw().as_bytes());
        match self.rows.len() > bytes_max {
            true => Err(Reason::UpstreamTooLarge.into()),
            false => Ok(()),
        }
    }

    /// What stands around the rows. Headers that are about these bytes, or about this page, stay behind.
    fn envelope_of(
        &self,
        document: &Document,
        response: &UpstreamResponse,
    ) -> Result<UpstreamResponse, Problem> {
        let list = find(document.root(), &self.list).filter(|list| list.kind() == Kind::Array);
        let edit = (list.ok_or_else(misshapen)?.node(), Some(b"[]".to_vec()));
        let mut headers = response.headers.clone();
        [CONTENT_ENCODING, CONTENT_RANGE, LINK].iter().for_each(|name| drop(headers.remove(name)));
        let body = Bytes::from(strip::replace_in(document, &[edit]));
        Ok(UpstreamResponse { status: response.status, headers, body })
    }

    /// The answer that has these rows.
    pub(super) fn answer(&mut self, limits: &JsonLimits) -> Result<UpstreamResponse, Problem> {
        let envelope = self.envelope.take().ok_or(Reason::Internal)?;
        let document = Document::parse(envelope.body, limits).map_err(|_| Reason::Internal)?;
        let list = find(document.root(), &self.list).ok_or_else(misshapen)?;
        let rows = [b"[", self.rows.as_slice(), b"]"].concat();
        let mut edits: Vec<(NodeId, Option<Vec<u8>>)> = vec![(list.node(), Some(rows))];
        let totals = self.totals.iter().filter(|_| !is_seeded(Fault::CrmTotalIsTold));
        for total in totals.filter_map(|total| total.first(document.root())) {
            // As the CRM writes numbers there.
            let text = match total.kind() {
                Kind::String => format!("\"{}\"", self.viewed),
                _ => self.viewed.to_string(),
            };
            edits.push((total.node(), Some(text.into_bytes())));
        }
        let body = Bytes::from(strip::replace_in(&document, &edits));
        match body.len() > limits.bytes_max {
            true => Err(Problem::new(Reason::UpstreamTooLarge).upstream(envelope.status)),
            false => Ok(UpstreamResponse { body, ..envelope }),
        }
    }
}

fn find<'d>(root: Value<'d>, keys: &[Segment]) -> Option<Value<'d>> {
    keys.iter().try_fold(root, |value, segment| match segment {
        Segment::Key(key) => value.member(key),
        Segment::Index(_) | Segment::EachItem | Segment::EachMember => None,
    })
}

fn misshapen() -> Problem {
    Problem::new(Reason::UpstreamShape).internal("a page does not have the list that the profile describes")
}
