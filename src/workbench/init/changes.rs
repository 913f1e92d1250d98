//! What `POST`, `PUT`, `PATCH` and `DELETE` operations change: one record, judged as it stands. All else stays refused.

use std::collections::HashMap;

use super::names::{is_same_noun, plain, singular, step};
use super::operation::{Answer, Body};
use super::path::Path;
use super::reads::View;
use super::records::locate;
use super::schema::{Kind, Schemas, Shape};
use super::types::{DraftType, Types};
use super::{Confidence, Described, DraftRoute, Guess, Outcome, Sayable};
use crate::model::access::Action;

/// What changes are described by.
pub struct Changes<'a, 'd> {
    /// What schemas say.
    pub schemas: &'a Schemas<'d>,
    /// The record types.
    pub types: &'a Types<'d>,
    /// Routes that yield one record, by their paths without a slash at the end.
    pub views: &'a HashMap<&'a str, View>,
}

/// Where a body's fields are.
struct Written {
    at: String,
    kind: &'static str,
    guess: Guess,
    unknown: Vec<String>,
}

impl<'d> Changes<'_, 'd> {
    /// Describes a change; one that cannot be described stays refused, with the reason.
    pub fn describe(&self, operation: &Sayable<'d>, route: &mut DraftRoute<'d>) {
        let (Ok(path), false) = (&operation.path, operation.operation.method == "GET") else { return };
        if let Outcome::Refused(_) = route.outcome {
            match self.change(operation, path, &mut route.notes) {
                Ok(described) => {
                    if described.action == Action::MoveStage {
                        let above = path.above();
                        route.label = operation.label(path, above.as_ref().and_then(Path::record_parameter));
                    }
                    if described.records.is_none() && matches!(operation.operation.answer, Answer::Json(..)) {
                        let note = "nothing of its answer leaves but the status: see `records` and `keep`";
                        route.notes.push(note.to_owned());
                    }
                    route.outcome = Outcome::Described(Box::new(described));
                }
                Err(why) => route.outcome = Outcome::Refused(why),
            }
        }
        let is_version = |name: &str| ["ifmatch", "ifunmodifiedsince"].contains(&plain(name).as_str());
        if operation.operation.parameters.iter().any(|p| p.stands == "header" && is_version(p.name)) {
            route.notes.push("the document names a version header: see `version`".to_owned());
        }
    }

    fn change(
        &self,
        operation: &Sayable<'d>,
        path: &Path,
        notes: &mut Vec<String>,
    ) -> Result<Described, String> {
        if operation.operation.is_elsewhere {
            return Err("another server than the document's answers it".to_owned());
        }
        if operation.operation.is_for_anybody {
            return Err("the document says that nobody is identified: see `identity = \"none\"`".to_owned());
        }
        if let Some(body) = operation.operation.body.as_ref().filter(|body| body.kind.is_none()) {
            return Err(format!("its body is no JSON and no form: {}", body.listed.join(", ")));
        }
        let view = self.views.get(operation.whole_path.trim_end_matches('/'));
        match (operation.operation.method, view) {
            ("POST", Some(_)) => Err("a POST to a record may do anything".to_owned()),
            ("POST", None) => self.creation_or_move(operation, path, notes),
            ("DELETE", Some(view)) if operation.operation.body.is_none() => Ok(Described {
                before: Some(view.label.clone()),
                ..Described::new(Action::Delete, view.type_index, Guess::sure())
            }),
            ("DELETE", Some(_)) => Err("it deletes and takes a body".to_owned()),
            ("PUT" | "PATCH", Some(view)) => self.edit(operation, path, view, notes),
            (_, None) if path.record_parameter().is_some() => {
                Err("no described route yields the record as it stands: its `before`".to_owned())
            }
            _ => Err("what it changes is not told".to_owned()),
        }
    }

    fn edit(
        &self,
        operation: &Sayable<'d>,
        path: &Path,
        view: &View,
        notes: &mut Vec<String>,
    ) -> Result<Described, String> {
        let written = self.written(operation, path, view.type_index, notes)?;
        let replaces = operation.operation.method == "PUT";
        let guess = match replaces {
            true => written.guess.and(Guess::new(Confidence::Medium, "a PUT is taken for a replacement")),
            false => written.guess,
        };
        let (records, guess) = self.answered(operation, path, view.type_index, guess);
        Ok(Described {
            before: Some(view.label.clone()),
            writes: Some(written.at),
            replaces,
            records,
            body: Some(written.kind),
            ..Described::new(Action::Edit, view.type_index, guess)
        })
    }

    fn creation_or_move(
        &self,
        operation: &Sayable<'d>,
        path: &Path,
        notes: &mut Vec<String>,
    ) -> Result<Described, String> {
        let trimmed = operation.whole_path.trim_end_matches('/');
        let above = trimmed.rsplit_once('/').and_then(|(above, _)| self.views.get(above));
        if let Some(view) = above.filter(|_| path.above().is_some())
            && let Some(moved) = self.stage_move(operation, path, view)
        {
            return Ok(moved);
        }
        if path.record_parameter().is_some() {
            return Err("a POST to a record may do anything".to_owned());
        }
        if path.last_word().is_some_and(|word| VERBS.contains(&plain(word).as_str())) {
            return Err("its path says that it does something else than to create".to_owned());
        }
        let type_index = self.types.of_collection(&path.collection());
        let type_index = type_index.ok_or("no described route reads what it may create or do")?;
        let written = self.written(operation, path, type_index, notes)?;
        let (records, guess) = self.answered(operation, path, type_index, written.guess);
        Ok(Described {
            writes: Some(written.at),
            records,
            body: Some(written.kind),
            ..Described::new(Action::Create, type_index, guess)
        })
    }

    /// A move by a word of its own, such as `POST /deals/{id}/move` with the new stage in its body.
    fn stage_move(&self, operation: &Sayable<'d>, path: &Path, view: &View) -> Option<Described> {
        let word = plain(path.last_word()?);
        let is_move =
            ["move", "stage", "status", "transition", "phase"].iter().any(|known| word.contains(known));
        let of_type = self.types.list.get(view.type_index).filter(|_| is_move)?;
        let stage = of_type.attributes.iter().find(|attribute| attribute.name == "stage")?;
        let body = operation.operation.body.as_ref().filter(|body| body.kind == Some("json"))?;
        let shape = self.schemas.shape(body.schema?)?;
        let is_stage = |key: &str| {
            let key = plain(key);
            key == plain(&stage.at) || key.contains("stage") || key.contains("status")
        };
        let mut named = shape.properties.iter().map(|(key, _)| *key).filter(|key| is_stage(key));
        let key = named.next().filter(|_| named.next().is_none())?;
        let why = format!("`{key}` of the body is taken for the stage to move to");
        let (records, guess) =
            self.answered(operation, path, view.type_index, Guess::new(Confidence::Medium, why));
        Some(Described {
            before: Some(view.label.clone()),
            to: Some(step("$", key)?),
            records,
            ..Described::new(Action::MoveStage, view.type_index, guess)
        })
    }

    /// Where a body's fields are.
    fn written(
        &self,
        operation: &Sayable<'d>,
        path: &Path,
        type_index: usize,
        notes: &mut Vec<String>,
    ) -> Result<Written, String> {
        let body = operation.operation.body.as_ref().ok_or("the document says nothing of its body")?;
        let kind = body.kind.ok_or("its body is no JSON and no form")?;
        let of_type = self.types.list.get(type_index).ok_or("no record type was drafted for it")?;
        let written = match (body.schema, kind) {
            (None, "form") => Written { at: "$".to_owned(), kind, guess: Guess::sure(), unknown: Vec::new() },
            _ => self.fields_of(body, kind, path.noun(), of_type)?,
        };
        if !written.unknown.is_empty() {
            notes.push(format!(
                "keys of the body that no field describes, refused: {}",
                written.unknown.join(", ")
            ));
        }
        Ok(written)
    }

    fn fields_of(
        &self,
        body: &Body<'d>,
        kind: &'static str,
        noun: &str,
        of_type: &DraftType<'d>,
    ) -> Result<Written, String> {
        let schema = body.schema.ok_or("the document says nothing of its body")?;
        let shape = self.schemas.shape(schema).ok_or("the schema of its body is not in the document")?;
        if shape.kind == Kind::List {
            return Err("its body is a list, and each record in it would have fields of its own".to_owned());
        }
        let inner = shape.properties.iter().find_map(|(key, schema)| {
            let inner = self
                .schemas
                .shape(schema)
                .filter(|inner| inner.kind == Kind::Object && !inner.properties.is_empty())?;
            let is_alone = shape.properties.len() == 1 && (plain(key) == "data" || is_same_noun(key, noun));
            is_alone.then_some((*key, inner))
        });
        let (at, shape) = match inner {
            Some((key, inner)) => (step("$", key).ok_or("no place can say where its fields are")?, inner),
            None => ("$".to_owned(), shape),
        };
        let is_field = |key: &str| {
            let starts =
                |at: &str| at == key || at.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
            of_type.fields.iter().any(|field| field.key == key || starts(&field.at))
        };
        let unknown: Vec<String> = shape
            .properties
            .iter()
            .filter(|(key, _)| *key != of_type.id && !is_field(key))
            .map(|(key, _)| (*key).to_owned())
            .collect();
        let guess = guess_of(&shape, unknown.len());
        Ok(Written { at, kind, guess, unknown })
    }

    /// The record that a change answers, if it answers one of its type.
    fn answered(
        &self,
        operation: &Sayable<'d>,
        path: &Path,
        type_index: usize,
        guess: Guess,
    ) -> (Option<String>, Guess) {
        let Answer::Json(schema, _) = &operation.operation.answer else { return (None, guess) };
        let of_type = self.types.list.get(type_index);
        let found = locate(self.schemas, schema, &singular(path.noun())).ok();
        let found =
            found.filter(|found| !found.is_many && of_type.is_some_and(|of_type| of_type.id == found.id));
        match found {
            // Beside the id alone there is nothing to look at, and nothing that would have to be there.
            Some(found) if found.shape.properties.len() > 1 && found.guess.confidence > Confidence::Low => {
                (Some(found.at), guess)
            }
            Some(_) | None => (None, guess),
        }
    }
}

