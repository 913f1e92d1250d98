//! The filter of a request that the proxy may add a condition of its own to.
//!
//! Promises: what is added holds beside what the caller asks for, never in its place; it is written by the same lexer, so no
//! value in it can be read as anything else.

use super::lexer::brackets;
use super::lexer::encoding::{self, Padding};
use super::lexer::filter::{self, Clause, Filter, check_operator, check_value};
use super::lexer::term::Term;
use super::projection::{Place, put};
use crate::bundle::profile::query::grammar::{Grammar, Join};
use crate::bundle::profile::query::{Encoding, Form, QueryRule};
use crate::bundle::profile::route::Route;

/// A filter that is still open.
#[derive(Clone, Debug)]
pub struct OpenFilter {
    rule: String,
    place: Place,
    form: Form,
    encoding: Encoding,
    padding: Padding,
    grammar: Grammar,
    callers: Callers,
}

/// What the caller says in its place.
#[derive(Clone, Debug)]
enum Callers {
    Nothing,
    Filter(Filter),
    /// A value that nothing can be added to.
    Value,
}

/// A filter, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// There is none.
    Nothing,
    /// Parameters.
    Pairs(Vec<(String, String)>),
    /// A value in the body, by the keys that lead to it.
    Body(Vec<String>, Term),
}

impl Added {
    /// Adds it to the query, or to the body.
    pub fn add_to(self, pairs: &mut Vec<(String, String)>, body: Option<&mut Term>) {
        match (self, body) {
            (Added::Pairs(more), _) => pairs.extend(more),
            (Added::Body(keys, term), Some(body)) => put(body, &keys, term),
            (Added::Body(..), None) | (Added::Nothing, _) => {}
        }
    }
}

impl OpenFilter {
    /// The filter of a route that its `push_down` names.
    pub fn of(route: &Route) -> Option<Self> {
        let into = &route.push_down.as_ref()?.into.value;
        let in_query = route.query.iter().map(|rule| (rule, Place::Parameter(rule.name.to_string())));
        let in_body = route.reads.iter().map(|declared| (&declared.rule, Place::Body(declared.at.clone())));
        let (rule, place) = in_query.chain(in_body).find(|(rule, _)| rule.name.to_string() == *into)?;
        Some(Self {
            rule: into.clone(),
            place,
            form: rule.form,
            encoding: rule.encoding,
            padding: Padding::default(),
            grammar: rule.grammar.clone(),
            callers: Callers::Nothing,
        })
    }

    /// Whether it is the filter of a rule.
    pub fn is_of(&self, rule: &QueryRule) -> bool {
        rule.name.to_string() == self.rule
    }

    /// Whether it takes one value and has no operators.
    pub fn is_one_value(&self) -> bool {
        self.form == Form::Key
    }

    /// Takes what the caller asks for.
    pub fn take(&mut self, filter: Filter, padding: Padding) {
        (self.callers, self.padding) = (Callers::Filter(filter), padding);
    }

    /// Notes that the caller gave a value that stands alone.
    pub fn close(&mut self) {
        self.callers = Callers::Value;
    }

    /// The caller's condition with another one; `None` if the form cannot say both.
    pub fn with(&self, own: Option<&Filter>) -> Option<Added> {
        let own = match own {
            Some(own) => Some(self.spelled(own)?),
            None => None,
        };
        if self.form == Form::Key {
            return self.with_key(own);
        }
        let whole = match (own, &self.callers) {
            (None, Callers::Nothing | Callers::Value) => return Some(Added::Nothing),
            (None, Callers::Filter(callers)) => callers.clone(),
            (Some(_), Callers::Value) => return None,
            (Some(own), callers) if self.grammar.list == Some(Join::Or) => alternatives(own, callers)?,
            (Some(own), Callers::Nothing) => Filter::All(vec![own]),
            (Some(own), Callers::Filter(Filter::All(callers))) => {
                Filter::All([own].into_iter().chain(callers.iter().cloned()).collect())
            }
            (Some(own), Callers::Filter(callers)) => Filter::All(vec![own, callers.clone()]),
        };
        let term = filter::write(self.form, &whole, &self.grammar)?;
        Some(match &self.place {
            Place::Body(keys) if self.encoding == Encoding::Json => Added::Body(keys.clone(), term),
            Place::Body(keys) => {
                Added::Body(keys.clone(), Term::Text(encoding::write(self.encoding, &term, self.padding)))
            }
            Place::Parameter(name) if self.encoding == Encoding::Brackets => {
                Added::Pairs(brackets::write(name, &term)?)
            }
            Place::Parameter(name) => {
                Added::Pairs(vec![(name.clone(), encoding::write(self.encoding, &term, self.padding))])
            }
        })
    }

