//! A record as policy sees it: its attributes, each in one of four states that must never be confused.
//!
//! Cedar drops a `has`-guarded `forbid` when an attribute is absent, so "the CRM says there is none" (Absent), "this
//! answer does not carry it" (NotCarried) and "it is there but cannot be read" (Nonconforming) are different things.

use super::principal::EntityRef;

/// One attribute of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The CRM stated a value and it converted exactly.
    Present(AttributeValue),
    /// The CRM stated that there is none.
    Absent,
    /// The answer at hand does not carry the attribute.
    NotCarried,
    /// The CRM stated a value that does not convert; the text says why and never holds the value.
    Nonconforming(String),
}

/// A converted value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// Text.
    Text(String),
    /// Money: ten-thousandths, exact.
    Decimal(i64),
    /// A point in time: milliseconds since 1970-01-01 UTC.
    Datetime(i64),
    /// A person, team, stage or other entity that must exist.
    Entity(EntityRef),
    /// Several values of one kind.
    Set(Vec<AttributeValue>),
}

/// The version of a record, as the CRM spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As text.
    pub text: String,
    /// As it goes into a JSON body.
    pub json: String,
}

/// What policy may know of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// The record type's name in the profile.
    pub type_name: String,
    /// The record's canonical id.
    pub id: String,
    /// One entry per attribute of the type, in the profile's order.
    pub attributes: Vec<Attribute>,
}
