//! What stands around the records: a step machine over the answer's outer objects and lists.
//!
//! A step is one record, or one other member or item, or one bracket. A step that lacks input has changed nothing and is begun
//! again when there is more; so an answer can come in pieces of any size.

use std::collections::HashSet;

use super::super::super::hydrate::extract::Completeness;
use super::output::{IsWanted, Output};
use super::place::{Place as AttributePlace, Reading, seek};
use super::record::{IsShown, Scanned, Writer};
use super::task::{Scanning, Task};
use super::{Halt, Judge};
use crate::bundle::profile::places::{Place, PlaceTree, Step};
use crate::bundle::profile::shape::TotalTreatment;
use crate::bundle::profile::source::TypeSource;
use crate::json::path::Segment;
use crate::json::scan::lex::{byte, key_and_value, skip_space, value_end};
use crate::json::scan::object::{Scan, Scanner, decoded};
use crate::json::scan::{PADDING, Stop};
use crate::json::token;
use crate::model::seeded::{Fault, is_seeded};

/// An answer on its way.
pub struct Envelope<'p, J> {
    pub(super) task: Task<'p>,
    /// The numbers of the types at the shape's locations, where those do not depend on the record.
    types: Vec<Option<usize>>,
    scanner: Scanner,
    pub(super) writer: Writer<'p, J>,
    pub(super) output: Output,
    frames: Vec<Frame<'p>>,
    progress: Progress,
    /// What came in and is not done with.
    pub(super) pending: Vec<u8>,
    /// How much of that is known to be UTF-8: all but the start of a character that was cut.
    pub(super) checked: usize,
    /// How much must be pending before a step that lacked input is tried again.
    pub(super) wanted: usize,
    records: usize,
    rows_shown: u64,
    is_primary_there: bool,
    /// Whether the first location begins with a key of the root.
    is_primary_below_a_key: bool,
    /// Whether no more records of the first location can come.
    is_primary_over: bool,
    /// Where counts of what is shown belong.
    pub(super) counts: Vec<usize>,
    /// Bytes of the keys that are kept.
    keys_bytes: usize,
}

/// A container that is open.
struct Frame<'p> {
    places: &'p PlaceTree,
    is_object: bool,
    count: usize,
    /// Where its first member or item is written.
    first: usize,
    keys: HashSet<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Before,
    Inside,
    After,
}

/// Where a value stands, for writing it.
#[derive(Clone, Copy)]
struct Spot {
    /// Its key with quotes, if it is a member.
    key: Option<(usize, usize)>,
    /// Where its value is.
    value: usize,
    /// Where the first of its siblings is written.
    first: usize,
}

/// Why a step did not end.
enum Pause {
    Stop(Stop),
    Halt(Halt),
}

impl<'p, J: Judge> Envelope<'p, J> {
    /// An answer of which nothing came yet. The scanner knows what earlier ones taught it.
    pub fn new(task: Task<'p>, judge: J, scanner: Scanner) -> Self {
        let types = task.shape.records.iter().map(|location| match &location.type_source {
            TypeSource::Constant(name) => task.profile.type_named(&name.value).map(|(index, _)| index),
            TypeSource::Route | TypeSource::Named(_) => task.route_type,
            TypeSource::Discriminator(_) => None,
        });
        let primary = task.shape.records.first().map(|location| location.at.segments());
        Self {
            types: types.collect(),
            task,
            scanner,
            writer: Writer::new(task.profile, task.layouts, judge),
            output: Output::default(),
            frames: Vec::new(),
            progress: Progress::Before,
            pending: Vec::new(),
            checked: 0,
            wanted: 0,
            records: 0,
            rows_shown: 0,
            is_primary_there: false,
            is_primary_below_a_key: primary.is_some_and(|at| matches!(at.first(), Some(Segment::Key(_)))),
            is_primary_over: false,
            counts: Vec::new(),
            keys_bytes: 0,
        }
    }

    /// Takes an answer that is there as a whole.
    pub fn whole(mut self, body: &[u8]) -> Result<(Scanning, Scanner), Halt> {
        simdutf8::basic::from_utf8(body).map_err(|_| Halt::Malformed)?;
        self.output.reserve(body.len() / 2);
        // A short body is copied anyway, since its end is.
        let done = if body.len() < SHORT { 0 } else { self.run(body)? };
        self.pending.extend_from_slice(body.get(done..).unwrap_or_default());
        self.end()
    }

