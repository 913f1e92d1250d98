//! What is wrong with a directory, entity by entity, each with its place in the file.
//!
//! Promises: problems are found in one run, as many as somebody will read, and each at the entity that has it.

use std::ops::Range;
use std::sync::Arc;

use super::index::Index;
use super::items::Items;
use crate::config::author::{AuthorProblem, Problems, SourceFile, nearest};
use crate::model::principal::EntityRef;

/// One problem of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entity's number in the file, from 0.
    pub item: usize,
    /// What the problem is about, as it stands in the entity's text.
    pub needle: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// Findings, of which only the first are kept.
#[derive(Default)]
pub struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    /// Notes a problem.
    pub fn push(&mut self, item: usize, needle: impl Into<String>, message: String, help: impl Into<String>) {
        match self.is_full() {
            true => self.more += 1,
            false => {
                self.list.push(Finding { item, needle: needle.into(), message, help: help.into() });
            }
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further findings are only counted.
    pub fn is_full(&self) -> bool {
        self.list.len() >= FINDINGS_MAX
    }

    /// Orders findings by their place in the file.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|finding| finding.item);
    }

    /// Notes all as problems of a file, with their places.
    pub fn tell(self, source: &Arc<SourceFile>, problems: &mut Problems) {
        let places = places(source, &self.list);
        for (Finding { needle, message, help, .. }, whole) in self.list.into_iter().zip(places) {
            let text = source.text.get(whole.clone()).unwrap_or_default();
            let span = match text.find(&needle) {
                Some(at) => whole.start + at..whole.start + at + needle.len().max(1),
                None => whole.start..whole.start,
            };
            push(problems, AuthorProblem::error(message).at(source, span), help);
        }
        if self.more > 0 {
            let message = format!("{} more problems of this file are not shown", self.more);
            push(problems, AuthorProblem::error(message).at(source, 0..0), String::new());
        }
    }

    /// Notes all as problems without a place, where the file is not at hand.
    pub fn tell_without_places(self, problems: &mut Problems) {
        for Finding { message, help, .. } in self.list {
            push(problems, AuthorProblem::error(message), help);
        }
        if self.more > 0 {
            let message = format!("{} more problems of the directory are not shown", self.more);
            push(problems, AuthorProblem::error(message), String::new());
        }
    }
}

/// What to say of a parent that the file does not have.
pub fn missing_parent(index: &Index, parent: &EntityRef) -> (String, String) {
    let message = format!("`{parent}` is named as a parent but is not in the directory");
    // Comparing with everybody would take longer than the load.
    let alike = index.ids_of(&parent.type_name).take(ALIKE_MAX);
    let help = match nearest(&parent.id, alike) {
        Some(near) => format!("Did you mean `{}::\"{near}\"`?", parent.type_name),
        None => "Add it: a membership in something that does not exist cannot be decided on.".to_owned(),
    };
    (message, help)
}

fn push(problems: &mut Problems, problem: AuthorProblem, help: String) {
    problems.push(if help.is_empty() { problem } else { problem.help(help) });
}

/// Where the entities of findings stand in the file.
fn places(source: &SourceFile, findings: &[Finding]) -> Vec<Range<usize>> {
    let last = findings.iter().map(|finding| finding.item).max().unwrap_or(0);
    let items: Vec<Range<usize>> = Items::of(&source.text).map_while(Result::ok).take(last + 1).collect();
    findings.iter().map(|finding| items.get(finding.item).cloned().unwrap_or(0..0)).collect()
}

/// As many problems as somebody will read at once.
pub const FINDINGS_MAX: usize = 100;
/// How many names a misspelt one is compared with.
const ALIKE_MAX: usize = 10_000;
