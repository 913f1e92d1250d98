//! A projection: the fields that a caller asks for, written with what policy needs on top of them.

use super::lexer::brackets;
use super::lexer::encoding::{self, Padding};
use super::lexer::term::Term;
use super::selection::Selection;
use crate::bundle::profile::query::grammar::Grammar;
use crate::bundle::profile::query::{Encoding, Form, Projection, QueryRule};
use crate::bundle::profile::route::Route;
use crate::bundle::profile::types::KeyPattern;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// A projection that applies to a request.
#[derive(Clone, Debug)]
pub struct MappedProjection {
    /// Where it stands.
    pub place: Place,
    /// The names that the caller gave, or the CRM's default ones.
    pub names: Vec<String>,
    /// Whether the caller gave them.
    pub is_stated: bool,
    /// The names as a tree.
    pub selection: Selection,
    form: Form,
    encoding: Encoding,
    padding: Padding,
    separator: String,
}

/// Where a projection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a parameter of this name.
    Parameter(String),
    /// In the body, at these keys.
    Body(Vec<String>),
}

impl MappedProjection {
    /// One that the caller states; its names are still to be added.
    pub fn stated(rule: &QueryRule, place: Place, padding: Padding) -> Self {
        Self { is_stated: true, ..Self::empty(rule, place, padding) }
    }

    fn empty(rule: &QueryRule, place: Place, padding: Padding) -> Self {
        let Grammar { separator, .. } = &rule.grammar;
        Self {
            place,
            names: Vec::new(),
            is_stated: false,
            selection: Selection::default(),
            form: rule.form,
            encoding: rule.encoding,
            padding,
            separator: separator.clone(),
        }
    }

    /// Adds names.
    pub fn add(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            self.selection.add(name.split(self.separator.as_str()));
            self.names.push(name);
        }
    }

    /// The same without any name, to ask for other ones.
    pub fn without_names(self) -> Self {
        Self { names: Vec::new(), selection: Selection::default(), ..self }
    }

    /// Whether it stands in a parameter of this name.
    pub fn is_parameter(&self, name: &str) -> bool {
        matches!(&self.place, Place::Parameter(own) if own == name)
    }

    /// The pairs to forward so that the CRM carries the caller's fields and what policy needs.
    pub fn pairs(&self, missing: &[String]) -> Result<Vec<(String, String)>, Problem> {
        let Place::Parameter(parameter) = &self.place else { return Ok(Vec::new()) };
        let Some(names) = self.written(missing) else { return Ok(Vec::new()) };
        let wrapped = match (self.form, self.encoding) {
            (Form::JsonList, Encoding::Brackets) => brackets::write(parameter, &Term::List(texts(&names))),
            (Form::JsonList, encoding) => {
                let text = encoding::write(encoding, &Term::List(texts(&names)), self.padding);
                Some(vec![(parameter.clone(), text)])
            }
            (form, _) => Some(list(parameter, form, &names)),
        };
        wrapped.ok_or_else(|| Problem::new(Reason::FilterTooLarge).detail(format!("parameter `{parameter}`")))
    }

    /// Puts the names into the body, if they stand there.
    pub fn put_into(&self, body: &mut Term, missing: &[String]) {
        let (Place::Body(keys), Some(names)) = (&self.place, self.written(missing)) else { return };
        let list = match (self.form, self.encoding) {
            (Form::JsonList, Encoding::Json) => Term::List(texts(&names)),
            (Form::JsonList, encoding) => {
                Term::Text(encoding::write(encoding, &Term::List(texts(&names)), self.padding))
            }
            _ => Term::Text(names.join(",")),
        };
        put(body, keys, list);
    }

    /// The names to write; `None` if the CRM's own ones are enough.
    fn written(&self, missing: &[String]) -> Option<Vec<String>> {
        if !self.is_stated && missing.is_empty() {
            return None;
        }
        let missing = missing.iter().map(|name| name.replace('.', &self.separator));
        Some(self.names.iter().cloned().chain(missing).collect())
    }
}

fn texts(names: &[String]) -> Vec<Term> {
    names.iter().map(Term::from_text).collect()
}

/// Puts a value into an object, at the keys that lead to it.
pub fn put(body: &mut Term, keys: &[String], value: Term) {
    let (Term::Object(members), Some((key, rest))) = (body, keys.split_first()) else { return };
    match (members.iter_mut().find(|(known, _)| known == key), rest) {
        (Some((_, inner)), []) => *inner = value,
        (Some((_, inner)), rest) => put(inner, rest, value),
        (None, rest) => {
            let inner = rest.iter().rev().fold(value, |inner, key| Term::Object(vec![(key.clone(), inner)]));
            members.push((key.clone(), inner));
        }
    }
}

/// The pairs of a list of names in a form of parameters.
pub fn list(parameter: &str, form: Form, names: &[String]) -> Vec<(String, String)> {
    match form {
        Form::Repeated => names.iter().map(|name| (parameter.to_owned(), name.clone())).collect(),
        Form::JsonList => vec![(parameter.to_owned(), Term::List(texts(names)).to_json())],
        _ => vec![(parameter.to_owned(), names.join(","))],
    }
}

/// The projection that applies where the caller states none, if the CRM then answers only some fields.
pub fn default_projection(route: &Route) -> Option<MappedProjection> {
    let in_query = route.query.iter().filter_map(|rule| match &rule.name {
        KeyPattern::Exact(parameter) => Some((rule, Place::Parameter(parameter.clone()))),
        KeyPattern::Prefix(_) | KeyPattern::Suffix(_) => None,
    });
    let in_body = route.reads.iter().map(|declared| (&declared.rule, Place::Body(declared.at.clone())));
    in_query.chain(in_body).find_map(|(rule, place)| match &rule.default {
        Projection::Listed(names) => {
            let mut projection = MappedProjection::empty(rule, place, Padding::Present);
            projection.add(names.iter().cloned());
            Some(projection)
        }
        Projection::All => None,
    })
}
