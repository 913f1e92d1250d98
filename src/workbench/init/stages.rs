//! The stage catalogue: from the listed values of a property that is named like a stage.
//!
//! Promises: a value on the wire means one stage in the whole draft; where two types list the same value, the surer one has it.

use std::collections::BTreeSet;

use super::names::{Taken, comment, plain, word};
use super::schema::Schemas;
use super::types::{DraftAttribute, DraftField, Types};
use super::{Confidence, Guess};

/// A pipeline with its stages.
#[derive(Debug)]
pub struct DraftPipeline<'d> {
    /// Its id.
    pub name: String,
    /// Each stage's name with its value on the wire.
    pub stages: Vec<(String, &'d str)>,
    /// Where the values stand in the document, and how sure it is that they are stages.
    pub guess: Guess,
}

struct Candidate<'d> {
    type_index: usize,
    at: String,
    values: Vec<&'d str>,
    guess: Guess,
}

/// Finds the stages of all types, and gives each type with stages the attribute.
pub fn draft<'d>(
    types: &mut Types<'d>,
    schemas: &Schemas<'d>,
    notes: &mut Vec<String>,
) -> Vec<DraftPipeline<'d>> {
    let found = types.list.iter().enumerate().filter_map(|(type_index, found)| {
        let mut candidates: Vec<_> =
            found.fields.iter().filter_map(|field| candidate(field, type_index, schemas)).collect();
        candidates.sort_by_key(|(rank, _)| *rank);
        candidates.into_iter().next().map(|(_, candidate)| candidate)
    });
    let mut found: Vec<Candidate<'d>> = found.collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.guess.confidence));
    let (mut pipelines, mut names) = (Vec::<DraftPipeline<'d>>::new(), Taken::default());
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for candidate in found {
        let Some(of_type) = types.list.get_mut(candidate.type_index) else { continue };
        let is_known = pipelines.iter().any(|pipeline| {
            pipeline.stages.iter().map(|(_, value)| *value).eq(candidate.values.iter().copied())
        });
        if candidate.guess.confidence == Confidence::Low {
            notes.push(comment(&format!(
                "`{}` of `{}` lists values that may be stages: see `pipelines`",
                candidate.at, of_type.name
            )));
            continue;
        }
        if !is_known && candidate.values.iter().any(|value| taken.contains(value)) {
            notes.push(comment(&format!(
                "`{}` of `{}` lists values that another type has as its stages: a value must mean one stage",
                candidate.at, of_type.name
            )));
            continue;
        }
        if !is_known {
            taken.extend(candidate.values.iter().copied());
            let mut own = Taken::default();
            let name = |value: &&'d str| (own.take(&word(&value.to_lowercase(), "stage")), *value);
            let stages = candidate.values.iter().map(name).collect();
            let name = names.take(&of_type.name.to_lowercase());
            pipelines.push(DraftPipeline { name, stages, guess: candidate.guess.clone() });
        }
        of_type.attributes.push(DraftAttribute {
            name: "stage",
            at: candidate.at,
            cedar: "Stage",
            conversion: "as = \"Stage\"",
            guess: candidate.guess,
        });
    }
    pipelines
}

/// Whether a field holds stages, with its rank among the fields of its type.
fn candidate<'d>(
    field: &DraftField<'d>,
    type_index: usize,
    schemas: &Schemas<'d>,
) -> Option<(usize, Candidate<'d>)> {
    let key = plain(field.key);
    let rank = NAMES
        .iter()
        .position(|name| *name == key)
        .or_else(|| key.ends_with("stage").then_some(NAMES.len()))?;
    let shape = field.shape.as_ref()?;
    // A stage may be an object: `{"name": "open"}` lists its values one key deeper.
    let named = || {
        ["name", "id", "value", "code"].into_iter().find_map(|inner| {
            let values = schemas.shape(shape.property(inner)?)?;
            (!values.values.is_empty()).then(|| (format!("{}.{inner}", field.at), values.values.clone()))
        })
    };
    let own = (!shape.values.is_empty()).then(|| (field.at.clone(), shape.values.clone()));
    let (at, listed) = own.or_else(named)?;
    let mut seen = BTreeSet::new();
    let is_sayable = |value: &&str| {
        !value.is_empty() && value.len() <= VALUE_BYTES_MAX && !value.chars().any(char::is_control)
    };
    let values: Vec<&str> =
        listed.into_iter().filter(is_sayable).filter(|value| seen.insert(*value)).collect();
    // States of a country have two letters each.
    let are_codes = values.len() > 20 && values.iter().all(|value| value.len() == 2);
    if values.len() < 2 || are_codes {
        return None;
    }
    let confidence = match key.as_str() {
        key if key.contains("stage") => Confidence::High,
        "status" | "phase" | "dealstatus" | "leadstatus" | "opportunitystatus" => Confidence::Medium,
        _ => Confidence::Low,
    };
    let guess = Guess::new(confidence, format!("the listed values of `{}`", comment(&at)));
    Some((rank, Candidate { type_index, at, values, guess }))
}

/// Keys that stages stand under, the surest first.
const NAMES: &[&str] = &[
    "stage",
    "dealstage",
    "salesstage",
    "pipelinestage",
    "stagename",
    "stageid",
    "phase",
    "dealstatus",
    "leadstatus",
    "opportunitystatus",
    "status",
    "state",
    "step",
];
/// Bytes of a stage's name on the wire.
const VALUE_BYTES_MAX: usize = 100;
