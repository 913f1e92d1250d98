//! Where a route finds the parts of its access request: in the path, the query, the body, or as a constant.

use std::collections::BTreeMap;

use super::shape::json_path;
use super::types::{KeyPath, key_paths};
use crate::config::reader::{Item, Table, Text};
use crate::json::path::{JsonPath, Segment};
use crate::model::access::Action;

/// A place in the request that yields text.
#[derive(Clone, Debug)]
pub enum ValueSource {
    /// A parameter of the template.
    Path(String),
    /// A query parameter.
    Query(String),
    /// A place in the JSON body.
    Body(JsonPath),
}

/// Where the record type comes from.
#[derive(Clone, Debug)]
pub enum TypeSource {
    /// The route's own type.
    Route,
    /// Always this type.
    Constant(Text),
    /// A name in the request, through the types' aliases.
    Named(ValueSource),
    /// A key of each record, through the types' aliases.
    Discriminator(KeyPath),
}

/// Where the record's id comes from.
#[derive(Clone, Debug)]
pub struct IdSource {
    /// The place in the request.
    pub source: ValueSource,
    /// The record's key that holds this value, if it is not the type's id.
    pub alternate_key: Option<KeyPath>,
}

/// Where a request names another record than its own.
#[derive(Clone, Debug)]
pub struct LinkSource {
    /// The record's type.
    pub type_name: Text,
    /// Where its id is.
    pub id: ValueSource,
}

/// Where a route's action comes from.
#[derive(Clone, Debug)]
pub enum ActionSource {
    /// Always this action.
    Constant(Action),
    /// A method name in the request; unlisted names are refused.
    Verbs {
        /// Where the name is.
        from: ValueSource,
        /// What each name stands for.
        verbs: BTreeMap<String, Verb>,
    },
}

/// What one method name stands for.
#[derive(Clone, Debug)]
pub struct Verb {
    /// The action.
    pub action: Action,
    /// The stage that the verb moves to, by wire name.
    pub to: Option<Text>,
    /// Keys of the record that the action covers, if it says so.
    pub covers: Option<Vec<KeyPath>>,
}

/// Where the target of a stage move comes from.
#[derive(Clone, Debug)]
pub enum StageSource {
    /// Always this stage, by wire name.
    Constant(Text),
    /// A place in the body that holds a wire name.
    Body(JsonPath),
}

impl ValueSource {
    /// Reads `path.id`, `query.id` or `body.$.id`.
    pub fn read(table: &Table<'_>, text: &Text) -> Option<Self> {
        let source = match text.value.split_once('.') {
            Some(("path", name)) => Some(ValueSource::Path(name.to_owned())),
            Some(("query", name)) => Some(ValueSource::Query(name.to_owned())),
            Some(("body", path)) => {
                return json_path(table, &Text { value: path.to_owned(), span: text.span.clone() })
                    .map(ValueSource::Body);
            }
            _ => None,
        };
        if source.is_none() {
            let help = "Write `path.NAME`, `query.NAME` or `body.$.KEY`.";
            table.reading().error(
                text.span.clone(),
                format!("`{}` is not a place in a request", text.value),
                help,
            );
        }
        source
    }
}

impl TypeSource {
    /// Reads `type = "Deal"`, `type = { from = "path.model" }` or `type = { key = "__name__" }`.
    pub fn read(table: &Table<'_>, key: &str) -> Option<Self> {
        let item = table.item(key)?;
        if item.is_text() {
            return item.text().map(TypeSource::Constant);
        }
        let inner = item.table()?;
        let from = inner.text("from");
        let discriminator = inner.text("key");
        inner.finish();
        match (from, discriminator) {
            (Some(from), None) => ValueSource::read(table, &from).map(TypeSource::Named),
            (None, Some(key)) => {
                let keys = key.value.split('.').map(str::to_owned).collect();
                Some(TypeSource::Discriminator(keys))
            }
            _ => {
                item.reading().error(
                    item.span(),
                    "a type comes `from` the request or from a `key` of the record",
                    "",
                );
                None
            }
        }
    }
}

