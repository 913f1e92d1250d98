//! What each policy comes to in every question that requests can ask: by action, record type, and for actions on fields by the fields
//! that no policy tells apart.
//!
//! Promises: only what the question itself says is settled, which is the type of the record and the field; everything else stays open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use cedar_policy as cedar;
use serde_json::Value as Json;

use crate::bundle::compile::Bundle;
use crate::bundle::forms::{entity_literals, is_context};
use crate::bundle::forms::{single, variable};
use crate::bundle::profile::types::RecordType;
use crate::bundle::slices::{FIELD_ACTIONS, Slice};
use crate::model::access::{Action, Scope};
use crate::model::principal::EntityRef;
use crate::workbench::condition::Condition;
use crate::workbench::diff::truths::can_differ;
use crate::workbench::formula::Formula;
use crate::workbench::formula::decided::Conditions;

/// A question that requests ask.
pub struct Cell<'b> {
    /// The action.
    pub action: &'static str,
    /// The record type; `None` for collections.
    pub record_type: Option<&'b RecordType>,
    /// For actions on fields: the fields that no policy tells apart, by number.
    pub fields: &'b [usize],
    slice: &'b Slice,
}

/// When a policy applies: if all parts of one choice hold. Parts go by number.
#[derive(Debug, PartialEq, Eq)]
pub struct Choices(Vec<BTreeSet<u32>>);

/// One policy.
pub struct Meaning<'b> {
    /// Its id.
    pub id: &'b str,
    /// Whether it permits.
    pub is_permit: bool,
    /// When it applies, by the number of the question.
    pub at: BTreeMap<usize, Rc<Choices>>,
}

/// Every question, and every policy in the order of their ids.
pub struct Meanings<'b> {
    /// The bundle.
    pub bundle: &'b Bundle,
    /// The questions.
    pub cells: Vec<Cell<'b>>,
    /// The policies.
    pub policies: Vec<Meaning<'b>>,
}

impl Choices {
    /// Whether it always applies.
    pub fn is_true(&self) -> bool {
        self.0.iter().any(BTreeSet::is_empty)
    }

    /// Whether it never does.
    pub fn is_false(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another applies wherever this does.
    pub fn imply(&self, other: &Choices) -> bool {
        self.0.iter().all(|own| other.0.iter().any(|wider| wider.is_subset(own)))
    }
}

impl Cell<'_> {
    /// The field that speaks for all of its class.
    pub fn field(&self) -> Option<EntityRef> {
        let name = self.record_type?.field_name(*self.fields.first()?);
        Some(EntityRef::new("Field", name))
    }

    /// Whether a part of a condition holds, as far as the question says.
    fn settle(&self, bundle: &Bundle, field: Option<&EntityRef>, atom: &Json) -> Option<bool> {
        let (operator, body) = single(atom)?;
        let left = body.get("left")?;
        match operator {
            "is" if variable(left) == Some("resource") && body.get("in").is_none() => {
                let wanted = body.get("entity_type").and_then(Json::as_str)?;
                Some(wanted == self.record_type.map_or(COLLECTION, |known| known.name.as_str()))
            }
            "in" | "==" if is_context(left, "field") => {
                let (field, literals) = (field?, entity_literals(body.get("right")?)?);
                let is_met = |literal: &EntityRef| match operator {
                    "in" => bundle.catalogue.is_in(field, literal),
                    _ => field == literal,
                };
                Some(literals.iter().any(is_met))
            }
            _ => None,
        }
    }
}

