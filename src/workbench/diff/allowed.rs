//! A list of rights that may be gained: what a reviewer agreed to.
//!
//! A line is who, type, action and field or stage; `*` stands for any, `#` begins a comment. Who comes first and may have spaces in it.

use std::sync::Arc;

use super::{Change, Found};
use crate::config::author::{AuthorProblem, Problems, SourceFile};

/// The rights that may be gained.
#[derive(Debug, Default)]
pub struct Allowed(Vec<[String; 4]>);

impl Allowed {
    /// Reads a list; every line that is none is noted.
    pub fn read(source: &Arc<SourceFile>, problems: &mut Problems) -> Self {
        let mut rights = Vec::new();
        let mut at = 0;
        for line in source.text.split_inclusive('\n') {
            let text = line.split('#').next().unwrap_or_default().trim();
            let mut words = text.rsplitn(4, char::is_whitespace);
            match (words.next(), words.next(), words.next(), words.next()) {
                _ if text.is_empty() => {}
                (Some(name), Some(action), Some(type_name), Some(who)) => {
                    rights.push([who.trim(), type_name, action, name].map(str::to_owned));
                }
                _ => {
                    let help = "Write who, type, action and field or stage: `rep Deal moveStage sales.won`; `*` stands for any.";
                    let problem =
                        AuthorProblem::error("this is no right").at(source, at..at + line.trim_end().len());
                    problems.push(problem.help(help));
                }
            }
            at += line.len();
        }
        Self(rights)
    }

    /// What of a change is gained, or may be, and not listed: who and what.
    pub fn lacks(&self, change: &Change) -> Vec<[String; 2]> {
        if matches!(change.gained, Found::Nothing) {
            return Vec::new();
        }
        let none = [String::new()];
        let names = if change.names.is_empty() { &none[..] } else { &change.names };
        let pairs = change.who.iter().flat_map(|who| names.iter().map(move |name| (who, name)));
        let lacking = pairs.filter(|(who, name)| !self.has(who, &change.type_name, change.action, name));
        lacking.map(|(who, name)| [who.clone(), name.clone()]).collect()
    }

    fn has(&self, who: &str, type_name: &str, action: &str, name: &str) -> bool {
        let short = name.strip_prefix(type_name).and_then(|name| name.strip_prefix('.')).unwrap_or(name);
        let is = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        // Fields of new records are told with a word of their own.
        let action = action.split_whitespace().next().unwrap_or(action);
        self.0.iter().any(|[whose, of, act, on]| {
            let is_named = is(on, name) || is(on, short) || (name.is_empty() && on == "-");
            is(whose, who) && is(of, type_name) && is(act, action) && is_named
        })
    }
}
