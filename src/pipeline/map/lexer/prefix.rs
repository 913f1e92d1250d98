//! Prefix notation, as Odoo has it: `["&",["a","=",1],"|",["b","=",2],["c","=",3]]`. What no operator takes must all hold.

use super::filter::{Filter, clause};
use super::term::Term;
use super::{Budget, Refusal};
use crate::bundle::profile::query::grammar::{Grammar, Join, Joined};

/// Reads all of a value.
pub fn read(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    // Conditions that no operator has taken yet, each with its depth; the next to be taken is last.
    let mut open: Vec<(Filter, usize)> = Vec::new();
    for item in term.items().ok_or(Refusal::Unread)?.iter().rev() {
        let next = match item {
            Term::Text(word) => {
                let joined = grammar.joins(word).ok_or(Refusal::Unread)?;
                let (first, depth) = open.pop().ok_or(Refusal::Unread)?;
                match joined {
                    Joined::Not => (Filter::Not(Box::new(first)), depth + 1),
                    Joined::By(join) => {
                        let (second, other) = open.pop().ok_or(Refusal::Unread)?;
                        let both = vec![first, second];
                        let filter = if join == Join::And { Filter::All(both) } else { Filter::Any(both) };
                        (filter, depth.max(other) + 1)
                    }
                }
            }
            Term::List(parts) => match parts.as_slice() {
                [Term::Text(name), Term::Text(operator), value] => {
                    let path = grammar.path(name).ok_or(Refusal::Unread)?;
                    (clause(path, operator, value, grammar, budget)?, 1)
                }
                _ => return Err(Refusal::Unread),
            },
            _ => return Err(Refusal::Unread),
        };
        if next.1 > budget.depth {
            return Err(Refusal::TooMuch);
        }
        open.push(next);
    }
    Ok(Filter::All(open.into_iter().rev().map(|(filter, _)| filter).collect()))
}

/// Writes a condition; `None` if there is no word for a part of it.
pub fn write(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    let mut items = Vec::new();
    match filter {
        Filter::All(filters) => filters.iter().try_for_each(|filter| push(filter, grammar, &mut items))?,
        filter => push(filter, grammar, &mut items)?,
    }
    Some(Term::List(items))
}

fn push(filter: &Filter, grammar: &Grammar, items: &mut Vec<Term>) -> Option<()> {
    let mut joined = |word: Option<&String>, filters: &[Filter]| {
        // An operator takes two: one less of them than there are conditions.
        let operators = filters.len().checked_sub(1)?;
        items.extend(std::iter::repeat_n(Term::from_text(word?), operators));
        filters.iter().try_for_each(|filter| push(filter, grammar, items))
    };
    match filter {
        Filter::All(filters) => joined(grammar.word(Join::And), filters),
        Filter::Any(filters) => joined(grammar.word(Join::Or), filters),
        Filter::Not(inner) => {
            items.push(Term::from_text(grammar.not.first()?));
            push(inner, grammar, items)
        }
        Filter::Clause(clause) => {
            items.push(Term::List(vec![
                Term::from_text(grammar.spelled(&clause.path)),
                Term::from_text(&clause.operator),
                clause.values.first().map(|(_, value)| value.clone())?,
            ]));
            Some(())
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
        check(Form::Prefix, &grammar(Form::Prefix), text, expected);
    }

    #[test]
    fn operators_take_what_follows() {
        reads("[]", Ok("all()"));
        reads(r#"[["a","=",1]]"#, Ok("all(a=1)"));
        reads(r#"[["a","=",1],["b","=",2]]"#, Ok("all(a=1 b=2)"));
        reads(r#"["|",["a","=",1],["b.c","=",2]]"#, Ok("all(any(a=1 b/c=2))"));
        reads(r#"["|",["a","=",1],["b","=",2],["c","=",3]]"#, Ok("all(any(a=1 b=2) c=3)"));
        reads(r#"["!","&",["a","=",1],"|",["b","=",2],["c","=",3]]"#, Ok("all(not(all(a=1 any(b=2 c=3))))"));
        reads(r#"["&","&",["a","=",1],["b","=",2],["c","=",3]]"#, Ok("all(all(all(a=1 b=2) c=3))"));
    }

    #[test]
    fn what_is_more_than_that_is_refused() {
        for text in [
            "{}",
            r#"["a","=",1]"#,
            r#"["|",["a","=",1]]"#,
            r#"["!"]"#,
            r#"["&"]"#,
            r#"[["a","=",1],"|"]"#,
            r#"[[["a","=",1]]]"#,
            r#"[[1,"=",1]]"#,
            r#"[["a","any",[["b","=",1]]]]"#,
            r#"[["a","=",1,2]]"#,
            r#"["OR",["a","=",1],["b","=",2]]"#,
            "[5]",
        ] {
            reads(text, Err(Refusal::Unread));
        }
    }

    #[test]
    fn limits_hold() {
        let flat = |count: usize| format!("[{}]", vec![r#"["a","=",1]"#; count].join(","));
        let deep = |depth: usize| format!(r#"[{}["a","=",1]]"#, r#""!","#.repeat(depth - 1));
        check_limits(Form::Prefix, flat, deep);
    }
}
