//! Judges all cases of a bundle, and notes what Cedar was asked meanwhile.

use std::sync::Arc;

use super::expect::Mismatch;
use super::read::{self, CaseFile};
use super::scene::Scene;
use super::{About, Case};
use crate::bundle::compile::Bundle;
use crate::config::author::Problems;
use crate::pipeline::decide::witness::{Asked, witnessed};
use crate::workbench::ask::Asking;

/// All cases of a bundle.
pub struct Cases {
    bundle: Arc<Bundle>,
    files: Vec<CaseFile>,
}

/// What became of a case.
pub struct Judged<'c> {
    /// The case.
    pub case: &'c Case,
    /// What was decided otherwise than it says; nothing for a case that holds.
    pub mismatches: Vec<Mismatch>,
    /// What Cedar was asked for it.
    pub asked: Vec<Asked>,
}

impl Cases {
    /// Reads the cases of a bundle; `None` comes with at least one error.
    pub fn read(bundle: &Arc<Bundle>, problems: &mut Problems) -> Option<Self> {
        let mut own = Problems::default();
        let files = read::read(bundle, &mut own);
        let has_failed = own.has_errors();
        problems.extend(own);
        (!has_failed).then(|| Self { bundle: Arc::clone(bundle), files })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.files.iter().map(|file| file.cases.len()).sum()
    }

    /// Judges every case whose name has a text in it.
    pub fn judge<'c>(&'c self, filter: &'c str) -> impl Iterator<Item = Judged<'c>> {
        let of_file = move |file: &'c CaseFile| {
            let cases = file.cases.iter().filter(move |case| case.name.contains(filter));
            cases.map(move |case| self.judge_one(file.scene.as_ref(), case))
        };
        self.files.iter().flat_map(of_file)
    }

    fn judge_one<'c>(&'c self, scene: Option<&Scene>, case: &'c Case) -> Judged<'c> {
        let judge = || match (&case.about, scene) {
            (About::Record(about, asker), Some(scene)) => {
                about.judge(&Asking::new(&scene.snapshot, asker.clone()))
            }
            (About::Request(about, asker), Some(scene)) => about.judge(scene, asker),
            (About::Cedar(test), _) => test.judge(&self.bundle),
            (About::Record(..) | About::Request(..), None) => Vec::new(),
        };
        let (mismatches, asked) = witnessed(judge);
        Judged { case, mismatches, asked }
    }
}
