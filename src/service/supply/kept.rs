//! Revisions that served before: kept with their papers, and served again when somebody names their hash.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::trust::Judge;
use super::{Supply, offer_refused};
use crate::bundle::archive::provenance::{Papers, Pin, Provenance};
use crate::bundle::archive::trust::{Refusal, Strictness, Trust, TrustError};
use crate::bundle::archive::{MANIFEST_FILE, Opened, PROFILE_FILE, Parts, SIGNATURES_FILE, verify};
use crate::bundle::compile::Bundle;
use crate::bundle::revision;
use crate::config::author::AuthorProblem;
use crate::ledger::error::LedgerError;
use crate::ledger::revisions::Revisions;
use crate::service::load::{Offered, State};

/// Keeps manifest and signatures of a bundle beside it: a bundle may be signed anew without changing.
pub(super) fn keep_papers(revisions: &Revisions, bundle: &Bundle) -> Result<(), LedgerError> {
    let Some((_, papers)) = &bundle.provenance.papers else { return Ok(()) };
    let mut files = vec![(MANIFEST_FILE.to_owned(), papers.manifest.clone())];
    files.extend(papers.signatures.clone().map(|signatures| (SIGNATURES_FILE.to_owned(), signatures)));
    let hash = revision::hash_files(&files.iter().cloned().collect());
    let short: String = hash.chars().take(PAPERS_DIGITS).collect();
    revisions.keep(&format!("{}{PAPERS}{short}", bundle.revision), &files)
}

impl Supply {
    /// Offers a revision that served before.
    pub(super) fn offer_kept(&self, asked: &str, judge: &Judge) -> Offered<Bundle> {
        let mut offered = match self.find_kept(asked, judge) {
            Ok(opened) => self.offer_opened(asked, opened, asked.to_owned(), judge),
            Err(Missing::Problem(problem)) => Offered::unreadable(problem.into()),
            Err(Missing::Refused(refusal)) => {
                offer_refused(asked, &refusal, asked.to_owned(), asked.to_owned())
            }
        };
        if let State::Sound(bundle) = &mut offered.state {
            bundle.provenance.pin = Pin::Pinned;
        }
        offered
    }

    fn find_kept(&self, asked: &str, judge: &Judge) -> Result<Opened, Missing> {
        if asked.len() < PREFIX_MIN {
            let message =
                format!("`{asked}` has {} digits, and at least {PREFIX_MIN} name a bundle", asked.len());
            let help = "Write more of the hash; the ledger's `revision` entries have them all.";
            return Err(Missing::Problem(AuthorProblem::error(message).help(help)));
        }
        let revisions = Revisions::existing(&self.state);
        let names = revisions.names().map_err(broken)?;
        let mut known = Vec::new();
        for name in names.iter().filter(|name| !name.contains(PAPERS)) {
            if revisions.has_file(name, PROFILE_FILE).map_err(broken)? {
                known.push(name.as_str());
            }
        }
        let mut matching = known.iter().filter(|name| name.starts_with(asked));
        let (Some(hash), None) = (matching.next(), matching.next()) else {
            return Err(Missing::Problem(unknown(asked, &known)));
        };
        let files: Files = revisions.load(hash).map_err(broken)?.into_iter().flatten().collect();
        if revision::hash_files(&files) != *hash {
            let message =
                format!("the kept files of {hash} are not the ones that served: their hash differs");
            let help = "Restore `revisions` of the state folder from a backup, or name another revision.";
            return Err(Missing::Problem(AuthorProblem::error(message).help(help)));
        }
        let papers = names.iter().filter(|name| name.starts_with(&format!("{hash}{PAPERS}")));
        let papers: Result<Vec<_>, _> = papers.map(|name| revisions.load(name)).collect();
        let papers = papers.map_err(broken)?.into_iter().flatten().filter_map(read_papers).collect();
        Ok(choose(&files, papers, judge)?)
    }
}

/// Verifies the files with each of their papers and takes the best; without papers only where signatures are not required.
fn choose(files: &Files, papers: Vec<Papers>, judge: &Judge) -> Result<Opened, Refusal> {
    // Going back is what this is for, so the highest version does not count.
    let trust = Trust { floor: None, ..judge.trust() };
    let version = |opened: &Opened| opened.provenance.manifest().map_or(0, |manifest| manifest.version);
    let (mut best, mut refused) = (None::<Opened>, Refusal::Trust(TrustError::Unsigned));
    let has_papers = !papers.is_empty();
    for papers in papers {
        match verify(Parts { files: files.clone(), papers }, &trust) {
            Ok(opened) if best.as_ref().is_none_or(|best| version(best) < version(&opened)) => {
                best = Some(opened);
            }
            Ok(_) => {}
            Err(refusal) => refused = refusal,
        }
    }
    let is_revoked = trust.revoked.revisions.contains(&revision::hash_files(files));
    match best {
        Some(opened) => Ok(opened),
        // Whoever has papers and is refused for them is not taken for somebody without.
        None if trust.strictness == Strictness::Advised && !has_papers && !is_revoked => {
            Ok(Opened { files: files.clone(), provenance: Provenance::default(), warnings: Vec::new() })
        }
        None => Err(refused),
    }
}

fn read_papers(files: Vec<(String, Bytes)>) -> Option<Papers> {
    let mut files: Files = files.into_iter().collect();
    let manifest = files.remove(MANIFEST_FILE)?;
    Some(Papers { manifest, signatures: files.remove(SIGNATURES_FILE) })
}

type Files = BTreeMap<String, Bytes>;

enum Missing {
    Problem(AuthorProblem),
    Refused(Refusal),
}

impl From<Refusal> for Missing {
    fn from(refusal: Refusal) -> Self {
        Missing::Refused(refusal)
    }
}

fn broken(error: LedgerError) -> Missing {
    Missing::Problem(AuthorProblem::error(format!("the kept revisions cannot be read: {error}")))
}

fn unknown(asked: &str, known: &[&str]) -> AuthorProblem {
    let shown: Vec<&str> = known.iter().take(KNOWN_SHOWN_MAX).copied().collect();
    let help = match shown.is_empty() {
        true => "No bundle is kept in the state folder yet.".to_owned(),
        false => format!("Kept are: {}.", shown.join(", ")),
    };
    AuthorProblem::error(format!("no one bundle is kept whose hash begins with `{asked}`")).help(help)
}

/// What stands between a bundle's hash and that of its papers.
const PAPERS: &str = "_";
const PAPERS_DIGITS: usize = 32;
/// Digits of a hash that are enough to name a revision, if they name one only.
const PREFIX_MIN: usize = 8;
const KNOWN_SHOWN_MAX: usize = 20;
