//! Who may do what: roles or people × types × actions × stages × fields, each cell the condition that is left.
//!
//! Promises: Cedar evaluates all that is known; the rest is the condition as policies state it. What no policy tells apart stands
//! together: people, fields, stages.

pub mod people;
pub mod write;
pub mod html;

use super::formula::Formula;
use super::formula::decided::Conditions;
use super::formula::known::{Known, NO_STAGE, Place, Who, stage_attribute};
use crate::bundle::current::Snapshot;
use crate::bundle::profile::stages::Stage;
use crate::bundle::profile::types::RecordType;
use crate::model::access::{Action, Scope};
use people::{Group, Progress};

/// The whole.
pub struct Matrix {
    /// Who asks.
    pub columns: Vec<Group>,
    /// By type.
    pub tables: Vec<TypeTable>,
}

/// What may be done with records of one type.
pub struct TypeTable {
    /// The type.
    pub type_name: String,
    /// In the order of actions, then of fields.
    pub rows: Vec<Row>,
}

/// One thing that may be done.
pub struct Row {
    /// The action.
    pub action: &'static str,
    /// The fields that it is about, or the stage that it leads to; empty where it is about neither.
    pub names: Vec<String>,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// For one asker: by stages of the record, the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell(pub Vec<(Vec<String>, Formula)>);

/// Makes the matrix, of one type or of all.
pub fn matrix(
    snapshot: &Snapshot,
    columns: Vec<Group>,
    only: Option<&str>,
    now_ms: i64,
    progress: Progress<'_>,
) -> Matrix {
    let conditions = Conditions::of(&snapshot.bundle);
    let profile = &snapshot.bundle.profile;
    let types = profile.types.iter().filter(|record_type| only.is_none_or(|only| only == record_type.name));
    let plans: Vec<Plan<'_>> = types.map(|record_type| Plan::of(snapshot, record_type)).collect();
    let mut by_column: Vec<Vec<Vec<Cell>>> = Vec::new();
    let all = columns.len() as u64;
    for (done, group) in (1..).zip(&columns) {
        let known = Known::new(snapshot, group.who.clone(), now_ms);
        let cells = plans.iter().map(|plan| match &known {
            Some(known) => plan.cells(&conditions, known),
            None => plan.questions.iter().map(|_| Cell(vec![(Vec::new(), Formula::False)])).collect(),
        });
        by_column.push(cells.collect());
        progress(done, all);
    }
    let columns = merged(columns, &mut by_column);
    let table = |(number, plan): (usize, &Plan<'_>)| {
        let cells = |question: usize| {
            let of_column = |column: &Vec<Vec<Cell>>| column.get(number)?.get(question).cloned();
            by_column.iter().filter_map(of_column).collect::<Vec<Cell>>()
        };
        TypeTable { type_name: plan.record_type.name.clone(), rows: plan.rows(cells) }
    };
    Matrix { tables: plans.iter().enumerate().map(table).collect(), columns }
}

/// Columns with the same cells as one.
fn merged(columns: Vec<Group>, cells: &mut Vec<Vec<Vec<Cell>>>) -> Vec<Group> {
    let mut kept: Vec<(Group, Vec<Vec<Cell>>)> = Vec::new();
    for (group, cells) in columns.into_iter().zip(std::mem::take(cells)) {
        let is_person = matches!(group.who, Who::Person(_));
        match kept.iter_mut().find(|(_, known)| is_person && *known == cells) {
            Some((same, _)) => {
                same.members.extend(group.members);
                same.people.extend(group.people);
            }
            None => kept.push((group, cells)),
        }
    }
    let (mut columns, all): (Vec<Group>, Vec<_>) = kept.into_iter().unzip();
    columns.iter_mut().for_each(|group| group.members.sort());
    *cells = all;
    columns
}

/// What is asked about one type.
struct Plan<'a> {
    record_type: &'a RecordType,
    stages: Vec<&'a Stage>,
    questions: Vec<Asked>,
}

/// One question, of the fields that it stands for.
struct Asked {
    action: &'static str,
    is_new: bool,
    fields: Vec<String>,
    to: Option<String>,
}

