//! What `GET` operations read: one record that the path names, or many.

use super::names::{is_same_noun, place, plain, singular, toml_text};
use super::operation::Answer;
use super::path::Path;
use super::records::{Located, locate};
use super::schema::Schemas;
use super::types::Types;
use super::{Confidence, Described, DraftRoute, Guess, Outcome, Sayable};
use crate::model::access::Action;

/// A read of records.
#[derive(Debug)]
pub struct Read<'d> {
    /// What it does.
    pub action: Action,
    /// Where its records are.
    pub located: Located<'d>,
    /// What tells the collection that it belongs to.
    pub collection: String,
    /// What the path calls them.
    pub noun: String,
    /// How the path names the record.
    named_by: NamedBy<'d>,
    guess: Guess,
}

#[derive(Debug)]
enum NamedBy<'d> {
    /// Not at all.
    Nothing,
    /// By its id.
    Id,
    /// By another key of the record.
    Key { parameter: String, key: &'d str },
}

/// A route that yields one record.
#[derive(Clone, Debug)]
pub struct View {
    /// Its label.
    pub label: String,
    /// The record's type.
    pub type_index: usize,
}

/// What an operation reads; the error says why that is not known.
pub fn read<'d>(operation: &Sayable<'d>, schemas: &Schemas<'d>) -> Result<Read<'d>, String> {
    let path = operation.path.as_ref().map_err(|why| (*why).to_owned())?;
    if operation.operation.method != "GET" {
        return Err("it is no GET".to_owned());
    }
    if operation.operation.is_elsewhere {
        return Err("another server than the document's answers it".to_owned());
    }
    if operation.operation.body.is_some() {
        return Err("it reads and takes a body".to_owned());
    }
    let schema = match &operation.operation.answer {
        Answer::Json(schema, _) => schema,
        Answer::Empty => return Err("nothing is answered".to_owned()),
        Answer::Other(media) => return Err(format!("its answer is no JSON: {}", media.join(", "))),
        Answer::Unsaid => return Err("the document does not say what it answers".to_owned()),
    };
    let located = locate(schemas, schema, path.noun())?;
    let record = path.record_parameter();
    let (action, named_by, guess) = match (record, located.is_many) {
        (Some(parameter), false) => {
            let (named_by, guess) = named_by(parameter, path, &located);
            (Action::View, named_by, guess)
        }
        (None, true) => (list_action(path), NamedBy::Nothing, Guess::sure()),
        (Some(_), true) => {
            let why = "its path names one record, and many are answered";
            (Action::List, NamedBy::Nothing, Guess::new(Confidence::Low, why))
        }
        (None, false) => return Err("it answers one record that its path does not name".to_owned()),
    };
    let guess = located.guess.clone().and(guess);
    Ok(Read { action, collection: path.collection(), noun: path.noun().to_owned(), located, named_by, guess })
}

/// What is done to many: the path's last word may say so.
fn list_action(path: &Path) -> Action {
    match path.last_word().map(plain).as_deref() {
        Some("search" | "find" | "query" | "lookup" | "autocomplete") => Action::Search,
        Some("export" | "download") => Action::Export,
        _ => Action::List,
    }
}

/// How a parameter of the path names the record that is answered.
fn named_by<'d>(parameter: &str, path: &Path, located: &Located<'d>) -> (NamedBy<'d>, Guess) {
    let by_id = |guess| (NamedBy::Id, guess);
    let name = plain(parameter);
    if name == plain(located.id) {
        return by_id(Guess::sure());
    }
    let other = located.shape.properties.iter().map(|(key, _)| *key).find(|key| plain(key) == name);
    if let Some(key) = other.filter(|key| place(key).is_some()) {
        let guess = Guess::new(Confidence::Medium, format!("the path names the record by `{key}`"));
        return (NamedBy::Key { parameter: parameter.to_owned(), key }, guess);
    }
    let noun = plain(&singular(path.noun()));
    let is_own = ["id", "uuid", "guid"].iter().any(|end| name == format!("{noun}{end}") || name == *end);
    let is_like = ["id", "uuid", "guid", "pk", "key"].iter().any(|end| name.ends_with(end));
    let told = format!("`{{{parameter}}}` of the path is taken for `{}`", located.id);
    match (is_own, is_like || is_same_noun(parameter, path.noun())) {
        (true, _) => by_id(Guess::sure()),
        (false, true) => by_id(Guess::new(Confidence::Medium, told)),
        (false, false) => by_id(Guess::new(Confidence::Low, told)),
    }
}

/// The route of an operation, as far as reading tells it; what is no read is refused until it is described as a change.
pub fn route<'d>(
    operation: &Sayable<'d>,
    read: &Result<Read<'d>, String>,
    types: &Types<'d>,
) -> DraftRoute<'d> {
    let path = match &operation.path {
        Ok(path) => path,
        Err(why) => {
            let label = format!("{} {}", operation.operation.method, operation.whole_path);
            return DraftRoute::new(label, Outcome::Unsayable((*why).to_owned()), None);
        }
    };
    let exactness = Some(path.exactness(&|name| operation.kind(name)));
    let described = read.as_ref().map_err(Clone::clone);
    let described = described.and_then(|read| Ok((read, types.type_of(&read.located)?)));
    let (read, type_index) = match described {
        Ok(described) => described,
        Err(why) => {
            let label = operation.label(path, path.record_parameter());
            return DraftRoute::new(label, Outcome::Refused(why), exactness);
        }
    };
    let (record, id) = match &read.named_by {
        NamedBy::Nothing => (None, None),
        NamedBy::Id => (path.record_parameter(), None),
        NamedBy::Key { parameter, key } => {
            let from = toml_text(&format!("path.{}", path.name_of(parameter)));
            let key = toml_text(&place(key).unwrap_or_default());
            (None, Some(format!("{{ from = {from}, key = {key} }}")))
        }
    };
    let described = Described {
        id,
        records: Some(read.located.at.clone()),
        ..Described::new(read.action, type_index, read.guess.clone())
    };
    let outcome = Outcome::Described(Box::new(described));
    let mut route = DraftRoute::new(operation.label(path, record), outcome, exactness);
    if !read.located.beside.is_empty() {
        let beside = read.located.beside.join(", ");
        route.notes.push(format!("dropped beside the records: {beside}. See `totals`, `pages` and `keep`"));
    }
    route
}

/// What changes can take the record as it stands from, if this is such a route.
pub fn view(route: &DraftRoute<'_>) -> Option<View> {
    let described =
        route.in_force().filter(|described| described.action == Action::View && described.id.is_none())?;
    Some(View { label: route.label.clone(), type_index: described.type_index })
}
