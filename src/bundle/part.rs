//! What a file of a bundle is, by its name alone.
//!
//! Promises: every `.cedar` file outside of `invariants/` is policies, wherever it stands: none is left out by its folder.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The profile.
    Profile,
    /// A schema.
    Schema,
    /// Policies, which decide.
    Policies,
    /// Claims on what the policies decide. They decide nothing.
    Invariants,
    /// Cases of what the policies decide, and the records and bodies that they name.
    Cases,
}

impl Part {
    /// What a file of this name is; `None` for a file that is none of a bundle's.
    pub fn of(name: &str) -> Option<Self> {
        let depth = name.bytes().filter(|byte| *byte == b'/').count();
        let folder = name.split_once('/').map(|(folder, _)| folder);
        let part = match (folder, name) {
            (Some(INVARIANTS), name) if name.ends_with(".cedar") => Self::Invariants,
            (_, name) if name.ends_with(".cedar") => Self::Policies,
            (_, name) if name.ends_with(".cedarschema") => Self::Schema,
            (Some(CASES), name) if name.ends_with(".toml") || name.ends_with(".json") => Self::Cases,
            (_, name) if name.ends_with("profile.toml") => Self::Profile,
            _ => return None,
        };
        (depth <= DEPTH_MAX).then_some(part)
    }
}

/// The folder of claims.
pub const INVARIANTS: &str = "invariants";
/// The folder of cases.
pub const CASES: &str = "cases";
/// Folders below the bundle's own that are looked into.
pub const DEPTH_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        let names = [
            ("profile.toml", Some(Part::Profile)),
            ("crm.cedarschema", Some(Part::Schema)),
            ("deals.cedar", Some(Part::Policies)),
            ("policies/eu/deals.cedar", Some(Part::Policies)),
            ("cases/guards.cedar", Some(Part::Policies)),
            ("policies/invariants/guards.cedar", Some(Part::Policies)),
            ("invariants.cedar", Some(Part::Policies)),
            ("invariants/margins.cedar", Some(Part::Invariants)),
            ("invariants/eu/margins.cedar", Some(Part::Invariants)),
            ("cases/deals.toml", Some(Part::Cases)),
            ("cases/profile.toml", Some(Part::Cases)),
            ("cases/records/deal-42.json", Some(Part::Cases)),
            ("invariants/notes.toml", None),
            ("deals.toml", None),
            ("records/deal-42.json", None),
            ("README.md", None),
            ("a/b/c/deals.cedar", None),
            ("cases/a/b/deal-42.json", None),
        ];
        for (name, expected) in names {
            assert_eq!(Part::of(name), expected, "{name}");
        }
    }
}