impl IdSource {
    /// Reads `id = "path.id"` or `id = { from = "query.email", key = "email" }`.
    pub fn read(table: &Table<'_>) -> Option<Self> {
        let item = table.item("id")?;
        if item.is_text() {
            let source = ValueSource::read(table, &item.text()?)?;
            return Some(IdSource { source, alternate_key: None });
        }
        let inner = item.table()?;
        let from = inner.required("from", "Say where the request names the record.");
        let key = inner.text("key").map(|key| key.value.split('.').map(str::to_owned).collect());
        inner.finish();
        Some(IdSource { source: ValueSource::read(table, &from?)?, alternate_key: key })
    }

    /// Whether the request may name several records.
    pub fn is_many(&self) -> bool {
        match &self.source {
            ValueSource::Body(path) => path.segments().iter().any(|s| matches!(s, Segment::EachItem)),
            ValueSource::Path(_) | ValueSource::Query(_) => false,
        }
    }
}

impl LinkSource {
    /// Reads `links = [{ type = "Contact", id = "path.contact" }]`.
    pub fn read_all(table: &Table<'_>) -> Vec<Self> {
        let read_one = |item: Item<'_>| -> Option<Self> {
            let inner = item.table()?;
            let type_name = inner.required("type", "Name the type of the other record.");
            let id =
                inner.required("id", "Say where the request names the other record, e.g. `path.contact`.");
            inner.finish();
            Some(LinkSource { type_name: type_name?, id: ValueSource::read(table, &id?)? })
        };
        table.item("links").map(Item::list).unwrap_or_default().into_iter().filter_map(read_one).collect()
    }
}

impl ActionSource {
    /// Reads `action = "edit"` or `action = { from = "path.verb", verbs = { … } }`.
    pub fn read(table: &Table<'_>) -> Option<Self> {
        let Some(item) = table.item("action") else {
            let help =
                "Name the action that the route stands for, e.g. `view`, `list`, `edit` or `moveStage`.";
            table.reading().error(table.span(), "`action` is missing", help);
            return None;
        };
        if item.is_text() {
            return read_action(item, &item.text()?).map(ActionSource::Constant);
        }
        let inner = item.table()?;
        let from = inner.required("from", "Say where the method's name is, e.g. `path.verb`.");
        let verbs = inner.table("verbs").map(|verbs| read_verbs(&verbs)).unwrap_or_default();
        inner.finish();
        Some(ActionSource::Verbs { from: ValueSource::read(table, &from?)?, verbs })
    }

    /// Every action that the route may stand for.
    pub fn actions(&self) -> Vec<Action> {
        match self {
            ActionSource::Constant(action) => vec![*action],
            ActionSource::Verbs { verbs, .. } => verbs.values().map(|verb| verb.action).collect(),
        }
    }
}

fn read_verbs(table: &Table<'_>) -> BTreeMap<String, Verb> {
    let read_one = |(name, item): (Text, Item<'_>)| -> Option<(String, Verb)> {
        let inner = item.table()?;
        let action = inner.required("action", "Name the action that the verb stands for.");
        let to = inner.text("to");
        let covers = key_paths(&inner, "covers");
        inner.finish();
        Some((name.value, Verb { action: read_action(item, &action?)?, to, covers }))
    };
    table.entries().into_iter().filter_map(read_one).collect()
}

/// Reads the name of an action; an unknown one is noted.
pub fn read_action(item: Item<'_>, text: &Text) -> Option<Action> {
    let action = Action::parse(&text.value);
    if action.is_none() {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        let help = match crate::config::author::nearest(&text.value, names.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("There are {}.", names.join(", ")),
        };
        item.reading().error(text.span.clone(), format!("`{}` is not an action", text.value), help);
    }
    action
}

impl StageSource {
    /// Reads `to = "won"` or `to = { at = "$.stage" }`.
    pub fn read(table: &Table<'_>) -> Option<Self> {
        let item = table.item("to")?;
        if item.is_text() {
            return item.text().map(StageSource::Constant);
        }
        let inner = item.table()?;
        let at = inner.required("at", "Say where the body names the stage, e.g. `$.stage`.");
        inner.finish();
        json_path(table, &at?).map(StageSource::Body)
    }
}
