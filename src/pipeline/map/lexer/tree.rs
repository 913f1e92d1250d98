//! Trees of objects with a key for the field's name: `{"and":[{"field":"amount","operator":"gt","value":5}]}`, HubSpot's
//! filter groups, EspoCRM's `where`, query builders.
//!
//! An object is either a condition or joins others; it has no other keys.

use super::filter::{Clause, Filter, check_operator, check_value};
use super::term::Term;
use super::{Budget, Refusal};
use crate::bundle::profile::query::grammar::{Grammar, Join, Joined};

type Members = [(String, Term)];

/// Reads all of a value.
pub fn read(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    match (grammar.list, term) {
        (Some(_), Term::List(items)) if items.is_empty() => Ok(Filter::All(Vec::new())),
        (Some(join), Term::List(items)) => joined(Joined::By(join), items, grammar, budget),
        (None, Term::Object(members)) if members.is_empty() => Ok(Filter::All(Vec::new())),
        (None, term @ Term::Object(_)) => node(term, grammar, budget),
        _ => Err(Refusal::Unread),
    }
}

fn node(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let members = term.members().ok_or(Refusal::Unread)?;
    match conjunction(members, grammar) {
        Some((how, Term::List(items))) => joined(how, items, grammar, budget),
        Some((Joined::Not, one)) => {
            budget.deeper(|budget| Ok(Filter::Not(Box::new(node(one, grammar, budget)?))))
        }
        Some(_) => Err(Refusal::Unread),
        None => condition(members, grammar, budget),
    }
}

/// How an object joins others, and which; `None` if it is a condition, or nothing.
fn conjunction<'t>(members: &'t Members, grammar: &Grammar) -> Option<(Joined, &'t Term)> {
    let Some(combinator) = &grammar.combinator else {
        return match members {
            [(word, children)] => Some((grammar.joins(word)?, children)),
            _ => None,
        };
    };
    let [first, second] = members else { return None };
    let (word, children) = if first.0 == *combinator { (first, second) } else { (second, first) };
    let how = grammar.joins(word.1.text()?)?;
    (word.0 == *combinator && children.0 == grammar.children).then_some((how, &children.1))
}

fn joined(how: Joined, items: &[Term], grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let mut filters = budget.deeper(|budget| {
        items.iter().map(|item| node(item, grammar, budget)).collect::<Result<Vec<_>, _>>()
    })?;
    match (how, filters.len()) {
        (_, 0) => Err(Refusal::Unread),
        (Joined::By(Join::And), _) => Ok(Filter::All(filters)),
        (Joined::By(Join::Or), _) => Ok(Filter::Any(filters)),
        (Joined::Not, 1) => filters.pop().map(|one| Filter::Not(Box::new(one))).ok_or(Refusal::Unread),
        (Joined::Not, _) => Err(Refusal::Unread),
    }
}

fn condition(members: &Members, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    budget.clause()?;
    let (mut path, mut operator, mut values) = (None, None, Vec::new());
    for (key, value) in members {
        match key {
            key if *key == grammar.name => path = value.text().and_then(|name| grammar.path(name)),
            key if *key == grammar.operator => operator = value.text(),
            key if grammar.value.contains(key) => {
                check_value(value, grammar)?;
                values.push((key.clone(), value.clone()));
            }
            _ => return Err(Refusal::Unread),
        }
    }
    let (path, operator) = path.zip(operator).ok_or(Refusal::Unread)?;
    check_operator(operator, grammar)?;
    Ok(Filter::Clause(Clause { path, operator: operator.to_owned(), values }))
}

/// Writes a condition; `None` if there is no word for a part of it.
pub fn write(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    let parts =
        |filters: &[Filter]| filters.iter().map(|filter| part(filter, grammar)).collect::<Option<_>>();
    match (grammar.list, filter) {
        (Some(_), Filter::All(filters)) if filters.is_empty() => Some(Term::List(Vec::new())),
        (None, Filter::All(filters)) if filters.is_empty() => Some(Term::Object(Vec::new())),
        (Some(Join::And), Filter::All(filters)) | (Some(Join::Or), Filter::Any(filters)) => {
            parts(filters).map(Term::List)
        }
        (Some(_), filter) => Some(Term::List(vec![part(filter, grammar)?])),
        (None, filter) => part(filter, grammar),
    }
}

