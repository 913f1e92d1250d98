//! Record types: what reads answer, put together over all answers about one thing.
//!
//! Promises: two answers are of one type if they have one schema, or are the list and the record of one path. Each property is a field that
//! nobody has reviewed yet, so that no policy shows it.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;

use super::names::{self, Taken, comment, is_same_noun, plain, singular, type_name};
use super::reads::Read;
use super::records::Located;
use super::schema::{Kind, SchemaKey, Schemas, Shape};
use super::{Confidence, Guess, Sayable};

/// All record types, and which schema and path is of which.
pub struct Types<'d> {
    /// The types, by first appearance.
    pub list: Vec<DraftType<'d>>,
    by_schema: HashMap<SchemaKey, usize>,
    by_collection: HashMap<String, usize>,
}

/// One record type.
#[derive(Debug)]
pub struct DraftType<'d> {
    /// The Cedar type's name.
    pub name: String,
    /// The key of a record that holds its id.
    pub id: &'d str,
    /// How sure that is.
    pub guess: Guess,
    /// Keys that say what a record is.
    pub meta: Vec<&'d str>,
    /// Its fields.
    pub fields: Vec<DraftField<'d>>,
    /// What policies may look at.
    pub attributes: Vec<DraftAttribute>,
    /// The label of the route that yields one by its id.
    pub fetch: Option<String>,
    /// Properties that no place can say, or that are too many.
    pub left_out: usize,
}

/// One field.
#[derive(Debug)]
pub struct DraftField<'d> {
    /// Its name.
    pub name: String,
    /// Its key on the wire.
    pub key: &'d str,
    /// Where it is, as a profile writes it.
    pub at: String,
    /// What stands there.
    pub shape: Option<Rc<Shape<'d>>>,
    /// Whether `null` may stand there.
    pub is_nullable: bool,
    /// The record, or the records, that it holds.
    pub holds: Option<Holds>,
    /// What to look at.
    pub note: Option<String>,
}

/// Records inside of a field.
#[derive(Debug)]
pub struct Holds {
    /// Their type, by its place in the draft.
    pub type_index: usize,
    /// What stands where one is hidden.
    pub hide: &'static str,
}

/// Something that policies may look at.
#[derive(Debug)]
pub struct DraftAttribute {
    /// Its name in Cedar.
    pub name: &'static str,
    /// Where it is, as a profile writes it.
    pub at: String,
    /// Its type in the schema.
    pub cedar: &'static str,
    /// What follows `at` in the profile.
    pub conversion: &'static str,
    /// How sure that is.
    pub guess: Guess,
}

/// Answers about one thing.
struct Group<'d> {
    shapes: Vec<Rc<Shape<'d>>>,
    noun: String,
    id: &'d str,
}

