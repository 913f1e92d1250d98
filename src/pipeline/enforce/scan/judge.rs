//! The gate as judge of scanned records: attributes are read from their slices, then decided on like any others.

use std::sync::Arc;

use bytes::Bytes;

use super::super::super::decide::gate::{Judging, RecordGate, RecordVerdict};
use super::super::super::fetch::lacking;
use super::super::super::hydrate::convert::Lookups;
use super::super::super::hydrate::extract::{Step, attribute_at};
use super::layout::Layouts;
use super::place::Place;
use super::{Judge, Judgement, RawRecord};
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::record::{Attribute, RecordFacts};

/// Judges by a gate.
pub struct GateJudge<'g> {
    gate: &'g RecordGate,
    judging: Judging<'g>,
    lookups: Lookups<'g>,
    layouts: &'g Layouts,
    limits: JsonLimits,
    lack: Lack,
    verdicts: Vec<Arc<RecordVerdict>>,
}

/// What becomes of a record that does not carry what its decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It may be fetched: the answer cannot be judged in one pass.
    Stops,
    /// It is denied.
    Denies,
}

impl<'g> GateJudge<'g> {
    /// A judge that has judged nothing.
    pub fn new(
        gate: &'g RecordGate,
        lookups: Lookups<'g>,
        layouts: &'g Layouts,
        limits: JsonLimits,
        lack: Lack,
    ) -> Self {
        Self { gate, judging: gate.judging(), lookups, layouts, limits, lack, verdicts: Vec::new() }
    }

    /// What policy may know of a record. Attributes that no decision needs are not carried.
    fn facts(&self, record: &RawRecord<'_>) -> Option<RecordFacts> {
        let record_type = self.lookups.profile.types.get(record.type_index)?;
        let layout = self.layouts.of(record.type_index)?;
        let mut attributes = vec![Attribute::NotCarried; record_type.attributes.len()];
        let mut places = layout.places.iter().zip(record.places).peekable();
        while let Some(((index, _), _)) = places.peek() {
            let index = *index;
            let spec = record_type.attributes.get(index)?;
            let mut documents = Vec::new();
            while let Some((_, place)) = places.next_if(|((next, _), _)| *next == index) {
                documents.push(self.read(place));
            }
            let steps = documents.iter().map(|found| match found {
                Read::Value(document) => Step::Found(document.root()),
                Read::Other(step) => *step,
            });
            *attributes.get_mut(index)? = attribute_at(spec, steps, record.completeness, self.lookups);
        }
        Some(RecordFacts { type_name: record_type.name.clone(), id: record.id.to_owned(), attributes })
    }

    fn read(&self, place: &Place<'_>) -> Read {
        let Place::Found(raw) = place else {
            return Read::Other(match place {
                Place::Missing => Step::Missing,
                Place::Null => Step::Null,
                Place::Misshapen | Place::Found(_) => Step::Misshapen,
            });
        };
        // What is ambiguous inside, such as a key that stands twice, conforms to nothing.
        let document = Document::parse(Bytes::copy_from_slice(raw), &self.limits);
        document.map_or(Read::Other(Step::Misshapen), Read::Value)
    }

    fn number(&mut self, verdict: Arc<RecordVerdict>) -> Judgement {
        let is_same = |known: &Arc<RecordVerdict>| Arc::ptr_eq(known, &verdict) || **known == *verdict;
        let number = self.verdicts.iter().position(is_same).unwrap_or_else(|| {
            self.verdicts.push(verdict);
            self.verdicts.len() - 1
        });
        u32::try_from(number).map_or(Judgement::Lacking, Judgement::Verdict)
    }
}

/// What was read at a place.
enum Read {
    Value(Document),
    Other(Step<'static>),
}

impl Judge for GateJudge<'_> {
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement {
        let Some(facts) = self.facts(record) else { return Judgement::Lacking };
        if self.lack == Lack::Stops && lacking(self.lookups.profile, self.gate, &facts).is_some() {
            return Judgement::Lacking;
        }
        let verdict = self.judging.judge(&facts);
        self.number(verdict)
    }

    fn verdict(&self, number: u32) -> &RecordVerdict {
        // Numbers are made here alone, so there is one; a judge that lost it shows nothing.
        static NOTHING: std::sync::LazyLock<RecordVerdict> = std::sync::LazyLock::new(|| {
            RecordVerdict::hidden(
                crate::model::decision::Decision::deny(crate::model::reason::Reason::Internal),
                0,
            )
        });
        self.verdicts.get(number as usize).map_or(&NOTHING, |verdict| verdict)
    }
}