fn part(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    let joined = |word: Option<&String>, filters: &[Filter]| {
        let word = word.filter(|_| !filters.is_empty())?;
        let items = filters.iter().map(|filter| part(filter, grammar)).collect::<Option<_>>()?;
        Some(Term::Object(match &grammar.combinator {
            None => vec![(word.clone(), Term::List(items))],
            Some(combinator) => vec![
                (combinator.clone(), Term::from_text(word)),
                (grammar.children.clone(), Term::List(items)),
            ],
        }))
    };
    match filter {
        Filter::All(filters) => joined(grammar.word(Join::And), filters),
        Filter::Any(filters) => joined(grammar.word(Join::Or), filters),
        Filter::Not(inner) => joined(grammar.not.first(), std::slice::from_ref(inner)),
        Filter::Clause(clause) => {
            let name = (grammar.name.clone(), Term::from_text(grammar.spelled(&clause.path)));
            let operator = (grammar.operator.clone(), Term::from_text(&clause.operator));
            Some(Term::Object([name, operator].into_iter().chain(clause.values.iter().cloned()).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::{check, check_limits, grammar, groups};
    use super::*;
    use crate::bundle::profile::query::Form;

    #[track_caller]
    fn reads(text: &str, expected: Result<&str, Refusal>) {
        check(Form::Tree, &grammar(Form::Tree), text, expected);
    }

    /// EspoCRM's `where`: what joins is an operator, and what is joined is its value.
    fn espo() -> Grammar {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Grammar {
            operators: words(&["equals", "greaterThan", "isNull"]),
            name: "attribute".to_owned(),
            operator: "type".to_owned(),
            value: words(&["value"]),
            combinator: Some("type".to_owned()),
            children: "value".to_owned(),
            list: Some(Join::And),
            ..grammar(Form::Tree)
        }
    }

    #[test]
    fn words_are_keys() {
        reads("{}", Ok("all()"));
        reads(r#"{"field":"a","operator":"gt","value":5}"#, Ok("agt5"));
        reads(r#"{"operator":"in","field":"a.b","high":9,"value":5}"#, Ok("a/bin9…5"));
        reads(
            r#"{"and":[{"field":"a","operator":"eq","value":"x"},{"or":[{"field":"b","operator":"gt"}]}]}"#,
            Ok(r#"all(aeq"x" any(bgt))"#),
        );
        reads(r#"{"not":{"field":"a","operator":"eq","value":1}}"#, Ok("not(aeq1)"));
        reads(r#"{"not":[{"field":"a","operator":"eq","value":1}]}"#, Ok("not(aeq1)"));
    }

    #[test]
    fn groups_of_filters_are_alternatives() {
        let clause = r#"{"propertyName":"amount","operator":"GT","value":"5"}"#;
        check(Form::Tree, &groups(), "[]", Ok("all()"));
        check(
            Form::Tree,
            &groups(),
            &format!(r#"[{{"filters":[{clause},{clause}]}},{{"filters":[{clause}]}}]"#),
            Ok(r#"any(all(amountGT"5" amountGT"5") all(amountGT"5"))"#),
        );
        for text in ["{}", r#"[{"filters":[]}]"#, r#"[{}]"#, r#"[[{"filters":[]}]]"#] {
            check(Form::Tree, &groups(), text, Err(Refusal::Unread));
        }
    }

    #[test]
    fn an_operator_may_join() {
        check(
            Form::Tree,
            &espo(),
            r#"[{"type":"or","value":[{"type":"isNull","attribute":"a"},{"attribute":"b","type":"equals","value":"x"}]}]"#,
            Ok(r#"all(any(aisNull bequals"x"))"#),
        );
        for text in [
            r#"[{"type":"or","value":"x"}]"#,
            r#"[{"type":"or","value":[],"attribute":"a"}]"#,
            r#"[{"type":"or","attribute":"a"}]"#,
            r#"[{"type":"equals","value":[{"type":"isNull","attribute":"a"}],"attribute":"b"}]"#,
            r#"[{"type":"linkedWith","attribute":"a","value":["1"]}]"#,
        ] {
            check(Form::Tree, &espo(), text, Err(Refusal::Unread));
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "[]",
            "1",
            r#"{"field":"a"}"#,
            r#"{"operator":"gt","value":1}"#,
            r#"{"field":"a","operator":"regex","value":1}"#,
            r#"{"field":["a"],"operator":"gt","value":1}"#,
            r#"{"field":"a","operator":"gt","value":{"field":"b"}}"#,
            r#"{"field":"a","operator":"gt","value":"$field.b"}"#,
            r#"{"field":"a","operator":"gt","value":1,"and":[]}"#,
            r#"{"field":"a","operator":"gt","path":"b"}"#,
            r#"{"field":"","operator":"gt"}"#,
            r#"{"and":[]}"#,
            r#"{"and":{"field":"a","operator":"gt"}}"#,
            r#"{"and":[{"field":"a","operator":"gt"}],"or":[{"field":"b","operator":"gt"}]}"#,
            r#"{"not":[{"field":"a","operator":"eq"},{"field":"b","operator":"eq"}]}"#,
            r#"{"not":[]}"#,
        ] {
            reads(text, Err(Refusal::Unread));
        }
    }

    #[test]
    fn limits_hold() {
        let clause = r#"{"field":"a","operator":"gt","value":1}"#;
        let flat = |count: usize| format!(r#"{{"and":[{}]}}"#, vec![clause; count].join(","));
        let deep = |depth: usize| format!("{}{clause}{}", r#"{"or":["#.repeat(depth), "]}".repeat(depth));
        check_limits(Form::Tree, flat, deep);
    }
}
