//! From a name in a request to the fields that it refers to, through relations and with what the CRM looks at besides.
//!
//! Promises: each hop of a path is a field that the profile describes; what could be read in two ways names nothing.

use super::query::Reference;
use crate::bundle::profile::Profile;
use crate::bundle::profile::query::{Form, QueryRule, Role};
use crate::bundle::profile::tree::Meaning;
use crate::bundle::profile::types::{Embed, RecordType};

/// Resolves names for one request.
pub struct Resolver<'r> {
    /// The profile.
    pub profile: &'r Profile,
    /// The type that names start from.
    pub record_type: Option<&'r RecordType>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadsTo {
    /// A value.
    Value,
    /// A record, or a list of them.
    Record,
}

/// A path that the profile describes.
struct Resolved {
    /// Type and full field name of each hop.
    hops: Vec<(String, String)>,
    /// The record at its end, or whose id is its end.
    holds: Option<Held>,
    /// The last record's type with the rest of the path, as the wire spells it: `Party.rec_name`.
    end: String,
}

impl Resolver<'_> {
    /// What a path refers to in the role of its rule; `None` if it is not described, or may not be used like that.
    pub fn references(&self, rule: &QueryRule, path: &[String]) -> Option<(Vec<Reference>, LeadsTo)> {
        let Resolved { hops, holds, end } = resolve(self.profile, self.record_type?, path)?;
        let further = rule.grammar.looks_at.get(&end);
        // What orders records is theirs to say: a name, a number, a date.
        let leads_to = match &holds {
            Some(Held { is_end: true, .. }) => LeadsTo::Record,
            Some(_) | None => LeadsTo::Value,
        };
        if rule.role == Role::Sort && leads_to == LeadsTo::Record && further.is_none() {
            return None;
        }
        let holds = holds.map(|held| held.type_name);
        let mut found = vec![Reference { role: rule.role, hops: hops.clone(), holds }];
        for field in further.into_iter().flat_map(|(_, fields)| fields) {
            let (type_name, _) = field.value.split_once('.')?;
            let mut hops = hops.clone();
            hops.pop_if(|(last, _)| last == type_name);
            hops.push((type_name.to_owned(), field.value.clone()));
            found.push(Reference { role: rule.role, hops, holds: None });
        }
        Some((found, leads_to))
    }

    /// The path of a parameter whose name says which field it is about.
    pub fn path_of_parameter(&self, rule: &QueryRule, name: &str) -> Option<Vec<String>> {
        let grammar = &rule.grammar;
        let is_operator = |word: &str| grammar.operators.iter().any(|known| known == word);
        match (rule.form, &rule.field) {
            (Form::Key, Some(field)) => Some(field.split('.').map(str::to_owned).collect()),
            (Form::Bracketed, _) => {
                let (_, inside) = name.strip_suffix(']')?.split_once('[')?;
                let (field, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
                let is_plain = !field.is_empty() && !field.contains(['[', ']']);
                let is_bare = field == inside;
                (is_plain && (is_bare || is_operator(operator))).then(|| grammar.path(field))?
            }
            (Form::OperatorSuffix, _) if grammar.separator == SUFFIX => {
                let whole = grammar.path(name)?;
                match whole.split_last() {
                    Some((last, rest)) if !rest.is_empty() && is_operator(last) => {
                        // A field of that name, or the operator: nobody can tell.
                        let is_field = resolve(self.profile, self.record_type?, &whole).is_some();
                        (!is_field).then(|| rest.to_vec())
                    }
                    _ => Some(whole),
                }
            }
            // What is not a field and one known operator stays whole, and then names no field: look-ups through relations
            // have the same form.
            (Form::OperatorSuffix, _) => match name.split_once(SUFFIX) {
                Some((field, operator)) if is_operator(operator) => grammar.path(field),
                _ => grammar.path(name),
            },
            _ => grammar.path(name),
        }
    }

    /// What a search without a statement of its own may look at, each with the field's name on the wire.
    pub fn searched(&self, rule: &QueryRule) -> Vec<(Reference, String)> {
        let Some(record_type) = self.record_type else { return Vec::new() };
        let stated: Vec<String> = rule.over.iter().map(|text| text.value.clone()).collect();
        // Without a statement a search may look anywhere, keys included that no field describes.
        let covered = match stated.is_empty() {
            false => stated,
            true => {
                let fields = (0..record_type.fields.len()).map(|index| record_type.field_name(index));
                fields.chain([record_type.unclassified_name()]).collect()
            }
        };
        let on_wire = |name: &String| {
            let index = (0..record_type.fields.len()).find(|index| record_type.field_name(*index) == *name);
            let field = index.and_then(|index| record_type.fields.get(index));
            field.map(|field| field.at.join(".")).unwrap_or_default()
        };
        let reference = |field: String| {
            let wire = on_wire(&field);
            let hops = vec![(record_type.name.clone(), field)];
            (Reference { role: Role::Search, hops, holds: None }, wire)
        };
        covered.into_iter().map(reference).collect()
    }
}

/// A record that a path leads to.
struct Held {
    type_name: String,
    is_end: bool,
}

/// Resolves the keys of a path through embedded records to a field; `None` if any part is not described.
fn resolve(profile: &Profile, record_type: &RecordType, keys: &[String]) -> Option<Resolved> {
    let tree = profile.tree(&record_type.name)?;
    let end = || format!("{}.{}", record_type.name, keys.join("."));
    for length in 1..=keys.len() {
        let (head, rest) = keys.split_at_checked(length)?;
        match tree.meaning_of(head) {
            Meaning::Meta if rest.is_empty() => {
                return Some(Resolved { hops: Vec::new(), holds: None, end: end() });
            }
            Meaning::Field(index) => {
                let hop = (record_type.name.clone(), record_type.field_name(index));
                let embed = record_type.fields.get(index)?.embeds.as_ref();
                if rest.is_empty() {
                    let held = |embed: &Embed| Held { type_name: embed.type_name.clone(), is_end: true };
                    return Some(Resolved { hops: vec![hop], holds: embed.map(held), end: end() });
                }
                let (_, inner) = profile.type_named(&embed?.type_name)?;
                let mut further = resolve(profile, inner, rest)?;
                if further.hops.is_empty() {
                    further.holds = Some(Held { type_name: inner.name.clone(), is_end: false });
                }
                return Some(Resolved { hops: [hop].into_iter().chain(further.hops).collect(), ..further });
            }
            Meaning::Container(_) => {}
            Meaning::Meta | Meaning::LookAlike | Meaning::Unknown => return None,
        }
    }
    None
}

/// What stands between a field and its operator in a parameter's name.
const SUFFIX: &str = "__";
