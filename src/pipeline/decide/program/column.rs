//! What the values of one attribute mean to a bound program, learnt value by value.
//!
//! Promises: two values have one code only if everything that the program asks of the attribute comes to the same on both.

use super::hash::Table;
use super::reading::{self, Reading};
use super::teacher::Teacher;
use crate::bundle::program::tree::Outcome;
use crate::model::reason::Reason;
use crate::model::record::{Attribute, AttributeValue};

/// What a value, or a part of a record, means: a number for what everything that depends on it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The attribute is not carried.
    pub const NOT_CARRIED: Self = Self(u32::MAX);
    /// Its value does not convert.
    pub const NONCONFORMING: Self = Self(u32::MAX - 1);
    /// Only plain Cedar can say what it means.
    pub const UNSUPPORTED: Self = Self(u32::MAX - 2);
    /// It refers to what nothing defines.
    pub const ENTITY_UNKNOWN: Self = Self(u32::MAX - 3);
    /// Cedar does not take it.
    pub const OUT_OF_RANGE: Self = Self(u32::MAX - 4);

    /// Whether it stands for outcomes.
    pub fn is_meaning(self) -> bool {
        self < Self::OUT_OF_RANGE
    }

    /// Why a record with such a value is denied outright.
    pub fn denial(self) -> Option<Reason> {
        match self {
            Self::ENTITY_UNKNOWN => Some(Reason::EntityUnknown),
            Self::OUT_OF_RANGE => Some(Reason::AttributeNonconforming),
            _ => None,
        }
    }
}

/// Lists of outcomes by number.
#[derive(Default)]
pub struct Codes {
    outcomes: Vec<Box<[Outcome]>>,
    codes: Table<Box<[Outcome]>, Code>,
    bytes: usize,
}

impl Codes {
    /// The code of some outcomes.
    pub fn code(&mut self, outcomes: Box<[Outcome]>) -> Code {
        if let Some(code) = self.codes.get(&outcomes) {
            return *code;
        }
        let code = u32::try_from(self.outcomes.len()).map_or(Code::UNSUPPORTED, Code);
        self.bytes += ENTRY_BYTES + 2 * outcomes.len();
        self.outcomes.push(outcomes.clone());
        self.codes.insert(outcomes, code);
        code
    }

    /// The outcomes of a code.
    pub fn outcomes(&self, code: Code) -> &[Outcome] {
        self.outcomes.get(code.0 as usize).map_or(&[], |outcomes| outcomes)
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.bytes
    }
}

/// What is known of the values of one attribute.
#[derive(Default)]
pub struct Column {
    codes: Codes,
    absent: Option<Code>,
    /// Where values matter by their order: the points, and the codes before, at and after each of them.
    points: Vec<i64>,
    intervals: Vec<Option<Code>>,
    values: Table<AttributeValue, Code>,
    raw: Table<Box<[u8]>, Code>,
    bytes: usize,
}

impl Column {
    /// Starts at a moment: what depends on the time is forgotten.
    pub fn start(&mut self, reading: &Reading, now_ms: i64) {
        let Some(order) = &reading.order else {
            if reading.reads_now {
                self.forget();
            }
            return;
        };
        if order.has_now || self.intervals.is_empty() {
            self.forget();
            self.points.clone_from(&order.points);
            if let (true, Err(place)) = (order.has_now, self.points.binary_search(&now_ms)) {
                self.points.insert(place, now_ms);
            }
            self.intervals = vec![None; 2 * self.points.len() + 1];
        }
    }

    /// The codes themselves stay, so that what was concluded from them stays true.
    fn forget(&mut self) {
        self.absent = None;
        self.values.clear();
        self.raw.clear();
        self.bytes = 0;
    }

    /// The code of an attribute as it was read.
    pub fn of(&mut self, attribute: Option<&Attribute>, reading: &Reading, teacher: &Teacher<'_>) -> Code {
        match attribute {
            Some(Attribute::Present(value)) => self.of_value(value, reading, teacher),
            Some(Attribute::Absent) => self.of_absent(reading, teacher),
            Some(Attribute::NotCarried) => Code::NOT_CARRIED,
            Some(Attribute::Nonconforming(_)) => Code::NONCONFORMING,
            None => Code::UNSUPPORTED,
        }
    }

    /// The code of no value.
    pub fn of_absent(&mut self, reading: &Reading, teacher: &Teacher<'_>) -> Code {
        if let Some(code) = self.absent {
            return code;
        }
        let code = self.learn(None, reading, teacher);
        self.absent = Some(code);
        code
    }

    /// The code of a value.
    pub fn of_value(&mut self, value: &AttributeValue, reading: &Reading, teacher: &Teacher<'_>) -> Code {
        if reading.order.is_some()
            && let Some(number) = reading::number(value)
        {
            return self.of_number(number, value, reading, teacher);
        }
        if let Some(code) = self.values.get(value) {
            return *code;
        }
        let code = self.learn(Some(value), reading, teacher);
        let weight = weight(value);
        if weight <= VALUE_BYTES_MAX {
            self.bytes += ENTRY_BYTES + weight;
            self.values.insert(value.clone(), code);
        }
        code
    }

    /// The code of a number, which is that of its neighbours between the same points.
    pub fn of_number(
        &mut self,
        number: i64,
        value: &AttributeValue,
        reading: &Reading,
        teacher: &Teacher<'_>,
    ) -> Code {
        if let Some(code) = Teacher::out_of_range(value) {
            return code;
        }
        let place = match self.points.binary_search(&number) {
            Ok(at) => 2 * at + 1,
            Err(before) => 2 * before,
        };
        if let Some(Some(code)) = self.intervals.get(place) {
            return *code;
        }
        let code = self.learn(Some(value), reading, teacher);
        if let Some(interval) = self.intervals.get_mut(place) {
            *interval = Some(code);
        }
        code
    }

    /// The code of a value as it is spelled, if it is known.
    pub fn of_raw(&self, raw: &[u8]) -> Option<Code> {
        self.raw.get(raw).copied()
    }

    /// Notes the code of a spelling.
    pub fn note(&mut self, raw: &[u8], code: Code) {
        if raw.len() <= RAW_BYTES_MAX {
            self.bytes += ENTRY_BYTES + raw.len();
            self.raw.insert(raw.into(), code);
        }
    }

    fn learn(&mut self, value: Option<&AttributeValue>, reading: &Reading, teacher: &Teacher<'_>) -> Code {
        match teacher.outcomes(value, reading) {
            Ok(outcomes) => self.codes.code(outcomes),
            Err(code) => code,
        }
    }

    /// The codes.
    pub fn codes(&self) -> &Codes {
        &self.codes
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.bytes + self.codes.weight()
    }
}

fn weight(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Entity(entity) => entity.type_name.len() + entity.id.len(),
        AttributeValue::Set(values) => values.iter().map(|value| ENTRY_BYTES + weight(value)).sum(),
        AttributeValue::Bool(_)
        | AttributeValue::Long(_)
        | AttributeValue::Decimal(_)
        | AttributeValue::Datetime(_) => 0,
    }
}

/// What an entry of a table takes beside the bytes of its texts, about.
pub const ENTRY_BYTES: usize = 80;
/// Bytes of a spelling that is kept; longer ones are read each time.
const RAW_BYTES_MAX: usize = 256;
/// Bytes of a value that is kept.
const VALUE_BYTES_MAX: usize = 1_024;
