//! Records of a case file: by the names that policies use, or as the CRM answers them.

use bytes::Bytes;

use super::scene::{Scene, beside};
use crate::bundle::profile::convert::{Conversion, Kind};
use crate::bundle::profile::types::{AttributeSpec, RecordType};
use crate::config::author::nearest;
use crate::config::reader::{Item, Table, Text};
use crate::json::parse::JsonLimits;
use crate::json::value::Document;
use crate::model::principal::EntityRef;
use crate::model::record::{Attribute, AttributeValue, RecordFacts};
use crate::pipeline::hydrate::convert::{Lookups, convert};
use crate::pipeline::hydrate::extract::{Completeness, extract, is_canonical};
use crate::pipeline::hydrate::image::Image;

/// A record that cases speak of.
#[derive(Clone)]
pub struct Given {
    /// What policy may know of it.
    pub facts: RecordFacts,
    /// What the CRM would answer, where the file says so.
    pub document: Option<Document>,
}

impl Given {
    /// Reads a table of `[records]`.
    pub fn read(scene: &Scene, table: &Table<'_>) -> Option<Self> {
        let profile = &scene.snapshot.bundle.profile;
        let type_name = table.required("type", "Say which of the profile's types it is of.");
        let id = table.required("id", "Say its id, as text.");
        let given = (table.item("attributes"), json(scene, table, "json", "file"));
        table.finish();
        let (type_name, id) = (type_name?, id?);
        let Some((_, record_type)) = profile.type_named(&type_name.value) else {
            let known = profile.types.iter().map(|record_type| record_type.name.as_str());
            unknown(table, &type_name, "a type of the profile", known);
            return None;
        };
        if !is_canonical(&id.value) {
            table.reading().error(id.span, "no record can have this id", "");
            return None;
        }
        match given {
            (Some(attributes), Stated::Nothing) => {
                let attributes = Attributes { scene, record_type }.read(&attributes.table()?);
                let facts = RecordFacts { type_name: type_name.value, id: id.value, attributes };
                Some(Self { facts, document: None })
            }
            (None, Stated::Document(document)) => Self::from_wire(scene, table, record_type, id, document),
            (_, Stated::Broken) => None,
            (Some(_), Stated::Document(_)) | (None, Stated::Nothing) => {
                let message = "a record has either `attributes`, or `json` or `file`";
                table.reading().error(table.span(), message, "");
                None
            }
        }
    }

    /// Reads what the CRM would answer: as the type's own route yields it, or the bare record where it has none.
    fn from_wire(
        scene: &Scene,
        table: &Table<'_>,
        record_type: &RecordType,
        id: Text,
        document: Document,
    ) -> Option<Self> {
        let profile = &scene.snapshot.bundle.profile;
        let lookups = Lookups { profile, directory: &scene.snapshot.directory };
        let label = record_type.fetch.as_ref();
        let facts = match label.and_then(|label| profile.route_labelled(&label.value)) {
            Some((_, route)) => {
                Image::read(document.clone(), route, Some(record_type), &id.value, None, lookups)
                    .map(|image| image.facts)
                    .map_err(|reason| format!("{} does not yield this record: {reason}", route.label()))
            }
            None => Ok(extract(record_type, document.root(), id.value, Completeness::Complete, lookups)),
        };
        match facts {
            Ok(facts) => Some(Self { facts, document: Some(document) }),
            Err(message) => {
                let help = "Write it as that route of the CRM answers it, with the same id.";
                table.reading().error(table.span(), message, help);
                None
            }
        }
    }
}

/// JSON that a table may state.
pub enum Stated {
    /// It does not.
    Nothing,
    /// It does, and why it cannot be read is noted.
    Broken,
    /// This one.
    Document(Document),
}

/// JSON that stands in a table itself under one key, or in a file that another key names.
pub fn json(scene: &Scene, table: &Table<'_>, inline: &str, file: &str) -> Stated {
    let text = match (table.text(inline), table.text(file)) {
        (None, None) => return Stated::Nothing,
        (Some(text), None) => Some((text.value, text.span)),
        (None, Some(file)) => beside(&scene.snapshot.bundle, table, &file).map(|text| (text, file.span)),
        (Some(_), Some(second)) => {
            let message = format!("`{inline}` and `{file}` both say the same");
            table.reading().error(second.span, message, "Keep one of them.");
            None
        }
    };
    let Some((text, span)) = text else { return Stated::Broken };
    match Document::parse(Bytes::from(text), &JsonLimits::default()) {
        Ok(document) => Stated::Document(document),
        Err(error) => {
            table.reading().error(span, format!("not JSON: {error}"), "");
            Stated::Broken
        }
    }
}

