//! The second half of a dry run: what would leave of a sample answer, record by record and field by field.
//!
//! Promises: what it tells of a field is what the filter did with it, not what a second reading of the rules would do.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::explanation::{Answered, Because, Explanation, FieldNote, FieldState, Missing, RecordNote};
use super::{Stage, Stop, missing_record};
use crate::bundle::profile::route::Rows;
use crate::bundle::profile::shape::Shape;
use crate::bundle::profile::types::RecordType;
use crate::json::value::Document;
use crate::model::access::{Action, Scope};
use crate::model::problem::Problem;
use crate::model::reason::Reason;
use crate::model::record::RecordFacts;
use crate::pipeline::decide::evaluate::{Circumstances, Resource, decide};
use crate::pipeline::decide::gate::{RecordVerdict, Visibility};
use crate::pipeline::enforce::answer::{self, Described};
use crate::pipeline::enforce::csv::Layout;
use crate::pipeline::enforce::response::{Filtered, filter};
use crate::pipeline::enforce::shown::{Seen, Watch};
use crate::pipeline::fetch;
use crate::pipeline::fetch::judged::Judged;
use crate::pipeline::forward::UpstreamResponse;
use crate::pipeline::hydrate::image::Image;
use crate::pipeline::hydrate::records::{self, FoundRecord};

