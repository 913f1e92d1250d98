//! Record types: which attributes policy sees, which fields exist, and where both stand in a record on the wire.
//!
//! What is not described here does not exist: keys of a record that no field claims are the one field `Type.*`.

use std::collections::BTreeMap;

use super::convert::{self, Conversion};
use super::mask::Mask;
use crate::config::reader::{Item, Table, Text};
use crate::json::alike::folded;
use crate::json::path::{JsonPath, Segment};

/// One record type.
#[derive(Clone, Debug)]
pub struct RecordType {
    /// The Cedar type's name, e.g. `Deal`.
    pub name: String,
    /// Where the type stands in the profile.
    pub span: std::ops::Range<usize>,
    /// Other names of the type on the wire, for discriminators and path parameters.
    pub aliases: Vec<String>,
    /// Where the id is in a record.
    pub id: KeyPath,
    /// Top-level keys that say what a record is and are shown with it, such as `__name__`.
    pub meta: Vec<String>,
    /// The attributes that policy sees.
    pub attributes: Vec<AttributeSpec>,
    /// The fields that exist.
    pub fields: Vec<FieldSpec>,
    /// The label of the route that fetches one record of the type by id.
    pub fetch: Option<Text>,
}

/// A path of object keys from a record's root.
pub type KeyPath = Vec<String>;

/// One attribute that policy sees.
#[derive(Clone, Debug)]
pub struct AttributeSpec {
    /// The Cedar attribute's name.
    pub name: String,
    /// Where the attribute stands in the profile.
    pub span: std::ops::Range<usize>,
    /// Where the value is: the first path that leads to a scalar wins.
    pub at: Vec<KeyPath>,
    /// For lists of objects: where each item holds its value, tried in order; the empty path is the item itself.
    pub inside: Vec<KeyPath>,
    /// How it becomes a Cedar value.
    pub conversion: Conversion,
    /// How a caller's projection must name it so that the CRM carries it.
    pub select: String,
}

/// One field of a type.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    /// The logical name without the type, e.g. `amount` or `address.city`.
    pub name: String,
    /// Where the field stands in the profile.
    pub span: std::ops::Range<usize>,
    /// Where it is in a record.
    pub at: KeyPath,
    /// The field sets it is in.
    pub sets: Vec<String>,
    /// Wire keys beside it that say the same in another form; `*` at one end is a wildcard.
    pub twins: Vec<KeyPattern>,
    /// Fields that it tells of, by name.
    pub derived_from: Vec<Text>,
    /// What happens to it where it may not be seen.
    pub hide: Hide,
    /// What is shown where only the masked value may be seen.
    pub mask: Option<Mask>,
    /// The record type of what stands here, if it is an embedded record or a list of them.
    pub embeds: Option<Embed>,
    /// The record type of the record, or the records, whose id stands here.
    pub id_of: Option<Text>,
}

/// What stands in a field that holds other records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    /// The record type's name.
    pub type_name: String,
    /// Whether a missing key of the embedded record means that there is no value.
    pub is_complete: bool,
}

/// What happens to a field that may not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hide {
    /// The key is removed.
    Remove,
    /// The value becomes `null`.
    Null,
    /// The value becomes this JSON text, whatever it was: an empty value that clients of the CRM can take.
    Value(String),
    /// The object around the field is removed with it.
    Branch,
    /// The whole answer is refused.
    Refuse,
}

/// A wire key or one with a wildcard at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPattern {
    /// Just this key.
    Exact(String),
    /// Keys that start so.
    Prefix(String),
    /// Keys that end so.
    Suffix(String),
}

