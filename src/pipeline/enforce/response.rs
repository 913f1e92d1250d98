//! Enforcement on the way out (PEP): an answer's bytes are written from what its records' verdicts permit.
//!
//! Promises: what the profile does not describe is dropped; what policy does not show is hidden as the profile says;
//! key order, number text and escapes stay as the CRM wrote them. The only maker of [`Released`].
//!
//! A body cannot leave without having been released:
//!
//! ```compile_fail,E0451
//! use lockkeeper::pipeline::enforce::response::{ReleaseKind, Released};
//! fn forge(body: bytes::Bytes) -> Released {
//!     Released { body, kind: ReleaseKind::All }
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use lockkeeper::pipeline::enforce::response::{Pumping, ReleasedStream};
//! use lockkeeper::pipeline::stream::FlowBody;
//! use tokio::sync::OwnedSemaphorePermit;
//! fn forge(flow: FlowBody, pumping: Pumping, place: OwnedSemaphorePermit) -> ReleasedStream {
//!     ReleasedStream { flow, pumping, place }
//! }
//! ```

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::super::decide::gate::{RecordVerdict, Visibility};
use super::super::hydrate::records::type_at;
use super::super::map::selection::Selection;
use super::super::observe::Observed;
use super::super::stream::{FlowBody, Pumped, Source, flow};
use super::addresses::OtherPages;
use super::csv::{self, Layout};
use super::scan::task::Scanning;
use super::shown::{Seen, ShownSets, Watch};
use crate::bundle::profile::Profile;
use crate::bundle::profile::places::{Place, PlaceTree};
use crate::bundle::profile::shape::{Shape, TotalTreatment};
use crate::bundle::profile::tree::{FieldTree, Meaning};
use crate::bundle::profile::types::{FieldSpec, Hide, RecordType};
use crate::json::parse::{DEPTH_CEILING, JsonLimits};
use crate::json::strip::{self, Keep};
use crate::json::value::{Document, Kind, NodeId, Value};
use crate::model::reason::Reason;

/// A body that may leave.
#[derive(Debug)]
pub struct Released {
    body: Bytes,
    kind: ReleaseKind,
}

/// A body of the CRM that may leave while it comes in.
pub struct ReleasedStream {
    flow: FlowBody,
    pumping: Pumping,
    place: OwnedSemaphorePermit,
}

/// What feeds a body, to its end.
pub type Pumping = Pin<Box<dyn Future<Output = Pumped> + Send>>;

/// How a body came to be released, for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseKind {
    /// Nothing of what the profile describes was held back.
    All,
    /// Something was.
    Filtered,
    /// There is no body.
    None,
    /// A problem document or the stated not-found answer.
    Problem,
    /// A pass-through route, or an observed answer.
    Passed,
}

impl Released {
    /// The bytes, once.
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// How it came to be released.
    pub fn kind(&self) -> ReleaseKind {
        self.kind
    }

    /// A body that holds nothing of the CRM's.
    pub fn problem(body: Bytes) -> Self {
        Self { body, kind: ReleaseKind::Problem }
    }

    /// No body.
    pub fn empty() -> Self {
        Self { body: Bytes::new(), kind: ReleaseKind::None }
    }

    /// The body of an observed answer, as the CRM gave it. It takes the proof that this request is observed.
    pub(in crate::pipeline) fn observed(body: Bytes, _: &Observed) -> Self {
        Self { body, kind: ReleaseKind::Passed }
    }

    /// The same where records were held back before it was put together.
    pub(in crate::pipeline) fn without_some(self) -> Self {
        let kind = if self.kind == ReleaseKind::All { ReleaseKind::Filtered } else { self.kind };
        Self { kind, ..self }
    }

    /// What stands for a body that is filtered while it leaves.
    pub(in crate::pipeline) fn poured() -> Self {
        Self { body: Bytes::new(), kind: ReleaseKind::Filtered }
    }

    /// The same object with one more member, as JSON text; `None` if it is no object, or has that member.
    pub(in crate::pipeline) fn with_member(self, key: &str, text: &str) -> Option<Self> {
        let bytes_max = self.body.len();
        let limits = JsonLimits { bytes_max, depth_max: DEPTH_CEILING, nodes_max: bytes_max };
        let document = Document::parse(self.body, &limits).ok()?;
        let object = document.root();
        if object.kind() != Kind::Object || object.member(key).is_some() {
            return None;
        }
        let inner = object.raw().strip_suffix('}')?;
        let comma = if object.is_empty() { "" } else { "," };
        let member = serde_json::Value::String(key.to_owned());
        let body = Bytes::from(format!("{inner}{comma}{member}:{text}}}"));
        Some(Self { body, kind: ReleaseKind::Filtered })
    }

