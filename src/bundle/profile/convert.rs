//! How an attribute's wire form becomes a Cedar value: read from the profile, carried out by `pipeline::hydrate`.

use std::collections::BTreeMap;

use crate::config::reader::{Item, Table};

/// A conversion of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The kind of value.
    pub kind: Kind,
    /// Several values in an array.
    pub is_set: bool,
    /// Wire texts that stand for others, applied first; a text that is not listed does not convert.
    pub map: Option<BTreeMap<String, String>>,
    /// JSON texts that mean "there is none", beside `null`.
    pub empty: Vec<String>,
}

/// The kind of value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON truth value, or one of the listed JSON texts.
    Bool {
        /// JSON texts that mean true.
        yes: Vec<String>,
        /// JSON texts that mean false.
        no: Vec<String>,
    },
    /// A whole number, also as a string.
    Long,
    /// A string; numbers and truth values are not text.
    Text,
    /// Money, from number or string.
    Decimal(DecimalForm),
    /// A point in time.
    Datetime(DateForm),
    /// An entity of the directory.
    Entity {
        /// The Cedar type.
        type_name: String,
        /// The directory attributes that may hold the wire value, tried in order; none means that the wire value is the
        /// id itself.
        by: Vec<String>,
    },
    /// A stage of the catalogue.
    Stage,
    /// A pipeline of the catalogue.
    Pipeline,
}

/// How money is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecimalForm {
    /// Places by which the point is moved to the left: 6 for micros, 2 for cents.
    pub scale: u32,
    /// The separator of thousands, removed.
    pub thousands: Option<String>,
    /// The decimal point, if not `.`.
    pub point: Option<String>,
    /// Texts removed anywhere, such as currency signs.
    pub strip: Vec<String>,
}

/// How a date is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateForm {
    /// RFC 3339 or a plain date; without an offset only if `offset_seconds` is given.
    Text {
        /// Seconds east of UTC that are meant where the text has no offset.
        offset_seconds: Option<i32>,
    },
    /// An object with number members, e.g. `{"year":2026,"month":11,"day":21}`.
    Parts,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

/// Reads the conversion keys of an attribute's table: `as`, `by`, `map`, `empty` and those of the kind.
pub fn read(table: &Table<'_>) -> Option<Conversion> {
    let help = "Say what the value is: bool, long, string, decimal, datetime, Stage, Pipeline or an entity type such as User.";
    let kind_name = table.required("as", help)?;
    let (name, is_set) = match kind_name.value.strip_prefix("set of ") {
        Some(name) => (name, true),
        None => (kind_name.value.as_str(), false),
    };
    let by = table.texts("by").unwrap_or_default();
    let kind = match name {
        "bool" => Kind::Bool { yes: json_texts(table, "yes"), no: json_texts(table, "no") },
        "long" => Kind::Long,
        "string" => Kind::Text,
        "decimal" => Kind::Decimal(read_decimal(table)),
        "datetime" => Kind::Datetime(read_date(table)?),
        "Stage" => Kind::Stage,
        "Pipeline" => Kind::Pipeline,
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
            let by = by.iter().map(|text| text.value.clone()).filter(|by| by != "id").collect();
            Kind::Entity { type_name: name.to_owned(), by }
        }
        _ => {
            table.reading().error(
                kind_name.span,
                format!("`{}` is not a kind of value", kind_name.value),
                help,
            );
            return None;
        }
    };
    if let (Some(by), false) = (by.first(), matches!(kind, Kind::Entity { .. })) {
        table.reading().error(by.span.clone(), "`by` is for entity types only", "");
    }
    let map = table.table("map").map(|map| {
        map.entries().into_iter().filter_map(|(key, item)| Some((key.value, item.text()?.value))).collect()
    });
    Some(Conversion { kind, is_set, map, empty: json_texts(table, "empty") })
}

fn read_decimal(table: &Table<'_>) -> DecimalForm {
    let text = |key| table.text(key).map(|text| text.value).filter(|text| !text.is_empty());
    let scale = table.integer("scale", 0..=12).and_then(|scale| u32::try_from(scale).ok());
    let strip = table.texts("strip").unwrap_or_default().into_iter().map(|text| text.value).collect();
    DecimalForm { scale: scale.unwrap_or(0), thousands: text("thousands"), point: text("point"), strip }
}

fn read_date(table: &Table<'_>) -> Option<DateForm> {
    let form = table.text("form");
    let offset = table.text("offset");
    let offset_seconds = match &offset {
        None => None,
        Some(text) => match parse_offset(&text.value) {
            Some(seconds) => Some(seconds),
            None => {
                let help = "Write `Z` or an offset such as `+01:00`.";
                table.reading().error(text.span.clone(), format!("`{}` is not an offset", text.value), help);
                return None;
            }
        },
    };
    match form.as_ref().map(|form| form.value.as_str()) {
        None | Some("text") => Some(DateForm::Text { offset_seconds }),
        Some("parts") => Some(DateForm::Parts),
        Some("epoch_s") => Some(DateForm::EpochSeconds),
        Some("epoch_ms") => Some(DateForm::EpochMillis),
        Some(other) => {
            let help = "There are text, parts, epoch_s and epoch_ms.";
            let span = form.as_ref().map_or(0..0, |form| form.span.clone());
            table.reading().error(span, format!("`{other}` is not a form of datetime"), help);
            None
        }
    }
}

/// Reads `Z` or `+01:00` as seconds east of UTC.
pub fn parse_offset(text: &str) -> Option<i32> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    let plain = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let hours: i32 = digits.get(..2).filter(|_| plain)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn json_texts(table: &Table<'_>, key: &str) -> Vec<String> {
    let items = table.item(key).map(Item::list).unwrap_or_default();
    items.into_iter().filter_map(Item::scalar_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read() {
        let cases = [
            ("Z", Some(0)),
            ("+01:00", Some(3600)),
            ("-0330", Some(-12_600)),
            ("+24:00", None),
            ("1", None),
            ("+1é0", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_offset(text), expected, "{text}");
        }
    }
}
