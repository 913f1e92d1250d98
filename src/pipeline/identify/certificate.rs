//! Client certificates: the names in one lead to exactly one principal.
//!
//! The listener has verified the certificate; only its subject alternative names count, never the common name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::found::{Found, named};
use crate::bundle::directory::Directory;
use crate::config::author::{Problems, SourceFile};
use crate::config::reader::{Reading, Table};
use crate::config::service::NamedBy;
use crate::model::certificate::NamePattern;
use crate::model::peer::CertificateName;
use crate::model::principal::EntityRef;
use crate::model::problem::Problem;
use crate::model::reason::Reason;

/// How names of certificates become principals.
pub struct CertificateSource {
    /// Whole names, each with whose it is.
    pub table: Vec<(NamePattern, EntityRef)>,
    /// A name with one `*`.
    pub pattern: Option<NamePattern>,
    /// How what stands in place of the `*` becomes a principal.
    pub named_by: NamedBy,
}

impl CertificateSource {
    /// The principal behind the names of one certificate.
    pub fn identify(&self, names: &[CertificateName], directory: &Directory) -> Result<Found, Problem> {
        let mut found = BTreeSet::new();
        for name in names {
            let listed = self.table.iter().filter(|(pattern, _)| pattern.fits(name));
            found.extend(listed.map(|(_, principal)| principal.clone()));
            if let Some(text) = self.pattern.as_ref().and_then(|pattern| pattern.capture(name)) {
                found.insert(named(&text, &self.named_by, directory)?);
            }
        }
        let several = found.len() > 1;
        match found.pop_first() {
            Some(principal) if !several => Ok(Found::plain(principal)),
            Some(_) => {
                let why = "the names of one certificate lead to several principals";
                Err(Problem::new(Reason::PrincipalAmbiguous).internal(why))
            }
            None => Err(Reason::CertificateUnknown.into()),
        }
    }
}

/// Reads `[[certificate]]` tables with `name` and `principal`; every problem is noted.
pub fn load(source: &Arc<SourceFile>, problems: &mut Problems) -> Vec<(NamePattern, EntityRef)> {
    let reading = Reading::new(Arc::clone(source));
    let mut table = Vec::new();
    if let Some(parsed) = reading.parse(&source.text) {
        let root = reading.table(&parsed);
        for entry in root.tables("certificate") {
            read_entry(&entry, &mut table);
        }
        root.finish();
    }
    problems.extend(reading.into_problems());
    table
}

fn read_entry(entry: &Table<'_>, table: &mut Vec<(NamePattern, EntityRef)>) {
    let name = entry.required("name", "Write a name of the certificate, e.g. `DNS:batch.example.com`.");
    let principal = entry.required("principal", PRINCIPAL_HELP);
    entry.text("note");
    entry.finish();
    let (Some(name), Some(principal)) = (name, principal) else { return };
    let Some(pattern) = NamePattern::parse(&name.value).filter(|pattern| !pattern.has_star()) else {
        let help = "Write `DNS:…`, `URI:…` or `email:…`, as `openssl x509 -ext subjectAltName` prints it, without `*`.";
        entry.reading().error(name.span, format!("`{}` is not a certificate's name", name.value), help);
        return;
    };
    let Some(principal) = EntityRef::parse(&principal.value).filter(EntityRef::is_person) else {
        entry.reading().error(
            principal.span,
            format!("`{}` is not a principal", principal.value),
            PRINCIPAL_HELP,
        );
        return;
    };
    if table.iter().any(|(other, _)| *other == pattern) {
        entry.reading().error(
            name.span,
            format!("`{}` stands twice", name.value),
            "A name is one principal's.",
        );
    }
    table.push((pattern, principal));
}

const PRINCIPAL_HELP: &str = "Write a reference such as `User::\"anna\"`; there are User, Service and Agent.";
