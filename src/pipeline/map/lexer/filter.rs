//! Conditions as a tree: what every form of filter is read into and written from.

use super::super::lexer::{Budget, FilterLimits, Refusal, object, prefix, tree, triples};
use super::term::Term;
use crate::bundle::profile::query::Form;
use crate::bundle::profile::query::grammar::Grammar;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All must hold; of none, anything does.
    All(Vec<Filter>),
    /// One must hold.
    Any(Vec<Filter>),
    /// It must not hold.
    Not(Box<Filter>),
    /// A condition on a field.
    Clause(Clause),
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The field, by the keys that lead to it.
    pub path: Vec<String>,
    /// The operator, as the CRM spells it.
    pub operator: String,
    /// What it is compared with, each by the key that holds it; a form without such keys has one value without a key.
    pub values: Vec<(String, Term)>,
}

impl Filter {
    /// Every condition on a field, in order.
    pub fn clauses(&self) -> Vec<&Clause> {
        let (mut found, mut waiting) = (Vec::new(), vec![self]);
        while let Some(filter) = waiting.pop() {
            match filter {
                Filter::Clause(clause) => found.push(clause),
                Filter::Not(inner) => waiting.push(inner),
                Filter::All(filters) | Filter::Any(filters) => waiting.extend(filters.iter().rev()),
            }
        }
        found
    }
}

/// Reads all of a value by a form and its words.
pub fn read(form: Form, term: &Term, grammar: &Grammar, limits: FilterLimits) -> Result<Filter, Refusal> {
    let mut budget = Budget::of(limits);
    match form {
        Form::Triples => triples::read(term, grammar, &mut budget),
        Form::Prefix => prefix::read(term, grammar, &mut budget),
        Form::Object => object::read(term, grammar, &mut budget),
        Form::Tree => tree::read(term, grammar, &mut budget),
        _ => Err(Refusal::Unread),
    }
}

/// Writes a condition in a form; `None` if the form has no words for it.
pub fn write(form: Form, filter: &Filter, grammar: &Grammar) -> Option<Term> {
    match form {
        Form::Triples => triples::write(filter, grammar),
        Form::Prefix => prefix::write(filter, grammar),
        Form::Object => object::write(filter, grammar),
        Form::Tree => tree::write(filter, grammar),
        _ => None,
    }
}

/// A condition of name, operator and one value.
pub fn clause(
    path: Vec<String>,
    operator: &str,
    value: &Term,
    grammar: &Grammar,
    budget: &mut Budget,
) -> Result<Filter, Refusal> {
    budget.clause()?;
    check_operator(operator, grammar)?;
    check_value(value, grammar)?;
    let values = vec![(String::new(), value.clone())];
    Ok(Filter::Clause(Clause { path, operator: operator.to_owned(), values }))
}

/// Refuses an operator that the profile does not list: it may take its value for a name, or for another condition.
pub fn check_operator(operator: &str, grammar: &Grammar) -> Result<(), Refusal> {
    match grammar.operators.iter().any(|known| known == operator) {
        true => Ok(()),
        false => Err(Refusal::Unread),
    }
}

/// Refuses a value that could be more than a value: a scalar, an object that says that it is one, or a list of these.
pub fn check_value(value: &Term, grammar: &Grammar) -> Result<(), Refusal> {
    let is_plain = |value: &Term| match value {
        Term::Text(text) => !grammar.refused_values.iter().any(|pattern| pattern.matches(text)),
        Term::Object(members) => {
            let is_marked = members.iter().any(|(key, _)| grammar.objects.contains(key));
            is_marked && members.iter().all(|(_, value)| value.is_scalar())
        }
        Term::List(_) => false,
        Term::Null | Term::Bool(_) | Term::Number(_) => true,
    };
    let is_fit = match value {
        Term::List(items) => items.iter().all(is_plain),
        value => is_plain(value),
    };
    if is_fit { Ok(()) } else { Err(Refusal::Unread) }
}