    /// The body of a route that the profile passes with a stated reason.
    pub(in crate::pipeline) fn passed(body: Bytes) -> Self {
        Self { body, kind: ReleaseKind::Passed }
    }
}

impl std::fmt::Debug for ReleasedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReleasedStream").finish_non_exhaustive()
    }
}

impl ReleasedStream {
    /// The body of a route that the profile passes, or of a file whose record was decided on. It holds its place among the
    /// bodies that pass until its end.
    pub(in crate::pipeline) fn new(source: Source, place: OwnedSemaphorePermit) -> Self {
        let (sink, flow) = flow(source.length());
        Self { flow, pumping: Box::pin(source.pump(sink)), place }
    }

    /// A body that is filtered and recorded part by part.
    pub(in crate::pipeline) fn poured(flow: FlowBody, pumping: Pumping, place: OwnedSemaphorePermit) -> Self {
        Self { flow, pumping, place }
    }

    /// The body, and what feeds it to its end.
    pub fn start(self) -> (FlowBody, impl Future<Output = Pumped>) {
        let Self { flow, pumping, place } = self;
        let feeding = async move {
            let pumped = pumping.await;
            drop(place);
            pumped
        };
        (flow, feeding)
    }
}

/// Everything that filtering an answer needs.
pub struct Filter<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// What may leave.
    pub shape: &'a Shape,
    /// The type that the route is about.
    pub route_type: Option<&'a RecordType>,
    /// The verdict on each record, by its place.
    pub verdicts: &'a HashMap<NodeId, Arc<RecordVerdict>>,
    /// The ids of the records, by place.
    pub ids: &'a HashMap<NodeId, String>,
    /// What the caller asked for, if the CRM answers a selection.
    pub selection: Option<&'a Selection>,
    /// Who wants to know what each record carried.
    pub watch: Option<&'a Watch>,
    /// How the answer is written, if it is a table of text.
    pub layout: Option<&'a Layout>,
    /// What writes the addresses of other pages.
    pub other_pages: Option<&'a OtherPages>,
}

/// What became of an answer.
#[derive(Debug)]
pub enum Filtered {
    /// It leaves.
    Released(Released, ShownSets),
    /// The one record that it is about may not be seen.
    Hidden(ShownSets),
}

/// What became of an answer that was filtered in one pass.
pub fn scanned(scanning: Scanning) -> Result<Filtered, Reason> {
    let Scanning { body, is_cut, is_hidden, is_refused, sets } = scanning;
    if is_refused {
        return Err(Reason::Forbidden);
    }
    if is_hidden {
        return Ok(Filtered::Hidden(sets));
    }
    let kind = if is_cut { ReleaseKind::Filtered } else { ReleaseKind::All };
    Ok(Filtered::Released(Released { body: Bytes::from(body), kind }, sets))
}

/// Filters an answer whose records were all found and judged.
pub fn filter(document: &Document, filter: &Filter<'_>) -> Result<Filtered, Reason> {
    let mut pass = Pass { filter, sets: ShownSets::default(), rows_shown: 0, is_cut: false, refused: false };
    let kept = pass.walk(document.root(), &filter.shape.places);
    if pass.refused {
        return Err(Reason::Forbidden);
    }
    let primary_is_one = filter.shape.records.first().is_some_and(|location| !location.is_many());
    if primary_is_one && pass.rows_shown == 0 && !pass.primary_is_absent(document) {
        return Ok(Filtered::Hidden(pass.sets));
    }
    let body = kept.map(|keep| strip::write(document, &keep)).unwrap_or_default();
    let body = match filter.layout {
        Some(layout) => csv::write(body, layout).ok_or(Reason::Internal)?,
        None => body,
    };
    let kind = if pass.is_cut { ReleaseKind::Filtered } else { ReleaseKind::All };
    Ok(Filtered::Released(Released { body: Bytes::from(body), kind }, pass.sets))
}

struct Pass<'f, 'a> {
    filter: &'f Filter<'a>,
    sets: ShownSets,
    rows_shown: u64,
    is_cut: bool,
    refused: bool,
}

