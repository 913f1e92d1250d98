//! Hydration of files (PIP): a file's own record says which record owns it, and that one is decided on.
//!
//! Promises: a file is decided on by the record that the CRM itself names as its owner; a path that names another one finds
//! nothing.

use super::fetch::Fetcher;
use super::hydrate::extract::{canonical_id, is_canonical, walk};
use super::hydrate::image::Image;
use super::map::Mapped;
use crate::bundle::profile::Profile;
use crate::bundle::profile::source::ValueSource;
use crate::bundle::profile::transit::{FileOwner, Owner};
use crate::bundle::profile::types::RecordType;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

impl Fetcher<'_> {
    /// Puts the record that owns the file in the place of what the request named.
    pub async fn find_owner<'p>(&self, mapped: &mut Mapped<'p>, profile: &'p Profile) -> Result<(), Problem> {
        let Some(owner) = owner(mapped) else { return Ok(()) };
        let file = file_id(mapped, owner)?;
        let image = self.file_record(profile, owner, &file, mapped).await?;
        set_owner(mapped, owner, &image, profile)
    }

    async fn file_record(
        &self,
        profile: &Profile,
        owner: &FileOwner,
        file: &str,
        mapped: &Mapped<'_>,
    ) -> Result<Image, Problem> {
        let (route, record_type) = file_route(profile, owner)?;
        let names = [Some(&owner.id), owner.type_key.as_ref(), Some(&record_type.id)];
        let names: Vec<String> =
            names.into_iter().flatten().filter_map(|path| path.first().cloned()).collect();
        self.image(route, record_type, file, &mapped.parameters, None, &names).await
    }
}

/// How the file of a request names its owner, if it does.
pub fn owner<'p>(mapped: &Mapped<'p>) -> Option<&'p FileOwner> {
    match mapped.route.transit.as_ref().map(|transit| &transit.owner) {
        Some(Owner::File(owner)) => Some(owner),
        Some(Owner::Path | Owner::Unstated) | None => None,
    }
}

/// The route that yields the record of a file, and that record's type.
pub fn file_route<'p>(
    profile: &'p Profile,
    owner: &FileOwner,
) -> Result<(&'p crate::bundle::profile::route::Route, &'p RecordType), Problem> {
    let internal = || Problem::new(Reason::Internal).internal("no route for the record of a file");
    let (_, route) = profile.route_labelled(&owner.before.value).ok_or_else(internal)?;
    let record_type = profile.type_of_image(route).ok_or_else(internal)?;
    Ok((route, record_type))
}

/// The file that a request names.
pub fn file_id(mapped: &Mapped<'_>, owner: &FileOwner) -> Result<String, Problem> {
    let (pairs, name) = match &owner.of {
        ValueSource::Path(name) => (&mapped.parameters, name),
        ValueSource::Query(name) => (&mapped.query.pairs, name),
        ValueSource::Body(_) => return Err(Reason::IdMissing.into()),
    };
    let mut values = pairs.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if is_canonical(value) => Ok(value.clone()),
        (Some(_), None) => Err(Reason::IdMalformed.into()),
        (Some(_), Some(_)) => Err(Reason::IdConflict.into()),
        (None, _) => Err(Reason::IdMissing.into()),
    }
}

/// Reads the owner from the file's record. Where the path names a record too, both must be the same one.
pub fn set_owner<'p>(
    mapped: &mut Mapped<'p>,
    owner: &FileOwner,
    file: &Image,
    profile: &'p Profile,
) -> Result<(), Problem> {
    // A file of nobody's is nobody's to fetch.
    let id = walk(file.record(), &owner.id).and_then(canonical_id).ok_or(Reason::NotFound)?;
    let named = mapped.ids.first();
    if named.is_some_and(|named| *named != id) {
        return Err(Problem::new(Reason::NotFound).internal("the file belongs to another record"));
    }
    if let Some(key) = &owner.type_key {
        let name = walk(file.record(), key).and_then(|value| value.text().map(|text| text.into_owned()));
        let record_type = name.and_then(|name| profile.type_on_wire(&name)).ok_or(Reason::NotFound)?;
        if mapped.record_type.is_some_and(|known| known.name != record_type.name) {
            return Err(
                Problem::new(Reason::NotFound).internal("the file belongs to a record of another type")
            );
        }
        mapped.record_type = Some(record_type);
    }
    mapped.ids = vec![id];
    Ok(())
}
