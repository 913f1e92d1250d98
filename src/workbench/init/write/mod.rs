//! A draft as the files of a bundle.
//!
//! Promises: the files load together and warn of nothing; comments hold whatever the document says as one line each.

pub mod profile;
pub mod policies;
pub mod cases;

use std::collections::BTreeMap;

use super::Draft;

/// The files of a draft, by their names in the bundle.
pub fn files(draft: &Draft<'_>) -> BTreeMap<String, String> {
    BTreeMap::from([
        (PROFILE_FILE.to_owned(), profile::toml(draft)),
        (SCHEMA_FILE.to_owned(), policies::schema(draft)),
        (GUARDS_FILE.to_owned(), policies::guards(draft)),
        (CASES_FILE.to_owned(), cases::toml(draft)),
    ])
}

/// What is described.
pub const PROFILE_FILE: &str = crate::bundle::compile::PROFILE_FILE;
/// What policies may look at.
pub const SCHEMA_FILE: &str = "crm.cedarschema";
/// The starter policies.
pub const GUARDS_FILE: &str = "policies/guards.cedar";
/// The first cases.
pub const CASES_FILE: &str = "cases/first.toml";
