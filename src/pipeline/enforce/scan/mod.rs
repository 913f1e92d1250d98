//! Enforcement on the way out in one pass (PEP): an answer is scanned, judged record by record, and written at once.
//!
//! Says and does the same as [`super::response`] on a parsed document, which remains for what one pass cannot do: attributes that
//! must be fetched, tables, error bodies. Memory is bounded by the largest record and by what is written.

pub mod layout;
pub mod place;
pub mod acts;
pub mod groups;
pub mod output;
pub mod record;
pub mod task;
pub mod envelope;
pub mod pieces;
pub mod judge;
pub mod learned;

use super::super::decide::gate::RecordVerdict;
use super::super::hydrate::extract::Completeness;
use crate::json::scan::Stop;
use place::Place;

/// A record as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'b> {
    /// The number of its type.
    pub type_index: usize,
    /// Its id.
    pub id: &'b str,
    /// Whether a missing key means that there is no value.
    pub completeness: Completeness,
    /// What stands where its attributes may be, as the type's layout lists them.
    pub places: &'b [Place<'b>],
}

/// Who judges records.
pub trait Judge {
    /// Judges one.
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement;
    /// The verdict of that number.
    fn verdict(&self, number: u32) -> &RecordVerdict;
    /// Whether it will soon have no more numbers to give.
    fn is_filling(&self) -> bool {
        false
    }
    /// Forgets all numbers that it gave.
    fn renew(&mut self) {}
}

/// What a judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The verdict's number.
    Verdict(u32),
    /// Something that matters is not in the answer.
    Lacking,
}

/// Why an answer cannot leave this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// It is not JSON, or a key stands twice.
    Malformed,
    /// It has not the shape that the profile describes; names the place.
    Shape(String),
    /// Something that decisions need is not in it.
    Lacking,
    /// It has too many records.
    TooMany(usize),
    /// One record or one other part of it is too large.
    TooLarge(usize),
    /// It is about another record than the one that was asked for.
    OtherRecord,
    /// A field was met where the profile refuses the whole answer.
    Refused,
    /// A total that counts what is shown stands before it can be known.
    EarlyTotal,
    /// A mistake of ours.
    Internal,
}

impl From<Stop> for Halt {
    fn from(_: Stop) -> Self {
        Halt::Malformed
    }
}
