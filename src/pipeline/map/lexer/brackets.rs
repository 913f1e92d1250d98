//! Values in the names of parameters: `filters[$and][0][amount][$gt]=5`.
//!
//! Promises: each place is named once; what readers of such names take in different ways is refused: open brackets, empty
//! ones but at the end of a list, gaps in numbers, lists longer than what common readers take for a list, names that are
//! deeper than the profile says.

use super::Refusal;
use super::term::Term;

/// A value while its places are found.
enum Place {
    Value(String),
    Keys(Vec<(String, Place)>),
    /// `a[]=x&a[]=y`
    Listed(Vec<String>),
}

/// Reads the parameters of one name, each by what follows the name.
pub fn read<'p>(
    pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
    levels_max: usize,
) -> Result<Term, Refusal> {
    let mut root = Place::Keys(Vec::new());
    for (rest, value) in pairs {
        let keys = keys(rest).filter(|keys| !keys.is_empty()).ok_or(Refusal::Unread)?;
        if keys.len() > levels_max {
            return Err(Refusal::TooMuch);
        }
        put(&mut root, &keys, value)?;
    }
    term(root)
}

/// `[a][0]` as its keys.
fn keys(rest: &str) -> Option<Vec<&str>> {
    let (mut keys, mut rest) = (Vec::new(), rest);
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix('[')?.split_once(']')?;
        let is_plain = !key.contains('[') && (!key.is_empty() || after.is_empty());
        keys.push(Some(key).filter(|_| is_plain)?);
        rest = after;
    }
    Some(keys)
}

fn put(place: &mut Place, keys: &[&str], value: &str) -> Result<(), Refusal> {
    let Some((key, rest)) = keys.split_first() else { return Err(Refusal::Unread) };
    if let Place::Keys(known) = place
        && key.is_empty()
        && known.is_empty()
    {
        *place = Place::Listed(Vec::new());
    }
    match (place, rest) {
        (Place::Listed(values), []) if key.is_empty() => values.push(value.to_owned()),
        (Place::Keys(known), rest) if !key.is_empty() => {
            let at = match known.iter().position(|(other, _)| other == key) {
                Some(at) => at,
                None => {
                    known.push(((*key).to_owned(), Place::Keys(Vec::new())));
                    known.len() - 1
                }
            };
            let (_, inner) = known.get_mut(at).ok_or(Refusal::Unread)?;
            match (rest, &inner) {
                ([], Place::Keys(none)) if none.is_empty() => *inner = Place::Value(value.to_owned()),
                ([], _) => return Err(Refusal::Unread),
                (rest, _) => put(inner, rest, value)?,
            }
        }
        _ => return Err(Refusal::Unread),
    }
    Ok(())
}

fn term(place: Place) -> Result<Term, Refusal> {
    let known = match place {
        Place::Value(text) => return Ok(Term::Text(text)),
        Place::Listed(texts) if texts.len() > LIST_MAX => return Err(Refusal::TooMuch),
        Place::Listed(texts) => return Ok(Term::List(texts.into_iter().map(Term::Text).collect())),
        Place::Keys(known) => known,
    };
    let numbers = known.iter().filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_digit())).count();
    if numbers == 0 {
        let member = |(key, place)| Ok((key, term(place)?));
        return known.into_iter().map(member).collect::<Result<_, _>>().map(Term::Object);
    }
    if known.len() > LIST_MAX {
        return Err(Refusal::TooMuch);
    }
    // Every number from 0, in order, spelled in one way.
    let is_list = known.iter().enumerate().all(|(number, (key, _))| *key == number.to_string());
    match is_list {
        true => known.into_iter().map(|(_, place)| term(place)).collect::<Result<_, _>>().map(Term::List),
        false => Err(Refusal::Unread),
    }
}

/// Writes a value as parameters; `None` if a part of it cannot stand there.
pub fn write(name: &str, term: &Term) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    push(name.to_owned(), term, &mut pairs)?;
    Some(pairs)
}