/// Says that a name is not known, with the nearest that is.
pub fn unknown<'k>(table: &Table<'_>, text: &Text, what: &str, known: impl Iterator<Item = &'k str>) {
    let known: Vec<&str> = known.collect();
    let help = match nearest(&text.value, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if known.is_empty() => "There is none.".to_owned(),
        None => {
            format!("Known here: {}.", known.get(..KNOWN_MAX.min(known.len())).unwrap_or_default().join(", "))
        }
    };
    table.reading().error(text.span.clone(), format!("`{}` is not {what}", text.value), help);
}

/// Attributes by the names that policies use.
pub struct Attributes<'a> {
    /// People and stages.
    pub scene: &'a Scene,
    /// Of which type they are.
    pub record_type: &'a RecordType,
}

impl Attributes<'_> {
    /// Every attribute of the type, in the profile's order: what the table does not list is absent.
    pub fn read(&self, table: &Table<'_>) -> Vec<Attribute> {
        let stated = self.stated(table);
        let value = |spec: &AttributeSpec| {
            let found = stated.iter().find(|(name, _)| *name == spec.name);
            found.map_or(Attribute::Absent, |(_, attribute)| attribute.clone())
        };
        self.record_type.attributes.iter().map(value).collect()
    }

    /// Those that a table lists.
    pub fn stated(&self, table: &Table<'_>) -> Vec<(String, Attribute)> {
        let mut stated = Vec::new();
        for (name, item) in table.entries() {
            let Some(spec) = self.record_type.attributes.iter().find(|spec| spec.name == name.value) else {
                let known = self.record_type.attributes.iter().map(|spec| spec.name.as_str());
                unknown(table, &name, &format!("an attribute of {}", self.record_type.name), known);
                continue;
            };
            if let Some(value) = self.value(item, &spec.conversion) {
                stated.push((name.value, Attribute::Present(value)));
            }
        }
        stated
    }

    fn value(&self, item: Item<'_>, conversion: &Conversion) -> Option<AttributeValue> {
        if conversion.is_set {
            let one = Conversion { is_set: false, ..conversion.clone() };
            let values = item.list().into_iter().map(|item| self.value(item, &one));
            return values.collect::<Option<_>>().map(AttributeValue::Set);
        }
        match &conversion.kind {
            Kind::Stage => self.named(item, "Stage"),
            Kind::Pipeline => self.named(item, "Pipeline"),
            Kind::Entity { type_name, .. } => {
                let text = item.text()?;
                let entity = self.scene.entity(&text.value).filter(|entity| entity.type_name == *type_name);
                if entity.is_none() {
                    let message = format!("`{}` is no {type_name} of this file", text.value);
                    let help = format!(
                        "Write a name of `[people]`, or e.g. '{type_name}::\"x\"' for one that is in `[people]`, in `[groups]` or in `directory`."
                    );
                    item.reading().error(text.span, message, help);
                }
                entity.map(AttributeValue::Entity)
            }
            kind => self.plain(item, kind),
        }
    }

    /// A stage or a pipeline by its id in Cedar.
    fn named(&self, item: Item<'_>, type_name: &str) -> Option<AttributeValue> {
        let text = item.text()?;
        let entity = EntityRef::new(type_name, &text.value);
        let catalogue = &self.scene.snapshot.bundle.catalogue;
        if catalogue.entity(&entity).is_none() {
            let known = catalogue.references().filter(|known| known.type_name == type_name);
            let known: Vec<&str> = known.map(|known| known.id.as_str()).collect();
            let help = match nearest(&text.value, known.iter().copied()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("Known here: {}.", known.join(", ")),
            };
            let message = format!("the profile has no {type_name} `{}`", text.value);
            item.reading().error(text.span, message, help);
            return None;
        }
        Some(AttributeValue::Entity(entity))
    }

    /// Anything else, as JSON would state it.
    fn plain(&self, item: Item<'_>, kind: &Kind) -> Option<AttributeValue> {
        let kind = match kind {
            Kind::Bool { .. } => Kind::Bool { yes: Vec::new(), no: Vec::new() },
            Kind::Decimal(_) => Kind::Decimal(crate::bundle::profile::convert::DecimalForm::default()),
            Kind::Datetime(_) => {
                Kind::Datetime(crate::bundle::profile::convert::DateForm::Text { offset_seconds: Some(0) })
            }
            other => other.clone(),
        };
        let conversion = Conversion { kind, is_set: false, map: None, empty: Vec::new() };
        let text = item.scalar_json()?;
        let document = Document::parse(Bytes::from(text), &JsonLimits::default()).ok()?;
        let snapshot = &self.scene.snapshot;
        let lookups = Lookups { profile: &snapshot.bundle.profile, directory: &snapshot.directory };
        match convert(document.root(), &conversion, lookups) {
            Attribute::Present(value) => Some(value),
            Attribute::Nonconforming(why) => {
                item.reading().error(item.span(), format!("this does not convert: {why}"), "");
                None
            }
            Attribute::Absent | Attribute::NotCarried => None,
        }
    }
}

/// Names that a message lists.
const KNOWN_MAX: usize = 30;
