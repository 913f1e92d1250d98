//! What was decided: allow or deny, by which policies, and whether any policy failed to evaluate.

use super::reason::Reason;

/// The outcome of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The decision is allow.
    Allow,
    /// The decision is deny.
    Deny,
}

impl Effect {
    /// The code used in the ledger.
    pub fn code(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }
}

/// One decision with what made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Allow or deny. Deny whenever `errors` is not empty.
    pub effect: Effect,
    /// Ids of the policies that made the decision, sorted; empty for a deny by default.
    pub determining: Vec<String>,
    /// Ids of policies that failed to evaluate, sorted.
    pub errors: Vec<String>,
    /// Why it is a deny; `None` for allow.
    pub reason: Option<Reason>,
    /// The attribute that could not be used, where that is why.
    pub attribute: Option<String>,
}

impl Decision {
    /// An allow made by `determining`.
    pub fn allow(determining: Vec<String>) -> Self {
        Self { effect: Effect::Allow, determining, errors: Vec::new(), reason: None, attribute: None }
    }

    /// A deny that no policy was asked for.
    pub fn deny(reason: Reason) -> Self {
        let (determining, errors) = (Vec::new(), Vec::new());
        Self { effect: Effect::Deny, determining, errors, reason: Some(reason), attribute: None }
    }

    /// A deny because of an attribute that cannot be used.
    pub fn unusable(reason: Reason, attribute: &str) -> Self {
        Self { attribute: Some(attribute.to_owned()), ..Self::deny(reason) }
    }

    /// What policies come to: any failure denies, whatever the others say. `effect` is theirs without the failures.
    pub fn by_policies(effect: Effect, mut determining: Vec<String>, mut errors: Vec<String>) -> Self {
        determining.sort();
        errors.sort();
        let (effect, reason) = match (effect, errors.is_empty()) {
            (_, false) => (Effect::Deny, Some(Reason::PolicyError)),
            (Effect::Allow, true) => (Effect::Allow, None),
            (Effect::Deny, true) if determining.is_empty() => (Effect::Deny, Some(Reason::NoPermit)),
            (Effect::Deny, true) => (Effect::Deny, Some(Reason::Forbidden)),
        };
        Self { effect, determining, errors, reason, attribute: None }
    }

    /// Whether the decision is allow.
    pub fn is_allow(&self) -> bool {
        self.effect == Effect::Allow
    }
}
