//! From what a credential says to a principal of the directory: exactly one, or nobody.

use crate::bundle::directory::{Directory, Lookup};
use crate::config::service::NamedBy;
use crate::json::value::Value;
use crate::model::principal::{Attested, EntityRef};
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// Whom a credential leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The principal; whether the directory has them is looked at afterwards.
    pub entity: EntityRef,
    /// What else the credential says.
    pub attested: Attested,
}

impl Found {
    /// Somebody of whom nothing else is said.
    pub fn plain(entity: EntityRef) -> Self {
        Self { entity, attested: Attested::default() }
    }
}

/// The principal of a name.
pub fn named(name: &str, by: &NamedBy, directory: &Directory) -> Result<EntityRef, Problem> {
    let Some(attribute) = &by.attribute else { return Ok(EntityRef::new(by.type_name, name)) };
    match directory.find(by.type_name, attribute, name) {
        Some(Lookup::One(id)) => Ok(EntityRef::new(by.type_name, id)),
        Some(Lookup::Ambiguous) => {
            let why = format!("several of type {} share a value of `{attribute}`", by.type_name);
            Err(Problem::new(Reason::PrincipalAmbiguous).internal(why))
        }
        None => Err(Reason::PrincipalUnknown.into()),
    }
}

/// A JSON value as a name: a string or a whole number, not empty, not long, without control characters.
pub fn name_of(value: Value<'_>) -> Option<String> {
    let name = match (value.text(), value.number()) {
        (Some(text), _) => text.into_owned(),
        (None, Some(number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => number.to_owned(),
        _ => return None,
    };
    let is_sound = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
    is_sound.then_some(name)
}

const NAME_BYTES_MAX: usize = 256;
