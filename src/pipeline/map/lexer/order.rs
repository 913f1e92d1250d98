//! Lists of names, with or without a direction: what is selected, sorted, grouped or computed by.

use super::Refusal;
use super::term::Term;
use crate::bundle::profile::query::Form;
use crate::bundle::profile::query::grammar::Grammar;

/// A name of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name, as the CRM spells it.
    pub name: String,
    /// Which way it orders, as it was written: a word, a sign, a number; `None` if it does not say.
    pub direction: Option<Term>,
}

impl Named {
    fn bare(name: impl Into<String>) -> Self {
        Self { name: name.into(), direction: None }
    }
}

/// Reads all of a text.
pub fn read_text(form: Form, text: &str, grammar: &Grammar) -> Result<Vec<Named>, Refusal> {
    let directed = |name: &str, direction: &str| match grammar.is_direction(direction) {
        true => Some(Named { name: name.to_owned(), direction: Some(Term::from_text(direction)) }),
        false => None,
    };
    let read_one = |text: &str| match form {
        Form::CommaList | Form::Repeated => Some(Named::bare(text)),
        Form::SignedList => Some(match text.strip_prefix('-') {
            Some(name) => Named { name: name.to_owned(), direction: Some(Term::from_text("-")) },
            None => Named::bare(text),
        }),
        Form::DirectionList => match text.trim().split_once(' ') {
            Some((name, direction)) => directed(name, direction),
            None => Some(Named::bare(text.trim())),
        },
        Form::ColonList => match text.split_once(':') {
            Some((name, direction)) => directed(name, direction),
            None => Some(Named::bare(text)),
        },
        Form::BracketList => match text.split_once('[') {
            Some((name, direction)) => directed(name, direction.strip_suffix(']')?),
            None => Some(Named::bare(text)),
        },
        _ => None,
    };
    let found: Option<Vec<Named>> = match form {
        Form::Repeated => read_one(text).map(|one| vec![one]),
        _ => text.split(',').map(read_one).collect(),
    };
    found.filter(|names| names.iter().all(|named| is_name(&named.name))).ok_or(Refusal::Unread)
}

/// A name that every reader takes for one and the same name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([',', '[', ']', ':', ' ', '\t'])
}

/// Writes a list as text.
pub fn write_text(form: Form, names: &[Named]) -> String {
    let write_one = |named: &Named| {
        let direction = named.direction.as_ref().and_then(Term::text);
        match (form, direction) {
            (Form::SignedList, Some(sign)) => format!("{sign}{}", named.name),
            (Form::DirectionList, Some(direction)) => format!("{} {direction}", named.name),
            (Form::ColonList, Some(direction)) => format!("{}:{direction}", named.name),
            (Form::BracketList, Some(direction)) => format!("{}[{direction}]", named.name),
            _ => named.name.clone(),
        }
    };
    names.iter().map(write_one).collect::<Vec<_>>().join(",")
}

/// Reads all of a value.
pub fn read(form: Form, term: &Term, grammar: &Grammar) -> Result<Vec<Named>, Refusal> {
    let found = match (form, term) {
        (Form::JsonPair, term) => pair(term, grammar).map(|one| vec![one]),
        (Form::JsonKeys, Term::Object(members)) => {
            members.iter().map(|(name, direction)| directed(name, direction, grammar)).collect()
        }
        (Form::JsonList, Term::List(items)) => {
            items.iter().map(|item| item.text().map(Named::bare)).collect()
        }
        (Form::JsonPairs, Term::List(items)) => items.iter().map(|item| pair(item, grammar)).collect(),
        (Form::JsonObjects, Term::List(items)) => items.iter().map(|item| object(item, grammar)).collect(),
        _ => None,
    };
    found.filter(|names: &Vec<Named>| names.iter().all(|named| !named.name.is_empty())).ok_or(Refusal::Unread)
}

fn pair(term: &Term, grammar: &Grammar) -> Option<Named> {
    match term.items()? {
        [Term::Text(name)] => Some(Named::bare(name)),
        [Term::Text(name), direction] => directed(name, direction, grammar),
        _ => None,
    }
}

