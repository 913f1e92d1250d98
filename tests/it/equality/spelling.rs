//! Spells random records as a CRM might: escapes, numbers as text, white space, values in the second of two places.

use bytes::Bytes;
use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::instant::to_cedar_datetime;
use lockkeeper::bundle::profile::types::KeyPath;
use lockkeeper::json::parse::JsonLimits;
use lockkeeper::json::value::Document;
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};
use lockkeeper::pipeline::hydrate::convert::Lookups;
use lockkeeper::pipeline::hydrate::extract::{Completeness, Place, extract, place};

use lockkeeper::testkit::dice::Dice;

/// A record as it is spelled.
pub struct Spelled {
    document: Document,
    /// Whether a missing key means that there is no value.
    pub completeness: Completeness,
}

impl Spelled {
    /// The facts of a record, spelled.
    pub fn new(snapshot: &Snapshot, facts: &RecordFacts, dice: &mut Dice) -> Self {
        let (_, record_type) = snapshot.bundle.profile.type_named(&facts.type_name).unwrap();
        let lacks = facts.attributes.contains(&Attribute::NotCarried);
        let completeness = Completeness::from_flag(!lacks && dice.one_in(2));
        let mut members = Vec::new();
        for (spec, attribute) in record_type.attributes.iter().zip(&facts.attributes) {
            let text = match attribute {
                Attribute::NotCarried => continue,
                Attribute::Absent if completeness == Completeness::Complete && dice.one_in(2) => continue,
                Attribute::Absent => "null".to_owned(),
                Attribute::Nonconforming(_) => {
                    dice.pick(&["{}", "{\"x\": [1]}", "[[]]", "[null]"]).to_owned()
                }
                Attribute::Present(value) => spell(value, &spec.inside, dice),
            };
            let nested = spec.at.len() > 1 && dice.one_in(2);
            members.push(match nested {
                true => format!("\"{}\":{{\"id\":{text}}}", spec.name),
                false => format!("\"{}\": {text}", spec.name),
            });
        }
        let text = format!("{{{}}}", members.join(",\n"));
        let document = Document::parse(Bytes::from(text), &JsonLimits::default()).unwrap();
        Self { document, completeness }
    }

    /// What is read of it.
    pub fn facts(&self, snapshot: &Snapshot, spelled: &RecordFacts) -> RecordFacts {
        let (_, record_type) = snapshot.bundle.profile.type_named(&spelled.type_name).unwrap();
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        extract(record_type, self.document.root(), spelled.id.clone(), self.completeness, lookups)
    }

    /// What stands at some places.
    pub fn places(&self, paths: &[KeyPath]) -> Vec<Place<&[u8]>> {
        let raw = |path: &KeyPath| match place(self.document.root(), path) {
            Place::Found(value) => Place::Found(value.raw().as_bytes()),
            Place::Missing => Place::Missing,
            Place::Null => Place::Null,
            Place::Misshapen => Place::Misshapen,
        };
        paths.iter().map(raw).collect()
    }

    /// The text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.document.bytes()).into_owned()
    }
}

fn spell(value: &AttributeValue, inside: &[KeyPath], dice: &mut Dice) -> String {
    match value {
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Long(number) => quoted_or_not(number.to_string(), dice),
        AttributeValue::Decimal(units) => {
            let (sign, whole) = (if *units < 0 { "-" } else { "" }, units.unsigned_abs());
            let (whole, rest) = (whole / 10_000, whole % 10_000);
            let text = match dice.below(4) {
                0 if rest == 0 => format!("{sign}{whole}"),
                1 => format!("{units}e-4"),
                2 => format!("{sign}{whole}.{rest:04}00"),
                _ => format!("{sign}{whole}.{rest:04}"),
            };
            quoted_or_not(text, dice)
        }
        AttributeValue::Text(text) => string(text, dice),
        // Beyond what can be written it does not convert, and denies as well.
        AttributeValue::Datetime(millis) => {
            string(&to_cedar_datetime(*millis).unwrap_or_else(|| "9999-99-99".to_owned()), dice)
        }
        AttributeValue::Entity(entity) => {
            string(entity.id.strip_prefix("sales.").unwrap_or(&entity.id), dice)
        }
        AttributeValue::Set(values) => {
            let items: Vec<String> = values
                .iter()
                .map(|value| {
                    let item = spell(value, &[], dice);
                    match inside.len() > 1 && dice.one_in(2) {
                        true => format!("{{\"id\" : {item}}}"),
                        false => item,
                    }
                })
                .collect();
            format!("[{}]", items.join(dice.pick(&[",", " , ", ",\n\t"])))
        }
    }
}

fn quoted_or_not(text: String, dice: &mut Dice) -> String {
    if dice.one_in(3) { format!("\"{text}\"") } else { text }
}

fn string(text: &str, dice: &mut Dice) -> String {
    let mut spelled = String::from("\"");
    for letter in text.chars() {
        let code = u32::from(letter);
        match dice.one_in(12) && code <= 0xFFFF {
            true => spelled.push_str(&format!("\\u{code:04x}")),
            false => spelled.push(letter),
        }
    }
    spelled.push('"');
    spelled
}