impl<'b> Meanings<'b> {
    /// Those of a bundle.
    pub fn of(conditions: &Conditions<'b>) -> Self {
        let bundle = conditions.bundle();
        let ids = bundle.policies.ids();
        let known = ids.filter_map(|id| Some((id, conditions.condition(id)?)));
        let known: Vec<(&'b str, (bool, &Condition))> = known.collect();
        let places: HashMap<&str, usize> =
            known.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
        let mut readers: Vec<Reader<'_>> =
            known.iter().map(|(_, (_, condition))| Reader { condition, kept: HashMap::new() }).collect();
        let meaning = |(id, (is_permit, _)): &(&'b str, (bool, &Condition))| Meaning {
            id,
            is_permit: *is_permit,
            at: BTreeMap::new(),
        };
        let mut policies: Vec<Meaning<'b>> = known.iter().map(meaning).collect();
        let cells = cells(bundle);
        let mut numbers = HashMap::new();
        for (number, cell) in cells.iter().enumerate() {
            let field = cell.field();
            for policy in cell.slice.policies.policies() {
                let id: &str = policy.id().as_ref();
                let Some(place) = places.get(id) else { continue };
                if let (Some(reader), Some(meaning)) = (readers.get_mut(*place), policies.get_mut(*place)) {
                    let choices = reader.read(bundle, cell, field.as_ref(), &mut numbers);
                    meaning.at.insert(number, choices);
                }
            }
        }
        Self { bundle, cells, policies }
    }

    /// The policies that can apply to a question, and when.
    pub fn applying(&self, cell: usize) -> impl Iterator<Item = (&Meaning<'b>, &Choices)> {
        let all =
            self.policies.iter().filter_map(move |meaning| Some((meaning, meaning.at.get(&cell)?.as_ref())));
        all.filter(|(_, choices)| !choices.is_false())
    }

    /// The fields, and sets of them, that a policy names and that a field is, or is in.
    pub fn names_of(&self, id: &str, field: &EntityRef) -> Vec<EntityRef> {
        let policy = self.bundle.policies.set.policy(&cedar::PolicyId::new(id));
        let literals = policy.map(cedar::Policy::entity_literals).unwrap_or_default();
        let named = literals.iter().map(crate::bundle::catalogue::from_uid);
        named.filter(|named| self.bundle.catalogue.is_in(field, named)).collect()
    }
}

/// Reads one policy's condition, each way that it can come out once.
struct Reader<'c> {
    condition: &'c Condition,
    kept: HashMap<Vec<Option<bool>>, Rc<Choices>>,
}

impl Reader<'_> {
    fn read(
        &mut self,
        bundle: &Bundle,
        cell: &Cell<'_>,
        field: Option<&EntityRef>,
        numbers: &mut HashMap<String, u32>,
    ) -> Rc<Choices> {
        let settled = self.condition.atoms.iter().map(|atom| cell.settle(bundle, field, atom));
        let settled: Vec<Option<bool>> = settled.collect();
        if let Some(known) = self.kept.get(&settled) {
            return Rc::clone(known);
        }
        let formula = Formula::of_condition(self.condition, &mut |atom| cell.settle(bundle, field, atom));
        let choices = Rc::new(choices(&formula, numbers));
        self.kept.insert(settled, Rc::clone(&choices));
        choices
    }
}

fn choices(formula: &Formula, numbers: &mut HashMap<String, u32>) -> Choices {
    if *formula == Formula::False || cannot_hold(formula) {
        return Choices(Vec::new());
    }
    let mut number = |part: &Formula| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(format!("{part:?}")).or_insert(next)
    };
    let is_open = |part: &&Formula| part.is_open();
    let choice = |choice: &Formula| choice.parts().filter(is_open).map(&mut number).collect();
    Choices(formula.choices().map(choice).collect())
}

/// Whether its parts exclude each other. Of many parts that is not asked: it takes the square of their combinations.
fn cannot_hold(formula: &Formula) -> bool {
    (2..=PARTS_MAX).contains(&formula.atoms().len()) && !can_differ(&Formula::False, formula)
}

fn cells(bundle: &Bundle) -> Vec<Cell<'_>> {
    let types = || bundle.profile.types.iter().map(Some);
    let (on_collections, on_records): (Vec<Action>, Vec<Action>) =
        Action::ALL.iter().partition(|action| action.scope() == Scope::Collection);
    let on_records = on_records.into_iter().map(Action::name).chain(FIELD_ACTIONS.iter().copied());
    let places = on_records.flat_map(|action| types().map(move |known| (action, known)));
    let places = places.chain(on_collections.into_iter().map(|action| (action.name(), None)));
    places.flat_map(|(action, record_type)| cells_of(bundle, action, record_type)).collect()
}

/// The questions of one action on one type: one, or one for each class of fields.
fn cells_of<'b>(
    bundle: &'b Bundle,
    action: &'static str,
    record_type: Option<&'b RecordType>,
) -> Vec<Cell<'b>> {
    let name = record_type.map_or(COLLECTION, |known| known.name.as_str());
    let Some(slice) = bundle.slices.of(action, name) else { return Vec::new() };
    let cell = |fields| Cell { action, record_type, fields, slice };
    match FIELD_ACTIONS.contains(&action) {
        true => slice.field_classes.iter().map(|class| cell(class.as_slice())).collect(),
        false => vec![cell(&[])],
    }
}

const COLLECTION: &str = "Collection";
/// Parts of a condition of which every combination is tried.
const PARTS_MAX: usize = 8;
