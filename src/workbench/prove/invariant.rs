//! Invariants: claims on what the policies of a bundle decide, each written as one Cedar policy that decides nothing.
//!
//! Promises: an invariant that loads is valid against the bundle's schema, names nothing that the catalogue does not have, and
//! says in a sentence what it claims.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy as cedar;
use serde_json::{Value, json};

use crate::bundle::catalogue::from_uid;
use crate::bundle::compile::Bundle;
use crate::bundle::forms::Forms;
use crate::bundle::part::Part;
use crate::bundle::policies::{self, Policies};
use crate::bundle::{lints, validate};
use crate::config::author::{Problems, SourceFile};
use crate::model::principal::EntityRef;

/// One claim.
#[derive(Debug)]
pub struct Invariant {
    /// Its `@id`.
    pub id: String,
    /// What it claims, in its author's words.
    pub claim: String,
    /// Whether what it describes is never or always allowed.
    pub kind: ClaimKind,
    /// Where it stands, as `invariants/margins.cedar:3`.
    pub place: String,
    /// The requests that it describes, as a policy that permits them.
    pub probe: Probe,
}

/// What is claimed of the requests that an invariant describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// None is ever allowed: `forbid`.
    Never,
    /// Every one is always allowed: `permit`.
    Always,
}

impl ClaimKind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Always => "always",
        }
    }
}

/// The requests that an invariant describes.
#[derive(Clone, Debug)]
pub struct Probe {
    /// As a policy that permits them.
    pub policy: cedar::Policy,
    /// The same in Cedar's JSON form.
    pub form: Value,
    /// The entities that it names.
    pub literals: BTreeSet<EntityRef>,
}

/// The invariants of a bundle by their ids; `None` comes with at least one error.
pub fn load(bundle: &Bundle, problems: &mut Problems) -> Option<Vec<Invariant>> {
    let before = problems.error_count();
    let policies = read(bundle, problems);
    validate::validate(&policies, &Forms::of(&policies.set), &bundle.schema, problems);
    lints::literals(&policies, &bundle.catalogue, problems);
    let mut invariants = Vec::new();
    for policy in policies.set.policies() {
        let id = policy.id().to_string();
        let claim = policy.annotation("claim").map(str::trim).filter(|claim| !claim.is_empty());
        let Some(claim) = claim else {
            let problem = policies.problem(&id, format!("the invariant `{id}` has no `@claim`"));
            problems
                .push(problem.help("Say in a sentence what it claims: `@claim(\"…\")`. Reports show it."));
            continue;
        };
        let kind = match policy.effect() {
            cedar::Effect::Forbid => ClaimKind::Never,
            cedar::Effect::Permit => ClaimKind::Always,
        };
        let place = policies.place(&id).unwrap_or_default();
        let Some(probe) = Probe::of(policy) else {
            problems.push(policies.problem(&id, format!("the invariant `{id}` cannot be read back")));
            continue;
        };
        invariants.push(Invariant { claim: claim.to_owned(), kind, place, probe, id });
    }
    invariants.sort_by(|one, other| one.id.cmp(&other.id));
    (problems.error_count() == before).then_some(invariants)
}

/// The invariants as policies, which is what they look like.
pub fn read(bundle: &Bundle, problems: &mut Problems) -> Policies {
    let files = bundle.files.iter().filter(|(name, _)| Part::of(name) == Some(Part::Invariants));
    // Files that are not UTF-8 are no bundle.
    let files = files.filter_map(|(name, bytes)| Some((name, std::str::from_utf8(bytes).ok()?)));
    let sources: Vec<Arc<SourceFile>> = files.map(|(name, text)| SourceFile::new(name, text)).collect();
    policies::load(&sources, problems)
}

impl Probe {
    fn of(policy: &cedar::Policy) -> Option<Self> {
        let policy = permitting(policy)?;
        let form = policy.to_json().ok()?;
        let literals = policy.entity_literals().iter().map(from_uid).collect();
        Some(Self { policy, form, literals })
    }

    /// The same, of requests of which further conditions hold.
    pub fn assuming(&self, conditions: &[String]) -> Option<cedar::Policy> {
        let mut form = self.form.clone();
        let all = form.get_mut("conditions")?.as_array_mut()?;
        for condition in conditions {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let policy = cedar::Policy::parse(None, text).ok()?.to_json().ok()?;
            all.extend(policy.get("conditions")?.as_array()?.iter().cloned());
        }
        cedar::Policy::from_json(Some(self.policy.id().clone()), form).ok()
    }
}

/// A policy of the same scope and conditions that permits.
pub fn permitting(policy: &cedar::Policy) -> Option<cedar::Policy> {
    let mut form = policy.to_json().ok()?;
    *form.get_mut("effect")? = json!("permit");
    cedar::Policy::from_json(Some(policy.id().clone()), form).ok()
}