impl KeyPattern {
    /// Reads `amountConverted`, `amountWeighted*` or `*_formatted`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = (text.strip_prefix('*'), text.strip_suffix('*'));
        let pattern = match (first, last) {
            (None, None) => KeyPattern::Exact(text.to_owned()),
            (None, Some(prefix)) => KeyPattern::Prefix(prefix.to_owned()),
            (Some(suffix), None) => KeyPattern::Suffix(suffix.to_owned()),
            (Some(_), Some(_)) => return None,
        };
        let (KeyPattern::Exact(rest) | KeyPattern::Prefix(rest) | KeyPattern::Suffix(rest)) = &pattern;
        (!rest.is_empty() && !rest.contains('*')).then_some(pattern)
    }

    /// Whether the pattern covers a key.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            KeyPattern::Exact(name) => key == name,
            KeyPattern::Prefix(prefix) => key.starts_with(prefix.as_str()),
            KeyPattern::Suffix(suffix) => key.ends_with(suffix.as_str()),
        }
    }

    /// The pattern that covers the folded spelling of each key that this one covers.
    pub fn folded(&self) -> Self {
        let folded = |text: &str| folded(text).into_owned();
        match self {
            KeyPattern::Exact(name) => KeyPattern::Exact(folded(name)),
            KeyPattern::Prefix(prefix) => KeyPattern::Prefix(folded(prefix)),
            KeyPattern::Suffix(suffix) => KeyPattern::Suffix(folded(suffix)),
        }
    }

    /// Whether there is a key that both patterns cover.
    pub fn overlaps(&self, other: &KeyPattern) -> bool {
        match (self, other) {
            (KeyPattern::Exact(key), pattern) | (pattern, KeyPattern::Exact(key)) => pattern.matches(key),
            (KeyPattern::Prefix(a), KeyPattern::Prefix(b)) => a.starts_with(b) || b.starts_with(a),
            (KeyPattern::Suffix(a), KeyPattern::Suffix(b)) => a.ends_with(b) || b.ends_with(a),
            (KeyPattern::Prefix(_), KeyPattern::Suffix(_))
            | (KeyPattern::Suffix(_), KeyPattern::Prefix(_)) => true,
        }
    }
}

impl std::fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyPattern::Exact(name) => f.write_str(name),
            KeyPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            KeyPattern::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl FieldSpec {
    /// The record type that a bare id in this place is of.
    pub fn names_records_of(&self) -> Option<&str> {
        let embedded = self.embeds.as_ref().map(|embed| embed.type_name.as_str());
        embedded.or(self.id_of.as_ref().map(|text| text.value.as_str()))
    }
}

impl RecordType {
    /// The index of the attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|attribute| attribute.name == name)
    }

    /// The full name of a field, e.g. `Deal.amount`.
    pub fn field_name(&self, index: usize) -> String {
        let name = self.fields.get(index).map_or(UNCLASSIFIED, |field| field.name.as_str());
        format!("{}.{name}", self.name)
    }

    /// The full name of the one field that stands for all unknown keys, e.g. `Deal.*`.
    pub fn unclassified_name(&self) -> String {
        format!("{}.{UNCLASSIFIED}", self.name)
    }
}

/// Reads the `[types]` table.
pub fn read(types: &Table<'_>) -> Vec<RecordType> {
    types.entries().into_iter().filter_map(|(name, item)| read_type(name, item.table()?)).collect()
}

fn read_type(name: Text, table: Table<'_>) -> Option<RecordType> {
    let id = table.required("id", "Say where the record's id is, e.g. `id = \"id\"`.");
    let id = id.and_then(|text| key_path(&table, &text)).unwrap_or_default();
    let texts = |key| table.texts(key).unwrap_or_default().into_iter().map(|text| text.value).collect();
    let (aliases, meta) = (texts("names"), texts("meta"));
    let fetch = table.text("fetch");
    let attributes =
        table.table("attributes").map(|attributes| read_attributes(&attributes)).unwrap_or_default();
    let fields = table.table("fields").map(|fields| read_fields(&fields)).unwrap_or_default();
    table.finish();
    check_name(&table, &name);
    Some(RecordType { name: name.value, span: name.span, aliases, id, meta, attributes, fields, fetch })
}

fn check_name(table: &Table<'_>, name: &Text) {
    let plain = name.value.starts_with(|c: char| c.is_ascii_uppercase())
        && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !plain || RESERVED_TYPES.contains(&name.value.as_str()) {
        let help = "A record type is named like `Deal`; the base schema's own names are taken.";
        table.reading().error(name.span.clone(), format!("`{}` cannot name a record type", name.value), help);
    }
}

