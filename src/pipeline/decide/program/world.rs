//! Directory and catalogue as programs see them: the same entities that plain Cedar would be handed.

use crate::bundle::current::Snapshot;
use crate::bundle::program::evaluate::{Stop, World};
use crate::bundle::program::value::Value;
use crate::model::principal::EntityRef;
use cedar_policy as cedar;

/// The entities of a snapshot.
pub struct Entities<'s>(pub &'s Snapshot);

impl Entities<'_> {
    /// A directory may have entities of a record type. Where one of them is the record itself, Cedar is handed the CRM's word.
    fn is_no_record(&self, entity: &EntityRef) -> Result<(), Stop> {
        match self.0.bundle.profile.type_named(&entity.type_name) {
            Some(_) => Err(Stop::Unsupported),
            None => Ok(()),
        }
    }

    fn read(
        &self,
        entity: &EntityRef,
        read: impl Fn(&cedar::Entity) -> Option<Result<cedar::EvalResult, cedar::PartialValueToValueError>>,
    ) -> Result<Option<Value>, Stop> {
        if self.0.bundle.catalogue.entity(entity).is_some() {
            return Ok(None);
        }
        self.is_no_record(entity)?;
        // What nothing defines is never guessed at.
        let found = self.0.directory.shared_entity(entity).ok_or(Stop::Unsupported)?;
        match read(&found) {
            None => Ok(None),
            Some(value) => {
                let value = value.map_err(|_| Stop::Unsupported)?;
                Value::from_cedar(&value).map(Some).ok_or(Stop::Unsupported)
            }
        }
    }
}

impl World for Entities<'_> {
    fn attribute(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop> {
        self.read(entity, |found| found.attr(name))
    }

    fn tag(&self, entity: &EntityRef, name: &str) -> Result<Option<Value>, Stop> {
        self.read(entity, |found| found.tag(name))
    }

    fn is_below(&self, entity: &EntityRef, above: &EntityRef) -> Result<bool, Stop> {
        let catalogue = &self.0.bundle.catalogue;
        if catalogue.entity(entity).is_some() {
            return Ok(catalogue.is_in(entity, above));
        }
        self.is_no_record(entity)?;
        self.0.directory.is_below(entity, above).ok_or(Stop::Unsupported)
    }
}