fn push(name: String, term: &Term, pairs: &mut Vec<(String, String)>) -> Option<()> {
    match term {
        Term::List(items) if items.len() <= LIST_MAX => items
            .iter()
            .enumerate()
            .try_for_each(|(number, item)| push(format!("{name}[{number}]"), item, pairs)),
        Term::List(_) => None,
        Term::Object(members) => {
            members.iter().try_for_each(|(key, value)| push(format!("{name}[{key}]"), value, pairs))
        }
        // Nothing, as text, is an empty text.
        Term::Null => None,
        scalar => {
            pairs.push((name, scalar.as_text()?));
            Some(())
        }
    }
}

/// Items that common readers take for a list; with more of them they make an object.
pub const LIST_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<&str, Refusal>) {
        let found = read(pairs.iter().copied(), 5);
        assert_eq!(
            found.as_ref().map(Term::to_json).as_deref().map_err(|refusal| **refusal),
            expected,
            "{pairs:?}"
        );
        if let Ok(term) = found {
            let written = write("f", &term).unwrap();
            let rest = |name: &'_ str| name.strip_prefix('f').unwrap().to_owned();
            let pairs: Vec<(String, &str)> =
                written.iter().map(|(name, value)| (rest(name), value.as_str())).collect();
            let again = read(pairs.iter().map(|(name, value)| (name.as_str(), *value)), 5);
            assert_eq!(again, Ok(term), "{written:?}");
        }
    }

    #[test]
    fn names_are_places() {
        check(&[("[a]", "1")], Ok(r#"{"a":"1"}"#));
        check(
            &[("[$and][0][amount][$gt]", "5"), ("[$and][1][title]", "x")],
            Ok(r#"{"$and":[{"amount":{"$gt":"5"}},{"title":"x"}]}"#),
        );
        check(
            &[("[0][field]", "a"), ("[0][op]", "eq"), ("[1][field]", "b")],
            Ok(r#"[{"field":"a","op":"eq"},{"field":"b"}]"#),
        );
        check(&[("[in][]", "a"), ("[in][]", "b")], Ok(r#"{"in":["a","b"]}"#));
        check(&[("[]", "a")], Ok(r#"["a"]"#));
    }

    #[test]
    fn what_readers_take_in_two_ways_is_refused() {
        for pairs in [
            &[("", "1")][..],
            &[("x", "1")],
            &[("[a", "1")],
            &[("[a]b", "1")],
            &[("[a]]", "1")],
            &[("[[a]]", "1")],
            &[("[a][][b]", "1")],
            &[("[a]", "1"), ("[a]", "2")],
            &[("[a]", "1"), ("[a][b]", "2")],
            &[("[a][b]", "2"), ("[a]", "1")],
            &[("[a][]", "2"), ("[a][0]", "1")],
            &[("[a][0]", "2"), ("[a][]", "1")],
            &[("[1]", "a")],
            &[("[1]", "a"), ("[0]", "b")],
            &[("[0]", "a"), ("[2]", "b")],
            &[("[0]", "a"), ("[x]", "b")],
            &[("[00]", "a")],
            &[("[0]", "a"), ("[01]", "b")],
        ] {
            check(pairs, Err(Refusal::Unread));
        }
    }

    #[test]
    fn limits_hold() {
        check(&[("[a][b][c][d][e]", "1")], Ok(r#"{"a":{"b":{"c":{"d":{"e":"1"}}}}}"#));
        check(&[("[a][b][c][d][e][f]", "1")], Err(Refusal::TooMuch));
        let names: Vec<String> = (0..=LIST_MAX).map(|number| format!("[{number}]")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert!(read(pairs[..LIST_MAX].iter().copied(), 5).is_ok());
        check(&pairs, Err(Refusal::TooMuch));
        let pushed = vec![("[]", "x"); LIST_MAX + 1];
        check(&pushed, Err(Refusal::TooMuch));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_whole_or_refused(
            pairs in prop::collection::vec(("(\\[[a0-2\\[\\]]{0,2}\\]?){0,3}", "[a-b]"), 0..5)
        ) {
            let given = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Ok(term) = read(given, 5) {
                let written = write("", &term).unwrap();
                let again = read(written.iter().map(|(name, value)| (name.as_str(), value.as_str())), 5);
                prop_assert_eq!(again, Ok(term));
                // Nothing was lost on the way.
                prop_assert_eq!(written.len(), pairs.len());
            }
        }
    }
}
