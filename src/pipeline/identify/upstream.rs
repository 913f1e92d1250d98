//! What the CRM is shown once a caller is identified: what they brought, or what the operator keeps for them.

use std::collections::HashMap;

use http::header::{COOKIE, HeaderName, HeaderValue};

use super::Owner;
use super::carrier::Credential;
use crate::model::principal::EntityRef;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// What the CRM is shown in place of the caller's credential.
#[derive(Clone)]
pub enum UpstreamCredential {
    /// The caller's own, as it came.
    Caller,
    /// The service account's.
    Service {
        /// The header.
        name: HeaderName,
        /// Its value, marked sensitive.
        value: HeaderValue,
    },
    /// That of each person.
    PerPerson {
        /// The header.
        name: HeaderName,
        /// Its value for each, marked sensitive.
        values: HashMap<EntityRef, HeaderValue>,
    },
}

/// A header for the CRM.
pub type Shown = (HeaderName, HeaderValue);

impl UpstreamCredential {
    /// What the CRM is shown for a principal.
    pub fn of(&self, principal: &EntityRef, credential: &Credential<'_>) -> Result<(Shown, Owner), Problem> {
        match self {
            UpstreamCredential::Caller => Ok((as_it_came(credential)?, Owner::Caller)),
            UpstreamCredential::Service { name, value } => {
                Ok(((name.clone(), value.clone()), Owner::Operator))
            }
            UpstreamCredential::PerPerson { name, values } => {
                let value = values.get(principal).ok_or(Reason::CrmCredentialMissing)?;
                Ok(((name.clone(), value.clone()), Owner::Operator))
            }
        }
    }
}

/// The caller's credential and nothing else of the header that carried it.
pub fn as_it_came(credential: &Credential<'_>) -> Result<Shown, Problem> {
    let (name, text) = match credential {
        Credential::Header { name, value } => ((*name).clone(), (*value).to_owned()),
        Credential::Cookie { name, value } => (COOKIE, format!("{name}={value}")),
        Credential::Certificate(_) => {
            let why = "a certificate cannot be shown to the CRM";
            return Err(Problem::new(Reason::CrmCredentialMissing).internal(why));
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| Reason::CredentialUnknown)?;
    value.set_sensitive(true);
    Ok((name, value))
}
