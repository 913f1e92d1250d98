//! Bundles (PAP): policies, schema and profile as one unit with one content hash, its revision.
//!
//! Promises: a bundle that loads is whole and validated; a broken one yields every problem with its place. The bytes of
//! what serves are kept, so that a hash in the ledger always has its text.

pub mod part;
pub mod profile;
pub mod schema;
pub mod catalogue;
pub mod policies;
pub mod forms;
pub mod validate;
pub mod dependencies;
pub mod slices;
pub mod program;
pub mod lints;
pub mod directory;
pub mod instant;
pub mod revision;
pub mod compile;
pub mod archive;
pub mod source;
pub mod current;