#[cfg(test)]
pub(in crate::pipeline::map) mod tests {
    use super::*;
    use crate::bundle::profile::query::grammar::Join;
    use crate::bundle::profile::types::KeyPattern;
    use crate::json::parse::JsonLimits;
    use proptest::prelude::*;

    /// The words of a form, as a CRM could have them.
    pub fn grammar(form: Form) -> Grammar {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut grammar = Grammar::of(form);
        grammar.objects = words(&["__class__"]);
        grammar.refused_values = vec![KeyPattern::Prefix("$field.".to_owned())];
        match form {
            Form::Triples => {
                (grammar.operators, grammar.and, grammar.or) =
                    (words(&["=", ">", "in"]), words(&["AND"]), words(&["OR"]));
            }
            Form::Prefix => grammar.operators = words(&["=", ">", "in"]),
            Form::Object => {
                grammar.operators = words(&["$eq", "$gt", "$in"]);
                (grammar.and, grammar.or, grammar.not) =
                    (words(&["$and"]), words(&["$or"]), words(&["$not"]));
                grammar.implicit = Some("$eq".to_owned());
            }
            _ => {
                grammar.operators = words(&["eq", "gt", "in"]);
                (grammar.and, grammar.or, grammar.not) = (words(&["and"]), words(&["or"]), words(&["not"]));
                (grammar.name, grammar.operator) = ("field".to_owned(), "operator".to_owned());
                grammar.value = words(&["value", "high"]);
            }
        }
        grammar
    }

    /// The words of HubSpot's filter groups.
    pub fn groups() -> Grammar {
        let mut grammar = Grammar::of(Form::Tree);
        grammar.operators = vec!["EQ".to_owned(), "GT".to_owned()];
        grammar.and = vec!["filters".to_owned()];
        (grammar.name, grammar.operator) = ("propertyName".to_owned(), "operator".to_owned());
        (grammar.value, grammar.list) = (vec!["value".to_owned()], Some(Join::Or));
        grammar.objects = vec!["__class__".to_owned()];
        grammar
    }

    /// What was read, in one line: fields by their paths.
    pub fn shown(filter: &Filter) -> String {
        let list = |filters: &[Filter]| filters.iter().map(shown).collect::<Vec<_>>().join(" ");
        match filter {
            Filter::All(filters) => format!("all({})", list(filters)),
            Filter::Any(filters) => format!("any({})", list(filters)),
            Filter::Not(inner) => format!("not({})", shown(inner)),
            Filter::Clause(clause) => {
                let values: Vec<String> = clause.values.iter().map(|(_, value)| value.to_json()).collect();
                format!("{}{}{}", clause.path.join("/"), clause.operator, values.join("…"))
            }
        }
    }

    /// Reads a text by a form; what is written must read back as the same.
    #[track_caller]
    pub fn check(form: Form, grammar: &Grammar, text: &str, expected: Result<&str, Refusal>) {
        let term = Term::parse(text, &JsonLimits::default()).unwrap();
        let found = read(form, &term, grammar, FilterLimits::default());
        assert_eq!(found.as_ref().map(shown).as_deref().map_err(|refusal| **refusal), expected, "{text}");
        if let Ok(filter) = found {
            let written = write(form, &filter, grammar).unwrap();
            let again = read(form, &written, grammar, FilterLimits::default());
            assert_eq!(again, Ok(filter), "{text} became {}", written.to_json());
        }
    }

    /// As many conditions as the limit, and one more; as deep as the limit, and one deeper.
    #[track_caller]
    pub fn check_limits(form: Form, flat: impl Fn(usize) -> String, deep: impl Fn(usize) -> String) {
        let grammar = grammar(form);
        let limits = FilterLimits { clauses_max: 5, depth_max: 4 };
        let read = |text: String| {
            let term = Term::parse(&text, &JsonLimits::default()).unwrap();
            read(form, &term, &grammar, limits).map(|filter| filter.clauses().len())
        };
        assert_eq!(read(flat(5)), Ok(5), "{}", flat(5));
        assert_eq!(read(flat(6)), Err(Refusal::TooMuch), "{}", flat(6));
        assert_eq!(read(deep(4)), Ok(1), "{}", deep(4));
        assert_eq!(read(deep(5)), Err(Refusal::TooMuch), "{}", deep(5));
    }