    pub(super) fn end(mut self) -> Result<(Scanning, Scanner), Halt> {
        let length = self.pending.len();
        let mut rest = std::mem::take(&mut self.pending);
        rest.resize(length + PADDING, 0);
        let done = self.run(&rest)?;
        let left = rest.get(done..length).unwrap_or_default();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        if self.progress != Progress::After || !left.iter().all(is_space) {
            return Err(Halt::Malformed);
        }
        let primary = self.task.shape.records.first();
        let is_hidden = primary.is_some_and(|location| !location.is_many())
            && self.rows_shown == 0
            && self.is_primary_there;
        let shown = self.rows_shown;
        let counts: Vec<(usize, String)> =
            self.counts.iter().map(|place| (*place, shown.to_string())).collect();
        let scanning = Scanning {
            body: self.output.finish(&counts),
            is_cut: self.writer.is_cut,
            is_hidden,
            is_refused: self.writer.is_refused,
            sets: self.writer.take_sets(),
        };
        Ok((scanning, self.scanner))
    }

    /// Does as many steps as there is input for, and says how far it came.
    pub(super) fn run(&mut self, source: &[u8]) -> Result<usize, Halt> {
        let mut at = 0;
        while self.progress != Progress::After {
            match self.step(source, at) {
                Ok(next) => at = next,
                Err(Pause::Stop(Stop::NeedMore)) => break,
                Err(Pause::Stop(Stop::Flaw | Stop::TooDeep)) => return Err(Halt::Malformed),
                Err(Pause::Halt(halt)) => return Err(halt),
            }
        }
        Ok(at)
    }

    fn step(&mut self, source: &[u8], at: usize) -> Result<usize, Pause> {
        let at = skip_space(source, at)?;
        if self.progress == Progress::Before {
            let spot = Spot { key: None, value: at, first: 0 };
            let places = &self.task.shape.places;
            let end = self.value(source, spot, Some(places))?;
            self.progress = if self.frames.is_empty() { Progress::After } else { Progress::Inside };
            return Ok(end);
        }
        let Some(frame) = self.frames.last() else { return Err(Pause::Halt(Halt::Internal)) };
        let (is_object, count, places, first) = (frame.is_object, frame.count, frame.places, frame.first);
        match (byte(source, at)?, is_object) {
            (b'}', true) | (b']', false) => {
                self.close()?;
                return Ok(at + 1);
            }
            _ => {}
        }
        let start = match (byte(source, at)?, count) {
            (_, 0) => at,
            (b',', _) => skip_space(source, at + 1)?,
            _ => return Err(Pause::Stop(Stop::Flaw)),
        };
        if !is_object {
            let spot = Spot { key: None, value: start, first };
            let depth = self.frames.len();
            let end = self.value(source, spot, places.item(count))?;
            self.count(depth, None);
            return Ok(end);
        }
        let (key_end, value) = key_and_value(source, start)?;
        let key = decoded(source, start, key_end)?;
        if frame.keys.contains(key.as_ref()) {
            return Err(Pause::Stop(Stop::Flaw));
        }
        if frame.keys.len() >= self.task.limits.keys {
            return Err(Pause::Halt(Halt::TooMany(self.task.limits.keys)));
        }
        if self.keys_bytes + key.len() > self.task.limits.step_bytes {
            return Err(Pause::Halt(Halt::TooLarge(self.task.limits.step_bytes)));
        }
        let text = std::str::from_utf8(&key).map_err(|_| Pause::Stop(Stop::Flaw))?;
        let spot = Spot { key: Some((start, key_end)), value, first };
        let depth = self.frames.len();
        let end = self.value(source, spot, places.member(text))?;
        self.count(depth, Some(key.as_ref()));
        Ok(end)
    }

    /// Counts a member or item of the frame at a depth.
    fn count(&mut self, depth: usize, key: Option<&[u8]>) {
        if let Some(frame) = depth.checked_sub(1).and_then(|index| self.frames.get_mut(index)) {
            frame.count += 1;
            frame.keys.extend(key.map(Box::from));
            self.keys_bytes += key.map_or(0, <[u8]>::len);
        }
    }