fn read_attributes(table: &Table<'_>) -> Vec<AttributeSpec> {
    let read_one = |(name, item): (Text, Item<'_>)| -> Option<AttributeSpec> {
        let table = item.table()?;
        let at = table.texts("at").unwrap_or_else(|| vec![name.clone()]);
        let (at, inside) = attribute_places(&table, &at);
        let select = table.text("select").map(|text| text.value);
        let conversion = convert::read(&table);
        table.finish();
        let select = select.or_else(|| at.first().and_then(|path| path.first()).cloned())?;
        let conversion = conversion?;
        if !inside.is_empty() && !conversion.is_set {
            let help = "Write `as = \"set of …\"`, or a place without `[*]`.";
            table.reading().error(
                name.span.clone(),
                format!("`{}` has many places and one value", name.value),
                help,
            );
        }
        Some(AttributeSpec { name: name.value, span: name.span, at, inside, conversion, select })
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

/// The places of an attribute: paths of keys, or paths into the items of one list.
fn attribute_places(table: &Table<'_>, texts: &[Text]) -> (Vec<KeyPath>, Vec<KeyPath>) {
    let split = |text: &Text| -> Option<(Text, Text)> {
        let (list, item) = text.value.split_once("[*]")?;
        let part = |value: &str| Text { value: value.to_owned(), span: text.span.clone() };
        Some((part(list), part(item.strip_prefix('.').unwrap_or(item))))
    };
    let parts: Vec<(Text, Text)> = texts.iter().filter_map(split).collect();
    let Some((list, _)) = parts.first() else {
        return (texts.iter().filter_map(|text| key_path(table, text)).collect(), Vec::new());
    };
    if parts.len() != texts.len() || parts.iter().any(|(other, _)| other.value != list.value) {
        let help =
            "Write e.g. `at = [\"members[*].id\", \"members[*]\"]`: one list, and places in its items.";
        table.reading().error(list.span.clone(), "these places are not in the items of one list", help);
    }
    let inside = parts.iter().filter_map(|(_, item)| match item.value.is_empty() {
        true => Some(Vec::new()),
        false => key_path(table, item),
    });
    (key_path(table, list).into_iter().collect(), inside.collect())
}

fn read_fields(table: &Table<'_>) -> Vec<FieldSpec> {
    let fields: Vec<FieldSpec> =
        table.entries().into_iter().filter_map(|(name, item)| read_field(name, item.table()?)).collect();
    fields.iter().for_each(|field| check_derived(table, field, &fields));
    let mut claimed: BTreeMap<&KeyPath, &FieldSpec> = BTreeMap::new();
    for field in &fields {
        if let Some(other) = claimed.insert(&field.at, field) {
            let message = format!("`{}` and `{}` stand in the same place", other.name, field.name);
            table.reading().error(field.span.clone(), message, "");
        }
    }
    fields
}

/// Warns of a field that tells of another one and may be seen by more people.
fn check_derived(table: &Table<'_>, field: &FieldSpec, fields: &[FieldSpec]) {
    for source in &field.derived_from {
        let Some(other) = fields.iter().find(|other| other.name == source.value) else {
            table.reading().error(source.span.clone(), format!("no field is called `{}`", source.value), "");
            continue;
        };
        if !other.sets.iter().any(|set| field.sets.contains(set)) {
            let help = format!("Put both into one set, or make it a twin of `{}`.", other.name);
            let message =
                format!("`{}` derives from `{}` and shares no field set with it", field.name, other.name);
            table.reading().warning(field.span.clone(), message, help);
        }
    }
}

fn read_field(name: Text, table: Table<'_>) -> Option<FieldSpec> {
    let at = table.text("at").unwrap_or_else(|| name.clone());
    let at = key_path(&table, &at);
    let sets: Vec<String> =
        table.texts("sets").unwrap_or_default().into_iter().map(|text| text.value).collect();
    let twins = table.texts("twins").unwrap_or_default();
    let twins = twins.into_iter().filter_map(|text| {
        let pattern = KeyPattern::parse(&text.value);
        if pattern.is_none() {
            let help = "Write a key, or a key with `*` at one end.";
            table.reading().error(text.span, format!("`{}` is not a key pattern", text.value), help);
        }
        pattern
    });
    let twins = twins.collect();
    if table.item("is").is_some() && table.item("hide").is_none() {
        let help = "State `hide = \"null\"` if that is what the CRM writes where there is none, or `hide = \"remove\"`.";
        let message = format!("`{}` does not say what stands in the place of a hidden record", name.value);
        table.reading().warning(name.span.clone(), message, help);
    }
    let derived_from = table.texts("derived_from").unwrap_or_default();
    let hide = table.item("hide").map_or(Some(Hide::Remove), |item| read_hide(&table, item));
    let mask = table.item("mask").and_then(Mask::read);
    let is_complete = table.boolean("complete").unwrap_or(false);
    let embeds = table.text("is").map(|text| Embed { type_name: text.value, is_complete });
    let id_of = table.text("id_of");
    table.finish();
    if let (Some(text), true) = (&id_of, embeds.is_some()) {
        let help = "Leave `id_of` out: a bare id in such a place is one of that type.";
        table.reading().error(text.span.clone(), format!("`{}` holds records already", name.value), help);
    }
    if sets.is_empty() {
        let help = "Name at least one field set, or leave the field out: what is not described is hidden.";
        table.reading().error(name.span.clone(), format!("the field `{}` is in no set", name.value), help);
    }
    Some(FieldSpec {
        name: name.value,
        span: name.span,
        at: at?,
        sets,
        twins,
        derived_from,
        hide: hide?,
        mask,
        embeds,
        id_of,
    })
}

fn read_hide(table: &Table<'_>, item: Item<'_>) -> Option<Hide> {
    if item.is_table() {
        let inner = item.table()?;
        let value = inner.item("value").and_then(Item::scalar_json);
        inner.finish();
        return value.map(Hide::Value);
    }
    let text = item.text()?;
    match text.value.as_str() {
        "remove" => Some(Hide::Remove),
        "null" => Some(Hide::Null),
        "branch" => Some(Hide::Branch),
        "refuse" => Some(Hide::Refuse),
        other => {
            let help =
                "There are remove, null, branch, refuse and `{ value = \"\" }`; a mask is `mask = \"…\"`.";
            table.reading().error(text.span.clone(), format!("`{other}` is not a way to hide a field"), help);
            None
        }
    }
}

/// A path of keys in a record; another kind of path is noted.
pub fn key_path(table: &Table<'_>, text: &Text) -> Option<KeyPath> {
    let keys = JsonPath::parse(&text.value).ok().and_then(|path| {
        path.segments()
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(key.clone()),
                Segment::Index(_) | Segment::EachItem | Segment::EachMember => None,
            })
            .collect::<Option<KeyPath>>()
    });
    let keys = keys.filter(|keys| !keys.is_empty());
    if keys.is_none() {
        let help = "Inside a record a place is a path of keys, such as `amount` or `owner.id`.";
        table.reading().error(text.span.clone(), format!("`{}` is not a path of keys", text.value), help);
    }
    keys
}