    /// A parameter that is one field takes one value, and only if the caller gave none.
    fn with_key(&self, own: Option<Filter>) -> Option<Added> {
        let clause = match (own, &self.callers) {
            (None, _) => return Some(Added::Nothing),
            (Some(Filter::Clause(clause)), Callers::Nothing) => clause,
            (Some(_), _) => return None,
        };
        let value = clause.values.into_iter().next().map(|(_, value)| value)?;
        let text = value.as_text().filter(|text| !text.is_empty())?;
        Some(match &self.place {
            Place::Parameter(name) => Added::Pairs(vec![(name.clone(), text)]),
            Place::Body(keys) => Added::Body(keys.clone(), value),
        })
    }

    /// A condition in the words of this filter; `None` if there are none for a part of it.
    fn spelled(&self, own: &Filter) -> Option<Filter> {
        let many = |parts: &[Filter]| parts.iter().map(|part| self.spelled(part)).collect::<Option<Vec<_>>>();
        Some(match own {
            Filter::All(parts) => Filter::All(many(parts)?),
            Filter::Any(parts) => Filter::Any(many(parts)?),
            Filter::Not(inner) => Filter::Not(Box::new(self.spelled(inner)?)),
            Filter::Clause(clause) => {
                let path = self.grammar.path(&clause.path.join("."))?;
                let (_, value) = clause.values.first()?;
                check_value(value, &self.grammar).ok()?;
                if self.form != Form::Key {
                    check_operator(&clause.operator, &self.grammar).ok()?;
                }
                let key = self.grammar.value.first().cloned().unwrap_or_default();
                let values = vec![(key, value.clone())];
                Filter::Clause(Clause { path, operator: clause.operator.clone(), values })
            }
        })
    }
}

