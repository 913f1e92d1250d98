//! Remembers the last bundle that did not compile, so that the same bytes are not compiled again at every reload.

use std::sync::{Mutex, PoisonError};

use crate::config::author::Problems;

/// The last files that did not compile, by their hash, and what is wrong with them.
#[derive(Default)]
pub(super) struct Broken {
    last: Mutex<Option<(String, Problems)>>,
}

impl Broken {
    /// What files of that hash compile to; for those that did not the last time, the problems of that time.
    pub(super) fn or_compile<T>(
        &self,
        hash: &str,
        problems: &mut Problems,
        compile: impl FnOnce(&mut Problems) -> Option<T>,
    ) -> Option<T> {
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, found)) = known.filter(|(broken, _)| broken == hash) {
            problems.extend(found);
            return None;
        }
        let mut found = Problems::default();
        let compiled = compile(&mut found);
        if compiled.is_none() {
            let broken = Some((hash.to_owned(), found.clone()));
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = broken;
        }
        problems.extend(found);
        compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::author::AuthorProblem;

    #[test]
    fn what_did_not_compile_is_not_compiled_again_while_it_is_the_same() {
        let broken = Broken::default();
        let mut runs = Vec::new();
        for (hash, is_sound) in
            [("a", false), ("a", false), ("b", true), ("a", false), ("c", false), ("a", false)]
        {
            let mut problems = Problems::default();
            let compiled = broken.or_compile(hash, &mut problems, |problems| {
                runs.push(hash);
                let problem = AuthorProblem::error(format!("{hash} is broken"));
                if is_sound {
                    Some(hash)
                } else {
                    problems.push(problem);
                    None
                }
            });
            assert_eq!(compiled.is_some(), is_sound);
            let expected = if is_sound { String::new() } else { format!("{hash} is broken") };
            assert!(
                problems.to_string().contains(&expected) && problems.has_errors() != is_sound,
                "{problems}"
            );
        }
        assert_eq!(runs, ["a", "b", "c", "a"]);
    }
}
