//! Which of the offered parts go live: each that is sound and fits what will then serve.
//!
//! Promises: a broken part stays as it was and keeps no other part from going live; bundle and directory that serve together
//! always fit each other. Where a new bundle and a new directory do not fit, the directory goes first: it is how people
//! lose access.

use std::sync::Arc;

use super::entries::PARTS;
use super::load::{Contents, Distrusted, Offer, Offered, State, UNREADABLE, fit};
use super::sources::check_principals;
use super::supply::AcceptError;
use crate::bundle::compile::Bundle;
use crate::bundle::directory::Directory;
use crate::bundle::lints;
use crate::config::author::{AuthorProblem, Problems, SourceFile};
use crate::ledger::entry::revision::RevisionOf;
use crate::pipeline::serving::{IdentitySources, Serving};

/// What is to serve, and what is not.
pub struct Settled {
    /// Policies, schema and profile.
    pub bundle: Arc<Bundle>,
    /// People.
    pub directory: Arc<Directory>,
    /// Known credentials.
    pub identity: Arc<IdentitySources>,
    /// What the parts that are to serve were read from.
    pub contents: Contents,
    /// When the directory's file was last written, if it is the one that is to serve.
    pub directory_written_ms: Option<i64>,
    /// The parts that stay as they were.
    pub refused: Vec<Refused>,
    /// What was offered beside the bundle and is not trusted.
    pub distrusted: Vec<Distrusted>,
    /// Every problem of every part.
    pub problems: Problems,
}

/// A part that stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which part.
    pub part: RevisionOf,
    /// The hash of what was offered.
    pub hash: String,
    /// How many problems it had.
    pub problems: u64,
    /// What the ledger is to be alarmed of.
    pub alarm: Option<&'static str>,
}

/// Chooses from an offer.
pub fn settle(serving: &Serving, known: &Contents, offer: Offer) -> Settled {
    let mut settled = Settled::unchanged(serving, known.clone());
    let Offer { bundle, directory, identity } = offer;
    settled.settle_people(bundle, directory);
    settled.settle_identity(identity);
    settled
}

impl Settled {
    /// All stays as it is.
    fn unchanged(serving: &Serving, known: Contents) -> Self {
        Self {
            bundle: Arc::clone(&serving.snapshot.bundle),
            directory: Arc::clone(&serving.snapshot.directory),
            identity: Arc::clone(&serving.identity),
            contents: known,
            directory_written_ms: None,
            refused: Vec::new(),
            distrusted: Vec::new(),
            problems: Problems::default(),
        }
    }

    /// All stays as it is, because the load did not come to an end.
    pub fn unfinished(serving: &Serving, known: Contents) -> Self {
        let mut settled = Self::unchanged(serving, known);
        let problem = AuthorProblem::error("the load did not end")
            .help("This is a fault of Lockkeeper: report it with the lines of the log before this one.");
        settled.problems.push(problem);
        for part in PARTS {
            settled.refused.push(Refused { part, hash: UNREADABLE.to_owned(), problems: 1, alarm: None });
        }
        settled
    }

    /// The hash of a part that is to serve.
    pub fn revision(&self, part: RevisionOf) -> &str {
        match part {
            RevisionOf::Bundle => &self.bundle.revision,
            RevisionOf::Directory => &self.directory.revision,
            RevisionOf::Keys => &self.identity.revision,
        }
    }

    fn settle_identity(&mut self, offered: Offered<IdentitySources>) {
        let Offered { content, hash, state, mut problems, .. } = offered;
        match state {
            State::Unchanged => {}
            State::Broken => self.refuse(RevisionOf::Keys, hash, problems, None),
            State::Sound(mut identity) => {
                identity.sources.inherit(&self.identity.sources);
                check_principals(&identity.sources, &self.directory, &mut problems);
                self.problems.extend(problems);
                self.identity = Arc::new(identity);
                self.contents.identity = content;
            }
        }
    }

    fn settle_people(&mut self, bundle: Offered<Bundle>, directory: Offered<Arc<SourceFile>>) {
        let Offered { content, hash, state, problems, alarm, distrusted } = bundle;
        self.distrusted = distrusted;
        match state {
            State::Unchanged => {
                self.problems.extend(problems);
                self.settle_directory(directory);
            }
            // The same bundle in other bytes or under other lists of keys: what serves keeps its verdicts.
            State::Sound(new) if self.serves_already(&new) => {
                self.problems.extend(problems);
                self.contents.bundle = content;
                self.settle_directory(directory);
            }
            State::Broken => {
                self.refuse(RevisionOf::Bundle, hash, problems, alarm);
                self.settle_directory(directory);
            }
            State::Sound(new) => {
                self.problems.extend(problems);
                self.settle_both(Arc::new(new), content, directory);
            }
        }
    }

    fn serves_already(&self, new: &Bundle) -> bool {
        self.bundle.revision == new.revision && self.bundle.provenance == new.provenance
    }