fn guess_of(shape: &Shape<'_>, unknown: usize) -> Guess {
    let all = shape.properties.len();
    if all == 0 {
        return Guess::new(Confidence::Low, "nothing is said of its body's keys");
    }
    match unknown * 2 > all {
        true => Guess::new(Confidence::Low, "most keys of its body are none of the record's"),
        false => Guess::sure(),
    }
}

/// Takes `before` and `fetch` away where the route that they name is none that yields such a record any more.
pub fn keep_whole(routes: &mut [DraftRoute<'_>], types: &mut Types<'_>) {
    let is_view = |route: &&DraftRoute<'_>| {
        route.in_force().is_some_and(|described| described.action == Action::View && described.id.is_none())
    };
    let views: HashMap<String, usize> = routes
        .iter()
        .filter(is_view)
        .filter_map(|route| Some((route.label.clone(), route.in_force()?.type_index)))
        .collect();
    for route in routes.iter_mut() {
        let Outcome::Described(described) = &route.outcome else { continue };
        let is_lost =
            described.before.as_ref().is_some_and(|before| views.get(before) != Some(&described.type_index));
        if is_lost {
            route.outcome =
                Outcome::Refused("the route that yields the record as it stands is not described".to_owned());
        }
    }
    for (index, of_type) in types.list.iter_mut().enumerate() {
        of_type.fetch = of_type.fetch.take().filter(|label| views.get(label) == Some(&index));
    }
}

/// Last words of paths that say what is done, where a collection would stand.
const VERBS: &[&str] = &[
    "search", "query", "find", "filter", "lookup", "export", "import", "bulk", "batch", "merge", "upsert",
    "login", "logout", "token", "validate", "preview", "count", "upload",
];
