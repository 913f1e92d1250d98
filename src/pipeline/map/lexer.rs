//! Lexers: one file for each form in which a request names fields. They read all of what they are given, or refuse.
//!
//! Promises: what is forwarded is written anew from what was read, so that no spelling means one thing here and another thing
//! to the CRM; depth and number of conditions are bounded; an unknown word is refused. Never looks at what a value is worth.

pub mod term;
pub mod brackets;
pub mod encoding;
pub mod filter;
pub mod triples;
pub mod prefix;
pub mod object;
pub mod tree;
pub mod order;

/// Why a form is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not understood whole.
    Unread,
    /// It has more conditions than the limit, or is deeper.
    TooMuch,
}

/// Limits on a condition that holds other conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Conditions on fields.
    pub clauses_max: usize,
    /// Conditions inside of each other, those on fields included.
    pub depth_max: usize,
}

impl Default for FilterLimits {
    fn default() -> Self {
        Self { clauses_max: 100, depth_max: 16 }
    }
}

/// What is left of the limits while something is read.
pub struct Budget {
    clauses: usize,
    depth: usize,
}

impl Budget {
    /// All of it.
    pub fn of(limits: FilterLimits) -> Self {
        Self { clauses: limits.clauses_max, depth: limits.depth_max }
    }

    /// Takes one condition on a field.
    pub fn clause(&mut self) -> Result<(), Refusal> {
        self.clauses = self.clauses.checked_sub(1).ok_or(Refusal::TooMuch)?;
        Ok(())
    }

    /// Reads something one level deeper.
    pub fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.depth = self.depth.checked_sub(1).ok_or(Refusal::TooMuch)?;
        let found = read(self);
        self.depth += 1;
        found
    }
}