    /// A new bundle, with the offered directory, or with the one that serves.
    fn settle_both(&mut self, new: Arc<Bundle>, content: String, directory: Offered<Arc<SourceFile>>) {
        let mut problems = Problems::default();
        if let State::Sound(source) = &directory.state
            && let Some(fitting) = fit(source, Some(&new), &mut problems)
        {
            self.problems.extend(problems);
            self.directory = Arc::new(fitting);
            self.contents.directory = directory.content;
            self.bundle = new;
            self.contents.bundle = content;
            return;
        }
        if self.settle_directory(directory) == Chosen::Served {
            problems = Problems::default();
            if let Some(fitting) = self.directory.refit(&new.schema.schema, &mut problems) {
                lints::people(&new.policies, &fitting, &mut problems);
                self.problems.extend(problems);
                self.directory = Arc::new(fitting);
                self.bundle = new;
                self.contents.bundle = content;
                return;
            }
        }
        let message = "the bundle does not go live: the directory does not conform to its schema";
        let help = "Change both so that they fit, or make the schema accept what the directory holds.";
        problems.push(AuthorProblem::error(message).help(help));
        self.refuse(RevisionOf::Bundle, new.revision.clone(), problems, None);
    }

    /// Takes the people back who served, and the bundle, because the new ones could not be kept.
    pub fn withdraw(&mut self, serving: &Serving, known: &Contents, why: &AcceptError) {
        let (bundle, directory) = (&serving.snapshot.bundle, &serving.snapshot.directory);
        // The same files may have come with new papers.
        let is_bundle_new = !Arc::ptr_eq(&self.bundle, bundle);
        let is_directory_new = self.directory.revision != directory.revision;
        for (part, offered, is_new) in [
            (RevisionOf::Bundle, &self.bundle.revision, is_bundle_new),
            (RevisionOf::Directory, &self.directory.revision, is_directory_new),
        ] {
            if is_new {
                self.refused.push(Refused { part, hash: offered.clone(), problems: 1, alarm: None });
            }
        }
        self.problems.push(AuthorProblem::error(why.to_string()));
        self.bundle = Arc::clone(bundle);
        self.directory = Arc::clone(directory);
        self.contents.bundle.clone_from(&known.bundle);
        self.contents.directory.clone_from(&known.directory);
        self.directory_written_ms = None;
    }

    /// Takes one part back, because it could not be recorded, and with it what does not fit what served before.
    pub fn take_back(&mut self, part: RevisionOf, serving: &Serving, known: &Contents, why: &str) {
        let message = format!("the {} does not go live: {why}", part.code());
        let help = "It is tried again at the next look.";
        let hash = self.revision(part).to_owned();
        self.refuse(part, hash, AuthorProblem::error(message).help(help).into(), None);
        let (bundle, directory) = (&serving.snapshot.bundle, &serving.snapshot.directory);
        match part {
            RevisionOf::Bundle => {
                self.bundle = Arc::clone(bundle);
                self.contents.bundle.clone_from(&known.bundle);
            }
            RevisionOf::Directory => {
                self.directory = Arc::clone(directory);
                self.contents.directory.clone_from(&known.directory);
                self.directory_written_ms = None;
            }
            RevisionOf::Keys => {
                self.identity = Arc::clone(&serving.identity);
                self.contents.identity.clone_from(&known.identity);
                return;
            }
        }
        let (is_bundle_old, is_directory_old) =
            (Arc::ptr_eq(&self.bundle, bundle), self.directory.revision == directory.revision);
        if is_bundle_old && is_directory_old {
            self.directory = Arc::clone(directory);
        } else if let Some(fitting) = self.directory.refit(&self.bundle.schema.schema, &mut self.problems) {
            self.directory = Arc::new(fitting);
        } else {
            let other = if is_bundle_old { RevisionOf::Directory } else { RevisionOf::Bundle };
            self.take_back(other, serving, known, "it does not fit what serves without it");
        }
    }

    fn settle_directory(&mut self, offered: Offered<Arc<SourceFile>>) -> Chosen {
        let Offered { content, hash, state, mut problems, .. } = offered;
        match state {
            State::Unchanged => return Chosen::Served,
            State::Sound(_) if content == self.contents.directory => return Chosen::Offered,
            State::Sound(source) => {
                if let Some(fitting) = fit(&source, Some(&self.bundle), &mut problems) {
                    self.problems.extend(problems);
                    self.directory = Arc::new(fitting);
                    self.contents.directory = content;
                    return Chosen::Offered;
                }
            }
            State::Broken => {}
        }
        self.refuse(RevisionOf::Directory, hash, problems, None);
        Chosen::Served
    }

    fn refuse(&mut self, part: RevisionOf, hash: String, problems: Problems, alarm: Option<&'static str>) {
        let count = u64::try_from(problems.error_count()).unwrap_or(u64::MAX);
        self.refused.push(Refused { part, hash, problems: count, alarm });
        self.problems.extend(problems);
    }
}

/// Which directory is to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    /// The one that was offered.
    Offered,
    /// The one that served before.
    Served,
}
