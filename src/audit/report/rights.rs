//! Who can do what: every right that somebody of the directory has, asked of the policies as they serve.
//!
//! Promises: the code that decides requests answers. Asked is what some route of the profile stands for; a right over a record needs
//! `view` of it too, as requests do. Looks at no record and at no request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::moves::{self, spelled};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::types::RecordType;
use crate::model::access::{Action, Scope};
use crate::model::principal::{Asker, EntityRef};
use crate::pipeline::decide::standing::{Standing, Subject, standing};

/// A right that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The record type.
    pub type_name: String,
    /// The action.
    pub action: &'static str,
    /// Fields by their full names, or moves as `FROM → TO`; one empty text where the right has neither.
    pub names: Vec<String>,
    /// Whether always or sometimes; never is no right.
    pub standing: Standing,
}

/// What can be asked of a snapshot at a moment.
pub struct Asking {
    snapshot: Arc<Snapshot>,
    now_ms: i64,
    /// By type, what some route stands for.
    actions: BTreeMap<String, BTreeSet<Action>>,
}

/// Rights of one kind while they are collected: by standing, the names.
type Kinds = BTreeMap<Standing, Vec<String>>;

impl Asking {
    /// Of a snapshot, at a moment.
    pub fn new(snapshot: &Arc<Snapshot>, now_ms: i64) -> Self {
        Self { snapshot: Arc::clone(snapshot), now_ms, actions: snapshot.bundle.profile.actions() }
    }

    /// Every right of a principal.
    pub fn rights(&self, principal: &EntityRef) -> Vec<Right> {
        let asker = Asker::plain(principal.clone(), self.now_ms);
        let types = self.snapshot.bundle.profile.types.iter();
        types.flat_map(|record_type| self.rights_on(&asker, record_type)).collect()
    }

    fn rights_on(&self, asker: &Asker, record_type: &RecordType) -> Vec<Right> {
        let name = record_type.name.as_str();
        let ask = |action: &'static str, subject| standing(&self.snapshot, asker, action, subject);
        let view = ask("view", Subject::Record(name));
        let mut found: Vec<(&'static str, Kinds)> = Vec::new();
        let mut plain = |action: &'static str, standing: Standing| {
            found.push((action, Kinds::from([(standing, vec![String::new()])])));
        };
        plain("view", view.clone());
        let (mut changes, mut moves) = (Standing::Never, false);
        for action in self.actions.get(name).into_iter().flatten() {
            let standing = match (action, action.scope()) {
                (Action::View, _) => continue,
                (Action::MoveStage, _) => {
                    moves = true;
                    continue;
                }
                (_, Scope::Collection) => ask(action.name(), Subject::Collection(name)),
                (Action::Create, _) => ask(action.name(), Subject::Record(name)),
                (_, Scope::RecordRead | Scope::RecordWrite) => {
                    ask(action.name(), Subject::Record(name)).within(&view)
                }
            };
            if action.scope() == Scope::RecordWrite {
                changes = changes.min(without_policies(&standing));
            }
            plain(action.name(), standing);
        }
        if moves {
            found.push(("moveStage", self.moves(asker, record_type, &view)));
        }
        let read = self.fields(asker, record_type, "readField", &view);
        let mut masked = self.fields(asker, record_type, "readFieldMasked", &view);
        // What is always shown is never masked.
        let shown = read.iter().filter(|(standing, _)| matches!(standing, Standing::Always(_)));
        let shown: BTreeSet<&String> = shown.flat_map(|(_, names)| names).collect();
        masked.values_mut().for_each(|names| names.retain(|name| !shown.contains(name)));
        found.extend([("readField", read), ("readFieldMasked", masked)]);
        found.push(("writeField", self.fields(asker, record_type, "writeField", &changes)));
        let rights = found.into_iter().flat_map(|(action, kinds)| {
            let is_held =
                |standing: &Standing, names: &[String]| *standing != Standing::Never && !names.is_empty();
            let held = kinds.into_iter().filter(move |(standing, names)| is_held(standing, names));
            held.map(move |(standing, names)| Right { type_name: name.to_owned(), action, names, standing })
        });
        rights.collect()
    }

    /// What the policies cannot tell apart has one answer, and `needed` must be allowed as well.
    fn fields(
        &self,
        asker: &Asker,
        record_type: &RecordType,
        action: &'static str,
        needed: &Standing,
    ) -> Kinds {
        let mut kinds = Kinds::new();
        let slice = self.snapshot.bundle.slices.of(action, &record_type.name);
        if *needed == Standing::Never {
            return kinds;
        }
        for class in slice.into_iter().flat_map(|slice| &slice.field_classes) {
            let Some(first) = class.first() else { continue };
            let subject = record_type.field_name(*first);
            let subject = Subject::Field(&record_type.name, &subject);
            let standing = standing(&self.snapshot, asker, action, subject).within(needed);
            let names = class.iter().map(|index| record_type.field_name(*index));
            kinds.entry(standing).or_default().extend(names);
        }
        kinds.values_mut().for_each(|names| names.sort());
        kinds
    }

    /// The names of a right in few words.
    pub fn told(&self, right: &Right, names: &[&str]) -> String {
        match right.action {
            "moveStage" => moves::told(names.iter().copied(), &self.stages()),
            _ => names.join(", "),
        }
    }

    fn stages(&self) -> Vec<&str> {
        self.snapshot.bundle.profile.stages.stages().iter().map(|stage| stage.id.as_str()).collect()
    }

    /// Every move between two stages. Where policies look at one side alone, they are asked about that side alone.
    fn moves(&self, asker: &Asker, record_type: &RecordType, view: &Standing) -> Kinds {
        let mut kinds = Kinds::new();
        let slice = self.snapshot.bundle.slices.of("moveStage", &record_type.name);
        let Some(slice) = slice.filter(|_| *view != Standing::Never) else { return kinds };
        let reads = |key: &str| slice.dependencies.reads_context(key);
        let stages = self.stages();
        let mut known: BTreeMap<(Option<&str>, Option<&str>), Standing> = BTreeMap::new();
        for from in &stages {
            for to in stages.iter().filter(|to| *to != from) {
                let key = (Some(*from).filter(|_| reads("from")), Some(*to).filter(|_| reads("to")));
                let ask = || {
                    let subject = Subject::Move(&record_type.name, from, to);
                    standing(&self.snapshot, asker, "moveStage", subject).within(view)
                };
                let standing = known.entry(key).or_insert_with(ask).clone();
                kinds.entry(standing).or_default().push(spelled(from, to));
            }
        }
        kinds
    }
}

/// How one stands to an action, without why.
fn without_policies(standing: &Standing) -> Standing {
    match standing {
        Standing::Always(_) => Standing::Always(Vec::new()),
        Standing::Sometimes(_) => Standing::Sometimes(Vec::new()),
        Standing::Never => Standing::Never,
    }
}
