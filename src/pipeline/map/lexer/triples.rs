//! Lists of name, operator and value, as Tryton and Frappe have them: `[["amount",">",5],["OR",[…],[…]]]`.
//!
//! A list that begins with a word that joins holds conditions; one that begins with another text is a condition; one that
//! begins with a list must hold in all its parts. There is no fourth.

use super::filter::{Filter, clause};
use super::term::Term;
use super::{Budget, Refusal};
use crate::bundle::profile::query::grammar::{Grammar, Join, Joined};

/// Reads all of a value.
pub fn read(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let items = term.items().ok_or(Refusal::Unread)?;
    match items.first() {
        // The one place where nothing means that anything holds.
        None => Ok(Filter::All(Vec::new())),
        Some(Term::List(_)) => parts(items, grammar, budget).map(Filter::All),
        Some(_) => match node(term, grammar, budget)? {
            // Some readers take a bare condition for a list of names.
            bare @ Filter::Clause(_) => Ok(Filter::All(vec![bare])),
            joined => Ok(joined),
        },
    }
}

fn node(term: &Term, grammar: &Grammar, budget: &mut Budget) -> Result<Filter, Refusal> {
    let items = term.items().ok_or(Refusal::Unread)?;
    match items {
        [Term::Text(word), rest @ ..] => match (grammar.joins(word), rest) {
            (Some(_), []) => Err(Refusal::Unread),
            (Some(Joined::By(Join::And)), rest) => parts(rest, grammar, budget).map(Filter::All),
            (Some(Joined::By(Join::Or)), rest) => parts(rest, grammar, budget).map(Filter::Any),
            (None, [Term::Text(operator), value]) => {
                let path = grammar.path(word).ok_or(Refusal::Unread)?;
                clause(path, operator, value, grammar, budget)
            }
            (Some(Joined::Not) | None, _) => Err(Refusal::Unread),
        },
        // Written anew with the word for it, so there must be one.
        [Term::List(_), ..] if !grammar.and.is_empty() => parts(items, grammar, budget).map(Filter::All),
        _ => Err(Refusal::Unread),
    }
}

fn parts(items: &[Term], grammar: &Grammar, budget: &mut Budget) -> Result<Vec<Filter>, Refusal> {
    budget.deeper(|budget| items.iter().map(|item| node(item, grammar, budget)).collect())
}

/// Writes a condition; `None` if there is no word for a part of it.
pub fn write(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    match filter {
        Filter::All(filters) => {
            filters.iter().map(|filter| part(filter, grammar)).collect::<Option<_>>().map(Term::List)
        }
        Filter::Clause(_) => Some(Term::List(vec![part(filter, grammar)?])),
        filter => part(filter, grammar),
    }
}

fn part(filter: &Filter, grammar: &Grammar) -> Option<Term> {
    let joined = |join: Join, filters: &[Filter]| {
        let word = grammar.word(join).filter(|_| !filters.is_empty())?;
        let parts = filters.iter().map(|filter| part(filter, grammar));
        let items = std::iter::once(Some(Term::from_text(word))).chain(parts);
        items.collect::<Option<_>>().map(Term::List)
    };
    match filter {
        Filter::All(filters) => joined(Join::And, filters),
        Filter::Any(filters) => joined(Join::Or, filters),
        Filter::Not(_) => None,
        Filter::Clause(clause) => Some(Term::List(vec![
            Term::from_text(grammar.spelled(&clause.path)),
            Term::from_text(&clause.operator),
            clause.values.first().map(|(_, value)| value.clone())?,
        ])),
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::{check, check_limits, grammar};
    use super::*;
    use crate::bundle::profile::query::Form;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        check(Form::Triples, &grammar(Form::Triples), text, Ok(expected));
    }

    #[test]
    fn domains_are_read_whole() {
        reads("[]", "all()");
        reads(r#"[["amount",">",5]]"#, "all(amount>5)");
        reads(r#"["amount",">",5]"#, "all(amount>5)");
        reads(r#"[["a","=","x"],["party.name","in",["y",null]]]"#, r#"all(a="x" party/namein["y",null])"#);
        reads(r#"["OR",["a","=",1],[["b","=",2],["c","=",3]]]"#, "any(a=1 all(b=2 c=3))");
        reads(r#"[["OR",["a","=",1],["AND",["b","=",2]]]]"#, "all(any(a=1 all(b=2)))");
        let decimal = r#"{"__class__":"Decimal","decimal":"5"}"#;
        reads(&format!(r#"[["amount",">",{decimal}]]"#), &format!("all(amount>{decimal})"));
        // A name that is a word only in another place.
        reads(r#"[["AND",["AND1","=","OR"]]]"#, r#"all(all(AND1="OR"))"#);
    }

    #[test]
    fn what_is_more_than_a_domain_is_refused() {
        for text in [
            "{}",
            "1",
            "[[]]",
            "[1]",
            "[null]",
            r#"["amount"]"#,
            r#"["OR"]"#,
            r#"["AND"]"#,
            r#"["OR",[]]"#,
            r#"["OR","=",5]"#,
            r#"[["OR","=",5]]"#,
            r#"["or",["a","=",1]]"#,
            r#"[["a","="]]"#,
            r#"[["a","=",1,"sale.opportunity"]]"#,
            r#"[["Deal","a","=",1]]"#,
            r#"[["a","where",[["b","=",1]]]]"#,
            r#"[["a","=",[["b","=",1]]]]"#,
            r#"[["a","=",{"b":1}]]"#,
            r#"[["a","=",{"__class__":"x","b":[1]}]]"#,
            r#"[["a","=","$field.margin"]]"#,
            r#"[["a","in",["x","$field.margin"]]]"#,
            r#"[["a","child_of",1]]"#,
            r#"[["a",["="],1]]"#,
            r#"[[1,"=",1]]"#,
            r#"[["",  "=",1]]"#,
            r#"[["a..b","=",1]]"#,
            r#"[["a.","=",1]]"#,
            r#"[["a","=",1],"OR"]"#,
            r#"[["a","=",1],5]"#,
            r#"[["a","=",1],[]]"#,
        ] {
            check(Form::Triples, &grammar(Form::Triples), text, Err(Refusal::Unread));
        }
        // Without a word for "all" nothing nests.
        let flat = Grammar { and: Vec::new(), or: Vec::new(), ..grammar(Form::Triples) };
        check(Form::Triples, &flat, r#"[["a","=",1],["b","=",2]]"#, Ok("all(a=1 b=2)"));
        check(Form::Triples, &flat, r#"[[["a","=",1]]]"#, Err(Refusal::Unread));
        check(Form::Triples, &flat, r#"["OR",["a","=",1]]"#, Err(Refusal::Unread));
    }

    #[test]
    fn limits_hold() {
        let flat = |count: usize| format!("[{}]", vec![r#"["a","=",1]"#; count].join(","));
        let deep = |depth: usize| format!(r#"{}"a","=",1{}"#, "[".repeat(depth + 1), "]".repeat(depth + 1));
        check_limits(Form::Triples, flat, deep);
    }
}
