//! Files in, bundle out: whole or not at all, with every problem of every file.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::provenance::Provenance;
use super::catalogue::{self, Catalogue};
use super::forms::Forms;
use super::part::Part;
use super::policies::{self, Policies};
use super::profile::Profile;
use super::program::compile::{self as programs, Programs};
use super::schema::{self, BundleSchema};
use super::slices::{self, Slices};
use super::{lints, revision, validate};
use crate::config::author::{AuthorProblem, Problems, SourceFile};

/// One unit of policies, schema and profile.
pub struct Bundle {
    /// The content hash of the files.
    pub revision: String,
    /// The files, byte for byte.
    pub files: BTreeMap<String, Bytes>,
    /// How the CRM's API is described.
    pub profile: Profile,
    /// The joined schema.
    pub schema: BundleSchema,
    /// The policies.
    pub policies: Policies,
    /// The policies cut by action and type.
    pub slices: Slices,
    /// What a gate asks of them, as programs.
    pub programs: Programs,
    /// The bundle's own entities.
    pub catalogue: Catalogue,
    /// Where it comes from: a folder, unless the loader says otherwise.
    pub provenance: Provenance,
}

/// The name of the profile inside a bundle.
pub const PROFILE_FILE: &str = "profile.toml";

/// Compiles the files of a bundle; `None` comes with at least one error.
pub fn compile(files: BTreeMap<String, Bytes>, problems: &mut Problems) -> Option<Bundle> {
    let before = problems.error_count();
    let sources = texts(&files, problems);
    let all = |part: Part| -> Vec<Arc<SourceFile>> {
        sources.iter().filter(|source| Part::of(&source.name) == Some(part)).cloned().collect()
    };
    let profile_source = sources.iter().find(|source| source.name == PROFILE_FILE);
    let (schemas, policy_files) = (all(Part::Schema), all(Part::Policies));
    if profile_source.is_none() {
        problems.push(missing(PROFILE_FILE, "It describes the CRM's API."));
    }
    if policy_files.is_empty() {
        problems.push(missing(
            "*.cedar",
            "Without a policy everything is denied; say so in a file if that is meant.",
        ));
    }
    let [customer] = schemas.as_slice() else {
        problems
            .push(missing("one *.cedarschema", "It declares the record types that policies may look at."));
        return None;
    };
    let policies = policies::load(&policy_files, problems);
    let profile_source = profile_source?;
    let profile = Profile::load(profile_source, problems)?;
    let catalogue = catalogue::build(&profile, profile_source, problems);
    lints::lint(&policies, &catalogue, &profile, profile_source, problems);
    let schema = schema::join(&profile, profile_source, customer, problems)?;
    let forms = Forms::of(&policies.set);
    validate::validate(&policies, &forms, &schema, problems);
    lints::lookups(&profile, profile_source, &schema, problems);
    if problems.error_count() > before {
        return None;
    }
    let slices = slices::cut(&policies.set, &schema.schema, &profile, &catalogue, &forms);
    let programs = programs::compile(&profile, &slices, &schema.schema, &catalogue, &forms);
    Some(Bundle {
        programs,
        revision: revision::hash_files(&files),
        files,
        profile,
        schema,
        policies,
        slices,
        catalogue,
        provenance: Provenance::default(),
    })
}

fn texts(files: &BTreeMap<String, Bytes>, problems: &mut Problems) -> Vec<Arc<SourceFile>> {
    let mut sources = Vec::new();
    for (name, bytes) in files {
        match std::str::from_utf8(bytes) {
            Ok(text) => sources.push(SourceFile::new(name.clone(), text)),
            Err(error) => {
                let message = format!("`{name}` is not UTF-8 from byte {}", error.valid_up_to());
                problems.push(AuthorProblem::error(message));
            }
        }
    }
    sources
}

fn missing(what: &str, why: &str) -> AuthorProblem {
    AuthorProblem::error(format!("the bundle must have {what}")).help(why.to_owned())
}