/// A list of paths of keys in a record, if it is there; other paths are noted.
pub fn key_paths(table: &Table<'_>, key: &str) -> Option<Vec<KeyPath>> {
    let texts = table.texts(key)?;
    Some(texts.iter().filter_map(|text| key_path(table, text)).collect())
}

/// The name of the one field that stands for all unknown keys of a type.
pub const UNCLASSIFIED: &str = "*";

/// Entity types of the base schema, which no record type may be called.
pub const RESERVED_TYPES: &[&str] = &[
    "User",
    "Service",
    "Agent",
    "Role",
    "PermissionSet",
    "Team",
    "Territory",
    "BusinessUnit",
    "Position",
    "Pipeline",
    "StageGroup",
    "Stage",
    "Field",
    "FieldSet",
    "Collection",
    "Action",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_where_one_key_fits_both() {
        let cases = [
            ("rec_name", "rec_name", true),
            ("rec_name", "name", false),
            ("amount_text", "amount_*", true),
            ("amount", "amount_*", false),
            ("amount_*", "amount_eur_*", true),
            ("amount_*", "margin_*", false),
            ("*_text", "*_long_text", true),
            ("*_text", "*_html", false),
            ("amount_*", "*_text", true),
        ];
        for (a, b, expected) in cases {
            let (pa, pb) = (KeyPattern::parse(a).unwrap(), KeyPattern::parse(b).unwrap());
            assert_eq!((pa.overlaps(&pb), pb.overlaps(&pa)), (expected, expected), "{a} and {b}");
        }
    }

    #[test]
    fn key_patterns_have_one_wildcard_at_an_end() {
        let matches = |pattern: &str, key: &str| KeyPattern::parse(pattern).map(|p| p.matches(key));
        assert_eq!(matches("amount", "amount"), Some(true));
        assert_eq!(matches("amount", "amounts"), Some(false));
        assert_eq!(matches("amountWeighted*", "amountWeightedConverted"), Some(true));
        assert_eq!(matches("*_formatted", "amount_formatted"), Some(true));
        assert_eq!(matches("*_formatted", "formatted"), Some(false));
        for pattern in ["*", "*a*", "a*b", ""] {
            assert_eq!(KeyPattern::parse(pattern), None, "{pattern}");
        }
    }
}
