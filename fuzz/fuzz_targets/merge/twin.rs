//! The rules of merging, by a table of places, on texts that `serde_json` cut: slow and plain.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a caller sees of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Seen,
    Hidden,
    Masked,
}

/// What a caller sees of a record: of each place of [`FIELDS`], and of what no field claims.
#[derive(Debug)]
pub struct View(Vec<Sight>);

/// What is shown in the place of a value.
struct Field {
    at: &'static str,
    /// In the place of what is hidden; `None`: the key is not there.
    blank: Option<&'static str>,
    mask: Option<Mask>,
}

enum Mask {
    Text(&'static str),
    /// The last character of a string of two or more, behind a star.
    Last,
}

const fn field(at: &'static str, blank: Option<&'static str>, mask: Option<Mask>) -> Field {
    Field { at, blank, mask }
}

const FIELDS: &[Field] = &[
    field("plain", None, None),
    field("nulled", Some("null"), None),
    field("zeroed", Some("0"), None),
    field("masked", None, Some(Mask::Text("\"***\""))),
    field("both", Some("null"), Some(Mask::Text("9"))),
    field("last", None, Some(Mask::Last)),
    field("c.plain", None, None),
    field("c.nulled", Some("null"), None),
    field("c.d.lat", None, None),
    field("c.d.text", Some("\"\""), None),
];

/// The key that the CRM takes no notice of.
pub const IGNORED: &str = "derived";

/// Places at which a change could ask for a further decision.
pub const PLACES: &[&str] = &[
    "plain",
    "nulled",
    "nulled_a",
    "zeroed",
    "masked",
    "both",
    "last",
    "c",
    "c.plain",
    "c.plain_a",
    "c.nulled",
    "c.d",
    "c.d.lat",
    "c.d.text",
    "c.x",
    "x",
    IGNORED,
    "plain.x",
    "x.y",
];

/// What stands at a place.
enum What {
    Composite,
    Field(&'static Field),
    Twin(&'static Field),
    Meta,
    Ignored,
    Unknown,
}

fn what(at: &str) -> What {
    let named = |name: &str| FIELDS.iter().find(|field| field.at == name);
    match at {
        "c" | "c.d" => What::Composite,
        "id" | "kind" => What::Meta,
        IGNORED => What::Ignored,
        at if at.starts_with("nulled_") => named("nulled").map_or(What::Unknown, What::Twin),
        at if at.starts_with("c.plain_") => named("c.plain").map_or(What::Unknown, What::Twin),
        at => named(at).map_or(What::Unknown, What::Field),
    }
}

impl View {
    /// By a letter for each field; what is not said is seen.
    pub fn new(letters: &str) -> Self {
        let of = |letter: u8| [Sight::Seen, Sight::Hidden, Sight::Masked][usize::from(letter) % 3];
        let letters = letters.bytes().chain(std::iter::repeat(b'c'));
        let mut seen: Vec<Sight> = letters.map(of).take(FIELDS.len() + 1).collect();
        // What no field claims has no mask.
        if seen[FIELDS.len()] == Sight::Masked {
            seen[FIELDS.len()] = Sight::Hidden;
        }
        Self(seen)
    }

    /// What is seen of a field; of no field's name what is seen of what no field claims.
    pub fn of(&self, at: &str) -> Sight {
        self.0[FIELDS.iter().position(|field| field.at == at).unwrap_or(FIELDS.len())]
    }

    fn is_hidden(&self, at: &str) -> bool {
        self.of(at) != Sight::Seen
    }
}

/// An object with the text of each value.
pub struct Members<'t>(Vec<(String, &'t str)>);

impl<'t> Members<'t> {
    /// Reads a text; `None` if it is no object.
    pub fn read(text: &'t str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn member(&self, key: &str) -> Option<&'t str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, text)| *text)
    }

    /// Whether composites are objects, or not there.
    pub fn is_composed(&self) -> bool {
        let is_fit = |text: Option<&'t str>| text.is_none_or(|text| Members::read(text).is_some());
        let inner = self.member("c").and_then(Members::read).and_then(|inner| inner.member("d"));
        is_fit(self.member("c")) && is_fit(inner)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A point in a key is none between keys.
fn below(at: &str, key: &str) -> String {
    let key = key.replace('.', "\\");
    if at.is_empty() { key } else { format!("{at}.{key}") }
}

fn object(members: Vec<(&str, String)>) -> String {
    let member = |(key, text): &(&str, String)| format!("{}:{text}", serde_json::Value::from(*key));
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// The text of an object with composites written in one way, so that two texts can be compared.
pub fn plain(members: &Members<'_>) -> String {
    plain_at(members, "")
}

fn plain_at(members: &Members<'_>, at: &str) -> String {
    object(members.0.iter().map(|(key, text)| (key.as_str(), plain_value(text, &below(at, key)))).collect())
}

fn plain_value(text: &str, at: &str) -> String {
    match (what(at), Members::read(text)) {
        (What::Composite, Some(inner)) => plain_at(&inner, at),
        _ => text.to_owned(),
    }
}

/// What a body becomes; `None` where a composite of the record is something else, and the body states it.
pub fn merged(view: &View, record: &Members<'_>, body: &Members<'_>) -> Option<String> {
    merged_at(view, Some(record), Some(body), "")?.or_else(|| Some("{}".to_owned()))
}

/// The inner `None`: there is nothing.
fn merged_at(
    view: &View,
    record: Option<&Members<'_>>,
    body: Option<&Members<'_>>,
    at: &str,
) -> Option<Option<String>> {
    let mut out = Vec::new();
    for (key, text) in body.iter().flat_map(|body| &body.0) {
        let place = below(at, key);
        let now = record.and_then(|record| record.member(key));
        match what(&place) {
            What::Ignored => {}
            What::Field(field) if view.stands_in(field, text, now) => {
                out.extend(now.map(|now| (key, now.to_owned())))
            }
            What::Twin(field) if view.stands_in(field, text, now) => {}
            What::Composite => {
                let now = now.filter(|now| *now != "null");
                let inner = now.and_then(Members::read);
                if now.is_some() && inner.is_none() {
                    return None;
                }
                out.push(match Members::read(text) {
                    Some(stated) => {
                        (key, merged_at(view, inner.as_ref(), Some(&stated), &place)?.unwrap_or_default())
                    }
                    None => (key, (*text).to_owned()),
                });
            }
            _ => out.push((key, (*text).to_owned())),
        }
    }
    for (key, text) in record.iter().flat_map(|record| &record.0) {
        let place = below(at, key);
        let is_kept = match what(&place) {
            _ if body.is_some_and(|body| body.member(key).is_some()) => false,
            What::Field(field) => view.is_hidden(field.at),
            What::Unknown => view.is_hidden(""),
            What::Composite => match Members::read(text) {
                Some(inner) => {
                    out.extend(merged_at(view, Some(&inner), None, &place)?.map(|text| (key, text)));
                    false
                }
                None => *text != "null",
            },
            What::Twin(_) | What::Meta | What::Ignored => false,
        };
        out.extend(is_kept.then(|| (key, (*text).to_owned())));
    }
    let is_there = body.is_some() || !out.is_empty();
    Some(is_there.then(|| object(out.into_iter().map(|(key, text)| (key.as_str(), text)).collect())))
}

impl View {
    /// Whether a value is what was shown in the place of a hidden one.
    fn stands_in(&self, field: &Field, text: &str, now: Option<&str>) -> bool {
        let is = |shown: &str| same(text, shown);
        let is_blank = field.blank.is_some_and(is);
        match self.of(field.at) {
            Sight::Seen => false,
            Sight::Hidden => is_blank,
            Sight::Masked => is_blank || field.mask.as_ref().is_some_and(|mask| is(&mask.of(now))),
        }
    }
}

impl Mask {
    fn of(&self, now: Option<&str>) -> String {
        let text = now.and_then(|now| serde_json::from_str::<String>(now).ok()).unwrap_or_default();
        match (self, text.chars().count() >= 2, text.chars().last()) {
            (Mask::Text(text), ..) => (*text).to_owned(),
            (Mask::Last, true, Some(last)) => serde_json::Value::from(format!("*{last}")).to_string(),
            (Mask::Last, ..) => "\"*\"".to_owned(),
        }
    }
}

/// Whether two texts are one string, or the same to the byte.
fn same(text: &str, shown: &str) -> bool {
    let string = |text: &str| serde_json::from_str::<String>(text).ok();
    match (string(text), string(shown)) {
        (Some(text), Some(shown)) => text == shown,
        _ => text == shown,
    }
}

/// The record with what is hidden of another one in the place of what is hidden of it. What a caller is told of a hidden value
/// stays: that there is a key where a blank stands for it, whether there is a value and what is kept of it where a mask does.
pub fn with_hidden_of(view: &View, record: &Members<'_>, other: &Members<'_>) -> String {
    mixed_at(view, record, Some(other), "")
}

fn mixed_at(view: &View, record: &Members<'_>, other: Option<&Members<'_>>, at: &str) -> String {
    let others = |key: &str| other.and_then(|other| other.member(key));
    let mut out = Vec::new();
    for (key, text) in &record.0 {
        let place = below(at, key);
        let instead = match view.free(&place) {
            Free::No => Some(*text),
            Free::Yes => others(key),
            Free::Value => others(key).or(Some(*text)),
            Free::Alike(mask) => {
                let is_alike = |other: &&str| {
                    (*other == "null") == (*text == "null") && mask.of(Some(other)) == mask.of(Some(*text))
                };
                others(key).filter(is_alike).or(Some(*text))
            }
        };
        match (what(&place), Members::read(text)) {
            (What::Composite, Some(inner)) => {
                let of_other = others(key).and_then(Members::read);
                out.push((key.as_str(), mixed_at(view, &inner, of_other.as_ref(), &place)));
            }
            _ => out.extend(instead.map(|text| (key.as_str(), text.to_owned()))),
        }
    }
    for (key, text) in other.iter().flat_map(|other| &other.0) {
        let is_new = record.member(key).is_none() && matches!(view.free(&below(at, key)), Free::Yes);
        out.extend(is_new.then(|| (key.as_str(), (*text).to_owned())));
    }
    object(out)
}

/// What of a value may differ without anybody being told.
enum Free {
    No,
    /// Even whether it is there.
    Yes,
    Value,
    /// What its mask does not show.
    Alike(&'static Mask),
}

impl View {
    fn free(&self, at: &str) -> Free {
        let field = match what(at) {
            What::Field(field) | What::Twin(field) => field,
            What::Unknown | What::Ignored if self.is_hidden("") => return Free::Yes,
            What::Unknown | What::Ignored | What::Composite | What::Meta => return Free::No,
        };
        match (self.of(field.at), &field.mask, field.blank) {
            (Sight::Seen, ..) => Free::No,
            (Sight::Masked, Some(mask), _) => Free::Alike(mask),
            (Sight::Hidden | Sight::Masked, _, Some(_)) => Free::Value,
            (Sight::Hidden | Sight::Masked, _, None) => Free::Yes,
        }
    }
}

/// What a caller sees of an object: hidden values left out, others with their text. A composite of which nothing is seen is as good
/// as none.
pub fn visible(view: &View, members: &Members<'_>) -> String {
    visible_at(view, members, "")
}

fn visible_at(view: &View, members: &Members<'_>, at: &str) -> String {
    let seen = members.0.iter().filter_map(|(key, text)| {
        let place = below(at, key);
        match (what(&place), Members::read(text)) {
            (What::Composite, Some(inner)) => {
                Some((key.as_str(), visible_at(view, &inner, &place))).filter(|(_, text)| text != "{}")
            }
            _ => matches!(view.free(&place), Free::No).then(|| (key.as_str(), (*text).to_owned())),
        }
    });
    object(seen.collect())
}
