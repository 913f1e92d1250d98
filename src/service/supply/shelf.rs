//! A folder that receives archives [edge]: of those that hold, the one with the highest version is offered.
//!
//! Promises: an archive that does not hold is warned of and recorded, and never keeps another from being taken; two bundles of one
//! version are refused both, since nobody can tell which is meant. What is not taken leaves what serves, and the verdicts that were
//! kept of it, alone.
#![expect(clippy::disallowed_methods, reason = "edge: lists the folder")]

use std::path::{Path, PathBuf};

use super::trust::Judge;
use super::{Supply, offer_refused};
use crate::bundle::archive::trust::{Refusal, TrustError};
use crate::bundle::archive::{Opened, open};
use crate::bundle::compile::Bundle;
use crate::bundle::revision;
use crate::config::author::{AuthorProblem, Problems};
use crate::service::load::{Distrusted, Offered, State};

/// An archive that holds.
struct Candidate {
    name: String,
    /// The hash of its bytes.
    hash: String,
    opened: Opened,
}

/// The archives in a folder, in the order of their names.
pub(super) fn archives(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending)) && path.is_file()
    };
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(is_archive).take(ARCHIVES_MAX + 1).collect();
    found.sort();
    found
}

impl Supply {
    /// Offers the best of some archives.
    pub(super) fn offer_shelf(&self, archives: &[PathBuf], judge: &Judge, serving: &str) -> Offered<Bundle> {
        if archives.len() > ARCHIVES_MAX {
            let message = format!("the bundle's folder has more than {ARCHIVES_MAX} archives");
            return Offered::unreadable(
                AuthorProblem::error(message).help("Remove those that served long ago.").into(),
            );
        }
        let mut problems = Problems::default();
        let (mut best, mut refused): (Vec<Candidate>, Option<Offered<Bundle>>) = (Vec::new(), None);
        let mut distrusted = Vec::new();
        for path in archives {
            let name = path.display().to_string();
            let bytes = match self.read(path) {
                Ok(bytes) => bytes,
                Err(problem) => {
                    problems.push(problem.as_warning());
                    continue;
                }
            };
            let hash = revision::hash(&bytes);
            match open(&bytes, &self.limits(), &judge.trust()) {
                Ok(opened) => prefer(&mut best, Candidate { name, hash, opened }),
                Err(refusal) => {
                    let offered = offer_refused(&name, &refusal, String::new(), hash.clone());
                    if !is_old(&refusal) {
                        offered
                            .problems
                            .iter()
                            .for_each(|problem| problems.push(problem.clone().as_warning()));
                        distrusted.push(Distrusted { hash, alarm: refusal.code() });
                    }
                    refused = Some(offered);
                }
            }
        }
        let mut offered = match (best.pop(), best.pop(), refused) {
            (Some(one), Some(other), _) => ambiguous(&one, &other),
            (Some(one), None, _) => {
                // Of the one that is taken and of no other: what is dropped in beside it changes nothing.
                let content = format!("{} {}", one.hash, judge.content());
                match content == serving {
                    true => Offered::unchanged(serving),
                    false => self.offer_opened(&one.name, one.opened, content, judge),
                }
            }
            (None, _, Some(refused)) => {
                // It is what is offered then, and is told as such.
                distrusted.retain(|other| other.hash != refused.hash);
                refused
            }
            (None, _, None) => Offered::unreadable(Problems::default()),
        };
        problems.extend(std::mem::take(&mut offered.problems));
        Offered { problems, distrusted, ..offered }
    }
}

/// Keeps the candidates of the highest version, one of each revision.
fn prefer(best: &mut Vec<Candidate>, new: Candidate) {
    let of = |candidate: &Candidate| {
        let manifest = candidate.opened.provenance.manifest();
        manifest.map(|manifest| (manifest.version, manifest.revision.clone()))
    };
    let Some((version, revision)) = of(&new) else { return };
    let highest = best.first().and_then(of).map_or(0, |(version, _)| version);
    if version > highest {
        best.clear();
    }
    if version >= highest && !best.iter().any(|other| of(other).is_some_and(|(_, other)| other == revision)) {
        best.push(new);
    }
}

fn ambiguous(one: &Candidate, other: &Candidate) -> Offered<Bundle> {
    let message = format!("`{}` and `{}` are different bundles of one version", one.name, other.name);
    let help = "Build one of them anew with a higher version, and remove the other.";
    let mut offered = Offered::unreadable(AuthorProblem::error(message).help(help).into());
    offered.state = State::Broken;
    offered
}

/// Whether an archive is only one of those that served before: that is what such a folder is full of.
fn is_old(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Trust(TrustError::Older { .. }))
}

const ENDINGS: &[&str] = &[".lkb", ".tar.gz", ".tgz"];
const ARCHIVES_MAX: usize = 64;