fn object(term: &Term, grammar: &Grammar) -> Option<Named> {
    let (mut name, mut direction) = (None, None);
    for (key, value) in term.members()? {
        match key {
            key if *key == grammar.name => name = Some(value.text()?),
            key if *key == grammar.direction => direction = Some(value),
            _ => return None,
        }
    }
    match direction {
        Some(direction) => directed(name?, direction, grammar),
        None => Some(Named::bare(name?)),
    }
}

fn directed(name: &str, direction: &Term, grammar: &Grammar) -> Option<Named> {
    let is_known = match direction {
        Term::Text(word) => grammar.is_direction(word),
        Term::Number(digits) => digits == "1" || digits == "-1",
        _ => false,
    };
    is_known.then(|| Named { name: name.to_owned(), direction: Some(direction.clone()) })
}

/// Writes a list as a value; `None` if the form has no place for a part of it.
pub fn write(form: Form, names: &[Named], grammar: &Grammar) -> Option<Term> {
    let name = |named: &Named| Term::from_text(&named.name);
    let pair = |named: &Named| {
        Term::List([name(named)].into_iter().chain(named.direction.clone()).collect::<Vec<_>>())
    };
    let object = |named: &Named| {
        let direction = named.direction.clone().map(|direction| (grammar.direction.clone(), direction));
        Term::Object([(grammar.name.clone(), name(named))].into_iter().chain(direction).collect())
    };
    Some(match (form, names) {
        (Form::JsonList, names) => Term::List(names.iter().map(name).collect()),
        (Form::JsonPairs, names) => Term::List(names.iter().map(pair).collect()),
        (Form::JsonPair, [one]) => pair(one),
        (Form::JsonObjects, names) => Term::List(names.iter().map(object).collect()),
        (Form::JsonKeys, names) => {
            let member = |named: &Named| Some((named.name.clone(), named.direction.clone()?));
            Term::Object(names.iter().map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse::JsonLimits;
    use proptest::prelude::*;

    fn grammar(form: Form) -> Grammar {
        let mut grammar = Grammar::of(form);
        (grammar.name, grammar.direction) = ("field".to_owned(), "direction".to_owned());
        grammar
    }

    fn shown(names: &[Named]) -> String {
        let one = |named: &Named| {
            let direction = named.direction.as_ref().map(|direction| format!(" {}", direction.to_json()));
            format!("{}{}", named.name, direction.unwrap_or_default())
        };
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[track_caller]
    fn text(form: Form, text: &str, expected: Option<&str>) {
        let found = read_text(form, text, &grammar(form));
        assert_eq!(found.as_ref().ok().map(|names| shown(names)).as_deref(), expected, "{text}");
        if let Ok(names) = found {
            assert_eq!(read_text(form, &write_text(form, &names), &grammar(form)), Ok(names), "{text}");
        }
    }

    #[track_caller]
    fn json(form: Form, text: &str, expected: Option<&str>) {
        let term = Term::parse(text, &JsonLimits::default()).unwrap();
        let found = read(form, &term, &grammar(form));
        assert_eq!(found.as_ref().ok().map(|names| shown(names)).as_deref(), expected, "{text}");
        if let Ok(names) = found {
            let written = write(form, &names, &grammar(form)).unwrap();
            assert_eq!(read(form, &written, &grammar(form)), Ok(names), "{text}");
        }
    }

    #[test]
    fn texts_name_fields() {
        text(Form::CommaList, "a,b.c", Some("a, b.c"));
        text(Form::Repeated, "a", Some("a"));
        text(Form::SignedList, "-a,b", Some("a \"-\", b"));
        text(Form::DirectionList, "a desc, b,c ASC", Some("a \"desc\", b, c \"ASC\""));
        text(Form::ColonList, "a:desc,b", Some("a \"desc\", b"));
        text(Form::BracketList, "a[Desc],b", Some("a \"Desc\", b"));
        for broken in ["", ",", "a,", "a,,b", "a desc desc", "a  desc", "a up", "a:desc:x"] {
            text(Form::DirectionList, broken, None);
        }
        for broken in ["a:", "a:up", "a:desc:asc", ":desc", "a desc"] {
            text(Form::ColonList, broken, None);
        }
        for broken in ["a[", "a[]", "a[desc", "a[desc]]", "a[desc]x", "[desc]", "a[b][desc]", "a]"] {
            text(Form::BracketList, broken, None);
        }
        for broken in ["--a,", "-", "a b", "a:desc"] {
            text(Form::SignedList, broken, None);
        }
        text(Form::Repeated, "a,b", None);
    }

    #[test]
    fn json_names_fields() {
        json(Form::JsonList, r#"["a","b"]"#, Some("a, b"));
        json(Form::JsonPairs, r#"[["a","DESC"],["b"]]"#, Some("a \"DESC\", b"));
        json(Form::JsonPair, r#"["a","desc"]"#, Some("a \"desc\""));
        json(Form::JsonObjects, r#"[{"direction":"asc","field":"a"},{"field":"b"}]"#, Some("a \"asc\", b"));
        json(Form::JsonKeys, r#"{"a":-1,"b":"asc"}"#, Some("a -1, b \"asc\""));
        for broken in [r#"["a",1]"#, r#"[""]"#, r#""a""#, r#"{"a":1}"#, r#"[["a"]]"#] {
            json(Form::JsonList, broken, None);
        }
        for broken in
            [r#"["a","desc"]"#, r#"[["a","up"]]"#, r#"[["a","asc","b"]]"#, r#"[[]]"#, r#"[["a",null]]"#]
        {
            json(Form::JsonPairs, broken, None);
        }
        for broken in [r#"[["a","desc"]]"#, r#"["a","b"]"#, r#"[]"#] {
            json(Form::JsonPair, broken, None);
        }
        for broken in [r#"[{"direction":"asc"}]"#, r#"[{"field":"a","x":1}]"#, r#"[{"field":1}]"#, r#"["a"]"#]
        {
            json(Form::JsonObjects, broken, None);
        }
        for broken in [r#"{"a":2}"#, r#"{"a":{"$meta":"x"}}"#, r#"{"":1}"#, r#"["a"]"#, r#"{"a":1.0}"#] {
            json(Form::JsonKeys, broken, None);
        }
    }

    const TEXTS: &[Form] = &[
        Form::CommaList,
        Form::Repeated,
        Form::SignedList,
        Form::DirectionList,
        Form::ColonList,
        Form::BracketList,
    ];
    const JSONS: &[Form] =
        &[Form::JsonList, Form::JsonPairs, Form::JsonPair, Form::JsonObjects, Form::JsonKeys];

    proptest! {
        #[test]
        fn what_is_written_names_exactly_what_was_meant(
            names in prop::collection::btree_map("[a-z_.]{1,5}", any::<bool>(), 1..4)
        ) {
            for form in TEXTS.iter().chain(JSONS).copied() {
                let down = if form == Form::SignedList { "-" } else { "desc" };
                let is_directed = form.has_directions() || form == Form::SignedList;
                let named = |(name, is_down): (&String, &bool)| Named {
                    name: name.clone(),
                    direction: (is_directed && (*is_down || form == Form::JsonKeys)).then(|| Term::from_text(down)),
                };
                let mut names: Vec<Named> = names.iter().map(named).collect();
                if matches!(form, Form::Repeated | Form::JsonPair) {
                    names.truncate(1);
                }
                let read = match TEXTS.contains(&form) {
                    true => read_text(form, &write_text(form, &names), &grammar(form)),
                    false => read(form, &write(form, &names, &grammar(form)).unwrap(), &grammar(form)),
                };
                prop_assert_eq!(read, Ok(names), "{:?}", form);
            }
        }

        #[test]
        fn whatever_comes_is_read_whole_or_refused(
            text in "[-a-c,:\\[\\] ]{0,10}|\\PC{0,10}",
            term in super::super::term::tests::any_term(),
        ) {
            for form in TEXTS.iter().copied() {
                if let Ok(names) = read_text(form, &text, &grammar(form)) {
                    prop_assert_eq!(read_text(form, &write_text(form, &names), &grammar(form)), Ok(names));
                }
            }
            for form in JSONS.iter().copied() {
                if let Ok(names) = read(form, &term, &grammar(form)) {
                    let written = write(form, &names, &grammar(form)).unwrap();
                    prop_assert_eq!(read(form, &written, &grammar(form)), Ok(names));
                }
            }
        }
    }
}
