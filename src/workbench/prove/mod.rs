//! Whether invariants hold: proved by a solver for whatever request there can be, or checked for the people of a directory.
//!
//! Promises: "proved" is said only where a solver found that there is no request against the claim, "refuted" only with a request
//! that Cedar's own authorizer decided against it. All else is undetermined, or holds for the directory's people alone, and says so.

pub mod bounded;
pub mod environment;
pub mod invariant;
pub mod people;
pub mod scene;
#[cfg(feature = "solver")]
pub mod search;
#[cfg(feature = "solver")]
pub mod solver;
pub mod values;
pub mod witness;
pub mod world;

#[cfg(test)]
#[cfg(feature = "solver")]
mod tests;

use environment::Environment;
use invariant::Invariant;
use scene::Scene;

/// What is found of a claim in one environment.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A request against it, and the policies that decided it.
    Refuted(Box<Scene>, Vec<String>),
    /// Nobody knows, for this reason.
    Undetermined(String),
    /// There is none by the people of the directory, of whom the claim may describe so many.
    Holds(usize),
    /// There is no request against it.
    Proved,
}

/// What is found of a claim.
pub struct Findings<'a> {
    /// The claim.
    pub invariant: &'a Invariant,
    /// What was found in each environment in which it may describe a request.
    pub environments: Vec<(Environment, Finding)>,
}

/// The whole of what is found of a claim, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is a request against it.
    Refuted,
    /// Of some environment nobody knows.
    Undetermined,
    /// There is no request against it by the people of the directory.
    Holds,
    /// There is no request against it.
    Proved,
}

impl Finding {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Refuted(..) => Verdict::Refuted,
            Self::Undetermined(_) => Verdict::Undetermined,
            Self::Holds(_) => Verdict::Holds,
            Self::Proved => Verdict::Proved,
        }
    }
}

impl Findings<'_> {
    /// What all comes to: a claim that describes nothing is not proved.
    pub fn verdict(&self) -> Verdict {
        let worst = self.environments.iter().map(|(_, finding)| finding.verdict()).min();
        worst.unwrap_or(Verdict::Undetermined)
    }
}
