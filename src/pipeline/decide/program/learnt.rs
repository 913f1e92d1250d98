//! What a bound program has learnt from records: what values mean, and which verdicts follow from that.
//!
//! One list uses it alone; then it is kept with the program for the next one. Bounded: past [`BYTES_MAX`] it is forgotten as a
//! whole and learnt anew.

use std::sync::Arc;

use super::bind::Bound;
use super::column::{Code, Codes, Column, ENTRY_BYTES};
use super::hash::Table;
use super::teacher::Teacher;
use crate::bundle::program::evaluate::{Record, Stop};
use crate::bundle::program::tree::Outcome;
use crate::pipeline::decide::gate::{RecordVerdict, Visibility};

/// Tables of one bound program.
#[derive(Default)]
pub struct Learnt {
    /// What follows from the moment alone.
    pub moments: Codes,
    /// What follows from the record's identity.
    pub identity: Codes,
    /// What follows from each attribute that is read.
    pub columns: Vec<Column>,
    /// By what each record that is named comes to; the last stands for all others.
    named: Vec<Option<Code>>,
    /// Verdicts by keys, which are all of one length; short keys of small codes are one number.
    packed: Table<u128, u32>,
    unpacked: Table<Box<[Code]>, u32>,
    /// Each verdict once.
    list: Vec<Arc<RecordVerdict>>,
    numbers: Table<Arc<RecordVerdict>, u32>,
    bytes: usize,
}

impl Learnt {
    /// Starts at a moment; its code is the first of every key.
    pub fn start(&mut self, bound: &Bound, teacher: &Teacher<'_>) -> Result<Code, Stop> {
        self.columns.resize_with(bound.readings.len(), Column::default);
        for (column, reading) in self.columns.iter_mut().zip(&bound.readings) {
            column.start(reading, teacher.now_ms);
        }
        let outcome = |(_, expression): &(usize, _)| teacher.outcome(expression, Record::Unknown);
        let outcomes: Result<Box<[Outcome]>, Stop> = bound.moments.iter().map(outcome).collect();
        Ok(self.moments.code(outcomes?))
    }

    /// The code of a record's identity.
    pub fn of_identity(
        &mut self,
        bound: &Bound,
        (type_name, id): (&str, &str),
        teacher: &Teacher<'_>,
    ) -> Code {
        self.named.resize(bound.identity.named.len() + 1, None);
        // Records that are not named are alike: they are equal to nothing that a policy names.
        let place = bound.identity.named.get(id).copied().unwrap_or(bound.identity.named.len());
        if let Some(Some(code)) = self.named.get(place) {
            return *code;
        }
        let record = Record::Identity { type_name, id };
        let outcome = |(_, expression): &(usize, _)| teacher.outcome(expression, record);
        let outcomes: Result<Box<[Outcome]>, Stop> = bound.identity.slots.iter().map(outcome).collect();
        let code = outcomes.map_or(Code::UNSUPPORTED, |outcomes| self.identity.code(outcomes));
        if let Some(named) = self.named.get_mut(place) {
            *named = Some(code);
        }
        code
    }

    /// The number of the verdict that follows from a key, if it was concluded before.
    pub fn concluded(&self, key: &[Code]) -> Option<u32> {
        match packed(key) {
            Some(packed) => self.packed.get(&packed).copied(),
            None => self.unpacked.get(key).copied(),
        }
    }

    /// Notes the verdict that follows from a key. Equal verdicts have one number.
    pub fn conclude(&mut self, key: &[Code], verdict: RecordVerdict) -> u32 {
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let number = self.numbers.get(&verdict).copied().unwrap_or(next);
        if number == next {
            self.bytes += 2 * ENTRY_BYTES + weight(&verdict);
            let verdict = Arc::new(verdict);
            self.list.push(Arc::clone(&verdict));
            self.numbers.insert(verdict, next);
        }
        self.bytes += ENTRY_BYTES + size_of_val(key);
        match packed(key) {
            Some(packed) => self.packed.insert(packed, number),
            None => self.unpacked.insert(key.into(), number),
        };
        number
    }

    /// The verdict of that number.
    pub fn verdict(&self, number: u32) -> Option<&Arc<RecordVerdict>> {
        self.list.get(number as usize)
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::weight).sum();
        size_of::<Self>() + self.bytes + columns + self.moments.weight() + self.identity.weight()
    }
}

/// A key as one number, if each code leaves room for the next.
fn packed(key: &[Code]) -> Option<u128> {
    if key.len() > size_of::<u128>() / size_of::<u16>() {
        return None;
    }
    key.iter()
        .try_fold(0, |packed: u128, code| Some(packed << u16::BITS | u128::from(u16::try_from(code.0).ok()?)))
}

fn weight(verdict: &RecordVerdict) -> usize {
    let texts = [&verdict.policies, &verdict.errors, &verdict.view.determining, &verdict.view.errors];
    let texts: usize =
        texts.iter().flat_map(|list| list.iter()).map(|id| id.len() + size_of::<String>()).sum();
    size_of::<RecordVerdict>() + texts + verdict.fields.len() * size_of::<Visibility>()
}

/// Bytes of what one list may learn.
pub const BYTES_MAX: usize = 1 << 20;