    /// Takes a value, or opens it.
    fn value(&mut self, source: &[u8], spot: Spot, places: Option<&'p PlaceTree>) -> Result<usize, Pause> {
        let depth = self.task.limits.depth.saturating_sub(self.frames.len());
        let end = || value_end(source, spot.value, depth);
        let Some(places) = places else {
            let end = end()?;
            if is_seeded(Fault::UndescribedPlacesPass) {
                self.copy(source, spot, end);
            }
            self.writer.is_cut = true;
            return Ok(end);
        };
        match places.end() {
            Some(Place::Record(location)) => self.located(source, spot, *location, depth),
            Some(Place::Total(treatment)) if !is_seeded(Fault::TotalsStay) => {
                let end = end()?;
                self.total(source, spot, treatment);
                Ok(end)
            }
            Some(Place::Whole | Place::Total(_)) => {
                let end = end()?;
                self.copy(source, spot, end);
                Ok(end)
            }
            Some(Place::Page) => {
                let end = end()?;
                self.link(source, spot, end);
                Ok(end)
            }
            None => self.open(source, spot, places, depth),
        }
    }

    fn open(
        &mut self,
        source: &[u8],
        spot: Spot,
        places: &'p PlaceTree,
        depth: usize,
    ) -> Result<usize, Pause> {
        let opening = byte(source, spot.value)?;
        let (into_members, into_items) = places.looks_into();
        let misplaced = match opening {
            b'{' => into_items,
            b'[' => into_members,
            b'n' => places.locations().iter().any(|location| !self.is_optional(*location)),
            _ => into_members || into_items,
        };
        if !matches!(opening, b'{' | b'[') {
            let end = value_end(source, spot.value, depth)?;
            if misplaced {
                return Err(Pause::Halt(self.misshapen(places)));
            }
            match opening {
                b'n' => self.copy(source, spot, end),
                _ => self.writer.is_cut = true,
            }
            return Ok(end);
        }
        if misplaced {
            return Err(Pause::Halt(self.misshapen(places)));
        }
        if depth == 0 {
            return Err(Pause::Stop(Stop::TooDeep));
        }
        self.lead(source, spot);
        self.output.byte(opening, IsWanted::YES);
        let first = self.output.length();
        self.frames.push(Frame { places, is_object: opening == b'{', count: 0, first, keys: HashSet::new() });
        Ok(spot.value + 1)
    }

    fn close(&mut self) -> Result<(), Pause> {
        let Some(frame) = self.frames.pop() else { return Err(Pause::Halt(Halt::Internal)) };
        for (step, next) in frame.places.steps() {
            let is_there = match step {
                Step::Key(key) => frame.keys.contains(key.as_bytes()),
                Step::Index(index) => index < frame.count,
            };
            if !is_there && next.locations().iter().any(|location| !self.is_optional(*location)) {
                return Err(Pause::Halt(self.misshapen(next)));
            }
        }
        // A key of the root stands once, so what is below it is over with it.
        let is_outer = self.frames.len() == 1 && self.is_primary_below_a_key;
        self.is_primary_over |= is_outer && frame.places.locations().contains(&0);
        self.keys_bytes =
            frame.keys.iter().fold(self.keys_bytes, |bytes, key| bytes.saturating_sub(key.len()));
        self.output.byte(if frame.is_object { b'}' } else { b']' }, IsWanted::YES);
        if self.frames.is_empty() {
            self.progress = Progress::After;
        }
        Ok(())
    }

    /// Takes a record at a location.
    fn located(&mut self, source: &[u8], spot: Spot, number: usize, depth: usize) -> Result<usize, Pause> {
        let Some(location) = self.task.shape.records.get(number) else {
            return Err(Pause::Halt(Halt::Internal));
        };
        let at = || location.at.to_string();
        match byte(source, spot.value)? {
            b'{' => {}
            b'n' if location.is_optional => {
                let end = value_end(source, spot.value, depth)?;
                self.copy(source, spot, end);
                return Ok(end);
            }
            _ => {
                value_end(source, spot.value, depth)?;
                return Err(Pause::Halt(Halt::Shape(at())));
            }
        }
        let type_index = match &location.type_source {
            TypeSource::Discriminator(keys) => {
                value_end(source, spot.value, depth)?;
                self.type_in(source, spot.value, keys, depth)?
            }
            _ => self.types.get(number).copied().flatten(),
        };
        let unknown = || Pause::Halt(Halt::Shape(format!("the type of a record at {}", at())));
        let type_index = type_index.ok_or_else(unknown)?;
        let layouts = self.task.layouts;
        let layout = layouts.of(type_index).ok_or(Pause::Halt(Halt::Internal))?;
        let scan = Scan { levels: &layouts.levels, source, depth };
        let end = self.scanner.object(scan, spot.value, layout.level)?;
        let records = self.records + 1 + self.scanner.embedded();
        if records > self.task.limits.records {
            return Err(Pause::Halt(Halt::TooMany(self.task.limits.records)));
        }
        let scanned = Scanned {
            reading: Reading { layouts, nodes: self.scanner.nodes(), source, depth },
            slots: self.scanner.slots(),
            members: (0, self.scanner.nodes().len()),
            object: 0,
            type_index,
            completeness: Completeness::from_flag(location.is_complete),
            asked_id: self.task.asked_id.filter(|_| location.is_asked),
            expected_id: self.task.expected_id(number, type_index),
        };
        let before = self.output.length();
        self.output.reserve(end - spot.value + ROOM);
        lead(&mut self.output, source, spot);
        let selection = self.task.selection.filter(|_| number == 0);
        let shown = self.writer.record(scanned, selection, &mut self.output);
        let shown = shown
            .map_err(Pause::Halt)?
            .ok_or_else(|| Pause::Halt(Halt::Shape(format!("the id of a record at {}", at()))))?;
        self.records = records;
        self.is_primary_there |= number == 0;
        match shown {
            IsShown::Yes => self.rows_shown += u64::from(number == 0),
            IsShown::No => {
                self.rows_shown += u64::from(is_seeded(Fault::HiddenRowsAreCounted));
                self.writer.is_cut = true;
                self.output.truncate(before);
            }
        }
        Ok(end)
    }