/// A condition in each of the alternatives that the caller asks for; `None` if it is more than conditions on fields.
fn alternatives(own: Filter, callers: &Callers) -> Option<Filter> {
    let own = match own {
        Filter::Clause(_) => vec![own],
        Filter::All(parts) if parts.iter().all(|part| matches!(part, Filter::Clause(_))) => parts,
        _ => return None,
    };
    let groups: Vec<&Filter> = match callers {
        Callers::Filter(Filter::Any(groups)) => groups.iter().collect(),
        Callers::Filter(other) => vec![other],
        Callers::Nothing | Callers::Value => Vec::new(),
    };
    let with_own = |group: &Filter| {
        let parts = match group {
            Filter::All(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        Filter::All(own.iter().chain(parts).cloned().collect())
    };
    let groups: Vec<Filter> = groups.into_iter().map(with_own).collect();
    Some(Filter::Any(if groups.is_empty() { vec![Filter::All(own)] } else { groups }))
}

#[cfg(test)]
mod tests {
    use super::super::lexer::FilterLimits;
    use super::super::lexer::filter::tests::{any_filter, grammar, groups};
    use super::*;
    use crate::json::parse::JsonLimits;
    use proptest::prelude::*;

    fn open(form: Form, grammar: Grammar) -> OpenFilter {
        OpenFilter {
            rule: "f".to_owned(),
            place: Place::Parameter("f".to_owned()),
            form,
            encoding: Encoding::Json,
            padding: Padding::default(),
            grammar,
            callers: Callers::Nothing,
        }
    }

    fn owner(operator: &str, value: &str) -> Filter {
        let values = vec![(String::new(), Term::from_text(value))];
        Filter::Clause(Clause { path: vec!["owner".to_owned()], operator: operator.to_owned(), values })
    }

    /// What a filter comes to if a condition holds or not by its own text.
    fn holds(filter: &Filter, seed: u64) -> bool {
        match filter {
            Filter::All(parts) => parts.iter().all(|part| holds(part, seed)),
            Filter::Any(parts) => parts.iter().any(|part| holds(part, seed)),
            Filter::Not(inner) => !holds(inner, seed),
            Filter::Clause(clause) => {
                let values = clause.values.iter().map(|(_, value)| value.to_json());
                let text: String =
                    clause.path.iter().cloned().chain([clause.operator.clone()]).chain(values).collect();
                crc32c::crc32c(format!("{seed}{text}").as_bytes()).is_multiple_of(2)
            }
        }
    }

    fn read(open: &OpenFilter, added: Added) -> Filter {
        let Added::Pairs(pairs) = added else { panic!("{added:?}") };
        let term = Term::parse(&pairs[0].1, &JsonLimits::default()).unwrap();
        let limits = FilterLimits { clauses_max: 1_000, depth_max: 64 };
        filter::read(open.form, &term, &open.grammar, limits)
            .unwrap_or_else(|why| panic!("{why:?} {pairs:?}"))
    }

    #[test]
    fn a_value_that_stands_alone_takes_nothing_beside_it() {
        let mut key = open(Form::Key, Grammar::of(Form::Key));
        let own = owner("", "7");
        assert_eq!(key.with(None), Some(Added::Nothing));
        assert_eq!(key.with(Some(&own)), Some(Added::Pairs(vec![("f".to_owned(), "7".to_owned())])));
        assert_eq!(key.with(Some(&Filter::Any(vec![own.clone(), own.clone()]))), None);
        key.close();
        assert_eq!((key.with(None), key.with(Some(&own))), (Some(Added::Nothing), None));
    }

    #[test]
    fn what_has_no_words_is_not_said() {
        let flat = Grammar { or: Vec::new(), ..grammar(Form::Triples) };
        let either = Filter::Any(vec![owner("=", "1"), owner("=", "2")]);
        assert_eq!(open(Form::Triples, flat).with(Some(&either)), None);
        assert!(open(Form::Triples, grammar(Form::Triples)).with(Some(&either)).is_some());
        // An operator that is not listed, and a value that could name a field.
        assert_eq!(open(Form::Triples, grammar(Form::Triples)).with(Some(&owner("like", "1"))), None);
        assert_eq!(
            open(Form::Triples, grammar(Form::Triples)).with(Some(&owner("=", "$field.margin"))),
            None
        );
        // Each of the alternatives takes conditions on fields alone.
        assert_eq!(open(Form::Tree, groups()).with(Some(&Filter::Any(vec![owner("EQ", "1")]))), None);
    }

    proptest! {
        /// Whatever the value is and whatever the caller asks for: both hold of what comes.
        #[test]
        fn what_is_added_holds_beside_what_the_caller_asks_for(
            value in "\\PC{0,8}|[\\[\\]{}\",\\\\:'%&|!$]{0,8}",
            triples in any_filter(">"),
            object in any_filter("$gt"),
            tree in any_filter("gt"),
            alternatives in any_filter("GT"),
            seeds in prop::collection::vec(any::<u64>(), 6),
        ) {
            for (form, grammar, operator, asked) in [
                (Form::Triples, grammar(Form::Triples), "=", triples.clone()),
                (Form::Prefix, grammar(Form::Prefix), "=", triples),
                (Form::Object, grammar(Form::Object), "$eq", object),
                (Form::Tree, grammar(Form::Tree), "eq", tree),
                (Form::Tree, groups(), "EQ", alternatives),
            ] {
                // As a caller would have sent it.
                let limits = FilterLimits { clauses_max: 1_000, depth_max: 64 };
                let sent = filter::write(form, &asked, &grammar);
                let sent = sent.and_then(|term| filter::read(form, &term, &grammar, limits).ok());
                // Groups of conditions cannot say "one of these" inside of a group.
                prop_assert!(sent.is_some() || grammar.or.is_empty(), "{:?} {:?}", form, asked);
                let Some(asked) = sent else { continue };
                let own = owner(operator, &value);
                let mut open = open(form, grammar);
                open.take(asked.clone(), Padding::Present);
                let added = open.with(Some(&own));
                prop_assert_eq!(added.is_none(), value.starts_with("$field."), "{:?} {:?}", form, asked);
                let (Some(added), Some(own)) = (added, open.spelled(&own)) else { continue };
                let written = read(&open, added);
                for seed in &seeds {
                    let expected = holds(&own, *seed) && holds(&asked, *seed);
                    prop_assert_eq!(holds(&written, *seed), expected, "{:?} {:?}", form, written);
                }
            }
        }
    }
}