    fn forms() -> Vec<(Form, Grammar)> {
        let own = [Form::Triples, Form::Prefix, Form::Object, Form::Tree].map(|form| (form, grammar(form)));
        own.into_iter().chain([(Form::Tree, groups())]).collect()
    }

    fn any_value() -> impl Strategy<Value = Term> {
        let scalar = || {
            prop_oneof![
                Just(Term::Null),
                any::<bool>().prop_map(Term::Bool),
                "0|-?[1-9][0-9]{0,20}".prop_map(Term::Number),
                "\\PC{0,8}".prop_map(Term::Text),
            ]
        };
        let marked = scalar().prop_map(|value| {
            Term::Object(vec![("__class__".to_owned(), Term::from_text("x")), ("v".to_owned(), value)])
        });
        let list = prop::collection::vec(scalar(), 0..4).prop_map(Term::List);
        prop_oneof![4 => scalar(), 1 => marked, 1 => list]
    }

    /// Conditions that a form can say, with conjunctions of two: an operator of prefix notation takes two.
    pub fn any_filter(operator: &'static str) -> impl Strategy<Value = Filter> {
        let name = prop::collection::vec("[a-z]{1,3}", 1..3);
        let leaf = (name, any_value()).prop_map(move |(path, value)| {
            let key = if ["gt", "GT"].contains(&operator) { "value".to_owned() } else { String::new() };
            Filter::Clause(Clause { path, operator: operator.to_owned(), values: vec![(key, value)] })
        });
        leaf.prop_recursive(3, 12, 2, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..=2).prop_map(Filter::All),
                prop::collection::vec(inner, 2..=2).prop_map(Filter::Any),
            ]
        })
    }

    fn paths(filter: &Filter) -> Vec<Vec<String>> {
        filter.clauses().iter().map(|clause| clause.path.clone()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_names_exactly_what_was_meant(
            triples in prop::collection::vec(any_filter(">"), 0..3),
            object in prop::collection::vec(any_filter("$gt"), 0..3),
            tree in any_filter("gt"),
        ) {
            let triples = Filter::All(triples);
            // An object of conditions says "all of these" wherever it stands, so what joins them holds objects.
            let object = Filter::All(vec![Filter::All(object.into_iter().map(|one| Filter::All(vec![one])).collect())]);
            let object = if object.clauses().is_empty() { Filter::All(Vec::new()) } else { object };
            for (form, filter) in [(Form::Triples, &triples), (Form::Prefix, &triples), (Form::Tree, &tree)] {
                let grammar = grammar(form);
                let refused = filter.clauses().iter().any(|clause| check_value(&clause.values[0].1, &grammar).is_err());
                let written = write(form, filter, &grammar).unwrap();
                let read = read(form, &written, &grammar, FilterLimits::default());
                prop_assert!(refused || read.as_ref() == Ok(filter), "{:?}: {}", form, written.to_json());
            }
            let grammar = grammar(Form::Object);
            let written = write(Form::Object, &object, &grammar).unwrap();
            let read = read(Form::Object, &written, &grammar, FilterLimits::default());
            let found = read.as_ref().map(paths);
            let refused = object.clauses().iter().any(|clause| check_value(&clause.values[0].1, &grammar).is_err());
            prop_assert!(refused || found == Ok(paths(&object)), "{}", written.to_json());
        }

        /// Whatever comes is refused, or read to the last part of it: what is written reads back as the same.
        #[test]
        fn whatever_comes_is_read_whole_or_refused(term in super::super::term::tests::any_term()) {
            for (form, grammar) in forms() {
                let Ok(filter) = read(form, &term, &grammar, FilterLimits::default()) else { continue };
                let written = write(form, &filter, &grammar).unwrap();
                let again = read(form, &written, &grammar, FilterLimits::default());
                prop_assert_eq!(again, Ok(filter), "{:?}: {}", form, written.to_json());
            }
        }
    }
}