impl Pass<'_, '_> {
    /// What to keep of a value, or `None` to drop it.
    fn walk(&mut self, value: Value<'_>, places: &PlaceTree) -> Option<Keep> {
        match places.end() {
            Some(Place::Record(location)) => return self.record_at(value, *location),
            Some(Place::Total(treatment)) => return self.total(treatment),
            Some(Place::Whole) => return Some(Keep::Whole),
            Some(Place::Page) => {
                self.is_cut = true;
                let page = self.filter.other_pages.and_then(|other_pages| other_pages.page_json(value.raw()));
                return page.map(|page| Keep::Replace(page.into_bytes()));
            }
            None => {}
        }
        match value.kind() {
            Kind::Object => {
                // Totals that count what is shown must come after the rows, wherever the CRM writes them.
                let (late, early): (Vec<_>, Vec<_>) =
                    value.members().partition(|member| places.is_total(&member.key()));
                let mut kept = Vec::new();
                for member in early.into_iter().chain(late) {
                    let next = places.member(&member.key());
                    let keep = next.and_then(|next| self.walk(member.value(), next));
                    match keep {
                        Some(keep) => kept.push((member.value().node(), keep)),
                        None => self.is_cut = true,
                    }
                }
                Some(Keep::Object(kept))
            }
            Kind::Array => {
                let mut kept = Vec::new();
                for (index, item) in value.items().enumerate() {
                    match places.item(index).and_then(|next| self.walk(item, next)) {
                        Some(keep) => kept.push((item.node(), keep)),
                        None => self.is_cut = true,
                    }
                }
                Some(Keep::Array(kept))
            }
            // Only a null in an optional place comes here: other scalars were refused when records were looked for.
            Kind::Null => Some(Keep::Whole),
            Kind::Bool | Kind::Number | Kind::String => None,
        }
    }

    fn total(&mut self, treatment: &TotalTreatment) -> Option<Keep> {
        self.is_cut = true;
        match treatment {
            TotalTreatment::Remove => None,
            TotalTreatment::Null => Some(Keep::Replace(b"null".to_vec())),
            TotalTreatment::Unknown(text) => Some(Keep::Replace(text.clone().into_bytes())),
            TotalTreatment::CountShown => Some(Keep::Replace(self.rows_shown.to_string().into_bytes())),
        }
    }

    fn record_at(&mut self, value: Value<'_>, location_index: usize) -> Option<Keep> {
        let location = self.filter.shape.records.get(location_index)?;
        if value.is_null() && location.is_optional {
            return Some(Keep::Whole);
        }
        let record_type = type_at(value, location, self.filter.route_type, self.filter.profile)?;
        let selection = if location_index == 0 { self.filter.selection } else { None };
        let kept = self.record(value, record_type, selection);
        if location_index == 0 && kept.is_some() {
            self.rows_shown += 1;
        }
        kept
    }

    /// What to keep of a record, or `None` if it may not be viewed.
    fn record(
        &mut self,
        value: Value<'_>,
        record_type: &RecordType,
        selection: Option<&Selection>,
    ) -> Option<Keep> {
        let verdict = self.filter.verdicts.get(&value.node()).cloned();
        let id = self.filter.ids.get(&value.node()).cloned();
        let (Some(verdict), Some(id)) = (verdict, id) else {
            self.is_cut = true;
            return None;
        };
        if !verdict.view.is_allow() {
            self.is_cut = true;
            self.sets.hide_row(&record_type.name, &id, &verdict);
            return None;
        }
        let tree = self.filter.profile.tree(&record_type.name)?;
        let mut seen = Seen::default();
        let kept = self.level(value, record_type, tree, &verdict, selection, &mut seen);
        if let Some(watch) = self.filter.watch {
            watch.borrow_mut().insert(value.node(), seen.clone());
        }
        self.sets.add(record_type, &id, &verdict, &seen);
        kept
    }