    /// The type that a record says it has.
    fn type_in(
        &self,
        source: &[u8],
        at: usize,
        keys: &[String],
        depth: usize,
    ) -> Result<Option<usize>, Pause> {
        let AttributePlace::Found(raw) = seek(source, at, keys, depth)? else { return Ok(None) };
        let text = std::str::from_utf8(raw).ok().filter(|text| text.starts_with('"'));
        let Some(name) = text.map(token::decode) else { return Ok(None) };
        let found = self.task.profile.type_on_wire(&name);
        Ok(found.and_then(|found| self.task.profile.type_named(&found.name)).map(|(index, _)| index))
    }

    fn total(&mut self, source: &[u8], spot: Spot, treatment: &TotalTreatment) {
        self.writer.is_cut = true;
        let text = match treatment {
            TotalTreatment::Remove => return,
            TotalTreatment::Null => "null",
            TotalTreatment::Unknown(text) => text,
            TotalTreatment::CountShown => "",
        };
        self.lead(source, spot);
        self.output.text(text.as_bytes());
        match treatment {
            TotalTreatment::CountShown if self.is_primary_over => {
                self.output.text(self.rows_shown.to_string().as_bytes());
            }
            TotalTreatment::CountShown => self.counts.push(self.output.length()),
            TotalTreatment::Remove | TotalTreatment::Null | TotalTreatment::Unknown(_) => {}
        }
    }

    fn link(&mut self, source: &[u8], spot: Spot, end: usize) {
        self.writer.is_cut = true;
        let text = source.get(spot.value..end).and_then(|raw| std::str::from_utf8(raw).ok());
        let page =
            self.task.other_pages.zip(text).and_then(|(other_pages, text)| other_pages.page_json(text));
        if let Some(page) = page {
            self.lead(source, spot);
            self.output.text(page.as_bytes());
        }
    }

    fn copy(&mut self, source: &[u8], spot: Spot, end: usize) {
        self.lead(source, spot);
        self.output.text(source.get(spot.value..end).unwrap_or_default());
    }

    fn lead(&mut self, source: &[u8], spot: Spot) {
        lead(&mut self.output, source, spot);
    }

    fn is_optional(&self, location: usize) -> bool {
        self.task.shape.records.get(location).is_some_and(|location| location.is_optional)
    }

    /// The place of the first record that cannot be where it should.
    fn misshapen(&self, places: &PlaceTree) -> Halt {
        let records = &self.task.shape.records;
        let location = places.locations().iter().find_map(|location| records.get(*location));
        Halt::Shape(location.map(|location| location.at.to_string()).unwrap_or_default())
    }
}

/// Writes what stands before a value: a comma behind others, and the key.
fn lead(output: &mut Output, source: &[u8], spot: Spot) {
    if output.length() > spot.first {
        output.text(b",");
    }
    if let Some((start, end)) = spot.key {
        output.text(source.get(start..end).unwrap_or_default());
        output.text(b":");
    }
}

impl From<Stop> for Pause {
    fn from(stop: Stop) -> Self {
        Pause::Stop(stop)
    }
}

/// Bodies that are scanned in a copy.
const SHORT: usize = 16_384;
/// Bytes that a record may grow by before room is made anew.
const ROOM: usize = 256;