impl<'a> Plan<'a> {
    fn of(snapshot: &'a Snapshot, record_type: &'a RecordType) -> Self {
        let profile = &snapshot.bundle.profile;
        let stages: Vec<&Stage> = match stage_attribute(record_type) {
            Some(_) => profile.stages.stages().iter().collect(),
            None => Vec::new(),
        };
        let plain = |action: &'static str| Asked { action, is_new: false, fields: Vec::new(), to: None };
        let actions = profile.actions().remove(&record_type.name).unwrap_or_default();
        let mut questions = vec![plain("view")];
        for action in actions.iter().filter(|action| !matches!(action, Action::View | Action::MoveStage)) {
            questions.push(plain(action.name()));
        }
        if actions.contains(&Action::MoveStage) {
            questions.extend(stages.iter().map(|to| Asked { to: Some(to.id.clone()), ..plain("moveStage") }));
        }
        let changes = actions.contains(&Action::Edit);
        let creates = actions.contains(&Action::Create);
        let on_fields = [
            ("readField", true, false),
            ("readFieldMasked", true, false),
            ("writeField", changes, false),
            ("writeField", creates, true),
        ];
        for (action, _, is_new) in on_fields.into_iter().filter(|(_, is_asked, _)| *is_asked) {
            let slice = snapshot.bundle.slices.of(action, &record_type.name);
            let has_mask =
                |index: &usize| record_type.fields.get(*index).is_some_and(|field| field.mask.is_some());
            for class in slice.into_iter().flat_map(|slice| &slice.field_classes) {
                // What has no mask is held back, whoever may see it masked.
                let named = class.iter().filter(|index| action != "readFieldMasked" || has_mask(index));
                let fields: Vec<String> = named.map(|index| record_type.field_name(*index)).collect();
                if fields.is_empty() {
                    continue;
                }
                questions.push(Asked { fields, is_new, ..plain(action) });
            }
        }
        Self { record_type, stages, questions }
    }

    fn cells(&self, conditions: &Conditions<'_>, known: &Known<'_>) -> Vec<Cell> {
        self.questions.iter().map(|question| self.cell(conditions, known, question)).collect()
    }

    /// Stages with the same condition stand together; where all have the same, none is named.
    fn cell(&self, conditions: &Conditions<'_>, known: &Known<'_>, question: &Asked) -> Cell {
        let field = question.fields.first().map(String::as_str);
        let ask = |stage: Option<&str>| {
            let moved = stage.zip(question.to.as_deref());
            let place = Place { action: question.action, stage, field, moved, is_new: question.is_new };
            conditions.in_full(known, self.record_type, place)
        };
        let is_on_collection =
            Action::parse(question.action).is_some_and(|action| action.scope() == Scope::Collection);
        if self.stages.is_empty() || is_on_collection {
            return Cell(vec![(Vec::new(), ask(None))]);
        }
        let mut cell: Vec<(Vec<String>, Formula)> = Vec::new();
        let target = question.to.as_ref().and_then(|to| self.stages.iter().find(|stage| stage.id == *to));
        // Two stages of one pipeline.
        let can_move = |from: &Stage, to: &Stage| from.id != to.id && from.pipeline == to.pipeline;
        for stage in self.stages.iter().filter(|stage| target.is_none_or(|to| can_move(stage, to))) {
            let formula = ask(Some(&stage.id));
            match cell.iter_mut().find(|(_, known)| *known == formula) {
                Some((stages, _)) => stages.push(stage.id.clone()),
                None => cell.push((vec![stage.id.clone()], formula)),
            }
        }
        if target.is_none() {
            let formula = ask(Some(NO_STAGE));
            match cell.iter_mut().find(|(_, known)| *known == formula) {
                Some((stages, _)) => stages.push(told_stage(NO_STAGE)),
                None => cell.push((vec![told_stage(NO_STAGE)], formula)),
            }
        }
        if let [(stages, _)] = cell.as_mut_slice() {
            stages.clear();
        }
        Cell(cell)
    }

    /// Fields with the same cells are one row.
    fn rows(&self, cells: impl Fn(usize) -> Vec<Cell>) -> Vec<Row> {
        let mut rows: Vec<(bool, Row)> = Vec::new();
        for (number, question) in self.questions.iter().enumerate() {
            let cells = cells(number);
            let action = if question.is_new { "writeField (new)" } else { question.action };
            let is_about_fields = !question.fields.is_empty();
            let same = rows.iter_mut().find(|(about_fields, row)| {
                *about_fields && is_about_fields && row.action == action && row.cells == cells
            });
            match same {
                Some((_, row)) => row.names.extend(question.fields.iter().cloned()),
                None => {
                    let names = question.to.iter().cloned().chain(question.fields.iter().cloned()).collect();
                    rows.push((is_about_fields, Row { action, names, cells }));
                }
            }
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

impl Matrix {
    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.tables.iter().flat_map(|table| &table.rows).map(|row| row.cells.len()).sum()
    }
}

/// A stage as it is told; records may have none.
pub fn told_stage(stage: &str) -> String {
    if stage == NO_STAGE { "no stage".to_owned() } else { stage.to_owned() }
}

/// What a column is called.
pub fn name(group: &Group) -> String {
    match group.members.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
