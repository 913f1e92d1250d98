//! Makes key pairs, for whoever signs bundles or checkpoints.
//!
//! Promises: a private key is written for its owner alone, and never over another file.

use std::io::ErrorKind;
use std::path::Path;

use crate::disk;
use crate::model::keys::{PublicKey, SigningKey};

/// Makes a private key in a new file and returns its public half. The error says what could not be done.
pub(super) fn make(out: &Path) -> Result<PublicKey, String> {
    let unusable =
        |error: &dyn std::fmt::Display| format!("cannot make a key for `{}`: {error}", out.display());
    let private = SigningKey::generate().map_err(|error| unusable(&error))?;
    let key = SigningKey::parse(&private).map_err(|error| unusable(&error))?;
    let public = key.public().ok_or_else(|| unusable(&"it has no public half"))?;
    disk::write_private(out, private.as_bytes()).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("`{}` exists, and a key is never overwritten: choose another name", out.display())
        }
        _ => format!("cannot write `{}`: {error}", out.display()),
    })?;
    Ok(public)
}