    fn level(
        &mut self,
        value: Value<'_>,
        record_type: &RecordType,
        tree: &FieldTree,
        verdict: &RecordVerdict,
        selection: Option<&Selection>,
        seen: &mut Seen,
    ) -> Option<Keep> {
        let mut kept = Vec::new();
        for member in value.members() {
            let key = member.key();
            let below = selection.map(|selection| selection.below(&key));
            let value = member.value();
            let keep = match tree.meaning(&key) {
                Meaning::Meta => Some(Keep::Whole),
                // Not asked for: it is here because policy needs it, and nobody misses it.
                _ if below == Some(None) => continue,
                // Whether there is a composite at all would tell of what is hidden inside.
                Meaning::Container(inner) if !verdict.shows_any(inner.fields()) => {
                    inner.fields().into_iter().for_each(|index| seen.note(index, verdict.field(index)));
                    None
                }
                Meaning::Container(inner) if value.kind() == Kind::Object => {
                    let below = below.flatten().filter(|below| !below.is_whole());
                    match self.level(value, record_type, inner, verdict, below, seen) {
                        Some(keep) => Some(keep),
                        None => {
                            self.is_cut = true;
                            None
                        }
                    }
                }
                Meaning::Container(_) if value.is_null() => Some(Keep::Whole),
                Meaning::Container(_) => None,
                Meaning::Field(index) => {
                    let Some(field) = record_type.fields.get(index) else { continue };
                    seen.note(index, verdict.field(index));
                    match self.field(value, field, verdict.field(index), below.flatten()) {
                        FieldKeep::Keep(keep) => Some(keep),
                        FieldKeep::Drop => None,
                        FieldKeep::DropBranch => return None,
                    }
                }
                Meaning::LookAlike => None,
                Meaning::Unknown => {
                    seen.note(record_type.fields.len(), verdict.unclassified());
                    (verdict.unclassified() == Visibility::Shown).then_some(Keep::Whole)
                }
            };
            match keep {
                Some(keep) => kept.push((value.node(), keep)),
                None => self.is_cut = true,
            }
        }
        Some(Keep::Object(kept))
    }

    fn field(
        &mut self,
        value: Value<'_>,
        field: &FieldSpec,
        visibility: Visibility,
        selection: Option<&Selection>,
    ) -> FieldKeep {
        match (visibility, &field.mask) {
            (Visibility::Shown, _) => match &field.embeds {
                None => FieldKeep::Keep(Keep::Whole),
                Some(embed) => self.embedded(value, field, &embed.type_name, selection),
            },
            (Visibility::Masked, Some(mask)) if !value.is_null() => {
                self.is_cut = true;
                FieldKeep::Keep(Keep::Replace(mask.of(value.raw()).into_owned().into_bytes()))
            }
            (Visibility::Masked | Visibility::Hidden, _) => self.hide(field),
        }
    }

    fn hide(&mut self, field: &FieldSpec) -> FieldKeep {
        self.is_cut = true;
        match &field.hide {
            Hide::Remove => FieldKeep::Drop,
            Hide::Null => FieldKeep::Keep(Keep::Replace(b"null".to_vec())),
            Hide::Value(text) => FieldKeep::Keep(Keep::Replace(text.clone().into_bytes())),
            Hide::Branch => FieldKeep::DropBranch,
            Hide::Refuse => {
                self.refused = true;
                FieldKeep::Drop
            }
        }
    }

    fn embedded(
        &mut self,
        value: Value<'_>,
        field: &FieldSpec,
        type_name: &str,
        selection: Option<&Selection>,
    ) -> FieldKeep {
        let Some((_, inner)) = self.filter.profile.type_named(type_name) else { return FieldKeep::Drop };
        let selection = selection.filter(|selection| !selection.is_whole());
        match value.kind() {
            Kind::Object => match self.record(value, inner, selection) {
                Some(keep) => FieldKeep::Keep(keep),
                None => self.hide(field),
            },
            Kind::Array => {
                let mut kept = Vec::new();
                for item in value.items() {
                    let keep = match item.kind() {
                        Kind::Object => self.record(item, inner, selection),
                        Kind::Array => None,
                        // A bare id is part of the field, which is shown.
                        Kind::Null | Kind::Bool | Kind::Number | Kind::String => Some(Keep::Whole),
                    };
                    match keep {
                        Some(keep) => kept.push((item.node(), keep)),
                        None => self.is_cut = true,
                    }
                }
                FieldKeep::Keep(Keep::Array(kept))
            }
            Kind::Null | Kind::Bool | Kind::Number | Kind::String => FieldKeep::Keep(Keep::Whole),
        }
    }

    fn primary_is_absent(&self, document: &Document) -> bool {
        let location = self.filter.shape.records.first();
        location.is_some_and(|location| {
            location.is_optional && location.at.first(document.root()).is_none_or(|value| value.is_null())
        })
    }
}

enum FieldKeep {
    Keep(Keep),
    Drop,
    DropBranch,
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