impl Stage<'_> {
    /// The answer to filter. For a plain read of one record, the record itself will do.
    pub(super) fn sample(&self, told: &mut Explanation) -> Result<Option<UpstreamResponse>, Stop> {
        let (dry, mapped) = (self.dry, self.mapped);
        if let Some(response) = dry.answer {
            return Ok(Some(response.clone()));
        }
        let is_one = mapped.route.shape.records.first().is_some_and(|location| !location.is_many());
        let read = (mapped.action, mapped.record_type, mapped.ids.as_slice());
        let (Some(Action::View), Some(record_type), [id], true) = (read.0, read.1, read.2, is_one) else {
            told.missing.push(Missing::Answer);
            let depends_on_record = mapped.action.is_some_and(|action| action.scope() == Scope::RecordRead);
            return if depends_on_record { Err(Stop::Undetermined) } else { Ok(None) };
        };
        let key = mapped.alternate_key;
        let is_it = |document: &&Document| {
            Image::read((*document).clone(), mapped.route, Some(record_type), id, key, dry.lookups()).is_ok()
        };
        let Some(document) = dry.records.iter().find(is_it) else {
            told.missing.push(missing_record(record_type, id, mapped.route));
            return Err(Stop::Undetermined);
        };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Ok(Some(UpstreamResponse { status: 200, headers, body: document.bytes().clone() }))
    }

    pub(super) fn answer(
        &self,
        response: &UpstreamResponse,
        rows: Rows,
        told: &mut Explanation,
    ) -> Result<(), Stop> {
        let status = response.status;
        let answered = told.answer.insert(Answered { upstream_status: status, ..Answered::default() });
        if self.mapped.route.pass.is_some() {
            let body = answer::passing(response, &self.limits.answer)?;
            answered.body = Some(String::from_utf8_lossy(&body).into_owned());
            return Ok(());
        }
        match answer::describe(response, self.mapped.route, rows, &self.limits.answer)? {
            Described::Empty => Ok(()),
            Described::Body(document, shape) => told_of(self.filtered(&document, shape, None, told), status),
            Described::Table(document, shape, layout) => {
                told_of(self.filtered(&document, shape, Some(&layout), told), status)
            }
        }
    }

    fn filtered(
        &self,
        document: &Document,
        shape: &Shape,
        layout: Option<&Layout>,
        told: &mut Explanation,
    ) -> Result<(), Stop> {
        let (dry, mapped) = (self.dry, self.mapped);
        let misshapen =
            |error: records::ShapeError| Problem::new(Reason::UpstreamShape).internal(error.to_string());
        let found =
            records::find(document, shape, fetch::asked(mapped), dry.lookups(), self.limits.records_max)
                .map_err(misshapen)?;
        fetch::check_identity(&found, shape, mapped)?;
        let carried = fetch::carried(&found);
        let mut judged = Judged::default();
        let mut notes = Vec::new();
        for record in &found {
            // As in the service: what stands in a hidden place is not judged.
            if !judged.shows(record.within) {
                continue;
            }
            let facts = self.completed(&fetch::complete_from(&record.facts, &carried), told);
            let verdict = self.gate.judge(&facts);
            judged.add(record, Arc::clone(&verdict));
            notes.push((record, facts, verdict));
        }
        let watch = Watch::default();
        let mut how = judged.filter(dry.profile(), shape, mapped);
        (how.watch, how.layout) = (Some(&watch), layout);
        let filtered = filter(document, &how);
        let seen = watch.take();
        let notes = notes
            .iter()
            .map(|(record, facts, verdict)| self.record_note(record, facts, verdict, seen.get(&record.node)));
        let answered = told.answer.get_or_insert_default();
        answered.records = notes.collect();
        answered.rows_removed =
            answered.records.iter().filter(|note| !note.is_embedded && note.view.effect == "deny").count();
        match filtered.map_err(Problem::new)? {
            Filtered::Released(released, _) => {
                answered.body = Some(String::from_utf8_lossy(&released.into_body()).into_owned());
                Ok(())
            }
            Filtered::Hidden(_) => Err(Problem::new(Reason::NotFound).into()),
        }
    }

    /// The facts with what was not carried taken from the given records, as the service would fetch it.
    fn completed(&self, facts: &RecordFacts, told: &mut Explanation) -> RecordFacts {
        let profile = self.dry.profile();
        let Some(record_type) = fetch::lacking(profile, self.gate, facts) else { return facts.clone() };
        let label = record_type.fetch.as_ref();
        let route = label.and_then(|label| profile.route_labelled(&label.value));
        let Some((_, route)) = route else { return facts.clone() };
        match self.dry.record(route, record_type, None, &facts.id) {
            Some(other) => fetch::complete(facts, &other.facts),
            None => {
                let (type_name, id) = (facts.type_name.clone(), facts.id.clone());
                let missing = Missing::Attributes { type_name, id, route: route.label() };
                if !told.missing.contains(&missing) {
                    told.missing.push(missing);
                }
                facts.clone()
            }
        }
    }

    fn record_note(
        &self,
        record: &FoundRecord,
        facts: &RecordFacts,
        verdict: &RecordVerdict,
        seen: Option<&Seen>,
    ) -> RecordNote {
        let slices = &self.dry.snapshot.bundle.slices;
        let record_type = self.dry.profile().type_named(&facts.type_name).map(|(_, record_type)| record_type);
        let fields = record_type.zip(seen).map(|(record_type, seen)| {
            let all = 0..=record_type.fields.len();
            all.filter_map(|index| self.field_note(record_type, facts, index, seen)).collect()
        });
        RecordNote {
            type_name: facts.type_name.clone(),
            id: facts.id.clone(),
            is_embedded: record.within.is_some(),
            is_released: seen.is_some(),
            view: Because::of(&verdict.view, slices.of("view", &facts.type_name)),
            fields: fields.unwrap_or_default(),
        }
    }

    /// What became of a field. Keys that no field claims are told only where there are some.
    fn field_note(
        &self,
        record_type: &RecordType,
        facts: &RecordFacts,
        index: usize,
        seen: &Seen,
    ) -> Option<FieldNote> {
        let field = record_type.fields.get(index);
        let name = record_type.field_name(index);
        let has_mask = field.is_some_and(|field| field.mask.is_some());
        let state = match seen.of(index) {
            None if field.is_none() => return None,
            None => FieldState::Absent,
            Some(Visibility::Shown) => FieldState::Shown,
            Some(Visibility::Masked) if has_mask => FieldState::Masked,
            Some(Visibility::Masked | Visibility::Hidden) => FieldState::Hidden,
        };
        let actions: &[&str] = match state {
            FieldState::Absent => &[],
            FieldState::Shown => &["readField"],
            FieldState::Masked | FieldState::Hidden => &["readField", "readFieldMasked"],
        };
        let circumstances = Circumstances { field: Some(name.clone()), ..Circumstances::of(self.dry.asker) };
        let ask = |action: &&str| {
            let resource = Resource::Record(facts);
            decide(self.dry.snapshot, &self.dry.asker.entity, action, resource, &circumstances).determining
        };
        let mut policies: Vec<String> = actions.iter().flat_map(ask).collect();
        policies.sort();
        policies.dedup();
        Some(FieldNote { name, state, policies })
    }
}

/// Of an error of the CRM only the status is told.
fn told_of(filtered: Result<(), Stop>, status: u16) -> Result<(), Stop> {
    match filtered {
        Err(Stop::Problem(problem)) => Err(answer::unreleased(problem, status).into()),
        result => result,
    }
}