impl<'d> Types<'d> {
    /// The types of all that is read.
    pub fn of(reads: &[Result<Read<'d>, String>], schemas: &Schemas<'d>) -> Self {
        let reads: Vec<&Read<'d>> = reads.iter().flatten().collect();
        let mut types = Self { list: Vec::new(), by_schema: HashMap::new(), by_collection: HashMap::new() };
        let (mut groups, mut indices) = (Vec::<Group<'d>>::new(), HashMap::new());
        for (read, group) in reads.iter().zip(joined(&reads)) {
            let index = *indices.entry(group).or_insert_with(|| {
                groups.push(Group { shapes: Vec::new(), noun: read.noun.clone(), id: read.located.id });
                groups.len() - 1
            });
            types.by_schema.insert(read.located.shape.key, index);
            types.by_collection.insert(read.collection.clone(), index);
            let Some(group) = groups.get_mut(index).filter(|group| group.id == read.located.id) else {
                continue;
            };
            if group.shapes.iter().all(|shape| shape.key != read.located.shape.key) {
                group.shapes.push(Rc::clone(&read.located.shape));
            }
        }
        let mut taken = Taken::default();
        types.list = groups.into_iter().map(|group| type_of(group, &mut taken, schemas)).collect();
        types.embed(schemas);
        types
    }

    /// The type of what an answer has; the error says why it has none.
    pub fn type_of(&self, located: &Located<'d>) -> Result<usize, String> {
        let index = self.by_schema.get(&located.shape.key).copied();
        let found = index.and_then(|index| Some((index, self.list.get(index)?)));
        let (index, found) = found.ok_or("no record type was drafted for it")?;
        match found.id == located.id {
            true => Ok(index),
            false => Err(format!(
                "its records have their id in `{}`, other answers of `{}` in `{}`",
                located.id, found.name, found.id
            )),
        }
    }

    /// The type of the records that a collection holds.
    pub fn of_collection(&self, collection: &str) -> Option<usize> {
        self.by_collection.get(collection).copied()
    }

    /// Notes the route that yields a record by its id alone.
    pub fn fetched_by(&mut self, type_index: usize, label: &str, operation: &Sayable<'_>) {
        let is_alone =
            operation.operation.parameters.iter().filter(|parameter| parameter.stands == "path").count() <= 1
                && label.matches('{').count() == 1;
        if let Some(found) = self.list.get_mut(type_index).filter(|found| is_alone && found.fetch.is_none()) {
            found.fetch = Some(label.to_owned());
        }
    }

    /// Fields that hold records of a drafted type, and those that name one by its id.
    fn embed(&mut self, schemas: &Schemas<'d>) {
        let named: Vec<(String, usize)> =
            self.list.iter().enumerate().map(|(index, found)| (found.name.clone(), index)).collect();
        let ids: Vec<&str> = self.list.iter().map(|found| found.id).collect();
        for found in &mut self.list {
            for field in &mut found.fields {
                let Some(shape) = &field.shape else { continue };
                let items = schemas.items(shape);
                let inner = items.as_ref().unwrap_or(shape);
                let hide = if items.is_none() && field.is_nullable { "null" } else { "remove" };
                let index = self.by_schema.get(&inner.key).copied();
                let index =
                    index.filter(|index| ids.get(*index).is_some_and(|id| inner.property(id).is_some()));
                field.holds = index.map(|type_index| Holds { type_index, hide });
                if field.holds.is_none() {
                    field.note = relation(field.key, inner, &named);
                }
            }
        }
    }
}

/// What a field says that seems to name another record.
fn relation(key: &str, shape: &Shape<'_>, named: &[(String, usize)]) -> Option<String> {
    if !matches!(shape.kind, Kind::Text | Kind::Whole | Kind::Number | Kind::Unsaid) {
        return None;
    }
    let lower = plain(key);
    let noun = lower.strip_suffix("ids").or_else(|| lower.strip_suffix("id")).filter(|noun| !noun.is_empty());
    if let Some((name, _)) = noun.and_then(|noun| named.iter().find(|(name, _)| is_same_noun(name, noun))) {
        return Some(format!("names a {name}: see `id_of`"));
    }
    let says_id =
        key.ends_with("_id") || key.ends_with("Id") || key.ends_with("_ids") || key.ends_with("Ids");
    (says_id || shape.format == Some("uuid")).then(|| "seems to name another record: see `id_of`".to_owned())
}

/// For each read the number of its group: those of one schema and those of one collection are together.
fn joined(reads: &[&Read<'_>]) -> Vec<usize> {
    let mut leader: Vec<usize> = (0..reads.len()).collect();
    fn root(leader: &[usize], mut index: usize) -> usize {
        while let Some(above) = leader.get(index).copied().filter(|above| *above != index) {
            index = above;
        }
        index
    }
    let (mut schemas, mut collections) = (HashMap::new(), HashMap::new());
    for (index, read) in reads.iter().enumerate() {
        let others = [
            *schemas.entry(read.located.shape.key).or_insert(index),
            *collections.entry(read.collection.as_str()).or_insert(index),
        ];
        for other in others {
            let (one, other) = (root(&leader, index), root(&leader, other));
            if let Some(above) = leader.get_mut(one.max(other)) {
                *above = one.min(other);
            }
        }
    }
    (0..reads.len()).map(|index| root(&leader, index)).collect()
}

fn type_of<'d>(group: Group<'d>, taken: &mut Taken, schemas: &Schemas<'d>) -> DraftType<'d> {
    let named = group.shapes.iter().rev().find_map(|shape| shape.name.filter(|name| plain(name).len() > 1));
    let by_path = singular(&group.noun);
    // What the path calls it, if the schema's name says so too: `GetDealsResponseV2` is a deal.
    let (name, guess) = match named {
        Some(name) if plain(&by_path).len() > 2 && plain(name).contains(&plain(&by_path)) => {
            (by_path.as_str(), Guess::sure())
        }
        Some(name) => (name, Guess::sure()),
        None => (by_path.as_str(), Guess::new(Confidence::Medium, "named after its path")),
    };
    let (fields, meta, left_out) = fields(&group, schemas);
    let mut draft = DraftType {
        name: taken.take(&type_name(name)),
        id: group.id,
        guess,
        meta,
        fields,
        attributes: Vec::new(),
        fetch: None,
        left_out,
    };
    draft.attributes = attributes(&draft.fields, schemas);
    draft
}

/// The fields of all schemas of a group, in the order of the document.
fn fields<'d>(group: &Group<'d>, schemas: &Schemas<'d>) -> (Vec<DraftField<'d>>, Vec<&'d str>, usize) {
    let mut places = BTreeSet::new();
    let (mut fields, mut meta, mut left_out) = (Vec::new(), Vec::new(), 0);
    let mut add = |container: Option<&str>, key: &'d str, schema: &'d Value| {
        let own = names::place(key);
        let at = container.map_or(own.clone(), |container| names::step(container, key));
        match at.zip(own).filter(|_| fields.len() < FIELDS_MAX) {
            None => left_out += 1,
            Some((at, own)) if places.insert(at.clone()) => {
                let name = if own == key { key.to_owned() } else { names::word(key, "field") };
                let (shape, is_nullable) = (schemas.shape(schema), schemas.is_nullable(schema));
                fields.push(DraftField { name, key, at, shape, is_nullable, holds: None, note: None });
            }
            Some(_) => {}
        }
    };
    for shape in &group.shapes {
        let container = shape.properties.iter().find(|(key, inner)| {
            let holds = schemas
                .shape(inner)
                .is_some_and(|inner| inner.kind == Kind::Object && !inner.properties.is_empty());
            CONTAINERS.contains(key) && holds
        });
        for (key, schema) in shape.properties.iter().filter(|(key, _)| *key != group.id) {
            let inner = schemas.shape(schema);
            match (container, inner) {
                (Some((name, _)), Some(inner)) if name == key => {
                    inner.properties.iter().for_each(|(key, schema)| add(Some(name), key, schema));
                }
                (Some(("attributes", _)), _) if *key == "type" => {
                    if !meta.contains(key) {
                        meta.push(*key);
                    }
                }
                _ => add(None, key, schema),
            }
        }
    }
    // Names as they are on the wire come first, so that a made-up one never takes theirs.
    let mut taken = Taken::default();
    let (as_on_wire, made_up): (Vec<_>, Vec<_>) = fields.iter_mut().partition(|field| field.name == field.at);
    for field in as_on_wire.into_iter().chain(made_up) {
        field.name = taken.take(&field.name);
    }
    (fields, meta, left_out)
}

/// What policies usually look at: whose a record is, how much it is about.
fn attributes<'d>(fields: &[DraftField<'d>], schemas: &Schemas<'d>) -> Vec<DraftAttribute> {
    let scalar =
        |shape: &Shape<'_>| matches!(shape.kind, Kind::Text | Kind::Whole | Kind::Number | Kind::Unsaid);
    let find = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| fields.iter().find(|field| plain(field.key) == *name && field.shape.is_some()))
    };
    let entity = |name, names: &[&str], cedar, conversion| {
        let field = find(names)?;
        let shape = field.shape.as_ref()?;
        let inner = || schemas.shape(shape.property("id")?).filter(|inner| scalar(inner));
        let at = match shape.kind {
            _ if scalar(shape) => field.at.clone(),
            Kind::Object if inner().is_some() => format!("{}.id", field.at),
            _ => return None,
        };
        let why = format!("`{at}` is taken for the id that the directory has in `crmId`");
        Some(DraftAttribute {
            name,
            at,
            cedar,
            conversion,
            guess: Guess::new(Confidence::Medium, comment(&why)),
        })
    };
    let amount = || {
        let field = find(AMOUNTS)?;
        let fits = field
            .shape
            .as_ref()
            .is_some_and(|shape| matches!(shape.kind, Kind::Number | Kind::Whole | Kind::Text));
        let guess = Guess::new(
            Confidence::Medium,
            format!("`{}` is taken for money, exact to four places", comment(&field.at)),
        );
        let conversion = "as = \"decimal\"";
        fits.then(|| DraftAttribute {
            name: "amount",
            at: field.at.clone(),
            cedar: "decimal",
            conversion,
            guess,
        })
    };
    let found = [
        entity("owner", OWNERS, "User", "as = \"User\", by = \"crmId\""),
        entity("team", TEAMS, "Team", "as = \"Team\", by = \"crmId\""),
        amount(),
    ];
    found.into_iter().flatten().collect()
}

/// Keys that hold all fields of a record, beside its id.
const CONTAINERS: [&str; 3] = ["attributes", "properties", "fields"];
/// Keys that say whose a record is.
const OWNERS: &[&str] = &[
    "ownerid",
    "owner",
    "owneruserid",
    "owneruuid",
    "assigneduserid",
    "assignedtoid",
    "assignedto",
    "assigneeid",
    "assignee",
    "hubspotownerid",
    "salesrepid",
    "responsibleuserid",
    "responsibleid",
    "accountmanagerid",
];
const TEAMS: &[&str] = &["teamid", "team", "ownerteamid", "salesteamid"];
/// Keys that say how much a record is about.
const AMOUNTS: &[&str] = &[
    "amount",
    "dealamount",
    "totalamount",
    "amounttotal",
    "opportunityamount",
    "dealvalue",
    "expectedrevenue",
];
/// Fields of one type.
const FIELDS_MAX: usize = 2_000;
