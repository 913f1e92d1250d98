//! What plain Cedar is asked while something runs, for those who measure what their cases reach.
//!
//! Promises: changes no decision. Sees what is asked on its own thread alone, so only what runs there to its end.

use std::cell::RefCell;

use cedar_policy as cedar;

/// One question that Cedar was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Principal, action, resource and context.
    pub request: cedar::Request,
    /// What was known of them.
    pub entities: cedar::Entities,
}

thread_local! {
    static WITNESS: RefCell<Option<Vec<Asked>>> = const { RefCell::new(None) };
}

/// Runs something and says what Cedar was asked meanwhile.
pub fn witnessed<T>(run: impl FnOnce() -> T) -> (T, Vec<Asked>) {
    let outer = WITNESS.with_borrow_mut(|witness| witness.replace(Vec::new()));
    let result = run();
    let asked = WITNESS.with_borrow_mut(|witness| std::mem::replace(witness, outer));
    (result, asked.unwrap_or_default())
}

/// Notes a question, if anybody wants to know.
pub(super) fn tell(request: &cedar::Request, entities: &cedar::Entities) {
    WITNESS.with_borrow_mut(|witness| {
        if let Some(asked) = witness {
            asked.push(Asked { request: request.clone(), entities: entities.clone() });
        }
    });
}
