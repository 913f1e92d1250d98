//! Fields whose names say that they tell of another one, which fewer people may see: found by names alone.
//!
//! Two degrees: `likely` is a name that is another's with a word such as `formatted` or `weighted`; `possible` is a field that can be
//! worked out from two others, such as an amount from what is expected of it and the probability.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cells::{Cell, Meanings};
use super::exposed::{opened_by, readable};
use super::{DERIVABLE, Found};
use crate::bundle::compile::PROFILE_FILE;
use crate::bundle::profile::types::{FieldSpec, RecordType};
use crate::config::author::{AuthorProblem, SourceFile};

/// Looks at the fields of every type.
pub fn find(meanings: &Meanings<'_>) -> Vec<Found> {
    let bundle = meanings.bundle;
    let text = bundle.files.get(PROFILE_FILE).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let source = SourceFile::new(PROFILE_FILE, text.unwrap_or_default());
    let open = open(meanings);
    let of_type = |known: &RecordType| {
        let hidden =
            known.fields.iter().filter(|field| !open.contains(&format!("{}.{}", known.name, field.name)));
        hidden.flat_map(|field| of_field(known, field, &source)).collect::<Vec<_>>()
    };
    bundle.profile.types.iter().flat_map(of_type).collect()
}

/// The fields that everybody may read who may view their record.
fn open(meanings: &Meanings<'_>) -> BTreeSet<String> {
    let is_open = |number, cell: &Cell<'_>| {
        cell.field().is_some_and(|field| opened_by(meanings, number, &field).is_some())
    };
    let cells = readable(meanings).filter(|(number, cell)| is_open(*number, cell));
    let names = |cell: &Cell<'_>| -> Vec<String> {
        let known = cell.record_type;
        cell.fields.iter().filter_map(|field| Some(known?.field_name(*field))).collect()
    };
    cells.flat_map(|(_, cell)| names(cell)).collect()
}

/// What gives one field away.
fn of_field(known: &RecordType, hidden: &FieldSpec, source: &Arc<SourceFile>) -> Vec<Found> {
    let others = || known.fields.iter().filter(|other| is_apart(hidden, other));
    let likely = others().filter(|other| is_form_of(&words(&other.name), &words(&hidden.name)));
    let likely = likely.map(|other| (other, None, "likely"));
    let possible = PRODUCTS.iter().flat_map(|rule| {
        let place = rule.iter().position(|names| is_one_of(&hidden.name, names));
        let rest = rule.iter().enumerate().filter(|(number, _)| place.is_some_and(|place| place != *number));
        let found: Vec<_> =
            rest.filter_map(|(_, names)| others().find(|it| is_one_of(&it.name, names))).collect();
        match found.as_slice() {
            [first, second] => Some((*first, Some(*second), "possible")),
            _ => None,
        }
    });
    likely
        .chain(possible)
        .map(|(first, second, degree)| found(hidden, first, second, degree, source))
        .collect()
}

fn found(
    hidden: &FieldSpec,
    first: &FieldSpec,
    second: Option<&FieldSpec>,
    degree: &str,
    source: &Arc<SourceFile>,
) -> Found {
    let tells = match second {
        None => format!("`{}` tells", first.name),
        Some(second) => format!("`{}` and `{}` together tell", first.name, second.name),
    };
    let message =
        format!("{tells} of `{}`, and is in none of its sets ({degree}, by the names)", hidden.name);
    let help = format!("Make `{}` a twin of `{}`, or put it into one of its sets.", first.name, hidden.name);
    let problem = AuthorProblem::error(message).at(source, first.span.clone()).help(help).of_lint(DERIVABLE);
    Found { lint: DERIVABLE, policy: None, problem }
}

/// Whether who may see the one need not be one who may see the other, and the profile says nothing of it.
fn is_apart(hidden: &FieldSpec, other: &FieldSpec) -> bool {
    let is_stated = other.derived_from.iter().any(|from| from.value == hidden.name);
    other.name != hidden.name && !is_stated && !hidden.sets.iter().any(|set| other.sets.contains(set))
}

/// Whether a name is another's with one word that makes it a form of it.
fn is_form_of(form: &[String], base: &[String]) -> bool {
    match form {
        [first, rest @ ..] if rest == base && BEFORE.contains(&first.as_str()) => true,
        [rest @ .., last] => rest == base && BEHIND.contains(&last.as_str()),
        [] => false,
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&words(name).join(" ").as_str())
}

/// The words of a name: `amountWeighted` and `amount_weighted` alike.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter.is_uppercase() || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

const BEFORE: &[&str] = &["converted", "expected", "formatted", "rounded", "weighted"];
const BEHIND: &[&str] = &[
    "band",
    "converted",
    "display",
    "eur",
    "formatted",
    "gbp",
    "pct",
    "percent",
    "percentage",
    "range",
    "rounded",
    "usd",
    "weighted",
];
/// Three fields of which two give the third: a product, and what it is made of.
const PRODUCTS: &[[&[&str]; 3]] = &[
    [
        &[
            "expected amount",
            "expected revenue",
            "expected value",
            "forecast",
            "weighted amount",
            "weighted value",
        ],
        &["amount", "revenue", "value"],
        &["probability"],
    ],
    [
        &["amount", "line total", "subtotal", "total", "total price"],
        &["list price", "price", "unit price"],
        &["qty", "quantity"],
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_words() {
        let is_form = |form: &str, base: &str| is_form_of(&words(form), &words(base));
        assert!(is_form("amountWeighted", "amount") && is_form("weighted_amount", "amount"));
        assert!(is_form("margin_pct", "margin") && is_form("netMarginPct", "net_margin"));
        assert!(!is_form("amount", "amount") && !is_form("amount_due", "amount"));
        assert!(!is_form("expected_close", "amount") && !is_form("weighted", "amount"));
    }
}
