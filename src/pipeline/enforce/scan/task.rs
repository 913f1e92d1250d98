//! What one pass over an answer is told, and what it tells.

use super::super::super::map::selection::Selection;
use super::super::addresses::OtherPages;
use super::super::shown::ShownSets;
use super::layout::Layouts;
use crate::bundle::profile::Profile;
use crate::bundle::profile::shape::Shape;

/// What an answer is filtered by.
#[derive(Clone, Copy)]
pub struct Task<'p> {
    /// The profile.
    pub profile: &'p Profile,
    /// Its tables.
    pub layouts: &'p Layouts,
    /// What may leave.
    pub shape: &'p Shape,
    /// The number of the type that the route is about.
    pub route_type: Option<usize>,
    /// The id of the record that the request names.
    pub asked_id: Option<&'p str>,
    /// Id of the record that the answer must be about, if it is of that type.
    pub expected: Option<(Option<usize>, &'p str)>,
    /// What the caller asked for, if the CRM answers a selection.
    pub selection: Option<&'p Selection>,
    /// What writes the addresses of other pages.
    pub other_pages: Option<&'p OtherPages>,
    /// The largest answer.
    pub limits: ScanLimits,
}

impl<'p> Task<'p> {
    /// The id that the record at a location must have.
    pub fn expected_id(&self, location: usize, type_index: usize) -> Option<&'p str> {
        let (expected_type, id) = self.expected.filter(|_| location == 0)?;
        expected_type.is_none_or(|expected| expected == type_index).then_some(id)
    }
}

/// How much an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct ScanLimits {
    /// Containers open at once.
    pub depth: usize,
    /// Members of one object around the records.
    pub keys: usize,
    /// Records, embedded ones included.
    pub records: usize,
    /// Bytes of one record, or of another part that is taken at once.
    pub step_bytes: usize,
}

/// What came of an answer.
#[derive(Debug)]
pub struct Scanning {
    /// What may leave.
    pub body: Vec<u8>,
    /// Whether something was held back.
    pub is_cut: bool,
    /// Whether the one record that it is about may not be seen.
    pub is_hidden: bool,
    /// Whether a field was met where the profile refuses the whole answer.
    pub is_refused: bool,
    /// What was shown and held back.
    pub sets: ShownSets,
}
