//! Objects whose keys are fields and operators: `{"amount":{"$gt":5},"$or":[…]}`, as Directus, Strapi and document stores have
//! them. All members of an object must hold.
//!
//! Where the profile declares no separator, an object inside of a field's leads through a relation; with one, a key is a path.

use super::filter::{Clause, Filter, clause};
use super::term::Term;
use super::{Budget, Refusal};
use crate::bundle::profile::query::grammar::{Grammar, Join, Joined};

/// Reads all of a value.
pub fn read(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let members = term.members().ok_or(Refusal::Unread)?;
    object(members, grammar, budget)
}

fn object(members: &[(String, Term)], grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let mut found = Vec::new();
    budget.deeper(|budget| {
        for (key, value) in members {
            match grammar.joins(key) {
                Some(joined) => found.push(join(joined, value, grammar, budget)?),
                None => field(path(&[], key, grammar)?, value, grammar, budget, &mut found)?,
            }
        }
        Ok(())
    })?;
    Ok(Filter::All(found))
}

fn join(joined: Joined, value: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let one = |term: &Term, budget: &mut Budget| {
        let members = term.members().filter(|members| !members.is_empty()).ok_or(Refusal::Unread)?;
        object(members, grammar, budget)
    };
    let many = |budget: &mut Budget| {
        let items = value.items().filter(|items| !items.is_empty()).ok_or(Refusal::Unread)?;
        items.iter().map(|item| one(item, budget)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match joined {
        Joined::By(Join::And) => Filter::All(many(budget)?),
        Joined::By(Join::Or) => Filter::Any(many(budget)?),
        Joined::Not => Filter::Not(Box::new(one(value, budget)?)),
    })
}

/// What an object says of a field: conditions by operator, or fields of the record that stands there.
fn field(
    at: Vec<String>,
    value: &Term,
    grammar: &Grammar,
    budget: &mut Budget,
    found: &mut Vec<Filter>,
) -> Result<(), Refusal> {
    let members = match (value, &grammar.implicit) {
        (Term::Object(members), _) if !members.is_empty() => members,
        (Term::Object(_), _) | (_, None) => return Err(Refusal::Unread),
        (value, Some(operator)) => {
            found.push(clause(at, operator, value, grammar, budget)?);
            return Ok(());
        }
    };
    budget.deeper(|budget| {
        for (key, value) in members {
            match grammar.operators.contains(key) {
                true => found.push(clause(at.clone(), key, value, grammar, budget)?),
                false => field(path(&at, key, grammar)?, value, grammar, budget, found)?,
            }
        }
        Ok(())
    })
}

/// The path that a key leads to from another.
fn path(at: &[String], key: &str, grammar: &Grammar) -> Result<Vec<String>, Refusal> {
    if key.is_empty() || grammar.joins(key).is_some() {
        return Err(Refusal::Unread);
    }
    match (grammar.has_separator, at) {
        (true, []) => grammar.path(key).ok_or(Refusal::Unread),
        (true, _) => Err(Refusal::Unread),
        (false, at) => Ok(at.iter().cloned().chain([key.to_owned()]).collect()),
    }
}

/// Writes a condition; `None` if there is no word for a part of it.
pub fn write(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    match filter {
        Filter::All(filters) => match side_by_side(filters, grammar) {
            Some(members) => Some(Term::Object(members)),
            None => Some(Term::Object(vec![member(filter, grammar)?])),
        },
        filter => Some(Term::Object(vec![member(filter, grammar)?])),
    }
}

/// Conditions as members of one object; `None` if a key would stand twice.
fn side_by_side(filters: &[Filter], grammar: &Grammar) -> Option<Vec<(String, Term)>> {
    let mut members = Vec::new();
    for filter in filters {
        let (key, value) = member(filter, grammar)?;
        add(&mut members, key, value)?;
    }
    Some(members)
}

fn member(filter: &Filter, grammar: &Grammar) -> Option<(String, Term)> {
    let joined = |join: Join, filters: &[Filter]| {
        let word = grammar.word(join).filter(|_| !filters.is_empty())?;
        let items = filters.iter().map(|filter| write(filter, grammar)).collect::<Option<_>>()?;
        Some((word.clone(), Term::List(items)))
    };
    match filter {
        Filter::All(filters) => joined(Join::And, filters),
        Filter::Any(filters) => joined(Join::Or, filters),
        Filter::Not(inner) => Some((grammar.not.first()?.clone(), write(inner, grammar)?)),
        Filter::Clause(clause) => of_field(clause, grammar),
    }
}

fn of_field(clause: &Clause, grammar: &Grammar) -> Option<(String, Term)> {
    let (_, value) = clause.values.first()?;
    let keys = if grammar.has_separator { vec![grammar.spelled(&clause.path)] } else { clause.path.clone() };
    let (first, rest) = keys.split_first()?;
    let condition = Term::Object(vec![(clause.operator.clone(), value.clone())]);
    let inner = rest.iter().rev().fold(condition, |inner, key| Term::Object(vec![(key.clone(), inner)]));
    Some((first.clone(), inner))
}

/// Adds a member. What follows on the same field goes into its object; a key that stood before that cannot stand twice.
fn add(members: &mut Vec<(String, Term)>, key: String, value: Term) -> Option<()> {
    let is_last = members.last().is_some_and(|(last, _)| *last == key);
    match (members.last_mut(), value) {
        (Some((_, Term::Object(known))), Term::Object(more)) if is_last => {
            more.into_iter().try_for_each(|(key, value)| add(known, key, value))
        }
        (_, value) => {
            let is_new = members.iter().all(|(known, _)| *known != key);
            is_new.then(|| members.push((key, value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::{check, check_limits, grammar};
    use super::*;
    use crate::bundle::profile::query::Form;

    #[track_caller]
    fn reads(text: &str, expected: Result<&str, Refusal>) {
        check(Form::Object, &grammar(Form::Object), text, expected);
    }

    #[test]
    fn members_are_fields_and_conjunctions() {
        reads("{}", Ok("all()"));
        reads(r#"{"amount":{"$gt":5}}"#, Ok("all(amount$gt5)"));
        reads(r#"{"amount":{"$gt":5,"$eq":9},"title":"x"}"#, Ok(r#"all(amount$gt5 amount$eq9 title$eq"x")"#));
        reads(
            r#"{"contact":{"name":{"$eq":"x"},"team":{"id":7}}}"#,
            Ok(r#"all(contact/name$eq"x" contact/team/id$eq7)"#),
        );
        reads(
            r#"{"$or":[{"a":1},{"b":{"$in":[1,2]}}],"c":null}"#,
            Ok("all(any(all(a$eq1) all(b$in[1,2])) c$eqnull)"),
        );
        reads(r#"{"$and":[{"a":1},{"a":2}]}"#, Ok("all(all(all(a$eq1) all(a$eq2)))"));
        reads(r#"{"$not":{"a":1}}"#, Ok("all(not(all(a$eq1)))"));
        // Without a separator a point is part of a key.
        reads(r#"{"contact.name":1}"#, Ok("all(contact.name$eq1)"));
    }

    #[test]
    fn a_separator_makes_paths_of_keys() {
        let dotted = Grammar { has_separator: true, ..grammar(Form::Object) };
        check(Form::Object, &dotted, r#"{"contact.name":{"$eq":1}}"#, Ok("all(contact/name$eq1)"));
        for text in [r#"{"contact":{"name":{"$eq":1}}}"#, r#"{"contact..name":1}"#, r#"{".":1}"#] {
            check(Form::Object, &dotted, text, Err(Refusal::Unread));
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "[]",
            "1",
            r#"{"a":{}}"#,
            r#"{"":1}"#,
            r#"{"$or":{"a":1}}"#,
            r#"{"$or":[]}"#,
            r#"{"$or":[{}]}"#,
            r#"{"$or":[1]}"#,
            r#"{"$not":[{"a":1}]}"#,
            r#"{"$not":{}}"#,
            r#"{"contact":{"$or":[{"name":1}]}}"#,
            r#"{"a":{"$gt":{"b":1}}}"#,
            r#"{"a":{"$gt":[[1]]}}"#,
            r#"{"a":{"$gt":{"$field":"margin"}}}"#,
            r#"{"a":"$field.margin"}"#,
        ] {
            reads(text, Err(Refusal::Unread));
        }
        // An operator that nobody listed leads to a field of its name, which is then not there.
        reads(r#"{"a":{"$where":1}}"#, Ok("all(a/$where$eq1)"));
        reads(r#"{"$where":"x"}"#, Ok(r#"all($where$eq"x")"#));
        let strict = Grammar { implicit: None, ..grammar(Form::Object) };
        check(Form::Object, &strict, r#"{"a":1}"#, Err(Refusal::Unread));
        check(Form::Object, &strict, r#"{"a":{"$where":1}}"#, Err(Refusal::Unread));
    }

    #[test]
    fn limits_hold() {
        let flat = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!(r#""a{n}":1"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let deep = |depth: usize| {
            format!("{}\"a\":1{}", "{".to_owned() + &r#""a":{"#.repeat(depth - 1), "}".repeat(depth))
        };
        check_limits(Form::Object, flat, deep);
    }
}
